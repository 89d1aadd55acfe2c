/* qmgr as a whole over a store in memory: from the deposit to the last record, and what happens when peers die */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/log/log.h"
#include "qmgr/expansion.h"
#include "qmgr/listing.h"
#include "qmgr/outcome.h"
#include "tests/unit/qmgr/fake_store.h"
#include "tests/unit/qmgr/fake_peers.h"

#define MINUTE INT64_C(60000)
#define CONTENT "Subject: hello\r\nFrom: a\r\n\r\nbody\r\n"

static const struct limits defaults = {
	.inline_body = 256 * 1024,
	.deposit_memory = 1024 * 1024,
	.active_memory = 1024 * 1024,
	.active_messages = 1000,
	.sessions_per_destination = 2,
	.initial_concurrency = 2,
	.deliveries = 4,
	.hops = 25,
	.retry_initial_ms = 15 * MINUTE,
	.retry_cap_ms = 60 * MINUTE,
	.expiry_ms = 24 * 60 * MINUTE,
	.look_interval_ms = 15 * MINUTE,
	.delay_ms = { 24 * 60 * MINUTE, 4 * 60 * MINUTE, 48 * 60 * MINUTE },
	.call_out_timeout_ms = MINUTE,
};

static void
start_qmgr(uint64_t epoch)
{
	memset(&qmgr, 0, sizeof(qmgr));
	qmgr.limits = defaults;
	qmgr_start(&qmgr, base, NULL, &(struct store_summary){ .epoch = epoch, .written_ms = INT64_MIN });
}

static int
set_up(UNUSED void **state)
{
	log_open("test");
	log_set_level(LOG_SEVERITY_ERROR);
	base = event_base_new();
	fake_store_reset(base);
	start_qmgr(1);
	return 0;
}

/* Some turns of the event loop without waiting for anything. */
static void
turn(unsigned times)
{
	while (times-- > 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
tear_down(UNUSED void **state)
{
	peers_free();
	qmgr.leaving = true;
	turn(50);
	qmgr_end(&qmgr);
	fake_store_reset(NULL);
	event_base_free(base);
	return 0;
}

#define until_done(count) until(qmgr.counters.done == (count) && fake_count() == 0)

/* Runs the loop until condition, for at most five seconds. */
#define until(condition) do { \
	deadline_t deadline_ = deadline_after_ms(5000); \
	while (!(condition) && !deadline_passed(deadline_)) \
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); \
	assert_true(condition); \
} while (0)

static void
connect_all(void)
{
	depositor_connect();
	router_connect();
	worker_connect(&smtp, ROLE_SMTP, 0);
	worker_connect(&local, ROLE_LOCAL, 0);
	until(depositor.next_id != 0 && depositor.accepting && qmgr.window.open);
}

/* So much time passes for the queue (and the wall clock is set back by as much). */
static void
pass_time(int64_t milliseconds)
{
	usleep(3000);		/* what happened before is to be before */
	qmgr_now(&qmgr);
	qmgr.clock.boot_at_start -= milliseconds;
	window_changed(&qmgr);
}

/* ---- deposits ---- */

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

/* ---- routing ---- */

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
reports_failures_with_their_states_in_one_record(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	router.silent = true;
	id = deposit("s@example.org", "perm1@x.example good@x.example unknown@x.example", CONTENT);
	until(router.questions == 3);
	router.silent = false;
	router_connect();
	until(smtp.delivered == 1);
	router.silent = true;		/* the report is not answered yet */
	until(router.report.length > 0);
	turn(20);
	assert_int_equal(fake_find(id)->envelope.recipients[0].state, RECIPIENT_NEW);
	assert_int_equal(fake_find(id)->envelope.recipients[1].state, RECIPIENT_DELIVERED);
	router.silent = false;
	smtp.holds_jobs = true;
	router_connect();		/* it died: the report is asked for again */
	until(router.reports == 1 && fake_find(id) == NULL);
	assert_int_equal(router.report_recipients, 2);
	assert_string_equal(router.report_header, "Subject: hello\r\nFrom: a\r\n");
	assert_int_equal(fake_count(), 1);
	assert_true(fake.messages->envelope.is_report);
	assert_string_equal(fake.messages->envelope.recipients[0].address, "s@example.org");
}

static void
records_with_a_report_what_failed_while_others_still_wait(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	local.holds_jobs = true;
	id = deposit("s@example.org", "perm1@x.example local1@example.com", CONTENT);
	until(local.in_hand == 1 && qmgr.counters.failed == 1);
	report_tick(&qmgr, clock_monotonic_ms() + 20000);
	until(router.reports == 1 && fake_find(id)->envelope.recipients[0].state == RECIPIENT_FAILED);
	assert_int_equal(router.report_recipients, 1);
	assert_int_equal(local.in_hand, 1);
}

static void
keeps_a_failure_until_its_report_could_be_stored(UNUSED void **state)
{
	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "unknown@x.example", CONTENT);
	until(depositor.answers == 1);
	fake.fail = 1;
	until(router.reports == 1 && fake.fail == 0);
	turn(20);
	assert_int_equal(fake_count(), 1);
	assert_int_equal(fake.messages->envelope.recipients[0].state, RECIPIENT_NEW);
	report_tick(&qmgr, clock_monotonic_ms() + 20000);
	until(router.reports == 2 && fake_count() == 1 && fake.messages->envelope.is_report);
}

static void
never_reports_about_a_report_or_to_nobody(UNUSED void **state)
{
	connect_all();
	deposit("", "unknown@x.example", CONTENT);
	until(depositor.answers == 1);
	until(fake_count() == 0);
	assert_int_equal(router.reports, 0);
	deposit("perm-sender@example.org", "unknown@x.example", CONTENT);
	until(depositor.answers == 2);
	until(fake_count() == 0);
	assert_int_equal(router.reports, 1);		/* it failed too, silently */
}

