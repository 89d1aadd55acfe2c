/*
 * Unit tests of smtp/attempt.c with connection.c, destination_sessions.c and host_lookup.c: jobs of a qmgr over real sockets to
 * hosts that follow a script. A script is what the host says after each line it reads (after the end of data for content),
 * separated by '|'; "^" closes, "~" says nothing. Rows 120 to 128 of docs/reference/hostile-inputs.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/base/memory.h"
#include "common/ipc/deliver.h"
#include "smtp/attempt.h"

#define CONNECTIONS_MAX 8

struct scene;

struct host_connection {
	struct scene *scene;
	int socket;
	struct event *readable;
	const char *script;
	struct buffer line;
	bool in_data;
};

struct scene {
	struct event_base *base;
	struct settings *settings;
	struct outbound outbound;
	struct delivery_jobs *jobs;
	struct channel *qmgr;
	struct channel *resolver;
	const char *scripts[CONNECTIONS_MAX];	/* by connection */
	struct host_connection connections[CONNECTIONS_MAX];
	unsigned connection_count;
	int listener;
	struct event *acceptable;
	char next_hop[64];
	uint16_t port;
	struct buffer commands;			/* all lines that hosts read, without content */
	struct buffer content;			/* all content, dots and all */
	char heard[2048];			/* results, as "number outcome status text;" */
	unsigned answers;
	unsigned finished;
	enum dns_outcome lookup_outcome;
	bool resolver_is_silent;
	unsigned questions;
};

/* ---- the host --------------------------------------------------------------------------------- */

static void
close_connection(struct host_connection *connection)
{
	if (connection->readable == NULL)
		return;
	event_free(connection->readable);
	connection->readable = NULL;
	close(connection->socket);
	buffer_free(&connection->line);
}

static void
say_next(struct host_connection *connection)
{
	size_t length = strcspn(connection->script, "|");
	char text[4096];

	snprintf(text, sizeof(text), "%.*s\r\n", (int)length, connection->script);
	if (connection->script[length] == '|')
		connection->script += length + 1;
	else
		connection->script += length;
	if (text[0] == '^' || length == 0) {
		close_connection(connection);
		return;
	}
	if (text[0] == '~')
		return;
	connection->in_data = strncmp(text, "354", 3) == 0;
	assert_true(write(connection->socket, text, strlen(text)) > 0);
}

static void
take_line(struct host_connection *connection)
{
	const char *line = buffer_text(&connection->line);
	bool was_in_data = connection->in_data;

	buffer_append_string(was_in_data ? &connection->scene->content : &connection->scene->commands, line);
	if (was_in_data && strcmp(line, ".\r\n") == 0)
		connection->in_data = false;
	buffer_clear(&connection->line);
	if (!was_in_data || !connection->in_data)
		say_next(connection);
}

static void
host_reads(evutil_socket_t socket, short what, void *context)
{
	struct host_connection *connection = context;
	char data[8192];
	ssize_t length = read(socket, data, sizeof(data)), i;

	(void)what;
	if (length <= 0) {
		close_connection(connection);
		return;
	}
	for (i = 0; i < length && connection->readable != NULL; i++) {
		buffer_append_byte(&connection->line, data[i]);
		if (data[i] == '\n')
			take_line(connection);
	}
}

static void
host_accepts(evutil_socket_t listener, short what, void *context)
{
	struct scene *scene = context;
	struct host_connection *connection = &scene->connections[scene->connection_count];

	(void)what;
	assert_true(scene->connection_count < CONNECTIONS_MAX && scene->scripts[scene->connection_count] != NULL);
	connection->scene = scene;
	connection->script = scene->scripts[scene->connection_count++];
	connection->socket = accept(listener, NULL, NULL);
	buffer_init(&connection->line, 0);
	connection->readable = event_new(scene->base, connection->socket, EV_READ | EV_PERSIST, host_reads, connection);
	event_add(connection->readable, NULL);
	say_next(connection);
}

/* ---- qmgr and resolver ------------------------------------------------------------------------ */

static void
hear(struct scene *scene, const struct bytes *results)
{
	struct wire_reader reader;
	struct delivery_result result;

	wire_reader_init(&reader, results->data, results->length);
	while (reader.next < reader.end) {
		size_t length = strlen(scene->heard);

		assert_true(delivery_result_decode(&reader, &result));
		snprintf(scene->heard + length, sizeof(scene->heard) - length, "%u%c%s%s %s;", result.recipient,
		    "+-!"[result.outcome], result.status, result.host_failed ? "H" : "", result.text);
	}
}

static void
on_results(void *context, struct channel *channel, const struct deliver_results *message)
{
	(void)channel;
	hear(context, &message->results);
}

