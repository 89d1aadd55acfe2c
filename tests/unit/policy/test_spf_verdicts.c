/*
 * Unit tests of policy/spf_verdicts.c, evaluator.c and evaluator_child.c: an evaluator that crashes, hangs, computes for ever,
 * talks nonsense or does what it may not costs one verdict; a resolver that goes away is asked again. Row 137 of
 * docs/reference/hostile-inputs.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/ipc/dns.h"
#include "common/log/log.h"
#include "policy/spf_evaluate.h"
#include "policy/spf_verdicts.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#define PATIENCE_MS 20000

struct scene {
	struct event_base *base;
	struct spf_verdicts *verdicts;
	struct channel *resolver;	/* our end: we are the resolver */
	unsigned asked;			/* questions that reached it */
	bool is_silent;
	unsigned answered;		/* verdicts */
	struct spf_answer last;
	char text[512];
};

static char logged[4096];

static void
take_log(enum log_event_number event, int64_t wall_ms UNUSED, const char *const *values, unsigned count)
{
	struct buffer line = BUFFER_INITIALIZER(0);

	log_format_text(&line, event, values, count);
	strncat(logged, buffer_text(&line), sizeof(logged) - strlen(logged) - 2);
	strcat(logged, "\n");
	buffer_free(&line);
}

/* ---- an evaluator that does as the HELO name says ---------------------------------------------- */

