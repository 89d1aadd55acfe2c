/* clients - see clients.h */
#include "resolver/clients.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/log/log.h"
#include "common/net/own_address.h"
#include "resolver/mail_hosts.h"

#define FAILED_HOSTS_MAX 20000

/* One question of one program: either kind. */
struct request {
	TAILQ_ENTRY(request) entries;
	struct client *client;
	uint64_t id;
	enum dns_kind kind;
	struct asker *asker;
	struct mail_hosts *mail_hosts;
};

struct client {
	TAILQ_ENTRY(client) entries;
	struct clients *clients;
	struct channel *channel;
	char *peer;
	TAILQ_HEAD(, request) requests;
};

struct clients {
	struct event_base *base;
	struct lookups *lookups;
	const struct settings *settings;
	char *our_name;
	struct host_memory *memory;
	int64_t remember_ms;
	struct mail_hosts_means means;
	TAILQ_HEAD(, client) clients;
};

/* ---- requests and clients --------------------------------------------------------------------- */

static struct request *
request_new(struct client *client, uint64_t id)
{
	struct request *request = memory_new(1, sizeof(*request));

	request->client = client;
	request->id = id;
	TAILQ_INSERT_TAIL(&client->requests, request, entries);
	return request;
}

static void
request_free(struct request *request)
{
	TAILQ_REMOVE(&request->client->requests, request, entries);
	lookups_forget(&request->asker);
	mail_hosts_free(&request->mail_hosts);
	free(request);
}

static void
client_free(struct client *client)
{
	while (!TAILQ_EMPTY(&client->requests))
		request_free(TAILQ_FIRST(&client->requests));
	TAILQ_REMOVE(&client->clients->clients, client, entries);
	channel_free(&client->channel);
	free(client->peer);
	free(client);
}

static void
client_lost(struct client *client, const char *reason)
{
	log_peer_lost(client->peer, reason);
	client_free(client);
}

/* ---- questions -------------------------------------------------------------------------------- */

static void
question_answered(void *context, const struct dns_answer *answer)
{
	struct request *request = context;
	struct client *client = request->client;
	struct dns_answer copy = *answer;

	copy.id = request->id;
	answer_limit(&copy, request->kind, IPC_DATA_MAX);
	request->asker = NULL;
	request_free(request);
	if (!send_dns_answer(client->channel, &copy))
		client_lost(client, "an answer cannot be sent");
}

static void
handle_question(void *context, struct channel *channel UNUSED, const struct dns_question *question)
{
	struct client *client = context;
	struct request *request;

	if (question->kind >= DNS_KIND_COUNT) {
		client_lost(client, "it asks for an unknown kind of record");
		return;
	}
	request = request_new(client, question->id);
	request->kind = (enum dns_kind)question->kind;
	request->asker = lookups_ask(client->clients->lookups, question->kind, question->name, question_answered,
	    request);
}

/* ---- mail hosts ------------------------------------------------------------------------------- */

static bool
send_host(struct client *client, uint64_t id, const struct mx_host *host)
{
	struct mail_host message = { .id = id, .preference = host->preference, .state = (uint8_t)host->state,
		.security = (uint8_t)host->security, .failed_seconds = host->failed_seconds, .count = host->count,
		.name = host->name, .addresses = { buffer_text(&host->addresses), host->addresses.length },
		.text = host->text };

	return send_mail_host(client->channel, &message);
}

static void
mail_hosts_answered(void *context, const struct mail_hosts_result *result)
{
	struct request *request = context;
	struct client *client = request->client;
	struct mail_hosts_answer answer = { .id = request->id, .outcome = (uint8_t)result->outcome,
		.security = (uint8_t)result->security, .implicit = result->implicit, .ttl = result->ttl,
		.retry_seconds = result->retry_seconds, .text = result->text };
	bool sent = true;
	size_t i;

	request->mail_hosts = NULL;
	request_free(request);
	for (i = 0; i < result->list->count && sent; i++)
		sent = send_host(client, answer.id, &result->list->hosts[i]);
	if (!sent || !send_mail_hosts_answer(client->channel, &answer))
		client_lost(client, "an answer cannot be sent");
}

static void
handle_mail_hosts_question(void *context, struct channel *channel UNUSED, const struct mail_hosts_question *question)
{
	struct client *client = context;
	struct request *request = request_new(client, question->id);

	request->mail_hosts = mail_hosts_ask(&client->clients->means, question->name, question->port, question->flags,
	    mail_hosts_answered, request);
}

static void
handle_report(void *context, struct channel *channel UNUSED, const struct mail_host_report *report)
{
	const struct client *client = context;
	struct clients *clients = client->clients;

	if (report->failed != 0)
		host_memory_failed(clients->memory, report->name, report->port, report->text, clock_boottime_ms(),
		    clients->remember_ms);
	else
		host_memory_works(clients->memory, report->name, report->port);
}

static struct asker *
means_ask(void *context, unsigned kind, const char *name, lookup_cb answered, void *asker_context)
{
	const struct clients *clients = context;

	return lookups_ask(clients->lookups, kind, name, answered, asker_context);
}

static void
means_forget(void *context UNUSED, struct asker **asker)
{
	lookups_forget(asker);
}

static bool
means_is_our_address(void *context, struct bytes address, uint16_t port)
{
	const struct clients *clients = context;
	union socket_address socket_address;

	return socket_address_make(address.data, address.length, port, &socket_address) &&
	    own_address_is_ours(clients->settings, &socket_address);
}

/* ---- all of them ------------------------------------------------------------------------------ */

static void
channel_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	client_lost(context, reason);
}

void
clients_introduce(struct clients *clients, const char *peer, int socket, enum ipc_side side)
{
	static const struct dns_handlers handlers = { .dns_question = handle_question,
		.mail_hosts_question = handle_mail_hosts_question, .mail_host_report = handle_report };
	static const struct channel_events events = { .closed = channel_closed };
	struct client *client = memory_new(1, sizeof(*client));

	client->clients = clients;
	client->peer = memory_copy_string(peer);
	TAILQ_INIT(&client->requests);
	TAILQ_INSERT_TAIL(&clients->clients, client, entries);
	client->channel = channel_open(clients->base, socket, &dns_protocol, side, &handlers, &events, client);
}

void
clients_configure(struct clients *clients, const struct settings *settings)
{
	clients->settings = settings;
	free(clients->our_name);
	clients->our_name = memory_copy_string(settings->server.internet_host_name.text);
	clients->means.our_name = clients->our_name;
	clients->remember_ms = settings->configuration.initial_transfer_retry_interval.number * 1000;
}

struct clients *
clients_new(struct event_base *base, struct lookups *lookups)
{
	struct clients *clients = memory_new(1, sizeof(*clients));

	clients->base = base;
	clients->lookups = lookups;
	clients->memory = host_memory_new(FAILED_HOSTS_MAX);
	clients->means = (struct mail_hosts_means){ .base = base, .context = clients, .ask = means_ask,
		.forget = means_forget, .is_our_address = means_is_our_address, .memory = clients->memory, .our_name = "" };
	TAILQ_INIT(&clients->clients);
	return clients;
}

void
clients_free(struct clients **clients)
{
	struct clients *all = *clients;

	if (all == NULL)
		return;
	while (!TAILQ_EMPTY(&all->clients))
		client_free(TAILQ_FIRST(&all->clients));
	host_memory_free(&all->memory);
	free(all->our_name);
	free(all);
	*clients = NULL;
}

void
clients_status(const struct clients *clients, struct buffer *lines)
{
	buffer_printf(lines, "failed_hosts=%zu\n", host_memory_count(clients->memory));
}
