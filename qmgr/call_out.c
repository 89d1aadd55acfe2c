/* call_out - see call_out.h */
#include "qmgr/call_out.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/ipc/deliver.h"
#include "common/ipc/route.h"
#include "qmgr/qmgr.h"

#define CREDITS_KEPT 32		/* of router's, for mail and reports */
#define DEATHS_MAX 2		/* of smtp processes that had it in hand: then it is not asked again */

/* One who waits for the answer. */
struct asker {
	LIST_ENTRY(asker) link;
	call_out_done_cb done;
	void *owner;
	uint64_t id;
};

/* Set aside is what has its route, and finds no place at its next hop. */
enum call_out_state { WAITS, IS_ROUTED, IS_SET_ASIDE, IS_PROBED };

struct call_out {
	struct hash_node by_recipient;		/* unless it is out of time */
	struct hash_node by_job;
	TAILQ_ENTRY(call_out) waiting_link;
	struct qmgr *qmgr;
	enum call_out_state state;
	bool was_set_aside;
	bool out_of_time;			/* IS_PROBED: nobody is to be told, and smtp is not done with it yet */
	uint8_t transport;
	char *next_hop;				/* owned; NULL: no route is known */
	char *address;				/* owned; the one to ask for, NULL: the recipient's */
	uint64_t job;				/* IS_ROUTED, IS_PROBED */
	const struct deliver_worker *worker;	/* IS_PROBED; NULL otherwise */
	unsigned deaths;			/* of smtp processes that had it in hand */
	LIST_HEAD(, asker) askers;
	struct event timer;
	char recipient[];
};

static struct call_out *
find_recipient(const struct call_outs *call_outs, const char *recipient)
{
	struct hash_node *node = hash_table_find(&call_outs->by_recipient, hash_text(recipient));

	for (; node != NULL; node = hash_node_next(node)) {
		struct call_out *call_out = HASH_CONTAINER(node, struct call_out, by_recipient);

		if (strcmp(call_out->recipient, recipient) == 0)
			return call_out;
	}
	return NULL;
}

static struct call_out *
find_job(const struct call_outs *call_outs, uint64_t job)
{
	struct hash_node *node = hash_table_find(&call_outs->by_job, hash_number(job));

	for (; node != NULL; node = hash_node_next(node)) {
		struct call_out *call_out = HASH_CONTAINER(node, struct call_out, by_job);

		if (call_out->job == job)
			return call_out;
	}
	return NULL;
}

/* ---- places at next hops ---- */

static bool
goes_the_same_way(const struct call_out *call_out, const struct call_out *other)
{
	return call_out->transport == other->transport && strcmp(call_out->next_hop, other->next_hop) == 0;
}

/* It must not have more sessions of ours than it may have for mail, and must leave places to others. */
static bool
next_hop_has_room(const struct call_out *call_out)
{
	const struct qmgr *qmgr = call_out->qmgr;
	const struct hash_node *node = NULL;
	unsigned sessions = 0;

	while ((node = hash_table_walk(&qmgr->call_outs.by_job, node)) != NULL) {
		const struct call_out *other = HASH_CONTAINER(node, struct call_out, by_job);

		sessions += other->state == IS_PROBED && goes_the_same_way(call_out, other);
	}
	return sessions < qmgr->limits.sessions_per_destination && sessions < CALL_OUT_PROBES_MAX / 2;
}

/* Whether it has a place at its next hop, or is on the way to one: then it has to pass that on. */
static bool
has_place(const struct call_out *call_out)
{
	return call_out->state == IS_PROBED || (call_out->state == WAITS && call_out->next_hop != NULL);
}

static void
pass_on_place(const struct call_out *call_out)
{
	struct call_outs *call_outs = &call_out->qmgr->call_outs;
	struct call_out *next;

	TAILQ_FOREACH(next, &call_outs->set_aside, waiting_link)
		if (goes_the_same_way(call_out, next))
			break;
	if (next == NULL)
		return;
	TAILQ_REMOVE(&call_outs->set_aside, next, waiting_link);
	TAILQ_INSERT_HEAD(&call_outs->waiting, next, waiting_link);
	next->state = WAITS;
}

/* ---- states ---- */

