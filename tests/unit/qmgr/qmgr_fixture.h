/*
 * qmgr_fixture - qmgr as a whole over a store in memory and peers that the test plays, for the tests of what it does
 *
 * Each case has a qmgr of its own. until() runs the event loop, pass_time() lets hours go by in no time.
 */
#ifndef TESTS_UNIT_QMGR_QMGR_FIXTURE_H
#define TESTS_UNIT_QMGR_QMGR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/log/log.h"
#include "tests/unit/qmgr/fake_store.h"
#include "tests/unit/qmgr/fake_peers.h"

#define MINUTE INT64_C(60000)
#define CONTENT "Subject: hello\r\nFrom: a\r\n\r\nbody\r\n"

static const struct limits defaults = {
	.inline_body = 256 * 1024,
	.deposit_memory = 1024 * 1024,
	.active_memory = 1024 * 1024,
	.active_messages = 1000,
	.sessions_per_destination = 2,
	.initial_concurrency = 2,
	.deliveries = 4,
	.hops = 25,
	.retry_initial_ms = 15 * MINUTE,
	.retry_cap_ms = 60 * MINUTE,
	.expiry_ms = 24 * 60 * MINUTE,
	.look_interval_ms = 15 * MINUTE,
	.delay_ms = { 24 * 60 * MINUTE, 4 * 60 * MINUTE, 48 * 60 * MINUTE },
	.call_out_timeout_ms = MINUTE,
};

static void
start_qmgr(uint64_t epoch)
{
	memset(&qmgr, 0, sizeof(qmgr));
	qmgr.limits = defaults;
	qmgr_start(&qmgr, base, NULL, &(struct store_summary){ .epoch = epoch, .written_ms = INT64_MIN });
}

static int
set_up(UNUSED void **state)
{
	log_open("test");
	log_set_level(LOG_SEVERITY_ERROR);
	base = event_base_new();
	fake_store_reset(base);
	start_qmgr(1);
	return 0;
}

/* Some turns of the event loop without waiting for anything. */
static void
turn(unsigned times)
{
	while (times-- > 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
tear_down(UNUSED void **state)
{
	peers_free();
	qmgr.leaving = true;
	turn(50);
	qmgr_end(&qmgr);
	fake_store_reset(NULL);
	event_base_free(base);
	return 0;
}

/* Runs the loop until condition, for at most five seconds. */
#define until(condition) do { \
	deadline_t deadline_ = deadline_after_ms(5000); \
	while (!(condition) && !deadline_passed(deadline_)) \
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); \
	assert_true(condition); \
} while (0)

#define until_done(count) until(qmgr.counters.done == (count) && fake_count() == 0)

static void
connect_all(void)
{
	depositor_connect();
	router_connect();
	worker_connect(&smtp, ROLE_SMTP, 0);
	worker_connect(&local, ROLE_LOCAL, 0);
	until(depositor.next_id != 0 && depositor.accepting && qmgr.window.open);
}

/* So much time passes for the queue (and the wall clock is set back by as much). */
UNUSED static void
pass_time(int64_t milliseconds)
{
	usleep(3000);		/* what happened before is to be before */
	qmgr_now(&qmgr);
	qmgr.clock.boot_at_start -= milliseconds;
	qmgr.clock.looked += milliseconds;	/* at its end, too */
	window_changed(&qmgr);
}

/* The worker dies with count jobs in hand, and another one takes its place. */
UNUSED static void
die_with(unsigned count)
{
	until(smtp.in_hand == count && qmgr.deliver.jobs_of[CLASS_TRANSFER] == count);
	worker_connect(&smtp, ROLE_SMTP, 0);
}

UNUSED static void
ask_action(enum queue_action_kind kind, uint64_t id)
{
	struct queue_action action = { .action = (uint8_t)kind, .id = id, .sender = "", .recipient = "", .destination = "",
		.state = "" };

	command_connect();
	send_queue_action(command.channel, &action);
	until(command.answers == 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
