/* test_session_question - the conversation with smtpd: a whole one, a broken one, one that makes no sense */
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

#include "common/base/attributes.h"
#include "common/ipc/channel.h"
#include "common/ipc/route.h"
#include "master/matador/session_question.h"

/* What a listener of these tests does with a question. */
enum conduct {
	ANSWERS,
	DOES_NOT_UNDERSTAND,	/* the question */
	DIES,
	DIES_HALFWAY,
	TELLS_NONSENSE,		/* among the steps */
	ANSWERS_NONSENSE,
	TELLS_WITHOUT_END,
	SPEAKS_ANOTHER_PROTOCOL,
};

struct listener {
	enum conduct conduct;
	struct event_base *base;
};

static void
tell(struct channel *channel, unsigned stage, unsigned verdict, const char *control)
{
	send_inspection_step(channel, &(struct inspection_step){ .stage = (uint8_t)stage, .verdict = (uint8_t)verdict,
	    .control = control, .rule = "deny_senders", .entry = "b.example", .file = "configurations.conf", .line = 7,
	    .found = "found", .reply = "554 No." });
}

static void
take_question(void *context, struct channel *channel, const struct inspection_question *message)
{
	struct listener *listener = context;
	struct inspection_answer answer = { .id = message->id, .outcome = INSPECTION_REFUSED,
		.stage = INSPECTION_AT_MAIL, .reply = message->sender, .text = "" };

	if (listener->conduct == DIES)
		_exit(0);
	if (listener->conduct == TELLS_NONSENSE) {
		tell(channel, 250, INSPECTION_PASSES, "no such stage");
		tell(channel, INSPECTION_AT_MAIL, 250, "no such verdict");
	}
	for (unsigned i = 0; listener->conduct == TELLS_WITHOUT_END && i < 1100; i++)
		tell(channel, INSPECTION_AT_CLIENT, INSPECTION_PASSES, "again");
	tell(channel, INSPECTION_AT_MAIL, INSPECTION_REFUSES, "deny senders");
	if (listener->conduct == DIES_HALFWAY) {
		channel_flush(channel);
		_exit(0);
	}
	if (listener->conduct == DOES_NOT_UNDERSTAND)
		answer = (struct inspection_answer){ .id = message->id, .outcome = INSPECTION_MALFORMED, .reply = "",
			.text = "the client is none" };
	if (listener->conduct == ANSWERS_NONSENSE)
		answer.outcome = answer.stage = 250;
	send_inspection_answer(channel, &answer);
}

static void
asker_gone(void *context, struct channel *channel UNUSED, const char *reason UNUSED)
{
	event_base_loopbreak(((struct listener *)context)->base);
}

/* A process that is smtpd; the result is the asker's end. */
static int
start_listener(enum conduct conduct, pid_t *pid_out)
{
	static const struct inspection_handlers handlers = { .inspection_question = take_question };
	static const struct route_handlers other = { .route_request = NULL };
	static const struct channel_events events = { .closed = asker_gone };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	*pid_out = fork();
	if (*pid_out == 0) {
		struct listener listener = { conduct, event_base_new() };

		close(pair[0]);
		if (conduct == SPEAKS_ANOTHER_PROTOCOL)
			channel_open(listener.base, pair[1], &route_protocol, IPC_SERVES, &other, &events, &listener);
		else
			channel_open(listener.base, pair[1], &inspection_protocol, IPC_SERVES, &handlers, &events, &listener);
		event_base_dispatch(listener.base);
		_exit(0);
	}
	close(pair[1]);
	return pair[0];
}

static int
ask(enum conduct conduct, struct told_session *told, struct error *error)
{
	const struct inspection_question question = { .id = 1, .client_address = "192.0.2.1", .helo = "", .user = "",
		.sender = "a@b.example", .recipient = "jane@acme.com" };
	pid_t pid;
	int result = session_question_ask(&question, start_listener(conduct, &pid), told, error);

	waitpid(pid, NULL, 0);
	return result;
}

static void
what_the_listener_tells_is_kept(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct told_session told;

	assert_int_equal(ask(ANSWERS, &told, &error), 0);
	assert_int_equal(told.outcome, INSPECTION_REFUSED);
	assert_int_equal(told.stage, INSPECTION_AT_MAIL);
	assert_string_equal(told.reply, "a@b.example");
	assert_int_equal(told.step_count, 1);
	assert_int_equal(told.steps[0].stage, INSPECTION_AT_MAIL);
	assert_int_equal(told.steps[0].verdict, INSPECTION_REFUSES);
	assert_string_equal(told.steps[0].control, "deny senders");
	assert_string_equal(told.steps[0].rule, "deny_senders");
	assert_string_equal(told.steps[0].entry, "b.example");
	assert_string_equal(told.steps[0].file, "configurations.conf");
	assert_int_equal(told.steps[0].line, 7);
	assert_string_equal(told.steps[0].found, "found");
	assert_string_equal(told.steps[0].reply, "554 No.");
	told_session_free(&told);
	assert_int_equal(told.step_count, 0);
}

static void
a_question_that_makes_no_sense_is_invalid(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct told_session told;

	assert_int_equal(ask(DOES_NOT_UNDERSTAND, &told, &error), -1);
	assert_int_equal(error.kind, ERROR_INVALID);
	assert_string_equal(error.text, "the client is none");
	told_session_free(&told);
}

/* Nothing that the listener does makes the question an invalid one: to ask again may help. */
static void
expect_no_answer(enum conduct conduct, const char *begins)
{
	struct error error = ERROR_INITIALIZER;
	struct told_session told;

	assert_int_equal(ask(conduct, &told, &error), -1);
	assert_int_equal(error.kind, ERROR_UNAVAILABLE);
	if (strncmp(error.text, begins, strlen(begins)) != 0)
		fail_msg("\"%s\" is not \"%s...\"", error.text, begins);
	told_session_free(&told);
}

static void
a_listener_that_does_not_answer_is_an_error(void **state UNUSED)
{
	expect_no_answer(DIES, "smtpd ended the conversation: ");
	expect_no_answer(DIES_HALFWAY, "smtpd ended the conversation: ");
	expect_no_answer(SPEAKS_ANOTHER_PROTOCOL, "smtpd ended the conversation: violation");
	expect_no_answer(ANSWERS_NONSENSE, "smtpd gives an answer that is none");
}

static void
steps_that_are_none_are_passed_over(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct told_session told;

	assert_int_equal(ask(TELLS_NONSENSE, &told, &error), 0);
	assert_int_equal(told.step_count, 1);
	assert_string_equal(told.steps[0].control, "deny senders");
	told_session_free(&told);
}

static void
steps_without_end_are_kept_up_to_a_limit(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct told_session told;

	assert_int_equal(ask(TELLS_WITHOUT_END, &told, &error), 0);
	assert_int_equal(told.step_count, 1000);
	assert_int_equal(told.outcome, INSPECTION_REFUSED);
	told_session_free(&told);
}

int
main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(what_the_listener_tells_is_kept),
		cmocka_unit_test(a_question_that_makes_no_sense_is_invalid),
		cmocka_unit_test(a_listener_that_does_not_answer_is_an_error),
		cmocka_unit_test(steps_that_are_none_are_passed_over),
		cmocka_unit_test(steps_without_end_are_kept_up_to_a_limit),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
