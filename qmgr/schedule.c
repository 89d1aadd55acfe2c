/* schedule - see schedule.h */
#include "qmgr/schedule.h"

#include <event2/event.h>

#include "qmgr/outcome.h"
#include "qmgr/qmgr.h"
#include "qmgr/sharing.h"

/* Jobs of the class that may be in hand: the settings say so, and the workers. */
static unsigned
class_limit(const struct qmgr *qmgr, enum delivery_class class)
{
	unsigned allowed = class == CLASS_LOCAL ? qmgr->limits.deliveries : qmgr->limits.transfers;
	unsigned capacity = deliver_capacity(qmgr, class);

	return allowed > 0 && allowed < capacity ? allowed : capacity;
}

static void
start_job(struct qmgr *qmgr, struct destination *destination, struct deliver_worker *worker)
{
	uint32_t recipients[JOB_RECIPIENTS_MAX], count;
	struct active_message *message = destination_take(&qmgr->destinations, destination, recipients, &count);

	if (message != NULL)
		deliver_start_job(qmgr, worker, destination, message, recipients, count);
	window_queue_shrank(qmgr, destination);
}

static void
run_class(struct qmgr *qmgr, enum delivery_class class)
{
	struct destination *destination;
	struct deliver_worker *worker;
	unsigned limit = class_limit(qmgr, class);

	destinations_set_capacity(&qmgr->destinations, class, limit);
	while (qmgr->deliver.jobs_of[class] < limit && deliver_any_can_take(qmgr, class) &&
	    (destination = destination_next(&qmgr->destinations, class)) != NULL) {
		if (destination_is_down(destination, qmgr_now(qmgr))) {
			outcome_destination_down(qmgr, destination);
			destination_release(&qmgr->destinations, destination);
			continue;
		}
		worker = sharing_choose(qmgr, destination);
		if (worker != NULL)
			start_job(qmgr, destination, worker);
		else
			destination_set_aside(&qmgr->destinations, destination);
	}
	destinations_bring_back(&qmgr->destinations, class);
}

static void
run(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;

	if (qmgr->draining || qmgr->leaving)
		return;
	run_class(qmgr, CLASS_LOCAL);
	run_class(qmgr, CLASS_TRANSFER);
}

void
schedule_kick(struct qmgr *qmgr)
{
	if (!qmgr->leaving)
		event_active(qmgr->schedule.run, 0, 0);
}

void
schedule_start(struct qmgr *qmgr)
{
	qmgr->schedule.run = event_new(qmgr->base, -1, 0, run, qmgr);
}

void
schedule_end(struct qmgr *qmgr)
{
	event_free(qmgr->schedule.run);
}
