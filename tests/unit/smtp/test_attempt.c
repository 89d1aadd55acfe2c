/*
 * Unit tests of smtp/attempt.c with connection.c and destination_sessions.c: what becomes of a job on sessions,
 * new and used again. Rows 120 to 128 of docs/reference/hostile-inputs.md.
 */
#include "attempt_scene.h"

static void
delivers_and_uses_the_session_again(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 2.0.0 one|250 ok|250 ok|354 go|250 2.0.0 two|221 bye";
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	offer(scene, 1, scene->next_hop, "two\r\n");
	run_until(scene, 2);
	assert_string_equal(scene->heard, "0+2.0.0 250 2.0.0 one;0+2.0.0 250 2.0.0 two;");
	assert_string_equal(buffer_text(&scene->content), "one\r\n.\r\ntwo\r\n.\r\n");
	assert_int_equal(scene->connection_count, 1);
	assert_int_equal(scene->finished, 2);
	destination_sessions_quit_all(scene->outbound.sessions);
	run_a_little(scene);
	assert_non_null(strstr(buffer_text(&scene->commands), "QUIT\r\n"));
	assert_int_equal(destination_sessions_count(scene->outbound.sessions), 0);
}

static void
repeats_on_a_fresh_connection_when_an_idle_one_was_dead(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|^";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 two";
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	offer(scene, 1, scene->next_hop, "two\r\n");
	run_until(scene, 2);
	assert_string_equal(scene->heard, "0+2.0.0 250 one;0+2.0.0 250 two;");
	assert_int_equal(scene->connection_count, 2);
}

static void
repeats_on_a_fresh_connection_when_an_idle_one_is_told_to_leave(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|421 4.4.2 too long";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 two";
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	offer(scene, 1, scene->next_hop, "two\r\n");
	run_until(scene, 2);
	assert_string_equal(scene->heard, "0+2.0.0 250 one;0+2.0.0 250 two;");
}

static void
keeps_no_more_idle_sessions_than_allowed(void **state)
{
	struct scene *scene = *state;
	char other[32];

	listen_at(scene, 1);
	snprintf(other, sizeof(other), "[127.0.0.2]:%u", scene->port);
	destination_sessions_limit(scene->outbound.sessions, 1, 100);
	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|221 bye";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 two|250 ok|250 ok|354 go|250 three";
	scene->scripts[2] = "220 hi|250 hi|250 ok|250 ok|354 go|250 four";
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	offer(scene, 1, other, "two\r\n");
	run_until(scene, 2);
	run_a_little(scene);
	assert_int_equal(destination_sessions_count(scene->outbound.sessions), 1);
	assert_non_null(strstr(buffer_text(&scene->commands), "QUIT\r\n"));
	offer(scene, 1, other, "three\r\n");
	run_until(scene, 3);
	assert_int_equal(scene->connection_count, 2);
	offer(scene, 1, scene->next_hop, "four\r\n");
	run_until(scene, 4);
	assert_int_equal(scene->connection_count, 3);
}

static void
keeps_lmtp_and_smtp_sessions_apart(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|221 bye";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 two";
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	scene->transport = TRANSPORT_LMTP;
	offer(scene, 1, scene->next_hop, "two\r\n");
	run_until(scene, 2);
	assert_non_null(strstr(buffer_text(&scene->commands), "LHLO"));
	assert_int_equal(scene->connection_count, 2);
}

static void
repeats_nothing_after_the_reply_to_mail(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|250 ok|^";
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	offer(scene, 1, scene->next_hop, "two\r\n");
	run_until(scene, 2);
	assert_non_null(strstr(scene->heard, "0-4.4.2 [127.0.0.1]"));
	assert_non_null(strstr(scene->heard, "connection lost while waiting for the reply to RCPT"));
	assert_int_equal(scene->connection_count, 1);
}

static void
drops_an_idle_session_that_speaks(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 two";
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	assert_int_equal(destination_sessions_count(scene->outbound.sessions), 1);
	assert_int_equal(write(scene->connections[0].socket, "250 more\r\n", 10), 10);
	run_a_little(scene);
	assert_int_equal(destination_sessions_count(scene->outbound.sessions), 0);
	offer(scene, 1, scene->next_hop, "two\r\n");
	run_until(scene, 2);
	assert_int_equal(scene->connection_count, 2);
}

static void
closes_a_session_after_its_share_of_messages(void **state)
{
	struct scene *scene = *state;

	destination_sessions_limit(scene->outbound.sessions, 10, 1);
	scene->scripts[0] = scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done|221 bye";
	offer(scene, 1, scene->next_hop, "one\r\n");
	run_until(scene, 1);
	run_a_little(scene);
	offer(scene, 1, scene->next_hop, "two\r\n");
	run_until(scene, 2);
	assert_int_equal(scene->connection_count, 2);
}

static void
sends_the_surplus_recipients_in_another_transaction(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|452 4.5.3 full|354 go|250 one|250 ok|250 ok|354 go|250 two";
	offer(scene, 2, scene->next_hop, "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0+2.0.0 250 one;1+2.0.0 250 two;");
}

static void
defers_where_nobody_listens(void **state)
{
	struct scene *scene = *state;

	offer(scene, 2, "[127.0.0.2]:1", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard,
	    "0-4.4.1H [127.0.0.2]:1: cannot connect: Connection refused;"
	    "1-4.4.1H [127.0.0.2]:1: cannot connect: Connection refused;");
}

