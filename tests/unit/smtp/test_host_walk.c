/*
 * Unit tests of smtp/host_walk.c with host_lookup.c and mail_hosts.c, by way of attempt.c: which hosts a job
 * tries, what is told about them, and what becomes of a job without any. Rows 107 and 108 of
 * docs/reference/hostile-inputs.md.
 */
#include "attempt_scene.h"

static void
tries_the_next_address(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done";
	scene->hosts = "10 mx.relay.example 127.0.0.9,127.0.0.1 0";
	offer(scene, 1, "relay.example", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0+2.0.0 250 done;");
	assert_string_equal(scene->remote, "mx.relay.example");
	assert_int_equal(scene->questions, 1);
	assert_string_equal(scene->reports, "");
}

static void
fails_at_once_what_the_own_domain_of_the_recipient_rules_out(void **state)
{
	static const struct { enum mail_hosts_outcome outcome; const char *own, *other; } rows[] = {
		{ MAIL_HOSTS_NO_NAME, "0!5.1.2 domain d.example does not exist;",
		    "0-4.4.4H domain e.example does not exist;" },
		{ MAIL_HOSTS_NO_DATA, "0!5.1.2 domain d.example has neither an MX record nor an address;",
		    "0-4.4.4H domain e.example has neither an MX record nor an address;" },
		{ MAIL_HOSTS_NO_ADDRESS, "0!5.1.2 no mail host of d.example has an address;",
		    "0-4.4.4H no mail host of e.example has an address;" },
		{ MAIL_HOSTS_NULL_MX, "0!5.1.10 domain d.example takes no mail: its MX record is empty (RFC 7505);",
		    "0-4.4.4H domain e.example takes no mail: its MX record is empty (RFC 7505);" },
		{ MAIL_HOSTS_LOOP, "0!5.4.6 mail for d.example loops back: this server itself is its best mail host;",
		    "0-4.4.6H mail for e.example loops back: this server itself is its best mail host;" },
		{ MAIL_HOSTS_NO_ANSWER, "0-4.4.3H the name server gives no answer about d.example: SERVFAIL;",
		    "0-4.4.3H the name server gives no answer about e.example: SERVFAIL;" },
	};
	struct scene *scene = *state;
	unsigned i;

	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		scene->outcome = rows[i].outcome;
		scene->heard[0] = '\0';
		offer(scene, 1, "d.example", "x\r\n");
		run_until(scene, i * 2 + 1);
		assert_string_equal(scene->heard, rows[i].own);
		assert_int_equal(scene->failure, scene->outcome == MAIL_HOSTS_NO_ANSWER ? FAILURE_NONE : FAILURE_DOMAIN);
		scene->heard[0] = '\0';
		offer(scene, 1, "e.example", "x\r\n");
		run_until(scene, i * 2 + 2);
		assert_string_equal(scene->heard, rows[i].other);
	}
}

static void
judges_each_recipient_by_his_own_domain(void **state)
{
	struct scene *scene = *state;

	scene->outcome = MAIL_HOSTS_NO_NAME;
	scene->recipient = "c@M\303\274nchen.example";
	scene->other_recipient = "c@d.example";
	offer(scene, 2, "xn--mnchen-3ya.example", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0!5.1.2 domain xn--mnchen-3ya.example does not exist;"
	    "1-4.4.4H domain xn--mnchen-3ya.example does not exist;");
}

