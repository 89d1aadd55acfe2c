/* test_routing - requests over real channels, with a directory that answers, dies, comes back or never does */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <sys/socket.h>

#include "common/ipc/route.h"
#include "common/mail/envelope.h"
#include "router/routing.h"
#include "tests/unit/router/world.h"

#define EVERYONE 20000

/* The Directory of this test: by the text of the question. */
static const struct {
	enum directory_lookup_kind kind;
	const char *text;
	unsigned entries;
	struct directory_entry entry;
} known[] = {
	{ DIRECTORY_INTERNET_ADDRESS, "jane@acme.com", 1,
	    { .kind = DIRECTORY_PERSON, .name = "Jane Doe/Acme", .mail_file = "jdoe" } },
	{ DIRECTORY_LOCAL_PART, "jdoe", 1, { .kind = DIRECTORY_PERSON, .name = "Jane Doe/Acme",
	    .mail_file = "jdoe" } },
	{ DIRECTORY_NAME, "Jane Doe", 1, { .kind = DIRECTORY_PERSON, .name = "Jane Doe/Acme",
	    .mail_file = "jdoe" } },
	{ DIRECTORY_NAME, "John", 2, { .kind = DIRECTORY_PERSON, .name = "John/Acme", .mail_file = "john" } },
	{ DIRECTORY_NAME, "Away", 1, { .kind = DIRECTORY_PERSON, .name = "Away/Acme",
	    .forwarding_address = "away@else.example" } },
	{ DIRECTORY_NAME, "Sales", 1, { .kind = DIRECTORY_GROUP, .name = "Sales" } },
	{ DIRECTORY_NAME, "Everyone", 1, { .kind = DIRECTORY_GROUP, .name = "Everyone" } },
	{ DIRECTORY_INTERNET_ADDRESS, "sales@acme.com", 1, { .kind = DIRECTORY_GROUP, .name = "Sales" } },
};

struct fixture {
	struct world world;
	struct event_base *base;
	struct rules *rules;
	struct directory_client *directory;
	struct routings *routings;
	struct channel *qmgr;		/* qmgr's end */
	struct channel *router;		/* router's end of the same */
	struct channel *server;		/* the directory's end; NULL: there is none */
	bool silent;			/* it takes questions and does not answer */
	unsigned asked;			/* questions it saw */
	/* what qmgr heard */
	char answer[400];
	unsigned answers;
	unsigned members;
	char member[100];
	unsigned steps;
};

static void
answer_question(void *context, struct channel *channel, const struct directory_lookup *message)
{
	struct fixture *fixture = context;
	struct directory_answer answer = { .id = message->id, .outcome = DIRECTORY_NONE };

	fixture->asked++;
	if (fixture->silent)
		return;
	if (message->kind == DIRECTORY_GROUP_MEMBERS) {
		unsigned count = strcmp(message->text, "Everyone") == 0 ? EVERYONE : 2;

		for (unsigned i = 0; i < count; i++) {
			char name[20];

			snprintf(name, sizeof(name), "member%u", i);
			send_directory_member(channel, &(struct directory_member){ message->id, name });
		}
		answer.outcome = DIRECTORY_FOUND;
		answer.count = count;
	}
	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		if (known[i].kind != message->kind || strcmp(known[i].text, message->text) != 0)
			continue;
		for (unsigned n = 0; n < known[i].entries; n++) {
			struct directory_entry entry = known[i].entry;

			entry.id = message->id;
			entry.file = "people.conf";
			entry.line = 5;
			send_directory_entry(channel, &entry);
		}
		answer.outcome = DIRECTORY_FOUND;
		answer.count = known[i].entries;
	}
	if (strcmp(message->text, "unavailable@acme.com") == 0)
		answer.outcome = DIRECTORY_UNAVAILABLE;
	send_directory_answer(channel, &answer);
}

static void
start_directory(struct fixture *fixture)
{
	static const struct directory_handlers handlers = { .directory_lookup = answer_question };
	static const struct channel_events events;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	channel_free(&fixture->server);
	fixture->server = channel_open(fixture->base, pair[0], &directory_protocol, IPC_SERVES, &handlers, &events,
	    fixture);
	directory_client_introduce(fixture->directory, IPC_ASKS, pair[1]);
}

static void
take_member(void *context, struct channel *channel UNUSED, const struct route_member *message)
{
	struct fixture *fixture = context;

	fixture->members++;
	snprintf(fixture->member, sizeof(fixture->member), "%s", message->recipient);
}

static void
take_step(void *context, struct channel *channel UNUSED, const struct route_step *message UNUSED)
{
	((struct fixture *)context)->steps++;
}

static void
take_answer(void *context, struct channel *channel UNUSED, const struct route_answer *message)
{
	static const char *const outcomes[] = { "deliver", "expand", "forward", "fail", "defer" };
	struct fixture *fixture = context;

	fixture->answers++;
	snprintf(fixture->answer, sizeof(fixture->answer), "%u %s %s %s %s", (unsigned)message->job,
	    outcomes[message->outcome], transport_name((enum transport)message->transport),
	    message->outcome == ROUTE_FAIL || message->outcome == ROUTE_DEFER ? message->status : message->next_hop,
	    message->address);
}

