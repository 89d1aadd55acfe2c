/*
 * address_list - whether an Internet address is on a list of addresses and domains
 *
 * docs/reference/domino-semantics.md, 7.1 and 7.9: user@abc.com (whole, without case), abc.com (the domain and
 * what is below it, by labels), .abc.com (what is below), @abc.com (the domain alone), GroupName. What a look-up
 * costs does not grow with the list.
 */
#ifndef COMMON_CONF_ADDRESS_LIST_H
#define COMMON_CONF_ADDRESS_LIST_H

#include <stdbool.h>

#include "common/conf/settings.h"
#include "common/mail/address.h"

struct address_list;

/* It borrows from the setting, whose holder must outlive it. */
struct address_list *address_list_new(const struct setting *list);
/* NULL is accepted. The pointer is cleared. */
void address_list_free(struct address_list **list);

/* Whether nothing stands on it, not even a group without members. */
bool address_list_is_empty(const struct address_list *list);

/* The first entry, in the order of the list, that has this address; NULL when there is none. */
const struct setting_item *address_list_find(const struct address_list *list, const struct address *address);

#endif
