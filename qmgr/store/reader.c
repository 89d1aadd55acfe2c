/*
 * reader - the thread that parks, wakes and reads
 *
 * Takes requests in their order; what changes the index becomes one transaction for all that waited. Between requests it
 * looks after the segments, copies forward, and writes checkpoints.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "qmgr/store/damage.h"
#include "qmgr/store/internal.h"
#include "qmgr/store/recovery.h"

#define TICK_MS 200			/* between looks after segments and copies */
#define COPY_TICK_MS 10			/* while copies are made */
#define CHECKPOINT_MS 30000
#define IDLE_CHECKPOINT_MS 600000

struct request *
request_new(enum request_kind kind, uint64_t id)
{
	struct request *request = memory_new(1, sizeof(*request));

	request->kind = kind;
	request->id = id;
	return request;
}

void
request_free(struct request *request)
{
	free(request->destination);
	buffer_free(&request->envelope);
	buffer_free(&request->keys.destinations);
	free(request);
}

void
reader_ask(struct store *store, struct request *request)
{
	struct reader *reader = &store->reader;
	bool wake;

	pthread_mutex_lock(&reader->lock);
	request->next = NULL;
	*reader->last = request;
	reader->last = &request->next;
	wake = reader->sleeping;
	reader->sleeping = false;
	pthread_mutex_unlock(&reader->lock);
	if (wake)
		pthread_cond_signal(&reader->wake);
}

void
reader_wake(struct store *store)
{
	if (store->reader.started)
		pthread_cond_signal(&store->reader.wake);
}

/* ---- finding and loading ---- */

int
reader_find(struct store *store, uint64_t id, struct message **message_out, struct buffer *envelope,
    struct error *error)
{
	struct message *message, *row = NULL;
	bool active;

	*message_out = NULL;
	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	if (message != NULL)
		*message_out = message_clone(message);
	pthread_mutex_unlock(&store->lock);
	if (store->reader.index == NULL || (*message_out != NULL && (*message_out)->place != MESSAGE_MOVING))
		return 0;
	if (index_get(store->reader.index, id, &row, envelope, &active, error) < 0) {
		message_free(message_out);
		return -1;
	}
	if (*message_out == NULL)
		*message_out = row;
	else
		message_free(&row);
	return 0;
}

/* The number of the file that holds the part; false when there is none. */
static bool
file_of(struct store *store, const struct part *part, uint32_t *number_out)
{
	const struct segment *segment;

	pthread_mutex_lock(&store->lock);
	segment = journal_segment(&store->journal, part->serial);
	*number_out = segment == NULL ? 0 : segment->number;
	pthread_mutex_unlock(&store->lock);
	return segment != NULL;
}

/* Once for each message. */
static void
report_unreadable(struct store *store, uint64_t id, const struct part *part, const struct error *error)
{
	struct message *message;
	uint32_t number;
	bool told;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	told = message != NULL && message->unreadable;
	if (message != NULL)
		message->unreadable = true;
	pthread_mutex_unlock(&store->lock);
	if (!told && file_of(store, part, &number))
		store_say_unreadable(store, number, (uint64_t)part->record * 8, id, error);
}

/* It is not tried again by itself. */
static void
hold_unsure(struct store *store, uint64_t id)
{
	struct message *message;
	bool held;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	held = message != NULL && message->held;
	if (message != NULL)
		message->held = true;
	pthread_mutex_unlock(&store->lock);
	if (!held)
		store_say_unsure(store, id);
}

int
reader_load(struct store *store, const struct message *message, struct envelope *envelope_out, struct error *error)
{
	const struct part *bad = &message->parts[0];
	uint32_t *numbers;
	int result;

	pthread_mutex_lock(&store->lock);
	numbers = journal_numbers(&store->journal, message);
	pthread_mutex_unlock(&store->lock);
	if (numbers == NULL) {
		error_set(error, ERROR_DAMAGED, "a segment of the message is missing");
		result = -1;
	} else {
		result = message_load_envelope(&store->reader.parts, message, numbers, envelope_out, &bad, error);
	}
	free(numbers);
	if (result != 0 && error->kind == ERROR_SYSTEM)
		report_unreadable(store, message->id, bad, error);
	else if (result != 0)
		reader_report_damage(store, message, bad, error);
	if (result == 1)
		hold_unsure(store, message->id);
	return result;
}

