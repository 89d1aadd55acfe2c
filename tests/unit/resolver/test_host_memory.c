/* Unit tests of resolver/host_memory.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/host_memory.h"

static void
remembers_until_the_time_is_over(void **state)
{
	struct host_memory *memory = host_memory_new(10);
	const char *text;

	(void)state;
	host_memory_failed(memory, "Mail.Example", 25, "time-out", 1000, 900);
	assert_int_equal(host_memory_remaining(memory, "mail.example", 25, 1000, &text), 900);
	assert_string_equal(text, "time-out");
	assert_int_equal(host_memory_remaining(memory, "MAIL.example", 25, 1899, &text), 1);
	assert_int_equal(host_memory_remaining(memory, "mail.example", 26, 1000, &text), 0);
	assert_int_equal(host_memory_remaining(memory, "mail.exampl", 25, 1000, &text), 0);
	assert_int_equal(host_memory_count(memory), 1);
	assert_int_equal(host_memory_remaining(memory, "mail.example", 25, 1900, &text), 0);
	assert_string_equal(text, "");
	assert_int_equal(host_memory_count(memory), 0);
	host_memory_free(&memory);
}

static void
counts_from_the_last_failure(void **state)
{
	struct host_memory *memory = host_memory_new(10);
	const char *text;

	(void)state;
	host_memory_failed(memory, "a", 25, "time-out", 1000, 900);
	host_memory_failed(memory, "A", 25, "refused", 1500, 900);
	assert_int_equal(host_memory_count(memory), 1);
	assert_int_equal(host_memory_remaining(memory, "a", 25, 1500, &text), 900);
	assert_string_equal(text, "refused");
	host_memory_free(&memory);
}

static void
forgets_what_works(void **state)
{
	struct host_memory *memory = host_memory_new(10);
	const char *text;

	(void)state;
	host_memory_failed(memory, "a", 25, "", 0, 900);
	host_memory_failed(memory, "a", 26, "", 0, 900);
	host_memory_works(memory, "A", 25);
	host_memory_works(memory, "b", 25);
	assert_int_equal(host_memory_remaining(memory, "a", 25, 0, &text), 0);
	assert_int_equal(host_memory_remaining(memory, "a", 26, 0, &text), 900);
	host_memory_free(&memory);
}

static void
forgets_the_oldest_when_it_is_full(void **state)
{
	struct host_memory *memory = host_memory_new(3);
	char name[16], longest[400];
	const char *text;
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "host%u", i);
		host_memory_failed(memory, name, 25, "", i, 900);
	}
	host_memory_failed(memory, "host0", 25, "again", 10, 900);
	host_memory_failed(memory, "host3", 25, "", 11, 900);
	assert_int_equal(host_memory_count(memory), 3);
	assert_int_equal(host_memory_remaining(memory, "host1", 25, 11, &text), 0);
	assert_int_equal(host_memory_remaining(memory, "host0", 25, 11, &text), 899);
	assert_true(host_memory_remaining(memory, "host2", 25, 11, &text) > 0);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	host_memory_failed(memory, longest, 25, longest, 12, 900);
	assert_int_equal(host_memory_remaining(memory, longest, 25, 12, &text), 900);
	assert_int_equal(host_memory_count(memory), 3);
	host_memory_free(&memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers_until_the_time_is_over),
		cmocka_unit_test(counts_from_the_last_failure),
		cmocka_unit_test(forgets_what_works),
		cmocka_unit_test(forgets_the_oldest_when_it_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
