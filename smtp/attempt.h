/*
 * attempt - one job on its way to the next hop: look up, connect, send, judge
 *
 * Owns:   the connection in use, the question to resolver, the transaction. The job is qmgr's by way of
 *         delivery_job.
 * Gives:  exactly one result for each recipient of the job, then finishes it.
 *
 * An idle session that was last used for the same next hop is used again, without asking anyone; otherwise
 * host_walk finds one. When it turns out to be dead before the reply to MAIL, nothing was delivered: the job
 * goes over a fresh connection, or, where it was fresh, to the next address. From the reply to MAIL on the
 * job's fate is decided there.
 *
 * A job keeps the settings of its start.
 */
#ifndef SMTP_ATTEMPT_H
#define SMTP_ATTEMPT_H

#include "smtp/outbound.h"

/* Begins. A job whose next hop makes no sense is finished before this returns. */
void attempt_start(struct outbound *outbound, struct delivery_job *job);
/* Ends all attempts without results: the program leaves. */
void attempts_abandon(struct outbound *outbound);

#endif
