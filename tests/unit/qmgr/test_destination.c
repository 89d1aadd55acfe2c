/* destination: queues, turns, concurrency, and hosts that are down */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "qmgr/active.h"
#include "qmgr/destination.h"

#define MINUTE INT64_C(60000)

static struct limits limits = {
	.active_messages = 1000,
	.sessions_per_destination = 2,
	.initial_concurrency = 2,
	.deliveries = 3,
	.retry_initial_ms = 15 * MINUTE,
	.retry_cap_ms = 60 * MINUTE,
};

static struct destinations destinations;

static int
set_up(UNUSED void **state)
{
	destinations_init(&destinations, &limits);
	return 0;
}

static int
tear_down(UNUSED void **state)
{
	destinations_free(&destinations);
	return 0;
}

static struct active_message *
message_with(unsigned recipients)
{
	struct envelope envelope;
	char address[40];
	unsigned i;

	envelope_init(&envelope);
	envelope.sender = strdup("sender@example.org");
	for (i = 0; i < recipients; i++) {
		snprintf(address, sizeof(address), "user%u@example.com", i);
		envelope_add_recipient(&envelope, address);
	}
	return active_new(&envelope, NULL, PLACE_UNKNOWN);
}

static void
enqueue(struct active_message *message, const char *next_hop, enum queue_level level)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, next_hop);
	struct delivery *delivery = NULL;
	uint32_t i;

	for (i = 0; i < message->envelope.recipient_count; i++)
		delivery = delivery_add(&destinations, destination, message, i);
	delivery_enqueue(&destinations, delivery, level);
}

/* Takes the next job, gives its message, and ends it. */
static struct active_message *
take_one(uint32_t *count_out)
{
	uint32_t recipients[JOB_RECIPIENTS_MAX];
	struct destination *destination = destination_next(&destinations, CLASS_TRANSFER);
	struct active_message *message;

	if (destination == NULL)
		return NULL;
	message = destination_take(&destinations, destination, recipients, count_out);
	destination_session_ended(&destinations, destination);
	return message;
}

static void
gives_destinations_turns_one_job_each(UNUSED void **state)
{
	struct active_message *a = message_with(1), *b = message_with(1), *c = message_with(1);
	uint32_t count;

	enqueue(a, "slow:25", LEVEL_NORMAL);
	enqueue(b, "slow:25", LEVEL_NORMAL);
	enqueue(c, "other:25", LEVEL_NORMAL);
	assert_ptr_equal(take_one(&count), a);
	assert_ptr_equal(take_one(&count), c);
	assert_ptr_equal(take_one(&count), b);
	assert_null(take_one(&count));
	active_free(&a);
	active_free(&b);
	active_free(&c);
}

static void
lets_a_message_with_many_recipients_yield_after_each_job(UNUSED void **state)
{
	struct active_message *large = message_with(250), *small = message_with(1);
	uint32_t count;

	enqueue(large, "relay:25", LEVEL_NORMAL);
	enqueue(small, "relay:25", LEVEL_NORMAL);
	assert_ptr_equal(take_one(&count), large);
	assert_int_equal(count, JOB_RECIPIENTS_MAX);
	assert_ptr_equal(take_one(&count), small);
	assert_int_equal(count, 1);
	assert_ptr_equal(take_one(&count), large);
	assert_int_equal(count, JOB_RECIPIENTS_MAX);
	assert_ptr_equal(take_one(&count), large);
	assert_int_equal(count, 50);
	assert_null(take_one(&count));
	active_free(&large);
	active_free(&small);
}

static void
starves_no_priority(UNUSED void **state)
{
	struct active_message *high[40], *normal = message_with(1), *low = message_with(1), *taken;
	uint32_t count;
	unsigned i, normal_at = 0, low_at = 0;

	for (i = 0; i < 40; i++) {
		high[i] = message_with(1);
		enqueue(high[i], "relay:25", LEVEL_HIGH);
	}
	enqueue(normal, "relay:25", LEVEL_NORMAL);
	enqueue(low, "relay:25", LEVEL_LOW);
	for (i = 1; (taken = take_one(&count)) != NULL; i++) {
		if (taken == normal)
			normal_at = i;
		if (taken == low)
			low_at = i;
	}
	assert_in_range(normal_at, 1, 8);
	assert_in_range(low_at, 1, 8);
	for (i = 0; i < 40; i++)
		active_free(&high[i]);
	active_free(&normal);
	active_free(&low);
}

