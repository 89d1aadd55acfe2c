/*
 * mail_hosts - where mail for a name goes: a question that is made of others
 *
 * Asks for the MX records, then for the addresses of all hosts at once, and judges: what is ours (our name, or an
 * address and port at which we listen) cuts off itself and everything not preferred over it; what is remembered as
 * failed is not usable for a while. The rules about the list itself are in mx_list.h.
 *
 * Each look-up has its deadline, and there are two in a row at most. When a host is usable and none that is as good
 * or better is still being looked up, the others get only MAIL_HOSTS_PATIENCE_MS more and then count as silent:
 * they are but a second choice, and must not delay the first.
 *
 * A server failure is never read as "no MX": only the definite absence of MX records makes the name itself the
 * host, and without an answer, or without the name, only the hosts file can still name addresses.
 */
#ifndef RESOLVER_MAIL_HOSTS_H
#define RESOLVER_MAIL_HOSTS_H

#include "resolver/host_memory.h"
#include "resolver/lookups.h"
#include "resolver/mx_list.h"

struct event_base;
struct mail_hosts;

#define MAIL_HOSTS_PATIENCE_MS 2000

/* What it asks with; borrowed, and the same for all. The functions get context. */
struct mail_hosts_means {
	struct event_base *base;
	void *context;
	/* As lookups_ask() and lookups_forget(). */
	struct asker *(*ask)(void *context, unsigned kind, const char *name, lookup_cb answered, void *asker_context);
	void (*forget)(void *context, struct asker **asker);
	/* Whether we listen at that address (4 or 16 octets) and port. */
	bool (*is_our_address)(void *context, struct bytes address, uint16_t port);
	struct host_memory *memory;
	const char *our_name;		/* "" when we have none */
};

struct mail_hosts_result {
	enum mail_hosts_outcome outcome;
	enum dns_security security;	/* of the MX records */
	bool implicit;
	uint32_t ttl;
	uint32_t retry_seconds;
	const char *text;
	const struct mx_list *list;
};

/* result is the callee's to read until it returns. */
typedef void (*mail_hosts_cb)(void *context, const struct mail_hosts_result *result);

/*
 * Asks; flags are MAIL_HOSTS_.... answered is called once, never before this returns; the question is freed behind
 * it.
 */
struct mail_hosts *mail_hosts_ask(const struct mail_hosts_means *means, const char *name, uint16_t port, unsigned flags,
    mail_hosts_cb answered, void *context);
/* The answer is not wanted any more. NULL is accepted, the pointer is cleared. Not from inside the answer. */
void mail_hosts_free(struct mail_hosts **hosts);

#endif
