/* test_address - paths and mailboxes as strangers send them (hostile-inputs rows 15 to 26 and 43 to 53) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/attributes.h"
#include "common/mail/address.h"

#define UTF8 ADDRESS_ALLOW_UTF8
#define TEN "aaaaaaaaaa"
#define SIXTY TEN TEN TEN TEN TEN TEN

struct path_case {
	const char *name;
	const char *path;
	unsigned flags;
	const char *text;	/* canonical; NULL: refused */
};

static const struct path_case path_cases[] = {
	{ "a plain address stays as it is", "<jane.doe@acme.com>", 0, "jane.doe@acme.com" },
	{ "the domain is lower-cased, the local part is not", "<Jane@ACME.Com>", 0, "Jane@acme.com" },
	{ "every atext character is a local part", "<!#$%&'*+-/=?^_`{|}~@acme.com>", 0,
	    "!#$%&'*+-/=?^_`{|}~@acme.com" },
	{ "a domain of one label is allowed", "<jane@Acme>", 0, "jane@acme" },
	{ "quotes that are not needed go", "<\"jane\"@acme.com>", 0, "jane@acme.com" },
	{ "needed quotes stay", "<\"Jane Doe/Sales\"@acme.com>", 0, "\"Jane Doe/Sales\"@acme.com" },
	{ "an @, > and \\\" inside quotes are kept (47)", "<\"a@b>\\\"c\"@acme.com>", 0, "\"a@b>\\\"c\"@acme.com" },
	{ "a needless backslash goes", "<\"j\\ane\"@acme.com>", 0, "jane@acme.com" },
	{ "a quoted backslash is quoted again", "<\"a\\\\b\"@acme.com>", 0, "\"a\\\\b\"@acme.com" },
	{ "a quoted dot at the end needs its quotes", "<\"a.\"@acme.com>", 0, "\"a.\"@acme.com" },
	{ "an empty quoted local part is kept (47)", "<\"\"@acme.com>", 0, "\"\"@acme.com" },
	{ "a source route is ignored", "<@a.example,@b.example:jane@acme.com>", 0, "jane@acme.com" },
	{ "a source route without its colon is refused", "<@a.example,@b.example>", 0, NULL },
	{ "a source route of one label each is a route too (46)", "<@x:a@ours.example>", 0, "a@ours.example" },
	{ "% and ! are plain octets of the local part (46)", "<a%x@ours.example>", 0, "a%x@ours.example" },
	{ "two @ signs are refused (46)", "<a@x@ours.example>", 0, NULL },
	{ "a quoted @ is no second domain (46)", "<\"a@x\"@ours.example>", 0, "\"a@x\"@ours.example" },
	{ "the null path needs its flag", "<>", 0, NULL },
	{ "the null path", "<>", ADDRESS_ALLOW_NULL, "" },
	{ "postmaster without a domain needs its flag", "<Postmaster>", 0, NULL },
	{ "postmaster without a domain", "<PostMaster>", ADDRESS_ALLOW_BARE_POSTMASTER, "PostMaster" },
	{ "nobody else goes without a domain", "<jane>", ADDRESS_ALLOW_BARE_POSTMASTER, NULL },
	{ "a quoted postmaster is not the postmaster", "<\"postmaster\">", ADDRESS_ALLOW_BARE_POSTMASTER, NULL },
	{ "brackets must open", "jane@acme.com>", 0, NULL },
	{ "brackets must close", "<jane@acme.com", 0, NULL },
	{ "nothing at all is refused", "", ADDRESS_ALLOW_NULL, NULL },
	{ "a blank before the address is refused", "< jane@acme.com>", 0, NULL },
	{ "a missing domain is refused", "<jane@>", 0, NULL },
	{ "a missing local part is refused", "<@acme.com>", 0, NULL },
	{ "a leading dot in the local part is refused", "<.jane@acme.com>", 0, NULL },
	{ "a trailing dot in the local part is refused", "<jane.@acme.com>", 0, NULL },
	{ "two dots in the local part are refused (49)", "<a..b@acme.com>", 0, NULL },
	{ "a trailing dot of the domain is refused (49)", "<jane@acme.com.>", 0, NULL },
	{ "two dots in the domain are refused (49)", "<jane@acme..com>", 0, NULL },
	{ "a leading dot of the domain is refused", "<jane@.acme.com>", 0, NULL },
	{ "a label that begins with a hyphen is refused (49)", "<jane@-x.com>", 0, NULL },
	{ "a label that ends with a hyphen is refused", "<jane@x-.com>", 0, NULL },
	{ "a domain of digits is refused (49)", "<jane@192.0.2.1>", 0, NULL },
	{ "digits in front are a name", "<jane@4711.example>", 0, "jane@4711.example" },
	{ "an underscore in the domain is refused", "<jane@a_b.example>", 0, NULL },
	{ "a local part may begin with a hyphen: nobody hands it to a program (44)", "<-jane@acme.com>", 0,
	    "-jane@acme.com" },
	{ "shell characters are plain octets (43)", "<`id`|cmd${run{cmd}}@acme.com>", 0,
	    "`id`|cmd${run{cmd}}@acme.com" },
	{ "a semicolon needs quotes (43)", "<;cmd;@acme.com>", 0, NULL },
	{ "a parenthesis needs quotes (43)", "<$(cmd)@acme.com>", 0, NULL },
	{ "path tricks are plain octets (45)", "<\"../../etc/x\"@acme.com>", 0, "\"../../etc/x\"@acme.com" },
	{ "the ancient prescan address is refused (22)", "<\"\".\"\"@x>", 0, NULL },
	{ "<.!> is refused (22)", "<.!>", 0, NULL },
	{ "a percent sign with n is a plain octet (53)", "<%n%s@acme.com>", 0, "%n%s@acme.com" },
	{ "a tab is refused (52)", "<\"a\tb\"@acme.com>", 0, NULL },
	{ "a line feed is refused, quoted or not (19)", "<\"a\nb\"@acme.com>", 0, NULL },
	{ "a carriage return is refused (19)", "<jane\r@acme.com>", 0, NULL },
	{ "an escaped line feed is refused", "<\"a\\\nb\"@acme.com>", 0, NULL },
	{ "DEL is refused", "<\"a\177\"@acme.com>", 0, NULL },
	{ "ESC in the domain is refused (53)", "<jane@ac\033me.com>", 0, NULL },
	{ "an IPv4 literal", "<jane@[192.0.2.1]>", 0, "jane@[192.0.2.1]" },
	{ "an IPv6 literal is written in its one form", "<jane@[ipv6:2001:DB8:0:0::1]>", 0,
	    "jane@[IPv6:2001:db8::1]" },
	{ "an IPv6 literal needs its tag (48)", "<jane@[::1]>", 0, NULL },
	{ "loopback is a literal like any other: who may use it is decided elsewhere (48)", "<jane@[127.0.0.1]>", 0,
	    "jane@[127.0.0.1]" },
	{ "a malformed literal is refused (48)", "<jane@[192.0.2]>", 0, NULL },
	{ "an octet above 255 is refused", "<jane@[192.0.2.256]>", 0, NULL },
	{ "an empty literal is refused", "<jane@[]>", 0, NULL },
	{ "a literal that does not close is refused", "<jane@[192.0.2.1>", 0, NULL },
	{ "a scope in a literal is refused", "<jane@[IPv6:fe80::1%eth0]>", 0, NULL },
	{ "octets behind a literal are refused", "<jane@[192.0.2.1]x>", 0, NULL },
	{ "a literal of 300 octets is refused (48)", "<jane@[IPv6:" SIXTY SIXTY SIXTY SIXTY SIXTY "]>", 0, NULL },
	{ "a good A-label", "<jane@xn--mnchen-3ya.de>", 0, "jane@xn--mnchen-3ya.de" },
	{ "an A-label without a hyphen inside", "<jane@xn--80ak6aa92e.com>", 0, "jane@xn--80ak6aa92e.com" },
	{ "an A-label that says nothing is refused (50)", "<jane@xn--.de>", 0, NULL },
	{ "an A-label of ASCII only is refused (50)", "<jane@xn--abc-.de>", 0, NULL },
	{ "an A-label that overflows is refused (50)", "<jane@xn--99999999999.de>", 0, NULL },
	{ "an A-label cut short is refused (50)", "<jane@xn--mnchen-3y9.de>", 0, NULL },
	{ "UTF-8 without SMTPUTF8 is refused (51)", "<j\xc3\xbcrgen@acme.com>", 0, NULL },
	{ "UTF-8 with SMTPUTF8", "<j\xc3\xbcrgen@m\xc3\xbcnchen.de>", UTF8, "j\xc3\xbcrgen@m\xc3\xbcnchen.de" },
	{ "UTF-8 in quotes with SMTPUTF8", "<\"j \xc3\xbc\"@acme.com>", UTF8, "\"j \xc3\xbc\"@acme.com" },
	{ "a U-label without SMTPUTF8 is refused (50)", "<jane@m\xc3\xbcnchen.de>", 0, NULL },
	{ "a lone continuation octet is refused (51)", "<j\xbc@acme.com>", UTF8, NULL },
	{ "a sequence cut by the bracket is refused (21)", "<j\xc3>", UTF8, NULL },
	{ "a sequence cut by the end is refused (21)", "<j\xe2\x82", UTF8, NULL },
	{ "an overlong form is refused", "<j\xc0\xaf@acme.com>", UTF8, NULL },
	{ "an overlong form of three octets is refused", "<j\xe0\x80\xaf@acme.com>", UTF8, NULL },
	{ "a surrogate is refused", "<j\xed\xa0\x80@acme.com>", UTF8, NULL },
	{ "a code point beyond Unicode is refused", "<j\xf4\x90\x80\x80@acme.com>", UTF8, NULL },
	{ "a C1 control is refused", "<j\xc2\x85@acme.com>", UTF8, NULL },
	{ "a noncharacter is refused", "<j\xef\xbf\xbf@acme.com>", UTF8, NULL },
	{ "an ideographic dot in the domain is refused", "<jane@a\xe3\x80\x82" "b.de>", UTF8, NULL },
	{ "runs of 0xFF are refused (20)", "<\xff\xff\xff\xff\xff\xff@acme.com>", UTF8, NULL },
};

