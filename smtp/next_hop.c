/* next_hop - see next_hop.h */
#include "smtp/next_hop.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

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

int
next_hop_parse(const char *text, uint16_t default_port, struct next_hop *hop_out, struct error *error)
{
	size_t length, i;
	char literal[sizeof(hop_out->host)];

	memset(hop_out, 0, sizeof(*hop_out));
	hop_out->port = default_port;
	hop_out->is_literal = text[0] == '[';
	length = hop_out->is_literal ? strcspn(text, "]") + 1 : strcspn(text, ":");
	if (length >= sizeof(hop_out->host) || (hop_out->is_literal && text[length - 1] != ']') ||
	    !parse_port(text + length, &hop_out->port))
		goto invalid;
	for (i = 0; i < length; i++)
		hop_out->host[i] = (char)tolower((unsigned char)text[i]);
	if (hop_out->is_literal) {
		memcpy(literal, hop_out->host + 1, length - 2);
		literal[length - 2] = '\0';
		if (!parse_literal(literal, hop_out->port, &hop_out->address))
			goto invalid;
	} else {
		if (length > 1 && hop_out->host[length - 1] == '.')
			hop_out->host[length - 1] = '\0';
		if (!domain_is_valid(hop_out->host, false))
			goto invalid;
	}
	return 0;
invalid:
	return error_set(error, ERROR_INVALID, "next hop \"%s\" is neither a host nor an address in brackets", text);
}
