/*
 * take - parked messages come back to the caller; lists and contents are read
 *
 * Runs in the reader thread; results travel to the event loop as completions.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "qmgr/store/internal.h"
#include "qmgr/store/recovery.h"

#define LIST_MAX 10000		/* items of one answer, whatever was asked */
#define UNREADABLE_WAIT_MS 600000

/* Envelopes on their way to the caller: of takes and of lists. */
struct answer {
	struct completion completion;
	store_take_cb take;
	store_list_cb list;
	void *context;
	struct item {
		struct envelope envelope;
		uint64_t size;
		bool held;
	} *items;
	size_t count, capacity;
	struct error *error;
};

static struct answer *
answer_new(const struct request *request)
{
	struct answer *answer = memory_new(1, sizeof(*answer));

	answer->context = request->context;
	if (request->kind == REQUEST_LIST)
		answer->list = request->callback.list;
	else
		answer->take = request->callback.take;
	return answer;
}

static void
answer_add(struct answer *answer, const struct envelope *envelope, const struct message *message)
{
	if (answer->count == answer->capacity) {
		answer->capacity = answer->capacity ? answer->capacity * 2 : 16;
		answer->items = memory_resize(answer->items, answer->capacity, sizeof(*answer->items));
	}
	answer->items[answer->count++] = (struct item){ *envelope, message->size, message->held };
}

static void
answer_fail(struct answer *answer, const struct error *error)
{
	if (answer->error == NULL)
		answer->error = memory_copy(error, sizeof(*error));
}

static void
answer_free(struct answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		envelope_free(&answer->items[i].envelope);
	free(answer->items);
	free(answer->error);
	free(answer);
}

static void
answer_take(struct store *store, struct completion *completion)
{
	struct answer *answer = (struct answer *)completion;

	for (size_t i = 0; i < answer->count && !store->closing; i++) {
		struct envelope *envelope = memory_copy(&answer->items[i].envelope, sizeof(*envelope));

		envelope_init(&answer->items[i].envelope);
		answer->take(answer->context, envelope, NULL);
	}
	if (!store->closing)
		answer->take(answer->context, NULL, answer->error);
	answer_free(answer);
}

static void
answer_list(struct store *store, struct completion *completion)
{
	struct answer *answer = (struct answer *)completion;
	bool more = !store->closing;

	for (size_t i = 0; i < answer->count && more; i++) {
		struct store_item item = { &answer->items[i].envelope, answer->items[i].size, answer->items[i].held };

		more = answer->list(answer->context, &item, NULL);
	}
	if (!store->closing)
		answer->list(answer->context, NULL, answer->error);
	answer_free(answer);
}

/* ---- taking ---- */

/* From the index. The message is active from now on. -1 when the index failed. */
static int
take_row(struct store *store, uint64_t id, struct answer *answer, struct error *error)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct message *row = NULL, *message;
	struct envelope envelope;
	bool active;
	int result = index_get(store->reader.index, id, &row, &octets, &active, error);

	if (result == 1 && !active) {
		if (envelope_decode(octets.data, octets.length, &envelope, error) < 0) {
			result = -1;
		} else if (index_put_active(store->reader.index, row, error) < 0) {
			envelope_free(&envelope);
			result = -1;
		} else {
			answer_add(answer, &envelope, row);
			row->place = MESSAGE_ACTIVE;
			pthread_mutex_lock(&store->lock);
			message = message_table_find(&store->table, id);
			if (message != NULL) {
				message->place = MESSAGE_ACTIVE;
				message->indexed = true;
			} else {
				message_table_insert(&store->table, row);
				row = NULL;
			}
			pthread_mutex_unlock(&store->lock);
		}
	}
	message_free(&row);
	buffer_free(&octets);
	return result < 0 ? -1 : 0;
}

/* It could not be read, or is held now: at another time, perhaps. */
static void
wait_again(struct store *store, uint64_t id, int64_t now)
{
	struct message *message;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	if (message != NULL) {
		message->place = MESSAGE_WAITING;
		message->due = now + UNREADABLE_WAIT_MS;
	}
	pthread_mutex_unlock(&store->lock);
}

/* It was read: should that fail once more it is told once more. */
static void
forget_unreadable(struct store *store, uint64_t id)
{
	struct message *message;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	if (message != NULL)
		message->unreadable = false;
	pthread_mutex_unlock(&store->lock);
}

