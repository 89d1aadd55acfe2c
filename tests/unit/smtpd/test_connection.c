/*
 * test_connection - clients that go, are too many, never read or never end a line cost little and leave nothing
 * behind
 */
#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>

#include "server_fixture.h"

/* ---- clients that go ---- */

static void
a_client_that_goes_leaves_nothing_behind(void **state)
{
	size_t length;
	char *content = large_content(&length);

	(void)state;
	start_stage();
	for (unsigned i = 0; i < 20; i++) {
		int client = connect_client();

		say(client, START_OF_DATA);
		expect(client, "354 ");
		send_all(client, content, length - i * 20000);
		turn_until(stage->body_file >= 0);
		if (i % 2 == 0) {
			struct linger hard = { .l_onoff = 1, .l_linger = 0 };

			setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		}
		close(client);
		turn_until(limits_sessions(stage->server.limits) == 0 && stage->abandoned == i + 1);
	}
	assert_int_equal(stage->server.shared.content_octets, 0);
	assert_int_equal(stage->stored, 0);
	assert_int_equal(depositor_pending(stage->server.depositor), 0);
	free(content);
}

static void
a_client_that_goes_while_it_is_judged_leaves_nothing_behind(void **state)
{
	int client;

	(void)state;
	stage->resolver_sleeps = true;
	start_stage();
	client = connect_client();
	expect(client, "220 ");
	say(client, START_OF_DATA);
	turn_until(stage->names_asked == 1);
	close(client);
	/* An answer that nobody waits for. */
	stage->resolver_sleeps = false;
	start_resolver();
	client = connect_client();
	expect(client, "220 ");
	say(client, START_OF_DATA);
	expect(client, "354 ");
	close(client);
}

/* ---- clients that are too many ---- */

static void
a_client_beyond_its_limit_reads_421(void **state)
{
	int clients[4];

	(void)state;
	assert_true(fixture_set(&stage->settings, "maximum_sessions_per_client", "3"));
	start_stage();
	for (unsigned i = 0; i < 4; i++) {
		clients[i] = connect_client();
		expect(clients[i], i < 3 ? "220 " : "421 4.7.0 Too many sessions from your address");
	}
	expect_end(clients[3]);
	close(clients[0]);
	turn_until(limits_sessions(stage->server.limits) == 2);
	clients[0] = connect_client();
	expect(clients[0], "220 ");
	for (unsigned i = 0; i < 3; i++)
		close(clients[i]);
}

/* Otherwise one client could take all of maximum_sessions with sessions that it does not have. */
static void
a_client_that_is_turned_away_reads_421_and_takes_no_place_while_it_stays(void **state)
{
	struct pollfd end = { .events = POLLIN };
	char piece[16];
	int client;

	(void)state;
	assert_true(fixture_set(&stage->settings, "client_session_rate", "1"));
	start_stage();
	start_policy();
	end.fd = client = connect_client();
	turn_until(stage->rate_id == 1);
	assert_int_equal(limits_sessions(stage->server.limits), 1);
	/* What is not read would destroy the reply. */
	say(client, "EHLO c.example\r\n");
	answer_that_the_rate_is_exceeded();
	expect(client, "421 4.7.0 Too many new sessions from your address");
	assert_int_equal(limits_sessions(stage->server.limits), 0);
	turn_until(poll(&end, 1, 0) == 1);
	assert_int_equal(recv(client, piece, sizeof(piece), 0), 0);
	close(client);
}

/* The session has given up asking, and waits for its greeting. */
static void
an_answer_of_policy_that_comes_too_late_changes_no_count(void **state)
{
	const struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct in6_addr key = client_key((const struct sockaddr *)&address);
	const struct limits *limits;
	int client;

	(void)state;
	assert_true(fixture_set(&stage->settings, "client_session_rate", "1"));
	assert_true(fixture_set(&stage->settings, "greeting_delay", "60s"));
	start_stage();
	start_policy();
	limits = stage->server.limits;
	client = connect_client();
	turn_until(stage->rate_id == 1);
	assert_int_equal(limits_open_sessions(limits, &key), 0);
	turn_until(limits_open_sessions(limits, &key) == 1);
	answer_that_the_rate_is_exceeded();
	for (unsigned i = 0; i < 50; i++)
		turn();
	assert_int_equal(limits_open_sessions(limits, &key), 1);
	assert_int_equal(limits_sessions(limits), 1);
	close(client);
	turn_until(limits_sessions(limits) == 0);
	assert_int_equal(limits_open_sessions(limits, &key), 0);
}

/* ---- what a client costs ---- */