void
reader_report_damage(struct store *store, const struct message *message, const struct part *part, const struct error *error)
{
	uint64_t offset = (uint64_t)part->record * 8, length = 0;
	const void *octets = NULL;
	uint32_t number;

	if (error->kind == ERROR_SYSTEM)
		return;
	if (file_of(store, part, &number))
		octets = part_read_raw(&store->reader.parts, number, part, &length);
	if (octets == NULL || damage_set_aside(&store->journal, part->serial, offset, octets, length))
		store_say_damaged(store, number, offset, part->octets, message->id);
}

void
reader_drop(struct store *store, uint64_t id)
{
	struct message *message;
	struct error error;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	if (message != NULL) {
		message_release(message, journal_live, &store->journal);
		message_table_remove(&store->table, message);
	}
	pthread_mutex_unlock(&store->lock);
	if (message != NULL && message->indexed && store->reader.index != NULL &&
	    index_delete(store->reader.index, id, message->through, &error) < 0)
		reader_index_failed(store, &error);
	message_free(&message);
}

void
reader_leave_to_index(struct store *store, const struct message *row)
{
	struct message *message;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, row->id);
	if (message != NULL && message->place == MESSAGE_MOVING && !message->copying &&
	    message->through == row->through && message->through_entry == row->through_entry)
		message_table_remove(&store->table, message);
	else
		message = NULL;
	pthread_mutex_unlock(&store->lock);
	message_free(&message);
}

/* ---- checkpoint ---- */

struct snapshot {
	struct message **list;
	size_t count;
};

static void
note_changed(void *context, struct message *message)
{
	struct snapshot *snapshot = context;

	/* The row of one that is moving is that of what is parked. */
	if (message->place == MESSAGE_MOVING || !message->changed)
		return;
	message->changed = false;
	message->indexed = true;
	snapshot->list[snapshot->count++] = message_clone(message);
}

static void serve_list(struct store *store, struct request *request);

/* Everything up to `applied` goes into the index: what is active, and what was asked before. */
static void
checkpoint(struct store *store)
{
	struct reader *reader = &store->reader;
	struct snapshot snapshot = { NULL, 0 };
	struct store_note note;
	struct request *before;
	struct error error;
	uint64_t sequence;
	int result = 0;

	pthread_mutex_lock(&store->lock);
	sequence = store->applied;
	note = store->note;
	store->note_is_new = false;
	snapshot.list = memory_new(store->table.count, sizeof(struct message *));
	message_table_each(&store->table, note_changed, &snapshot);
	pthread_mutex_lock(&reader->lock);
	before = reader->first;
	reader->first = NULL;
	reader->last = &reader->first;
	pthread_mutex_unlock(&reader->lock);
	pthread_mutex_unlock(&store->lock);
	for (size_t i = 0; i < snapshot.count; i++) {
		if (result == 0)
			result = index_put_active(reader->index, snapshot.list[i], &error);
		message_free(&snapshot.list[i]);
	}
	free(snapshot.list);
	if (result < 0)
		reader_index_failed(store, &error);
	serve_list(store, before);
	if (reader->index != NULL && index_checkpoint(reader->index, sequence, &note, &error) < 0)
		reader_index_failed(store, &error);
	reader->checkpoint_sequence = sequence;
	reader->checkpoint_at = deadline_after_ms(CHECKPOINT_MS);
	reader->idle_checkpoint_at = deadline_after_ms(IDLE_CHECKPOINT_MS);
}

/* ---- requests ---- */

static void
serve_park(struct store *store, struct request *request)
{
	struct message *message;
	struct error error;
	int result = 0;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, request->id);
	if (message != NULL && message->place == MESSAGE_ACTIVE) {
		/* The caller knows of holds that are still to be recorded, the journal of those recorded since. */
		if (message->held_by <= request->applied)
			message->held = request->held;
		message->due = request->keys.due;
		if (store->reader.index == NULL || message->copying) {
			message->place = store->reader.index == NULL ? MESSAGE_WAITING : MESSAGE_MOVING;
			/* Should it end before the row is written, the reader is told, and deletes it. */
			message->indexed |= message->place == MESSAGE_MOVING;
			message = message_clone(message);
		} else {
			message_table_remove(&store->table, message);
		}
	} else {
		message = NULL;
	}
	pthread_mutex_unlock(&store->lock);
	if (message != NULL && store->reader.index != NULL) {
		result = index_put(store->reader.index, message, request->envelope.data, request->envelope.length,
		    &request->keys, &error);
		if (result < 0)
			reader_index_failed(store, &error);
	}
	message_free(&message);
}

