/* route_question - see route_question.h */
#include "master/matador/route_question.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/wire.h"
#include "common/ipc/channel.h"

/* Longer than router waits for the Directory and the DNS together. */
#define PATIENCE_SECONDS 1200
#define STEPS_MAX 10000
#define HOSTS_MAX 1000

struct asking {
	const struct route_question *question;
	struct event_base *base;
	struct event *timer;
	struct channel *channel;	/* NULL once closed */
	char closed_reason[200];
	TAILQ_HEAD(, route_told) all;	/* each behind the one that it comes from */
	size_t asked;
	struct route_told *current;	/* whose answer is awaited */
	bool answered;
};

/* ---- the tree ---- */

static struct route_told *
told_new(struct route_told *from, const char *address)
{
	struct route_told *told = memory_new(1, sizeof(*told));

	told->from = from;
	told->forwards = from == NULL ? 0 : from->forwards + 1;
	told->address = memory_copy_string(address);
	return told;
}

static void
told_free(struct route_told *told)
{
	for (size_t i = 0; i < told->step_count; i++) {
		free(told->steps[i].file);
		free(told->steps[i].text);
	}
	for (size_t i = 0; i < told->host_count; i++) {
		free(told->hosts[i].name);
		free(told->hosts[i].addresses);
		free(told->hosts[i].text);
	}
	for (size_t i = 0; i < told->member_count; i++)
		free(told->members[i]);
	free(told->steps);
	free(told->hosts);
	free(told->members);
	free(told->address);
	free(told->next_hop);
	free(told->delivery_address);
	free(told->status);
	free(told->text);
	free(told->rule);
	free(told->hosts_text);
	free(told);
}

/* As qmgr compares recipients: the case of the domain does not matter, nor that of a Notes name. */
static bool
same_address(const char *a, const char *b)
{
	const char *at = strrchr(a, '@');
	size_t exact = at == NULL ? 0 : (size_t)(at - a);

	return strlen(a) == strlen(b) && (strrchr(b, '@') == NULL) == (at == NULL) && strncmp(a, b, exact) == 0 &&
	    strcasecmp(a + exact, b + exact) == 0;
}

static bool
is_ancestor(const struct route_told *told, const char *address)
{
	for (; told != NULL; told = told->from)
		if (same_address(told->address, address))
			return true;
	return false;
}

static bool
was_met(const struct asking *asking, const char *address)
{
	const struct route_told *told;

	TAILQ_FOREACH(told, &asking->all, entries)
		if (told->fate != ROUTE_LOOP && same_address(told->address, address))
			return true;
	return false;
}

/* Whether an expanded recipient ends where another one does: it gets one copy. */
static bool
is_place_taken(const struct asking *asking, const struct route_told *told)
{
	const struct route_told *other;

	if (told->outcome != ROUTE_DELIVER || told->from == NULL)
		return false;
	TAILQ_FOREACH(other, &asking->all, entries)
		if (other != told && other->fate == ROUTE_ASKED && other->rule != NULL &&
		    other->outcome == ROUTE_DELIVER && other->transport == told->transport && strcmp(other->next_hop, told->next_hop) == 0 &&
		    same_address(other->delivery_address, told->delivery_address))
			return true;
	return false;
}

/* What qmgr makes of an expansion that leads nowhere but back. */
static void
end_loop(struct route_told *told)
{
	told->outcome = ROUTE_FAIL;
	told->failure = FAILURE_TRANSFER;
	free(told->status);
	told->status = memory_copy_string("5.4.6");
	free(told->text);
	told->text = memory_copy_string("The address leads back to itself. Message probably in a routing loop.");
}

