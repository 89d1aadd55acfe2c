/*
 * host_walk - from a next hop to a session with one of its hosts that takes a transaction
 *
 * Owns:   the question to resolver and its answer, the race for a connection, the connection until it is handed
 *         over.
 * Talks:  to its owner, from the event loop only: found() or ended(). He may free the walk in both.
 *
 * The hosts are tried in resolver's order, all addresses of one before the next, at most smtp_address_limit of
 * them. A host fails by connect, greeting, EHLO or a time limit; when all of its addresses that were tried did,
 * resolver is told, unless the walk only asks. An idle session with a host of the best preference comes before a
 * new one. A host or address that is ourselves is never connected to.
 */
#ifndef SMTP_HOST_WALK_H
#define SMTP_HOST_WALK_H

#include "smtp/outbound.h"
#include "smtp/reply_judgement.h"

struct host_walk;

/* Why there is no session. */
struct walk_end {
	struct reply_judgement judgement;	/* deferred */
	uint32_t retry_seconds;			/* see struct delivery_result */
	/*
	 * "" or the status with which it fails at once for recipients whose own domain the next hop is. A next hop of
	 * our own documents is a mistake that someone will mend.
	 */
	const char *failing_status;
	const char *host;			/* whom it is about, or "" */
};

struct walk_find {
	struct connection *connection;		/* the owner's, IDLE */
	bool reused;				/* it carried messages before */
	int64_t since_ms;			/* when its connection was begun, unless reused */
	/* No host that may come back is preferred: the next message may use the session without asking resolver. */
	bool best;
};

struct host_walk_events {
	void (*found)(void *context, const struct walk_find *find);
	void (*ended)(void *context, const struct walk_end *end);
};

enum host_walk_flag {
	HOST_WALK_WITH_IDLE = 1,	/* an idle session will do */
	HOST_WALK_ONLY_ASKS = 2,	/* there is no message: resolver is told of no host that it failed */
};

/*
 * Begins; job and settings are borrowed. flags: HOST_WALK_... NULL and an error when the job's next hop makes no
 * sense.
 */
struct host_walk *host_walk_new(struct outbound *outbound, const struct delivery_job *job,
    const struct settings *settings, unsigned flags, const struct host_walk_events *events, void *context,
    struct error *error);
/* NULL is accepted, the pointer is cleared. */
void host_walk_free(struct host_walk **walk);

const struct next_hop *host_walk_next_hop(const struct host_walk *walk);

/* The connection found, a fresh one, was of no use: failure says why, and the next address is tried. */
void host_walk_go_on(struct host_walk *walk, const struct connection_peer *peer,
    const struct reply_judgement *failure);
/* A session was lost without fault of its host: from the first host again, over a fresh connection. */
void host_walk_restart(struct host_walk *walk);

/* "host[address]:port: text", or "[address]:port: text" where no name led there, under the judgement of failure. */
void host_walk_describe(const struct connection_peer *peer, const struct reply_judgement *failure,
    struct reply_judgement *judgement_out);

#endif