static void
an_idle_session_takes_little_memory(void **state)
{
	enum { SESSIONS = 300 };
	int clients[SESSIONS];
	size_t before, after;

	(void)state;
	assert_true(fixture_set(&stage->settings, "maximum_sessions_per_client", "1000"));
	start_stage();
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < SESSIONS; i++) {
		clients[i] = connect_client();
		expect(clients[i], "220 ");
		say(clients[i], "EHLO c.example\r\n");
		expect(clients[i], "ENHANCEDSTATUSCODES\r\n");
	}
	after = mallinfo2().uordblks;
	assert_true((after - before) / SESSIONS < 8192);
	for (unsigned i = 0; i < SESSIONS; i++)
		close(clients[i]);
	turn_until(limits_sessions(stage->server.limits) == 0);
}

static void
a_client_that_never_reads_is_not_fed_for_ever_and_is_dropped(void **state)
{
	struct connection *connection;
	size_t sent = 0;
	int client, small = 4096;
	deadline_t patience;
	char commands[6 * 1000];

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		memcpy(commands + i * 6, "HELP\r\n", 6);
	assert_true(fixture_set(&stage->settings, "session_idle_timeout", "1"));
	start_stage();
	client = connect_client();
	setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	turn_until(!TAILQ_EMPTY(&stage->server.connections));
	connection = TAILQ_FIRST(&stage->server.connections);
	assert_non_null(connection);
	patience = deadline_after_ms(PATIENCE_MS + SESSION_CLOSE_TIMEOUT_MS);
	while (limits_sessions(stage->server.limits) > 0 && !deadline_passed(patience)) {
		ssize_t count = send(client, commands, sizeof(commands), MSG_NOSIGNAL);

		if (count > 0)
			sent += (size_t)count;
		turn();
		usleep(1000);
	}
	assert_int_equal(limits_sessions(stage->server.limits), 0);
	assert_true(sent < 64 * 1024 * 1024);
	close(client);
}

static int64_t
processor_ms(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000 +
	    (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1000;
}

static void
without_descriptors_clients_wait_and_nothing_spins(void **state)
{
	struct rlimit limit, low;
	struct rusage before, after;
	int client, highest = dup(0);
	deadline_t end;

	(void)state;
	start_stage();
	client = connect_client();
	getrlimit(RLIMIT_NOFILE, &limit);
	highest = dup(client);
	low = (struct rlimit){ (rlim_t)highest, limit.rlim_max };
	close(highest);
	/* every number below is taken */
	for (int fill = dup(client); fill >= 0 && fill < highest; fill = dup(client))
		continue;
	setrlimit(RLIMIT_NOFILE, &low);
	getrusage(RUSAGE_SELF, &before);
	end = deadline_after_ms(1000);
	while (!deadline_passed(end)) {
		struct timeval slice = { 0, 50000 };

		event_base_loopexit(base, &slice);
		event_base_dispatch(base);
	}
	getrusage(RUSAGE_SELF, &after);
	assert_true(processor_ms(&after) - processor_ms(&before) < 300);
	setrlimit(RLIMIT_NOFILE, &limit);
	expect(client, "220 ");
	close(client);
}

static void
an_endless_line_is_answered_and_cut_off(void **state)
{
	char block[65536], piece[4096];
	size_t sent = 0;
	int client;

	(void)state;
	memset(block, 'x', sizeof(block));
	start_stage();
	client = connect_client();
	expect(client, "220 ");
	while (sent < (size_t)64 * 1024 * 1024) {
		ssize_t count = send(client, block, sizeof(block), MSG_NOSIGNAL);

		if (count < 0 && errno != EAGAIN)
			break;
		sent += count > 0 ? (size_t)count : 0;
		turn();
		if (recv(client, piece, sizeof(piece), MSG_PEEK) > 0)
			break;
	}
	expect(client, "500 5.5.2 Line too long");
	assert_true(sent < (size_t)8 * 1024 * 1024);
	close(client);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_client_that_goes_leaves_nothing_behind),
		CASE(a_client_that_goes_while_it_is_judged_leaves_nothing_behind),
		CASE(a_client_beyond_its_limit_reads_421),
		CASE(a_client_that_is_turned_away_reads_421_and_takes_no_place_while_it_stays),
		CASE(an_answer_of_policy_that_comes_too_late_changes_no_count),
		CASE(an_idle_session_takes_little_memory),
		CASE(a_client_that_never_reads_is_not_fed_for_ever_and_is_dropped),
		CASE(without_descriptors_clients_wait_and_nothing_spins),
		CASE(an_endless_line_is_answered_and_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
