/*
 * fake_store - the interface of qmgr/store/store.h over memory, for tests of what is above it
 *
 * Included by one test file: it defines every function, so that the linker takes none from the archive. Commits answer in a later
 * turn of the event loop, like the real one; fake.fail makes them fail, fake.stalls lets them wait.
 */
#ifndef TESTS_FAKE_STORE_H
#define TESTS_FAKE_STORE_H

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "qmgr/store/store.h"

struct fake_message {
	struct fake_message *next;
	uint64_t id;
	struct envelope envelope;	/* as recorded */
	struct store_content *content;	/* NULL: a file */
	int file;
	uint64_t size;
	bool held;
	bool parked;
};

static struct {
	struct event_base *base;
	struct fake_message *messages;	/* in the order of ids */
	unsigned fail;			/* so many commits fail from now on */
	unsigned commits;
	bool stalls;			/* commits wait for fake_answer_commit() */
	struct store_batch *stalled;	/* the last asked first */
	unsigned asked_by_id;		/* takes by id that are not answered yet */
	void (*asked_cb)(void);		/* NULL, or called with each of them */
	unsigned bodies_abandoned;
	uint32_t body_checksum;		/* of the message added last */
	int open_file;			/* the body file last created */
	bool refuses;
	struct store_note note;
} fake;

static void
fake_copy_envelope(const struct envelope *from, const bool *chosen, struct envelope *to)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;

	if (!envelope_encode(from, chosen, &octets) || envelope_decode(octets.data, octets.length, to, &error) != 0)
		abort();
	buffer_free(&octets);
}

static struct fake_message *
fake_find(uint64_t id)
{
	struct fake_message *message;

	for (message = fake.messages; message != NULL; message = message->next)
		if (message->id == id)
			return message;
	return NULL;
}

static void
fake_remove(uint64_t id)
{
	struct fake_message **link, *message;

	for (link = &fake.messages; (message = *link) != NULL; link = &message->next) {
		if (message->id == id) {
			*link = message->next;
			envelope_free(&message->envelope);
			if (message->content != NULL)
				store_content_release(&message->content);
			if (message->file >= 0)
				close(message->file);
			free(message);
			return;
		}
	}
}

static void
fake_store_reset(struct event_base *base)
{
	while (fake.messages != NULL)
		fake_remove(fake.messages->id);
	memset(&fake, 0, sizeof(fake));
	fake.open_file = -1;
	fake.base = base;
}

static unsigned
fake_count(void)
{
	const struct fake_message *message;
	unsigned count = 0;

	for (message = fake.messages; message != NULL; message = message->next)
		count++;
	return count;
}

/* ---- turns of the event loop ---- */

struct fake_call {
	void (*function)(void *context);
	void *context;
};

static void
fake_run_call(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct fake_call *call = context;

	call->function(call->context);
	free(call);
}

static void
fake_later(void (*function)(void *), void *context)
{
	struct fake_call *call = memory_new(1, sizeof(*call));

	call->function = function;
	call->context = context;
	event_base_once(fake.base, -1, EV_TIMEOUT, fake_run_call, call, &(struct timeval){ 0 });
}

/* ---- content ---- */

struct store_content *
store_content_new(size_t length)
{
	struct store_content *content = memory_new(1, sizeof(*content) + length);

	content->references = 1;
	content->length = length;
	return content;
}

struct store_content *
store_content_hold(struct store_content *content)
{
	content->references++;
	return content;
}

void
store_content_release(struct store_content **content)
{
	if (--(*content)->references == 0)
		free(*content);
	*content = NULL;
}

/* ---- batches ---- */

enum fake_kind { FAKE_ADD, FAKE_UPDATE, FAKE_HOLD, FAKE_DONE };

struct fake_entry {
	struct fake_entry *next;
	enum fake_kind kind;
	uint64_t id;
	struct envelope envelope;
	struct store_content *content;
	uint64_t body_length;
	bool held;
};

struct store_batch {
	struct store_batch *next;
	struct fake_entry *first, **last;
	store_commit_cb callback;
	void *context;
};

bool
store_accepts(UNUSED const struct store *store)
{
	return !fake.refuses;
}

struct store_batch *
store_batch_new(UNUSED struct store *store)
{
	struct store_batch *batch = memory_new(1, sizeof(*batch));

	batch->last = &batch->first;
	return batch;
}

static struct fake_entry *
fake_entry_add(struct store_batch *batch, enum fake_kind kind, uint64_t id)
{
	struct fake_entry *entry = memory_new(1, sizeof(*entry));

	entry->kind = kind;
	entry->id = id;
	*batch->last = entry;
	batch->last = &entry->next;
	return entry;
}

