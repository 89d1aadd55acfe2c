/* test_routing - requests over real channels, with a directory and a resolver that answer, die, come back or never do */
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
	struct hosts_client *hosts;
	struct channel *resolver;	/* resolver's end; NULL: there is none */
	bool half;			/* it tells one host and never ends */
	char question[300];		/* it was asked last */
	unsigned questions;
	/* what a second asker heard */
	struct channel *command, *command_at_router;
	unsigned command_answers;
	bool silent;			/* it takes questions and does not answer */
	unsigned asked;			/* questions it saw */
	/* what qmgr heard */
	char answer[400];
	unsigned answers;
	unsigned members;
	char member[100];
	unsigned steps;
	char told[600];			/* hosts and what was said of all */
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

/* Where the mail of this test goes: by the name that is asked for. */
static void
answer_hosts(void *context, struct channel *channel, const struct mail_hosts_question *message)
{
	struct fixture *fixture = context;
	struct mail_host host = { .id = message->id, .preference = 5, .count = 1, .name = "mx1.partner.example",
		.addresses = { "\x04\x00\x00\x00\xc0\x00\x02\x01", 8 }, .text = "" };
	struct mail_hosts_answer answer = { .id = message->id, .outcome = MAIL_HOSTS_FOUND, .text = "" };

	fixture->questions++;
	snprintf(fixture->question, sizeof(fixture->question), "%s %u %u", message->name, (unsigned)message->port,
	    (unsigned)message->flags);
	send_mail_host(channel, &host);
	if (fixture->half)
		return;
	host.preference = 10;
	host.name = "mx2.partner.example";
	host.state = MAIL_HOST_FAILED;
	host.failed_seconds = 700;
	host.text = "connect: refused";
	send_mail_host(channel, &host);
	send_mail_hosts_answer(channel, &answer);
}

static void
start_resolver(struct fixture *fixture)
{
	static const struct dns_handlers handlers = { .mail_hosts_question = answer_hosts };
	static const struct channel_events events;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	channel_free(&fixture->resolver);
	fixture->resolver = channel_open(fixture->base, pair[0], &dns_protocol, IPC_SERVES, &handlers, &events, fixture);
	hosts_client_introduce(fixture->hosts, IPC_ASKS, pair[1]);
}

static void
take_host(void *context, struct channel *channel UNUSED, const struct route_host *message)
{
	struct fixture *fixture = context;
	size_t length = strlen(fixture->told);

	assert_int_equal(message->job, 1);
	snprintf(fixture->told + length, sizeof(fixture->told) - length, "%u %s %u %u %zu %s; ",
	    (unsigned)message->preference, message->name, (unsigned)message->state,
	    (unsigned)message->failed_seconds, message->addresses.length, message->text);
}

static void
take_hosts(void *context, struct channel *channel UNUSED, const struct route_hosts *message)
{
	struct fixture *fixture = context;
	size_t length = strlen(fixture->told);

	snprintf(fixture->told + length, sizeof(fixture->told) - length, "%u by_mx=%u port=%u %s",
	    (unsigned)message->outcome, (unsigned)message->by_mx, (unsigned)message->port, message->text);
}

static void
take_command_answer(void *context, struct channel *channel UNUSED, const struct route_answer *message UNUSED)
{
	((struct fixture *)context)->command_answers++;
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

/* A pair between router and one that asks it and hears what handlers take. */
static void
open_asker(struct fixture *fixture, const struct route_handlers *handlers, struct channel **asker,
    struct channel **served)
{
	static const struct route_handlers router = { .route_request = take_request };
	static const struct channel_events none, events = { .ready = router_ready };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	*asker = channel_open(fixture->base, pair[0], &route_protocol, IPC_ASKS, handlers, &none, fixture);
	*served = channel_open(fixture->base, pair[1], &route_protocol, IPC_SERVES, &router, &events, fixture);
}

static void
open_qmgr(struct fixture *fixture)
{
	static const struct route_handlers handlers = { .route_member = take_member, .route_step = take_step,
		.route_host = take_host, .route_hosts = take_hosts, .route_answer = take_answer };

	open_asker(fixture, &handlers, &fixture->qmgr, &fixture->router);
}

static int
begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	world_begin(&fixture->world);
	fixture->base = event_base_new();
	fixture->rules = rules_new(&fixture->world.settings);
	fixture->directory = directory_client_new(fixture->base);
	fixture->hosts = hosts_client_new(fixture->base);
	fixture->routings = routings_new(fixture->directory, fixture->hosts);
	open_qmgr(fixture);
	*state = fixture;
	return 0;
}

