/* test_channel - one end of a pair against another, and against peers that break the rules */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ipc/channel.h"
#include "common/ipc/deposit.h"

#define GREETING_LENGTH 15
#define BLOCK_LENGTH 9		/* of a deposit_block */
#define BEGIN_LENGTH 37		/* of a deposit_begin without data */

struct end {
	struct channel *channel;
	unsigned closed;
	unsigned ready;
	char reason[200];
	unsigned begins, mores, answers, blocks;
	uint64_t last_id;
	size_t octets;
	int file;
	bool answer_at_once;
	bool free_in_handler;
	struct channel **victim;
};

struct fixture {
	struct event_base *base;
	int sockets[2];
	struct end asker, server;
};

static int
count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

static void
closed(void *context, struct channel *channel, const char *reason)
{
	struct end *end = context;

	(void)channel;
	end->closed++;
	snprintf(end->reason, sizeof(end->reason), "%s", reason);
}

static void
ready(void *context, struct channel *channel)
{
	struct end *end = context;

	(void)channel;
	end->ready++;
}

static void
on_begin(void *context, struct channel *channel, const struct deposit_begin *message)
{
	struct end *end = context;

	end->begins++;
	end->last_id = message->id;
	end->octets += message->data.length;
	if (end->free_in_handler)
		channel_free(&end->channel);
	else if (end->victim != NULL)
		channel_free(end->victim);
	else if (end->answer_at_once)
		send_deposit_answer(channel, &(struct deposit_answer){ .id = message->id, .text = "done" });
}

static void
on_more(void *context, struct channel *channel, const struct deposit_more *message)
{
	struct end *end = context;

	(void)channel;
	end->mores++;
	end->octets += message->data.length;
}

static void
on_answer(void *context, struct channel *channel, const struct deposit_answer *message)
{
	struct end *end = context;

	(void)channel;
	end->answers++;
	end->last_id = message->id;
	assert_string_equal(message->text, "done");
}

static void
on_body_answer(void *context, struct channel *channel, const struct deposit_body_answer *message)
{
	struct end *end = context;

	(void)channel;
	end->answers++;
	end->file = message->file;
}

static void
on_body(void *context, struct channel *channel, const struct deposit_body *message)
{
	struct end *end = context;

	/* Refused when the peer has gone. */
	send_deposit_body_answer(channel, &(struct deposit_body_answer){ .id = message->id, .file = end->file });
}

static void
on_block(void *context, struct channel *channel, const struct deposit_block *message)
{
	struct end *end = context;

	(void)channel;
	end->blocks++;
	end->last_id = message->first_id;
}

static const struct channel_events events = { closed, ready };
static const struct deposit_handlers asker_handlers = { .deposit_answer = on_answer, .deposit_block = on_block,
	.deposit_body_answer = on_body_answer };
static const struct deposit_handlers server_handlers = { .deposit_begin = on_begin, .deposit_more = on_more,
	.deposit_body = on_body };

static int
setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->base = event_base_new();
	fixture->asker.file = fixture->server.file = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fixture->sockets), 0);
	*state = fixture;
	return 0;
}

static void
open_server(struct fixture *fixture)
{
	fixture->server.channel = channel_open(fixture->base, fixture->sockets[1], &deposit_protocol, IPC_SERVES,
	    &server_handlers, &events, &fixture->server);
}