void
store_batch_add(struct store_batch *batch, const struct envelope *envelope, struct store_content *content, uint64_t body_length,
    uint32_t body_checksum)
{
	struct fake_entry *entry = fake_entry_add(batch, FAKE_ADD, envelope->id);

	fake_copy_envelope(envelope, NULL, &entry->envelope);
	entry->content = content == NULL ? NULL : store_content_hold(content);
	entry->body_length = body_length;
	fake.body_checksum = body_checksum;
}

void
store_batch_update(struct store_batch *batch, const struct envelope *envelope, const bool *chosen)
{
	fake_copy_envelope(envelope, chosen, &fake_entry_add(batch, FAKE_UPDATE, envelope->id)->envelope);
}

void
store_batch_hold(struct store_batch *batch, uint64_t id, bool held)
{
	fake_entry_add(batch, FAKE_HOLD, id)->held = held;
}

void
store_batch_done(struct store_batch *batch, uint64_t id)
{
	fake_entry_add(batch, FAKE_DONE, id);
}

static void
fake_apply_add(struct fake_entry *entry)
{
	struct fake_message *message = memory_new(1, sizeof(*message)), **link = &fake.messages;

	message->id = entry->id;
	message->envelope = entry->envelope;
	envelope_init(&entry->envelope);
	message->content = entry->content;
	entry->content = NULL;
	message->size = message->content == NULL ? entry->body_length : message->content->length;
	message->file = message->content == NULL ? fake.open_file : -1;
	if (message->content == NULL)
		fake.open_file = -1;
	while (*link != NULL && (*link)->id < message->id)
		link = &(*link)->next;
	message->next = *link;
	*link = message;
}

static void
fake_apply_update(struct fake_entry *entry)
{
	struct fake_message *message = fake_find(entry->id);
	size_t i;

	for (i = 0; message != NULL && i < entry->envelope.recipient_count; i++) {
		struct envelope_recipient *from = &entry->envelope.recipients[i], *to, swap;

		to = envelope_find_recipient(&message->envelope, from->number);
		if (to == NULL)
			to = envelope_add_recipient(&message->envelope, "");
		swap = *to;
		*to = *from;
		*from = swap;
	}
}

static void
fake_commit_run(void *context)
{
	struct store_batch *batch = context;
	struct error error = ERROR_INITIALIZER;
	struct fake_entry *entry;
	bool fails = fake.fail > 0;

	if (fails)
		fake.fail--;
	while ((entry = batch->first) != NULL) {
		batch->first = entry->next;
		if (!fails && entry->kind == FAKE_ADD)
			fake_apply_add(entry);
		else if (!fails && entry->kind == FAKE_UPDATE)
			fake_apply_update(entry);
		else if (!fails && entry->kind == FAKE_HOLD && fake_find(entry->id) != NULL)
			fake_find(entry->id)->held = entry->held;
		else if (!fails && entry->kind == FAKE_DONE)
			fake_remove(entry->id);
		envelope_free(&entry->envelope);
		if (entry->content != NULL)
			store_content_release(&entry->content);
		free(entry);
	}
	error_set(&error, ERROR_SYSTEM, "the disk is full");
	if (batch->callback != NULL)
		batch->callback(batch->context, fails ? &error : NULL);
	free(batch);
}

void
store_commit(UNUSED struct store *store, struct store_batch *batch, UNUSED bool urgent, store_commit_cb callback, void *context)
{
	fake.commits++;
	batch->callback = callback;
	batch->context = context;
	if (fake.stalls) {
		batch->next = fake.stalled;
		fake.stalled = batch;
	} else {
		fake_later(fake_commit_run, batch);
	}
}

/* The one that has waited longest is applied and answered. */
UNUSED static void
fake_answer_commit(void)
{
	struct store_batch **link = &fake.stalled, *batch;

	while ((*link)->next != NULL)
		link = &(*link)->next;
	batch = *link;
	*link = NULL;
	fake_commit_run(batch);
}

bool
store_knows(UNUSED struct store *store, uint64_t id)
{
	return fake_find(id) != NULL;
}

uint64_t
store_size(UNUSED struct store *store, uint64_t id)
{
	return fake_find(id) == NULL ? 0 : fake_find(id)->size;
}

bool
store_held(UNUSED struct store *store, uint64_t id)
{
	return fake_find(id) != NULL && fake_find(id)->held;
}

/* ---- bodies ---- */

