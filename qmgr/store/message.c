/* message - see message.h */
#include "qmgr/store/message.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"

#define SMALLEST_TABLE 1024

void
message_live_nothing(void *context, uint64_t serial, int64_t octets)
{
	(void)context;
	(void)serial;
	(void)octets;
}

struct message *
message_new(uint64_t id)
{
	struct message *message = memory_new(1, sizeof(*message));

	message->id = id;
	message->parts = message->few;
	message->part_capacity = ARRAY_COUNT(message->few);
	return message;
}

void
message_free(struct message **message)
{
	if (*message == NULL)
		return;
	if ((*message)->parts != (*message)->few)
		free((*message)->parts);
	free(*message);
	*message = NULL;
}

struct message *
message_clone(const struct message *message)
{
	struct message *clone = memory_copy(message, sizeof(*message));

	clone->next = NULL;
	clone->parts = clone->few;
	if (message->parts != message->few) {
		clone->parts = memory_new(message->part_capacity, sizeof(*clone->parts));
		memcpy(clone->parts, message->parts, message->part_count * sizeof(*clone->parts));
	}
	return clone;
}

static void
part_append(struct message *message, const struct part *part)
{
	if (message->part_count == message->part_capacity) {
		uint32_t capacity = message->part_capacity * 2;

		if (message->parts == message->few) {
			message->parts = memory_new(capacity, sizeof(*message->parts));
			memcpy(message->parts, message->few, sizeof(message->few));
		} else {
			message->parts = memory_resize(message->parts, capacity, sizeof(*message->parts));
		}
		message->part_capacity = capacity;
	}
	message->parts[message->part_count++] = *part;
}

/* Whether new makes old superfluous. */
static bool
replaces(const struct part *new, const struct part *old)
{
	switch ((enum entry_kind)new->kind) {
	case ENTRY_ADD:
		return true;
	case ENTRY_UPDATE:
		return old->kind == ENTRY_UPDATE && (new->flags & ENTRY_WHOLE);
	case ENTRY_HOLD:
		return old->kind == ENTRY_HOLD;
	case ENTRY_DONE:
		return false;
	}
	return false;
}

static void
parts_replace(struct message *message, const struct part *part, message_live_cb live, void *context)
{
	uint32_t kept = 0;

	if (part->kind == ENTRY_UPDATE && !(part->flags & ENTRY_WHOLE))
		goto append;
	for (uint32_t i = 0; i < message->part_count; i++) {
		if (replaces(part, &message->parts[i]))
			live(context, message->parts[i].serial, -(int64_t)message->parts[i].octets);
		else
			message->parts[kept++] = message->parts[i];
	}
	message->part_count = kept;
append:
	part_append(message, part);
	live(context, part->serial, part->octets);
}

bool
message_apply(struct message *message, const struct part *part, uint64_t content_length, message_live_cb live,
    void *context)
{
	bool is_new = message->part_count == 0;

	if (part->sequence < message->through ||
	    (part->sequence == message->through && part->entry <= message->through_entry))
		return false;
	if (part->kind == ENTRY_ADD) {
		if (!is_new && !(part->flags & ENTRY_COPY))
			return false;
		message->in_file = (part->flags & ENTRY_FILE) != 0;
		message->size = content_length;
	} else if (is_new) {
		return false;
	}
	if (part->kind == ENTRY_ADD || part->kind == ENTRY_HOLD)
		message->held = (part->flags & ENTRY_HELD) != 0;
	if (part->kind == ENTRY_HOLD)
		message->held_by = part->sequence;
	parts_replace(message, part, live, context);
	message->through = part->sequence;
	message->through_entry = part->entry;
	message->changed = true;
	return true;
}

void
message_release(struct message *message, message_live_cb live, void *context)
{
	for (uint32_t i = 0; i < message->part_count; i++)
		live(context, message->parts[i].serial, -(int64_t)message->parts[i].octets);
	message->part_count = 0;
}

void
message_count(const struct message *message, message_live_cb live, void *context)
{
	for (uint32_t i = 0; i < message->part_count; i++)
		live(context, message->parts[i].serial, message->parts[i].octets);
}

struct part
part_of(const struct record_head *head, uint64_t offset, const struct record_entry *entry, unsigned number)
{
	uint64_t octets = entry->length;

	if (entry->kind == ENTRY_ADD && !(entry->flags & ENTRY_FILE))
		octets += entry->content_length;
	return (struct part){
		.sequence = head->sequence,
		.serial = head->serial,
		.record = (uint32_t)(offset / 8),
		.octets = (uint32_t)octets,
		.entry = (uint16_t)number,
		.kind = (uint8_t)entry->kind,
		.flags = entry->flags,
	};
}

/* ---- table ---- */

static size_t
chain_of(const struct message_table *table, uint64_t id)
{
	return (size_t)(id * 0x9e3779b97f4a7c15u >> 32) & (table->chain_count - 1);
}

void
message_table_init(struct message_table *table)
{
	table->chains = memory_new(SMALLEST_TABLE, sizeof(struct message *));
	table->chain_count = SMALLEST_TABLE;
	table->count = 0;
}

void
message_table_free(struct message_table *table)
{
	for (size_t i = 0; i < table->chain_count; i++) {
		struct message *next;

		for (struct message *message = table->chains[i]; message != NULL; message = next) {
			next = message->next;
			message_free(&message);
		}
	}
	free(table->chains);
	*table = (struct message_table){ NULL, 0, 0 };
}

struct message *
message_table_find(const struct message_table *table, uint64_t id)
{
	struct message *message = table->chains[chain_of(table, id)];

	while (message != NULL && message->id != id)
		message = message->next;
	return message;
}

/* Gives the table another number of chains. */
static void
table_resize(struct message_table *table, size_t chain_count)
{
	struct message_table bigger = { memory_new(chain_count, sizeof(struct message *)), chain_count, table->count };

	for (size_t i = 0; i < table->chain_count; i++) {
		struct message *next;

		for (struct message *message = table->chains[i]; message != NULL; message = next) {
			size_t chain = chain_of(&bigger, message->id);

			next = message->next;
			message->next = bigger.chains[chain];
			bigger.chains[chain] = message;
		}
	}
	free(table->chains);
	*table = bigger;
}

void
message_table_insert(struct message_table *table, struct message *message)
{
	size_t chain;

	if (table->count >= table->chain_count)
		table_resize(table, table->chain_count * 2);
	chain = chain_of(table, message->id);
	message->next = table->chains[chain];
	table->chains[chain] = message;
	table->count++;
}

void
message_table_remove(struct message_table *table, struct message *message)
{
	struct message **link = &table->chains[chain_of(table, message->id)];

	while (*link != message)
		link = &(*link)->next;
	*link = message->next;
	message->next = NULL;
	table->count--;
	if (table->chain_count > SMALLEST_TABLE && table->count < table->chain_count / 8)
		table_resize(table, table->chain_count / 2);
}

void
message_table_each(const struct message_table *table, void (*each)(void *context, struct message *message),
    void *context)
{
	for (size_t i = 0; i < table->chain_count; i++) {
		struct message *next;

		for (struct message *message = table->chains[i]; message != NULL; message = next) {
			next = message->next;
			each(context, message);
		}
	}
}
