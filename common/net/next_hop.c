/* next_hop - see next_hop.h */
#include "common/net/next_hop.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mail/idn.h"

bool
socket_address_make(const void *octets, size_t length, uint16_t port, union socket_address *address_out)
{
	memset(address_out, 0, sizeof(*address_out));
	if (length == sizeof(struct in_addr)) {
		address_out->ipv4.sin_family = AF_INET;
		address_out->ipv4.sin_port = htons(port);
		memcpy(&address_out->ipv4.sin_addr, octets, length);
		return true;
	}
	if (length == sizeof(struct in6_addr)) {
		address_out->ipv6.sin6_family = AF_INET6;
		address_out->ipv6.sin6_port = htons(port);
		memcpy(&address_out->ipv6.sin6_addr, octets, length);
		return true;
	}
	return false;
}

socklen_t
socket_address_length(const union socket_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->ipv4) : sizeof(address->ipv6);
}

void
socket_address_format(const union socket_address *address, char text[static INET6_ADDRSTRLEN])
{
	if (address->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &address->ipv4.sin_addr, text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &address->ipv6.sin6_addr, text, INET6_ADDRSTRLEN);
}

/* The address between brackets. */
static bool
parse_literal(const char *text, uint16_t port, union socket_address *address_out)
{
	struct in_addr ipv4;
	struct in6_addr ipv6;

	if (strncasecmp(text, "IPv6:", 5) == 0)
		text += 5;
	else if (inet_pton(AF_INET, text, &ipv4) == 1)
		return socket_address_make(&ipv4, sizeof(ipv4), port, address_out);
	return inet_pton(AF_INET6, text, &ipv6) == 1 &&
	    socket_address_make(&ipv6, sizeof(ipv6), port, address_out);
}

/* ":port" or nothing. */
static bool
parse_port(const char *text, uint16_t *port)
{
	unsigned long number;
	char *end;

	if (*text == '\0')
		return true;
	if (*text != ':' || !isdigit((unsigned char)text[1]))
		return false;
	number = strtoul(text + 1, &end, 10);
	if (*end != '\0' || number == 0 || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* A name, in A-labels, lower case and without its last dot. One that ends in a number is a mistyped address. */
static bool
parse_name(const char *text, size_t length, char name[static ADDRESS_DOMAIN_MAX + 1])
{
	char given[ADDRESS_DOMAIN_MAX + 1];
	const char *last_label;

	if (length > 1 && text[length - 1] == '.')
		length--;
	snprintf(given, sizeof(given), "%.*s", (int)length, text);
	if (!domain_to_ascii(given, name))
		return false;
	last_label = strrchr(name, '.') != NULL ? strrchr(name, '.') + 1 : name;
	return domain_is_valid(name, false) && last_label[strspn(last_label, "0123456789")] != '\0';
}

static bool
parse_bracketed(const char *text, size_t length, struct next_hop *hop)
{
	char inside[sizeof(hop->host) - 2];

	snprintf(inside, sizeof(inside), "%.*s", (int)length, text);
	hop->is_literal = parse_literal(inside, hop->port, &hop->address);
	if (!hop->is_literal)
		return parse_name(text, length, hop->host);
	snprintf(hop->host, sizeof(hop->host), "[%s]", inside);
	for (char *octet = hop->host; *octet != '\0'; octet++)
		*octet = (char)tolower((unsigned char)*octet);
	return true;
}

int
next_hop_parse(const char *text, uint16_t default_port, struct next_hop *hop_out, struct error *error)
{
	bool in_brackets = text[0] == '[';
	const char *name = text + in_brackets;
	size_t length = strcspn(name, in_brackets ? "]" : ":");

	memset(hop_out, 0, sizeof(*hop_out));
	hop_out->port = default_port;
	hop_out->by_mx = !in_brackets;
	if (length + 3 <= sizeof(hop_out->host) && (!in_brackets || name[length] == ']') &&
	    parse_port(name + length + in_brackets, &hop_out->port) &&
	    (in_brackets ? parse_bracketed(name, length, hop_out) : parse_name(name, length, hop_out->host)))
		return 0;
	return error_set(error, ERROR_INVALID,
	    "next hop \"%s\" is neither a domain nor a host or an address in brackets", text);
}
