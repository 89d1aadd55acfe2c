/* queue_source - see queue_source.h */
#include "master/matador/queue_source.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/worker/roles.h"
#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/place.h"
#include "qmgr/selection.h"
#include "qmgr/store/offline.h"

#define PAGE_MESSAGES 200
#define ENVELOPE_SIZE_MAX (256 << 20)

struct queue_source {
	struct offline_mailbox *mailbox;	/* stopped; NULL: running */
	/* running: */
	struct event_base *base;
	struct channel *channel;		/* NULL once closed */
	char closed_reason[200];
	/* the request in progress */
	queue_item_cb item_callback;
	queue_content_cb content_callback;	/* NULL: a list */
	void *context;
	struct store_item item;
	uint64_t item_id;
	uint32_t envelope_length;
	struct buffer envelope;			/* its octets so far */
	uint64_t last_id;
	uint64_t told;
	bool stopped;				/* the callback wants no more */
	bool answered;
	bool failed;
	bool more;
	uint64_t count;
	char text[501];
};

/* ---- a running qmgr ---- */

static void
item_complete(struct queue_source *source)
{
	struct envelope envelope;
	struct error error = ERROR_INITIALIZER;

	source->last_id = source->item_id;
	if (envelope_decode(source->envelope.data, source->envelope_length, &envelope, &error) == -1) {
		source->failed = source->answered = true;
		snprintf(source->text, sizeof(source->text), "qmgr told an envelope that cannot be read: %.300s", error.text);
		event_base_loopbreak(source->base);
		return;
	}
	source->item.envelope = &envelope;
	if (!source->stopped)
		source->stopped = !source->item_callback(source->context, &source->item);
	source->told++;
	envelope_free(&envelope);
}

static void
handle_message(void *context, struct channel *channel UNUSED, const struct queue_message *message)
{
	struct queue_source *source = context;

	source->item = (struct store_item){ .size = message->size, .held = message->held != 0 };
	source->item_id = message->id;
	source->envelope_length = message->envelope_length;
	buffer_clear(&source->envelope);
}

static void
handle_data(void *context, struct channel *channel UNUSED, const struct queue_data *message)
{
	struct queue_source *source = context;
	size_t missing = source->envelope_length - source->envelope.length;
	size_t part = message->data.length < missing ? message->data.length : missing;

	if (missing > 0) {
		if (!buffer_append(&source->envelope, message->data.data, part))
			return;
		if (part == missing)
			item_complete(source);
	}
	if (part < message->data.length && source->content_callback != NULL)
		source->content_callback(source->context, (const char *)message->data.data + part, message->data.length - part);
}

static void
handle_answer(void *context, struct channel *channel UNUSED, const struct queue_answer *message)
{
	struct queue_source *source = context;

	source->answered = true;
	source->failed = message->failed != 0;
	source->more = message->more != 0;
	source->count = message->count;
	snprintf(source->text, sizeof(source->text), "%s", message->text);
	event_base_loopbreak(source->base);
}

static void
handle_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct queue_source *source = context;

	snprintf(source->closed_reason, sizeof(source->closed_reason), "%s", reason);
	channel_free(&source->channel);
	event_base_loopbreak(source->base);
}

/* Waits for the answer to what was sent. */
static int
await_answer(struct queue_source *source, bool sent, struct error *error)
{
	source->answered = false;
	if (sent && source->channel != NULL)
		event_base_dispatch(source->base);
	if (!source->answered)
		return error_set(error, ERROR_UNAVAILABLE, "qmgr ended the conversation: %s", source->closed_reason);
	return source->failed ? error_set(error, ERROR_SYSTEM, "%s", source->text) : 0;
}

static void
attach(struct queue_source *source, int socket)
{
	static const struct queue_handlers handlers = { .queue_message = handle_message, .queue_data = handle_data,
		.queue_answer = handle_answer };
	static const struct channel_events events = { .closed = handle_closed, .ready = NULL };

	source->base = event_base_new();
	source->channel = channel_open(source->base, socket, &queue_protocol, IPC_ASKS, &handlers, &events, source);
}

static int
list_running(struct queue_source *source, const struct choice *choice, uint64_t limit, struct error *error)
{
	struct queue_list request = { .id = choice->id, .sender = choice->sender, .recipient = choice->recipient,
		.destination = choice->destination, .state = choice->state, .older_than = choice->older_than };

	source->told = source->last_id = 0;
	do {
		uint64_t told_before = source->told;

		request.after = source->last_id;
		request.limit = PAGE_MESSAGES;
		if (limit != 0 && limit - source->told < PAGE_MESSAGES)
			request.limit = (uint32_t)(limit - source->told);
		if (await_answer(source, source->channel != NULL && send_queue_list(source->channel, &request), error) == -1)
			return -1;
		if (source->more && source->told == told_before)
			return error_set(error, ERROR_SYSTEM, "qmgr says that there is more, and tells nothing");
	} while (source->more && !source->stopped && (limit == 0 || source->told < limit));
	return 0;
}

/* ---- a stopped MAIL.BOX ---- */

