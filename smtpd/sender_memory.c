/* sender_memory - see sender_memory.h */
#include "smtpd/sender_memory.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/hash_table.h"
#include "common/base/memory.h"

struct record {
	struct hash_node node;
	TAILQ_ENTRY(record) entries;	/* used last at the end */
	char *key;			/* owned */
	int64_t ends_ms;		/* monotonic: until then the answer counts */
	struct fact_answer answer;
	char *text;			/* of SPF, owned; NULL otherwise */
};

struct sender_memory {
	struct hash_table records;
	TAILQ_HEAD(, record) by_use;
};

struct sender_memory *
sender_memory_new(void)
{
	struct sender_memory *memory = memory_new(1, sizeof(*memory));

	TAILQ_INIT(&memory->by_use);
	return memory;
}

static void
free_record(struct sender_memory *memory, struct record *record)
{
	TAILQ_REMOVE(&memory->by_use, record, entries);
	hash_table_remove(&memory->records, &record->node);
	free(record->key);
	free(record->text);
	free(record);
}

void
sender_memory_free(struct sender_memory **memory)
{
	struct record *record;

	if (*memory == NULL)
		return;
	while ((record = TAILQ_FIRST(&(*memory)->by_use)) != NULL)
		free_record(*memory, record);
	hash_table_free(&(*memory)->records);
	free(*memory);
	*memory = NULL;
}

size_t
sender_memory_count(const struct sender_memory *memory)
{
	return memory->records.count;
}

/* Names are the same in any case, and have no line ends. */
static void
put_name(struct buffer *key, const char *name)
{
	for (; *name != '\0'; name++)
		buffer_append_byte(key, (char)tolower((unsigned char)*name));
	buffer_append_byte(key, '\n');
}

char *
sender_memory_key(enum fact fact, const struct client_facts *client, const struct sender_facts *sender)
{
	struct buffer key = BUFFER_INITIALIZER(0);
	char *text;

	if (fact == FACT_SPF) {
		put_name(&key, client->address_text);
		put_name(&key, client->helo);
	}
	put_name(&key, sender->address->domain);
	text = memory_copy_string(buffer_text(&key));
	buffer_free(&key);
	return text;
}

static struct record *
find(const struct sender_memory *memory, const char *key)
{
	struct hash_node *node = hash_table_find(&memory->records, hash_text(key));

	for (; node != NULL; node = hash_node_next(node)) {
		struct record *record = HASH_CONTAINER(node, struct record, node);

		if (strcmp(record->key, key) == 0)
			return record;
	}
	return NULL;
}

bool
sender_memory_find(struct sender_memory *memory, const char *key, struct fact_answer *answer_out)
{
	struct record *record = find(memory, key);

	if (record != NULL && record->ends_ms <= clock_monotonic_ms()) {
		free_record(memory, record);
		record = NULL;
	}
	if (record == NULL)
		return false;
	TAILQ_REMOVE(&memory->by_use, record, entries);
	TAILQ_INSERT_TAIL(&memory->by_use, record, entries);
	*answer_out = record->answer;
	return true;
}

void
sender_memory_keep(struct sender_memory *memory, const char *key, const struct fact_answer *answer)
{
	struct record *record = find(memory, key);

	if (record != NULL)
		free_record(memory, record);
	if (answer->lasts_ms <= 0)
		return;
	if (memory->records.count >= SENDER_MEMORY_RECORDS)
		free_record(memory, TAILQ_FIRST(&memory->by_use));
	record = memory_new(1, sizeof(*record));
	record->key = memory_copy_string(key);
	record->ends_ms = clock_monotonic_ms() + answer->lasts_ms;
	record->answer = *answer;
	if (answer->fact == FACT_SPF)
		record->answer.spf.text = record->text = memory_copy_string(answer->spf.text);
	TAILQ_INSERT_TAIL(&memory->by_use, record, entries);
	hash_table_insert(&memory->records, &record->node, hash_text(key));
}
