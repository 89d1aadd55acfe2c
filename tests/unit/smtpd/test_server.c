/*
 * test_server - a whole smtpd process but for its master: real sockets on the loopback, real channels, the test as
 * qmgr, directory, resolver and policy
 *
 * The test also plays the worker skeleton: the functions of common/worker/worker.h that smtpd calls are defined
 * here.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/crc32c.h"
#include "common/ipc/channel.h"
#include "common/ipc/deposit.h"
#include "common/ipc/directory.h"
#include "common/ipc/dns.h"
#include "common/ipc/policy.h"
#include "common/worker/worker.h"
#include "fixture.h"
#include "smtpd/connection.h"
#include "smtpd/listener.h"
#include "smtpd/server.h"

#define PATIENCE_MS 10000
#define BLOCK_FIRST 16777216

struct stage {
	struct fixture settings;	/* only its settings are used */
	struct event_base *base;
	struct server server;
	uint16_t port;
	bool drained;
	struct channel *qmgr;
	struct channel *directory;
	struct channel *resolver;
	unsigned names_asked;		/* questions to resolver */
	bool resolver_sleeps;
	struct channel *policy;
	uint64_t rate_id;		/* of the question to policy that arrived last */
	bool holds;			/* qmgr does not answer deposits */
	bool directory_sleeps;
	uint64_t id;			/* of the deposit that arrives or arrived last */
	struct buffer stream;
	size_t envelope_length;
	size_t stream_length;
	uint64_t body_length;
	uint32_t body_checksum;
	int body_file;			/* qmgr's own descriptor of the last body file */
	unsigned stored;
	unsigned abandoned;
	unsigned questions;
};

static struct stage *stage;

/* ---- the worker skeleton ---- */

struct event_base *
worker_event_base(struct worker *worker)
{
	(void)worker;
	return stage->base;
}

const struct settings *
worker_settings(const struct worker *worker)
{
	(void)worker;
	return stage->settings.settings;
}

unsigned
worker_instance(const struct worker *worker)
{
	(void)worker;
	return 0;
}

void
worker_drained(struct worker *worker)
{
	(void)worker;
	stage->drained = true;
}

/* ---- qmgr ---- */

static void
answer_deposit(void)
{
	if (stage->stream.length < stage->stream_length || stage->holds)
		return;
	stage->stored++;
	assert_true(send_deposit_answer(stage->qmgr, &(struct deposit_answer){ .id = stage->id, .outcome = DEPOSIT_STORED,
	    .text = "" }));
}

static void
take_begin(void *context, struct channel *channel, const struct deposit_begin *message)
{
	(void)context;
	(void)channel;
	stage->id = message->id;
	stage->envelope_length = message->envelope_length;
	stage->stream_length = message->envelope_length + message->content_length;
	stage->body_length = message->body_length;
	stage->body_checksum = message->body_checksum;
	buffer_clear(&stage->stream);
	buffer_append(&stage->stream, message->data.data, message->data.length);
	answer_deposit();
}

static void
take_more(void *context, struct channel *channel, const struct deposit_more *message)
{
	(void)context;
	(void)channel;
	assert_int_equal(message->id, stage->id);
	buffer_append(&stage->stream, message->data.data, message->data.length);
	answer_deposit();
}

static void
take_body(void *context, struct channel *channel, const struct deposit_body *message)
{
	(void)context;
	if (stage->body_file >= 0)
		close(stage->body_file);
	stage->body_file = memfd_create("body", MFD_CLOEXEC);
	assert_true(send_deposit_body_answer(channel, &(struct deposit_body_answer){ .id = message->id,
	    .outcome = DEPOSIT_STORED, .text = "", .file = stage->body_file }));
}

static void
take_abandon(void *context, struct channel *channel, const struct deposit_abandon *message)
{
	(void)context;
	(void)channel;
	(void)message;
	stage->abandoned++;
}

