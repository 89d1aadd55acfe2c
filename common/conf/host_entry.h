/*
 * host_entry - an entry of a list of hosts; host_list.h says whether a client is on such a list
 *
 * docs/reference/domino-semantics.md, 7.1: abc.com (the tail of a name, by characters), .abc.com (below it),
 * [192.0.2.1], [192.0.2.*], [192.0.2-9.*], [192.0.2.0/24], * (all), GroupName. As an extension one IPv6 address or
 * prefix in brackets. A mask with a wildcard or a range is invalid.
 */
#ifndef COMMON_CONF_HOST_ENTRY_H
#define COMMON_CONF_HOST_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

enum host_entry_kind {
	HOST_ENTRY_ALL,
	HOST_ENTRY_NAME,	/* a tail, or with a leading dot what is below a domain */
	HOST_ENTRY_IPV4,	/* low to high in each octet */
	HOST_ENTRY_IPV6,	/* the first prefix bits of address */
	HOST_ENTRY_GROUP,
};

struct host_entry {
	enum host_entry_kind kind;
	const char *text;	/* borrowed */
	uint8_t low[4];
	uint8_t high[4];
	uint8_t address[16];
	unsigned prefix;
};

/* text must outlive the entry. -1 and what is wrong with it (without the text itself). */
int host_entry_parse(const char *text, struct host_entry *entry_out, struct error *error);

/* Whether the entry allows more than it seems to: a tail by characters that does not begin with a dot. */
bool host_entry_is_bare_tail(const struct host_entry *entry);

#endif
