/*
 * next_hop - where a job goes: "host", "host:port", "[address]" or "[address]:port"
 *
 * An address in brackets is IPv4, or IPv6 with or without "IPv6:" before it.
 */
#ifndef SMTP_NEXT_HOP_H
#define SMTP_NEXT_HOP_H

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
	char host[ADDRESS_DOMAIN_MAX + 1];	/* the name in lower case, or the address in its brackets */
	uint16_t port;
	bool is_literal;
	union socket_address address;		/* of a literal, port included */
};

/* -1 and an error when text is none of the four forms. */
int next_hop_parse(const char *text, uint16_t default_port, struct next_hop *hop_out, struct error *error);

/* A socket address of 4 or 16 octets and a port; false for any other length. */
bool socket_address_make(const void *octets, size_t length, uint16_t port, union socket_address *address_out);
socklen_t socket_address_length(const union socket_address *address);
/* The address without its port, as people write it. text holds INET6_ADDRSTRLEN octets. */
void socket_address_format(const union socket_address *address, char text[static INET6_ADDRSTRLEN]);

#endif
