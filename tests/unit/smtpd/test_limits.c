/* test_limits - sessions are counted, in all and by client (hostile-inputs row 97) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/limits.h"

static struct in6_addr
client(unsigned number)
{
	return (struct in6_addr){ .s6_addr = { 0x20, 0x01, [12] = (uint8_t)(number >> 24), (uint8_t)(number >> 16),
		(uint8_t)(number >> 8), (uint8_t)number } };
}

static void
one_client_has_its_own_limit(void **state)
{
	struct limits *limits = limits_new();
	struct in6_addr one = client(1), other = client(2);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(limits_enter(limits, &one, 10, 3), LIMITS_ENTERED);
	assert_int_equal(limits_enter(limits, &one, 10, 3), LIMITS_TOO_MANY_FROM_CLIENT);
	assert_int_equal(limits_enter(limits, &other, 10, 3), LIMITS_ENTERED);
	limits_leave(limits, &one);
	assert_int_equal(limits_enter(limits, &one, 10, 3), LIMITS_ENTERED);
	assert_int_equal(limits_sessions(limits), 4);
	limits_free(&limits);
}

static void
all_together_have_one(void **state)
{
	struct limits *limits = limits_new();

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct in6_addr address = client(i);

		assert_int_equal(limits_enter(limits, &address, 1000, 1), LIMITS_ENTERED);
	}
	for (unsigned i = 0; i < 1000; i++) {
		struct in6_addr address = client(i), late = client(5000 + i);

		assert_int_equal(limits_enter(limits, &late, 1000, 1), LIMITS_TOO_MANY);
		limits_leave(limits, &address);
		assert_int_equal(limits_enter(limits, &late, 1000, 1), LIMITS_ENTERED);
	}
	for (unsigned i = 0; i < 1000; i++) {
		struct in6_addr late = client(5000 + i);

		limits_leave(limits, &late);
	}
	assert_int_equal(limits_sessions(limits), 0);
	limits_free(&limits);
	limits_free(&limits);
}

static void
a_client_is_crowded_from_its_share_on_or_when_it_is_watched(void **state)
{
	struct limits *limits = limits_new();
	struct in6_addr one = client(1), other = client(2);

	(void)state;
	assert_true(limits_is_crowded(limits, &one, 0));
	assert_false(limits_is_crowded(limits, &one, 2));
	limits_enter(limits, &one, 10, 5);
	assert_false(limits_is_crowded(limits, &one, 2));
	limits_enter(limits, &one, 10, 5);
	assert_true(limits_is_crowded(limits, &one, 2));
	limits_leave(limits, &one);
	assert_false(limits_is_crowded(limits, &one, 2));
	limits_watch(limits, &one, true);
	limits_watch(limits, &other, true);
	limits_leave(limits, &one);
	assert_true(limits_is_crowded(limits, &one, 2));
	assert_true(limits_is_watched(limits, &other));
	limits_watch(limits, &one, false);
	assert_false(limits_is_crowded(limits, &one, 2));
	limits_watch_nobody(limits);
	assert_false(limits_is_watched(limits, &other));
	limits_free(&limits);
}

static void
what_policy_is_asked_about_is_not_open(void **state)
{
	struct limits *limits = limits_new();
	struct in6_addr one = client(1);

	(void)state;
	limits_enter(limits, &one, 10, 3);
	limits_enter(limits, &one, 10, 3);
	limits_ask(limits, &one);
	assert_int_equal(limits_open_sessions(limits, &one), 1);
	limits_answered(limits, &one);
	assert_int_equal(limits_open_sessions(limits, &one), 2);
	limits_free(&limits);
}

static void
a_refused_session_is_one_of_all_but_not_of_its_client(void **state)
{
	struct limits *limits = limits_new();
	struct in6_addr one = client(1);

	(void)state;
	limits_enter(limits, &one, 2, 1);
	limits_refuse(limits, &one);
	assert_int_equal(limits_open_sessions(limits, &one), 0);
	assert_int_equal(limits_sessions(limits), 1);
	assert_int_equal(limits_enter(limits, &one, 2, 1), LIMITS_ENTERED);
	assert_int_equal(limits_enter(limits, &one, 2, 1), LIMITS_TOO_MANY);
	limits_leave_refused(limits);
	assert_int_equal(limits_enter(limits, &one, 2, 1), LIMITS_TOO_MANY_FROM_CLIENT);
	limits_free(&limits);
}

/* Whatever was thought of it in between: a place that is lost is lost until the process ends. */
static void
a_session_that_ended_is_one_less_of_all_even_when_its_client_has_none(void **state)
{
	struct limits *limits = limits_new();
	struct in6_addr one = client(1);

	(void)state;
	limits_enter(limits, &one, 1, 1);
	limits_refuse(limits, &one);
	limits_leave(limits, &one);
	assert_int_equal(limits_sessions(limits), 0);
	assert_int_equal(limits_enter(limits, &one, 1, 1), LIMITS_ENTERED);
	limits_free(&limits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_client_has_its_own_limit),
		cmocka_unit_test(all_together_have_one),
		cmocka_unit_test(a_client_is_crowded_from_its_share_on_or_when_it_is_watched),
		cmocka_unit_test(what_policy_is_asked_about_is_not_open),
		cmocka_unit_test(a_refused_session_is_one_of_all_but_not_of_its_client),
		cmocka_unit_test(a_session_that_ended_is_one_less_of_all_even_when_its_client_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
