/* test_low_priority - mail that waits for its time of day, and the administrator who has it routed now */
#include <time.h>

#include "tests/unit/qmgr/qmgr_fixture.h"

/* So that low priority moves from so many minutes from now on, for an hour. */
static void
low_priority_moves_in(int minutes)
{
	time_t now = time(NULL);
	struct tm here;

	localtime_r(&now, &here);
	qmgr.limits.low_priority_from = (here.tm_hour * 60 + here.tm_min + minutes + 1440) % 1440;
	qmgr.limits.low_priority_until = (qmgr.limits.low_priority_from + 60) % 1440;
}

static uint64_t
deposit_low(const char *recipients)
{
	struct envelope envelope;
	uint64_t id = depositor.next_id++;

	make_envelope(&envelope, id, "s@example.org", recipients);
	envelope.priority = PRIORITY_LOW;
	deposit_envelope(&envelope, CONTENT, 0);
	envelope_free(&envelope);
	return id;
}

static void
transfers_mail_of_low_priority_only_in_its_time_of_day(UNUSED void **state)
{
	connect_all();
	low_priority_moves_in(120);
	deposit_low("good@host-x.example");
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(smtp.job_count, 0);
	assert_non_null(strstr(fake.messages->envelope.recipients[0].reason, "low priority"));
	assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 118 * MINUTE, 122 * MINUTE);
	/* Into mail files it goes at once, and so does all other mail. */
	deposit_low("local1@x.example");
	deposit("s@example.org", "good@host-x.example", CONTENT);
	until(local.delivered == 1 && smtp.delivered == 1);
	assert_int_equal(router.reports, 0);
	low_priority_moves_in(-1);
	pass_time(121 * MINUTE);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 2);
}

static void
leaves_mail_of_low_priority_where_it_is_when_a_destination_has_room(UNUSED void **state)
{
	struct destination *destination;

	connect_all();
	low_priority_moves_in(120);
	deposit_low("good@host-x.example");
	until(fake.messages != NULL && fake.messages->parked);
	deposit("s@example.org", "good@host-x.example", CONTENT);
	until(smtp.delivered == 1);
	destination = destination_find(&qmgr.destinations, "smtp:host-x.example:25");
	assert_non_null(destination);
	destination->surplus_unknown = true;
	window_queue_shrank(&qmgr, destination);
	until(!destination->surplus_unknown);
	assert_int_equal(window_active(&qmgr), 0);
	assert_int_equal(smtp.job_count, 1);
}

static void
gives_all_mail_the_same_priority_where_priorities_are_ignored(UNUSED void **state)
{
	connect_all();
	low_priority_moves_in(120);
	qmgr.limits.ignore_priority = true;
	deposit_low("good@host-x.example");
	until_done(1);
	assert_int_equal(smtp.delivered, 1);
}

static void
lowers_the_priority_of_large_messages(UNUSED void **state)
{
	connect_all();
	low_priority_moves_in(120);
	qmgr.limits.low_priority_size = strlen(CONTENT) + 1;
	deposit("s@example.org", "good@host-x.example", CONTENT);
	deposit("s@example.org", "good@host-x.example", CONTENT "x\r\n");
	until(depositor.answers == 2 && smtp.delivered == 1);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(smtp.job_count, 1);
}

static void
tells_senders_of_low_priority_as_the_setting_says(UNUSED void **state)
{
	connect_all();
	low_priority_moves_in(120);
	qmgr.limits.low_delay_by_size = true;
	deposit_low("good@host-x.example");
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(router.reports, 0);
	qmgr.limits.low_delay_by_size = false;
	qmgr.limits.low_delay_chosen = true;
	deposit_low("good@host-x.example");
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_DELAY);
	until(smtp.delivered == 1);		/* the report */
	until(window_active(&qmgr) == 0);
	/* Once: what is held back again is not told again. */
	pass_time(125 * MINUTE);
	low_priority_moves_in(120);
	until(router.questions == 6 && window_active(&qmgr) == 0);
	assert_int_equal(router.reports, 2);	/* now of the first one */
}

/* ---- routed now ---- */

static void
ask_route(const char *destination)
{
	struct queue_action action = { .action = QUEUE_ROUTE, .sender = "", .recipient = "", .destination = destination,
		.state = "" };

	command_connect();
	send_queue_action(command.channel, &action);
	until(command.answers == 1);
}

static void
routes_what_waits_for_a_destination_now_low_priority_too(UNUSED void **state)
{
	connect_all();
	low_priority_moves_in(120);
	deposit_low("good@host-x.example");
	deposit_low("good@host-y.example");
	deposit("s@example.org", "temp@host-x.example", CONTENT);
	until(depositor.answers == 3 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 1);
	ask_route("host-x.example");
	assert_int_equal(command.count, 2);
	until(smtp.job_count == 3 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.delivered, 1);
	/* What comes later is not meant. */
	usleep(10000);
	deposit_low("good@host-x.example");
	until(depositor.answers == 4 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 3);
	ask_route("nowhere.example");
	assert_int_equal(command.count, 0);
	ask_route("");
	assert_true(command.failed);
}

static void
routes_only_the_recipients_that_go_to_the_destination(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	id = deposit("s@example.org", "temp1@host-x.example temp2@host-y.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(smtp.job_count, 2);
	ask_route("smtp:host-x.example:25");
	until(smtp.job_count == 3 && fake.messages->parked);
	assert_int_equal(fake_find(id)->envelope.recipients[0].attempts, 2);
	assert_int_equal(fake_find(id)->envelope.recipients[1].attempts, 1);
}

static void
routes_a_large_low_priority_queue_to_its_end_though_the_window_is_small(UNUSED void **state)
{
	unsigned i;

	connect_all();
	low_priority_moves_in(120);
	qmgr.limits.active_messages = 10;
	for (i = 0; i < 100; i++) {
		deposit_low("good@host-x.example");
		turn(3);
	}
	until(depositor.answers == 100 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 0);
	ask_route("host-x.example");
	assert_int_equal(command.count, 100);
	until(smtp.delivered == 100);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(transfers_mail_of_low_priority_only_in_its_time_of_day),
		CASE(leaves_mail_of_low_priority_where_it_is_when_a_destination_has_room),
		CASE(gives_all_mail_the_same_priority_where_priorities_are_ignored),
		CASE(lowers_the_priority_of_large_messages),
		CASE(tells_senders_of_low_priority_as_the_setting_says),
		CASE(routes_what_waits_for_a_destination_now_low_priority_too),
		CASE(routes_only_the_recipients_that_go_to_the_destination),
		CASE(routes_a_large_low_priority_queue_to_its_end_though_the_window_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
