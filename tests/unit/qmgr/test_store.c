/* test_store - what the queue manager asks of MAIL.BOX, and what is there after it was closed and opened again */
#include "tests/unit/qmgr/store_support.h"

#include "common/base/clock.h"

static void
a_new_mailbox_is_empty(void **state)
{
	struct box *box = *state;

	assert_int_equal(box->summary.messages, 0);
	assert_int_equal(box->summary.epoch, 1);
	assert_true(store_accepts(box->store));
	assert_int_equal(box_list(box, 0, 10), 0);
	assert_int_equal(store_next_due_ms(box->store), INT64_MAX);
}

static void
a_second_process_is_refused(void **state)
{
	struct box *box = *state;
	struct box second = *box;

	assert_int_equal(box_try_open(&second), -1);
	assert_non_null(strstr(second.error.text, "in use"));
}

static void
the_epoch_grows_with_every_start(void **state)
{
	struct box *box = *state;

	box_reopen(box);
	assert_int_equal(box->summary.epoch, 2);
	box_reopen(box);
	assert_int_equal(box->summary.epoch, 3);
}

static void
a_message_is_there_after_a_restart(void **state)
{
	struct box *box = *state;
	struct envelope *envelope;

	box_add(box, 77, 1000);
	assert_false(box->failed);
	assert_true(store_knows(box->store, 77));
	assert_false(store_knows(box->store, 78));
	assert_true(box_content_is_right(box, 77, 1000));
	box_reopen(box);
	assert_int_equal(box->summary.messages, 1);
	assert_true(store_knows(box->store, 77));
	assert_true(box_content_is_right(box, 77, 1000));
	assert_int_equal(store_next_due_ms(box->store), 0);
	envelope = box_take_id(box, 77);
	assert_non_null(envelope);
	assert_string_equal(envelope->sender, "sender77@example.net");
	assert_int_equal(envelope->recipient_count, 3);
	assert_string_equal(envelope->recipients[2].address, "r2.77@example.org");
	assert_null(box_take_id(box, 77));
}

static void
a_message_that_is_done_is_gone_but_known(void **state)
{
	struct box *box = *state;

	box_add(box, 5, 100);
	box_done(box, 5);
	assert_false(box_content_is_right(box, 5, 100));
	assert_true(box->failed);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 0);
	assert_true(store_knows(box->store, 5));
}

static void
a_recipient_that_is_done_stays_done(void **state)
{
	struct box *box = *state;
	struct envelope envelope;

	box_add(box, 9, 100);
	support_envelope(&envelope, 9, 3);
	box_deliver(box, &envelope, 1);
	box_reopen(box);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box->listed[0].delivered, 1);
	envelope_free(&envelope);
}

static void
recipients_that_are_added_later_are_kept(void **state)
{
	struct box *box = *state;
	struct store_batch *batch;
	struct envelope envelope, *taken;
	bool chosen[4] = { true, false, false, true };

	box_add(box, 9, 100);
	support_envelope(&envelope, 9, 4);
	envelope.recipients[0].state = RECIPIENT_EXPANDED;
	batch = store_batch_new(box->store);
	store_batch_update(batch, &envelope, chosen);
	box_commit(box, batch);
	envelope_free(&envelope);
	box_reopen(box);
	taken = box_take_id(box, 9);
	assert_int_equal(taken->recipient_count, 4);
	assert_int_equal(taken->recipients[0].state, RECIPIENT_EXPANDED);
	assert_string_equal(taken->recipients[3].address, "r3.9@example.org");
}

static void
a_batch_is_one_record_of_many_messages(void **state)
{
	struct box *box = *state;
	struct store_batch *batch = store_batch_new(box->store);

	for (uint64_t id = 1; id <= 50; id++)
		batch_add_message(batch, id, 100 * id, 1);
	box_commit(box, batch);
	assert_false(box->failed);
	for (uint64_t id = 1; id <= 50; id++)
		assert_true(box_content_is_right(box, id, 100 * id));
	box_reopen(box);
	assert_int_equal(box->summary.messages, 50);
	for (uint64_t id = 1; id <= 50; id++)
		assert_true(box_content_is_right(box, id, 100 * id));
}

