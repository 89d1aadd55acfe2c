/*
 * Unit tests of smtp/session.c: dialogues. A line "S ..." is what the host says, "C ..." what must come from us next, "T" lets
 * the deadline pass, "X" loses the connection. Rows 120 to 129 of docs/reference/hostile-inputs.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "smtp/session.h"

#define GREETED "S 220 mx ready\nC EHLO hub.acme.com\nS 250-mx\nS 250-PIPELINING\nS 250-SIZE 1000\nS 250-8BITMIME\nS 250-DSN\nS 250 SMTPUTF8\n"
#define GREETED_PLAIN "S 220 mx ready\nC EHLO hub.acme.com\nS 250 mx\n"
#define GREETED_LMTP "S 220 mx ready\nC LHLO hub.acme.com\nS 250-mx\nS 250 PIPELINING\n"

struct scene {
	struct session *session;
	struct envelope envelope;
	struct transaction transaction;
	const struct envelope_recipient *recipients[8];
	enum recipient_progress progress[8];
	char verdicts[2048];	/* "number:outcome status text;" in the order of judgement */
	char sent[65536];
	size_t sent_length;
};

static void
judge(void *context, const struct envelope_recipient *recipient, const struct reply_judgement *judgement)
{
	static const char outcomes[] = "+-!";	/* done, deferred, failed */
	struct scene *scene = context;
	size_t length = strlen(scene->verdicts);

	snprintf(scene->verdicts + length, sizeof(scene->verdicts) - length, "%u%c%s;", recipient->number,
	    outcomes[judgement->outcome], judgement->status);
}

static void
begin_scene(struct scene *scene, bool lmtp, unsigned recipients, const char *content)
{
	struct session_options options = { .name = "hub.acme.com", .lmtp = lmtp, .use_size = true,
		.use_pipelining = true, .use_dsn = true, .use_8bitmime = true };
	unsigned i;

	memset(scene, 0, sizeof(*scene));
	for (i = 0; i < SESSION_STATE_COUNT; i++)
		options.timeout_ms[i] = 60000;
	scene->session = session_new(&options);
	session_connected(scene->session);
	envelope_init(&scene->envelope);
	scene->envelope.sender = memory_copy_string("jane@acme.com");
	for (i = 0; i < recipients; i++) {
		char address[32];

		snprintf(address, sizeof(address), "r%u@example.net", i);
		envelope_add_recipient(&scene->envelope, address);
	}
	for (i = 0; i < recipients; i++)
		scene->recipients[i] = &scene->envelope.recipients[i];
	scene->transaction = (struct transaction){ .envelope = &scene->envelope,
		.content = { .memory = content, .file = -1, .length = strlen(content) },
		.recipients = scene->recipients, .progress = scene->progress, .count = recipients, .judge = judge,
		.context = scene };
}

static void
end_scene(struct scene *scene)
{
	session_free(&scene->session);
	envelope_free(&scene->envelope);
}

/* Writes everything that the session has for the wire. */
static void
pump(struct scene *scene)
{
	const char *octets;
	size_t length;

	while (octets = session_output(scene->session, &length), length > 0) {
		assert_true(scene->sent_length + length < sizeof(scene->sent));
		memcpy(scene->sent + scene->sent_length, octets, length);
		scene->sent_length += length;
		scene->sent[scene->sent_length] = '\0';
		session_output_sent(scene->session, length);
	}
}

static void
expect_line(struct scene *scene, const char *line, size_t length)
{
	char wanted[512];

	snprintf(wanted, sizeof(wanted), "%.*s\r\n", (int)length, line);
	pump(scene);
	if (strncmp(scene->sent, wanted, strlen(wanted)) != 0)
		fail_msg("expected %s, sent is: %s", wanted, scene->sent);
	scene->sent_length -= strlen(wanted);
	memmove(scene->sent, scene->sent + strlen(wanted), scene->sent_length + 1);
}

