/* damage - octets that do not verify are set aside for a person */
#ifndef QMGR_STORE_DAMAGE_H
#define QMGR_STORE_DAMAGE_H

#include "qmgr/store/journal.h"

/* Writes octets to damaged/; true when they were not there yet. */
bool damage_set_aside(const struct journal *journal, uint64_t serial, uint64_t offset, const void *octets, uint64_t length);

#endif
