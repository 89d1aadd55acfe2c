/*
 * batch - changes on their way into the journal, encoded as the entries of one record
 *
 * Encoding happens in the event loop at once, straight into the octets that are written; contents are held,
 * not copied.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "qmgr/store/internal.h"

#define SPARE_BATCHES 256
#define SPARE_OCTETS 16384	/* a batch that grew beyond is not kept */
#define FIRST_OCTETS 512

struct store_batch *
batch_new(struct store *store)
{
	struct store_batch *batch = memory_new(1, sizeof(*batch));

	batch->store = store;
	buffer_init(&batch->octets, RECORD_OCTETS_MAX);
	buffer_reserve(&batch->octets, FIRST_OCTETS);
	buffer_commit(&batch->octets, RECORD_HEAD_SIZE);
	return batch;
}

struct part
batch_part(const struct store_batch *batch, uint32_t number)
{
	const struct batch_entry *entry = &batch->entries[number];
	struct record_entry shape = { .kind = entry->kind, .flags = entry->flags, .id = entry->id,
		.length = entry->length, .content_length = entry->content_length };

	return part_of(&batch->head, batch->offset, &shape, number);
}

static void
release_contents(struct store_batch *batch)
{
	for (uint32_t i = 0; i < batch->entry_count; i++)
		store_content_release(&batch->entries[i].content);
}

void
batch_free(struct store_batch *batch)
{
	release_contents(batch);
	buffer_free(&batch->octets);
	free(batch->entries);
	free(batch->error);
	free(batch);
}

struct store_batch *
store_batch_new(struct store *store)
{
	struct store_batch *batch = store->spare_batches;

	if (batch == NULL) {
		batch = batch_new(store);
	} else {
		store->spare_batches = batch->next;
		store->spare_count--;
		batch->next = NULL;
	}
	batch->only_adds = true;
	return batch;
}

/* Back from the threads, in the event loop: tells the caller, and keeps the memory for the next one. */
static void
batch_run(struct store *store, struct completion *completion)
{
	struct store_batch *batch = (struct store_batch *)completion;
	struct buffer octets;
	struct batch_entry *entries;
	uint32_t entry_capacity;

	store->waiting_octets -= batch_record_length(batch);
	if (!store->closing) {
		if (batch->error == NULL)
			for (uint32_t i = 0; i < batch->entry_count; i++)
				if (batch->entries[i].kind == ENTRY_ADD)
					recent_add(store->recent, batch->entries[i].id);
		if (batch->callback != NULL)
			batch->callback(batch->context, batch->error);
	}
	if (store->closing || store->spare_count >= SPARE_BATCHES || batch->octets.capacity > SPARE_OCTETS) {
		batch_free(batch);
		return;
	}
	release_contents(batch);
	free(batch->error);
	octets = batch->octets;
	octets.length = RECORD_HEAD_SIZE;
	entries = batch->entries;
	entry_capacity = batch->entry_capacity;
	memset(batch, 0, sizeof(*batch));
	batch->store = store;
	batch->octets = octets;
	batch->entries = entries;
	batch->entry_capacity = entry_capacity;
	batch->next = store->spare_batches;
	store->spare_batches = batch;
	store->spare_count++;
}

uint64_t
batch_record_length(const struct store_batch *batch)
{
	return batch->octets.length + batch->contents;
}

void
batch_fail(struct store_batch *batch, const struct error *error)
{
	if (batch->error == NULL) {
		batch->error = memory_new(1, sizeof(*batch->error));
		*batch->error = *error;
	}
}

bool
batch_put(struct store_batch *batch, enum entry_kind kind, uint8_t flags, uint64_t id,
    const struct envelope *envelope, const bool *chosen, struct store_content *content, uint64_t content_length)
{
	size_t at = batch->octets.length;
	struct batch_entry *entry;

	if (batch->entry_count == RECORD_ENTRIES_MAX ||
	    batch->contents + (content == NULL ? 0 : content_length) > RECORD_OCTETS_MAX / 2 ||
	    !record_put_entry(&batch->octets, kind, flags, id, envelope, chosen, content_length)) {
		struct error error;

		error_set(&error, ERROR_INVALID, "message %llx does not fit into a record", (unsigned long long)id);
		batch_fail(batch, &error);
		return false;
	}
	if (batch->entry_count == batch->entry_capacity) {
		batch->entry_capacity = batch->entry_capacity ? batch->entry_capacity * 2 : 4;
		batch->entries = memory_resize(batch->entries, batch->entry_capacity, sizeof(*batch->entries));
	}
	entry = &batch->entries[batch->entry_count++];
	*entry = (struct batch_entry){
		.at = (uint32_t)at,
		.length = (uint32_t)(batch->octets.length - at),
		.id = id,
		.content_length = content_length,
		.content = content == NULL ? NULL : store_content_hold(content),
		.kind = (uint8_t)kind,
		.flags = flags,
	};
	if (content != NULL)
		batch->contents += content->length;
	return true;
}

void
store_batch_add(struct store_batch *batch, const struct envelope *envelope, struct store_content *content,
    uint64_t body_length, uint32_t body_checksum)
{
	if (content != NULL)
		batch_put(batch, ENTRY_ADD, 0, envelope->id, envelope, NULL, content, content->length);
	else if (batch_put(batch, ENTRY_ADD, ENTRY_FILE, envelope->id, envelope, NULL, NULL, body_length)) {
		record_entry_set_crc(batch->octets.data + batch->entries[batch->entry_count - 1].at, body_checksum);
		batch->has_bodies = true;
	}
}

void
store_batch_update(struct store_batch *batch, const struct envelope *envelope, const bool *chosen)
{
	bool whole = true;

	batch->only_adds = false;
	for (size_t i = 0; i < envelope->recipient_count && whole; i++)
		whole = chosen[i];
	batch_put(batch, ENTRY_UPDATE, whole ? ENTRY_WHOLE : 0, envelope->id, envelope, chosen, NULL, 0);
}

void
store_batch_hold(struct store_batch *batch, uint64_t id, bool held)
{
	batch->only_adds = false;
	batch_put(batch, ENTRY_HOLD, held ? ENTRY_HELD : 0, id, NULL, NULL, NULL, 0);
}

void
store_batch_done(struct store_batch *batch, uint64_t id)
{
	batch->only_adds = false;
	batch_put(batch, ENTRY_DONE, 0, id, NULL, NULL, NULL, 0);
}

void
store_commit(struct store *store, struct store_batch *batch, bool urgent, store_commit_cb callback, void *context)
{
	batch->callback = callback;
	batch->context = context;
	batch->urgent = urgent;
	batch->ride_until = urgent ? 0 : deadline_after_ms(RIDE_MS);
	batch->completion.run = batch_run;
	store->waiting_octets += batch_record_length(batch);
	store_judge_acceptance(store);
	if (batch->error != NULL || batch->entry_count == 0)
		store_complete(store, &batch->completion);
	else if (batch->has_bodies)
		body_flush_then_commit(store, batch);
	else
		committer_add(store, batch);
}
