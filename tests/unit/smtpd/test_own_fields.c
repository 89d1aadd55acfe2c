/* test_own_fields - what only we may write does not come in, and everything else does, octet by octet */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "fixture.h"
#include "smtpd/own_fields.h"

#define NAME "hub.ours.example"
#define TAG_1 "$DNSBLSite: bl.example\r\n"
#define TAG_2 "$dnswlsite \t:\r\n wl.example\r\n"
#define TAG_3 "$SPFResult:pass\r\n"
#define RESULTS "Authentication-Results: " NAME "; spf=pass\r\n\tsmtp.mailfrom=a@b.example\r\n"
#define OTHERS "Authentication-Results: mx.theirs.example; dkim=pass header.d=b.example\r\n"
#define SPF "Received-SPF: pass (all is well)\r\n\treceiver=" NAME "; client-ip=192.0.2.1\r\n"
#define OTHERS_SPF "Received-SPF: pass receiver=mx.theirs.example; client-ip=192.0.2.1\r\n"

/* Whether a header of this one field is empty afterwards. */
static bool
is_removed(const char *field)
{
	struct buffer data = BUFFER_INITIALIZER(0);
	size_t length = strlen(field), removed;

	assert_int_equal(own_fields_may_begin(field, length < 30 ? length : 30), strncasecmp(field, "auth", 4) == 0 ||
	    strncasecmp(field, "received-spf", 12) == 0 || field[0] == '$');
	buffer_append(&data, field, length);
	removed = own_fields_remove(&data, 0, length, NAME);
	assert_int_equal(data.length + removed, length);
	assert_true(removed == 0 || removed == length);
	assert_string_equal(buffer_text(&data), removed > 0 ? "" : field);
	buffer_free(&data);
	return removed > 0;
}

static void
tags_go_in_every_spelling(void **state)
{
	static const char *const fields[] = { TAG_1, TAG_2, TAG_3, "$dnsblsite:\r\n", "$DNSBLSITE:x\r\n\ty\r\n z\r\n",
		"$SPFRESULT    : x\r\n", "$SPFResult\r\n : x\r\n", "$SPFResult \r\n\t\r\n :x\r\n", "$SPFResult\f:x\r\n" };
	static const char *const others[] = { "X-$DNSBLSite: x\r\n", "DNSBLSite: x\r\n", "Subject: $DNSBLSite: x\r\n",
		"Subject: x\r\n $DNSBLSite: bl.example\r\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
		if (!is_removed(fields[i]))
			fail_msg("%s", fields[i]);
	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		assert_false(is_removed(others[i]));
	}
	assert_false(own_fields_may_begin("$DNSBLSiteX: x", 14));
	assert_false(own_fields_may_begin("$DNSBLSit", 9));
	assert_true(own_fields_may_begin("$DNSBLSite", 10));
}

