/*
 * qmgr - everything that this process holds: MAIL.BOX, the active window, and what is in hand with its peers
 *
 * A message's way: deposit (or window, from the store) -> active -> routing -> destination -> schedule -> deliver ->
 * outcome -> active, which is then parked, reported about, or done. Each of these is one file with its part of this struct.
 */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "qmgr/adoption.h"
#include "qmgr/call_out.h"
#include "qmgr/control.h"
#include "qmgr/deliver.h"
#include "qmgr/deposit.h"
#include "qmgr/destination.h"
#include "qmgr/identifiers.h"
#include "qmgr/ledger.h"
#include "qmgr/limits.h"
#include "qmgr/active.h"
#include "qmgr/queue_clock.h"
#include "qmgr/report.h"
#include "qmgr/reroute.h"
#include "qmgr/routing.h"
#include "qmgr/schedule.h"
#include "qmgr/window.h"

struct event;
struct event_base;
struct store;
struct store_summary;

/* Since the start, for `matador status`. */
struct qmgr_counters {
	uint64_t accepted;	/* messages */
	uint64_t delivered;	/* recipients */
	uint64_t duplicates;	/* recipients that were another's, under another name */
	uint64_t deferrals;
	uint64_t failed;
	uint64_t reports;
	uint64_t done;		/* messages */
};

struct qmgr {
	struct event_base *base;
	struct store *store;
	struct limits limits;
	uint64_t boot;				/* which boot of the system this is; 0: unknown */
	struct queue_clock clock;
	uint64_t settings_saved;		/* of the wall clock, that MAIL.BOX knows */
	struct identifiers identifiers;
	struct active_messages messages;
	struct destinations destinations;
	struct deposits deposits;
	struct routing routing;
	struct schedule schedule;
	struct deliver deliver;
	struct call_outs call_outs;
	struct adoption adoption;
	struct window window;
	struct reports reports;
	struct ledger ledger;
	struct control control;
	struct qmgr_counters counters;
	struct event *tick;	/* every second while something waits for a moment to pass */
	struct event *sweep;	/* looks over the messages in memory */
	int64_t started;	/* queue time */
	int64_t last_look;	/* queue time */
	int64_t routes_since;	/* queue time: what arrived later was routed by the documents in force */
	struct reroute reroute;
	uint32_t orders;	/* of administrators, counted */
	bool draining;
	bool leaving;		/* nothing new is begun and no callback is followed up */
	/* Called when draining and nothing is in hand any more. */
	void (*drained)(void *context);
	/* This process cannot go on; does not return in the program. */
	void (*exhausted)(void *context, const char *reason);
	void *context;
};

/* limits must be filled in; store is open. */
void qmgr_start(struct qmgr *qmgr, struct event_base *base, struct store *store, const struct store_summary *summary);
/* Frees everything but the store, which must be closed already. */
void qmgr_end(struct qmgr *qmgr);
/* New documents are in force, with these limits. */
void qmgr_reloaded(struct qmgr *qmgr, const struct limits *limits);
/* Keeps queue time for the next start; before the store is closed, and every now and then. */
void qmgr_save_clock(struct qmgr *qmgr);
void qmgr_drain(struct qmgr *qmgr);
/* Tells drained when it is time. */
void qmgr_check_drained(struct qmgr *qmgr);

/* Queue time (queue_clock.h). */
int64_t qmgr_now(struct qmgr *qmgr);
/* Something waits for less than a few seconds: see that the tick runs. */
void qmgr_want_tick(struct qmgr *qmgr);

/* "name=value" lines for `matador status`. */
void qmgr_status(struct qmgr *qmgr, struct buffer *lines);

#endif