static void
open_asker(struct fixture *fixture)
{
	fixture->asker.channel = channel_open(fixture->base, fixture->sockets[0], &deposit_protocol, IPC_ASKS,
	    &asker_handlers, &events, &fixture->asker);
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	channel_free(&fixture->asker.channel);
	channel_free(&fixture->server.channel);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

/* Runs what is due now. */
static void
turn(struct fixture *fixture)
{
	int i;

	for (i = 0; i < 100; i++)
		event_base_loop(fixture->base, EVLOOP_NONBLOCK);
}

static void
send_raw(struct fixture *fixture, const void *data, size_t length)
{
	assert_int_equal(send(fixture->sockets[0], data, length, MSG_NOSIGNAL), length);
}

static void
send_greeting_raw(struct fixture *fixture)
{
	char greeting[] = "\0\7\0\0\0deposit\0v";

	greeting[GREETING_LENGTH - 2] = (char)deposit_protocol.version;
	send_raw(fixture, greeting, GREETING_LENGTH);
}

static void
send_descriptors_raw(struct fixture *fixture, const void *data, size_t length, size_t count)
{
	static union { struct cmsghdr header; char room[CMSG_SPACE(250 * sizeof(int))]; } control;
	struct iovec vector = { (void *)(uintptr_t)data, length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	size_t i;

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	for (i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &(int){ STDERR_FILENO }, sizeof(int));
	assert_int_equal(sendmsg(fixture->sockets[0], &message, MSG_NOSIGNAL), length);
}

static void
expect_violation(struct fixture *fixture, const char *words)
{
	turn(fixture);
	assert_int_equal(fixture->server.closed, 1);
	assert_non_null(strstr(fixture->server.reason, words));
	assert_false(channel_is_open(fixture->server.channel));
	close(fixture->sockets[0]);
}

static void
a_request_arrives_and_its_answer_returns_the_credit(void **state)
{
	struct fixture *fixture = *state;

	open_asker(fixture);
	open_server(fixture);
	fixture->server.answer_at_once = true;
	assert_int_equal(channel_credits(fixture->asker.channel), 1024);
	assert_true(send_deposit_begin(fixture->asker.channel,
	    &(struct deposit_begin){ .id = 77, .data = { "abc", 3 } }));
	assert_int_equal(channel_credits(fixture->asker.channel), 1023);
	turn(fixture);
	assert_int_equal(fixture->server.begins, 1);
	assert_int_equal(fixture->server.octets, 3);
	assert_int_equal(fixture->asker.answers, 1);
	assert_int_equal(fixture->asker.last_id, 77);
	assert_int_equal(channel_credits(fixture->asker.channel), 1024);
	assert_true(fixture->asker.ready > 0);
	assert_int_equal(channel_queued(fixture->asker.channel), 0);
}

static void
run_for(struct fixture *fixture, unsigned milliseconds)
{
	struct timeval limit = { 0, (suseconds_t)milliseconds * 1000 };

	event_base_loopexit(fixture->base, &limit);
	event_base_dispatch(fixture->base);
}

static void
messages_that_may_linger_wait_for_their_time_a_full_packet_or_a_flush(void **state)
{
	struct fixture *fixture = *state;
	struct deposit_block block = { .first_id = 1 };

	open_server(fixture);
	open_asker(fixture);
	turn(fixture);
	channel_set_linger(fixture->server.channel, 60000);
	assert_true(send_deposit_block(fixture->server.channel, &block));
	turn(fixture);
	assert_int_equal(fixture->asker.blocks, 0);
	channel_flush(fixture->server.channel);
	turn(fixture);
	assert_int_equal(fixture->asker.blocks, 1);
	for (unsigned i = 0; i < IPC_PACKET_MAX / BLOCK_LENGTH; i++)
		assert_true(send_deposit_block(fixture->server.channel, &block));
	turn(fixture);
	assert_int_equal(fixture->asker.blocks, 1 + IPC_PACKET_MAX / BLOCK_LENGTH);
	channel_set_linger(fixture->server.channel, 1);
	assert_true(send_deposit_block(fixture->server.channel, &block));
	run_for(fixture, 200);
	assert_int_equal(fixture->asker.blocks, 2 + IPC_PACKET_MAX / BLOCK_LENGTH);
}

static void
messages_of_one_turn_share_packets_and_one_with_a_descriptor_travels_alone(void **state)
{
	struct fixture *fixture = *state;
	static char packet[IPC_PACKET_MAX + 1];
	struct deposit_block block = { .first_id = 1 };

	open_server(fixture);
	channel_flush(fixture->server.channel);
	assert_int_equal(recv(fixture->sockets[0], packet, sizeof(packet), 0), GREETING_LENGTH);
	send_greeting_raw(fixture);
	send_raw(fixture, "\7\1\0\0\0\0\0\0\0", 9);		/* deposit_body */
	assert_true(send_deposit_block(fixture->server.channel, &block));
	assert_true(send_deposit_block(fixture->server.channel, &block));
	fixture->server.file = STDIN_FILENO;
	turn(fixture);
	assert_true(send_deposit_block(fixture->server.channel, &block));
	turn(fixture);
	assert_int_equal(recv(fixture->sockets[0], packet, sizeof(packet), 0), 2 * BLOCK_LENGTH);
	assert_int_equal(recv(fixture->sockets[0], packet, sizeof(packet), 0), 15);
	assert_int_equal(packet[0], 8);				/* deposit_body_answer */
	assert_int_equal(recv(fixture->sockets[0], packet, sizeof(packet), 0), BLOCK_LENGTH);
}

static void
no_packet_grows_beyond_its_limit(void **state)
{
	struct fixture *fixture = *state;
	static char packet[IPC_PACKET_MAX + 1], data[IPC_DATA_MAX];
	struct deposit_more more = { .id = 1, .data = { data, 3000 } };
	ssize_t length, total = 0;

	open_asker(fixture);
	channel_flush(fixture->asker.channel);
	assert_int_equal(recv(fixture->sockets[1], packet, sizeof(packet), 0), GREETING_LENGTH);
	for (unsigned i = 0; i < 15; i++)
		assert_true(send_deposit_more(fixture->asker.channel, &more));
	channel_flush(fixture->asker.channel);
	while ((length = recv(fixture->sockets[1], packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		assert_true(length <= IPC_PACKET_MAX);
		total += length;
	}
	assert_int_equal(total, 15 * (3000 + 13));
}

static void
a_request_without_a_credit_is_refused_at_home(void **state)
{
	struct fixture *fixture = *state;
	unsigned i;

	open_asker(fixture);
	open_server(fixture);
	for (i = 0; i < 1024; i++)
		assert_true(send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = i }));
	assert_false(send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = i }));
	turn(fixture);
	assert_int_equal(fixture->server.begins, 1024);
	assert_false(send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = i }));
	send_deposit_answer(fixture->server.channel, &(struct deposit_answer){ .id = 1, .text = "done" });
	turn(fixture);
	assert_true(send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = i }));
}

