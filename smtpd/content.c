/* content - see content.h */
#include "smtpd/content.h"

#include <string.h>
#include <strings.h>

struct sink {
	struct buffer *out;
	bool kept;
};

void
content_init(struct content *content, bool is_dotted, size_t header_limit)
{
	*content = (struct content){ .position = CONTENT_LINE_START, .is_dotted = is_dotted, .in_header = true,
		.header_limit = header_limit };
}

static void
note_flaw(struct content *content, enum content_flaw flaw)
{
	if (content->flaw == CONTENT_FLAWLESS)
		content->flaw = flaw;
}

/* A field, a continuation, or the "From " line of an mbox; anything else ends the header as an empty line. */
static bool
is_header_line(const char *line, size_t length)
{
	size_t name = 0;

	if (line[0] == ' ' || line[0] == '\t' || (length > 5 && memcmp(line, "From ", 5) == 0))
		return true;
	while (name < length && line[name] > ' ' && line[name] != ':' && line[name] < 0x7f)
		name++;
	return name > 0 && name < length && (line[name] == ':' || line[name] == ' ' || line[name] == '\t') &&
	    memchr(line + name, ':', length - name) == line + name + strspn(line + name, " \t");
}

/* Where the value begins when the line is a field of that name ("Priority:"), else NULL. */
static const char *
value_of(const char *line, const char *name)
{
	size_t length = strlen(name);

	if (strncasecmp(line, name, length) != 0)
		return NULL;
	return line + length + strspn(line + length, " \t");
}

/* X-Priority counts from 1, the highest, to 5; the other two have words (RFC 2156 5.3.6, RFC 4021 2.1.54). */
static void
judge_priority(struct content *content)
{
	static const struct {
		const char *name, *value;
		enum message_priority priority;
	} rows[] = {
		{ "X-Priority:", "1", PRIORITY_HIGH }, { "X-Priority:", "2", PRIORITY_HIGH },
		{ "X-Priority:", "4", PRIORITY_LOW }, { "X-Priority:", "5", PRIORITY_LOW },
		{ "Importance:", "high", PRIORITY_HIGH }, { "Importance:", "low", PRIORITY_LOW },
		{ "Priority:", "urgent", PRIORITY_HIGH }, { "Priority:", "non-urgent", PRIORITY_LOW },
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(rows) && content->priority == PRIORITY_NORMAL; i++) {
		const char *value = value_of(content->line, rows[i].name);
		size_t length = strlen(rows[i].value);

		if (value != NULL && strncasecmp(value, rows[i].value, length) == 0 &&
		    (value[length] == '\0' || value[length] == ' ' || value[length] == '\t'))
			content->priority = rows[i].priority;
	}
}

/* A whole header line has passed: what it says that concerns us. */
static void
judge_header_line(struct content *content)
{
	const char *message_id;
	size_t length = content->line_length;

	content->line[length] = '\0';
	if (length == 0 || !is_header_line(content->line, length))
		content->in_header = false;
	else if (value_of(content->line, "Received:") != NULL)
		content->received_fields++;
	else if (content->message_id[0] == '\0' && (message_id = value_of(content->line, "Message-ID:")) != NULL)
		strcpy(content->message_id, message_id);
	else
		judge_priority(content);
	content->line_length = 0;
}

static void
scan_header(struct content *content, const char *data, size_t length)
{
	size_t room = sizeof(content->line) - 1 - content->line_length;

	content->header_length += length;
	if (content->header_length > content->header_limit)
		note_flaw(content, CONTENT_HEADER_TOO_LARGE);
	if (length > room)
		length = room;
	memcpy(content->line + content->line_length, data, length);
	content->line_length += length;
}

static void
put(struct content *content, struct sink *sink, const char *data, size_t length)
{
	content->length += length;
	if (sink->out == NULL || content->flaw != CONTENT_FLAWLESS)
		return;
	if (!buffer_append(sink->out, data, length))
		sink->kept = false;
}

