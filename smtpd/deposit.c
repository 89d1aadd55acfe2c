/* deposit - see deposit.h */
#include "smtpd/deposit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/identifier.h"
#include "common/base/memory.h"
#include "common/log/log.h"
#include "common/mail/envelope.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

#define QUEUED_OCTETS (256 * 1024)	/* waiting in the channel, at which sending pauses */
#define IDS_LEFT_WHEN_ASKING 65536
#define LOST_TEXT "Message could not be stored, try again later"

enum order_kind { ORDER_BODY, ORDER_STORE };

struct deposit_order {
	TAILQ_ENTRY(deposit_order) entries;
	enum order_kind kind;
	uint64_t id;
	bool begun;			/* its request was sent */
	struct buffer envelope;
	struct buffer content;
	size_t sent;			/* octets of envelope and content */
	size_t counted;			/* octets counted in the process's total */
	uint64_t body_length;
	uint32_t body_checksum;
	deposit_done_cb done;		/* NULL: the owner has gone */
	void *owner;
};

TAILQ_HEAD(order_list, deposit_order);

struct depositor {
	struct session_shared *shared;
	struct channel *channel;
	struct order_list unsent;	/* the first one may be partly sent */
	struct order_list sent;
	size_t count;
	bool block_wanted;
	bool state_known;		/* qmgr has said whether it accepts */
	const struct depositor_events *events;
	void *context;
};

struct depositor *
depositor_new(struct session_shared *shared, const struct depositor_events *events, void *context)
{
	struct depositor *depositor = memory_new(1, sizeof(*depositor));

	depositor->shared = shared;
	depositor->events = events;
	depositor->context = context;
	TAILQ_INIT(&depositor->unsent);
	TAILQ_INIT(&depositor->sent);
	return depositor;
}

static bool
is_sent(const struct deposit_order *order)
{
	return order->begun && order->sent == order->envelope.length + order->content.length;
}

static void
free_order(struct depositor *depositor, struct deposit_order *order)
{
	TAILQ_REMOVE(is_sent(order) ? &depositor->sent : &depositor->unsent, order, entries);
	depositor->count--;
	depositor->shared->content_octets -= order->counted;
	buffer_free(&order->envelope);
	buffer_free(&order->content);
	free(order);
}

/* Tells the owner and forgets the order. A file that nobody waits for is closed. */
static void
finish_order(struct depositor *depositor, struct deposit_order *order, enum deposit_outcome outcome, int file,
    const char *text)
{
	deposit_done_cb done = order->done;
	void *owner = order->owner;
	uint64_t id = order->id;

	free_order(depositor, order);
	if (done != NULL) {
		done(owner, outcome, file, text);
	} else if (file >= 0) {
		close(file);
		depositor_abandon(depositor, id);
	}
}

void
depositor_free(struct depositor **depositor)
{
	struct depositor *going = *depositor;
	struct deposit_order *order;

	if (going == NULL)
		return;
	while ((order = TAILQ_FIRST(&going->unsent)) != NULL || (order = TAILQ_FIRST(&going->sent)) != NULL)
		free_order(going, order);
	channel_free(&going->channel);
	free(going);
	*depositor = NULL;
}

/* ---- sending ---- */

/* The next octets of the stream, envelope first. */
static struct bytes
next_piece(const struct deposit_order *order)
{
	size_t length;

	if (order->sent < order->envelope.length) {
		length = order->envelope.length - order->sent;
		return (struct bytes){ order->envelope.data + order->sent,
			length < IPC_DATA_MAX ? length : IPC_DATA_MAX };
	}
	length = order->envelope.length + order->content.length - order->sent;
	return (struct bytes){ length == 0 ? "" : order->content.data + (order->sent - order->envelope.length),
		length < IPC_DATA_MAX ? length : IPC_DATA_MAX };
}

static bool
begin_order(struct depositor *depositor, struct deposit_order *order)
{
	struct bytes piece = next_piece(order);
	bool sent;

	if (order->kind == ORDER_BODY)
		sent = send_deposit_body(depositor->channel, &(struct deposit_body){ .id = order->id });
	else
		sent = send_deposit_begin(depositor->channel, &(struct deposit_begin){ .id = order->id,
		    .envelope_length = (uint32_t)order->envelope.length, .content_length = order->content.length,
		    .body_length = order->body_length, .body_checksum = order->body_checksum, .data = piece });
	if (!sent)
		return false;
	order->begun = true;
	order->sent += piece.length;
	return true;
}

