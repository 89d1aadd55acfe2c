/* reload - which changes of the documents a running service takes over */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "common/base/buffer.h"
#include "common/conf/settings.h"

/* Appends a line for each setting that differs and that only a restart can change. Returns how many. */
unsigned reload_find_refused(const struct settings *in_force, const struct settings *wanted, struct buffer *text);

#endif