static void
a_long_stream_arrives_whole_through_a_full_socket(void **state)
{
	static char part[IPC_DATA_MAX];
	struct fixture *fixture = *state;
	unsigned i;

	open_asker(fixture);
	open_server(fixture);
	assert_true(send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = 1 }));
	for (i = 0; i < 300; i++)
		assert_true(send_deposit_more(fixture->asker.channel,
		    &(struct deposit_more){ .id = 1, .data = { part, sizeof(part) } }));
	assert_true(channel_queued(fixture->asker.channel) > 300 * sizeof(part));
	turn(fixture);
	assert_int_equal(fixture->server.mores, 300);
	assert_int_equal(fixture->server.octets, 300 * sizeof(part));
	assert_int_equal(channel_queued(fixture->asker.channel), 0);
}

static void
what_is_over_its_limit_is_not_sent(void **state)
{
	static char part[IPC_DATA_MAX + 1];
	struct fixture *fixture = *state;

	open_asker(fixture);
	assert_false(send_deposit_begin(fixture->asker.channel,
	    &(struct deposit_begin){ .id = 1, .data = { part, sizeof(part) } }));
	assert_int_equal(channel_credits(fixture->asker.channel), 1024);
	close(fixture->sockets[1]);
}

static void
a_descriptor_is_duplicated_and_given_to_the_handler(void **state)
{
	struct fixture *fixture = *state;
	int pipes[2], before = count_descriptors();
	char octet = 0;

	open_asker(fixture);
	open_server(fixture);
	before = count_descriptors();
	assert_int_equal(pipe(pipes), 0);
	fixture->server.file = pipes[1];
	assert_true(send_deposit_body(fixture->asker.channel, &(struct deposit_body){ .id = 5 }));
	turn(fixture);
	assert_true(fixture->asker.file >= 0 && fixture->asker.file != pipes[1]);
	assert_true(fcntl(fixture->asker.file, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fixture->asker.file, "x", 1), 1);
	assert_int_equal(read(pipes[0], &octet, 1), 1);
	assert_int_equal(octet, 'x');
	close(fixture->asker.file);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(count_descriptors(), before);
}

static void
what_was_sent_before_a_close_is_read_before_the_end_of_file(void **state)
{
	struct fixture *fixture = *state;

	open_asker(fixture);
	open_server(fixture);
	turn(fixture);
	/* The server leaves packets of the asker unread, which the kernel reports to the asker as a reset. */
	send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = 1 });
	channel_flush(fixture->asker.channel);
	send_deposit_block(fixture->server.channel, &(struct deposit_block){ .first_id = 9 });
	channel_flush(fixture->server.channel);
	channel_free(&fixture->server.channel);
	send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = 2 });
	channel_flush(fixture->asker.channel);
	assert_int_equal(fixture->asker.closed, 0);
	turn(fixture);
	assert_int_equal(fixture->asker.blocks, 1);
	assert_int_equal(fixture->asker.closed, 1);
	assert_string_equal(fixture->asker.reason, "end of file");
	assert_false(send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = 3 }));
	assert_int_equal(channel_credits(fixture->asker.channel), 0);
}

static void
a_peer_that_shuts_its_reading_side_ends_the_channel(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	turn(fixture);
	send_greeting_raw(fixture);
	shutdown(fixture->sockets[0], SHUT_RD);
	send_deposit_block(fixture->server.channel, &(struct deposit_block){ .first_id = 9 });
	expect_violation(fixture, "does not read");
}

