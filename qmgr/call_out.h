/*
 * call_out - does the host that a recipient's mail goes to know him? smtpd asks, before the mail is accepted
 *
 * router says where the mail would go, as for any recipient; where it would leave by SMTP or LMTP, an smtp process
 * asks the next hop (smtp/call_out.h). All who ask for the same recipient at a time share one call-out.
 *
 * Bounds: CALL_OUTS_MAX recipients and CALL_OUT_ASKERS_MAX askers at a time; more are answered by silence. CALL_OUT_PROBES_MAX of
 *         them are on their way, of which no next hop has more than half, or than maximum_sessions_per_destination (beside the
 *         sessions with mail): the rest of its own is set aside, and those of other next hops go on. Each is answered
 *         within call_out_timeout, whatever becomes of router and smtp: what they had in hand when they died is asked again. What
 *         an smtp process had in hand that is asked again may be what ended it: at the second such death it is answered by silence.
 *         One that is out of time counts as on its way until smtp, which began later, is done with it: its session is still there.
 */
#ifndef QMGR_CALL_OUT_H
#define QMGR_CALL_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/mail/call_out.h"

#define CALL_OUTS_MAX 4096
#define CALL_OUT_ASKERS_MAX 16384
#define CALL_OUT_PROBES_MAX 64

struct call_out;
struct call_out_result;
struct deliver_worker;
struct event;
struct qmgr;
struct route_answer;

TAILQ_HEAD(call_out_list, call_out);

struct call_outs {
	struct hash_table by_recipient;
	struct hash_table by_job;	/* asked of router or smtp */
	struct call_out_list waiting;
	struct call_out_list set_aside;	/* until one with the same next hop ends */
	unsigned asker_count;
	unsigned on_their_way;
	struct event *run;
};

/* The answer to one asker; text is lent, at most CALL_OUT_TEXT_MAX octets. */
typedef void (*call_out_done_cb)(void *owner, uint64_t id, enum call_out_outcome outcome, const char *text);

void call_outs_start(struct qmgr *qmgr);
/* Nobody is told. */
void call_outs_end(struct qmgr *qmgr);

/* Asks for owner, who knows the question by id. done may be called from inside. */
void call_outs_ask(struct qmgr *qmgr, const char *recipient, call_out_done_cb done, void *owner, uint64_t id);
/* The owner has gone, with all that he asked. */
void call_outs_forget(struct qmgr *qmgr, const void *owner);

/* What happens to router and smtp: an answer with a job that may be ours, a new one or room for more questions, a loss. */
void call_outs_routed(struct qmgr *qmgr, const struct route_answer *answer);
void call_outs_answered(struct qmgr *qmgr, const struct deliver_worker *worker, const struct call_out_result *result);
void call_outs_kick(struct qmgr *qmgr);
void call_outs_router_lost(struct qmgr *qmgr);
/* Whether it had one in hand that was in hand at an earlier loss, too: a likely reason. */
bool call_outs_worker_lost(struct qmgr *qmgr, const struct deliver_worker *worker);

#endif