/* Plays a dialogue. Consecutive S lines with '+' arrive in one segment with what follows. */
static void
play(struct scene *scene, const char *dialogue)
{
	struct buffer segment = BUFFER_INITIALIZER(0);

	while (*dialogue != '\0') {
		size_t length = strcspn(dialogue, "\n");
		const char *text = dialogue + 2;

		switch (dialogue[0]) {
		case '+':
		case 'S':
			buffer_append(&segment, text, length - 2);
			buffer_append(&segment, "\r\n", 2);
			if (dialogue[0] == 'S') {
				session_receive(scene->session, segment.data, segment.length);
				buffer_clear(&segment);
			}
			break;
		case 'C':
			expect_line(scene, text, length - 2);
			break;
		case 'B':
			session_begin(scene->session, &scene->transaction);
			break;
		case 'T':
			session_time_out(scene->session);
			break;
		case 'X':
			session_connection_lost(scene->session, "end of file");
			break;
		default:
			fail_msg("bad dialogue line %s", dialogue);
		}
		dialogue += length + (dialogue[length] == '\n');
	}
	buffer_free(&segment);
	pump(scene);
}

struct row {
	bool lmtp;
	unsigned recipients;
	const char *dialogue;
	const char *verdicts;
	enum session_state end;
	const char *failure;	/* part of its text; NULL: none */
};

static void
check_rows(const struct row *rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		struct scene scene;
		const struct session_failure *failure;

		begin_scene(&scene, rows[i].lmtp, rows[i].recipients, "Subject: x\r\n\r\n.dot\r\nend");
		play(&scene, rows[i].dialogue);
		assert_string_equal(scene.verdicts, rows[i].verdicts);
		assert_string_equal(scene.sent, "");
		assert_int_equal(session_state(scene.session), rows[i].end);
		failure = session_failure(scene.session);
		if ((failure != NULL) != (rows[i].failure != NULL) ||
		    (failure != NULL && strstr(failure->judgement.text, rows[i].failure) == NULL))
			fail_msg("row %zu: failure is %s", i, failure == NULL ? "none" : failure->judgement.text);
		assert_true(failure == NULL || failure->judgement.outcome == DELIVERY_DEFERRED);
		end_scene(&scene);
	}
}

#define CONTENT "C Subject: x\nC \nC ..dot\nC end\nC .\n"
#define MAIL "C MAIL FROM:<jane@acme.com> SIZE=23\n"

