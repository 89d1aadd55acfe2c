/*
 * attempt - one job on its way to the next hop: look up, connect, send, judge
 *
 * Owns:   the connection in use, the question to resolver, the transaction. The job is qmgr's by way of
 *         delivery_job.
 * Gives:  exactly one result for each recipient of the job, then finishes it.
 *
 * A session that is idle is used again; when it turns out to be dead before the reply to MAIL, nothing was
 * delivered, and the job goes over a fresh connection once. The addresses of a host are tried in the order
 * that resolver gave them, until one host has greeted us properly; from then on the job's fate is decided
 * there.
 */
#ifndef SMTP_ATTEMPT_H
#define SMTP_ATTEMPT_H

#include "common/conf/settings.h"
#include "common/mail/delivery_job.h"
#include "smtp/destination_sessions.h"
#include "smtp/host_lookup.h"

struct event_base;

/* What all attempts share. */
struct outbound {
	struct event_base *base;
	const struct settings *settings;	/* in force; each attempt takes what it needs at its start */
	struct host_lookups *lookups;
	struct destination_sessions *sessions;
	TAILQ_HEAD(attempt_list, attempt) attempts;
	/* An attempt and its job are finished. */
	void (*finished)(void *context);
	void *context;
};

/* Begins. A job whose next hop makes no sense is finished before this returns. */
void attempt_start(struct outbound *outbound, struct delivery_job *job);
/* Ends all attempts without results: the program leaves. */
void attempts_abandon(struct outbound *outbound);

#endif
