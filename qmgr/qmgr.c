/* qmgr - see qmgr.h */
#include "qmgr/qmgr.h"

#include <event2/event.h>
#include <string.h>

#include "qmgr/expansion.h"
#include "qmgr/retry.h"
#include "qmgr/store/store.h"

#define EARLIER_SURPLUS_MS (2 * 60 * 60 * 1000)	/* what stood behind a destination at our start came back by itself until then */
#define SWEEP_SECONDS 30	/* how often messages in memory are looked at for recipients that became due */

static void
save_clock(struct qmgr *qmgr, bool at_once)
{
	struct store_note note;

	note.length = queue_clock_save(&qmgr->clock, clock_wall_ms(), clock_boottime_ms(), note.octets);
	qmgr->settings_saved = qmgr->clock.settings;
	store_keep_note(qmgr->store, &note, at_once);
}

/* Arrivals tell their age only beside the settings of the wall clock: after a crash, too. */
int64_t
qmgr_now(struct qmgr *qmgr)
{
	int64_t now = queue_clock_now(&qmgr->clock, clock_wall_ms(), clock_boottime_ms());

	if (qmgr->clock.settings != qmgr->settings_saved)
		save_clock(qmgr, true);
	return now;
}

/* ---- moments that pass ---- */

static void
tick(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	int64_t monotonic = clock_monotonic_ms();
	bool routing = routing_tick(qmgr, monotonic);
	bool reports = report_tick(qmgr, monotonic);
	bool expansions = expansion_tick(qmgr, monotonic);

	if (routing || reports || expansions)
		qmgr_want_tick(qmgr);
}

void
qmgr_want_tick(struct qmgr *qmgr)
{
	if (!qmgr->leaving && !event_pending(qmgr->tick, EV_TIMEOUT, NULL))
		event_add(qmgr->tick, &(struct timeval){ .tv_sec = 1 });
}

/* Senders of messages that wait in queues for long are told; those parked are looked at when they come back. */
static void
look_for_delay(struct qmgr *qmgr, struct active_message *message, int64_t now)
{
	if (!retry_is_delayed(&qmgr->limits, active_priority(qmgr, message), active_age_ms(message, now)))
		return;
	message->delay_due = report_delay_is_wanted(message);
}

static void
sweep(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	struct hash_node *node, *next;
	int64_t now = qmgr_now(qmgr);
	bool look = now - qmgr->last_look >= qmgr->limits.look_interval_ms;

	if (now - qmgr->started >= EARLIER_SURPLUS_MS)
		qmgr->destinations.earlier_surplus = false;
	if (look)
		qmgr->last_look = now;
	qmgr_save_clock(qmgr);
	for (node = hash_table_walk(&qmgr->messages.by_id, NULL); node != NULL; node = next) {
		struct active_message *message = HASH_CONTAINER(node, struct active_message, by_id);

		next = hash_table_walk(&qmgr->messages.by_id, node);
		if (!look && message->wake_ms > now)
			continue;
		if (look)
			look_for_delay(qmgr, message, now);
		if (message->wake_ms <= now)
			active_wake(qmgr, message, false);
		active_settle(qmgr, message);
	}
}

/* ---- beginning and end ---- */

void
qmgr_save_clock(struct qmgr *qmgr)
{
	save_clock(qmgr, false);
}

static void
start_clock(struct qmgr *qmgr, const struct store_summary *summary)
{
	int64_t wall = clock_wall_ms(), boot = clock_boottime_ms();

	if (!queue_clock_resume(&qmgr->clock, qmgr->boot, wall, boot, summary->note.octets, summary->note.length))
		queue_clock_init(&qmgr->clock, qmgr->boot, wall, summary->written_ms, boot);
	save_clock(qmgr, true);
}