static void
take_block_wanted(void *context, struct channel *channel, const struct deposit_block_wanted *message)
{
	(void)context;
	(void)channel;
	(void)message;
}

static const struct deposit_handlers qmgr_handlers = {
	.deposit_begin = take_begin,
	.deposit_more = take_more,
	.deposit_body = take_body,
	.deposit_abandon = take_abandon,
	.deposit_block_wanted = take_block_wanted,
};

static void
start_qmgr(void)
{
	static const struct channel_events events = { .closed = NULL };
	int sockets[2];

	channel_free(&stage->qmgr);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	stage->qmgr = channel_open(stage->base, sockets[0], &deposit_protocol, IPC_SERVES, &qmgr_handlers, &events, stage);
	assert_true(send_deposit_block(stage->qmgr, &(struct deposit_block){ .first_id = BLOCK_FIRST }));
	assert_true(send_deposit_state(stage->qmgr, &(struct deposit_state){ .accepting = 1, .text = "" }));
	server_introduce(&stage->server, &deposit_protocol, sockets[1]);
}

/* ---- directory ---- */

static void
take_lookup(void *context, struct channel *channel, const struct directory_lookup *message)
{
	bool known = strncmp(message->text, "alice@", 6) == 0;

	(void)context;
	stage->questions++;
	if (stage->directory_sleeps)
		return;
	if (known)
		assert_true(send_directory_entry(channel, &(struct directory_entry){ .id = message->id, .kind = DIRECTORY_PERSON,
		    .name = "Alice", .mail_server = "", .mail_file = "alice", .forwarding_address = "",
		    .internet_address = "", .file = "", .line = 0 }));
	assert_true(send_directory_answer(channel, &(struct directory_answer){ .id = message->id,
	    .outcome = known ? DIRECTORY_FOUND : DIRECTORY_NONE, .count = known }));
}

static const struct directory_handlers directory_handlers = { .directory_lookup = take_lookup };

static void
start_directory(void)
{
	static const struct channel_events events = { .closed = NULL };
	int sockets[2];

	channel_free(&stage->directory);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	stage->directory = channel_open(stage->base, sockets[0], &directory_protocol, IPC_SERVES, &directory_handlers, &events,
	    stage);
	server_introduce(&stage->server, &directory_protocol, sockets[1]);
}

/* ---- resolver ---- */

/* Nobody has a name, and every domain is missing. */
static void
take_question(void *context, struct channel *channel, const struct dns_question *message)
{
	(void)context;
	stage->names_asked++;
	if (stage->resolver_sleeps)
		return;
	assert_true(send_dns_answer(channel, &(struct dns_answer){ .id = message->id, .outcome = DNS_NO_NAME, .text = "" }));
}

static void
start_resolver(void)
{
	static const struct dns_handlers resolver_handlers = { .dns_question = take_question };
	static const struct channel_events events = { .closed = NULL };
	int sockets[2];

	channel_free(&stage->resolver);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	stage->resolver = channel_open(stage->base, sockets[0], &dns_protocol, IPC_SERVES, &resolver_handlers, &events, stage);
	server_introduce(&stage->server, &dns_protocol, sockets[1]);
}

/* ---- policy ---- */

static void
take_rate_question(void *context, struct channel *channel, const struct rate_question *message)
{
	(void)context;
	(void)channel;
	stage->rate_id = message->id;
}

/* It answers when the test says so. */
static void
start_policy(void)
{
	static const struct policy_handlers policy_handlers = { .rate_question = take_rate_question };
	static const struct channel_events events = { .closed = NULL };
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	stage->policy = channel_open(stage->base, sockets[0], &policy_protocol, IPC_SERVES, &policy_handlers, &events, stage);
	server_introduce(&stage->server, &policy_protocol, sockets[1]);
}

static void
answer_that_the_rate_is_exceeded(void)
{
	assert_true(send_rate_answer(stage->policy, &(struct rate_answer){ .id = stage->rate_id, .exceeded = 1,
	    .rule = "client_session_rate" }));
}

