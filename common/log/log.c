/*
 * log - see log.h
 *
 * Owns:   nothing but the count of events that it had to drop; the channel is the skeleton's.
 * Bounds: CHANNEL_QUEUE_MAX octets wait for logger, then events are dropped and counted.
 */
#include "common/log/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/identifier.h"
#include "common/ipc/log.h"

#define CHANNEL_QUEUE_MAX (1024 * 1024)
#define VALUES_MAX 16384		/* as in log.def */
#define KEYS_MAX 16
#define NUMBER_TEXTS 16
#define NUMBER_TEXT_SIZE 32

const struct log_event_row log_event_rows[LOG_EVENT_COUNT] = {
#define EVENT(symbol, name_, severity_, keys_, meaning_) \
	[LOG_##symbol] = { name_, LOG_SEVERITY_##severity_, keys_, meaning_ },
#include "common/log/events.def"
#undef EVENT
};

static const char *program_name = "matador";
static struct channel *log_channel;
static log_sink_cb *log_sink;
static enum log_severity least_severe = LOG_SEVERITY_INFO;
static uint32_t dropped;

void
log_open(const char *program)
{
	program_name = program;
}

void
log_peer_lost(const char *peer, const char *reason)
{
	/* The channel reads on to it when it cannot send, and past packets of ours that the other never read. */
	if (strcmp(reason, "end of file") == 0)
		log_event(LOG_PEER_LEFT, peer, reason);
	else
		log_event(LOG_PEER_LOST, peer, reason);
}

void
log_set_channel(struct channel *channel)
{
	log_channel = channel;
}

void
log_set_sink(log_sink_cb *sink)
{
	log_sink = sink;
}

void
log_set_level(enum log_severity least)
{
	least_severe = least;
}

unsigned
log_key_count(enum log_event_number event)
{
	const char *keys = log_event_rows[event].keys;
	unsigned count = *keys != '\0';

	for (; *keys != '\0'; keys++)
		count += *keys == ' ';
	return count;
}

/* Asked of the kernel once. */
static uint32_t
process_number(void)
{
	static pid_t number;

	if (number == 0)
		number = getpid();
	return (uint32_t)number;
}

/* One octet more than is shown, so that logger sees that there was more. */
static bool
put_value(struct buffer *packed, const char *value)
{
	char shortened[LOG_VALUE_MAX + 2];
	size_t length;

	if (value == NULL)
		value = "-";
	length = strnlen(value, sizeof(shortened) - 1);
	memcpy(shortened, value, length);
	shortened[length] = '\0';
	return wire_put_string(packed, shortened);
}

static bool
send_to_logger(enum log_event_number event, int64_t wall_ms, const char *const *values, unsigned count)
{
	static char room[VALUES_MAX + 1];
	struct buffer packed = { room, 0, sizeof(room), VALUES_MAX };
	struct log_event message = { .event = (uint16_t)event, .wall_ms = (uint64_t)wall_ms,
		.process = process_number(), .dropped = dropped };
	unsigned i;

	if (channel_queued(log_channel) > CHANNEL_QUEUE_MAX)
		return false;
	for (i = 0; i < count; i++)
		if (!put_value(&packed, values[i]))
			return false;
	message.values = (struct bytes){ packed.data, packed.length };
	if (!send_log_event(log_channel, &message))
		return false;
	/* What is serious may be the last that this process says. */
	if (log_event_rows[event].severity <= LOG_SEVERITY_WARNING)
		channel_flush(log_channel);
	return true;
}

static void
write_to_standard_error(enum log_event_number event, int64_t wall_ms, const char *const *values, unsigned count)
{
	struct buffer line = BUFFER_INITIALIZER(0);
	char time[32];

	clock_format_rfc3339_ms(wall_ms, time);
	buffer_printf(&line, "%s %s[%ld]: ", time, program_name, (long)process_number());
	log_format_text(&line, event, values, count);
	buffer_append_byte(&line, '\n');
	/* One write, so that lines of several programs do not mix; there is nobody to tell when it fails. */
	if (write(STDERR_FILENO, line.data, line.length) < 0)
		dropped++;
	buffer_free(&line);
}

void
log_values(enum log_event_number event, const char *const *values, unsigned count)
{
	int64_t wall_ms = clock_wall_ms();

	assert(count == log_key_count(event) && count <= KEYS_MAX);
	if (log_event_rows[event].severity > least_severe)
		return;
	if (log_sink != NULL)
		log_sink(event, wall_ms, values, count);
	else if (log_channel == NULL || !channel_is_open(log_channel))
		write_to_standard_error(event, wall_ms, values, count);
	else if (send_to_logger(event, wall_ms, values, count))
		dropped = 0;
	else
		dropped++;
}

/* Room for the text of one number; it comes round again after NUMBER_TEXTS calls. */
static char *
next_number_text(void)
{
	static char texts[NUMBER_TEXTS][NUMBER_TEXT_SIZE];
	static unsigned next;

	return texts[next++ % NUMBER_TEXTS];
}

const char *
log_number(int64_t number)
{
	char *text = next_number_text();

	snprintf(text, NUMBER_TEXT_SIZE, "%" PRId64, number);
	return text;
}

const char *
log_id(uint64_t message_id)
{
	char *text = next_number_text();

	_Static_assert(IDENTIFIER_TEXT_SIZE <= NUMBER_TEXT_SIZE, "an id fits");
	identifier_format(message_id, text);
	return text;
}

const char *
log_seconds(int64_t milliseconds)
{
	char *text = next_number_text();
	uint64_t magnitude = milliseconds < 0 ? -(uint64_t)milliseconds : (uint64_t)milliseconds;

	snprintf(text, NUMBER_TEXT_SIZE, "%s%" PRIu64 ".%03u", milliseconds < 0 ? "-" : "", magnitude / 1000,
	    (unsigned)(magnitude % 1000));
	return text;
}