static void
reports_success_only_when_the_sender_wanted_it(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "local1@x.example local2@x.example");
	envelope.recipients[1].notify = NOTIFY_SUCCESS;
	deposit_envelope(&envelope, CONTENT, 0);
	until(router.reports == 1);
	until(fake_count() == 0);
	assert_int_equal(router.report_kind, REPORT_SUCCESS);
	assert_int_equal(router.report_recipients, 1);
	envelope_free(&envelope);
}

static void
expires_an_old_message_only_after_a_fresh_attempt(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	pass_time(25 * 60 * MINUTE);
	until(smtp.job_count == 2);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_FAILURE);
	until(fake_count() == 0);
}

static void
tells_of_a_delay_once(UNUSED void **state)
{
	connect_all();
	qmgr.limits.delay_notifications = true;
	qmgr.limits.expiry_ms = 5 * 24 * 60 * MINUTE;
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(router.reports, 0);
	pass_time(25 * 60 * MINUTE);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_DELAY);
	until(smtp.delivered == 1 && fake_count() == 1 && fake.messages->parked);
	assert_true(fake.messages->envelope.recipients[0].delay_reported);
	pass_time(2 * 60 * MINUTE);
	until(smtp.job_count == 4);		/* twice tried, once the report, once more tried */
	until(fake.messages->parked);
	assert_int_equal(router.reports, 1);
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

/* ---- low priority ---- */

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

/* ---- delays ---- */

static void
tells_of_a_delay_only_those_who_want_to_know(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	qmgr.limits.delay_notifications = true;
	qmgr.limits.expiry_ms = 5 * 24 * 60 * MINUTE;
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "temp1@x.example temp2@x.example temp3@x.example");
	envelope.recipients[0].notify = NOTIFY_FAILURE;
	envelope.recipients[1].notify = NOTIFY_DELAY | NOTIFY_FAILURE;
	deposit_envelope(&envelope, CONTENT, 0);
	envelope_free(&envelope);
	deposit("", "temp4@x.example", CONTENT);
	until(depositor.answers == 2 && window_active(&qmgr) == 0);
	pass_time(25 * 60 * MINUTE);
	until(router.reports == 1);
	until(smtp.delivered == 1 && window_active(&qmgr) == 0);
	assert_int_equal(router.report_recipients, 2);
	assert_int_equal(router.reports, 1);
}

static void
tells_of_a_delay_by_the_messages_priority_and_not_of_held_mail(UNUSED void **state)
{
	struct envelope envelope;
	struct fake_message *held;

	connect_all();
	qmgr.limits.delay_notifications = true;
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "temp1@x.example");
	envelope.priority = PRIORITY_HIGH;
	deposit_envelope(&envelope, CONTENT, 0);
	envelope_free(&envelope);
	deposit("s@example.org", "temp2@x.example", CONTENT);
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "temp3@x.example");
	envelope.priority = PRIORITY_HIGH;
	deposit_envelope(&envelope, CONTENT, 0);
	until(depositor.answers == 3 && window_active(&qmgr) == 0);
	held = fake_find(envelope.id);
	held->held = true;
	envelope_free(&envelope);
	pass_time(5 * 60 * MINUTE);
	until(router.reports == 1);
	until(smtp.delivered == 1 && window_active(&qmgr) == 0);
	assert_int_equal(router.reports, 1);
	assert_int_equal(router.report_recipients, 1);
}

static void
notices_a_delay_within_the_interval_though_the_next_attempt_is_far_off(UNUSED void **state)
{
	connect_all();
	qmgr.limits.delay_notifications = true;
	qmgr.limits.delay_ms[PRIORITY_NORMAL] = 5 * MINUTE;
	qmgr.limits.retry_initial_ms = 600 * MINUTE;
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 19 * MINUTE, 21 * MINUTE);
	pass_time(21 * MINUTE);
	until(router.reports == 1);
	until(fake_count() == 1 && fake.messages->parked);
	assert_true(store_next_due_ms(NULL) - qmgr_now(&qmgr) > 500 * MINUTE);
}

static void
expires_nothing_early_when_the_wall_clock_jumps(UNUSED void **state)
{
	struct envelope envelope;

	connect_all();
	/* It was ten days earlier by the wall clock a moment ago, when this message came. */
	qmgr.clock.queue_at_start -= 10 * 24 * 60 * MINUTE;
	make_envelope(&envelope, depositor.next_id++, "s@example.org", "temp@x.example");
	envelope.arrival_ms = clock_wall_ms() - 10 * 24 * 60 * MINUTE;
	deposit_envelope(&envelope, CONTENT, 0);
	until(fake.messages != NULL && fake.messages->parked);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 1);
	assert_in_range(store_next_due_ms(NULL) - qmgr_now(&qmgr), 13 * MINUTE, 17 * MINUTE);
	pass_time(23 * 60 * MINUTE);
	until(smtp.job_count == 2 && fake.messages->parked);
	assert_int_equal(router.reports, 0);
	pass_time(61 * MINUTE);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_FAILURE);
	envelope_free(&envelope);
}

/* ---- new documents ---- */

/* The documents were read anew, and router has them too. */
static void
reload(const char *next_hop)
{
	router.instead = next_hop;
	qmgr_reloaded(&qmgr, &qmgr.limits);
	event_active(qmgr.reroute.timer, EV_TIMEOUT, 0);
}

