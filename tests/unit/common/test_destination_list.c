/* test_destination_list - lists of domains that mail goes to (docs/reference/domino-semantics.md, 7.1) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "common/conf/destination_list.h"

static const struct {
	const char *entry;
	const char *destination;
	bool whole_labels;
	bool matches;
	const char *why;
} match_cases[] = {
	{ "abc.com", "abc.com", false, true, "a tail matches itself" },
	{ "abc.com", "dev.abc.com", false, true, "a tail matches below" },
	{ "abc.com", "xyzabc.com", false, true, "a tail matches by characters, as documented" },
	{ "abc.com", "xyzabc.com", true, false, "whole labels do not" },
	{ "abc.com", "dev.abc.com", true, true, "whole labels match below" },
	{ "abc.com", "abc.com.evil.example", false, false, "a tail is no head" },
	{ "@abc.com", "abc.com", false, true, "@ matches exactly this domain" },
	{ "@abc.com", "dev.abc.com", false, false, "@ does not match below" },
	{ "@abc.com", "xyzabc.com", false, false, "@ does not match by characters" },
	{ ".abc.com", "dev.abc.com", false, true, "a leading dot: below" },
	{ ".abc.com", "abc.com", false, false, "a leading dot: not itself" },
	{ "%AcmeEast", "%acmeeast", false, true, "a Domino domain, without case" },
	{ "%AcmeEast", "acmeeast", false, false, "a Domino domain is no Internet domain" },
	{ "%AcmeEast", "%AcmeEastern", false, false, "another Domino domain" },
	{ "*", "anything.example", false, true, "* is everything" },
	{ "*", "%AcmeEast", false, true, "* is every Domino domain too" },
	{ "*", "[192.0.2.1]", false, true, "* is every address literal too" },
	{ "*", "", false, true, "* is even what has no name" },
	{ "192.com", "[192.0.2.1]", false, false, "an address literal has no tail" },
	{ "bücher.example", "xn--bcher-kva.example", false, true, "one domain in two forms" },
	{ "@xn--bcher-kva.example", "bücher.example", false, true, "one domain in two forms, the other way round" },
	{ "abc.com", "☃.abc.com", false, true, "a tail matches below, by a label that IDNA refuses" },
	{ "abc.com", "☃.abc.com", true, true, "whole labels match below, by such a label" },
	{ "bücher.example", "☃.BÜCHER.example", false, true, "below a domain in another form, by such a label" },
	{ ".abc.com", "☃.abc.com", false, true, "a leading dot: below, by such a label" },
	{ "@abc.com", "☃.abc.com", false, false, "@ does not match below, by such a label either" },
	{ "@☃.abc.com", "☃.abc.com", false, true, "@ matches exactly what IDNA refuses" },
	{ "abc.com", "abc.☃", false, false, "a domain whose last label is refused" },
	{ "Partners", "partners", false, false, "a group's name is no domain" },
};

static void
entries_match_as_the_reference_says(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(match_cases); i++) {
		struct setting_item item = { match_cases[i].entry, { "f", 7 } };
		struct setting setting = { .text = "", .items = &item, .count = 1 };
		struct destination_list *list = destination_list_new(&setting, NULL, match_cases[i].whole_labels);

		assert_false(destination_list_is_empty(list));
		if (destination_list_find(list, match_cases[i].destination) != (match_cases[i].matches ? &item : NULL))
			fail_msg("%s", match_cases[i].why);
		destination_list_free(&list);
		assert_null(list);
	}
}

static void
the_first_entry_is_told(void **state UNUSED)
{
	struct setting_item items[] = { { "@abc.com", { "f", 1 } }, { "*", { "f", 2 } }, { "abc.com", { "f", 3 } } };
	struct setting setting = { .text = "", .items = items, .count = 3 };
	struct destination_list *list = destination_list_new(&setting, NULL, false);

	assert_ptr_equal(destination_list_find(list, "abc.com"), &items[0]);
	assert_ptr_equal(destination_list_find(list, "x.abc.com"), &items[1]);
	destination_list_free(&list);
}

static void
entries_of_the_other_list_match_nothing(void **state UNUSED)
{
	struct setting_item allowed[] = { { "xyz.com", { "f", 1 } }, { "*", { "f", 2 } }, { "%East", { "f", 3 } } };
	struct setting_item denied[] = { { "%east", { "f", 4 } }, { "xyz.com", { "f", 5 } } };
	struct setting setting = { .text = "", .items = allowed, .count = 3 };
	struct setting except = { .text = "", .items = denied, .count = 2 };
	struct destination_list *list = destination_list_new(&setting, &except, false);

	assert_ptr_equal(destination_list_find(list, "xyz.com"), &allowed[1]);
	assert_ptr_equal(destination_list_find(list, "%East"), &allowed[1]);
	destination_list_free(&list);
}

static void
an_empty_list_has_nothing(void **state UNUSED)
{
	struct setting setting = { .text = "" };
	struct destination_list *list = destination_list_new(&setting, NULL, false);

	assert_true(destination_list_is_empty(list));
	assert_null(destination_list_find(list, "abc.com"));
	destination_list_free(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_match_as_the_reference_says),
		cmocka_unit_test(the_first_entry_is_told),
		cmocka_unit_test(entries_of_the_other_list_match_nothing),
		cmocka_unit_test(an_empty_list_has_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
