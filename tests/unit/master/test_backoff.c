/* test_backoff - how long a program that ended waits */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "master/backoff.h"

#define MAXIMUM_MS 30000

static void
waits_double_from_a_tenth_of_a_second_to_the_maximum(void **state)
{
	static const int64_t waits[] = { 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000 };
	struct backoff backoff = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		assert_int_equal(backoff_ended(&backoff, 0, MAXIMUM_MS), waits[i]);
}

static void
a_life_of_a_minute_is_forgiven(void **state)
{
	struct backoff backoff = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		backoff_ended(&backoff, 100, MAXIMUM_MS);
	assert_true(backoff_is_failing(&backoff));
	assert_int_equal(backoff_ended(&backoff, BACKOFF_FORGIVEN_MS, MAXIMUM_MS), BACKOFF_FIRST_MS);
	assert_false(backoff_is_failing(&backoff));
}

static void
a_life_just_short_of_a_minute_is_not(void **state)
{
	struct backoff backoff = { 0 };

	(void)state;
	backoff_ended(&backoff, 0, MAXIMUM_MS);
	assert_int_equal(backoff_ended(&backoff, BACKOFF_FORGIVEN_MS - 1, MAXIMUM_MS), 2 * BACKOFF_FIRST_MS);
}

static void
the_fifth_short_life_is_failing(void **state)
{
	struct backoff backoff = { 0 };

	(void)state;
	for (int i = 0; i < BACKOFF_FAILING - 1; i++)
		backoff_ended(&backoff, 0, MAXIMUM_MS);
	assert_false(backoff_is_failing(&backoff));
	backoff_ended(&backoff, 0, MAXIMUM_MS);
	assert_true(backoff_is_failing(&backoff));
}

static void
ten_million_deaths_do_not_overflow(void **state)
{
	struct backoff backoff = { 10000000 };

	(void)state;
	assert_int_equal(backoff_ended(&backoff, 0, MAXIMUM_MS), MAXIMUM_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_double_from_a_tenth_of_a_second_to_the_maximum),
		cmocka_unit_test(a_life_of_a_minute_is_forgiven),
		cmocka_unit_test(a_life_just_short_of_a_minute_is_not),
		cmocka_unit_test(the_fifth_short_life_is_failing),
		cmocka_unit_test(ten_million_deaths_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
