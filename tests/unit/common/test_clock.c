/* test_clock - deadlines, and times as people read them */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"

static void
a_deadline_passes_when_its_time_has_come(void **state)
{
	deadline_t soon = deadline_after_ms(60000);

	(void)state;
	assert_false(deadline_passed(soon));
	assert_true(deadline_remaining_ms(soon) > 59000 && deadline_remaining_ms(soon) <= 60000);
	assert_true(deadline_passed(deadline_after_ms(0)));
	assert_true(deadline_passed(deadline_after_ms(-5)));
	assert_int_equal(deadline_remaining_ms(deadline_after_ms(-5)), 0);
	assert_true(deadline_earlier(soon, DEADLINE_NEVER) == soon);
}

static void
never_does_not_pass(void **state)
{
	(void)state;
	assert_false(deadline_passed(DEADLINE_NEVER));
	assert_true(deadline_remaining_ms(DEADLINE_NEVER) == INT64_MAX);
}

static void
the_remaining_time_suits_the_event_loop(void **state)
{
	struct timeval remaining = deadline_timeval(deadline_after_ms(2500));

	(void)state;
	assert_true(remaining.tv_sec == 2);
	assert_true(remaining.tv_usec >= 0 && remaining.tv_usec <= 500000);
	remaining = deadline_timeval(deadline_after_ms(-1));
	assert_true(remaining.tv_sec == 0 && remaining.tv_usec == 0);
}

static void
mail_dates_are_in_english_with_the_zone(void **state)
{
	char text[40];

	(void)state;
	setenv("TZ", "XYZ-5:30", 1);
	tzset();
	clock_format_rfc5322(INT64_C(1795349558000), text);
	assert_string_equal(text, "Sun, 22 Nov 2026 17:42:38 +0530");
	setenv("TZ", "XYZ3:30", 1);
	tzset();
	clock_format_rfc5322(INT64_C(1795349558000), text);
	assert_string_equal(text, "Sun, 22 Nov 2026 08:42:38 -0330");
}

static void
log_times_are_in_utc(void **state)
{
	char text[32];

	(void)state;
	clock_format_rfc3339(INT64_C(1795349558999), text);
	assert_string_equal(text, "2026-11-22T12:12:38Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deadline_passes_when_its_time_has_come),
		cmocka_unit_test(never_does_not_pass),
		cmocka_unit_test(the_remaining_time_suits_the_event_loop),
		cmocka_unit_test(mail_dates_are_in_english_with_the_zone),
		cmocka_unit_test(log_times_are_in_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
