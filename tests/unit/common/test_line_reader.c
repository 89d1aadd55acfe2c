/* test_line_reader - only CRLF ends a line, wherever the segments are cut (hostile-inputs rows 4, 15, 16, 19) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "common/net/line_reader.h"

#define LIMIT 32
#define ENDLESS 256

struct line_case {
	const char *name;
	const char *input;
	const char *results;	/* the lines, each with a '|' behind it; "!" for one too long */
};

static const struct line_case cases[] = {
	{ "two lines in one segment", "NOOP\r\nQUIT\r\n", "NOOP|QUIT|" },
	{ "an empty line is a line", "\r\n\r\n", "||" },
	{ "a bare LF belongs to its line (19)", "NOOP\nQUIT\r\n", "NOOP\nQUIT|" },
	{ "a bare CR belongs to its line (19)", "NOOP\rQUIT\r\n", "NOOP\rQUIT|" },
	{ "CR CR LF ends the line behind one CR", "NOOP\r\r\nQUIT\r\n", "NOOP\r|QUIT|" },
	{ "LF CR LF too", "NOOP\n\r\nQUIT\r\n", "NOOP\n|QUIT|" },
	{ "a line of the limit is taken", "012345678901234567890123456789\r\nQUIT\r\n",
	    "012345678901234567890123456789|QUIT|" },
	{ "one octet more is too long", "0123456789012345678901234567890\r\nQUIT\r\n", "!QUIT|" },
	{ "the tail of a long line is no command (15)",
	    "0123456789012345678901234567890123456789 QUIT\nRSET\rNOOP\r\nHELP\r\n", "!HELP|" },
	{ "a long line of CRs ends at its CRLF", "\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\nNOOP\r\n",
	    "!NOOP|" },
	{ "an unfinished line waits", "NOOP\r\nQUI", "NOOP|" },
};

/* Feeds the reader pieces of that size. */
static void
collect(struct line_reader *reader, const char *input, size_t length, size_t piece, struct buffer *results)
{
	while (length > 0) {
		size_t offered = length < piece ? length : piece;

		while (offered > 0) {
			const char *line;
			size_t taken = 0, line_length;
			enum line_result result = line_reader_take(reader, input, offered, &taken, &line, &line_length);

			assert_true(taken > 0 && taken <= offered);
			if (result == LINE_COMPLETE) {
				buffer_append(results, line, line_length);
				buffer_append_byte(results, '|');
			} else if (result == LINE_TOO_LONG) {
				buffer_append_byte(results, '!');
			} else {
				assert_int_equal(result, LINE_NONE);
				assert_int_equal(taken, offered);
			}
			input += taken;
			offered -= taken;
			length -= taken;
		}
	}
}

static void
lines_are_the_same_however_they_arrive(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		for (size_t piece = 1; piece <= strlen(cases[i].input); piece++) {
			struct buffer results = BUFFER_INITIALIZER(0);
			struct line_reader reader;

			line_reader_init(&reader, LIMIT, ENDLESS);
			collect(&reader, cases[i].input, strlen(cases[i].input), piece, &results);
			if (strcmp(buffer_text(&results), cases[i].results) != 0)
				fail_msg("%s, in pieces of %zu: got %s", cases[i].name, piece, buffer_text(&results));
			line_reader_free(&reader);
			buffer_free(&results);
		}
}

static void
a_line_without_end_is_given_up_and_kept_nowhere(void **state)
{
	struct line_reader reader;
	enum line_result result = LINE_NONE;
	const char *line;
	size_t taken, line_length, fed = 0;

	(void)state;
	line_reader_init(&reader, LIMIT, ENDLESS);
	while (result == LINE_NONE) {
		result = line_reader_take(&reader, "xxxxxxxxxx", 10, &taken, &line, &line_length);
		fed += taken;
		assert_true(reader.pending.capacity <= 2 * LIMIT);
		assert_true(line_reader_is_inside_line(&reader));
	}
	assert_int_equal(result, LINE_ENDLESS);
	assert_in_range(fed, ENDLESS, ENDLESS + LIMIT + 20);
	line_reader_free(&reader);
}

static void
between_lines_there_is_no_memory(void **state)
{
	struct line_reader reader;
	struct buffer results = BUFFER_INITIALIZER(0);
	const char *line;
	size_t taken, line_length;

	(void)state;
	line_reader_init(&reader, LIMIT, ENDLESS);
	collect(&reader, "NO", 2, 2, &results);
	assert_true(line_reader_is_inside_line(&reader));
	collect(&reader, "OP\r\n", 4, 4, &results);
	assert_false(line_reader_is_inside_line(&reader));
	line_reader_take(&reader, "NOOP\r\n", 6, &taken, &line, &line_length);
	assert_null(reader.pending.data);
	line_reader_free(&reader);
	buffer_free(&results);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_the_same_however_they_arrive),
		cmocka_unit_test(a_line_without_end_is_given_up_and_kept_nowhere),
		cmocka_unit_test(between_lines_there_is_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
