/* Unit tests of BDAT: smtp/chunking.c, and what smtp/session_transaction.c makes of it, as dialogues. */
#include "session_scene.h"

#define ENVELOPE "C MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\n"
#define CHUNK "C BDAT 25 LAST\nC Subject: x\nC \nC .dot\nC end\n"
#define TWO "C MAIL FROM:<jane@acme.com>\nC RCPT TO:<r0@example.net>\nC RCPT TO:<r1@example.net>\n"

static void
sends_a_small_message_in_one_chunk(void **state)
{
	static const struct row rows[] = {
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "+ 250 ok\nS 250 ok\n" CHUNK "S 250 2.6.0 queued\n", "0+2.6.0;",
		    SESSION_IDLE, NULL },
		{ false, 2, GREETED_CHUNKING "B\n" TWO "S 250 ok\nS 550 5.1.1 no\nS 250 ok\n" CHUNK "S 250 ok\n", "0!5.1.1;1+2.0.0;",
		    SESSION_IDLE, NULL },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "S 250 ok\nS 250 ok\n" CHUNK "S 451 4.3.0 later\nC RSET\nS 250 ok\n",
		    "0-4.3.0;", SESSION_IDLE, NULL },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "S 250 ok\nS 250 ok\n" CHUNK "S 554 5.6.0 bad\nC RSET\nS 250 ok\n",
		    "0!5.6.0;", SESSION_IDLE, NULL },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* Row 126: the content never leaves before somebody was accepted, and a word too many is not taken for its reply. */
static void
sends_nothing_when_nobody_was_accepted(void **state)
{
	static const struct row rows[] = {
		{ false, 2, GREETED_CHUNKING "B\n" TWO "S 250 ok\nS 550 no\nS 450 no\nC RSET\nS 250 ok\n", "0!5.0.0;1-4.0.0;",
		    SESSION_IDLE, NULL },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "S 550 5.7.1 not you\nS 503 no\nC RSET\nS 250 ok\n", "0!5.7.1;",
		    SESSION_IDLE, NULL },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "+ 250 ok\n+ 250 ok\nS 250 too many\n", "", SESSION_CLOSED,
		    "nobody asked" },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "+ 250 ok\n+ 250 too many\nS 550 no\n", "", SESSION_CLOSED,
		    "nobody asked" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
