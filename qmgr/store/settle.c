/*
 * settle - messages that wait in the table go to the index; the index is lost, and made again
 *
 * In the reader thread. Without an index (Berkeley DB failed, no room) parked messages stand in the table without their
 * envelopes until one can be made again.
 */
#include <stdlib.h>

#include "common/base/memory.h"
#include "qmgr/store/internal.h"
#include "qmgr/store/recovery.h"

#define INDEX_RETRY_MS 30000
#define SETTLE_RETRY_MS 600000		/* it was made, and not all that waits could be read */
#define SETTLE_COMMIT 1000		/* rows in one transaction */

/* ---- into the index ---- */

static int
by_id(const void *a, const void *b)
{
	const uint64_t *first = a, *second = b;

	return *first < *second ? -1 : *first > *second;
}

struct id_list {
	uint64_t *ids;
	size_t count;
	enum message_place place;
	bool all;
};

static void
note_id(void *context, struct message *message)
{
	struct id_list *list = context;

	if (list->all || message->place == list->place)
		list->ids[list->count++] = message->id;
}

/* The ids in the table, the caller frees; with all, of any place. */
static struct id_list
list_ids(struct store *store, enum message_place place, bool all)
{
	struct id_list list = { NULL, 0, place, all };

	pthread_mutex_lock(&store->lock);
	list.ids = memory_new(store->table.count, sizeof(*list.ids));
	message_table_each(&store->table, note_id, &list);
	pthread_mutex_unlock(&store->lock);
	return list;
}

/*
 * What the disk cannot read now stays in the table. The index gets a row that says where its entries are, or it would count as
 * whole without it at the next start.
 */
static int
set_apart(struct store *store, const struct message *clone, struct error *error)
{
	store->reader.set_apart = true;
	return store->reader.index == NULL ? 0 : index_put_active(store->reader.index, clone, error);
}

/*
 * A copy of the message if it waits, NULL otherwise. It is going to have a row: should it end before that is written, the reader
 * is told, and deletes it.
 */
static struct message *
begin_settling(struct store *store, uint64_t id)
{
	struct message *message, *clone = NULL;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	if (message != NULL && message->place == MESSAGE_WAITING) {
		message->indexed |= store->reader.index != NULL;
		clone = message_clone(message);
	}
	pthread_mutex_unlock(&store->lock);
	return clone;
}

/* What was read is in the index, or there is none. False: the message has changed since it was read. */
static bool
end_settling(struct store *store, const struct message *clone, int64_t due)
{
	struct message *message, *settled = NULL;
	bool same;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, clone->id);
	same = message == NULL ||
	    (message->through == clone->through && message->through_entry == clone->through_entry);
	if (message != NULL && same && store->reader.index == NULL) {
		message->due = due;
	} else if (message != NULL && same && message->copying) {
		message->place = MESSAGE_MOVING;	/* the committer is about to look for it */
	} else if (message != NULL && same) {
		message_table_remove(&store->table, message);
		settled = message;
	}
	pthread_mutex_unlock(&store->lock);
	message_free(&settled);
	return same;
}

/* Puts one message that waits where it belongs. */
static int
settle_one(struct store *store, uint64_t id, struct error *error)
{
	struct message *clone = begin_settling(store, id);
	struct envelope envelope;
	struct index_keys keys;
	struct buffer octets = BUFFER_INITIALIZER(0);
	bool again = false;
	int result;

	if (clone == NULL)
		return 0;
	result = reader_load(store, clone, &envelope, error);
	if (result < 0) {
		result = error->kind == ERROR_SYSTEM ? set_apart(store, clone, error) : 0;
		if (error->kind != ERROR_SYSTEM)
			reader_drop(store, id);
		message_free(&clone);
		return result;
	}
	clone->held |= result == 1;
	result = 0;
	index_keys_make(&envelope, &keys);
	if (store->reader.index != NULL) {
		envelope_encode(&envelope, NULL, &octets);
		result = index_put(store->reader.index, clone, octets.data, octets.length, &keys, error);
	}
	if (result == 0)
		again = !end_settling(store, clone, keys.due);
	buffer_free(&octets);
	buffer_free(&keys.destinations);
	envelope_free(&envelope);
	message_free(&clone);
	return again ? settle_one(store, id, error) : result;
}

int
reader_settle(struct store *store, struct error *error)
{
	struct id_list list = list_ids(store, MESSAGE_WAITING, false);
	int result = 0;

	store->reader.set_apart = false;
	/* In the order of ids journal and index are read and written nearly in sequence. */
	qsort(list.ids, list.count, sizeof(*list.ids), by_id);
	for (size_t i = 0; i < list.count && result == 0; i++) {
		result = settle_one(store, list.ids[i], error);
		if (result == 0 && store->reader.index != NULL && i % SETTLE_COMMIT == SETTLE_COMMIT - 1)
			result = index_commit(store->reader.index, error);
	}
	free(list.ids);
	if (store->reader.set_apart)
		store->reader.index_retry = deadline_after_ms(SETTLE_RETRY_MS);
	if (result == 0 && store->reader.index != NULL)
		result = index_commit(store->reader.index, error);
	return result;
}