static void
takes_a_next_hop_with_a_port_or_in_brackets_for_our_own_choice(void **state)
{
	struct scene *scene = *state;

	scene->outcome = MAIL_HOSTS_NO_NAME;
	offer(scene, 1, "d.example:26", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0-4.4.4H domain d.example does not exist;");
	assert_string_equal(scene->asked, "d.example:26");
	scene->heard[0] = '\0';
	offer(scene, 1, "[d.example]", "x\r\n");
	run_until(scene, 2);
	assert_string_equal(scene->heard, "0-4.4.4H host d.example does not exist;");
}

static void
asks_for_mx_records_and_for_what_is_remembered_as_the_job_wants(void **state)
{
	struct scene *scene = *state;

	scene->outcome = MAIL_HOSTS_NO_ANSWER;
	offer(scene, 1, "M\303\274nchen.example", "x\r\n");
	run_until(scene, 1);
	assert_int_equal(scene->flags, 0);
	assert_int_equal(strncmp(scene->asked, "xn--mnchen-3ya.example:", 23), 0);
	offer(scene, 1, "[relay.example]", "x\r\n");
	run_until(scene, 2);
	assert_int_equal(scene->flags, MAIL_HOSTS_NO_MX);
	scene->transport = TRANSPORT_LMTP;
	offer(scene, 1, "relay.example", "x\r\n");
	run_until(scene, 3);
	assert_int_equal(scene->flags, MAIL_HOSTS_NO_MX);
	assert_string_equal(scene->asked, "relay.example:24");
	scene->transport = TRANSPORT_SMTP;
	scene->fresh = true;
	offer(scene, 1, "relay.example", "x\r\n");
	run_until(scene, 4);
	assert_int_equal(scene->flags, MAIL_HOSTS_FRESH);
}

static void
goes_to_the_next_host_and_reports_the_one_that_does_not_connect(void **state)
{
	struct scene *scene = *state;
	char report[200];

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done";
	scene->hosts = "5 a.example 127.0.0.9 0;10 b.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0+2.0.0 250 done;");
	assert_string_equal(scene->remote, "b.example");
	snprintf(report, sizeof(report), "-a.example [127.0.0.9]:%u: cannot connect: Connection refused;", scene->port);
	run_a_little(scene);
	assert_string_equal(scene->reports, report);
}

static void
goes_to_the_next_host_when_one_fails_before_the_reply_to_mail(void **state)
{
	static const char *const scripts[] = { "^", "554 5.7.1 no", "421 busy", "nonsense", "220 hi|421 no|^",
		"220 hi|550 no|550 no", "220 hi|250 hi|^", "220 hi|250 hi|421 down" };
	struct scene *scene = *state;
	unsigned i;

	listen_at(scene, 1);
	scene->hosts = "5 a.example 127.0.0.1 0;10 b.example 127.0.0.2 0";
	for (i = 0; i < ARRAY_COUNT(scripts); i++) {
		scene->connection_count = 0;
		scene->scripts[0] = scripts[i];
		scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done|^";
		scene->heard[0] = '\0';
		offer(scene, 1, "d.example", "x\r\n");
		run_until(scene, i + 1);
		assert_string_equal(scene->heard, "0+2.0.0 250 done;");
		assert_int_equal(scene->connections[0].listener, 0);
		assert_int_equal(scene->connections[1].listener, 1);
		destination_sessions_quit_all(scene->outbound.sessions);
		run_a_little(scene);
		close_connection(&scene->connections[0]);
	}
}

static void
lets_the_first_host_that_answers_mail_decide(void **state)
{
	static const char *const scripts[] = { "220 hi|250 hi|451 4.3.0 later|250 ok|221 bye",
		"220 hi|250 hi|250 ok|550 no|250 ok|221 bye", "220 hi|250 hi|250 ok|250 ok|354 go|^" };
	static const char *const heard[] = { "0-4.3.0 451 4.3.0 later;", "0!5.0.0 550 no;", "0-4.4.2 a.example" };
	struct scene *scene = *state;
	unsigned i;

	listen_at(scene, 1);
	scene->hosts = "5 a.example 127.0.0.1 0;10 b.example 127.0.0.2 0";
	for (i = 0; i < ARRAY_COUNT(scripts); i++) {
		scene->connection_count = 0;
		scene->scripts[0] = scripts[i];
		scene->heard[0] = '\0';
		offer(scene, 1, "d.example", "x\r\n");
		run_until(scene, i + 1);
		assert_int_equal(strncmp(scene->heard, heard[i], strlen(heard[i])), 0);
		destination_sessions_quit_all(scene->outbound.sessions);
		run_a_little(scene);
		assert_int_equal(scene->connection_count, 1);
		close_connection(&scene->connections[0]);
	}
	assert_string_equal(scene->reports, "");
}