void
qmgr_start(struct qmgr *qmgr, struct event_base *base, struct store *store, const struct store_summary *summary)
{
	qmgr->base = base;
	qmgr->store = store;
	start_clock(qmgr, summary);
	qmgr->started = qmgr->last_look = qmgr->routes_since = qmgr_now(qmgr);
	identifiers_init(&qmgr->identifiers, summary->epoch);
	destinations_init(&qmgr->destinations, &qmgr->limits);
	qmgr->destinations.earlier_surplus = store_next_due_ms(store) != INT64_MAX;
	qmgr->tick = event_new(base, -1, 0, tick, qmgr);
	qmgr->sweep = event_new(base, -1, EV_PERSIST, sweep, qmgr);
	event_add(qmgr->sweep, &(struct timeval){ .tv_sec = SWEEP_SECONDS });
	ledger_start(qmgr);
	routing_start(qmgr);
	schedule_start(qmgr);
	deliver_start(qmgr);
	call_outs_start(qmgr);
	window_start(qmgr);
	report_start(qmgr);
	deposit_start(qmgr);
	control_start(qmgr);
	reroute_start(qmgr);
	adoption_start(qmgr);
}

void
qmgr_end(struct qmgr *qmgr)
{
	qmgr->leaving = true;
	adoption_end(qmgr);
	reroute_end(qmgr);
	control_end(qmgr);
	deposit_end(qmgr);
	routing_end(qmgr);
	report_end(qmgr);
	call_outs_end(qmgr);
	deliver_end(qmgr);
	active_free_all(qmgr);
	window_end(qmgr);
	schedule_end(qmgr);
	ledger_end(qmgr);
	destinations_free(&qmgr->destinations);
	event_free(qmgr->sweep);
	event_free(qmgr->tick);
}

void
qmgr_reloaded(struct qmgr *qmgr, const struct limits *limits)
{
	bool times_changed = limits->expiry_ms != qmgr->limits.expiry_ms ||
	    limits->delay_notifications != qmgr->limits.delay_notifications ||
	    memcmp(limits->delay_ms, qmgr->limits.delay_ms, sizeof(limits->delay_ms)) != 0;

	qmgr->limits = *limits;
	reroute_soon(qmgr, times_changed);
	schedule_kick(qmgr);
	window_changed(qmgr);
}

void
qmgr_drain(struct qmgr *qmgr)
{
	qmgr->draining = true;
	qmgr_check_drained(qmgr);
}

void
qmgr_check_drained(struct qmgr *qmgr)
{
	if (qmgr->draining && deliver_jobs(qmgr) == 0 && !deposit_is_busy(qmgr) && qmgr->drained != NULL)
		qmgr->drained(qmgr->context);
}

/* ---- status ---- */

void
qmgr_status(struct qmgr *qmgr, struct buffer *lines)
{
	const struct qmgr_counters *counters = &qmgr->counters;

	buffer_printf(lines, "accepting=%s\n", qmgr->deposits.accepting ? "yes" : "no");
	if (!qmgr->deposits.accepting && !qmgr->deposits.store_accepts)
		buffer_printf(lines, "refuses_because=%s\n", qmgr->deposits.reason);
	buffer_printf(lines, "active=%u\n", window_active(qmgr));
	buffer_printf(lines, "active_octets=%llu\n", (unsigned long long)qmgr->messages.content_octets);
	buffer_printf(lines, "depositing_octets=%llu\n", (unsigned long long)qmgr->deposits.octets);
	buffer_printf(lines, "waiting_for_router=%u\n", qmgr->routing.waiting_count);
	buffer_printf(lines, "destinations=%zu\n", qmgr->destinations.by_key.count);
	buffer_printf(lines, "queued_deliveries=%u\n", qmgr->destinations.queued);
	buffer_printf(lines, "transfers=%u\n", qmgr->deliver.jobs_of[CLASS_TRANSFER]);
	buffer_printf(lines, "deliveries=%u\n", qmgr->deliver.jobs_of[CLASS_LOCAL]);
	buffer_printf(lines, "accepted=%llu\ndelivered=%llu\nduplicates=%llu\ndeferrals=%llu\nfailed=%llu\nreports=%llu\ndone=%llu\n",
	    (unsigned long long)counters->accepted, (unsigned long long)counters->delivered,
	    (unsigned long long)counters->duplicates,
	    (unsigned long long)counters->deferrals, (unsigned long long)counters->failed,
	    (unsigned long long)counters->reports, (unsigned long long)counters->done);
	store_status(qmgr->store, lines);
}
