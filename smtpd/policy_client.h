/*
 * policy_client - our end of the pair with policy: SPF, and rates over all smtpd processes
 *
 * Tells:  how many sessions of a client are open here, when policy watches it (common/ipc/policy.def, limits.h), and what becomes of
 *         them. A session whose admission nobody waits for any more goes on, or has ended: policy's count of it is put right.
 */
#ifndef SMTPD_POLICY_CLIENT_H
#define SMTPD_POLICY_CLIENT_H

#include "common/ipc/policy.h"
#include "smtpd/facts.h"

struct event_base;
struct limits;
struct policy_client;
struct policy_query;

/* The answer: FACT_SPF, or the fact whose rate was asked. The query is gone. */
typedef void (*policy_query_done_cb)(void *owner, const struct fact_answer *answer);

/* limits is borrowed: it has the sessions that FACT_ADMISSION is asked about. */
struct policy_client *policy_client_new(struct event_base *base, struct limits *limits);
/* Owners are not told. The pointer is cleared; NULL is accepted. */
void policy_client_free(struct policy_client **client);

/* Takes over the socket of a new policy. */
void policy_client_connect(struct policy_client *client, int socket);

/* Asks FACT_SPF, FACT_ADMISSION, FACT_MESSAGE_RATE or FACT_RECIPIENT_RATE; done is never called from inside. With is_rehearsal
 * nothing is counted. sender may be NULL when SPF is not asked. */
struct policy_query *policy_client_ask(struct policy_client *client, enum fact fact, const struct client_facts *facts,
    const struct sender_facts *sender, bool is_rehearsal, policy_query_done_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void policy_client_forget(struct policy_client *client, struct policy_query **query);

/* A session that is, or was until now, one of its client's in the limits has ended. */
void policy_client_session_closed(struct policy_client *client, const struct client_facts *facts);

#endif
