/* test_peer - events of programs, and of programs that break the rules */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/ipc/log.h"
#include "master/logger/output.h"
#include "master/logger/peer.h"

static struct peers peers;
static struct channel *program;
static char path[64];

static int
setup(UNUSED void **state)
{
	static const struct log_handlers none;
	int pair[2];

	strcpy(path, "/tmp/test_peer.XXXXXX");
	close(mkstemp(path));
	peers = (struct peers){ .base = event_base_new() };
	peers.output = output_new(peers.base, &(struct output_options){ .to = path, .socket = "" });
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	peer_open(&peers, ROLE_SMTPD, pair[0]);
	program = channel_open(peers.base, pair[1], &log_protocol, IPC_ASKS, &none, NULL, NULL);
	return 0;
}

static int
teardown(UNUSED void **state)
{
	channel_free(&program);
	peers_free(&peers);
	output_free(&peers.output);
	event_base_free(peers.base);
	unlink(path);
	return 0;
}

static void
turn(void)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(peers.base, EVLOOP_NONBLOCK);
}

static void
expect_log(const char *expected)
{
	static char content[8192];
	int descriptor = open(path, O_RDONLY);
	ssize_t length = read(descriptor, content, sizeof(content) - 1);

	close(descriptor);
	content[length < 0 ? 0 : length] = '\0';
	assert_string_equal(content, expected);
}

static void
send_event(uint16_t event, const void *values, size_t length)
{
	assert_true(send_log_event(program, &(struct log_event){ .event = event, .wall_ms = UINT64_C(1795349558000),
		.process = 17, .values = { values, length } }));
	turn();
}

static void
an_event_becomes_a_line_under_the_name_that_master_gave(UNUSED void **state)
{
	send_event(LOG_NOTE, "\3\0\0\0one", 8);
	expect_log("2026-11-22T12:12:38.000Z smtpd[17]: note text=one\n");
	assert_int_equal(peers.events, 1);
}

static void
an_event_with_other_values_than_its_row_ends_the_channel(UNUSED void **state)
{
	send_event(LOG_NOTE, "\3\0\0\0one\0\3\0\0\0two", 16);
	assert_false(channel_is_open(program));
	assert_true(LIST_EMPTY(&peers.list));
	expect_log("");
}

static void
an_event_with_values_missing_ends_the_channel(UNUSED void **state)
{
	send_event(LOG_MESSAGE_ACCEPTED, "\3\0\0\0one", 8);
	assert_false(channel_is_open(program));
}

static void
an_event_of_no_row_ends_the_channel(UNUSED void **state)
{
	send_event(LOG_EVENT_COUNT, "", 0);
	assert_false(channel_is_open(program));
}

static void
a_time_far_away_is_no_harm(UNUSED void **state)
{
	send_log_event(program, &(struct log_event){ .event = LOG_QUEUE_ACCEPTS, .wall_ms = UINT64_MAX });
	send_log_event(program, &(struct log_event){ .event = LOG_QUEUE_ACCEPTS, .wall_ms = INT64_MAX });
	turn();
	assert_true(channel_is_open(program));
	assert_int_equal(peers.events, 2);
}

static void
only_master_may_have_the_log_opened_again(UNUSED void **state)
{
	send_log_reopen(program, &(struct log_reopen){ });
	turn();
	assert_false(channel_is_open(program));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(an_event_becomes_a_line_under_the_name_that_master_gave),
		CASE(an_event_with_other_values_than_its_row_ends_the_channel),
		CASE(an_event_with_values_missing_ends_the_channel),
		CASE(an_event_of_no_row_ends_the_channel),
		CASE(a_time_far_away_is_no_harm),
		CASE(only_master_may_have_the_log_opened_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
