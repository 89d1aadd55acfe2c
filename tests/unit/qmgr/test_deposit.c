/*
 * test_deposit - what depositors hand over: the answer follows the commit, what does not add up is refused, and
 * memory has its bound
 */
#include "tests/unit/qmgr/qmgr_fixture.h"

static void
stores_then_delivers_and_forgets_a_message(UNUSED void **state)
{
	connect_all();
	deposit("sender@example.org", "local1@example.com remote@example.net", CONTENT);
	until(depositor.answers == 1);
	assert_int_equal(depositor.last_outcome, DEPOSIT_STORED);
	until(fake_count() == 0);
	assert_int_equal(local.delivered, 1);
	assert_int_equal(smtp.delivered, 1);
	assert_string_equal(smtp.last_content, CONTENT);
	assert_string_equal(local.last_content, CONTENT);
	assert_string_equal(smtp.last_next_hop, "relay:25");
	assert_int_equal(window_active(&qmgr), 0);
	assert_int_equal(qmgr.messages.content_octets, 0);
	assert_int_equal(qmgr.deposits.octets, 0);
}

static void
answers_451_when_the_flush_fails_and_keeps_nothing(UNUSED void **state)
{
	connect_all();
	fake.fail = 1;
	deposit("sender@example.org", "local1@example.com", CONTENT);
	until(depositor.answers == 1);
	assert_int_equal(depositor.last_outcome, DEPOSIT_TEMPORARY);
	turn(20);
	assert_int_equal(fake_count(), 0);
	assert_int_equal(local.delivered, 0);
	assert_int_equal(qmgr.deposits.octets, 0);
}

static void
never_answers_before_the_commit_and_answers_a_replay_alike(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	local.holds_jobs = true;
	make_envelope(&envelope, depositor.next_id++, "sender@example.org", "local1@example.com");
	deposit_envelope(&envelope, CONTENT, 0);
	until(fake.commits == 1);
	assert_int_equal(depositor.answers, 0);
	until(depositor.answers == 1);
	deposit_envelope(&envelope, CONTENT, 0);
	until(depositor.answers == 2);
	assert_int_equal(depositor.last_outcome, DEPOSIT_STORED);
	assert_int_equal(fake_count(), 1);
	envelope_free(&envelope);
}

static void
takes_a_message_of_an_earlier_start_again(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	make_envelope(&envelope, 5, "sender@example.org", "local1@example.com");	/* epoch 0 */
	deposit_envelope(&envelope, CONTENT, 0);
	until(depositor.answers == 1);
	assert_int_equal(depositor.last_outcome, DEPOSIT_STORED);
	envelope_free(&envelope);
}

/* ---- what is refused ---- */

static void
refuses_ids_that_are_not_the_depositors(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	make_envelope(&envelope, depositor.next_id + (UINT64_C(1) << 40), "s@example.org", "local1@example.com");
	deposit_envelope(&envelope, CONTENT, 0);
	until(depositor.answers == 1);
	assert_int_equal(depositor.last_outcome, DEPOSIT_PERMANENT);
	envelope_free(&envelope);
	make_envelope(&envelope, 1, "s@example.org", "local1@example.com");
	envelope.id = identifiers_next_id(&qmgr.identifiers);		/* our own block */
	deposit_envelope(&envelope, CONTENT, 0);
	until(depositor.answers == 2);
	assert_int_equal(depositor.last_outcome, DEPOSIT_PERMANENT);
	envelope_free(&envelope);
}

static void
refuses_deposits_that_do_not_add_up(UNUSED void **state)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct envelope envelope;

	connect_all();
	/* not an envelope */
	buffer_append_string(&octets, "nonsense that is no envelope");
	deposit_octets(depositor.next_id++, &octets, octets.length, 0);
	until(depositor.answers == 1);
	assert_int_equal(depositor.last_outcome, DEPOSIT_PERMANENT);
	/* another id inside */
	make_envelope(&envelope, 77, "s@example.org", "local1@example.com");
	buffer_clear(&octets);
	envelope_encode(&envelope, NULL, &octets);
	deposit_octets(depositor.next_id++, &octets, octets.length, 0);
	until(depositor.answers == 2);
	assert_int_equal(depositor.last_outcome, DEPOSIT_PERMANENT);
	/* more content than fits the stream */
	{
		struct deposit_begin begin = { .id = depositor.next_id++, .envelope_length = 10,
			.content_length = 300 * 1024 };

		send_deposit_begin(depositor.channel, &begin);
	}
	until(depositor.answers == 3);
	assert_int_equal(depositor.last_outcome, DEPOSIT_PERMANENT);
	/* a body file that was never asked for */
	envelope_free(&envelope);
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "local1@example.com");
	deposit_envelope(&envelope, "", 1000);
	until(depositor.answers == 4);
	assert_int_equal(depositor.last_outcome, DEPOSIT_TEMPORARY);
	assert_int_equal(fake_count(), 0);
	assert_int_equal(qmgr.deposits.octets, 0);
	envelope_free(&envelope);
	buffer_free(&octets);
}

