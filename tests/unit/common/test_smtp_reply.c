/* Unit tests of common/net/smtp_reply.c; rows 120 and 121 of docs/reference/hostile-inputs.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "common/net/smtp_reply.h"

static enum smtp_reply_progress
read_all(struct smtp_reply *reply, const char *data, size_t length)
{
	size_t consumed;

	smtp_reply_init(reply);
	return smtp_reply_read(reply, data, length, &consumed);
}

static void
reads_a_reply_of_one_line(void **state)
{
	struct smtp_reply reply;

	(void)state;
	assert_int_equal(read_all(&reply, "250 2.1.0 fine\r\n", 16), SMTP_REPLY_COMPLETE);
	assert_int_equal(reply.code, 250);
	assert_string_equal(smtp_reply_last_line(&reply), "2.1.0 fine");
	smtp_reply_free(&reply);
}

static void
reads_a_code_without_text(void **state)
{
	struct smtp_reply reply;

	(void)state;
	assert_int_equal(read_all(&reply, "354\r\n", 5), SMTP_REPLY_COMPLETE);
	assert_int_equal(reply.code, 354);
	assert_string_equal(smtp_reply_last_line(&reply), "");
	smtp_reply_free(&reply);
}

static void
keeps_every_line_of_a_long_reply(void **state)
{
	static const char text[] = "250-one\r\n250-\r\n250-three\r\n250 four\r\n220 next";
	struct smtp_reply reply;
	size_t consumed;

	(void)state;
	smtp_reply_init(&reply);
	assert_int_equal(smtp_reply_read(&reply, text, strlen(text), &consumed), SMTP_REPLY_COMPLETE);
	assert_string_equal(text + consumed, "220 next");
	assert_int_equal(reply.line_count, 4);
	assert_string_equal(smtp_reply_line(&reply, 0), "one");
	assert_string_equal(smtp_reply_line(&reply, 1), "");
	assert_string_equal(smtp_reply_line(&reply, 2), "three");
	assert_string_equal(smtp_reply_line(&reply, 4), "");
	assert_string_equal(smtp_reply_last_line(&reply), "four");
	smtp_reply_free(&reply);
}

static void
reads_octet_by_octet(void **state)
{
	static const char text[] = "550-a\r\n550 5.1.1 b\r\n";
	struct smtp_reply reply;
	size_t consumed, i;

	(void)state;
	smtp_reply_init(&reply);
	for (i = 0; i < strlen(text) - 1; i++)
		assert_int_equal(smtp_reply_read(&reply, text + i, 1, &consumed), SMTP_REPLY_UNFINISHED);
	assert_int_equal(smtp_reply_read(&reply, text + i, 1, &consumed), SMTP_REPLY_COMPLETE);
	assert_string_equal(smtp_reply_last_line(&reply), "5.1.1 b");
	smtp_reply_clear(&reply);
	assert_int_equal(smtp_reply_read(&reply, "250 c\r\n", 7, &consumed), SMTP_REPLY_COMPLETE);
	assert_int_equal(reply.line_count, 1);
	assert_string_equal(smtp_reply_last_line(&reply), "c");
	smtp_reply_free(&reply);
}

static void
refuses_what_is_no_reply(void **state)
{
	static const struct { const char *text; size_t length; } rows[] = {
		{ "25 x\r\n", 6 }, { "999 x\r\n", 7 }, { "abc\r\n", 5 }, { "199 x\r\n", 7 }, { "2500\r\n", 6 },
		{ "250x\r\n", 6 }, { "\r\n", 2 }, { "250 a\n", 6 }, { "250 a\rb\r\n", 9 }, { "250 a\0b\r\n", 9 },
		{ "250-a\r\n251 b\r\n", 14 }, { "HTTP/1.1 400 Bad Request\r\n", 26 }, { "\xff\xfe\r\n", 4 },
	};
	struct smtp_reply reply;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_all(&reply, rows[i].text, rows[i].length), SMTP_REPLY_VIOLATION);
		assert_non_null(reply.violation);
		smtp_reply_free(&reply);
	}
}

static void
refuses_a_line_without_end(void **state)
{
	char *text = memory_new(1 << 20, 1);
	struct smtp_reply reply;

	(void)state;
	memset(text, 'x', 1 << 20);
	memcpy(text, "250 ", 4);
	assert_int_equal(read_all(&reply, text, 1 << 20), SMTP_REPLY_VIOLATION);
	assert_true(reply.partial.length <= SMTP_REPLY_LINE_MAX);
	smtp_reply_free(&reply);
	free(text);
}

static void
refuses_lines_without_number(void **state)
{
	struct smtp_reply reply;
	enum smtp_reply_progress progress = SMTP_REPLY_UNFINISHED;
	size_t consumed;
	int i;

	(void)state;
	smtp_reply_init(&reply);
	for (i = 0; i < 1000000 && progress == SMTP_REPLY_UNFINISHED; i++)
		progress = smtp_reply_read(&reply, "220-welcome\r\n", 13, &consumed);
	assert_int_equal(progress, SMTP_REPLY_VIOLATION);
	assert_int_equal(reply.line_count, SMTP_REPLY_LINES_MAX);
	assert_int_equal(smtp_reply_read(&reply, "220 x\r\n", 7, &consumed), SMTP_REPLY_VIOLATION);
	smtp_reply_free(&reply);
}

static void
takes_a_line_of_exactly_the_limit(void **state)
{
	char text[SMTP_REPLY_LINE_MAX + 1];
	struct smtp_reply reply;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "250 ", 4);
	memcpy(text + SMTP_REPLY_LINE_MAX - 2, "\r\n", 2);
	assert_int_equal(read_all(&reply, text, SMTP_REPLY_LINE_MAX), SMTP_REPLY_COMPLETE);
	smtp_reply_free(&reply);
	memcpy(text + SMTP_REPLY_LINE_MAX - 2, "x\r\n", 3);
	assert_int_equal(read_all(&reply, text, SMTP_REPLY_LINE_MAX + 1), SMTP_REPLY_VIOLATION);
	smtp_reply_free(&reply);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_reply_of_one_line),
		cmocka_unit_test(reads_a_code_without_text),
		cmocka_unit_test(keeps_every_line_of_a_long_reply),
		cmocka_unit_test(reads_octet_by_octet),
		cmocka_unit_test(refuses_what_is_no_reply),
		cmocka_unit_test(refuses_a_line_without_end),
		cmocka_unit_test(refuses_lines_without_number),
		cmocka_unit_test(takes_a_line_of_exactly_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