defers_when_the_last_reply_does_not_come(void **state)
{
	static const struct row rows[] = {
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "S 250 ok\nS 250 ok\n" CHUNK "X\n", "", SESSION_CLOSED,
		    "connection lost while waiting for the reply to the end of data" },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "S 250 ok\nS 250 ok\n" CHUNK "T\n", "", SESSION_CLOSED,
		    "timed out while waiting for the reply to the end of data" },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "S 250 ok\nS 250 ok\n" CHUNK "S 421 closing\n", "", SESSION_CLOSED,
		    "421 closing" },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "S 250 ok\nS 250 ok\n" CHUNK "S 354 go\n", "", SESSION_CLOSED,
		    "does not belong" },
		/* It answers what has not left yet. */
		{ false, 1, GREETED_CHUNKING "B\n+ 250 ok\n+ 250 ok\nS 250 ok\n", "", SESSION_CLOSED, "nobody asked" },
		{ false, 1, GREETED_CHUNKING "B\n" ENVELOPE "S 250 ok\nS 250 ok\n" CHUNK "+ 250 ok\nS 250 ok\n", "0+2.0.0;",
		    SESSION_CLOSED, "nobody asked" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* Without PIPELINING the content waits until somebody was accepted; LMTP has no BDAT from us. */
static void
waits_where_commands_may_not_be_grouped(void **state)
{
	static const struct row rows[] = {
		{ false, 1, "S 220 mx\nC EHLO hub.acme.com\nS 250-mx\nS 250 CHUNKING\nB\nC MAIL FROM:<jane@acme.com>\nS 250 ok\n"
		    "C RCPT TO:<r0@example.net>\nS 250 ok\n" CHUNK "S 250 ok\n", "0+2.0.0;", SESSION_IDLE, NULL },
		{ false, 1, "S 220 mx\nC EHLO hub.acme.com\nS 250-mx\nS 250 CHUNKING\nB\nC MAIL FROM:<jane@acme.com>\nS 250 ok\n"
		    "C RCPT TO:<r0@example.net>\nS 550 no\nC RSET\nS 250 ok\n", "0!5.0.0;", SESSION_IDLE, NULL },
		{ true, 1, "S 220 mx\nC LHLO hub.acme.com\nS 250-mx\nS 250-PIPELINING\nS 250 CHUNKING\nB\n" ENVELOPE "C DATA\n", "",
		    SESSION_MAIL, NULL },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* A host that offers CHUNKING and does not know BDAT: the same message by DATA, on the same session. */
static void
falls_back_to_data_where_bdat_is_unknown(void **state)
{
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 2, "Subject: x\r\n\r\n.dot\r\nend");
	play(&scene, GREETED_CHUNKING "B\n" TWO "S 250 ok\nS 550 5.1.1 no\nS 250 ok\n" CHUNK "S 502 5.5.1 what\nC RSET\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "0!5.1.1;");
	assert_int_equal(scene.progress[1], PROGRESS_AGAIN);
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	scene.progress[1] = PROGRESS_WAITING;
	play(&scene, "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r1@example.net>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\n" CONTENT
	    "S 250 ok\n");
	assert_string_equal(scene.verdicts, "0!5.1.1;1+2.0.0;");
	end_scene(&scene);
}

static void
leaves_surplus_recipients_for_another_transaction(void **state)
{
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 2, "Subject: x\r\n\r\n.dot\r\nend");
	play(&scene, GREETED_CHUNKING "B\n" TWO "+ 250 ok\n+ 250 ok\nS 452 4.5.3 too many\n" CHUNK "S 250 ok\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;");
	assert_int_equal(scene.progress[1], PROGRESS_AGAIN);
	scene.progress[1] = PROGRESS_WAITING;
	play(&scene, "B\nC MAIL FROM:<jane@acme.com>\nC RCPT TO:<r1@example.net>\nS 250 ok\nS 250 ok\n" CHUNK "S 250 ok\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;1+2.0.0;");
	end_scene(&scene);
}

/* Begins with a content of so many 'x' in lines of 50 octets, up to the replies to MAIL and RCPT. */
static char *
begin_large(struct scene *scene, size_t length, const char *offers, const char *envelope)
{
	char *content = memory_new(length + 1, 1);
	size_t i;

	for (i = 0; i < length; i++)
		content[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : '.';
	begin_scene(scene, false, 1, content);
	play(scene, offers);
	play(scene, "B\n");
	play(scene, envelope);
	return content;
}

/* Takes the chunks out of what was sent. The number of chunks; the last must say so, the others must not. */
static unsigned
take_chunks(struct scene *scene, struct buffer *content)
{
	const char *next = scene->sent, *end = scene->sent + scene->sent_length;
	unsigned count = 0;
	bool last = false;

	while (next < end) {
		size_t length;
		int header = 0, matched = sscanf(next, "BDAT %zu%n", &length, &header);

		assert_false(last);
		assert_int_equal(matched, 1);
		next += header;
		last = strncmp(next, " LAST", 5) == 0;
		next += last ? 5 : 0;
		assert_memory_equal(next, "\r\n", 2);
		next += 2;
		assert_true(length <= (size_t)(end - next));
		buffer_append(content, next, length);
		next += length;
		count++;
	}
	assert_true(last);
	return count;
}

static void
sends_a_large_message_in_chunks_once_somebody_was_accepted(void **state)
{
	struct buffer received = BUFFER_INITIALIZER(0);
	struct scene scene;
	char *content = begin_large(&scene, 200000, GREETED_CHUNKING, ENVELOPE);

	(void)state;
	assert_string_equal(scene.sent, "");
	play(&scene, "+ 250 ok\nS 250 ok\n");
	assert_int_equal(take_chunks(&scene, &received), 4);
	assert_int_equal(received.length, 200000);
	assert_memory_equal(received.data, content, 200000);
	assert_int_equal(session_state(scene.session), SESSION_DOT);
	scene.sent_length = 0;
	play(&scene, "S 250 one\nS 250 two\nS 250 three\n");
	assert_string_equal(scene.verdicts, "");
	assert_int_equal(session_state(scene.session), SESSION_DOT);
	play(&scene, "S 250 2.0.0 all\n");
	assert_string_equal(scene.verdicts, "0+2.0.0;");
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	end_scene(&scene);
	buffer_free(&received);
	free(content);
}

static void
sends_no_large_message_when_nobody_was_accepted(void **state)
{
	struct scene scene;
	char *content = begin_large(&scene, 200000, GREETED_CHUNKING, ENVELOPE);

	(void)state;
	play(&scene, "S 250 ok\nS 550 5.1.1 no\nC RSET\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "0!5.1.1;");
	end_scene(&scene);
	free(content);
	/* Without PIPELINING each chunk would wait for its reply: DATA is faster. */
	content = begin_large(&scene, 200000, "S 220 mx\nC EHLO hub.acme.com\nS 250-mx\nS 250 CHUNKING\n",
	    "C MAIL FROM:<jane@acme.com>\nS 250 ok\nC RCPT TO:<r0@example.net>\nS 250 ok\nC DATA\n");
	end_scene(&scene);
	free(content);
}

/* Lets the first block of the content leave, and no more. */
static void
send_one_block(struct scene *scene)
{
	size_t length;

	session_output(scene->session, &length);
	assert_true(length >= CONTENT_BLOCK);
	session_output_sent(scene->session, length);
}

static void
stops_at_a_chunk_that_is_refused(void **state)
{
	struct scene scene;
	char *content = begin_large(&scene, 200000, GREETED_CHUNKING, ENVELOPE);
	const char *octets;
	size_t length;

	(void)state;
	session_receive(scene.session, "250 ok\r\n250 ok\r\n", 16);
	send_one_block(&scene);
	assert_int_equal(session_state(scene.session), SESSION_CHUNK);
	/* The second chunk is on its way: its octets were announced and have to follow. */
	session_receive(scene.session, "552 5.3.4 too big\r\n", 19);
	assert_string_equal(scene.verdicts, "0!5.3.4;");
	send_one_block(&scene);
	octets = session_output(scene.session, &length);
	assert_int_equal(length, 0);
	assert_non_null(octets);
	play(&scene, "S 503 no\nC RSET\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "0!5.3.4;");
	assert_int_equal(session_state(scene.session), SESSION_IDLE);
	end_scene(&scene);

	begin_scene(&scene, false, 1, content);
	play(&scene, GREETED_CHUNKING "B\n" ENVELOPE);
	session_receive(scene.session, "250 ok\r\n250 ok\r\n", 16);
	send_one_block(&scene);
	session_receive(scene.session, "452 4.3.1 full\r\n250 ok\r\n", 24);
	assert_string_equal(scene.verdicts, "0-4.3.1;");
	assert_int_equal(session_state(scene.session), SESSION_CLOSED);
	end_scene(&scene);
	free(content);
}

static void
believes_no_reply_before_all_has_left(void **state)
{
	struct scene scene;
	size_t length;

	(void)state;
	begin_scene(&scene, false, 1, "Subject: x\r\n\r\n.dot\r\nend");
	play(&scene, GREETED_CHUNKING "B\n" ENVELOPE);
	session_receive(scene.session, "250 ok\r\n250 ok\r\n", 16);
	session_output(scene.session, &length);
	session_output_sent(scene.session, length - 1);
	session_receive(scene.session, "250 ok\r\n", 8);
	assert_string_equal(scene.verdicts, "");
	assert_int_equal(session_state(scene.session), SESSION_CLOSED);
	assert_non_null(strstr(session_failure(scene.session)->judgement.text, "accepted before all of it was sent"));
	end_scene(&scene);
}

/* A body that cannot be read any more: the host never sees BDAT LAST. */
static void
breaks_off_when_the_body_is_short(void **state)
{
	struct scene scene;

	(void)state;
	begin_scene(&scene, false, 1, "");
	scene.transaction.content = (struct content_source){ .file = 999999, .length = 200000 };
	scene.envelope.body = BODY_8BITMIME;
	play(&scene, GREETED "B\n");
	assert_string_equal(scene.verdicts, "0!5.3.4;");
	end_scene(&scene);

	begin_scene(&scene, false, 1, "");
	scene.transaction.content = (struct content_source){ .file = 999999, .length = 20 };
	scene.envelope.body = BODY_8BITMIME;
	play(&scene, "S 220 mx\nC EHLO hub.acme.com\nS 250-mx\nS 250-8BITMIME\nS 250-PIPELINING\nS 250 CHUNKING\nB\n"
	    "C MAIL FROM:<jane@acme.com> BODY=8BITMIME\nC RCPT TO:<r0@example.net>\nS 250 ok\nS 250 ok\n");
	assert_string_equal(scene.verdicts, "");
	assert_string_equal(scene.sent, "");
	assert_int_equal(session_state(scene.session), SESSION_CLOSED);
	assert_string_equal(session_failure(scene.session)->judgement.status, "4.3.0");
	end_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_a_small_message_in_one_chunk),
		cmocka_unit_test(sends_nothing_when_nobody_was_accepted),
		cmocka_unit_test(defers_when_the_last_reply_does_not_come),
		cmocka_unit_test(waits_where_commands_may_not_be_grouped),
		cmocka_unit_test(falls_back_to_data_where_bdat_is_unknown),
		cmocka_unit_test(leaves_surplus_recipients_for_another_transaction),
		cmocka_unit_test(sends_a_large_message_in_chunks_once_somebody_was_accepted),
		cmocka_unit_test(sends_no_large_message_when_nobody_was_accepted),
		cmocka_unit_test(stops_at_a_chunk_that_is_refused),
		cmocka_unit_test(believes_no_reply_before_all_has_left),
		cmocka_unit_test(breaks_off_when_the_body_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
