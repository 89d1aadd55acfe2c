/* test_header_field - header fields as strangers write them, and ours */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/mail/header_field.h"

static const char header[] =
    "Received: from a\r\n\tby b;\r\n  today\r\n"
    "Subject:  Hello \r\n"
    "MESSAGE-ID: <1@acme.com>\n"
    "Empty:\r\n"
    "\r\n"
    "Body: none\r\n";

static void
fields_are_read_in_their_order_up_to_the_empty_line(void **state UNUSED)
{
	static const char *const expected[] = { "from a by b;  today", "Hello", "<1@acme.com>", "" };
	struct header_field field;
	size_t offset = 0, count = 0;
	char text[100];

	while (header_field_next(header, sizeof(header) - 1, &offset, &field)) {
		header_field_text(&field, text, sizeof(text));
		assert_string_equal(text, expected[count++]);
	}
	assert_int_equal(count, 4);
	assert_memory_equal(header + offset, "\r\nBody", 6);
}

static void
a_field_is_found_in_any_case(void **state UNUSED)
{
	struct header_field field;
	char text[6];

	assert_true(header_field_find(header, sizeof(header) - 1, "Message-Id", &field));
	header_field_text(&field, text, sizeof(text));
	assert_string_equal(text, "<1@ac");
	assert_false(header_field_find(header, sizeof(header) - 1, "Body", &field));
	assert_false(header_field_find(header, 0, "Received", &field));
}

static void
lines_that_are_no_fields_end_the_header(void **state UNUSED)
{
	static const char *const lines[] = { "no colon\r\n", ": no name\r\n", " continues nothing: x\r\n", "a b: c\r\n",
		"From jane Sun Nov 22 12:00:00 2026\r\n", "n\x01: x\r\n", "\r\n", "\n", "", "x", "\xc3\xbc: x\r\n" };

	for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
		struct header_field field;
		size_t offset = 0;

		if (header_field_next(lines[i], strlen(lines[i]), &offset, &field))
			fail_msg("taken for a field: %s", lines[i]);
		assert_int_equal(offset, 0);
	}
}

static void
a_header_cut_anywhere_is_read_as_far_as_it_goes(void **state UNUSED)
{
	for (size_t length = 0; length < sizeof(header); length++) {
		char *exact = malloc(length + 1);
		struct header_field field;
		size_t offset = 0;
		char text[50];

		memcpy(exact, header, length);
		exact = realloc(exact, length == 0 ? 1 : length);
		while (header_field_next(exact, length, &offset, &field))
			header_field_text(&field, text, sizeof(text));
		assert_true(offset <= length);
		free(exact);
	}
}

static void
controls_never_pass(void **state UNUSED)
{
	struct buffer out = BUFFER_INITIALIZER(0);

	assert_true(header_field_append(&out, "Subject", "a\r\nBcc: x\x1b[0m\x7f"));
	assert_string_equal(buffer_text(&out), "Subject: a??Bcc: x?[0m?\r\n");
	buffer_free(&out);
}

static void
long_values_are_folded_at_blanks(void **state UNUSED)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	char value[400] = "";

	for (int i = 0; i < 30; i++)
		strcat(value, "0123456789 ");
	assert_true(header_field_append(&out, "References", value));
	for (char *line = out.data; *line != '\0'; line = strstr(line, "\r\n") + 2)
		assert_true(strcspn(line, "\r") <= 78);
	assert_memory_equal(buffer_text(&out), "References: 0123456789 ", 23);
	buffer_free(&out);
}

static void
no_line_is_over_998_octets(void **state UNUSED)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	static char value[5000];

	memset(value, 'x', sizeof(value) - 1);
	value[2000] = ' ';
	assert_true(header_field_append(&out, "X", value));
	for (char *line = out.data; *line != '\0'; line = strstr(line, "\r\n") + 2)
		assert_true(strcspn(line, "\r") <= HEADER_LINE_MAX);
	buffer_free(&out);
}

static void
the_limit_of_the_buffer_is_told(void **state UNUSED)
{
	for (size_t limit = 1; limit < 14; limit++) {
		struct buffer out = BUFFER_INITIALIZER(limit);

		assert_int_equal(header_field_append(&out, "Subject", "abc"), limit >= strlen("Subject: abc\r\n"));
		buffer_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_read_in_their_order_up_to_the_empty_line),
		cmocka_unit_test(a_field_is_found_in_any_case),
		cmocka_unit_test(lines_that_are_no_fields_end_the_header),
		cmocka_unit_test(a_header_cut_anywhere_is_read_as_far_as_it_goes),
		cmocka_unit_test(controls_never_pass),
		cmocka_unit_test(long_values_are_folded_at_blanks),
		cmocka_unit_test(no_line_is_over_998_octets),
		cmocka_unit_test(the_limit_of_the_buffer_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
