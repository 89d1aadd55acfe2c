/* test_window - what is in memory and what stands behind a destination: fairness, bounds, and new documents */
#include "qmgr/outcome.h"
#include "tests/unit/qmgr/qmgr_fixture.h"

/* ---- fairness and bounds ---- */

static void
serves_an_idle_destination_beside_a_clogged_one(UNUSED void **state)
{
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	qmgr.limits.active_messages = 40;
	for (i = 0; i < 200; i++) {
		deposit("s@example.org", "good@host-slow.example", CONTENT);
		turn(3);
	}
	until(depositor.answers == 200 && qmgr.routing.waiting_count == 0 && qmgr.routing.questions.count == 0);
	assert_int_equal(smtp.in_hand, 2);
	assert_true(window_active(&qmgr) <= 40);
	smtp.holds_jobs = false;
	deposit("s@example.org", "quick@host-idle.example", CONTENT);
	until(smtp.delivered == 1);
	assert_non_null(strstr(smtp.order, "quick@host-idle.example"));
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 201);
	assert_true(smtp.most_in_hand <= 3);
}

static void
drops_content_over_the_memory_limit_and_reads_it_again(UNUSED void **state)
{
	char content[10001];
	unsigned i;

	memset(content, 'x', 10000);
	memcpy(content, "Subject: x\r\n\r\n", 14);
	content[10000] = '\0';
	connect_all();
	qmgr.limits.active_memory = 50000;
	smtp.holds_jobs = true;
	for (i = 0; i < 100; i++) {
		deposit("s@example.org", "good@host-slow.example", content);
		turn(3);
	}
	until(depositor.answers == 100);
	assert_true(qmgr.messages.content_octets <= 60000);
	smtp.holds_jobs = false;
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 100);
	assert_true(strncmp(smtp.last_content, content, 999) == 0);
	assert_int_equal(qmgr.messages.content_octets, 0);
}

static void
asks_nothing_again_about_what_was_not_tried_since_it_was_routed(UNUSED void **state)
{
	struct destination *destination;
	uint64_t before;
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	for (i = 0; i < 60; i++)
		deposit("s@example.org", "good@host-slow.example", CONTENT);
	until(depositor.answers == 60 && smtp.in_hand == 2 && qmgr.routing.questions.count == 0);
	destination = destination_find(&qmgr.destinations, "smtp:host-slow.example:25");
	destination_put_off(&qmgr.destinations, destination, qmgr_now(&qmgr), 10 * 60 * 60, "4.4.1", "all hosts failed lately", "slow");
	outcome_destination_down(&qmgr, destination);
	until(window_active(&qmgr) == 2);
	before = qmgr.window.parked_surplus;
	/* They are looked at, and wait on. */
	pass_time(11 * 60 * MINUTE);
	destination_put_off(&qmgr.destinations, destination, qmgr_now(&qmgr), 10 * 60 * 60, "4.4.1", "all hosts failed lately", "slow");
	until(qmgr.window.parked_surplus >= before + 40 && window_active(&qmgr) == 2);
	assert_int_equal(router.questions, 60);
}

static void
brings_back_what_only_waits_for_its_turn_when_the_host_is_up_again(UNUSED void **state)
{
	uint64_t before;
	unsigned i;

	connect_all();
	router.instead = "relay:25";
	for (i = 0; i < 60; i++)		/* each was tried once */
		deposit("s@example.org", "temp@host-x.example", CONTENT);
	until(depositor.answers == 60 && smtp.job_count == 60 && window_active(&qmgr) == 0);
	/* They come back together, find the host down, and mostly stand behind it. */
	destination_put_off(&qmgr.destinations, destination_find(&qmgr.destinations, "smtp:relay:25"), qmgr_now(&qmgr), 19 * 60,
	    "4.4.1", "all hosts failed lately", "relay");
	before = qmgr.window.parked_surplus;
	pass_time(17 * MINUTE);
	until(qmgr.window.parked_surplus == before + 50 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 60);
	/* Once the host is up, all of them are tried, not only those whose time has come. */
	pass_time(3 * MINUTE);
	until(smtp.job_count == 120);
	until(window_active(&qmgr) == 0);
}

/* ---- new documents ---- */

/* The documents were read anew, and router has them too. */
static void
reload(const char *next_hop)
{
	router.instead = next_hop;
	qmgr_reloaded(&qmgr, &qmgr.limits);
	event_active(qmgr.reroute.timer, EV_TIMEOUT, 0);
}