static bool
misbehave(const char *how, struct buffer *reply)
{
	volatile unsigned forever = 1;
	int pair[2];

	if (strcmp(how, "crash.test") == 0)
		__builtin_trap();
	if (strcmp(how, "leave.test") == 0)
		_exit(3);
	while (strcmp(how, "compute.test") == 0 && forever != 0)
		forever |= 1;
	if (strcmp(how, "stop.test") == 0)
		return read(0, pair, 1) == 1;
	if (strcmp(how, "nonsense.test") == 0)
		return buffer_append(reply, "\xff\xff\xff", 3);
	if (strcmp(how, "escape.test") == 0)
		return buffer_append(reply, "\0\3\5\0\0\0a\r\n.b\0", 12);
	if (strcmp(how, "memory.test") == 0)
		while (mmap(NULL, 1u << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
			;
	if (strcmp(how, "memory.test") == 0)
		_exit(9);
	if (strcmp(how, "socket.test") == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0)
		return false;
	if (strcmp(how, "malformed.test") == 0)
		return false;
	return true;
}

static bool
compute(const void *data, size_t length, struct buffer *reply)
{
	struct spf_request request;
	struct spf_reply repeated = { .wanted_count = 1, .wanted = { { DNS_TXT, "again.test" } } };
	char helo[SPF_HELO_SIZE];

	spf_request_get(data, length, &request);
	snprintf(helo, sizeof(helo), "%s", request.sender[0] == '\0' ? request.helo : "");
	if (strcmp(helo, "again.test") == 0)
		spf_reply_put(reply, &repeated);
	if (strcmp(helo, "for-ever.test") == 0) {
		snprintf(repeated.wanted[0].name, SPF_NAME_SIZE, "n%zu.test", request.answers.count);
		spf_reply_put(reply, &repeated);
	}
	spf_answers_free(&request.answers);
	return misbehave(helo, reply) && (reply->length > 0 || spf_evaluate_packed(data, length, reply));
}

/* ---- the scene -------------------------------------------------------------------------------- */

static void
answer_question(void *context, struct channel *channel, const struct dns_question *question)
{
	static const char record[] = "\x0b\0\0\0v=spf1 -all";
	struct scene *scene = context;

	scene->asked++;
	if (!scene->is_silent)
		send_dns_answer(channel, &(struct dns_answer){ .id = question->id, .outcome = DNS_FOUND, .count = 1,
		    .records = { record, sizeof(record) - 1 }, .text = "" });
}

static void
connect_resolver(struct scene *scene)
{
	static const struct dns_handlers handlers = { .dns_question = answer_question };
	static const struct channel_events events;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	channel_free(&scene->resolver);
	scene->resolver = channel_open(scene->base, pair[0], &dns_protocol, IPC_SERVES, &handlers, &events, scene);
	spf_verdicts_connect(scene->verdicts, pair[1]);
}

static int
set_up(void **state)
{
	struct scene *scene = memory_new(1, sizeof(*scene));

	logged[0] = '\0';
	log_set_sink(take_log);
	scene->base = event_base_new();
	scene->verdicts = spf_verdicts_new(scene->base, compute);
	spf_verdicts_configure(scene->verdicts, PATIENCE_MS, "hub.acme.com");
	connect_resolver(scene);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	spf_verdicts_free(&scene->verdicts);
	channel_free(&scene->resolver);
	event_base_free(scene->base);
	free(scene);
	return 0;
}

static void
take_verdict(void *owner, const struct spf_answer *answer)
{
	struct scene *scene = owner;

	scene->answered++;
	scene->last = *answer;
	snprintf(scene->text, sizeof(scene->text), "%s", answer->text);
}

static struct spf_check *
ask(struct scene *scene, const char *helo, const char *sender)
{
	return spf_verdicts_ask(scene->verdicts, &(struct spf_question){ .client_address = "192.0.2.1", .helo = helo,
	    .sender = sender }, take_verdict, scene);
}

static void
wait_until(struct scene *scene, const unsigned *counter, unsigned wanted)
{
	deadline_t deadline = deadline_after_ms(2 * PATIENCE_MS);

	while (*counter < wanted && !deadline_passed(deadline))
		event_base_loop(scene->base, EVLOOP_ONCE);
	assert_int_equal(*counter, wanted);
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void
test_the_null_sender_has_the_verdict_of_helo(void **state)
{
	struct scene *scene = *state;

	ask(scene, "a.test", "");
	wait_until(scene, &scene->answered, 1);
	assert_int_equal(scene->last.helo, SPF_VERDICT_FAIL);
	assert_int_equal(scene->last.mail, SPF_VERDICT_FAIL);
	assert_int_equal(scene->asked, 1);
}

static void
test_each_way_to_misbehave_costs_the_identity_in_hand_and_no_other(void **state)
{
	static const struct { const char *helo, *reason; } ways[] = {
		{ "crash.test", "signal 4" }, { "leave.test", "status 3" }, { "compute.test", "signal 27" },
		{ "nonsense.test", "makes no sense" }, { "escape.test", "makes no sense" }, { "again.test", "makes no sense" },
		{ "malformed.test", "status 0" },
#ifndef SANITIZED
		{ "socket.test", "signal 31" }, { "memory.test", "status 9" },
#endif
	};
	struct scene *scene = *state;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(ways); i++) {
		logged[0] = '\0';
		ask(scene, ways[i].helo, "user@a.test");
		wait_until(scene, &scene->answered, (unsigned)i + 1);
		if (scene->last.helo != SPF_VERDICT_TEMPERROR || scene->last.mail != SPF_VERDICT_FAIL ||
		    strstr(logged, ways[i].reason) == NULL || strstr(logged, ways[i].helo) == NULL)
			fail_msg("%s: %d %d %s", ways[i].helo, scene->last.helo, scene->last.mail, logged);
	}
}

static void
test_an_evaluator_that_stands_still_is_replaced_in_time(void **state)
{
	struct scene *scene = *state;
	unsigned i;

	ask(scene, "stop.test", "user@a.test");
	for (i = 0; i < 20; i++)
		ask(scene, "a.test", "user@a.test");
	wait_until(scene, &scene->answered, 21);
	assert_non_null(strstr(logged, "evaluator-died"));
	assert_int_equal(scene->last.helo, SPF_VERDICT_FAIL);
}

static void
test_questions_without_end_are_an_error_of_the_record(void **state)
{
	struct scene *scene = *state;

	ask(scene, "for-ever.test", "");
	wait_until(scene, &scene->answered, 1);
	assert_int_equal(scene->last.helo, SPF_VERDICT_PERMERROR);
	assert_int_equal(scene->asked, SPF_ROUNDS_MAX);
	assert_string_equal(logged, "");
}

static void
test_a_new_resolver_is_asked_what_the_old_one_left_unanswered(void **state)
{
	struct scene *scene = *state;

	scene->is_silent = true;
	ask(scene, "a.test", "user@b.test");
	wait_until(scene, &scene->asked, 2);
	connect_resolver(scene);
	scene->is_silent = false;
	wait_until(scene, &scene->answered, 1);
	assert_int_equal(scene->asked, 4);
	assert_int_equal(scene->last.mail, SPF_VERDICT_FAIL);
}

static void
test_silence_is_a_temporary_error_at_the_deadline(void **state)
{
	struct scene *scene = *state;

	scene->is_silent = true;
	spf_verdicts_configure(scene->verdicts, 50, "hub.acme.com");
	ask(scene, "a.test", "user@b.test");
	ask(scene, "single-word", "user@[192.0.2.1]");
	wait_until(scene, &scene->answered, 2);
	assert_int_equal(scene->last.helo, SPF_VERDICT_TEMPERROR);
	assert_string_equal(scene->text, "the DNS did not answer in time");
}

static void
test_those_who_no_longer_wait_are_forgotten_at_every_stage(void **state)
{
	struct scene *scene = *state;
	struct spf_check *checks[SPF_CHECKS_MAX + 20];
	unsigned i;

	scene->is_silent = true;
	for (i = 0; i < ARRAY_COUNT(checks); i++)
		checks[i] = ask(scene, "a.test", "user@b.test");
	wait_until(scene, &scene->asked, 100);
	for (i = 0; i < ARRAY_COUNT(checks); i++)
		spf_verdicts_forget(&checks[i]);
	scene->is_silent = false;
	ask(scene, "a.test", "user@b.test");
	wait_until(scene, &scene->answered, 1);
}

static void
test_more_checks_than_are_under_way_at_a_time_are_all_answered(void **state)
{
	struct scene *scene = *state;
	unsigned i;

	for (i = 0; i < 2 * SPF_CHECKS_MAX; i++)
		ask(scene, "a.test", "user@b.test");
	wait_until(scene, &scene->answered, 2 * SPF_CHECKS_MAX);
	assert_int_equal(scene->last.mail, SPF_VERDICT_FAIL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_null_sender_has_the_verdict_of_helo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_way_to_misbehave_costs_the_identity_in_hand_and_no_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_evaluator_that_stands_still_is_replaced_in_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_questions_without_end_are_an_error_of_the_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_resolver_is_asked_what_the_old_one_left_unanswered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silence_is_a_temporary_error_at_the_deadline, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_those_who_no_longer_wait_are_forgotten_at_every_stage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_checks_than_are_under_way_at_a_time_are_all_answered, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
