/*
 * destination_list - whether a destination of mail is on a list of domains
 *
 * docs/reference/domino-semantics.md, 7.1: abc.com (the tail of a domain, by characters), .abc.com (below it),
 * @abc.com (exactly), %AcmeEast (a Domino domain), * (all), GroupName. What a look-up costs does not grow with the
 * list.
 */
#ifndef COMMON_CONF_DESTINATION_LIST_H
#define COMMON_CONF_DESTINATION_LIST_H

#include <stdbool.h>

#include "common/conf/settings.h"

struct destination_list;

/* As host_list_new(). */
struct destination_list *destination_list_new(const struct setting *list, const struct setting *except,
    bool whole_labels);
/* NULL is accepted. The pointer is cleared. */
void destination_list_free(struct destination_list **list);

/* Whether nothing stands on it, not even a group without members. */
bool destination_list_is_empty(const struct destination_list *list);

/*
 * The first entry, in the order of the list, that has this destination: an Internet domain, an address literal
 * (which only * has), or % and a Domino domain. NULL when there is none.
 */
const struct setting_item *destination_list_find(const struct destination_list *list, const char *destination);

#endif
