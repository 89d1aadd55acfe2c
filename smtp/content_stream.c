/* content_stream - see content_stream.h */
#include "smtp/content_stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

/* How many octets from here on are whole lines that can go as they are. */
static size_t
plain_lines(const struct content_stream *stream, const char *octets, size_t length)
{
	const char *line = octets, *end = octets + length;

	if (stream->line_length > 0 || stream->saw_cr)
		return 0;
	while (line < end && (*line != '.' || !stream->stuff_dots)) {
		const char *lf = memchr(line, '\n', (size_t)(end - line));

		if (lf == NULL || lf == line || lf - line > CONTENT_LINE_MAX + 1 ||
		    memchr(line, '\r', (size_t)(lf - line)) != lf - 1)
			break;
		line = lf + 1;
	}
	return (size_t)(line - octets);
}

static void
put_octets(struct content_stream *stream, struct buffer *out, const char *octets, size_t length)
{
	const char *end = octets + length;

	while (octets < end) {
		size_t plain = plain_lines(stream, octets, (size_t)(end - octets));
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

/* Eight octets at a time: all content without 8-bit octets is looked through. */
static bool
has_8bit(const char *octets, size_t length)
{
	uint64_t word, found = 0;

	for (; length >= sizeof(word) && found == 0; octets += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, octets, sizeof(word));
		found = word & 0x8080808080808080u;
	}
	for (; length > 0 && found == 0; octets++, length--)
		found = (unsigned char)*octets & 0x80u;
	return found != 0;
}

int
content_source_has_8bit(const struct content_source *source, enum content_part part, struct error *error)
{
	static char room[CONTENT_BLOCK];
	unsigned newlines = 1;	/* an empty line at the very start ends an empty header */
	uint64_t offset = 0;

	while (offset < source->length && (part == CONTENT_BODY || newlines < 2)) {
		const char *octets;
		ssize_t length = read_source(source, offset, room, &octets, error);
		size_t header;

		if (length == -1)
			return -1;
		header = header_length(octets, (size_t)length, &newlines);
		if (part == CONTENT_HEADER ? has_8bit(octets, header) : has_8bit(octets + header, (size_t)length - header))
			return 1;
		offset += (uint64_t)length;
	}
	return 0;
}
