/*
 * host_lookup - asks resolver where mail for a next hop goes, and tells it which hosts fail or work again
 *
 * Owns:   the channel to resolver and every question without an answer.
 * Fails:  never by itself. When resolver is restarted, the unanswered questions are asked again; the caller
 *         has the deadline.
 *
 * resolver remembers failed hosts for all processes. That a host works is worth telling only where it may be
 * remembered as failed: the hosts that this process reported are known here, and forgotten when they work.
 */
#ifndef SMTP_HOST_LOOKUP_H
#define SMTP_HOST_LOOKUP_H

#include "smtp/mail_hosts.h"

struct event_base;
struct host_lookup;
struct host_lookups;

/* The answer is the callee's, to be freed with mail_hosts_free(). */
typedef void (*host_lookup_cb)(void *context, struct mail_hosts *hosts);

struct host_lookups *host_lookups_new(struct event_base *base);
void host_lookups_free(struct host_lookups **lookups);
/* resolver is there, for the first time or again. */
void host_lookups_introduce(struct host_lookups *lookups, int socket, enum ipc_side side);

/*
 * Asks about name with flags (MAIL_HOSTS_...) for connections to port. The answer comes later, from the event
 * loop, once. The result is valid until then or until it is cancelled.
 */
struct host_lookup *host_lookup_start(struct host_lookups *lookups, const char *name, uint16_t port, unsigned flags,
    host_lookup_cb answered, void *context);
/* The answer is not wanted any more. NULL is accepted, the pointer is cleared. */
void host_lookup_cancel(struct host_lookup **lookup);

/* The host does not work at this port; reason is one line. */
void host_failed(struct host_lookups *lookups, const char *name, uint16_t port, const char *reason);
/* It works. Told to resolver only when it may be remembered as failed, or this process reported so. */
void host_works(struct host_lookups *lookups, const char *name, uint16_t port, bool remembered);

#endif
