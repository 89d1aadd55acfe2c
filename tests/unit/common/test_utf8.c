/* test_utf8 - what is UTF-8 and what only looks like it (hostile-inputs rows 20, 21, 51) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "common/base/utf8.h"

static const struct {
	const char *name;
	const char *text;
	bool valid;
} cases[] = {
	{ "nothing", "", true },
	{ "ASCII", "abc\x7f", true },
	{ "two, three and four octets", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7", true },
	{ "the last character there is", "\xf4\x8f\xbf\xbf", true },
	{ "one beyond it", "\xf4\x90\x80\x80", false },
	{ "an overlong slash", "\xc0\xaf", false },
	{ "an overlong NUL", "\xe0\x80\x80", false },
	{ "an overlong form of four", "\xf0\x80\x80\xaf", false },
	{ "a surrogate", "\xed\xa0\x80", false },
	{ "a continuation alone", "a\x80", false },
	{ "a sequence cut short", "a\xe2\x82", false },
	{ "a sequence broken by ASCII", "\xc3(", false },
	{ "0xff", "\xff", false },
};

static void
text_is_utf8_or_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		if (utf8_is_valid(cases[i].text, strlen(cases[i].text)) != cases[i].valid)
			fail_msg("%s", cases[i].name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(text_is_utf8_or_not) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
