/*
 * routing - one recipient after the other: classified, looked up, decided, answered
 *
 * Owns:   the requests of qmgr that wait for the Directory, with the rules that they began with.
 * Bounds: the protocol's window of requests; the members of a group by maximum_group_members, and they leave as
 *         fast as qmgr reads.
 *
 * Requests of a qmgr that died are forgotten: the next one asks again.
 */
#ifndef ROUTER_ROUTING_H
#define ROUTER_ROUTING_H

#include <stddef.h>

#include "common/ipc/route.h"
#include "router/directory_client.h"
#include "router/rules.h"

struct routings;

struct routings *routings_new(struct directory_client *directory);
void routings_free(struct routings **routings);

/* A request arrived over channel. */
void routings_start(struct routings *routings, struct channel *channel, struct rules *rules,
    const struct route_request *request);

/* The channel takes more. */
void routings_ready(struct routings *routings);

/* The channel is gone, and all that was asked over it. */
void routings_forget(struct routings *routings);

size_t routings_count(const struct routings *routings);

#endif
