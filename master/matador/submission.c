/* submission - see submission.h */
#include "master/matador/submission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

void
submission_init(struct submission *submission)
{
	*submission = (struct submission){ .message = BUFFER_INITIALIZER(0) };
}

void
submission_free(struct submission *submission)
{
	for (size_t i = 0; i < submission->recipient_count; i++)
		free(submission->recipients[i]);
	free(submission->recipients);
	buffer_free(&submission->message);
	submission_init(submission);
}

/* ---- reading ---- */

/* The next line of the input without its end; returns what follows it, or NULL at the end. */
static const char *
next_line(const char *data, const char *end, const char **line_end_out)
{
	const char *newline;

	if (data == end)
		return NULL;
	newline = memchr(data, '\n', (size_t)(end - data));
	*line_end_out = newline == NULL ? end : newline;
	if (*line_end_out > data && (*line_end_out)[-1] == '\r')
		(*line_end_out)--;
	return newline == NULL ? end : newline + 1;
}

static void
append_line(struct submission *submission, const char *line, size_t length)
{
	char *room = buffer_reserve(&submission->message, length + 2);

	for (size_t i = 0; i < length; i++) {
		room[i] = line[i] == '\r' ? ' ' : line[i];
		submission->eight_bit = submission->eight_bit || (line[i] & 0x80) != 0;
	}
	memcpy(room + length, "\r\n", 2);
	buffer_commit(&submission->message, length + 2);
}

/* "Name:" at the start of a line: the length of the name, or 0. */
static size_t
field_name_length(const char *line, size_t length)
{
	size_t name = 0, blanks;

	while (name < length && line[name] > ' ' && line[name] < 127 && line[name] != ':')
		name++;
	blanks = name;
	while (blanks < length && (line[blanks] == ' ' || line[blanks] == '\t'))
		blanks++;
	return name > 0 && blanks < length && line[blanks] == ':' ? name : 0;
}

static bool
continues_field(const char *line, size_t length)
{
	return length > 0 && (line[0] == ' ' || line[0] == '\t');
}

int
submission_read(struct submission *submission, const char *data, size_t length, bool dot_ends, struct error *error)
{
	const char *end = data + length, *next, *line_end;
	bool in_header = true, first = true;

	if (memchr(data, '\0', length) != NULL)
		return error_set(error, ERROR_INVALID, "the message contains a NUL octet; mail cannot carry it");
	for (; (next = next_line(data, end, &line_end)) != NULL; data = next, first = false) {
		size_t line_length = (size_t)(line_end - data);

		if (dot_ends && line_length == 1 && data[0] == '.')
			break;
		if (first && line_length > 5 && memcmp(data, "From ", 5) == 0)
			continue;	/* the separator of a mail file */
		if (in_header && field_name_length(data, line_length) == 0 &&
		    (!continues_field(data, line_length) || submission->message.length == 0)) {
			in_header = false;
			submission->header_length = submission->message.length;
			submission->eight_bit_header = submission->eight_bit;
			if (line_length > 0)
				append_line(submission, "", 0);
		}
		append_line(submission, data, line_length);
	}
	if (in_header) {
		submission->header_length = submission->message.length;
		submission->eight_bit_header = submission->eight_bit;
		append_line(submission, "", 0);
	}
	return 0;
}

/* ---- addresses ---- */

struct address_reader {
	struct submission *submission;
	struct error *error;
	char address[1024];
	size_t length;
	bool in_angle;
	bool had_angle;
	bool blank_before;	/* a blank was skipped after something */
	bool gap;		/* two words without a dot or an at sign between them */
};

static void
reader_reset(struct address_reader *reader)
{
	reader->length = 0;
	reader->in_angle = reader->had_angle = reader->blank_before = reader->gap = false;
}

static bool
joins_words(char octet)
{
	return octet == '.' || octet == '@';
}

