/* test_log - events as lines, and their way to logger */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ipc/log.h"
#include "common/log/log.h"

/* How the one value of a note looks in a line. */
static void
expect_text(const char *value, const char *shown)
{
	struct buffer line = BUFFER_INITIALIZER(0), expected = BUFFER_INITIALIZER(0);

	buffer_printf(&expected, "note text=%s", shown);
	log_format_text(&line, LOG_NOTE, LOG_VALUES(value), 1);
	assert_string_equal(buffer_text(&line), buffer_text(&expected));
	buffer_free(&line);
	buffer_free(&expected);
}

static void
harmless_values_stand_bare(void **state)
{
	(void)state;
	expect_text("a@b.example", "a@b.example");
	expect_text("10.0.0.1:25", "10.0.0.1:25");
	expect_text("[::1]:25", "[::1]:25");
	expect_text("p<0.5,n=1", "p<0.5,n=1");
	expect_text("-", "-");
	expect_text(NULL, "-");
}

static void
everything_else_is_quoted_and_escaped(void **state)
{
	(void)state;
	expect_text("", "\"\"");
	expect_text("two words", "\"two words\"");
	expect_text("<>", "\"<>\"");
	expect_text("=x", "\"=x\"");
	expect_text("say \"x\\y\"", "\"say \\\"x\\\\y\\\"\"");
	expect_text("a\r\nnote text=forged", "\"a\\x0D\\nnote text=forged\"");
	expect_text("tab\there", "\"tab\\x09here\"");
	expect_text("\x7f\x1b[2J", "\"\\x7F\\x1B[2J\"");
}

static void
utf8_is_kept_and_what_is_none_is_escaped(void **state)
{
	(void)state;
	expect_text("J\xc3\xb6rg", "\"J\xc3\xb6rg\"");
	expect_text("\xf0\x9f\x93\xa7", "\"\xf0\x9f\x93\xa7\"");
	expect_text("\xff\xc3", "\"\\xFF\\xC3\"");
	expect_text("\xc0\xaf", "\"\\xC0\\xAF\"");
	expect_text("\xed\xa0\x80", "\"\\xED\\xA0\\x80\"");
	expect_text("\xc2\x85x", "\"\\xC2\\x85x\"");
}

static void
a_long_value_is_cut_between_characters(void **state)
{
	char value[3000], shown[3000];

	(void)state;
	memset(value, 'a', sizeof(value));
	value[1024] = '\0';
	expect_text(value, value);
	value[1024] = 'a';
	value[1025] = '\0';
	memset(shown, 'a', sizeof(shown));
	shown[0] = '"';
	strcpy(shown + 1025, "...\"");
	expect_text(value, shown);
	memcpy(value + 1022, "\xe2\x82\xac", 4);
	strcpy(shown + 1023, "...\"");
	expect_text(value, shown);
}

static void
keys_stand_in_their_order(void **state)
{
	struct buffer line = BUFFER_INITIALIZER(0);

	(void)state;
	log_format_text(&line, LOG_MESSAGE_CHANGED, LOG_VALUES(log_id(0), "hold"), 2);
	assert_string_equal(buffer_text(&line), "message-changed id=0000000000000 action=hold");
	buffer_clear(&line);
	log_format_text(&line, LOG_QUEUE_ACCEPTS, NULL, 0);
	assert_string_equal(buffer_text(&line), "queue-accepts");
	buffer_free(&line);
}

static void
json_is_one_object_of_valid_strings(void **state)
{
	struct buffer line = BUFFER_INITIALIZER(0);

	(void)state;
	log_format_json(&line, LOG_NOTE, LOG_VALUES("a\"\\\n\xff\xc3\xb6\xc2\x85"), 1, "smtpd", 17,
	    INT64_C(1795349558000));
	assert_string_equal(buffer_text(&line), "{\"time\":\"2026-11-22T12:12:38.000Z\",\"source\":\"smtpd\",\"pid\":17,"
	    "\"severity\":\"notice\",\"event\":\"note\",\"text\":\"a\\\"\\\\\\u000a\\ufffd\xc3\xb6\\ufffd\\ufffd\"}");
	buffer_free(&line);
}

static void
no_key_of_an_event_is_one_of_the_object_itself(void **state)
{
	static const char *const taken[] = { "time", "source", "pid", "severity", "event" };
	char keys[400], *key, *rest;
	int event;
	size_t i;

	(void)state;
	for (event = 0; event < LOG_EVENT_COUNT; event++) {
		assert_true(log_key_count((enum log_event_number)event) <= 16);
		snprintf(keys, sizeof(keys), "%s", log_event_rows[event].keys);
		for (key = strtok_r(keys, " ", &rest); key != NULL; key = strtok_r(NULL, " ", &rest))
			for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
				assert_string_not_equal(key, taken[i]);
	}
}

static void
numbers_stay_valid_for_sixteen_calls(void **state)
{
	const char *first = log_number(INT64_MIN);
	int i;

	(void)state;
	for (i = 0; i < 15; i++)
		log_number(i);
	assert_string_equal(first, "-9223372036854775808");
	assert_string_equal(log_seconds(250), "0.250");
	assert_string_equal(log_seconds(61005), "61.005");
	assert_string_equal(log_seconds(-1500), "-1.500");
}

/* ---- the way to logger ---- */

struct receiver {
	unsigned events;
	uint32_t dropped;
	size_t last_length;
	unsigned closed;
};

