/* action - see action.h */
#include "qmgr/action.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "qmgr/listing.h"
#include "qmgr/outcome.h"
#include "qmgr/qmgr.h"
#include "qmgr/selection.h"
#include "qmgr/store/store.h"

#define ASKED_AT_MOST 100		/* messages that the store is asked for at a time */

struct action_item {
	uint64_t id;
	bool held;
};

struct action {
	struct qmgr *qmgr;
	enum action_kind kind;
	uint32_t order;			/* which order of an administrator this is */
	char *destination;		/* owned: of ACTION_ROUTE */
	action_done_cb callback;
	void *context;
	struct action_item *items;	/* owned: what was selected */
	size_t item_count;
	size_t capacity;
	size_t next;
	unsigned asked;			/* messages that the store was asked for */
	uint64_t changed;
};

/* One of them. */
struct asked {
	struct action *action;
	uint64_t id;
	bool came;
};

static const char *const action_names[] = { "hold", "release", "retry", "remove", "route" };

static void
end(struct action *action, const struct error *error)
{
	action->callback(action->context, action->changed, error);
	free(action->destination);
	free(action->items);
	free(action);
}

/* ---- one message ---- */

static struct destination *
destination_of(struct qmgr *qmgr, const struct envelope_recipient *recipient)
{
	if (recipient->transport == TRANSPORT_NONE || recipient->next_hop == NULL)
		return NULL;
	return destination_get(&qmgr->destinations, recipient->transport, recipient->next_hop);
}

/* The recipient is tried at once, and so is its destination. */
static void
override_schedule(struct action *action, struct envelope_recipient *recipient, bool idle)
{
	struct qmgr *qmgr = action->qmgr;
	struct destination *destination = destination_of(qmgr, recipient);

	if (idle)
		recipient->next_attempt_ms = 0;
	if (destination == NULL)
		return;
	destination_override(&qmgr->destinations, destination, action->order);
	destination->low_until = qmgr_now(qmgr) + QUEUE_CLOCK_SLACK_MS;
	destination_release(&qmgr->destinations, destination);
}

/* The recipient is routed at once if its destination is down. */
static bool
look(struct qmgr *qmgr, struct active_message *message, uint32_t index)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];
	struct destination *destination = destination_of(qmgr, recipient);
	bool down = destination != NULL && destination_is_down(destination, qmgr_now(qmgr));

	if (down)
		recipient->next_attempt_ms = 0;
	if (destination != NULL)
		destination_release(&qmgr->destinations, destination);
	return outcome_hasten(qmgr, message, index) || down;
}

/* Whether it applied to any recipient. */
static bool
change_schedule(struct action *action, struct active_message *message)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < message->envelope.recipient_count; i++) {
		struct envelope_recipient *recipient = &message->envelope.recipients[i];
		bool idle = active_phase(message, i) == PHASE_IDLE;

		if (!active_recipient_is_open(recipient) ||
		    (action->kind == ACTION_ROUTE && !selection_is_destination(action->destination, recipient, true)))
			continue;
		if (action->kind == ACTION_LOOK) {
			any |= idle && look(action->qmgr, message, i);
			continue;
		}
		override_schedule(action, recipient, idle);
		message->order = action->order;
		any = true;
	}
	return any;
}

/* Changes a message in memory; the caller lets it settle. False when the action does not apply to it. */
static bool
change(struct action *action, struct active_message *message)
{
	switch (action->kind) {
	case ACTION_HOLD:
		if (message->held)
			return false;
		message->held = true;
		ledger_hold(action->qmgr, message->envelope.id, true);
		break;
	case ACTION_RELEASE:
		if (!message->held)
			return false;
		message->held = false;
		ledger_hold(action->qmgr, message->envelope.id, false);
		break;
	case ACTION_REMOVE:
		message->removed = true;
		break;
	default:
		if (message->held || !change_schedule(action, message))
			return false;
		break;
	}
	if (action->kind != ACTION_LOOK)
		log_event(LOG_MESSAGE_CHANGED, log_id(message->envelope.id), action_names[action->kind]);
	return true;
}

