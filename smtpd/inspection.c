/* inspection - see inspection.h */
#include "smtpd/inspection.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/ipc/channel.h"
#include "common/ipc/inspection.h"
#include "smtpd/client_dns.h"
#include "smtpd/controls/walk.h"
#include "smtpd/found.h"
#include "smtpd/helo.h"
#include "smtpd/inquiry.h"
#include "smtpd/limits.h"
#include "smtpd/rules.h"

#define CALLERS_MAX 16
#define TEXT_MAX 1000		/* octets told of a text that is not ours: an entry, a file, what was found */

struct caller {
	TAILQ_ENTRY(caller) entries;
	struct inspector *inspector;
	struct channel *channel;
	TAILQ_HEAD(, inspection) inspections;
};

struct inspector {
	struct event_base *base;
	struct inquirer *inquirer;
	const struct limits *limits;
	size_t processes;
	struct rules *rules;		/* held; NULL before the first */
	TAILQ_HEAD(, caller) callers;
	size_t caller_count;
};

/* One question on its way. */
struct inspection {
	TAILQ_ENTRY(inspection) entries;
	struct caller *caller;
	struct rules *rules;		/* held */
	uint64_t id;
	struct sockaddr_in6 socket_address;	/* IPv4 is mapped */
	char client_address[INET6_ADDRSTRLEN];
	char *helo, *user;		/* owned; user may be NULL */
	struct known_client client;
	struct known_sender sender;
	struct known_recipient recipient;
	struct control_walk walk;
	enum control_number told;	/* the controls before it were told of */
	struct inquiry *inquiry;
	enum fact wanted;
	struct event *patience;
	struct buffer found;		/* what was learned for the control that is asked now; of bounded facts */
};

static void continue_inspection(struct inspection *inspection);

/* ---- what there is, and its end ---- */

struct inspector *
inspector_new(struct event_base *base, struct inquirer *inquirer, const struct limits *limits, size_t processes)
{
	struct inspector *inspector = memory_new(1, sizeof(*inspector));

	inspector->base = base;
	inspector->inquirer = inquirer;
	inspector->limits = limits;
	inspector->processes = processes;
	TAILQ_INIT(&inspector->callers);
	return inspector;
}

static void
free_inspection(struct inspection *inspection)
{
	TAILQ_REMOVE(&inspection->caller->inspections, inspection, entries);
	inquiry_forget(&inspection->inquiry);
	if (inspection->patience != NULL)
		event_free(inspection->patience);
	known_client_free(&inspection->client);
	known_sender_free(&inspection->sender);
	known_recipient_free(&inspection->recipient);
	rules_release(&inspection->rules);
	buffer_free(&inspection->found);
	free(inspection->helo);
	free(inspection->user);
	free(inspection);
}

static void
free_caller(struct caller *caller)
{
	struct inspection *inspection;

	while ((inspection = TAILQ_FIRST(&caller->inspections)) != NULL)
		free_inspection(inspection);
	TAILQ_REMOVE(&caller->inspector->callers, caller, entries);
	caller->inspector->caller_count--;
	channel_free(&caller->channel);
	free(caller);
}

void
inspector_free(struct inspector **inspector)
{
	struct inspector *going = *inspector;
	struct caller *caller;

	if (going == NULL)
		return;
	while ((caller = TAILQ_FIRST(&going->callers)) != NULL)
		free_caller(caller);
	rules_release(&going->rules);
	free(going);
	*inspector = NULL;
}

void
inspector_set_rules(struct inspector *inspector, struct rules *rules)
{
	rules_release(&inspector->rules);
	inspector->rules = rules_hold(rules);
}

/* ---- telling ---- */

/* The line that a client would read, without its end. */
static const char *
reply_line(struct buffer *line, enum reply reply, const char *argument)
{
	reply_append(line, reply, argument, true, false);
	line->length -= strlen("\r\n");
	line->data[line->length] = '\0';
	return buffer_text(line);
}