static void
defers_when_every_host_fails(void **state)
{
	struct scene *scene = *state;
	char expected[300];

	scene->hosts = "5 a.example 127.0.0.8,127.0.0.9 0;10 b.example 127.0.0.7 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	snprintf(expected, sizeof(expected), "0-4.4.1H b.example[127.0.0.7]:%u: cannot connect: Connection refused "
	    "(2 other addresses failed before);", scene->port);
	assert_string_equal(scene->heard, expected);
	assert_string_equal(scene->remote, "b.example");
	assert_int_equal(scene->retry_seconds, 0);
	run_a_little(scene);
	assert_non_null(strstr(scene->reports, "-a.example "));
	assert_non_null(strstr(scene->reports, "-b.example "));
	assert_null(strstr(strstr(scene->reports, "-a.example ") + 1, "-a.example "));
}

static void
waits_as_long_as_failed_hosts_are_remembered(void **state)
{
	struct scene *scene = *state;

	scene->outcome = MAIL_HOSTS_ALL_FAILED;
	scene->hosts = "5 a.example 127.0.0.1 1;10 b.example 127.0.0.1 1";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard,
	    "0-4.4.1H a.example is not tried for another 77 seconds because it failed: it was down;");
	assert_int_equal(scene->retry_seconds, 66);
	assert_string_equal(scene->remote, "a.example");
	assert_int_equal(scene->connection_count, 0);
}

static void
tries_only_usable_hosts(void **state)
{
	struct scene *scene = *state;

	listen_at(scene, 1);
	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done";
	scene->hosts = "1 a.example 127.0.0.2 1;2 b.example 127.0.0.2 2;3 c.example 127.0.0.2 3;4 e.example 127.0.0.2 4;"
	    "5 f.example 127.0.0.2 5;6 g.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->remote, "g.example");
	assert_int_equal(scene->connections[0].listener, 0);
	assert_int_equal(scene->connection_count, 1);
}

static void
tries_no_more_addresses_than_allowed(void **state)
{
	struct scene *scene = *state;

	scene->settings->configuration.smtp_address_limit.number = 3;
	scene->hosts = "5 a.example 127.0.0.8,127.0.0.9 0;10 b.example 127.0.0.6,127.0.0.7 0;20 c.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	assert_non_null(strstr(scene->heard, "0-4.4.1H b.example"));
	assert_non_null(strstr(scene->heard, "(2 other addresses failed before)"));
	assert_int_equal(scene->connection_count, 0);
}

static void
shares_a_session_between_domains_with_the_same_hosts(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|250 ok|250 ok|354 go|250 two";
	scene->hosts = "5 mx.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	scene->hosts = "7 other.example 127.0.0.9 0;7 mx.example 127.0.0.8,127.0.0.1 0";
	offer(scene, 1, "e.example", "x\r\n");
	run_until(scene, 2);
	assert_string_equal(scene->heard, "0+2.0.0 250 one;0+2.0.0 250 two;");
	assert_int_equal(scene->connection_count, 1);
	assert_int_equal(scene->questions, 2);
}

