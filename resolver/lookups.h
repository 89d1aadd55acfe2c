/*
 * lookups - questions to the DNS and to the hosts file, each asked once
 *
 * Owns:   the questions in progress and the libunbound context, with its cache.
 * Trusts: nobody. A question has one deadline for everything; packets are parsed by resolver/answer.c.
 * Gives:  one answer to each who asks, from the event loop, never before lookups_ask() returns. Those who ask the
 *         same at the same time share one look-up.
 * Bounds: so many look-ups ask the DNS at a time; the next ones wait, within their own deadlines, and what is
 *         too much even for waiting has no answer.
 *
 * "No such name" needs a definite answer to every part of the question; any doubt is "no answer". Where the
 * hosts file is to be asked too, it comes after a DNS that found nothing.
 */
#ifndef RESOLVER_LOOKUPS_H
#define RESOLVER_LOOKUPS_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "common/ipc/dns.h"
#include "resolver/dns_context.h"
#include "resolver/hosts_file.h"

struct asker;
struct lookups;

/*
 * One more kind of question, behind those of common/ipc/dns.h: the addresses that the hosts file has for a host,
 * where host_name_lookup says that it counts.
 */
#define LOOKUP_HOSTS_FILE DNS_KIND_COUNT

/* The names of an address that are told, and looked up to see whether they lead back to it. */
#define LOOKUP_POINTERS_MAX 10

/* Where a host name is looked up; the order of the setting host_name_lookup. */
enum lookup_order { LOOKUP_DNS_THEN_HOSTS, LOOKUP_DNS, LOOKUP_HOSTS };

/* answer is the callee's to read until it returns; its id means nothing. */
typedef void (*lookup_cb)(void *context, const struct dns_answer *answer);

/* Questions are taken after the first lookups_configure(). */
struct lookups *lookups_new(struct event_base *base);
/* Nobody is answered any more; those who still ask must have let go. */
void lookups_free(struct lookups **lookups);

/*
 * Settings from now on: makes a new context, with an empty cache, and asks in it what is in progress. hosts is
 * borrowed until the next time. -1 and an error when that is not possible; everything then stays as it was.
 */
int lookups_configure(struct lookups *lookups, const struct hosts_file *hosts, enum lookup_order order, int64_t timeout_ms,
    const struct dns_context_options *options, struct error *error);

/* Asks. name is text of any case, with or without its last dot, and always absolute. */
struct asker *lookups_ask(struct lookups *lookups, unsigned kind, const char *name, lookup_cb answered, void *context);
/*
 * Its answer is not wanted any more. NULL is accepted, the pointer is cleared. After the answer there is nothing to
 * forget.
 */
void lookups_forget(struct asker **asker);

void lookups_status(const struct lookups *lookups, struct buffer *lines);

#endif
