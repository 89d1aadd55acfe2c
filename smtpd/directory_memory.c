/* directory_memory - see directory_memory.h */
#include "smtpd/directory_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"

struct memory_query {
	struct hash_node by_id;
	TAILQ_ENTRY(memory_query) unsent_link;
	bool is_sent;
	bool is_greylist;
	bool peeks;
	uint64_t id;
	char *network;			/* owned, like the others; greylist only */
	char *sender;
	char *recipient;
	memory_done_cb done;
	void *owner;
};

struct directory_memory {
	struct channel *channel;	/* borrowed; NULL while there is no directory */
	struct hash_table queries;
	TAILQ_HEAD(, memory_query) unsent;
	uint64_t next_id;
};

struct directory_memory *
directory_memory_new(void)
{
	struct directory_memory *memory = memory_new(1, sizeof(*memory));

	TAILQ_INIT(&memory->unsent);
	return memory;
}

static void
free_query(struct directory_memory *memory, struct memory_query *query)
{
	hash_table_remove(&memory->queries, &query->by_id);
	if (!query->is_sent)
		TAILQ_REMOVE(&memory->unsent, query, unsent_link);
	free(query->network);
	free(query->sender);
	free(query->recipient);
	free(query);
}

void
directory_memory_free(struct directory_memory **memory)
{
	struct hash_node *node;

	if (*memory == NULL)
		return;
	while ((node = hash_table_walk(&(*memory)->queries, NULL)) != NULL)
		free_query(*memory, HASH_CONTAINER(node, struct memory_query, by_id));
	hash_table_free(&(*memory)->queries);
	free(*memory);
	*memory = NULL;
}

/* ---- questions ---- */

static bool
send_query(struct directory_memory *memory, const struct memory_query *query)
{
	if (!query->is_greylist)
		return send_call_out_recall(memory->channel, &(struct call_out_recall){ .id = query->id,
		    .recipient = query->recipient });
	return send_greylist_question(memory->channel, &(struct greylist_question){ .id = query->id,
	    .flags = query->peeks ? GREYLIST_PEEK : 0, .network = query->network, .sender = query->sender,
	    .recipient = query->recipient });
}

void
directory_memory_pump(struct directory_memory *memory)
{
	struct memory_query *query;

	while (memory->channel != NULL && (query = TAILQ_FIRST(&memory->unsent)) != NULL && send_query(memory, query)) {
		TAILQ_REMOVE(&memory->unsent, query, unsent_link);
		query->is_sent = true;
	}
}

void
directory_memory_use(struct directory_memory *memory, struct channel *channel)
{
	struct hash_node *node = NULL;

	memory->channel = channel;
	while ((node = hash_table_walk(&memory->queries, node)) != NULL) {
		struct memory_query *query = HASH_CONTAINER(node, struct memory_query, by_id);

		if (query->is_sent)
			TAILQ_INSERT_TAIL(&memory->unsent, query, unsent_link);
		query->is_sent = false;
	}
	directory_memory_pump(memory);
}

static struct memory_query *
ask(struct directory_memory *memory, struct memory_query *query, memory_done_cb done, void *owner)
{
	query->id = ++memory->next_id;
	query->done = done;
	query->owner = owner;
	hash_table_insert(&memory->queries, &query->by_id, hash_number(query->id));
	TAILQ_INSERT_TAIL(&memory->unsent, query, unsent_link);
	directory_memory_pump(memory);
	return query;
}

struct memory_query *
directory_memory_ask_greylist(struct directory_memory *memory, const char *network, const char *sender,
    const char *recipient, bool peeks, memory_done_cb done, void *owner)
{
	struct memory_query *query = memory_new(1, sizeof(*query));

	query->is_greylist = true;
	query->peeks = peeks;
	query->network = memory_copy_string(network);
	query->sender = memory_copy_string(sender);
	query->recipient = memory_copy_string(recipient);
	return ask(memory, query, done, owner);
}

struct memory_query *
directory_memory_ask_call_out(struct directory_memory *memory, const char *recipient, memory_done_cb done, void *owner)
{
	struct memory_query *query = memory_new(1, sizeof(*query));

	query->recipient = memory_copy_string(recipient);
	return ask(memory, query, done, owner);
}

void
directory_memory_forget(struct directory_memory *memory, struct memory_query **query)
{
	if (*query != NULL)
		free_query(memory, *query);
	*query = NULL;
}

void
directory_memory_report(struct directory_memory *memory, const char *recipient, bool taken, const char *text)
{
	if (memory->channel != NULL)
		send_call_out_report(memory->channel, &(struct call_out_report){ .recipient = recipient, .taken = taken,
		    .text = text });
}

/* ---- answers ---- */

static void
finish(struct directory_memory *memory, uint64_t id, bool is_greylist, const struct memory_answer *answer)
{
	struct hash_node *node = hash_table_find(&memory->queries, hash_number(id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct memory_query *query = HASH_CONTAINER(node, struct memory_query, by_id);
		memory_done_cb done = query->done;
		void *owner = query->owner;

		if (query->id != id || query->is_greylist != is_greylist || !query->is_sent)
			continue;
		free_query(memory, query);
		done(owner, answer);
		break;
	}
	directory_memory_pump(memory);
}

void
directory_memory_take_greylist(struct directory_memory *memory, const struct greylist_answer *message)
{
	finish(memory, message->id, true, &(struct memory_answer){ .known = message->known != 0, .seconds = message->seconds,
		.text = "" });
}

void
directory_memory_take_call_out(struct directory_memory *memory, const struct call_out_memory *message)
{
	finish(memory, message->id, false, &(struct memory_answer){ .text = message->text,
		.finding = message->finding <= CALL_OUT_MEMORY_REFUSED ? (enum call_out_memory_finding)message->finding :
		CALL_OUT_MEMORY_NOTHING });
}