static void
paths_are_judged_as_the_table_says(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(path_cases); i++) {
		const struct path_case *row = &path_cases[i];
		struct error error = ERROR_INITIALIZER;
		struct address address;
		size_t consumed;
		int result = address_parse_path(row->path, strlen(row->path), row->flags, &address, &consumed,
		    &error);

		if ((result == 0) != (row->text != NULL) ||
		    (row->text != NULL && strcmp(address.text, row->text) != 0))
			fail_msg("%s: \"%s\" gave %d \"%s\" (%s)", row->name, row->path, result, address.text,
			    error.text);
		if (result == 0) {
			assert_int_equal(consumed, strlen(row->path));
		} else {
			assert_int_equal(error.kind, ERROR_INVALID);
			assert_true(strlen(error.text) > 0 && strlen(error.text) < 80);
			assert_string_equal(address.text, "");
		}
	}
}

static void
a_canonical_text_parses_to_itself(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(path_cases); i++) {
		const char *text = path_cases[i].text;
		struct address address;

		if (text == NULL || strchr(text, '@') == NULL)
			continue;
		assert_int_equal(address_parse(text, strlen(text), UTF8, &address, NULL), 0);
		assert_string_equal(address.text, text);
	}
}

static void
a_nul_is_refused_wherever_it_stands(void **state UNUSED)
{
	static const char good[] = "<@a.b:\"j d\"@acme.com>", literal[] = "<j@[IPv6:::1]>";
	struct address address;
	size_t consumed;

	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		char text[sizeof(good)];

		memcpy(text, good, sizeof(good));
		text[i] = '\0';
		assert_int_equal(address_parse_path(text, sizeof(text) - 1, UTF8, &address, &consumed, NULL), -1);
	}
	for (size_t i = 0; i < sizeof(literal) - 1; i++) {
		char text[sizeof(literal)];

		memcpy(text, literal, sizeof(literal));
		text[i] = '\0';
		assert_int_equal(address_parse_path(text, sizeof(text) - 1, UTF8, &address, &consumed, NULL), -1);
	}
}

