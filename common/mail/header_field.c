/* header_field - see header_field.h */
#include "common/mail/header_field.h"

#include <string.h>
#include <strings.h>

#define FOLD_AT 78

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The length of the line at text, and how many octets lead to the next one. */
static size_t
line_length(const char *text, size_t length, size_t *step_out)
{
	const char *end = memchr(text, '\n', length);
	size_t line;

	if (end == NULL) {
		*step_out = length;
		return length;
	}
	line = (size_t)(end - text);
	*step_out = line + 1;
	return line > 0 && text[line - 1] == '\r' ? line - 1 : line;
}

bool
header_field_next(const char *header, size_t length, size_t *offset, struct header_field *field_out)
{
	const char *start = header + *offset, *colon;
	size_t left = length - *offset, step, line = line_length(start, left, &step), end, at;

	colon = memchr(start, ':', line);
	if (colon == NULL || colon == start)
		return false;
	for (const char *c = start; c < colon; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	end = line;
	at = step;
	while (at < left && is_blank(start[at])) {
		end = at + line_length(start + at, left - at, &step);
		at += step;
	}
	field_out->name = start;
	field_out->name_length = (size_t)(colon - start);
	field_out->value = colon + 1;
	field_out->value_length = end - field_out->name_length - 1;
	*offset += at;
	return true;
}

bool
header_field_is(const struct header_field *field, const char *name)
{
	return strlen(name) == field->name_length && strncasecmp(field->name, name, field->name_length) == 0;
}

void
header_field_text(const struct header_field *field, char *text, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < field->value_length && length + 1 < size; i++) {
		char c = field->value[i];

		if (c == '\n' || (c == '\r' && i + 1 < field->value_length && field->value[i + 1] == '\n'))
			continue;
		if (c == '\t')
			c = ' ';
		if (length == 0 && c == ' ')
			continue;
		text[length++] = (unsigned char)c < ' ' || c == 127 ? '?' : c;
	}
	while (length > 0 && text[length - 1] == ' ')
		length--;
	text[length] = '\0';
}

bool
header_field_find(const char *header, size_t length, const char *name, struct header_field *field_out)
{
	size_t offset = 0;

	while (header_field_next(header, length, &offset, field_out))
		if (header_field_is(field_out, name))
			return true;
	return false;
}

/* Appends one word, its controls made harmless. */
static bool
append_word(struct buffer *out, const char *word, size_t length)
{
	char *room = buffer_reserve(out, length);

	if (room == NULL)
		return false;
	for (size_t i = 0; i < length; i++)
		room[i] = (unsigned char)word[i] < ' ' || word[i] == 127 ? '?' : word[i];
	buffer_commit(out, length);
	return true;
}

bool
header_field_append(struct buffer *out, const char *name, const char *value)
{
	size_t column = strlen(name) + 1;

	if (!buffer_append_string(out, name) || !buffer_append_byte(out, ':'))
		return false;
	while (*value != '\0') {
		size_t word, used;

		value += strspn(value, " \t");
		word = strcspn(value, " \t");
		used = word < HEADER_LINE_MAX - 1 ? word : HEADER_LINE_MAX - 1;
		if (word == 0)
			break;
		/*
		 * The first word of a folded line stands behind one blank; the first of all stays with its name if
		 * it can.
		 */
		if (column + 1 + used > FOLD_AT && (column > strlen(name) + 1 ||
		    column + 1 + used > HEADER_LINE_MAX)) {
			if (!buffer_append_string(out, "\r\n"))
				return false;
			column = 0;
		}
		if (!buffer_append_byte(out, ' ') || !append_word(out, value, used))
			return false;
		column += 1 + used;
		value += word;
	}
	return buffer_append_string(out, "\r\n");
}
