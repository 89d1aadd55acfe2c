/* test_sharing - how the processes of smtp share the sessions that a destination may have */
#include "tests/unit/qmgr/qmgr_fixture.h"

static void
connect_two(unsigned sessions)
{
	connect_all();
	worker_connect(&smtp1, ROLE_SMTP, 1);
	turn(5);
	qmgr.limits.sessions_per_destination = qmgr.limits.initial_concurrency = sessions;
	smtp.holds_jobs = smtp1.holds_jobs = true;
}

static void
deposit_for(const char *host, unsigned count)
{
	char recipient[60];
	unsigned answers = depositor.answers + count;

	snprintf(recipient, sizeof(recipient), "good@host-%s.example", host);
	while (count-- > 0)
		deposit("s@example.org", recipient, CONTENT);
	until(depositor.answers == answers);
	turn(50);
}

static void
finish_all(struct fake_worker *worker)
{
	while (worker->jobs != NULL)
		finish_job(worker, worker->jobs);
	turn(50);
}

/* Its jobs go back to qmgr at the end of the channel. */
static void
die(struct fake_worker *worker)
{
	channel_free(&worker->channel);
	finish_all(worker);
}

/* As one that cannot take a job for the moment. */
static struct deliver_worker *
pause_worker(unsigned instance)
{
	struct deliver_worker *worker;

	TAILQ_FOREACH(worker, &qmgr.deliver.workers, link)
		if (worker->role == ROLE_SMTP && worker->instance == instance)
			break;
	worker->telling = true;
	return worker;
}

static void
go_on(struct deliver_worker *worker)
{
	worker->telling = false;
	schedule_kick(&qmgr);
	turn(50);
}

/* Otherwise the idle sessions of the one that had more come beside those that the other one opens later. */
static void
gives_no_process_more_than_its_share_however_little_it_has_to_do(UNUSED void **state)
{
	connect_two(4);
	deposit_for("one", 8);
	assert_int_equal(smtp.in_hand, 2);
	assert_int_equal(smtp1.in_hand, 2);
	finish_all(&smtp);
	assert_int_equal(smtp.in_hand, 2);
	assert_int_equal(smtp1.in_hand, 2);
	finish_all(&smtp);
	finish_all(&smtp);
	finish_all(&smtp1);
	until_done(8);
	smtp1.most_in_hand = 0;
	deposit_for("a", 2);
	deposit_for("b", 2);
	finish_all(&smtp1);
	deposit_for("one", 4);
	assert_int_equal(smtp1.most_in_hand, 2);
	assert_int_equal(smtp1.in_hand, 2);
	assert_int_equal(smtp.in_hand, 4);
}

static void
shares_out_what_does_not_come_out_even(UNUSED void **state)
{
	connect_two(5);
	deposit_for("one", 9);
	assert_int_equal(smtp.in_hand + smtp1.in_hand, 5);
	assert_in_range(smtp.in_hand, 2, 3);
	/* The one with the larger part is always the same. */
	finish_all(&smtp);
	assert_int_equal(smtp.in_hand + smtp1.in_hand, 5);
	assert_int_equal(smtp.most_in_hand + smtp1.most_in_hand, 5);
}

static void
keeps_the_share_of_a_process_that_is_gone(UNUSED void **state)
{
	connect_two(4);
	deposit_for("one", 6);
	die(&smtp1);
	turn(50);
	assert_int_equal(qmgr.deliver.jobs_of[CLASS_TRANSFER], 2);
	assert_int_equal(smtp.in_hand, 2);
	worker_connect(&smtp1, ROLE_SMTP, 1);
	until(smtp1.in_hand == 2);
	assert_int_equal(smtp.most_in_hand, 2);
}

static void
gives_the_only_session_always_to_the_same_process_until_it_is_gone(UNUSED void **state)
{
	struct fake_worker *home, *other;

	connect_two(1);
	deposit_for("one", 3);
	assert_int_equal(smtp.in_hand + smtp1.in_hand, 1);
	home = smtp.in_hand == 1 ? &smtp : &smtp1;
	other = home == &smtp ? &smtp1 : &smtp;
	finish_all(home);
	finish_all(home);
	assert_int_equal(home->job_count, 3);
	die(home);
	until(other->in_hand == 1);
	assert_int_equal(other->job_count, 1);
}

static void
lets_others_pass_a_destination_that_waits_for_the_process_with_room(UNUSED void **state)
{
	struct deliver_worker *paused;

	connect_two(2);
	smtp.holds_jobs = smtp1.holds_jobs = false;
	deposit_for("one", 1);
	deposit_for("two", 1);
	until_done(2);
	smtp.holds_jobs = smtp1.holds_jobs = true;
	paused = pause_worker(0);
	deposit_for("one", 3);
	assert_int_equal(smtp1.in_hand, 1);
	deposit_for("two", 1);
	assert_int_equal(smtp1.in_hand, 2);
	assert_int_equal(smtp.in_hand, 0);
	go_on(paused);
	assert_int_equal(smtp.in_hand, 1);
	finish_all(&smtp);
	finish_all(&smtp1);
	finish_all(&smtp);
	until_done(6);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(gives_no_process_more_than_its_share_however_little_it_has_to_do),
		CASE(shares_out_what_does_not_come_out_even),
		CASE(keeps_the_share_of_a_process_that_is_gone),
		CASE(gives_the_only_session_always_to_the_same_process_until_it_is_gone),
		CASE(lets_others_pass_a_destination_that_waits_for_the_process_with_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
