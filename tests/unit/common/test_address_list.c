/* test_address_list - lists of addresses and domains (docs/reference/domino-semantics.md, 7.1 and 7.9) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/conf/address_list.h"

/* 240 octets that are 640 in A-labels. */
#define TEN_LABELS "é.é.é.é.é.é.é.é.é.é."
#define LONG_LABELS TEN_LABELS TEN_LABELS TEN_LABELS TEN_LABELS TEN_LABELS TEN_LABELS TEN_LABELS TEN_LABELS

static struct address
address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, strlen(text), ADDRESS_ALLOW_UTF8 | ADDRESS_ALLOW_BARE_POSTMASTER, &address, NULL), 0);
	return address;
}

static const struct {
	const char *entry;
	const char *address;
	bool matches;
	const char *why;
} match_cases[] = {
	{ "jane@abc.com", "jane@abc.com", true, "an address" },
	{ "jane@abc.com", "JANE@ABC.com", true, "an address, without case" },
	{ "jane@abc.com", "jane.doe@abc.com", false, "another local part" },
	{ "jane@abc.com", "mary-jane@abc.com", false, "an address matches whole, never by its tail" },
	{ "jane@abc.com", "jane@dev.abc.com", false, "another domain" },
	{ "\"jane doe\"@abc.com", "\"Jane Doe\"@abc.com", true, "a quoted address" },
	{ "jane@abc.com", "\"jane\"@abc.com", true, "quotes that need not be there change nothing" },
	{ "jane@abc.com", "\"jane@abc.com\"@evil.example", false, "a local part that looks like the address" },
	{ "abc.com", "\"x@abc.com\"@evil.example", false, "a local part that looks like the domain" },
	{ "@abc.com", "\"x@abc.com\"@evil.example", false, "a local part that looks like @domain" },
	{ "abc.com", "jane@abc.com", true, "a domain" },
	{ "abc.com", "jane@dev.abc.com", true, "below a domain" },
	{ "abc.com", "jane@xyzabc.com", false, "a domain matches by labels" },
	{ "abc.com", "abc.com@evil.example", false, "a local part is no domain" },
	{ ".abc.com", "jane@dev.abc.com", true, "a leading dot: below" },
	{ ".abc.com", "jane@abc.com", false, "a leading dot: not itself" },
	{ "@abc.com", "jane@abc.com", true, "@domain: the domain" },
	{ "@abc.com", "jane@dev.abc.com", false, "@domain: not below" },
	{ "bücher.example", "jane@xn--bcher-kva.example", true, "one domain in two forms" },
	{ "jane@bücher.example", "jane@xn--bcher-kva.example", true, "one address in two forms" },
	{ "jane@[192.0.2.1]", "jane@[192.0.2.1]", true, "an address literal" },
	{ "abc.com", "jane@☃.abc.com", true, "below a domain, by a label that IDNA refuses" },
	{ "abc.com", "jane@dev.☃.abc.com", true, "below a domain, by such a label in the middle" },
	{ "bücher.example", "jane@☃.BÜCHER.example", true, "below a domain in another form, by such a label" },
	{ "abc.com", "jane@" LONG_LABELS "abc.com", true, "below a domain, by more labels than A-labels have room for" },
	{ ".abc.com", "jane@☃.abc.com", true, "a leading dot: below, by such a label" },
	{ "@abc.com", "jane@☃.abc.com", false, "@domain: not below, by such a label either" },
	{ "jane@abc.com", "jane@☃.abc.com", false, "another domain, by such a label" },
	{ "abc.com", "jane@☃abc.com", false, "a domain matches by labels, such ones too" },
	{ "abc.com", "jane@abc.☃", false, "a domain whose last label is refused" },
	{ "☃.example", "jane@dev.☃.example", true, "an entry that IDNA refuses" },
	{ "☃.example", "jane@★.example", false, "an entry that IDNA refuses is no other" },
	{ "Partners", "partners@abc.com", false, "a group's name is no address" },
	{ "postmaster@abc.com", "postmaster", false, "postmaster without a domain" },
};

static void
entries_match_as_the_reference_says(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(match_cases); i++) {
		struct setting_item item = { match_cases[i].entry, { "f", 7 } };
		struct setting setting = { .text = "", .items = &item, .count = 1 };
		struct address_list *list = address_list_new(&setting);
		struct address address = address_of(match_cases[i].address);

		assert_false(address_list_is_empty(list));
		if (address_list_find(list, &address) != (match_cases[i].matches ? &item : NULL))
			fail_msg("%s", match_cases[i].why);
		address_list_free(&list);
		assert_null(list);
	}
}

static void
the_longest_local_part_at_the_longest_domain_is_found(void **state UNUSED)
{
	struct setting_item item = { "abc.com", { "f", 7 } };
	struct setting setting = { .text = "", .items = &item, .count = 1 };
	struct address_list *list = address_list_new(&setting);
	struct address address;
	char text[ADDRESS_PATH_MAX], *to = text;

	/* In front of it as many labels as A-labels have room for, each of them many octets longer as one. */
	to += sprintf(to, "%0*d@☃.", ADDRESS_LOCAL_PART_MAX, 0);
	for (int i = 0; i < 14; i++)
		to = stpcpy(to, "☃☃☃.");
	for (int i = 0; i < 22; i++)
		to = stpcpy(to, "㌖.");
	strcpy(to, "abc.com");
	address = address_of(text);
	assert_ptr_equal(address_list_find(list, &address), &item);
	address_list_free(&list);
}

static void
the_first_entry_is_told(void **state UNUSED)
{
	struct setting_item items[] = { { "mary@abc.com", { "f", 1 } }, { "abc.com", { "f", 2 } }, { "jane@abc.com", { "f", 3 } } };
	struct setting setting = { .text = "", .items = items, .count = 3 };
	struct address_list *list = address_list_new(&setting);
	struct address jane = address_of("jane@abc.com"), mary = address_of("mary@abc.com");

	assert_ptr_equal(address_list_find(list, &jane), &items[1]);
	assert_ptr_equal(address_list_find(list, &mary), &items[0]);
	address_list_free(&list);
}

static void
an_empty_list_has_nobody(void **state UNUSED)
{
	struct setting setting = { .text = "" };
	struct address_list *list = address_list_new(&setting);
	struct address jane = address_of("jane@abc.com");

	assert_true(address_list_is_empty(list));
	assert_null(address_list_find(list, &jane));
	address_list_free(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_match_as_the_reference_says),
		cmocka_unit_test(the_longest_local_part_at_the_longest_domain_is_found),
		cmocka_unit_test(the_first_entry_is_told),
		cmocka_unit_test(an_empty_list_has_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
