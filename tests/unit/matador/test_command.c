/* test_command - words on the command line find their command */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/attributes.h"
#include "master/matador/command.h"

static const struct command *
find(int argc, const char *first, const char *second, int *words_out)
{
	char *argv[] = { (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL };

	return command_find(argc, argv, words_out);
}

static void
one_word_and_two_words_are_found(void **state)
{
	int words;

	(void)state;
	assert_string_equal(find(1, "status", NULL, &words)->name, "status");
	assert_int_equal(words, 1);
	assert_string_equal(find(2, "status", "--json", &words)->name, "status");
	assert_int_equal(words, 1);
	assert_string_equal(find(2, "queue", "list", &words)->name, "queue list");
	assert_int_equal(words, 2);
}

static void
other_words_are_not(void **state)
{
	int words;

	(void)state;
	assert_null(find(1, "queue", NULL, &words));
	assert_null(find(2, "queue", "lis", &words));
	assert_null(find(2, "queue", "lists", &words));
	assert_null(find(1, "statu", NULL, &words));
	assert_null(find(1, "", NULL, &words));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_word_and_two_words_are_found),
		cmocka_unit_test(other_words_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
