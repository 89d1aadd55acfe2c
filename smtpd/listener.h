/*
 * listener - a listening socket that all smtpd processes share
 *
 * Every process wakes for a new client; each takes a few and leaves the rest to the others. Without descriptors or
 * memory for another one the process pauses instead of spinning, and clients wait in the kernel's queue.
 */
#ifndef SMTPD_LISTENER_H
#define SMTPD_LISTENER_H

struct server;

/* Takes over a non-blocking listening socket. address names it. Clients are taken when the server is open. */
void listener_open(struct server *server, const char *address, int socket);
void listener_close(struct server *server, const char *address);
/* The server is open. */
void listeners_resume(struct server *server);
void listeners_close_all(struct server *server);

#endif