/*
 * What the entry says about recipients. 1: it cannot be read, and without it they might get the message once more. -1: it cannot be
 * read now, for a reason that is not the disk's (no descriptor is left, say).
 */
static int
take_update(struct store *store, const struct request *request, struct envelope *envelope, struct error *error)
{
	struct message unknown = { .id = request->id };
	struct envelope update;
	struct record_entry entry;

	if (part_read(&store->reader.parts, request->number, &request->part, &entry, error) == 0 &&
	    envelope_decode(entry.envelope, entry.envelope_length, &update, error) == 0) {
		envelope_take_update(envelope, &update, (entry.flags & ENTRY_WHOLE) != 0);
		return 0;
	}
	if (error->kind == ERROR_SYSTEM && error->number != EIO)
		return -1;
	if (error->kind == ERROR_SYSTEM)
		report_unreadable(store, request->id, &request->part, error);
	else
		reader_report_damage(store, &unknown, &request->part, error);
	hold_unsure(store, request->id);
	return 1;
}

/* Something was recorded about a message that is parked. counted: its live octets are the table's affair. -1: the index will do without
 * it, and is to be made again from the journal. */
static int
change_row(struct store *store, const struct request *request, bool counted, struct message *row,
    struct buffer *octets, struct error *error)
{
	struct envelope envelope;
	struct index_keys keys;
	struct segment *segment;
	bool changed;
	int result = 0;

	pthread_mutex_lock(&store->lock);
	changed = message_apply(row, &request->part, 0, counted ? message_live_nothing : journal_live, &store->journal);
	segment = journal_segment(&store->journal, request->part.serial);
	pthread_mutex_unlock(&store->lock);
	if (!changed || segment == NULL)
		return 0;
	if (envelope_decode(octets->data, octets->length, &envelope, error) < 0)
		return -1;
	if (request->part.kind == ENTRY_UPDATE)
		result = take_update(store, request, &envelope, error);
	row->held |= result == 1;
	if (result >= 0) {
		index_keys_make(&envelope, &keys);
		buffer_clear(octets);
		envelope_encode(&envelope, NULL, octets);
		result = index_put(store->reader.index, row, octets->data, octets->length, &keys, error);
		buffer_free(&keys.destinations);
	}
	envelope_free(&envelope);
	return result;
}

static void
serve_entry(struct store *store, struct request *request)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct message *message, *row = NULL;
	struct error error;
	bool active;
	int result;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, request->id);
	if (message != NULL)
		message_apply(message, &request->part, 0, journal_live, &store->journal);
	pthread_mutex_unlock(&store->lock);
	if (store->reader.index == NULL)
		return;
	result = index_get(store->reader.index, request->id, &row, &octets, &active, &error);
	if (result == 1 && !active)
		result = change_row(store, request, message != NULL, row, &octets, &error);
	if (result == 0 && row != NULL && !active)
		reader_leave_to_index(store, row);
	if (result < 0)
		reader_index_failed(store, &error);
	message_free(&row);
	buffer_free(&octets);
}

/* The message is done; released: its live octets were given back already. */
static void
serve_gone(struct store *store, struct request *request)
{
	struct message *message, *row = NULL;
	struct error error;
	bool active, released = request->released;
	int result;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, request->id);
	if (message != NULL) {
		message_release(message, journal_live, &store->journal);
		message_table_remove(&store->table, message);
		released = true;
	}
	pthread_mutex_unlock(&store->lock);
	if (message != NULL && message->in_file)
		body_unlink(store, request->id);
	message_free(&message);
	if (store->reader.index == NULL)
		return;
	result = index_get(store->reader.index, request->id, &row, NULL, &active, &error);
	if (result == 1 && !released) {
		pthread_mutex_lock(&store->lock);
		message_release(row, journal_live, &store->journal);
		pthread_mutex_unlock(&store->lock);
		if (row->in_file)
			body_unlink(store, request->id);
	}
	message_free(&row);
	if (result < 0 || index_delete(store->reader.index, request->id, request->part.sequence, &error) < 0)
		reader_index_failed(store, &error);
}