/* The members are next, in their order. */
static void
add_members(struct asking *asking, struct route_told *told)
{
	struct route_told *last = told;
	size_t circular = 0;

	for (size_t i = 0; i < told->member_count; i++) {
		const char *address = told->members[i];
		struct route_told *member = told_new(told, address);

		if (is_ancestor(told, address)) {
			member->fate = ROUTE_LOOP;
			circular++;
		} else if (was_met(asking, address)) {
			member->fate = ROUTE_DUPLICATE;
		} else if (++asking->asked > ROUTE_ANSWERS_MAX) {
			member->fate = ROUTE_NOT_ASKED;
		}
		TAILQ_INSERT_AFTER(&asking->all, last, member, entries);
		last = member;
	}
	if (circular > 0 && circular == told->member_count)
		end_loop(told);
}

/* ---- what router tells ---- */

static void
take_step(void *context, struct channel *channel UNUSED, const struct route_step *message)
{
	struct route_told *told = ((struct asking *)context)->current;

	if (told->step_count == STEPS_MAX)
		return;
	told->steps = memory_resize(told->steps, told->step_count + 1, sizeof(*told->steps));
	told->steps[told->step_count++] = (struct told_step){ memory_copy_string(message->file), message->line,
		memory_copy_string(message->text) };
}

static void
take_member(void *context, struct channel *channel UNUSED, const struct route_member *message)
{
	struct route_told *told = ((struct asking *)context)->current;

	/* more are never asked about, but told of */
	if (told->member_count == ENVELOPE_RECIPIENTS_MAX)
		return;
	told->members = memory_resize(told->members, told->member_count + 1, sizeof(*told->members));
	told->members[told->member_count++] = memory_copy_string(message->recipient);
}

static char *
addresses_text(struct bytes addresses)
{
	struct buffer text = BUFFER_INITIALIZER(0);
	struct wire_reader reader;
	char *result;

	wire_reader_init(&reader, addresses.data, addresses.length);
	while (reader.next != reader.end) {
		struct bytes address = wire_get_bytes(&reader, sizeof(struct in6_addr));
		char one[INET6_ADDRSTRLEN];

		if (reader.failed || inet_ntop(address.length == sizeof(struct in_addr) ? AF_INET : AF_INET6,
		    address.data, one, sizeof(one)) == NULL || (address.length != sizeof(struct in_addr) &&
		    address.length != sizeof(struct in6_addr)))
			break;
		buffer_printf(&text, "%s%s", text.length == 0 ? "" : ", ", one);
	}
	result = memory_copy_string(buffer_text(&text));
	buffer_free(&text);
	return result;
}

static enum dns_security
security_of(uint8_t number)
{
	return number <= DNS_BOGUS ? (enum dns_security)number : DNS_BOGUS;
}

static void
take_host(void *context, struct channel *channel UNUSED, const struct route_host *message)
{
	struct route_told *told = ((struct asking *)context)->current;

	if (told->host_count == HOSTS_MAX || message->state >= MAIL_HOST_STATE_COUNT)
		return;
	told->hosts = memory_resize(told->hosts, told->host_count + 1, sizeof(*told->hosts));
	told->hosts[told->host_count++] = (struct told_host){ .preference = message->preference,
		.state = (enum mail_host_state)message->state, .security = security_of(message->security),
		.failed_seconds = message->failed_seconds, .name = memory_copy_string(message->name),
		.addresses = addresses_text(message->addresses), .text = memory_copy_string(message->text) };
}

static void
take_hosts(void *context, struct channel *channel UNUSED, const struct route_hosts *message)
{
	struct route_told *told = ((struct asking *)context)->current;

	told->hosts_told = true;
	told->hosts_outcome = message->outcome < MAIL_HOSTS_OUTCOME_COUNT ? (enum mail_hosts_outcome)message->outcome :
	    MAIL_HOSTS_NO_ANSWER;
	told->hosts_security = security_of(message->security);
	told->own_domain = message->own_domain != 0;
	told->by_mx = message->by_mx != 0;
	told->implicit = message->implicit != 0;
	told->port = message->port;
	told->retry_seconds = message->retry_seconds;
	free(told->hosts_text);
	told->hosts_text = memory_copy_string(message->text);
}

