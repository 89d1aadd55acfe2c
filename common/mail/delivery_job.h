/*
 * delivery_job - the serving side of the deliver protocol, for smtp and local
 *
 * Owns:   the channel to qmgr and every job: its envelope, its content (in memory or as a descriptor), its
 *         results. Trusts: nobody. Lengths are bounded before anything is allocated; a stream that does not
 *         add up ends the channel. Bounds: the protocol's window of jobs; what one job may hold is bounded
 *         here, what all hold by qmgr's own limits.
 *
 * When qmgr dies, jobs that are here whole go on. The next qmgr is told which recipients are held and gets
 * their results late, and so does it for the final results of the last seconds, which its predecessor may not
 * have recorded: nothing that was delivered is delivered again. Jobs whose stream was cut are forgotten; qmgr
 * schedules them anew.
 */
#ifndef COMMON_MAIL_DELIVERY_JOB_H
#define COMMON_MAIL_DELIVERY_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/ipc/protocol.h"
#include "common/mail/call_out.h"
#include "common/mail/delivery_result.h"
#include "common/mail/envelope.h"

struct call_out_job;
struct event_base;
struct delivery_jobs;

struct delivery_job {
	uint64_t number;
	uint64_t message_id;
	enum transport transport;
	char *next_hop;			/* owned */
	bool fresh;			/* what is remembered of failed hosts does not count */
	struct envelope envelope;	/* with just the recipients of this job */
	struct buffer content;		/* the content when body is -1 */
	int body;			/* owned descriptor of the content, read from offset 0; -1: content */
	uint64_t body_length;
	void *owner;			/* the program's own */

	/* delivery_job.c's own */
	struct delivery_jobs *jobs;
	TAILQ_ENTRY(delivery_job) entries;
	struct buffer envelope_octets;	/* until the stream is whole */
	size_t envelope_length;
	size_t content_length;
	struct buffer results;		/* encoded, all of them */
	size_t results_sent;
	bool whole;
	bool taken_over;		/* its qmgr is gone: results go late */
	bool finished;
	deadline_t remembered_until;	/* finished and answered: kept for a next qmgr */
};

struct delivery_jobs_events {
	/* A job is whole; it is the receiver's to work on until delivery_job_finish(). */
	void (*start)(void *context, struct delivery_job *job);
	/* The channel to qmgr ended. May be NULL. */
	void (*lost)(void *context, const char *reason);
	/* qmgr asks whether a next hop knows a recipient; the job is lent. NULL: this program is not asked such things. */
	void (*call_out)(void *context, const struct call_out_job *job);
};

struct delivery_jobs *delivery_jobs_new(struct event_base *base, const struct delivery_jobs_events *events,
    void *context);
/* Closes the channel and frees every job. */
void delivery_jobs_free(struct delivery_jobs **jobs);

/* qmgr is there, for the first time or again: takes over socket and tells what is held. */
void delivery_jobs_introduce(struct delivery_jobs *jobs, int socket, enum ipc_side side);

/* From now on nothing new is started: what still comes is left to qmgr, which sees no result for it. */
void delivery_jobs_drain(struct delivery_jobs *jobs);

/* Jobs started and not finished. */
unsigned delivery_jobs_running(const struct delivery_jobs *jobs);

/* Tells what became of a call-out, if the qmgr is there; one that asked before it was restarted no longer knows of it. */
void delivery_jobs_answer_call_out(struct delivery_jobs *jobs, uint64_t number, enum call_out_outcome outcome, const char *text);

/* Octets of content of a job, wherever they are. */
uint64_t delivery_job_size(const struct delivery_job *job);

/* Records what became of one recipient of the job. At most one result a recipient. */
void delivery_job_judge(struct delivery_job *job, const struct delivery_result *result);
/* Sends the results recorded so far; worth it when the rest of the job will take long. */
void delivery_job_flush(struct delivery_job *job);
/* The job is done: sends what is left and frees it (or keeps the results until there is a qmgr). */
void delivery_job_finish(struct delivery_job *job);

#endif
