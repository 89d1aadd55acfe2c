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

	queue_clock_init(&clock, WALL, INT64_MIN, 5000);
	assert_int_equal(queue_clock_now(&clock, WALL + HOUR, 5000 + HOUR), WALL + HOUR);
	assert_int_equal(clock.era_count, 1);
}

static void
is_not_moved_when_the_wall_clock_is_set(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t year = 365 * 24 * HOUR;

	queue_clock_init(&clock, WALL, INT64_MIN, 0);
	assert_int_equal(queue_clock_now(&clock, WALL + 10 * year + HOUR, HOUR), WALL + HOUR);
	assert_int_equal(queue_clock_now(&clock, WALL - 10 * year, 2 * HOUR), WALL + 2 * HOUR);
}

static void
translates_arrivals_from_before_and_after_a_setting_of_the_clock(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t now;

	queue_clock_init(&clock, WALL, INT64_MIN, 0);
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

	queue_clock_init(&clock, WALL, INT64_MIN, 0);
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

	queue_clock_init(&clock, WALL - 24 * HOUR, WALL, 0);
	assert_int_equal(queue_clock_now(&clock, WALL - 24 * HOUR, 0), WALL);
	now = queue_clock_now(&clock, WALL - 23 * HOUR, HOUR);
	assert_int_equal(now, WALL + HOUR);
	/* What arrived in the run before, and what arrived since. */
	assert_int_equal(queue_clock_from_wall(&clock, WALL - HOUR, now), WALL - HOUR);
	assert_int_equal(queue_clock_from_wall(&clock, WALL - 23 * HOUR - HOUR / 2, now), WALL + HOUR / 2);
	/* A run whose clock was years ahead is no measure. */
	queue_clock_init(&clock, WALL, WALL + 10 * 365 * 24 * HOUR, 0);
	assert_int_equal(queue_clock_now(&clock, WALL + HOUR, HOUR), WALL + HOUR);
}

static void
remembers_a_bounded_number_of_settings(UNUSED void **state)
{
	struct queue_clock clock;
	int64_t i;

	queue_clock_init(&clock, WALL, INT64_MIN, 0);
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
		cmocka_unit_test(remembers_a_bounded_number_of_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
