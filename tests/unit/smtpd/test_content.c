/* test_content - the end of data, dots, line ends and the header, wherever segments are cut (hostile-inputs rows 1
 * to 8, 56 to 58) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "smtpd/content.h"

#define OCTETS(text) text, sizeof(text) - 1

struct content_case {
	const char *name;
	const char *input;
	size_t input_length;
	const char *output;	/* NULL: does not matter, the content is refused */
	size_t taken;		/* octets up to the end of the data; 0: it has not come */
	enum content_flaw flaw;
	unsigned received;
};

static const struct content_case cases[] = {
	{ "a message ends at its dot", OCTETS("a\r\n.\r\nMAIL"), "a\r\n", 6, CONTENT_FLAWLESS, 0 },
	{ "an empty message (5)", OCTETS(".\r\n"), "", 3, CONTENT_FLAWLESS, 0 },
	{ "no end yet", OCTETS("a\r\n."), "a\r\n", 0, CONTENT_FLAWLESS, 0 },
	{ "no end yet behind a CR", OCTETS("a\r\n.\r"), "a\r\n", 0, CONTENT_FLAWLESS, 0 },
	{ "a dot in a line is no end", OCTETS("a.\r\n.\r\n"), "a.\r\n", 7, CONTENT_FLAWLESS, 0 },
	{ "leading dots lose one (6)", OCTETS("..\r\n...\r\n..x\r\n.x\r\n.\r\n"), ".\r\n..\r\n.x\r\nx\r\n", 21,
	    CONTENT_FLAWLESS, 0 },
	{ "LF.LF is no end (1)", OCTETS("a\n.\nQUIT\r\n.\r\n"), NULL, 13, CONTENT_BARE_CR_OR_LF, 0 },
	{ "LF.CRLF is no end (1)", OCTETS("a\n.\r\nQUIT\r\n.\r\n"), NULL, 14, CONTENT_BARE_CR_OR_LF, 0 },
	{ "CRLF.LF is no end (1)", OCTETS("a\r\n.\nQUIT\r\n.\r\n"), NULL, 14, CONTENT_BARE_CR_OR_LF, 0 },
	{ "CR.CR is no end (1)", OCTETS("a\r.\rQUIT\r\n.\r\n"), NULL, 13, CONTENT_BARE_CR_OR_LF, 0 },
	{ "CRLF.CR is no end (1)", OCTETS("a\r\n.\rQUIT\r\n.\r\n"), NULL, 14, CONTENT_BARE_CR_OR_LF, 0 },
	{ "CR.CRLF is no end (1)", OCTETS("a\r.\r\nQUIT\r\n.\r\n"), NULL, 14, CONTENT_BARE_CR_OR_LF, 0 },
	{ "CR CRLF.CRLF: the first CR is bare", OCTETS("a\r\r\n.\r\n"), NULL, 7, CONTENT_BARE_CR_OR_LF, 0 },
	{ "CRLF.CR CRLF is no end", OCTETS("a\r\n.\r\r\nb\r\n.\r\n"), NULL, 13, CONTENT_BARE_CR_OR_LF, 0 },
	{ "NUL around the dot is no end (3)", OCTETS("a\r\n.\0\r\n\0.\r\n.\r\n"), NULL, 14, CONTENT_NUL, 0 },
	{ "VT, FF, NEL and U+2028 are octets (14)", OCTETS("\x0b\x0c\xc2\x85\xe2\x80\xa8\r\n.\r\n"),
	    "\x0b\x0c\xc2\x85\xe2\x80\xa8\r\n", 12, CONTENT_FLAWLESS, 0 },
	{ "Received fields are counted in the header only (56)",
	    OCTETS("Received: a\r\n\tb\r\nRECEIVED: c\r\nX-Received: d\r\n\r\nReceived: e\r\n.\r\n"), NULL, 63, CONTENT_FLAWLESS, 2 },
	{ "an mbox line does not end the header (57)", OCTETS("From a@b Mon\r\nReceived: a\r\n\r\n.\r\n"), NULL, 32,
	    CONTENT_FLAWLESS, 1 },
	{ "a first line that continues nothing is refused (57)", OCTETS(" x\r\nSubject: x\r\n.\r\n"), NULL, 19,
	    CONTENT_BEGINS_FOLDED, 0 },
	{ "a line that is no field does (57)", OCTETS("hello world\r\nReceived: a\r\n.\r\n"), NULL, 29, CONTENT_FLAWLESS, 0 },
};

