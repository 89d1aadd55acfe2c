/*
 * deposit - our end of the pair with qmgr: ids, body files, and messages on their way to stable storage
 *
 * Owns:   the channel, the messages that are not answered yet, with their content.
 * Bounds: a message is sent on as the channel drains; what waits counts in session_shared.content_octets.
 * Fails:  when qmgr is restarted, every unanswered message is sent again under its id. Body files went with the
 *         old qmgr: those who wait for one, or whose message lies in one, are told to try later.
 */
#ifndef SMTPD_DEPOSIT_H
#define SMTPD_DEPOSIT_H

#include <stddef.h>
#include <stdint.h>

#include "common/ipc/deposit.h"

struct depositor;
struct deposit_order;
struct event_base;
struct session_shared;
struct transaction;

/* What became of an order; the order is gone afterwards. file is a body file, the owner's from now on, or -1. */
typedef void (*deposit_done_cb)(void *owner, enum deposit_outcome outcome, int file, const char *text);
struct depositor_events {
	/* qmgr has gone, and with it all body files that were given out. */
	void (*lost)(void *context);
	/* qmgr has granted ids and said whether it accepts: clients get an answer that means something. */
	void (*ready)(void *context);
	/* qmgr says what a call-out found: the channel is ours, the question was another's. */
	void (*call_out_answered)(void *context, const struct call_out_answer *message);
};

/* shared and events are borrowed; what qmgr says of ids and acceptance is written into shared. */
struct depositor *depositor_new(struct session_shared *shared, const struct depositor_events *events,
    void *context);
/* Owners are not told. */
void depositor_free(struct depositor **depositor);

/* Takes over the socket of a new qmgr. */
void depositor_connect(struct depositor *depositor, struct event_base *base, int socket);

/* The channel to qmgr, lent until lost() is called; NULL while there is none. */
struct channel *depositor_channel(const struct depositor *depositor);

/* Asks for a body file for this id. */
struct deposit_order *depositor_ask_body(struct depositor *depositor, uint64_t id, deposit_done_cb done,
    void *owner);
/* Stores the message: takes its content, closes its body file. */
struct deposit_order *depositor_store(struct depositor *depositor, struct transaction *transaction,
    deposit_done_cb done, void *owner);
/* The owner has gone. A message of which nothing was sent yet is forgotten, others go on.
 * The pointer is cleared. */
void depositor_detach(struct depositor *depositor, struct deposit_order **order);
/* Nothing will be deposited under this id: its body file can go. */
void depositor_abandon(struct depositor *depositor, uint64_t id);

/* An id was used: asks for a new block in time. */
void depositor_check_ids(struct depositor *depositor);
/* Orders that wait for an answer. */
size_t depositor_pending(const struct depositor *depositor);

#endif
