/* what the control command does to very many waiting messages at once */
#include "tests/unit/qmgr/qmgr_fixture.h"

#define MANY 500

static unsigned
count_held(void)
{
	const struct fake_message *message;
	unsigned count = 0;

	for (message = fake.messages; message != NULL; message = message->next)
		count += message->held && message->parked;
	return count;
}

static void
fill(const char *recipient)
{
	unsigned i;

	connect_all();
	for (i = 0; i < MANY; i++) {
		deposit("s@example.org", recipient, CONTENT);
		turn(2);
	}
	until(depositor.answers == MANY && window_active(&qmgr) == 0);
}

static unsigned most;

static void
note_most(void)
{
	if (fake.asked_by_id > most)
		most = fake.asked_by_id;
}

static void
asks_the_store_for_many_at_a_time_and_never_for_all(UNUSED void **state)
{
	fill("later@x.example");
	most = 0;
	fake.asked_cb = note_most;
	ask_action(QUEUE_HOLD, 0);
	assert_int_equal(command.count, MANY);
	assert_in_range(most, 50, 200);
	until(count_held() == MANY);
}

static void
leave(void)
{
	channel_free(&command.channel);
}

static void
goes_on_to_the_end_though_the_command_is_gone(UNUSED void **state)
{
	struct queue_action action = { .action = QUEUE_HOLD, .sender = "", .recipient = "", .destination = "", .state = "" };

	fill("later@x.example");
	fake.asked_cb = leave;
	command_connect();
	send_queue_action(command.channel, &action);
	until(count_held() == MANY);
	until(TAILQ_EMPTY(&qmgr.control.clients));
	ask_action(QUEUE_HOLD, 0);
	assert_int_equal(command.count, 0);
}

static void
become_due(void)
{
	fake.asked_cb = NULL;
	pass_time(120 * MINUTE);
}

static void
forgets_none_that_comes_back_as_due_while_it_is_asked_for(UNUSED void **state)
{
	fill("later@x.example");
	fake.asked_cb = become_due;
	ask_action(QUEUE_HOLD, 0);
	assert_int_equal(command.count, MANY);
	until(count_held() == MANY);
}

static void
bring_new_mail(void)
{
	fake.asked_cb = NULL;
	deposit("s@example.org", "good@x.example", CONTENT);
}

static void
new_mail_is_delivered_beside_it(UNUSED void **state)
{
	fill("later@x.example");
	fake.asked_cb = bring_new_mail;
	ask_action(QUEUE_RETRY, 0);
	assert_int_equal(command.count, MANY);
	until(smtp.delivered == 1);
	until(window_active(&qmgr) == 0 && fake_count() == MANY);
	assert_int_equal(router.questions, 2 * MANY + 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(asks_the_store_for_many_at_a_time_and_never_for_all),
		CASE(goes_on_to_the_end_though_the_command_is_gone),
		CASE(forgets_none_that_comes_back_as_due_while_it_is_asked_for),
		CASE(new_mail_is_delivered_beside_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
