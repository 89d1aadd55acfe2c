/* test_report - delivery status notifications: what they say, and what strangers cannot make them say */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/memory.h"
#include "common/mail/header_field.h"
#include "router/failure_text.h"
#include "router/report.h"
#include "tests/unit/router/world.h"

static const char header[] =
    "Received: from client.example by hub.acme.com;\r\n\tSun, 22 Nov 2026 12:00:00 +0000\r\n"
    "From: Jane <jane@acme.com>\r\n"
    "Subject: Quarterly figures\r\n"
    "Message-ID: <q1@acme.com>\r\n"
    "\r\n";

static struct envelope
original(void)
{
	struct envelope envelope;

	envelope_init(&envelope);
	envelope.id = 4711;
	envelope.sender = memory_copy_string("jane@acme.com");
	envelope.arrival_ms = 1790000000000;
	return envelope;
}

static struct envelope_recipient *
add_failed(struct envelope *envelope, const char *address)
{
	struct envelope_recipient *recipient = envelope_add_recipient(envelope, address);

	recipient->state = RECIPIENT_FAILED;
	recipient->failure = FAILURE_USERNAME;
	recipient->status = memory_copy_string("5.1.1");
	recipient->reason = memory_copy_string("550 5.1.1 no such user");
	recipient->remote_host = memory_copy_string("mx.partner.example");
	return recipient;
}

static bool
write_of(const struct settings *settings, enum report_kind kind, struct envelope *envelope, const char *head,
    struct envelope *report_out, struct buffer *content)
{
	bool wanted = report_write(settings, kind, envelope, head, strlen(head), 1790000500000, report_out,
	    content);

	envelope_free(envelope);
	return wanted;
}

static bool
is_wanted(struct world *world, enum report_kind kind, struct envelope *envelope)
{
	struct buffer content = BUFFER_INITIALIZER(0);
	struct envelope report;
	bool wanted = write_of(&world->settings, kind, envelope, header, &report, &content);

	assert_int_equal(wanted, content.length > 0);
	assert_int_equal(report.recipient_count, wanted ? 1 : 0);
	envelope_free(&report);
	buffer_free(&content);
	return wanted;
}

static void
expect(const struct buffer *content, const char *text)
{
	if (strstr(buffer_text(content), text) == NULL)
		fail_msg("\"%s\" is not in:\n%s", text, buffer_text(content));
}

/*
 * What every report must be: lines with CRLF of at most 998 octets, no controls, no octet above 127 unless
 * allowed.
 */
static void
expect_lawful(const struct buffer *content, bool utf8)
{
	size_t column = 0;

	assert_int_equal(strlen(content->data), content->length);
	for (size_t i = 0; i < content->length; i++) {
		unsigned char c = (unsigned char)content->data[i];

		if (c == '\r') {
			assert_int_equal(content->data[i + 1], '\n');
			i++;
			assert_true(column <= HEADER_LINE_MAX);
			column = 0;
			continue;
		}
		assert_true(c >= ' ' && c != 127);
		assert_true(utf8 || c < 128);
		column++;
	}
	assert_int_equal(column, 0);
	assert_true(content->length <= 2 * REPORT_CONTENT_MAX);
}

static void
a_failure_report_has_its_three_parts(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);
	struct envelope_recipient *recipient = add_failed(&envelope, "bob@partner.example");

	recipient->original = memory_copy_string("rfc822;bobby@partner.example");
	envelope.envid = memory_copy_string("QQ314");
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, header, &report, &content));
	expect_lawful(&content, false);
	expect(&content, "From: Mail Delivery Subsystem <postmaster@hub.acme.com>\r\n");
	expect(&content, "To: <jane@acme.com>\r\n");
	expect(&content, "Subject: DELIVERY FAILURE: 550 5.1.1 no such user\r\n");
	expect(&content, "Auto-Submitted: auto-replied\r\n");
	expect(&content, "References: <q1@acme.com>\r\n");
	expect(&content, "multipart/report; report-type=delivery-status;");
	expect(&content, "  Subject: Quarterly figures\r\n");
	expect(&content, "was not delivered to:\r\n\r\n  bob@partner.example\r\n"
	    "      mx.partner.example said: 550 5.1.1 no such user\r\n");
	expect(&content, "There is no such recipient.\r\n");
	expect(&content, "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; hub.acme.com\r\n"
	    "Original-Envelope-Id: QQ314\r\nArrival-Date: ");
	expect(&content, "\r\n\r\nOriginal-Recipient: rfc822;bobby@partner.example\r\n"
	    "Final-Recipient: rfc822; bob@partner.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.partner.example\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n");
	expect(&content, "Content-Type: text/rfc822-headers\r\n\r\nReceived: from client.example by hub.acme.com;\r\n"
	    " Sun, 22 Nov 2026 12:00:00 +0000\r\nFrom: Jane <jane@acme.com>\r\n");
	assert_string_equal(report.sender, "");
	assert_true(report.is_report);
	assert_false(report.smtputf8);
	assert_int_equal(report.body, BODY_7BIT);
	assert_int_equal(report.recipient_count, 1);
	assert_string_equal(report.recipients[0].address, "jane@acme.com");
	envelope_free(&report);
	buffer_free(&content);
}

