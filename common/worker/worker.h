/*
 * worker - the skeleton that every program but master and matador runs in
 *
 * A program's main() is a declaration: its role and its hooks. The skeleton takes the pair to master from a fixed
 * descriptor, receives settings, introductions and listening sockets, calls before_jail, changes root and user (or applies
 * landlock), sets no_new_privs and the limits of the role, calls after_jail, says ready, and runs the event
 * loop until master closes the pair or asks to drain.
 */
#ifndef COMMON_WORKER_WORKER_H
#define COMMON_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/ipc/channel.h"
#include "common/worker/roles.h"

struct event_base;
struct settings;
struct worker;

/* The pair to master; the program's one argument is the number of the instance. */
#define WORKER_PAIR_DESCRIPTOR 3

enum listen_purpose { LISTEN_SMTP, LISTEN_SMTPS, LISTEN_SUBMISSION };

/* What a program answers a peer with: the handlers of one pair. Given back by the introduced hook. */
struct worker_hooks {
	enum role role;
	/* With rights: read what the jail hides (the time zone), open folders. May be NULL. */
	void (*before_jail)(struct worker *worker);
	/* Without rights, settings known, peers not yet introduced. May be NULL. */
	void (*after_jail)(struct worker *worker);
	/* A file that master opened for this program (worker.def says which), for it to read and close: behind the jail, or in
	 * the reloaded hook that follows. May be NULL. */
	void (*file)(struct worker *worker, const char *name, int file);
	/* New settings are in force (worker_settings()). Not called for the first ones. Sessions in progress keep theirs by
	 * settings_hold(). May be NULL. */
	void (*reloaded)(struct worker *worker);
	/*
	 * A peer's process is there: take over socket with channel_open(worker_event_base(worker), socket, protocol,
	 * side, ...). Called after after_jail, and again whenever that peer was restarted (the old
	 * channel is closed by then or about to be; requests unanswered there must be sent again). Log channels are handled by the skeleton.
	 */
	void (*introduced)(struct worker *worker, enum role peer, unsigned instance,
	    const struct ipc_protocol *protocol, enum ipc_side side, int socket);
	/* A listening socket of ours (non-blocking), or its end. May be NULL. */
	void (*listen)(struct worker *worker, enum listen_purpose purpose, const char *address, int socket);
	void (*unlisten)(struct worker *worker, enum listen_purpose purpose, const char *address);
	/* A local user's submission, accepted and unread. May be NULL. */
	void (*client)(struct worker *worker, uint32_t uid, int socket);
	/* Take nothing new; call worker_drained() when nothing is in hand, at the latest at the deadline. NULL: drained
	 * at once. */
	void (*drain)(struct worker *worker, deadline_t deadline);
	/* Append "name=value\n" lines for `matador status`. May be NULL. */
	void (*status)(struct worker *worker, struct buffer *lines);
	/* Leaving: end of file from master, or drained. Release everything (leak checks see it). May be NULL. */
	void (*leaving)(struct worker *worker);
};

/* Runs a program; the result is its exit status. context is the program's own state, see worker_context(). */
int worker_run(int argc, char **argv, const struct worker_hooks *hooks, void *context);

struct event_base *worker_event_base(struct worker *worker);
void *worker_context(struct worker *worker);
/* Which of this role's processes this is, from 0. */
unsigned worker_instance(const struct worker *worker);
/* The settings in force; hold them with settings_hold() to keep them across a reload. */
const struct settings *worker_settings(const struct worker *worker);
/* The absolute path of name in the program's folder, as it is to be opened after the jail: "/name" after a chroot, the real path
 * under landlock. Before the jail: the real path. Borrowed; valid until the next call. */
const char *worker_path(struct worker *worker, const char *name);
/* Everything that was in hand is done: the process leaves. */
void worker_drained(struct worker *worker);
/* Leaves because of a broken setup or exhaustion: logs, exits, and master restarts it with back-off. */
void worker_fatal(struct worker *worker, const char *format, ...) PRINTF_LIKE(2, 3) NO_RETURN;

#endif