static void
on_answer(void *context, struct channel *channel, const struct deliver_answer *message)
{
	struct scene *scene = context;

	(void)channel;
	hear(scene, &message->results);
	scene->answers++;
}

static void
on_holding_end(void *context, struct channel *channel, const struct deliver_holding_end *message)
{
	(void)context;
	(void)channel;
	(void)message;
}

static void
on_question(void *context, struct channel *channel, const struct dns_question *question)
{
	struct scene *scene = context;
	struct buffer records = BUFFER_INITIALIZER(0);
	struct dns_answer answer = { .id = question->id, .outcome = scene->lookup_outcome, .text = "SERVFAIL" };

	scene->questions++;
	if (scene->resolver_is_silent)
		return;
	if (answer.outcome == DNS_FOUND) {
		/* Nobody listens at the first one. */
		wire_put_bytes(&records, "\177\0\0\002", 4);
		wire_put_bytes(&records, "\177\0\0\001", 4);
		answer.count = 2;
		answer.records = (struct bytes){ records.data, records.length };
	}
	send_dns_answer(channel, &answer);
	buffer_free(&records);
}

static void
on_start(void *context, struct delivery_job *job)
{
	struct scene *scene = context;

	attempt_start(&scene->outbound, job);
}

static void
on_finished(void *context)
{
	struct scene *scene = context;

	scene->finished++;
}

static void
make_settings(struct scene *scene)
{
	struct document_configuration *configuration;

	scene->settings = memory_new(1, sizeof(*scene->settings));
	configuration = &scene->settings->configuration;
	scene->settings->server.internet_host_name.text = "hub.acme.com";
	scene->settings->server.smtp_outbound_tcp_port.number = scene->port;
	scene->settings->matador.dns_timeout.number = 20;
	configuration->smtp_address_limit.number = 5;
	configuration->smtp_out_size.number = configuration->smtp_out_pipelining.number = 1;
	configuration->smtp_out_dsn.number = configuration->smtp_out_8bitmime.number = 1;
#define STATE(symbol, setting, words) configuration->setting.number = 60;
#include "smtp/states.def"
#undef STATE
}

static void
listen_at_a_port(struct scene *scene)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	scene->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(scene->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(scene->listener, 16), 0);
	assert_int_equal(getsockname(scene->listener, (struct sockaddr *)&address, &length), 0);
	scene->port = ntohs(address.sin_port);
	snprintf(scene->next_hop, sizeof(scene->next_hop), "[127.0.0.1]:%u", scene->port);
	scene->acceptable = event_new(scene->base, scene->listener, EV_READ | EV_PERSIST, host_accepts, scene);
	event_add(scene->acceptable, NULL);
}

static int
begin_scene(void **state)
{
	static const struct delivery_jobs_events jobs_events = { .start = on_start };
	static const struct deliver_handlers qmgr_handlers = { .deliver_results = on_results, .deliver_answer = on_answer,
		.deliver_holding_end = on_holding_end };
	static const struct dns_handlers resolver_handlers = { .dns_question = on_question };
	static const struct channel_events channel_events = { .closed = NULL };
	struct scene *scene = memory_new(1, sizeof(*scene));
	int sockets[2];

	scene->base = event_base_new();
	listen_at_a_port(scene);
	make_settings(scene);
	scene->outbound = (struct outbound){ .base = scene->base, .settings = scene->settings,
		.lookups = host_lookups_new(scene->base), .sessions = destination_sessions_new(), .finished = on_finished,
		.context = scene };
	destination_sessions_limit(scene->outbound.sessions, 10, 100);
	TAILQ_INIT(&scene->outbound.attempts);
	scene->jobs = delivery_jobs_new(scene->base, &jobs_events, scene);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	scene->qmgr = channel_open(scene->base, sockets[0], &deliver_protocol, IPC_ASKS, &qmgr_handlers, &channel_events,
	    scene);
	delivery_jobs_introduce(scene->jobs, sockets[1], IPC_SERVES);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	scene->resolver = channel_open(scene->base, sockets[0], &dns_protocol, IPC_SERVES, &resolver_handlers,
	    &channel_events, scene);
	host_lookups_introduce(scene->outbound.lookups, sockets[1], IPC_ASKS);
	*state = scene;
	return 0;
}

static int
end_scene(void **state)
{
	struct scene *scene = *state;
	unsigned i;

	attempts_abandon(&scene->outbound);
	destination_sessions_free(&scene->outbound.sessions);
	host_lookups_free(&scene->outbound.lookups);
	delivery_jobs_free(&scene->jobs);
	channel_free(&scene->qmgr);
	channel_free(&scene->resolver);
	for (i = 0; i < CONNECTIONS_MAX; i++)
		close_connection(&scene->connections[i]);
	event_free(scene->acceptable);
	close(scene->listener);
	event_base_free(scene->base);
	buffer_free(&scene->commands);
	buffer_free(&scene->content);
	free(scene->settings);
	free(scene);
	return 0;
}

