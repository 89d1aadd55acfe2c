/* content_stream - see content_stream.h */
#include "smtp/content_stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/mail/plain_lines.h"

void
content_stream_init(struct content_stream *stream, const struct content_source *source, bool stuff_dots,
    struct downgrade *downgrade)
{
	memset(stream, 0, sizeof(*stream));
	stream->source = *source;
	stream->stuff_dots = stuff_dots;
	stream->downgrade = downgrade;
}

/* Up to CONTENT_BLOCK octets from offset on, lent from memory or read into room. The length, or -1 and an error. */
static ssize_t
read_source(const struct content_source *source, uint64_t offset, char room[static CONTENT_BLOCK],
    const char **octets_out, struct error *error)
{
	uint64_t rest = source->length - offset;
	size_t wanted = rest < CONTENT_BLOCK ? (size_t)rest : CONTENT_BLOCK;
	ssize_t got;

	if (source->file < 0) {
		*octets_out = source->memory + offset;
		return (ssize_t)wanted;
	}
	*octets_out = room;
	do
		got = pread(source->file, room, wanted, (off_t)offset);
	while (got == -1 && errno == EINTR);
	if (got == -1)
		return error_system(error, errno, "read the body at octet %llu", (unsigned long long)offset);
	if (got == 0 && wanted > 0)
		return error_set(error, ERROR_DAMAGED, "the body ends at octet %llu", (unsigned long long)offset);
	return got;
}

static void
end_line(struct content_stream *stream, struct buffer *out)
{
	buffer_append(out, "\r\n", 2);
	stream->line_length = 0;
	stream->saw_cr = false;
}

static void
put_text(struct content_stream *stream, struct buffer *out, const char *text, size_t length)
{
	if (stream->saw_cr)
		end_line(stream, out);
	if (stream->stuff_dots && stream->line_length == 0 && length > 0 && text[0] == '.')
		buffer_append_byte(out, '.');
	while (length > CONTENT_LINE_MAX - stream->line_length) {
		size_t piece = CONTENT_LINE_MAX - stream->line_length;

		buffer_append(out, text, piece);
		buffer_append(out, "\r\n ", 3);
		stream->line_length = 1;
		text += piece;
		length -= piece;
	}
	buffer_append(out, text, length);
	stream->line_length += length;
}

static void
put_octets(struct content_stream *stream, struct buffer *out, const char *octets, size_t length)
{
	const char *end = octets + length;

	while (octets < end) {
		size_t plain = stream->line_length > 0 || stream->saw_cr ? 0 :
		    plain_lines(octets, (size_t)(end - octets), stream->stuff_dots);
		const char *text = octets + plain;

		buffer_append(out, octets, plain);
		octets += plain;
		while (octets < end && *octets != '\r' && *octets != '\n')
			octets++;
		if (octets > text)
			put_text(stream, out, text, (size_t)(octets - text));
		if (octets == end)
			break;
		if (*octets == '\n') {
			end_line(stream, out);
		} else {
			if (stream->saw_cr)
				end_line(stream, out);
			stream->saw_cr = true;
		}
		octets++;
	}
}

static void
put_converted(struct content_stream *stream, struct buffer *out, const char *octets, size_t length, bool last)
{
	struct buffer converted = BUFFER_INITIALIZER(0);

	downgrade_rewrite(stream->downgrade, octets, length, &converted);
	if (last)
		downgrade_rewrite_end(stream->downgrade, &converted);
	put_octets(stream, out, buffer_text(&converted), converted.length);
	buffer_free(&converted);
}

int
content_stream_next(struct content_stream *stream, struct buffer *out, struct error *error)
{
	static char room[CONTENT_BLOCK];
	const char *octets;
	ssize_t length;

	if (stream->ended)
		return 0;
	length = read_source(&stream->source, stream->offset, room, &octets, error);
	if (length == -1)
		return -1;
	stream->offset += (uint64_t)length;
	if (stream->downgrade != NULL)
		put_converted(stream, out, octets, (size_t)length, stream->offset == stream->source.length);
	else
		put_octets(stream, out, octets, (size_t)length);
	if (stream->offset < stream->source.length)
		return 1;
	if (stream->line_length > 0 || stream->saw_cr)
		end_line(stream, out);
	stream->ended = true;
	return 0;
}

struct content_span
content_stream_rest(const struct content_stream *stream)
{
	const struct content_source *source = &stream->source;

	return (struct content_span){ source->file < 0 ? source->memory + stream->offset : NULL, source->file, stream->offset,
		source->length - stream->offset };
}

void
content_stream_skip(struct content_stream *stream, uint64_t count)
{
	stream->offset += count;
}

/* Where the header ends in octets: behind the first empty line, which may begin in what came before. */
static size_t
header_length(const char *octets, size_t length, unsigned *newlines)
{
	size_t i;

	for (i = 0; i < length && *newlines < 2; i++)
		if (octets[i] == '\n')
			++*newlines;
		else if (octets[i] != '\r')
			*newlines = 0;
	return i;
}

int
content_source_survey(const struct content_source *source, struct downgrade *downgrade, struct error *error)
{
	static char room[CONTENT_BLOCK];
	uint64_t offset = 0;

	while (offset < source->length) {
		const char *octets;
		ssize_t length = read_source(source, offset, room, &octets, error);

		if (length == -1)
			return -1;
		downgrade_survey(downgrade, octets, (size_t)length);
		offset += (uint64_t)length;
	}
	return downgrade_survey_end(downgrade);
}

/* Looks through all of it once. Blocks overlap by the line that one of them cut. */
static int
examine(struct content_source *source, struct error *error)
{
	static char room[CONTENT_BLOCK];
	unsigned newlines = 1;	/* an empty line at the very start ends an empty header */
	uint64_t offset = 0;

	source->is_plain = true;
	source->has_8bit_header = source->has_8bit_body = false;
	while (offset < source->length) {
		const char *octets;
		ssize_t length = read_source(source, offset, room, &octets, error);
		size_t header, part;

		if (length == -1)
			return -1;
		part = source->is_plain ? plain_lines(octets, (size_t)length, true) : 0;
		if (part == 0) {
			source->is_plain = false;
			part = (size_t)length;
		}
		header = header_length(octets, part, &newlines);
		source->has_8bit_header = source->has_8bit_header || has_eight_bit(octets, header);
		source->has_8bit_body = source->has_8bit_body || has_eight_bit(octets + header, part - header);
		offset += part;
	}
	source->is_examined = true;
	return 0;
}

int
content_source_has_8bit(struct content_source *source, enum content_part part, struct error *error)
{
	if (!source->is_examined && examine(source, error) == -1)
		return -1;
	return part == CONTENT_HEADER ? source->has_8bit_header : source->has_8bit_body;
}

int
content_source_is_plain(struct content_source *source, struct error *error)
{
	if (!source->is_examined && examine(source, error) == -1)
		return -1;
	return source->is_plain;
}
