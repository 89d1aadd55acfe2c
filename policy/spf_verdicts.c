/* spf_verdicts - see spf_verdicts.h */
#include "policy/spf_verdicts.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/ipc/dns.h"
#include "common/log/log.h"
#include "policy/spf_exchange.h"

#define IDENTITIES 2		/* HELO, MAIL FROM */
#define OUT_OF_TIME "the DNS did not answer in time"

_Static_assert(sizeof(struct spf_request) + SPF_ANSWERS_OCTETS_MAX + SPF_ANSWERS_MAX * (size_t)SPF_NAME_SIZE < EVALUATOR_REQUEST_MAX,
    "the evaluator takes every request");

/* What resolver is asked for one identity. */
struct name_question {
	struct hash_node node;			/* by id */
	TAILQ_ENTRY(name_question) entries;	/* of those to be sent, or those that were */
	TAILQ_ENTRY(name_question) of_identity;
	uint64_t id;
	struct identity *identity;
	struct spf_wanted wanted;
	bool is_sent;
};

TAILQ_HEAD(question_list, name_question);

enum identity_state { IDENTITY_RUNNABLE, IDENTITY_EVALUATED, IDENTITY_ASKING, IDENTITY_DONE };

struct identity {
	TAILQ_ENTRY(identity) entries;		/* RUNNABLE: its turn at the evaluator will come */
	struct spf_check *check;
	enum identity_state state;
	struct spf_request request;
	unsigned rounds;
	struct question_list questions;		/* ASKING: those without an answer */
	uint32_t lifetime;			/* seconds: how long what was judged stays so for the domain */
	enum spf_verdict verdict;		/* DONE */
	char text[SPF_REPLY_TEXT_SIZE];
};

struct spf_check {
	TAILQ_ENTRY(spf_check) entries;
	struct spf_verdicts *verdicts;
	spf_verdict_cb done;
	void *owner;
	bool has_begun;				/* it is one of the SPF_CHECKS_MAX */
	struct event *finish;			/* the deadline, or made active: everything is known */
	bool is_late;				/* the deadline has passed: nobody is asked any more */
	unsigned identity_count;
	struct identity identities[IDENTITIES];
};

TAILQ_HEAD(check_list, spf_check);

struct spf_verdicts {
	struct event_base *base;
	struct evaluator *evaluator;
	struct channel *resolver;
	struct identity *in_hand;		/* at the evaluator; NULL also when it was forgotten meanwhile */
	TAILQ_HEAD(, identity) runnable;
	struct check_list checks, waiting;
	unsigned under_way;
	struct hash_table questions;
	struct question_list to_send, sent;
	uint64_t next_id;
	size_t octets;				/* of the answers of all checks */
	int64_t timeout_ms;
	char receiver[SPF_HELO_SIZE];
	uint64_t given;				/* verdicts */
};

static void run(struct spf_verdicts *verdicts);

/* ---- the end of an identity, the end of a check ----------------------------------------------- */

static void
free_question(struct spf_verdicts *verdicts, struct name_question *question)
{
	TAILQ_REMOVE(question->is_sent ? &verdicts->sent : &verdicts->to_send, question, entries);
	TAILQ_REMOVE(&question->identity->questions, question, of_identity);
	hash_table_remove(&verdicts->questions, &question->node);
	free(question);
}

/* Out of every list, so that nobody comes back to it. */
static void
release_identity(struct identity *identity)
{
	struct spf_verdicts *verdicts = identity->check->verdicts;

	if (identity->state == IDENTITY_RUNNABLE && identity->check->has_begun)
		TAILQ_REMOVE(&verdicts->runnable, identity, entries);
	while (!TAILQ_EMPTY(&identity->questions))
		free_question(verdicts, TAILQ_FIRST(&identity->questions));
	if (verdicts->in_hand == identity)
		verdicts->in_hand = NULL;
	verdicts->octets -= identity->request.answers.octets;
	spf_answers_free(&identity->request.answers);
	identity->state = IDENTITY_DONE;
}

