/* routing - see routing.h */
#include "router/routing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/mail/recipient_lookup.h"
#include "router/decide.h"

#define QUEUED_MAX 262144		/* octets waiting in the channel while members leave */
#define MEMBERS_OCTETS_MAX 134217728	/* of one group */

/* What the open question of a routing is about. */
enum asked { ASKED_NOTHING, ASKED_NAME, ASKED_RECIPIENT, ASKED_MEMBERS };

struct routing {
	TAILQ_ENTRY(routing) entries;
	struct routings *routings;
	struct channel *channel;	/* borrowed: routings_forget() comes before its end */
	struct rules *rules;		/* held */
	uint64_t job;
	char *recipient;
	struct trace trace;
	struct question question;
	struct classification class;
	struct decision decision;
	struct recipient_lookup lookup;
	enum asked asked;
	uint64_t question_number;
	struct entry entry;		/* the first one of the open question */
	size_t entry_count;
	struct buffer members;		/* each with its NUL */
	size_t members_sent;		/* octets of them */
	uint32_t member_count;
	bool decided;			/* only members and the answer are still to leave */
};
TAILQ_HEAD(routing_list, routing);

struct routings {
	struct directory_client *directory;
	struct routing_list list;
	size_t count;
};

struct routings *
routings_new(struct directory_client *directory)
{
	struct routings *routings = memory_new(1, sizeof(*routings));

	routings->directory = directory;
	TAILQ_INIT(&routings->list);
	return routings;
}

static void
routing_free(struct routing *routing)
{
	if (routing->asked != ASKED_NOTHING)
		directory_client_forget(routing->routings->directory, routing->question_number);
	TAILQ_REMOVE(&routing->routings->list, routing, entries);
	routing->routings->count--;
	rules_release(&routing->rules);
	buffer_free(&routing->members);
	free(routing->recipient);
	free(routing);
}

void
routings_forget(struct routings *routings)
{
	struct routing *routing;

	while ((routing = TAILQ_FIRST(&routings->list)) != NULL)
		routing_free(routing);
}

void
routings_free(struct routings **routings)
{
	if (*routings == NULL)
		return;
	routings_forget(*routings);
	free(*routings);
	*routings = NULL;
}

size_t
routings_count(const struct routings *routings)
{
	return routings->count;
}

static void
send_step(void *context, const struct position *at, const char *text)
{
	const struct routing *routing = context;
	const struct route_step message = { .job = routing->job, .file = at->file, .line = at->line, .text = text };

	send_route_step(routing->channel, &message);
}

/* Sends what is left of the members while the channel takes it, then the answer, and the routing is done. */
static void
send_decision(struct routing *routing)
{
	const struct decision *decision = &routing->decision;
	struct route_answer answer = { .job = routing->job, .outcome = (uint8_t)decision->outcome,
		.transport = (uint8_t)decision->transport, .next_hop = decision->next_hop,
		    .address = decision->address,
		.failure = (uint8_t)decision->failure, .status = decision->status, .text = decision->text,
		.rule = decision->rule };

	while (routing->members_sent < routing->members.length) {
		const struct route_member member = { routing->job, routing->members.data + routing->members_sent };

		if (channel_queued(routing->channel) > QUEUED_MAX)
			return;
		send_route_member(routing->channel, &member);
		routing->members_sent += strlen(member.recipient) + 1;
	}
	send_route_answer(routing->channel, &answer);
	routing_free(routing);
}

static void
finish(struct routing *routing)
{
	struct decision *decision = &routing->decision;

	routing->decided = true;
	if (decision->outcome != ROUTE_EXPAND)
		buffer_free(&routing->members);
	if (decision->outcome == ROUTE_FORWARD) {
		buffer_append(&routing->members, decision->address, strlen(decision->address) + 1);
		decision->address[0] = '\0';
	}
	send_decision(routing);
}

void
routings_ready(struct routings *routings)
{
	struct routing *routing, *next;

	for (routing = TAILQ_FIRST(&routings->list); routing != NULL; routing = next) {
		next = TAILQ_NEXT(routing, entries);
		if (routing->decided)
			send_decision(routing);
	}
}

static void again(void *context);
static void take_entry(void *context, const struct directory_entry *entry);
static void take_member(void *context, const char *member);
static void answered(void *context, enum directory_outcome outcome);

static void
ask(struct routing *routing, enum asked what, enum directory_lookup_kind kind, const char *text)
{
	static const struct directory_question callbacks = { .entry = take_entry, .member = take_member,
	    .again = again,
		.answered = answered };

	routing->asked = what;
	routing->entry_count = 0;
	trace_step(&routing->trace, NULL, "asking the Directory for %s \"%s\"", kind == DIRECTORY_INTERNET_ADDRESS ?
	    "the address" : kind == DIRECTORY_LOCAL_PART ? "the local part" : kind == DIRECTORY_NAME ? "the name" :
	    "the members of", text);
	routing->question_number = directory_client_ask(routing->routings->directory, kind, text, &callbacks,
	    routing);
}

static void
again(void *context)
{
	struct routing *routing = context;

	routing->entry_count = 0;
	routing->member_count = 0;
	buffer_clear(&routing->members);
}

