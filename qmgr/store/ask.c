/*
 * ask - what the caller asks of the reader thread: parking, waking, reading
 *
 * In the event loop. Each question becomes a request; its answer comes as a completion (take.c, body.c).
 */
#include "common/base/memory.h"
#include "qmgr/store/internal.h"

static uint32_t
changes_behind(struct store *store, uint64_t id)
{
	const struct message *message;
	uint32_t count = 0;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	if (message != NULL)
		count = message->part_count;
	pthread_mutex_unlock(&store->lock);
	return count;
}

void
store_park(struct store *store, const struct envelope *envelope, bool held)
{
	struct request *request = request_new(REQUEST_PARK, envelope->id);

	/* A message with a long history is written whole, so that it never has a longer one. */
	if (changes_behind(store, envelope->id) > PARTS_MAX) {
		struct store_batch *batch = store_batch_new(store);

		batch->only_adds = false;
		batch_put(batch, ENTRY_UPDATE, ENTRY_WHOLE, envelope->id, envelope, NULL, NULL, 0);
		store_commit(store, batch, false, NULL, NULL);
	}
	request->held = held;
	pthread_mutex_lock(&store->lock);
	request->applied = store->applied;
	pthread_mutex_unlock(&store->lock);
	envelope_encode(envelope, NULL, &request->envelope);
	index_keys_make(envelope, &request->keys);
	if (store->parks_asked == store->parks_done)
		store->pending_due = INT64_MAX;
	if (!held && request->keys.due < store->pending_due)
		store->pending_due = request->keys.due;
	store->parks_asked++;
	reader_ask(store, request);
}

static void
ask_take(struct store *store, struct request *request, unsigned limit, int64_t now_ms, store_take_cb callback, void *context)
{
	request->limit = limit;
	request->now = now_ms;
	request->callback.take = callback;
	request->context = context;
	reader_ask(store, request);
}

void
store_take_due(struct store *store, int64_t now_ms, unsigned limit, store_take_cb callback, void *context)
{
	ask_take(store, request_new(REQUEST_TAKE_DUE, 0), limit, now_ms, callback, context);
}

void
store_take_destination(struct store *store, const char *destination, int64_t now_ms, unsigned limit,
    store_take_cb callback, void *context)
{
	struct request *request = request_new(REQUEST_TAKE_DESTINATION, 0);

	request->destination = memory_copy_string(destination);
	ask_take(store, request, limit, now_ms, callback, context);
}

void
store_turns(struct store *store, unsigned limit, store_turn_cb callback, void *context)
{
	struct request *request = request_new(REQUEST_TURNS, 0);

	request->limit = limit;
	request->callback.turn = callback;
	request->context = context;
	reader_ask(store, request);
}

void
store_take_id(struct store *store, uint64_t id, store_take_cb callback, void *context)
{
	ask_take(store, request_new(REQUEST_TAKE_ID, id), 1, 0, callback, context);
}

void
store_read_content(struct store *store, uint64_t id, store_content_cb callback, void *context)
{
	struct request *request = request_new(REQUEST_READ_CONTENT, id);

	request->callback.content = callback;
	request->context = context;
	reader_ask(store, request);
}

void
store_list(struct store *store, uint64_t after, unsigned limit, store_list_cb callback, void *context)
{
	struct request *request = request_new(REQUEST_LIST, after);

	request->limit = limit;
	request->callback.list = callback;
	request->context = context;
	reader_ask(store, request);
}

void
store_body_open(struct store *store, uint64_t id, store_file_cb callback, void *context)
{
	struct request *request = request_new(REQUEST_OPEN_BODY, id);

	request->callback.file = callback;
	request->context = context;
	reader_ask(store, request);
}
