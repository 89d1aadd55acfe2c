/*
 * host_lookup - asks resolver for the addresses of a host
 *
 * Owns:   the channel to resolver and every question without an answer.
 * Fails:  never by itself. When resolver is restarted, the unanswered questions are asked again; the caller
 *         has the deadline.
 */
#ifndef SMTP_HOST_LOOKUP_H
#define SMTP_HOST_LOOKUP_H

#include "common/ipc/dns.h"

struct event_base;
struct host_lookup;
struct host_lookups;

typedef void (*host_lookup_cb)(void *context, const struct dns_answer *answer);

struct host_lookups *host_lookups_new(struct event_base *base);
void host_lookups_free(struct host_lookups **lookups);
/* resolver is there, for the first time or again. */
void host_lookups_introduce(struct host_lookups *lookups, int socket, enum ipc_side side);

/* Asks; the answer comes later, once. The result is valid until then or until it is cancelled. */
struct host_lookup *host_lookup_start(struct host_lookups *lookups, const char *name, host_lookup_cb answered,
    void *context);
/* The answer is not wanted any more. NULL is accepted, the pointer is cleared. */
void host_lookup_cancel(struct host_lookup **lookup);

#endif