static void
nobody_is_told_about_a_report_or_for_the_null_sender(void **state)
{
	struct envelope envelope = original();

	add_failed(&envelope, "bob@partner.example");
	envelope.sender[0] = '\0';
	assert_false(is_wanted(*state, REPORT_FAILURE, &envelope));
	envelope = original();
	add_failed(&envelope, "bob@partner.example");
	envelope.is_report = true;
	assert_false(is_wanted(*state, REPORT_FAILURE, &envelope));
}

static void
notify_is_honoured(void **state)
{
	static const struct { uint8_t notify; bool failure, delay, success; } rows[] = {
		{ 0, true, true, false }, { NOTIFY_NEVER, false, false, false },
		    { NOTIFY_FAILURE, true, false, false },
		{ NOTIFY_DELAY, false, true, false }, { NOTIFY_SUCCESS, false, false, true },
		{ NOTIFY_FAILURE | NOTIFY_DELAY | NOTIFY_SUCCESS, true, true, true },
		{ NOTIFY_NEVER | NOTIFY_FAILURE, false, false, false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		for (int kind = REPORT_FAILURE; kind <= REPORT_SUCCESS; kind++) {
			struct envelope envelope = original();

			add_failed(&envelope, "bob@partner.example")->notify = rows[i].notify;
			assert_int_equal(is_wanted(*state, (enum report_kind)kind, &envelope),
			    kind == REPORT_FAILURE ? rows[i].failure : kind == REPORT_DELAY ? rows[i].delay :
			    rows[i].success);
		}
	}
}

static void
recipients_who_never_want_reports_are_left_out_of_one(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);

	add_failed(&envelope, "silent@partner.example")->notify = NOTIFY_NEVER;
	add_failed(&envelope, "bob@partner.example");
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, header, &report, &content));
	assert_null(strstr(content.data, "silent@"));
	envelope_free(&report);
	buffer_free(&content);
}

static void
what_strangers_wrote_stays_on_its_line(void **state)
{
	static const char hostile[] = "550 no\r\n\r\n--=_\r\nContent-Type: text/html\r\n\x1b[2J\x7f\xff%n%s";
	static const char hostile_header[] = "Subject: a\r\n b\x01\r\nX: \xff\xfe\nMessage-ID: <a b>\r\nY: 1\rZ: 2\r\n";
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);
	struct envelope_recipient *recipient = add_failed(&envelope, "\"a b%s\"@partner.example");

	free(recipient->reason);
	free(recipient->remote_host);
	recipient->reason = memory_copy_string(hostile);
	recipient->remote_host = memory_copy_string(hostile);
	recipient->original = memory_copy_string(hostile);
	envelope.envid = memory_copy_string(hostile);
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, hostile_header, &report, &content));
	expect_lawful(&content, false);
	assert_null(strstr(content.data, "\nContent-Type: text/html"));
	assert_null(strstr(content.data, "References:"));
	expect(&content, "Y: 1?Z: 2\r\n");
	expect(&content, "%n%s");
	envelope_free(&report);
	buffer_free(&content);
}

static void
long_lines_are_cut_into_lawful_ones(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);
	char *head = memory_new(40000, 1);

	memset(head, 'x', 39990);
	memcpy(head, "Subject: ", 9);
	add_failed(&envelope, "bob@partner.example");
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, head, &report, &content));
	expect_lawful(&content, false);
	envelope_free(&report);
	buffer_free(&content);
	free(head);
}

static void
a_thousand_recipients_make_one_bounded_report(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);

	for (int i = 0; i < 3000; i++) {
		char address[60];
		struct envelope_recipient *recipient;

		snprintf(address, sizeof(address), "user%d@partner.example", i);
		recipient = add_failed(&envelope, address);
		recipient->reason = memory_resize(recipient->reason, 1001, 1);
		memset(recipient->reason, 'r', 1000);
		recipient->reason[1000] = '\0';
	}
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, header, &report, &content));
	expect_lawful(&content, false);
	expect(&content, "  and 2900 more recipients\r\n");
	envelope_free(&report);
	buffer_free(&content);
}