/* RFC 8601 section 2.2, and what readers that are less strict may take for it. */
static void
results_go_that_speak_in_our_name(void **state)
{
	static const struct {
		const char *value;
		bool is_ours;
	} cases[] = {
		{ " " NAME "; spf=pass", true },
		{ NAME ";none", true },
		{ " HUB.Ours.Example ; none", true },
		{ " " NAME " 1; none", true },
		{ " " NAME ".; none", true },
		{ " \"" NAME "\"; none", true },
		{ " \"hub.\\ours.exampl\\e\"; none", true },
		{ " (me (and \\) you)) " NAME "(1); none", true },
		{ "\r\n (x)\r\n\t" NAME "\r\n ; none", true },
		{ " " NAME "\r\n\t; none", true },
		{ " " NAME, true },
		{ "\v" NAME "\f; none", true },
		{ "", true },
		{ " ", true },
		{ "; spf=pass", true },
		{ " (never ends " NAME "; none", true },
		{ " (never ends \\", true },
		{ " \"" NAME, true },
		{ " \"\"; spf=pass", true },
		{ " \"mx.theirs.example; none", true },
		{ " mx.theirs.example; spf=pass", false },
		{ " " NAME ".theirs.example; none", false },
		{ " x" NAME "; none", false },
		{ " hub.ours.exampl; none", false },
		{ " mx.theirs.example; none " NAME, false },
		{ " (" NAME ") mx.theirs.example; none", false },
		{ " \"mx\" " NAME "; none", false },
		{ " (x)\r\n mx.theirs.example (" NAME "); none", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		char field[256];

		snprintf(field, sizeof(field), "Authentication-Results:%s\r\n", cases[i].value);
		if (is_removed(field) != cases[i].is_ours)
			fail_msg("%s", field);
		snprintf(field, sizeof(field), "authentication-RESULTS \t :%s\r\n", cases[i].value);
		if (is_removed(field) != cases[i].is_ours)
			fail_msg("%s", field);
	}
	assert_false(own_fields_may_begin("ARC-Authentication-Results: i=1; " NAME, 40));
}

/* RFC 7208 section 9.1: whoever receiver= names speaks, and without one it could be us. */
static void
spf_goes_that_speaks_in_our_name(void **state)
{
	static const struct {
		const char *value;
		bool is_ours;
	} cases[] = {
		{ " pass receiver=" NAME "; client-ip=192.0.2.1", true },
		{ " pass receiver=\"" NAME "\"; client-ip=192.0.2.1", true },
		{ " pass (mx.theirs.example: (yes)) client-ip=192.0.2.1;\r\n RECEIVER = (us) Hub.Ours.Example.", true },
		{ "pass;receiver=" NAME, true },
		{ " pass receiver\r\n\t=\r\n\t" NAME "(x)", true },
		{ " pass client-ip=192.0.2.1; identity=mailfrom", true },
		{ " pass", true },
		{ "", true },
		{ " pass (receiver=mx.theirs.example)", true },
		{ " pass helo=\"receiver=mx.theirs.example\"", true },
		{ " pass helo=\"a\\\"; receiver=mx.theirs.example; x=\"", true },
		{ " pass receiver=", true },
		{ " pass receiver=; helo=mx.theirs.example", true },
		{ " pass receiver=\"\"", true },
		{ " pass receiver mx.theirs.example", true },
		{ " pass receiver=mx.theirs.example; receiver=" NAME, true },
		{ " pass receiver=" NAME "; receiver=mx.theirs.example", true },
		{ " pass (never ends receiver=mx.theirs.example", true },
		{ " pass receiver=mx.theirs.example; helo=\"never ends", true },
		{ " pass receiver=mx.theirs.example; \"never ends", true },
		{ " pass receiver=mx.theirs.example; client-ip=192.0.2.1", false },
		{ " pass (" NAME ") receiver=\"mx.theirs.example\"", false },
		{ " pass receiver=<UNKNOWN>", false },
		{ " pass helo=" NAME "; receiver=" NAME ".theirs.example", false },
		{ " pass helo=\"; receiver=" NAME "\";\r\n receiver=x" NAME, false },
		{ " receiver=mx.theirs.example; pass; x-receiver=" NAME, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		char field[256];

		snprintf(field, sizeof(field), "Received-SPF:%s\r\n", cases[i].value);
		if (is_removed(field) != cases[i].is_ours)
			fail_msg("%s", field);
		snprintf(field, sizeof(field), "RECEIVED-spf\r\n \t:%s\r\n", cases[i].value);
		if (is_removed(field) != cases[i].is_ours)
			fail_msg("%s", field);
	}
	assert_false(own_fields_may_begin("Received: from x", 16));
	assert_false(own_fields_may_begin("X-Received-SPF: pass", 20));
}

static void
only_the_header_is_looked_at(void **state)
{
	static const char before[] = "Received: x\r\n" TAG_1, after[] = "\r\n" TAG_1 "body\r\n";
	struct buffer data = BUFFER_INITIALIZER(0);
	size_t begin = sizeof(before) - 1;

	(void)state;
	buffer_append_string(&data, before);
	buffer_append_string(&data, TAG_1 "Subject: x\r\n y\r\n" TAG_2 OTHERS RESULTS TAG_3);
	assert_int_equal(own_fields_remove(&data, begin, data.length, NAME), strlen(TAG_1 TAG_2 RESULTS TAG_3));
	buffer_append_string(&data, after);
	assert_int_equal(own_fields_remove(&data, begin, data.length - strlen(after), NAME), 0);
	assert_string_equal(buffer_text(&data), "Received: x\r\n" TAG_1 "Subject: x\r\n y\r\n" OTHERS "\r\n" TAG_1 "body\r\n");
	buffer_free(&data);
}

/* ---- whole messages ---- */

struct message {
	const char *name;
	const char *sent, *kept;	/* without what ends a DATA */
};

static const struct message messages[] = {
	{ "all of them between others", "Subject: x\r\n" TAG_1 "From: a@b.example\r\n" TAG_2 RESULTS OTHERS TAG_3 "To: c\r\n\r\nhello\r\n",
		"Subject: x\r\nFrom: a@b.example\r\n" OTHERS "To: c\r\n\r\nhello\r\n" },
	{ "nothing of ours", "Subject: x\r\n" OTHERS "\r\nhello\r\n", "Subject: x\r\n" OTHERS "\r\nhello\r\n" },
	{ "lines of the body that look like fields", TAG_1 "Subject: x\r\n\r\n" TAG_1 RESULTS TAG_3, "Subject: x\r\n\r\n" TAG_1 RESULTS TAG_3 },
	{ "nothing else", TAG_1 TAG_3 "\r\nhello\r\n", "\r\nhello\r\n" },
	{ "no body", "Subject: x\r\n" TAG_1, "Subject: x\r\n" },
	{ "no body, nothing else", RESULTS, "" },
	{ "no header", "hello\r\n\r\n" TAG_1, "hello\r\n\r\n" TAG_1 },
	{ "an mbox's line first", "From a@b.example Sun\r\n" TAG_1 "Subject: x\r\n\r\nhello\r\n", "From a@b.example Sun\r\nSubject: x\r\n\r\nhello\r\n" },
	{ "SPF of us and of others", SPF "Subject: x\r\n" OTHERS_SPF SPF "\r\nhello\r\n", "Subject: x\r\n" OTHERS_SPF "\r\nhello\r\n" },
	/* For some readers the header goes on behind a line that is no field, up to the empty one. */
	{ "a line that is no field", TAG_1 "X\r\n" RESULTS "From: a\r\n" OTHERS SPF TAG_3 "\r\nhello\r\n" TAG_1 RESULTS,
		"X\r\nFrom: a\r\n" OTHERS "\r\nhello\r\n" TAG_1 RESULTS },
	{ "a control in a name", "X\001: y\r\n" TAG_1 "\r\nhello\r\n", "X\001: y\r\n\r\nhello\r\n" },
	{ "a field without a name", ": y\r\n" RESULTS "\r\nhello\r\n", ": y\r\n\r\nhello\r\n" },
	{ "a colon in the next line", "Subject: x\r\nAuthentication-Results\r\n : " NAME "; spf=pass\r\n$SPFResult\r\n\t\r\n\t: pass\r\n"
		"To: c\r\n\r\nhello\r\n", "Subject: x\r\nTo: c\r\n\r\nhello\r\n" },
	{ "a name without a colon", "Received-SPF\r\n pass\r\nTo: c\r\n\r\nhello\r\n", "Received-SPF\r\n pass\r\nTo: c\r\n\r\nhello\r\n" },
	{ "neither a header nor an empty line", "hello\r\nworld\r\n" TAG_1 "good\r\nbye\r\n", "hello\r\nworld\r\ngood\r\nbye\r\n" },
	{ "a folded line of blanks", "Subject: x\r\n  \r\n" TAG_1 "\r\nhello\r\n", "Subject: x\r\n  \r\n\r\nhello\r\n" },
};

static void
expect_kept(struct fixture *fixture, const char *name, const char *kept, unsigned stored)
{
	char *replies = fixture_replies(fixture);

	if (fixture->stored != stored)
		fail_msg("%s: %s", name, replies);
	if (strcmp(fixture_stored_text(fixture), kept) != 0)
		fail_msg("%s: %s", name, fixture_stored_text(fixture));
	free(replies);
}

/* Octets in pieces of so many. */
static void
send_in_pieces(struct fixture *fixture, const char *text, size_t length, size_t piece)
{
	for (size_t at = 0; at < length; at += piece)
		fixture_send(fixture, text + at, length - at < piece ? length - at : piece);
}

static void
begin(struct fixture *fixture)
{
	fixture_say(fixture, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@ours.example>\r\n");
}

static void
data_is_cleaned_however_it_is_cut(void **state)
{
	static const size_t pieces[] = { 100000, 1, 2, 7, 30 };
	struct fixture fixture;
	unsigned stored = 0;

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO c\r\n");
	for (size_t i = 0; i < ARRAY_COUNT(messages); i++)
		for (size_t cut = 0; cut < ARRAY_COUNT(pieces); cut++) {
			begin(&fixture);
			fixture_say(&fixture, "DATA\r\n");
			send_in_pieces(&fixture, messages[i].sent, strlen(messages[i].sent), pieces[cut]);
			send_in_pieces(&fixture, ".\r\n", 3, pieces[cut]);
			expect_kept(&fixture, messages[i].name, messages[i].kept, ++stored);
		}
	assert_int_equal(fixture.body_files, 0);
	assert_int_equal(fixture.shared.content_octets, 0);
	fixture_end(&fixture);
}

static void
chunks_are_cleaned_wherever_they_end(void **state)
{
	struct fixture fixture;
	unsigned stored = 0;

	(void)state;
	fixture_start(&fixture);
	fixture_set(&fixture, "maximum_messages_per_session", "100000");
	fixture_set(&fixture, "maximum_commands_per_session", "100000000");
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO c\r\n");
	for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
		size_t length = strlen(messages[i].sent);

		for (size_t first = 0; first <= length; first++) {
			char command[64];

			begin(&fixture);
			snprintf(command, sizeof(command), "BDAT %zu\r\n", first);
			fixture_say(&fixture, command);
			fixture_send(&fixture, messages[i].sent, first);
			snprintf(command, sizeof(command), "BDAT %zu LAST\r\n", length - first);
			fixture_say(&fixture, command);
			fixture_send(&fixture, messages[i].sent + first, length - first);
			expect_kept(&fixture, messages[i].name, messages[i].kept, ++stored);
		}
	}
	fixture_end(&fixture);
}

static void
a_last_line_without_an_end_is_cleaned_as_well(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO c\r\n");
	begin(&fixture);
	fixture_say(&fixture, "BDAT 24 LAST\r\nA: b\r\n$DNSBLSite: forged");
	expect_kept(&fixture, "unfinished", "A: b\r\n", 1);
	fixture_end(&fixture);
}

/* What stands behind CONTENT_FIELD_MAX octets of a line can still make it a field, and the header goes on behind it. */
static void
a_field_with_a_distant_colon_hides_nothing(void **state)
{
	static const struct {
		char filling;
		const char *start, *end;
		bool stays;
	} cases[] = {
		{ ' ', "$DNSBLSite", ": forged\r\n", false },
		{ '\t', "Authentication-Results", ":" NAME "; none\r\n", false },
		{ ' ', "Authentication-Results", ": mx.theirs.example; none\r\n", true },
		{ 'x', "X-", ": y\r\n", true },
		{ ' ', "Subject", ": y\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		for (size_t count = CONTENT_FIELD_MAX - 30; count < CONTENT_FIELD_MAX + 30; count++) {
			struct buffer sent = BUFFER_INITIALIZER(0), kept = BUFFER_INITIALIZER(0);
			struct fixture fixture;

			fixture_start(&fixture);
			fixture_open(&fixture);
			buffer_append_string(&sent, cases[i].start);
			for (size_t filled = 0; filled < count; filled++)
				buffer_append_byte(&sent, cases[i].filling);
			buffer_append_string(&sent, cases[i].end);
			/* One of ours stands behind those that stay only: the others must be noticed by themselves. */
			if (cases[i].stays) {
				buffer_append(&kept, sent.data, sent.length);
				buffer_append_string(&sent, TAG_1);
			}
			buffer_append_string(&sent, "\r\nhello\r\n");
			buffer_append_string(&kept, "\r\nhello\r\n");
			fixture_say(&fixture, "EHLO c\r\n");
			begin(&fixture);
			fixture_say(&fixture, "DATA\r\n");
			fixture_send(&fixture, sent.data, sent.length);
			fixture_say(&fixture, ".\r\n");
			expect_kept(&fixture, cases[i].start, buffer_text(&kept), 1);
			buffer_free(&sent);
			buffer_free(&kept);
			fixture_end(&fixture);
		}
}

/* A long word is no field, and hides none either. */
static void
a_long_line_without_a_colon_hides_nothing(void **state)
{
	struct buffer text = BUFFER_INITIALIZER(0);
	struct fixture fixture;

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	for (unsigned i = 0; i < 300; i++)
		buffer_append_byte(&text, 'x');
	buffer_append_string(&text, "\r\n");
	fixture_say(&fixture, "EHLO c\r\n");
	begin(&fixture);
	fixture_say(&fixture, "DATA\r\n");
	fixture_send(&fixture, text.data, text.length);
	fixture_say(&fixture, TAG_1 ".\r\n");
	expect_kept(&fixture, "long word", buffer_text(&text), 1);
	buffer_free(&text);
	fixture_end(&fixture);
}

/*
 * Without an empty line the header of some readers has no end: behind the limit it is told from a body no more, but still searched.
 */
static void
a_text_without_a_header_may_be_large_unless_it_has_a_field_of_ours(void **state)
{
	static const struct {
		const char *first, *last;
		bool is_taken;
	} cases[] = {
		{ "hello\r\n", "bye\r\n", true },
		{ "hello\r\n", "\r\n" TAG_1 RESULTS, true },
		{ "hello\r\n", TAG_1, false },
		{ "hello\r\n", RESULTS "\r\nbody\r\n", false },
		{ "hello\r\n", "bye\r\n" SPF "bye\r\n", false },
		{ "hello\r\n" TAG_1, "bye\r\n", false },
		{ "Subject: x\r\n", "bye\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		for (size_t piece = 7; piece < 100000; piece *= 11) {
			bool is_field = cases[i].first[0] == 'S';
			struct buffer sent = BUFFER_INITIALIZER(0);
			struct fixture fixture;
			char *replies;

			fixture_start(&fixture);
			fixture_set(&fixture, "inline_body_limit", "16K");
			fixture_set(&fixture, "maximum_header_size", "8K");
			fixture_open(&fixture);
			buffer_append_string(&sent, cases[i].first);
			while (sent.length < 60000)
				buffer_append_string(&sent, is_field ? "X-Field: a value\r\n" : "a line of a text\r\n");
			buffer_append_string(&sent, cases[i].last);
			fixture_say(&fixture, "EHLO c\r\n");
			begin(&fixture);
			fixture_say(&fixture, "DATA\r\n");
			replies = fixture_replies(&fixture);
			free(replies);
			send_in_pieces(&fixture, sent.data, sent.length, piece);
			if (cases[i].is_taken)
				assert_int_equal(fixture.body_files, 1);
			fixture_say(&fixture, ".\r\n");
			if (cases[i].is_taken) {
				expect_kept(&fixture, cases[i].last, buffer_text(&sent), 1);
			} else {
				replies = fixture_replies(&fixture);
				if (strncmp(replies, "552 ", 4) != 0 || fixture.stored != 0)
					fail_msg("%s%s: %s", cases[i].first, cases[i].last, replies);
				free(replies);
			}
			buffer_free(&sent);
			fixture_end(&fixture);
		}
}

/* Header and body each small or larger than what stays in memory. */
static void
large_messages_are_cleaned_before_they_leave_memory(void **state)
{
	static const struct {
		unsigned fields, lines;
		bool uses_file;
	} cases[] = { { 1, 1, false }, { 1, 4000, true }, { 3000, 1, true }, { 3000, 4000, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		for (size_t piece = 999; piece < 200000; piece *= 10) {
			struct buffer sent = BUFFER_INITIALIZER(0), kept = BUFFER_INITIALIZER(0);
			struct fixture fixture;

			fixture_start(&fixture);
			fixture_set(&fixture, "inline_body_limit", "16K");
			fixture_open(&fixture);
			for (unsigned field = 0; field < cases[i].fields; field++) {
				buffer_printf(&sent, "X-Field-%u: a value that is long\r\n", field);
				buffer_printf(&kept, "X-Field-%u: a value that is long\r\n", field);
				buffer_append_string(&sent, field % 2 == 0 ? TAG_1 : RESULTS);
			}
			for (unsigned line = 0; line < cases[i].lines; line++) {
				buffer_printf(&sent, "%s%u " TAG_1, line == 0 ? "\r\n" : "", line);
				buffer_printf(&kept, "%s%u " TAG_1, line == 0 ? "\r\n" : "", line);
			}
			fixture_say(&fixture, "EHLO c\r\n");
			begin(&fixture);
			fixture_say(&fixture, "DATA\r\n");
			send_in_pieces(&fixture, sent.data, sent.length, piece);
			fixture_say(&fixture, ".\r\n");
			expect_kept(&fixture, "large", buffer_text(&kept), 1);
			assert_int_equal(fixture.body_files, cases[i].uses_file);
			assert_int_equal(fixture.shared.content_octets, 0);
			buffer_free(&sent);
			buffer_free(&kept);
			fixture_end(&fixture);
		}
}

static void
a_header_is_not_kept_in_memory_when_that_is_short(void **state)
{
	struct fixture fixture;
	struct buffer header = BUFFER_INITIALIZER(0);
	char *replies;

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	fixture.shared.content_octets = fixture.shared.content_limit + 1;
	while (header.length < 60000)
		buffer_append_string(&header, "X-Field: a value that is long\r\n");
	fixture_say(&fixture, "EHLO c\r\n");
	begin(&fixture);
	fixture_say(&fixture, "DATA\r\n");
	send_in_pieces(&fixture, header.data, header.length, 1000);
	assert_int_equal(fixture.session->transaction->data.length, 0);
	fixture_say(&fixture, "\r\nhello\r\n.\r\n");
	replies = fixture_replies(&fixture);
	assert_non_null(strstr(replies, "452 4.3.1 Too many messages are arriving"));
	assert_int_equal(fixture.stored, 0);
	free(replies);
	buffer_free(&header);
	fixture_end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_go_in_every_spelling),
		cmocka_unit_test(results_go_that_speak_in_our_name),
		cmocka_unit_test(spf_goes_that_speaks_in_our_name),
		cmocka_unit_test(only_the_header_is_looked_at),
		cmocka_unit_test(data_is_cleaned_however_it_is_cut),
		cmocka_unit_test(chunks_are_cleaned_wherever_they_end),
		cmocka_unit_test(a_last_line_without_an_end_is_cleaned_as_well),
		cmocka_unit_test(a_field_with_a_distant_colon_hides_nothing),
		cmocka_unit_test(a_long_line_without_a_colon_hides_nothing),
		cmocka_unit_test(a_text_without_a_header_may_be_large_unless_it_has_a_field_of_ours),
		cmocka_unit_test(large_messages_are_cleaned_before_they_leave_memory),
		cmocka_unit_test(a_header_is_not_kept_in_memory_when_that_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