static void
uses_no_idle_session_with_a_host_that_is_failed_worse_or_gone(void **state)
{
	static const char *const answers[] = { "5 mx.example 127.0.0.1 1;5 b.example 127.0.0.2 0",
		"5 b.example 127.0.0.2 0;6 mx.example 127.0.0.1 0", "5 b.example 127.0.0.2 0", "5 mx.example 127.0.0.2 0",
		"5 b.example 127.0.0.1 0" };
	struct scene *scene = *state;
	unsigned i;

	listen_at(scene, 1);
	for (i = 0; i < ARRAY_COUNT(answers); i++) {
		scene->connection_count = 0;
		scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|221 bye";
		scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 two|221 bye";
		scene->hosts = "5 mx.example 127.0.0.1 0";
		offer(scene, 1, "d.example", "x\r\n");
		run_until(scene, i * 2 + 1);
		scene->hosts = answers[i];
		offer(scene, 1, "e.example", "x\r\n");
		run_until(scene, i * 2 + 2);
		assert_int_equal(scene->connection_count, 2);
		destination_sessions_quit_all(scene->outbound.sessions);
		run_a_little(scene);
		close_connection(&scene->connections[0]);
		close_connection(&scene->connections[1]);
	}
}

static void
asks_again_while_a_better_host_may_come_back(void **state)
{
	struct scene *scene = *state;

	listen_at(scene, 1);
	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|250 ok|250 ok|354 go|250 two";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 three";
	scene->hosts = "5 a.example 127.0.0.2 1;10 b.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 2);
	assert_int_equal(scene->connection_count, 1);
	assert_int_equal(scene->questions, 2);
	scene->hosts = "5 a.example 127.0.0.2 0;10 b.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 3);
	assert_string_equal(scene->remote, "a.example");
	assert_int_equal(scene->connections[1].listener, 1);
}

static void
reports_a_host_that_works_again_once(void **state)
{
	struct scene *scene = *state;
	const char *failed;

	scene->scripts[0] = "421 not now";
	scene->scripts[1] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one|^";
	scene->scripts[2] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one";
	scene->hosts = "5 mx.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 2);
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 3);
	run_a_little(scene);
	failed = strstr(scene->reports, "-mx.example [127.0.0.1]:");
	assert_ptr_equal(failed, scene->reports);
	assert_string_equal(strchr(failed, ';'), ";+mx.example;");
}

static void
reports_a_host_that_works_although_it_was_remembered(void **state)
{
	struct scene *scene = *state;

	scene->fresh = true;
	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 one";
	scene->hosts = "5 mx.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	run_a_little(scene);
	assert_string_equal(scene->reports, "+mx.example;");
}

static void
never_connects_to_ourselves(void **state)
{
	static const struct setting_item everywhere = { .text = "*" };
	struct scene *scene = *state;
	struct settings *settings = scene->settings;

	settings->server.smtp_listener_task.number = settings->server.smtp_inbound_tcp_status.number = 1;
	settings->server.smtp_inbound_tcp_port.number = scene->port;
	settings->matador.listen_addresses.items = &everywhere;
	settings->matador.listen_addresses.count = 1;
	offer(scene, 1, scene->next_hop, "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0-4.4.6H mail for [127.0.0.1] loops back: that is this server itself;");
	scene->heard[0] = '\0';
	scene->recipient = "c@[127.0.0.1]";
	offer(scene, 1, "[127.0.0.1]", "x\r\n");
	run_until(scene, 2);
	assert_string_equal(scene->heard, "0!5.4.6 mail for [127.0.0.1] loops back: that is this server itself;");
	scene->heard[0] = '\0';
	scene->recipient = "c@[IPv6:::]";
	offer(scene, 1, "[::]", "x\r\n");
	run_until(scene, 3);
	assert_string_equal(scene->heard, "0!5.4.6 mail for [::] loops back: that is this server itself;");
	scene->heard[0] = '\0';
	scene->hosts = "5 mx.example 127.0.0.1,0.0.0.0 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 4);
	assert_string_equal(scene->heard, "0-4.4.6H mail for d.example loops back: that is this server itself;");
	run_a_little(scene);
	assert_int_equal(scene->connection_count, 0);
}

static void
connects_from_the_source_address_of_the_settings(void **state)
{
	static const struct setting_item sources[] = { { .text = "127.0.0.77" }, { .text = "::1" } };
	struct scene *scene = *state;
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);

	scene->settings->configuration.smtp_source_addresses.items = sources;
	scene->settings->configuration.smtp_source_addresses.count = 2;
	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done";
	offer(scene, 1, scene->next_hop, "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0+2.0.0 250 done;");
	assert_int_equal(getpeername(scene->connections[0].socket, (struct sockaddr *)&peer, &length), 0);
	assert_int_equal(ntohl(peer.sin_addr.s_addr), 0x7f00004d);
}