static void
what_follows_the_path_is_the_callers(void **state UNUSED)
{
	static const char line[] = "<jane@acme.com> SIZE=100";
	struct address address;
	size_t consumed;

	assert_int_equal(address_parse_path(line, strlen(line), 0, &address, &consumed, NULL), 0);
	assert_int_equal(consumed, strlen("<jane@acme.com>"));
	assert_string_equal(address.local_part, "jane");
	assert_string_equal(address.domain, "acme.com");
	assert_false(address.had_source_route);
	assert_false(address.is_literal);
}

static bool
accepts(bool quoted, int local_part, int label)
{
	static const char octets[] = SIXTY SIXTY;
	char text[400];
	struct address address;

	snprintf(text, sizeof(text), "%s%.*s%s@%.*s.example", quoted ? "\" " : "", local_part, octets, quoted ?
	    "\"" : "", label, octets);
	return address_parse(text, strlen(text), 0, &address, NULL) == 0;
}

static void
limits_are_exact(void **state UNUSED)
{
	assert_true(accepts(false, 64, 63));
	assert_false(accepts(false, 65, 63));
	assert_false(accepts(false, 64, 64));
	assert_true(accepts(true, 61, 63));
	assert_false(accepts(true, 62, 63));
}

static void
a_domain_of_255_octets_is_the_longest(void **state UNUSED)
{
	static const char label[] = SIXTY "aa.";	/* 63 octets with its dot */
	char text[300] = "";

	for (int i = 0; i < 4; i++)
		strcat(text, label);
	strcat(text, "abc");
	assert_int_equal(strlen(text), 255);
	assert_true(domain_is_valid(text, false));
	strcat(text, "d");
	assert_false(domain_is_valid(text, false));
}

