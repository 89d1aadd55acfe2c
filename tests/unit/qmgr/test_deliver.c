/*
 * test_deliver - attempts: what a result does to recipients and destinations, which worker gets a job, and workers
 * that die
 */
#include "tests/unit/qmgr/qmgr_fixture.h"

/* ---- results ---- */

static void
parks_a_deferred_message_and_tries_it_when_it_is_due(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "temp@x.example good@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(smtp.delivered, 1);
	assert_int_equal(fake.messages->envelope.recipients[1].state, RECIPIENT_DELIVERED);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 1);
	assert_string_equal(fake.messages->envelope.recipients[0].reason, "451 later");
	assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 13 * MINUTE, 17 * MINUTE);
	pass_time(17 * MINUTE);
	until(smtp.job_count == 2);
	until(fake.messages->parked);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 2);
	assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 26 * MINUTE, 34 * MINUTE);
	assert_int_equal(smtp.delivered, 1);
}

static void
puts_off_everything_for_a_host_that_is_down_after_one_attempt(UNUSED void **state)
{
	unsigned i;

	connect_all();
	deposit("s@example.org", "down@host-dead.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	for (i = 0; i < 5; i++)
		deposit("s@example.org", "good@host-dead.example", CONTENT);
	until(depositor.answers == 6 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 1);
	assert_string_equal(fake.messages->next->envelope.recipients[0].reason, "Connection refused");
	deposit("s@example.org", "good@host-alive.example", CONTENT);
	until(fake_count() == 6);
	until(smtp.delivered == 1);
	/* When it is time, one tries first and the others follow. */
	fake_remove(fake.messages->id);
	pass_time(20 * MINUTE);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 6);
}

static void
counts_a_job_once_whoever_was_in_it(UNUSED void **state)
{
	const struct destination *destination;

	connect_all();
	qmgr.limits.sessions_per_destination = 20;
	deposit("s@example.org", "a@host-x.example b@host-x.example c@host-x.example", CONTENT);
	until_done(1);
	destination = destination_find(&qmgr.destinations, "smtp:host-x.example:25");
	assert_int_equal(destination->concurrency, 3);
	/* Three recipients and one failed job: a host that worked a moment ago has chances left. */
	deposit("s@example.org", "down1@host-x.example down2@host-x.example down3@host-x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(destination->failed_jobs, 1);
	assert_int_equal(destination->concurrency, 1);
	assert_false(destination_is_down(destination, qmgr_now(&qmgr)));
}

static void
waits_as_long_as_failed_hosts_are_remembered_without_counting_an_attempt(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "remembered@host-x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 0);
	assert_int_equal(fake.messages->envelope.recipients[0].state, RECIPIENT_WAITING);
	assert_string_equal(fake.messages->envelope.recipients[0].reason, "all hosts failed lately");
	assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 5 * MINUTE - 1000, 5 * MINUTE + 6000);
	/* Another one for that destination waits for the same moment. */
	deposit("s@example.org", "good@host-x.example", CONTENT);
	until(depositor.answers == 2 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 1);
	fake_remove(fake.messages->next->id);
	pass_time(5 * MINUTE + 7000);
	until(smtp.job_count == 2 && window_active(&qmgr) == 0);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 0);
	/* It expires like any other. */
	qmgr.limits.expiry_ms = 8 * MINUTE;
	pass_time(6 * MINUTE);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_FAILURE);
}

/* ---- workers ---- */

static void
spreads_jobs_over_processes_and_prefers_the_one_with_a_free_session(UNUSED void **state)
{
	unsigned i;

	connect_all();
	worker_connect(&smtp1, ROLE_SMTP, 1);
	turn(5);
	smtp.holds_jobs = smtp1.holds_jobs = true;
	for (i = 0; i < 4; i++)
		deposit("s@example.org", "good@host-one.example", CONTENT);
	until(smtp.in_hand == 1 && smtp1.in_hand == 1);
	finish_job(&smtp1, smtp1.jobs);
	until(smtp1.job_count == 2);
	assert_int_equal(smtp.job_count, 1);
}

/* All that is to be said of a job, but not yet the answer that gives its credit back. */
static void
tell_results(const struct fake_worker *worker, const struct fake_job *job)
{
	struct buffer results = BUFFER_INITIALIZER(0);
	struct envelope envelope;
	struct error error = ERROR_INITIALIZER;
	struct delivery_result result;

	assert_int_equal(envelope_decode(job->octets.data, job->envelope_length, &envelope, &error), 0);
	assert_int_equal(envelope.recipient_count, 1);
	judge(&envelope.recipients[0], &result);
	delivery_result_encode(&result, &results);
	send_deliver_results(worker->channel, &(struct deliver_results){ .job = job->number,
	    .results = { results.data, results.length } });
	envelope_free(&envelope);
	buffer_free(&results);
}

