/* queue_clock: queue time goes on evenly whatever the wall clock is set to */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "qmgr/queue_clock.h"

#define HOUR INT64_C(3600000)
#define WALL (INT64_C(1800000000) * 1000)

static void
advances_with_the_time_since_boot(UNUSED void **state)
{
	struct queue_clock clock;

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 5000);
	assert_int_equal(queue_clock_now(&clock, WALL + HOUR, 5000 + HOUR), WALL + HOUR);
	assert_int_equal(clock.era_count, 1);
}

static void
is_not_moved_when_the_wall_clock_is_set(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t year = 365 * 24 * HOUR;

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	assert_int_equal(queue_clock_now(&clock, WALL + 10 * year + HOUR, HOUR), WALL + HOUR);
	assert_int_equal(queue_clock_now(&clock, WALL - 10 * year, 2 * HOUR), WALL + 2 * HOUR);
}

static void
translates_arrivals_from_before_and_after_a_setting_of_the_clock(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t now;

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	queue_clock_now(&clock, WALL + HOUR, HOUR);
	now = queue_clock_now(&clock, WALL + 26 * HOUR, 2 * HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + HOUR / 2, now), WALL + HOUR / 2);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + 26 * HOUR, now), WALL + 2 * HOUR);
	/* From before our start, as the record says. */
	assert_int_equal(queue_clock_from_wall(&clock, WALL - HOUR, now), WALL - HOUR);
}

static void
makes_a_message_younger_rather_than_older_where_the_wall_clock_ran_twice(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t now;

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	queue_clock_now(&clock, WALL + 3 * HOUR, 3 * HOUR);
	queue_clock_now(&clock, WALL + HOUR, 3 * HOUR);		/* set back by two hours */
	now = queue_clock_now(&clock, WALL + 2 * HOUR, 4 * HOUR);
	assert_int_equal(now, WALL + 4 * HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + HOUR + HOUR / 2, now), WALL + 3 * HOUR + HOUR / 2);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + 2 * HOUR + HOUR / 2, now), WALL + 2 * HOUR + HOUR / 2);
}

static void
does_not_begin_before_the_end_of_the_run_before(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t now;

	queue_clock_init(&clock, 0, WALL - 24 * HOUR, WALL, 0);
	assert_int_equal(queue_clock_now(&clock, WALL - 24 * HOUR, 0), WALL);
	now = queue_clock_now(&clock, WALL - 23 * HOUR, HOUR);
	assert_int_equal(now, WALL + HOUR);
	/* What arrived in the run before, and what arrived since. */
	assert_int_equal(queue_clock_from_wall(&clock, WALL - HOUR, now), WALL - HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL - 23 * HOUR - HOUR / 2, now), WALL + HOUR / 2);
	/* A run whose clock was years ahead is no measure. */
	queue_clock_init(&clock, 0, WALL, WALL + 10 * 365 * 24 * HOUR, 0);
	assert_int_equal(queue_clock_now(&clock, WALL + HOUR, HOUR), WALL + HOUR);
}

/* The queue time at which the next run begins, the wall clock being at wall_ms, after one that ended at wall_then. */
static struct queue_clock
next_run(struct queue_clock *clock, int64_t wall_then, int64_t boot_then, int64_t wall_ms)
{
	uint8_t saved[QUEUE_CLOCK_SAVED_SIZE];
	size_t length = queue_clock_save(clock, wall_then, boot_then, saved);
	struct queue_clock next;

	assert_true(queue_clock_resume(&next, 0, wall_ms, 0, saved, length));
	return next;
}

static void
goes_on_with_queue_time_that_ran_ahead_of_a_clock_set_back(UNUSED void **state)
{
	struct queue_clock clock, next;
	int64_t now;

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	queue_clock_now(&clock, WALL - 23 * HOUR, HOUR);	/* set back by a day */
	next = next_run(&clock, WALL - 22 * HOUR, 2 * HOUR, WALL - 21 * HOUR);
	now = queue_clock_now(&next, WALL - 21 * HOUR, 0);
	assert_int_equal(now, WALL + 3 * HOUR);
	/* What came before the clock was set, what came since, what comes now. */
	assert_int_equal(queue_clock_from_wall(&next, WALL - 30 * HOUR, now), WALL - 30 * HOUR);
	assert_int_equal(queue_clock_from_wall(&next, WALL - 22 * HOUR - 1000, now), WALL + 2 * HOUR - 1000);
	assert_int_equal(queue_clock_from_wall(&next, WALL - 21 * HOUR, now), now);
	/* Set back once more between the runs. */
	next = next_run(&clock, WALL - 22 * HOUR, 2 * HOUR, WALL - 24 * HOUR);
	assert_int_equal(queue_clock_now(&next, WALL - 24 * HOUR, 0), WALL + 2 * HOUR);
}