static void
serve(struct store *store, struct request *request)
{
	switch (request->kind) {
	case REQUEST_PARK:
		serve_park(store, request);
		break;
	case REQUEST_TAKE_DUE:
	case REQUEST_TAKE_DESTINATION:
	case REQUEST_TAKE_ID:
		take_serve(store, request);
		break;
	case REQUEST_READ_CONTENT:
		content_serve(store, request);
		break;
	case REQUEST_LIST:
		list_serve(store, request);
		break;
	case REQUEST_TURNS:
		turns_serve(store, request);
		break;
	case REQUEST_OPEN_BODY:
		open_body_serve(store, request);
		break;
	case REQUEST_ENTRY:
		serve_entry(store, request);
		break;
	case REQUEST_GONE:
		serve_gone(store, request);
		break;
	case REQUEST_COPIED:
		copy_forward_done(store, request);
		break;
	}
}

static void
serve_list(struct store *store, struct request *request)
{
	struct request *next;
	struct error error;
	uint64_t parks = 0;

	for (; request != NULL; request = next) {
		next = request->next;
		parks += request->kind == REQUEST_PARK;
		serve(store, request);
		if (request->kind == REQUEST_ENTRY || request->kind == REQUEST_GONE) {
			pthread_mutex_lock(&store->lock);
			store->in_transit--;
			pthread_mutex_unlock(&store->lock);
		}
		request_free(request);
	}
	if (store->reader.index != NULL && index_commit(store->reader.index, &error) < 0)
		reader_index_failed(store, &error);
	if (parks > 0) {
		reader_know_due(store);
		store->parks_done += parks;
	}
}

static void
note_due(void *context, struct message *message)
{
	int64_t *due = context;

	if (message->place == MESSAGE_WAITING && !message->held && message->due < *due)
		*due = message->due;
}

void
reader_know_due(struct store *store)
{
	struct error error;
	int64_t due = INT64_MAX;

	if (store->reader.index != NULL && index_next_due(store->reader.index, &due, &error) < 0)
		reader_index_failed(store, &error);
	if (store->reader.index == NULL) {
		pthread_mutex_lock(&store->lock);
		message_table_each(&store->table, note_due, &due);
		pthread_mutex_unlock(&store->lock);
	}
	store->known_due = due;
}

/* ---- the thread ---- */

/* What is to be done between requests. */
static void
tend(struct store *store)
{
	struct reader *reader = &store->reader;
	bool news, at_once;

	segments_tend(store);
	copy_forward_step(store);
	reader_try_index_again(store);
	pthread_mutex_lock(&store->lock);
	news = store->applied != reader->checkpoint_sequence || deadline_passed(reader->idle_checkpoint_at);
	at_once = store->note_is_new;
	pthread_mutex_unlock(&store->lock);
	if (reader->index != NULL && (at_once || (news && deadline_passed(reader->checkpoint_at))))
		checkpoint(store);
}

static void *
reader_main(void *context)
{
	struct store *store = context;
	struct reader *reader = &store->reader;
	deadline_t tick = deadline_after_ms(0);

	for (;;) {
		struct request *list;
		bool stop;

		pthread_mutex_lock(&reader->lock);
		if (reader->first == NULL && !reader->stop && !deadline_passed(tick)) {
			reader->sleeping = true;
			store_wait(&reader->wake, &reader->lock, tick);
			reader->sleeping = false;
		}
		list = reader->first;
		reader->first = NULL;
		reader->last = &reader->first;
		stop = reader->stop;
		pthread_mutex_unlock(&reader->lock);
		serve_list(store, list);
		if (list == NULL && stop)
			break;
		if (deadline_passed(tick) || list == NULL) {
			tend(store);
			tick = deadline_after_ms(reader->copying.serial != 0 ? COPY_TICK_MS : TICK_MS);
		}
	}
	if (reader->index != NULL)
		checkpoint(store);
	return NULL;
}

int
reader_start(struct store *store, struct error *error)
{
	if (store_thread_start(&store->reader.thread, reader_main, store) != 0)
		return error_system(error, errno, "start the reader");
	store->reader.started = true;
	return 0;
}

void
reader_stop(struct store *store)
{
	struct reader *reader = &store->reader;

	if (reader->started) {
		pthread_mutex_lock(&reader->lock);
		reader->stop = true;
		pthread_mutex_unlock(&reader->lock);
		pthread_cond_signal(&reader->wake);
		pthread_join(reader->thread, NULL);
		reader->started = false;
	}
	index_close(&reader->index);
	part_reader_close(&reader->parts);
	recent_free(&reader->copying.unread);
}
