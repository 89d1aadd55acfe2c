/*
 * system_files - the files of this host that a program reads but cannot open from its jail
 *
 * master opens them at each start of the program and at each reload, so that the program sees what they hold now.
 */
#ifndef MASTER_SYSTEM_FILES_H
#define MASTER_SYSTEM_FILES_H

#include <stdbool.h>

#include "common/ipc/channel.h"
#include "common/worker/roles.h"

struct settings;

/* Sends a worker_file for each file of role that exists; one that cannot be opened otherwise is logged. False when the
 * channel takes none. */
bool system_files_send(struct channel *channel, enum role role, const struct settings *settings);

#endif
