/*
 * clients - the programs that ask, over common/ipc/dns.def
 *
 * Owns:   their channels, their questions, what is remembered of mail hosts, and what we know of ourselves.
 * Trusts: nobody; a client that breaks the protocol is closed, and its questions with it.
 */
#ifndef RESOLVER_CLIENTS_H
#define RESOLVER_CLIENTS_H

#include "common/conf/settings.h"
#include "resolver/lookups.h"

struct clients;

/* lookups is borrowed. clients_configure() comes first. */
struct clients *clients_new(struct event_base *base, struct lookups *lookups);
void clients_free(struct clients **clients);

/* Who we are, from now on. What is remembered of mail hosts stays. */
void clients_configure(struct clients *clients, const struct settings *settings);

/* Somebody who asks; takes over socket. */
void clients_introduce(struct clients *clients, const char *peer, int socket, enum ipc_side side);

void clients_status(const struct clients *clients, struct buffer *lines);

#endif