static void
starts_no_more_jobs_than_its_concurrency(UNUSED void **state)
{
	struct active_message *messages[5];
	uint32_t recipients[JOB_RECIPIENTS_MAX], count;
	struct destination *destination;
	unsigned i;

	for (i = 0; i < 5; i++) {
		messages[i] = message_with(1);
		enqueue(messages[i], "relay:25", LEVEL_NORMAL);
	}
	for (i = 0; i < 2; i++) {
		destination = destination_next(&destinations, CLASS_TRANSFER);
		assert_non_null(destination);
		destination_take(&destinations, destination, recipients, &count);
	}
	assert_null(destination_next(&destinations, CLASS_TRANSFER));
	destination = destination_find(&destinations, "smtp:relay:25");
	destination_session_ended(&destinations, destination);
	assert_ptr_equal(destination_next(&destinations, CLASS_TRANSFER), destination);
	destination_set_aside(&destinations, destination);
	assert_null(destination_next(&destinations, CLASS_TRANSFER));
	destinations_bring_back(&destinations, CLASS_TRANSFER);
	assert_ptr_equal(TAILQ_FIRST(&destinations.rings[CLASS_TRANSFER][destination->ring]), destination);
	while (!TAILQ_EMPTY(&destination->queues[LEVEL_NORMAL]))
		delivery_free(&destinations, TAILQ_FIRST(&destination->queues[LEVEL_NORMAL]));
	for (i = 0; i < 5; i++)
		active_free(&messages[i]);
}

static void
goes_down_at_the_first_failure_when_it_never_worked(UNUSED void **state)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "dead:25");
	int64_t now = 1000000;

	assert_true(destination_failed(&destinations, destination, now, "4.4.1", "Connection refused", "dead"));
	assert_true(destination_is_down(destination, now));
	assert_in_range(destination->down_until - now, 13 * MINUTE, 17 * MINUTE);
	assert_string_equal(destination->last_reason, "Connection refused");
	assert_int_equal(destination_concurrency(&destinations, destination), 1);
	/* More failures of jobs that were under way do not lengthen it. */
	assert_true(destination_failed(&destinations, destination, now, "4.4.1", "Connection refused", "dead"));
	assert_int_equal(destination->failures, 1);
	now = destination->down_until;
	assert_false(destination_is_down(destination, now));
	assert_true(destination_failed(&destinations, destination, now, "4.4.1", "Connection refused", "dead"));
	assert_in_range(destination->down_until - now, 27 * MINUTE, 33 * MINUTE);
	destination_succeeded(&destinations, destination, now + 1, true);
	assert_false(destination_is_down(destination, now + 1));
	assert_int_equal(destination_concurrency(&destinations, destination), 2);
}

/* Takes a job of whichever destination is next; NULL: none may start one. */
static struct destination *
start_one(void)
{
	uint32_t recipients[JOB_RECIPIENTS_MAX], count;
	struct destination *destination = destination_next(&destinations, CLASS_TRANSFER);

	if (destination != NULL)
		destination_take(&destinations, destination, recipients, &count);
	return destination;
}

static void
allows_one_job_more_with_each_that_succeeds_up_to_the_limit(UNUSED void **state)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "good:25");
	unsigned i;

	limits.sessions_per_destination = 20;
	assert_int_equal(destination_concurrency(&destinations, destination), 2);
	for (i = 0; i < 18; i++) {
		destination_succeeded(&destinations, destination, 1000, true);
		assert_int_equal(destination_concurrency(&destinations, destination), 3 + i);
	}
	destination_succeeded(&destinations, destination, 1000, true);
	assert_int_equal(destination_concurrency(&destinations, destination), 20);
	limits.sessions_per_destination = 4;		/* a reload */
	assert_int_equal(destination_concurrency(&destinations, destination), 4);
	/* A job that reached the host and delivered nothing is no reason for more. */
	limits.sessions_per_destination = 30;
	destination_succeeded(&destinations, destination, 1000, false);
	assert_int_equal(destination_concurrency(&destinations, destination), 20);
	limits.sessions_per_destination = 2;
}

