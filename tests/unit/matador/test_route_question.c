/* test_route_question - the conversation with router: a whole one, a broken one, one that makes no sense */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc/route.h"
#include "master/matador/route_question.h"

/* What a router of these tests does with the first request. */
enum conduct { ANSWERS, DIES, MAKES_NO_SENSE };

struct router {
	enum conduct conduct;
	struct event_base *base;
};

static void
take_request(void *context, struct channel *channel, const struct route_request *message)
{
	struct router *router = context;
	struct route_answer answer = { .job = message->job, .outcome = ROUTE_DELIVER, .transport = TRANSPORT_SMTP,
		.next_hop = "b.example", .address = message->recipient, .status = "", .text = "", .rule = "rule" };
	struct route_host host = { .job = message->job, .name = "mx.b.example", .text = "",
		.addresses = { "\x04\x00\x00\x00\xc0\x00\x02\x01\x04\x00\x00\x00\xc0\x00\x02\x02", 16 } };

	if (router->conduct == DIES)
		_exit(0);
	send_route_step(channel, &(struct route_step){ message->job, "domains.conf", 2, "a step" });
	if (router->conduct == MAKES_NO_SENSE) {
		host.addresses = (struct bytes){ "\x04\x00\x00\x00\xc0\x00\x02\x01\xff\xff\xff\x7f", 12 };
		answer.outcome = answer.transport = answer.failure = 250;
		send_route_host(channel, &(struct route_host){ .job = message->job, .state = 250, .name = "x", .text = "" });
	}
	send_route_host(channel, &host);
	send_route_hosts(channel, &(struct route_hosts){ .job = message->job,
		.outcome = router->conduct == ANSWERS ? MAIL_HOSTS_FOUND : 250, .port = 25, .text = "" });
	send_route_answer(channel, &answer);
}

static void
asker_gone(void *context, struct channel *channel UNUSED, const char *reason UNUSED)
{
	event_base_loopbreak(((struct router *)context)->base);
}

/* A process that is router; the result is the asker's end. */
static int
start_router(enum conduct conduct, pid_t *pid_out)
{
	static const struct route_handlers handlers = { .route_request = take_request };
	static const struct channel_events events = { .closed = asker_gone };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	*pid_out = fork();
	if (*pid_out == 0) {
		struct router router = { conduct, event_base_new() };

		close(pair[0]);
		channel_open(router.base, pair[1], &route_protocol, IPC_SERVES, &handlers, &events, &router);
		event_base_dispatch(router.base);
		_exit(0);
	}
	close(pair[1]);
	return pair[0];
}

struct heard {
	unsigned told;
	char text[300];
};

static bool
hear(void *context, const struct route_told *told)
{
	struct heard *heard = context;

	heard->told++;
	snprintf(heard->text, sizeof(heard->text), "%s %u %u %s steps=%zu hosts=%zu %s outcome=%u", told->address,
	    (unsigned)told->outcome, (unsigned)told->transport, told->next_hop, told->step_count, told->host_count,
	    told->host_count == 0 ? "" : told->hosts[0].addresses, (unsigned)told->hosts_outcome);
	return true;
}

static int
ask(enum conduct conduct, struct heard *heard, struct error *error)
{
	const struct route_question question = { .sender = "", .format = FORMAT_MIME, .told = hear, .context = heard };
	pid_t pid;
	int result = route_question_ask(&question, start_router(conduct, &pid), "user@b.example", error);

	waitpid(pid, NULL, 0);
	return result;
}

static void
what_router_tells_is_kept(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct heard heard = { 0 };

	assert_int_equal(ask(ANSWERS, &heard, &error), 0);
	assert_int_equal(heard.told, 1);
	assert_string_equal(heard.text,
	    "user@b.example 0 2 b.example steps=1 hosts=1 192.0.2.1, 192.0.2.2 outcome=0");
}

static void
a_router_that_dies_is_an_error(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct heard heard = { 0 };

	assert_int_equal(ask(DIES, &heard, &error), -1);
	assert_int_equal(error.kind, ERROR_UNAVAILABLE);
	assert_non_null(strstr(error.text, "router ended the conversation"));
	assert_int_equal(heard.told, 0);
}

static void
values_that_nobody_knows_are_no_conclusion(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct heard heard = { 0 };
	char expected[200];

	assert_int_equal(ask(MAKES_NO_SENSE, &heard, &error), 0);
	snprintf(expected, sizeof(expected), "user@b.example %u 0 b.example steps=1 hosts=1 192.0.2.1 outcome=%u",
	    (unsigned)ROUTE_DEFER, (unsigned)MAIL_HOSTS_NO_ANSWER);
	assert_string_equal(heard.text, expected);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_router_tells_is_kept),
		cmocka_unit_test(a_router_that_dies_is_an_error),
		cmocka_unit_test(values_that_nobody_knows_are_no_conclusion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
