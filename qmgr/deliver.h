/*
 * deliver - the jobs that smtp and local have in hand
 *
 * A job is one message with some of its recipients for one destination. Its envelope and content are streamed as fast as the
 * worker takes them; a few jobs at a time are being streamed to a worker, so that one that stands still holds little
 * memory here. When a worker dies, what it had in hand without a result is scheduled again at once (it may arrive
 * twice, it is never lost). A message that may be the reason (suspects.h) comes back at a moment of its own the second and
 * third time, so that its neighbours get past it, and waits like any other failure from the fourth on. Where a call-out
 * (call_out.h) is the likelier reason no message counts as one.
 *
 * A job has no deadline here: how long an honest session may take grows with its recipients and its octets, and giving the job
 * to another worker meanwhile would deliver it twice. The worker bounds each step; one that hangs is killed by master's
 * watchdog, and its jobs come back.
 */
#ifndef QMGR_DELIVER_H
#define QMGR_DELIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/hash_table.h"
#include "common/ipc/protocol.h"
#include "common/worker/roles.h"
#include "qmgr/destination.h"
#include "qmgr/suspects.h"

struct active_message;
struct channel;
struct qmgr;
struct store_content;

TAILQ_HEAD(job_queue, job);

/* One process of smtp or local. Lives as long as we do: its successor takes its place. */
struct deliver_worker {
	struct qmgr *qmgr;
	enum role role;
	unsigned instance;
	unsigned number;		/* which of all workers it is, from 0 */
	struct channel *channel;	/* NULL while it is gone */
	bool telling;			/* it has not told all it holds for an earlier qmgr */
	bool told;			/* it has, or was lost since our start: it can hold nothing more of that kind */
	struct job_queue jobs;		/* in hand */
	unsigned job_count;
	struct job_queue sending;	/* of them: not wholly sent */
	unsigned unsent;		/* of them: not wholly sent, or not begun */
	unsigned unbegun;		/* of them: not begun, so their credit is not taken yet */
	TAILQ_ENTRY(deliver_worker) link;
};
TAILQ_HEAD(worker_list, deliver_worker);

struct job {
	struct hash_node by_number;
	uint64_t number;
	struct deliver_worker *worker;
	struct destination *destination;
	struct active_message *message;
	TAILQ_ENTRY(job) worker_link;
	TAILQ_ENTRY(job) sending_link;
	LIST_ENTRY(job) message_link;
	uint32_t *recipients;		/* owned: indices; UINT32_MAX: has its result */
	uint32_t count;
	uint32_t open;			/* without a result */
	struct buffer envelope;		/* encoded, until sent */
	struct store_content *content;	/* held until sent */
	int body;			/* owned descriptor, or -1 */
	uint64_t body_length;
	uint64_t sent;			/* octets of envelope and content */
	bool begun;
	bool sent_all;
	bool fresh;			/* remembered failures of hosts do not count for it */
	/* what its destination was told of it */
	bool reached, delivered, failed;
};

struct deliver {
	struct worker_list workers;
	unsigned worker_count;
	struct hash_table jobs;
	unsigned jobs_of[CLASS_COUNT];
	struct suspects suspects;
};

void deliver_start(struct qmgr *qmgr);
void deliver_end(struct qmgr *qmgr);
/* A process of smtp or local is there, for the first time or again: takes over socket. */
void deliver_introduced(struct qmgr *qmgr, enum role role, unsigned instance, enum ipc_side side, int socket);

/* Whether the worker, or any one of the class, can take a job now. */
bool deliver_can_take(const struct deliver_worker *worker);
bool deliver_any_can_take(const struct qmgr *qmgr, enum delivery_class class);
/* Gives it the job; the session was counted by destination_take(). */
void deliver_start_job(struct qmgr *qmgr, struct deliver_worker *worker, struct destination *destination,
    struct active_message *message, const uint32_t *recipients, uint32_t count);

/* Whether some worker still tells what it holds. */
bool deliver_is_telling(const struct qmgr *qmgr);
unsigned deliver_jobs(const struct qmgr *qmgr);
/* How many jobs the workers of that class can have in hand. */
unsigned deliver_capacity(const struct qmgr *qmgr, enum delivery_class class);

#endif
