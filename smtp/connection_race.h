/*
 * connection_race - the first connection to any of several addresses ("happy eyeballs", RFC 8305)
 *
 * Owns:   the sockets that connect, until one of them does.
 * Order:  as given; the next address is begun when the one before failed, or has had no result for
 *         RACE_STAGGER_MS. So a dead address family costs that much, and not the time-out.
 * Talks:  to its owner, from the event loop only. He may free the race in connected() and exhausted(), not in
 *         the others.
 *
 * An address is tried until it fails or wins. One that was overtaken is as good as new: when the winner turns
 * out to be useless, connection_race_run() goes on with the rest.
 */
#ifndef SMTP_CONNECTION_RACE_H
#define SMTP_CONNECTION_RACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "smtp/source_addresses.h"

#define RACE_STAGGER_MS 250	/* RFC 8305 section 5, Connection Attempt Delay */

struct event_base;
struct connection_race;

struct race_end {
	const union socket_address *address;
	int64_t elapsed_ms;	/* since this address was begun */
	const char *reason;	/* one line, when it failed */
	bool ours;		/* it failed on this side: the address is not to blame */
};

struct race_events {
	/* The socket, connected and non-blocking, is the owner's. */
	void (*connected)(void *context, const struct race_end *end, int socket);
	void (*failed)(void *context, const struct race_end *end);
	/* Given up because another was faster; connected() follows. */
	void (*overtaken)(void *context, const struct race_end *end);
	/* No address is left. */
	void (*exhausted)(void *context);
};

/* Copies addresses and sources; events is borrowed. timeout_ms is for one address. */
struct connection_race *connection_race_new(struct event_base *base, const union socket_address *addresses,
    size_t count, const struct source_addresses *sources, int64_t timeout_ms, const struct race_events *events,
    void *context);
/* Closes what is not connected. NULL is accepted, the pointer is cleared. */
void connection_race_free(struct connection_race **race);

/* Begins, or goes on after connected(). */
void connection_race_run(struct connection_race *race);

#endif
