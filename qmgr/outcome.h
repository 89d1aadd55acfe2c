/*
 * outcome - what an attempt means for a recipient: delivered, another attempt, failed, expired
 *
 * Every change of a recipient's state passes through here, is logged here, and is counted here.
 */
#ifndef QMGR_OUTCOME_H
#define QMGR_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/mail/delivery_result.h"
#include "common/mail/envelope.h"

struct active_message;
struct delivery;
struct destination;
struct qmgr;

/* Which recipients of one message changed, so that one record says it. */
struct outcome_changes {
	bool *chosen;
};
#define OUTCOME_CHANGES_INITIALIZER { NULL }

/* The result of an attempt for one recipient. when: if it has to be tried again, as for outcome_defer(). */
void outcome_apply(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t when,
    const struct delivery_result *result, struct outcome_changes *changes);

/* An attempt of ours failed for now: back-off, or expiry. when is the queue time to try again, 0: by its own back-off. */
void outcome_defer(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t when, const char *status,
    const char *reason, const char *host, struct outcome_changes *changes);

/* It failed for good. The state is on disk only with the report. */
void outcome_fail(struct qmgr *qmgr, struct active_message *message, uint32_t index, enum failure_class failure,
    const char *status, const char *reason, const char *host);

/* Another recipient of the message ends at the same place: this one needs nothing more. */
void outcome_duplicate(struct qmgr *qmgr, struct active_message *message, uint32_t index, struct outcome_changes *changes);

/* Writes down the changes, frees them, and settles the message, which may be gone afterwards. */
void outcome_commit(struct qmgr *qmgr, struct active_message *message, struct outcome_changes *changes);

/* The recipient waits, untried, until when; not beyond its expiry, nor long beyond the time to tell of its delay. */
void outcome_wait(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t when);
/* New limits: the recipient, which waits, expires earlier, or its sender is told of the delay earlier. Whether that is so. */
bool outcome_hasten(struct qmgr *qmgr, struct active_message *message, uint32_t index);
/* The recipient has low priority: it waits, untried, for so long. */
void outcome_hold_back(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t wait_ms);
/* The recipient meets a destination that is down: it waits for it, or expires with what the destination said. */
void outcome_put_off(struct qmgr *qmgr, struct active_message *message, uint32_t index, struct destination *destination);
/* The same for all that a delivery still holds; it is freed, the message is not settled. */
void outcome_put_off_delivery(struct qmgr *qmgr, struct delivery *delivery);
/* The same for all that stands in the queues of a destination. */
void outcome_destination_down(struct qmgr *qmgr, struct destination *destination);

#endif
