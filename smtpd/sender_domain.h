/*
 * sender_domain - whether mail could be sent back to a sender's domain: it has an MX that is not the null MX, or an address
 *
 * A domain that says it takes no mail (RFC 7505) is not one that anybody writes from. An address literal is its own proof.
 */
#ifndef SMTPD_SENDER_DOMAIN_H
#define SMTPD_SENDER_DOMAIN_H

#include "smtpd/controls/control.h"

struct dns_client;
struct sender_domain_query;

/* The query is gone. lasts_ms: how long the answer holds; 0: this once. */
typedef void (*sender_domain_done_cb)(void *owner, enum sender_domain_state state, int64_t lasts_ms);

/* Asks. NULL when the DNS had not to be asked: then done has been called. */
struct sender_domain_query *sender_domain_ask(struct dns_client *dns, const struct address *sender,
    sender_domain_done_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void sender_domain_forget(struct sender_domain_query **query);

#endif