static void
defers_when_the_source_address_is_not_ours_without_blaming_the_host(void **state)
{
	static const struct setting_item source = { .text = "192.0.2.77" };
	struct scene *scene = *state;

	scene->settings->configuration.smtp_source_addresses.items = &source;
	scene->settings->configuration.smtp_source_addresses.count = 1;
	scene->hosts = "5 mx.example 127.0.0.1 0";
	offer(scene, 1, "d.example", "x\r\n");
	run_until(scene, 1);
	run_a_little(scene);
	assert_int_equal(strncmp(scene->heard, "0-4.3.0 mx.example[127.0.0.1]", 29), 0);
	assert_non_null(strstr(scene->heard, "cannot use the source address 192.0.2.77 of smtp_source_addresses: "));
	assert_string_equal(scene->reports, "");
}

static void
asks_a_new_resolver_again(void **state)
{
	static const struct channel_events events = { .closed = NULL };
	struct scene *scene = *state;
	int sockets[2];

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done";
	scene->hosts = "0 relay.example 127.0.0.1 0";
	scene->resolver_is_silent = true;
	offer(scene, 1, "relay.example", "x\r\n");
	run_a_little(scene);
	assert_int_equal(scene->questions, 1);
	channel_free(&scene->resolver);
	run_a_little(scene);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	scene->resolver = channel_open(scene->base, sockets[0], &dns_protocol, IPC_SERVES, &resolver_handlers, &events,
	    scene);
	scene->resolver_is_silent = false;
	host_lookups_introduce(scene->outbound.lookups, sockets[1], IPC_ASKS);
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0+2.0.0 250 done;");
}

static void
defers_a_next_hop_that_makes_no_sense(void **state)
{
	struct scene *scene = *state;

	offer(scene, 1, "no such thing", "x\r\n");
	run_until(scene, 1);
	assert_int_equal(strncmp(scene->heard, "0-4.3.5H next hop", 17), 0);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(tries_the_next_address),
		SCENE_TEST(fails_at_once_what_the_own_domain_of_the_recipient_rules_out),
		SCENE_TEST(judges_each_recipient_by_his_own_domain),
		SCENE_TEST(takes_a_next_hop_with_a_port_or_in_brackets_for_our_own_choice),
		SCENE_TEST(asks_for_mx_records_and_for_what_is_remembered_as_the_job_wants),
		SCENE_TEST(goes_to_the_next_host_and_reports_the_one_that_does_not_connect),
		SCENE_TEST(goes_to_the_next_host_when_one_fails_before_the_reply_to_mail),
		SCENE_TEST(lets_the_first_host_that_answers_mail_decide),
		SCENE_TEST(defers_when_every_host_fails),
		SCENE_TEST(waits_as_long_as_failed_hosts_are_remembered),
		SCENE_TEST(tries_only_usable_hosts),
		SCENE_TEST(tries_no_more_addresses_than_allowed),
		SCENE_TEST(shares_a_session_between_domains_with_the_same_hosts),
		SCENE_TEST(uses_no_idle_session_with_a_host_that_is_failed_worse_or_gone),
		SCENE_TEST(asks_again_while_a_better_host_may_come_back),
		SCENE_TEST(reports_a_host_that_works_again_once),
		SCENE_TEST(reports_a_host_that_works_although_it_was_remembered),
		SCENE_TEST(never_connects_to_ourselves),
		SCENE_TEST(connects_from_the_source_address_of_the_settings),
		SCENE_TEST(defers_when_the_source_address_is_not_ours_without_blaming_the_host),
		SCENE_TEST(asks_a_new_resolver_again),
		SCENE_TEST(defers_a_next_hop_that_makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
