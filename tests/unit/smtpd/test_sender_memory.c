/* test_sender_memory - answers about senders' domains are kept for as long as they hold, and not too many of them */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "smtpd/sender_memory.h"

static bool
has(struct sender_memory *memory, const char *key)
{
	struct fact_answer answer;

	return sender_memory_find(memory, key, &answer);
}

static void
keep(struct sender_memory *memory, const char *key, int64_t lasts_ms)
{
	sender_memory_keep(memory, key, &(struct fact_answer){ .fact = FACT_SENDER_DOMAIN, .lasts_ms = lasts_ms,
	    .sender_domain = SENDER_DOMAIN_MISSING });
}

static void
an_answer_counts_until_its_time_is_over(void **state)
{
	struct sender_memory *memory = sender_memory_new();

	(void)state;
	keep(memory, "short\n", 20);
	keep(memory, "long\n", 600000);
	keep(memory, "none\n", 0);
	usleep(30000);
	assert_false(has(memory, "short\n"));
	assert_true(has(memory, "long\n"));
	assert_false(has(memory, "none\n"));
	assert_int_equal(sender_memory_count(memory), 1);
	sender_memory_free(&memory);
}

static void
the_last_answer_takes_the_place_of_an_older_one(void **state)
{
	struct sender_memory *memory = sender_memory_new();
	struct fact_answer answer = { .fact = FACT_SPF, .lasts_ms = 600000, .spf = { SPF_VERDICT_PASS, SPF_VERDICT_PASS, "" } };

	(void)state;
	sender_memory_keep(memory, "key\n", &answer);
	answer.spf.mail = SPF_VERDICT_FAIL;
	answer.spf.text = "no more";
	sender_memory_keep(memory, "key\n", &answer);
	assert_int_equal(sender_memory_count(memory), 1);
	assert_true(sender_memory_find(memory, "key\n", &answer));
	assert_int_equal(answer.spf.mail, SPF_VERDICT_FAIL);
	assert_string_equal(answer.spf.text, "no more");
	answer.lasts_ms = 0;
	sender_memory_keep(memory, "key\n", &answer);
	assert_false(has(memory, "key\n"));
	sender_memory_free(&memory);
}

static void
what_was_used_longest_ago_goes_first(void **state)
{
	struct sender_memory *memory = sender_memory_new();
	char key[32];

	(void)state;
	for (unsigned i = 0; i < SENDER_MEMORY_RECORDS; i++) {
		snprintf(key, sizeof(key), "%u\n", i);
		keep(memory, key, 600000);
	}
	assert_true(has(memory, "0\n"));
	keep(memory, "one more\n", 600000);
	assert_int_equal(sender_memory_count(memory), SENDER_MEMORY_RECORDS);
	assert_true(has(memory, "0\n"));
	assert_false(has(memory, "1\n"));
	sender_memory_free(&memory);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_counts_until_its_time_is_over),
		cmocka_unit_test(the_last_answer_takes_the_place_of_an_older_one),
		cmocka_unit_test(what_was_used_longest_ago_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
