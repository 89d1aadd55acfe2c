/* test_place - the paths are found in a document whatever else stands in it */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "master/matador/place.h"

struct scan_case {
	const char *name;
	const char *text;
	const char *value;	/* NULL: not found */
};

static const struct scan_case cases[] = {
	{ "a bare word", "control_socket = /run/x\n", "/run/x" },
	{ "a string with escapes", "control_socket = \"/run/a \\\"b\\\\c\"", "/run/a \"b\\c" },
	{ "white space and line ends are alike", "control_socket\n=\n\t/run/x", "/run/x" },
	{ "no white space at all", "a=b control_socket=/run/x", "/run/x" },
	{ "a comment does not count", "# control_socket = /no\ncontrol_socket = /yes # x\n", "/yes" },
	{ "a comment inside a string is text", "a = \"# b\" control_socket = /run/x", "/run/x" },
	{ "another key's value does not count", "a = control_socket\nb = /no", NULL },
	{ "a key in a section does not count", "server \"x\" { control_socket = /no } control_socket = /yes", "/yes" },
	{ "a list is passed over", "listen_addresses = { \"*\", control_socket } control_socket = /x", "/x" },
	{ "a longer key is another one", "my_control_socket = /no", NULL },
	{ "a mistake elsewhere does not matter", "} = = , \"\ncontrol_socket = /x", NULL },
	{ "a closing brace too many does not matter", "} control_socket = /x", "/x" },
	{ "nothing", "", NULL },
	{ "a key without a value", "control_socket =", NULL },
};

static void
the_value_is_found(void **state)
{
	char value[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool found = place_scan(cases[i].text, "control_socket", value, sizeof(value), NULL, NULL);

		if (found != (cases[i].value != NULL) || (found && strcmp(value, cases[i].value) != 0))
			fail_msg("%s: %s", cases[i].name, found ? value : "not found");
	}
}

static bool
include_once(void *context, const char *file)
{
	*(const char **)context = file;
	return strcmp(file, "local.conf") == 0;
}

static void
an_include_is_followed_where_it_stands(void **state)
{
	char value[PATH_MAX];
	const char *included = NULL;

	(void)state;
	assert_true(place_scan("include \"local.conf\" control_socket = /later", "control_socket", value, sizeof(value),
	    include_once, &included));
	assert_non_null(included);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_value_is_found),
		cmocka_unit_test(an_include_is_followed_where_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
