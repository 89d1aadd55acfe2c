/* reroute - see reroute.h */
#include "qmgr/reroute.h"

#include <event2/event.h>

#include "common/log/log.h"
#include "qmgr/action.h"
#include "qmgr/qmgr.h"
#include "qmgr/selection.h"

#define WAIT_SECONDS 3			/* until router has the documents */
#define DOUBT_MS (60 * 1000)		/* what came for so long after a reload may have been routed before it */

/* Everything that stands in queues or is about to leaves them and is routed again. */
static void
route_active(struct qmgr *qmgr)
{
	struct hash_node *node, *next;

	routing_outdate(qmgr);
	for (node = hash_table_walk(&qmgr->messages.by_id, NULL); node != NULL; node = next) {
		struct active_message *message = HASH_CONTAINER(node, struct active_message, by_id);

		next = hash_table_walk(&qmgr->messages.by_id, node);
		message->routes_known = false;
		if (message->phase_count[PHASE_QUEUED] == 0)
			continue;
		active_withdraw(qmgr, message);
		active_wake(qmgr, message, false);
		active_settle(qmgr, message);
	}
}

static bool
any_is_down(struct qmgr *qmgr)
{
	struct hash_node *node = NULL;
	int64_t now = qmgr_now(qmgr);

	while ((node = hash_table_walk(&qmgr->destinations.by_key, node)) != NULL)
		if (destination_is_down(HASH_CONTAINER(node, struct destination, by_key), now))
			return true;
	return false;
}

static void
gone_through(void *context, UNUSED uint64_t changed, const struct error *error)
{
	struct qmgr *qmgr = context;

	qmgr->reroute.running = false;
	if (error != NULL)
		log_event(LOG_NOTE, error->text);
}

static void
again(struct qmgr *qmgr)
{
	event_add(qmgr->reroute.timer, &(struct timeval){ .tv_sec = WAIT_SECONDS });
}

static void
run(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	struct selection selection;

	if (qmgr->draining)
		return;
	if (qmgr->reroute.running) {
		again(qmgr);
		return;
	}
	route_active(qmgr);
	if (!qmgr->reroute.times_changed && !any_is_down(qmgr))
		return;
	qmgr->reroute.times_changed = false;
	qmgr->reroute.running = true;
	selection_init(&selection, 0, "", "", "", "", 0);
	action_start(qmgr, ACTION_LOOK, &selection, gone_through, qmgr);
}

void
reroute_soon(struct qmgr *qmgr, bool times_changed)
{
	qmgr->reroute.times_changed |= times_changed;
	routing_outdate(qmgr);
	qmgr->routes_since = qmgr_now(qmgr) + DOUBT_MS;
	again(qmgr);
}

void
reroute_start(struct qmgr *qmgr)
{
	qmgr->reroute.timer = event_new(qmgr->base, -1, 0, run, qmgr);
}

void
reroute_end(struct qmgr *qmgr)
{
	event_free(qmgr->reroute.timer);
}