struct fake_file_request {
	uint64_t id;
	store_file_cb callback;
	void *context;
	bool create;
};

static void
fake_file_run(void *context)
{
	struct fake_file_request *request = context;
	struct fake_message *message = fake_find(request->id);
	struct error error = ERROR_INITIALIZER;

	if (request->create) {
		fake.open_file = memfd_create("body", MFD_CLOEXEC);
		request->callback(request->context, request->id, dup(fake.open_file), 0, NULL);
	} else if (message != NULL && message->file >= 0) {
		request->callback(request->context, request->id, dup(message->file), message->size, NULL);
	} else {
		error_set(&error, ERROR_DAMAGED, "there is no such body");
		request->callback(request->context, request->id, -1, 0, &error);
	}
	free(request);
}

static void
fake_file(uint64_t id, store_file_cb callback, void *context, bool create)
{
	struct fake_file_request *request = memory_new(1, sizeof(*request));

	*request = (struct fake_file_request){ id, callback, context, create };
	fake_later(fake_file_run, request);
}

void
store_body_create(UNUSED struct store *store, uint64_t id, store_file_cb callback, void *context)
{
	fake_file(id, callback, context, true);
}

void
store_body_abandon(UNUSED struct store *store, UNUSED uint64_t id)
{
	fake.bodies_abandoned++;
	if (fake.open_file >= 0)
		close(fake.open_file);
	fake.open_file = -1;
}

void
store_body_open(UNUSED struct store *store, uint64_t id, store_file_cb callback, void *context)
{
	fake_file(id, callback, context, false);
}

/* ---- parking ---- */

static int64_t
fake_due(const struct envelope *envelope)
{
	int64_t due = INT64_MAX;
	size_t i;

	for (i = 0; i < envelope->recipient_count; i++) {
		const struct envelope_recipient *recipient = &envelope->recipients[i];

		if ((recipient->state == RECIPIENT_NEW || recipient->state == RECIPIENT_WAITING) &&
		    recipient->next_attempt_ms < due)
			due = recipient->next_attempt_ms;
	}
	return due;
}

void
store_park(UNUSED struct store *store, const struct envelope *envelope, bool held)
{
	struct fake_message *message = fake_find(envelope->id);

	if (message == NULL)
		abort();
	envelope_free(&message->envelope);
	fake_copy_envelope(envelope, NULL, &message->envelope);
	message->held = held;
	message->parked = true;
}

void
store_keep_note(UNUSED struct store *store, const struct store_note *note, UNUSED bool at_once)
{
	fake.note = *note;
}

int64_t
store_next_due_ms(UNUSED const struct store *store)
{
	const struct fake_message *message;
	int64_t due = INT64_MAX;

	for (message = fake.messages; message != NULL; message = message->next)
		if (message->parked && !message->held && fake_due(&message->envelope) < due)
			due = fake_due(&message->envelope);
	return due;
}

struct fake_take {
	store_take_cb callback;
	void *context;
	char *destination;
	uint64_t id;
	int64_t now;
	unsigned limit;
};

static bool
fake_waits_for(const struct envelope *envelope, const char *destination, int64_t now)
{
	size_t i;

	for (i = 0; i < envelope->recipient_count; i++) {
		const struct envelope_recipient *recipient = &envelope->recipients[i];
		char key[1200];

		if (recipient->state != RECIPIENT_WAITING || recipient->next_hop == NULL)
			continue;
		snprintf(key, sizeof(key), "%s:%s", transport_name(recipient->transport), recipient->next_hop);
		if (strcmp(key, destination) == 0 && (recipient->waits_for_turn || recipient->next_attempt_ms <= now))
			return true;
	}
	return false;
}

static void
fake_take_run(void *context)
{
	struct fake_take *take = context;
	struct fake_message *message, *next;

	for (message = fake.messages; message != NULL && take->limit > 0; message = next) {
		struct envelope *envelope;

		next = message->next;
		if (!message->parked || (take->id != 0 ? message->id != take->id : message->held ||
		    (take->destination != NULL ? !fake_waits_for(&message->envelope, take->destination, take->now) :
		    fake_due(&message->envelope) > take->now)))
			continue;
		message->parked = false;
		take->limit--;
		envelope = memory_new(1, sizeof(*envelope));
		fake_copy_envelope(&message->envelope, NULL, envelope);
		take->callback(take->context, envelope, NULL);
	}
	fake.asked_by_id -= take->id != 0;
	take->callback(take->context, NULL, NULL);
	free(take->destination);
	free(take);
}