static void
long_runs_take_little_time_and_stack(void **state UNUSED)
{
	static const char runs[] = "(\"\\<";
	static char text[200000];
	struct rlimit small = { 256 * 1024, RLIM_INFINITY };
	struct address address;
	size_t consumed;

	setrlimit(RLIMIT_STACK, &small);
	for (const char *c = runs; *c != '\0'; c++) {
		memset(text, *c, sizeof(text));
		text[0] = '<';
		assert_int_equal(address_parse_path(text, sizeof(text), 0, &address, &consumed, NULL), -1);
	}
	for (size_t i = 1; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "@a,", 3);
	assert_int_equal(address_parse_path(text, sizeof(text), 0, &address, &consumed, NULL), -1);
}

static void
addresses_split_at_the_last_sign_outside_quotes(void **state UNUSED)
{
	static const struct { const char *text, *local_part, *domain; } rows[] = {
		{ "jane@acme.com", "jane", "acme.com" },
		{ "Robin Rutherford@C@B", "Robin Rutherford@C", "B" },
		{ "Jane Doe/Sales/Acme", "Jane Doe/Sales/Acme", "" },
		{ "\"a@b\"@acme.com", "\"a@b\"", "acme.com" },
		{ "\"a@b\"", "\"a@b\"", "" },
		{ "\"a\\\"@b\"@acme.com", "\"a\\\"@b\"", "acme.com" },
		{ "\"never closed@acme.com", "\"never closed@acme.com", "" },
		{ "\"never closed\\", "\"never closed\\", "" },
		{ "", "", "" },
		{ "@acme.com", "", "acme.com" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		char local_part[ADDRESS_TEXT_MAX], domain[ADDRESS_DOMAIN_MAX + 1];

		assert_true(address_split(rows[i].text, local_part, domain));
		assert_string_equal(local_part, rows[i].local_part);
		assert_string_equal(domain, rows[i].domain);
	}
}

static void
a_part_that_does_not_fit_is_not_split(void **state UNUSED)
{
	char local_part[ADDRESS_TEXT_MAX], domain[ADDRESS_DOMAIN_MAX + 1], text[1000];

	memset(text, 'a', sizeof(text));
	text[ADDRESS_TEXT_MAX - 1] = '\0';
	assert_true(address_split(text, local_part, domain));
	text[ADDRESS_TEXT_MAX - 1] = 'a';
	text[ADDRESS_TEXT_MAX] = '\0';
	assert_false(address_split(text, local_part, domain));
	text[0] = '@';
	text[256] = '\0';
	assert_true(address_split(text, local_part, domain));
	text[256] = 'a';
	text[257] = '\0';
	assert_false(address_split(text, local_part, domain));
}

static void
an_address_is_made_of_meanings(void **state UNUSED)
{
	struct address address;

	assert_int_equal(address_make("Jane Doe/Sales", "Acme.com", 0, &address, NULL), 0);
	assert_string_equal(address.text, "\"Jane Doe/Sales\"@acme.com");
	assert_int_equal(address_make("jane", "acme.com", 0, &address, NULL), 0);
	assert_string_equal(address.text, "jane@acme.com");
	assert_int_equal(address_make("a\"b\\", "acme.com", 0, &address, NULL), 0);
	assert_string_equal(address.text, "\"a\\\"b\\\\\"@acme.com");
	assert_int_equal(address_make("jane\n", "acme.com", 0, &address, NULL), -1);
	assert_int_equal(address_make("jane", "acme.com\"", 0, &address, NULL), -1);
	assert_int_equal(address_make("jane", "", 0, &address, NULL), -1);
	assert_int_equal(address_make("", "acme.com", 0, &address, NULL), -1);
}

static void
literals_are_checked_with_their_brackets(void **state UNUSED)
{
	assert_true(address_literal_is_valid("[192.0.2.1]"));
	assert_true(address_literal_is_valid("[IPv6:2001:db8::1]"));
	assert_true(address_literal_is_valid("[IPv6:::ffff:192.0.2.1]"));
	assert_false(address_literal_is_valid("192.0.2.1"));
	assert_false(address_literal_is_valid("[192.0.2.1"));
	assert_false(address_literal_is_valid("["));
	assert_false(address_literal_is_valid(""));
	assert_false(address_literal_is_valid("[010.0.0.1]"));
	assert_false(address_literal_is_valid("[tag:content]"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_judged_as_the_table_says),
		cmocka_unit_test(a_canonical_text_parses_to_itself),
		cmocka_unit_test(a_nul_is_refused_wherever_it_stands),
		cmocka_unit_test(what_follows_the_path_is_the_callers),
		cmocka_unit_test(limits_are_exact),
		cmocka_unit_test(a_domain_of_255_octets_is_the_longest),
		cmocka_unit_test(long_runs_take_little_time_and_stack),
		cmocka_unit_test(addresses_split_at_the_last_sign_outside_quotes),
		cmocka_unit_test(a_part_that_does_not_fit_is_not_split),
		cmocka_unit_test(an_address_is_made_of_meanings),
		cmocka_unit_test(literals_are_checked_with_their_brackets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
