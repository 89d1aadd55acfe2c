/* Unit tests of policy/spf_macro.c: RFC 7208 section 7, with its own examples (section 7.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "policy/spf_macro.h"

static struct spf_macro_values values = {
	.sender = "strong-bad@email.example.com",
	.local_part = "strong-bad",
	.sender_domain = "email.example.com",
	.helo = "mx.example.org",
	.domain = "email.example.com",
	.validated = "mx.example.org",
	.receiver = "hub.acme.com",
	.family = AF_INET,
	.address = { 192, 0, 2, 3 },
	.now = 1700000000,
};

static struct spf_text
text_of(const char *string)
{
	return (struct spf_text){ string, strlen(string) };
}

static void
assert_expands(const char *text, const char *expected)
{
	struct buffer out = BUFFER_INITIALIZER(0);

	if (!spf_macro_expand(text_of(text), &values, &out))
		fail_msg("not expanded: %s", text);
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void
test_the_examples_of_the_rfc_expand_as_it_says(void **state UNUSED)
{
	static const char *const examples[][2] = {
		{ "%{s}", "strong-bad@email.example.com" }, { "%{o}", "email.example.com" }, { "%{d}", "email.example.com" },
		{ "%{d4}", "email.example.com" }, { "%{d3}", "email.example.com" }, { "%{d2}", "example.com" }, { "%{d1}", "com" },
		{ "%{dr}", "com.example.email" }, { "%{d2r}", "example.email" }, { "%{l}", "strong-bad" }, { "%{l-}", "strong.bad" },
		{ "%{lr}", "strong-bad" }, { "%{lr-}", "bad.strong" }, { "%{l1r-}", "strong" },
		{ "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" }, { "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
		{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
		{ "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
		{ "%%%_%-", "% %20" }, { "%{c} %{r} %{t} %{h} %{p}", "192.0.2.3 hub.acme.com 1700000000 mx.example.org mx.example.org" },
		{ "%{S}", "strong-bad%40email.example.com" }, { "%{d99999999999999999999}", "email.example.com" },
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(examples); i++)
		assert_expands(examples[i][0], examples[i][1]);
}

static void
test_an_ipv6_client_is_nibbles_for_i_and_readable_for_c(void **state UNUSED)
{
	struct spf_macro_values kept = values;

	values.family = AF_INET6;
	inet_pton(AF_INET6, "2001:db8::cb01", values.address);
	assert_expands("%{ir}.%{v}", "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6");
	assert_expands("%{c}", "2001:db8::cb01");
	values = kept;
}

static void
test_empty_parts_and_delimiters_at_the_ends_stay(void **state UNUSED)
{
	struct spf_macro_values kept = values;

	values.local_part = "-a--b-";
	assert_expands("%{l-}", ".a..b.");
	assert_expands("%{l2-}", "b.");
	assert_expands("%{lr-}", ".b..a.");
	values.local_part = "";
	assert_expands("[%{lr-}]", "[]");
	values = kept;
}

static void
test_what_would_grow_without_end_is_no_expansion(void **state UNUSED)
{
	static char sender[1025], text[4 * 4000 + 1];
	struct spf_macro_values kept = values;
	struct buffer out = BUFFER_INITIALIZER(0);
	size_t i;

	memset(sender, '&', sizeof(sender) - 1);
	for (i = 0; i + 4 < sizeof(text); i += 4)
		memcpy(text + i, "%{S}", 4);
	values.sender = sender;
	assert_false(spf_macro_expand(text_of(text), &values, &out));
	assert_in_range(out.length, 1, SPF_EXPANSION_MAX + 3 * SPF_VALUE_MAX);
	buffer_free(&out);
	values = kept;
}

static void
test_what_would_take_long_to_make_is_no_expansion_however_short_it_is(void **state UNUSED)
{
	static char sender[321], text[7 * 1900 + 1];
	struct spf_macro_values kept = values;
	struct buffer out = BUFFER_INITIALIZER(0);
	size_t i;

	for (i = 0; i + 1 < sizeof(sender); i++)
		sender[i] = i % 2 == 0 ? 'a' : '.';
	for (i = 0; i + 1 < sizeof(text); i += 7)
		memcpy(text + i, "%{s1.-}", 7);
	values.sender = sender;
	assert_false(spf_macro_expand(text_of(text), &values, &out));
	text[7 * 25] = '\0';
	assert_true(spf_macro_expand(text_of(text), &values, &out));
	buffer_free(&out);
	values = kept;
}

static void
test_names_are_cut_from_the_left_to_253_octets(void **state UNUSED)
{
	char long_name[400] = "", name[SPF_NAME_SIZE];

	while (strlen(long_name) < 300)
		strcat(long_name, "abcdefghi.");
	assert_true(spf_name_make(text_of(long_name), name));
	assert_int_equal(strlen(name), 249);
	assert_memory_equal(name + strlen(name) - 9, "abcdefghi", 9);
}

static void
test_what_cannot_be_asked_for_is_no_name(void **state UNUSED)
{
	char label[66], name[SPF_NAME_SIZE];

	memset(label, 'x', 64);
	label[64] = '\0';
	assert_false(spf_name_make(text_of(label), name));
	assert_true(spf_name_make(text_of(label + 1), name));
	assert_false(spf_name_make(text_of(""), name));
	assert_false(spf_name_make(text_of("."), name));
	assert_false(spf_name_make(text_of("a..test"), name));
	assert_false(spf_name_make(text_of(".test"), name));
	assert_false(spf_name_make(text_of("\xc3\xa4.test"), name));
	assert_false(spf_name_make((struct spf_text){ "a\0b.test", 8 }, name));
	assert_true(spf_name_make(text_of("a.test."), name));
	assert_string_equal(name, "a.test");
}

static void
test_octets_that_mean_something_else_are_escaped_in_a_question(void **state UNUSED)
{
	char escaped[SPF_NAME_SIZE], name[SPF_NAME_SIZE], spaces[128] = "";
	unsigned i;

	spf_name_escape("a b\\c\".x\x01y.foo:bar/baz", escaped);
	assert_string_equal(escaped, "a\\032b\\092c\\034.x\\001y.foo:bar/baz");
	for (i = 0; i < 60; i++)
		strcat(spaces, i % 30 == 29 ? "." : " ");
	strcat(spaces, "  .x.test");
	assert_true(spf_name_make(text_of(spaces), name));
	spf_name_escape(name, escaped);
	assert_int_equal(strlen(escaped), 2 * (29 * 4 + 1) + 2 * 4 + strlen(".x.test"));
	strcat(spaces, ".      .test");
	assert_false(spf_name_make(text_of(spaces), name));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_examples_of_the_rfc_expand_as_it_says),
		cmocka_unit_test(test_an_ipv6_client_is_nibbles_for_i_and_readable_for_c),
		cmocka_unit_test(test_empty_parts_and_delimiters_at_the_ends_stay),
		cmocka_unit_test(test_what_would_grow_without_end_is_no_expansion),
		cmocka_unit_test(test_what_would_take_long_to_make_is_no_expansion_however_short_it_is),
		cmocka_unit_test(test_names_are_cut_from_the_left_to_253_octets),
		cmocka_unit_test(test_what_cannot_be_asked_for_is_no_name),
		cmocka_unit_test(test_octets_that_mean_something_else_are_escaped_in_a_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
