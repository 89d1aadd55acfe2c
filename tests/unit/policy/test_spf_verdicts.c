/*
 * Unit tests of policy/spf_verdicts.c, evaluator.c and evaluator_child.c: an evaluator that crashes, hangs, computes for ever,
 * talks nonsense or does what it may not costs one verdict; a resolver that goes away is asked again. Row 137 of
 * docs/reference/hostile-inputs.md.
 */
#include <setjmp.h>
#include <signal.h>
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
#include "common/base/wire.h"
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
	const char *record;		/* of every name */
	uint32_t ttl;			/* of a.test; the others' is an hour */
	unsigned refused;		/* verdicts that say that too many ask for much */
	unsigned answered;		/* verdicts */
	struct spf_answer last;
	char text[512];
};

static char logged[4096];
static volatile int knows_something;	/* of strangers; a child must not */

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
	if (strcmp(how, "look.test") == 0)
		_exit(knows_something ? 4 : 5);
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

/* Wants everything at once, so that what it is told is held and not passed on. */
static void
hoard(const struct spf_request *request, unsigned large, struct buffer *reply)
{
	struct spf_reply wants = { .wanted_count = large + 1 };
	unsigned i;

	for (i = 0; i <= large; i++) {
		wants.wanted[i].kind = DNS_A;
		snprintf(wants.wanted[i].name, SPF_NAME_SIZE, i < large ? "large%u.test" : "silent%u.test", i);
	}
	if (request->answers.count == 0)
		spf_reply_put(reply, &wants);
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
	if (strcmp(request.helo, "hoard.test") == 0)
		hoard(&request, 4, reply);
	if (strcmp(request.helo, "hoard-less.test") == 0)
		hoard(&request, 1, reply);
	if (strcmp(request.helo, "hoard-more.test") == 0)
		hoard(&request, 5, reply);
	spf_answers_free(&request.answers);
	return misbehave(helo, reply) && (reply->length > 0 || spf_evaluate_packed(data, length, reply));
}

/* ---- the scene -------------------------------------------------------------------------------- */

/* The addresses of large*.test, as many as an answer has room for; our client's is the one of first.test, an MX host of mx.test. */
static void
fill_answer(const struct dns_question *question, struct buffer *records, struct dns_answer *answer)
{
	bool is_large = strncmp(question->name, "large", strlen("large")) == 0;
	bool is_first = strcmp(question->name, "first.test") == 0;

	if (question->kind == DNS_MX) {
		assert_true(wire_put_u16(records, 1) && wire_put_string(records, "silent.test"));
		assert_true(wire_put_u16(records, 2) && wire_put_string(records, "first.test"));
		answer->count = 2;
	} else if (question->kind == DNS_A && (is_large || is_first)) {
		do
			assert_true(wire_put_bytes(records, is_large ? "\12\0\0\1" : "\300\0\2\1", 4));
		while (++answer->count < (is_large ? IPC_DATA_MAX / 8 : 1));
	} else {
		return;
	}
	answer->outcome = DNS_FOUND;
	answer->records = (struct bytes){ records->data, records->length };
}