static void
takes_mail_to_another_host_after_a_reload_though_the_old_one_is_down(UNUSED void **state)
{
	unsigned i;

	connect_all();
	deposit("s@example.org", "down@host-old.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	for (i = 0; i < 30; i++)		/* most of them stand behind the destination, some wait for a moment */
		deposit("s@example.org", "good@host-old.example", CONTENT);
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(depositor.answers == 32 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 2);
	reload("relay-new:25");
	until(smtp.delivered == 30);
	until(window_active(&qmgr) == 0);
	assert_string_equal(smtp.last_next_hop, "relay-new:25");
	/* What had a back-off of its own keeps it. */
	assert_int_equal(fake_count(), 2);
	assert_int_equal(fake.messages->next->envelope.recipients[0].attempts, 1);
}

static void
tries_nothing_early_after_a_reload_that_changed_no_route(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "down@host-old.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	deposit("s@example.org", "good@host-old.example", CONTENT);
	until(depositor.answers == 2 && window_active(&qmgr) == 0);
	reload(NULL);
	until(router.questions == 4 && window_active(&qmgr) == 0 && !qmgr.reroute.running);
	assert_int_equal(smtp.job_count, 1);
	assert_true(store_next_due_ms(NULL) > qmgr_now(&qmgr) + 10 * MINUTE);
}

static void
returns_mail_that_is_too_old_by_new_documents(UNUSED void **state)
{
	struct limits shorter = defaults;

	connect_all();
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	shorter.expiry_ms = 5 * MINUTE;
	qmgr_reloaded(&qmgr, &shorter);
	event_active(qmgr.reroute.timer, EV_TIMEOUT, 0);
	until(!qmgr.reroute.times_changed && !qmgr.reroute.running && fake.messages->parked);
	assert_int_equal(smtp.job_count, 1);
	assert_true(store_next_due_ms(NULL) - qmgr_now(&qmgr) <= 5 * MINUTE);
	pass_time(6 * MINUTE);
	until(router.reports == 1);
	assert_int_equal(router.report_kind, REPORT_FAILURE);
	/* And one that is too old at the reload, after one more attempt. */
	deposit("s@example.org", "temp@x.example", CONTENT);
	until(smtp.job_count == 4 && fake.messages->parked);
	qmgr_reloaded(&qmgr, &defaults);
	pass_time(4 * MINUTE);
	shorter.expiry_ms = 3 * MINUTE;
	qmgr_reloaded(&qmgr, &shorter);
	event_active(qmgr.reroute.timer, EV_TIMEOUT, 0);
	until(router.reports == 2);
}

static void
routes_anew_after_a_reload_what_stands_in_queues_or_behind_them(UNUSED void **state)
{
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	qmgr.limits.active_messages = 40;
	for (i = 0; i < 100; i++) {
		deposit("s@example.org", "good@host-slow.example", CONTENT);
		turn(3);
	}
	until(depositor.answers == 100 && qmgr.routing.waiting_count == 0 && qmgr.routing.questions.count == 0);
	assert_int_equal(smtp.in_hand, 2);
	assert_true(qmgr.window.parked_surplus > 50);
	smtp.holds_jobs = false;
	reload("relay-new:25");
	until(smtp.delivered == 98);
	assert_string_equal(smtp.last_next_hop, "relay-new:25");
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
}

static void
uses_no_answer_to_a_question_from_before_a_reload(UNUSED void **state)
{
	connect_all();
	deposit("s@example.org", "good@host-old.example", CONTENT);
	until(router.questions == 1);		/* its answer is on its way */
	reload("relay-new:25");
	until(fake_count() == 0);
	assert_int_equal(router.questions, 2);
	assert_int_equal(smtp.delivered, 1);
	assert_string_equal(smtp.last_next_hop, "relay-new:25");
}

static void
asks_nothing_again_about_what_was_not_tried_since_it_was_routed(UNUSED void **state)
{
	struct destination *destination;
	uint64_t before;
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	for (i = 0; i < 60; i++)
		deposit("s@example.org", "good@host-slow.example", CONTENT);
	until(depositor.answers == 60 && smtp.in_hand == 2 && qmgr.routing.questions.count == 0);
	destination = destination_find(&qmgr.destinations, "smtp:host-slow.example:25");
	destination_put_off(&qmgr.destinations, destination, qmgr_now(&qmgr), 10 * 60 * 60, "4.4.1", "all hosts failed lately", "slow");
	outcome_destination_down(&qmgr, destination);
	until(window_active(&qmgr) == 2);
	before = qmgr.window.parked_surplus;
	/* They are looked at, and wait on. */
	pass_time(11 * 60 * MINUTE);
	destination_put_off(&qmgr.destinations, destination, qmgr_now(&qmgr), 10 * 60 * 60, "4.4.1", "all hosts failed lately", "slow");
	until(qmgr.window.parked_surplus >= before + 40 && window_active(&qmgr) == 2);
	assert_int_equal(router.questions, 60);
}

static void
brings_back_what_only_waits_for_its_turn_when_the_host_is_up_again(UNUSED void **state)
{
	uint64_t before;
	unsigned i;

	connect_all();
	router.instead = "relay:25";
	for (i = 0; i < 60; i++)		/* each was tried once */
		deposit("s@example.org", "temp@host-x.example", CONTENT);
	until(depositor.answers == 60 && smtp.job_count == 60 && window_active(&qmgr) == 0);
	/* They come back together, find the host down, and mostly stand behind it. */
	destination_put_off(&qmgr.destinations, destination_find(&qmgr.destinations, "smtp:relay:25"), qmgr_now(&qmgr), 19 * 60,
	    "4.4.1", "all hosts failed lately", "relay");
	before = qmgr.window.parked_surplus;
	pass_time(17 * MINUTE);
	until(qmgr.window.parked_surplus == before + 50 && window_active(&qmgr) == 0);
	assert_int_equal(smtp.job_count, 60);
	/* Once the host is up, all of them are tried, not only those whose time has come. */
	pass_time(3 * MINUTE);
	until(smtp.job_count == 120);
	until(window_active(&qmgr) == 0);
}

/* ---- fairness and bounds ---- */

static void
serves_an_idle_destination_beside_a_clogged_one(UNUSED void **state)
{
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	qmgr.limits.active_messages = 40;
	for (i = 0; i < 200; i++) {
		deposit("s@example.org", "good@host-slow.example", CONTENT);
		turn(3);
	}
	until(depositor.answers == 200 && qmgr.routing.waiting_count == 0 && qmgr.routing.questions.count == 0);
	assert_int_equal(smtp.in_hand, 2);
	assert_true(window_active(&qmgr) <= 40);
	smtp.holds_jobs = false;
	deposit("s@example.org", "quick@host-idle.example", CONTENT);
	until(smtp.delivered == 1);
	assert_non_null(strstr(smtp.order, "quick@host-idle.example"));
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 201);
	assert_true(smtp.most_in_hand <= 3);
}