static void
many_batches_share_few_flushes(void **state)
{
	struct box *box = *state;
	struct buffer lines = BUFFER_INITIALIZER(0);
	unsigned flushes;

	for (uint64_t id = 1; id <= 200; id++) {
		struct store_batch *batch = store_batch_new(box->store);

		batch_add_message(batch, id, 500, 1);
		store_commit(box->store, batch, id == 200, box_committed, box);
	}
	box_wait(box, 200);
	assert_false(box->failed);
	store_status(box->store, &lines);
	flushes = (unsigned)atoi(strstr(lines.data, "\nflushes=") + 9);
	assert_in_range(flushes, 1, 20);
	buffer_free(&lines);
	assert_int_equal(box_list(box, 0, 300), 0);
	box_reopen(box);
	assert_int_equal(box_list(box, 0, 300), 200);
	assert_int_equal(box->listed[199].id, 200);
}

static void
a_batch_nobody_waits_for_is_written_soon(void **state)
{
	struct box *box = *state;
	struct store_batch *batch = store_batch_new(box->store);
	int64_t before = clock_monotonic_ms();

	batch_add_message(batch, 1, 10, 1);
	store_commit(box->store, batch, false, box_committed, box);
	box_wait(box, 1);
	assert_in_range(clock_monotonic_ms() - before, 50, 2000);
}

static void
an_empty_batch_succeeds(void **state)
{
	struct box *box = *state;

	box_commit(box, store_batch_new(box->store));
	assert_false(box->failed);
}

static void
a_message_larger_than_a_segment_gets_a_larger_one(void **state)
{
	struct box *box = *state;

	box_add(box, 1, 3 * BOX_SEGMENT);
	assert_false(box->failed);
	box_add(box, 2, 30);
	box_reopen(box);
	assert_true(box_content_is_right(box, 1, 3 * BOX_SEGMENT));
	assert_true(box_content_is_right(box, 2, 30));
}

static void
an_envelope_that_cannot_be_encoded_is_an_error(void **state)
{
	struct box *box = *state;
	struct store_batch *batch = store_batch_new(box->store);
	struct store_content *content = support_content(1, 10);
	struct envelope envelope;

	support_envelope(&envelope, 1, 1);
	free(envelope.sender);
	envelope.sender = memory_copy_string("a\nb");
	store_batch_add(batch, &envelope, content, 0, 0);
	box_commit(box, batch);
	assert_true(box->failed);
	assert_false(store_knows(box->store, 1));
	store_content_release(&content);
	envelope_free(&envelope);
}

/* ---- parking ---- */

static void
park(struct box *box, struct envelope *envelope, int64_t due, bool held)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		envelope->recipients[i].next_attempt_ms = due + (int64_t)i;
	store_park(box->store, envelope, held);
}

static void
add_and_park(struct box *box, uint64_t id, int64_t due, bool held)
{
	struct store_batch *batch = store_batch_new(box->store);
	struct envelope envelope;
	bool chosen[3] = { true, true, true };

	box_add(box, id, 50);
	support_envelope(&envelope, id, 3);
	for (size_t i = 0; i < 3; i++) {
		envelope.recipients[i].next_attempt_ms = due + (int64_t)i;
		envelope.recipients[i].attempts = 1;
	}
	store_batch_update(batch, &envelope, chosen);
	if (held)
		store_batch_hold(batch, id, true);
	box_commit(box, batch);
	park(box, &envelope, due, held);
	envelope_free(&envelope);
}

static void
parked_messages_are_taken_in_the_order_they_are_due(void **state)
{
	struct box *box = *state;

	add_and_park(box, 1, 3000, false);
	add_and_park(box, 2, 1000, false);
	add_and_park(box, 3, 2000, false);
	add_and_park(box, 4, 500, true);
	assert_int_equal(store_next_due_ms(box->store), 1000);
	assert_int_equal(box_take_due(box, 999, 10), 0);
	assert_int_equal(box_take_due(box, 2500, 10), 2);
	assert_int_equal(box->taken[0]->id, 2);
	assert_int_equal(box->taken[1]->id, 3);
	assert_int_equal(store_next_due_ms(box->store), 3000);
	assert_int_equal(box_take_due(box, 5000, 10), 1);
	assert_int_equal(store_next_due_ms(box->store), INT64_MAX);
	assert_non_null(box_take_id(box, 4));
}