static void
decide(struct identity *identity, enum spf_verdict verdict, const char *text)
{
	struct spf_check *check = identity->check;
	unsigned i;

	release_identity(identity);
	identity->verdict = verdict;
	if (verdict == SPF_VERDICT_TEMPERROR)
		identity->lifetime = 0;
	snprintf(identity->text, sizeof(identity->text), "%s", text);
	for (i = 0; i < check->identity_count; i++)
		if (check->identities[i].state != IDENTITY_DONE)
			return;
	event_active(check->finish, EV_TIMEOUT, 1);
}

static void
free_check(struct spf_check *check)
{
	struct spf_verdicts *verdicts = check->verdicts;
	unsigned i;

	for (i = 0; i < check->identity_count; i++)
		release_identity(&check->identities[i]);
	event_free(check->finish);
	TAILQ_REMOVE(check->has_begun ? &verdicts->checks : &verdicts->waiting, check, entries);
	if (check->has_begun)
		verdicts->under_way--;
	free(check);
}

/* A fail of HELO is final (section 2.3); otherwise MAIL FROM says why, and HELO only when there is nothing against MAIL FROM: its
 * words would be taken for those of the sender's domain. */
static const char *
text_of(const struct spf_check *check)
{
	const struct identity *helo = &check->identities[0], *mail = &check->identities[check->identity_count - 1];

	if (helo->verdict == SPF_VERDICT_FAIL)
		return helo->text;
	return mail->text[0] == '\0' && mail->verdict != SPF_VERDICT_FAIL && mail->verdict != SPF_VERDICT_SOFTFAIL ? helo->text :
	    mail->text;
}

/* Every identity has its verdict. */
static void
finish(struct spf_check *check)
{
	struct spf_verdicts *verdicts = check->verdicts;
	struct spf_answer answer = { .id = 0 };

	answer.helo = (uint8_t)check->identities[0].verdict;
	answer.mail = (uint8_t)check->identities[check->identity_count - 1].verdict;
	answer.lifetime = check->identities[0].lifetime;
	if (check->identities[check->identity_count - 1].lifetime < answer.lifetime)
		answer.lifetime = check->identities[check->identity_count - 1].lifetime;
	answer.text = text_of(check);
	verdicts->given++;
	check->done(check->owner, &answer);
	free_check(check);
}

void
spf_verdicts_forget(struct spf_check **check)
{
	struct spf_verdicts *verdicts;

	if (*check == NULL)
		return;
	verdicts = (*check)->verdicts;
	free_check(*check);
	*check = NULL;
	run(verdicts);
}

/* ---- resolver --------------------------------------------------------------------------------- */

/* Sends the questions that were not sent for want of a credit or a resolver. */
static void
send_questions(struct spf_verdicts *verdicts)
{
	struct name_question *question;

	while (verdicts->resolver != NULL && (question = TAILQ_FIRST(&verdicts->to_send)) != NULL) {
		if (!send_dns_question(verdicts->resolver, &(struct dns_question){ .id = question->id,
		    .kind = (uint8_t)question->wanted.kind, .name = question->wanted.name }))
			return;
		TAILQ_REMOVE(&verdicts->to_send, question, entries);
		TAILQ_INSERT_TAIL(&verdicts->sent, question, entries);
		question->is_sent = true;
	}
}

static void
add_question(struct identity *identity, const struct spf_wanted *wanted)
{
	struct spf_verdicts *verdicts = identity->check->verdicts;
	struct name_question *question = memory_new(1, sizeof(*question));

	question->id = ++verdicts->next_id;
	question->identity = identity;
	question->wanted = *wanted;
	hash_table_insert(&verdicts->questions, &question->node, hash_number(question->id));
	TAILQ_INSERT_TAIL(&verdicts->to_send, question, entries);
	TAILQ_INSERT_TAIL(&identity->questions, question, of_identity);
}

