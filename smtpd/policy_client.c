/* policy_client - see policy_client.h */
#include "smtpd/policy_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/client_dns.h"
#include "smtpd/limits.h"

/* SPF questions that policy may have in hand. They wait for the DNS of strangers, and the other half of the credits is for rates and
 * admissions, which are answered at once. */
#define SPF_UNDER_WAY_MAX 512

struct policy_query {
	struct hash_node node;		/* by id */
	TAILQ_ENTRY(policy_query) entries;	/* while it waits to be sent */
	bool is_sent;
	uint8_t flags;			/* of rate_question */
	bool is_admission;		/* of a session of flesh and blood, which is in the limits */
	struct in6_addr key;		/* of the client */
	uint64_t id;
	enum fact fact;
	policy_query_done_cb done;	/* NULL: the owner has gone */
	void *owner;
	char *client_address;		/* owned, like the others */
	char *user;
	char *helo;
	char *sender;
};

TAILQ_HEAD(query_list, policy_query);

struct policy_client {
	struct event_base *base;
	struct limits *limits;		/* borrowed */
	struct channel *channel;
	struct hash_table queries;
	struct query_list unsent, unsent_spf;
	unsigned spf_under_way;		/* sent and not answered, whoever waits for them */
	uint64_t next_id;
};

struct policy_client *
policy_client_new(struct event_base *base, struct limits *limits)
{
	struct policy_client *client = memory_new(1, sizeof(*client));

	client->base = base;
	client->limits = limits;
	TAILQ_INIT(&client->unsent);
	TAILQ_INIT(&client->unsent_spf);
	return client;
}

/* Where it waits to be sent. */
static struct query_list *
list_of(struct policy_client *client, const struct policy_query *query)
{
	return query->fact == FACT_SPF ? &client->unsent_spf : &client->unsent;
}

static void
free_query(struct policy_client *client, struct policy_query *query)
{
	hash_table_remove(&client->queries, &query->node);
	if (!query->is_sent)
		TAILQ_REMOVE(list_of(client, query), query, entries);
	free(query->client_address);
	free(query->user);
	free(query->helo);
	free(query->sender);
	free(query);
}

void
policy_client_free(struct policy_client **client)
{
	struct hash_node *node;

	if (*client == NULL)
		return;
	while ((node = hash_table_walk(&(*client)->queries, NULL)) != NULL)
		free_query(*client, HASH_CONTAINER(node, struct policy_query, node));
	hash_table_free(&(*client)->queries);
	channel_free(&(*client)->channel);
	free(*client);
	*client = NULL;
}

/* ---- sessions of clients that policy watches ---- */

static void
tell_session(struct policy_client *client, const struct in6_addr *key, enum session_change change, size_t count)
{
	char address[INET6_ADDRSTRLEN];

	if (client->channel == NULL || !limits_is_watched(client->limits, key))
		return;
	client_key_text(key, address);
	send_policy_session(client->channel, &(struct policy_session){ .change = change, .count = (uint32_t)count,
	    .client_address = address });
}

void
policy_client_session_closed(struct policy_client *client, const struct client_facts *facts)
{
	const struct in6_addr key = client_key(facts->address);

	tell_session(client, &key, SESSIONS_CLOSED, 1);
}

static void
take_watch(void *context, struct channel *channel, const struct policy_watch *message)
{
	struct policy_client *client = context;
	struct in6_addr key;

	(void)channel;
	if (!client_key_of_text(message->client_address, &key))
		return;
	limits_watch(client->limits, &key, !message->ends);
	tell_session(client, &key, SESSIONS_ALL, limits_open_sessions(client->limits, &key));
}

/* ---- questions ---- */

static enum rate_kind
rate_kind_of(enum fact fact)
{
	return fact == FACT_ADMISSION ? RATE_SESSION : fact == FACT_MESSAGE_RATE ? RATE_MESSAGE : RATE_RECIPIENT;
}

static bool
send_query(struct policy_client *client, const struct policy_query *query)
{
	if (query->fact == FACT_SPF)
		return send_spf_question(client->channel, &(struct spf_question){ .id = query->id,
		    .client_address = query->client_address, .helo = query->helo, .sender = query->sender });
	return send_rate_question(client->channel, &(struct rate_question){ .id = query->id,
	    .kind = (uint8_t)rate_kind_of(query->fact), .flags = query->flags,
	    .client_address = query->client_address, .user = query->user });
}

/* False: there is none, or no credit for it. */
static bool
send_first(struct policy_client *client, struct query_list *list)
{
	struct policy_query *query = TAILQ_FIRST(list);

	if (query == NULL || !send_query(client, query))
		return false;
	TAILQ_REMOVE(list, query, entries);
	query->is_sent = true;
	return true;
}

/* Sends what waits, as far as there are credits. */
static void
pump(struct policy_client *client)
{
	if (client->channel == NULL)
		return;
	while (send_first(client, &client->unsent))
		;
	while (client->spf_under_way < SPF_UNDER_WAY_MAX && send_first(client, &client->unsent_spf))
		client->spf_under_way++;
}

