/*
 * test_routing - where mail goes: router is asked, groups are expanded, and a long list of recipients holds up
 * nobody
 */
#include "qmgr/expansion.h"
#include "tests/unit/qmgr/qmgr_fixture.h"

static void
sends_all_recipients_of_a_destination_in_one_job(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "a@x.example b@x.example c@x.example d@host-two.example", CONTENT);
	until_done(1);
	assert_int_equal(smtp.job_count, 2);
	assert_int_equal(smtp.delivered, 4);
}

static void
asks_again_what_router_did_not_answer_before_it_died(UNUSED void **state)
{
	connect_all();
	router.silent = true;
	deposit("s@example.org", "a@x.example b@x.example", CONTENT);
	until(router.questions == 2);
	router.silent = false;
	router_connect();
	until(fake_count() == 0);
	assert_int_equal(router.questions, 4);
	assert_int_equal(smtp.delivered, 2);
}

static void
tries_again_later_when_router_cannot_decide(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "later@example.com", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(window_active(&qmgr), 0);
	assert_string_equal(fake.messages->envelope.recipients[0].reason, "the directory is away");
	pass_time(17 * MINUTE);
	until(router.questions == 2);
	until(fake.messages->parked);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 2);
}

/* ---- groups and forwarding ---- */

static void
expands_a_group_once_without_repeating_anybody(UNUSED void **state)
{
	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "member1@example.com group3@example.com", CONTENT);
	until(smtp.in_hand > 0 && fake.messages != NULL && fake.messages->envelope.recipient_count == 4);
	/* On disk before delivered: the group is expanded, its two other members are recipients. */
	assert_int_equal(fake.messages->envelope.recipients[1].state, RECIPIENT_EXPANDED);
	assert_int_equal(fake.messages->envelope.recipients[2].parent, 1);
	assert_int_equal(fake.messages->envelope.recipients[3].forwards, 1);
	smtp.holds_jobs = false;
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 3);
}

static void
delivers_to_no_member_before_the_expansion_is_on_disk(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "group3@example.com", CONTENT);
	until(depositor.answers == 1);
	fake.fail = 1;
	turn(30);
	assert_int_equal(smtp.job_count, 0);
	expansion_tick(&qmgr, clock_monotonic_ms() + 6000);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 3);
	assert_int_equal(router.questions, 4);
}

static void
sends_to_a_large_group_in_jobs_of_a_hundred(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "group1000@example.com", CONTENT);
	until_done(1);
	assert_int_equal(smtp.delivered, 1000);
	assert_in_range(smtp.job_count, 10, 30);
	assert_true(smtp.most_in_hand <= 2);
}

static void
returns_a_message_whose_forwarding_leads_back_to_itself(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "loop@example.com", CONTENT);
	until_done(2);
	assert_int_equal(router.reports, 1);
	assert_int_equal(router.report_kind, REPORT_FAILURE);
}

static void
returns_a_message_that_was_forwarded_too_often(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "forward@example.com");
	envelope.hops = 25;
	deposit_envelope(&envelope, CONTENT, 0);
	until(router.reports == 1);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 1);	/* the report */
	envelope_free(&envelope);
}

/* ---- many recipients ---- */

/* The only message in memory; NULL while there is none. */
static struct active_message *
the_message(void)
{
	struct hash_node *node = hash_table_walk(&qmgr.messages.by_id, NULL);

	return node == NULL ? NULL : HASH_CONTAINER(node, struct active_message, by_id);
}

static bool
assert_few_are_asked_about(const struct active_message *message)
{
	assert_true(message->phase_count[PHASE_ROUTING] <= 32);
	return true;
}

static void
lets_a_message_with_many_recipients_hold_up_nobody(UNUSED void **state)
{
	struct buffer recipients = BUFFER_INITIALIZER(0);
	const struct active_message *message;
	const struct delivery *delivery;
	unsigned i, waiting = 0;

	connect_all();
	for (i = 0; i < 200; i++)
		buffer_printf(&recipients, "good@host-h%u.example ", i);
	smtp.holds_jobs = true;
	deposit("s@example.org", buffer_text(&recipients), CONTENT);
	until(the_message() != NULL);
	message = the_message();
	/* Router is asked about a few recipients at a time ... */
	until(assert_few_are_asked_about(message) && !TAILQ_EMPTY(&qmgr.routing.spreading));
	/* ... and of the transfers only some take their places at once. */
	LIST_FOREACH(delivery, &message->deliveries, message_link)
		waiting += !delivery->queued;
	assert_int_equal(waiting, 180);
	smtp.holds_jobs = false;
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until_done(1);
	assert_int_equal(smtp.delivered, 200);
	assert_true(TAILQ_EMPTY(&qmgr.routing.spreading));
	buffer_free(&recipients);
}

static void
lets_no_local_recipient_wait_for_the_transfers_of_its_message(UNUSED void **state)
{
	struct buffer recipients = BUFFER_INITIALIZER(0);
	struct routing *routing = &qmgr.routing;
	unsigned i;

	connect_all();
	buffer_printf(&recipients, "local@example.com");
	for (i = 0; i < 200; i++)
		buffer_printf(&recipients, " good@host-h%u.example", i);
	deposit("s@example.org", buffer_text(&recipients), CONTENT);
	until(!TAILQ_EMPTY(&routing->spreading));
	event_del(routing->spread);		/* the other transfers do not get on */
	until(local.delivered == 1 && smtp.delivered == 20);
	assert_int_equal(the_message()->phase_count[PHASE_QUEUED], 180);
	event_add(routing->spread, &(struct timeval){ .tv_usec = 1000 });
	until_done(1);
	assert_int_equal(smtp.delivered, 200);
	buffer_free(&recipients);
}

static void
forgets_the_transfers_that_wait_for_their_places_when_the_message_is_removed(UNUSED void **state)
{
	struct buffer recipients = BUFFER_INITIALIZER(0);
	unsigned i;
	uint64_t id;

	connect_all();
	for (i = 0; i < 100; i++)
		buffer_printf(&recipients, "good@host-h%u.example ", i);
	id = deposit("s@example.org", buffer_text(&recipients), CONTENT);
	until(!TAILQ_EMPTY(&qmgr.routing.spreading));
	event_del(qmgr.routing.spread);		/* they wait until then */
	ask_action(QUEUE_REMOVE, id);
	until_done(1);
	assert_true(TAILQ_EMPTY(&qmgr.routing.spreading));
	assert_true(smtp.delivered <= 20);
	buffer_free(&recipients);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(sends_all_recipients_of_a_destination_in_one_job),
		CASE(asks_again_what_router_did_not_answer_before_it_died),
		CASE(tries_again_later_when_router_cannot_decide),
		CASE(expands_a_group_once_without_repeating_anybody),
		CASE(delivers_to_no_member_before_the_expansion_is_on_disk),
		CASE(sends_to_a_large_group_in_jobs_of_a_hundred),
		CASE(returns_a_message_whose_forwarding_leads_back_to_itself),
		CASE(returns_a_message_that_was_forwarded_too_often),
		CASE(lets_a_message_with_many_recipients_hold_up_nobody),
		CASE(lets_no_local_recipient_wait_for_the_transfers_of_its_message),
		CASE(forgets_the_transfers_that_wait_for_their_places_when_the_message_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