static void
due_times_and_holds_survive_a_restart(void **state)
{
	struct box *box = *state;

	add_and_park(box, 1, 3000, false);
	add_and_park(box, 2, 1000, true);
	box_reopen(box);
	assert_int_equal(store_next_due_ms(box->store), 3000);
	assert_int_equal(box_list(box, 0, 10), 2);
	assert_false(box->listed[0].held);
	assert_true(box->listed[1].held);
	assert_int_equal(box_take_due(box, 2000, 10), 0);
	assert_int_equal(box_take_due(box, 3000, 10), 1);
}

static void
messages_are_taken_by_their_destination(void **state)
{
	struct box *box = *state;

	add_and_park(box, 1, 1000, false);
	add_and_park(box, 2, 900, false);
	assert_int_equal(box_take_destination(box, "smtp:host9.example.org", 5000, 10), 0);
	assert_int_equal(box_take_destination(box, "smtp:host1.example.org", 950, 10), 1);
	assert_int_equal(box->taken[0]->id, 2);
	assert_int_equal(box_take_destination(box, "smtp:host1.example.org", 950, 10), 0);
	assert_int_equal(box_take_destination(box, "smtp:host2.example.org", 5000, 1), 1);
}

static void
one_that_only_waits_for_its_turn_is_due_there(void **state)
{
	struct box *box = *state;
	struct envelope envelope;

	box_add(box, 1, 10);
	support_envelope(&envelope, 1, 3);
	envelope.recipients[1].waits_for_turn = true;
	park(box, &envelope, 9000, false);
	envelope_free(&envelope);
	assert_int_equal(store_next_due_ms(box->store), 9000);
	assert_int_equal(box_take_due(box, 100, 10), 0);
	assert_int_equal(box_take_destination(box, "smtp:host0.example.org", 100, 10), 0);
	assert_int_equal(box_take_destination(box, "smtp:host1.example.org", 100, 10), 1);
}

static void
a_note_is_kept_for_the_next_start_and_the_one_after_it(void **state)
{
	struct box *box = *state;

	assert_int_equal(box->summary.note.length, 0);
	store_keep_note(box->store, &(struct store_note){ .length = 5, .octets = "clock" }, false);
	for (int i = 0; i < 2; i++) {
		box_reopen(box);
		assert_int_equal(box->summary.note.length, 5);
		assert_memory_equal(box->summary.note.octets, "clock", 5);
	}
	box_close(box);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box->summary.note.length, 0);
}

struct turns {
	struct box *box;
	char names[200];
};

static void
note_turn(void *context, const char *destination)
{
	struct turns *turns = context;

	if (destination == NULL)
		turns->box->answers++;
	else
		snprintf(turns->names + strlen(turns->names), sizeof(turns->names) - strlen(turns->names), "%s ", destination);
}

static void
destinations_with_somebody_who_waits_for_a_turn_are_found_once(void **state)
{
	struct turns turns = { *state, "" };
	struct box *box = turns.box;
	struct envelope envelope;

	for (uint64_t id = 1; id <= 5; id++) {
		box_add(box, id, 10);
		support_envelope(&envelope, id, 3);
		envelope.recipients[0].waits_for_turn = id == 2;
		envelope.recipients[2].waits_for_turn = id != 1;
		park(box, &envelope, 9000, false);
		envelope_free(&envelope);
	}
	assert_int_equal(box_list(box, 0, 10), 5);
	box_forget_answers(box);
	store_turns(box->store, 10, note_turn, &turns);
	box_wait(box, 1);
	assert_string_equal(turns.names, "smtp:host0.example.org smtp:host2.example.org ");
	box_forget_answers(box);
	store_turns(box->store, 1, note_turn, &turns);
	box_wait(box, 1);
	assert_string_equal(turns.names, "smtp:host0.example.org smtp:host2.example.org smtp:host0.example.org ");
}

static void
a_parked_message_can_be_held_and_ended_without_taking_it(void **state)
{
	struct box *box = *state;
	struct store_batch *batch;

	add_and_park(box, 1, 1000, false);
	add_and_park(box, 2, 1000, false);
	batch = store_batch_new(box->store);
	store_batch_hold(batch, 1, true);
	store_batch_done(batch, 2);
	box_commit(box, batch);
	assert_int_equal(box_take_due(box, 5000, 10), 0);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_true(box->listed[0].held);
	box_reopen(box);
	assert_int_equal(box_take_due(box, 5000, 10), 0);
	batch = store_batch_new(box->store);
	store_batch_hold(batch, 1, false);
	box_commit(box, batch);
	assert_int_equal(box_take_due(box, 5000, 10), 1);
}

