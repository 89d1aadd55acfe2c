/*
 * server_fixture - a whole smtpd process but for its master: real sockets on the loopback, real channels, the test as
 * qmgr, directory, resolver and policy
 *
 * The test also plays the worker skeleton: the functions of common/worker/worker.h that smtpd calls are defined here.
 */
#ifndef TESTS_UNIT_SMTPD_SERVER_FIXTURE_H
#define TESTS_UNIT_SMTPD_SERVER_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "common/ipc/deposit.h"
#include "common/ipc/directory.h"
#include "common/ipc/dns.h"
#include "common/ipc/policy.h"
#include "common/worker/worker.h"
#include "smtpd/connection.h"
#include "smtpd/listener.h"
#include "smtpd/server.h"
#include "tests/unit/smtpd/event_loop.h"
#include "tests/unit/smtpd/fixture.h"

#define BLOCK_FIRST 16777216

struct stage {
	struct fixture settings;	/* only its settings are used */
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
	return base;
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
	int socket = restart_peer(&stage->qmgr, &deposit_protocol, &qmgr_handlers);

	assert_true(send_deposit_block(stage->qmgr, &(struct deposit_block){ .first_id = BLOCK_FIRST }));
	assert_true(send_deposit_state(stage->qmgr, &(struct deposit_state){ .accepting = 1, .text = "" }));
	server_introduce(&stage->server, &deposit_protocol, socket);
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

static void
start_directory(void)
{
	static const struct directory_handlers handlers = { .directory_lookup = take_lookup };

	server_introduce(&stage->server, &directory_protocol, restart_peer(&stage->directory, &directory_protocol, &handlers));
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
	static const struct dns_handlers handlers = { .dns_question = take_question };

	server_introduce(&stage->server, &dns_protocol, restart_peer(&stage->resolver, &dns_protocol, &handlers));
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
UNUSED static void
start_policy(void)
{
	static const struct policy_handlers handlers = { .rate_question = take_rate_question };

	server_introduce(&stage->server, &policy_protocol, restart_peer(&stage->policy, &policy_protocol, &handlers));
}

UNUSED static void
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
	base = event_base_new();
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
	event_base_free(base);
	free(stage);
	return 0;
}

/* ---- clients ---- */

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

UNUSED static void
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

#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

#endif
