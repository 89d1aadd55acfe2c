/* test_restart - a qmgr that follows another: it finds what waits, and takes over what workers have in hand */
#include "tests/unit/qmgr/qmgr_fixture.h"

/* Ends qmgr as a crash would, and starts another over the same store. */
static void
restart_qmgr(void)
{
	struct fake_message *message;

	qmgr.leaving = true;
	turn(50);
	qmgr_end(&qmgr);
	for (message = fake.messages; message != NULL; message = message->next)
		message->parked = true;
	start_qmgr(2);
}

static void
schedules_what_it_finds_at_its_start(UNUSED void **state)
{
	connect_all();
	router.silent = true;
	deposit("s@example.org", "good@x.example", CONTENT);
	until(depositor.answers == 1 && router.questions == 1);
	restart_qmgr();
	router.silent = false;
	connect_all();
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 1);
}

/* A hundred messages for a destination that does not move: most of them are parked behind it. */
static void
fill_behind_a_destination(void)
{
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	qmgr.limits.active_messages = 40;
	for (i = 0; i < 100; i++) {
		deposit("s@example.org", "good@host-slow.example", CONTENT);
		turn(3);
	}
	until(depositor.answers == 100 && qmgr.window.parked_surplus > 50 && qmgr.routing.questions.count == 0);
}

static void
takes_back_what_was_left_behind_a_destination_where_no_mail_goes_any_more(UNUSED void **state)
{
	fill_behind_a_destination();
	restart_qmgr();
	smtp.holds_jobs = false;
	router.instead = "relay-new:25";
	connect_all();
	router.instead = "relay-new:25";
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 100);
	assert_string_equal(smtp.last_next_hop, "relay-new:25");
}

static void
takes_back_what_an_earlier_qmgr_left_behind_a_destination(UNUSED void **state)
{
	fill_behind_a_destination();
	restart_qmgr();
	smtp.holds_jobs = false;
	connect_all();
	/* Half an hour is not over: they come because those that were in memory are done. */
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 100);
}

/* ---- what workers hold ---- */

static void
gives_nothing_twice_that_a_worker_still_holds(UNUSED void **state)
{
	static const struct deliver_holding_end end;
	struct deliver_holding holding;
	struct deliver_late_results late = { .last = 1 };
	struct delivery_result result = { .outcome = DELIVERY_DONE, .status = "2.0.0", .text = "250 ok", .host = "h" };
	struct buffer octets = BUFFER_INITIALIZER(0), numbers = BUFFER_INITIALIZER(0);
	uint64_t id;

	connect_all();
	smtp.holds_jobs = true;
	id = deposit("s@example.org", "good@x.example", CONTENT);
	until(smtp.in_hand == 1);
	holding = (struct deliver_holding){ .job = smtp.jobs->number, .message_id = id };
	restart_qmgr();
	router_connect();
	worker_connect(&local, ROLE_LOCAL, 0);
	worker_connect_untold(&smtp, ROLE_SMTP, 0);
	wire_put_u32(&numbers, 0);
	holding.recipients = (struct bytes){ numbers.data, numbers.length };
	turn(20);
	assert_false(qmgr.window.open);
	send_deliver_holding(smtp.channel, &holding);
	send_deliver_holding_end(smtp.channel, &end);
	until(qmgr.window.open);
	turn(30);
	assert_int_equal(smtp.job_count, 1);
	assert_int_equal(window_active(&qmgr), 1);
	delivery_result_encode(&result, &octets);
	late.job = holding.job;
	late.message_id = id;
	late.results = (struct bytes){ octets.data, octets.length };
	send_deliver_late_results(smtp.channel, &late);
	until(fake_count() == 0);
	assert_int_equal(smtp.job_count, 1);
	buffer_free(&octets);
	buffer_free(&numbers);
}

static void
applies_results_that_come_with_what_is_held(UNUSED void **state)
{
	static const struct deliver_holding_end end;
	struct deliver_holding holding = { .job = 9 };
	struct deliver_late_results late = { .job = 9, .last = 1 };
	struct delivery_result result = { .outcome = DELIVERY_DONE, .status = "2.0.0", .text = "250 ok", .host = "h" };
	struct buffer octets = BUFFER_INITIALIZER(0), numbers = BUFFER_INITIALIZER(0);

	connect_all();
	router.silent = true;
	late.message_id = holding.message_id = deposit("s@example.org", "good@x.example other@x.example", CONTENT);
	until(depositor.answers == 1);
	restart_qmgr();
	router.silent = false;
	router_connect();
	worker_connect_untold(&smtp, ROLE_SMTP, 0);
	wire_put_u32(&numbers, 0);
	holding.recipients = (struct bytes){ numbers.data, numbers.length };
	delivery_result_encode(&result, &octets);
	late.results = (struct bytes){ octets.data, octets.length };
	send_deliver_holding(smtp.channel, &holding);
	send_deliver_holding_end(smtp.channel, &end);
	send_deliver_late_results(smtp.channel, &late);
	until(fake_count() == 0);
	assert_int_equal(smtp.job_count, 1);
	assert_string_equal(smtp.order, "other@x.example ");
	assert_int_equal(qmgr.adoption.by_message.count, 0);
	buffer_free(&octets);
	buffer_free(&numbers);
}

static void
tell_holding(struct fake_worker *worker, uint64_t job, uint64_t id, uint32_t number)
{
	struct buffer numbers = BUFFER_INITIALIZER(0);
	struct deliver_holding holding = { .job = job, .message_id = id };

	wire_put_u32(&numbers, number);
	holding.recipients = (struct bytes){ numbers.data, numbers.length };
	send_deliver_holding(worker->channel, &holding);
	buffer_free(&numbers);
}

