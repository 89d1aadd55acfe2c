/* test_choice - the options that choose messages */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "master/matador/choice.h"

static struct choice
take(int option, const char *argument)
{
	struct choice choice = CHOICE_INITIALIZER;
	struct error error = ERROR_INITIALIZER;

	assert_int_equal(choice_take_option(&choice, option, argument, &error), 0);
	assert_true(choice.given);
	return choice;
}

static void
each_option_fills_its_field(void **state)
{
	(void)state;
	assert_string_equal(take('S', "<>").sender, "<>");
	assert_string_equal(take('R', "@acme.com").recipient, "@acme.com");
	assert_string_equal(take('D', "smtp:mx.example.org").destination, "smtp:mx.example.org");
	assert_string_equal(take('T', "deferred").state, "deferred");
	assert_string_equal(take('T', "waiting").state, "waiting");
}

static void
ages_take_a_unit(void **state)
{
	(void)state;
	assert_int_equal(take('O', "90").older_than, 90);
	assert_int_equal(take('O', "90s").older_than, 90);
	assert_int_equal(take('O', "15m").older_than, 900);
	assert_int_equal(take('O', "4h").older_than, 14400);
	assert_int_equal(take('O', "2d").older_than, 172800);
}

static void
nonsense_is_refused(void **state)
{
	static const struct {
		int option;
		const char *argument;
	} rows[] = { { 'I', "not an id" }, { 'I', "" }, { 'T', "asleep" }, { 'O', "3 weeks" }, { 'O', "-3h" }, { 'O', "" },
		{ 'O', "0" }, { 'O', "99999999999999999999d" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct choice choice = CHOICE_INITIALIZER;
		struct error error = ERROR_INITIALIZER;

		if (choice_take_option(&choice, rows[i].option, rows[i].argument, &error) != -1)
			fail_msg("-%c %s was taken", rows[i].option, rows[i].argument);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option_fills_its_field),
		cmocka_unit_test(ages_take_a_unit),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
