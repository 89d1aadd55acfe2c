/*
 * apply - what was flushed becomes what the store knows
 *
 * Runs in the committer thread under store->lock, in the order of the journal. A message that the table does
 * not know is
 * parked in the index: the reader is told.
 */
#include "qmgr/store/internal.h"

static void
apply_add(struct store *store, struct message *message, const struct batch_entry *entry, const struct part *part)
{
	if (message == NULL) {
		message = message_new(entry->id);
		message_table_insert(&store->table, message);
	}
	message_apply(message, part, entry->content_length, journal_live, &store->journal);
}

/* Until the reader took it in, no copy of a message is written: it could be made from what was before. */
static void
tell_reader(struct store *store, enum request_kind kind, uint64_t id, const struct part *part, bool released)
{
	struct request *request = request_new(kind, id);
	const struct segment *segment = journal_segment(&store->journal, part->serial);

	request->part = *part;
	request->released = released;
	store->in_transit++;
	request->number = segment->number;	/* the current one: it is there */
	reader_ask(store, request);
}

static void
apply_change(struct store *store, struct message *message, const struct batch_entry *entry, const struct part *part)
{
	if (message != NULL)
		message_apply(message, part, 0, journal_live, &store->journal);
	if (message == NULL || message->place == MESSAGE_MOVING)
		tell_reader(store, REQUEST_ENTRY, entry->id, part, false);
}

static void
apply_done(struct store *store, struct message *message, const struct batch_entry *entry, const struct part *part)
{
	bool indexed = message == NULL || message->indexed, released = message != NULL;

	if (message != NULL) {
		if (message->in_file)
			body_unlink(store, entry->id);
		message_release(message, journal_live, &store->journal);
		message_table_remove(&store->table, message);
		message_free(&message);
	}
	if (indexed)
		tell_reader(store, REQUEST_GONE, entry->id, part, released);
}

void
apply_batch(struct store *store, const struct store_batch *batch)
{
	for (uint32_t i = 0; i < batch->entry_count; i++) {
		const struct batch_entry *entry = &batch->entries[i];
		struct message *message = message_table_find(&store->table, entry->id);
		struct part part = batch_part(batch, i);

		switch ((enum entry_kind)entry->kind) {
		case ENTRY_ADD:
			apply_add(store, message, entry, &part);
			break;
		case ENTRY_UPDATE:
		case ENTRY_HOLD:
			apply_change(store, message, entry, &part);
			break;
		case ENTRY_DONE:
			apply_done(store, message, entry, &part);
			break;
		}
	}
	store->applied = batch->head.sequence;
}