static void
a_handler_frees_its_own_channel_with_more_packets_in_the_batch(void **state)
{
	struct fixture *fixture = *state;
	unsigned i;

	open_asker(fixture);
	open_server(fixture);
	fixture->server.free_in_handler = true;
	for (i = 0; i < 40; i++)
		send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = i });
	turn(fixture);
	assert_int_equal(fixture->server.begins, 1);
	assert_int_equal(fixture->server.closed, 0);
	assert_int_equal(fixture->asker.closed, 1);
}

static void
a_handler_frees_another_channel(void **state)
{
	struct fixture *fixture = *state;

	open_asker(fixture);
	open_server(fixture);
	fixture->server.victim = &fixture->asker.channel;
	send_deposit_begin(fixture->asker.channel, &(struct deposit_begin){ .id = 1 });
	turn(fixture);
	assert_null(fixture->asker.channel);
	assert_int_equal(fixture->server.closed, 1);
}

static void
the_greeting_must_come_first(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_raw(fixture, "\3\0\0\0\0", 5);
	expect_violation(fixture, "no greeting");
}

static void
another_protocol_is_refused(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_raw(fixture, "\0\3\0\0\0log\0\1\0", 11);
	expect_violation(fixture, "does not speak deposit");
}

static void
another_version_is_refused(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_raw(fixture, "\0\7\0\0\0deposit\0\143\0", GREETING_LENGTH);
	expect_violation(fixture, "version 99");
}

static void
a_second_greeting_is_a_violation(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_greeting_raw(fixture);
	send_greeting_raw(fixture);
	expect_violation(fixture, "unknown message number 0");
}

static void
unknown_numbers_are_violations(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_greeting_raw(fixture);
	send_raw(fixture, "\377junk", 5);
	send_raw(fixture, "\377junk", 5);
	expect_violation(fixture, "unknown message number 255");
}

static void
a_message_from_the_wrong_side_is_a_violation(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_greeting_raw(fixture);
	send_raw(fixture, "\1\0\0\0\0\0\0\0\0", 9);	/* deposit_block is the server's */
	expect_violation(fixture, "deposit_block comes from the wrong side");
}

static void
a_message_nobody_handles_is_a_violation(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_greeting_raw(fixture);
	send_raw(fixture, "\2", 1);			/* deposit_block_wanted */
	expect_violation(fixture, "unexpected deposit_block_wanted");
}

static void
huge_lengths_inside_a_packet_are_violations(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_greeting_raw(fixture);
	send_raw(fixture, "\5\0\0\0\0\0\0\0\0\377\377\377\377", 13);
	expect_violation(fixture, "malformed deposit_more");
}

static void
octets_behind_the_last_field_are_the_next_message_or_a_violation(void **state)
{
	struct fixture *fixture = *state;

	open_server(fixture);
	send_greeting_raw(fixture);
	send_raw(fixture, "\5\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\1\0\0\0ax", 28);
	expect_violation(fixture, "unknown message number 120");
	assert_int_equal(fixture->server.mores, 2);
}

static void
an_oversized_packet_is_a_violation(void **state)
{
	static char packet[IPC_PACKET_MAX + 1];
	struct fixture *fixture = *state;

	open_server(fixture);
	send_greeting_raw(fixture);
	send_raw(fixture, packet, sizeof(packet));
	expect_violation(fixture, "oversized");
}

