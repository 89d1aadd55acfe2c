/* hosts_client - see hosts_client.h */
#include "router/hosts_client.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/log/log.h"

struct open_question {
	TAILQ_ENTRY(open_question) entries;
	struct hosts_client *client;
	uint64_t number;
	struct event timer;
	bool sent;
	uint8_t flags;
	uint16_t port;
	void (*answered)(void *context, const struct next_hosts *hosts);
	void *context;
	struct next_host *hosts;	/* told so far */
	size_t host_count;
	char name[];
};
TAILQ_HEAD(question_list, open_question);

struct hosts_client {
	struct event_base *base;
	struct channel *channel;	/* NULL while there is none */
	struct question_list questions;
	size_t count;
	uint64_t last_number;
};

static void
hosts_free(struct next_host *hosts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(hosts[i].name);
		free(hosts[i].text);
		free(hosts[i].addresses);
	}
	free(hosts);
}

static void
forget_hosts(struct open_question *question)
{
	hosts_free(question->hosts, question->host_count);
	question->hosts = NULL;
	question->host_count = 0;
}

static struct open_question *
find(struct hosts_client *client, uint64_t number)
{
	struct open_question *question;

	TAILQ_FOREACH(question, &client->questions, entries)
		if (question->number == number)
			return question;
	return NULL;
}

static void
drop(struct open_question *question)
{
	TAILQ_REMOVE(&question->client->questions, question, entries);
	question->client->count--;
	event_del(&question->timer);
	forget_hosts(question);
	free(question);
}

/* Ends the question: hosts gets what was told of them. */
static void
finish(struct open_question *question, struct next_hosts *hosts)
{
	void (*answered)(void *context, const struct next_hosts *hosts) = question->answered;
	void *context = question->context;
	struct next_host *list = question->hosts;
	size_t count = question->host_count;

	hosts->list = list;
	hosts->count = count;
	question->hosts = NULL;
	question->host_count = 0;
	drop(question);
	answered(context, hosts);
	hosts_free(list, count);
}

static void
time_out(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct next_hosts hosts = { .outcome = MAIL_HOSTS_NO_ANSWER, .text = "resolver does not answer" };

	forget_hosts(context);
	finish(context, &hosts);
}

/* Sends what was not sent yet, as far as there are credits. */
static void
send_questions(struct hosts_client *client)
{
	struct open_question *question;

	if (client->channel == NULL)
		return;
	TAILQ_FOREACH(question, &client->questions, entries) {
		const struct mail_hosts_question message = { .id = question->number, .flags = question->flags,
			.port = question->port, .name = question->name };

		if (question->sent)
			continue;
		if (!send_mail_hosts_question(client->channel, &message))
			return;
		question->sent = true;
	}
}

static void
take_host(void *context, struct channel *channel UNUSED, const struct mail_host *message)
{
	struct open_question *question = find(context, message->id);
	struct next_host *host;

	if (question == NULL || question->host_count == HOSTS_MAX || message->state >= MAIL_HOST_STATE_COUNT)
		return;
	question->hosts = memory_resize(question->hosts, question->host_count + 1, sizeof(*question->hosts));
	host = &question->hosts[question->host_count++];
	*host = (struct next_host){ .preference = message->preference, .state = (enum mail_host_state)message->state,
		.security = message->security <= DNS_BOGUS ? (enum dns_security)message->security : DNS_BOGUS,
		.failed_seconds = message->failed_seconds, .name = memory_copy_string(message->name),
		.text = memory_copy_string(message->text), .addresses_length = message->addresses.length };
	host->addresses = memory_new(message->addresses.length + 1, 1);
	if (message->addresses.length > 0)
		memcpy(host->addresses, message->addresses.data, message->addresses.length);
}

static void
take_answer(void *context, struct channel *channel UNUSED, const struct mail_hosts_answer *message)
{
	struct hosts_client *client = context;
	struct open_question *question = find(client, message->id);
	struct next_hosts hosts = { .outcome = message->outcome < MAIL_HOSTS_OUTCOME_COUNT ?
		(enum mail_hosts_outcome)message->outcome : MAIL_HOSTS_NO_ANSWER,
		.security = message->security <= DNS_BOGUS ? (enum dns_security)message->security : DNS_BOGUS,
		.implicit = message->implicit != 0, .retry_seconds = message->retry_seconds, .text = message->text };

	if (question != NULL)
		finish(question, &hosts);
	send_questions(client);
}

/* Nothing that the old resolver said counts. */
static void
forget_channel(struct hosts_client *client)
{
	struct open_question *question;

	channel_free(&client->channel);
	TAILQ_FOREACH(question, &client->questions, entries) {
		forget_hosts(question);
		question->sent = false;
	}
}

static void
lost(void *context, struct channel *channel UNUSED, const char *reason)
{
	log_peer_lost("resolver", reason);
	forget_channel(context);
}

static void
ready(void *context, struct channel *channel UNUSED)
{
	send_questions(context);
}

struct hosts_client *
hosts_client_new(struct event_base *base)
{
	struct hosts_client *client = memory_new(1, sizeof(*client));

	client->base = base;
	TAILQ_INIT(&client->questions);
	return client;
}

void
hosts_client_free(struct hosts_client **client)
{
	struct open_question *question;

	if (*client == NULL)
		return;
	while ((question = TAILQ_FIRST(&(*client)->questions)) != NULL)
		drop(question);
	channel_free(&(*client)->channel);
	free(*client);
	*client = NULL;
}

void
hosts_client_introduce(struct hosts_client *client, enum ipc_side side, int socket)
{
	static const struct dns_handlers handlers = { .mail_host = take_host, .mail_hosts_answer = take_answer };
	static const struct channel_events events = { .closed = lost, .ready = ready };

	forget_channel(client);
	client->channel = channel_open(client->base, socket, &dns_protocol, side, &handlers, &events, client);
	send_questions(client);
}

uint64_t
hosts_client_ask(struct hosts_client *client, const char *name, uint16_t port, uint8_t flags, int64_t within_ms,
    void (*answered)(void *context, const struct next_hosts *hosts), void *context)
{
	size_t size = strlen(name) + 1;
	struct open_question *question = memory_new(1, sizeof(*question) + size);
	struct timeval wait = { .tv_sec = within_ms / 1000, .tv_usec = within_ms % 1000 * 1000 };

	question->client = client;
	question->number = ++client->last_number;
	question->flags = flags;
	question->port = port;
	question->answered = answered;
	question->context = context;
	memcpy(question->name, name, size);
	event_assign(&question->timer, client->base, -1, 0, time_out, question);
	event_add(&question->timer, &wait);
	TAILQ_INSERT_TAIL(&client->questions, question, entries);
	client->count++;
	send_questions(client);
	return question->number;
}

void
hosts_client_forget(struct hosts_client *client, uint64_t number)
{
	struct open_question *question = find(client, number);

	if (question != NULL)
		drop(question);
}

size_t
hosts_client_open_questions(const struct hosts_client *client)
{
	return client->count;
}
