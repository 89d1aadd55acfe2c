/* routing - see routing.h */
#include "qmgr/routing.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/ipc/route.h"
#include "common/log/log.h"
#include "qmgr/expansion.h"
#include "qmgr/outcome.h"
#include "qmgr/qmgr.h"
#include "qmgr/report.h"
#include "qmgr/retry.h"

#define REPORT_CREDITS 16		/* of router's credits, kept for reports */
#define GATHER_MS 2000
#define QUESTIONS_MAX 32		/* of one message at a time: those of others do not stand behind more */
#define SPREAD_FIRST 20			/* transfers of one message that take their places at once, */
#define SPREAD_A_MS 2			/* and the others so many a millisecond: nobody stands behind hundreds of new sessions */
#define SPREAD_LATE_MS 50
#define MEMBER_OCTETS_MAX (64 * 1024 * 1024)

/* One recipient that router was asked about. */
struct question {
	struct hash_node by_job;
	uint64_t job;
	struct active_message *message;
	uint32_t index;
	struct buffer members;		/* texts, each with its NUL */
	uint32_t member_count;
	bool overflow;			/* more members than anybody may have */
	bool outdated;			/* asked before the documents changed: the answer does not count */
};

static void
question_free(struct routing *routing, struct question *question)
{
	hash_table_remove(&routing->questions, &question->by_job);
	buffer_free(&question->members);
	free(question);
}

static struct question *
question_find(const struct routing *routing, uint64_t job)
{
	struct hash_node *node = hash_table_find(&routing->questions, hash_number(job));

	for (; node != NULL; node = hash_node_next(node)) {
		struct question *question = HASH_CONTAINER(node, struct question, by_job);

		if (question->job == job)
			return question;
	}
	return NULL;
}

void
routing_kick(struct qmgr *qmgr)
{
	event_active(qmgr->routing.run, 0, 0);
}

void
routing_add(struct qmgr *qmgr, struct active_message *message)
{
	if (message->in_routing)
		return;
	message->in_routing = true;
	TAILQ_INSERT_TAIL(&qmgr->routing.waiting, message, routing_link);
	qmgr->routing.waiting_count++;
	routing_kick(qmgr);
}

static void
leave_waiting(struct routing *routing, struct active_message *message)
{
	message->in_routing = false;
	TAILQ_REMOVE(&routing->waiting, message, routing_link);
	routing->waiting_count--;
}

static void
leave_gathering(struct routing *routing, struct active_message *message)
{
	message->gathering = false;
	TAILQ_REMOVE(&routing->gathering, message, gathering_link);
}

static void
leave_spreading(struct routing *routing, struct active_message *message)
{
	message->spreading = false;
	TAILQ_REMOVE(&routing->spreading, message, spreading_link);
}

void
routing_forget(struct qmgr *qmgr, struct active_message *message)
{
	if (message->in_routing)
		leave_waiting(&qmgr->routing, message);
	if (message->gathering)
		leave_gathering(&qmgr->routing, message);
	if (message->spreading)
		leave_spreading(&qmgr->routing, message);
}

/* ---- taking places ---- */

static enum queue_level
level_of(const struct qmgr *qmgr, const struct active_message *message)
{
	switch (active_priority(qmgr, message)) {
	case PRIORITY_HIGH:
		return LEVEL_HIGH;
	case PRIORITY_LOW:
		return LEVEL_LOW;
	default:
		return LEVEL_NORMAL;
	}
}

/* How long a transfer of low priority has to wait for its time of day, unless an administrator let it pass. */
static int64_t
low_priority_wait(const struct qmgr *qmgr, const struct active_message *message, const struct destination *destination)
{
	time_t now = time(NULL);
	struct tm local;

	if (destination->class == CLASS_LOCAL || level_of(qmgr, message) != LEVEL_LOW ||
	    message->arrival_ms <= destination->low_until || localtime_r(&now, &local) == NULL)
		return 0;
	return retry_low_priority_wait(&qmgr->limits, local.tm_hour * 60 + local.tm_min);
}

static void
gather(struct qmgr *qmgr, struct active_message *message)
{
	if (message->gathering)
		return;
	message->gathering = true;
	message->gathering_since = clock_monotonic_ms();
	TAILQ_INSERT_TAIL(&qmgr->routing.gathering, message, gathering_link);
	qmgr_want_tick(qmgr);
}

