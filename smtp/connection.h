/*
 * connection - a TCP connection with the session that runs on it
 *
 * Owns:   the socket, the session, their events. Every wait has the session's deadline.
 * Talks:  to its owner, by changed(): the session became IDLE (it takes a transaction) or CLOSED (free the
 *         connection). It
 *         is called from the event loop only, never from inside a function of this file; the owner may free
 *         the connection in it.
 */
#ifndef SMTP_CONNECTION_H
#define SMTP_CONNECTION_H

#include "common/base/error.h"
#include "common/net/next_hop.h"
#include "smtp/session.h"

struct event_base;
struct connection;

typedef void (*connection_cb)(void *context, struct connection *connection);

/* Begins to connect. NULL and an error when that is not possible on this side (descriptors, memory). */
struct connection *connection_open(struct event_base *base, const union socket_address *address,
    const struct session_options *options, connection_cb changed, void *context, struct error *error);
/* Closes at once. NULL is accepted, the pointer is cleared. */
void connection_free(struct connection **connection);
void connection_set_owner(struct connection *connection, connection_cb changed, void *context);

const struct session *connection_session(const struct connection *connection);
/* The peer's address without port. Borrowed. */
const char *connection_address(const struct connection *connection);
/* How long it took until the connection was made; -1 before. */
int64_t connection_connect_ms(const struct connection *connection);

/* Begins a transaction (see session_begin()) or ends the session; changed() follows. */
void connection_begin(struct connection *connection, struct transaction *transaction);
void connection_quit(struct connection *connection);

#endif
