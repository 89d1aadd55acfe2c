/*
 * spf_verdicts - the SPF checks that are under way
 *
 * Owns:   for each check its one or two identities (HELO and MAIL FROM, judged side by side), what the DNS has said to each, a
 *         deadline; the pair to resolver; the evaluator.
 *         A verdict says how long it lasts: as long as the shortest answer of the DNS that it rests on. One that may differ for
 *         another sender of the same domain, or at another time, or that lacks an answer, is for once.
 * Trusts: neither. A reply of the evaluator is verdict or questions, bounded; an answer of resolver is looked at by the
 *         evaluator only.
 * Fails:  an evaluator that crashes, hangs or talks nonsense costs the identity it had in hand a temporary error. What the DNS
 *         has not said at the deadline is "no answer": what is certain without it is the verdict still, of the rest a
 *         temporary error. A restarted resolver is asked again.
 */
#ifndef POLICY_SPF_VERDICTS_H
#define POLICY_SPF_VERDICTS_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "common/ipc/policy.h"
#include "policy/evaluator.h"

struct event_base;
struct spf_check;
struct spf_verdicts;

#define SPF_CHECKS_MAX 500	/* under way at a time; the others wait, and their deadlines run */
#define SPF_ROUNDS_MAX 40	/* times that one identity goes to the evaluator */
/* Octets that the answers of all checks may take; beyond that an identity may have so many. */
#define SPF_OCTETS_MAX (64u << 20)
#define SPF_OCTETS_ASSURED (32u << 10)
#define SPF_LATE_MS 1000	/* behind the deadline, for what is certain; smtpd waits for that longer */
#define SPF_LIFETIME_MAX 3600		/* seconds of a verdict, */
#define SPF_LIFETIME_NOTHING_MAX 300	/* and of one that rests on a name that is not there */

/* The result of a check; id is not set, the text is lent. The check is gone afterwards. */
typedef void (*spf_verdict_cb)(void *owner, const struct spf_answer *answer);

/* compute is spf_evaluate_packed(), but for tests of what happens when it fails. */
struct spf_verdicts *spf_verdicts_new(struct event_base *base, evaluator_compute_cb compute);
/* Owners are not told. NULL is accepted, the pointer is cleared. */
void spf_verdicts_free(struct spf_verdicts **verdicts);

/* For checks that begin from now on: how long one may take, and what %{r} stands for (our host name; copied). */
void spf_verdicts_configure(struct spf_verdicts *verdicts, int64_t timeout_ms, const char *receiver);

/* Takes over the socket of a new resolver. */
void spf_verdicts_connect(struct spf_verdicts *verdicts, int socket);

/* Begins a check. done is called from the event loop only, never from inside. */
struct spf_check *spf_verdicts_ask(struct spf_verdicts *verdicts, const struct spf_question *question,
    spf_verdict_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void spf_verdicts_forget(struct spf_check **check);

/* Appends "name=value\n" lines for `matador status`. */
void spf_verdicts_status(const struct spf_verdicts *verdicts, struct buffer *lines);

#endif
