/* retry: intervals, expiry, delays and the low priority's time of day */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "qmgr/retry.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)

static const struct limits limits = {
	.retry_initial_ms = 15 * MINUTE,
	.retry_cap_ms = 60 * MINUTE,
	.expiry_ms = 24 * HOUR,
	.look_interval_ms = 15 * MINUTE,
	.delay_notifications = true,
	.delay_ms = { [PRIORITY_NORMAL] = 24 * HOUR, [PRIORITY_HIGH] = 4 * HOUR, [PRIORITY_LOW] = 48 * HOUR },
	.low_priority_from = 0,
	.low_priority_until = 6 * 60,
};

static void
doubles_the_interval_up_to_the_cap(UNUSED void **state)
{
	assert_int_equal(retry_interval(&limits, 0), 15 * MINUTE);
	assert_int_equal(retry_interval(&limits, 1), 15 * MINUTE);
	assert_int_equal(retry_interval(&limits, 2), 30 * MINUTE);
	assert_int_equal(retry_interval(&limits, 3), 60 * MINUTE);
	assert_int_equal(retry_interval(&limits, 4), 60 * MINUTE);
	assert_int_equal(retry_interval(&limits, UINT32_MAX), 60 * MINUTE);
}

static void
never_hurries_because_the_cap_is_below_the_initial_interval(UNUSED void **state)
{
	struct limits odd = limits;

	odd.retry_cap_ms = MINUTE;
	assert_int_equal(retry_interval(&odd, 1), 15 * MINUTE);
	assert_int_equal(retry_interval(&odd, 9), 15 * MINUTE);
}

static void
spreads_attempts_by_at_most_a_tenth(UNUSED void **state)
{
	uint32_t random;

	for (random = 0; random < 1000; random++) {
		int64_t interval = retry_interval_spread(&limits, 1, random * 2654435761u);

		assert_true(interval >= 15 * MINUTE * 9 / 10 && interval <= 15 * MINUTE * 11 / 10);
	}
	assert_int_equal(retry_interval_spread(&limits, 1, 0), 15 * MINUTE * 9 / 10);
}

static void
expires_a_message_at_its_age_and_not_before(UNUSED void **state)
{
	assert_false(retry_is_expired(&limits, 24 * HOUR - 1, 100));
	assert_true(retry_is_expired(&limits, 24 * HOUR, 1));
}

static void
counts_attempts_for_a_message_from_the_future(UNUSED void **state)
{
	/* 15 + 30 minutes, then one an hour: the 26th attempt is made after more than 24 hours. */
	assert_false(retry_is_expired(&limits, -HOUR, 1));
	assert_false(retry_is_expired(&limits, -10 * 365 * 24 * HOUR, 25));
	assert_true(retry_is_expired(&limits, -10 * 365 * 24 * HOUR, 27));
}

static void
makes_the_last_attempt_at_the_moment_of_expiry(UNUSED void **state)
{
	int64_t now = 1000 * HOUR;

	assert_int_equal(retry_before_expiry(&limits, now + HOUR, now, 23 * HOUR + 30 * MINUTE), now + 30 * MINUTE);
	assert_int_equal(retry_before_expiry(&limits, now + HOUR, now, 2 * HOUR), now + HOUR);
	assert_int_equal(retry_before_expiry(&limits, now + HOUR, now, 25 * HOUR), now + HOUR);
	assert_int_equal(retry_before_expiry(&limits, now + HOUR, now, -5), now + HOUR);
}

static void
tells_of_delay_by_priority_and_only_when_enabled(UNUSED void **state)
{
	struct limits silent = limits;

	silent.delay_notifications = false;
	assert_true(retry_is_delayed(&limits, PRIORITY_HIGH, 4 * HOUR));
	assert_false(retry_is_delayed(&limits, PRIORITY_NORMAL, 4 * HOUR));
	assert_true(retry_is_delayed(&limits, PRIORITY_LOW, 48 * HOUR));
	assert_false(retry_is_delayed(&silent, PRIORITY_HIGH, 400 * HOUR));
}

static void
looks_at_a_waiting_message_within_the_interval_after_its_delay_is_due(UNUSED void **state)
{
	int64_t now = 1000 * HOUR;

	/* High: after 4 hours. */
	assert_int_equal(retry_before_delay(&limits, PRIORITY_HIGH, now + HOUR, now, 4 * HOUR - 10 * MINUTE), now + 25 * MINUTE);
	assert_int_equal(retry_before_delay(&limits, PRIORITY_HIGH, now + 20 * MINUTE, now, 4 * HOUR - 10 * MINUTE),
	    now + 20 * MINUTE);
	assert_int_equal(retry_before_delay(&limits, PRIORITY_HIGH, now + HOUR, now, 5 * HOUR), now + HOUR);
	assert_int_equal(retry_before_delay(&limits, PRIORITY_NORMAL, now + HOUR, now, 4 * HOUR - 10 * MINUTE), now + HOUR);
	assert_int_equal(retry_before_delay(&limits, PRIORITY_HIGH, now + 9 * HOUR, now, -HOUR), now + 9 * HOUR);
}

static void
lets_low_priority_move_only_in_its_time_range(UNUSED void **state)
{
	struct limits night = limits, always = limits;

	assert_int_equal(retry_low_priority_wait(&limits, 0), 0);
	assert_int_equal(retry_low_priority_wait(&limits, 359), 0);
	assert_int_equal(retry_low_priority_wait(&limits, 360), 18 * HOUR);
	night.low_priority_from = 22 * 60;
	night.low_priority_until = 4 * 60;
	assert_int_equal(retry_low_priority_wait(&night, 23 * 60), 0);
	assert_int_equal(retry_low_priority_wait(&night, 3 * 60), 0);
	assert_int_equal(retry_low_priority_wait(&night, 21 * 60), HOUR);
	always.low_priority_from = always.low_priority_until = 60;
	assert_int_equal(retry_low_priority_wait(&always, 720), 0);
}

static void
reads_time_ranges_and_refuses_others(UNUSED void **state)
{
	int from, until;

	assert_true(limits_parse_time_range("00:00-06:00", &from, &until));
	assert_int_equal(from, 0);
	assert_int_equal(until, 360);
	assert_true(limits_parse_time_range("22:30-24:00", &from, &until));
	assert_int_equal(from, 22 * 60 + 30);
	assert_int_equal(until, 0);
	assert_false(limits_parse_time_range("", &from, &until));
	assert_false(limits_parse_time_range("25:00-06:00", &from, &until));
	assert_false(limits_parse_time_range("00:60-06:00", &from, &until));
	assert_false(limits_parse_time_range("00:00-06:00x", &from, &until));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_the_interval_up_to_the_cap),
		cmocka_unit_test(never_hurries_because_the_cap_is_below_the_initial_interval),
		cmocka_unit_test(spreads_attempts_by_at_most_a_tenth),
		cmocka_unit_test(expires_a_message_at_its_age_and_not_before),
		cmocka_unit_test(counts_attempts_for_a_message_from_the_future),
		cmocka_unit_test(makes_the_last_attempt_at_the_moment_of_expiry),
		cmocka_unit_test(tells_of_delay_by_priority_and_only_when_enabled),
		cmocka_unit_test(looks_at_a_waiting_message_within_the_interval_after_its_delay_is_due),
		cmocka_unit_test(lets_low_priority_move_only_in_its_time_range),
		cmocka_unit_test(reads_time_ranges_and_refuses_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
