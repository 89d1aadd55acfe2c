/* control - see control.h */
#include "qmgr/control.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/ipc/queue.h"
#include "qmgr/action.h"
#include "qmgr/listing.h"
#include "qmgr/qmgr.h"
#include "qmgr/selection.h"
#include "qmgr/store/store.h"

#define LIST_MAX 1000			/* messages in one answer */
#define LIST_OCTETS_MAX (4 * 1024 * 1024)
#define QUEUED_MAX (128 * 1024)

/* One control command. Freed when its channel is gone and no request of it is under way. */
struct client {
	struct qmgr *qmgr;
	struct channel *channel;	/* NULL: gone */
	unsigned requests;		/* under way */
	struct export *export;		/* at most one at a time */
	TAILQ_ENTRY(client) link;
};

static void
client_release(struct client *client)
{
	if (client->channel != NULL || client->requests > 0)
		return;
	TAILQ_REMOVE(&client->qmgr->control.clients, client, link);
	free(client);
}

/* The request's one answer. The client may be gone afterwards. */
static void
answer(struct client *client, const char *failure, uint64_t count, bool more)
{
	char text[500];
	struct queue_answer message = { .failed = failure != NULL, .count = count, .more = more, .text = text };

	strlcpy(text, failure == NULL ? "" : failure, sizeof(text));
	if (client->channel != NULL)
		send_queue_answer(client->channel, &message);
	client->requests--;
	client_release(client);
}

static void
send_octets(struct client *client, const char *data, size_t length)
{
	while (length > 0 && client->channel != NULL) {
		struct queue_data part = { .data = { data, length < IPC_DATA_MAX ? length : IPC_DATA_MAX } };

		if (!send_queue_data(client->channel, &part))
			return;
		data += part.data.length;
		length -= part.data.length;
	}
}

static void
send_item(struct client *client, const struct listing_item *item)
{
	struct queue_message message = {
		.id = item->id,
		.size = item->size,
		.arrival_ms = (uint64_t)item->arrival_ms,
		.held = item->held,
		.envelope_length = (uint32_t)item->envelope.length,
	};

	if (client->channel == NULL)
		return;
	send_queue_message(client->channel, &message);
	send_octets(client, item->envelope.data, item->envelope.length);
}

/* ---- list ---- */

struct list_request {
	struct client *client;
	uint64_t limit;
	uint64_t count;
	size_t octets;
	bool more;
};

static bool
list_item(void *context, const struct listing_item *item, const struct error *error)
{
	struct list_request *request = context;
	struct client *client = request->client;

	if (item == NULL) {
		answer(client, error == NULL ? NULL : error->text, request->count, request->more);
		free(request);
		return false;
	}
	if (client->channel == NULL)
		return false;
	if (request->count == request->limit || request->octets >= LIST_OCTETS_MAX) {
		request->more = true;
		return false;
	}
	send_item(client, item);
	request->octets += item->envelope.length;
	request->count++;
	return true;
}

static void
list(void *context, UNUSED struct channel *channel, const struct queue_list *message)
{
	struct client *client = context;
	struct list_request *request = memory_new(1, sizeof(*request));
	struct selection selection;

	client->requests++;
	request->client = client;
	request->limit = message->limit == 0 || message->limit > LIST_MAX ? LIST_MAX : message->limit;
	selection_init(&selection, message->id, message->sender, message->recipient, message->destination, message->state,
	    message->older_than);
	listing_start(client->qmgr, &selection, message->after, request->limit + 1, true, list_item, request);
}

/* ---- hold, release, retry, remove, route ---- */

static void
action_done(void *context, uint64_t changed, const struct error *error)
{
	answer(context, error == NULL ? NULL : error->text, changed, false);
}

static void
action(void *context, UNUSED struct channel *channel, const struct queue_action *message)
{
	struct client *client = context;
	struct selection selection;

	client->requests++;
	if (message->action > QUEUE_ROUTE || (message->action == QUEUE_ROUTE && message->destination[0] == '\0')) {
		answer(client, "no such action", 0, false);
		return;
	}
	selection_init(&selection, message->id, message->sender, message->recipient, message->destination, message->state,
	    message->older_than);
	selection.or_domain = message->action == QUEUE_ROUTE;
	action_start(client->qmgr, (enum action_kind)message->action, &selection, action_done, client);
}

/* ---- export ---- */

struct export {
	struct client *client;
	uint64_t id;
	bool found;
	struct store_content *content;	/* held, or NULL */
	int file;			/* -1: none */
	uint64_t length;
	uint64_t sent;
};

static void
export_end(struct export *export, const char *failure)
{
	struct client *client = export->client;
	bool whole = failure == NULL && export->found;

	client->export = NULL;
	if (export->content != NULL)
		store_content_release(&export->content);
	if (export->file >= 0)
		close(export->file);
	free(export);
	answer(client, failure, whole, false);
}

/* Sends as much as the channel takes. A large body is read here piece by piece: an administrator's rare wish. */
static void
export_stream(struct export *export)
{
	struct client *client = export->client;
	char room[IPC_DATA_MAX];

	while (export->sent < export->length) {
		size_t part = export->length - export->sent < IPC_DATA_MAX ? (size_t)(export->length - export->sent) : IPC_DATA_MAX;

		if (client->channel == NULL) {
			export_end(export, "the client is gone");
			return;
		}
		if (channel_queued(client->channel) >= QUEUED_MAX)
			return;
		if (export->content != NULL) {
			send_octets(client, export->content->data + export->sent, part);
		} else {
			ssize_t count = pread(export->file, room, part, (off_t)export->sent);

			if (count <= 0) {
				export_end(export, "the body cannot be read");
				return;
			}
			part = (size_t)count;
			send_octets(client, room, part);
		}
		export->sent += part;
	}
	export_end(export, NULL);
}