static void
take_entry(void *context, const struct directory_entry *message)
{
	struct routing *routing = context;
	struct entry *entry = &routing->entry;

	if (routing->entry_count++ > 0 || message->kind > DIRECTORY_GROUP)
		return;
	entry->kind = (enum directory_entry_kind)message->kind;
	entry->line = message->line;
	snprintf(entry->name, sizeof(entry->name), "%s", message->name);
	snprintf(entry->mail_server, sizeof(entry->mail_server), "%s", message->mail_server);
	snprintf(entry->mail_file, sizeof(entry->mail_file), "%s", message->mail_file);
	snprintf(entry->forwarding_address, sizeof(entry->forwarding_address), "%s", message->forwarding_address);
	snprintf(entry->internet_address, sizeof(entry->internet_address), "%s", message->internet_address);
	snprintf(entry->file, sizeof(entry->file), "%s", message->file);
}

/* Members beyond what is allowed are counted and not kept: the group fails. */
static void
take_member(void *context, const char *member)
{
	struct routing *routing = context;

	routing->member_count++;
	if (routing->member_count <= routing->rules->settings->configuration.maximum_group_members.number &&
	    routing->members.length < MEMBERS_OCTETS_MAX)
		buffer_append(&routing->members, member, strlen(member) + 1);
}

/* Exactly one entry: a group's members are the next question, all others are decided. */
static void
use_entry(struct routing *routing)
{
	if (routing->entry.kind == DIRECTORY_GROUP) {
		ask(routing, ASKED_MEMBERS, DIRECTORY_GROUP_MEMBERS, routing->entry.name);
		return;
	}
	decide_entry(&routing->question, &routing->entry, &routing->decision);
	finish(routing);
}

static void
conclude_name(struct routing *routing, enum directory_outcome outcome)
{
	if (outcome == DIRECTORY_FOUND && routing->entry_count == 1) {
		use_entry(routing);
		return;
	}
	if (outcome == DIRECTORY_UNAVAILABLE)
		decide_unavailable(&routing->question, &routing->decision);
	else if (outcome == DIRECTORY_FOUND && routing->entry_count > 1)
		decide_ambiguous(&routing->question, routing->class.name, &routing->decision);
	else
		decide_unknown(&routing->question, routing->class.name, false, &routing->decision);
	finish(routing);
}

static void
conclude_recipient(struct routing *routing)
{
	const char *local_part = routing->class.address.local_part;

	switch (routing->lookup.state) {
	case RECIPIENT_LOOKUP_ASK:
		ask(routing, ASKED_RECIPIENT, routing->lookup.kind, routing->lookup.text);
		return;
	case RECIPIENT_LOOKUP_FOUND:
		use_entry(routing);
		return;
	case RECIPIENT_LOOKUP_MANY:
		decide_ambiguous(&routing->question, local_part, &routing->decision);
		break;
	case RECIPIENT_LOOKUP_NONE:
		decide_unknown(&routing->question, local_part, true, &routing->decision);
		break;
	case RECIPIENT_LOOKUP_UNAVAILABLE:
		decide_unavailable(&routing->question, &routing->decision);
		break;
	}
	finish(routing);
}

static void
conclude_members(struct routing *routing, enum directory_outcome outcome)
{
	if (outcome == DIRECTORY_UNAVAILABLE)
		decide_unavailable(&routing->question, &routing->decision);
	else
		decide_group(&routing->question, &routing->entry, routing->member_count, &routing->decision);
	finish(routing);
}

static void
answered(void *context, enum directory_outcome outcome)
{
	struct routing *routing = context;
	enum asked what = routing->asked;

	routing->asked = ASKED_NOTHING;
	if (what == ASKED_NAME) {
		conclude_name(routing, outcome);
	} else if (what == ASKED_RECIPIENT) {
		recipient_lookup_answer(&routing->lookup, outcome, routing->entry_count);
		conclude_recipient(routing);
	} else {
		conclude_members(routing, outcome);
	}
}

static void
begin(struct routing *routing)
{
	const struct question *question = &routing->question;
	struct decision *decision = &routing->decision;

	if (decide_hops(question, decision)) {
		finish(routing);
		return;
	}
	classify(routing->rules, routing->recipient, &routing->trace, &routing->class);
	if (routing->class.class == CLASS_NAME) {
		ask(routing, ASKED_NAME, DIRECTORY_NAME, routing->class.name);
		return;
	}
	if (routing->class.class == CLASS_LOCAL_INTERNET && !decide_smart_host_for_all(question, decision)) {
		recipient_lookup_start(&routing->lookup, routing->rules->settings, &routing->class.address,
		    routing->class.primary);
		conclude_recipient(routing);
		return;
	}
	if (routing->class.class == CLASS_EXTERNAL)
		decide_external(question, &routing->class, decision);
	else if (routing->class.class == CLASS_MALFORMED)
		decide_malformed(question, decision);
	else if (routing->class.class != CLASS_LOCAL_INTERNET)
		decide_domino_domain(question, &routing->class, decision);
	finish(routing);
}

void
routings_start(struct routings *routings, struct channel *channel, struct rules *rules,
    const struct route_request *request)
{
	struct routing *routing = memory_new(1, sizeof(*routing));

	routing->routings = routings;
	routing->channel = channel;
	routing->rules = rules_hold(rules);
	routing->job = request->job;
	routing->recipient = memory_copy_string(request->recipient);
	if (request->flags & ROUTE_DRY_RUN)
		routing->trace = (struct trace){ send_step, routing };
	routing->question = (struct question){ .rules = rules, .trace = &routing->trace,
	    .recipient = routing->recipient,
		.format = request->format == FORMAT_NOTES ? FORMAT_NOTES : FORMAT_MIME,
		    .forwards = request->forwards };
	TAILQ_INSERT_TAIL(&routings->list, routing, entries);
	routings->count++;
	begin(routing);
}
