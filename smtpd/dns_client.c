/* dns_client - see dns_client.h */
#include "smtpd/dns_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/log/log.h"

struct dns_query {
	struct hash_node node;		/* by id */
	TAILQ_ENTRY(dns_query) entries;	/* while it waits to be sent */
	bool is_sent;
	uint64_t id;
	enum dns_kind kind;
	dns_query_done_cb done;
	void *owner;
	char name[];
};

struct dns_client {
	struct event_base *base;
	struct channel *channel;
	struct hash_table queries;
	TAILQ_HEAD(, dns_query) unsent;
	uint64_t next_id;
};

struct dns_client *
dns_client_new(struct event_base *base)
{
	struct dns_client *client = memory_new(1, sizeof(*client));

	client->base = base;
	TAILQ_INIT(&client->unsent);
	return client;
}

static void
free_query(struct dns_client *client, struct dns_query *query)
{
	hash_table_remove(&client->queries, &query->node);
	if (!query->is_sent)
		TAILQ_REMOVE(&client->unsent, query, entries);
	free(query);
}

void
dns_client_free(struct dns_client **client)
{
	struct hash_node *node;

	if (*client == NULL)
		return;
	while ((node = hash_table_walk(&(*client)->queries, NULL)) != NULL)
		free_query(*client, HASH_CONTAINER(node, struct dns_query, node));
	hash_table_free(&(*client)->queries);
	channel_free(&(*client)->channel);
	free(*client);
	*client = NULL;
}

/* Sends what waits, as far as there are credits. */
static void
pump(struct dns_client *client)
{
	struct dns_query *query;

	while (client->channel != NULL && (query = TAILQ_FIRST(&client->unsent)) != NULL) {
		if (!send_dns_question(client->channel, &(struct dns_question){ .id = query->id,
		    .kind = (uint8_t)query->kind, .name = query->name }))
			return;
		TAILQ_REMOVE(&client->unsent, query, entries);
		query->is_sent = true;
	}
}

struct dns_query *
dns_client_ask(struct dns_client *client, enum dns_kind kind, const char *name, dns_query_done_cb done, void *owner)
{
	size_t length = strlen(name);
	struct dns_query *query = memory_new(1, sizeof(*query) + length + 1);

	query->id = ++client->next_id;
	query->kind = kind;
	query->done = done;
	query->owner = owner;
	memcpy(query->name, name, length + 1);
	hash_table_insert(&client->queries, &query->node, hash_number(query->id));
	TAILQ_INSERT_TAIL(&client->unsent, query, entries);
	pump(client);
	return query;
}

void
dns_client_forget(struct dns_client *client, struct dns_query **query)
{
	if (*query != NULL)
		free_query(client, *query);
	*query = NULL;
}

static struct dns_query *
find(const struct dns_client *client, uint64_t id)
{
	struct hash_node *node = hash_table_find(&client->queries, hash_number(id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct dns_query *query = HASH_CONTAINER(node, struct dns_query, node);

		if (query->id == id && query->is_sent)
			return query;
	}
	return NULL;
}

static void
take_answer(void *context, struct channel *channel, const struct dns_answer *message)
{
	struct dns_client *client = context;
	struct dns_query *query = find(client, message->id);
	struct dns_answer answer = *message;

	(void)channel;
	if (answer.outcome > DNS_NO_ANSWER)
		answer.outcome = DNS_NO_ANSWER;
	if (query != NULL) {
		dns_query_done_cb done = query->done;
		void *owner = query->owner;

		free_query(client, query);
		done(owner, &answer);
	}
	pump(client);
}

static void
drop_channel(struct dns_client *client)
{
	const struct hash_node *node = NULL;

	channel_free(&client->channel);
	while ((node = hash_table_walk(&client->queries, node)) != NULL) {
		struct dns_query *query = HASH_CONTAINER(node, struct dns_query, node);

		if (query->is_sent)
			TAILQ_INSERT_TAIL(&client->unsent, query, entries);
		query->is_sent = false;
	}
}

static void
on_closed(void *context, struct channel *channel, const char *reason)
{
	(void)channel;
	log_peer_lost("resolver", reason);
	drop_channel(context);
}

static void
on_ready(void *context, struct channel *channel)
{
	(void)channel;
	pump(context);
}

void
dns_client_connect(struct dns_client *client, int socket)
{
	static const struct dns_handlers handlers = { .dns_answer = take_answer };
	static const struct channel_events events = { .closed = on_closed, .ready = on_ready };

	drop_channel(client);
	client->channel = channel_open(client->base, socket, &dns_protocol, IPC_ASKS, &handlers, &events, client);
	pump(client);
}
