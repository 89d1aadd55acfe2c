/* client_network - see client_network.h */
#include "smtpd/client_network.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void
format(int family, const uint8_t *octets, size_t length, unsigned prefix, char network[static CLIENT_NETWORK_MAX])
{
	uint8_t masked[sizeof(struct in6_addr)] = { 0 };
	char text[INET6_ADDRSTRLEN];

	if (prefix > length * 8)
		prefix = (unsigned)length * 8;
	memcpy(masked, octets, (prefix + 7) / 8);
	if (prefix % 8 != 0)
		masked[prefix / 8] &= (uint8_t)(0xff << (8 - prefix % 8));
	if (inet_ntop(family, masked, text, sizeof(text)) != NULL)
		snprintf(network, CLIENT_NETWORK_MAX, "%s/%u", text, prefix);
}

void
client_network(const struct sockaddr *address, unsigned prefix_ipv4, unsigned prefix_ipv6,
    char network[static CLIENT_NETWORK_MAX])
{
	union {
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} copy;

	network[0] = '\0';
	if (address->sa_family == AF_INET) {
		memcpy(&copy.ipv4, address, sizeof(copy.ipv4));
		format(AF_INET, (const uint8_t *)&copy.ipv4.sin_addr, sizeof(copy.ipv4.sin_addr), prefix_ipv4, network);
	} else if (address->sa_family == AF_INET6) {
		memcpy(&copy.ipv6, address, sizeof(copy.ipv6));
		if (IN6_IS_ADDR_V4MAPPED(&copy.ipv6.sin6_addr))
			format(AF_INET, copy.ipv6.sin6_addr.s6_addr + 12, sizeof(struct in_addr), prefix_ipv4, network);
		else
			format(AF_INET6, copy.ipv6.sin6_addr.s6_addr, sizeof(copy.ipv6.sin6_addr), prefix_ipv6, network);
	}
}
