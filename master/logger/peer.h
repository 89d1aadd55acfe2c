/*
 * peer - the programs that send their events
 *
 * Trusts: nobody. A program logs under its own name only, which master told; an event that its table does not have, or with
 * other values than the table says, closes that program's channel.
 */
#ifndef MASTER_LOGGER_PEER_H
#define MASTER_LOGGER_PEER_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/worker/roles.h"
#include "master/logger/output.h"

struct event_base;
struct peer;

struct peers {
	struct event_base *base;
	struct output *output;
	uint64_t events;		/* that came, since the start */
	LIST_HEAD(, peer) list;
};

/* Takes over the socket of a program that was introduced. */
void peer_open(struct peers *peers, enum role role, int socket);
void peers_free(struct peers *peers);

#endif