static int
end(void **state)
{
	struct fixture *fixture = *state;

	routings_free(&fixture->routings);
	assert_int_equal(hosts_client_open_questions(fixture->hosts), 0);
	directory_client_free(&fixture->directory);
	hosts_client_free(&fixture->hosts);
	channel_free(&fixture->resolver);
	channel_free(&fixture->command);
	channel_free(&fixture->command_at_router);
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

static void
expect_the_answers_of_the_table(struct fixture *fixture, uint8_t flags)
{
	start_directory(fixture);
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		fixture->member[0] = '\0';
		request(fixture, 1, rows[i].recipient, flags);
		wait_for_answers(fixture, (unsigned)i + 1);
		if (strcmp(fixture->answer, rows[i].answer) != 0 || strcmp(fixture->member, rows[i].member) != 0)
			fail_msg("%s: \"%s\" and member \"%s\"", rows[i].recipient, fixture->answer,
			    fixture->member);
	}
	assert_int_equal(routings_count(fixture->routings), 0);
}

static void
recipients_are_answered_as_the_table_says(void **state)
{
	struct fixture *fixture = *state;

	expect_the_answers_of_the_table(fixture, 0);
	assert_int_equal(fixture->questions, 0);
	assert_int_equal(fixture->steps, 0);
}