static bool
change_active(struct action *action, struct active_message *message)
{
	if (message->removed || !change(action, message))
		return false;
	if (action->kind == ACTION_HOLD || action->kind == ACTION_REMOVE)
		active_withdraw(action->qmgr, message);
	else
		active_wake(action->qmgr, message, false);
	active_settle(action->qmgr, message);
	return true;
}

/* ---- all of them ---- */

static void act(struct action *action);

static void
taken(void *context, struct envelope *envelope, const struct error *error)
{
	struct asked *asked = context;
	struct action *action = asked->action;
	struct qmgr *qmgr = action->qmgr;
	struct active_message *message;

	if (envelope == NULL) {
		/* It was not there if it came back as due while the store was asked. */
		message = asked->came || qmgr->leaving ? NULL : active_find(qmgr, asked->id);
		free(asked);
		if (error != NULL)
			log_event(LOG_NOTE, error->text);
		if (qmgr->leaving)
			return;
		if (message != NULL)
			action->changed += change_active(action, message);
		action->asked--;
		act(action);
		return;
	}
	asked->came = true;
	message = active_new(envelope, NULL, PLACE_UNKNOWN);
	free(envelope);
	message->held = store_held(qmgr->store, message->envelope.id);
	active_set_arrival(qmgr, message);
	action->changed += change(action, message);
	/* A full window has no room: it is taken in its turn, as due. */
	if (window_active(qmgr) >= qmgr->limits.active_messages && !message->removed) {
		listing_parking(qmgr, &message->envelope, message->held);
		store_park(qmgr->store, &message->envelope, message->held);
		active_free(&message);
		window_changed(qmgr);
	} else {
		active_enter(qmgr, message);
	}
}

/* Whether it can apply to a message, as far as that is known without its envelope. */
static bool
may_apply(enum action_kind kind, bool held)
{
	if (kind == ACTION_RELEASE)
		return held;
	return kind == ACTION_REMOVE || !held;
}

static void
ask(struct action *action, uint64_t id)
{
	struct asked *asked = memory_new(1, sizeof(*asked));

	asked->action = action;
	asked->id = id;
	action->asked++;
	store_take_id(action->qmgr->store, id, taken, asked);
}

/* Goes on with what was selected, until the store has been asked for enough or everything is done. */
static void
act(struct action *action)
{
	struct qmgr *qmgr = action->qmgr;

	while (action->next < action->item_count && action->asked < ASKED_AT_MOST) {
		const struct action_item *item = &action->items[action->next++];
		struct active_message *message = active_find(qmgr, item->id);

		if (message != NULL)
			action->changed += change_active(action, message);
		else if (may_apply(action->kind, item->held))
			ask(action, item->id);
	}
	if (action->asked > 0)
		return;
	schedule_kick(qmgr);
	end(action, NULL);
}

static bool
selected(void *context, const struct listing_item *item, const struct error *error)
{
	struct action *action = context;

	if (item == NULL && error != NULL) {
		end(action, error);
		return false;
	}
	if (item == NULL) {
		act(action);
		return false;
	}
	if (action->item_count == action->capacity) {
		action->capacity = action->capacity ? action->capacity * 2 : 64;
		action->items = memory_resize(action->items, action->capacity, sizeof(*action->items));
	}
	action->items[action->item_count++] = (struct action_item){ item->id, item->held };
	return true;
}

void
action_start(struct qmgr *qmgr, enum action_kind kind, struct selection *selection, action_done_cb callback, void *context)
{
	struct action *action = memory_new(1, sizeof(*action));

	action->qmgr = qmgr;
	action->kind = kind;
	action->order = ++qmgr->orders;
	action->destination = memory_copy_string(selection->destination);
	action->callback = callback;
	action->context = context;
	listing_start(qmgr, selection, 0, 0, false, selected, action);
}
