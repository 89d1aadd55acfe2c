/* test_error - error values: their texts, and which of them are worth another attempt */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/base/error.h"

static void
a_text_is_made_and_prefixed(void **state)
{
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(error_set(&error, ERROR_INVALID, "line %d", 7), -1);
	assert_int_equal(error.kind, ERROR_INVALID);
	assert_string_equal(error.text, "line 7");
	assert_int_equal(error_prefix(&error, "%s", "server.conf"), -1);
	assert_string_equal(error.text, "server.conf: line 7");
}

static void
an_error_of_the_system_names_its_reason(void **state)
{
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(error_system(&error, ENOENT, "open %s", "x"), -1);
	assert_int_equal(error.kind, ERROR_SYSTEM);
	assert_int_equal(error.number, ENOENT);
	assert_string_equal(error.text, "open x: No such file or directory");
}

static void
a_long_text_is_cut(void **state)
{
	struct error error = ERROR_INITIALIZER;
	char longest[5000];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	error_set(&error, ERROR_INVALID, "%s", longest);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	error_system(&error, ENOENT, "%s", longest);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	error_prefix(&error, "%s", longest);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

static void
nobody_needs_to_want_the_text(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, ERROR_LIMIT, "full"), -1);
	assert_int_equal(error_system(NULL, EIO, "read"), -1);
	assert_int_equal(error_prefix(NULL, "queue"), -1);
}

static void
what_may_pass_by_itself_is_temporary(void **state)
{
	static const struct {
		enum error_kind kind;
		bool temporary;
	} kinds[] = {
		{ ERROR_SYSTEM, true }, { ERROR_LIMIT, true }, { ERROR_UNAVAILABLE, true },
		{ ERROR_INVALID, false }, { ERROR_DAMAGED, false }, { ERROR_NONE, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct error error = { .kind = kinds[i].kind };

		assert_int_equal(error_is_temporary(&error), kinds[i].temporary);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_made_and_prefixed),
		cmocka_unit_test(an_error_of_the_system_names_its_reason),
		cmocka_unit_test(a_long_text_is_cut),
		cmocka_unit_test(nobody_needs_to_want_the_text),
		cmocka_unit_test(what_may_pass_by_itself_is_temporary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