static void
halves_the_jobs_of_a_host_that_fails_and_leaves_it_one(UNUSED void **state)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "shaky:25");
	unsigned i;

	limits.sessions_per_destination = 20;
	for (i = 0; i < 18; i++)
		destination_succeeded(&destinations, destination, 1000, true);
	destination_failed(&destinations, destination, 1001, "4.4.2", "Time-out", "shaky");
	assert_int_equal(destination_concurrency(&destinations, destination), 10);
	destination_failed(&destinations, destination, 1002, "4.4.2", "Time-out", "shaky");
	assert_int_equal(destination_concurrency(&destinations, destination), 5);
	destination_succeeded(&destinations, destination, 1003, true);
	assert_int_equal(destination_concurrency(&destinations, destination), 6);
	destination->concurrency = 1;
	destination_failed(&destinations, destination, 1004, "4.4.2", "Time-out", "shaky");
	assert_int_equal(destination_concurrency(&destinations, destination), 1);
	limits.sessions_per_destination = 2;
}

static void
lets_one_that_was_down_prove_itself_with_one_job(UNUSED void **state)
{
	struct active_message *messages[4];
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "back:25");
	unsigned i;

	destination_failed(&destinations, destination, 1000, "4.4.1", "Connection refused", "back");
	for (i = 0; i < 4; i++) {
		messages[i] = message_with(1);
		enqueue(messages[i], "back:25", LEVEL_NORMAL);
	}
	assert_ptr_equal(start_one(), destination);
	assert_null(start_one());
	destination_session_ended(&destinations, destination);
	destination_succeeded(&destinations, destination, 2000, true);
	for (i = 0; i < 2; i++)
		assert_ptr_equal(start_one(), destination);
	assert_null(start_one());
	delivery_free(&destinations, TAILQ_FIRST(&destination->queues[LEVEL_NORMAL]));
	for (i = 0; i < 4; i++)
		active_free(&messages[i]);
}

static void
waits_as_long_as_its_hosts_are_remembered_and_counts_no_failure(UNUSED void **state)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "remembered:25");
	int64_t now = 1000000;

	destination_put_off(&destinations, destination, now, 300, "4.4.1", "all hosts failed lately", "remembered");
	assert_in_range(destination->down_until - now, 5 * MINUTE, 5 * MINUTE + 6000);
	assert_int_equal(destination->failures, 0);
	assert_int_equal(destination_concurrency(&destinations, destination), 1);
	assert_string_equal(destination->last_reason, "all hosts failed lately");
	/* What is down already is not down for longer because of it. */
	destination_put_off(&destinations, destination, now, 3000, "4.4.1", "all hosts failed lately", "remembered");
	assert_in_range(destination->down_until - now, 5 * MINUTE, 5 * MINUTE + 6000);
	/* Remembered, too, when nothing waits for it. */
	destination_release(&destinations, destination);
	assert_ptr_equal(destination_find(&destinations, "smtp:remembered:25"), destination);
	now = destination->down_until;
	assert_true(destination_failed(&destinations, destination, now, "4.4.1", "Connection refused", "remembered"));
	assert_in_range(destination->down_until - now, 13 * MINUTE, 17 * MINUTE);
}

static void
follows_each_order_of_an_administrator_once(UNUSED void **state)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "dead:25");

	destination_failed(&destinations, destination, 1000, "4.4.1", "Connection refused", "dead");
	destination_override(&destinations, destination, 1);
	assert_false(destination_is_down(destination, 1001));
	assert_true(destination->fresh);
	assert_int_equal(destination_concurrency(&destinations, destination), 1);
	destination_failed(&destinations, destination, 2000, "4.4.1", "Connection refused", "dead");
	destination_override(&destinations, destination, 1);
	assert_true(destination_is_down(destination, 2001));
	destination_override(&destinations, destination, 2);
	assert_false(destination_is_down(destination, 2001));
	destination_failed(&destinations, destination, 3000, "4.4.1", "Connection refused", "dead");
	destination_override(&destinations, destination, 1);
	assert_true(destination_is_down(destination, 3001));
}

