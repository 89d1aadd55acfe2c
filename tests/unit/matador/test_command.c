/* test_command - words on the command line find their command, and its messages are fit for a terminal */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

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

static void
a_message_keeps_its_lines_and_nothing_else_that_moves_the_cursor(void **state)
{
	char *argv[] = { (char *)(uintptr_t)"matador submit", NULL }, written[200];
	FILE *file = tmpfile();
	int kept = dup(STDERR_FILENO), status;
	size_t length;

	(void)state;
	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	status = command_fail(argv, EX_TEMPFAIL, "%d %s", 451, "one\ntwo \xc2\x9b" "2J\r\x1b\x7f\xc3\xa9\n\nend");
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	length = fread(written, 1, sizeof(written) - 1, file);
	written[length] = '\0';
	fclose(file);
	assert_int_equal(status, EX_TEMPFAIL);
	assert_string_equal(written, "matador submit: 451 one\ntwo ??2J???\xc3\xa9\n\nend\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_word_and_two_words_are_found),
		cmocka_unit_test(other_words_are_not),
		cmocka_unit_test(a_message_keeps_its_lines_and_nothing_else_that_moves_the_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
