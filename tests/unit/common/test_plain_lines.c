/* test_plain_lines - lines that need no further look */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/mail/plain_lines.h"

#define LINE_MOST 998
#define LINE_SURE 800	/* a line up to this length is not taken for a longer one */

static uint32_t seed = 1;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

/* Octet by octet; lines over `longest` are not plain. */
static size_t
plain_lines_simply(const char *data, size_t length, bool without_dots, size_t longest)
{
	size_t begin = 0;

	for (size_t at = 0; at < length; at++) {
		if (data[at] == '\0' || (at == begin && without_dots && data[at] == '.') || at - begin > longest + 1)
			return begin;
		if (data[at] == '\n')
			return begin;
		if (data[at] != '\r')
			continue;
		if (at + 1 == length || data[at + 1] != '\n' || at - begin > longest)
			return begin;
		begin = ++at + 1;
	}
	return begin;
}

static void
agrees_with_a_look_at_each_octet(void **state)
{
	static const char *const pieces[] = { "\r\n", "\r\n", "\r\n", "\r\n.", "\r\r\n", "\n", "\r", "..", "\r\n\r\n" };
	char text[3000];
	size_t found = 0;

	(void)state;
	for (unsigned round = 0; round < 30000; round++) {
		size_t length = 0, from = draw(9), most, sure, got;
		bool without_dots = draw(2);

		while (length < sizeof(text) - 1100) {
			size_t text_length = draw(50) == 0 ? draw(1000) : draw(90);
			const char *piece = pieces[draw(20) == 0 ? draw(ARRAY_COUNT(pieces)) : 0];

			memset(text + length, draw(200) == 0 ? 0 : draw(100) == 0 ? 0xe9 : 'a', text_length);
			length += text_length;
			memcpy(text + length, piece, strlen(piece));
			length += strlen(piece);
			if (draw(30) == 0)
				break;
		}
		if (from > length)
			from = length;
		most = plain_lines_simply(text + from, length - from, without_dots, LINE_MOST);
		sure = plain_lines_simply(text + from, length - from, without_dots, LINE_SURE);
		got = plain_lines(text + from, length - from, without_dots);
		assert_true(got >= sure && got <= most);
		assert_true(got == 0 || text[from + got - 1] == '\n');
		found += got;
	}
	assert_true(found > 3000000);
}

static void
a_line_of_998_is_the_longest(void **state)
{
	char text[1400];

	(void)state;
	for (size_t offset = 0; offset < 130; offset++)
		for (size_t line = LINE_SURE - 5; line < 1200; line++) {
			size_t got, length = 0;

			memset(text, 'x', sizeof(text));
			if (offset >= 2) {
				memcpy(text + offset - 2, "\r\n", 2);
				length = offset;
			}
			memcpy(text + length + line, "\r\n", 2);
			got = plain_lines(text, length + line + 2, true);
			assert_true(got == length || got == length + line + 2);
			if (line <= LINE_SURE)
				assert_int_equal(got, length + line + 2);
			else if (line > LINE_MOST)
				assert_int_equal(got, length);
		}
}

static void
finds_octets_above_127_wherever_they_stand(void **state)
{
	char text[300];

	(void)state;
	for (size_t length = 0; length < sizeof(text); length++) {
		memset(text, 0x7f, sizeof(text));
		assert_false(has_eight_bit(text, length));
		for (size_t at = 0; at < sizeof(text); at++) {
			text[at] = (char)0x80;
			assert_int_equal(has_eight_bit(text, length), at < length);
			text[at] = 0x7f;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_look_at_each_octet),
		cmocka_unit_test(a_line_of_998_is_the_longest),
		cmocka_unit_test(finds_octets_above_127_wherever_they_stand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
