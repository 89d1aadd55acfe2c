/* test_action - what the control command does to waiting mail: hold, release, retry, remove */
#include "tests/unit/qmgr/qmgr_fixture.h"

static void
holds_a_message_until_it_is_released(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	id = deposit("s@example.org", "later@x.example good@host-a.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	ask_action(QUEUE_HOLD, id);
	assert_int_equal(command.count, 1);
	until(fake.messages->parked && fake.messages->held);
	pass_time(120 * MINUTE);
	turn(30);
	assert_int_equal(router.questions, 2);
	ask_action(QUEUE_RETRY, id);
	assert_int_equal(command.count, 0);
	ask_action(QUEUE_RELEASE, id);
	assert_int_equal(command.count, 1);
	until(router.questions == 3);		/* it was due meanwhile */
	until(fake.messages->parked);
	assert_false(fake.messages->held);
}

static void
retries_at_once_and_forgets_the_back_off_of_the_destination(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	id = deposit("s@example.org", "down@host-x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	ask_action(QUEUE_RETRY, 0);
	assert_int_equal(command.count, 1);
	until(smtp.job_count == 2);
	until(fake.messages->parked);
	ask_action(QUEUE_REMOVE, id);
	until(fake_count() == 0);
	assert_int_equal(router.reports, 0);
}

static void
tells_a_worker_that_an_administrator_asked_until_a_job_showed_what_is_true(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "down@host-x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(smtp.last_flags, 0);
	ask_action(QUEUE_RETRY, 0);
	until(smtp.job_count == 2);
	assert_int_equal(smtp.last_flags, DELIVER_FRESH);
	until(fake.messages->parked);
	pass_time(40 * MINUTE);
	until(smtp.job_count == 3);
	assert_int_equal(smtp.last_flags, 0);
}

static void
tells_it_too_when_the_documents_lead_elsewhere_now(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "temp@host-x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	router.instead = "relay-new:25";
	ask_action(QUEUE_RETRY, 0);
	until(smtp.job_count == 2);
	assert_string_equal(smtp.last_next_hop, "relay-new:25");
	assert_int_equal(smtp.last_flags, DELIVER_FRESH);
}

static void
removes_a_message_in_hand_when_its_job_ends(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	smtp.holds_jobs = true;
	id = deposit("s@example.org", "temp@x.example unknown@x.example", CONTENT);
	until(smtp.in_hand == 1);
	ask_action(QUEUE_REMOVE, id);
	assert_int_equal(command.count, 1);
	assert_int_equal(fake_count(), 1);
	finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
	assert_int_equal(router.reports, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(holds_a_message_until_it_is_released),
		CASE(retries_at_once_and_forgets_the_back_off_of_the_destination),
		CASE(tells_a_worker_that_an_administrator_asked_until_a_job_showed_what_is_true),
		CASE(tells_it_too_when_the_documents_lead_elsewhere_now),
		CASE(removes_a_message_in_hand_when_its_job_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