static enum inspection_verdict
verdict_of(enum control_verdict verdict)
{
	switch (verdict) {
	case CONTROL_PASSES: return INSPECTION_PASSES;
	case CONTROL_SKIPPED: return INSPECTION_SKIPPED;
	case CONTROL_EXEMPTS: return INSPECTION_EXEMPTS;
	case CONTROL_HITS: return INSPECTION_HITS;
	case CONTROL_REFUSES: return INSPECTION_REFUSES;
	case CONTROL_NEEDS: break;
	}
	return INSPECTION_NOT_REACHED;
}

/* The text as it may be told; a long one is cut, in room. */
static const char *
told_text(const char *text, char room[static TEXT_MAX + 1])
{
	if (text == NULL)
		return "";
	if (strlen(text) <= TEXT_MAX)
		return text;
	snprintf(room, TEXT_MAX + 1, "%.*s...", (int)(TEXT_MAX - strlen("...")), text);
	return room;
}

/* judgement is NULL where the session would have ended before. */
static void
tell(struct inspection *inspection, enum control_number number, const struct control_judgement *judgement)
{
	char entry[TEXT_MAX + 1], file[TEXT_MAX + 1], found[TEXT_MAX + 1];
	static const struct control_judgement not_reached = { .verdict = CONTROL_NEEDS, .rule = "" };
	const struct control_judgement *told = judgement != NULL ? judgement : &not_reached;
	struct buffer line = BUFFER_INITIALIZER(REPLY_LINE_MAX);
	struct inspection_step step = { .id = inspection->id, .stage = (uint8_t)controls[number].stage,
		.verdict = (uint8_t)verdict_of(told->verdict), .control = controls[number].word, .rule = told->rule,
		.entry = told_text(told->entry, entry), .file = told_text(told->at.file, file), .line = told->at.line,
		.found = judgement != NULL ? told_text(buffer_text(&inspection->found), found) : "",
		.reply = told->verdict == CONTROL_REFUSES ? reply_line(&line, told->reply, told->text) : "" };

	send_inspection_step(inspection->caller->channel, &step);
	buffer_free(&line);
}

static void
on_judged(void *context, enum control_number number, const struct control_judgement *judgement)
{
	struct inspection *inspection = context;

	tell(inspection, number, judgement);
	inspection->told = number + 1;
	buffer_clear(&inspection->found);
}

/* The answer; the inspection is gone. */
static void
finish(struct inspection *inspection, const struct control_judgement *refusal)
{
	struct buffer line = BUFFER_INITIALIZER(REPLY_LINE_MAX);
	struct inspection_answer answer = { .id = inspection->id,
		.outcome = refusal != NULL ? INSPECTION_REFUSED : INSPECTION_ACCEPTED,
		.stage = (uint8_t)inspection->walk.stage, .text = "" };

	for (; inspection->told < CONTROL_COUNT; inspection->told++)
		tell(inspection, inspection->told, NULL);
	answer.reply = refusal != NULL ? reply_line(&line, refusal->reply, refusal->text) :
	    reply_line(&line, REPLY_RECIPIENT_OK, inspection->recipient.address.text);
	send_inspection_answer(inspection->caller->channel, &answer);
	buffer_free(&line);
	free_inspection(inspection);
}

/* ---- asking ---- */

static void
learn(struct inspection *inspection, const struct fact_answer *answer)
{
	evtimer_del(inspection->patience);
	if (inspection->found.length > 0)
		buffer_append_string(&inspection->found, "; ");
	found_append(&inspection->found, inspection->rules, answer);
	facts_learn(answer, &inspection->client, &inspection->sender, &inspection->recipient);
	continue_inspection(inspection);
}

static void
on_fact(void *owner, const struct fact_answer *answer)
{
	struct inspection *inspection = owner;

	inspection->inquiry = NULL;
	learn(inspection, answer);
}

