/* test_call_out - what a next hop's replies mean for a call-out, and which sessions it uses */
#include "attempt_scene.h"

#include "smtp/call_out.h"

struct told {
	unsigned count;
	uint64_t number;
	enum call_out_outcome outcome;
	char text[400];
};

static void
on_done(void *context, uint64_t number, enum call_out_outcome outcome, const char *text)
{
	struct told *told = context;

	told->count++;
	told->number = number;
	told->outcome = outcome;
	snprintf(told->text, sizeof(told->text), "%s", text);
}

static void
begin_to_ask(struct scene *scene, const char *recipient, struct told *told)
{
	const struct call_out_job job = { .job = 77, .transport = (uint8_t)scene->transport, .next_hop = scene->next_hop,
		.recipient = recipient };

	*told = (struct told){ 0 };
	call_out_start(&scene->outbound, &job, on_done, told);
}

static void
wait_until_told(struct scene *scene, const struct told *told)
{
	deadline_t deadline = deadline_after_ms(20000);

	while (told->count == 0 && !deadline_passed(deadline))
		event_base_loop(scene->base, EVLOOP_ONCE);
	assert_int_equal(told->count, 1);
	assert_int_equal(told->number, 77);
}

/* Until nothing is left of it; told once all the same. */
static struct told
ask(struct scene *scene, const char *recipient)
{
	deadline_t deadline = deadline_after_ms(20000);
	struct told told;

	begin_to_ask(scene, recipient, &told);
	wait_until_told(scene, &told);
	while (scene->outbound.call_out_count > 0 && !deadline_passed(deadline))
		event_base_loop(scene->base, EVLOOP_ONCE);
	assert_int_equal(scene->outbound.call_out_count, 0);
	assert_int_equal(told.count, 1);
	return told;
}

static int
begin(void **state)
{
	begin_scene(state);
	((struct scene *)*state)->settings->configuration.call_out_timeout.number = 60;
	return 0;
}

static int
end(void **state)
{
	call_outs_abandon(&((struct scene *)*state)->outbound);
	return end_scene(state);
}

static void
asks_and_keeps_the_session(void **state)
{
	struct scene *scene = *state;
	struct told told;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 2.1.5 known|250 reset|250 ok|550 5.1.1 unknown|250 reset|"
	    "250 ok|250 ok|354 go|250 2.0.0 taken";
	told = ask(scene, "one@d.example");
	assert_int_equal(told.outcome, CALL_OUT_ACCEPTED);
	assert_string_equal(told.text, "250 2.1.5 known");
	told = ask(scene, "two@d.example");
	assert_int_equal(told.outcome, CALL_OUT_DENIED);
	assert_string_equal(told.text, "550 5.1.1 unknown");
	assert_string_equal(buffer_text(&scene->commands), "EHLO hub.acme.com\r\nMAIL FROM:<>\r\nRCPT TO:<one@d.example>\r\nRSET\r\n"
	    "MAIL FROM:<>\r\nRCPT TO:<two@d.example>\r\nRSET\r\n");
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0+2.0.0 250 2.0.0 taken;");
	assert_int_equal(scene->connection_count, 1);
}

static void
only_the_reply_to_rcpt_decides(void **state)
{
	static const char *const scripts[] = {
		"554 no service", "220 hi|550 no|554 no", "220 hi|250 hi|550 5.7.1 no null senders|250 reset",
		"220 hi|250 hi|451 later|250 reset", "220 hi|250 hi|250 ok|450 4.2.0 later|250 reset",
		"220 hi|250 hi|250 ok|421 4.3.2 closing", "220 hi|250 hi|250 ok|^", "220 hi|250 hi|250 ok|354 out of step",
	};
	struct scene *scene;

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		struct told told;

		if (i > 0)
			begin(state);
		scene = *state;
		scene->scripts[0] = scripts[i];
		told = ask(scene, "one@d.example");
		if (told.outcome != CALL_OUT_SILENT || told.text[0] == '\0')
			fail_msg("%s: %u %s", scripts[i], told.outcome, told.text);
		if (i + 1 < sizeof(scripts) / sizeof(scripts[0]))
			end(state);
	}
}

static void
a_reply_counts_though_the_session_ends_behind_it(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|550 5.1.1 unknown|^";
	assert_int_equal(ask(scene, "one@d.example").outcome, CALL_OUT_DENIED);
	run_a_little(scene);
	assert_int_equal(destination_sessions_count(scene->outbound.sessions), 0);
}