/* ---- destinations beside each other ---- */

#define MANY 200

static struct active_message *many[MANY];

static void
enqueue_many(const char *name, unsigned count)
{
	char next_hop[40];
	unsigned i;

	for (i = 0; i < count; i++) {
		many[i] = message_with(1);
		snprintf(next_hop, sizeof(next_hop), "%s%u:25", name, i);
		enqueue(many[i], next_hop, LEVEL_NORMAL);
	}
}

static void
drop_many(unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		while (!LIST_EMPTY(&many[i]->deliveries))
			delivery_free(&destinations, LIST_FIRST(&many[i]->deliveries));
		active_free(&many[i]);
	}
}

static void
keeps_room_for_hosts_that_work_beside_many_that_never_did(UNUSED void **state)
{
	struct destination *good = destination_get(&destinations, TRANSPORT_SMTP, "good:25");
	struct active_message *message = message_with(1);
	unsigned started = 0;

	destinations_set_capacity(&destinations, CLASS_TRANSFER, 100);
	enqueue_many("silent", MANY);
	while (start_one() != NULL)
		started++;
	assert_int_equal(started, 50);
	destination_succeeded(&destinations, good, 1000, true);
	enqueue(message, "good:25", LEVEL_NORMAL);
	assert_ptr_equal(start_one(), good);
	drop_many(MANY);
	active_free(&message);
}

static void
gives_a_quarter_of_all_jobs_to_destinations_that_were_down(UNUSED void **state)
{
	char name[40];
	unsigned i, started = 0;

	destinations_set_capacity(&destinations, CLASS_TRANSFER, 100);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "dead%u:25", i);
		destination_failed(&destinations, destination_get(&destinations, TRANSPORT_SMTP, name), 1000, "4.4.1", "no", "dead");
	}
	enqueue_many("dead", MANY);
	while (start_one() != NULL)
		started++;
	assert_int_equal(started, 25);
	drop_many(MANY);
}

static void
gives_a_new_destination_a_second_job_only_with_room_to_spare(UNUSED void **state)
{
	struct active_message *more[2] = { message_with(1), message_with(1) };
	struct destination *first;
	unsigned i;

	destinations_set_capacity(&destinations, CLASS_TRANSFER, 8);
	enqueue_many("new", 2);
	enqueue(more[0], "new0:25", LEVEL_NORMAL);
	enqueue(more[1], "new1:25", LEVEL_NORMAL);
	first = start_one();
	assert_ptr_not_equal(start_one(), first);
	assert_null(start_one());		/* a quarter of all is taken */
	destinations_set_capacity(&destinations, CLASS_TRANSFER, 100);
	assert_non_null(start_one());
	for (i = 0; i < 2; i++) {
		while (!LIST_EMPTY(&more[i]->deliveries))
			delivery_free(&destinations, LIST_FIRST(&more[i]->deliveries));
		active_free(&more[i]);
	}
	drop_many(2);
}

static void
starts_one_new_destination_however_few_jobs_there_are(UNUSED void **state)
{
	destinations_set_capacity(&destinations, CLASS_TRANSFER, 1);
	enqueue_many("new", 2);
	assert_non_null(start_one());
	assert_null(start_one());
	drop_many(2);
}

static void
counts_what_a_destination_has_in_hand_by_its_present_standing(UNUSED void **state)
{
	struct destination *destination;
	const unsigned *sessions = destinations.sessions[CLASS_TRANSFER];

	enqueue_many("host", 1);
	destination = start_one();
	assert_int_equal(sessions[STANDING_NEW], 1);
	destination_succeeded(&destinations, destination, 1000, true);
	assert_int_equal(sessions[STANDING_NEW], 0);
	assert_int_equal(sessions[STANDING_PROVEN], 1);
	destination_session_ended(&destinations, destination);
	assert_int_equal(sessions[STANDING_PROVEN], 0);
	drop_many(1);
}