static void
lets_no_depositor_say_what_only_qmgr_knows(UNUSED void **state)
{
	struct envelope envelope;
	const struct envelope_recipient *recipient;

	connect_all();
	local.holds_jobs = true;
	make_envelope(&envelope, depositor.next_id++, "sender@example.org", "local1@example.com");
	envelope.is_report = true;
	envelope.recipients[0].state = RECIPIENT_DELIVERED;
	envelope.recipients[0].forwards = 9;
	envelope.recipients[0].attempts = 7;
	deposit_envelope(&envelope, CONTENT, 0);
	until(depositor.answers == 1);
	assert_false(fake.messages->envelope.is_report);
	recipient = &fake.messages->envelope.recipients[0];
	assert_int_equal(recipient->state, RECIPIENT_NEW);
	assert_int_equal(recipient->forwards, 0);
	assert_int_equal(recipient->attempts, 0);
	envelope_free(&envelope);
}

static void
a_depositor_that_throws_ids_away_is_dropped_before_they_run_out(UNUSED void **state)
{
	uint64_t first;

	connect_all();
	until(depositor.next_id != 0);
	first = depositor.next_id;
	send_deposit_block_wanted(depositor.channel, &(struct deposit_block_wanted){ });
	until(!channel_is_open(depositor.channel));
	assert_int_equal(depositor.next_id, first);
	depositor_connect();
	until(depositor.next_id != 0);
	deposit("s@example.org", "good@x.example", CONTENT);
	until(depositor.answers == 1);
}

/* ---- bodies in files, and depositors that die ---- */

static void
takes_a_large_message_through_a_file_and_delivers_from_it(UNUSED void **state)
{
	struct deposit_body want;
	struct envelope envelope;

	connect_all();
	want.id = depositor.next_id++;
	send_deposit_body(depositor.channel, &want);
	until(depositor.answers == 1);
	assert_int_equal(depositor.last_outcome, DEPOSIT_STORED);
	assert_int_equal(write(depositor.file, CONTENT, strlen(CONTENT)), strlen(CONTENT));
	close(depositor.file);
	make_envelope(&envelope, want.id, "s@example.org", "remote@example.net");
	deposit_envelope(&envelope, "", strlen(CONTENT));
	until(depositor.answers == 2);
	assert_int_equal(depositor.last_outcome, DEPOSIT_STORED);
	assert_int_equal(fake.body_checksum, strlen(CONTENT) ^ 0x5a5a5a5au);
	until(fake_count() == 0);
	assert_string_equal(smtp.last_content, CONTENT);
	envelope_free(&envelope);
}

static void
unlinks_the_body_files_of_a_depositor_that_died(UNUSED void **state)
{
	struct deposit_body want;
	struct deposit_abandon gone;

	connect_all();
	want.id = depositor.next_id++;
	send_deposit_body(depositor.channel, &want);
	until(depositor.answers == 1);
	close(depositor.file);
	gone.id = want.id;
	send_deposit_abandon(depositor.channel, &gone);
	until(fake.bodies_abandoned == 1);
	want.id = depositor.next_id++;
	send_deposit_body(depositor.channel, &want);
	until(depositor.answers == 2);
	close(depositor.file);
	depositor_connect();
	until(fake.bodies_abandoned == 2);
	until(depositor.next_id != 0);
	assert_int_equal(qmgr.deposits.files.count, 0);
}

static void
forgets_half_a_deposit_when_the_depositor_dies(UNUSED void **state)
{
	struct deposit_begin begin;
	uint64_t first;

	connect_all();
	first = depositor.next_id;
	begin = (struct deposit_begin){ .id = depositor.next_id++, .envelope_length = 1000, .content_length = 1000 };
	send_deposit_begin(depositor.channel, &begin);
	until(qmgr.deposits.octets == 2000);
	depositor_connect();
	until(qmgr.deposits.octets == 0 && depositor.next_id != 0);
	assert_true(depositor.next_id > first);		/* a block of its own */
}

