/* test_identifier - the text form of message ids */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/identifier.h"

static void
ids_come_back_from_their_text(void **state)
{
	static const uint64_t ids[] = { 0, 1, 31, 32, 1000000007, UINT64_C(1) << 24, UINT64_MAX - 1, UINT64_MAX };
	char text[IDENTIFIER_TEXT_SIZE];
	uint64_t id;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		identifier_format(ids[i], text);
		assert_int_equal(strlen(text), 13);
		assert_null(strpbrk(text, "ILOUilou"));
		id = ~ids[i];
		assert_true(identifier_parse(text, &id));
		assert_true(id == ids[i]);
	}
}

static void
text_sorts_like_the_number(void **state)
{
	char low[IDENTIFIER_TEXT_SIZE], high[IDENTIFIER_TEXT_SIZE];
	unsigned shift;

	(void)state;
	for (shift = 0; shift < 63; shift++) {
		identifier_format(UINT64_C(1) << shift, low);
		identifier_format((UINT64_C(1) << shift) + 1 + (UINT64_C(1) << (shift / 2)), high);
		assert_true(strcmp(low, high) < 0);
	}
}

static void
case_does_not_matter(void **state)
{
	uint64_t upper, lower;

	(void)state;
	assert_true(identifier_parse("0000000000AZ9", &upper));
	assert_true(identifier_parse("0000000000az9", &lower));
	assert_true(upper == lower);
}

static void
anything_else_is_no_id(void **state)
{
	static const char *const texts[] = { "", "0", "000000000000", "00000000000000", "000000000000I",
		"000000000000U", "000000000000 ", "00000000000-1", "000000\303\251zzzzz", "ZZZZZZZZZZZZZ" };
	uint64_t id;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(identifier_parse(texts[i], &id));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_come_back_from_their_text),
		cmocka_unit_test(text_sorts_like_the_number),
		cmocka_unit_test(case_does_not_matter),
		cmocka_unit_test(anything_else_is_no_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