static void
take_answer(void *context, struct channel *channel UNUSED, const struct route_answer *message)
{
	struct asking *asking = context;
	struct route_told *told = asking->current;

	if (asking->answered)
		return;
	told->outcome = message->outcome <= ROUTE_DEFER ? (enum route_outcome)message->outcome : ROUTE_DEFER;
	told->is_forward = told->outcome == ROUTE_FORWARD;
	told->transport = message->transport <= TRANSPORT_LMTP ? (enum transport)message->transport : TRANSPORT_NONE;
	told->failure = message->failure < FAILURE_CLASS_COUNT ? (enum failure_class)message->failure : FAILURE_NONE;
	told->next_hop = memory_copy_string(message->next_hop);
	told->delivery_address = memory_copy_string(message->address);
	told->status = memory_copy_string(message->status);
	told->text = memory_copy_string(message->text);
	told->rule = memory_copy_string(message->rule);
	asking->answered = true;
	event_base_loopbreak(asking->base);
}

static void
closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct asking *asking = context;

	snprintf(asking->closed_reason, sizeof(asking->closed_reason), "%s", reason);
	channel_free(&asking->channel);
	event_base_loopbreak(asking->base);
}

/* ---- asking ---- */

static void
time_out(evutil_socket_t file UNUSED, short what UNUSED, void *context)
{
	event_base_loopbreak(((struct asking *)context)->base);
}

static int
ask_one(struct asking *asking, struct route_told *told, struct error *error)
{
	static const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	const struct route_request request = { .job = 1, .flags = ROUTE_DRY_RUN,
		.format = (uint8_t)asking->question->format,
		.forwards = (uint16_t)(told->forwards < UINT16_MAX ? told->forwards : UINT16_MAX),
		.sender = asking->question->sender, .recipient = told->address };

	asking->current = told;
	asking->answered = false;
	event_add(asking->timer, &patience);
	if (asking->channel != NULL && send_route_request(asking->channel, &request))
		event_base_dispatch(asking->base);
	event_del(asking->timer);
	if (asking->answered)
		return 0;
	return error_set(error, ERROR_UNAVAILABLE, "router %s%s", asking->channel == NULL ?
	    "ended the conversation: " : "does not answer", asking->closed_reason);
}

static int
ask_all(struct asking *asking, struct error *error)
{
	struct route_told *told;

	TAILQ_FOREACH(told, &asking->all, entries) {
		if (told->fate == ROUTE_ASKED) {
			if (ask_one(asking, told, error) == -1)
				return -1;
			if (is_place_taken(asking, told))
				told->fate = ROUTE_DUPLICATE;
			else
				add_members(asking, told);
		}
		if (!asking->question->told(asking->question->context, told))
			break;
	}
	return 0;
}

int
route_question_ask(const struct route_question *question, int socket, const char *address, struct error *error)
{
	static const struct route_handlers handlers = { .route_step = take_step, .route_member = take_member,
		.route_host = take_host, .route_hosts = take_hosts, .route_answer = take_answer };
	static const struct channel_events events = { .closed = closed };
	struct asking asking = { .question = question, .base = event_base_new(), .asked = 1 };
	struct route_told *told;
	int result;

	TAILQ_INIT(&asking.all);
	asking.timer = event_new(asking.base, -1, 0, time_out, &asking);
	told = told_new(NULL, address);
	TAILQ_INSERT_TAIL(&asking.all, told, entries);
	asking.channel = channel_open(asking.base, socket, &route_protocol, IPC_ASKS, &handlers, &events, &asking);
	result = ask_all(&asking, error);
	channel_free(&asking.channel);
	while ((told = TAILQ_FIRST(&asking.all)) != NULL) {
		TAILQ_REMOVE(&asking.all, told, entries);
		told_free(told);
	}
	event_free(asking.timer);
	event_base_free(asking.base);
	return result;
}
