/* Unit tests of smtp/content_stream.c; rows 2, 6, 59 and 60 of docs/reference/hostile-inputs.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "smtp/content_stream.h"

static void
stream_all(const char *content, size_t length, int file, bool stuff_dots, struct buffer *out)
{
	struct content_source source = { .memory = content, .file = file, .length = length };
	struct content_stream stream;
	struct error error = ERROR_INITIALIZER;

	content_stream_init(&stream, &source, stuff_dots, NULL);
	while (content_stream_next(&stream, out, &error) == 1)
		;
	assert_int_equal(content_stream_next(&stream, out, &error), 0);
}

static void
stuffs_dots_and_mends_line_ends(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "", "" },
		{ "a\r\n", "a\r\n" },
		{ "a", "a\r\n" },
		{ "a\r", "a\r\n" },
		{ ".\r\n", "..\r\n" },
		{ "..\r\n.x\r\n", "...\r\n..x\r\n" },
		{ "a.\r\n.", "a.\r\n..\r\n" },
		{ "a\nb\rc\r\rd\n\r", "a\r\nb\r\nc\r\n\r\nd\r\n\r\n" },
		{ "x\n.\ny", "x\r\n..\r\ny\r\n" },
		{ "x\r.\ry", "x\r\n..\r\ny\r\n" },
		{ "\r\n\r\n", "\r\n\r\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		struct buffer out = BUFFER_INITIALIZER(0);

		stream_all(rows[i].in, strlen(rows[i].in), -1, true, &out);
		assert_string_equal(buffer_text(&out), rows[i].out);
		buffer_free(&out);
	}
}

static void
leaves_dots_alone_for_bdat(void **state)
{
	static const char content[] = ".\r\n..x\r\n.\r\n";
	struct buffer out = BUFFER_INITIALIZER(0);

	(void)state;
	stream_all(content, strlen(content), -1, false, &out);
	assert_string_equal(buffer_text(&out), content);
	buffer_free(&out);
}

/* Checks that no line is over the limit, and takes back the cuts and the stuffed dots. */
static void
rejoin(const struct buffer *wire, struct buffer *text)
{
	const char *line = wire->data, *end = wire->data + wire->length;

	while (line < end) {
		const char *next = memmem(line, (size_t)(end - line), "\r\n", 2);

		assert_non_null(next);
		assert_true(next - line - (line[0] == '.') <= CONTENT_LINE_MAX);
		if (text->length > 0 && line[0] == ' ')
			buffer_append(text, line + 1, (size_t)(next - line) - 1);
		else
			buffer_append(text, line + (line[0] == '.'), (size_t)(next - line) - (line[0] == '.'));
		line = next + 2;
	}
}

static void
cuts_long_lines_without_loss(void **state)
{
	static const size_t lengths[] = { 997, 998, 999, 1995, 1996, 65535, 65536, 65537, 1048576 };
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(lengths); i++) {
		char *line = memory_new(lengths[i] + 1, 1);
		struct buffer wire = BUFFER_INITIALIZER(0), text = BUFFER_INITIALIZER(0);

		/* Dots everywhere: wherever it is cut, a piece would begin with one. */
		for (j = 0; j < lengths[i]; j++)
			line[j] = j % 7 == 3 ? 'x' : '.';
		stream_all(line, lengths[i], -1, true, &wire);
		rejoin(&wire, &text);
		assert_int_equal(text.length, lengths[i]);
		assert_memory_equal(text.data, line, lengths[i]);
		assert_int_equal(lengths[i] <= CONTENT_LINE_MAX, memmem(wire.data, wire.length, "\r\n ", 3) == NULL);
		buffer_free(&wire);
		buffer_free(&text);
		free(line);
	}
}

static void
gives_the_same_from_memory_and_file(void **state)
{
	char path[] = "/tmp/matador-content-XXXXXX";
	int file = mkstemp(path);
	struct buffer content = BUFFER_INITIALIZER(0), memory = BUFFER_INITIALIZER(0), read = BUFFER_INITIALIZER(0);
	unsigned i;

	(void)state;
	unlink(path);
	/* CRLF and dots fall on every place around the edge of a block. */
	for (i = 0; i < 60000; i++)
		buffer_append(&content, i % 5 == 0 ? "\r\n.\r\n" : "ab\r\n.", 5);
	assert_int_equal(write(file, content.data, content.length), (ssize_t)content.length);
	stream_all(content.data, content.length, -1, true, &memory);
	stream_all(NULL, content.length, file, true, &read);
	assert_int_equal(memory.length, read.length);
	assert_memory_equal(memory.data, read.data, read.length);
	buffer_free(&content);
	buffer_free(&memory);
	buffer_free(&read);
	close(file);
}