static void
a_message_may_be_taken_and_parked_again_and_again(void **state)
{
	struct box *box = *state;

	add_and_park(box, 1, 1000, false);
	for (int64_t round = 1; round < 30; round++) {
		struct envelope *envelope;
		bool chosen[3] = { true, false, false };
		struct store_batch *batch;

		assert_int_equal(box_take_due(box, round * 1000, 10), 1);
		envelope = box->taken[0];
		assert_int_equal(envelope->recipients[0].attempts, round);
		envelope->recipients[0].attempts++;
		batch = store_batch_new(box->store);
		store_batch_update(batch, envelope, chosen);
		store_commit(box->store, batch, false, NULL, NULL);
		park(box, envelope, (round + 1) * 1000, false);
	}
	box_reopen(box);
	assert_non_null(box_take_id(box, 1));
	assert_int_equal(box->taken[0]->recipients[0].attempts, 30);
}

static void
a_list_goes_on_where_it_ended(void **state)
{
	struct box *box = *state;

	for (uint64_t id = 1; id <= 7; id++)
		add_and_park(box, id * 100, 1000, id == 3);
	assert_int_equal(box_list(box, 0, 3), 3);
	assert_int_equal(box->listed[2].id, 300);
	assert_true(box->listed[2].held);
	assert_int_equal(box->listed[2].size, 50);
	assert_int_equal(box_list(box, 300, 10), 4);
	assert_int_equal(box->listed[3].id, 700);
	assert_int_equal(box_list(box, UINT64_MAX, 10), 0);
}

/* ---- segments ---- */

static void
segments_are_used_again(void **state)
{
	struct box *box = *state;

	for (uint64_t id = 1; id <= 300; id++) {
		box_add(box, id, 10000);
		box_done(box, id);
		if (id % 50 == 0)
			box_run_ms(box, 250);
	}
	assert_in_range(box_number(box, "segments") + box_number(box, "free_segments"), 2, 12);
	assert_in_range(box_number(box, "live_octets"), 0, 0);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 0);
}

static void
a_few_long_lived_messages_do_not_hold_on_to_the_disk(void **state)
{
	struct box *box = *state;

	for (uint64_t id = 1; id <= 600; id++) {
		bool stays = id % 40 == 0;

		box_add(box, id, 10000);
		if (!stays)
			box_done(box, id);
		else if (id % 80 == 0) {
			struct envelope envelope;

			support_envelope(&envelope, id, 3);
			park(box, &envelope, 7000, false);
			envelope_free(&envelope);
		}
	}
	for (unsigned i = 0; i < 40 && box_number(box, "segments") > 12; i++)
		box_run_ms(box, 100);
	assert_in_range(box_number(box, "segments"), 1, 12);
	assert_true(box_number(box, "copied_octets") > 0);
	for (uint64_t id = 40; id <= 600; id += 40)
		assert_true(box_content_is_right(box, id, 10000));
	box_reopen(box);
	assert_int_equal(box->summary.messages, 15);
	for (uint64_t id = 40; id <= 600; id += 40)
		assert_true(box_content_is_right(box, id, 10000));
	for (uint64_t id = 40; id <= 600; id += 40)
		box_done(box, id);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 0);
}

/* Traffic that comes and goes, so that the oldest segment is emptied again and again. */
static void
pass_by(struct box *box, uint64_t id)
{
	struct store_batch *batch = store_batch_new(box->store);

	batch_add_message(batch, id, 20000, 1);
	store_commit(box->store, batch, true, NULL, NULL);
	batch = store_batch_new(box->store);
	store_batch_done(batch, id);
	store_commit(box->store, batch, true, NULL, NULL);
}

