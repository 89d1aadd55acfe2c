/* routing - see routing.h */
#include "router/routing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/mail/recipient_lookup.h"
#include "common/net/own_address.h"
#include "router/decide.h"

#define QUEUED_MAX 262144		/* octets waiting in the channel while members leave */
#define MEMBERS_OCTETS_MAX 134217728	/* of one group */
#define LOOKUPS_IN_A_ROW 2	/* of resolver: MX records, then addresses, each with dns_timeout */
#define RESOLVER_GRACE_MS 5000	/* beyond that, by which it answers */

/* What the open question of a routing is about. */
enum asked { ASKED_NOTHING, ASKED_NAME, ASKED_RECIPIENT, ASKED_MEMBERS, ASKED_HOSTS };

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
	struct next_hop hop;		/* ASKED_HOSTS: whose hosts */
	bool decided;			/* only members and the answer are still to leave */
};
TAILQ_HEAD(routing_list, routing);

struct routings {
	struct directory_client *directory;
	struct hosts_client *hosts;
	struct routing_list list;
	size_t count;
};

struct routings *
routings_new(struct directory_client *directory, struct hosts_client *hosts)
{
	struct routings *routings = memory_new(1, sizeof(*routings));

	routings->directory = directory;
	routings->hosts = hosts;
	TAILQ_INIT(&routings->list);
	return routings;
}

static void
routing_free(struct routing *routing)
{
	if (routing->asked == ASKED_HOSTS)
		hosts_client_forget(routing->routings->hosts, routing->question_number);
	else if (routing->asked != ASKED_NOTHING)
		directory_client_forget(routing->routings->directory, routing->question_number);
	TAILQ_REMOVE(&routing->routings->list, routing, entries);
	routing->routings->count--;
	rules_release(&routing->rules);
	buffer_free(&routing->members);
	free(routing->recipient);
	free(routing);
}

void
routings_forget(struct routings *routings, const struct channel *channel)
{
	struct routing *routing, *next;

	for (routing = TAILQ_FIRST(&routings->list); routing != NULL; routing = next) {
		next = TAILQ_NEXT(routing, entries);
		if (routing->channel == channel)
			routing_free(routing);
	}
}