static void
thinks_a_destination_new_again_after_ten_minutes_without_mail(UNUSED void **state)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "good:25");
	int64_t now = 1000000;

	destination_succeeded(&destinations, destination, now, true);
	destination_age(&destinations, destination, now + 10 * MINUTE - 1);
	assert_int_equal(destination->standing, STANDING_PROVEN);
	destination_age(&destinations, destination, now + 10 * MINUTE);
	assert_int_equal(destination->standing, STANDING_NEW);
}

static void
gives_a_host_that_worked_a_moment_ago_more_chances(UNUSED void **state)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "busy:25");
	int64_t now = 1000000;

	destination_succeeded(&destinations, destination, now, true);
	assert_false(destination_failed(&destinations, destination, now + 1, "4.4.2", "Time-out", "busy"));
	assert_false(destination_failed(&destinations, destination, now + 2, "4.4.2", "Time-out", "busy"));
	assert_true(destination_failed(&destinations, destination, now + 3, "4.4.2", "Time-out", "busy"));
}

static void
forgets_destinations_with_nothing_to_do_and_keeps_those_that_are_down(UNUSED void **state)
{
	struct destination *destination = destination_get(&destinations, TRANSPORT_SMTP, "up:25");

	destination_release(&destinations, destination);
	assert_null(destination_find(&destinations, "smtp:up:25"));
	destination = destination_get(&destinations, TRANSPORT_SMTP, "down:25");
	destination_failed(&destinations, destination, 1000, "4.4.1", "Connection refused", "down");
	destination_release(&destinations, destination);
	assert_ptr_equal(destination_get(&destinations, TRANSPORT_SMTP, "down:25"), destination);
	assert_true(destination_is_down(destination, 1001));
}

static void
remembers_a_bounded_number_of_idle_destinations(UNUSED void **state)
{
	char name[40];
	unsigned i;

	for (i = 0; i < 20000; i++) {
		struct destination *destination;

		snprintf(name, sizeof(name), "host%u:25", i);
		destination = destination_get(&destinations, TRANSPORT_SMTP, name);
		destination_failed(&destinations, destination, 1000, "4.4.1", "no", "host");
		destination_release(&destinations, destination);
	}
	assert_int_equal(destinations.by_key.count, 10000);
	assert_null(destination_find(&destinations, "smtp:host0:25"));
	assert_non_null(destination_find(&destinations, "smtp:host19999:25"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_destinations_turns_one_job_each, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lets_a_message_with_many_recipients_yield_after_each_job, set_up, tear_down),
		cmocka_unit_test_setup_teardown(starves_no_priority, set_up, tear_down),
		cmocka_unit_test_setup_teardown(starts_no_more_jobs_than_its_concurrency, set_up, tear_down),
		cmocka_unit_test_setup_teardown(goes_down_at_the_first_failure_when_it_never_worked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(allows_one_job_more_with_each_that_succeeds_up_to_the_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(halves_the_jobs_of_a_host_that_fails_and_leaves_it_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lets_one_that_was_down_prove_itself_with_one_job, set_up, tear_down),
		cmocka_unit_test_setup_teardown(waits_as_long_as_its_hosts_are_remembered_and_counts_no_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(follows_each_order_of_an_administrator_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_room_for_hosts_that_work_beside_many_that_never_did, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gives_a_quarter_of_all_jobs_to_destinations_that_were_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gives_a_new_destination_a_second_job_only_with_room_to_spare, set_up, tear_down),
		cmocka_unit_test_setup_teardown(starts_one_new_destination_however_few_jobs_there_are, set_up, tear_down),
		cmocka_unit_test_setup_teardown(counts_what_a_destination_has_in_hand_by_its_present_standing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(thinks_a_destination_new_again_after_ten_minutes_without_mail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gives_a_host_that_worked_a_moment_ago_more_chances, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forgets_destinations_with_nothing_to_do_and_keeps_those_that_are_down, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(remembers_a_bounded_number_of_idle_destinations, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