static void
drops_content_over_the_memory_limit_and_reads_it_again(UNUSED void **state)
{
	char content[10001];
	unsigned i;

	memset(content, 'x', 10000);
	memcpy(content, "Subject: x\r\n\r\n", 14);
	content[10000] = '\0';
	connect_all();
	qmgr.limits.active_memory = 50000;
	smtp.holds_jobs = true;
	for (i = 0; i < 100; i++) {
		deposit("s@example.org", "good@host-slow.example", content);
		turn(3);
	}
	until(depositor.answers == 100);
	assert_true(qmgr.messages.content_octets <= 60000);
	smtp.holds_jobs = false;
	while (smtp.jobs != NULL)
		finish_job(&smtp, smtp.jobs);
	until(fake_count() == 0);
	assert_int_equal(smtp.delivered, 100);
	assert_true(strncmp(smtp.last_content, content, 999) == 0);
	assert_int_equal(qmgr.messages.content_octets, 0);
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

/* The worker dies with count jobs in hand, and another one takes its place. */
static void
die_with(unsigned count)
{
	until(smtp.in_hand == count && qmgr.deliver.jobs_of[CLASS_TRANSFER] == count);
	worker_connect(&smtp, ROLE_SMTP, 0);
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

/* ---- a new qmgr ---- */

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

/* ---- peers that lie ---- */

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

static void
a_report_that_comes_before_router_can_have_written_it_is_not_taken(UNUSED void **state)
{
	struct buffer recipients = BUFFER_INITIALIZER(0);
	unsigned i;

	connect_all();
	router.hasty = true;
	for (i = 0; i < 1000; i++)
		buffer_printf(&recipients, "unknown%u%0200u@x.example ", i, i);
	deposit("s@example.org", buffer_text(&recipients), CONTENT);
	until(router.hasty_answers == 1);
	turn(50);
	assert_int_equal(router.hasty_answers, 1);
	assert_int_equal(fake_count(), 1);
	assert_int_equal(qmgr.counters.reports, 0);
	buffer_free(&recipients);
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

/* ---- the control command ---- */

static void
ask_list(uint64_t after, uint32_t limit, const char *recipient)
{
	struct queue_list list = { .after = after, .limit = limit, .sender = "", .recipient = recipient, .destination = "",
		.state = "" };

	command_connect();
	send_queue_list(command.channel, &list);
	until(command.answers == 1);
}

static void
ask_action(enum queue_action_kind kind, uint64_t id)
{
	struct queue_action action = { .action = (uint8_t)kind, .id = id, .sender = "", .recipient = "", .destination = "",
		.state = "" };

	command_connect();
	send_queue_action(command.channel, &action);
	until(command.answers == 1);
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

static void
lists_parked_and_active_messages_in_the_order_of_ids(UNUSED void **state)
{
	uint64_t ids[6];
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	for (i = 0; i < 6; i++)
		ids[i] = deposit("s@example.org", i % 2 ? "later@x.example" : "good@x.example", CONTENT);
	until(depositor.answers == 6 && window_active(&qmgr) == 3);
	ask_list(0, 0, "");
	assert_int_equal(command.messages, 6);
	for (i = 0; i < 6; i++)
		assert_true(command.ids[i] == ids[i]);
	assert_int_equal(command.size, strlen(CONTENT));
	assert_false(command.more);
	ask_list(0, 4, "");
	assert_int_equal(command.messages, 4);
	assert_true(command.more);
	ask_list(ids[3], 4, "");
	assert_int_equal(command.messages, 2);
	assert_true(command.ids[0] == ids[4]);
	assert_false(command.more);
	ask_list(0, 0, "later@x.example");
	assert_int_equal(command.messages, 3);
}

#define LISTED 650

struct listed {
	uint64_t last;
	unsigned count;
	bool ended;
};

static bool
note_listed(void *context, const struct listing_item *item, const struct error *error)
{
	struct listed *listed = context;

	assert_null(error);
	if (item == NULL) {
		listed->ended = true;
		return false;
	}
	assert_true(item->id > listed->last);
	listed->last = item->id;
	listed->count++;
	return true;
}

static void
start_listing(uint64_t limit, struct listed *listed)
{
	struct selection selection;

	selection_init(&selection, 0, "", "", "", "", 0);
	listing_start(&qmgr, &selection, 0, limit, false, note_listed, listed);
}

static void
lists_each_message_once_though_they_move_between_store_and_memory(UNUSED void **state)
{
	struct listed listed = { 0 };
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	for (i = 0; i < LISTED; i++) {
		deposit("s@example.org", i % 20 == 0 ? "good@host-slow.example" : "later@x.example", CONTENT);
		until(depositor.answers == i + 1);
	}
	until(window_active(&qmgr) == LISTED / 20 + 1);
	pass_time(20 * MINUTE);
	until(router.questions > LISTED);		/* they are being taken back, and parked again */
	start_listing(0, &listed);
	until(listed.ended);
	assert_int_equal(listed.count, LISTED);
	assert_true(router.questions < LISTED * 2);	/* some of them afterwards */
}

/* The store has handed the message out since a listing asked it: it comes into memory, and is due. */
static void
come_into_memory(uint64_t id)
{
	struct envelope envelope;

	fake_find(id)->parked = false;
	fake_copy_envelope(&fake_find(id)->envelope, NULL, &envelope);
	envelope.recipients[0].next_attempt_ms = 0;
	active_enter(&qmgr, active_new(&envelope, NULL, PLACE_UNKNOWN));
}

/* What stands in the queue of the destination is parked. */
static void
park_behind(const char *key)
{
	struct destination *destination = destination_find(&qmgr.destinations, key);

	destination_put_off(&qmgr.destinations, destination, qmgr_now(&qmgr), 600, "4.4.1", "all hosts failed lately", "host");
	outcome_destination_down(&qmgr, destination);
}

static void
lists_what_is_parked_while_the_store_has_the_page_in_hand(UNUSED void **state)
{
	struct listed listed = { 0 };

	depositor_connect();
	router_connect();
	until(depositor.next_id != 0);
	deposit("s@example.org", "good@host-slow.example", CONTENT);
	until(qmgr.destinations.queued == 1 && destination_find(&qmgr.destinations, "smtp:host-slow.example:25")->enqueued == 1);
	start_listing(0, &listed);
	park_behind("smtp:host-slow.example:25");
	assert_int_equal(window_active(&qmgr), 0);
	until(listed.ended);
	assert_int_equal(listed.count, 1);
}

static void
lists_what_comes_into_memory_while_the_store_has_the_page_in_hand(UNUSED void **state)
{
	struct listed listed = { 0 };
	uint64_t id;

	depositor_connect();
	router_connect();
	until(depositor.next_id != 0);
	id = deposit("s@example.org", "later@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	fake.messages->parked = false;		/* on its way from the store */
	start_listing(0, &listed);
	come_into_memory(id);
	until(listed.ended);
	assert_int_equal(listed.count, 1);
}

static void
lists_the_next_one_too_when_one_left_memory_and_came_back(UNUSED void **state)
{
	struct listed listed = { 0 };
	uint64_t id;

	depositor_connect();
	router_connect();
	until(depositor.next_id != 0);
	id = deposit("s@example.org", "good@host-slow.example", CONTENT);
	deposit("s@example.org", "good@host-other.example", CONTENT);
	until(depositor.answers == 2 && qmgr.routing.questions.count == 0 && qmgr.destinations.queued == 2);
	park_behind("smtp:host-slow.example:25");
	until(fake_find(id)->parked);
	come_into_memory(id);
	start_listing(2, &listed);
	active_find(&qmgr, id)->held = true;	/* it is parked again, and comes back once more */
	active_withdraw(&qmgr, active_find(&qmgr, id));
	active_settle(&qmgr, active_find(&qmgr, id));
	assert_true(fake_find(id)->parked);
	come_into_memory(id);
	until(listed.ended);
	assert_int_equal(listed.count, 2);
}

static void
lists_as_many_as_it_was_asked_for_and_no_page_more(UNUSED void **state)
{
	struct listed listed = { 0 };
	unsigned i;

	connect_all();
	smtp.holds_jobs = true;
	for (i = 0; i < 20; i++)
		deposit("s@example.org", i < 10 ? "later@x.example" : "good@host-slow.example", CONTENT);
	until(depositor.answers == 20 && window_active(&qmgr) == 10);
	start_listing(15, &listed);
	until(listed.ended);
	assert_int_equal(listed.count, 15);
}

static void
exports_the_content_behind_the_envelope(UNUSED void **state)
{
	struct queue_export export;

	connect_all();
	export.id = deposit("s@example.org", "later@x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	command_connect();
	send_queue_export(command.channel, &export);
	until(command.answers == 1);
	assert_false(command.failed);
	assert_int_equal(command.messages, 1);
	assert_true(command.data.length > strlen(CONTENT));
	assert_memory_equal(command.data.data + command.data.length - strlen(CONTENT), CONTENT, strlen(CONTENT));
	export.id = 12345;
	command_connect();
	send_queue_export(command.channel, &export);
	until(command.answers == 1);
	assert_false(command.failed);
	assert_int_equal(command.messages, 0);
}

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

static void
describes_destinations(UNUSED void **state)
{
	struct queue_destinations ask_destinations;

	connect_all();
	deposit("s@example.org", "down@host-x.example", CONTENT);
	until(fake.messages != NULL && fake.messages->parked);
	command_connect();
	send_queue_destinations(command.channel, &ask_destinations);
	until(command.answers == 1);
	assert_int_equal(command.count, 1);
	assert_non_null(strstr(buffer_text(&command.data), "destination=smtp:host-x.example:25\t"));
	assert_non_null(strstr(buffer_text(&command.data), "reason=Connection refused\n"));
}

/* ---- leaving ---- */

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

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- call-outs ---- */

static void
ask_call_out(uint64_t id, const char *recipient)
{
	send_call_out_question(depositor.channel, &(struct call_out_question){ .id = id, .recipient = recipient });
}

static void
answer_call_out(const struct fake_worker *worker, enum call_out_outcome outcome, const char *text)
{
	send_call_out_result(worker->channel, &(struct call_out_result){ .job = worker->last_call_out,
	    .outcome = (uint8_t)outcome, .text = text });
}

static void
a_call_out_goes_where_the_mail_would(UNUSED void **state)
{
	connect_all();
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	assert_string_equal(smtp.last_called_out, "2 host-a:25 known@host-a");
	worker_connect(&smtp1, ROLE_SMTP, 1);
	smtp1.last_call_out = smtp.last_call_out;
	answer_call_out(&smtp1, CALL_OUT_ACCEPTED, "250 not mine");
	turn(50);
	assert_int_equal(depositor.call_outs, 0);
	answer_call_out(&smtp, CALL_OUT_DENIED, "550 no");
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.last_call_out, 7);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_DENIED);
	assert_string_equal(depositor.call_out_text, "550 no");
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 again");
	turn(50);
	assert_int_equal(depositor.call_outs, 1);
}

static void
mail_that_does_not_leave_is_asked_of_nobody(UNUSED void **state)
{
	static const struct {
		const char *recipient;
		enum call_out_outcome outcome;
	} cases[] = { { "local@x", CALL_OUT_NOBODY_TO_ASK }, { "group3@x", CALL_OUT_NOBODY_TO_ASK },
		{ "forward@x", CALL_OUT_NOBODY_TO_ASK }, { "unknown@x", CALL_OUT_NOBODY_TO_ASK }, { "later@x", CALL_OUT_SILENT } };

	connect_all();
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		ask_call_out(i, cases[i].recipient);
		until(depositor.call_outs == i + 1);
		assert_int_equal(depositor.call_out_outcome, cases[i].outcome);
	}
	assert_int_equal(smtp.call_outs, 0);
}

static void
those_who_ask_for_the_same_recipient_share_a_call_out(UNUSED void **state)
{
	connect_all();
	for (uint64_t id = 1; id <= 20; id++)
		ask_call_out(id, "known@host-a");
	until(smtp.call_outs == 1);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(depositor.call_outs == 20);
	assert_int_equal(smtp.call_outs, 1);
	assert_int_equal(qmgr.call_outs.asker_count, 0);
	assert_int_equal(qmgr.call_outs.on_their_way, 0);
}

static void
only_so_many_call_outs_are_on_their_way(UNUSED void **state)
{
	char recipient[40];

	connect_all();
	qmgr.limits.sessions_per_destination = 1000;
	for (unsigned i = 0; i < CALL_OUT_PROBES_MAX + 5; i++) {
		snprintf(recipient, sizeof(recipient), "known%u@host-%u", i, i % 3);
		ask_call_out(i, recipient);
	}
	until(smtp.call_outs == CALL_OUT_PROBES_MAX);
	turn(50);
	assert_int_equal(smtp.call_outs, CALL_OUT_PROBES_MAX);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(smtp.call_outs == CALL_OUT_PROBES_MAX + 1);
	assert_int_equal(depositor.call_outs, 1);
}

static void
ask_call_outs(unsigned first, unsigned count, const char *host)
{
	char recipient[40];

	for (unsigned i = first; i < first + count; i++) {
		snprintf(recipient, sizeof(recipient), "known%u@%s", i, host);
		ask_call_out(i, recipient);
	}
}

static void
no_more_call_outs_are_on_their_way_than_a_destination_may_have_sessions(UNUSED void **state)
{
	connect_all();
	ask_call_outs(0, 5, "host-a");
	until(smtp.call_outs == defaults.sessions_per_destination);
	turn(50);
	assert_int_equal(smtp.call_outs, defaults.sessions_per_destination);
}

static void
a_silent_next_hop_holds_up_no_call_out_of_another(UNUSED void **state)
{
	struct fake_worker at_host_a;

	connect_all();
	ask_call_outs(0, 5, "host-a");
	until(smtp.call_outs == 2);
	at_host_a = smtp;
	ask_call_out(9, "known@host-b");
	until(smtp.call_outs == 3);
	assert_string_equal(smtp.last_called_out, "2 host-b:25 known@host-b");
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(depositor.call_outs == 1);
	turn(50);
	assert_int_equal(smtp.call_outs, 3);
	/* The next ones follow in their order, one for each place. */
	answer_call_out(&at_host_a, CALL_OUT_ACCEPTED, "250 ok");
	until(smtp.call_outs == 4);
	assert_string_equal(smtp.last_called_out, "2 host-a:25 known2@host-a");
	turn(50);
	assert_int_equal(smtp.call_outs, 4);
	for (unsigned i = 3; i < 5; i++) {
		answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
		until(smtp.call_outs == i + 2);
	}
	assert_string_equal(smtp.last_called_out, "2 host-a:25 known4@host-a");
}

static void
no_next_hop_has_more_than_half_of_all_call_outs(UNUSED void **state)
{
	connect_all();
	qmgr.limits.sessions_per_destination = 1000;
	ask_call_outs(0, CALL_OUT_PROBES_MAX, "host-a");
	until(smtp.call_outs == CALL_OUT_PROBES_MAX / 2);
	turn(50);
	assert_int_equal(smtp.call_outs, CALL_OUT_PROBES_MAX / 2);
	ask_call_out(1000, "known@host-b");
	until(smtp.call_outs == CALL_OUT_PROBES_MAX / 2 + 1);
	assert_string_equal(smtp.last_called_out, "2 host-b:25 known@host-b");
}

/* The first two hold the places of host-a, the next two are next when smtp has gone: none of them gets to host-a any more. */
static void
a_place_at_a_next_hop_passes_on_when_the_next_one_has_no_time_left(UNUSED void **state)
{
	connect_all();
	qmgr.limits.call_out_timeout_ms = 300;
	ask_call_outs(0, 4, "host-a");
	until(smtp.call_outs == 2);
	qmgr.limits.call_out_timeout_ms = MINUTE;
	ask_call_outs(4, 1, "host-a");
	until(qmgr.call_outs.by_recipient.count == 5);
	turn(50);
	channel_free(&smtp.channel);
	until(depositor.call_outs == 4);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 3);
	assert_string_equal(smtp.last_called_out, "2 host-a:25 known4@host-a");
}

static void
a_call_out_out_of_time_keeps_its_place_until_smtp_lets_go(UNUSED void **state)
{
	connect_all();
	qmgr.limits.call_out_timeout_ms = 50;
	ask_call_outs(0, 2, "host-a");
	until(depositor.call_outs == 2);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_SILENT);
	qmgr.limits.call_out_timeout_ms = MINUTE;
	ask_call_outs(0, 3, "host-a");
	turn(50);
	assert_int_equal(smtp.call_outs, 2);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 too late");
	until(smtp.call_outs == 3);
	/* What is out of time is not asked again, though there is room. */
	qmgr.limits.sessions_per_destination = 20;
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 6);
	turn(50);
	assert_int_equal(smtp.call_outs, 6);
	assert_int_equal(qmgr.call_outs.on_their_way, 3);
	assert_int_equal(depositor.call_outs, 2);
}