/* ---- losing it, making it again ---- */

struct merging {
	struct store *store;
	const struct id_list *known;
	struct id_list *new;
	struct message **found;
};

static void
merge_one(void *context, struct message *message)
{
	struct merging *merging = context;

	if (bsearch(&message->id, merging->known->ids, merging->known->count, sizeof(uint64_t), by_id) == NULL)
		merging->found[merging->new->count++] = message;
}

static void
count_live(void *context, struct message *message)
{
	message_count(message, journal_live, context);
}

static void
move_to_waiting(void *context, struct message *message)
{
	(void)context;
	message->indexed = false;
	message->changed = true;	/* the next index knows nothing of it */
	if (message->place == MESSAGE_MOVING) {
		message->place = MESSAGE_WAITING;
		message->due = 0;
	}
}

/*
 * What only the index knew is read from the journal into the table. What the table knew at the time of `limit` is left
 * alone, also if it was done since; later changes to the others come as requests. If a segment cannot be read nothing is
 * taken: the records that end what the others hold may stand in it.
 */
static void
read_what_was_parked(struct store *store)
{
	struct message_table table;
	struct id_list known, new = { NULL, 0, MESSAGE_WAITING, true };
	struct merging merging = { store, &known, &new, NULL };
	struct journal snapshot;
	struct recovery recovery = { .journal = &snapshot, .table = &table, .damaged = store_found_damage, .context = store };
	struct error error;
	bool told = store->reader.unread;

	message_table_init(&table);
	pthread_mutex_lock(&store->lock);
	message_table_each(&store->table, move_to_waiting, NULL);
	snapshot = store->journal;
	snapshot.used.list = memory_copy(snapshot.used.list, snapshot.used.count * sizeof(*snapshot.used.list));
	recovery.limit = store->applied;
	known = (struct id_list){ memory_new(store->table.count, sizeof(uint64_t)), 0, MESSAGE_WAITING, true };
	message_table_each(&store->table, note_id, &known);
	pthread_mutex_unlock(&store->lock);
	qsort(known.ids, known.count, sizeof(*known.ids), by_id);
	recovery_run(&recovery, &error);
	store->reader.unread = recovery.unreadable.kind != ERROR_NONE;
	merging.found = memory_new(table.count, sizeof(*merging.found));
	if (!store->reader.unread)
		message_table_each(&table, merge_one, &merging);
	else if (!told)
		store_say_index_lost(store, &recovery.unreadable);
	for (size_t i = 0; i < new.count; i++)
		message_table_remove(&table, merging.found[i]);
	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < new.count; i++)
		message_table_insert(&store->table, merging.found[i]);
	/* Now the table has all there is. What stands in requests for the index that was lost is not counted by them any more. */
	if (!store->reader.unread) {
		for (size_t i = 0; i < store->journal.used.count; i++)
			store->journal.used.list[i].live = 0;
		message_table_each(&store->table, count_live, &store->journal);
	}
	pthread_mutex_unlock(&store->lock);
	free(merging.found);
	free(known.ids);
	free(snapshot.used.list);
	message_table_free(&table);
}

void
reader_index_failed(struct store *store, const struct error *error)
{
	struct reader *reader = &store->reader;
	struct error ignored;

	store->index_failures++;
	store_say_index_lost(store, error);
	index_close(&reader->index);
	index_discard(reader->index_home);
	reader->index_retry = deadline_after_ms(INDEX_RETRY_MS);
	read_what_was_parked(store);
	reader_settle(store, &ignored);
}

/* Whether there is an index now, as yet an empty one. */
static bool
open_again(struct store *store)
{
	struct reader *reader = &store->reader;
	struct error error;

	if (reader->unread)
		read_what_was_parked(store);
	reader->index_retry = deadline_after_ms(reader->unread ? SETTLE_RETRY_MS : INDEX_RETRY_MS);
	if (store->disk_short || reader->unread)
		return false;
	index_discard(reader->index_home);
	if (index_open(reader->index_home, store->journal.mailbox, &reader->index, &error) < 0)
		reader->index = NULL;
	return reader->index != NULL;
}

void
reader_try_index_again(struct store *store)
{
	struct reader *reader = &store->reader;
	struct error error;

	if ((reader->index != NULL && !reader->set_apart) || !deadline_passed(reader->index_retry) ||
	    (reader->index == NULL && !open_again(store)))
		return;
	if (reader_settle(store, &error) < 0) {
		reader_index_failed(store, &error);
		reader->index_retry = deadline_after_ms(SETTLE_RETRY_MS);
	}
	reader_know_due(store);
	reader->checkpoint_at = 0;
}
