/* damage - octets that do not verify are set aside for a person */
#ifndef QMGR_STORE_DAMAGE_H
#define QMGR_STORE_DAMAGE_H

#include "qmgr/store/journal.h"

/* Both write to damaged/ below the mailbox' folder; true when it was not there yet. Any thread. */
bool damage_set_aside(const struct journal *journal, uint64_t serial, uint64_t offset, const void *octets, uint64_t length);
/* A copy of a body file, open for reading. */
bool damage_set_aside_body(const struct journal *journal, uint64_t id, int file);

#endif
