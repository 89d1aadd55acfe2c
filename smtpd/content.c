/* content - see content.h */
#include "smtpd/content.h"

#include <string.h>
#include <strings.h>

#include "common/mail/plain_lines.h"
#include "smtpd/own_fields.h"

struct sink {
	struct buffer *out;
	struct bytes run;	/* content that is not in out yet: it stands in the input as it is */
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

/* Looks at more of a header line, up to a field's colon; a blank in front of it is obsolete (RFC 5322 4.5). A continuation is one
 * from its first octet on. */
static void
judge_line_kind(struct content *content, const char *data, size_t length, bool is_start)
{
	if (is_start)
		content->line_kind = data[0] == ' ' || data[0] == '\t' ? CONTENT_LINE_FIELD :
		    data[0] == ':' ? CONTENT_LINE_OTHER : CONTENT_LINE_NAME;
	for (size_t i = 0; i < length && content->line_kind < CONTENT_LINE_FIELD; i++) {
		if (data[i] == ':')
			content->line_kind = CONTENT_LINE_FIELD;
		else if (data[i] == ' ' || data[i] == '\t')
			content->line_kind = CONTENT_LINE_NAME_ENDED;
		else if (data[i] < ' ' || data[i] == 0x7f || content->line_kind == CONTENT_LINE_NAME_ENDED)
			content->line_kind = CONTENT_LINE_OTHER;
	}
}

/* A field, a continuation, or the "From " line of an mbox. */
static bool
is_header_line(const struct content *content)
{
	return content->line_kind == CONTENT_LINE_FIELD ||
	    (content->line_length > 5 && memcmp(content->line, "From ", 5) == 0);
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

/* A field that anybody may write: what it says that concerns us. */
static void
judge_field(struct content *content)
{
	const char *message_id;

	if (value_of(content->line, "Received:") != NULL)
		content->received_fields++;
	else if (content->message_id[0] == '\0' && (message_id = value_of(content->line, "Message-ID:")) != NULL)
		strcpy(content->message_id, message_id);
	else
		judge_priority(content);
}

/* A ragged header may be a long body; with a field of ours it is refused, for it is not kept to be cleaned. */
static void
limit_header(struct content *content)
{
	if (content->header_length > content->header_limit && (!content->is_ragged || content->has_own_fields))
		note_flaw(content, CONTENT_HEADER_TOO_LARGE);
}

/* A whole header line has passed. */
static void
judge_header_line(struct content *content)
{
	if (content->line_length == 0) {
		content->in_header = false;
		content->header_end = content->line_start;
		return;
	}
	content->line[content->line_length] = '\0';
	content->is_ragged = content->is_ragged || !is_header_line(content);
	if (own_fields_may_begin(content->line, content->line_length))
		content->has_own_fields = true;
	else if (!content->is_ragged)
		judge_field(content);
	limit_header(content);
	content->line_length = 0;
}

bool
content_header_is_seen(const struct content *content)
{
	return !content->in_header || (content->is_ragged && content->header_length > content->header_limit);
}

static void
scan_header(struct content *content, const char *data, size_t length)
{
	size_t room = sizeof(content->line) - 1 - content->line_length;

	judge_line_kind(content, data, length, content->line_length == 0);
	content->header_length += length;
	limit_header(content);
	if (length > room)
		length = room;
	memcpy(content->line + content->line_length, data, length);
	content->line_length += length;
}

static void
keep_run(struct sink *sink)
{
	if (sink->run.length > 0 && !buffer_append(sink->out, sink->run.data, sink->run.length))
		sink->kept = false;
	sink->run.length = 0;
}

static void
put(struct content *content, struct sink *sink, const char *data, size_t length)
{
	content->length += length;
	if (sink->out == NULL || content->flaw != CONTENT_FLAWLESS)
		return;
	if (sink->run.length > 0 && (const char *)sink->run.data + sink->run.length == data) {
		sink->run.length += length;
		return;
	}
	keep_run(sink);
	sink->run = (struct bytes){ data, length };
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

/* line_end: CRLF, where possible in the input. */
static void
end_line(struct content *content, struct sink *sink, const char *line_end)
{
	if (content->in_header)
		judge_header_line(content);
	put(content, sink, line_end, 2);
	content->position = CONTENT_LINE_START;
	if (content->in_header)
		content->line_start = content->length;
}

/* The octet data[at] at a place where it matters what it is. False: it is not special here, and still to be taken. */
static bool
take_special(struct content *content, const char *data, size_t at, struct sink *sink, bool *ended_out)
{
	char octet = data[at];

	switch (content->position) {
	case CONTENT_AFTER_CR:
		if (octet == '\n') {
			end_line(content, sink, at > 0 ? data + at - 1 : "\r\n");
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
content_take(struct content *content, const char *data, size_t length, struct buffer *out, struct bytes *lent_out,
    bool *ended_out, bool *kept_out)
{
	struct sink sink = { out, { NULL, 0 }, true };
	size_t taken = 0;

	*ended_out = false;
	while (taken < length && !*ended_out) {
		size_t plain = content->in_header || content->position != CONTENT_LINE_START ? 0 :
		    plain_lines(data + taken, length - taken, content->is_dotted);

		if (plain > 0) {
			put(content, &sink, data + taken, plain);
			taken += plain;
		} else if (take_special(content, data, taken, &sink, ended_out))
			taken++;
		else
			taken += take_line_text(content, data + taken, length - taken, &sink);
	}
	if (lent_out != NULL && sink.run.length >= CONTENT_LENT_MIN)
		*lent_out = sink.run;
	else
		keep_run(&sink);
	*kept_out = sink.kept;
	return taken;
}

void
content_finish(struct content *content, struct buffer *out)
{
	struct sink sink = { out, { NULL, 0 }, true };

	if (content->position == CONTENT_AFTER_CR)
		note_flaw(content, CONTENT_BARE_CR_OR_LF);
	else if (content->position != CONTENT_LINE_START)
		end_line(content, &sink, "\r\n");
	keep_run(&sink);
}
