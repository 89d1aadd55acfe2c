/* test_listing - what the control command is shown: each message once, its content, the destinations */
#include "qmgr/listing.h"
#include "qmgr/outcome.h"
#include "tests/unit/qmgr/qmgr_fixture.h"

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

/* ---- while messages move between store and memory ---- */

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
	window_open(&qmgr);
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
	window_open(&qmgr);
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
	window_open(&qmgr);
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

/* ---- content and destinations ---- */

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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(lists_parked_and_active_messages_in_the_order_of_ids),
		CASE(lists_each_message_once_though_they_move_between_store_and_memory),
		CASE(lists_what_is_parked_while_the_store_has_the_page_in_hand),
		CASE(lists_what_comes_into_memory_while_the_store_has_the_page_in_hand),
		CASE(lists_the_next_one_too_when_one_left_memory_and_came_back),
		CASE(lists_as_many_as_it_was_asked_for_and_no_page_more),
		CASE(exports_the_content_behind_the_envelope),
		CASE(describes_destinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