static void
pipelines_and_says_nothing_about_size_or_reports(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250-hi\r\n250-SIZE 1000\r\n250-DSN\r\n250-CHUNKING\r\n250 PIPELINING|250 ok|250 ok|250 reset";
	assert_int_equal(ask(scene, "one@d.example").outcome, CALL_OUT_ACCEPTED);
	assert_string_equal(buffer_text(&scene->commands),
	    "EHLO hub.acme.com\r\nMAIL FROM:<>\r\nRCPT TO:<one@d.example>\r\nRSET\r\n");
}

static void
asks_again_when_an_idle_session_was_dead(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|250 reset|^";
	scene->scripts[1] = "220 hi|250 hi|250 ok|550 no|250 reset";
	assert_int_equal(ask(scene, "one@d.example").outcome, CALL_OUT_ACCEPTED);
	assert_int_equal(ask(scene, "two@d.example").outcome, CALL_OUT_DENIED);
	assert_int_equal(scene->connection_count, 2);
}

static void
a_verdict_waits_neither_for_rset_nor_for_quit(void **state)
{
	struct scene *scene = *state;
	struct told told;

	scene->settings->configuration.call_out_timeout.number = 1;
	scene->scripts[0] = "220 hi|250 hi|250 ok|550 5.1.1 unknown|500 no such command|~";
	told = ask(scene, "one@d.example");
	assert_int_equal(told.outcome, CALL_OUT_DENIED);
	assert_string_equal(told.text, "550 5.1.1 unknown");
	assert_int_equal(destination_sessions_count(scene->outbound.sessions), 0);
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 2.1.5 known|~";
	begin_to_ask(scene, "two@d.example", &told);
	wait_until_told(scene, &told);
	assert_int_equal(told.outcome, CALL_OUT_ACCEPTED);
	assert_string_equal(told.text, "250 2.1.5 known");
}

static void
a_session_that_will_be_free_at_once_is_waited_for(void **state)
{
	struct scene *scene = *state;
	struct told told;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 2.1.5 known|250 reset|250 ok|550 5.1.1 unknown|250 reset";
	begin_to_ask(scene, "one@d.example", &told);
	wait_until_told(scene, &told);
	assert_int_equal(scene->outbound.call_out_count, 1);
	assert_int_equal(ask(scene, "two@d.example").outcome, CALL_OUT_DENIED);
	assert_int_equal(scene->connection_count, 1);
}

static void
each_session_is_waited_for_by_one(void **state)
{
	struct scene *scene = *state;
	struct told one, two, three;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 known|~|250 ok|250 known|250 reset";
	scene->scripts[1] = "220 hi|250 hi|250 ok|550 5.1.1 unknown|250 reset";
	begin_to_ask(scene, "one@d.example", &one);
	wait_until_told(scene, &one);
	begin_to_ask(scene, "two@d.example", &two);
	begin_to_ask(scene, "three@d.example", &three);
	wait_until_told(scene, &three);
	assert_int_equal(three.outcome, CALL_OUT_DENIED);
	assert_int_equal(scene->connection_count, 2);
}

static void
a_session_of_another_next_hop_is_not_waited_for(void **state)
{
	struct scene *scene = *state;
	struct told told;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 known|~";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 known|250 reset";
	begin_to_ask(scene, "one@d.example", &told);
	wait_until_told(scene, &told);
	scene->transport = TRANSPORT_LMTP;
	begin_to_ask(scene, "two@d.example", &told);
	wait_until_told(scene, &told);
	assert_int_equal(scene->connection_count, 2);
	snprintf(scene->next_hop, sizeof(scene->next_hop), "[127.0.0.9]:%u", scene->port);
	assert_int_equal(ask(scene, "three@d.example").outcome, CALL_OUT_SILENT);
}

static void
a_session_that_does_not_come_back_is_given_up(void **state)
{
	struct scene *scene = *state;
	struct told told;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 2.1.5 known|~";
	scene->scripts[1] = "220 hi|250 hi|250 ok|550 5.1.1 unknown|250 reset";
	begin_to_ask(scene, "one@d.example", &told);
	wait_until_told(scene, &told);
	assert_int_equal(ask(scene, "two@d.example").outcome, CALL_OUT_DENIED);
	assert_int_equal(scene->connection_count, 2);
}

