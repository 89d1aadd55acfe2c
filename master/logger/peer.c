/* peer - see peer.h */
#include "master/logger/peer.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/wire.h"
#include "common/ipc/log.h"

#define KEYS_MAX 16
#define VALUE_MAX (LOG_VALUE_MAX + 1)	/* one more than is shown: there was more */

struct peer {
	LIST_ENTRY(peer) next;
	struct peers *peers;
	struct channel *channel;
	enum role role;
};

static void
peer_free(struct peer *peer)
{
	LIST_REMOVE(peer, next);
	channel_free(&peer->channel);
	free(peer);
}

/* The values as the event's row wants them; false when they are others. */
static bool
unpack_values(const struct log_event *message, const char *values[static KEYS_MAX])
{
	struct wire_reader reader;
	unsigned count, i;

	if (message->event >= LOG_EVENT_COUNT)
		return false;
	count = log_key_count((enum log_event_number)message->event);
	if (count > KEYS_MAX)
		return false;
	wire_reader_init(&reader, message->values.data, message->values.length);
	for (i = 0; i < count; i++)
		values[i] = wire_get_string(&reader, VALUE_MAX);
	return wire_reader_finished(&reader);
}

static void
on_log_event(void *context, UNUSED struct channel *channel, const struct log_event *message)
{
	struct peer *peer = context;
	struct output *output = peer->peers->output;
	const char *name = role_rows[peer->role].name;
	const char *values[KEYS_MAX];

	if (!unpack_values(message, values)) {
		log_event(LOG_PEER_LOST, name, "violation: an event that does not match the table");
		peer_free(peer);
		return;
	}
	peer->peers->events++;
	if (message->dropped > 0)
		output_event(output, name, message->process, clock_wall_ms(), LOG_EVENTS_DROPPED,
		    LOG_VALUES(log_number(message->dropped), name), 2);
	output_event(output, name, message->process, (int64_t)message->wall_ms,
	    (enum log_event_number)message->event, values, log_key_count((enum log_event_number)message->event));
}

static void
on_log_reopen(void *context, UNUSED struct channel *channel, UNUSED const struct log_reopen *message)
{
	struct peer *peer = context;

	if (peer->role == ROLE_MASTER) {
		output_reopen(peer->peers->output);
		return;
	}
	log_event(LOG_PEER_LOST, role_rows[peer->role].name, "violation: only master may have the log reopened");
	peer_free(peer);
}

/* master says itself which program ended; here only what is odd is worth a line. */
static void
peer_closed(void *context, UNUSED struct channel *channel, const char *reason)
{
	struct peer *peer = context;

	if (strcmp(reason, "end of file") != 0)
		log_event(LOG_PEER_LOST, role_rows[peer->role].name, reason);
	peer_free(peer);
}

void
peer_open(struct peers *peers, enum role role, int socket)
{
	static const struct log_handlers handlers = { .log_event = on_log_event, .log_reopen = on_log_reopen };
	static const struct channel_events events = { .closed = peer_closed };
	struct peer *peer = memory_new(1, sizeof(*peer));

	peer->peers = peers;
	peer->role = role;
	LIST_INSERT_HEAD(&peers->list, peer, next);
	peer->channel = channel_open(peers->base, socket, &log_protocol, IPC_SERVES, &handlers, &events, peer);
}

void
peers_free(struct peers *peers)
{
	while (!LIST_EMPTY(&peers->list))
		peer_free(LIST_FIRST(&peers->list));
}
