/*
 * host_list - whether a client is on a list of hosts
 *
 * The entries are those of host_entry.h. Addresses stand in hash tables by their masks, names in a tail_set: what
 * a look-up costs does not grow with the list. Entries that are many blocks of addresses (ranges in several
 * octets) are compared one by one.
 */
#ifndef COMMON_CONF_HOST_LIST_H
#define COMMON_CONF_HOST_LIST_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/conf/settings.h"

struct host_list;

/*
 * A list made ready. It borrows from the setting, whose holder must outlive it. except (may be NULL): entries that
 * also stand there, literally, match nobody. whole_labels is host_entry_matching = whole_labels. Entries that do
 * not parse match nobody: the check refused them.
 *
 * Behind a group come its members, put there when master sealed the settings; a group's name itself matches
 * nobody.
 */
struct host_list *host_list_new(const struct setting *list, const struct setting *except, bool whole_labels);
/* NULL is accepted. The pointer is cleared. */
void host_list_free(struct host_list **list);

/* Whether nothing stands on it, not even a group without members. */
bool host_list_is_empty(const struct host_list *list);
/* Whether any entry is the name of a host. */
bool host_list_has_names(const struct host_list *list);

/*
 * The first entry, in the order of the list, that has this address (AF_INET or AF_INET6; an IPv4-mapped address
 * counts as IPv4); * has every one. NULL when there is none.
 */
const struct setting_item *host_list_find_address(const struct host_list *list, const struct sockaddr *address);

/*
 * The first entry that has this host name (with or without the last dot). * is not looked at. NULL when there is
 * none.
 */
const struct setting_item *host_list_find_name(const struct host_list *list, const char *host_name);

#endif