static struct name_question *
find_question(const struct spf_verdicts *verdicts, uint64_t id)
{
	struct hash_node *node = hash_table_find(&verdicts->questions, hash_number(id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct name_question *question = HASH_CONTAINER(node, struct name_question, node);

		if (question->id == id && question->is_sent)
			return question;
	}
	return NULL;
}

/* Whether a record has a macro for the sender, its local part or the time (RFC 7208 section 7.2). A length octet that looks like
 * a part of one is a mistake on the safe side. */
static bool
is_for_this_sender(struct bytes records)
{
	const char *text = records.data;
	size_t i;

	for (i = 0; i + 2 < records.length; i++)
		if (text[i] == '%' && text[i + 1] == '{' && strchr("sSlLtT", text[i + 2]) != NULL)
			return true;
	return false;
}

static void
limit_lifetime(struct identity *identity, enum dns_kind kind, const struct dns_answer *answer)
{
	uint32_t seconds = answer->ttl;

	if (answer->outcome == DNS_NO_ANSWER || (kind == DNS_TXT && is_for_this_sender(answer->records)))
		seconds = 0;
	else if (answer->outcome != DNS_FOUND && seconds > SPF_LIFETIME_NOTHING_MAX)
		seconds = SPF_LIFETIME_NOTHING_MAX;
	if (seconds < identity->lifetime)
		identity->lifetime = seconds;
}

static void
make_runnable(struct identity *identity)
{
	identity->state = IDENTITY_RUNNABLE;
	TAILQ_INSERT_TAIL(&identity->check->verdicts->runnable, identity, entries);
}

/* Many checks hold much, and this one is among those that do. */
static bool
holds_too_much(const struct identity *identity)
{
	return identity->check->verdicts->octets > SPF_OCTETS_MAX && identity->request.answers.octets > SPF_OCTETS_ASSURED;
}

/* Adds what is known of a question to its identity, which can go on once this was the last one. */
static void
close_question(struct name_question *question, const struct dns_answer *answer)
{
	struct identity *identity = question->identity;
	struct spf_verdicts *verdicts = identity->check->verdicts;
	struct spf_answers *answers = &identity->request.answers;
	size_t before = answers->octets;
	bool has_room;

	limit_lifetime(identity, question->wanted.kind, answer);
	has_room = spf_answers_add(answers, question->wanted.kind, question->wanted.name, answer);
	verdicts->octets += answers->octets - before;
	free_question(verdicts, question);
	if (!has_room)
		decide(identity, SPF_VERDICT_PERMERROR, "the DNS has more to say than an SPF record may ask for");
	else if (holds_too_much(identity))
		decide(identity, SPF_VERDICT_TEMPERROR, "too many records are being evaluated that ask for much");
	else if (TAILQ_EMPTY(&identity->questions))
		make_runnable(identity);
}

static void
take_answer(void *context, struct channel *channel UNUSED, const struct dns_answer *answer)
{
	struct spf_verdicts *verdicts = context;
	struct name_question *question = find_question(verdicts, answer->id);

	if (question != NULL)
		close_question(question, answer);
	run(verdicts);
}

static void
drop_resolver(struct spf_verdicts *verdicts)
{
	struct name_question *question;

	channel_free(&verdicts->resolver);
	while ((question = TAILQ_FIRST(&verdicts->sent)) != NULL) {
		TAILQ_REMOVE(&verdicts->sent, question, entries);
		TAILQ_INSERT_TAIL(&verdicts->to_send, question, entries);
		question->is_sent = false;
	}
}

static void
on_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	log_peer_lost("resolver", reason);
	drop_resolver(context);
}

static void
on_ready(void *context, struct channel *channel UNUSED)
{
	send_questions(context);
}

void
spf_verdicts_connect(struct spf_verdicts *verdicts, int socket)
{
	static const struct dns_handlers handlers = { .dns_answer = take_answer };
	static const struct channel_events events = { .closed = on_closed, .ready = on_ready };

	drop_resolver(verdicts);
	verdicts->resolver = channel_open(verdicts->base, socket, &dns_protocol, IPC_ASKS, &handlers, &events, verdicts);
	send_questions(verdicts);
}

/* ---- the deadline ----------------------------------------------------------------------------- */

/* Section 6.2: a fail is one without its explanation too; and one host of an mx may do. Nobody is asked any more, and the evaluator
 * says what follows from there being no answer. */
static void
become_late(struct spf_check *check)
{
	static const struct dns_answer none = { .outcome = DNS_NO_ANSWER };
	struct timeval late = { SPF_LATE_MS / 1000, SPF_LATE_MS % 1000 * 1000 };
	unsigned i;

	check->is_late = true;
	event_add(check->finish, &late);
	for (i = 0; i < check->identity_count; i++)
		while (!TAILQ_EMPTY(&check->identities[i].questions))
			close_question(TAILQ_FIRST(&check->identities[i].questions), &none);
}