/* Octets inside a line, up to the next CR or LF or the end of data. */
static size_t
take_line_text(struct content *content, const char *data, size_t length, struct sink *sink)
{
	const char *lf = memchr(data, '\n', length);
	size_t run = lf != NULL ? (size_t)(lf - data) : length;
	const char *cr = memchr(data, '\r', run);

	if (cr != NULL)
		run = (size_t)(cr - data);
	if (run == 0)
		return 0;
	if (memchr(data, '\0', run) != NULL)
		note_flaw(content, CONTENT_NUL);
	if (content->length == 0 && (data[0] == ' ' || data[0] == '\t'))
		note_flaw(content, CONTENT_BEGINS_FOLDED);
	if (content->in_header)
		scan_header(content, data, run);
	put(content, sink, data, run);
	content->position = CONTENT_IN_LINE;
	return run;
}

/*
 * How many octets from here on, up to the end of a line, are whole lines of a body without anything special: no NUL,
 * no bare CR or LF, no dot in front of a line. They can be taken as they are.
 */
static size_t
plain_lines(const struct content *content, const char *data, size_t length)
{
	const char *line = data, *end = data + length;

	if (content->in_header || content->position != CONTENT_LINE_START)
		return 0;
	while (line < end && (*line != '.' || !content->is_dotted)) {
		const char *lf = memchr(line, '\n', (size_t)(end - line));

		if (lf == NULL || lf == line || memchr(line, '\r', (size_t)(lf - line)) != lf - 1)
			break;
		line = lf + 1;
	}
	end = memchr(data, '\0', (size_t)(line - data));
	if (end != NULL) {
		const char *before = memrchr(data, '\n', (size_t)(end - data));

		line = before == NULL ? data : before + 1;
	}
	return (size_t)(line - data);
}

static void
end_line(struct content *content, struct sink *sink)
{
	if (content->in_header)
		judge_header_line(content);
	put(content, sink, "\r\n", 2);
	content->position = CONTENT_LINE_START;
}

/* One octet at a place where it matters what it is. False: it is not special here, and still to be taken. */
static bool
take_special(struct content *content, char octet, struct sink *sink, bool *ended_out)
{
	switch (content->position) {
	case CONTENT_AFTER_CR:
		if (octet == '\n') {
			end_line(content, sink);
			return true;
		}
		break;
	case CONTENT_AFTER_DOT_CR:
		if (octet == '\n') {
			*ended_out = true;
			return true;
		}
		break;
	case CONTENT_AFTER_DOT:
		if (octet == '\r') {
			content->position = CONTENT_AFTER_DOT_CR;
			return true;
		}
		content->position = CONTENT_IN_LINE;
		return false;
	case CONTENT_LINE_START:
		if (octet == '.' && content->is_dotted) {
			content->position = CONTENT_AFTER_DOT;
			return true;
		}
		if (octet != '\r' && octet != '\n')
			return false;
		break;
	case CONTENT_IN_LINE:
		if (octet != '\r' && octet != '\n')
			return false;
		break;
	}
	/* Here the octet is a CR, a bare LF, or follows a bare CR. */
	if (content->position == CONTENT_AFTER_CR || content->position == CONTENT_AFTER_DOT_CR || octet == '\n')
		note_flaw(content, CONTENT_BARE_CR_OR_LF);
	content->position = octet == '\r' ? CONTENT_AFTER_CR : CONTENT_IN_LINE;
	return true;
}

size_t
content_take(struct content *content, const char *data, size_t length, struct buffer *out, bool *ended_out,
    bool *kept_out)
{
	struct sink sink = { out, true };
	size_t taken = 0;

	*ended_out = false;
	while (taken < length && !*ended_out) {
		size_t plain = plain_lines(content, data + taken, length - taken);

		if (plain > 0) {
			put(content, &sink, data + taken, plain);
			taken += plain;
		} else if (take_special(content, data[taken], &sink, ended_out))
			taken++;
		else
			taken += take_line_text(content, data + taken, length - taken, &sink);
	}
	*kept_out = sink.kept;
	return taken;
}

void
content_finish(struct content *content, struct buffer *out)
{
	struct sink sink = { out, true };

	if (content->position == CONTENT_AFTER_CR)
		note_flaw(content, CONTENT_BARE_CR_OR_LF);
	else if (content->position != CONTENT_LINE_START)
		end_line(content, &sink);
}