static bool
continue_order(struct depositor *depositor, struct deposit_order *order)
{
	struct bytes piece = next_piece(order);

	if (!send_deposit_more(depositor->channel, &(struct deposit_more){ .id = order->id, .data = piece }))
		return false;
	order->sent += piece.length;
	return true;
}

/* Sends as much as credits and the channel's queue allow. */
static void
pump(struct depositor *depositor)
{
	struct deposit_order *order;

	while (depositor->channel != NULL && channel_queued(depositor->channel) < QUEUED_OCTETS &&
	    (order = TAILQ_FIRST(&depositor->unsent)) != NULL) {
		if (!(order->begun ? continue_order(depositor, order) : begin_order(depositor, order)))
			return;
		if (is_sent(order)) {
			TAILQ_REMOVE(&depositor->unsent, order, entries);
			TAILQ_INSERT_TAIL(&depositor->sent, order, entries);
		}
	}
}

static struct deposit_order *
add_order(struct depositor *depositor, enum order_kind kind, uint64_t id, deposit_done_cb done, void *owner)
{
	struct deposit_order *order = memory_new(1, sizeof(*order));

	order->kind = kind;
	order->id = id;
	order->done = done;
	order->owner = owner;
	depositor->count++;
	TAILQ_INSERT_TAIL(&depositor->unsent, order, entries);
	return order;
}

struct deposit_order *
depositor_ask_body(struct depositor *depositor, uint64_t id, deposit_done_cb done, void *owner)
{
	struct deposit_order *order = add_order(depositor, ORDER_BODY, id, done, owner);

	pump(depositor);
	return order;
}

struct deposit_order *
depositor_store(struct depositor *depositor, struct transaction *transaction, deposit_done_cb done, void *owner)
{
	struct deposit_order *order = add_order(depositor, ORDER_STORE, transaction->envelope.id, done, owner);

	envelope_encode(&transaction->envelope, NULL, &order->envelope);
	order->content = transaction->data;
	order->counted = transaction->counted;
	order->body_length = transaction->body_length;
	order->body_checksum = transaction->body_checksum;
	transaction->counted = 0;
	buffer_init(&transaction->data, 0);
	if (transaction->body_file >= 0)
		close(transaction->body_file);
	transaction->body_file = -1;
	pump(depositor);
	return order;
}

void
depositor_detach(struct depositor *depositor, struct deposit_order **order)
{
	struct deposit_order *detached = *order;

	*order = NULL;
	if (detached == NULL)
		return;
	if (!detached->begun) {
		if (detached->body_length > 0)
			depositor_abandon(depositor, detached->id);
		free_order(depositor, detached);
		return;
	}
	detached->done = NULL;
}

void
depositor_abandon(struct depositor *depositor, uint64_t id)
{
	if (depositor->channel != NULL)
		send_deposit_abandon(depositor->channel, &(struct deposit_abandon){ .id = id });
}

void
depositor_check_ids(struct depositor *depositor)
{
	if (depositor->channel == NULL || depositor->block_wanted ||
	    depositor->shared->end_id - depositor->shared->next_id > IDS_LEFT_WHEN_ASKING)
		return;
	depositor->block_wanted = send_deposit_block_wanted(depositor->channel, &(struct deposit_block_wanted){ });
}

struct channel *
depositor_channel(const struct depositor *depositor)
{
	return depositor->channel;
}

size_t
depositor_pending(const struct depositor *depositor)
{
	return depositor->count;
}

/* ---- what qmgr says ---- */

static void
tell_when_ready(struct depositor *depositor)
{
	if (depositor->state_known && depositor->shared->next_id != depositor->shared->end_id)
		depositor->events->ready(depositor->context);
}

static void
take_block(void *context, struct channel *channel, const struct deposit_block *message)
{
	struct depositor *depositor = context;

	(void)channel;
	depositor->shared->next_id = message->first_id;
	depositor->shared->end_id = message->first_id + (UINT64_C(1) << IDENTIFIER_BLOCK_BITS);
	depositor->block_wanted = false;
	tell_when_ready(depositor);
}

static void
take_state(void *context, struct channel *channel, const struct deposit_state *message)
{
	struct depositor *depositor = context;

	(void)channel;
	depositor->shared->accepting = message->accepting != 0;
	strlcpy(depositor->shared->why_not,
	    message->text[0] != '\0' ? message->text : "Insufficient system storage",
	    sizeof(depositor->shared->why_not));
	depositor->state_known = true;
	tell_when_ready(depositor);
}

