/*
 * connection - the socket of a session: reads, writes, keeps its deadline, and asks other programs on its behalf
 *
 * Owns:   the socket, the session, octets read that the session could not take yet.
 * Bounds: nothing is read while the session waits for something or while its replies are not taken.
 */
#ifndef SMTPD_CONNECTION_H
#define SMTPD_CONNECTION_H

#include <stdint.h>
#include <sys/socket.h>

struct server;

/* Takes over an accepted socket; a client beyond the limits reads 421 at once. */
void connection_open(struct server *server, int socket, const struct sockaddr_storage *address);
/* The same for a user of this host. */
void connection_open_local(struct server *server, int socket, uint32_t user_id);

/* Every session without a transaction ends now, the others after it. */
void connections_drain(struct server *server);
void connections_close_all(struct server *server);
/* Body files given out are gone: the messages in them will be refused with 451. */
void connections_body_lost(struct server *server);

#endif
