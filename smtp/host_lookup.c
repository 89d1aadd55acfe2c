/* host_lookup - see host_lookup.h */
#include "smtp/host_lookup.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/memory.h"
#include "common/log/log.h"

struct host_lookup {
	struct host_lookups *lookups;
	TAILQ_ENTRY(host_lookup) entries;
	uint64_t id;
	char *name;
	bool asked;		/* on this channel */
	host_lookup_cb answered;
	void *context;
};

struct host_lookups {
	struct event_base *base;
	struct channel *channel;	/* NULL while there is no resolver */
	uint64_t next_id;
	TAILQ_HEAD(, host_lookup) waiting;
};

/* Asks what has not been asked, as far as credits go. */
static void
ask_waiting(struct host_lookups *lookups)
{
	struct host_lookup *lookup;

	TAILQ_FOREACH(lookup, &lookups->waiting, entries) {
		struct dns_question question = { .id = lookup->id, .kind = DNS_HOST, .name = lookup->name };

		if (lookup->asked)
			continue;
		if (lookups->channel == NULL || !send_dns_question(lookups->channel, &question))
			return;
		lookup->asked = true;
	}
}

static void
lookup_free(struct host_lookup *lookup)
{
	TAILQ_REMOVE(&lookup->lookups->waiting, lookup, entries);
	free(lookup->name);
	free(lookup);
}

static void
handle_answer(void *context, struct channel *channel UNUSED, const struct dns_answer *answer)
{
	struct host_lookups *lookups = context;
	struct host_lookup *lookup;

	TAILQ_FOREACH(lookup, &lookups->waiting, entries)
		if (lookup->id == answer->id) {
			host_lookup_cb answered = lookup->answered;
			void *owner = lookup->context;

			lookup_free(lookup);
			answered(owner, answer);
			return;
		}
}

static void
channel_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct host_lookups *lookups = context;

	log_event(LOG_PEER_LOST, "resolver", reason);
	channel_free(&lookups->channel);
}

static void
channel_ready(void *context, struct channel *channel UNUSED)
{
	ask_waiting(context);
}

void
host_lookups_introduce(struct host_lookups *lookups, int socket, enum ipc_side side)
{
	static const struct dns_handlers handlers = { .dns_answer = handle_answer };
	static const struct channel_events events = { .closed = channel_closed, .ready = channel_ready };
	struct host_lookup *lookup;

	channel_free(&lookups->channel);
	lookups->channel = channel_open(lookups->base, socket, &dns_protocol, side, &handlers, &events, lookups);
	TAILQ_FOREACH(lookup, &lookups->waiting, entries)
		lookup->asked = false;
	ask_waiting(lookups);
}

struct host_lookup *
host_lookup_start(struct host_lookups *lookups, const char *name, host_lookup_cb answered, void *context)
{
	struct host_lookup *lookup = memory_new(1, sizeof(*lookup));

	lookup->lookups = lookups;
	lookup->id = ++lookups->next_id;
	lookup->name = memory_copy_string(name);
	lookup->answered = answered;
	lookup->context = context;
	TAILQ_INSERT_TAIL(&lookups->waiting, lookup, entries);
	ask_waiting(lookups);
	return lookup;
}

void
host_lookup_cancel(struct host_lookup **lookup)
{
	if (*lookup != NULL)
		lookup_free(*lookup);
	*lookup = NULL;
}

struct host_lookups *
host_lookups_new(struct event_base *base)
{
	struct host_lookups *lookups = memory_new(1, sizeof(*lookups));

	lookups->base = base;
	TAILQ_INIT(&lookups->waiting);
	return lookups;
}

void
host_lookups_free(struct host_lookups **lookups)
{
	if (*lookups == NULL)
		return;
	channel_free(&(*lookups)->channel);
	while (!TAILQ_EMPTY(&(*lookups)->waiting))
		lookup_free(TAILQ_FIRST(&(*lookups)->waiting));
	free(*lookups);
	*lookups = NULL;
}
