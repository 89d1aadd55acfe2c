/* call_out_client - see call_out_client.h */
#include "smtpd/call_out_client.h"

#include <stdlib.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/ipc/deposit.h"

struct call_out_query {
	struct hash_node by_id;
	struct call_out_client *client;
	uint64_t id;
	bool is_rehearsal;
	struct memory_query *recall;	/* directory is asked first */
	char *recipient;		/* owned */
	call_out_query_done_cb done;
	void *owner;
};

struct call_out_client {
	struct directory_memory *memory;	/* borrowed */
	struct channel *queue;			/* borrowed; NULL while there is no qmgr */
	struct hash_table queries;
	uint64_t next_id;
};

struct call_out_client *
call_out_client_new(struct directory_memory *memory)
{
	struct call_out_client *client = memory_new(1, sizeof(*client));

	client->memory = memory;
	return client;
}

static void
free_query(struct call_out_query *query)
{
	hash_table_remove(&query->client->queries, &query->by_id);
	directory_memory_forget(query->client->memory, &query->recall);
	free(query->recipient);
	free(query);
}

void
call_out_client_free(struct call_out_client **client)
{
	struct hash_node *node;

	if (*client == NULL)
		return;
	while ((node = hash_table_walk(&(*client)->queries, NULL)) != NULL)
		free_query(HASH_CONTAINER(node, struct call_out_query, by_id));
	hash_table_free(&(*client)->queries);
	free(*client);
	*client = NULL;
}

static void
finish(struct call_out_query *query, enum call_out_finding finding, const char *text)
{
	const struct fact_answer answer = { .fact = FACT_CALL_OUT, .call_out = { finding, text } };
	call_out_query_done_cb done = query->done;
	void *owner = query->owner;

	free_query(query);
	done(owner, &answer);
}

/* ---- directory first, qmgr then ---- */

static void
ask_queue(const struct call_out_query *query)
{
	if (query->client->queue != NULL)
		send_call_out_question(query->client->queue, &(struct call_out_question){ .id = query->id,
		    .recipient = query->recipient });
}

static void
recalled(void *owner, const struct memory_answer *answer)
{
	struct call_out_query *query = owner;

	query->recall = NULL;
	if (answer->finding == CALL_OUT_MEMORY_NOTHING)
		ask_queue(query);
	else
		finish(query, answer->finding == CALL_OUT_MEMORY_TAKEN ? CALL_OUT_TAKEN : CALL_OUT_REFUSED, answer->text);
}

struct call_out_query *
call_out_client_ask(struct call_out_client *client, const char *recipient, bool is_rehearsal, call_out_query_done_cb done,
    void *owner)
{
	struct call_out_query *query = memory_new(1, sizeof(*query));

	query->client = client;
	query->id = ++client->next_id;
	query->is_rehearsal = is_rehearsal;
	query->recipient = memory_copy_string(recipient);
	query->done = done;
	query->owner = owner;
	hash_table_insert(&client->queries, &query->by_id, hash_number(query->id));
	query->recall = directory_memory_ask_call_out(client->memory, recipient, recalled, query);
	return query;
}

void
call_out_client_forget(struct call_out_query **query)
{
	if (*query != NULL)
		free_query(*query);
	*query = NULL;
}

/* ---- what qmgr says ---- */

void
call_out_client_use(struct call_out_client *client, struct channel *queue)
{
	struct hash_node *node = NULL;

	client->queue = queue;
	while ((node = hash_table_walk(&client->queries, node)) != NULL) {
		const struct call_out_query *query = HASH_CONTAINER(node, struct call_out_query, by_id);

		if (query->recall == NULL)
			ask_queue(query);
	}
}

static struct call_out_query *
find(const struct call_out_client *client, uint64_t id)
{
	struct hash_node *node = hash_table_find(&client->queries, hash_number(id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct call_out_query *query = HASH_CONTAINER(node, struct call_out_query, by_id);

		if (query->id == id && query->recall == NULL)
			return query;
	}
	return NULL;
}

void
call_out_client_take(struct call_out_client *client, const struct call_out_answer *message)
{
	struct call_out_query *query = find(client, message->id);
	bool is_found = message->outcome == CALL_OUT_ACCEPTED || message->outcome == CALL_OUT_DENIED;

	if (query == NULL)
		return;
	if (is_found && !query->is_rehearsal)
		directory_memory_report(client->memory, query->recipient, message->outcome == CALL_OUT_ACCEPTED, message->text);
	if (is_found)
		finish(query, message->outcome == CALL_OUT_ACCEPTED ? CALL_OUT_TAKEN : CALL_OUT_REFUSED, message->text);
	else
		finish(query, message->outcome == CALL_OUT_NOBODY_TO_ASK ? CALL_OUT_TAKEN : CALL_OUT_NO_ANSWER, message->text);
}
