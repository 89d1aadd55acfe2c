/*
 * adoption - what smtp and local still hold for an earlier qmgr
 *
 * After our start each worker first tells which recipients it holds. Those messages come into memory with these recipients
 * in hand, and their results arrive under the old job's number. Nothing is taken from the store before every worker
 * has told, or ten seconds passed: nobody gets a message twice because we were restarted.
 */
#ifndef QMGR_ADOPTION_H
#define QMGR_ADOPTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/base/wire.h"

struct active_message;
struct adopted;
struct deliver_worker;
struct event;
struct qmgr;

TAILQ_HEAD(adopted_list, adopted);

struct adoption {
	struct hash_table by_message;
	struct adopted_list all;
	struct event *patience;		/* ends the waiting, for all and for each worker that comes */
	bool patience_over;
	bool any_worker;
};

void adoption_start(struct qmgr *qmgr);
void adoption_end(struct qmgr *qmgr);

/* A worker was introduced; it will tell. */
void adoption_worker_came(struct qmgr *qmgr);
/* Opens the window when everybody told what they hold. */
void adoption_check_open(struct qmgr *qmgr);

/* recipients: u32 numbers as on the wire. */
void adoption_holding(struct qmgr *qmgr, struct deliver_worker *worker, uint64_t job, uint64_t message_id,
    const struct bytes *recipients);
void adoption_results(struct qmgr *qmgr, struct deliver_worker *worker, uint64_t job, uint64_t message_id,
    const struct bytes *results, bool last);
/* What it held is tried anew. */
void adoption_worker_lost(struct qmgr *qmgr, struct deliver_worker *worker);

/* A message entered the window: what is held of it is in hand. */
void adoption_apply(struct qmgr *qmgr, struct active_message *message);
/* After that: results that came before the message are applied. */
void adoption_advance(struct qmgr *qmgr, uint64_t message_id);

#endif
