/*
 * address_order - in which order the addresses of one host are tried
 *
 * The destination rules of RFC 6724 section 6, as far as a program can know what they ask for: 1 (reachable), 2
 * (scope), 5 (label), 6 (precedence) and 8 (smaller scope). Rule 9 (longest prefix) is left out, as that
 * section allows: it would send every client of one network to the same one of several equals; equals are
 * shuffled instead. Then the families alternate (RFC 8305 section 4), so that the second address tried is of
 * the other family. What is not reachable comes last.
 */
#ifndef SMTP_ADDRESS_ORDER_H
#define SMTP_ADDRESS_ORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "smtp/source_addresses.h"

struct address_candidate {
	union socket_address address;
	union socket_address source;	/* that a connection would have; unless reachable, nothing */
	bool reachable;			/* there is a route */
};

/* Finds source and reachable of each candidate by connecting UDP sockets, which sends nothing. */
void address_order_find_sources(struct address_candidate *candidates, size_t count,
    const struct source_addresses *sources);
/* Puts candidates in the order above; equals stay as they are. */
void address_order_sort(struct address_candidate *candidates, size_t count);

/* All of it: shuffles, finds the sources, sorts. */
void address_order(union socket_address *addresses, size_t count, const struct source_addresses *sources);

#endif
