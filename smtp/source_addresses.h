/* source_addresses - where our connections come from, by smtp_source_addresses */
#ifndef SMTP_SOURCE_ADDRESSES_H
#define SMTP_SOURCE_ADDRESSES_H

#include "common/net/next_hop.h"

struct setting;

/* At most one of each family; AF_UNSPEC: the kernel chooses. */
struct source_addresses {
	union socket_address ipv4;
	union socket_address ipv6;
};

void source_addresses_read(const struct setting *list, struct source_addresses *sources_out);

/* Binds a socket to the source address of its family, if there is one. -1 and an error that names it. */
int source_addresses_bind(const struct source_addresses *sources, int socket, int family, struct error *error);

#endif
