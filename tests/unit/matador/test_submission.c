/* test_submission - messages as local programs hand them over */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "master/matador/submission.h"

static void
read_text(struct submission *submission, const char *text, bool dot_ends)
{
	struct error error = ERROR_INITIALIZER;

	submission_init(submission);
	assert_int_equal(submission_read(submission, text, strlen(text), dot_ends, &error), 0);
}

struct reading_case {
	const char *name;
	const char *input;
	bool dot_ends;
	const char *message;
	size_t header_length;
};

static const struct reading_case reading_cases[] = {
	{ "a bare LF becomes CRLF", "Subject: x\n\nbody\n", false, "Subject: x\r\n\r\nbody\r\n", 12 },
	{ "CRLF stays CRLF", "Subject: x\r\n\r\nbody\r\n", false, "Subject: x\r\n\r\nbody\r\n", 12 },
	{ "a lone CR becomes a blank", "Subject: x\rBcc: evil@example.net\n\na\rb\n", false,
		"Subject: x Bcc: evil@example.net\r\n\r\na b\r\n", 34 },
	{ "a missing last line end is added", "Subject: x\n\nbody", false, "Subject: x\r\n\r\nbody\r\n", 12 },
	{ "a single dot ends the message", "Subject: x\n\na\n.\nb\n", true, "Subject: x\r\n\r\na\r\n", 12 },
	{ "a single dot is text with -i", "Subject: x\n\na\n.\nb\n", false, "Subject: x\r\n\r\na\r\n.\r\nb\r\n", 12 },
	{ "a body without a header gets an empty line in front", "hello\nworld\n", false, "\r\nhello\r\nworld\r\n", 0 },
	{ "a header ends at the first line that is none", "Subject: x\nhello: world\nno field\n", false,
		"Subject: x\r\nhello: world\r\n\r\nno field\r\n", 26 },
	{ "a header without a body ends with an empty line", "Subject: x\n", false, "Subject: x\r\n\r\n", 12 },
	{ "nothing at all is an empty message", "", false, "\r\n", 0 },
	{ "folded lines belong to their field", "Subject: x\n y\n\nb\n", false, "Subject: x\r\n y\r\n\r\nb\r\n", 16 },
	{ "the separator of a mail file is dropped", "From jane Sun Nov 22 12:00:00 2026\nSubject: x\n\nb\n", false,
		"Subject: x\r\n\r\nb\r\n", 12 },
	{ "a first line that is indented is body", " x\nSubject: y\n", false, "\r\n x\r\nSubject: y\r\n", 0 },
};

static void
lines_and_header_are_put_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(reading_cases) / sizeof(reading_cases[0]); i++) {
		const struct reading_case *row = &reading_cases[i];
		struct submission submission;

		read_text(&submission, row->input, row->dot_ends);
		if (strcmp(buffer_text(&submission.message), row->message) != 0 || submission.header_length != row->header_length)
			fail_msg("%s: got \"%s\" with a header of %zu", row->name, buffer_text(&submission.message),
			    submission.header_length);
		submission_free(&submission);
	}
}

static void
a_nul_is_refused(void **state)
{
	struct submission submission;
	struct error error = ERROR_INITIALIZER;

	(void)state;
	submission_init(&submission);
	assert_int_equal(submission_read(&submission, "a\0b", 3, false, &error), -1);
	assert_non_null(strstr(error.text, "NUL"));
	submission_free(&submission);
}

struct list_case {
	const char *list;
	const char *addresses;	/* separated by blanks; NULL: refused */
};

static const struct list_case list_cases[] = {
	{ "jane@acme.com", "jane@acme.com" },
	{ "jane", "jane" },
	{ "a@x.example, b@y.example", "a@x.example b@y.example" },
	{ "Jane Doe <jane@acme.com>", "jane@acme.com" },
	{ "\"Doe, Jane\" <jane@acme.com>, bob@acme.com", "jane@acme.com bob@acme.com" },
	{ "jane@acme.com (Jane (Janie) Doe, boss)", "jane@acme.com" },
	{ "Friends: a@x.example, b@y.example;", "a@x.example b@y.example" },
	{ "Nobody:;", "" },
	{ "\"jane doe\"@acme.com", "\"jane doe\"@acme.com" },
	{ "\"a,b<c>\"@acme.com", "\"a,b<c>\"@acme.com" },
	{ "jane @ acme.com", "jane@acme.com" },
	{ "<jane@acme.com> trailing words", "jane@acme.com" },
	{ "jane doe", NULL },
	{ "", "" },
	{ ",,", "" },
	{ "(only a comment)", "" },
	{ "jane@[IPv6:2001:db8::1]", "jane@[IPv6:2001:db8::1]" },
	{ "a@x.example\r\n , b@y.example\r\n", "a@x.example b@y.example" },
	{ "(never closed", "" },
	{ "\"never closed", "\"never closed" },
};

static void
address_lists_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(list_cases) / sizeof(list_cases[0]); i++) {
		struct submission submission;
		struct error error = ERROR_INITIALIZER;
		struct buffer got = BUFFER_INITIALIZER(0);
		int status;

		submission_init(&submission);
		status = submission_add_recipients(&submission, list_cases[i].list, &error);
		for (size_t j = 0; j < submission.recipient_count; j++)
			buffer_printf(&got, "%s%s", j == 0 ? "" : " ", submission.recipients[j]);
		if ((status == -1) != (list_cases[i].addresses == NULL) ||
		    (status == 0 && strcmp(buffer_text(&got), list_cases[i].addresses) != 0))
			fail_msg("%s: got %d \"%s\"", list_cases[i].list, status, buffer_text(&got));
		buffer_free(&got);
		submission_free(&submission);
	}
}

