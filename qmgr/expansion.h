/*
 * expansion - the members of a group, or a forwarding address, become recipients of their own
 *
 * The group and its members are recorded in one record before anything is delivered to them: a group is expanded
 * once. An address that is a recipient already is not added again, and a mail file gets one copy whatever names lead to it.
 */
#ifndef QMGR_EXPANSION_H
#define QMGR_EXPANSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

struct active_message;
struct qmgr;

/* The addresses of a message; the domain's case does not matter, nor does that of a Notes name. */
struct address_set;
struct address_set *address_set_new(void);
void address_set_free(struct address_set **set);
/* Adds address, which is borrowed, of the recipient with that index; false when it was there. */
bool address_set_add(struct address_set *set, const char *address, uint32_t index);

/*
 * Whether an expanded recipient that was just routed ends where another recipient of the message ends: one person under two
 * names in a group gets one copy. Otherwise its place is remembered.
 */
struct place_set;
void place_set_free(struct place_set **set);
bool expansion_is_duplicate(struct active_message *message, uint32_t index);

/* members: count texts, each with its NUL. */
void expansion_apply(struct qmgr *qmgr, struct active_message *message, uint32_t parent, const struct buffer *members,
    uint32_t count, bool forward);

/* Writes again what failed. True while there is something to write. */
bool expansion_tick(struct qmgr *qmgr, int64_t monotonic_ms);
/* Frees what is on its way, at the end of the process. */
void expansion_end(struct qmgr *qmgr);

#endif
