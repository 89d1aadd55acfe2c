/* Unit tests of policy/spf_record.c: what is an SPF record, and what is an error anywhere in one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "policy/spf_record.h"

static struct spf_text
text_of(const char *string)
{
	return (struct spf_text){ string, strlen(string) };
}

static bool
is_well_formed(const char *string)
{
	char problem[SPF_PROBLEM_SIZE];
	struct spf_record record;
	bool well_formed = spf_record_parse(&record, text_of(string), problem);

	if (well_formed)
		spf_record_free(&record);
	return well_formed;
}

static void
test_only_the_version_alone_or_before_a_space_makes_an_spf_record(void **state UNUSED)
{
	assert_true(spf_record_is_one(text_of("v=spf1")));
	assert_true(spf_record_is_one(text_of("V=SpF1 -all")));
	assert_false(spf_record_is_one(text_of("v=spf10 -all")));
	assert_false(spf_record_is_one(text_of("v=spf1\t-all")));
	assert_false(spf_record_is_one(text_of("v=spf")));
	assert_false(spf_record_is_one(text_of("")));
}

static void
test_terms_keep_their_order_qualifiers_and_values(void **state UNUSED)
{
	static const char text[] = "v=spf1  ?A:x.test/24//64 ~mx//0 -ip4:192.0.2.0/24 ip6:2001:db8::/32 ptr redirect=r.test exp=%{d}.x -all ";
	char problem[SPF_PROBLEM_SIZE];
	struct spf_record record;

	assert_true(spf_record_parse(&record, text_of(text), problem));
	assert_int_equal(record.count, 6);
	assert_int_equal(record.terms[0].mechanism, SPF_MECHANISM_A);
	assert_int_equal(record.terms[0].qualifier, '?');
	assert_memory_equal(record.terms[0].domain.data, "x.test", record.terms[0].domain.length);
	assert_int_equal(record.terms[0].prefix4, 24);
	assert_int_equal(record.terms[0].prefix6, 64);
	assert_int_equal(record.terms[1].prefix4, 32);
	assert_int_equal(record.terms[1].prefix6, 0);
	assert_memory_equal(record.terms[2].network, "\xc0\0\2\0", 4);
	assert_int_equal(record.terms[2].prefix4, 24);
	assert_int_equal(record.terms[3].prefix6, 32);
	assert_int_equal(record.terms[4].domain.length, 0);
	assert_int_equal(record.terms[5].qualifier, '-');
	assert_int_equal(record.redirect.length, strlen("r.test"));
	assert_int_equal(record.explanation.length, strlen("%{d}.x"));
	spf_record_free(&record);
}

static void
test_an_error_anywhere_makes_the_whole_record_one(void **state UNUSED)
{
	static const char *const malformed[] = {
		"v=spf1 all moo", "v=spf1 all:x.test", "v=spf1 all.", "v=spf1 +", "v=spf1 --all", "v=spf1 +redirect=x.test",
		"v=spf1 a:", "v=spf1 a:museum", "v=spf1 a:x.123", "v=spf1 a:x.-y", "v=spf1 a:x.y-", "v=spf1 a:%{d}museum",
		"v=spf1 a/33", "v=spf1 a//129", "v=spf1 a/024", "v=spf1 a/", "v=spf1 a/24/64", "v=spf1 a/1234", "v=spf1 a24",
		"v=spf1 include", "v=spf1 include:", "v=spf1 include:x.test/24", "v=spf1 exists", "v=spf1 ptr/0", "v=spf1 ptr:",
		"v=spf1 ip4", "v=spf1 ip4:", "v=spf1 ip4:192.0.2", "v=spf1 ip4:192.0.2.1//32", "v=spf1 ip4:192.0.2.1:25",
		"v=spf1 ip4:0192.0.2.1", "v=spf1 ip6:192.0.2.1", "v=spf1 ip6::2001:db8::1", "v=spf1 ip6:2001:db8::1/129",
		"v=spf1 ip4:192.0.2.1/-1", "v=spf1 ip4:192.0.2.1 /24", "v=spf1 redirect=", "v=spf1 exp=", "v=spf1 exp=-all",
		"v=spf1 redirect=a.test redirect=a.test", "v=spf1 exp=a.test exp=a.test", "v=spf1 1up=x", "v=spf1 =x",
		"v=spf1 x=%", "v=spf1 x=%a", "v=spf1 x=%{l", "v=spf1 exists:%{c}.test", "v=spf1 exists:%{r}.test", "v=spf1 exp=%{t}",
		"v=spf1\tall", "v=spf1 a\tall", "v=spf1 a:x\x7f.test", "v=spf1 \x80-all", "v=spf1 a:\xc3\xa4.test", "v=spf1 redirect:x.test",
	};
	static const char *const well_formed[] = {
		"v=spf1", "v=spf1 ", "v=spf1 ALL", "v=spf1 a:x:y/z.test", "v=spf1 a:%{d}", "v=spf1 a:%%", "v=spf1 a:x.test./8",
		"v=spf1 a:x.1-2", "v=spf1 moo.cow-far_out=man:dog/cat", "v=spf1 x=", "v=spf1 x=%{c}", "v=spf1 ip6:::1.1.1.1/0",
		"v=spf1 exists:%{l1r+-,/_=}.%{d2}", "v=spf1 exp=%{i}.x", "v=spf1 a:a...b.test", "v=spf1 ip4:1.2.3.4/0 a//0 a/0//0",
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(malformed); i++)
		if (is_well_formed(malformed[i]))
			fail_msg("taken: %s", malformed[i]);
	for (i = 0; i < ARRAY_COUNT(well_formed); i++)
		if (!is_well_formed(well_formed[i]))
			fail_msg("not taken: %s", well_formed[i]);
}

static void
test_a_nul_ends_nothing(void **state UNUSED)
{
	static const char text[] = "v=spf1 a:x.test\0.y -all", network[] = "v=spf1 ip4:192.0.2.1\0";
	char problem[SPF_PROBLEM_SIZE];
	struct spf_record record;

	assert_false(spf_record_parse(&record, (struct spf_text){ text, sizeof(text) - 1 }, problem));
	assert_string_equal(problem, "malformed term: a:x.test?.y");
	assert_false(spf_record_parse(&record, (struct spf_text){ network, sizeof(network) - 1 }, problem));
}

static void
test_the_problem_is_one_printable_line_of_bounded_length(void **state UNUSED)
{
	char text[5000] = "v=spf1 ", problem[SPF_PROBLEM_SIZE];
	struct spf_record record;
	size_t i;

	memset(text + strlen(text), '\r', sizeof(text) - strlen(text) - 1);
	assert_false(spf_record_parse(&record, text_of(text), problem));
	assert_true(strlen(problem) < SPF_PROBLEM_SIZE);
	for (i = 0; problem[i] != '\0'; i++)
		assert_in_range(problem[i], ' ', '~');
	assert_string_equal(problem + i - 4, "?...");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_version_alone_or_before_a_space_makes_an_spf_record),
		cmocka_unit_test(test_terms_keep_their_order_qualifiers_and_values),
		cmocka_unit_test(test_an_error_anywhere_makes_the_whole_record_one),
		cmocka_unit_test(test_a_nul_ends_nothing),
		cmocka_unit_test(test_the_problem_is_one_printable_line_of_bounded_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