static void
gives_a_worker_only_as_many_jobs_as_it_has_credits(UNUSED void **state)
{
	struct buffer recipients = BUFFER_INITIALIZER(0);
	unsigned i;

	connect_all();
	for (i = 0; i < 300; i++)
		buffer_printf(&recipients, "%sgood@host-%u.example", i == 0 ? "" : " ", i);
	deposit("s@example.org", buffer_text(&recipients), CONTENT);	/* they are known to work then */
	until_done(1);
	smtp.holds_jobs = true;
	deposit("s@example.org", buffer_text(&recipients), CONTENT);
	buffer_free(&recipients);
	until(smtp.in_hand == deliver_protocol.window);
	turn(50);
	assert_int_equal(smtp.in_hand, deliver_protocol.window);
	assert_int_equal(qmgr.counters.deferrals, 0);
	/* A job of which everything is known is over, but its credit comes back with the answer. */
	tell_results(&smtp, smtp.jobs);
	until(qmgr.deliver.jobs_of[CLASS_TRANSFER] == deliver_protocol.window - 1);
	turn(50);
	assert_int_equal(smtp.job_count, 300 + deliver_protocol.window);
	assert_int_equal(qmgr.counters.deferrals, 0);
	smtp.holds_jobs = false;
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until_done(2);
	assert_int_equal(smtp.delivered, 600);
}

static void
note_drained(void *context)
{
	*(bool *)context = true;
}

static void
drains_when_the_jobs_in_hand_are_done(UNUSED void **state)
{
	bool drained = false;

	connect_all();
	qmgr.drained = note_drained;
	qmgr.context = &drained;
	smtp.holds_jobs = true;
	deposit("s@example.org", "good@x.example", CONTENT);
	until(smtp.in_hand == 1);
	qmgr_drain(&qmgr);
	deposit("s@example.org", "good@x.example", CONTENT);
	until(depositor.answers == 2);
	turn(20);
	assert_false(drained);
	assert_int_equal(smtp.job_count, 1);
	finish_job(&smtp, smtp.jobs);
	until(drained);
}

/* ---- workers that die ---- */

static void
gives_a_dead_workers_jobs_to_its_successor_without_counting_an_attempt(UNUSED void **state)
{
	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "good@x.example", CONTENT);
	until(smtp.in_hand == 1);
	smtp.holds_jobs = false;
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(fake_count() == 0);
	assert_int_equal(smtp.job_count, 2);
	assert_int_equal(smtp.delivered, 1);
}

static void
lets_a_message_wait_that_is_in_hand_whenever_a_worker_dies(UNUSED void **state)
{
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "good@x.example", CONTENT);
	die_with(1);
	for (i = 2; i <= 3; i++) {
		die_with(1);
		until(fake.messages->parked);
		assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 1, MINUTE + 1000);
		assert_int_equal(fake.messages->envelope.recipients[0].attempts, 0);
		pass_time(2 * MINUTE);
	}
	die_with(1);
	until(fake.messages->parked);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 1);
	assert_true(store_next_due_ms(NULL) - qmgr_now(&qmgr) > 10 * MINUTE);
}

static void
blames_no_neighbour_of_a_message_that_kills(UNUSED void **state)
{
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "good@host-bad.example", CONTENT);
	die_with(1);
	until(smtp.in_hand == 1);
	deposit("s@example.org", "good@host-good.example", CONTENT);
	for (i = 2; i <= 4; i++) {
		die_with(2);
		until(fake.messages->parked && smtp.in_hand == 1);
		assert_false(fake.messages->next->parked);
		pass_time(2 * MINUTE);
	}
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 1);
	finish_job(&smtp, smtp.jobs);
	until(smtp.delivered == 1 && fake_count() == 1);
}

static void
counts_a_death_once_for_a_message_with_many_jobs(UNUSED void **state)
{
	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "good@host-1.example good@host-2.example good@host-3.example good@host-4.example "
	    "good@host-5.example", CONTENT);
	die_with(5);
	until(smtp.in_hand == 5);
	assert_false(fake.messages->parked);
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 5);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(parks_a_deferred_message_and_tries_it_when_it_is_due),
		CASE(puts_off_everything_for_a_host_that_is_down_after_one_attempt),
		CASE(counts_a_job_once_whoever_was_in_it),
		CASE(waits_as_long_as_failed_hosts_are_remembered_without_counting_an_attempt),
		CASE(spreads_jobs_over_processes_and_prefers_the_one_with_a_free_session),
		CASE(gives_a_worker_only_as_many_jobs_as_it_has_credits),
		CASE(drains_when_the_jobs_in_hand_are_done),
		CASE(gives_a_dead_workers_jobs_to_its_successor_without_counting_an_attempt),
		CASE(lets_a_message_wait_that_is_in_hand_whenever_a_worker_dies),
		CASE(blames_no_neighbour_of_a_message_that_kills),
		CASE(counts_a_death_once_for_a_message_with_many_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