static void
what_happens_while_a_message_is_copied_is_not_undone_by_the_copy(void **state)
{
	enum { MESSAGES = 12, RECIPIENTS = 64 };
	struct box *box = *state;
	struct envelope envelopes[MESSAGES];

	for (uint64_t id = 1; id <= MESSAGES; id++) {
		struct store_batch *batch = store_batch_new(box->store);

		batch_add_message(batch, id, 2000, RECIPIENTS);
		box_commit(box, batch);
		support_envelope(&envelopes[id - 1], id, RECIPIENTS);
	}
	/* Each recipient is recorded once only: a copy that did not know of it and hid it would be seen. */
	for (unsigned i = 0; i < MESSAGES * RECIPIENTS; i++) {
		struct store_batch *batch = store_batch_new(box->store);
		bool chosen[RECIPIENTS] = { false };

		chosen[i / MESSAGES] = true;
		envelopes[i % MESSAGES].recipients[i / MESSAGES].state = RECIPIENT_DELIVERED;
		store_batch_update(batch, &envelopes[i % MESSAGES], chosen);
		pass_by(box, 1000 + i);
		box_commit(box, batch);
	}
	for (unsigned i = 0; i < MESSAGES; i++)
		envelope_free(&envelopes[i]);
	assert_true(box_number(box, "copied_octets") > MESSAGES * 2000);
	box_close(box);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box_list(box, 0, 100), MESSAGES);
	for (unsigned i = 0; i < MESSAGES; i++)
		assert_int_equal(box->listed[i].delivered, RECIPIENTS);
}

static void
a_parked_message_that_is_ended_while_it_is_copied_does_not_come_back(void **state)
{
	enum { MESSAGES = 400 };
	struct box *box = *state;

	for (uint64_t id = 1; id <= MESSAGES; id++) {
		struct store_batch *batch = store_batch_new(box->store);

		batch_add_message(batch, id, 100, 1);
		store_commit(box->store, batch, id % 50 == 0, box_committed, box);
	}
	box_wait(box, MESSAGES);
	for (uint64_t id = 1; id <= MESSAGES; id++) {
		struct envelope envelope;

		support_envelope(&envelope, id, 1);
		store_park(box->store, &envelope, false);
		envelope_free(&envelope);
	}
	for (uint64_t id = 1; id <= MESSAGES; id++) {
		pass_by(box, 1000 + id);
		box_done(box, id);
	}
	assert_true(box_number(box, "copied_octets") > 0);
	box_close(box);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box_list(box, 0, 1000), 0);
	assert_int_equal(box_number(box, "live_octets"), 0);
}

/* ---- set-up ---- */

static int
set_up(void **state)
{
	struct box *box = box_new("store");

	box_open(box);
	*state = box;
	return 0;
}

static int
tear_down(void **state)
{
	box_free(*state);
	return 0;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_new_mailbox_is_empty),
		CASE(a_second_process_is_refused),
		CASE(the_epoch_grows_with_every_start),
		CASE(a_message_is_there_after_a_restart),
		CASE(a_message_that_is_done_is_gone_but_known),
		CASE(a_recipient_that_is_done_stays_done),
		CASE(recipients_that_are_added_later_are_kept),
		CASE(a_batch_is_one_record_of_many_messages),
		CASE(many_batches_share_few_flushes),
		CASE(a_batch_nobody_waits_for_is_written_soon),
		CASE(an_empty_batch_succeeds),
		CASE(a_message_larger_than_a_segment_gets_a_larger_one),
		CASE(an_envelope_that_cannot_be_encoded_is_an_error),
		CASE(parked_messages_are_taken_in_the_order_they_are_due),
		CASE(due_times_and_holds_survive_a_restart),
		CASE(messages_are_taken_by_their_destination),
		CASE(one_that_only_waits_for_its_turn_is_due_there),
		CASE(destinations_with_somebody_who_waits_for_a_turn_are_found_once),
		CASE(a_note_is_kept_for_the_next_start_and_the_one_after_it),
		CASE(a_parked_message_can_be_held_and_ended_without_taking_it),
		CASE(a_message_may_be_taken_and_parked_again_and_again),
		CASE(a_list_goes_on_where_it_ended),
		CASE(segments_are_used_again),
		CASE(a_few_long_lived_messages_do_not_hold_on_to_the_disk),
		CASE(a_parked_message_that_is_ended_while_it_is_copied_does_not_come_back),
		CASE(what_happens_while_a_message_is_copied_is_not_undone_by_the_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