void
routing_place(struct qmgr *qmgr, struct active_message *message, uint32_t index)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];
	int64_t now = qmgr_now(qmgr), wait;
	struct destination *destination;
	struct delivery *delivery;

	if (message->held || message->removed) {
		active_set_phase(message, index, PHASE_IDLE);
		return;
	}
	destination = destination_get(&qmgr->destinations, recipient->transport, recipient->next_hop);
	destination_age(&qmgr->destinations, destination, now);
	if (message->order != 0)
		destination_override(&qmgr->destinations, destination, message->order);
	delivery = delivery_find(&qmgr->destinations, message, destination);
	wait = low_priority_wait(qmgr, message, destination);
	if (wait > 0) {
		outcome_hold_back(qmgr, message, index, wait);
	} else if (destination_is_down(destination, now)) {
		outcome_put_off(qmgr, message, index, destination);
	} else if (delivery == NULL && !window_admits(qmgr, destination)) {
		window_surplus(qmgr, message, index, destination);
	} else {
		delivery = delivery_add(&qmgr->destinations, destination, message, index);
		active_set_phase(message, index, PHASE_QUEUED);
		if (!delivery->queued && delivery_remaining(delivery) >= JOB_RECIPIENTS_MAX) {
			delivery_enqueue(&qmgr->destinations, delivery, level_of(qmgr, message));
			schedule_kick(qmgr);
		} else if (!delivery->queued) {
			gather(qmgr, message);
		}
	}
	destination_release(&qmgr->destinations, destination);
}

/* The delivery takes its place, or is put off. The caller settles the message. */
static void
take_place(struct qmgr *qmgr, struct delivery *delivery)
{
	struct destination *destination = delivery->destination;
	struct active_message *message = delivery->message;

	if (destination_is_down(destination, qmgr_now(qmgr))) {
		outcome_put_off_delivery(qmgr, delivery);
		destination_release(&qmgr->destinations, destination);
	} else {
		delivery_enqueue(&qmgr->destinations, delivery, level_of(qmgr, message));
		window_queued(qmgr, message, destination);
	}
}

/* Deliveries take their places, at most limit transfers. Whether others are left. The caller settles the message. */
static bool
take_places(struct qmgr *qmgr, struct active_message *message, int64_t limit)
{
	struct delivery *delivery;

	while ((delivery = LIST_FIRST(&message->unplaced[CLASS_LOCAL])) != NULL)
		take_place(qmgr, delivery);
	while ((delivery = LIST_FIRST(&message->unplaced[CLASS_TRANSFER])) != NULL) {
		if (limit-- == 0)
			return true;
		take_place(qmgr, delivery);
	}
	return false;
}

static void
spread_on(struct routing *routing)
{
	routing->spread_ms = clock_monotonic_ms();
	event_add(routing->spread, &(struct timeval){ .tv_usec = 1000 });
}

/* More transfers of the messages that have many take their places. */
static void
spread(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	struct routing *routing = &qmgr->routing;
	struct active_message *message, *next;
	int64_t elapsed = clock_monotonic_ms() - routing->spread_ms;

	elapsed = elapsed < 1 ? 1 : elapsed > SPREAD_LATE_MS ? SPREAD_LATE_MS : elapsed;
	for (message = TAILQ_FIRST(&routing->spreading); message != NULL; message = next) {
		next = TAILQ_NEXT(message, spreading_link);
		if (!take_places(qmgr, message, elapsed * SPREAD_A_MS))
			leave_spreading(routing, message);
		active_settle(qmgr, message);
	}
	if (!TAILQ_EMPTY(&routing->spreading))
		spread_on(routing);
	schedule_kick(qmgr);
}

/* The recipients that gathered take their places. The caller settles the message. */
static void
gathered(struct qmgr *qmgr, struct active_message *message)
{
	struct routing *routing = &qmgr->routing;

	if (message->gathering)
		leave_gathering(routing, message);
	if (!message->spreading && take_places(qmgr, message, SPREAD_FIRST)) {
		if (TAILQ_EMPTY(&routing->spreading))
			spread_on(routing);
		message->spreading = true;
		TAILQ_INSERT_TAIL(&routing->spreading, message, spreading_link);
	}
	schedule_kick(qmgr);
}

bool
routing_tick(struct qmgr *qmgr, int64_t monotonic_ms)
{
	struct active_message *message;

	while ((message = TAILQ_FIRST(&qmgr->routing.gathering)) != NULL &&
	    monotonic_ms - message->gathering_since >= GATHER_MS) {
		gathered(qmgr, message);
		active_settle(qmgr, message);
	}
	return !TAILQ_EMPTY(&qmgr->routing.gathering);
}

/* Call after each recipient that was dealt with. The message may be gone afterwards. */
static void
routed_one(struct qmgr *qmgr, struct active_message *message)
{
	if (message->phase_count[PHASE_UNROUTED] == 0 && message->phase_count[PHASE_ROUTING] == 0) {
		gathered(qmgr, message);
		if (message->phase_count[PHASE_JOURNALLING] == 0) {
			address_set_free(&message->addresses);
			place_set_free(&message->places);
		}
	}
	active_settle(qmgr, message);
}

/* ---- asking ---- */

