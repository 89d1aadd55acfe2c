/* own_address - see own_address.h */
#include "common/net/own_address.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/conf/settings.h"

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t octets[16];
};

/* IPv4 inside IPv6 is the IPv4 address that is connected to. */
static union socket_address
without_mapping(const union socket_address *address)
{
	union socket_address plain = *address;

	if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->ipv6.sin6_addr))
		socket_address_make(address->ipv6.sin6_addr.s6_addr + 12, sizeof(struct in_addr),
		    ntohs(address->ipv6.sin6_port), &plain);
	return plain;
}

static bool
is_unspecified(const union socket_address *address)
{
	return address->any.sa_family == AF_INET ? address->ipv4.sin_addr.s_addr == htonl(INADDR_ANY) :
	    IN6_IS_ADDR_UNSPECIFIED(&address->ipv6.sin6_addr);
}

static bool
same_octets(const union socket_address *one, const union socket_address *other)
{
	if (one->any.sa_family != other->any.sa_family)
		return false;
	return one->any.sa_family == AF_INET ? one->ipv4.sin_addr.s_addr == other->ipv4.sin_addr.s_addr :
	    IN6_ARE_ADDR_EQUAL(&one->ipv6.sin6_addr, &other->ipv6.sin6_addr);
}

/* The answer of the kernel is there when send() returns. */
static bool
kernel_says_local(int netlink, const struct route_request *request)
{
	union { struct nlmsghdr header; uint8_t octets[4096]; } reply;
	const struct rtmsg *route = NLMSG_DATA(&reply.header);
	ssize_t got;

	if (send(netlink, request, request->header.nlmsg_len, 0) == -1)
		return false;
	got = recv(netlink, &reply, sizeof(reply), MSG_DONTWAIT);
	return got >= (ssize_t)NLMSG_LENGTH(sizeof(*route)) && reply.header.nlmsg_type == RTM_NEWROUTE &&
	    route->rtm_type == RTN_LOCAL;
}

/* An address of this host. */
static bool
is_local(const union socket_address *address)
{
	bool ipv4 = address->any.sa_family == AF_INET;
	size_t length = ipv4 ? sizeof(address->ipv4.sin_addr) : sizeof(address->ipv6.sin6_addr);
	struct route_request request = {
		.header = { .nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(struct rtmsg)) + RTA_LENGTH(length)),
			.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST },
		.route = { .rtm_family = address->any.sa_family, .rtm_dst_len = (uint8_t)(length * 8) },
		.attribute = { .rta_len = (uint16_t)RTA_LENGTH(length), .rta_type = RTA_DST },
	};
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool local;

	if (netlink == -1)
		return false;
	if (ipv4)
		memcpy(request.octets, &address->ipv4.sin_addr, length);
	else
		memcpy(request.octets, &address->ipv6.sin6_addr, length);
	local = kernel_says_local(netlink, &request);
	close(netlink);
	return local;
}

/* An entry of listen_addresses: "*", IPv4, or IPv6 in brackets. */
static bool
listens(const char *entry, const union socket_address *address)
{
	char text[INET6_ADDRSTRLEN + 2], *end;
	union socket_address at;
	struct in6_addr octets;

	if (strcmp(entry, "*") == 0)
		return is_local(address);
	snprintf(text, sizeof(text), "%s", entry + (entry[0] == '['));
	end = strchr(text, ']');
	if (end != NULL)
		*end = '\0';
	if (inet_pton(AF_INET, text, &octets) == 1)
		socket_address_make(&octets, sizeof(struct in_addr), 0, &at);
	else if (inet_pton(AF_INET6, text, &octets) == 1)
		socket_address_make(&octets, sizeof(struct in6_addr), 0, &at);
	else
		return false;
	if (is_unspecified(&at))
		return at.any.sa_family == address->any.sa_family && is_local(address);
	return same_octets(&at, address);
}

bool
own_address_is_ours(const struct settings *settings, const union socket_address *address)
{
	const struct document_server *server = &settings->server;
	const struct setting *addresses = &settings->matador.listen_addresses;
	union socket_address plain = without_mapping(address);
	in_port_t port = plain.any.sa_family == AF_INET ? plain.ipv4.sin_port : plain.ipv6.sin6_port;
	size_t i;

	if (is_unspecified(&plain))
		return true;
	if (server->smtp_listener_task.number == 0 || server->smtp_inbound_tcp_status.number == 0 ||
	    server->smtp_inbound_tcp_port.number != ntohs(port))
		return false;
	for (i = 0; i < addresses->count; i++)
		if (listens(addresses->items[i].text, &plain))
			return true;
	return false;
}
