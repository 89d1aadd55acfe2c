/*
 * queue_clock - the time by which messages age and are tried again
 *
 * Queue time begins as wall time and advances with CLOCK_BOOTTIME: a wall clock that is set in the meantime makes no retry storm, no
 * stall and no early return. Times of arrival are wall times of their moment; the settings of the clock that happened are
 * remembered, so that they can be translated.
 *
 * A clock can be saved, and the next run goes on with it: in the same boot of the system as if there had been no end, later by as
 * much as the wall clock says that nobody ran. Then, where the wall clock is ahead of that, or days behind, queue time begins as wall
 * time again; what is remembered is translated too, so that no message is older or younger for it.
 */
#ifndef QMGR_QUEUE_CLOCK_H
#define QMGR_QUEUE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_CLOCK_ERAS 8
#define QUEUE_CLOCK_SAVED_SIZE (32 + QUEUE_CLOCK_ERAS * 24)
/* So far a translated time of arrival may lie behind the moment at which the message came: the clocks do not count in step. */
#define QUEUE_CLOCK_SLACK_MS 2

struct queue_clock {
	uint64_t boot;			/* which boot of the system this is; 0: unknown */
	int64_t queue_at_start;
	int64_t boot_at_start;
	int64_t looked;			/* queue time when the wall clock was looked at last */
	/* From each setting of the wall clock to the next, wall time = queue time + shift. The first begins with time itself. */
	struct {
		int64_t begin;		/* queue time when the setting was noticed */
		int64_t earliest;	/* queue time of the look before: the clock was set in between */
		int64_t shift;
	} eras[QUEUE_CLOCK_ERAS];
	size_t era_count;
	uint64_t settings;		/* how often the wall clock was found set */
};

/* boot: clock_boot_number(). last_ms: wall time of the last that is known of an earlier run; INT64_MIN: there was none. */
void queue_clock_init(struct queue_clock *clock, uint64_t boot, int64_t wall_ms, int64_t last_ms, int64_t boot_ms);
/* The clock of an earlier run, as it was saved last. False, and nothing happened, when the octets are not of a clock. */
bool queue_clock_resume(struct queue_clock *clock, uint64_t boot, int64_t wall_ms, int64_t boot_ms, const void *saved, size_t length);
/* Fills saved; returns how many octets. */
size_t queue_clock_save(struct queue_clock *clock, int64_t wall_ms, int64_t boot_ms, uint8_t saved[static QUEUE_CLOCK_SAVED_SIZE]);

/* Queue time now. Notices when the wall clock was set; ask for it at least every few seconds while busy. */
int64_t queue_clock_now(struct queue_clock *clock, int64_t wall_ms, int64_t boot_ms);

/* The queue time of a wall time at or before now. Between two eras that overlap, the later one is taken, from the last look before
 * the clock was set: a message is then younger than it is, never older. */
int64_t queue_clock_from_wall(const struct queue_clock *clock, int64_t wall_ms, int64_t now);

#endif