static struct deposit_order *
find_order(struct depositor *depositor, enum order_kind kind, uint64_t id)
{
	struct deposit_order *order;

	TAILQ_FOREACH(order, &depositor->sent, entries)
		if (order->id == id && order->kind == kind)
			return order;
	/* A refusal may come before the last octets have left. */
	order = TAILQ_FIRST(&depositor->unsent);
	return order != NULL && order->begun && order->id == id && order->kind == kind ? order : NULL;
}

static enum deposit_outcome
outcome_of(uint8_t outcome)
{
	return outcome <= DEPOSIT_PERMANENT ? (enum deposit_outcome)outcome : DEPOSIT_TEMPORARY;
}

static void
take_answer(void *context, struct channel *channel, const struct deposit_answer *message)
{
	struct depositor *depositor = context;
	struct deposit_order *order = find_order(depositor, ORDER_STORE, message->id);

	(void)channel;
	if (order != NULL)
		finish_order(depositor, order, outcome_of(message->outcome), -1, message->text);
	pump(depositor);
}

static void
take_body_answer(void *context, struct channel *channel, const struct deposit_body_answer *message)
{
	struct depositor *depositor = context;
	struct deposit_order *order = find_order(depositor, ORDER_BODY, message->id);

	(void)channel;
	if (order != NULL)
		finish_order(depositor, order, outcome_of(message->outcome), message->file, message->text);
	else if (message->file >= 0)
		close(message->file);
	pump(depositor);
}

static void
take_call_out_answer(void *context, struct channel *channel, const struct call_out_answer *message)
{
	struct depositor *depositor = context;

	(void)channel;
	depositor->events->call_out_answered(depositor->context, message);
}

static const struct deposit_handlers handlers = {
	.deposit_block = take_block,
	.deposit_state = take_state,
	.deposit_answer = take_answer,
	.deposit_body_answer = take_body_answer,
	.call_out_answer = take_call_out_answer,
};

/* ---- qmgr comes and goes ---- */

/*
 * Prepares an order for the next qmgr. False when it cannot be repeated there, or nobody waits for it any more. A body file is gone
 * with its qmgr, unless its message was stored: then the next one knows the id, and the client must not send it again.
 */
static bool
rewind_order(struct depositor *depositor, struct deposit_order *order)
{
	bool was_sent = is_sent(order);

	if (order->kind == ORDER_BODY || order->done == NULL)
		return false;
	if (was_sent) {
		TAILQ_REMOVE(&depositor->sent, order, entries);
		TAILQ_INSERT_TAIL(&depositor->unsent, order, entries);
	}
	order->begun = false;
	order->sent = 0;
	return true;
}

static void
drop_channel(struct depositor *depositor)
{
	struct order_list orders = TAILQ_HEAD_INITIALIZER(orders);
	struct deposit_order *order, *next;

	channel_free(&depositor->channel);
	depositor->shared->connected = false;
	depositor->block_wanted = false;
	/* Those sent first go first again. */
	for (order = TAILQ_FIRST(&depositor->unsent); order != NULL; order = next) {
		next = TAILQ_NEXT(order, entries);
		if (!rewind_order(depositor, order))
			finish_order(depositor, order, DEPOSIT_TEMPORARY, -1, LOST_TEXT);
	}
	TAILQ_CONCAT(&orders, &depositor->unsent, entries);
	for (order = TAILQ_FIRST(&depositor->sent); order != NULL; order = next) {
		next = TAILQ_NEXT(order, entries);
		if (!rewind_order(depositor, order))
			finish_order(depositor, order, DEPOSIT_TEMPORARY, -1, LOST_TEXT);
	}
	TAILQ_CONCAT(&depositor->unsent, &orders, entries);
	depositor->events->lost(depositor->context);
}

static void
on_closed(void *context, struct channel *channel, const char *reason)
{
	struct depositor *depositor = context;

	(void)channel;
	log_peer_lost("qmgr", reason);
	drop_channel(depositor);
}

static void
on_ready(void *context, struct channel *channel)
{
	(void)channel;
	pump(context);
}

void
depositor_connect(struct depositor *depositor, struct event_base *base, int socket)
{
	static const struct channel_events events = { .closed = on_closed, .ready = on_ready };

	if (depositor->channel != NULL)
		drop_channel(depositor);
	depositor->channel = channel_open(base, socket, &deposit_protocol, IPC_ASKS, &handlers, &events,
	    depositor);
	depositor->shared->connected = true;
	pump(depositor);
}
