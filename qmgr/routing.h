/*
 * routing - asks router about each recipient that is due, and carries out what it answers
 *
 * Messages take turns, one question each, so that a message with many recipients holds up nobody. What was asked and not
 * answered when router died is asked again. The recipients of a message gather until all are routed, or a job is full,
 * or two seconds passed: then they take their places in the queues of destinations.
 */
#ifndef QMGR_ROUTING_H
#define QMGR_ROUTING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/ipc/protocol.h"
#include "qmgr/active.h"

struct address_set;
struct channel;
struct event;
struct expansion;
struct qmgr;
struct question;

TAILQ_HEAD(expansion_list, expansion);

struct routing {
	struct channel *router;		/* NULL while there is none */
	struct hash_table questions;	/* asked, by job */
	struct active_list waiting;	/* messages with recipients to be asked about, in turn */
	uint32_t waiting_count;
	struct active_list gathering;
	struct active_list spreading;	/* have more transfers than may take their places at once */
	struct event *spread;		/* pending while there are any */
	int64_t spread_ms;		/* monotonic: when some of them last did */
	struct expansion_list expansions;	/* on their way to stable storage */
	struct event *run;
};

void routing_start(struct qmgr *qmgr);
void routing_end(struct qmgr *qmgr);
/* router is there, for the first time or again: takes over socket. */
void routing_introduced(struct qmgr *qmgr, enum ipc_side side, int socket);

/* Goes on in the next turn, if it may: not before the window is open. */
void routing_kick(struct qmgr *qmgr);
/* The message has recipients to be routed. */
void routing_add(struct qmgr *qmgr, struct active_message *message);
/* The documents changed: what was asked already is asked again when it is answered. */
void routing_outdate(struct qmgr *qmgr);
/* The message leaves, or is not to be routed any more; answers that still come are kept with their recipients. */
void routing_forget(struct qmgr *qmgr, struct active_message *message);
/* A recipient with a transport and a next hop takes its place: in a queue, or waiting. */
void routing_place(struct qmgr *qmgr, struct active_message *message, uint32_t index);
/* Recipients that gathered long enough take their places. True while others wait. */
bool routing_tick(struct qmgr *qmgr, int64_t monotonic_ms);

#endif
