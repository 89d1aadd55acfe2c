/*
 * destination_sessions - idle sessions, kept for the next message to the same destination
 *
 * Owns:   the idle connections and those that are saying QUIT.
 * Bounds: their number, the messages one session carries, and the seconds it waits (the session's own deadline).
 *
 * A session is found by the next hop that it was last used for, without asking anyone, or by its host: the same
 * name, address, port and protocol. So domains with the same MX hosts share sessions. Nothing here takes longer
 * when there are more sessions.
 */
#ifndef SMTP_DESTINATION_SESSIONS_H
#define SMTP_DESTINATION_SESSIONS_H

#include "smtp/connection.h"

struct destination_sessions;

struct destination_sessions *destination_sessions_new(void);
void destination_sessions_free(struct destination_sessions **sessions);

/* Idle sessions in all, and messages a session. */
void destination_sessions_limit(struct destination_sessions *sessions, unsigned idle, unsigned messages);

/*
 * Takes over a connection whose session is IDLE; one that cannot be kept says QUIT. next_hop, as qmgr names it,
 * finds it again; NULL: only its host does.
 */
void destination_sessions_put(struct destination_sessions *sessions, const char *next_hop,
    struct connection *connection);
/* Takes over a connection whose session is IDLE, which says QUIT. */
void destination_sessions_dismiss(struct destination_sessions *sessions, struct connection *connection);

/* An idle connection, the caller's from now on; NULL when there is none. The one used last is the least likely
 * to have been closed by the host. */
struct connection *destination_sessions_take(struct destination_sessions *sessions, bool lmtp, const char *next_hop);
struct connection *destination_sessions_take_host(struct destination_sessions *sessions, bool lmtp, const char *host,
    const union socket_address *address);

/* All idle sessions say QUIT: settings changed, or the program leaves. */
void destination_sessions_quit_all(struct destination_sessions *sessions);

/* Connections held. */
unsigned destination_sessions_count(const struct destination_sessions *sessions);

#endif