static void
begins_as_wall_time_where_that_is_ahead_and_makes_no_message_older(UNUSED void **state)
{
	struct queue_clock clock, next;
	int64_t now;

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	queue_clock_now(&clock, WALL + 25 * HOUR, HOUR);	/* set forward by a day */
	next = next_run(&clock, WALL + 26 * HOUR, 2 * HOUR, WALL + 27 * HOUR);
	now = queue_clock_now(&next, WALL + 27 * HOUR, 0);
	assert_int_equal(now, WALL + 27 * HOUR);
	assert_int_equal(now - queue_clock_from_wall(&next, WALL + HOUR / 2, now), 2 * HOUR + HOUR / 2);
	assert_int_equal(now - queue_clock_from_wall(&next, WALL + 26 * HOUR, now), HOUR);
	/* A first run whose clock was years ahead. */
	queue_clock_init(&clock, 0, WALL + 1000 * 24 * HOUR, INT64_MIN, 0);
	queue_clock_now(&clock, WALL, HOUR);
	next = next_run(&clock, WALL, HOUR, WALL + HOUR);
	now = queue_clock_now(&next, WALL + HOUR, 0);
	assert_int_equal(now, WALL + HOUR);
	assert_int_equal(now - queue_clock_from_wall(&next, WALL + 1000 * 24 * HOUR, now), 2 * HOUR);
}

/* Whatever the wall clock was set to in between; in another boot, or when nobody knows, it has to be believed. */
static void
goes_on_within_a_boot_as_if_there_had_been_no_end(UNUSED void **state)
{
	static const int64_t jumps[] = { 0, HOUR, -HOUR, 24 * HOUR, -24 * HOUR, 87600 * HOUR, -87600 * HOUR };
	uint8_t saved[QUEUE_CLOCK_SAVED_SIZE];
	struct queue_clock clock, next;
	size_t length, i;
	int64_t now;

	for (i = 0; i < ARRAY_COUNT(jumps); i++) {
		queue_clock_init(&clock, 7, WALL, INT64_MIN, HOUR);
		length = queue_clock_save(&clock, WALL + 1000, HOUR + 1000, saved);
		assert_true(queue_clock_resume(&next, 7, WALL + jumps[i] + 5000, HOUR + 5000, saved, length));
		now = queue_clock_now(&next, WALL + jumps[i] + 5000, HOUR + 5000);
		assert_int_equal(now, WALL + 5000);
		assert_int_equal(queue_clock_from_wall(&next, WALL + 500, now), WALL + 500);
		assert_int_equal(queue_clock_from_wall(&next, WALL + jumps[i] + 5000, now), now);
	}
	assert_true(queue_clock_resume(&next, 8, WALL + 24 * HOUR, 2 * HOUR, saved, length));
	assert_int_equal(queue_clock_now(&next, WALL + 24 * HOUR, 2 * HOUR), WALL + 24 * HOUR);
	assert_true(queue_clock_resume(&next, 7, WALL + 24 * HOUR, 5000, saved, length));
	assert_int_equal(queue_clock_now(&next, WALL + 24 * HOUR, 5000), WALL + 24 * HOUR);
}

static void
resumes_nothing_that_is_no_clock(UNUSED void **state)
{
	struct queue_clock clock;
	uint8_t saved[QUEUE_CLOCK_SAVED_SIZE + 24] = { 0 };

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	assert_int_equal(queue_clock_save(&clock, WALL, 0, saved), 56);
	assert_false(queue_clock_resume(&clock, 0, WALL, 0, saved, 0));
	assert_false(queue_clock_resume(&clock, 0, WALL, 0, saved, 32));
	assert_false(queue_clock_resume(&clock, 0, WALL, 0, saved, 57));
	assert_false(queue_clock_resume(&clock, 0, WALL, 0, saved, sizeof(saved)));
	assert_true(queue_clock_resume(&clock, 0, WALL, 0, saved, 56));
	saved[32] = 1;
	assert_false(queue_clock_resume(&clock, 0, WALL, 0, saved, 56));
}