/* From the table and the journal. */
static void
take_waiting(struct store *store, uint64_t id, const struct request *request, struct answer *answer)
{
	struct message *message, *clone = NULL;
	struct envelope envelope;
	struct error error;
	int result = -1;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	if (message != NULL && message->place == MESSAGE_WAITING) {
		message->place = MESSAGE_ACTIVE;
		clone = message_clone(message);
	}
	pthread_mutex_unlock(&store->lock);
	if (clone != NULL)
		result = reader_load(store, clone, &envelope, &error);
	if (clone != NULL && result < 0)
		answer_fail(answer, &error);
	if (result == 0 || (result == 1 && request->kind == REQUEST_TAKE_ID)) {
		forget_unreadable(store, id);
		clone->held |= result == 1;
		answer_add(answer, &envelope, clone);
	} else if (clone != NULL) {
		if (result == 1)
			envelope_free(&envelope);
		wait_again(store, id, request->now);
	}
	message_free(&clone);
}

struct wanted {
	struct waiting {
		int64_t due;
		uint64_t id;
	} *list;
	size_t count;
	int64_t now;
	uint64_t after;
	bool for_list;
};

static void
note_wanted(void *context, struct message *message)
{
	struct wanted *wanted = context;

	if (message->place == MESSAGE_WAITING && (wanted->for_list ? message->id > wanted->after :
	    !message->held && message->due <= wanted->now))
		wanted->list[wanted->count++] = (struct waiting){ wanted->for_list ? 0 : message->due, message->id };
}

static int
by_due(const void *a, const void *b)
{
	const struct waiting *first = a, *second = b;

	if (first->due != second->due)
		return first->due < second->due ? -1 : 1;
	return first->id < second->id ? -1 : first->id > second->id;
}

/* The ids of messages in the table that wait and are wanted, in order. */
static unsigned
waiting_ids(struct store *store, const struct request *request, uint64_t *ids)
{
	struct wanted wanted = { NULL, 0, request->now, request->id, request->kind == REQUEST_LIST };
	unsigned count;

	pthread_mutex_lock(&store->lock);
	wanted.list = memory_new(store->table.count, sizeof(*wanted.list));
	message_table_each(&store->table, note_wanted, &wanted);
	pthread_mutex_unlock(&store->lock);
	qsort(wanted.list, wanted.count, sizeof(*wanted.list), by_due);
	count = wanted.count < request->limit ? (unsigned)wanted.count : request->limit;
	for (unsigned i = 0; i < count; i++)
		ids[i] = wanted.list[i].id;
	free(wanted.list);
	return count;
}

static int
indexed_ids(struct store *store, const struct request *request, uint64_t *ids, struct error *error)
{
	switch (request->kind) {
	case REQUEST_TAKE_DUE:
		return index_due(store->reader.index, request->now, request->limit, ids, error);
	case REQUEST_TAKE_DESTINATION:
		return index_destination(store->reader.index, request->destination, request->now, request->limit, ids, error);
	case REQUEST_LIST:
		return index_parked(store->reader.index, request->id, request->limit, ids, error);
	default:
		ids[0] = request->id;
		return 1;
	}
}

void
take_serve(struct store *store, struct request *request)
{
	struct answer *answer = answer_new(request);
	uint64_t *ids;
	struct error error;
	int count = 0;

	if (request->limit > LIST_MAX)
		request->limit = LIST_MAX;
	ids = memory_new(request->limit + 1, sizeof(*ids));
	if (store->reader.index != NULL) {
		count = indexed_ids(store, request, ids, &error);
		for (int i = 0; i < count; i++)
			if (take_row(store, ids[i], answer, &error) < 0)
				count = -1;
		if (count < 0)
			reader_index_failed(store, &error);
	}
	if (request->kind == REQUEST_TAKE_ID && answer->count == 0) {
		take_waiting(store, request->id, request, answer);
	} else if (store->reader.index == NULL && request->kind == REQUEST_TAKE_DUE && answer->count == 0) {
		count = (int)waiting_ids(store, request, ids);
		for (int i = 0; i < count; i++)
			take_waiting(store, ids[i], request, answer);
	}
	free(ids);
	reader_know_due(store);
	answer->completion.run = answer_take;
	store_complete(store, &answer->completion);
}

/* ---- lists ---- */

static void
list_one(struct store *store, uint64_t id, struct answer *answer, struct error *error)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct message *message;
	struct envelope envelope;
	int result = -1;

	if (reader_find(store, id, &message, &octets, error) == 0 && message != NULL)
		result = octets.length > 0 ? envelope_decode(octets.data, octets.length, &envelope, error) :
		    reader_load(store, message, &envelope, error);
	if (result >= 0)
		answer_add(answer, &envelope, message);
	message_free(&message);
	buffer_free(&octets);
}

void
list_serve(struct store *store, struct request *request)
{
	struct answer *answer = answer_new(request);
	uint64_t *ids;
	struct error error;
	int count = 0;

	if (request->limit > LIST_MAX)
		request->limit = LIST_MAX;
	ids = memory_new(request->limit + 1, sizeof(*ids));
	if (store->reader.index != NULL) {
		count = indexed_ids(store, request, ids, &error);
		if (count < 0)
			reader_index_failed(store, &error);
	}
	if (store->reader.index == NULL)
		count = (int)waiting_ids(store, request, ids);
	for (int i = 0; i < count; i++)
		list_one(store, ids[i], answer, &error);
	free(ids);
	answer->completion.run = answer_list;
	store_complete(store, &answer->completion);
}

