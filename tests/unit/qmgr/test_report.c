/* test_report - what senders are told: failures, success when they want it, expiry, and delays once */
#include "tests/unit/qmgr/qmgr_fixture.h"

static void
reports_failures_with_their_states_in_one_record(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	router.silent = true;
	id = deposit("s@example.org", "perm1@x.example good@x.example unknown@x.example", CONTENT);
	until(router.questions == 3);
	router.silent = false;
	router_connect();
	until(smtp.delivered == 1);
	router.silent = true;		/* the report is not answered yet */
	until(router.report.length > 0);
	turn(20);
	assert_int_equal(fake_find(id)->envelope.recipients[0].state, RECIPIENT_NEW);
	assert_int_equal(fake_find(id)->envelope.recipients[1].state, RECIPIENT_DELIVERED);
	router.silent = false;
	smtp.holds_jobs = true;
	router_connect();		/* it died: the report is asked for again */
	until(router.reports == 1 && fake_find(id) == NULL);
	assert_int_equal(router.report_recipients, 2);
	assert_string_equal(router.report_header, "Subject: hello\r\nFrom: a\r\n");
	assert_int_equal(fake_count(), 1);
	assert_true(fake.messages->envelope.is_report);
	assert_string_equal(fake.messages->envelope.recipients[0].address, "s@example.org");
}

static void
records_with_a_report_what_failed_while_others_still_wait(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	local.holds_jobs = true;
	id = deposit("s@example.org", "perm1@x.example local1@example.com", CONTENT);
	until(local.in_hand == 1 && qmgr.counters.failed == 1);
	report_tick(&qmgr, clock_monotonic_ms() + 20000);
	until(router.reports == 1 && fake_find(id)->envelope.recipients[0].state == RECIPIENT_FAILED);
	assert_int_equal(router.report_recipients, 1);
	assert_int_equal(local.in_hand, 1);
}

static void
keeps_a_failure_until_its_report_could_be_stored(UNUSED void **state)
{
	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "unknown@x.example", CONTENT);
	until(depositor.answers == 1);
	fake.fail = 1;
	until(router.reports == 1 && fake.fail == 0);
	turn(20);
	assert_int_equal(fake_count(), 1);
	assert_int_equal(fake.messages->envelope.recipients[0].state, RECIPIENT_NEW);
	report_tick(&qmgr, clock_monotonic_ms() + 20000);
	until(router.reports == 2 && fake_count() == 1 && fake.messages->envelope.is_report);
}

static void
never_reports_about_a_report_or_to_nobody(UNUSED void **state)
{
	connect_all();
	deposit("", "unknown@x.example", CONTENT);
	until(depositor.answers == 1);
	until(fake_count() == 0);
	assert_int_equal(router.reports, 0);
	deposit("perm-sender@example.org", "unknown@x.example", CONTENT);
	until(depositor.answers == 2);
	until(fake_count() == 0);
	assert_int_equal(router.reports, 1);		/* it failed too, silently */
}

static void
a_report_that_comes_before_router_can_have_written_it_is_not_taken(UNUSED void **state)
{
	struct buffer recipients = BUFFER_INITIALIZER(0);
	unsigned i;

	connect_all();
	router.hasty = true;
	for (i = 0; i < 1000; i++)
		buffer_printf(&recipients, "unknown%u%0200u@x.example ", i, i);
	deposit("s@example.org", buffer_text(&recipients), CONTENT);
	until(router.hasty_answers == 1);
	turn(50);
	assert_int_equal(router.hasty_answers, 1);
	assert_int_equal(fake_count(), 1);
	assert_int_equal(qmgr.counters.reports, 0);
	buffer_free(&recipients);
}

static void
reports_success_only_when_the_sender_wanted_it(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "local1@x.example local2@x.example");
	envelope.recipients[1].notify = NOTIFY_SUCCESS;
	deposit_envelope(&envelope, CONTENT, 0);
	until(router.reports == 1);
	until(fake_count() == 0);
	assert_int_equal(router.report_kind, REPORT_SUCCESS);
	assert_int_equal(router.report_recipients, 1);
	envelope_free(&envelope);
}

/* ---- expiry ---- */

static void
expires_an_old_message_only_after_a_fresh_attempt(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	pass_time(25 * 60 * MINUTE);
	until(smtp.job_count == 2);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_FAILURE);
	until(fake_count() == 0);
}

