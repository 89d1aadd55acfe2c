/* test_listing_order - a list tells of a message what the log told last, whatever is still on its way to the disk */
#include "qmgr/listing.h"
#include "tests/unit/qmgr/qmgr_fixture.h"

/* What a list tells of the one message there is. */
struct told {
	bool ended;
	unsigned count;
	uint32_t attempts;
	int64_t wait;			/* until the next attempt, in queue time */
};

static bool
note_told(void *context, const struct listing_item *item, const struct error *error)
{
	struct told *told = context;
	struct envelope envelope;
	struct error ignored;

	assert_null(error);
	if (item == NULL) {
		told->ended = true;
		return false;
	}
	told->count++;
	assert_int_equal(envelope_decode(item->envelope.data, item->envelope.length, &envelope, &ignored), 0);
	told->attempts = envelope.recipients[0].attempts;
	told->wait = envelope.recipients[0].next_attempt_ms - qmgr_now(&qmgr);
	envelope_free(&envelope);
	return true;
}

static void
assert_list_tells(uint32_t attempts, int64_t minutes)
{
	struct told told = { 0 };
	struct selection selection;

	selection_init(&selection, 0, "", "", "", "", 0);
	listing_start(&qmgr, &selection, 0, 0, true, note_told, &told);
	until(told.ended);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.attempts, attempts);
	assert_in_range(told.wait, minutes * MINUTE * 8 / 10, minutes * MINUTE * 12 / 10);
}

/* A message in the one job there is; from now on commits are not answered by themselves. */
static void
begin_stalled(void)
{
	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "temp@host-x.example", CONTENT);
	until(depositor.answers == 1 && smtp.in_hand == 1);
	fake.stalls = true;
}

static void
defer_for_the_time(unsigned number)
{
	until(smtp.in_hand == 1);
	finish_job(&smtp, smtp.jobs);
	until(qmgr.counters.deferrals == number);
	turn(5);
}

/* The record of the first attempt reaches the disk after the second attempt. */
static void
tells_of_the_last_attempt_though_the_record_of_the_first_comes_late(UNUSED void **state)
{
	begin_stalled();
	defer_for_the_time(1);
	assert_list_tells(1, 15);
	ask_action(QUEUE_RETRY, 0);
	defer_for_the_time(2);
	assert_list_tells(2, 30);
	fake_answer_commit();
	turn(5);
	assert_list_tells(2, 30);
	fake_answer_commit();
	until(fake.messages->parked);
	assert_list_tells(2, 30);
}

/* Nothing is taken from the store in a state that it is about to leave. */
static void
is_parked_when_all_that_was_recorded_of_it_is_on_the_disk(UNUSED void **state)
{
	begin_stalled();
	defer_for_the_time(1);
	ask_action(QUEUE_RETRY, 0);
	defer_for_the_time(2);
	assert_false(fake.messages->parked);
	fake_answer_commit();
	turn(5);
	assert_false(fake.messages->parked);
	assert_int_equal(window_active(&qmgr), 1);
	fake_answer_commit();
	assert_true(fake.messages->parked);
	assert_int_equal(window_active(&qmgr), 0);
}

static void
is_parked_too_when_the_disk_is_in_trouble(UNUSED void **state)
{
	begin_stalled();
	defer_for_the_time(1);
	fake.fail = 1;
	fake_answer_commit();
	assert_true(fake.messages->parked);
	assert_list_tells(1, 15);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(tells_of_the_last_attempt_though_the_record_of_the_first_comes_late),
		CASE(is_parked_when_all_that_was_recorded_of_it_is_on_the_disk),
		CASE(is_parked_too_when_the_disk_is_in_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