static void
fails_when_the_file_is_too_short(void **state)
{
	char path[] = "/tmp/matador-content-XXXXXX";
	int file = mkstemp(path);
	struct content_source source = { .file = file, .length = 10 };
	struct content_stream stream;
	struct buffer out = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	int result;

	(void)state;
	unlink(path);
	assert_int_equal(write(file, "abc", 3), 3);
	content_stream_init(&stream, &source, true, NULL);
	while ((result = content_stream_next(&stream, &out, &error)) == 1)
		;
	assert_int_equal(result, -1);
	buffer_free(&out);
	close(file);
}

static void
finds_octets_above_127(void **state)
{
	static const struct { const char *content; enum content_part part; int found; } rows[] = {
		{ "Subject: x\r\n\r\nplain", CONTENT_BODY, 0 },
		{ "Subject: x\r\n\r\n\xc3\xa9", CONTENT_BODY, 1 },
		{ "Subject: x\r\n\r\nfour and four and 1\xc3", CONTENT_BODY, 1 },
		{ "Subject: x\r\n\r\n12345\xe9 7", CONTENT_BODY, 1 },
		{ "Subject: x\r\n\r\n\xc3\xa9", CONTENT_HEADER, 0 },
		{ "Subject: \xc3\xa9\r\n\r\nplain", CONTENT_HEADER, 1 },
		{ "Subject: \xc3\xa9\r\n\r\nplain", CONTENT_BODY, 0 },
		{ "\r\n\xc3\xa9", CONTENT_HEADER, 0 },
		{ "\r\n\xc3\xa9", CONTENT_BODY, 1 },
		{ "\xc3\xa9", CONTENT_HEADER, 1 },
		{ "\xc3\xa9", CONTENT_BODY, 0 },
		{ "", CONTENT_HEADER, 0 },
	};
	struct error error = ERROR_INITIALIZER;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		struct content_source source = { .memory = rows[i].content, .file = -1, .length = strlen(rows[i].content) };

		assert_int_equal(content_source_has_8bit(&source, rows[i].part, &error), rows[i].found);
	}
}

/* Plain is only what a stream with stuffed dots would not change. */
static void
plain_is_what_would_not_be_changed(void **state)
{
	static const char *const pieces[] = { "a line\r\n", "0123456789abcdef\r\n", ".", "\r\n", "x", "\r", "\n", "\r\n.x\r\n" };
	char path[] = "/tmp/matador-content-XXXXXX";
	int file = mkstemp(path);
	uint32_t seed = 1;
	unsigned plain = 0;

	(void)state;
	unlink(path);
	for (unsigned round = 0; round < 3000; round++) {
		struct buffer content = BUFFER_INITIALIZER(0), wire = BUFFER_INITIALIZER(0);
		struct content_source source = { .file = -1 };
		struct error error = ERROR_INITIALIZER;
		size_t lines = round % 100 == 0 ? 12000 : round % 60;

		for (size_t i = 0; i < lines; i++) {
			seed = seed * 1664525u + 1013904223u;
			/* What is special is rare. */
			buffer_append_string(&content, pieces[(seed >> 8) % (lines * 3) == 0 ? (seed >> 24) % ARRAY_COUNT(pieces) : i % 2]);
		}
		stream_all(buffer_text(&content), content.length, -1, true, &wire);
		source.memory = buffer_text(&content);
		source.length = content.length;
		if (round % 100 == 0) {
			assert_int_equal(pwrite(file, content.data, content.length, 0), (ssize_t)content.length);
			source.file = file;
		}
		if (content_source_is_plain(&source, &error)) {
			assert_int_equal(content.length, wire.length);
			assert_int_equal(memcmp(buffer_text(&content), buffer_text(&wire), wire.length), 0);
			plain++;
		} else {
			assert_true(content.length != wire.length || memcmp(buffer_text(&content), wire.data, wire.length) != 0);
		}
		buffer_free(&content);
		buffer_free(&wire);
	}
	assert_in_range(plain, 500, 2900);
	close(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stuffs_dots_and_mends_line_ends),
		cmocka_unit_test(leaves_dots_alone_for_bdat),
		cmocka_unit_test(cuts_long_lines_without_loss),
		cmocka_unit_test(gives_the_same_from_memory_and_file),
		cmocka_unit_test(fails_when_the_file_is_too_short),
		cmocka_unit_test(finds_octets_above_127),
		cmocka_unit_test(plain_is_what_would_not_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
