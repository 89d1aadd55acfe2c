/*
 * open_sessions - how many sessions a client has open, over all smtpd processes
 *
 * Only clients that were asked about are watched, see common/ipc/policy.def: the first question about one asks every process, and
 * later ones those that were not there yet. Questions wait, each client's in their order, until every process has told; what is let
 * in counts at once. When nothing of a client is open and nobody asks, the watch ends everywhere.
 *
 * A process that stands still is not waited for longer than the patience: then it counts as having none, until it tells. Otherwise the
 * questions that wait for it would take the credits of the others' channels, which their questions about SPF need as well.
 *
 * Bounds: a client is watched only while it has sessions, or one that waits, and never more than OPEN_SESSIONS_WATCHED are: further
 *         ones are let in uncounted.
 * Fails:  what a silent process has comes on top of the limit until it tells; its sessions go with its channel.
 */
#ifndef POLICY_OPEN_SESSIONS_H
#define POLICY_OPEN_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/policy.h"

#define OPEN_SESSIONS_WATCHED 200000
#define OPEN_SESSIONS_PATIENCE_MS 2000	/* less than smtpd waits for the answer */

struct event_base;
struct open_sessions;
struct session_process;		/* one smtpd process */

struct open_sessions_events {
	/* The process is to be told that the watch of a client begins or ends. */
	void (*watch)(void *process_owner, const char *client_address, bool ends);
	/* So many sessions of the client are open. True when one more is let in: it is counted. The question is gone. Neither of
	 * these may remove a process. */
	bool (*decide)(void *question_owner, size_t sessions);
};

/* patience_ms: how long a process is waited for. base and events must outlive it. */
struct open_sessions *open_sessions_new(struct event_base *base, int64_t patience_ms,
    const struct open_sessions_events *events);
/* Owners are not told. NULL is accepted, the pointer is cleared. */
void open_sessions_free(struct open_sessions **open);

struct session_process *open_sessions_add_process(struct open_sessions *open, void *owner);
/* Its sessions and questions are gone; may decide questions of others. The pointer is cleared; NULL is accepted. */
void open_sessions_remove_process(struct session_process **process);

/* Whether a session of this client is to be asked about. */
bool open_sessions_is_watched(const struct open_sessions *open, const char *client_address);
/* How many sessions of a client are known to be open; 0 for one that is not watched. */
size_t open_sessions_known(const struct open_sessions *open, const char *client_address);
/* How many clients are watched. */
size_t open_sessions_watched(const struct open_sessions *open);

/* Asks for a session of that process; decide() may be called at once, then or later. */
void open_sessions_ask(struct session_process *process, const char *client_address, void *owner);
/* What the process tells. */
void open_sessions_tell(struct session_process *process, const char *client_address, enum session_change change,
    uint32_t count);

#endif