/* The clocks do not tick together: what came in the last moment of an era is not from the one after it. */
static void
allows_for_clocks_that_are_not_in_step(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t now;

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	now = queue_clock_now(&clock, WALL + 241 * HOUR, HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + HOUR + 1, now), WALL + HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + 241 * HOUR + 1, now), WALL + HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + 241 * HOUR - 1, now), WALL + HOUR);
	/* Nor when the clock was set forward once more since. */
	now = queue_clock_now(&clock, WALL + 482 * HOUR, 2 * HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + 241 * HOUR - 1, now), WALL + HOUR);
}

/* The next look at the wall clock is up to half a minute after it was set: mail that came meanwhile is not a day old. */
static void
knows_what_came_after_a_setting_and_before_it_was_noticed(UNUSED void **state)
{
	uint8_t saved[QUEUE_CLOCK_SAVED_SIZE];
	struct queue_clock clock, next;
	int64_t now;
	size_t length;

	queue_clock_init(&clock, 7, WALL, INT64_MIN, 0);
	queue_clock_now(&clock, WALL + HOUR, HOUR);		/* the last look, and then the clock is set back by a day */
	now = queue_clock_now(&clock, WALL - 23 * HOUR + 30000, HOUR + 30000);
	assert_int_equal(queue_clock_from_wall(&clock, WALL - 23 * HOUR + 10000, now), WALL + HOUR + 10000);
	assert_int_equal(queue_clock_from_wall(&clock, WALL - 23 * HOUR - 1000, now), WALL - 23 * HOUR - 1000);
	/* In the next run, and for the run after a crash in which nobody had noticed yet. */
	length = queue_clock_save(&clock, WALL - 22 * HOUR, 2 * HOUR, saved);
	assert_true(queue_clock_resume(&next, 7, WALL - 21 * HOUR, 3 * HOUR, saved, length));
	now = queue_clock_now(&next, WALL - 21 * HOUR, 3 * HOUR);
	assert_int_equal(queue_clock_from_wall(&next, WALL - 23 * HOUR + 10000, now), WALL + HOUR + 10000);
	now = queue_clock_now(&next, WALL - 44 * HOUR, 4 * HOUR);
	assert_int_equal(queue_clock_from_wall(&next, WALL - 44 * HOUR - 10000, now), WALL + 4 * HOUR - 10000);
	assert_true(queue_clock_resume(&next, 7, WALL - 44 * HOUR, 4 * HOUR, saved, length));
	now = queue_clock_now(&next, WALL - 44 * HOUR, 4 * HOUR);
	assert_int_equal(queue_clock_from_wall(&next, WALL - 44 * HOUR - 10000, now), WALL + 4 * HOUR - 10000);
	/* Set forward, what came before the look is from before. */
	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	now = queue_clock_now(&clock, WALL + 26 * HOUR, 2 * HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + HOUR, now), WALL + HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + 25 * HOUR, now), WALL + 2 * HOUR);
}

static void
remembers_a_bounded_number_of_settings(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t i;

	queue_clock_init(&clock, 0, WALL, INT64_MIN, 0);
	for (i = 1; i <= 100; i++)
		assert_int_equal(queue_clock_now(&clock, WALL + i * HOUR, i), WALL + i);
	assert_int_equal(clock.era_count, QUEUE_CLOCK_ERAS);
	assert_int_equal(queue_clock_from_wall(&clock, WALL + 100 * HOUR, WALL + 100), WALL + 100);
	assert_int_equal(queue_clock_from_wall(&clock, WALL - HOUR, WALL + 100), WALL - HOUR);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(advances_with_the_time_since_boot),
		cmocka_unit_test(is_not_moved_when_the_wall_clock_is_set),
		cmocka_unit_test(translates_arrivals_from_before_and_after_a_setting_of_the_clock),
		cmocka_unit_test(makes_a_message_younger_rather_than_older_where_the_wall_clock_ran_twice),
		cmocka_unit_test(does_not_begin_before_the_end_of_the_run_before),
		cmocka_unit_test(goes_on_with_queue_time_that_ran_ahead_of_a_clock_set_back),
		cmocka_unit_test(begins_as_wall_time_where_that_is_ahead_and_makes_no_message_older),
		cmocka_unit_test(goes_on_within_a_boot_as_if_there_had_been_no_end),
		cmocka_unit_test(resumes_nothing_that_is_no_clock),
		cmocka_unit_test(allows_for_clocks_that_are_not_in_step),
		cmocka_unit_test(knows_what_came_after_a_setting_and_before_it_was_noticed),
		cmocka_unit_test(remembers_a_bounded_number_of_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
