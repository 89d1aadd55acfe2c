/*
 * destination_sessions - idle sessions, kept for the next message to the same destination
 *
 * Owns:   the idle connections and those that are saying QUIT.
 * Bounds: their number, the messages one session carries, and the seconds it waits (the session's own deadline).
 *
 * A destination is a transport and a next hop as qmgr names them.
 */
#ifndef SMTP_DESTINATION_SESSIONS_H
#define SMTP_DESTINATION_SESSIONS_H

#include "common/mail/envelope.h"
#include "smtp/connection.h"

struct destination_sessions;

struct destination_sessions *destination_sessions_new(void);
void destination_sessions_free(struct destination_sessions **sessions);

/* Idle sessions in all, and messages a session. */
void destination_sessions_limit(struct destination_sessions *sessions, unsigned idle, unsigned messages);

/* Takes over a connection whose session is IDLE; one that cannot be kept says QUIT. */
void destination_sessions_put(struct destination_sessions *sessions, enum transport transport, const char *next_hop,
    struct connection *connection);
/* An idle connection to the destination, the caller's from now on; NULL when there is none. */
struct connection *destination_sessions_take(struct destination_sessions *sessions, enum transport transport,
    const char *next_hop);
/* All idle sessions say QUIT: settings changed, or the program leaves. */
void destination_sessions_quit_all(struct destination_sessions *sessions);

/* Connections held. */
unsigned destination_sessions_count(const struct destination_sessions *sessions);

#endif
