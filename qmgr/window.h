/*
 * window - which messages are in memory, and which only the store knows
 *
 * Every new message is routed at once. One that finds the queue of its destination full waits in the store behind that
 * destination ("surplus") and is taken back when the queue runs low; one whose attempt lies in the future is taken when it is
 * due. So a slow destination fills its share of the window and no more. Content beyond its own limit is dropped and read
 * again when a job needs it.
 */
#ifndef QMGR_WINDOW_H
#define QMGR_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct active_message;
struct destination;
struct event;
struct qmgr;

struct window {
	struct event *run;		/* pending when something changed */
	struct event *due;		/* the next parked message is due, or the store is to be asked again */
	bool open;			/* false: deliveries in hand elsewhere are not known yet */
	bool asking;			/* the store was asked and has not finished */
	bool due_first;			/* whose turn it is: what is due, or what a destination wants */
	struct destination *asked_for;	/* NULL: what is due */
	uint32_t came;			/* messages of the request in hand */
	uint64_t parked_surplus;	/* since the start */
};

void window_start(struct qmgr *qmgr);
void window_end(struct qmgr *qmgr);
/* Messages may be taken from the store from now on. */
void window_open(struct qmgr *qmgr);

uint32_t window_active(const struct qmgr *qmgr);
/* There is room, or something is due: look soon. */
void window_changed(struct qmgr *qmgr);

/* Whether an attempt planned for that queue time is due. One impossibly far off (the clock was set back since) is. */
bool window_is_due(const struct qmgr *qmgr, int64_t next_attempt_ms, int64_t now);
/* The same for what the parked ones wait for: the queue time to ask the store with, or -1 when nothing is due. */
int64_t window_due_time(const struct qmgr *qmgr, int64_t next_due_ms, int64_t now);

/* How many messages may wait for one destination in memory. */
uint32_t window_share(const struct qmgr *qmgr, const struct destination *destination);
/* Whether one more message may wait for the destination in memory. */
bool window_admits(const struct qmgr *qmgr, const struct destination *destination);
/* The recipient waits in the store behind its destination. */
void window_surplus(struct qmgr *qmgr, struct active_message *message, uint32_t index, struct destination *destination);
/* Something left the queue of the destination. It may be gone afterwards. */
void window_queue_shrank(struct qmgr *qmgr, struct destination *destination);
/* The message took its place in the queue: its content stays in memory only while there is room. */
void window_queued(struct qmgr *qmgr, struct active_message *message, const struct destination *destination);
/* Memory for content is short: less than half of its limit is free. */
bool window_content_is_short(const struct qmgr *qmgr);

#endif