/* Feeds input in pieces; returns how many octets were taken up to the end, or 0. */
static size_t
feed(struct content *content, const char *input, size_t length, size_t piece, struct buffer *out)
{
	size_t at = 0;

	while (at < length) {
		size_t offered = length - at < piece ? length - at : piece;
		bool ended, kept;
		size_t taken = content_take(content, input + at, offered, out, NULL, &ended, &kept);

		assert_true(kept);
		at += taken;
		if (ended)
			return at;
		assert_int_equal(taken, offered);
	}
	return 0;
}

static void
data_ends_in_one_place_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		for (size_t piece = 1; piece <= cases[i].input_length; piece++) {
			const struct content_case *row = &cases[i];
			struct buffer out = BUFFER_INITIALIZER(0);
			struct content content;

			content_init(&content, true, 1000);
			if (feed(&content, row->input, row->input_length, piece, &out) != row->taken)
				fail_msg("%s, in pieces of %zu: another end", row->name, piece);
			if (row->output != NULL && strcmp(buffer_text(&out), row->output) != 0)
				fail_msg("%s, in pieces of %zu: got %s", row->name, piece, buffer_text(&out));
			if (content.flaw != row->flaw)
				fail_msg("%s, in pieces of %zu: flaw %d", row->name, piece, (int)content.flaw);
			if (content.received_fields != row->received)
				fail_msg("%s, in pieces of %zu: %u Received", row->name, piece, content.received_fields);
			if (row->output != NULL)
				assert_int_equal(content.length, strlen(row->output));
			buffer_free(&out);
		}
}

/* Whole lines are taken at once: it must not matter that they could have come octet by octet. */
static void
many_lines_at_once_are_judged_like_single_octets(void **state)
{
	static const char *const pieces[] = { "a line\r\n", "another\r\n", ".", "..", "\r\n", "x", "\r", "\n", "z\0z", "\r\n.x" };
	static const size_t lengths[] = { 8, 9, 1, 2, 2, 1, 1, 1, 3, 4 };
	unsigned seed = 1, flawless = 0;

	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		struct buffer input = BUFFER_INITIALIZER(0), whole = BUFFER_INITIALIZER(0), single = BUFFER_INITIALIZER(0);
		struct content at_once, by_octet;
		size_t end;

		buffer_append_string(&input, "Subject: x\r\n\r\n");
		for (unsigned i = 0; i < 12; i++) {
			/* What is special is rare, or every content would be refused at its start. */
			unsigned which = (seed = seed * 1103515245 + 12345) >> 16;

			which = which % 16 < 12 ? which / 16 % 2 : which / 16 % ARRAY_COUNT(pieces);
			buffer_append(&input, pieces[which], lengths[which]);
		}
		buffer_append_string(&input, "\r\n.\r\n");
		content_init(&at_once, round % 2, 1000);
		content_init(&by_octet, round % 2, 1000);
		end = feed(&at_once, input.data, input.length, input.length, &whole);
		assert_int_equal(end, feed(&by_octet, input.data, input.length, 1, &single));
		assert_int_equal(at_once.flaw, by_octet.flaw);
		if (at_once.flaw == CONTENT_FLAWLESS) {
			assert_int_equal(at_once.length, whole.length);
			assert_int_equal(whole.length, single.length);
			assert_memory_equal(buffer_text(&whole), buffer_text(&single), single.length);
			flawless++;
		}
		buffer_free(&input);
		buffer_free(&whole);
		buffer_free(&single);
	}
	assert_in_range(flawless, 500, 4500);
}

/* The same content, whether its last run is lent or copied, and however it is cut. */
static void
what_is_lent_follows_what_was_copied(void **state)
{
	static const char line[] = "a line of content, and .. dots\r\n";
	struct buffer input = BUFFER_INITIALIZER(0), copied = BUFFER_INITIALIZER(0);
	struct content content;
	unsigned loans = 0;

	(void)state;
	buffer_append_string(&input, "Subject: x\r\n\r\n");
	for (unsigned i = 0; i < 12000; i++) {
		if (i % 1777 == 5)
			buffer_append_byte(&input, '.');
		buffer_append(&input, line, sizeof(line) - 1);
	}
	buffer_append_string(&input, ".\r\n");
	content_init(&content, true, 1000);
	assert_int_equal(feed(&content, input.data, input.length, input.length, &copied), input.length);
	for (size_t piece = CONTENT_LENT_MIN - 1; piece < CONTENT_LENT_MIN * 3; piece += 97) {
		struct buffer out = BUFFER_INITIALIZER(0);
		bool ended = false, kept;

		content_init(&content, true, 1000);
		for (size_t at = 0; at < input.length && !ended;) {
			struct bytes lent = { NULL, 0 };

			at += content_take(&content, input.data + at, input.length - at < piece ? input.length - at : piece, &out, &lent,
			    &ended, &kept);
			assert_true(lent.length == 0 || lent.length >= CONTENT_LENT_MIN);
			loans += lent.length > 0;
			buffer_append(&out, lent.data, lent.length);
		}
		assert_true(ended);
		assert_int_equal(out.length, copied.length);
		assert_memory_equal(out.data, copied.data, copied.length);
		buffer_free(&out);
	}
	assert_in_range(loans, 1000, 20000);
	buffer_free(&input);
	buffer_free(&copied);
}