/* ---- the stage ---- */

static void
start_listener(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listening, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(listening, 1000), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
	stage->port = ntohs(address.sin_port);
	listener_open(&stage->server, "127.0.0.1", listening);
}

static int
prepare(void **state)
{
	stage = memory_new(1, sizeof(*stage));
	stage->base = event_base_new();
	stage->body_file = -1;
	fixture_start(&stage->settings);
	*state = stage;
	return 0;
}

static void
start_stage(void)
{
	server_count_processes(&stage->server, stage->settings.settings);
	stage->server.processes = 1;
	server_start(&stage->server, NULL);
	/* server_stop() asks whether the process was started at all. */
	stage->server.worker = (struct worker *)(void *)stage;
	start_qmgr();
	start_directory();
	start_resolver();
	start_listener();
}

static int
clean_up(void **state)
{
	(void)state;
	server_stop(&stage->server);
	channel_free(&stage->qmgr);
	channel_free(&stage->directory);
	channel_free(&stage->resolver);
	channel_free(&stage->policy);
	buffer_free(&stage->stream);
	if (stage->body_file >= 0)
		close(stage->body_file);
	fixture_end(&stage->settings);
	event_base_free(stage->base);
	free(stage);
	return 0;
}

static void
turn(void)
{
	event_base_loop(stage->base, EVLOOP_NONBLOCK);
}

/* Turns the loop until something is true, but not for ever. */
#define turn_until(condition) do { \
	deadline_t patience_ = deadline_after_ms(PATIENCE_MS); \
	while (!(condition) && !deadline_passed(patience_)) { \
		turn(); \
		usleep(200); \
	} \
	assert_true(condition); \
} while (0)

