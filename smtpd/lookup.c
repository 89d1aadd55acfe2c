/* lookup - see lookup.h */
#include "smtpd/lookup.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/memory.h"
#include "common/ipc/directory.h"
#include "common/log/log.h"
#include "common/mail/recipient_lookup.h"
#include "smtpd/directory_memory.h"
#include "smtpd/rules.h"

struct lookup {
	TAILQ_ENTRY(lookup) entries;
	uint64_t id;
	bool asked;			/* the question was sent and is not answered */
	struct recipient_lookup question;
	size_t found;			/* entries that came with the answer so far */
	bool found_group;
	lookup_done_cb done;
	void *owner;
};

TAILQ_HEAD(lookup_list, lookup);

struct lookups {
	struct channel *channel;
	struct directory_memory *memory;	/* borrowed */
	struct lookup_list list;
	uint64_t next_id;
};

struct lookups *
lookups_new(struct directory_memory *memory)
{
	struct lookups *lookups = memory_new(1, sizeof(*lookups));

	lookups->memory = memory;
	TAILQ_INIT(&lookups->list);
	return lookups;
}

static void
free_lookup(struct lookups *lookups, struct lookup *lookup)
{
	TAILQ_REMOVE(&lookups->list, lookup, entries);
	free(lookup);
}

void
lookups_free(struct lookups **lookups)
{
	struct lookup *lookup;

	if (*lookups == NULL)
		return;
	while ((lookup = TAILQ_FIRST(&(*lookups)->list)) != NULL)
		free_lookup(*lookups, lookup);
	channel_free(&(*lookups)->channel);
	free(*lookups);
	*lookups = NULL;
}

/* Sends the questions that were not sent for want of a credit or a peer. */
static void
pump(struct lookups *lookups)
{
	struct lookup *lookup;

	if (lookups->channel == NULL)
		return;
	TAILQ_FOREACH(lookup, &lookups->list, entries) {
		if (lookup->asked)
			continue;
		if (!send_directory_lookup(lookups->channel, &(struct directory_lookup){ .id = lookup->id,
		    .kind = (uint8_t)lookup->question.kind, .text = lookup->question.text }))
			return;
		lookup->asked = true;
		lookup->found = 0;
		lookup->found_group = false;
	}
}

static enum recipient_finding
finding_of(const struct lookup *lookup)
{
	switch (lookup->question.state) {
	case RECIPIENT_LOOKUP_FOUND:
		return lookup->found_group ? RECIPIENT_IS_GROUP : RECIPIENT_IS_PERSON;
	case RECIPIENT_LOOKUP_MANY:
		return RECIPIENT_IS_AMBIGUOUS;
	case RECIPIENT_LOOKUP_NONE:
		return RECIPIENT_IS_UNKNOWN;
	case RECIPIENT_LOOKUP_ASK:
	case RECIPIENT_LOOKUP_UNAVAILABLE:
		break;
	}
	return RECIPIENT_CANNOT_BE_FOUND_NOW;
}

/* Tells the owner what was found, and forgets the lookup. */
static void
finish(struct lookups *lookups, struct lookup *lookup)
{
	enum recipient_finding finding = finding_of(lookup);
	lookup_done_cb done = lookup->done;
	void *owner = lookup->owner;

	free_lookup(lookups, lookup);
	done(owner, finding);
}

struct lookup *
lookups_ask(struct lookups *lookups, const struct rules *rules, const struct recipient_facts *recipient,
    lookup_done_cb done, void *owner)
{
	struct lookup *lookup = memory_new(1, sizeof(*lookup));

	lookup->id = ++lookups->next_id;
	lookup->done = done;
	lookup->owner = owner;
	recipient_lookup_start(&lookup->question, rules->settings, recipient->address, recipient->primary_domain);
	TAILQ_INSERT_TAIL(&lookups->list, lookup, entries);
	if (lookup->question.state != RECIPIENT_LOOKUP_ASK) {
		finish(lookups, lookup);
		return NULL;
	}
	pump(lookups);
	return lookup;
}

void
lookups_forget(struct lookups *lookups, struct lookup **lookup)
{
	if (*lookup != NULL)
		free_lookup(lookups, *lookup);
	*lookup = NULL;
}

static struct lookup *
find(struct lookups *lookups, uint64_t id)
{
	struct lookup *lookup;

	TAILQ_FOREACH(lookup, &lookups->list, entries)
		if (lookup->id == id && lookup->asked)
			return lookup;
	return NULL;
}

static void
take_entry(void *context, struct channel *channel, const struct directory_entry *message)
{
	struct lookup *lookup = find(context, message->id);

	(void)channel;
	if (lookup == NULL)
		return;
	lookup->found++;
	if (message->kind == DIRECTORY_GROUP)
		lookup->found_group = true;
}

static void
take_answer(void *context, struct channel *channel, const struct directory_answer *message)
{
	struct lookups *lookups = context;
	struct lookup *lookup = find(lookups, message->id);
	enum directory_outcome outcome = message->outcome <= DIRECTORY_UNAVAILABLE ?
	    (enum directory_outcome)message->outcome : DIRECTORY_UNAVAILABLE;

	(void)channel;
	if (lookup != NULL) {
		lookup->asked = false;
		recipient_lookup_answer(&lookup->question, outcome, lookup->found);
		if (lookup->question.state != RECIPIENT_LOOKUP_ASK)
			finish(lookups, lookup);
	}
	pump(lookups);
}

static void
take_greylist(void *context, struct channel *channel, const struct greylist_answer *message)
{
	struct lookups *lookups = context;

	(void)channel;
	directory_memory_take_greylist(lookups->memory, message);
}

static void
take_call_out(void *context, struct channel *channel, const struct call_out_memory *message)
{
	struct lookups *lookups = context;

	(void)channel;
	directory_memory_take_call_out(lookups->memory, message);
}

static const struct directory_handlers handlers = {
	.directory_entry = take_entry,
	.directory_answer = take_answer,
	.greylist_answer = take_greylist,
	.call_out_memory = take_call_out,
};

static void
drop_channel(struct lookups *lookups)
{
	struct lookup *lookup;

	channel_free(&lookups->channel);
	directory_memory_use(lookups->memory, NULL);
	TAILQ_FOREACH(lookup, &lookups->list, entries)
		lookup->asked = false;
}

static void
on_closed(void *context, struct channel *channel, const char *reason)
{
	(void)channel;
	log_peer_lost("directory", reason);
	drop_channel(context);
}

static void
on_ready(void *context, struct channel *channel)
{
	struct lookups *lookups = context;

	(void)channel;
	pump(lookups);
	directory_memory_pump(lookups->memory);
}

void
lookups_connect(struct lookups *lookups, struct event_base *base, int socket)
{
	static const struct channel_events events = { .closed = on_closed, .ready = on_ready };

	drop_channel(lookups);
	lookups->channel = channel_open(base, socket, &directory_protocol, IPC_ASKS, &handlers, &events, lookups);
	directory_memory_use(lookups->memory, lookups->channel);
	pump(lookups);
}
