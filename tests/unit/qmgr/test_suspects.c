/* suspects: which messages count as those that kill workers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "qmgr/suspects.h"

#define HOUR INT64_C(3600000)

static struct suspects suspects;

static int
set_up(UNUSED void **state)
{
	suspects_init(&suspects);
	return 0;
}

static int
tear_down(UNUSED void **state)
{
	suspects_free(&suspects);
	return 0;
}

static void
die(int64_t now, size_t count, const uint64_t *ids)
{
	suspects_note_death(&suspects, ids, count, now);
}

static void
counts_deaths_and_not_jobs(UNUSED void **state)
{
	static const uint64_t jobs[] = { 1, 1, 2, 1 };

	die(0, 4, jobs);
	assert_int_equal(suspects_deaths(&suspects, 1), 1);
	assert_int_equal(suspects_deaths(&suspects, 2), 1);
	die(1, 4, jobs);
	assert_int_equal(suspects_deaths(&suspects, 1), 2);
	assert_int_equal(suspects_deaths(&suspects, 3), 0);
}

static void
suspects_no_newcomer_beside_one_that_was_there_before(UNUSED void **state)
{
	static const uint64_t first[] = { 1, 2 }, second[] = { 1, 3 }, third[] = { 3, 4 };

	die(0, 2, first);
	die(1, 2, second);
	assert_int_equal(suspects_deaths(&suspects, 1), 2);
	assert_int_equal(suspects_deaths(&suspects, 2), 1);
	assert_int_equal(suspects_deaths(&suspects, 3), 0);
	die(2, 2, third);
	assert_int_equal(suspects_deaths(&suspects, 3), 1);
}

static void
forgets_after_an_hour_without_a_death(UNUSED void **state)
{
	static const uint64_t ids[] = { 1, 2 };

	die(0, 2, ids);
	die(HOUR / 2, 1, ids);
	die(HOUR, 1, ids);
	assert_int_equal(suspects_deaths(&suspects, 1), 3);
	assert_int_equal(suspects_deaths(&suspects, 2), 0);
	die(3 * HOUR, 1, ids);
	assert_int_equal(suspects_deaths(&suspects, 1), 1);
}

static void
remembers_a_bounded_number(UNUSED void **state)
{
	uint64_t id;

	for (id = 1; id <= 30000; id++)
		die(0, 1, &id);
	assert_int_equal(suspects.by_id.count, 10000);
	assert_int_equal(suspects_deaths(&suspects, 1), 0);
	assert_int_equal(suspects_deaths(&suspects, 30000), 1);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		CASE(counts_deaths_and_not_jobs),
		CASE(suspects_no_newcomer_beside_one_that_was_there_before),
		CASE(forgets_after_an_hour_without_a_death),
		CASE(remembers_a_bounded_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