/* It is neither waiting nor asked about: for the moment, or for good. */
static void
take_out(struct call_out *call_out)
{
	struct call_outs *call_outs = &call_out->qmgr->call_outs;

	if (call_out->state == WAITS || call_out->state == IS_SET_ASIDE) {
		TAILQ_REMOVE(call_out->state == WAITS ? &call_outs->waiting : &call_outs->set_aside, call_out, waiting_link);
		return;
	}
	hash_table_remove(&call_outs->by_job, &call_out->by_job);
	call_outs->on_their_way--;
}

static void
set_out(struct call_out *call_out, uint64_t job)
{
	struct call_outs *call_outs = &call_out->qmgr->call_outs;

	take_out(call_out);
	call_out->state = IS_ROUTED;
	call_out->job = job;
	hash_table_insert(&call_outs->by_job, &call_out->by_job, hash_number(job));
	call_outs->on_their_way++;
}

/* One that was next, and was overtaken, stays before the others. */
static void
set_aside(struct call_out *call_out)
{
	struct call_outs *call_outs = &call_out->qmgr->call_outs;

	take_out(call_out);
	call_out->state = IS_SET_ASIDE;
	if (call_out->was_set_aside)
		TAILQ_INSERT_HEAD(&call_outs->set_aside, call_out, waiting_link);
	else
		TAILQ_INSERT_TAIL(&call_outs->set_aside, call_out, waiting_link);
	call_out->was_set_aside = true;
	call_outs_kick(call_out->qmgr);
}

static void
drop_route(struct call_out *call_out)
{
	free(call_out->next_hop);
	free(call_out->address);
	call_out->next_hop = call_out->address = NULL;
}

/* Whom it was asked of has gone: once more, before the others. */
static void
put_back(struct call_out *call_out)
{
	if (has_place(call_out))
		pass_on_place(call_out);
	take_out(call_out);
	drop_route(call_out);
	call_out->state = WAITS;
	call_out->worker = NULL;
	TAILQ_INSERT_HEAD(&call_out->qmgr->call_outs.waiting, call_out, waiting_link);
	call_outs_kick(call_out->qmgr);
}

static void
free_asker(struct call_outs *call_outs, struct asker *asker)
{
	LIST_REMOVE(asker, link);
	call_outs->asker_count--;
	free(asker);
}

static void
call_out_free(struct call_out *call_out)
{
	struct call_outs *call_outs = &call_out->qmgr->call_outs;

	while (!LIST_EMPTY(&call_out->askers))
		free_asker(call_outs, LIST_FIRST(&call_out->askers));
	if (has_place(call_out))
		pass_on_place(call_out);
	take_out(call_out);
	if (!call_out->out_of_time)
		hash_table_remove(&call_outs->by_recipient, &call_out->by_recipient);
	drop_route(call_out);
	event_del(&call_out->timer);
	free(call_out);
}

static void
tell(struct call_out *call_out, enum call_out_outcome outcome, const char *text)
{
	struct asker *asker;

	while ((asker = LIST_FIRST(&call_out->askers)) != NULL) {
		asker->done(asker->owner, asker->id, outcome, text);
		free_asker(&call_out->qmgr->call_outs, asker);
	}
}

static void
finish(struct call_out *call_out, enum call_out_outcome outcome, const char *text)
{
	struct qmgr *qmgr = call_out->qmgr;

	tell(call_out, outcome, text);
	call_out_free(call_out);
	call_outs_kick(qmgr);
}

/* Nothing can tell smtp to let go: the session is there, and has its place, until smtp says so. */
static void
time_out(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	static const char text[] = "no answer in time";
	struct call_out *call_out = context;

	if (call_out->state != IS_PROBED) {
		finish(call_out, CALL_OUT_SILENT, text);
		return;
	}
	tell(call_out, CALL_OUT_SILENT, text);
	hash_table_remove(&call_out->qmgr->call_outs.by_recipient, &call_out->by_recipient);
	call_out->out_of_time = true;
}

/* ---- questions ---- */

/* The smtp process with the fewest jobs; NULL when there is none. */
static struct deliver_worker *
choose_worker(struct qmgr *qmgr)
{
	struct deliver_worker *worker, *best = NULL;

	TAILQ_FOREACH(worker, &qmgr->deliver.workers, link)
		if (worker->role == ROLE_SMTP && worker->channel != NULL && (best == NULL || worker->job_count < best->job_count))
			best = worker;
	return best;
}

