/*
 * lookups - questions of the other programs and what becomes of them
 *
 * Owns:   the channels to those who ask, the questions in progress, the libunbound context.
 * Trusts: nobody. A question has one deadline for everything; the answers of the DNS are parsed by
 *         resolver/answer.c.
 * Gives:  one answer to each question. Two who ask the same at the same time share one look-up.
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

struct lookups;

/* Where a host name is looked up; the order of the setting host_name_lookup. */
enum lookup_order { LOOKUP_DNS_THEN_HOSTS, LOOKUP_DNS, LOOKUP_HOSTS };

/* hosts is borrowed. Questions are taken after the first lookups_configure(). */
struct lookups *lookups_new(struct event_base *base, const struct hosts_file *hosts);
void lookups_free(struct lookups **lookups);

/*
 * Settings from now on: makes a new context, with an empty cache, and asks in it what is in progress. -1 and
 * an error when that is not possible; the old one then stays.
 */
int lookups_configure(struct lookups *lookups, enum lookup_order order, int64_t timeout_ms,
    const struct dns_context_options *options, struct error *error);

/* Somebody who asks; takes over socket. */
void lookups_introduce(struct lookups *lookups, const char *peer, int socket, enum ipc_side side);

void lookups_status(const struct lookups *lookups, struct buffer *lines);

#endif
