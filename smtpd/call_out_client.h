/*
 * call_out_client - does the host that a recipient's mail goes to know him? From directory's memory, or else by way of qmgr
 *
 * What qmgr finds is told to directory, unless it was asked for a rehearsal. A question that a qmgr did not answer is
 * asked again of the next one. The channel to qmgr is that of the deposits (deposit.h).
 */
#ifndef SMTPD_CALL_OUT_CLIENT_H
#define SMTPD_CALL_OUT_CLIENT_H

#include "smtpd/directory_memory.h"
#include "smtpd/facts.h"

struct call_out_answer;
struct call_out_client;
struct call_out_query;
struct channel;

/* The answer, FACT_CALL_OUT; the query is gone. Never called from inside a function that asks. */
typedef void (*call_out_query_done_cb)(void *owner, const struct fact_answer *answer);

/* memory is borrowed. */
struct call_out_client *call_out_client_new(struct directory_memory *memory);
/* Owners are not told. The pointer is cleared; NULL is accepted. */
void call_out_client_free(struct call_out_client **client);

/* There is a new qmgr, or none (NULL); the channel is borrowed. */
void call_out_client_use(struct call_out_client *client, struct channel *queue);
/* What qmgr says. */
void call_out_client_take(struct call_out_client *client, const struct call_out_answer *message);

struct call_out_query *call_out_client_ask(struct call_out_client *client, const char *recipient, bool is_rehearsal,
    call_out_query_done_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void call_out_client_forget(struct call_out_query **query);

#endif
