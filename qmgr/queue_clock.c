/* queue_clock - see queue_clock.h */
#include "qmgr/queue_clock.h"

#include <endian.h>
#include <string.h>

#define AHEAD_MAX_MS (INT64_C(2) * 24 * 3600 * 1000)	/* queue time further ahead than this: the wall clock was wrong when it began */
#define STEP_MS 2000	/* less is the clock being slewed, or ourselves being slow */

void
queue_clock_init(struct queue_clock *clock, uint64_t boot, int64_t wall_ms, int64_t last_ms, int64_t boot_ms)
{
	if (last_ms <= wall_ms || last_ms - wall_ms > AHEAD_MAX_MS)
		last_ms = wall_ms;
	*clock = (struct queue_clock){ .boot = boot, .queue_at_start = last_ms, .boot_at_start = boot_ms, .looked = last_ms,
		.era_count = 1 };
	clock->eras[0].begin = clock->eras[0].earliest = INT64_MIN;
}

int64_t
queue_clock_now(struct queue_clock *clock, int64_t wall_ms, int64_t boot_ms)
{
	int64_t now = clock->queue_at_start + (boot_ms - clock->boot_at_start);
	int64_t shift = wall_ms - now;
	int64_t change = shift - clock->eras[clock->era_count - 1].shift;

	if (change > STEP_MS || change < -STEP_MS) {
		if (clock->era_count == QUEUE_CLOCK_ERAS) {
			memmove(&clock->eras[1], &clock->eras[2], (QUEUE_CLOCK_ERAS - 2) * sizeof(clock->eras[0]));
			clock->era_count--;
		}
		clock->eras[clock->era_count].begin = now;
		clock->eras[clock->era_count].earliest = clock->looked;
		clock->eras[clock->era_count].shift = shift;
		clock->era_count++;
		clock->settings++;
	}
	clock->looked = now;
	return now;
}

/* Set forward, what came before that was noticed is told by its time alone: it is later than any time of the era before. */
static int64_t
first_moment(const struct queue_clock *clock, size_t era)
{
	bool set_back = era > 0 && clock->eras[era].shift < clock->eras[era - 1].shift;

	return set_back ? clock->eras[era].earliest : clock->eras[era].begin;
}

int64_t
queue_clock_from_wall(const struct queue_clock *clock, int64_t wall_ms, int64_t now)
{
	size_t i;
	int64_t end = now + STEP_MS;	/* the two clocks do not count in step to the millisecond: what is later by less is now */
	bool before_the_next = false;

	for (i = clock->era_count; i-- > 0; end = clock->eras[i].begin) {
		int64_t queue_ms = wall_ms - clock->eras[i].shift;

		if (queue_ms >= first_moment(clock, i) && queue_ms <= end)
			return queue_ms < now ? queue_ms : now;
		/* Between two eras no time passed: so it came when the clock was set, by a millisecond or before that was noticed. */
		if (before_the_next && queue_ms > end)
			return end;
		before_the_next = queue_ms < clock->eras[i].begin;
	}
	/* From the future: as the present era sees it. */
	return wall_ms - clock->eras[clock->era_count - 1].shift;
}

/* ---- from run to run: wall time, queue time, time since boot, the boot, the eras, all as 64-bit numbers, low octet first ---- */

static void
put(uint8_t **next, int64_t value)
{
	uint64_t octets = htole64((uint64_t)value);

	memcpy(*next, &octets, sizeof(octets));
	*next += sizeof(octets);
}

static int64_t
get(const uint8_t **next)
{
	uint64_t octets;

	memcpy(&octets, *next, sizeof(octets));
	*next += sizeof(octets);
	return (int64_t)le64toh(octets);
}

size_t
queue_clock_save(struct queue_clock *clock, int64_t wall_ms, int64_t boot_ms, uint8_t saved[static QUEUE_CLOCK_SAVED_SIZE])
{
	int64_t now = queue_clock_now(clock, wall_ms, boot_ms);
	uint8_t *next = saved;
	size_t i;

	put(&next, wall_ms);
	put(&next, now);
	put(&next, boot_ms);
	put(&next, (int64_t)clock->boot);
	for (i = 0; i < clock->era_count; i++) {
		put(&next, clock->eras[i].begin);
		put(&next, clock->eras[i].earliest);
		put(&next, clock->eras[i].shift);
	}
	return (size_t)(next - saved);
}

/* Where queue time goes on that ended at queue_ms when it was wall_then. */
static int64_t
continued(int64_t queue_ms, int64_t wall_then, int64_t wall_ms)
{
	return wall_ms > wall_then ? queue_ms + (wall_ms - wall_then) : queue_ms;
}

bool
queue_clock_resume(struct queue_clock *clock, uint64_t boot, int64_t wall_ms, int64_t boot_ms, const void *saved, size_t length)
{
	struct queue_clock resumed = { .boot = boot, .boot_at_start = boot_ms };
	const uint8_t *next = saved;
	int64_t wall_then, queue_then, boot_then, queue_ms, moved;
	bool same_boot;
	size_t i;

	if (length < 56 || length > QUEUE_CLOCK_SAVED_SIZE || (length - 32) % 24 != 0)
		return false;
	wall_then = get(&next);
	queue_then = get(&next);
	boot_then = get(&next);
	same_boot = (uint64_t)get(&next) == boot && boot != 0 && boot_ms >= boot_then;
	if (same_boot) {
		queue_ms = queue_then + (boot_ms - boot_then);
		resumed.queue_at_start = queue_ms;
	} else {
		queue_ms = continued(queue_then, wall_then, wall_ms);
		resumed.queue_at_start = queue_ms > wall_ms && queue_ms - wall_ms <= AHEAD_MAX_MS ? queue_ms : wall_ms;
	}
	moved = resumed.queue_at_start - queue_ms;
	resumed.looked = queue_then + moved;
	resumed.era_count = (length - 32) / 24;
	for (i = 0; i < resumed.era_count; i++) {
		resumed.eras[i].begin = get(&next) + (i == 0 ? 0 : moved);
		resumed.eras[i].earliest = get(&next) + (i == 0 ? 0 : moved);
		resumed.eras[i].shift = get(&next) - moved;
	}
	if (resumed.eras[0].begin != INT64_MIN)
		return false;
	*clock = resumed;
	return true;
}