static void
a_boundary_occurs_nowhere_else(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);
	char boundary[60];
	const char *at;
	int count = 0;

	add_failed(&envelope, "bob@partner.example");
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, header, &report, &content));
	at = strstr(content.data, "boundary=\"") + strlen("boundary=\"");
	snprintf(boundary, sizeof(boundary), "\r\n--%.*s", (int)strcspn(at, "\""), at);
	for (at = content.data; (at = strstr(at, boundary)) != NULL; at++)
		count++;
	assert_int_equal(count, 4);
	envelope_free(&report);
	buffer_free(&content);
}

static void
the_administrators_text_is_added(void **state)
{
	struct world *world = *state;
	struct settings settings = world->settings;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);

	settings.configuration.failure_text_username.text = "Ask the help desk.\nTelephone 4711.";
	settings.configuration.failure_text_size.text = "Never seen here.";
	add_failed(&envelope, "bob@partner.example");
	assert_true(write_of(&settings, REPORT_FAILURE, &envelope, header, &report, &content));
	expect(&content, "Ask the help desk.\r\nTelephone 4711.\r\n");
	assert_null(strstr(content.data, "Never seen here."));
	envelope_free(&report);
	buffer_free(&content);
}

static void
a_text_may_come_from_a_file_and_a_missing_one_costs_only_itself(void **state)
{
	struct world *world = *state;
	struct settings settings = world->settings;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);
	char path[128];

	snprintf(path, sizeof(path), "%s/username.txt", world->folder);
	world_write(world->folder, "username.txt", "From a file.\n");
	settings.configuration.failure_texts_from.number = FAILURE_TEXTS_FROM_TEXT_FILE;
	settings.configuration.failure_text_username.text = path;
	settings.configuration.failure_text_delivery.text = "/nowhere/at/all";
	failure_text_read_files(&settings);
	unlink(path);
	assert_string_equal(failure_text_added(&settings, REPORT_FAILURE, FAILURE_DELIVERY), "");
	add_failed(&envelope, "bob@partner.example");
	assert_true(write_of(&settings, REPORT_FAILURE, &envelope, header, &report, &content));
	expect(&content, "From a file.\r\n");
	failure_text_forget_files();
	envelope_free(&report);
	buffer_free(&content);
}

static void
a_delay_says_how_long_it_will_be_tried(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);
	struct envelope_recipient *recipient = envelope_add_recipient(&envelope, "bob@partner.example");

	recipient->state = RECIPIENT_WAITING;
	recipient->status = memory_copy_string("4.4.1");
	recipient->reason = memory_copy_string("Connection timed out");
	assert_true(write_of(&world->settings, REPORT_DELAY, &envelope, header, &report, &content));
	expect(&content, "Subject: DELIVERY DELAY: Connection timed out\r\n");
	expect(&content, "Action: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: x-matador; Connection timed out\r\n"
	    "Will-Retry-Until: ");
	expect(&content, "You need not send the message again.\r\n");
	envelope_free(&report);
	buffer_free(&content);
}

static void
a_success_is_delivered_relayed_or_expanded(void **state)
{
	static const struct { enum transport transport; enum recipient_state state; const char *action; } rows[] = {
		{ TRANSPORT_LOCAL, RECIPIENT_DELIVERED, "Action: delivered\r\n" },
		{ TRANSPORT_LMTP, RECIPIENT_DELIVERED, "Action: delivered\r\n" },
		{ TRANSPORT_SMTP, RECIPIENT_DELIVERED, "Action: relayed\r\n" },
		{ TRANSPORT_NONE, RECIPIENT_EXPANDED, "Action: expanded\r\n" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct envelope envelope = original(), report;
		struct buffer content = BUFFER_INITIALIZER(0);
		struct envelope_recipient *recipient = envelope_add_recipient(&envelope, "bob@partner.example");

		recipient->notify = NOTIFY_SUCCESS;
		recipient->state = rows[i].state;
		recipient->transport = rows[i].transport;
		recipient->status = memory_copy_string("5.0.0");
		assert_true(write_of(&world->settings, REPORT_SUCCESS, &envelope, header, &report, &content));
		expect(&content, rows[i].action);
		expect(&content, "Status: 2.0.0\r\n");
		envelope_free(&report);
		buffer_free(&content);
	}
}

static void
only_a_lawful_status_is_passed_on(void **state)
{
	static const struct { const char *status, *told; } rows[] = {
		{ "5.1.1", "5.1.1" }, { "4.4.7", "4.4.7" }, { "2.0.0", "5.0.0" }, { "5.1", "5.0.0" },
		    { "5.1.1234", "5.0.0" },
		{ "x", "5.0.0" }, { "5. 1.1", "5.0.0" }, { "5.1.1\r", "5.0.0" }, { "5.999.999", "5.999.999" },
		    { "3.1.1", "5.0.0" },
		{ "5.-1.1", "5.0.0" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct envelope envelope = original(), report;
		struct buffer content = BUFFER_INITIALIZER(0);
		struct envelope_recipient *recipient = add_failed(&envelope, "bob@partner.example");
		char expected[40];

		free(recipient->status);
		recipient->status = memory_copy_string(rows[i].status);
		assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, header, &report, &content));
		snprintf(expected, sizeof(expected), "Status: %s\r\n", rows[i].told);
		expect(&content, expected);
		envelope_free(&report);
		buffer_free(&content);
	}
}