static int
connect_client(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(stage->port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(evutil_make_socket_nonblocking(client), 0);
	return client;
}

static void
send_all(int client, const char *data, size_t length)
{
	deadline_t patience = deadline_after_ms(PATIENCE_MS);

	while (length > 0 && !deadline_passed(patience)) {
		ssize_t count = send(client, data, length, MSG_NOSIGNAL);

		if (count > 0) {
			data += count;
			length -= (size_t)count;
		} else {
			assert_int_equal(errno, EAGAIN);
		}
		turn();
	}
	assert_int_equal(length, 0);
}

/* Reads until what the client has read holds the text. */
static void
expect(int client, const char *text)
{
	struct buffer heard = BUFFER_INITIALIZER(0);
	deadline_t patience = deadline_after_ms(PATIENCE_MS);
	char piece[4096];

	while (strstr(buffer_text(&heard), text) == NULL) {
		ssize_t count = recv(client, piece, sizeof(piece), 0);

		if (count == 0 || deadline_passed(patience))
			fail_msg("expected %s, heard %s", text, buffer_text(&heard));
		if (count > 0)
			buffer_append(&heard, piece, (size_t)count);
		turn();
	}
	buffer_free(&heard);
}

static void
expect_end(int client)
{
	char piece[4096];
	ssize_t count = -1;

	turn_until((count = recv(client, piece, sizeof(piece), 0)) == 0 || (count < 0 && errno == ECONNRESET));
	close(client);
}

static void
say(int client, const char *text)
{
	send_all(client, text, strlen(text));
}

#define START_OF_DATA "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\n"

static char *
large_content(size_t *length_out)
{
	struct buffer content = BUFFER_INITIALIZER(0);

	buffer_append_string(&content, "Subject: large\r\n\r\n");
	for (unsigned i = 0; i < 40000; i++)
		buffer_printf(&content, "line %u of a large message\r\n", i);
	*length_out = content.length;
	return content.data;
}

/* ---- cases ---- */

static void
a_message_reaches_the_queue_with_its_envelope(void **state)
{
	struct envelope envelope;
	struct error error;
	const char *content;
	int client;

	(void)state;
	start_stage();
	client = connect_client();
	expect(client, "220 hub.ours.example ESMTP");
	say(client, START_OF_DATA);
	expect(client, "354 ");
	say(client, "Subject: x\r\n\r\nhello\r\n.\r\n");
	expect(client, "250 2.0.0 Message accepted for delivery 00000000G0000\r\n");
	assert_int_equal(stage->stored, 1);
	assert_int_equal(stage->id, BLOCK_FIRST);
	assert_int_equal(envelope_decode(stage->stream.data, stage->envelope_length, &envelope, &error), 0);
	assert_string_equal(envelope.sender, "a@b.example");
	assert_string_equal(envelope.recipients[0].address, "alice@ours.example");
	assert_string_equal(envelope.client_address, "127.0.0.1");
	assert_string_equal(envelope.helo, "c.example");
	content = stage->stream.data + stage->envelope_length;
	assert_memory_equal(content, "Received: from c.example ([127.0.0.1])\r\n\tby hub.ours.example (Matador ", 70);
	assert_non_null(strstr(content, "\r\nSubject: x\r\n\r\nhello\r\n"));
	envelope_free(&envelope);
	say(client, "QUIT\r\n");
	expect_end(client);
	turn_until(limits_sessions(stage->server.limits) == 0);
	assert_int_equal(stage->server.shared.content_octets, 0);
}

static void
a_large_message_goes_into_a_file(void **state)
{
	struct stat status;
	size_t length, at = 0;
	char *content, *written;
	int client;

	(void)state;
	start_stage();
	content = large_content(&length);
	client = connect_client();
	say(client, START_OF_DATA);
	expect(client, "354 ");
	send_all(client, content, length);
	say(client, ".\r\n");
	expect(client, "250 2.0.0 ");
	assert_int_equal(stage->stream_length, stage->envelope_length);
	assert_int_equal(fstat(stage->body_file, &status), 0);
	assert_int_equal(stage->body_length, status.st_size);
	written = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, stage->body_file, 0);
	at = (size_t)status.st_size - length;
	assert_memory_equal(written, "Received: ", 10);
	assert_memory_equal(written + at, content, length);
	assert_int_equal(stage->body_checksum, crc32c(0, written, (size_t)status.st_size));
	munmap(written, (size_t)status.st_size);
	assert_int_equal(stage->abandoned, 0);
	assert_int_equal(stage->server.shared.content_octets, 0);
	close(client);
	free(content);
}

static void
an_unanswered_message_is_sent_again_under_its_id(void **state)
{
	uint64_t id;
	int client;

	(void)state;
	start_stage();
	stage->holds = true;
	client = connect_client();
	say(client, START_OF_DATA "x\r\n.\r\n");
	turn_until(stage->id != 0 && stage->stream.length == stage->stream_length);
	id = stage->id;
	stage->id = 0;
	stage->holds = false;
	start_qmgr();
	expect(client, "250 2.0.0 Message accepted");
	assert_int_equal(stage->id, id);
	assert_int_equal(stage->stored, 1);
	close(client);
}

static void
an_unanswered_message_in_a_file_is_sent_again_under_its_id(void **state)
{
	size_t length;
	char *content = large_content(&length);
	uint64_t id;
	int client;

	(void)state;
	start_stage();
	stage->holds = true;
	client = connect_client();
	say(client, START_OF_DATA);
	send_all(client, content, length);
	say(client, ".\r\n");
	turn_until(stage->id != 0);
	id = stage->id;
	stage->id = 0;
	stage->holds = false;
	start_qmgr();
	expect(client, "250 2.0.0 Message accepted");
	assert_int_equal(stage->id, id);
	assert_int_equal(stage->stored, 1);
	close(client);
	free(content);
}