static void
an_answer_without_a_request_is_a_violation(void **state)
{
	struct fixture *fixture = *state;

	fixture->server.channel = channel_open(fixture->base, fixture->sockets[1], &deposit_protocol, IPC_ASKS,
	    &asker_handlers, &events, &fixture->server);
	send_greeting_raw(fixture);
	send_raw(fixture, "\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
	expect_violation(fixture, "deposit_answer answers nothing");
}

static void
a_request_over_the_window_is_a_violation(void **state)
{
	struct fixture *fixture = *state;
	char request[41] = { 4 };
	unsigned i;

	open_server(fixture);
	send_greeting_raw(fixture);
	request[29] = 0;
	for (i = 0; i < 1025; i++) {
		send_raw(fixture, request, BEGIN_LENGTH);
		event_base_loop(fixture->base, EVLOOP_NONBLOCK);
	}
	expect_violation(fixture, "deposit_begin without a credit");
	assert_int_equal(fixture->server.begins, 1024);
}

static void
a_peer_that_asks_on_and_never_reads_runs_out_of_credits(void **state)
{
	struct fixture *fixture = *state;
	char request[41] = { 4 };
	unsigned i;

	open_server(fixture);
	fixture->server.answer_at_once = true;
	send_greeting_raw(fixture);
	for (i = 0; i < 20000 && fixture->server.closed == 0; i++) {
		send_raw(fixture, request, BEGIN_LENGTH);
		event_base_loop(fixture->base, EVLOOP_NONBLOCK);
		assert_true(channel_queued(fixture->server.channel) < 1024 * 64);
	}
	expect_violation(fixture, "deposit_begin without a credit");
}

static void
a_descriptor_nobody_asked_for_is_closed_and_a_violation(void **state)
{
	struct fixture *fixture = *state;
	int before = count_descriptors();

	open_server(fixture);
	before = count_descriptors();
	send_greeting_raw(fixture);
	send_descriptors_raw(fixture, "\5\0\0\0\0\0\0\0\0\0\0\0\0", 13, 1);
	expect_violation(fixture, "malformed deposit_more");
	assert_int_equal(count_descriptors(), before - 2);
}

static void
two_or_two_hundred_descriptors_are_closed_and_a_violation(void **state)
{
	static const size_t counts[] = { 2, 200 };
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		void *fresh;
		struct fixture *fixture;
		int before;

		setup(&fresh);
		fixture = fresh;
		open_server(fixture);
		before = count_descriptors();
		send_greeting_raw(fixture);
		send_descriptors_raw(fixture, "\5\0\0\0\0\0\0\0\0\0\0\0\0", 13, counts[i]);
		expect_violation(fixture, "surplus descriptors");
		assert_int_equal(count_descriptors(), before - 2);
		teardown(&fresh);
	}
}

static void
noise_never_ends_more_than_the_channel(void **state)
{
	unsigned seed = 1, i, j;

	(void)state;
	for (i = 0; i < 2000; i++) {
		void *fresh;
		struct fixture *fixture;
		uint8_t noise[200];

		setup(&fresh);
		fixture = fresh;
		open_server(fixture);
		send_greeting_raw(fixture);
		for (j = 0; j < sizeof(noise); j++)
			noise[j] = (uint8_t)(rand_r(&seed) >> 7);
		noise[0] %= 12;
		send_raw(fixture, noise, 1 + (size_t)rand_r(&seed) % sizeof(noise));
		close(fixture->sockets[0]);
		for (j = 0; j < 4; j++)
			event_base_loop(fixture->base, EVLOOP_NONBLOCK);
		assert_int_equal(fixture->server.closed, 1);
		teardown(&fresh);
	}
}

static void
numbers_are_never_reused(void **state)
{
	struct fixture *fixture = *state;

	open_asker(fixture);
	open_server(fixture);
	assert_true(channel_number(fixture->asker.channel) < channel_number(fixture->server.channel));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(a_request_arrives_and_its_answer_returns_the_credit),
		CASE(messages_that_may_linger_wait_for_their_time_a_full_packet_or_a_flush),
		CASE(messages_of_one_turn_share_packets_and_one_with_a_descriptor_travels_alone),
		CASE(no_packet_grows_beyond_its_limit),
		CASE(a_request_without_a_credit_is_refused_at_home),
		CASE(a_long_stream_arrives_whole_through_a_full_socket),
		CASE(what_is_over_its_limit_is_not_sent),
		CASE(a_descriptor_is_duplicated_and_given_to_the_handler),
		CASE(what_was_sent_before_a_close_is_read_before_the_end_of_file),
		CASE(a_peer_that_shuts_its_reading_side_ends_the_channel),
		CASE(a_handler_frees_its_own_channel_with_more_packets_in_the_batch),
		CASE(a_handler_frees_another_channel),
		CASE(the_greeting_must_come_first),
		CASE(another_protocol_is_refused),
		CASE(another_version_is_refused),
		CASE(a_second_greeting_is_a_violation),
		CASE(unknown_numbers_are_violations),
		CASE(a_message_from_the_wrong_side_is_a_violation),
		CASE(a_message_nobody_handles_is_a_violation),
		CASE(huge_lengths_inside_a_packet_are_violations),
		CASE(octets_behind_the_last_field_are_the_next_message_or_a_violation),
		CASE(an_oversized_packet_is_a_violation),
		CASE(an_answer_without_a_request_is_a_violation),
		CASE(a_request_over_the_window_is_a_violation),
		CASE(a_peer_that_asks_on_and_never_reads_runs_out_of_credits),
		CASE(a_descriptor_nobody_asked_for_is_closed_and_a_violation),
		CASE(numbers_are_never_reused),
		cmocka_unit_test(two_or_two_hundred_descriptors_are_closed_and_a_violation),
		cmocka_unit_test(noise_never_ends_more_than_the_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