static void
sends_a_message_in_order(void **state)
{
	static const struct row rows[] = {
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\n"
		    "S 250 ok\nS 250 ok\nS 354 go\n" CONTENT "S 250 2.0.0 queued\n", "0+2.0.0;", SESSION_IDLE, NULL },
		{ false, 1, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\n"
		    "S 250 ok\nC DATA\nS 354 go\n" CONTENT "S 250 queued\n", "0+2.0.0;", SESSION_IDLE, NULL },
		{ true, 2, GREETED_LMTP "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\n"
		    "C RCPT TO:<r1@example.net>\nC DATA\n+ 250 ok\n+ 250 ok\n+ 250 ok\nS 354 go\n" CONTENT
		    "S 250 2.1.5 ok\nS 452 4.2.2 full\n", "0+2.1.5;1-4.2.2;", SESSION_IDLE, NULL },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
says_helo_where_ehlo_is_refused(void **state)
{
	static const struct row rows[] = {
		{ false, 1, "S 220 mx\nC EHLO hub.acme.com\nS 500 what\nC HELO hub.acme.com\nS 250 mx\nB\n"
		    "C MAIL FROM:<jane@acme.com>\n", "", SESSION_MAIL, NULL },
		{ false, 1, "S 220 mx\nC EHLO hub.acme.com\nS 500 what\nC HELO hub.acme.com\nS 550 no\n", "", SESSION_CLOSED,
		    "550 no" },
		{ true, 1, "S 220 mx\nC LHLO hub.acme.com\nS 500 what\n", "", SESSION_CLOSED, "500 what" },
		{ false, 1, "S 220 mx\nC EHLO hub.acme.com\nS 421 busy\n", "", SESSION_CLOSED, "421 busy" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
judges_each_recipient_by_its_own_reply(void **state)
{
	static const struct row rows[] = {
		{ false, 3, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC RCPT TO:<r1@example.net>\n"
		    "C RCPT TO:<r2@example.net>\nC DATA\nS 250 ok\nS 550 5.1.1 unknown\nS 250 ok\nS 450 4.2.1 later\nS 354 go\n"
		    CONTENT "S 250 ok\n", "0!5.1.1;2-4.2.1;1+2.0.0;", SESSION_IDLE, NULL },
		{ false, 2, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC RCPT TO:<r1@example.net>\nC DATA\n"
		    "S 550 5.7.1 not you\nS 503 what\nS 503 what\nS 503 what\nC RSET\nS 250 ok\n", "0!5.7.1;1!5.7.1;",
		    SESSION_IDLE, NULL },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\n"
		    "S 451 4.3.0 later\nC RSET\nS 250 ok\n", "0-4.3.0;", SESSION_IDLE, NULL },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT
		    "S 554 5.6.0 bad\n", "0!5.6.0;", SESSION_IDLE, NULL },
		{ false, 1, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\n"
		    "S 550 no\nC RSET\nS 250 ok\n", "0!5.0.0;", SESSION_IDLE, NULL },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
sends_a_lone_dot_when_nobody_was_accepted(void **state)
{
	static const struct row rows[] = {
		{ false, 2, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC RCPT TO:<r1@example.net>\nC DATA\n"
		    "S 250 ok\nS 550 no\nS 550 no\nS 354 go\nC .\nS 250 took it\nC QUIT\nS 221 bye\n", "0!5.0.0;1!5.0.0;",
		    SESSION_CLOSED, NULL },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\n"
		    "S 250 ok\nS 450 no\nS 354 go\nC .\nS 554 no valid recipients\nC QUIT\nX\n", "0-4.0.0;", SESSION_CLOSED,
		    NULL },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\n"
		    "S 450 no\nS 250 ok\nS 354 go\n", "0-4.0.0;", SESSION_CLOSED, "MAIL was refused" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
leaves_surplus_recipients_for_another_transaction(void **state)
{
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 2, "x\r\n");
	play(&scene, GREETED "B\nC MAIL FROM:<jane@acme.com> SIZE=3\nC RCPT TO:<r0@example.net>\nC RCPT TO:<r1@example.net>\n"
	    "C DATA\nS 250 ok\nS 250 ok\nS 452 4.5.3 too many\nS 354 go\nC x\nC .\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;");
	assert_int_equal(scene.progress[1], PROGRESS_AGAIN);
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	scene.progress[1] = PROGRESS_WAITING;
	play(&scene, "B\nC MAIL FROM:<jane@acme.com> SIZE=3\nC RCPT TO:<r1@example.net>\nC DATA\n"
	    "S 250 ok\nS 452 4.5.3 too many\nS 503 no\nC RSET\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;1-4.5.3;");
	end_scene(&scene);
}

static void
closes_after_421(void **state)
{
	static const struct row rows[] = {
		{ false, 2, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC RCPT TO:<r1@example.net>\nC DATA\n"
		    "S 250 ok\nS 421 4.3.2 closing\n", "0-4.3.2;", SESSION_CLOSED, "closing" },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 421 go away\n", "0-4.3.0;",
		    SESSION_CLOSED, "421" },
		{ false, 1, "S 421 busy\n", "", SESSION_CLOSED, "421 busy" },
		{ false, 1, "S 554 no service\n", "", SESSION_CLOSED, "554 no service" },
		{ false, 1, GREETED "S 421 idle too long\n", "", SESSION_CLOSED, "nobody asked" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
closes_when_out_of_step(void **state)
{
	static const struct row rows[] = {
		{ false, 1, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 354 go\n", "", SESSION_CLOSED, "protocol error" },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 250 ok\n", "",
		    SESSION_CLOSED, "protocol error" },
		{ false, 1, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\n+ 250 ok\nS 250 ok\n", "", SESSION_CLOSED,
		    "nobody asked" },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\n+ 354 go\nS 250 ok\n",
		    "", SESSION_CLOSED, "nobody asked" },
		/* the verdict stands, the session does not */
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT
		    "+ 250 ok\nS 250 ok\n", "0+2.0.0;", SESSION_CLOSED, "nobody asked" },
		{ false, 1, GREETED "S 250 hello again\n", "", SESSION_CLOSED, "nobody asked" },
		{ false, 1, "S 250 mx\n", "", SESSION_CLOSED, "greeting" },
		{ false, 1, "S HTTP/1.1 400 Bad Request\n", "", SESSION_CLOSED, "reply code" },
		{ false, 1, "+ 220 mx\nS 250 mx\n", "", SESSION_CLOSED, "nobody asked" },
		{ true, 1, GREETED_LMTP "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\nC DATA\n"
		    "S 250 ok\nS 250 ok\nS 354 go\n" CONTENT "+ 250 ok\nS 250 ok\n", "0+2.0.0;", SESSION_CLOSED,
		    "nobody asked" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
judges_nobody_delivered_without_the_last_reply(void **state)
{
	static const struct row rows[] = {
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT "X\n",
		    "", SESSION_CLOSED, "connection lost while waiting for the reply to the end of data" },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT "T\n",
		    "", SESSION_CLOSED, "timed out while waiting for the reply to the end of data" },
		{ true, 2, GREETED_LMTP "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\n"
		    "C RCPT TO:<r1@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT "S 250 ok\nX\n",
		    "0+2.0.0;", SESSION_CLOSED, "connection lost" },
		{ false, 1, "T\n", "", SESSION_CLOSED, "timed out while waiting for the greeting" },
		{ false, 1, GREETED "T\nC QUIT\nT\n", "", SESSION_CLOSED, NULL },
		{ false, 1, GREETED "X\n", "", SESSION_CLOSED, NULL },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
knows_whether_the_transaction_had_begun(void **state)
{
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 1, "x\r\n");
	play(&scene, GREETED "B\nC MAIL FROM:<jane@acme.com> SIZE=3\nC RCPT TO:<r0@example.net>\nC DATA\nX\n");
	assert_true(session_failure(scene.session)->before_mail_reply);
	end_scene(&scene);
	begin_scene(&scene, false, 1, "x\r\n");
	play(&scene, GREETED "B\nC MAIL FROM:<jane@acme.com> SIZE=3\nC RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nX\n");
	assert_false(session_failure(scene.session)->before_mail_reply);
	end_scene(&scene);
}

/* A host that refuses in the middle of the content is believed; one that accepts then is not. */
static void
takes_a_refusal_before_the_end_of_data(void **state)
{
	char *content = memory_new(300001, 1);
	struct scene scene;
	size_t length;

	(void)state;
	memset(content, 'x', 300000);
	begin_scene(&scene, false, 1, content);
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\nS 250 ok\nC DATA\n");
	session_receive(scene.session, "354 go\r\n", 8);
	session_output(scene.session, &length);
	session_output_sent(scene.session, length);
	session_receive(scene.session, "552 5.3.4 too big\r\n", 19);
	assert_string_equal(scene.verdicts, "0!5.3.4;");
	assert_int_equal(session_state(scene.session), SESSION_CLOSED);
	end_scene(&scene);

	begin_scene(&scene, false, 1, content);
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\nS 250 ok\nC DATA\n");
	session_receive(scene.session, "354 go\r\n", 8);
	session_output(scene.session, &length);
	session_receive(scene.session, "250 ok\r\n", 8);
	assert_string_equal(scene.verdicts, "");
	assert_int_equal(session_state(scene.session), SESSION_CLOSED);
	end_scene(&scene);
	free(content);
}

static void
refuses_itself_what_the_host_cannot_take(void **state)
{
	char *content = memory_new(1002, 1);
	struct scene scene;

	(void)state;
	memset(content, 'x', 1001);
	begin_scene(&scene, false, 2, content);
	play(&scene, GREETED "B\n");
	assert_string_equal(scene.verdicts, "0!5.3.4;1!5.3.4;");
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	assert_false(session_in_transaction(scene.session));
	end_scene(&scene);
	free(content);

	begin_scene(&scene, false, 1, "\xc3\xa9\r\n");
	scene.envelope.body = BODY_8BITMIME;
	play(&scene, GREETED_PLAIN "B\n");
	assert_string_equal(scene.verdicts, "0!5.6.3;");
	end_scene(&scene);

	begin_scene(&scene, false, 1, "plain\r\n");
	scene.envelope.body = BODY_8BITMIME;
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\n");
	end_scene(&scene);

	begin_scene(&scene, false, 2, "plain\r\n");
	free(scene.envelope.recipients[0].address);
	scene.envelope.recipients[0].address = memory_copy_string("\xc3\xa9@example.net");
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r1@example.net>\n");
	assert_string_equal(scene.verdicts, "0!5.6.7;");
	end_scene(&scene);

	begin_scene(&scene, false, 2, "plain\r\n");
	free(scene.envelope.recipients[1].address);
	scene.envelope.recipients[1].address = memory_copy_string("a>\r\nRSET\r\n@example.net");
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\nS 250 ok\nC DATA\n");
	assert_string_equal(scene.verdicts, "1!5.1.3;");
	end_scene(&scene);
}

static void
passes_on_parameters_that_are_offered(void **state)
{
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 2, "x\r\n");
	scene.envelope.body = BODY_8BITMIME;
	scene.envelope.smtputf8 = true;
	scene.envelope.ret = RETURN_HEADERS;
	scene.envelope.envid = memory_copy_string("a+b c");
	scene.envelope.recipients[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	scene.envelope.recipients[0].original = memory_copy_string("rfc822;x=y@example.net");
	scene.envelope.recipients[1].notify = NOTIFY_NEVER;
	scene.envelope.recipients[1].delivery_address = memory_copy_string("\"odd one\"@example.net");
	play(&scene, GREETED "B\nC MAIL FROM:<jane@acme.com> SIZE=3 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+20c\n"
	    "C RCPT TO:<r0@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+3Dy@example.net\n"
	    "C RCPT TO:<\"odd one\"@example.net> NOTIFY=NEVER\nC DATA\n");
	end_scene(&scene);
	begin_scene(&scene, false, 1, "x\r\n");
	scene.envelope.envid = memory_copy_string("id");
	scene.envelope.recipients[0].notify = NOTIFY_SUCCESS;
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\n");
	end_scene(&scene);
}

static void
survives_replies_cut_anywhere(void **state)
{
	static const char replies[] = "220 mx\r\n";
	struct scene scene;
	size_t i;

	(void)state;
	begin_scene(&scene, false, 1, "x\r\n");
	for (i = 0; i < strlen(replies); i++)
		session_receive(scene.session, replies + i, 1);
	play(&scene, "C EHLO hub.acme.com\n");
	end_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_a_message_in_order),
		cmocka_unit_test(says_helo_where_ehlo_is_refused),
		cmocka_unit_test(judges_each_recipient_by_its_own_reply),
		cmocka_unit_test(sends_a_lone_dot_when_nobody_was_accepted),
		cmocka_unit_test(leaves_surplus_recipients_for_another_transaction),
		cmocka_unit_test(closes_after_421),
		cmocka_unit_test(closes_when_out_of_step),
		cmocka_unit_test(judges_nobody_delivered_without_the_last_reply),
		cmocka_unit_test(knows_whether_the_transaction_had_begun),
		cmocka_unit_test(takes_a_refusal_before_the_end_of_data),
		cmocka_unit_test(refuses_itself_what_the_host_cannot_take),
		cmocka_unit_test(passes_on_parameters_that_are_offered),
		cmocka_unit_test(survives_replies_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