static void
tell_late_result(struct fake_worker *worker, uint64_t job, uint64_t id, uint32_t number, enum delivery_outcome outcome)
{
	struct delivery_result result = { .recipient = number, .outcome = outcome, .status = "2.0.0", .text = "so", .host = "h" };
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct deliver_late_results late = { .job = job, .message_id = id, .last = 1 };

	delivery_result_encode(&result, &octets);
	late.results = (struct bytes){ octets.data, octets.length };
	send_deliver_late_results(worker->channel, &late);
	buffer_free(&octets);
}

static void
waits_for_the_later_of_two_attempts_that_an_earlier_qmgr_began(UNUSED void **state)
{
	static const struct deliver_holding_end end;
	uint64_t id;

	connect_all();
	router.silent = true;
	id = deposit("s@example.org", "good@x.example", CONTENT);
	until(depositor.answers == 1);
	restart_qmgr();
	router.silent = false;
	router_connect();
	worker_connect_untold(&smtp, ROLE_SMTP, 0);
	tell_holding(&smtp, 8, id, 0);
	tell_holding(&smtp, 9, id, 0);
	send_deliver_holding_end(smtp.channel, &end);
	tell_late_result(&smtp, 8, id, 0, DELIVERY_DEFERRED);
	until(qmgr.adoption.by_message.count == 1);
	turn(20);
	assert_int_equal(window_active(&qmgr), 1);
	assert_int_equal(smtp.job_count, 0);
	tell_late_result(&smtp, 9, id, 0, DELIVERY_DONE);
	until(fake_count() == 0);
	assert_int_equal(smtp.job_count, 0);
	assert_int_equal(qmgr.adoption.by_message.count, 0);
}

static void
lets_a_late_result_not_touch_a_recipient_that_is_in_a_job_of_our_own(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	smtp.holds_jobs = true;
	id = deposit("s@example.org", "good@x.example", CONTENT);
	until(smtp.in_hand == 1);
	worker_connect_untold(&smtp1, ROLE_SMTP, 1);
	tell_holding(&smtp1, 8, id, 0);
	tell_late_result(&smtp1, 8, id, 0, DELIVERY_DONE);
	turn(20);
	assert_int_equal(window_active(&qmgr), 1);
	finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
	assert_int_equal(qmgr.counters.delivered, 1);
}

static void
a_held_message_stays_held_though_a_worker_still_had_it_in_hand(UNUSED void **state)
{
	static const struct deliver_holding_end end;
	uint64_t id;

	connect_all();
	id = deposit("s@example.org", "later@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	ask_action(QUEUE_HOLD, id);
	until(fake.messages->parked && fake.messages->held);
	restart_qmgr();
	router_connect();
	worker_connect_untold(&smtp, ROLE_SMTP, 0);
	tell_holding(&smtp, 8, id, 0);
	send_deliver_holding_end(smtp.channel, &end);
	until(window_active(&qmgr) == 1);
	tell_late_result(&smtp, 8, id, 0, DELIVERY_DEFERRED);
	until(window_active(&qmgr) == 0);
	assert_true(fake.messages->held);
}

static void
a_worker_that_told_all_it_holds_can_claim_nothing_more(UNUSED void **state)
{
	struct deliver_holding holding = { .job = 9 };
	struct deliver_late_results late = { .job = 9, .last = 1 };
	struct delivery_result result = { .outcome = DELIVERY_DONE, .status = "2.0.0", .text = "250 ok", .host = "h" };
	struct buffer octets = BUFFER_INITIALIZER(0), numbers = BUFFER_INITIALIZER(0);

	connect_all();
	local.holds_jobs = true;
	late.message_id = holding.message_id = deposit("s@example.org", "local@x.example", CONTENT);
	until(local.in_hand == 1);
	wire_put_u32(&numbers, 0);
	holding.recipients = (struct bytes){ numbers.data, numbers.length };
	delivery_result_encode(&result, &octets);
	late.results = (struct bytes){ octets.data, octets.length };
	send_deliver_holding(smtp.channel, &holding);
	send_deliver_late_results(smtp.channel, &late);
	until(!channel_is_open(smtp.channel));
	assert_int_equal(qmgr.adoption.by_message.count, 0);
	worker_connect_untold(&smtp, ROLE_SMTP, 0);
	send_deliver_holding(smtp.channel, &holding);
	send_deliver_late_results(smtp.channel, &late);
	until(!channel_is_open(smtp.channel));
	assert_int_equal(qmgr.adoption.by_message.count, 0);
	assert_int_equal(fake_count(), 1);
	buffer_free(&octets);
	buffer_free(&numbers);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(schedules_what_it_finds_at_its_start),
		CASE(takes_back_what_was_left_behind_a_destination_where_no_mail_goes_any_more),
		CASE(takes_back_what_an_earlier_qmgr_left_behind_a_destination),
		CASE(gives_nothing_twice_that_a_worker_still_holds),
		CASE(applies_results_that_come_with_what_is_held),
		CASE(waits_for_the_later_of_two_attempts_that_an_earlier_qmgr_began),
		CASE(lets_a_late_result_not_touch_a_recipient_that_is_in_a_job_of_our_own),
		CASE(a_held_message_stays_held_though_a_worker_still_had_it_in_hand),
		CASE(a_worker_that_told_all_it_holds_can_claim_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