static bool
ask(struct qmgr *qmgr, struct active_message *message, uint32_t index)
{
	struct routing *routing = &qmgr->routing;
	const struct envelope_recipient *recipient = &message->envelope.recipients[index];
	struct question *question;
	struct route_request request = {
		.job = identifiers_next_job(&qmgr->identifiers),
		.message_id = message->envelope.id,
		.format = (uint8_t)message->envelope.format,
		.forwards = recipient->forwards,
		.sender = message->envelope.sender,
		.recipient = recipient->address,
	};

	if (!send_route_request(routing->router, &request))
		return false;
	question = memory_new(1, sizeof(*question));
	question->job = request.job;
	question->message = message;
	question->index = index;
	buffer_init(&question->members, MEMBER_OCTETS_MAX);
	hash_table_insert(&routing->questions, &question->by_job, hash_number(question->job));
	active_set_phase(message, index, PHASE_ROUTING);
	return true;
}

/* The next recipient of the message to be asked about; there is one. */
static uint32_t
next_unrouted(struct active_message *message)
{
	uint32_t count = (uint32_t)message->envelope.recipient_count;

	while (active_phase(message, message->route_cursor % count) != PHASE_UNROUTED)
		message->route_cursor++;
	message->route_cursor %= count;
	return message->route_cursor;
}

/* One recipient of the message: asked about, or decided without asking. False when router takes no more for now. */
static bool
route_one(struct qmgr *qmgr, struct active_message *message)
{
	uint32_t index = next_unrouted(message);
	struct envelope_recipient *recipient = &message->envelope.recipients[index];

	if (message->routes_known && recipient->transport != TRANSPORT_NONE && recipient->next_hop != NULL &&
	    recipient->attempts == 0) {
		routing_place(qmgr, message, index);
	} else if (message->envelope.hops + recipient->forwards > qmgr->limits.hops) {
		outcome_fail(qmgr, message, index, FAILURE_TRANSFER, "5.4.6",
		    "Maximum hop count exceeded. Message probably in a routing loop.", NULL);
	} else {
		return ask(qmgr, message, index);
	}
	return true;
}

static void
run(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	struct routing *routing = &qmgr->routing;
	struct active_message *message;

	/* Until the workers of an earlier qmgr have told what they hold, nobody knows who is to be routed: window_open() goes on. */
	while (qmgr->window.open && routing->router != NULL && channel_credits(routing->router) > REPORT_CREDITS &&
	    (message = TAILQ_FIRST(&routing->waiting)) != NULL) {
		leave_waiting(routing, message);
		if (message->phase_count[PHASE_UNROUTED] > 0 && !route_one(qmgr, message)) {
			routing_add(qmgr, message);
			break;
		}
		if (message->phase_count[PHASE_UNROUTED] > 0 && message->phase_count[PHASE_ROUTING] < QUESTIONS_MAX)
			routing_add(qmgr, message);
		routed_one(qmgr, message);
	}
	window_changed(qmgr);
}

/* ---- answers ---- */

static void
member(void *context, UNUSED struct channel *channel, const struct route_member *message)
{
	struct qmgr *qmgr = context;
	struct question *question = question_find(&qmgr->routing, message->job);

	if (question == NULL)
		return;
	if (question->member_count >= ENVELOPE_RECIPIENTS_MAX ||
	    !buffer_append(&question->members, message->recipient, strlen(message->recipient) + 1))
		question->overflow = true;
	else
		question->member_count++;
}

static void
replace(char **text, const char *with)
{
	free(*text);
	*text = with[0] == '\0' ? NULL : memory_copy_string(with);
}

static void
deliver(struct qmgr *qmgr, struct active_message *message, uint32_t index, const struct route_answer *answer,
    struct outcome_changes *changes)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];

	recipient->state = RECIPIENT_WAITING;
	recipient->next_attempt_ms = 0;
	recipient->waits_for_turn = false;
	recipient->transport = (enum transport)answer->transport;
	free(recipient->next_hop);
	recipient->next_hop = memory_copy_string(answer->next_hop);
	replace(&recipient->delivery_address, answer->address);
	log_event(LOG_RECIPIENT_ROUTED, log_id(message->envelope.id), recipient->address,
	    transport_name(recipient->transport), recipient->next_hop, answer->rule);
	if (expansion_is_duplicate(message, index))
		outcome_duplicate(qmgr, message, index, changes);
	else
		routing_place(qmgr, message, index);
}