/* Its channel writes to a socket whose packets the test carries on to qmgr: nobody reads what qmgr says. */
static void
a_depositor_that_asks_for_call_outs_and_reads_no_answer_is_left(UNUSED void **state)
{
	int pen[2], sockets[2];
	char packet[65536];
	struct channel *asker;
	ssize_t length;

	pair(pen);
	pair(sockets);
	deposit_introduced(&qmgr, 0, IPC_SERVES, sockets[1]);
	asker = channel_open(base, pen[0], &deposit_protocol, IPC_ASKS, NULL, NULL, NULL);
	for (unsigned i = 0; i < 600000 && !TAILQ_EMPTY(&qmgr.deposits.depositors); i++) {
		send_call_out_question(asker, &(struct call_out_question){ .id = i, .recipient = "known@host-a" });
		if (i % 1000 == 0)
			turn(2);
		while ((length = recv(pen[1], packet, sizeof(packet), MSG_DONTWAIT)) > 0)
			while (send(sockets[0], packet, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN)
				turn(1);
	}
	assert_true(TAILQ_EMPTY(&qmgr.deposits.depositors));
	channel_free(&asker);
	close(pen[1]);
	close(sockets[0]);
}

static void
surplus_call_outs_are_answered_at_once(UNUSED void **state)
{
	char recipient[40];

	connect_all();
	router.silent = true;
	for (unsigned i = 0; i <= CALL_OUTS_MAX; i++) {
		snprintf(recipient, sizeof(recipient), "known%u@host-a", i);
		ask_call_out(i, recipient);
	}
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.last_call_out, CALL_OUTS_MAX);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_SILENT);
}

