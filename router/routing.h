/*
 * routing - one recipient after the other: classified, looked up, decided, answered
 *
 * Owns:   the requests that wait for the Directory, with the rules that they began with.
 * Bounds: the protocol's window of requests; the members of a group by maximum_group_members, and they leave as
 *         fast as the asker reads.
 *
 * A dry run is decided as any other request. Its rules are told as they are looked at, and behind the decision
 * resolver is asked for the hosts of the next hop.
 *
 * Requests of an asker that is gone are forgotten: a new qmgr asks again.
 */
#ifndef ROUTER_ROUTING_H
#define ROUTER_ROUTING_H

#include <stddef.h>

#include "common/ipc/route.h"
#include "router/directory_client.h"
#include "router/hosts_client.h"
#include "router/rules.h"

struct routings;

struct routings *routings_new(struct directory_client *directory, struct hosts_client *hosts);
void routings_free(struct routings **routings);

/* A request arrived over channel. */
void routings_start(struct routings *routings, struct channel *channel, struct rules *rules,
    const struct route_request *request);

/* A channel takes more. */
void routings_ready(struct routings *routings);

/* The channel is gone, and all that was asked over it. */
void routings_forget(struct routings *routings, const struct channel *channel);

size_t routings_count(const struct routings *routings);

#endif
