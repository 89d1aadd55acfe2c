/*
 * inquiry - asks the program that knows for a fact that a control needs
 *
 * Owns:   our ends of the pairs with resolver, policy and directory, the questions under way, and what is remembered
 *         of clients by their address (client_memory.h) and of senders' domains (sender_memory.h).
 * Talks:  to resolver about names, DNS lists and senders' domains, to policy about SPF and rates, to directory about
 *         recipients and what it remembers of strangers, to qmgr about call-outs. A peer that was restarted is asked again.
 * Trusts: nobody. What an answer holds is bounded and checked before it becomes a fact.
 * Fails:  a fact without an answer is the asker's to give up: it keeps fact_time_ms() and takes fact_unanswered().
 *
 * Live sessions ask here, and so does `matador explain session`, with is_rehearsal.
 */
#ifndef SMTPD_INQUIRY_H
#define SMTPD_INQUIRY_H

#include <stdbool.h>

#include "smtpd/facts.h"

struct event_base;
struct call_out_answer;
struct channel;
struct inquirer;
struct inquiry;
struct ipc_protocol;
struct limits;

/* What a fact is asked about; borrowed until inquiry_ask() returns. */
struct inquiry_subject {
	struct rules *rules;		/* may be held until the answer is there */
	const struct client_facts *client;
	const struct sender_facts *sender;		/* NULL before MAIL */
	const struct recipient_facts *recipient;	/* NULL before RCPT */
	bool is_rehearsal;	/* nobody counts or remembers that this client came */
};

/* The answer, once. The inquiry is gone when this is called. */
typedef void (*inquiry_done_cb)(void *owner, const struct fact_answer *answer);

/* limits is borrowed: policy is told of the sessions in it. */
struct inquirer *inquirer_new(struct event_base *base, struct limits *limits);
/* Owners are not told. */
void inquirer_free(struct inquirer **inquirer);

/* Takes over the socket of a new resolver, policy or directory. False when it is none of these. */
bool inquirer_connect(struct inquirer *inquirer, const struct ipc_protocol *protocol, int socket);

/* The channel to a new qmgr, borrowed, or NULL when it has gone; and what it says of a call-out. */
void inquirer_use_queue(struct inquirer *inquirer, struct channel *queue);
void inquirer_take_call_out(struct inquirer *inquirer, const struct call_out_answer *message);

/* A session that was one of its client's in the limits has ended: policy is told, if it watches the client. */
void inquirer_session_closed(struct inquirer *inquirer, const struct client_facts *client);

/* Asks. NULL when the answer was there at once: then done has been called already. */
struct inquiry *inquiry_ask(struct inquirer *inquirer, enum fact fact, const struct inquiry_subject *subject,
    inquiry_done_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void inquiry_forget(struct inquiry **inquiry);

#endif