void
routings_free(struct routings **routings)
{
	struct routing *routing;

	if (*routings == NULL)
		return;
	while ((routing = TAILQ_FIRST(&(*routings)->list)) != NULL)
		routing_free(routing);
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
leave(struct routing *routing)
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

/* ---- the hosts of the next hop, for a dry run ---- */

/* As smtp finds it out. */
static bool
is_own_domain(const struct routing *routing)
{
	const struct next_hop *hop = &routing->hop;
	const char *text = routing->decision.next_hop;
	char local_part[ADDRESS_TEXT_MAX], domain[ADDRESS_DOMAIN_MAX + 1];
	struct next_hop own;

	if (routing->decision.transport != TRANSPORT_SMTP ||
	    strchr(text[0] == '[' ? strchr(text, ']') : text, ':') != NULL)
		return false;
	if (!address_split(routing->decision.address, local_part, domain) ||
	    next_hop_parse(domain, hop->port, &own, NULL) == -1 || own.is_literal != hop->is_literal ||
	    own.by_mx != hop->by_mx)
		return false;
	return own.is_literal ? memcmp(&own.address, &hop->address, sizeof(own.address)) == 0 :
	    strcmp(own.host, hop->host) == 0;
}

static void
send_hosts(struct routing *routing, const struct next_hosts *hosts)
{
	const struct route_hosts message = { .job = routing->job, .outcome = (uint8_t)hosts->outcome,
		.own_domain = is_own_domain(routing), .by_mx = routing->hop.by_mx, .implicit = hosts->implicit,
		.security = (uint8_t)hosts->security, .port = routing->hop.port, .retry_seconds = hosts->retry_seconds,
		.text = hosts->text };

	for (size_t i = 0; i < hosts->count; i++) {
		const struct next_host *host = &hosts->list[i];
		const struct route_host part = { .job = routing->job, .preference = host->preference,
			.state = (uint8_t)host->state, .security = (uint8_t)host->security,
			.failed_seconds = host->failed_seconds, .name = host->name,
			.addresses = { host->addresses, host->addresses_length }, .text = host->text };

		send_route_host(routing->channel, &part);
	}
	send_route_hosts(routing->channel, &message);
}

static void
hosts_answered(void *context, const struct next_hosts *hosts)
{
	struct routing *routing = context;

	routing->asked = ASKED_NOTHING;
	send_hosts(routing, hosts);
	leave(routing);
}

/* An address is its only host, and nobody is asked. */
static void
tell_literal(struct routing *routing)
{
	const union socket_address *address = &routing->hop.address;
	bool is_ipv4 = address->any.sa_family == AF_INET;
	struct buffer octets = BUFFER_INITIALIZER(0);
	bool is_ours = own_address_is_ours(routing->rules->settings, address);
	struct next_host host = { .state = is_ours ? MAIL_HOST_OURS : MAIL_HOST_USABLE, .name = routing->hop.host,
		.text = (char[]){ "" } };
	const struct next_hosts hosts = { .outcome = is_ours ? MAIL_HOSTS_LOOP : MAIL_HOSTS_FOUND, .text = "",
		.list = &host, .count = 1 };

	wire_put_bytes(&octets, is_ipv4 ? (const void *)&address->ipv4.sin_addr : &address->ipv6.sin6_addr,
	    is_ipv4 ? sizeof(address->ipv4.sin_addr) : sizeof(address->ipv6.sin6_addr));
	host.addresses = (uint8_t *)octets.data;
	host.addresses_length = octets.length;
	send_hosts(routing, &hosts);
	buffer_free(&octets);
	leave(routing);
}

/* The questions are smtp's, so the answers are: the same names, ports and flags. */
static void
ask_hosts(struct routing *routing)
{
	const struct settings *settings = routing->rules->settings;
	bool lmtp = routing->decision.transport == TRANSPORT_LMTP;
	uint16_t default_port = lmtp ? LMTP_PORT : (uint16_t)settings->server.smtp_outbound_tcp_port.number;
	struct error error = ERROR_INITIALIZER;

	if (next_hop_parse(routing->decision.next_hop, default_port, &routing->hop, &error) == -1) {
		trace_step(&routing->trace, NULL, "%s", error.text);
		leave(routing);
		return;
	}
	if (routing->hop.is_literal) {
		tell_literal(routing);
		return;
	}
	if (lmtp)
		routing->hop.by_mx = false;
	routing->asked = ASKED_HOSTS;
	trace_step(&routing->trace, NULL, "asking resolver for the %s of %s, port %u",
	    routing->hop.by_mx ? "mail hosts" : "addresses", routing->hop.host, (unsigned)routing->hop.port);
	routing->question_number = hosts_client_ask(routing->routings->hosts, routing->hop.host, routing->hop.port,
	    routing->hop.by_mx ? 0 : MAIL_HOSTS_NO_MX,
	    1000 * settings->matador.dns_timeout.number * LOOKUPS_IN_A_ROW + RESOLVER_GRACE_MS,
	    hosts_answered, routing);
}

static void
finish(struct routing *routing)
{
	if (routing->trace.step != NULL && routing->decision.outcome == ROUTE_DELIVER &&
	    routing->decision.transport != TRANSPORT_LOCAL)
		ask_hosts(routing);
	else
		leave(routing);
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
		decide_unknown(&routing->question, &routing->class, &routing->decision);
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
		decide_unknown(&routing->question, &routing->class, &routing->decision);
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
	if (outcome == DIRECTORY_NONE)
		trace_step(&routing->trace, NULL, "it knows none");
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
	if (routing->class.class == CLASS_LOCAL_INTERNET && !decide_smart_host_for_all(question,
	    &routing->class, decision)) {
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