static void
takes_mail_to_another_host_after_a_reload_though_the_old_one_is_down(UNUSED void **state)
{
	unsigned i;

	connect_all();
	deposit("s@example.org", "down@host-old.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	for (i = 0; i < 30; i++)		/* most of them stand behind the destination, some wait for a moment */
		deposit("s@example.org", "good@host-old.example", CONTENT);
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(depositor.answers == 32 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 2);
	reload("relay-new:25");
	until(smtp.delivered == 30);
	until(window_active(&qmgr) == 0);
	assert_string_equal(smtp.last_next_hop, "relay-new:25");
	/* What had a back-off of its own keeps it. */
	assert_int_equal(fake_count(), 2);
	assert_int_equal(fake.messages->next->envelope.recipients[0].attempts, 1);
}

static void
tries_nothing_early_after_a_reload_that_changed_no_route(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "down@host-old.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	deposit("s@example.org", "good@host-old.example", CONTENT);
	until(depositor.answers == 2 && window_active(&qmgr) == 0);
	reload(NULL);
	until(router.questions == 4 && window_active(&qmgr) == 0 && !qmgr.reroute.running);
	assert_int_equal(smtp.job_count, 1);
	assert_true(store_next_due_ms(NULL) > qmgr_now(&qmgr) + 10 * MINUTE);
}

static void
returns_mail_that_is_too_old_by_new_documents(UNUSED void **state)
{
	struct limits shorter = defaults;

	connect_all();
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	shorter.expiry_ms = 5 * MINUTE;
	qmgr_reloaded(&qmgr, &shorter);
	event_active(qmgr.reroute.timer, EV_TIMEOUT, 0);
	until(!qmgr.reroute.times_changed && !qmgr.reroute.running && fake.messages->parked);
	assert_int_equal(smtp.job_count, 1);
	assert_true(store_next_due_ms(NULL) - qmgr_now(&qmgr) <= 5 * MINUTE);
	pass_time(6 * MINUTE);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_FAILURE);
	/* And one that is too old at the reload, after one more attempt. */
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(smtp.job_count == 4 && fake.messages->parked);
	qmgr_reloaded(&qmgr, &defaults);
	pass_time(4 * MINUTE);
	shorter.expiry_ms = 3 * MINUTE;
	qmgr_reloaded(&qmgr, &shorter);
	event_active(qmgr.reroute.timer, EV_TIMEOUT, 0);
	until(router.reports == 2);
}

static void
routes_anew_after_a_reload_what_stands_in_queues_or_behind_them(UNUSED void **state)
{
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	qmgr.limits.active_messages = 40;
	for (i = 0; i < 100; i++) {
		deposit("s@example.org", "good@host-slow.example", CONTENT);
		turn(3);
	}
	until(depositor.answers == 100 && qmgr.routing.waiting_count == 0 && qmgr.routing.questions.count == 0);
	assert_int_equal(smtp.in_hand, 2);
	assert_true(qmgr.window.parked_surplus > 50);
	smtp.holds_jobs = false;
	reload("relay-new:25");
	until(smtp.delivered == 98);
	assert_string_equal(smtp.last_next_hop, "relay-new:25");
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
}

static void
uses_no_answer_to_a_question_from_before_a_reload(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "good@host-old.example", CONTENT);
	until(router.questions == 1);		/* its answer is on its way */
	reload("relay-new:25");
	until(fake_count() == 0);
	assert_int_equal(router.questions, 2);
	assert_int_equal(smtp.delivered, 1);
	assert_string_equal(smtp.last_next_hop, "relay-new:25");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(serves_an_idle_destination_beside_a_clogged_one),
		CASE(drops_content_over_the_memory_limit_and_reads_it_again),
		CASE(asks_nothing_again_about_what_was_not_tried_since_it_was_routed),
		CASE(brings_back_what_only_waits_for_its_turn_when_the_host_is_up_again),
		CASE(takes_mail_to_another_host_after_a_reload_though_the_old_one_is_down),
		CASE(tries_nothing_early_after_a_reload_that_changed_no_route),
		CASE(returns_mail_that_is_too_old_by_new_documents),
		CASE(routes_anew_after_a_reload_what_stands_in_queues_or_behind_them),
		CASE(uses_no_answer_to_a_question_from_before_a_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
