/*
 * action - hold, release, retry, remove, or route anew all messages that a selection means
 *
 * What is selected is taken from the store some messages at a time: a large selection holds up nobody, and does not wait a turn of
 * the store for each message.
 */
#ifndef QMGR_ACTION_H
#define QMGR_ACTION_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/ipc/queue.h"

struct qmgr;
struct selection;

enum action_kind {
	ACTION_HOLD = QUEUE_HOLD,
	ACTION_RELEASE = QUEUE_RELEASE,
	ACTION_RETRY = QUEUE_RETRY,		/* tried at once, whatever the schedule and the memory of failed hosts say */
	ACTION_REMOVE = QUEUE_REMOVE,
	ACTION_ROUTE = QUEUE_ROUTE,		/* likewise, but only the recipients that go to the selected destination */
	ACTION_LOOK				/* new documents: what is put off by a destination that is down is routed
						 * anew, and what expires earlier than before is tried earlier */
};

/* changed: messages that the action applied to. error is NULL when all were looked at. */
typedef void (*action_done_cb)(void *context, uint64_t changed, const struct error *error);

/* Begins; selection is taken over. The callback comes once, never from inside, and not at all at the end of the process. */
void action_start(struct qmgr *qmgr, enum action_kind kind, struct selection *selection, action_done_cb callback, void *context);

#endif