static void
take_request(void *context, struct channel *channel, const struct route_request *message)
{
	struct fixture *fixture = context;

	routings_start(fixture->routings, channel, fixture->rules, message);
}

static void
router_ready(void *context, struct channel *channel UNUSED)
{
	routings_ready(((struct fixture *)context)->routings);
}

static void
open_qmgr(struct fixture *fixture)
{
	static const struct route_handlers qmgr = { .route_member = take_member, .route_step = take_step,
		.route_answer = take_answer };
	static const struct route_handlers router = { .route_request = take_request };
	static const struct channel_events none, events = { .ready = router_ready };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	fixture->qmgr = channel_open(fixture->base, pair[0], &route_protocol, IPC_ASKS, &qmgr, &none, fixture);
	fixture->router = channel_open(fixture->base, pair[1], &route_protocol, IPC_SERVES, &router, &events,
	    fixture);
}

static int
begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	world_begin(&fixture->world);
	fixture->base = event_base_new();
	fixture->rules = rules_new(&fixture->world.settings);
	fixture->directory = directory_client_new(fixture->base);
	fixture->routings = routings_new(fixture->directory);
	open_qmgr(fixture);
	*state = fixture;
	return 0;
}

static int
end(void **state)
{
	struct fixture *fixture = *state;

	routings_free(&fixture->routings);
	directory_client_free(&fixture->directory);
	channel_free(&fixture->qmgr);
	channel_free(&fixture->router);
	channel_free(&fixture->server);
	rules_release(&fixture->rules);
	assert_int_equal(fixture->world.settings.references, 1);
	event_base_free(fixture->base);
	world_end(&fixture->world);
	free(fixture);
	return 0;
}

static void
request(struct fixture *fixture, uint64_t job, const char *recipient, uint8_t flags)
{
	const struct route_request message = { .job = job, .flags = flags, .sender = "x@y.example",
	    .recipient = recipient };

	assert_true(send_route_request(fixture->qmgr, &message));
}

static void
turn(struct fixture *fixture, int turns)
{
	for (int i = 0; i < turns; i++)
		event_base_loop(fixture->base, EVLOOP_NONBLOCK);
}

static void
wait_for_answers(struct fixture *fixture, unsigned answers)
{
	for (int turns = 0; fixture->answers < answers; turns++) {
		assert_true(turns < 100000);
		event_base_loop(fixture->base, EVLOOP_ONCE);
	}
}

static void
recipients_are_answered_as_the_table_says(void **state)
{
	static const struct { const char *recipient, *answer, *member; } rows[] = {
		{ "jane@acme.com", "1 deliver local  jdoe", "" },
		{ "jane@acme.fr", "1 deliver local  jdoe", "" },
		{ "jdoe@acme.net.example", "1 deliver smtp acme.net.example jdoe@acme.net.example", "" },
		{ "jdoe@x.acme.net", "1 deliver local  jdoe", "" },
		{ "Jane Doe", "1 deliver local  jdoe", "" },
		{ "Jane Doe@Acme", "1 deliver local  jdoe", "" },
		{ "John", "1 fail none 5.1.4 ", "" },
		{ "Nobody", "1 fail none 5.1.1 ", "" },
		{ "nobody@acme.com", "1 fail none 5.1.1 ", "" },
		{ "unavailable@acme.com", "1 defer none 4.4.3 ", "" },
		{ "Away", "1 forward none  ", "away@else.example" },
		{ "Sales", "1 expand none  ", "member1" },
		{ "sales@acme.com", "1 expand none  ", "member1" },
		{ "postmaster", "1 forward none  ", "Jane Doe/Sales/Acme" },
		{ "abuse@acme.com", "1 forward none  ", "Jane Doe/Sales/Acme" },
		{ "bob@partner.example", "1 deliver smtp partner.example bob@partner.example", "" },
		{ "Robin@North", "1 fail none 5.4.4 ", "" },
		{ "a@b@c..d", "1 fail none 5.1.3 ", "" },
	};
	struct fixture *fixture = *state;

	start_directory(fixture);
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		fixture->member[0] = '\0';
		request(fixture, 1, rows[i].recipient, 0);
		wait_for_answers(fixture, (unsigned)i + 1);
		if (strcmp(fixture->answer, rows[i].answer) != 0 || strcmp(fixture->member, rows[i].member) != 0)
			fail_msg("%s: \"%s\" and member \"%s\"", rows[i].recipient, fixture->answer,
			    fixture->member);
	}
	assert_int_equal(fixture->steps, 0);
	assert_int_equal(routings_count(fixture->routings), 0);
}

