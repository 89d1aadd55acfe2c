/*
 * server - the catalogue in force, the one in the making, what is remembered of strangers, and everyone who asks
 *
 * Owns:   the channels to router and smtpd, the questions that wait for the first catalogue, the groups that are
 *         being told.
 * Trusts: nobody. A question that makes no sense is answered with "none", a malformed packet closes its channel.
 * Bounds: a channel's window of questions; a group's members are told as fast as the asker reads them, not faster.
 *
 * New settings are compiled in slices beside the answers; the old catalogue answers until the new one is complete.
 * Before the first is, questions wait. A catalogue that fails is thrown away: DIRECTORY_UNAVAILABLE until it has
 * been compiled anew.
 */
#ifndef DIRECTORY_SERVER_H
#define DIRECTORY_SERVER_H

#include "common/base/buffer.h"
#include "common/conf/settings.h"
#include "common/ipc/protocol.h"
#include "common/worker/roles.h"

struct call_out_memories;
struct directory_server;
struct event_base;
struct greylist;

/* path: where the database is made, absolute. Takes over the greylist and the memories. */
struct directory_server *directory_server_new(struct event_base *base, const char *path, struct greylist *greylist,
    struct call_out_memories *call_outs);
void directory_server_free(struct directory_server **server);

/* Compiles these settings from now on; the first time or after a reload. */
void directory_server_compile(struct directory_server *server, const struct settings *settings);

/* An asker's process is there, for the first time or again: takes over socket. */
void directory_server_introduce(struct directory_server *server, enum role peer, unsigned instance,
    enum ipc_side side, int socket);

/* Appends "name=value" lines. */
void directory_server_status(const struct directory_server *server, struct buffer *lines);

#endif
