/*
 * dns_context - libunbound on our event loop; nothing else sees it
 *
 * Owns:   a context with its cache and its questions in progress. Nothing about a context can change after its first
 *         question, so new settings make a new one.
 * Gives:  every question exactly one answer, perhaps before dns_context_ask() returns, perhaps when it is freed.
 *
 * Trusts: nobody. What counts as secure was validated here, down from the trust anchors; what a name server says of
 *         validation (the AD bit) is ignored. Without a trust anchor everything is insecure.
 *
 * Names go out as they are: there is no search list.
 */
#ifndef RESOLVER_DNS_CONTEXT_H
#define RESOLVER_DNS_CONTEXT_H

#include "common/base/error.h"
#include "resolver/answer.h"

struct event_base;
struct dns_context;

struct dns_context_options {
	const char *const *nameservers;	/* "address" or "address@port"; none: the root servers are asked */
	size_t nameserver_count;
	const char *const *trust_anchors;	/* a DNSKEY or DS record each */
	size_t trust_anchor_count;
	uint64_t cache_size;
	unsigned questions;		/* in progress at a time */
	unsigned sockets;		/* open at a time */
};

/* answer is the callee's to read until it returns. Ask nothing from inside: libunbound is not reentrant. */
typedef void (*dns_context_cb)(void *context, const struct answer *answer);

/* NULL and an error when libunbound refuses an option or a name server. */
struct dns_context *dns_context_new(struct event_base *base, const struct dns_context_options *options,
    struct error *error);
/* Questions in progress are answered with NO_ANSWER meanwhile. Not from inside an answer. */
void dns_context_free(struct dns_context **context);

/* Any kind but DNS_HOST. */
void dns_context_ask(struct dns_context *context, enum dns_kind kind, const char *name, dns_context_cb answered,
    void *owner);

#endif