static void
on_impatience(evutil_socket_t unused, short what, void *context)
{
	struct inspection *inspection = context;
	struct fact_answer nothing = fact_unanswered(inspection->wanted);

	(void)unused;
	(void)what;
	inquiry_forget(&inspection->inquiry);
	learn(inspection, &nothing);
}

/* May end with the inspection gone: an answer that is there at once goes on with it. */
static void
want(struct inspection *inspection, enum fact fact)
{
	struct inquiry_subject subject = { .rules = inspection->rules, .client = &inspection->client.facts,
		.sender = &inspection->sender.facts, .recipient = &inspection->recipient.facts, .is_rehearsal = true };
	struct timeval wait = deadline_timeval(deadline_after_ms(fact_time_ms(fact, inspection->rules)));
	struct inquirer *inquirer = inspection->caller->inspector->inquirer;
	struct inquiry *inquiry;

	inspection->wanted = fact;
	evtimer_add(inspection->patience, &wait);
	inquiry = inquiry_ask(inquirer, fact, &subject, on_fact, inspection);
	if (inquiry != NULL)
		inspection->inquiry = inquiry;
}

static void
begin_stage(struct inspection *inspection, enum control_stage stage)
{
	control_walk_start(&inspection->walk, stage, inspection->walk.standing);
	inspection->walk.judged = on_judged;
	inspection->walk.context = inspection;
}

static void
continue_inspection(struct inspection *inspection)
{
	for (;;) {
		struct control_question question = { .rules = inspection->rules, .client = &inspection->client.facts,
			.sender = inspection->walk.stage >= CONTROL_AT_MAIL ? &inspection->sender.facts : NULL,
			.recipient = inspection->walk.stage >= CONTROL_AT_RCPT ? &inspection->recipient.facts : NULL };
		struct control_judgement judgement;

		switch (control_walk_on(&inspection->walk, &question, &judgement)) {
		case CONTROL_NEEDS:
			want(inspection, judgement.fact);
			return;
		case CONTROL_REFUSES:
			finish(inspection, &judgement);
			return;
		default:
			break;
		}
		if (inspection->walk.stage == CONTROL_AT_RCPT) {
			finish(inspection, NULL);
			return;
		}
		begin_stage(inspection, inspection->walk.stage + 1);
	}
}

/* ---- the question ---- */

static bool
take_client(struct inspection *inspection, const char *text)
{
	const struct inspector *inspector = inspection->caller->inspector;
	struct in6_addr *address = &inspection->socket_address.sin6_addr;

	*address = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	if (inet_pton(AF_INET, text, &address->s6_addr[12]) != 1 && inet_pton(AF_INET6, text, address) != 1)
		return false;
	inspection->socket_address.sin6_family = AF_INET6;
	client_key_text(address, inspection->client_address);
	inspection->client.facts.address = (const struct sockaddr *)&inspection->socket_address;
	inspection->client.facts.address_text = inspection->client_address;
	inspection->client.facts.is_crowded = limits_is_crowded(inspector->limits, address,
	    (size_t)rules_configuration(inspection->rules)->maximum_sessions_per_client.number / inspector->processes);
	return true;
}

/* Without a name the client calls itself by its address. */
static bool
take_names(struct inspection *inspection, const struct inspection_question *question)
{
	bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(&inspection->socket_address.sin6_addr);
	char literal[INET6_ADDRSTRLEN + 8];

	snprintf(literal, sizeof(literal), "[%s%s]", is_ipv4 ? "" : "IPv6:", inspection->client_address);
	inspection->helo = memory_copy_string(question->helo[0] != '\0' ? question->helo : literal);
	inspection->user = question->user[0] != '\0' ? memory_copy_string(question->user) : NULL;
	inspection->client.facts.helo = inspection->helo;
	inspection->client.facts.user = inspection->user;
	return helo_is_acceptable(inspection->helo, strlen(inspection->helo));
}