static void
on_event(void *context, struct channel *channel, const struct log_event *message)
{
	struct receiver *receiver = context;
	struct wire_reader reader;

	(void)channel;
	receiver->events++;
	receiver->dropped += message->dropped;
	assert_int_equal(message->event, LOG_NOTE);
	assert_int_equal(message->process, getpid());
	wire_reader_init(&reader, message->values.data, message->values.length);
	receiver->last_length = strlen(wire_get_string(&reader, 2000));
	assert_true(wire_reader_finished(&reader));
}

static void
events_over_the_bound_are_dropped_and_counted_with_the_next(void **state)
{
	static const struct log_handlers handlers = { .log_event = on_event }, none;
	static char value[5000];
	struct event_base *base = event_base_new();
	struct receiver receiver = { 0 };
	struct channel *here, *there;
	int pair[2], i;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	here = channel_open(base, pair[0], &log_protocol, IPC_ASKS, &none, NULL, NULL);
	there = channel_open(base, pair[1], &log_protocol, IPC_SERVES, &handlers, NULL, &receiver);
	log_set_channel(here);
	for (i = 0; i < 2000; i++)
		log_event(LOG_NOTE, value);
	assert_true(channel_queued(here) < 1100 * 1024);
	for (i = 0; i < 500; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(receiver.events > 900 && receiver.events < 1100);
	assert_int_equal(receiver.last_length, LOG_VALUE_MAX + 1);
	log_event(LOG_NOTE, "after");
	for (i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(receiver.events - 1 + receiver.dropped, 2000);
	assert_int_equal(receiver.last_length, 5);
	log_set_level(LOG_SEVERITY_WARNING);
	log_event(LOG_NOTE, "too small");
	assert_int_equal(channel_queued(here), 0);
	log_set_level(LOG_SEVERITY_INFO);
	log_set_channel(NULL);
	channel_free(&here);
	channel_free(&there);
	event_base_free(base);
}

/* ---- the end of a channel to another program ---- */

/* How another program ends, seen from here. */
enum end { LEAVES, LEAVES_OURS_UNREAD, LEAVES_BEFORE_WE_SEND, CLOSES_ITS_EARS };

static enum log_event_number logged;
static unsigned logged_count;

static void
keep_event(enum log_event_number event, int64_t wall_ms, const char *const *values, unsigned count)
{
	(void)wall_ms;
	assert_int_equal(count, 2);
	assert_string_equal(values[0], "router");
	logged = event;
	logged_count++;
}

static void
on_closed(void *context, struct channel *channel, const char *reason)
{
	(void)context;
	(void)channel;
	log_peer_lost("router", reason);
}

static void
turn(struct event_base *base)
{
	for (unsigned i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static enum log_event_number
event_of(enum end end)
{
	static const struct log_handlers none;
	static const struct channel_events events = { .closed = on_closed };
	struct log_event message = { .event = LOG_NOTE };
	struct event_base *base = event_base_new();
	struct channel *channel;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	channel = channel_open(base, pair[0], &log_protocol, IPC_ASKS, &none, &events, NULL);
	if (end == LEAVES_OURS_UNREAD) {
		send_log_event(channel, &message);
		channel_flush(channel);
	} else if (end == LEAVES) {
		char greeting[100];

		channel_flush(channel);
		assert_true(recv(pair[1], greeting, sizeof(greeting), 0) > 0);
	}
	logged_count = 0;
	log_set_sink(keep_event);
	log_set_level(LOG_SEVERITY_DEBUG);
	if (end == CLOSES_ITS_EARS)
		shutdown(pair[1], SHUT_RD);
	else
		close(pair[1]);
	if (end == LEAVES_BEFORE_WE_SEND || end == CLOSES_ITS_EARS) {
		send_log_event(channel, &message);
		channel_flush(channel);
	}
	turn(base);
	log_set_level(LOG_SEVERITY_INFO);
	log_set_sink(NULL);
	if (end == CLOSES_ITS_EARS)
		close(pair[1]);
	channel_free(&channel);
	event_base_free(base);
	assert_int_equal(logged_count, 1);
	return logged;
}

static void
a_program_that_ended_is_no_warning_whatever_was_under_way(void **state)
{
	(void)state;
	assert_int_equal(event_of(LEAVES), LOG_PEER_LEFT);
	assert_int_equal(event_of(LEAVES_OURS_UNREAD), LOG_PEER_LEFT);
	assert_int_equal(event_of(LEAVES_BEFORE_WE_SEND), LOG_PEER_LEFT);
}

static void
a_program_that_does_not_read_is_a_warning(void **state)
{
	(void)state;
	assert_int_equal(event_of(CLOSES_ITS_EARS), LOG_PEER_LOST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harmless_values_stand_bare),
		cmocka_unit_test(everything_else_is_quoted_and_escaped),
		cmocka_unit_test(utf8_is_kept_and_what_is_none_is_escaped),
		cmocka_unit_test(a_long_value_is_cut_between_characters),
		cmocka_unit_test(keys_stand_in_their_order),
		cmocka_unit_test(json_is_one_object_of_valid_strings),
		cmocka_unit_test(no_key_of_an_event_is_one_of_the_object_itself),
		cmocka_unit_test(numbers_stay_valid_for_sixteen_calls),
		cmocka_unit_test(events_over_the_bound_are_dropped_and_counted_with_the_next),
		cmocka_unit_test(a_program_that_ended_is_no_warning_whatever_was_under_way),
		cmocka_unit_test(a_program_that_does_not_read_is_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
