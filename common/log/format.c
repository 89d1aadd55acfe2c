/*
 * format - an event as a line of text or as a JSON object
 *
 * Trusts: no value. Whatever stands in one, a line stays one line of printable characters, and a value can neither end early
 * nor look like a further key.
 */
#include "common/log/log.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"

#define SAFE_PUNCTUATION "._@:/+,>-[]"
#define SAFE_INSIDE "=<"		/* as the first octet they would mislead the eye */

static const char *const severity_names[] = { "error", "warning", "notice", "info", "debug" };

static bool
is_alphanumeric(char octet)
{
	return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') || (octet >= '0' && octet <= '9');
}

static bool
is_bare(const char *value)
{
	size_t i;

	for (i = 0; value[i] != '\0'; i++) {
		if (is_alphanumeric(value[i]) || strchr(SAFE_PUNCTUATION, value[i]) != NULL)
			continue;
		if (i == 0 || strchr(SAFE_INSIDE, value[i]) == NULL)
			return false;
	}
	return i > 0 && i <= LOG_VALUE_MAX;
}

/*
 * The length of the character at text that may be shown as it is, or 0: a control character (C0, DEL, C1), or an
 * octet that is no UTF-8.
 */
static size_t
printable_length(const char *text, size_t left)
{
	unsigned char first = (unsigned char)text[0];
	size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (length == 1)
		return first >= 0x20 && first != 0x7f;
	if (length > left || !utf8_is_valid(text, length) || (first == 0xc2 && (unsigned char)text[1] < 0xa0))
		return 0;
	return length;
}

/* How much of a value is shown: all, or LOG_VALUE_MAX octets less a character that they would cut. */
static size_t
shown_length(const char *value, bool *cut_out)
{
	size_t length = strnlen(value, LOG_VALUE_MAX + 1), back;

	*cut_out = length > LOG_VALUE_MAX;
	if (!*cut_out)
		return length;
	length = LOG_VALUE_MAX;
	for (back = 0; back < 3 && ((unsigned char)value[length - back] & 0xc0) == 0x80; back++)
		;
	return length - back;
}

/* Appends value between quotes; escape writes the octet that may not be shown. */
static void
append_quoted(struct buffer *line, const char *value, bool (*escape)(struct buffer *line, unsigned char octet))
{
	bool cut;
	size_t length = shown_length(value, &cut), i, step;

	buffer_append_byte(line, '"');
	for (i = 0; i < length; i += step ? step : 1) {
		step = printable_length(value + i, length - i);
		if (step == 0) {
			escape(line, (unsigned char)value[i]);
			continue;
		}
		if (value[i] == '"' || value[i] == '\\')
			buffer_append_byte(line, '\\');
		buffer_append(line, value + i, step);
	}
	buffer_append_string(line, cut ? "...\"" : "\"");
}

static bool
escape_text(struct buffer *line, unsigned char octet)
{
	return octet == '\n' ? buffer_append_string(line, "\\n") : buffer_printf(line, "\\x%02X", octet);
}

/* JSON is Unicode: an octet that is none becomes the replacement character. */
static bool
escape_json(struct buffer *line, unsigned char octet)
{
	return buffer_printf(line, "\\u%04x", octet < 0x80 ? octet : 0xfffdu);
}

void
log_format_text(struct buffer *line, enum log_event_number event, const char *const *values, unsigned count)
{
	const char *key = log_event_rows[event].keys;
	unsigned i;

	buffer_append_string(line, log_event_rows[event].name);
	for (i = 0; i < count; i++) {
		const char *value = values[i] == NULL ? "-" : values[i];
		size_t length = strcspn(key, " ");

		buffer_append_byte(line, ' ');
		buffer_append(line, key, length);
		buffer_append_byte(line, '=');
		if (is_bare(value))
			buffer_append_string(line, value);
		else
			append_quoted(line, value, escape_text);
		key += length + (key[length] == ' ');
	}
}

void
log_format_json(struct buffer *line, enum log_event_number event, const char *const *values, unsigned count,
    const char *program, uint32_t process, int64_t wall_ms)
{
	const struct log_event_row *row = &log_event_rows[event];
	const char *key = row->keys;
	char time[32];
	unsigned i;

	clock_format_rfc3339_ms(wall_ms, time);
	buffer_printf(line, "{\"time\":\"%s\",\"source\":\"%s\",\"pid\":%u,\"severity\":\"%s\",\"event\":\"%s\"",
	    time, program, process, severity_names[row->severity], row->name);
	for (i = 0; i < count; i++) {
		size_t length = strcspn(key, " ");

		buffer_printf(line, ",\"%.*s\":", (int)length, key);
		append_quoted(line, values[i] == NULL ? "-" : values[i], escape_json);
		key += length + (key[length] == ' ');
	}
	buffer_append_byte(line, '}');
}