/* Everything is known, or one of the two deadlines has come. A check that has not begun knows nothing. */
static void
on_finish(int descriptor UNUSED, short what UNUSED, void *context)
{
	struct spf_check *check = context;
	struct spf_verdicts *verdicts = check->verdicts;
	bool is_known = true;
	unsigned i;

	for (i = 0; i < check->identity_count; i++)
		is_known &= check->identities[i].state == IDENTITY_DONE;
	if (!is_known && check->has_begun && !check->is_late) {
		become_late(check);
	} else {
		for (i = 0; i < check->identity_count; i++)
			if (check->identities[i].state != IDENTITY_DONE)
				decide(&check->identities[i], SPF_VERDICT_TEMPERROR, OUT_OF_TIME);
		finish(check);
	}
	run(verdicts);
}

/* ---- the evaluator ---------------------------------------------------------------------------- */

static bool
asks_what_it_knows(const struct identity *identity, const struct spf_reply *reply)
{
	unsigned i;

	for (i = 0; i < reply->wanted_count; i++)
		if (spf_answers_find(&identity->request.answers, reply->wanted[i].kind, reply->wanted[i].name) != NULL)
			return true;
	return false;
}

/* The evaluator has questions that nobody is asked any more. With a verdict they are about its explanation. */
static void
decide_late(struct identity *identity, const struct spf_reply *reply)
{
	if (reply->verdict == SPF_VERDICT_FAIL) {
		identity->lifetime = 0;
		decide(identity, SPF_VERDICT_FAIL, "");
	} else {
		decide(identity, SPF_VERDICT_TEMPERROR, OUT_OF_TIME);
	}
}

static bool
evaluator_answered(void *context, const void *data, size_t length)
{
	struct spf_verdicts *verdicts = context;
	struct identity *identity = verdicts->in_hand;
	struct spf_reply reply;
	unsigned i;

	if (!spf_reply_get(data, length, &reply) || (identity != NULL && asks_what_it_knows(identity, &reply)))
		return false;
	verdicts->in_hand = NULL;
	if (identity != NULL && reply.wanted_count == 0) {
		decide(identity, reply.verdict, reply.text);
	} else if (identity != NULL && identity->check->is_late) {
		decide_late(identity, &reply);
	} else if (identity != NULL) {
		identity->state = IDENTITY_ASKING;
		for (i = 0; i < reply.wanted_count; i++)
			add_question(identity, &reply.wanted[i]);
	}
	run(verdicts);
	return true;
}

/* There is no evaluator for the identity that it has, or would have, in hand. */
static void
judge_without(struct spf_verdicts *verdicts, const char *reason)
{
	struct identity *identity = verdicts->in_hand;

	log_event(LOG_EVALUATOR_DIED, reason, identity == NULL ? NULL : identity->request.client_address,
	    identity == NULL ? NULL : identity->request.helo, identity == NULL ? NULL : identity->request.sender);
	if (identity != NULL)
		decide(identity, SPF_VERDICT_TEMPERROR, "the record cannot be evaluated");
}

static void
evaluator_failed(void *context, const char *reason)
{
	judge_without(context, reason);
	run(context);
}

/* Gives an identity to the evaluator, which is idle. */
static void
evaluate(struct spf_verdicts *verdicts, struct identity *identity)
{
	struct buffer request = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;

	if (++identity->rounds > SPF_ROUNDS_MAX) {
		decide(identity, SPF_VERDICT_PERMERROR, "the record asks too many questions");
		return;
	}
	spf_request_put(&request, &identity->request);
	verdicts->in_hand = identity;
	if (evaluator_ask(verdicts->evaluator, &request, &error) < 0)
		judge_without(verdicts, error.text);
	buffer_free(&request);
}

static void
begin_waiting(struct spf_verdicts *verdicts)
{
	struct spf_check *check;
	unsigned i;

	while (verdicts->under_way < SPF_CHECKS_MAX && (check = TAILQ_FIRST(&verdicts->waiting)) != NULL) {
		TAILQ_REMOVE(&verdicts->waiting, check, entries);
		TAILQ_INSERT_TAIL(&verdicts->checks, check, entries);
		check->has_begun = true;
		verdicts->under_way++;
		for (i = 0; i < check->identity_count; i++)
			make_runnable(&check->identities[i]);
	}
}