static void
an_expired_message_has_its_own_status(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);
	struct envelope_recipient *recipient = envelope_add_recipient(&envelope, "bob@partner.example");

	recipient->failure = FAILURE_EXPIRATION;
	recipient->status = memory_copy_string("4.4.1");
	recipient->reason = memory_copy_string("Expired. Last: 451 later");
	recipient->remote_host = memory_copy_string("mx.partner.example");
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, header, &report, &content));
	expect(&content, "  bob@partner.example\r\n      Expired. Last: 451 later\r\n");
	expect(&content, "Action: failed\r\nStatus: 4.4.7\r\nRemote-MTA: dns; mx.partner.example\r\n"
	    "Diagnostic-Code: x-matador; Expired. Last: 451 later\r\n");
	envelope_free(&report);
	buffer_free(&content);
}

static void
a_notes_name_is_no_internet_address(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);
	struct envelope_recipient *recipient = envelope_add_recipient(&envelope, "Nobody/Acme");

	recipient->failure = FAILURE_USERNAME;
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope, header, &report, &content));
	expect(&content, "Final-Recipient: x-notes; Nobody/Acme\r\n");
	expect(&content, "Subject: DELIVERY FAILURE: There is no such recipient.\r\n");
	envelope_free(&report);
	buffer_free(&content);
}

static void
internationalised_mail_gets_an_internationalised_report(void **state)
{
	struct world *world = *state;
	struct envelope envelope = original(), report;
	struct buffer content = BUFFER_INITIALIZER(0);

	envelope.smtputf8 = true;
	add_failed(&envelope, "j\xc3\xbcrgen@partner.example");
	assert_true(write_of(&world->settings, REPORT_FAILURE, &envelope,
	    "Subject: \xc3\xbc \xff\r\nX: \xc3\xbc\r\n", &report, &content));
	expect_lawful(&content, true);
	expect(&content, "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n");
	expect(&content, "Final-Recipient: utf-8; j\xc3\xbcrgen@partner.example\r\n");
	expect(&content, "Content-Type: message/global-headers\r\n");
	expect(&content, "Subject: ?? ?\r\nX: \xc3\xbc\r\n");
	assert_true(report.smtputf8);
	assert_int_equal(report.body, BODY_8BITMIME);
	envelope_free(&report);
	buffer_free(&content);
}

static int
begin(void **state)
{
	static struct world world;

	world_begin(&world);
	*state = &world;
	return 0;
}

static int
end(void **state)
{
	world_end(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_report_has_its_three_parts),
		cmocka_unit_test(nobody_is_told_about_a_report_or_for_the_null_sender),
		cmocka_unit_test(notify_is_honoured),
		cmocka_unit_test(recipients_who_never_want_reports_are_left_out_of_one),
		cmocka_unit_test(what_strangers_wrote_stays_on_its_line),
		cmocka_unit_test(long_lines_are_cut_into_lawful_ones),
		cmocka_unit_test(a_thousand_recipients_make_one_bounded_report),
		cmocka_unit_test(a_boundary_occurs_nowhere_else),
		cmocka_unit_test(the_administrators_text_is_added),
		cmocka_unit_test(a_text_may_come_from_a_file_and_a_missing_one_costs_only_itself),
		cmocka_unit_test(a_delay_says_how_long_it_will_be_tried),
		cmocka_unit_test(a_success_is_delivered_relayed_or_expanded),
		cmocka_unit_test(only_a_lawful_status_is_passed_on),
		cmocka_unit_test(an_expired_message_has_its_own_status),
		cmocka_unit_test(a_notes_name_is_no_internet_address),
		cmocka_unit_test(internationalised_mail_gets_an_internationalised_report),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
