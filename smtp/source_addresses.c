/* source_addresses - see source_addresses.h */
#include "smtp/source_addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/conf/settings.h"

void
source_addresses_read(const struct setting *list, struct source_addresses *sources_out)
{
	struct in6_addr octets;
	size_t i;

	memset(sources_out, 0, sizeof(*sources_out));
	for (i = 0; i < list->count; i++) {
		const char *text = list->items[i].text;

		if (inet_pton(AF_INET, text, &octets) == 1)
			socket_address_make(&octets, sizeof(struct in_addr), 0, &sources_out->ipv4);
		else if (inet_pton(AF_INET6, text, &octets) == 1)
			socket_address_make(&octets, sizeof(struct in6_addr), 0, &sources_out->ipv6);
	}
}

int
source_addresses_bind(const struct source_addresses *sources, int socket, int family, struct error *error)
{
	const union socket_address *source = family == AF_INET ? &sources->ipv4 : &sources->ipv6;
	char text[INET6_ADDRSTRLEN];
	int on = 1;

	if (source->any.sa_family == AF_UNSPEC)
		return 0;
	/* The port is chosen at connect(), when the other end is known: more connections fit. */
	setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(socket, &source->any, socket_address_length(source)) == 0)
		return 0;
	socket_address_format(source, text);
	return error_system(error, errno, "cannot use the source address %s of smtp_source_addresses", text);
}