static void
defers_when_the_greeting_refuses(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "554 5.7.1 not for you";
	offer(scene, 1, scene->next_hop, "x\r\n");
	run_until(scene, 1);
	assert_non_null(strstr(scene->heard, "0-4.7.1H"));
	assert_non_null(strstr(scene->heard, "554 5.7.1 not for you"));
}

static void
holds_a_time_out_in_the_middle_against_the_host(void **state)
{
	struct scene *scene = *state;

	scene->settings->configuration.smtp_rcpt_timeout.number = 1;
	scene->scripts[0] = "220 hi|250 hi|250 ok|~";
	scene->hosts = "5 mx.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	run_a_little(scene);
	assert_non_null(strstr(scene->heard, "0-4.4.2H mx.example[127.0.0.1]"));
	assert_string_equal(scene->reports, "-mx.example timed out while waiting for the reply to RCPT;");
}

static void
says_goodbye_to_a_session_of_old_settings(void **state)
{
	struct scene *scene = *state;
	struct settings fresh = *scene->settings;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|~|221 bye";
	offer(scene, 1, scene->next_hop, "x\r\n");
	run_a_little(scene);
	scene->outbound.settings = &fresh;
	assert_int_equal(write(scene->connections[0].socket, "250 done\r\n", 10), 10);
	run_until(scene, 1);
	run_a_little(scene);
	assert_string_equal(scene->heard, "0+2.0.0 250 done;");
	assert_non_null(strstr(buffer_text(&scene->commands), "QUIT\r\n"));
	assert_int_equal(destination_sessions_count(scene->outbound.sessions), 0);
}

static void
goes_on_over_a_fresh_connection_when_the_host_leaves_between_transactions(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|452 4.5.3 full|354 go|250 one|^";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 two";
	scene->hosts = "5 mx.example 127.0.0.1 0";
	offer(scene, 2, "d.example", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0+2.0.0 250 one;1+2.0.0 250 two;");
	assert_int_equal(scene->questions, 1);
}

/* BDAT is refused as unknown, so the message is to go by DATA: a host that leaves then has served nobody. */
static void
does_not_return_for_ever_to_a_host_that_serves_nobody(void **state)
{
	struct scene *scene = *state;

	scene->settings->configuration.smtp_out_chunking.number = 1;
	scene->scripts[0] = "220 hi|250-hi\r\n250 CHUNKING|250 ok|250 ok|502 what|~|250 ok|^";
	scene->hosts = "5 mx.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	assert_non_null(strstr(buffer_text(&scene->commands), "RSET\r\nMAIL FROM"));
	assert_int_equal(strncmp(scene->heard, "0-4.4.2 mx.example[127.0.0.1]", 29), 0);
	assert_int_equal(scene->connection_count, 1);
}

static void
leaves_nothing_behind_when_the_program_leaves(void **state)
{
	struct scene *scene = *state;

	scene->resolver_is_silent = true;
	scene->scripts[0] = "~";
	offer(scene, 1, "d.example", "x\r\n");
	offer(scene, 1, scene->next_hop, "x\r\n");
	run_a_little(scene);
	attempts_abandon(&scene->outbound);
	run_a_little(scene);
	assert_int_equal(scene->answers, 0);
	assert_true(TAILQ_EMPTY(&scene->outbound.attempts));
}

static void
defers_when_the_host_leaves_after_the_dot(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|^";
	offer(scene, 1, scene->next_hop, "x\r\n");
	run_until(scene, 1);
	assert_int_equal(strncmp(scene->heard, "0-4.4.2 ", 8), 0);
}

static void
sends_content_of_any_length_whole(void **state)
{
	struct scene *scene = *state;
	struct buffer content = BUFFER_INITIALIZER(0);
	int i;

	for (i = 0; i < 500; i++)
		buffer_append_string(&content, ".a line that begins with a dot\r\n");
	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done";
	offer(scene, 1, scene->next_hop, buffer_text(&content));
	run_until(scene, 1);
	assert_int_equal(scene->content.length, content.length + 500 + 3);
	buffer_free(&content);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(delivers_and_uses_the_session_again),
		SCENE_TEST(repeats_on_a_fresh_connection_when_an_idle_one_was_dead),
		SCENE_TEST(repeats_on_a_fresh_connection_when_an_idle_one_is_told_to_leave),
		SCENE_TEST(keeps_no_more_idle_sessions_than_allowed),
		SCENE_TEST(keeps_lmtp_and_smtp_sessions_apart),
		SCENE_TEST(repeats_nothing_after_the_reply_to_mail),
		SCENE_TEST(drops_an_idle_session_that_speaks),
		SCENE_TEST(closes_a_session_after_its_share_of_messages),
		SCENE_TEST(sends_the_surplus_recipients_in_another_transaction),
		SCENE_TEST(defers_where_nobody_listens),
		SCENE_TEST(defers_when_the_greeting_refuses),
		SCENE_TEST(holds_a_time_out_in_the_middle_against_the_host),
		SCENE_TEST(says_goodbye_to_a_session_of_old_settings),
		SCENE_TEST(goes_on_over_a_fresh_connection_when_the_host_leaves_between_transactions),
		SCENE_TEST(does_not_return_for_ever_to_a_host_that_serves_nobody),
		SCENE_TEST(leaves_nothing_behind_when_the_program_leaves),
		SCENE_TEST(defers_when_the_host_leaves_after_the_dot),
		SCENE_TEST(sends_content_of_any_length_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