static void
a_call_out_survives_router_and_smtp(UNUSED void **state)
{
	connect_all();
	router.silent = true;
	ask_call_out(7, "known@host-a");
	turn(50);
	router.silent = false;
	router_connect();
	until(smtp.call_outs == 1);
	channel_free(&smtp.channel);
	turn(50);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 2);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_ACCEPTED);
}

static void
a_call_out_that_kills_smtp_twice_is_not_asked_again(UNUSED void **state)
{
	connect_all();
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 2);
	ask_call_out(8, "later-asked@host-b");
	until(smtp.call_outs == 3);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.last_call_out, 7);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_SILENT);
	/* The other one was in hand at one death only. */
	until(smtp.call_outs == 4);
	assert_string_equal(smtp.last_called_out, "2 host-b:25 later-asked@host-b");
	turn(50);
	assert_int_equal(smtp.call_outs, 4);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(depositor.call_outs == 2);
	assert_int_equal(depositor.last_call_out, 8);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_ACCEPTED);
	assert_int_equal(qmgr.call_outs.by_recipient.count, 0);
}

static void
a_call_out_that_kills_smtp_again_makes_no_suspect_of_new_mail(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	smtp.holds_jobs = true;
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 2);
	id = deposit("s@example.org", "good@x.example", CONTENT);
	die_with(1);
	until(depositor.call_outs == 1);
	assert_int_equal(suspects_deaths(&qmgr.deliver.suspects, id), 0);
	die_with(1);
	assert_int_equal(suspects_deaths(&qmgr.deliver.suspects, id), 1);
}

