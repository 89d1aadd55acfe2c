/*
 * attempt_scene - jobs of a qmgr over real sockets to hosts that follow a script, found by a scripted resolver
 *
 * A script is what the host says after each line it reads (after the end of data for content), separated by
 * '|'; "^" closes, "~" says nothing. All hosts listen at the same port of 127.0.0.1, 127.0.0.2 and so on; what
 * they hear is told apart by connection.
 */
#ifndef TESTS_SMTP_ATTEMPT_SCENE_H
#define TESTS_SMTP_ATTEMPT_SCENE_H

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
#define LISTENERS_MAX 4

struct scene;

struct host_connection {
	struct scene *scene;
	int socket;
	struct event *readable;
	const char *script;
	struct buffer line;
	bool in_data;
	unsigned listener;
};

struct listener {
	struct scene *scene;
	int socket;
	struct event *acceptable;
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
	struct listener listeners[LISTENERS_MAX];	/* 127.0.0.1 and on */
	char next_hop[64];
	uint16_t port;
	struct buffer commands;			/* all lines that hosts read, without content */
	struct buffer content;			/* all content, dots and all */
	char heard[2048];			/* results, as "number outcome status text;" */
	uint32_t retry_seconds;			/* of the last result */
	enum failure_class failure;
	char remote[256];
	unsigned answers;
	unsigned finished;
	/* What resolver knows: hosts as "preference name address,address state;", separated by ';'. */
	enum mail_hosts_outcome outcome;
	const char *hosts;
	bool resolver_is_silent;
	unsigned questions;
	unsigned flags;				/* of the last question */
	char asked[256];
	char reports[1024];			/* "+name:port;" or "-name:port text;" */
	/* The next job */
	const char *recipient;
	const char *other_recipient;		/* of all but the first; NULL: the same */
	bool fresh;
	enum transport transport;
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
host_accepts(evutil_socket_t socket, short what, void *context)
{
	struct listener *listener = context;
	struct scene *scene = listener->scene;
	struct host_connection *connection = &scene->connections[scene->connection_count];

	(void)what;
	assert_true(scene->connection_count < CONNECTIONS_MAX && scene->scripts[scene->connection_count] != NULL);
	connection->scene = scene;
	connection->listener = (unsigned)(listener - scene->listeners);
	connection->script = scene->scripts[scene->connection_count++];
	connection->socket = accept(socket, NULL, NULL);
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
		scene->retry_seconds = result.retry_seconds;
		scene->failure = result.failure;
		snprintf(scene->remote, sizeof(scene->remote), "%s", result.host);
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

/* "preference name address,address state", where "-" is no address and state a number. */
static void
tell_host(struct channel *channel, uint64_t id, const char *line, size_t length)
{
	struct mail_host host = { .id = id, .text = "it was down" };
	struct buffer addresses = BUFFER_INITIALIZER(0);
	char copy[256], name[64], list[128], *next = list, *one;
	unsigned preference, state;
	struct in_addr address;

	snprintf(copy, sizeof(copy), "%.*s", (int)length, line);
	assert_int_equal(sscanf(copy, "%u %63s %127s %u", &preference, name, list, &state), 4);
	while ((one = strsep(&next, ",")) != NULL && one[0] != '-') {
		assert_int_equal(inet_pton(AF_INET, one, &address), 1);
		wire_put_bytes(&addresses, &address, sizeof(address));
		host.count++;
	}
	host.preference = (uint16_t)preference;
	host.state = (uint8_t)state;
	host.failed_seconds = state == MAIL_HOST_FAILED ? 77 : 0;
	host.name = name;
	host.addresses = (struct bytes){ addresses.data, addresses.length };
	assert_true(send_mail_host(channel, &host));
	buffer_free(&addresses);
}

static void
on_question(void *context, struct channel *channel, const struct mail_hosts_question *question)
{
	struct scene *scene = context;
	struct mail_hosts_answer answer = { .id = question->id, .outcome = scene->outcome, .text = "SERVFAIL" };
	const char *line = scene->hosts != NULL ? scene->hosts : "";

	scene->questions++;
	scene->flags = question->flags;
	snprintf(scene->asked, sizeof(scene->asked), "%s:%u", question->name, question->port);
	if (scene->resolver_is_silent)
		return;
	while (*line != '\0') {
		size_t length = strcspn(line, ";");

		tell_host(channel, question->id, line, length);
		line += length + (line[length] == ';');
	}
	answer.retry_seconds = answer.outcome == MAIL_HOSTS_ALL_FAILED ? 66 : 0;
	send_mail_hosts_answer(channel, &answer);
}

static void
on_report(void *context, struct channel *channel, const struct mail_host_report *report)
{
	struct scene *scene = context;
	size_t length = strlen(scene->reports);

	(void)channel;
	snprintf(scene->reports + length, sizeof(scene->reports) - length, "%c%s%s%s;", report->failed ? '-' : '+',
	    report->name, report->failed ? " " : "", report->text);
	assert_int_equal(report->port, scene->port);
}

static const struct dns_handlers resolver_handlers = { .mail_hosts_question = on_question,
	.mail_host_report = on_report };

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
	scene->settings->references = 1;
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

/* From 127.0.0.1 on, all at the port that the first one got. */
static void
listen_at(struct scene *scene, unsigned number)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number),
		.sin_port = htons(scene->port) };
	socklen_t length = sizeof(address);
	struct listener *listener = &scene->listeners[number];

	listener->scene = scene;
	listener->socket = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener->socket, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener->socket, 16), 0);
	assert_int_equal(getsockname(listener->socket, (struct sockaddr *)&address, &length), 0);
	scene->port = ntohs(address.sin_port);
	listener->acceptable = event_new(scene->base, listener->socket, EV_READ | EV_PERSIST, host_accepts, listener);
	event_add(listener->acceptable, NULL);
}

