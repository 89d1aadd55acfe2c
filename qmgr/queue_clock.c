/* queue_clock - see queue_clock.h */
#include "qmgr/queue_clock.h"

#include <string.h>

#define AHEAD_MAX_MS (INT64_C(2) * 24 * 3600 * 1000)	/* when the last run ended later than this, its clock was the wrong one */
#define STEP_MS 2000	/* less is the clock being slewed, or ourselves being slow */

void
queue_clock_init(struct queue_clock *clock, int64_t wall_ms, int64_t last_ms, int64_t boot_ms)
{
	if (last_ms <= wall_ms || last_ms - wall_ms > AHEAD_MAX_MS)
		last_ms = wall_ms;
	*clock = (struct queue_clock){ .wall_at_start = last_ms, .boot_at_start = boot_ms, .era_count = 1 };
	clock->eras[0].begin = INT64_MIN;
}

int64_t
queue_clock_now(struct queue_clock *clock, int64_t wall_ms, int64_t boot_ms)
{
	int64_t now = clock->wall_at_start + (boot_ms - clock->boot_at_start);
	int64_t shift = wall_ms - now;
	int64_t change = shift - clock->eras[clock->era_count - 1].shift;

	if (change > STEP_MS || change < -STEP_MS) {
		if (clock->era_count == QUEUE_CLOCK_ERAS) {
			memmove(&clock->eras[1], &clock->eras[2], (QUEUE_CLOCK_ERAS - 2) * sizeof(clock->eras[0]));
			clock->era_count--;
		}
		clock->eras[clock->era_count].begin = now;
		clock->eras[clock->era_count].shift = shift;
		clock->era_count++;
	}
	return now;
}

int64_t
queue_clock_from_wall(const struct queue_clock *clock, int64_t wall_ms, int64_t now)
{
	size_t i;
	int64_t end = now + STEP_MS;	/* the two clocks do not count in step to the millisecond: what is later by less is now */

	for (i = clock->era_count; i-- > 0; end = clock->eras[i].begin) {
		int64_t queue_ms = wall_ms - clock->eras[i].shift;

		if (queue_ms >= clock->eras[i].begin && queue_ms <= end)
			return queue_ms < now ? queue_ms : now;
	}
	/* In a gap, or from the future: as the present era sees it. */
	return wall_ms - clock->eras[clock->era_count - 1].shift;
}
