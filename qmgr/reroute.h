/*
 * reroute - after a reload, mail that is queued already follows the new documents
 *
 * What waits for an attempt of its own is routed anew at that attempt anyway. What stands in the queues of destinations leaves
 * them, and what is put off because a destination is down does not wait for it: router is asked again about both, a few
 * seconds after the reload, when it surely has the new documents too. Where nothing changed, nothing is tried early. Mail that
 * expires earlier by the new documents does so.
 */
#ifndef QMGR_REROUTE_H
#define QMGR_REROUTE_H

#include <stdbool.h>

struct event;
struct qmgr;

struct reroute {
	struct event *timer;
	bool running;		/* MAIL.BOX is being gone through */
	bool times_changed;	/* it has to be, whatever is down */
};

void reroute_start(struct qmgr *qmgr);
void reroute_end(struct qmgr *qmgr);
/* The documents changed; times_changed: also when mail expires, or when senders are told of delays. */
void reroute_soon(struct qmgr *qmgr, bool times_changed);

#endif
