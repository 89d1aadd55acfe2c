/*
 * session_scene - a session and its transaction for unit tests, played as dialogues
 *
 * A line "S ..." is what the host says, "+ ..." what it says in one segment with the S line that follows, "C ..." what must come
 * from us next, "B" begins the transaction, "T" lets the deadline pass, "X" loses the connection.
 */
#ifndef TESTS_SMTP_SESSION_SCENE_H
#define TESTS_SMTP_SESSION_SCENE_H

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
#define GREETED_CHUNKING "S 220 mx ready\nC EHLO hub.acme.com\nS 250-mx\nS 250-PIPELINING\nS 250 CHUNKING\n"
#define GREETED_LMTP "S 220 mx ready\nC LHLO hub.acme.com\nS 250-mx\nS 250 PIPELINING\n"

struct scene {
	struct session *session;
	struct envelope envelope;
	struct transaction transaction;
	const struct envelope_recipient *recipients[8];
	enum recipient_progress progress[8];
	char verdicts[2048];	/* "number:outcome status text;" in the order of judgement */
	char sent[262144];
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
		.use_pipelining = true, .use_dsn = true, .use_8bitmime = true, .use_chunking = true };
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

/* Plays a dialogue. */
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

#endif