static void
call_outs_do_not_shield_a_message_that_kills_smtp(UNUSED void **state)
{
	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "good@x.example", CONTENT);
	until(smtp.in_hand == 1);
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	die_with(1);
	until(smtp.call_outs == 2);
	die_with(1);
	until(fake.messages->parked);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 0);
}

static void
a_call_out_waits_only_so_long(UNUSED void **state)
{
	connect_all();
	qmgr.limits.call_out_timeout_ms = 50;
	ask_call_out(7, "known@host-a");
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_SILENT);
	assert_int_equal(qmgr.call_outs.by_recipient.count, 0);
}

static void
an_asker_that_left_is_forgotten_and_the_call_out_ends(UNUSED void **state)
{
	connect_all();
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	depositor_connect();
	turn(50);
	assert_int_equal(qmgr.call_outs.asker_count, 0);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(qmgr.call_outs.by_recipient.count == 0);
	assert_int_equal(depositor.call_outs, 0);
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
		CASE(takes_a_large_message_through_a_file_and_delivers_from_it),
		CASE(unlinks_the_body_files_of_a_depositor_that_died),
		CASE(forgets_half_a_deposit_when_the_depositor_dies),
		CASE(holds_depositors_off_at_the_memory_limit_and_lets_them_come_back_at_three_quarters),
		CASE(holds_depositors_off_when_one_of_them_found_no_room),
		CASE(takes_nothing_while_the_store_does_not_accept),
		CASE(sends_all_recipients_of_a_destination_in_one_job),
		CASE(expands_a_group_once_without_repeating_anybody),
		CASE(delivers_to_no_member_before_the_expansion_is_on_disk),
		CASE(sends_to_a_large_group_in_jobs_of_a_hundred),
		CASE(returns_a_message_whose_forwarding_leads_back_to_itself),
		CASE(returns_a_message_that_was_forwarded_too_often),
		CASE(asks_again_what_router_did_not_answer_before_it_died),
		CASE(tries_again_later_when_router_cannot_decide),
		CASE(parks_a_deferred_message_and_tries_it_when_it_is_due),
		CASE(puts_off_everything_for_a_host_that_is_down_after_one_attempt),
		CASE(reports_failures_with_their_states_in_one_record),
		CASE(records_with_a_report_what_failed_while_others_still_wait),
		CASE(keeps_a_failure_until_its_report_could_be_stored),
		CASE(never_reports_about_a_report_or_to_nobody),
		CASE(reports_success_only_when_the_sender_wanted_it),
		CASE(expires_an_old_message_only_after_a_fresh_attempt),
		CASE(tells_of_a_delay_once),
		CASE(counts_a_job_once_whoever_was_in_it),
		CASE(waits_as_long_as_failed_hosts_are_remembered_without_counting_an_attempt),
		CASE(transfers_mail_of_low_priority_only_in_its_time_of_day),
		CASE(leaves_mail_of_low_priority_where_it_is_when_a_destination_has_room),
		CASE(gives_all_mail_the_same_priority_where_priorities_are_ignored),
		CASE(lowers_the_priority_of_large_messages),
		CASE(tells_senders_of_low_priority_as_the_setting_says),
		CASE(tells_of_a_delay_only_those_who_want_to_know),
		CASE(tells_of_a_delay_by_the_messages_priority_and_not_of_held_mail),
		CASE(notices_a_delay_within_the_interval_though_the_next_attempt_is_far_off),
		CASE(expires_nothing_early_when_the_wall_clock_jumps),
		CASE(takes_mail_to_another_host_after_a_reload_though_the_old_one_is_down),
		CASE(tries_nothing_early_after_a_reload_that_changed_no_route),
		CASE(returns_mail_that_is_too_old_by_new_documents),
		CASE(routes_anew_after_a_reload_what_stands_in_queues_or_behind_them),
		CASE(uses_no_answer_to_a_question_from_before_a_reload),
		CASE(asks_nothing_again_about_what_was_not_tried_since_it_was_routed),
		CASE(brings_back_what_only_waits_for_its_turn_when_the_host_is_up_again),
		CASE(serves_an_idle_destination_beside_a_clogged_one),
		CASE(drops_content_over_the_memory_limit_and_reads_it_again),
		CASE(gives_a_dead_workers_jobs_to_its_successor_without_counting_an_attempt),
		CASE(lets_a_message_wait_that_is_in_hand_whenever_a_worker_dies),
		CASE(blames_no_neighbour_of_a_message_that_kills),
		CASE(counts_a_death_once_for_a_message_with_many_jobs),
		CASE(lets_a_message_with_many_recipients_hold_up_nobody),
		CASE(lets_no_local_recipient_wait_for_the_transfers_of_its_message),
		CASE(forgets_the_transfers_that_wait_for_their_places_when_the_message_is_removed),
		CASE(spreads_jobs_over_processes_and_prefers_the_one_with_a_free_session),
		CASE(gives_a_worker_only_as_many_jobs_as_it_has_credits),
		CASE(schedules_what_it_finds_at_its_start),
		CASE(takes_back_what_was_left_behind_a_destination_where_no_mail_goes_any_more),
		CASE(takes_back_what_an_earlier_qmgr_left_behind_a_destination),
		CASE(gives_nothing_twice_that_a_worker_still_holds),
		CASE(applies_results_that_come_with_what_is_held),
		CASE(waits_for_the_later_of_two_attempts_that_an_earlier_qmgr_began),
		CASE(lets_a_late_result_not_touch_a_recipient_that_is_in_a_job_of_our_own),
		CASE(a_worker_that_told_all_it_holds_can_claim_nothing_more),
		CASE(a_report_that_comes_before_router_can_have_written_it_is_not_taken),
		CASE(a_depositor_that_throws_ids_away_is_dropped_before_they_run_out),
		CASE(lists_parked_and_active_messages_in_the_order_of_ids),
		CASE(lists_each_message_once_though_they_move_between_store_and_memory),
		CASE(lists_what_is_parked_while_the_store_has_the_page_in_hand),
		CASE(lists_what_comes_into_memory_while_the_store_has_the_page_in_hand),
		CASE(lists_the_next_one_too_when_one_left_memory_and_came_back),
		CASE(lists_as_many_as_it_was_asked_for_and_no_page_more),
		CASE(exports_the_content_behind_the_envelope),
		CASE(holds_a_message_until_it_is_released),
		CASE(a_held_message_stays_held_though_a_worker_still_had_it_in_hand),
		CASE(retries_at_once_and_forgets_the_back_off_of_the_destination),
		CASE(tells_a_worker_that_an_administrator_asked_until_a_job_showed_what_is_true),
		CASE(tells_it_too_when_the_documents_lead_elsewhere_now),
		CASE(routes_what_waits_for_a_destination_now_low_priority_too),
		CASE(routes_only_the_recipients_that_go_to_the_destination),
		CASE(routes_a_large_low_priority_queue_to_its_end_though_the_window_is_small),
		CASE(removes_a_message_in_hand_when_its_job_ends),
		CASE(describes_destinations),
		CASE(drains_when_the_jobs_in_hand_are_done),
		CASE(a_call_out_goes_where_the_mail_would),
		CASE(mail_that_does_not_leave_is_asked_of_nobody),
		CASE(those_who_ask_for_the_same_recipient_share_a_call_out),
		CASE(only_so_many_call_outs_are_on_their_way),
		CASE(no_more_call_outs_are_on_their_way_than_a_destination_may_have_sessions),
		CASE(a_silent_next_hop_holds_up_no_call_out_of_another),
		CASE(no_next_hop_has_more_than_half_of_all_call_outs),
		CASE(a_place_at_a_next_hop_passes_on_when_the_next_one_has_no_time_left),
		CASE(a_call_out_out_of_time_keeps_its_place_until_smtp_lets_go),
		CASE(surplus_call_outs_are_answered_at_once),
		CASE(a_depositor_that_asks_for_call_outs_and_reads_no_answer_is_left),
		CASE(a_call_out_survives_router_and_smtp),
		CASE(a_call_out_that_kills_smtp_twice_is_not_asked_again),
		CASE(a_call_out_that_kills_smtp_again_makes_no_suspect_of_new_mail),
		CASE(call_outs_do_not_shield_a_message_that_kills_smtp),
		CASE(a_call_out_waits_only_so_long),
		CASE(an_asker_that_left_is_forgotten_and_the_call_out_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