/* Whatever can go on, goes on. */
static void
run(struct spf_verdicts *verdicts)
{
	struct identity *identity;

	begin_waiting(verdicts);
	while (evaluator_is_idle(verdicts->evaluator) && (identity = TAILQ_FIRST(&verdicts->runnable)) != NULL) {
		TAILQ_REMOVE(&verdicts->runnable, identity, entries);
		identity->state = IDENTITY_EVALUATED;
		evaluate(verdicts, identity);
	}
	send_questions(verdicts);
}

/* ---- asking ----------------------------------------------------------------------------------- */

static void
fill_identity(struct spf_check *check, const struct spf_question *question, const char *sender)
{
	struct identity *identity = &check->identities[check->identity_count++];
	struct spf_request *request = &identity->request;

	identity->check = check;
	identity->state = IDENTITY_RUNNABLE;
	identity->lifetime = SPF_LIFETIME_MAX;
	TAILQ_INIT(&identity->questions);
	snprintf(request->client_address, sizeof(request->client_address), "%s", question->client_address);
	snprintf(request->helo, sizeof(request->helo), "%s", question->helo);
	snprintf(request->sender, sizeof(request->sender), "%s", sender);
	snprintf(request->receiver, sizeof(request->receiver), "%s", check->verdicts->receiver);
	request->now = (uint64_t)clock_wall_ms() / 1000;
}

struct spf_check *
spf_verdicts_ask(struct spf_verdicts *verdicts, const struct spf_question *question, spf_verdict_cb done, void *owner)
{
	struct spf_check *check = memory_new(1, sizeof(*check));
	struct timeval timeout = deadline_timeval(deadline_after_ms(verdicts->timeout_ms));

	check->verdicts = verdicts;
	check->done = done;
	check->owner = owner;
	check->finish = event_new(verdicts->base, -1, 0, on_finish, check);
	if (check->finish == NULL)
		abort();
	event_add(check->finish, &timeout);
	fill_identity(check, question, "");
	if (question->sender[0] != '\0')
		fill_identity(check, question, question->sender);
	TAILQ_INSERT_TAIL(&verdicts->waiting, check, entries);
	run(verdicts);
	return check;
}

void
spf_verdicts_configure(struct spf_verdicts *verdicts, int64_t timeout_ms, const char *receiver)
{
	verdicts->timeout_ms = timeout_ms;
	snprintf(verdicts->receiver, sizeof(verdicts->receiver), "%s", receiver);
}

struct spf_verdicts *
spf_verdicts_new(struct event_base *base, evaluator_compute_cb compute)
{
	static const struct evaluator_events events = { .answered = evaluator_answered, .failed = evaluator_failed };
	struct spf_verdicts *verdicts = memory_new(1, sizeof(*verdicts));

	verdicts->base = base;
	TAILQ_INIT(&verdicts->runnable);
	TAILQ_INIT(&verdicts->checks);
	TAILQ_INIT(&verdicts->waiting);
	TAILQ_INIT(&verdicts->to_send);
	TAILQ_INIT(&verdicts->sent);
	verdicts->evaluator = evaluator_new(base, compute, &events, verdicts);
	return verdicts;
}

void
spf_verdicts_free(struct spf_verdicts **verdicts)
{
	if (*verdicts == NULL)
		return;
	while (!TAILQ_EMPTY(&(*verdicts)->checks))
		free_check(TAILQ_FIRST(&(*verdicts)->checks));
	while (!TAILQ_EMPTY(&(*verdicts)->waiting))
		free_check(TAILQ_FIRST(&(*verdicts)->waiting));
	evaluator_free(&(*verdicts)->evaluator);
	channel_free(&(*verdicts)->resolver);
	hash_table_free(&(*verdicts)->questions);
	free(*verdicts);
	*verdicts = NULL;
}

void
spf_verdicts_status(const struct spf_verdicts *verdicts, struct buffer *lines)
{
	buffer_printf(lines, "verdicts=%llu\nchecks=%u\nevaluator=%ld\nevaluators_failed=%llu\nanswer_octets=%zu\n",
	    (unsigned long long)verdicts->given, verdicts->under_way, (long)evaluator_process(verdicts->evaluator),
	    (unsigned long long)evaluator_failures(verdicts->evaluator), verdicts->octets);
}