static void
answer_question(void *context, struct channel *channel, const struct dns_question *question)
{
	struct scene *scene = context;
	struct buffer record = BUFFER_INITIALIZER(0);
	struct dns_answer answer = { .id = question->id, .outcome = DNS_NO_NAME, .text = "", .ttl = 3600 };

	scene->asked++;
	if (question->kind == DNS_TXT) {
		assert_true(wire_put_bytes(&record, scene->record, strlen(scene->record)));
		answer.outcome = DNS_FOUND;
		answer.count = 1;
		answer.records = (struct bytes){ record.data, record.length };
	}
	fill_answer(question, &record, &answer);
	if (strcmp(question->name, "a.test") == 0)
		answer.ttl = scene->ttl;
	if (!scene->is_silent && strncmp(question->name, "silent", strlen("silent")) != 0 && question->kind != DNS_PTR)
		send_dns_answer(channel, &answer);
	buffer_free(&record);
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
	scene->record = "v=spf1 -all";
	scene->ttl = 200;
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
	scene->refused += strstr(answer->text, "too many records") != NULL;
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
test_an_evaluator_that_replaces_another_knows_nothing_of_what_went_on_meanwhile(void **state)
{
	struct scene *scene = *state;
	unsigned i;

	knows_something = 1;
	for (i = 0; i < 2; i++) {
		logged[0] = '\0';
		ask(scene, "look.test", "user@a.test");
		wait_until(scene, &scene->answered, i + 1);
		assert_non_null(strstr(logged, "status 5"));
	}
	knows_something = 0;
}

static void
kill_children(void)
{
	char path[64];
	FILE *children;
	int child;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	children = fopen(path, "re");
	assert_non_null(children);
	while (fscanf(children, "%d", &child) == 1)
		assert_int_equal(kill(child, SIGKILL), 0);
	fclose(children);
}

static void
test_with_every_child_killed_there_are_verdicts_again_soon(void **state)
{
	struct scene *scene = *state;
	unsigned answered = 0;

	kill_children();
	do {
		ask(scene, "a.test", "");
		wait_until(scene, &scene->answered, ++answered);
	} while (scene->last.helo != SPF_VERDICT_FAIL && answered < 4);
	assert_int_equal(scene->last.helo, SPF_VERDICT_FAIL);
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
	assert_string_equal(scene->text, "the DNS does not answer about b.test");
}

static void
test_what_is_certain_at_the_deadline_is_the_verdict_and_for_once(void **state)
{
	static const struct { const char *record; enum spf_verdict verdict; const char *text; } expected[] = {
		{ "v=spf1 -all exp=silent.test", SPF_VERDICT_FAIL, "" },		/* no explanation */
		{ "v=spf1 -all exp=%{p}.x.test", SPF_VERDICT_FAIL, "" },		/* nor the name for it */
		{ "v=spf1 mx:mx.test -all", SPF_VERDICT_PASS, "" },			/* one host of two */
		{ "v=spf1 ptr -all", SPF_VERDICT_FAIL, "" },				/* RFC 7208 section 5.5 */
		{ "v=spf1 ptr a:first.test -all", SPF_VERDICT_TEMPERROR, "the DNS did not answer in time" },
		{ "v=spf1 a:silent.test -all", SPF_VERDICT_TEMPERROR, "the DNS does not answer about silent.test" },
	};
	struct scene *scene = *state;
	size_t i;

	spf_verdicts_configure(scene->verdicts, 1000, "hub.acme.com");
	for (i = 0; i < ARRAY_COUNT(expected); i++) {
		scene->record = expected[i].record;
		ask(scene, "b.test", "");
		wait_until(scene, &scene->answered, (unsigned)i + 1);
		if (scene->last.helo != expected[i].verdict || strcmp(scene->text, expected[i].text) != 0)
			fail_msg("%s: %d %s", expected[i].record, scene->last.helo, scene->text);
		assert_int_equal(scene->last.lifetime, 0);
	}
}

static void
test_words_about_helo_are_not_those_of_the_senders_domain(void **state)
{
	struct scene *scene = *state;

	spf_verdicts_configure(scene->verdicts, 1000, "hub.acme.com");
	ask(scene, "silent-helo.test", "user@b.test");
	wait_until(scene, &scene->answered, 1);
	assert_int_equal(scene->last.helo, SPF_VERDICT_TEMPERROR);
	assert_int_equal(scene->last.mail, SPF_VERDICT_FAIL);
	assert_string_equal(scene->text, "");
	scene->record = "v=spf1 ~all";
	ask(scene, "silent-helo.test", "user@b.test");
	wait_until(scene, &scene->answered, 2);
	assert_int_equal(scene->last.mail, SPF_VERDICT_SOFTFAIL);
	assert_string_equal(scene->text, "");
	scene->record = "v=spf1 +all";
	ask(scene, "silent-helo.test", "user@b.test");
	wait_until(scene, &scene->answered, 3);
	assert_string_equal(scene->text, "the DNS does not answer about silent-helo.test");
}

/* ---- what the answers take -------------------------------------------------------------------- */

static size_t
octets_held(const struct scene *scene)
{
	struct buffer lines = BUFFER_INITIALIZER(0);
	const char *found;
	size_t octets;

	spf_verdicts_status(scene->verdicts, &lines);
	found = strstr(buffer_text(&lines), "answer_octets=");
	assert_non_null(found);
	octets = strtoul(found + strlen("answer_octets="), NULL, 10);
	buffer_free(&lines);
	return octets;
}

static void
test_a_record_that_asks_for_more_than_an_evaluation_may_hold_is_an_error(void **state)
{
	struct scene *scene = *state;

	ask(scene, "hoard-more.test", "");
	wait_until(scene, &scene->answered, 1);
	assert_int_equal(scene->last.helo, SPF_VERDICT_PERMERROR);
	assert_int_equal(octets_held(scene), 0);
}

static void
test_many_checks_together_hold_no_more_than_the_limit_and_small_ones_go_on(void **state)
{
	struct scene *scene = *state;
	deadline_t deadline = deadline_after_ms(2 * PATIENCE_MS);
	unsigned i;

	spf_verdicts_configure(scene->verdicts, 10 * PATIENCE_MS, "hub.acme.com");
	for (i = 0; i < 300; i++)
		ask(scene, "hoard.test", "user@b.test");
	wait_until(scene, &scene->refused, 10);
	assert_in_range(octets_held(scene), SPF_OCTETS_MAX / 2, SPF_OCTETS_MAX);
	for (i = 0; i < 100; i++)
		ask(scene, "hoard-less.test", "user@b.test");
	while (octets_held(scene) <= SPF_OCTETS_MAX && !deadline_passed(deadline))
		event_base_loop(scene->base, EVLOOP_ONCE);
	i = scene->answered;
	ask(scene, "a.test", "");
	while (scene->last.helo != SPF_VERDICT_FAIL)
		wait_until(scene, &scene->answered, ++i);
	assert_in_range(octets_held(scene), SPF_OCTETS_MAX, SPF_OCTETS_MAX + 200 * SPF_OCTETS_ASSURED);
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

/* How long a verdict about a@a.test, who says b.test, lasts. */
static uint32_t
lifetime_with(struct scene *scene, const char *record, uint32_t ttl)
{
	unsigned answered = scene->answered;

	scene->record = record;
	scene->ttl = ttl;
	ask(scene, "b.test", "a@a.test");
	wait_until(scene, &scene->answered, answered + 1);
	return scene->last.lifetime;
}

static void
test_a_verdict_lasts_as_long_as_the_shortest_answer_that_it_rests_on(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(lifetime_with(scene, "v=spf1 -all", 200), 200);
	assert_int_equal(lifetime_with(scene, "v=spf1 -all", 0), 0);
	assert_int_equal(lifetime_with(scene, "v=spf1 -all", 864000), SPF_LIFETIME_MAX);
	assert_int_equal(lifetime_with(scene, "v=spf1 a:nobody.test -all", 3600), SPF_LIFETIME_NOTHING_MAX);
	assert_int_equal(lifetime_with(scene, "v=spf1 exists:%{i}.%{d}.%{h}.c.test -all", 200), 200);
}

static void
test_a_verdict_that_may_differ_for_another_sender_or_later_is_for_once(void **state)
{
	static const char *const records[] = { "v=spf1 exists:%{l}.c.test -all", "v=spf1 exists:%{S}.c.test -all",
		"v=spf1 -all exp=%{t}.c.test" };
	struct scene *scene = *state;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(records); i++)
		if (lifetime_with(scene, records[i], 200) != 0)
			fail_msg("%s: %u s", records[i], scene->last.lifetime);
}

static void
test_a_temporary_error_is_for_once(void **state)
{
	struct scene *scene = *state;

	ask(scene, "crash.test", "user@a.test");
	wait_until(scene, &scene->answered, 1);
	assert_int_equal(scene->last.helo, SPF_VERDICT_TEMPERROR);
	assert_int_equal(scene->last.lifetime, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_null_sender_has_the_verdict_of_helo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_way_to_misbehave_costs_the_identity_in_hand_and_no_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_evaluator_that_replaces_another_knows_nothing_of_what_went_on_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_with_every_child_killed_there_are_verdicts_again_soon, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_evaluator_that_stands_still_is_replaced_in_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_questions_without_end_are_an_error_of_the_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_resolver_is_asked_what_the_old_one_left_unanswered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silence_is_a_temporary_error_at_the_deadline, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_certain_at_the_deadline_is_the_verdict_and_for_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_record_that_asks_for_more_than_an_evaluation_may_hold_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_checks_together_hold_no_more_than_the_limit_and_small_ones_go_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_those_who_no_longer_wait_are_forgotten_at_every_stage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_checks_than_are_under_way_at_a_time_are_all_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_verdict_lasts_as_long_as_the_shortest_answer_that_it_rests_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_verdict_that_may_differ_for_another_sender_or_later_is_for_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_words_about_helo_are_not_those_of_the_senders_domain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_temporary_error_is_for_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