static int
reader_add(struct address_reader *reader, char octet)
{
	if (reader->had_angle && !reader->in_angle)
		return 0;	/* what follows "<...>" is a remark */
	if (reader->blank_before && reader->length > 0 && !joins_words(octet) &&
	    !joins_words(reader->address[reader->length - 1]))
		reader->gap = true;
	reader->blank_before = false;
	if (reader->length == sizeof(reader->address) - 1)
		return error_set(reader->error, ERROR_INVALID, "an address of more than %zu octets", reader->length);
	reader->address[reader->length++] = octet;
	return 0;
}

static int
reader_finish(struct address_reader *reader)
{
	struct submission *submission = reader->submission;

	reader->address[reader->length] = '\0';
	if (reader->gap)
		return error_set(reader->error, ERROR_INVALID, "\"%.200s\" is not an address", reader->address);
	if (reader->length > 0) {
		if (submission->recipient_count == SUBMISSION_RECIPIENTS_MAX)
			return error_set(reader->error, ERROR_LIMIT, "more than %d recipients", SUBMISSION_RECIPIENTS_MAX);
		submission->recipients = memory_resize(submission->recipients, submission->recipient_count + 1,
		    sizeof(*submission->recipients));
		submission->recipients[submission->recipient_count++] = memory_copy_string(reader->address);
	}
	reader_reset(reader);
	return 0;
}

/* A quoted string as it stands, or the rest of a comment, which nests. Returns what follows. */
static const char *
read_quoted(struct address_reader *reader, const char *next, int *status)
{
	*status = reader_add(reader, *next++);
	while (*next != '\0' && *status == 0) {
		char octet = *next++;

		*status = reader_add(reader, octet);
		if (octet == '\\' && *next != '\0' && *status == 0)
			*status = reader_add(reader, *next++);
		else if (octet == '"')
			break;
	}
	return next;
}

static const char *
skip_comment(const char *next)
{
	unsigned depth = 0;

	do {
		if (*next == '(')
			depth++;
		else if (*next == ')')
			depth--;
		else if (*next == '\\' && next[1] != '\0')
			next++;
		next++;
	} while (depth > 0 && *next != '\0');
	return next;
}

static int
read_special(struct address_reader *reader, char octet)
{
	switch (octet) {
	case '<':
		reader_reset(reader);
		reader->in_angle = reader->had_angle = true;
		return 0;
	case '>':
		reader->in_angle = false;
		return 0;
	case ',':
		return reader->in_angle ? reader_add(reader, octet) : reader_finish(reader);
	case ';':
		return reader_finish(reader);
	case ':':
		if (reader->in_angle)
			return reader_add(reader, octet);
		reader_reset(reader);	/* it was the name of a group */
		return 0;
	default:
		reader->blank_before = true;
		return 0;
	}
}

int
submission_add_recipients(struct submission *submission, const char *list, struct error *error)
{
	struct address_reader reader = { .submission = submission, .error = error };
	const char *next = list;
	int status = 0;

	reader_reset(&reader);
	while (*next != '\0' && status == 0) {
		if (*next == '"')
			next = read_quoted(&reader, next, &status);
		else if (*next == '(')
			next = skip_comment(next);
		else if (*next == '[' && reader.length > 0 && reader.address[reader.length - 1] == '@')
			/* an address literal holds colons */
			do
				status = reader_add(&reader, *next++);
			while (status == 0 && *next != '\0' && next[-1] != ']');
		else if (strchr("<>,;: \t\r\n", *next) != NULL)
			status = read_special(&reader, *next++);
		else
			status = reader_add(&reader, *next++);
	}
	return status == 0 ? reader_finish(&reader) : -1;
}

/* ---- the header ---- */

/* Calls each field of the header: its name's length and its octets with the line end. False stops. */
static bool
each_field(const struct submission *submission, bool (*callback)(void *context, const char *field, size_t name, size_t length),
    void *context)
{
	const char *field = submission->message.data, *end = field + submission->header_length;

	while (field < end) {
		const char *next = field;

		do
			next = (const char *)memchr(next, '\n', (size_t)(end - next)) + 1;
		while (next < end && continues_field(next, (size_t)(end - next)));
		if (!callback(context, field, field_name_length(field, (size_t)(next - field)), (size_t)(next - field)))
			return false;
		field = next;
	}
	return true;
}