static void
a_body_file_that_is_being_written_does_not_survive_its_qmgr(void **state)
{
	size_t length;
	char *content = large_content(&length);
	int client;

	(void)state;
	start_stage();
	client = connect_client();
	say(client, START_OF_DATA);
	expect(client, "354 ");
	send_all(client, content, length);
	turn_until(stage->body_file >= 0);
	start_qmgr();
	send_all(client, content, length);
	say(client, ".\r\n");
	expect(client, "451 4.3.0 ");
	say(client, "MAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\nx\r\n.\r\n");
	expect(client, "250 2.0.0 ");
	assert_int_equal(stage->stored, 1);
	close(client);
	free(content);
}

static void
without_qmgr_clients_read_451(void **state)
{
	int client;

	(void)state;
	start_stage();
	turn_until(stage->server.is_open);
	channel_free(&stage->qmgr);
	turn_until(!stage->server.shared.connected);
	client = connect_client();
	say(client, "EHLO c.example\r\nMAIL FROM:<>\r\n");
	expect(client, "451 4.3.0 ");
	start_qmgr();
	turn_until(stage->server.shared.next_id == BLOCK_FIRST);
	say(client, "MAIL FROM:<>\r\n");
	expect(client, "250 2.1.0 ");
	close(client);
}

static void
the_first_clients_wait_for_the_queue(void **state)
{
	char piece[16];
	int client;

	(void)state;
	start_stage();
	assert_false(stage->server.is_open);
	client = connect_client();
	assert_int_equal(recv(client, piece, sizeof(piece), 0), -1);
	say(client, START_OF_DATA);
	expect(client, "354 ");
	close(client);
}

static void
local_clients_that_come_too_early_wait_as_well(void **state)
{
	int ends[2];

	(void)state;
	start_stage();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_false(stage->server.is_open);
	server_take_local_client(&stage->server, ends[1], 1000);
	say(ends[0], "EHLO local\r\nMAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\n");
	expect(ends[0], "354 ");
	close(ends[0]);
}

static void
a_restarted_directory_is_asked_again(void **state)
{
	int client;

	(void)state;
	start_stage();
	stage->directory_sleeps = true;
	client = connect_client();
	say(client, "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nRCPT TO:<eve@ours.example>\r\n");
	turn_until(stage->questions == 1);
	stage->directory_sleeps = false;
	start_directory();
	expect(client, "550 5.1.1 eve@ours.example... No such user");
	/* once in vain, once for alice, twice for eve: the whole address, then the local part */
	assert_int_equal(stage->questions, 4);
	close(client);
}

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

		event_base_loopexit(stage->base, &slice);
		event_base_dispatch(stage->base);
	}
	getrusage(RUSAGE_SELF, &after);
	assert_true(processor_ms(&after) - processor_ms(&before) < 300);
	setrlimit(RLIMIT_NOFILE, &limit);
	expect(client, "220 ");
	close(client);
}

static void
a_service_that_stops_lets_transactions_end(void **state)
{
	int idle, busy;

	(void)state;
	start_stage();
	idle = connect_client();
	busy = connect_client();
	expect(idle, "220 ");
	say(busy, START_OF_DATA);
	expect(busy, "354 ");
	server_drain(&stage->server, deadline_after_ms(PATIENCE_MS));
	expect(idle, "421 4.3.2 ");
	close(idle);
	for (unsigned i = 0; i < 100; i++)
		turn();
	assert_false(stage->drained);
	say(busy, "x\r\n.\r\n");
	expect(busy, "421 4.3.2 ");
	close(busy);
	turn_until(stage->drained);
	assert_int_equal(stage->stored, 1);
}

static void
a_service_that_stops_does_not_wait_for_ever(void **state)
{
	int busy;

	(void)state;
	start_stage();
	busy = connect_client();
	say(busy, START_OF_DATA);
	expect(busy, "354 ");
	server_drain(&stage->server, deadline_after_ms(100));
	turn_until(stage->drained);
	expect_end(busy);
	assert_int_equal(stage->stored, 0);
}

