/*
 * next_hop - where a job goes: "domain", "[host]" or "[address]", each with or without ":port"
 *
 * A domain's hosts are found by its MX records; brackets say that there is nothing to look for: a host has
 * only addresses, and an address is one. It is IPv4, or IPv6 with or without "IPv6:" before it.
 */
#ifndef COMMON_NET_NEXT_HOP_H
#define COMMON_NET_NEXT_HOP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/mail/address.h"

#define LMTP_PORT 24	/* RFC 2033 names none; this is IANA's for lmtp */

union socket_address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

struct next_hop {
	char host[ADDRESS_DOMAIN_MAX + 1];	/* the name in lower case and A-labels, or the address in its brackets */
	uint16_t port;
	bool by_mx;				/* a domain */
	bool is_literal;			/* an address */
	union socket_address address;		/* of a literal, port included */
};

/* -1 and an error when text is none of these forms. */
int next_hop_parse(const char *text, uint16_t default_port, struct next_hop *hop_out, struct error *error);

/* A socket address of 4 or 16 octets and a port; false for any other length. */
bool socket_address_make(const void *octets, size_t length, uint16_t port, union socket_address *address_out);
socklen_t socket_address_length(const union socket_address *address);
/* The address without its port, as people write it. text holds INET6_ADDRSTRLEN octets. */
void socket_address_format(const union socket_address *address, char text[static INET6_ADDRSTRLEN]);

#endif
