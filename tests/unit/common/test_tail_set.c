/* test_tail_set - tails of names: what matches, which of several, and agreement with a walk over all of them */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/attributes.h"
#include "common/conf/tail_set.h"

static const struct {
	const char *tail;
	enum tail_kind kind;
	const char *name;
	bool matches;
	const char *why;
} match_cases[] = {
	{ "abc.com", TAIL_CHARACTERS, "xyzabc.com", true, "characters match within a label" },
	{ "abc.com", TAIL_CHARACTERS, "abc.com", true, "characters match the whole" },
	{ "abc.com", TAIL_CHARACTERS, "abc.com.evil.example", false, "a tail is no head" },
	{ "abc.com", TAIL_CHARACTERS, "bc.com", false, "a name shorter than the tail" },
	{ "abc.com", TAIL_LABELS, "xyzabc.com", false, "labels do not match within a label" },
	{ "abc.com", TAIL_LABELS, "x.abc.com", true, "labels match below" },
	{ "abc.com", TAIL_LABELS, "abc.com", true, "labels match the whole" },
	{ "abc.com", TAIL_LABELS, "jane@abc.com", true, "labels match the domain of an address" },
	{ "abc.com", TAIL_LABELS, "jane@x.abc.com", true, "labels match below in an address" },
	{ "abc.com", TAIL_LABELS, "jane@xyzabc.com", false, "labels of an address do not match within a label" },
	{ "abc.com", TAIL_BELOW, "x.abc.com", true, "below matches below" },
	{ "abc.com", TAIL_BELOW, "abc.com", false, "below does not match the whole" },
	{ "abc.com", TAIL_BELOW, ".abc.com", false, "below wants something in front of the dot" },
	{ "abc.com", TAIL_BELOW, "jane@abc.com", false, "the domain of an address is not below itself" },
	{ "abc.com", TAIL_WHOLE, "abc.com", true, "the whole matches the whole" },
	{ "abc.com", TAIL_WHOLE, "x.abc.com", false, "the whole does not match below" },
	{ "ABC.com", TAIL_WHOLE, "abc.COM", true, "case does not matter" },
	{ "abc.com", TAIL_CHARACTERS, "", false, "nothing ends in nothing" },
};

static void
tails_match_by_their_kind(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(match_cases); i++) {
		struct tail_set *set = tail_set_new();

		tail_set_add(set, match_cases[i].tail, match_cases[i].kind, 7);
		tail_set_close(set);
		if (tail_set_find(set, match_cases[i].name) != (match_cases[i].matches ? 7 : TAIL_NOT_FOUND))
			fail_msg("%s", match_cases[i].why);
		tail_set_free(&set);
		assert_null(set);
	}
}

static void
the_lowest_number_is_found(void **state UNUSED)
{
	struct tail_set *set = tail_set_new();

	tail_set_add(set, "com", TAIL_LABELS, 5);
	tail_set_add(set, "abc.com", TAIL_LABELS, 3);
	tail_set_add(set, "abc.com", TAIL_CHARACTERS, 4);
	tail_set_add(set, "x.abc.com", TAIL_WHOLE, 9);
	tail_set_add(set, "abc.com", TAIL_LABELS, 1);
	tail_set_close(set);
	assert_int_equal(tail_set_count(set), 4);
	assert_int_equal(tail_set_find(set, "x.abc.com"), 1);
	assert_int_equal(tail_set_find(set, "xyzabc.com"), 4);
	assert_int_equal(tail_set_find(set, "other.com"), 5);
	assert_int_equal(tail_set_find(set, "other.org"), TAIL_NOT_FOUND);
	tail_set_free(&set);
}

static void
an_empty_set_has_nothing(void **state UNUSED)
{
	struct tail_set *set = tail_set_new();

	tail_set_add(set, "", TAIL_CHARACTERS, 1);
	tail_set_close(set);
	assert_int_equal(tail_set_count(set), 0);
	assert_int_equal(tail_set_find(set, "abc.com"), TAIL_NOT_FOUND);
	tail_set_free(&set);
}

static void
what_is_too_long_matches_nothing(void **state UNUSED)
{
	struct tail_set *set = tail_set_new();
	char name[TAIL_MAX + 2];

	memset(name, 'a', sizeof(name) - 1);
	name[TAIL_MAX + 1] = '\0';
	tail_set_add(set, name, TAIL_CHARACTERS, 1);
	assert_int_equal(tail_set_count(set), 0);
	tail_set_add(set, "a", TAIL_CHARACTERS, 2);
	tail_set_close(set);
	assert_int_equal(tail_set_find(set, name), TAIL_NOT_FOUND);
	assert_int_equal(tail_set_find(set, name + 1), 2);
	tail_set_free(&set);
}

#define TAILS 24

static unsigned
next_random(unsigned limit)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % limit;
}

/* Short, of few characters: so that many tails match. */
static void
make_name(char *name, unsigned longest)
{
	static const char letters[] = "ab.@Bc";
	unsigned length = 1 + next_random(longest);

	for (unsigned i = 0; i < length; i++)
		name[i] = letters[next_random(sizeof(letters) - 1)];
	name[length] = '\0';
}

static bool
plainly_matches(const char *tail, enum tail_kind kind, const char *name)
{
	size_t tail_length = strlen(tail), length = strlen(name);
	char before;

	if (tail_length > length || strcasecmp(name + length - tail_length, tail) != 0)
		return false;
	before = length > tail_length ? name[length - tail_length - 1] : '\0';
	return kind == TAIL_CHARACTERS || (kind == TAIL_LABELS && (before == '\0' || before == '.' || before == '@')) ||
	    (kind == TAIL_BELOW && before == '.' && length > tail_length + 1) || (kind == TAIL_WHOLE && before == '\0');
}

static void
the_set_agrees_with_a_walk_over_all_tails(void **state UNUSED)
{
	unsigned found_some = 0;

	for (unsigned round = 0; round < 3000; round++) {
		struct tail_set *set = tail_set_new();
		char tails[TAILS][8];
		enum tail_kind kinds[TAILS];
		size_t count = 1 + next_random(TAILS);

		for (size_t i = 0; i < count; i++) {
			make_name(tails[i], 6);
			kinds[i] = (enum tail_kind)next_random(4);
			tail_set_add(set, tails[i], kinds[i], i);
		}
		tail_set_close(set);
		for (unsigned look_up = 0; look_up < 20; look_up++) {
			size_t expected = 0;
			char name[16];

			make_name(name, 10);
			while (expected < count && !plainly_matches(tails[expected], kinds[expected], name))
				expected++;
			found_some += expected < count;
			if (tail_set_find(set, name) != (expected < count ? expected : TAIL_NOT_FOUND))
				fail_msg("round %u: %s", round, name);
		}
		tail_set_free(&set);
	}
	assert_true(found_some > 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tails_match_by_their_kind),
		cmocka_unit_test(the_lowest_number_is_found),
		cmocka_unit_test(an_empty_set_has_nothing),
		cmocka_unit_test(what_is_too_long_matches_nothing),
		cmocka_unit_test(the_set_agrees_with_a_walk_over_all_tails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