static void
stop_listening(struct scene *scene, unsigned number)
{
	struct listener *listener = &scene->listeners[number];

	if (listener->acceptable == NULL)
		return;
	event_free(listener->acceptable);
	listener->acceptable = NULL;
	close(listener->socket);
}

static int
begin_scene(void **state)
{
	static const struct delivery_jobs_events jobs_events = { .start = on_start };
	static const struct deliver_handlers qmgr_handlers = { .deliver_results = on_results, .deliver_answer = on_answer,
		.deliver_holding_end = on_holding_end };
	static const struct channel_events channel_events = { .closed = NULL };
	struct scene *scene = memory_new(1, sizeof(*scene));
	int sockets[2];

	scene->base = event_base_new();
	listen_at(scene, 0);
	snprintf(scene->next_hop, sizeof(scene->next_hop), "[127.0.0.1]:%u", scene->port);
	make_settings(scene);
	scene->transport = TRANSPORT_SMTP;
	scene->recipient = "c@d.example";
	scene->outbound = (struct outbound){ .base = scene->base, .settings = scene->settings,
		.lookups = host_lookups_new(scene->base), .sessions = destination_sessions_new(), .finished = on_finished,
		.context = scene };
	destination_sessions_limit(scene->outbound.sessions, 10, 100);
	TAILQ_INIT(&scene->outbound.attempts);
	TAILQ_INIT(&scene->outbound.call_outs);
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
	for (i = 0; i < LISTENERS_MAX; i++)
		stop_listening(scene, i);
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
	struct deliver_begin begin = { .job = number + 1, .message_id = number + 1, .transport = scene->transport,
		.flags = scene->fresh ? DELIVER_FRESH : 0, .next_hop = next_hop, .content_length = strlen(content), .body = -1 };
	unsigned i;

	number++;
	envelope_init(&envelope);
	envelope.sender = memory_copy_string("a@b.example");
	for (i = 0; i < recipients; i++)
		envelope_add_recipient(&envelope, i > 0 && scene->other_recipient != NULL ?
		    scene->other_recipient : scene->recipient);
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

#endif