static void
chunks_know_neither_dots_nor_ends(void **state)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	struct content content;

	(void)state;
	content_init(&content, false, 1000);
	assert_int_equal(feed(&content, OCTETS("..a\r\n.\r\nQUIT\r\nb\r"), 4, &out), 0);
	assert_int_equal(feed(&content, OCTETS("\nlast"), 1, &out), 0);
	content_finish(&content, &out);
	assert_int_equal(content.flaw, CONTENT_FLAWLESS);
	assert_string_equal(out.data, "..a\r\n.\r\nQUIT\r\nb\r\nlast\r\n");
	buffer_free(&out);
}

static void
a_cr_at_the_very_end_of_the_last_chunk_is_bare(void **state)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	struct content content;

	(void)state;
	content_init(&content, false, 1000);
	feed(&content, OCTETS("a\r"), 2, &out);
	content_finish(&content, &out);
	assert_int_equal(content.flaw, CONTENT_BARE_CR_OR_LF);
	buffer_free(&out);
}

static void
a_large_header_is_found_and_not_kept(void **state)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	struct content content;

	(void)state;
	content_init(&content, true, 1000);
	for (unsigned i = 0; i < 1000; i++)
		feed(&content, i == 0 ? "X: folded too often\r\n" : " folded once more  \r\n", 21, 100, &out);
	assert_int_equal(content.flaw, CONTENT_HEADER_TOO_LARGE);
	assert_true(out.length < 1200);
	assert_int_equal(content.length, 21000);
	buffer_free(&out);
}

static void
the_message_id_is_noted(void **state)
{
	struct content content;

	(void)state;
	content_init(&content, true, 1000);
	feed(&content, OCTETS("Subject: x\r\nmessage-id:  <a@b>\r\nMessage-ID: <second>\r\n\r\n"), 5, NULL);
	assert_string_equal(content.message_id, "<a@b>");
}

static void
the_first_field_that_asks_for_another_priority_counts(void **state)
{
	static const struct {
		const char *header;
		enum message_priority priority;
	} rows[] = {
		{ "Subject: x\r\n", PRIORITY_NORMAL },
		{ "X-Priority: 1\r\n", PRIORITY_HIGH },
		{ "x-priority: 2 (High)\r\n", PRIORITY_HIGH },
		{ "X-Priority: 3\r\nImportance: low\r\n", PRIORITY_LOW },
		{ "X-Priority: 5\r\nImportance: high\r\n", PRIORITY_LOW },
		{ "X-Priority: 11\r\n", PRIORITY_NORMAL },
		{ "X-Priority:\r\n", PRIORITY_NORMAL },
		{ "Importance:High\r\n", PRIORITY_HIGH },
		{ "Importance: highest\r\n", PRIORITY_NORMAL },
		{ "Priority: urgent\r\n", PRIORITY_HIGH },
		{ "Priority: Non-Urgent \r\n", PRIORITY_LOW },
		{ "Priority: normal\r\n", PRIORITY_NORMAL },
		{ "X-Importance: high\r\n", PRIORITY_NORMAL },
		{ "Subject: x\r\n\r\nImportance: high\r\n", PRIORITY_NORMAL },
	};
	struct content content;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		content_init(&content, true, 1000);
		feed(&content, rows[i].header, strlen(rows[i].header), 3, NULL);
		if (content.priority != rows[i].priority)
			fail_msg("%s: %d", rows[i].header, content.priority);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_ends_in_one_place_only),
		cmocka_unit_test(many_lines_at_once_are_judged_like_single_octets),
		cmocka_unit_test(what_is_lent_follows_what_was_copied),
		cmocka_unit_test(chunks_know_neither_dots_nor_ends),
		cmocka_unit_test(a_cr_at_the_very_end_of_the_last_chunk_is_bare),
		cmocka_unit_test(a_large_header_is_found_and_not_kept),
		cmocka_unit_test(the_message_id_is_noted),
		cmocka_unit_test(the_first_field_that_asks_for_another_priority_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