static void
an_endless_address_is_refused(void **state)
{
	struct submission submission;
	struct error error = ERROR_INITIALIZER;
	char list[5000];

	(void)state;
	memset(list, 'a', sizeof(list) - 1);
	list[sizeof(list) - 1] = '\0';
	submission_init(&submission);
	assert_int_equal(submission_add_recipients(&submission, list, &error), -1);
	submission_free(&submission);
}

static void
recipients_come_from_to_cc_and_bcc(void **state)
{
	struct submission submission;
	struct error error = ERROR_INITIALIZER;

	(void)state;
	read_text(&submission, "To: a@x.example\nSubject: To: no@x.example\nCC: b@x.example,\n c@x.example\nbcc: d@x.example\n\nTo: e@x.example\n",
	    false);
	assert_int_equal(submission_add_header_recipients(&submission, &error), 0);
	assert_int_equal(submission.recipient_count, 4);
	assert_string_equal(submission.recipients[0], "a@x.example");
	assert_string_equal(submission.recipients[2], "c@x.example");
	assert_string_equal(submission.recipients[3], "d@x.example");
	submission_free(&submission);
}

static void
resent_fields_come_before_the_others(void **state)
{
	struct submission submission;
	struct error error = ERROR_INITIALIZER;

	(void)state;
	read_text(&submission, "Resent-To: new@x.example\nTo: old@x.example\n\n", false);
	assert_int_equal(submission_add_header_recipients(&submission, &error), 0);
	assert_int_equal(submission.recipient_count, 1);
	assert_string_equal(submission.recipients[0], "new@x.example");
	submission_free(&submission);
}

static const struct submission_defaults defaults = { .host = "hub.acme.com", .sender = "jane@hub.acme.com",
	.full_name = "Jane \"JD\" Doe" };

static void
what_is_missing_is_added_and_bcc_goes(void **state)
{
	struct submission submission;
	const char *text;

	(void)state;
	read_text(&submission, "Subject: x\nBcc: secret@x.example,\n more@x.example\nTo: a@x.example\n\nbody\n", false);
	submission_complete(&submission, &defaults);
	text = buffer_text(&submission.message);
	assert_int_equal(strncmp(text, "Date: ", 6), 0);
	assert_non_null(strstr(text, "\r\nMessage-ID: <"));
	assert_non_null(strstr(text, "@hub.acme.com>\r\n"));
	assert_non_null(strstr(text, "\r\nFrom: \"Jane \\\"JD\\\" Doe\" <jane@hub.acme.com>\r\n"));
	assert_null(strstr(text, "secret"));
	assert_null(strstr(text, "more@"));
	assert_non_null(strstr(text, "\r\nSubject: x\r\nTo: a@x.example\r\n\r\nbody\r\n"));
	assert_memory_equal(text + submission.header_length, "\r\nbody", 6);
	submission_free(&submission);
}

static void
what_is_there_is_left_alone(void **state)
{
	struct submission submission;

	(void)state;
	read_text(&submission, "date: then\nMESSAGE-ID: <1@x>\nFrom: a@x.example\n\nbody\n", false);
	submission_complete(&submission, &defaults);
	assert_string_equal(buffer_text(&submission.message),
	    "date: then\r\nMESSAGE-ID: <1@x>\r\nFrom: a@x.example\r\n\r\nbody\r\n");
	submission_free(&submission);
}

static void
dots_at_line_starts_are_doubled(void **state)
{
	struct submission submission;
	struct buffer out = BUFFER_INITIALIZER(0);

	(void)state;
	read_text(&submission, "A: b\n\n.\n..\na.b\n.x\n", false);
	submission_stuff(&submission, &out);
	assert_string_equal(out.data, "A: b\r\n\r\n..\r\n...\r\na.b\r\n..x\r\n.\r\n");
	buffer_free(&out);
	submission_free(&submission);
}

static void
octets_above_127_are_noticed_where_they_stand(void **state)
{
	struct submission submission;

	(void)state;
	read_text(&submission, "Subject: x\n\ncaf\xc3\xa9\n", false);
	assert_true(submission.eight_bit);
	assert_false(submission.eight_bit_header);
	submission_free(&submission);
	read_text(&submission, "Subject: caf\xc3\xa9\n\nx\n", false);
	assert_true(submission.eight_bit_header);
	submission_free(&submission);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_header_are_put_right),
		cmocka_unit_test(a_nul_is_refused),
		cmocka_unit_test(address_lists_are_read),
		cmocka_unit_test(an_endless_address_is_refused),
		cmocka_unit_test(recipients_come_from_to_cc_and_bcc),
		cmocka_unit_test(resent_fields_come_before_the_others),
		cmocka_unit_test(what_is_missing_is_added_and_bcc_goes),
		cmocka_unit_test(what_is_there_is_left_alone),
		cmocka_unit_test(dots_at_line_starts_are_doubled),
		cmocka_unit_test(octets_above_127_are_noticed_where_they_stand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
