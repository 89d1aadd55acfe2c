/* Unit tests of smtp/session.c and smtp/session_transaction.c, as dialogues; rows 120 to 129 of docs/reference/hostile-inputs.md. */
#include "session_scene.h"

#include <unistd.h>

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

/* 421 ends the session wherever it comes; it judges nobody, and takes no verdict back. */
static void
closes_after_421(void **state)
{
	static const struct row rows[] = {
		{ false, 1, "S 421 busy\n", "", SESSION_CLOSED, "421 busy" },
		{ false, 1, "S 220 mx\nC EHLO hub.acme.com\nS 421 4.3.2 busy\n", "", SESSION_CLOSED, "421 4.3.2 busy" },
		{ false, 1, "S 220 mx\nC EHLO hub.acme.com\nS 502 no\nC HELO hub.acme.com\nS 421 busy\n", "", SESSION_CLOSED,
		    "421 busy" },
		{ false, 1, GREETED "S 421 idle too long\n", "", SESSION_CLOSED, "421 idle too long" },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 421 go away\n", "", SESSION_CLOSED,
		    "421 go away" },
		{ false, 3, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC RCPT TO:<r1@example.net>\n"
		    "C RCPT TO:<r2@example.net>\nC DATA\nS 250 ok\nS 550 5.1.1 no\nS 250 ok\nS 421 4.3.2 closing\n", "0!5.1.1;",
		    SESSION_CLOSED, "closing" },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 421 closing\n", "",
		    SESSION_CLOSED, "closing" },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT
		    "S 421 closing\n", "", SESSION_CLOSED, "closing" },
		{ false, 1, GREETED "B\n" MAIL "C RCPT TO:<r0@example.net>\nC DATA\nS 250 ok\nS 550 no\nS 503 no\nC RSET\n"
		    "S 421 closing\n", "0!5.0.0;", SESSION_CLOSED, "closing" },
		{ false, 1, GREETED "T\nC QUIT\nS 421 closing\n", "", SESSION_CLOSED, NULL },
		{ true, 2, GREETED_LMTP "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\n"
		    "C RCPT TO:<r1@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT
		    "S 250 ok\nS 421 closing\n", "0+2.0.0;", SESSION_CLOSED, "closing" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* A host fails by its greeting, by EHLO and by silence; what it says later is about this message. */
static void
blames_the_host_for_what_comes_before_mail(void **state)
{
	static const struct { const char *dialogue; bool host_failed; } rows[] = {
		{ "S 421 busy\n", true }, { "S 554 no\n", true }, { "S what\n", true }, { "X\n", true }, { "T\n", true },
		{ "S 220 mx\nC EHLO hub.acme.com\nS 421 busy\n", true }, { "S 220 mx\nC EHLO hub.acme.com\nX\n", true },
		{ "S 220 mx\nC EHLO hub.acme.com\nS 451 later\n", true },
		{ GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 421 busy\n", false },
		{ GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nX\n", false },
		{ GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS what\n", false },
		{ GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nT\n", true },
		{ GREETED_PLAIN "S 421 idle too long\n", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene scene;

		begin_scene(&scene, false, 1, "x\r\n");
		play(&scene, rows[i].dialogue);
		assert_int_equal(session_state(scene.session), SESSION_CLOSED);
		assert_int_equal(session_failure(scene.session)->judgement.host_failed, rows[i].host_failed);
		assert_string_equal(scene.verdicts, "");
		end_scene(&scene);
	}
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

	/* An LMTP host owes each recipient a reply of its own: a single one decides about nobody. */
	begin_scene(&scene, true, 2, content);
	play(&scene, GREETED_LMTP "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\nC RCPT TO:<r1@example.net>\n"
	    "C DATA\nS 250 ok\nS 250 ok\nS 250 ok\n");
	session_receive(scene.session, "354 go\r\n", 8);
	session_output(scene.session, &length);
	session_output_sent(scene.session, length);
	session_receive(scene.session, "552 5.3.4 too big\r\n", 19);
	assert_string_equal(scene.verdicts, "");
	assert_int_equal(session_state(scene.session), SESSION_CLOSED);
	assert_int_equal(session_failure(scene.session)->judgement.outcome, DELIVERY_DEFERRED);
	assert_string_equal(session_failure(scene.session)->judgement.status, "4.3.4");
	end_scene(&scene);
	free(content);
}

/* However patient each wait is: all of them together end. */
static void
bounds_a_transaction_as_a_whole(void **state)
{
	struct session_options options = { .name = "hub.acme.com", .use_pipelining = false };
	int64_t hour = 60 * 60 * 1000, left;
	struct scene scene;
	deadline_t end;
	size_t i;

	(void)state;
	begin_scene(&scene, false, 2, "x\r\n");
	session_free(&scene.session);
	for (i = 0; i < SESSION_STATE_COUNT; i++)
		options.timeout_ms[i] = 1000 * hour;
	scene.session = session_new(&options);
	session_connected(scene.session);
	play(&scene, GREETED_PLAIN "B\n");
	end = session_deadline(scene.session);
	left = deadline_remaining_ms(end);
	assert_in_range(left, hour + 60 * 1000, hour + 3 * 60 * 1000);
	play(&scene, "C MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\nS 250 ok\n");
	assert_int_equal(session_deadline(scene.session), end);
	play(&scene, "C RCPT TO:<r1@example.net>\nS 250 ok\nC DATA\nS 354 go\nC x\nC .\nS 250 ok\n");
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	assert_true(session_deadline(scene.session) > end);
	end_scene(&scene);
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

	begin_scene(&scene, false, 1, "plain\r\n");
	scene.envelope.body = BODY_8BITMIME;
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\n");
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
	scene.envelope.ret = RETURN_HEADERS;
	scene.envelope.envid = memory_copy_string("a+b c");
	scene.envelope.recipients[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	scene.envelope.recipients[0].original = memory_copy_string("rfc822;x=y@example.net");
	scene.envelope.recipients[1].notify = NOTIFY_NEVER;
	scene.envelope.recipients[1].delivery_address = memory_copy_string("\"odd one\"@example.net");
	play(&scene, GREETED "B\nC MAIL FROM:<jane@acme.com> SIZE=3 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+20c\n"
	    "C RCPT TO:<r0@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+3Dy@example.net\n"
	    "C RCPT TO:<\"odd one\"@example.net> NOTIFY=NEVER\nC DATA\n");
	end_scene(&scene);
	begin_scene(&scene, false, 1, "x\r\n");
	scene.envelope.envid = memory_copy_string("id");
	scene.envelope.recipients[0].notify = NOTIFY_SUCCESS;
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\n");
	end_scene(&scene);
}

/* Rows 51 and 60: a body that the host cannot take is converted, or fails; header and envelope do not change. */
static void
converts_an_eight_bit_body_for_a_host_without_8bitmime(void **state)
{
	static const char content[] = "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	    ".\xe9\r\n";
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 1, content);
	scene.envelope.body = BODY_8BITMIME;
	play(&scene, "S 220 mx\nC EHLO hub.acme.com\nS 250-mx\nS 250 SIZE\nB\nC MAIL FROM:<jane@acme.com>\nS 250 ok\n"
	    "C RCPT TO:<r0@example.net>\nS 250 ok\nC DATA\nS 354 go\nC MIME-Version: 1.0\nC Content-Type: text/plain\n"
	    "C Content-Transfer-Encoding: quoted-printable\nC \nC ..=E9\nC .\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;");
	end_scene(&scene);

	/* Also when nobody announced it, and by BDAT. */
	begin_scene(&scene, false, 1, content);
	play(&scene, GREETED_CHUNKING "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\nS 250 ok\nS 250 ok\nC BDAT 98 LAST\n"
	    "C MIME-Version: 1.0\nC Content-Type: text/plain\nC Content-Transfer-Encoding: quoted-printable\nC \nC .=E9\n"
	    "S 250 ok\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;");
	end_scene(&scene);

	/* To a host that takes it, it is announced, though nobody announced it to us. */
	begin_scene(&scene, false, 1, content);
	play(&scene, GREETED "B\nC MAIL FROM:<jane@acme.com> SIZE=84 BODY=8BITMIME\n");
	end_scene(&scene);

	begin_scene(&scene, false, 2, "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n");
	play(&scene, GREETED_PLAIN "B\n");
	assert_string_equal(scene.verdicts, "0!5.6.3;1!5.6.3;");
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	end_scene(&scene);

	begin_scene(&scene, false, 1, "");
	scene.transaction.content = (struct content_source){ .file = 999999, .length = 20 };
	play(&scene, GREETED_PLAIN "B\n");
	assert_string_equal(scene.verdicts, "0-4.3.0;");
	end_scene(&scene);
}

static void
set_recipient(struct scene *scene, unsigned number, const char *address)
{
	free(scene->envelope.recipients[number].address);
	scene->envelope.recipients[number].address = memory_copy_string(address);
}

/* What a message needs is asked of the host when it is offered, and of nobody without need. */
static void
asks_for_smtputf8_only_where_it_is_needed(void **state)
{
	static const struct { bool announced; const char *content, *recipient, *mail; } rows[] = {
		{ true, "Subject: x\r\n\r\n", "r0@example.net", "C MAIL FROM:<jane@acme.com> SIZE=14\n" },
		{ true, "Subject: \xc3\xa9\r\n\r\n", "r0@example.net", "C MAIL FROM:<jane@acme.com> SIZE=15 SMTPUTF8\n" },
		{ false, "Subject: \xc3\xa9\r\n\r\n", "r0@example.net", "C MAIL FROM:<jane@acme.com> SIZE=15\n" },
		{ false, "\r\n", "j\xc3\xb6@example.net", "C MAIL FROM:<jane@acme.com> SIZE=2 SMTPUTF8\n"
		    "C RCPT TO:<j\xc3\xb6@example.net>\n" },
		{ false, "\r\n", "jo@b\xc3\xbc" "cher.example", "C MAIL FROM:<jane@acme.com> SIZE=2 SMTPUTF8\n"
		    "C RCPT TO:<jo@b\xc3\xbc" "cher.example>\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene scene;

		begin_scene(&scene, false, 1, rows[i].content);
		scene.envelope.smtputf8 = rows[i].announced;
		set_recipient(&scene, 0, rows[i].recipient);
		play(&scene, GREETED "B\n");
		play(&scene, rows[i].mail);
		end_scene(&scene);
	}
}

/* RFC 6531 3.2: a domain can be said in A-labels; a local part or a header cannot. */
static void
does_without_smtputf8_where_only_domains_are_international(void **state)
{
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 3, "Subject: x\r\n\r\n");
	scene.envelope.smtputf8 = true;
	free(scene.envelope.sender);
	scene.envelope.sender = memory_copy_string("jane@b\xc3\xbc" "cher.example");
	set_recipient(&scene, 0, "\xc3\xa9@example.net");
	set_recipient(&scene, 1, "jo@b\xc3\xbc" "cher.example");
	set_recipient(&scene, 2, "jo@\xe2\x80\x8b.example");
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@xn--bcher-kva.example>\nS 250 ok\n"
	    "C RCPT TO:<jo@xn--bcher-kva.example>\nS 250 ok\nC DATA\n");
	assert_string_equal(scene.verdicts, "0!5.6.7;2!5.6.7;");
	end_scene(&scene);

	begin_scene(&scene, false, 2, "Subject: \xc3\xa9\r\n\r\n");
	scene.envelope.smtputf8 = true;
	play(&scene, GREETED_PLAIN "B\n");
	assert_string_equal(scene.verdicts, "0!5.6.7;1!5.6.7;");
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	end_scene(&scene);

	begin_scene(&scene, false, 1, "\r\n");
	free(scene.envelope.sender);
	scene.envelope.sender = memory_copy_string("j\xc3\xb6@example.net");
	play(&scene, GREETED_PLAIN "B\n");
	assert_string_equal(scene.verdicts, "0!5.6.7;");
	end_scene(&scene);
}

/* Rows 120 and 127: nothing that comes in pieces makes a wait longer. */
static void
a_dripping_host_gains_no_time(void **state)
{
	struct scene scene;
	deadline_t deadline;
	size_t i;

	(void)state;
	begin_scene(&scene, false, 1, "x\r\n");
	deadline = session_deadline(scene.session);
	for (i = 0; i < 100; i++)
		session_receive(scene.session, "220-still waking up\r\n", 21);
	session_receive(scene.session, "2", 1);
	assert_int_equal(session_state(scene.session), SESSION_GREETING);
	assert_int_equal(session_deadline(scene.session), deadline);
	end_scene(&scene);
}

/* Rows 120, 121 and 127: replies that are too much. */
static void
closes_on_replies_without_end(void **state)
{
	static const struct { const char *opening, *line; unsigned count; } rows[] = {
		{ "", "220-banner\r\n", 1000 },
		{ "", "220 ", 100000 },
		{ "220 mx\r\n", "250-X-CAPABILITY\r\n", 100000 },
		{ "220 mx\r\n", "x", 1000000 },
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene scene;

		begin_scene(&scene, false, 1, "x\r\n");
		session_receive(scene.session, rows[i].opening, strlen(rows[i].opening));
		for (j = 0; j < rows[i].count && session_state(scene.session) != SESSION_CLOSED; j++)
			session_receive(scene.session, rows[i].line, strlen(rows[i].line));
		assert_true(j < 5000);
		assert_int_equal(session_state(scene.session), SESSION_CLOSED);
		assert_string_equal(session_failure(scene.session)->judgement.status, "4.5.0");
		assert_true(session_failure(scene.session)->judgement.host_failed);
		end_scene(&scene);
	}
}

/* Row 121: replies that are none. */
static void
closes_on_malformed_replies(void **state)
{
	static const char *const replies[] = { "25 ok\r\n", "999 ok\r\n", "abc\r\n", "250-a\r\n251 b\r\n", "250 a\n",
		"250 a\rb\r\n", "\r\n", "150 hm\r\n", "2500 ok\r\n", "250\tok\r\n", "-250 ok\r\n" };
	struct scene scene;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		begin_scene(&scene, false, 1, "x\r\n");
		play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\n");
		session_receive(scene.session, replies[i], strlen(replies[i]));
		assert_int_equal(session_state(scene.session), SESSION_CLOSED);
		assert_string_equal(session_failure(scene.session)->judgement.status, "4.5.0");
		end_scene(&scene);
	}
	begin_scene(&scene, false, 1, "x\r\n");
	session_receive(scene.session, "220 a\0b\r\n", 9);
	assert_int_equal(session_state(scene.session), SESSION_CLOSED);
	end_scene(&scene);
	/* "250-" at the end: the reply never ends, and the connection does. */
	begin_scene(&scene, false, 1, "x\r\n");
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250-\nX\n");
	assert_string_equal(session_failure(scene.session)->judgement.status, "4.4.2");
	end_scene(&scene);
}

/* Row 122 */
static void
quotes_a_reply_as_one_line_of_text(void **state)
{
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 1, "x\r\n");
	play(&scene, "S 421 4.3.2 \x1b[31mred\x07 \xc3\xa9 =0A%0d%0a\\r\\n\n");
	assert_string_equal(session_failure(scene.session)->judgement.text, "421 4.3.2 ?[31mred? ?? =0A%0d%0a\\r\\n");
	assert_string_equal(session_failure(scene.session)->judgement.status, "4.3.2");
	end_scene(&scene);
}

/* Row 127: only what stands in the reply, in a form that it can have, is used. */
static void
uses_only_what_is_offered(void **state)
{
	static const struct { const char *offers, *mail; } rows[] = {
		{ "S 250 mx PIPELINING SIZE 8BITMIME DSN SMTPUTF8 CHUNKING\n", "C MAIL FROM:<jane@acme.com>\n" },
		{ "S 250-mx\nS 250 SIZES 8BITMIMEX XDSN\n", "C MAIL FROM:<jane@acme.com>\n" },
		{ "S 250-mx\nS 250 size 99999999999999999999999\n", "C MAIL FROM:<jane@acme.com> SIZE=4\n" },
		{ "S 250-mx\nS 250 SIZE -1\n", "C MAIL FROM:<jane@acme.com> SIZE=4\n" },
		{ "S 250-mx\nS 250-SIZE 3x\nS 250 8bitmime yes\n", "C MAIL FROM:<jane@acme.com> SIZE=4 BODY=8BITMIME\n" },
		{ "S 250-\nS 250-\nS 250 \n", "C MAIL FROM:<jane@acme.com>\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene scene;

		begin_scene(&scene, false, 1, "\r\nx\n");
		scene.envelope.body = BODY_8BITMIME;
		scene.envelope.recipients[0].notify = NOTIFY_SUCCESS;
		play(&scene, "S 220 mx\nC EHLO hub.acme.com\n");
		play(&scene, rows[i].offers);
		play(&scene, "B\n");
		play(&scene, rows[i].mail);
		assert_string_equal(scene.sent, "");
		end_scene(&scene);
	}
}

/* Row 128: what does not leave in time ends the session, block by block and not octet by octet. */
/* So many octets of lines of 70 that need no change, behind an empty line; content has room for one more. */
static void
fill_with_plain_lines(char *content, size_t length)
{
	static const char line[] = "a line of content, as long as most of them are in a large attachment\r\n";

	memcpy(content, "\r\n", 2);
	for (size_t at = 2; at < length; at++)
		content[at] = line[(at - 2) % (sizeof(line) - 1)];
	memcpy(content + length - 2, "\r\n", 3);
}

static void
begin_content(struct scene *scene, const char *content)
{
	begin_scene(scene, false, 1, content);
	play(scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\nS 250 ok\nC DATA\n");
	session_receive(scene->session, "354 go\r\n", 8);
}

/* What needs no change leaves from where it is. */
static void
plain_content_is_not_copied(void **state)
{
	enum { LENGTH = 3 * CONTENT_BLOCK };
	char *content = memory_new(LENGTH + 1, 1);
	struct scene scene;
	const char *octets;
	size_t length, offset = 0;

	(void)state;
	fill_with_plain_lines(content, LENGTH);
	begin_content(&scene, content);
	while (offset < LENGTH) {
		octets = session_output(scene.session, &length);
		assert_ptr_equal(octets, content + offset);
		assert_int_equal(length, LENGTH - offset);
		session_output_sent(scene.session, length < 70001 ? length : 70001);
		offset += length < 70001 ? length : 70001;
	}
	play(&scene, "C .\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;");
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	end_scene(&scene);

	content[LENGTH / 2] = '.';
	memcpy(content + LENGTH / 2 - 2, "\r\n", 2);
	begin_content(&scene, content);
	octets = session_output(scene.session, &length);
	assert_ptr_not_equal(octets, content);
	pump(&scene);
	assert_int_equal(scene.sent_length, LENGTH + 1 + 3);
	assert_memory_equal(scene.sent + LENGTH / 2 - 2, "\r\n..", 4);
	end_scene(&scene);
	free(content);
}

static void
plain_content_of_a_file_can_leave_from_there(void **state)
{
	enum { LENGTH = 3 * CONTENT_BLOCK };
	char path[] = "/tmp/matador-session-XXXXXX", *content = memory_new(LENGTH + 1, 1);
	struct scene scene;
	uint64_t offset;
	size_t length;
	int file = mkstemp(path), from;

	(void)state;
	unlink(path);
	fill_with_plain_lines(content, LENGTH);
	assert_int_equal(write(file, content, LENGTH), LENGTH);
	begin_scene(&scene, false, 1, "");
	scene.transaction.content = (struct content_source){ .file = file, .length = LENGTH };
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\nS 250 ok\nC DATA\n");
	assert_false(session_output_file(scene.session, &from, &offset, &length));
	session_receive(scene.session, "354 go\r\n", 8);
	assert_true(session_output_file(scene.session, &from, &offset, &length));
	assert_int_equal(from, file);
	assert_int_equal(offset, 0);
	assert_int_equal(length, LENGTH);
	session_output_sent(scene.session, 1000);
	assert_true(session_output_file(scene.session, &from, &offset, &length));
	assert_int_equal(offset, 1000);
	session_output_sent(scene.session, LENGTH - 1000);
	assert_false(session_output_file(scene.session, &from, &offset, &length));
	play(&scene, "C .\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;");
	end_scene(&scene);

	/* It turns out to be unreadable: without the dot the host throws away what it has. */
	begin_scene(&scene, false, 1, "");
	scene.transaction.content = (struct content_source){ .file = file, .length = LENGTH };
	play(&scene, GREETED_PLAIN "B\nC MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\nS 250 ok\nC DATA\n");
	session_receive(scene.session, "354 go\r\n", 8);
	session_output_sent(scene.session, 1000);
	session_output_unreadable(scene.session, "Input/output error");
	assert_int_equal(session_state(scene.session), SESSION_CLOSED);
	assert_string_equal(session_failure(scene.session)->judgement.status, "4.3.0");
	assert_string_equal(scene.verdicts, "");
	end_scene(&scene);
	close(file);
	free(content);
}

static void
a_slow_reader_gains_no_time(bool is_plain)
{
	char *content = memory_new(300001, 1);
	struct scene scene;
	deadline_t deadline;
	size_t length, left = CONTENT_BLOCK - 2;

	memset(content, 'x', 300000);
	if (is_plain)
		fill_with_plain_lines(content, 300000);
	begin_content(&scene, content);
	session_output(scene.session, &length);
	assert_true(length > CONTENT_BLOCK / 2);
	deadline = session_deadline(scene.session);
	while (left-- > 0) {
		session_output_sent(scene.session, 1);
		session_output(scene.session, &length);
		assert_int_equal(session_deadline(scene.session), deadline);
		assert_int_equal(session_state(scene.session), SESSION_CONTENT);
	}
	session_time_out(scene.session);
	assert_string_equal(session_failure(scene.session)->judgement.status, "4.4.2");
	assert_non_null(strstr(session_failure(scene.session)->judgement.text, "timed out while sending the message"));
	end_scene(&scene);
	free(content);
}

static void
a_host_that_reads_slowly_gains_no_time(void **state)
{
	(void)state;
	a_slow_reader_gains_no_time(false);
	a_slow_reader_gains_no_time(true);
}

/* Row 129 */
static void
leaves_lmtp_recipients_without_a_reply_unjudged(void **state)
{
	static const struct row rows[] = {
		{ true, 3, GREETED_LMTP "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\n"
		    "C RCPT TO:<r1@example.net>\nC RCPT TO:<r2@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 550 5.1.1 no\nS 250 ok\n"
		    "S 354 go\n" CONTENT "S 250 ok\nT\n", "1!5.1.1;0+2.0.0;", SESSION_CLOSED, "timed out" },
		{ true, 2, GREETED_LMTP "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\n"
		    "C RCPT TO:<r1@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT "X\n", "",
		    SESSION_CLOSED, "connection lost" },
		{ true, 2, GREETED_LMTP "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\n"
		    "C RCPT TO:<r1@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT
		    "+ 250 ok\n+ 552 5.2.2 full\nS 250 one more\n", "0+2.0.0;1!5.2.2;", SESSION_CLOSED, "nobody asked" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
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
		cmocka_unit_test(bounds_a_transaction_as_a_whole),
		cmocka_unit_test(refuses_itself_what_the_host_cannot_take),
		cmocka_unit_test(passes_on_parameters_that_are_offered),
		cmocka_unit_test(blames_the_host_for_what_comes_before_mail),
		cmocka_unit_test(converts_an_eight_bit_body_for_a_host_without_8bitmime),
		cmocka_unit_test(asks_for_smtputf8_only_where_it_is_needed),
		cmocka_unit_test(does_without_smtputf8_where_only_domains_are_international),
		cmocka_unit_test(a_dripping_host_gains_no_time),
		cmocka_unit_test(closes_on_replies_without_end),
		cmocka_unit_test(closes_on_malformed_replies),
		cmocka_unit_test(quotes_a_reply_as_one_line_of_text),
		cmocka_unit_test(uses_only_what_is_offered),
		cmocka_unit_test(a_host_that_reads_slowly_gains_no_time),
		cmocka_unit_test(plain_content_is_not_copied),
		cmocka_unit_test(plain_content_of_a_file_can_leave_from_there),
		cmocka_unit_test(leaves_lmtp_recipients_without_a_reply_unjudged),
		cmocka_unit_test(survives_replies_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
