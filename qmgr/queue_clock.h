/*
 * queue_clock - the time by which messages age and are tried again
 *
 * Queue time begins as the wall time of qmgr's start, but not before the last write of the run before: a clock that was set back
 * between two runs makes nothing wait longer. Then it advances with CLOCK_BOOTTIME: a wall clock that is set in the
 * meantime makes no retry storm, no stall and no early return. Times of arrival are wall times of their moment; the
 * settings of the clock that happened since the start are remembered, so that they can be translated.
 */
#ifndef QMGR_QUEUE_CLOCK_H
#define QMGR_QUEUE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define QUEUE_CLOCK_ERAS 8

struct queue_clock {
	int64_t wall_at_start;
	int64_t boot_at_start;
	/* From each setting of the wall clock to the next, wall time = queue time + shift. The first has shift 0. */
	struct {
		int64_t begin;	/* queue time */
		int64_t shift;
	} eras[QUEUE_CLOCK_ERAS];
	size_t era_count;
};

/* last_ms: wall time of the last that is known of an earlier run; INT64_MIN: there was none. */
void queue_clock_init(struct queue_clock *clock, int64_t wall_ms, int64_t last_ms, int64_t boot_ms);

/* Queue time now. Notices when the wall clock was set; ask for it at least every few seconds while busy. */
int64_t queue_clock_now(struct queue_clock *clock, int64_t wall_ms, int64_t boot_ms);

/* The queue time of a wall time at or before now. Between two eras that overlap, the later one is taken: a message is then
 * younger than it is, never older. */
int64_t queue_clock_from_wall(const struct queue_clock *clock, int64_t wall_ms, int64_t now);

#endif