static void
no_host_counts_as_failed_because_a_call_out_failed(void **state)
{
	struct scene *scene = *state;

	snprintf(scene->next_hop, sizeof(scene->next_hop), "relay.example");
	scene->hosts = "5 a.example 127.0.0.9 0;10 b.example 127.0.0.1 0";
	scene->scripts[0] = "421 4.7.0 too many connections";
	scene->scripts[1] = "220 hi|250 hi|421 4.3.2 closing";
	assert_int_equal(ask(scene, "one@d.example").outcome, CALL_OUT_SILENT);
	assert_int_equal(ask(scene, "one@d.example").outcome, CALL_OUT_SILENT);
	run_a_little(scene);
	assert_int_equal(scene->connection_count, 2);
	assert_string_equal(scene->reports, "");
}

static void
a_silent_host_costs_its_time_and_no_more(void **state)
{
	struct scene *scene = *state;
	struct told told;

	scene->settings->configuration.call_out_timeout.number = 1;
	scene->scripts[0] = "220 hi|250 hi|250 ok|~";
	told = ask(scene, "one@d.example");
	assert_int_equal(told.outcome, CALL_OUT_SILENT);
	assert_string_equal(told.text, "no answer in time");
}

static void
what_makes_no_sense_is_answered_at_once(void **state)
{
	struct scene *scene = *state;
	struct told told;

	snprintf(scene->next_hop, sizeof(scene->next_hop), "no such hop");
	assert_int_equal(ask(scene, "one@d.example").outcome, CALL_OUT_SILENT);
	scene->transport = TRANSPORT_LOCAL;
	told = ask(scene, "one@d.example");
	assert_int_equal(told.outcome, CALL_OUT_SILENT);
	assert_string_equal(told.text, "only SMTP and LMTP hosts can be asked");
	assert_int_equal(scene->connection_count, 0);
}

static void
an_address_that_could_break_out_is_never_said(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|221 bye";
	assert_int_equal(ask(scene, "one>\r\nDATA\r\n@d.example").outcome, CALL_OUT_DENIED);
	assert_string_equal(buffer_text(&scene->commands), "EHLO hub.acme.com\r\n");
}

static void
speaks_lmtp(void **state)
{
	struct scene *scene = *state;

	scene->transport = TRANSPORT_LMTP;
	scene->scripts[0] = "220 hi|250 hi|250 ok|550 no mail file|250 reset";
	assert_int_equal(ask(scene, "one").outcome, CALL_OUT_DENIED);
	assert_string_equal(buffer_text(&scene->commands), "LHLO hub.acme.com\r\nMAIL FROM:<>\r\nRCPT TO:<one>\r\nRSET\r\n");
}

static void
too_many_are_answered_at_once(void **state)
{
	struct scene *scene = *state;
	const struct call_out_job job = { .job = 1, .transport = TRANSPORT_SMTP, .next_hop = "slow.example", .recipient = "a@b.example" };
	struct told told = { 0 };

	scene->resolver_is_silent = true;
	for (unsigned i = 0; i < CALL_OUTS_MAX; i++)
		call_out_start(&scene->outbound, &job, on_done, &told);
	assert_int_equal(told.count, 0);
	call_out_start(&scene->outbound, &job, on_done, &told);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.outcome, CALL_OUT_SILENT);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(asks_and_keeps_the_session),
		CASE(only_the_reply_to_rcpt_decides),
		CASE(a_reply_counts_though_the_session_ends_behind_it),
		CASE(pipelines_and_says_nothing_about_size_or_reports),
		CASE(asks_again_when_an_idle_session_was_dead),
		CASE(a_verdict_waits_neither_for_rset_nor_for_quit),
		CASE(a_session_that_will_be_free_at_once_is_waited_for),
		CASE(each_session_is_waited_for_by_one),
		CASE(a_session_of_another_next_hop_is_not_waited_for),
		CASE(a_session_that_does_not_come_back_is_given_up),
		CASE(no_host_counts_as_failed_because_a_call_out_failed),
		CASE(a_silent_host_costs_its_time_and_no_more),
		CASE(what_makes_no_sense_is_answered_at_once),
		CASE(an_address_that_could_break_out_is_never_said),
		CASE(speaks_lmtp),
		CASE(too_many_are_answered_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