static void
fake_take(const char *destination, uint64_t id, int64_t now, unsigned limit, store_take_cb callback, void *context)
{
	struct fake_take *take = memory_new(1, sizeof(*take));

	*take = (struct fake_take){ callback, context, memory_copy_string(destination), id, now, limit };
	fake_later(fake_take_run, take);
}

struct fake_turns {
	store_turn_cb callback;
	void *context;
};

/* A destination may come several times: the caller asks for each as often as it likes. */
static void
fake_turns_run(void *context)
{
	struct fake_turns *turns = context;
	struct fake_message *message;
	size_t i;

	for (message = fake.messages; message != NULL; message = message->next) {
		for (i = 0; message->parked && !message->held && i < message->envelope.recipient_count; i++) {
			const struct envelope_recipient *recipient = &message->envelope.recipients[i];
			char key[1200];

			if (recipient->state != RECIPIENT_WAITING || !recipient->waits_for_turn)
				continue;
			snprintf(key, sizeof(key), "%s:%s", transport_name(recipient->transport), recipient->next_hop);
			turns->callback(turns->context, key);
		}
	}
	turns->callback(turns->context, NULL);
	free(turns);
}

void
store_turns(UNUSED struct store *store, UNUSED unsigned limit, store_turn_cb callback, void *context)
{
	struct fake_turns *turns = memory_new(1, sizeof(*turns));

	*turns = (struct fake_turns){ callback, context };
	fake_later(fake_turns_run, turns);
}

void
store_take_due(UNUSED struct store *store, int64_t now_ms, unsigned limit, store_take_cb callback, void *context)
{
	fake_take(NULL, 0, now_ms, limit, callback, context);
}

void
store_take_destination(UNUSED struct store *store, const char *destination, int64_t now_ms, unsigned limit,
    store_take_cb callback, void *context)
{
	fake_take(destination, 0, now_ms, limit, callback, context);
}

void
store_take_id(UNUSED struct store *store, uint64_t id, store_take_cb callback, void *context)
{
	fake_take(NULL, id, 0, 1, callback, context);
	fake.asked_by_id++;
	if (fake.asked_cb != NULL)
		fake.asked_cb();
}

/* ---- reading ---- */

struct fake_read {
	uint64_t id;
	store_content_cb callback;
	void *context;
};

static void
fake_read_run(void *context)
{
	struct fake_read *read_request = context;
	struct fake_message *message = fake_find(read_request->id);
	struct error error = ERROR_INITIALIZER;

	error_set(&error, ERROR_DAMAGED, "there is no such message");
	read_request->callback(read_request->context, read_request->id,
	    message == NULL || message->content == NULL ? NULL : store_content_hold(message->content),
	    message == NULL ? &error : NULL);
	free(read_request);
}

void
store_read_content(UNUSED struct store *store, uint64_t id, store_content_cb callback, void *context)
{
	struct fake_read *read_request = memory_new(1, sizeof(*read_request));

	*read_request = (struct fake_read){ id, callback, context };
	fake_later(fake_read_run, read_request);
}

/* What is parked at the moment of the request, told in a later turn: what was asked before and after is seen, or not, accordingly. */
struct fake_list {
	struct fake_item {
		struct envelope envelope;
		uint64_t size;
		bool held;
	} *items;
	unsigned count;
	store_list_cb callback;
	void *context;
};

static void
fake_list_run(void *context)
{
	struct fake_list *list = context;

	for (unsigned i = 0; i < list->count; i++) {
		struct store_item item = { &list->items[i].envelope, list->items[i].size, list->items[i].held };

		list->callback(list->context, &item, NULL);
		envelope_free(&list->items[i].envelope);
	}
	list->callback(list->context, NULL, NULL);
	free(list->items);
	free(list);
}

void
store_list(UNUSED struct store *store, uint64_t after, unsigned limit, store_list_cb callback, void *context)
{
	struct fake_list *list = memory_new(1, sizeof(*list));
	const struct fake_message *message;

	*list = (struct fake_list){ memory_new(limit, sizeof(*list->items)), 0, callback, context };
	for (message = fake.messages; message != NULL && list->count < limit; message = message->next) {
		if (!message->parked || message->id <= after)
			continue;
		fake_copy_envelope(&message->envelope, NULL, &list->items[list->count].envelope);
		list->items[list->count].size = message->size;
		list->items[list->count++].held = message->held;
	}
	fake_later(fake_list_run, list);
}

void
store_status(UNUSED struct store *store, struct buffer *lines)
{
	buffer_printf(lines, "messages=%u\n", fake_count());
}

#endif