static bool
is_named(const char *field, size_t length, const char *name)
{
	return strlen(name) == length && strncasecmp(field, name, length) == 0;
}

struct header_search {
	const char *name;
	bool found;
};

static bool
find_field(void *context, const char *field, size_t name, size_t length UNUSED)
{
	struct header_search *search = context;

	search->found = search->found || is_named(field, name, search->name);
	return !search->found;
}

static bool
has_field(const struct submission *submission, const char *name)
{
	struct header_search search = { .name = name };

	each_field(submission, find_field, &search);
	return search.found;
}

struct recipient_search {
	struct submission *submission;
	const char *const *names;
	struct error *error;
};

static bool
take_recipients(void *context, const char *field, size_t name, size_t length)
{
	struct recipient_search *search = context;
	bool taken = true;
	char *list;

	for (const char *const *wanted = search->names; *wanted != NULL; wanted++) {
		if (!is_named(field, name, *wanted))
			continue;
		list = memory_copy(field, length);
		taken = submission_add_recipients(search->submission, strchr(list, ':') + 1, search->error) == 0;
		if (!taken)
			error_prefix(search->error, "%s", *wanted);
		free(list);
	}
	return taken;
}

int
submission_add_header_recipients(struct submission *submission, struct error *error)
{
	static const char *const usual[] = { "To", "Cc", "Bcc", NULL };
	static const char *const again[] = { "Resent-To", "Resent-Cc", "Resent-Bcc", NULL };
	bool resent = has_field(submission, again[0]) || has_field(submission, again[1]) || has_field(submission, again[2]);
	struct recipient_search search = { .submission = submission, .names = resent ? again : usual, .error = error };

	return each_field(submission, take_recipients, &search) ? 0 : -1;
}

static bool
copy_field(void *context, const char *field, size_t name, size_t length)
{
	struct buffer *header = context;

	if (!is_named(field, name, "Bcc") && !is_named(field, name, "Resent-Bcc"))
		buffer_append(header, field, length);
	return true;
}

/* A display name as a quoted string. */
static void
append_phrase(struct buffer *header, const char *name)
{
	buffer_append_byte(header, '"');
	for (; *name != '\0'; name++) {
		if (*name == '"' || *name == '\\')
			buffer_append_byte(header, '\\');
		if ((unsigned char)*name >= ' ' && *name != 127)
			buffer_append_byte(header, *name);
	}
	buffer_append_string(header, "\" ");
}

static void
append_missing(const struct submission *submission, const struct submission_defaults *defaults, struct buffer *header)
{
	char date[40];

	if (!has_field(submission, "Date")) {
		clock_format_rfc5322(clock_wall_ms(), date);
		buffer_printf(header, "Date: %s\r\n", date);
	}
	if (!has_field(submission, "Message-ID"))
		buffer_printf(header, "Message-ID: <%llx.%08x%08x@%s>\r\n", (unsigned long long)clock_wall_ms(), arc4random(),
		    arc4random(), defaults->host);
	if (!has_field(submission, "From")) {
		buffer_append_string(header, "From: ");
		if (defaults->full_name[0] != '\0')
			append_phrase(header, defaults->full_name);
		buffer_printf(header, "<%s>\r\n", defaults->sender);
	}
}

void
submission_complete(struct submission *submission, const struct submission_defaults *defaults)
{
	struct buffer message = BUFFER_INITIALIZER(0);

	append_missing(submission, defaults, &message);
	each_field(submission, copy_field, &message);
	buffer_append(&message, submission->message.data + submission->header_length,
	    submission->message.length - submission->header_length);
	submission->header_length += message.length - submission->message.length;
	buffer_free(&submission->message);
	submission->message = message;
}

void
submission_stuff(const struct submission *submission, struct buffer *out)
{
	const char *line = submission->message.data, *end = line + submission->message.length;

	while (line < end) {
		const char *next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;

		if (*line == '.')
			buffer_append_byte(out, '.');
		buffer_append(out, line, (size_t)(next - line));
		line = next;
	}
	buffer_append_string(out, ".\r\n");
}
