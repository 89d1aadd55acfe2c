/* test_conf_host_entry - entries of host lists (docs/reference/domino-semantics.md, 7.1) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/conf/host_entry.h"
#include "common/conf/host_list.h"

static const struct {
	const char *entry;
	const char *address;
	const char *name;
	bool whole_labels;
	bool matches;
	const char *why;
} match_cases[] = {
	{ "abc.com", "192.0.2.1", "smtp.abc.com", false, true, "a tail matches a host below" },
	{ "abc.com", "192.0.2.1", "abc.com", false, true, "a tail matches itself" },
	{ "abc.com", "192.0.2.1", "xyzabc.com", false, true, "a tail matches by characters, as documented" },
	{ "abc.com", "192.0.2.1", "xyzabc.com", true, false, "whole labels do not" },
	{ "abc.com", "192.0.2.1", "smtp.abc.com", true, true, "whole labels match below" },
	{ "abc.com", "192.0.2.1", "ABC.com.", false, true, "case and a final dot do not matter" },
	{ "abc.com", "192.0.2.1", "abc.com.evil.example", false, false, "a tail is no head" },
	{ "abc.com", "192.0.2.1", "bc.com", false, false, "a name shorter than the tail" },
	{ "abc.com", "192.0.2.1", "", false, false, "no name" },
	{ "abc.com", "192.0.2.1", NULL, false, false, "no name at all" },
	{ ".abc.com", "192.0.2.1", "smtp.abc.com", false, true, "a leading dot: below" },
	{ ".abc.com", "192.0.2.1", "abc.com", false, false, "a leading dot: not itself" },
	{ ".abc.com", "192.0.2.1", "xyzabc.com", false, false, "a leading dot: no characters" },
	{ "[192.168.10.17]", "192.168.10.17", NULL, false, true, "an address" },
	{ "[192.168.10.17]", "192.168.10.18", NULL, false, false, "another address" },
	{ "[192.168.10.17]", "::ffff:192.168.10.17", NULL, false, true, "a mapped address is the IPv4 address" },
	{ "[192.168.10.17]", "2001:db8::1", NULL, false, false, "an IPv6 client" },
	{ "[192.168.10.*]", "192.168.10.255", NULL, false, true, "a wildcard" },
	{ "[192.168.10.*]", "192.168.11.1", NULL, false, false, "outside of a wildcard" },
	{ "[192.168.1-10.*]", "192.168.1.200", NULL, false, true, "the beginning of a range" },
	{ "[192.168.1-10.*]", "192.168.10.0", NULL, false, true, "the end of a range" },
	{ "[192.168.1-10.*]", "192.168.11.0", NULL, false, false, "behind a range" },
	{ "[192.168.1.0/24]", "192.168.1.255", NULL, false, true, "inside a mask" },
	{ "[192.168.1.0/24]", "192.168.2.0", NULL, false, false, "outside of a mask" },
	{ "[192.168.1.77/24]", "192.168.1.3", NULL, false, true, "bits behind the mask do not count" },
	{ "[10.0.0.0/9]", "10.127.255.255", NULL, false, true, "a mask inside an octet" },
	{ "[10.0.0.0/9]", "10.128.0.0", NULL, false, false, "behind a mask inside an octet" },
	{ "[0.0.0.0/0]", "203.0.113.9", NULL, false, true, "mask 0 is every IPv4 address" },
	{ "[0.0.0.0/0]", "2001:db8::1", NULL, false, false, "mask 0 is no IPv6 address" },
	{ "[192.0.2.1/32]", "192.0.2.1", NULL, false, true, "mask 32 is one address" },
	{ "[2001:db8::/32]", "2001:db8:ffff::1", NULL, false, true, "inside an IPv6 prefix" },
	{ "[2001:db8::/32]", "2001:db9::1", NULL, false, false, "outside of an IPv6 prefix" },
	{ "[2001:db8::/33]", "2001:db8:8000::1", NULL, false, false, "a prefix inside an octet" },
	{ "[2001:db8::1]", "2001:db8::1", NULL, false, true, "one IPv6 address" },
	{ "[IPv6:2001:db8::1]", "2001:db8::1", NULL, false, true, "as an address literal writes it" },
	{ "[::/0]", "192.0.2.1", NULL, false, false, "an IPv6 prefix never holds an IPv4 client" },
	{ "*", "192.0.2.1", NULL, false, true, "everybody" },
	{ "Partners", "192.0.2.1", "partners", false, false, "a group's name is no host" },
};

static struct sockaddr_storage
address_of(const char *text)
{
	struct sockaddr_storage storage = { .ss_family = AF_UNSPEC };

	if (strchr(text, ':') != NULL) {
		storage.ss_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)(void *)&storage)->sin6_addr),
		    1);
	} else {
		storage.ss_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &((struct sockaddr_in *)(void *)&storage)->sin_addr), 1);
	}
	return storage;
}

static void
entries_match_as_the_reference_says(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(match_cases); i++) {
		struct setting_item item = { match_cases[i].entry, { "f", 7 } };
		struct setting setting = { .text = "", .items = &item, .count = 1 };
		struct host_list *list = host_list_new(&setting, NULL, match_cases[i].whole_labels);
		struct sockaddr_storage address = address_of(match_cases[i].address);
		const struct setting_item *matched = host_list_find_address(list, (struct sockaddr *)&address);

		assert_false(host_list_is_empty(list));
		if (matched == NULL && match_cases[i].name != NULL)
			matched = host_list_find_name(list, match_cases[i].name);
		if (matched != (match_cases[i].matches ? &item : NULL))
			fail_msg("%s", match_cases[i].why);
		host_list_free(&list);
	}
}

static const struct {
	const char *entry;
	const char *why;
} malformed[] = {
	{ "", "nothing" },
	{ "[192.168.*.0/24]", "a mask with a wildcard" },
	{ "[192.168.1-10.0/8]", "a mask with a range" },
	{ "[192.168.10]", "three octets" },
	{ "[192.168.10.1.2]", "five octets" },
	{ "[192.168.10.256]", "an octet above 255" },
	{ "[192.168.10.010]", "an octet with a leading zero" },
	{ "[192.168.10.9-3]", "a range backwards" },
	{ "[192.168.10.1-300]", "a range above 255" },
	{ "[192.168.10.*-5]", "a wildcard in a range" },
	{ "[192.168.10.0/33]", "a mask above 32" },
	{ "[192.168.10.0/]", "an empty mask" },
	{ "[192.168.10.1", "an open bracket" },
	{ "[192.168.10.1]x", "something behind the bracket" },
	{ "[]", "nothing in brackets" },
	{ "192.168.10.1", "an address without brackets" },
	{ "192.168.10.*", "a wildcard without brackets" },
	{ "192.168.0.0/16", "a mask without brackets" },
	{ "[2001:db8::/129]", "a prefix above 128" },
	{ "[2001:db8::*]", "a wildcard in an IPv6 address" },
	{ "[2001:db8:::1]", "no IPv6 address" },
	{ "[::ffff:192.0.2.1]", "a mapped address, which no client has" },
	{ "*.abc.com", "a wildcard in a name" },
	{ "user@abc.com", "an address of a person" },
	{ "abc..com", "two dots" },
	{ "abc.com.", "a dot at the end" },
	{ ".", "a dot" },
	{ "ab c.com", "a blank" },
	{ "a:b", "no name of a group" },
};

static void
malformed_entries_are_refused(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct host_entry entry;

	for (size_t i = 0; i < ARRAY_COUNT(malformed); i++) {
		error.text[0] = '\0';
		if (host_entry_parse(malformed[i].entry, &entry, &error) != -1)
			fail_msg("%s", malformed[i].why);
		assert_true(error.text[0] != '\0');
	}
}

static void
bare_tails_are_recognised(void **state UNUSED)
{
	struct host_entry entry;

	assert_int_equal(host_entry_parse("abc.com", &entry, NULL), 0);
	assert_true(host_entry_is_bare_tail(&entry));
	assert_int_equal(host_entry_parse(".abc.com", &entry, NULL), 0);
	assert_false(host_entry_is_bare_tail(&entry));
	assert_int_equal(host_entry_parse("[192.0.2.1]", &entry, NULL), 0);
	assert_false(host_entry_is_bare_tail(&entry));
}

static void
an_empty_list_matches_nobody(void **state UNUSED)
{
	struct setting setting = { .text = "" };
	struct host_list *list = host_list_new(&setting, NULL, false);
	struct sockaddr_storage address = address_of("192.0.2.1");

	assert_true(host_list_is_empty(list));
	assert_false(host_list_has_names(list));
	assert_null(host_list_find_address(list, (struct sockaddr *)&address));
	assert_null(host_list_find_name(list, "a.b"));
	host_list_free(&list);
	assert_null(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_match_as_the_reference_says),
		cmocka_unit_test(malformed_entries_are_refused),
		cmocka_unit_test(bare_tails_are_recognised),
		cmocka_unit_test(an_empty_list_matches_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