/* ---- when there is no room ---- */

static void
holds_depositors_off_at_the_memory_limit_and_lets_them_come_back_at_three_quarters(UNUSED void **state)
{
	struct deposit_begin begin;
	unsigned i;

	connect_all();
	qmgr.limits.deposit_memory = 100000;
	for (i = 0; i < 3; i++) {
		begin = (struct deposit_begin){ .id = depositor.next_id++, .envelope_length = 1000, .content_length = 32000 };
		send_deposit_begin(depositor.channel, &begin);
	}
	until(qmgr.deposits.octets == 99000);
	turn(5);
	assert_true(depositor.accepting);
	begin = (struct deposit_begin){ .id = depositor.next_id++, .envelope_length = 1000, .content_length = 32000 };
	send_deposit_begin(depositor.channel, &begin);
	until(depositor.answers == 1);
	assert_int_equal(depositor.last_outcome, DEPOSIT_TEMPORARY);
	begin = (struct deposit_begin){ .id = depositor.next_id++, .envelope_length = 500, .content_length = 500 };
	send_deposit_begin(depositor.channel, &begin);
	until(!depositor.accepting);
	deposit_store_accepts(&qmgr, false, "the disk is full");
	deposit_store_accepts(&qmgr, true, NULL);
	turn(5);
	assert_false(depositor.accepting);
	/* One of the three ends wrongly: two are left, less than three quarters. */
	{
		char *octets = memory_new(29000, 1);
		struct deposit_more more = { .id = depositor.next_id - 5, .data = { octets, 29000 } };

		send_deposit_more(depositor.channel, &more);
		send_deposit_more(depositor.channel, &more);
		until(depositor.accepting);
		free(octets);
	}
}

static void
holds_depositors_off_when_one_of_them_found_no_room(UNUSED void **state)
{
	struct deposit_begin begin;
	char *octets = memory_new(29000, 1);
	struct deposit_more more = { .data = { octets, 29000 } };
	unsigned i;

	connect_all();
	qmgr.limits.deposit_memory = 100000;
	for (i = 0; i < 4; i++) {
		begin = (struct deposit_begin){ .id = depositor.next_id++, .envelope_length = 1000, .content_length = 32000 };
		send_deposit_begin(depositor.channel, &begin);
	}
	until(depositor.answers == 1 && !depositor.accepting);
	assert_int_equal(qmgr.deposits.octets, 99000);
	more.id = begin.id - 1;
	send_deposit_more(depositor.channel, &more);
	send_deposit_more(depositor.channel, &more);
	until(depositor.accepting);
	free(octets);
}

static void
takes_nothing_while_the_store_does_not_accept(UNUSED void **state)
{
	connect_all();
	deposit_store_accepts(&qmgr, false, "the disk is full");
	until(!depositor.accepting);
	deposit("s@example.org", "local1@example.com", CONTENT);
	until(depositor.answers == 1);
	assert_int_equal(depositor.last_outcome, DEPOSIT_TEMPORARY);
	deposit_store_accepts(&qmgr, true, NULL);
	until(depositor.accepting);
	deposit("s@example.org", "local1@example.com", CONTENT);
	until(depositor.answers == 2);
	assert_int_equal(depositor.last_outcome, DEPOSIT_STORED);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(stores_then_delivers_and_forgets_a_message),
		CASE(answers_451_when_the_flush_fails_and_keeps_nothing),
		CASE(never_answers_before_the_commit_and_answers_a_replay_alike),
		CASE(takes_a_message_of_an_earlier_start_again),
		CASE(refuses_ids_that_are_not_the_depositors),
		CASE(refuses_deposits_that_do_not_add_up),
		CASE(lets_no_depositor_say_what_only_qmgr_knows),
		CASE(a_depositor_that_throws_ids_away_is_dropped_before_they_run_out),
		CASE(takes_a_large_message_through_a_file_and_delivers_from_it),
		CASE(unlinks_the_body_files_of_a_depositor_that_died),
		CASE(forgets_half_a_deposit_when_the_depositor_dies),
		CASE(holds_depositors_off_at_the_memory_limit_and_lets_them_come_back_at_three_quarters),
		CASE(holds_depositors_off_when_one_of_them_found_no_room),
		CASE(takes_nothing_while_the_store_does_not_accept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