static void
probe(struct call_out *call_out)
{
	struct deliver_worker *worker = choose_worker(call_out->qmgr);
	const struct call_out_job job = { .job = call_out->job, .transport = call_out->transport,
		.next_hop = call_out->next_hop,
		.recipient = call_out->address != NULL ? call_out->address : call_out->recipient };

	if (worker == NULL) {
		put_back(call_out);
	} else if (!next_hop_has_room(call_out)) {
		set_aside(call_out);
	} else {
		call_out->state = IS_PROBED;
		call_out->worker = worker;
		if (!send_call_out_job(worker->channel, &job))
			finish(call_out, CALL_OUT_SILENT, "the next hop cannot be asked");
	}
}

static bool
ask_router(struct call_out *call_out)
{
	struct qmgr *qmgr = call_out->qmgr;
	struct channel *router = qmgr->routing.router;
	struct route_request request = { .job = identifiers_next_job(&qmgr->identifiers), .format = FORMAT_MIME,
		.sender = "", .recipient = call_out->recipient };

	if (router == NULL || channel_credits(router) <= CREDITS_KEPT || !send_route_request(router, &request))
		return false;
	set_out(call_out, request.job);
	return true;
}

static bool
may_go(struct qmgr *qmgr)
{
	return choose_worker(qmgr) != NULL && qmgr->call_outs.on_their_way < CALL_OUT_PROBES_MAX;
}

static void
run(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	struct call_out *first;

	while (may_go(qmgr) && (first = TAILQ_FIRST(&qmgr->call_outs.waiting)) != NULL) {
		if (first->next_hop != NULL) {
			set_out(first, identifiers_next_job(&qmgr->identifiers));
			probe(first);
		} else if (!ask_router(first)) {
			return;
		}
	}
}

void
call_outs_kick(struct qmgr *qmgr)
{
	if (!TAILQ_EMPTY(&qmgr->call_outs.waiting))
		event_active(qmgr->call_outs.run, 0, 0);
}

static struct call_out *
begin(struct qmgr *qmgr, const char *recipient)
{
	size_t length = strlen(recipient);
	struct call_out *call_out = memory_new(1, sizeof(*call_out) + length + 1);
	int64_t timeout_ms = qmgr->limits.call_out_timeout_ms;

	call_out->qmgr = qmgr;
	memcpy(call_out->recipient, recipient, length + 1);
	LIST_INIT(&call_out->askers);
	hash_table_insert(&qmgr->call_outs.by_recipient, &call_out->by_recipient, hash_text(recipient));
	TAILQ_INSERT_TAIL(&qmgr->call_outs.waiting, call_out, waiting_link);
	event_assign(&call_out->timer, qmgr->base, -1, 0, time_out, call_out);
	event_add(&call_out->timer, &(struct timeval){ .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 });
	call_outs_kick(qmgr);
	return call_out;
}

void
call_outs_ask(struct qmgr *qmgr, const char *recipient, call_out_done_cb done, void *owner, uint64_t id)
{
	struct call_outs *call_outs = &qmgr->call_outs;
	struct call_out *call_out = find_recipient(call_outs, recipient);
	struct asker *asker;

	if (call_outs->asker_count >= CALL_OUT_ASKERS_MAX ||
	    (call_out == NULL && call_outs->by_recipient.count >= CALL_OUTS_MAX)) {
		done(owner, id, CALL_OUT_SILENT, "too many are asked about at a time");
		return;
	}
	if (call_out == NULL)
		call_out = begin(qmgr, recipient);
	asker = memory_new(1, sizeof(*asker));
	*asker = (struct asker){ .done = done, .owner = owner, .id = id };
	LIST_INSERT_HEAD(&call_out->askers, asker, link);
	call_outs->asker_count++;
}

