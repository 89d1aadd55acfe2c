/*
 * lookup - questions about people, groups and mail-in databases, answered from a catalogue
 */
#ifndef DIRECTORY_LOOKUP_H
#define DIRECTORY_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/ipc/directory.h"
#include "directory/catalogue.h"
#include "directory/document.h"

#define LOOKUP_MATCHES_MAX 100	/* more are not told: two are too many for mail already */

/*
 * Calls found for each match, at most LOOKUP_MATCHES_MAX; *count_out is how many. DIRECTORY_GROUP_MEMBERS is not
 * for this function. -1 and an error when the catalogue fails: nothing was found out then.
 */
int lookup_entries(struct catalogue *catalogue, enum directory_lookup_kind kind, const char *text,
    void (*found)(void *context, const struct document *document), void *context, size_t *count_out,
    struct error *error);

/* The number of the group of that name. 1, 0: no such group, -1: an error. */
int lookup_group(struct catalogue *catalogue, const char *name, uint32_t *number_out, struct error *error);

#endif
