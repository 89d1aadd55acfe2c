/* window - see window.h */
#include "qmgr/window.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "qmgr/outcome.h"
#include "qmgr/qmgr.h"
#include "qmgr/retry.h"
#include "qmgr/store/store.h"

#define SURPLUS_MS (20 * 60 * 1000)	/* a surplus message is looked at again then, whatever its destination does, */
#define SURPLUS_SPREAD_MS (20 * 60 * 1000)	/* or so much later: a million of them are not looked at all at once */
#define ASK_AT_MOST 100			/* messages in one request to the store */
#define ROUTING_BACKLOG 500		/* messages waiting for router: the store is not asked for more */
#define AGAIN_SECONDS 5
#define TURNS_MAX 20000			/* destinations that are looked after at the start; for the others the time does it */
#define DAY_MS (24LL * 60 * 60 * 1000)
#define TIMER_MAX_MS (60 * 60 * 1000)

uint32_t
window_active(const struct qmgr *qmgr)
{
	return (uint32_t)qmgr->messages.by_id.count;
}

/* ---- what is due ---- */

/* No attempt is planned further ahead than this. */
static int64_t
horizon(const struct qmgr *qmgr)
{
	return 2 * retry_interval(&qmgr->limits, UINT32_MAX) + SURPLUS_MS + SURPLUS_SPREAD_MS + DAY_MS;
}

bool
window_is_due(const struct qmgr *qmgr, int64_t next_attempt_ms, int64_t now)
{
	return next_attempt_ms <= now || next_attempt_ms > now + horizon(qmgr);
}

int64_t
window_due_time(const struct qmgr *qmgr, int64_t next_due_ms, int64_t now)
{
	if (next_due_ms == INT64_MAX)
		return -1;
	if (next_due_ms <= now)
		return now;
	return next_due_ms > now + horizon(qmgr) ? next_due_ms : -1;
}

/* ---- shares of destinations ---- */

uint32_t
window_share(const struct qmgr *qmgr, const struct destination *destination)
{
	static const uint32_t parts[STANDING_COUNT] = { [STANDING_NEW] = 20, [STANDING_PROVEN] = 4, [STANDING_SUSPECT] = 1000 };
	uint32_t part = qmgr->limits.active_messages / parts[destination->standing];
	uint32_t least = 10 * destination_concurrency(&qmgr->destinations, destination);

	return part > least ? part : least;
}

bool
window_admits(const struct qmgr *qmgr, const struct destination *destination)
{
	uint32_t active = window_active(qmgr), limit = qmgr->limits.active_messages;

	if (active <= limit)
		return destination->queued < window_share(qmgr, destination);
	/* The window is full of others: a little more for those that have little, but never twice as much. */
	return active <= 2 * limit && destination->queued < 2 * destination_concurrency(&qmgr->destinations, destination);
}

void
window_surplus(struct qmgr *qmgr, struct active_message *message, uint32_t index, struct destination *destination)
{
	int64_t now = qmgr_now(qmgr), up = destination_is_down(destination, now) ? destination->down_until : now;

	outcome_wait(qmgr, message, index, up + SURPLUS_MS + arc4random_uniform(SURPLUS_SPREAD_MS));
	message->envelope.recipients[index].waits_for_turn = true;
	destination->surplus++;
	qmgr->window.parked_surplus++;
}

static uint32_t
low_water(const struct qmgr *qmgr, const struct destination *destination)
{
	return window_share(qmgr, destination) / 2;
}

void
window_queue_shrank(struct qmgr *qmgr, struct destination *destination)
{
	if ((destination->surplus > 0 || destination->surplus_unknown) && destination->queued <= low_water(qmgr, destination) &&
	    !destination_is_down(destination, qmgr_now(qmgr))) {
		destination_want_refill(&qmgr->destinations, destination);
		window_changed(qmgr);
	}
	destination_release(&qmgr->destinations, destination);
}

/* ---- content ---- */

bool
window_content_is_short(const struct qmgr *qmgr)
{
	return qmgr->messages.content_octets > qmgr->limits.active_memory / 2;
}

void
window_queued(struct qmgr *qmgr, struct active_message *message, const struct destination *destination)
{
	bool far = destination->queued > 10 * destination_concurrency(&qmgr->destinations, destination);

	if (message->content == NULL || message->place != PLACE_JOURNAL)
		return;
	if (qmgr->messages.content_octets > qmgr->limits.active_memory || (far && window_content_is_short(qmgr)))
		active_drop_content(qmgr, message);
}

/* ---- taking back ---- */

void
window_changed(struct qmgr *qmgr)
{
	if (qmgr->window.open && !qmgr->leaving)
		event_active(qmgr->window.run, 0, 0);
}

static void
came_all(struct qmgr *qmgr, const struct error *error)
{
	struct window *window = &qmgr->window;
	struct destination *destination = window->asked_for;

	window->asking = false;
	window->asked_for = NULL;
	if (destination != NULL) {
		destination->refilling = false;
		if (error == NULL && window->came == 0) {
			destination->surplus = 0;
			destination->surplus_unknown = false;
		} else if (destination->surplus > 0) {
			/* Among them may be others that were due: that none is left only the store knows. */
			destination->surplus = destination->surplus > window->came ? destination->surplus - window->came : 1;
		}
		window_queue_shrank(qmgr, destination);
	}
	if (error != NULL) {
		log_event(LOG_NOTE, error->text);
		event_add(window->due, &(struct timeval){ .tv_sec = AGAIN_SECONDS });
		return;
	}
	window_changed(qmgr);
}

