/*
 * evaluator - a child without rights that computes for policy and may crash or hang
 *
 * Owns:   the child, the one pair of sockets to it, the request that it has in hand; the template that it is forked from.
 * Trusts: not the child: what it says is bounded, and it is killed when it says too much, dies, or does not answer in time.
 * Fails:  with the request in hand; the next one goes to a new child. No other request is lost. A template that died (someone must
 *         have killed it) is forked anew, from policy as it is then.
 *
 * The child is forked behind the jail. It has one descriptor, the pair; it may read and write it, get memory up to a limit, and
 * end: any other system call ends it (not under sanitizers, which need more). It keeps nothing from one request to the
 * next, and ends with policy.
 */
#ifndef POLICY_EVALUATOR_H
#define POLICY_EVALUATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

struct event_base;
struct evaluator;

#define EVALUATOR_REQUEST_MAX (256u << 10)
#define EVALUATOR_REPLY_MAX 65536
#define EVALUATOR_PROCESSOR_SECONDS 1	/* of computing that a request may take */
#define EVALUATOR_PATIENCE_MS 5000	/* for an answer: others may need the processor too */

struct evaluator_events {
	/* The child's answer to the request in hand, lent. The next request may be given from inside. False: it makes no sense,
	 * and nothing was done; failed follows. */
	bool (*answered)(void *context, const void *reply, size_t length);
	/* The child is gone, and there will be no answer to the request in hand, if there is one: why, as one line. */
	void (*failed)(void *context, const char *reason);
};

/* In the child: appends the reply to a request. False: the request is malformed, and the child ends. */
typedef bool (*evaluator_compute_cb)(const void *request, size_t length, struct buffer *reply);

/* Forks the template, so it comes before anything that a stranger may not see, and starts the first child; when either fails, the first
 * request tries again. events and context must outlive the evaluator. */
struct evaluator *evaluator_new(struct event_base *base, evaluator_compute_cb compute,
    const struct evaluator_events *events, void *context);
/* Ends the child and its template. NULL is accepted, the pointer is cleared. */
void evaluator_free(struct evaluator **evaluator);

/* Gives it a request, at most EVALUATOR_REQUEST_MAX octets; it must be idle. -1: no child can be had, and nothing is in hand. */
int evaluator_ask(struct evaluator *evaluator, const struct buffer *request, struct error *error);
bool evaluator_is_idle(const struct evaluator *evaluator);

/* The child, 0 for none; and how many had to be replaced. */
pid_t evaluator_process(const struct evaluator *evaluator);
uint64_t evaluator_failures(const struct evaluator *evaluator);

#endif