static void
a_dry_run_is_decided_as_any_request(void **state)
{
	struct fixture *fixture = *state;

	start_resolver(fixture);
	expect_the_answers_of_the_table(fixture, ROUTE_DRY_RUN);
	assert_true(fixture->questions > 0);
	assert_true(fixture->steps > 3 * ARRAY_COUNT(rows));
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
a_dry_run_tells_the_hosts_of_the_next_hop_in_their_order(void **state)
{
	struct fixture *fixture = *state;

	start_directory(fixture);
	start_resolver(fixture);
	request(fixture, 1, "bob@Partner.example", ROUTE_DRY_RUN);
	wait_for_answers(fixture, 1);
	assert_string_equal(fixture->question, "partner.example 25 0");
	assert_string_equal(fixture->told, "5 mx1.partner.example 0 0 8 ; "
	    "10 mx2.partner.example 1 700 8 connect: refused; 0 by_mx=1 port=25 ");
	assert_string_equal(fixture->answer, "1 deliver smtp partner.example bob@partner.example");
}

static void
a_dry_run_asks_resolver_what_smtp_would_ask(void **state)
{
	static const struct { const char *relay_host, *question; } hops[] = {
		{ "Relay.example:2525", "relay.example 2525 0" },
		{ "[relay.example]", "relay.example 2500 1" },
		{ "lmtp:mail.example", "mail.example 24 1" },
	};
	struct fixture *fixture = *state;
	unsigned answers = 0;

	start_directory(fixture);
	start_resolver(fixture);
	fixture->world.settings.server.smtp_outbound_tcp_port.number = 2500;
	for (size_t i = 0; i < ARRAY_COUNT(hops); i++) {
		fixture->world.settings.configuration.relay_host.text = hops[i].relay_host;
		request(fixture, 1, "bob@partner.example", ROUTE_DRY_RUN);
		wait_for_answers(fixture, ++answers);
		assert_string_equal(fixture->question, hops[i].question);
	}
	fixture->questions = 0;
	request(fixture, 1, "jane@acme.com", ROUTE_DRY_RUN);
	wait_for_answers(fixture, ++answers);
	assert_int_equal(fixture->questions, 0);
}

static void
a_dry_run_needs_nobody_to_tell_the_host_of_an_address(void **state)
{
	struct fixture *fixture = *state;

	start_directory(fixture);
	request(fixture, 1, "bob@[192.0.2.7]", ROUTE_DRY_RUN);
	wait_for_answers(fixture, 1);
	assert_string_equal(fixture->told, "0 [192.0.2.7] 0 0 8 ; 0 by_mx=0 port=25 ");
}

static void
what_a_dead_resolver_said_does_not_count(void **state)
{
	struct fixture *fixture = *state;

	start_directory(fixture);
	fixture->half = true;
	start_resolver(fixture);
	request(fixture, 1, "bob@partner.example", ROUTE_DRY_RUN);
	turn(fixture, 10);
	assert_int_equal(fixture->questions, 1);
	channel_free(&fixture->resolver);
	turn(fixture, 10);
	assert_int_equal(fixture->answers, 0);
	fixture->half = false;
	start_resolver(fixture);
	wait_for_answers(fixture, 1);
	assert_string_equal(fixture->told, "5 mx1.partner.example 0 0 8 ; "
	    "10 mx2.partner.example 1 700 8 connect: refused; 0 by_mx=1 port=25 ");
}

static void
a_silent_resolver_does_not_keep_a_dry_run_for_ever(void **state)
{
	struct fixture *fixture = *state;

	start_directory(fixture);
	fixture->half = true;
	start_resolver(fixture);
	fixture->world.settings.matador.dns_timeout.number = -5;	/* seconds: what is granted beyond it */
	request(fixture, 1, "bob@partner.example", ROUTE_DRY_RUN);
	wait_for_answers(fixture, 1);
	assert_string_equal(fixture->answer, "1 deliver smtp partner.example bob@partner.example");
	assert_non_null(strstr(fixture->told, "by_mx=1 port=25 resolver does not answer"));
}

static void
several_askers_are_answered_each_its_own(void **state)
{
	static const struct route_handlers handlers = { .route_answer = take_command_answer };
	const struct route_request message = { .job = 7, .sender = "", .recipient = "Jane Doe" };
	struct fixture *fixture = *state;

	open_asker(fixture, &handlers, &fixture->command, &fixture->command_at_router);
	fixture->silent = true;
	start_directory(fixture);
	request(fixture, 1, "Jane Doe", 0);
	assert_true(send_route_request(fixture->command, &message));
	turn(fixture, 10);
	assert_int_equal(routings_count(fixture->routings), 2);
	fixture->silent = false;
	start_directory(fixture);
	wait_for_answers(fixture, 1);
	turn(fixture, 10);
	assert_int_equal(fixture->answers, 1);
	assert_int_equal(fixture->command_answers, 1);
}

static void
an_asker_that_goes_leaves_the_others_their_requests(void **state)
{
	static const struct route_handlers handlers = { .route_answer = take_command_answer };
	const struct route_request message = { .job = 7, .sender = "", .recipient = "Jane Doe" };
	struct fixture *fixture = *state;

	open_asker(fixture, &handlers, &fixture->command, &fixture->command_at_router);
	fixture->silent = true;
	start_directory(fixture);
	request(fixture, 1, "Jane Doe", 0);
	assert_true(send_route_request(fixture->command, &message));
	turn(fixture, 10);
	routings_forget(fixture->routings, fixture->command_at_router);
	assert_int_equal(routings_count(fixture->routings), 1);
	fixture->silent = false;
	start_directory(fixture);
	wait_for_answers(fixture, 1);
	assert_int_equal(fixture->command_answers, 0);
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
	routings_forget(fixture->routings, fixture->router);
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
		cmocka_unit_test_setup_teardown(a_dry_run_is_decided_as_any_request, begin, end),
		cmocka_unit_test_setup_teardown(a_dry_run_tells_its_steps, begin, end),
		cmocka_unit_test_setup_teardown(a_dry_run_tells_the_hosts_of_the_next_hop_in_their_order, begin, end),
		cmocka_unit_test_setup_teardown(a_dry_run_asks_resolver_what_smtp_would_ask, begin, end),
		cmocka_unit_test_setup_teardown(a_dry_run_needs_nobody_to_tell_the_host_of_an_address, begin, end),
		cmocka_unit_test_setup_teardown(what_a_dead_resolver_said_does_not_count, begin, end),
		cmocka_unit_test_setup_teardown(a_silent_resolver_does_not_keep_a_dry_run_for_ever, begin, end),
		cmocka_unit_test_setup_teardown(several_askers_are_answered_each_its_own, begin, end),
		cmocka_unit_test_setup_teardown(an_asker_that_goes_leaves_the_others_their_requests, begin, end),
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
