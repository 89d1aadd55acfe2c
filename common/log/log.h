/*
 * log - events, each declared once in events.def
 *
 *	log_event(LOG_MESSAGE_ACCEPTED, id_text, client, sender, log_number(size));
 *
 * The values stand in the order of the event's keys; a wrong count does not compile. Values are plain text of any
 * origin: quoting and escaping happen where the line is written, so hostile input can never forge one. A worker sends
 * its events to logger over a bounded, non-blocking channel; before it has one, and in programs without one, they go to
 * standard error.
 */
#ifndef COMMON_LOG_LOG_H
#define COMMON_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"

struct channel;

enum log_severity { LOG_SEVERITY_ERROR, LOG_SEVERITY_WARNING, LOG_SEVERITY_NOTICE, LOG_SEVERITY_INFO, LOG_SEVERITY_DEBUG };

enum log_event_number {
#define EVENT(symbol, name, severity, keys, meaning) LOG_##symbol,
#include "common/log/events.def"
#undef EVENT
	LOG_EVENT_COUNT,
};

/* How many keys each event has: the words of its keys string. */
#define LOG_VALUES(...) ((const char *const[]){ __VA_ARGS__ })
#define log_event(event, ...) \
	log_values((event), LOG_VALUES(__VA_ARGS__), sizeof(LOG_VALUES(__VA_ARGS__)) / sizeof(const char *))

/* Use log_event(). A NULL value is logged as "-". count must equal the event's number of keys (asserted). */
void log_values(enum log_event_number event, const char *const *values, unsigned count);

/* The connection to another program ended. That a program ended master tells: then it is no warning. */
void log_peer_lost(const char *peer, const char *reason);

/* Numbers as values: text that stays valid for the next 16 calls. */
const char *log_number(int64_t number);
const char *log_id(uint64_t message_id);
/* Milliseconds as seconds with three decimals: "0.250". */
const char *log_seconds(int64_t milliseconds);

struct log_event_row {
	const char *name;
	enum log_severity severity;
	const char *keys;	/* separated by single blanks; "" for none */
	const char *meaning;	/* for the manual page */
};
extern const struct log_event_row log_event_rows[LOG_EVENT_COUNT];

/* program: the name that stands in front of each line. */
void log_open(const char *program);
/* From now on events go to logger over this channel; NULL: to standard error. Borrowed. */
void log_set_channel(struct channel *channel);
/* From now on events go to sink; for logger's own ones. */
typedef void log_sink_cb(enum log_event_number event, int64_t wall_ms, const char *const *values, unsigned count);
void log_set_sink(log_sink_cb *sink);
/* The least severe events that are made at all (mail_logging_level). */
void log_set_level(enum log_severity least);

/* How many keys an event has. */
unsigned log_key_count(enum log_event_number event);

/* Octets of a value that are shown; behind them stand three dots. */
#define LOG_VALUE_MAX 1024

/* Appends one line without its end: "name key=value ..." with values quoted and escaped as needed. NULL values as in
 * log_values(). */
void log_format_text(struct buffer *line, enum log_event_number event, const char *const *values, unsigned count);
/* The same as a JSON object: time, source, pid, severity, event (no event has a key of these names), then its keys; all values
 * are strings. */
void log_format_json(struct buffer *line, enum log_event_number event, const char *const *values, unsigned count,
    const char *program, uint32_t process, int64_t wall_ms);

#endif
