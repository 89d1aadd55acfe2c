/*
 * connection - a TCP connection to a host, with the session that runs on it
 *
 * Owns:   the socket, the session, their events. Every wait has the session's deadline.
 * Talks:  to its owner, by changed(): the session became IDLE (it takes a transaction) or CLOSED (free the
 *         connection). It is called from the event loop only, never from inside a function of this file; the
 *         owner may free the connection in it.
 */
#ifndef SMTP_CONNECTION_H
#define SMTP_CONNECTION_H

#include "common/net/next_hop.h"
#include "smtp/session.h"

struct event_base;
struct connection;

typedef void (*connection_cb)(void *context, struct connection *connection);

/* The other end. */
struct connection_peer {
	const char *host;		/* its name, or the address in brackets that stood for it */
	union socket_address address;	/* with its port */
	int64_t connect_ms;		/* how long it took until the connection was made */
};

/* Takes over a connected, non-blocking socket and waits for the greeting. peer and options are copied. */
struct connection *connection_new(struct event_base *base, int socket, const struct connection_peer *peer,
    const struct session_options *options, connection_cb changed, void *context);
/* Closes at once. NULL is accepted, the pointer is cleared. */
void connection_free(struct connection **connection);
void connection_set_owner(struct connection *connection, connection_cb changed, void *context);

const struct session *connection_session(const struct connection *connection);
const struct connection_peer *connection_peer(const struct connection *connection);
/* The port of its address. */
uint16_t connection_port(const struct connection *connection);
/* It speaks LMTP. */
bool connection_is_lmtp(const struct connection *connection);

/* Begins a transaction (see session_begin()) or ends the session; changed() follows. */
void connection_begin(struct connection *connection, struct transaction *transaction);
void connection_quit(struct connection *connection);

#endif