struct offline_walk {
	struct selection selection;
	uint64_t limit;
	uint64_t told;
	queue_item_cb callback;
	void *context;
};

static bool
offline_item(void *context, const struct store_item *item)
{
	struct offline_walk *walk = context;

	if (!selection_matches(&walk->selection, item->envelope, item->held, clock_wall_ms()))
		return true;
	walk->told++;
	return walk->callback(walk->context, item) && walk->told != walk->limit;
}

static int
offline_list(struct queue_source *source, const struct choice *choice, struct offline_walk *walk, struct error *error)
{
	int result;

	selection_init(&walk->selection, choice->id, choice->sender, choice->recipient, choice->destination, choice->state,
	    choice->older_than);
	result = offline_each(source->mailbox, offline_item, walk, error);
	selection_free(&walk->selection);
	return result;
}

static int
offline_export(struct queue_source *source, uint64_t id, queue_item_cb callback, queue_content_cb content, void *context,
    struct error *error)
{
	struct choice choice = CHOICE_INITIALIZER;
	struct offline_walk walk = { .limit = 1, .callback = callback, .context = context };
	struct store_content *octets;

	choice.id = id;
	if (offline_list(source, &choice, &walk, error) == -1)
		return -1;
	if (walk.told == 0)
		return 0;
	octets = offline_content(source->mailbox, id, error);
	if (octets == NULL)
		return -1;
	content(context, octets->data, octets->length);
	store_content_release(&octets);
	return 1;
}

/* ---- either ---- */

int
offline_open_status(const struct error *error)
{
	if (error->kind == ERROR_UNAVAILABLE)
		return EX_TEMPFAIL;
	return error->kind == ERROR_SYSTEM && (error->number == EACCES || error->number == EPERM) ? EX_NOPERM : EX_NOINPUT;
}

static int
open_stopped(const struct place *place, char **argv, struct queue_source *source)
{
	struct error error = ERROR_INITIALIZER;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.4000s/mailbox", place->spool_directory);
	if (offline_open(path, &source->mailbox, &error) == -1)
		return command_fail(argv, offline_open_status(&error), "%s", error.text);
	return EX_OK;
}

int
queue_source_open(const char *folder, char **argv, bool online, struct queue_source **source_out)
{
	struct queue_source *source = memory_new(1, sizeof(*source));
	struct error error = ERROR_INITIALIZER;
	struct control_reply reply;
	struct place place;
	int socket, status = EX_OK;

	buffer_init(&source->envelope, ENVELOPE_SIZE_MAX);
	*source_out = source;
	if (place_find(folder, &place, &error) == -1) {
		status = command_fail(argv, EX_CONFIG, "%s", error.text);
	} else if (control_ask(place.control_socket, "connect", role_rows[ROLE_QMGR].name, NULL, NULL, &reply, &error) == 0) {
		status = control_take_socket(argv, &reply, &socket);
		if (status == EX_OK)
			attach(source, socket);
	} else if (error.kind != ERROR_UNAVAILABLE || online) {
		status = command_fail(argv, EX_UNAVAILABLE, "%s", error.text);
	} else {
		status = open_stopped(&place, argv, source);
	}
	if (status != EX_OK)
		queue_source_close(source_out);
	return status;
}

void
queue_source_close(struct queue_source **source)
{
	if (*source == NULL)
		return;
	offline_close(&(*source)->mailbox);
	channel_free(&(*source)->channel);
	if ((*source)->base != NULL)
		event_base_free((*source)->base);
	buffer_free(&(*source)->envelope);
	free(*source);
	*source = NULL;
}

int
queue_source_each(struct queue_source *source, const struct choice *choice, uint64_t limit, queue_item_cb callback,
    void *context, struct error *error)
{
	struct offline_walk walk = { .limit = limit, .callback = callback, .context = context };

	if (source->mailbox != NULL)
		return offline_list(source, choice, &walk, error);
	source->item_callback = callback;
	source->content_callback = NULL;
	source->context = context;
	source->stopped = false;
	return list_running(source, choice, limit, error);
}

int
queue_source_export(struct queue_source *source, uint64_t id, queue_item_cb callback, queue_content_cb content,
    void *context, struct error *error)
{
	struct queue_export request = { .id = id };

	if (source->mailbox != NULL)
		return offline_export(source, id, callback, content, context, error);
	source->item_callback = callback;
	source->content_callback = content;
	source->context = context;
	source->told = 0;
	if (await_answer(source, source->channel != NULL && send_queue_export(source->channel, &request), error) == -1)
		return -1;
	return source->told > 0 ? 1 : 0;
}

int
queue_source_act(struct queue_source *source, enum queue_action_kind action, const struct choice *choice,
    uint64_t *count_out, struct error *error)
{
	struct queue_action request = { .action = (uint8_t)action, .id = choice->id, .sender = choice->sender,
		.recipient = choice->recipient, .destination = choice->destination, .state = choice->state,
		.older_than = choice->older_than };

	if (await_answer(source, source->channel != NULL && send_queue_action(source->channel, &request), error) == -1)
		return -1;
	*count_out = source->count;
	return 0;
}