/* ---- destinations ---- */

struct turns_answer {
	struct completion completion;
	store_turn_cb callback;
	void *context;
	struct buffer names;		/* each with its NUL */
};

static void
turns_run(struct store *store, struct completion *completion)
{
	struct turns_answer *answer = (struct turns_answer *)completion;
	const char *next = buffer_text(&answer->names), *end = next + answer->names.length;

	for (; next < end && !store->closing; next += strlen(next) + 1)
		answer->callback(answer->context, next);
	if (!store->closing)
		answer->callback(answer->context, NULL);
	buffer_free(&answer->names);
	free(answer);
}

static void
add_turn(void *context, const char *destination)
{
	struct turns_answer *answer = context;

	buffer_append(&answer->names, destination, strlen(destination) + 1);
}

void
turns_serve(struct store *store, struct request *request)
{
	struct turns_answer *answer = memory_new(1, sizeof(*answer));
	struct error error;

	answer->callback = request->callback.turn;
	answer->context = request->context;
	buffer_init(&answer->names, 0);
	if (store->reader.index != NULL && index_turns(store->reader.index, request->limit, add_turn, answer, &error) < 0)
		reader_index_failed(store, &error);
	answer->completion.run = turns_run;
	store_complete(store, &answer->completion);
}

/* ---- contents ---- */

struct content_answer {
	struct completion completion;
	store_content_cb callback;
	void *context;
	uint64_t id;
	struct store_content *content;
	struct error error;
};

static void
content_run(struct store *store, struct completion *completion)
{
	struct content_answer *answer = (struct content_answer *)completion;

	if (store->closing)
		store_content_release(&answer->content);
	else
		answer->callback(answer->context, answer->id, answer->content,
		    answer->error.kind == ERROR_NONE ? NULL : &answer->error);
	free(answer);
}

static struct store_content *
read_content(struct store *store, uint64_t id, struct error *error)
{
	struct store_content *content = NULL;
	struct message *message;
	struct record_entry entry;
	uint32_t *numbers;

	if (reader_find(store, id, &message, NULL, error) < 0) {
		reader_index_failed(store, error);
		reader_find(store, id, &message, NULL, error);
	}
	if (message == NULL) {
		error_set(error, ERROR_UNAVAILABLE, "the message is gone");
		return NULL;
	}
	*error = (struct error)ERROR_INITIALIZER;
	if (!message->in_file) {
		pthread_mutex_lock(&store->lock);
		numbers = journal_numbers(&store->journal, message);
		pthread_mutex_unlock(&store->lock);
		if (numbers == NULL)
			error_set(error, ERROR_DAMAGED, "a segment of the message is missing");
		else if (part_read(&store->reader.parts, numbers[0], &message->parts[0], &entry, error) == 0)
			content = part_read_content(&store->reader.parts, &message->parts[0], &entry, error);
		free(numbers);
		if (content == NULL)
			reader_report_damage(store, message, &message->parts[0], error);
	}
	message_free(&message);
	return content;
}

void
content_serve(struct store *store, struct request *request)
{
	struct content_answer *answer = memory_new(1, sizeof(*answer));

	answer->callback = request->callback.content;
	answer->context = request->context;
	answer->id = request->id;
	answer->content = read_content(store, request->id, &answer->error);
	answer->completion.run = content_run;
	store_complete(store, &answer->completion);
}

/* Where the body of a message is said to be: its length and checksum stand in the record. */
void
open_body_serve(struct store *store, struct request *request)
{
	struct message *message = NULL;
	struct record_entry entry;
	struct error error;
	uint32_t *numbers;
	bool found = false;

	if (reader_find(store, request->id, &message, NULL, &error) < 0) {
		reader_index_failed(store, &error);
		reader_find(store, request->id, &message, NULL, &error);
	}
	if (message == NULL) {
		error_set(&error, ERROR_UNAVAILABLE, "the message is gone");
	} else if (!message->in_file) {
		error_set(&error, ERROR_INVALID, "the message has no body file");
	} else {
		pthread_mutex_lock(&store->lock);
		numbers = journal_numbers(&store->journal, message);
		pthread_mutex_unlock(&store->lock);
		if (numbers == NULL)
			error_set(&error, ERROR_DAMAGED, "a segment of the message is missing");
		else
			found = part_read(&store->reader.parts, numbers[0], &message->parts[0], &entry, &error) == 0;
		free(numbers);
	}
	message_free(&message);
	if (found)
		body_open(store, request->id, entry.content_length, entry.content_crc, request->callback.file,
		    request->context);
	else
		body_answer(store, request->callback.file, request->context, request->id, -1, 0, &error);
}
