/* active - see active.h */
#include "qmgr/active.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "qmgr/expansion.h"
#include "qmgr/listing.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

struct active_message *
active_new(struct envelope *envelope, struct store_content *content, enum active_place place)
{
	struct active_message *message = memory_new(1, sizeof(*message));
	int class;

	message->envelope = *envelope;
	envelope_init(envelope);
	message->content = content;
	message->place = place;
	message->wake_ms = INT64_MAX;
	LIST_INIT(&message->deliveries);
	for (class = 0; class < CLASS_COUNT; class++)
		LIST_INIT(&message->unplaced[class]);
	LIST_INIT(&message->jobs);
	active_grew(message);
	return message;
}

void
active_free(struct active_message **message_inout)
{
	struct active_message *message = *message_inout;

	if (message == NULL)
		return;
	*message_inout = NULL;
	if (message->content != NULL)
		store_content_release(&message->content);
	address_set_free(&message->addresses);
	place_set_free(&message->places);
	envelope_free(&message->envelope);
	free(message->phases);
	free(message);
}

void
active_grew(struct active_message *message)
{
	size_t count = message->envelope.recipient_count;
	size_t known = 0;
	int phase;

	for (phase = 0; phase < PHASE_COUNT; phase++)
		known += message->phase_count[phase];
	if (count > message->phase_capacity) {
		size_t capacity = message->phase_capacity * 2 > count ? message->phase_capacity * 2 : count;

		message->phases = memory_resize(message->phases, capacity, 1);
		message->phase_capacity = capacity;
	}
	memset(message->phases + known, PHASE_IDLE, count - known);
	message->phase_count[PHASE_IDLE] += (uint32_t)(count - known);
}

enum recipient_phase
active_phase(const struct active_message *message, uint32_t index)
{
	return (enum recipient_phase)message->phases[index];
}

void
active_set_phase(struct active_message *message, uint32_t index, enum recipient_phase phase)
{
	message->phase_count[message->phases[index]]--;
	message->phases[index] = (uint8_t)phase;
	message->phase_count[phase]++;
}

uint32_t
active_index_of(struct active_message *message, uint32_t number)
{
	struct envelope_recipient *recipient = envelope_find_recipient(&message->envelope, number);

	return recipient == NULL ? UINT32_MAX : (uint32_t)(recipient - message->envelope.recipients);
}

bool
active_recipient_is_open(const struct envelope_recipient *recipient)
{
	return recipient->state == RECIPIENT_NEW || recipient->state == RECIPIENT_WAITING;
}

uint32_t
active_in_hand(const struct active_message *message)
{
	return message->phase_count[PHASE_UNROUTED] + message->phase_count[PHASE_ROUTING] +
	    message->phase_count[PHASE_JOURNALLING] + message->phase_count[PHASE_QUEUED] +
	    message->phase_count[PHASE_BUSY] + message->phase_count[PHASE_ADOPTED];
}

int64_t
active_age_ms(const struct active_message *message, int64_t now)
{
	return now - message->arrival_ms;
}

enum message_priority
active_priority(const struct qmgr *qmgr, const struct active_message *message)
{
	uint64_t size = 0;

	if (qmgr->limits.low_priority_size > 0)
		size = message->content != NULL ? message->content->length : store_size(qmgr->store, message->envelope.id);
	return limits_priority(&qmgr->limits, message->envelope.priority, size);
}

