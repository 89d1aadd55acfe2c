/* line_reader - see line_reader.h */
#include "common/net/line_reader.h"

#include <string.h>

void
line_reader_init(struct line_reader *reader, size_t limit, size_t endless)
{
	*reader = (struct line_reader){ .limit = limit, .endless = endless };
	buffer_init(&reader->pending, limit);
}

void
line_reader_free(struct line_reader *reader)
{
	buffer_free(&reader->pending);
}

bool
line_reader_is_inside_line(const struct line_reader *reader)
{
	return (reader->pending.length > 0 && !reader->clear_next) || reader->dropped > 0;
}

/* How many octets of data end the line (its CRLF included), or 0. before is the octet in front of data. */
static size_t
find_line_end(const char *data, size_t length, char before)
{
	const char *search = data, *end = data + length;

	while (search < end) {
		const char *lf = memchr(search, '\n', (size_t)(end - search));

		if (lf == NULL)
			return 0;
		if ((lf == data ? before : lf[-1]) == '\r')
			return (size_t)(lf - data) + 1;
		search = lf + 1;
	}
	return 0;
}

static enum line_result
drop_rest_of_line(struct line_reader *reader, const char *data, size_t length, size_t *taken_out)
{
	size_t ending = find_line_end(data, length, reader->after_cr ? '\r' : '\0');

	if (ending != 0) {
		*taken_out = ending;
		reader->dropped = 0;
		return LINE_TOO_LONG;
	}
	*taken_out = length;
	if (length > 0) {
		reader->dropped += length;
		reader->after_cr = data[length - 1] == '\r';
	}
	return reader->dropped > reader->endless ? LINE_ENDLESS : LINE_NONE;
}

/* The line outgrew the limit: forgets what is pending and drops up to its end. */
static enum line_result
begin_dropping(struct line_reader *reader, const char *data, size_t length, size_t *taken_out)
{
	const struct buffer *pending = &reader->pending;

	reader->after_cr = pending->length > 0 && pending->data[pending->length - 1] == '\r';
	reader->dropped = pending->length + 1;
	buffer_free(&reader->pending);
	return drop_rest_of_line(reader, data, length, taken_out);
}

enum line_result
line_reader_take(struct line_reader *reader, const char *data, size_t length, size_t *taken_out,
    const char **line_out, size_t *line_length_out)
{
	struct buffer *pending = &reader->pending;
	size_t ending;

	if (reader->clear_next) {
		buffer_free(pending);
		reader->clear_next = false;
	}
	if (reader->dropped > 0)
		return drop_rest_of_line(reader, data, length, taken_out);
	ending = find_line_end(data, length, pending->length > 0 ? pending->data[pending->length - 1] : '\0');
	if (pending->length + (ending != 0 ? ending : length) > reader->limit)
		return begin_dropping(reader, data, length, taken_out);
	*taken_out = ending != 0 ? ending : length;
	if (ending != 0 && pending->length == 0) {
		*line_out = data;
		*line_length_out = ending - 2;
		return LINE_COMPLETE;
	}
	buffer_append(pending, data, *taken_out);
	if (ending == 0)
		return LINE_NONE;
	*line_out = pending->data;
	*line_length_out = pending->length - 2;
	reader->clear_next = true;
	return LINE_COMPLETE;
}
