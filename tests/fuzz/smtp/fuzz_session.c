/*
 * fuzz_session - what hostile hosts say, in pieces: every recipient is judged at most once, nobody is judged delivered without
 * the content and its end having left us, a session ends or goes on but never hangs between
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "smtp/session.h"

#define RECIPIENTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
	unsigned judged[RECIPIENTS];
	bool dot_sent;
};

static void
judge(void *context, const struct envelope_recipient *recipient, const struct reply_judgement *judgement)
{
	struct scene *scene = context;

	assert(scene->judged[recipient->number]++ == 0);
	assert(judgement->outcome != DELIVERY_DONE || scene->dot_sent);
	assert(strpbrk(judgement->text, "\r\n") == NULL);
}

static void
write_all(struct session *session, struct scene *scene)
{
	const char *octets;
	size_t length;

	while (octets = session_output(session, &length), length > 0) {
		if (length >= 3 && memcmp(octets + length - 3, ".\r\n", 3) == 0)
			scene->dot_sent = true;
		session_output_sent(session, length);
	}
}

static void
play(struct session *session, struct scene *scene, struct transaction *transaction, const uint8_t *data, size_t size)
{
	size_t offset = 0;
	bool begun = false;

	while (offset < size && session_state(session) != SESSION_CLOSED) {
		size_t piece = 1 + data[offset] % 40;

		if (piece > size - offset)
			piece = size - offset;
		session_receive(session, (const char *)data + offset, piece);
		offset += piece;
		if (session_state(session) == SESSION_IDLE && !begun) {
			begun = true;
			session_begin(session, transaction);
		}
		write_all(session, scene);
	}
	if (session_state(session) != SESSION_CLOSED)
		session_time_out(session);
	assert(session_state(session) == SESSION_CLOSED || session_state(session) == SESSION_QUIT);
	assert(session_state(session) == SESSION_CLOSED || !session_in_transaction(session));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char content[] = "Subject: x\r\n\r\n.\r\nbody";
	struct session_options options = { .name = "hub", .use_size = true, .use_dsn = true, .use_8bitmime = true };
	const struct envelope_recipient *recipients[RECIPIENTS];
	enum recipient_progress progress[RECIPIENTS] = { PROGRESS_WAITING };
	struct scene scene = { .dot_sent = false };
	struct envelope envelope;
	struct session *session;
	int i;

	if (size < 1)
		return 0;
	options.use_pipelining = data[0] & 1;
	options.lmtp = data[0] & 2;
	for (i = 0; i < SESSION_STATE_COUNT; i++)
		options.timeout_ms[i] = 1000;
	envelope_init(&envelope);
	envelope.sender = memory_copy_string("a@b");
	for (i = 0; i < RECIPIENTS; i++)
		envelope_add_recipient(&envelope, "c@d");
	for (i = 0; i < RECIPIENTS; i++)
		recipients[i] = &envelope.recipients[i];
	session = session_new(&options);
	session_connected(session);
	play(session, &scene, &(struct transaction){ .envelope = &envelope,
	    .content = { .memory = content, .file = -1, .length = strlen(content) }, .recipients = recipients,
	    .progress = progress, .count = RECIPIENTS, .judge = judge, .context = &scene }, data + 1, size - 1);
	session_free(&session);
	envelope_free(&envelope);
	return 0;
}