struct active_message *
active_find(struct qmgr *qmgr, uint64_t id)
{
	struct hash_node *node = hash_table_find(&qmgr->messages.by_id, hash_number(id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct active_message *message = HASH_CONTAINER(node, struct active_message, by_id);

		if (message->envelope.id == id)
			return message;
	}
	return NULL;
}

void
active_set_arrival(struct qmgr *qmgr, struct active_message *message)
{
	message->arrival_ms = queue_clock_from_wall(&qmgr->clock, message->envelope.arrival_ms, qmgr_now(qmgr));
}

void
active_enter(struct qmgr *qmgr, struct active_message *message)
{
	uint64_t id = message->envelope.id;
	uint32_t i;

	active_set_arrival(qmgr, message);
	hash_table_insert(&qmgr->messages.by_id, &message->by_id, hash_number(message->envelope.id));
	listing_entered(qmgr, message->envelope.id);
	if (message->content != NULL)
		qmgr->messages.content_octets += message->content->length;
	for (i = 0; i < message->envelope.recipient_count; i++)
		if (active_recipient_is_open(&message->envelope.recipients[i]))
			message->open++;
	adoption_apply(qmgr, message);
	active_wake(qmgr, message, false);
	active_settle(qmgr, message);
	adoption_advance(qmgr, id);
}

void
active_wake(struct qmgr *qmgr, struct active_message *message, bool at_once)
{
	int64_t now = qmgr_now(qmgr);
	uint32_t i;

	message->wake_ms = INT64_MAX;
	if (message->held || message->removed)
		return;
	for (i = 0; i < message->envelope.recipient_count; i++) {
		struct envelope_recipient *recipient = &message->envelope.recipients[i];

		if (active_phase(message, i) != PHASE_IDLE || !active_recipient_is_open(recipient))
			continue;
		if (at_once)
			recipient->next_attempt_ms = 0;
		if (window_is_due(qmgr, recipient->next_attempt_ms, now))
			active_set_phase(message, i, PHASE_UNROUTED);
		else if (recipient->next_attempt_ms < message->wake_ms)
			message->wake_ms = recipient->next_attempt_ms;
	}
	if (message->phase_count[PHASE_UNROUTED] > 0)
		routing_add(qmgr, message);
}

void
active_keep_content(struct qmgr *qmgr, struct active_message *message, struct store_content *content)
{
	if (message->content != NULL)
		return;
	message->content = store_content_hold(content);
	qmgr->messages.content_octets += content->length;
}

void
active_drop_content(struct qmgr *qmgr, struct active_message *message)
{
	if (message->content == NULL)
		return;
	qmgr->messages.content_octets -= message->content->length;
	store_content_release(&message->content);
}

void
active_withdraw(struct qmgr *qmgr, struct active_message *message)
{
	struct delivery *delivery, *next;
	uint32_t i;

	for (delivery = LIST_FIRST(&message->deliveries); delivery != NULL; delivery = next) {
		struct destination *destination = delivery->destination;

		next = LIST_NEXT(delivery, message_link);
		delivery_free(&qmgr->destinations, delivery);
		window_queue_shrank(qmgr, destination);
	}
	for (i = 0; i < message->envelope.recipient_count; i++)
		if (active_phase(message, i) == PHASE_QUEUED || active_phase(message, i) == PHASE_UNROUTED)
			active_set_phase(message, i, PHASE_IDLE);
	routing_forget(qmgr, message);
}

/* Out of the table and freed; what is said about it elsewhere is the caller's. */
static void
leave_window(struct qmgr *qmgr, struct active_message *message)
{
	routing_forget(qmgr, message);
	report_forget(qmgr, message);
	active_drop_content(qmgr, message);
	hash_table_remove(&qmgr->messages.by_id, &message->by_id);
	active_free(&message);
}

static void
finish(struct qmgr *qmgr, struct active_message *message)
{
	if (!message->done_recorded)
		ledger_done(qmgr, message->envelope.id);
	qmgr->counters.done++;
	log_event(LOG_MESSAGE_DONE, log_id(message->envelope.id),
	    log_seconds(active_age_ms(message, qmgr_now(qmgr))));
	leave_window(qmgr, message);
	window_changed(qmgr);
}

static void
park(struct qmgr *qmgr, struct active_message *message)
{
	listing_parking(qmgr, &message->envelope, message->held);
	store_park(qmgr->store, &message->envelope, message->held);
	leave_window(qmgr, message);
	window_changed(qmgr);
}

void
active_settle(struct qmgr *qmgr, struct active_message *message)
{
	uint32_t in_hand = active_in_hand(message);

	if (message->removed) {
		if (in_hand == 0 && message->report == NULL)
			finish(qmgr, message);
		return;
	}
	if (message->phase_count[PHASE_FAILING] > 0 || message->phase_count[PHASE_SUCCESS] > 0 || message->delay_due) {
		report_want(qmgr, message);
		return;
	}
	if (in_hand > 0 || message->report != NULL)
		return;
	if (message->open == 0)
		finish(qmgr, message);
	else if (message->recording == 0)
		park(qmgr, message);
}

void
active_free_all(struct qmgr *qmgr)
{
	struct hash_node *node, *next;

	for (node = hash_table_walk(&qmgr->messages.by_id, NULL); node != NULL; node = next) {
		struct active_message *message = HASH_CONTAINER(node, struct active_message, by_id);

		next = hash_table_walk(&qmgr->messages.by_id, node);
		while (!LIST_EMPTY(&message->deliveries))
			delivery_free(&qmgr->destinations, LIST_FIRST(&message->deliveries));
		active_free(&message);
	}
	hash_table_free(&qmgr->messages.by_id);
}