/* The address between the angle brackets of MAIL or RCPT, as these read it. */
static int
take_path(const char *text, unsigned flags, const struct rules *rules, struct address *address_out,
    struct error *error)
{
	char path[ADDRESS_PATH_MAX + 3];
	size_t length = (size_t)snprintf(path, sizeof(path), "<%s>", text), consumed;

	if (length >= sizeof(path))
		return error_set(error, ERROR_INVALID, "%.40s...: too long for an address", text);
	if (address_parse_path(path, length, flags | ADDRESS_ALLOW_UTF8, address_out, &consumed, error) == -1)
		return -1;
	if (consumed != length)
		return error_set(error, ERROR_INVALID, "there is more than an address: %.80s", path + consumed);
	if (address_out->has_utf8 && !rules->parameters.smtputf8)
		return error_set(error, ERROR_INVALID, "the address needs SMTPUTF8, which is not offered (smtp_in_smtputf8)");
	return 0;
}

static int
take_addresses(struct inspection *inspection, const struct inspection_question *question, struct error *error)
{
	struct known_sender *sender = &inspection->sender;
	struct known_recipient *recipient = &inspection->recipient;

	sender->facts.address = &sender->address;
	recipient->facts.address = &recipient->address;
	if (take_path(question->sender, ADDRESS_ALLOW_NULL, inspection->rules, &sender->address, error) == -1)
		return error_prefix(error, "sender");
	if (take_path(question->recipient, ADDRESS_ALLOW_BARE_POSTMASTER, inspection->rules, &recipient->address,
	    error) == -1)
		return error_prefix(error, "recipient");
	known_recipient_locate(recipient, inspection->rules);
	return 0;
}

static void
refuse_question(struct inspection *inspection, const char *why)
{
	send_inspection_answer(inspection->caller->channel, &(struct inspection_answer){ .id = inspection->id,
	    .outcome = INSPECTION_MALFORMED, .reply = "", .text = why });
	free_inspection(inspection);
}

static void
handle_question(void *context, struct channel *channel, const struct inspection_question *question)
{
	struct caller *caller = context;
	struct inspection *inspection = memory_new(1, sizeof(*inspection));
	struct error error = ERROR_INITIALIZER;

	(void)channel;
	inspection->caller = caller;
	inspection->id = question->id;
	inspection->rules = rules_hold(caller->inspector->rules);
	inspection->patience = evtimer_new(caller->inspector->base, on_impatience, inspection);
	buffer_init(&inspection->found, 0);
	TAILQ_INSERT_TAIL(&caller->inspections, inspection, entries);
	if (!take_client(inspection, question->client_address)) {
		refuse_question(inspection, "the client is no IPv4 or IPv6 address");
		return;
	}
	if (!take_names(inspection, question)) {
		refuse_question(inspection, "HELO: a domain or address literal is expected");
		return;
	}
	if (take_addresses(inspection, question, &error) == -1) {
		refuse_question(inspection, error.text);
		return;
	}
	begin_stage(inspection, CONTROL_AT_CONNECT);
	continue_inspection(inspection);
}

static void
on_closed(void *context, struct channel *channel, const char *reason)
{
	(void)channel;
	(void)reason;
	free_caller(context);
}

void
inspector_connect(struct inspector *inspector, int socket)
{
	static const struct inspection_handlers handlers = { .inspection_question = handle_question };
	static const struct channel_events events = { .closed = on_closed };
	struct caller *caller;

	if (inspector->caller_count == CALLERS_MAX) {
		close(socket);
		return;
	}
	caller = memory_new(1, sizeof(*caller));
	caller->inspector = inspector;
	TAILQ_INIT(&caller->inspections);
	TAILQ_INSERT_TAIL(&inspector->callers, caller, entries);
	inspector->caller_count++;
	caller->channel = channel_open(inspector->base, socket, &inspection_protocol, IPC_SERVES, &handlers, &events, caller);
}