static void
a_dry_run_tells_its_steps(void **state)
{
	struct fixture *fixture = *state;

	start_directory(fixture);
	request(fixture, 1, "jane@acme.fr", ROUTE_DRY_RUN);
	wait_for_answers(fixture, 1);
	assert_true(fixture->steps >= 5);
}

static void
a_large_group_arrives_whole(void **state)
{
	struct fixture *fixture = *state;

	start_directory(fixture);
	request(fixture, 1, "Everyone", 0);
	wait_for_answers(fixture, 1);
	assert_int_equal(fixture->members, EVERYONE);
	assert_string_equal(fixture->answer, "1 expand none  ");
}

static void
requests_wait_for_a_directory_and_are_asked_again_of_the_next(void **state)
{
	struct fixture *fixture = *state;

	request(fixture, 1, "jane@acme.com", 0);
	turn(fixture, 10);
	assert_int_equal(fixture->answers, 0);
	fixture->silent = true;
	start_directory(fixture);
	turn(fixture, 10);
	assert_int_equal(fixture->asked, 1);
	channel_free(&fixture->server);
	turn(fixture, 10);
	assert_int_equal(fixture->answers, 0);
	fixture->silent = false;
	start_directory(fixture);
	wait_for_answers(fixture, 1);
	assert_string_equal(fixture->answer, "1 deliver local  jdoe");
}

/* Sends an entry and two members, and then dies. */
static void
answer_half(struct fixture *fixture)
{
	send_directory_entry(fixture->server, &(struct directory_entry){ .id = 1, .kind = DIRECTORY_PERSON,
	    .name = "Wrong/Acme",
		.mail_server = "", .mail_file = "wrong", .forwarding_address = "", .internet_address = "",
		    .file = "" });
	turn(fixture, 5);
	channel_free(&fixture->server);
	turn(fixture, 5);
}

static void
what_a_dead_directory_said_does_not_count(void **state)
{
	struct fixture *fixture = *state;

	fixture->silent = true;
	start_directory(fixture);
	request(fixture, 1, "Jane Doe", 0);
	turn(fixture, 10);
	answer_half(fixture);
	fixture->silent = false;
	start_directory(fixture);
	wait_for_answers(fixture, 1);
	assert_string_equal(fixture->answer, "1 deliver local  jdoe");
}

static void
requests_of_a_dead_qmgr_are_forgotten(void **state)
{
	struct fixture *fixture = *state;

	fixture->silent = true;
	start_directory(fixture);
	request(fixture, 1, "Jane Doe", 0);
	request(fixture, 2, "Sales", 0);
	turn(fixture, 10);
	assert_int_equal(routings_count(fixture->routings), 2);
	routings_forget(fixture->routings);
	assert_int_equal(directory_client_open_questions(fixture->directory), 0);
	channel_free(&fixture->qmgr);
	channel_free(&fixture->router);
	fixture->silent = false;
	open_qmgr(fixture);
	request(fixture, 3, "Sales", 0);
	wait_for_answers(fixture, 1);
	assert_string_equal(fixture->answer, "3 expand none  ");
	assert_int_equal(fixture->members, 2);
}

static void
many_requests_at_a_time_are_all_answered(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t i = 0; i < 250; i++)
		request(fixture, i, i % 2 == 0 ? "jdoe@acme.com" : "Sales", 0);
	turn(fixture, 10);
	start_directory(fixture);
	wait_for_answers(fixture, 250);
	assert_int_equal(fixture->members, 250);
	assert_int_equal(routings_count(fixture->routings), 0);
}

static void
answers_to_nobody_are_ignored(void **state)
{
	struct fixture *fixture = *state;

	fixture->silent = true;
	start_directory(fixture);
	request(fixture, 1, "Jane Doe", 0);
	turn(fixture, 10);
	send_directory_entry(fixture->server, &(struct directory_entry){ .id = 999, .name = "", .mail_server = "",
		.mail_file = "", .forwarding_address = "", .internet_address = "", .file = "" });
	send_directory_member(fixture->server, &(struct directory_member){ .id = 999, .member = "x" });
	send_directory_answer(fixture->server, &(struct directory_answer){ .id = 999 });
	turn(fixture, 10);
	assert_int_equal(fixture->answers, 0);
	assert_int_equal(routings_count(fixture->routings), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(recipients_are_answered_as_the_table_says, begin, end),
		cmocka_unit_test_setup_teardown(a_dry_run_tells_its_steps, begin, end),
		cmocka_unit_test_setup_teardown(a_large_group_arrives_whole, begin, end),
		cmocka_unit_test_setup_teardown(requests_wait_for_a_directory_and_are_asked_again_of_the_next,
		    begin, end),
		cmocka_unit_test_setup_teardown(what_a_dead_directory_said_does_not_count, begin, end),
		cmocka_unit_test_setup_teardown(requests_of_a_dead_qmgr_are_forgotten, begin, end),
		cmocka_unit_test_setup_teardown(many_requests_at_a_time_are_all_answered, begin, end),
		cmocka_unit_test_setup_teardown(answers_to_nobody_are_ignored, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