static void
apply(struct qmgr *qmgr, struct question *question, const struct route_answer *answer)
{
	struct active_message *message = question->message;
	uint32_t index = question->index;
	struct outcome_changes changes = OUTCOME_CHANGES_INITIALIZER;

	active_set_phase(message, index, PHASE_IDLE);
	if (answer->outcome == ROUTE_DELIVER && answer->transport > TRANSPORT_NONE && answer->transport <= TRANSPORT_LMTP)
		deliver(qmgr, message, index, answer, &changes);
	else if (question->overflow)
		outcome_fail(qmgr, message, index, FAILURE_USERNAME, "5.3.4", "The group has too many members.", NULL);
	else if (answer->outcome == ROUTE_EXPAND || answer->outcome == ROUTE_FORWARD)
		expansion_apply(qmgr, message, index, &question->members, question->member_count,
		    answer->outcome == ROUTE_FORWARD);
	else if (answer->outcome == ROUTE_FAIL && answer->failure > FAILURE_NONE && answer->failure < FAILURE_CLASS_COUNT)
		outcome_fail(qmgr, message, index, (enum failure_class)answer->failure, answer->status, answer->text, NULL);
	else
		outcome_defer(qmgr, message, index, 0, answer->status[0] == '\0' ? "4.4.0" : answer->status,
		    answer->text, NULL, &changes);
	if (changes.chosen != NULL && !message->removed)
		ledger_update(qmgr, message, changes.chosen);
	free(changes.chosen);
}

/* The recipient is to be asked about once more. */
static void
ask_again(struct qmgr *qmgr, struct question *question)
{
	struct active_message *message = question->message;

	active_set_phase(message, question->index, PHASE_UNROUTED);
	question_free(&qmgr->routing, question);
	routing_add(qmgr, message);
}

static void
answered(void *context, UNUSED struct channel *channel, const struct route_answer *answer)
{
	struct qmgr *qmgr = context;
	struct question *question = question_find(&qmgr->routing, answer->job);
	struct active_message *message;

	if (question == NULL) {
		call_outs_routed(qmgr, answer);
		return;
	}
	if (question->outdated) {
		ask_again(qmgr, question);
		return;
	}
	message = question->message;
	apply(qmgr, question, answer);
	question_free(&qmgr->routing, question);
	if (message->phase_count[PHASE_UNROUTED] > 0)
		routing_add(qmgr, message);
	routed_one(qmgr, message);
	if (!TAILQ_EMPTY(&qmgr->routing.waiting))
		routing_kick(qmgr);
}

/* ---- router's channel ---- */

static void
lost(struct qmgr *qmgr)
{
	struct routing *routing = &qmgr->routing;
	struct hash_node *node;

	channel_free(&routing->router);
	report_router_lost(qmgr);
	call_outs_router_lost(qmgr);
	while ((node = hash_table_walk(&routing->questions, NULL)) != NULL)
		ask_again(qmgr, HASH_CONTAINER(node, struct question, by_job));
}

void
routing_outdate(struct qmgr *qmgr)
{
	struct hash_node *node = NULL;

	while ((node = hash_table_walk(&qmgr->routing.questions, node)) != NULL)
		HASH_CONTAINER(node, struct question, by_job)->outdated = true;
}

static void
closed(void *context, UNUSED struct channel *channel, const char *reason)
{
	log_peer_lost("router", reason);
	lost(context);
}

static void
ready(void *context, UNUSED struct channel *channel)
{
	struct qmgr *qmgr = context;

	if (!TAILQ_EMPTY(&qmgr->routing.waiting))
		routing_kick(qmgr);
	report_router_ready(qmgr);
	call_outs_kick(qmgr);
}

void
routing_introduced(struct qmgr *qmgr, enum ipc_side side, int socket)
{
	static const struct route_handlers handlers = {
		.route_member = member,
		.route_answer = answered,
		.report_data = report_data_arrived,
		.report_answer = report_answered,
	};
	static const struct channel_events events = { .closed = closed, .ready = ready };

	if (qmgr->routing.router != NULL)
		lost(qmgr);
	qmgr->routing.router = channel_open(qmgr->base, socket, &route_protocol, side, &handlers, &events, qmgr);
	routing_kick(qmgr);
	report_router_ready(qmgr);
	call_outs_kick(qmgr);
}

void
routing_start(struct qmgr *qmgr)
{
	TAILQ_INIT(&qmgr->routing.waiting);
	TAILQ_INIT(&qmgr->routing.gathering);
	TAILQ_INIT(&qmgr->routing.spreading);
	TAILQ_INIT(&qmgr->routing.expansions);
	qmgr->routing.run = event_new(qmgr->base, -1, 0, run, qmgr);
	qmgr->routing.spread = event_new(qmgr->base, -1, 0, spread, qmgr);
}

void
routing_end(struct qmgr *qmgr)
{
	struct hash_node *node;

	channel_free(&qmgr->routing.router);
	while ((node = hash_table_walk(&qmgr->routing.questions, NULL)) != NULL)
		question_free(&qmgr->routing, HASH_CONTAINER(node, struct question, by_job));
	hash_table_free(&qmgr->routing.questions);
	expansion_end(qmgr);
	event_free(qmgr->routing.run);
	event_free(qmgr->routing.spread);
}