static void
export_begin(struct export *export, struct store_content *content, int file, uint64_t length)
{
	export->content = content;
	export->file = file;
	export->length = length;
	export->client->export = export;
	export_stream(export);
}

static void
export_opened(void *context, UNUSED uint64_t id, int file, uint64_t length, const struct error *error)
{
	struct export *export = context;

	if (file < 0)
		export_end(export, error->text);
	else
		export_begin(export, NULL, file, length);
}

static void
export_read(void *context, uint64_t id, struct store_content *content, const struct error *error)
{
	struct export *export = context;

	if (content != NULL)
		export_begin(export, content, -1, content->length);
	else if (error != NULL)
		export_end(export, error->text);
	else
		store_body_open(export->client->qmgr->store, id, export_opened, export);
}

static bool
export_item(void *context, const struct listing_item *item, const struct error *error)
{
	struct export *export = context;

	if (item != NULL) {
		export->found = true;
		send_item(export->client, item);
		return true;
	}
	if (error != NULL || !export->found)
		export_end(export, error != NULL ? error->text : NULL);
	else
		store_read_content(export->client->qmgr->store, export->id, export_read, export);
	return false;
}

static void
export_message(void *context, UNUSED struct channel *channel, const struct queue_export *message)
{
	struct client *client = context;
	struct export *export;
	struct selection selection;

	client->requests++;
	if (client->requests > 1 || message->id == 0) {
		answer(client, "one message at a time can be exported", 0, false);
		return;
	}
	export = memory_new(1, sizeof(*export));
	export->client = client;
	export->id = message->id;
	export->file = -1;
	selection_init(&selection, message->id, "", "", "", "", 0);
	listing_start(client->qmgr, &selection, 0, 0, true, export_item, export);
}

/* ---- destinations ---- */

static void
describe_destination(const struct qmgr *qmgr, const struct destination *destination, struct buffer *line)
{
	int64_t now = qmgr->clock.queue_at_start + clock_boottime_ms() - qmgr->clock.boot_at_start;
	char until[32] = "";

	if (destination->down_until > now)
		clock_format_rfc3339(destination->down_until, until);
	buffer_printf(line, "destination=%s\tqueued=%u\tsessions=%u\tconcurrency=%u\tparked=%llu\tfailures=%u\tdown_until=%s"
	    "\tstatus=%s\treason=", destination->key, destination->queued, destination->sessions,
	    destination_concurrency(&qmgr->destinations, destination),
	    (unsigned long long)destination->surplus + (destination->down_until > now ? destination->put_off : 0),
	    destination->failures, until, destination->last_status == NULL ? "" : destination->last_status);
	buffer_append_string(line, destination->last_reason == NULL || destination->standing != STANDING_SUSPECT ? "" :
	    destination->last_reason);
	buffer_append_byte(line, '\n');
}

static void
destinations(void *context, UNUSED struct channel *channel, UNUSED const struct queue_destinations *message)
{
	struct client *client = context;
	struct qmgr *qmgr = client->qmgr;
	struct hash_node *node = NULL;
	struct buffer lines = BUFFER_INITIALIZER(0);
	uint64_t count = 0;

	client->requests++;
	while ((node = hash_table_walk(&qmgr->destinations.by_key, node)) != NULL) {
		describe_destination(qmgr, HASH_CONTAINER(node, struct destination, by_key), &lines);
		count++;
	}
	send_octets(client, buffer_text(&lines), lines.length);
	buffer_free(&lines);
	answer(client, NULL, count, false);
}

/* ---- clients ---- */

static void
closed(void *context, UNUSED struct channel *channel, UNUSED const char *reason)
{
	struct client *client = context;

	channel_free(&client->channel);
	if (client->export != NULL)
		export_stream(client->export);
	else
		client_release(client);
}

static void
ready(void *context, UNUSED struct channel *channel)
{
	struct client *client = context;

	if (client->export != NULL)
		export_stream(client->export);
}

void
control_introduced(struct qmgr *qmgr, enum ipc_side side, int socket)
{
	static const struct queue_handlers handlers = {
		.queue_list = list,
		.queue_action = action,
		.queue_export = export_message,
		.queue_destinations = destinations,
	};
	static const struct channel_events events = { .closed = closed, .ready = ready };
	struct client *client = memory_new(1, sizeof(*client));

	client->qmgr = qmgr;
	TAILQ_INSERT_TAIL(&qmgr->control.clients, client, link);
	client->channel = channel_open(qmgr->base, socket, &queue_protocol, side, &handlers, &events, client);
}

void
control_start(struct qmgr *qmgr)
{
	TAILQ_INIT(&qmgr->control.clients);
	TAILQ_INIT(&qmgr->control.listings);
}

void
control_end(struct qmgr *qmgr)
{
	struct client *client;

	listing_end(qmgr);
	while ((client = TAILQ_FIRST(&qmgr->control.clients)) != NULL) {
		TAILQ_REMOVE(&qmgr->control.clients, client, link);
		channel_free(&client->channel);
		if (client->export != NULL && client->export->content != NULL)
			store_content_release(&client->export->content);
		free(client->export);
		free(client);
	}
}
