/* client_network - the network that a client's address lies in, as a text */
#ifndef SMTPD_CLIENT_NETWORK_H
#define SMTPD_CLIENT_NETWORK_H

#include <netinet/in.h>
#include <sys/socket.h>

#define CLIENT_NETWORK_MAX 64

/*
 * "192.0.2.0/24", "2001:db8::/64" of an AF_INET or AF_INET6 address; an IPv4-mapped one counts as IPv4. "" for any other. The
 * prefixes are numbers of bits, at most 32 and 128.
 */
void client_network(const struct sockaddr *address, unsigned prefix_ipv4, unsigned prefix_ipv6,
    char network[static CLIENT_NETWORK_MAX]);

#endif
