/*
 * fuzz_session - what hostile hosts say, in pieces: every recipient is judged at most once, nobody is judged delivered without
 * the content and its end having left us, a session ends or goes on but never hangs between
 *
 * The first octet chooses: 1 PIPELINING is used, 2 LMTP, 4 CHUNKING is used, 8 content of several blocks, 16 international
 * addresses and 8-bit content, 32 the recipients that the host left over are sent in another transaction.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "smtp/session.h"

#define RECIPIENTS 3
#define TRANSACTIONS 8
#define LARGE 150000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
	struct session *session;
	struct transaction transaction;
	const struct envelope_recipient *recipients[RECIPIENTS];
	enum recipient_progress progress[RECIPIENTS];
	unsigned judged[RECIPIENTS];
	bool end_sent;		/* the octets that left last are the end of the content */
	bool repeats;
};

static void
judge(void *context, const struct envelope_recipient *recipient, const struct reply_judgement *judgement)
{
	struct scene *scene = context;

	assert(scene->judged[recipient->number]++ == 0);
	assert(judgement->outcome != DELIVERY_DONE || scene->end_sent);
	assert(strpbrk(judgement->text, "\r\n") == NULL);
}

static bool
ends_with(const char *octets, size_t length, const char *end)
{
	return length >= strlen(end) && memcmp(octets + length - strlen(end), end, strlen(end)) == 0;
}

static void
write_all(struct scene *scene)
{
	const char *octets;
	size_t length;

	while (octets = session_output(scene->session, &length), length > 0) {
		scene->end_sent = ends_with(octets, length, "the end\r\n") || ends_with(octets, length, "the end\r\n.\r\n");
		session_output_sent(scene->session, length);
	}
}

/* Moves those without a verdict to the front, as an attempt does. Their number. */
static size_t
gather_unjudged(struct scene *scene)
{
	size_t count = 0, i;

	for (i = 0; i < scene->transaction.count; i++)
		if (scene->progress[i] != PROGRESS_JUDGED)
			scene->recipients[count++] = scene->recipients[i];
	for (i = 0; i < count; i++)
		scene->progress[i] = PROGRESS_WAITING;
	scene->transaction.count = count;
	return count;
}

static void
play(struct scene *scene, const uint8_t *data, size_t size)
{
	unsigned begun = 0;
	size_t offset = 0;

	while (offset < size && session_state(scene->session) != SESSION_CLOSED) {
		size_t piece = 1 + data[offset] % 40;

		if (piece > size - offset)
			piece = size - offset;
		session_receive(scene->session, (const char *)data + offset, piece);
		offset += piece;
		if (session_state(scene->session) == SESSION_IDLE && begun < (scene->repeats ? TRANSACTIONS : 1) &&
		    gather_unjudged(scene) > 0) {
			begun++;
			session_begin(scene->session, &scene->transaction);
		}
		write_all(scene);
	}
	if (session_state(scene->session) != SESSION_CLOSED)
		session_time_out(scene->session);
	assert(session_state(scene->session) == SESSION_CLOSED || session_state(scene->session) == SESSION_QUIT);
	assert(session_state(scene->session) == SESSION_CLOSED || !session_in_transaction(scene->session));
}

static char *
make_content(bool large, bool international)
{
	static const char header[] = "Subject: x\r\nMIME-Version: 1.0\r\n\r\n.\r\n";
	size_t length = large ? LARGE : sizeof(header) + 16;
	char *content = memory_new(length + 1, 1);

	memset(content, '.', length);
	memcpy(content, header, sizeof(header) - 1);
	content[sizeof(header)] = international ? '\xe9' : 'e';
	memcpy(content + length - 9, "\r\nthe end", 9);
	return content;
}

static void
make_envelope(struct envelope *envelope, bool international)
{
	static const char *const addresses[2][RECIPIENTS] = { { "c@d", "e@d", "f@d" },
		{ "c@d", "\xc3\xa9@d", "f@b\xc3\xbc.d" } };
	int i;

	envelope_init(envelope);
	envelope->sender = memory_copy_string(international ? "a@b\xc3\xbc.d" : "a@b");
	envelope->smtputf8 = international;
	envelope->body = international ? BODY_8BITMIME : BODY_7BIT;
	for (i = 0; i < RECIPIENTS; i++)
		envelope_add_recipient(envelope, addresses[international][i]);
	envelope->recipients[0].notify = NOTIFY_SUCCESS;
	envelope->recipients[0].original = memory_copy_string("utf-8;\xc3\xa9+=@d");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session_options options = { .name = "hub", .use_size = true, .use_dsn = true, .use_8bitmime = true };
	struct scene scene = { .end_sent = false };
	struct envelope envelope;
	char *content;
	int i;

	if (size < 1)
		return 0;
	options.use_pipelining = data[0] & 1;
	options.lmtp = data[0] & 2;
	options.use_chunking = data[0] & 4;
	scene.repeats = data[0] & 32;
	for (i = 0; i < SESSION_STATE_COUNT; i++)
		options.timeout_ms[i] = 1000;
	content = make_content(data[0] & 8, data[0] & 16);
	make_envelope(&envelope, data[0] & 16);
	for (i = 0; i < RECIPIENTS; i++)
		scene.recipients[i] = &envelope.recipients[i];
	scene.session = session_new(&options);
	session_connected(scene.session);
	scene.transaction = (struct transaction){ .envelope = &envelope,
		.content = { .memory = content, .file = -1, .length = strlen(content) }, .recipients = scene.recipients,
		.progress = scene.progress, .count = RECIPIENTS, .judge = judge, .context = &scene };
	play(&scene, data + 1, size - 1);
	session_free(&scene.session);
	envelope_free(&envelope);
	free(content);
	return 0;
}
