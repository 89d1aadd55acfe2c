/*
 * own_address - whether a connection to an address would reach ourselves
 *
 * Mail for an address and port at which our own listener waits would come straight back: it is a loop, not a
 * target. Where the listener has every address, the kernel is asked whether its route to the one in question is local:
 * that is as true as the interfaces are at this moment. Trying to bind it would tell less: hosts with
 * ip_nonlocal_bind may bind any.
 */
#ifndef COMMON_NET_OWN_ADDRESS_H
#define COMMON_NET_OWN_ADDRESS_H

#include <stdbool.h>

#include "common/net/next_hop.h"

struct settings;

/*
 * Whether address, with its port, is one that our listener has by listen_addresses and the Server document. The
 * unspecified addresses 0.0.0.0 and :: reach the host itself on any port and always are ours.
 */
bool own_address_is_ours(const struct settings *settings, const union socket_address *address);

#endif
