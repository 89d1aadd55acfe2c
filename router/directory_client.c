/* directory_client - see directory_client.h */
#include "router/directory_client.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/log/log.h"

/* Longer than directory needs to start and compile 100,000 people, shorter than qmgr's patience matters. */
#define ANSWER_WITHIN_MS 60000

struct open_question {
	TAILQ_ENTRY(open_question) entries;
	uint64_t number;
	deadline_t deadline;
	bool sent;
	enum directory_lookup_kind kind;
	const struct directory_question *callbacks;
	void *context;
	char text[];
};
TAILQ_HEAD(question_list, open_question);

struct directory_client {
	struct event_base *base;
	struct channel *channel;	/* NULL while there is none */
	struct question_list questions;	/* in the order of their deadlines */
	size_t count;
	uint64_t last_number;
	struct event timer;
};

static void
set_timer(struct directory_client *client)
{
	struct open_question *first = TAILQ_FIRST(&client->questions);
	struct timeval wait;

	if (first == NULL) {
		event_del(&client->timer);
		return;
	}
	wait = deadline_timeval(first->deadline);
	event_add(&client->timer, &wait);
}

static struct open_question *
find(struct directory_client *client, uint64_t number)
{
	struct open_question *question;

	TAILQ_FOREACH(question, &client->questions, entries)
		if (question->number == number)
			return question;
	return NULL;
}

static void
drop(struct directory_client *client, struct open_question *question)
{
	TAILQ_REMOVE(&client->questions, question, entries);
	client->count--;
	free(question);
}

static void
finish(struct directory_client *client, struct open_question *question, enum directory_outcome outcome)
{
	const struct directory_question *callbacks = question->callbacks;
	void *context = question->context;

	drop(client, question);
	callbacks->answered(context, outcome);
}

static void
time_out(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct directory_client *client = context;
	struct open_question *first;

	while ((first = TAILQ_FIRST(&client->questions)) != NULL && deadline_passed(first->deadline))
		finish(client, first, DIRECTORY_UNAVAILABLE);
	set_timer(client);
}

/* Sends what was not sent yet, as far as there are credits. */
static void
send_questions(struct directory_client *client)
{
	struct open_question *question;

	if (client->channel == NULL)
		return;
	TAILQ_FOREACH(question, &client->questions, entries) {
		const struct directory_lookup message = { question->number, (uint8_t)question->kind,
		    question->text };

		if (question->sent)
			continue;
		if (!send_directory_lookup(client->channel, &message))
			return;
		question->sent = true;
	}
}

static void
take_entry(void *context, struct channel *channel UNUSED, const struct directory_entry *message)
{
	struct open_question *question = find(context, message->id);

	if (question != NULL)
		question->callbacks->entry(question->context, message);
}

static void
take_member(void *context, struct channel *channel UNUSED, const struct directory_member *message)
{
	struct open_question *question = find(context, message->id);

	if (question != NULL)
		question->callbacks->member(question->context, message->member);
}

static void
take_answer(void *context, struct channel *channel UNUSED, const struct directory_answer *message)
{
	struct directory_client *client = context;
	struct open_question *question = find(client, message->id);

	if (question != NULL)
		finish(client, question, message->outcome <= DIRECTORY_UNAVAILABLE ?
		    (enum directory_outcome)message->outcome : DIRECTORY_UNAVAILABLE);
	send_questions(client);
	set_timer(client);
}

/* Nothing that the old directory said counts. */
static void
forget_channel(struct directory_client *client)
{
	struct open_question *question;

	channel_free(&client->channel);
	TAILQ_FOREACH(question, &client->questions, entries) {
		if (question->sent)
			question->callbacks->again(question->context);
		question->sent = false;
	}
}

static void
lost(void *context, struct channel *channel UNUSED, const char *reason)
{
	log_peer_lost("directory", reason);
	forget_channel(context);
}

static void
ready(void *context, struct channel *channel UNUSED)
{
	send_questions(context);
}

struct directory_client *
directory_client_new(struct event_base *base)
{
	struct directory_client *client = memory_new(1, sizeof(*client));

	client->base = base;
	TAILQ_INIT(&client->questions);
	event_assign(&client->timer, base, -1, 0, time_out, client);
	return client;
}

void
directory_client_free(struct directory_client **client)
{
	struct open_question *question;

	if (*client == NULL)
		return;
	while ((question = TAILQ_FIRST(&(*client)->questions)) != NULL)
		drop(*client, question);
	event_del(&(*client)->timer);
	channel_free(&(*client)->channel);
	free(*client);
	*client = NULL;
}

void
directory_client_introduce(struct directory_client *client, enum ipc_side side, int socket)
{
	static const struct directory_handlers handlers = { .directory_entry = take_entry,
	    .directory_member = take_member,
		.directory_answer = take_answer };
	static const struct channel_events events = { .closed = lost, .ready = ready };

	forget_channel(client);
	client->channel = channel_open(client->base, socket, &directory_protocol, side, &handlers, &events, client);
	send_questions(client);
}

uint64_t
directory_client_ask(struct directory_client *client, enum directory_lookup_kind kind, const char *text,
    const struct directory_question *callbacks, void *context)
{
	size_t size = strlen(text) + 1;
	struct open_question *question = memory_new(1, sizeof(*question) + size);

	question->number = ++client->last_number;
	question->deadline = deadline_after_ms(ANSWER_WITHIN_MS);
	question->kind = kind;
	question->callbacks = callbacks;
	question->context = context;
	memcpy(question->text, text, size);
	TAILQ_INSERT_TAIL(&client->questions, question, entries);
	if (client->count++ == 0)
		set_timer(client);
	send_questions(client);
	return question->number;
}

void
directory_client_forget(struct directory_client *client, uint64_t number)
{
	struct open_question *question = find(client, number);

	if (question != NULL)
		drop(client, question);
	set_timer(client);
}

size_t
directory_client_open_questions(const struct directory_client *client)
{
	return client->count;
}