static void
offer(struct scene *scene, unsigned recipients, const char *next_hop, const char *content)
{
	static uint64_t number;
	struct envelope envelope;
	struct buffer stream = BUFFER_INITIALIZER(0);
	struct deliver_begin begin = { .job = number + 1, .message_id = number + 1, .transport = TRANSPORT_SMTP,
		.next_hop = next_hop, .content_length = strlen(content), .body = -1 };
	unsigned i;

	number++;
	envelope_init(&envelope);
	envelope.sender = memory_copy_string("a@b.example");
	for (i = 0; i < recipients; i++)
		envelope_add_recipient(&envelope, "c@d.example");
	envelope_encode(&envelope, NULL, &stream);
	envelope_free(&envelope);
	begin.envelope_length = (uint32_t)stream.length;
	buffer_append_string(&stream, content);
	begin.data = (struct bytes){ stream.data, stream.length };
	assert_true(send_deliver_begin(scene->qmgr, &begin));
	buffer_free(&stream);
}

/* Runs until so many jobs were answered, for three seconds at most. */
static void
run_until(struct scene *scene, unsigned answers)
{
	deadline_t deadline = deadline_after_ms(3000);

	while (scene->answers < answers && !deadline_passed(deadline)) {
		event_base_loop(scene->base, EVLOOP_NONBLOCK);
		usleep(200);
	}
	assert_int_equal(scene->answers, answers);
}

static void
run_a_little(struct scene *scene)
{
	int i;

	for (i = 0; i < 500; i++) {
		event_base_loop(scene->base, EVLOOP_NONBLOCK);
		usleep(200);
	}
}

/* ---- cases ------------------------------------------------------------------------------------ */

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
tries_the_next_address(void **state)
{
	struct scene *scene = *state;

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done";
	offer(scene, 1, "relay.example", "x\r\n");
	run_until(scene, 1);
	assert_string_equal(scene->heard, "0+2.0.0 250 done;");
	assert_int_equal(scene->questions, 1);
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
defers_whatever_resolver_says_but_found(void **state)
{
	struct scene *scene = *state;

	scene->lookup_outcome = DNS_NO_NAME;
	offer(scene, 1, "relay.example", "x\r\n");
	run_until(scene, 1);
	scene->lookup_outcome = DNS_NO_DATA;
	offer(scene, 1, "relay.example", "x\r\n");
	run_until(scene, 2);
	scene->lookup_outcome = DNS_NO_ANSWER;
	offer(scene, 1, "relay.example", "x\r\n");
	run_until(scene, 3);
	assert_string_equal(scene->heard, "0-4.4.4H host relay.example does not exist;"
	    "0-4.4.4H host relay.example has no address;"
	    "0-4.4.3H the name server gives no answer about relay.example: SERVFAIL;");
}

static void
asks_a_new_resolver_again(void **state)
{
	static const struct dns_handlers handlers = { .dns_question = on_question };
	static const struct channel_events events = { .closed = NULL };
	struct scene *scene = *state;
	int sockets[2];

	scene->scripts[0] = "220 hi|250 hi|250 ok|250 ok|354 go|250 done";
	scene->resolver_is_silent = true;
	offer(scene, 1, "relay.example", "x\r\n");
	run_a_little(scene);
	assert_int_equal(scene->questions, 1);
	channel_free(&scene->resolver);
	run_a_little(scene);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	scene->resolver = channel_open(scene->base, sockets[0], &dns_protocol, IPC_SERVES, &handlers, &events, scene);
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
		SCENE_TEST(repeats_nothing_after_the_reply_to_mail),
		SCENE_TEST(drops_an_idle_session_that_speaks),
		SCENE_TEST(closes_a_session_after_its_share_of_messages),
		SCENE_TEST(sends_the_surplus_recipients_in_another_transaction),
		SCENE_TEST(defers_where_nobody_listens),
		SCENE_TEST(tries_the_next_address),
		SCENE_TEST(defers_when_the_greeting_refuses),
		SCENE_TEST(defers_whatever_resolver_says_but_found),
		SCENE_TEST(asks_a_new_resolver_again),
		SCENE_TEST(defers_a_next_hop_that_makes_no_sense),
		SCENE_TEST(defers_when_the_host_leaves_after_the_dot),
		SCENE_TEST(sends_content_of_any_length_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