static void
expires_nothing_early_when_the_wall_clock_jumps(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	/* It was ten days earlier by the wall clock a moment ago, when this message came. */
	qmgr.clock.queue_at_start -= 10 * 24 * 60 * MINUTE;
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "temp@x.example");
	envelope.arrival_ms = clock_wall_ms() - 10 * 24 * 60 * MINUTE;
	deposit_envelope(&envelope, CONTENT, 0);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 1);
	assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 13 * MINUTE, 17 * MINUTE);
	pass_time(23 * 60 * MINUTE);
	until(smtp.job_count == 2 && fake.messages->parked);
	assert_int_equal(router.reports, 0);
	pass_time(61 * MINUTE);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_FAILURE);
	envelope_free(&envelope);
}

/* ---- delays ---- */

static void
tells_of_a_delay_once(UNUSED void **state)
{
	connect_all();
	qmgr.limits.delay_notifications = true;
	qmgr.limits.expiry_ms = 5 * 24 * 60 * MINUTE;
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(router.reports, 0);
	pass_time(25 * 60 * MINUTE);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_DELAY);
	until(smtp.delivered == 1 && fake_count() == 1 && fake.messages->parked);
	assert_true(fake.messages->envelope.recipients[0].delay_reported);
	pass_time(2 * 60 * MINUTE);
	until(smtp.job_count == 4);		/* twice tried, once the report, once more tried */
	until(fake.messages->parked);
	assert_int_equal(router.reports, 1);
}

static void
tells_of_a_delay_only_those_who_want_to_know(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	qmgr.limits.delay_notifications = true;
	qmgr.limits.expiry_ms = 5 * 24 * 60 * MINUTE;
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "temp1@x.example temp2@x.example temp3@x.example");
	envelope.recipients[0].notify = NOTIFY_FAILURE;
	envelope.recipients[1].notify = NOTIFY_DELAY | NOTIFY_FAILURE;
	deposit_envelope(&envelope, CONTENT, 0);
	envelope_free(&envelope);
	deposit("", "temp4@x.example", CONTENT);
	until(depositor.answers == 2 && window_active(&qmgr) == 0);
	pass_time(25 * 60 * MINUTE);
	until(router.reports == 1);
	until(smtp.delivered == 1 && window_active(&qmgr) == 0);
	assert_int_equal(router.report_recipients, 2);
	assert_int_equal(router.reports, 1);
}

static void
tells_of_a_delay_by_the_messages_priority_and_not_of_held_mail(UNUSED void **state)
{
	struct envelope envelope;
	struct fake_message *held;

	connect_all();
	qmgr.limits.delay_notifications = true;
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "temp1@x.example");
	envelope.priority = PRIORITY_HIGH;
	deposit_envelope(&envelope, CONTENT, 0);
	envelope_free(&envelope);
	deposit("s@example.org", "temp2@x.example", CONTENT);
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "temp3@x.example");
	envelope.priority = PRIORITY_HIGH;
	deposit_envelope(&envelope, CONTENT, 0);
	until(depositor.answers == 3 && window_active(&qmgr) == 0);
	held = fake_find(envelope.id);
	held->held = true;
	envelope_free(&envelope);
	pass_time(5 * 60 * MINUTE);
	until(router.reports == 1);
	until(smtp.delivered == 1 && window_active(&qmgr) == 0);
	assert_int_equal(router.reports, 1);
	assert_int_equal(router.report_recipients, 1);
}

static void
notices_a_delay_within_the_interval_though_the_next_attempt_is_far_off(UNUSED void **state)
{
	connect_all();
	qmgr.limits.delay_notifications = true;
	qmgr.limits.delay_ms[PRIORITY_NORMAL] = 5 * MINUTE;
	qmgr.limits.retry_initial_ms = 600 * MINUTE;
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 19 * MINUTE, 21 * MINUTE);
	pass_time(21 * MINUTE);
	until(router.reports == 1);
	until(fake_count() == 1 && fake.messages->parked);
	assert_true(store_next_due_ms(NULL) - qmgr_now(&qmgr) > 500 * MINUTE);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(reports_failures_with_their_states_in_one_record),
		CASE(records_with_a_report_what_failed_while_others_still_wait),
		CASE(keeps_a_failure_until_its_report_could_be_stored),
		CASE(never_reports_about_a_report_or_to_nobody),
		CASE(a_report_that_comes_before_router_can_have_written_it_is_not_taken),
		CASE(reports_success_only_when_the_sender_wanted_it),
		CASE(expires_an_old_message_only_after_a_fresh_attempt),
		CASE(expires_nothing_early_when_the_wall_clock_jumps),
		CASE(tells_of_a_delay_once),
		CASE(tells_of_a_delay_only_those_who_want_to_know),
		CASE(tells_of_a_delay_by_the_messages_priority_and_not_of_held_mail),
		CASE(notices_a_delay_within_the_interval_though_the_next_attempt_is_far_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
