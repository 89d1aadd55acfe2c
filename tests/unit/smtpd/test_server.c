/*
 * test_server - mail reaches the queue whatever restarts meanwhile, and a service that stops lets transactions end
 */
#include <sys/stat.h>

#include "common/base/crc32c.h"
#include "server_fixture.h"

/* ---- mail on its way to the queue ---- */

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

/* ---- the other programs ---- */

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

/* ---- stopping and reloading ---- */

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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_message_reaches_the_queue_with_its_envelope),
		CASE(a_large_message_goes_into_a_file),
		CASE(an_unanswered_message_is_sent_again_under_its_id),
		CASE(an_unanswered_message_in_a_file_is_sent_again_under_its_id),
		CASE(a_body_file_that_is_being_written_does_not_survive_its_qmgr),
		CASE(without_qmgr_clients_read_451),
		CASE(the_first_clients_wait_for_the_queue),
		CASE(local_clients_that_come_too_early_wait_as_well),
		CASE(a_restarted_directory_is_asked_again),
		CASE(a_clients_name_is_asked_ahead_and_once),
		CASE(with_the_controls_off_resolver_is_not_asked),
		CASE(a_mail_that_waits_for_a_name_goes_on_with_the_next_resolver),
		CASE(a_service_that_stops_lets_transactions_end),
		CASE(a_service_that_stops_does_not_wait_for_ever),
		CASE(sessions_keep_the_settings_they_began_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
