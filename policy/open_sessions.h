/*
 * open_sessions - how many sessions a client has open, over all smtpd processes
 *
 * Only clients that were asked about are watched, see common/ipc/policy.def: the first question about one asks every process, and
 * later ones those that were not there yet. Questions wait, each client's in their order, until every process has told; what is let
 * in counts at once. When nothing of a client is open and nobody asks, the watch ends everywhere.
 *
 * Bounds: a client is watched only while it has sessions, or one that waits, and never more than OPEN_SESSIONS_WATCHED are: further
 *         ones are let in uncounted.
 * Fails:  a process that is silent holds up the clients of others that are asked about, as long as master lets it live; its sessions go
 *         with its channel.
 */
#ifndef POLICY_OPEN_SESSIONS_H
#define POLICY_OPEN_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/policy.h"

#define OPEN_SESSIONS_WATCHED 200000

struct open_sessions;
struct session_process;		/* one smtpd process */

struct open_sessions_events {
	/* The process is to be told that the watch of a client begins or ends. */
	void (*watch)(void *process_owner, const char *client_address, bool ends);
	/* So many sessions of the client are open. True when one more is let in: it is counted. The question is gone. Neither of
	 * these may remove a process. */
	bool (*decide)(void *question_owner, size_t sessions);
};

/* events must outlive it. */
struct open_sessions *open_sessions_new(const struct open_sessions_events *events);
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
