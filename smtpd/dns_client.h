/*
 * dns_client - our end of the pair with resolver: questions to the DNS
 *
 * A resolver that was restarted is asked again. A question without an answer stays; its owner forgets it when it has
 * waited for long enough.
 */
#ifndef SMTPD_DNS_CLIENT_H
#define SMTPD_DNS_CLIENT_H

#include "common/ipc/dns.h"

struct dns_client;
struct dns_query;
struct event_base;

/* The answer, lent until it returns; its outcome is one of enum dns_outcome. The query is gone. */
typedef void (*dns_query_done_cb)(void *owner, const struct dns_answer *answer);

struct dns_client *dns_client_new(struct event_base *base);
/* Owners are not told. The pointer is cleared; NULL is accepted. */
void dns_client_free(struct dns_client **client);

/* Takes over the socket of a new resolver. */
void dns_client_connect(struct dns_client *client, int socket);

/* Asks; done is never called from inside. name is at most 255 octets. */
struct dns_query *dns_client_ask(struct dns_client *client, enum dns_kind kind, const char *name,
    dns_query_done_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void dns_client_forget(struct dns_client *client, struct dns_query **query);

#endif
