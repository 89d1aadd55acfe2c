/* dns_context - see dns_context.h */
#include "resolver/dns_context.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unbound-event.h>

#include "common/base/memory.h"

#define CLASS_IN 1
#define FORWARDER_PATIENCE_MS 1000
#define FORWARDER_MEMORY_SECONDS 3
#define SECURITY_BOGUS 1	/* libunbound's numbers, in its callback alone */
#define SECURITY_SECURE 2

struct dns_context {
	struct ub_ctx *unbound;
};

struct question {
	enum dns_kind kind;
	char *name;
	dns_context_cb answered;
	void *owner;
};

static int
set_option(struct dns_context *context, const char *name, const char *value, struct error *error)
{
	int status = ub_ctx_set_option(context->unbound, name, value);

	if (status != 0)
		return error_set(error, ERROR_INVALID, "libunbound option %s %s: %s", name, value, ub_strerror(status));
	return 0;
}

static int
set_number(struct dns_context *context, const char *name, uint64_t value, struct error *error)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return set_option(context, name, text, error);
}

/*
 * Others' caches need time where name servers far away do, however near and quick they are themselves: a question
 * is not repeated, and given up after five times, by the pace of answers that were in the cache. And one that was
 * asked for many names of dead name servers is silent about these, but not dead: its time-outs are forgotten before
 * libunbound has counted enough of them to leave it, and all other mail, alone for a while.
 */
static int
set_forwarder_times(struct dns_context *context, struct error *error)
{
	if (set_number(context, "infra-cache-min-rtt:", FORWARDER_PATIENCE_MS, error) == -1)
		return -1;
	return set_number(context, "infra-host-ttl:", FORWARDER_MEMORY_SECONDS, error);
}

static int
set_options(struct dns_context *context, const struct dns_context_options *options, struct error *error)
{
	static const struct { const char *name, *value; } fixed[] = {
		{ "use-syslog:", "no" },
		{ "do-not-query-localhost:", "no" },	/* where most caches are */
		/* What libunbound would answer by itself but others may be asked about. */
		{ "unblock-lan-zones:", "yes" },
		{ "insecure-lan-zones:", "yes" },
		{ "local-zone:", "127.in-addr.arpa. transparent" },
		{ "local-data:", "1.0.0.127.in-addr.arpa. 10800 IN PTR localhost." },
		{ "local-zone:", "test. transparent" },
		{ "local-zone:", "invalid. transparent" },
		{ "infra-keep-probing:", "yes" },	/* a name server that comes back is used again at once */
		{ "cache-max-ttl:", "86400" },
		{ "cache-max-negative-ttl:", "900" },
		{ "harden-glue:", "yes" },
		{ "harden-dnssec-stripped:", "yes" },
		{ "harden-below-nxdomain:", "yes" },
		{ "harden-short-bufsize:", "yes" },
		{ "outgoing-num-tcp:", "64" },
	};
	size_t i;
	int status;

	for (i = 0; i < ARRAY_COUNT(fixed); i++)
		if (set_option(context, fixed[i].name, fixed[i].value, error) == -1)
			return -1;
	if (set_number(context, "outgoing-range:", options->sockets, error) == -1 ||
	    set_number(context, "num-queries-per-thread:", options->questions, error) == -1 ||
	    set_number(context, "msg-cache-size:", options->cache_size / 3, error) == -1 ||
	    set_number(context, "rrset-cache-size:", options->cache_size / 3 * 2, error) == -1)
		return -1;
	for (i = 0; i < options->trust_anchor_count; i++) {
		status = ub_ctx_add_ta(context->unbound, options->trust_anchors[i]);
		if (status != 0)
			return error_set(error, ERROR_INVALID, "trust anchor %.100s: %s", options->trust_anchors[i],
			    ub_strerror(status));
	}
	if (options->nameserver_count > 0 && set_forwarder_times(context, error) == -1)
		return -1;
	for (i = 0; i < options->nameserver_count; i++) {
		status = ub_ctx_set_fwd(context->unbound, options->nameservers[i]);
		if (status != 0)
			return error_set(error, ERROR_INVALID, "name server %s: %s", options->nameservers[i],
			    ub_strerror(status));
	}
	return 0;
}

struct dns_context *
dns_context_new(struct event_base *base, const struct dns_context_options *options, struct error *error)
{
	struct dns_context *context = memory_new(1, sizeof(*context));

	context->unbound = ub_ctx_create_event(base);
	if (context->unbound == NULL)
		error_set(error, ERROR_UNAVAILABLE, "libunbound makes no context");
	if (context->unbound == NULL || set_options(context, options, error) == -1)
		dns_context_free(&context);
	return context;
}

void
dns_context_free(struct dns_context **context)
{
	if (*context == NULL)
		return;
	/* Calls back for everything in progress. */
	if ((*context)->unbound != NULL)
		ub_ctx_delete((*context)->unbound);
	free(*context);
	*context = NULL;
}

static void
answer_question(struct question *question, struct answer *answer)
{
	question->answered(question->owner, answer);
	answer_free(answer);
	free(question->name);
	free(question);
}

static void
unbound_answered(void *context, int code, void *packet, int length, int security, char *why_bogus,
    int was_ratelimited UNUSED)
{
	struct question *question = context;
	struct answer answer;

	answer_init(&answer);
	if (security == SECURITY_BOGUS) {
		answer_set_none(&answer, why_bogus != NULL ? why_bogus : "DNSSEC validation failed");
		answer.security = DNS_BOGUS;
	} else if (code != 0 || packet == NULL || length < 0) {
		answer_set_none(&answer, "SERVFAIL or no answer from the name servers");
	} else {
		answer_read(&answer, question->kind, question->name, packet, (size_t)length);
		answer.security = security == SECURITY_SECURE ? DNS_SECURE : DNS_INSECURE;
	}
	answer_question(question, &answer);
}

void
dns_context_ask(struct dns_context *context, enum dns_kind kind, const char *name, dns_context_cb answered, void *owner)
{
	struct question *question = memory_new(1, sizeof(*question));
	struct answer answer;
	int status;

	question->kind = kind;
	question->name = memory_copy_string(name);
	question->answered = answered;
	question->owner = owner;
	status = ub_resolve_event(context->unbound, question->name, answer_type_number(kind), CLASS_IN, question,
	    unbound_answered, NULL);
	if (status == 0)
		return;
	answer_init(&answer);
	if (status == UB_SYNTAX)
		answer.outcome = DNS_NO_NAME;
	else
		answer_set_none(&answer, ub_strerror(status));
	answer_question(question, &answer);
}