/* The destination has room: those that only waited for their turn there are due. */
static void
bring_forward(struct active_message *message, const struct destination *destination)
{
	size_t i;

	for (i = 0; i < message->envelope.recipient_count; i++) {
		struct envelope_recipient *recipient = &message->envelope.recipients[i];

		if (recipient->state == RECIPIENT_WAITING && recipient->waits_for_turn &&
		    recipient->transport == destination->transport && recipient->next_hop != NULL &&
		    strcmp(recipient->next_hop, destination->next_hop) == 0)
			recipient->next_attempt_ms = 0;
	}
}

/* Nothing was tried since it was routed: it goes where it was routed to, if that was certainly by the documents in force. */
static bool
only_waits_for_turn(const struct envelope *envelope)
{
	size_t i;

	for (i = 0; i < envelope->recipient_count; i++)
		if (active_recipient_is_open(&envelope->recipients[i]) && !envelope->recipients[i].waits_for_turn)
			return false;
	return true;
}

static void
taken(void *context, struct envelope *envelope, const struct error *error)
{
	struct qmgr *qmgr = context;
	struct active_message *message;

	if (envelope == NULL) {
		if (!qmgr->leaving)
			came_all(qmgr, error);
		return;
	}
	if (qmgr->leaving || active_find(qmgr, envelope->id) != NULL) {
		envelope_free(envelope);
		free(envelope);
		return;
	}
	qmgr->window.came++;
	message = active_new(envelope, NULL, PLACE_UNKNOWN);
	free(envelope);
	active_set_arrival(qmgr, message);
	message->routes_known = message->arrival_ms >= qmgr->routes_since &&
	    (qmgr->window.asked_for != NULL || only_waits_for_turn(&message->envelope));
	if (qmgr->window.asked_for != NULL)
		bring_forward(message, qmgr->window.asked_for);
	active_enter(qmgr, message);
}

static void
ask_for_destination(struct qmgr *qmgr, struct destination *destination, uint32_t limit)
{
	uint32_t share = window_share(qmgr, destination);
	uint32_t wanted = share > destination->queued ? share - destination->queued : 1;

	destination_refill_done(&qmgr->destinations, destination);
	destination->refilling = true;
	qmgr->window.asked_for = destination;
	store_take_destination(qmgr->store, destination->key, qmgr_now(qmgr), wanted < limit ? wanted : limit, taken, qmgr);
}

static void
wait_for_due(struct qmgr *qmgr, int64_t next_due_ms, int64_t now)
{
	int64_t wait = next_due_ms - now;

	if (next_due_ms == INT64_MAX)
		return;
	if (wait > TIMER_MAX_MS)
		wait = TIMER_MAX_MS;
	event_add(qmgr->window.due, &(struct timeval){ .tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000 });
}

static void
run(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	struct window *window = &qmgr->window;
	uint32_t active = window_active(qmgr), limit = ASK_AT_MOST;
	struct destination *destination = TAILQ_FIRST(&qmgr->destinations.refill);
	int64_t now = qmgr_now(qmgr), next_due = store_next_due_ms(qmgr->store), due = window_due_time(qmgr, next_due, now);

	if (!window->open || window->asking || qmgr->draining || qmgr->leaving || active >= qmgr->limits.active_messages ||
	    qmgr->routing.waiting_count >= ROUTING_BACKLOG)
		return;
	if (qmgr->limits.active_messages - active < limit)
		limit = qmgr->limits.active_messages - active;
	if (destination == NULL && due < 0) {
		wait_for_due(qmgr, next_due, now);
		return;
	}
	window->asking = true;
	window->came = 0;
	if (destination != NULL && (due < 0 || !window->due_first))
		ask_for_destination(qmgr, destination, limit);
	else
		store_take_due(qmgr->store, due, limit, taken, qmgr);
	window->due_first = !window->due_first;
}

/*
 * Behind which destination an earlier qmgr left mail, whatever the documents say by now: it is taken back as there is room, and
 * routed anew.
 */
static void
waits_there(void *context, const char *key)
{
	struct qmgr *qmgr = context;
	struct destination *destination;
	enum transport transport;

	if (key == NULL || qmgr->leaving) {
		window_changed(qmgr);
		return;
	}
	for (transport = TRANSPORT_LOCAL; transport <= TRANSPORT_LMTP; transport++) {
		size_t length = strlen(transport_name(transport));

		if (strncmp(key, transport_name(transport), length) != 0 || key[length] != ':')
			continue;
		destination = destination_get(&qmgr->destinations, transport, key + length + 1);
		destination->surplus_unknown = true;
		window_queue_shrank(qmgr, destination);
	}
}

void
window_open(struct qmgr *qmgr)
{
	qmgr->window.open = true;
	routing_kick(qmgr);
	window_changed(qmgr);
}

void
window_start(struct qmgr *qmgr)
{
	qmgr->window.run = event_new(qmgr->base, -1, 0, run, qmgr);
	qmgr->window.due = event_new(qmgr->base, -1, 0, run, qmgr);
	store_turns(qmgr->store, TURNS_MAX, waits_there, qmgr);
}

void
window_end(struct qmgr *qmgr)
{
	event_free(qmgr->window.run);
	event_free(qmgr->window.due);
}