/* One that nobody waits for goes on: its place is free when it is answered. */
void
call_outs_forget(struct qmgr *qmgr, const void *owner)
{
	struct hash_node *node = NULL;

	while ((node = hash_table_walk(&qmgr->call_outs.by_recipient, node)) != NULL) {
		struct call_out *call_out = HASH_CONTAINER(node, struct call_out, by_recipient);
		struct asker *asker, *next;

		for (asker = LIST_FIRST(&call_out->askers); asker != NULL; asker = next) {
			next = LIST_NEXT(asker, link);
			if (asker->owner == owner)
				free_asker(&qmgr->call_outs, asker);
		}
	}
}

/* ---- answers ---- */

static void
note_route(struct call_out *call_out, const struct route_answer *answer)
{
	call_out->transport = answer->transport;
	call_out->next_hop = memory_copy_string(answer->next_hop);
	if (answer->address[0] != '\0')
		call_out->address = memory_copy_string(answer->address);
}

void
call_outs_routed(struct qmgr *qmgr, const struct route_answer *answer)
{
	struct call_out *call_out = find_job(&qmgr->call_outs, answer->job);

	if (call_out == NULL || call_out->state != IS_ROUTED)
		return;
	if (answer->outcome == ROUTE_DELIVER &&
	    (answer->transport == TRANSPORT_SMTP || answer->transport == TRANSPORT_LMTP)) {
		note_route(call_out, answer);
		probe(call_out);
	} else if (answer->outcome == ROUTE_DEFER) {
		finish(call_out, CALL_OUT_SILENT, "nobody can say now where the mail goes");
	} else {
		finish(call_out, CALL_OUT_NOBODY_TO_ASK, "");
	}
}

void
call_outs_answered(struct qmgr *qmgr, const struct deliver_worker *worker, const struct call_out_result *result)
{
	struct call_out *call_out = find_job(&qmgr->call_outs, result->job);

	if (call_out == NULL || call_out->state != IS_PROBED || call_out->worker != worker)
		return;
	finish(call_out, result->outcome < CALL_OUT_NOBODY_TO_ASK ? (enum call_out_outcome)result->outcome : CALL_OUT_SILENT,
	    result->text);
}

/* ---- losses ---- */

/* Whether some of those in hand were in hand at an earlier death of an smtp process: these are not asked again. */
static bool
put_back_all(struct qmgr *qmgr, enum call_out_state state, const struct deliver_worker *worker)
{
	struct hash_node *node, *next;
	bool any_again = false;

	for (node = hash_table_walk(&qmgr->call_outs.by_job, NULL); node != NULL; node = next) {
		struct call_out *call_out = HASH_CONTAINER(node, struct call_out, by_job);

		next = hash_table_walk(&qmgr->call_outs.by_job, node);
		if (!(call_out->state == state && call_out->worker == worker))
			continue;
		call_out->deaths += state == IS_PROBED;
		any_again |= call_out->deaths >= DEATHS_MAX;
		if (call_out->deaths < DEATHS_MAX && !call_out->out_of_time)
			put_back(call_out);
		else
			finish(call_out, CALL_OUT_SILENT, "the program that asked ended twice");
	}
	return any_again;
}

void
call_outs_router_lost(struct qmgr *qmgr)
{
	put_back_all(qmgr, IS_ROUTED, NULL);
}

bool
call_outs_worker_lost(struct qmgr *qmgr, const struct deliver_worker *worker)
{
	return put_back_all(qmgr, IS_PROBED, worker);
}

/* ---- beginning and end ---- */

void
call_outs_start(struct qmgr *qmgr)
{
	TAILQ_INIT(&qmgr->call_outs.waiting);
	TAILQ_INIT(&qmgr->call_outs.set_aside);
	qmgr->call_outs.run = event_new(qmgr->base, -1, 0, run, qmgr);
}

void
call_outs_end(struct qmgr *qmgr)
{
	struct hash_node *node;

	while ((node = hash_table_walk(&qmgr->call_outs.by_recipient, NULL)) != NULL)
		call_out_free(HASH_CONTAINER(node, struct call_out, by_recipient));
	while ((node = hash_table_walk(&qmgr->call_outs.by_job, NULL)) != NULL)
		call_out_free(HASH_CONTAINER(node, struct call_out, by_job));
	hash_table_free(&qmgr->call_outs.by_recipient);
	hash_table_free(&qmgr->call_outs.by_job);
	event_free(qmgr->call_outs.run);
}