struct policy_query *
policy_client_ask(struct policy_client *client, enum fact fact, const struct client_facts *facts,
    const struct sender_facts *sender, bool is_rehearsal, policy_query_done_cb done, void *owner)
{
	struct policy_query *query = memory_new(1, sizeof(*query));

	query->id = ++client->next_id;
	query->fact = fact;
	query->flags = is_rehearsal ? RATE_PEEK : facts->is_crowded ? RATE_CROWDED : 0;
	query->is_admission = fact == FACT_ADMISSION && !is_rehearsal;
	query->key = client_key(facts->address);
	query->done = done;
	query->owner = owner;
	query->client_address = memory_copy_string(facts->address_text);
	query->user = memory_copy_string(facts->user);
	if (fact == FACT_SPF) {
		query->helo = memory_copy_string(facts->helo);
		query->sender = memory_copy_string(sender->address->text);
	}
	if (query->is_admission)
		limits_ask(client->limits, &query->key);
	hash_table_insert(&client->queries, &query->node, hash_number(query->id));
	TAILQ_INSERT_TAIL(list_of(client, query), query, entries);
	pump(client);
	return query;
}

void
policy_client_forget(struct policy_client *client, struct policy_query **query)
{
	if (*query == NULL)
		return;
	if ((*query)->is_admission) {
		limits_answered(client->limits, &(*query)->key);
		tell_session(client, &(*query)->key, SESSIONS_OPENED, 1);
	}
	/* What policy may still count must be taken back when it says so. */
	if ((*query)->is_admission && (*query)->is_sent)
		(*query)->done = NULL;
	else
		free_query(client, *query);
	*query = NULL;
}

/* ---- answers ---- */

static struct policy_query *
find(const struct policy_client *client, uint64_t id)
{
	struct hash_node *node = hash_table_find(&client->queries, hash_number(id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct policy_query *query = HASH_CONTAINER(node, struct policy_query, node);

		if (query->id == id && query->is_sent)
			return query;
	}
	return NULL;
}

static void
finish(struct policy_client *client, struct policy_query *query, const struct fact_answer *answer)
{
	policy_query_done_cb done = query->done;
	void *owner = query->owner;

	free_query(client, query);
	if (done != NULL)
		done(owner, answer);
}

static enum spf_verdict
verdict_of(uint8_t number)
{
	return number < SPF_VERDICT_COUNT ? (enum spf_verdict)number : SPF_VERDICT_TEMPERROR;
}

static void
take_spf_answer(void *context, struct channel *channel, const struct spf_answer *message)
{
	struct policy_client *client = context;
	struct policy_query *query = find(client, message->id);
	int64_t lasts_ms = (int64_t)message->lifetime * 1000;
	const struct fact_answer answer = { .fact = FACT_SPF,
		.lasts_ms = lasts_ms < CLIENT_ANSWER_LONGEST_MS ? lasts_ms : CLIENT_ANSWER_LONGEST_MS,
		.spf = { verdict_of(message->helo), verdict_of(message->mail), message->text } };

	(void)channel;
	if (client->spf_under_way > 0)
		client->spf_under_way--;
	if (query != NULL && query->fact == FACT_SPF)
		finish(client, query, &answer);
	pump(client);
}

/* What the answer to an admission means for the number of the client's sessions. */
static void
settle_admission(struct policy_client *client, const struct policy_query *query, bool exceeded)
{
	if (query->done == NULL) {
		if (!exceeded)
			tell_session(client, &query->key, SESSIONS_CLOSED, 1);
		return;
	}
	limits_answered(client->limits, &query->key);
	if (exceeded)
		limits_refuse(client->limits, &query->key);
}

static void
take_rate_answer(void *context, struct channel *channel, const struct rate_answer *message)
{
	struct policy_client *client = context;
	struct policy_query *query = find(client, message->id);
	struct fact_answer answer = { .rate = { message->exceeded ? RATE_EXCEEDED : RATE_WITHIN, message->rule } };

	(void)channel;
	if (query != NULL && query->fact != FACT_SPF) {
		answer.fact = query->fact;
		if (query->is_admission)
			settle_admission(client, query, message->exceeded);
		finish(client, query, &answer);
	}
	pump(client);
}

/* The questions that were sent are sent again; those that nobody waits for died with the policy that counted. */
static void
drop_channel(struct policy_client *client)
{
	struct hash_node *node, *next;

	channel_free(&client->channel);
	client->spf_under_way = 0;
	limits_watch_nobody(client->limits);
	for (node = hash_table_walk(&client->queries, NULL); node != NULL; node = next) {
		struct policy_query *query = HASH_CONTAINER(node, struct policy_query, node);

		next = hash_table_walk(&client->queries, node);
		if (query->is_sent)
			TAILQ_INSERT_TAIL(list_of(client, query), query, entries);
		query->is_sent = false;
		if (query->done == NULL)
			free_query(client, query);
	}
}

static void
on_closed(void *context, struct channel *channel, const char *reason)
{
	(void)channel;
	log_peer_lost("policy", reason);
	drop_channel(context);
}

static void
on_ready(void *context, struct channel *channel)
{
	(void)channel;
	pump(context);
}

void
policy_client_connect(struct policy_client *client, int socket)
{
	static const struct policy_handlers handlers = { .spf_answer = take_spf_answer,
		.rate_answer = take_rate_answer, .policy_watch = take_watch };
	static const struct channel_events events = { .closed = on_closed, .ready = on_ready };

	drop_channel(client);
	client->channel = channel_open(client->base, socket, &policy_protocol, IPC_ASKS, &handlers, &events, client);
	pump(client);
}
