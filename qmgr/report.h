/*
 * report - delivery status notifications: router writes them, we store them with the states that they report
 *
 * A failure is final on disk only in the record that also holds its report, so a crash neither loses nor repeats
 * one. The report waits a moment until nothing else is being done for the message, so that one covers all. Successes
 * that a sender asked for and delays are reported the same way.
 */
#ifndef QMGR_REPORT_H
#define QMGR_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "qmgr/active.h"

struct channel;
struct qmgr;
struct report_answer;
struct report_data;

TAILQ_HEAD(report_queue, report);

struct reports {
	struct active_list waiting;	/* messages that want a report, oldest wish first */
	struct report_queue asking;	/* ready to be sent to router, or being sent */
	struct hash_table by_job;
	struct report_queue all;
};

void report_start(struct qmgr *qmgr);
void report_end(struct qmgr *qmgr);

/* Something about the message is to be reported; now, or when the rest of it is settled. It may be gone afterwards. */
void report_want(struct qmgr *qmgr, struct active_message *message);
/* The message leaves. */
void report_forget(struct qmgr *qmgr, struct active_message *message);
/* Whether the sender of a message that is delayed is still to be told about this recipient, or about any. */
bool report_delay_concerns(const struct active_message *message, uint32_t index);
bool report_delay_is_wanted(const struct active_message *message);
/* Begins the reports that waited long enough. True while others wait. */
bool report_tick(struct qmgr *qmgr, int64_t monotonic_ms);

/* router's channel, which routing.c owns. */
void report_router_lost(struct qmgr *qmgr);
void report_router_ready(struct qmgr *qmgr);
void report_data_arrived(void *context, struct channel *channel, const struct report_data *message);
void report_answered(void *context, struct channel *channel, const struct report_answer *message);

#endif