static void
sessions_keep_the_settings_they_began_with(void **state)
{
	int before, after;

	(void)state;
	start_stage();
	before = connect_client();
	expect(before, "220 ");
	assert_true(fixture_set(&stage->settings, "smtp_in_vrfy", "enabled"));
	/* Unlike a real reload, the same object changes; what was compiled from it does not. */
	assert_true(fixture_set(&stage->settings, "relay_enforcement_exclude_hosts", "[127.0.0.1]"));
	server_reload(&stage->server);
	after = connect_client();
	say(before, "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@far.example>\r\n");
	expect(before, "554 5.7.1 Relay rejected");
	say(after, "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@far.example>\r\n");
	expect(after, "250 2.1.5 x@far.example... Recipient OK");
	close(before);
	close(after);
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

static void
a_clients_name_is_asked_ahead_and_once(void **state)
{
	int first, second;

	(void)state;
	start_stage();
	first = connect_client();
	expect(first, "220 ");
	turn_until(stage->names_asked == 1);
	second = connect_client();
	expect(second, "220 ");
	say(first, "HELO c\r\nMAIL FROM:<a@b.example>\r\n");
	expect(first, "250 2.1.0 ");
	say(second, "HELO c\r\nMAIL FROM:<a@b.example>\r\n");
	expect(second, "250 2.1.0 ");
	assert_int_equal(stage->names_asked, 1);
	close(first);
	close(second);
}

static void
with_the_controls_off_resolver_is_not_asked(void **state)
{
	int client;

	(void)state;
	assert_true(fixture_set(&stage->settings, "relay_enforcement", "none"));
	start_stage();
	client = connect_client();
	expect(client, "220 ");
	say(client, START_OF_DATA);
	expect(client, "354 ");
	assert_int_equal(stage->names_asked, 0);
	close(client);
}

static void
a_mail_that_waits_for_a_name_goes_on_with_the_next_resolver(void **state)
{
	int client;

	(void)state;
	stage->resolver_sleeps = true;
	start_stage();
	client = connect_client();
	expect(client, "220 ");
	say(client, START_OF_DATA "hello\r\n.\r\n");
	turn_until(stage->names_asked == 1);
	for (unsigned i = 0; i < 50; i++)
		turn();
	assert_int_equal(stage->questions, 0);
	stage->resolver_sleeps = false;
	start_resolver();
	expect(client, "250 2.0.0 Message accepted");
	assert_int_equal(stage->names_asked, 2);
	close(client);
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

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
	const struct CMUnitTest tests[] = {
		CASE(a_message_reaches_the_queue_with_its_envelope),
		CASE(a_large_message_goes_into_a_file),
		CASE(an_unanswered_message_is_sent_again_under_its_id),
		CASE(an_unanswered_message_in_a_file_is_sent_again_under_its_id),
		CASE(a_body_file_that_is_being_written_does_not_survive_its_qmgr),
		CASE(without_qmgr_clients_read_451),
		CASE(the_first_clients_wait_for_the_queue),
		CASE(local_clients_that_come_too_early_wait_as_well),
		CASE(a_restarted_directory_is_asked_again),
		CASE(a_client_that_goes_leaves_nothing_behind),
		CASE(a_client_beyond_its_limit_reads_421),
		CASE(a_client_that_is_turned_away_reads_421_and_takes_no_place_while_it_stays),
		CASE(an_answer_of_policy_that_comes_too_late_changes_no_count),
		CASE(an_idle_session_takes_little_memory),
		CASE(a_client_that_never_reads_is_not_fed_for_ever_and_is_dropped),
		CASE(without_descriptors_clients_wait_and_nothing_spins),
		CASE(a_service_that_stops_lets_transactions_end),
		CASE(a_service_that_stops_does_not_wait_for_ever),
		CASE(sessions_keep_the_settings_they_began_with),
		CASE(an_endless_line_is_answered_and_cut_off),
		CASE(a_clients_name_is_asked_ahead_and_once),
		CASE(with_the_controls_off_resolver_is_not_asked),
		CASE(a_mail_that_waits_for_a_name_goes_on_with_the_next_resolver),
		CASE(a_client_that_goes_while_it_is_judged_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
