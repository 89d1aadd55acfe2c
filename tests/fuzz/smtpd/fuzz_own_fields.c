/*
 * fuzz_own_fields - no field of ours is left in a header, and everything else stays byte for byte
 *
 * The first octet says how the rest is cut into packets. What is ours is told by a second reader, which first makes plain text of a
 * field and then looks at it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "smtpd/content.h"
#include "smtpd/own_fields.h"

#define OUR_NAME "hub.acme.com"
#define PREFIX "$DNSBLSite: ours, in front of what came\r\n"
#define PREFIX_LENGTH (sizeof(PREFIX) - 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
is_space(char octet)
{
	return (octet >= 0 && octet <= ' ') || octet == 0x7f;
}

/* The value without comments, trimmed in front. False when one does not end. */
static bool
make_plain(const char *value, size_t length, struct buffer *plain)
{
	size_t depth = 0, at = 0;

	for (; at < length && (depth > 0 || value[at] == '(' || is_space(value[at])); at++) {
		if (value[at] == '(')
			depth++;
		else if (depth > 0 && value[at] == ')')
			depth--;
		else if (depth > 0 && value[at] == '\\')
			at++;
	}
	if (depth > 0 || at > length)
		return false;
	buffer_append(plain, value + at, length - at);
	return true;
}

/* The first word, what is escaped made plain, dots at its end taken off. False: it does not end. */
static bool
first_word(const char *text, size_t length, struct buffer *word)
{
	bool quoted = length > 0 && text[0] == '"', ended = !quoted;

	for (size_t at = quoted; at < length; at++) {
		if (quoted && text[at] == '"') {
			ended = true;
			break;
		}
		if (!quoted && (is_space(text[at]) || text[at] == ';' || text[at] == '('))
			break;
		if (quoted && text[at] == '\\' && at + 1 < length)
			at++;
		buffer_append_byte(word, text[at]);
	}
	while (word->length > strlen(OUR_NAME) && word->data[word->length - 1] == '.')
		word->length--;
	return ended;
}

static bool
results_are_ours(const char *value, size_t length)
{
	struct buffer plain = BUFFER_INITIALIZER(0), word = BUFFER_INITIALIZER(0);
	bool ours = !make_plain(value, length, &plain) || plain.length == 0 || plain.data[0] == ';' ||
	    !first_word(plain.data, plain.length, &word) ||
	    (word.length == strlen(OUR_NAME) && strncasecmp(word.data, OUR_NAME, word.length) == 0);

	buffer_free(&plain);
	buffer_free(&word);
	return ours;
}

static bool
field_is_ours(const char *field, size_t length)
{
	static const char *const names[] = { "$DNSBLSite", "$DNSWLSite", "$SPFResult", "Authentication-Results" };
	const char *colon = memchr(field, ':', length);
	size_t name = colon != NULL ? (size_t)(colon - field) : 0;

	while (name > 0 && (field[name - 1] == ' ' || field[name - 1] == '\t'))
		name--;
	for (size_t i = 0; i < 4; i++)
		if (name == strlen(names[i]) && strncasecmp(field, names[i], name) == 0)
			return i < 3 || results_are_ours(colon + 1, length - (size_t)(colon + 1 - field));
	return false;
}

/* What must be left of the header. */
static void
clean(const char *header, size_t length, struct buffer *left)
{
	size_t at = 0;

	while (at < length) {
		size_t end = at;

		do {
			const char *line_end = memchr(header + end, '\n', length - end);

			end = line_end != NULL ? (size_t)(line_end - header) + 1 : length;
		} while (end < length && (header[end] == ' ' || header[end] == '\t'));
		if (!field_is_ours(header + at, end - at))
			buffer_append(left, header + at, end - at);
		at = end;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer kept = BUFFER_INITIALIZER(0), left = BUFFER_INITIALIZER(0);
	struct content content;
	size_t piece, removed, end;
	bool ended, all_kept;

	if (size < 1)
		return 0;
	piece = (size_t)data[0] + 1;
	content_init(&content, false, 65536);
	buffer_append_string(&kept, PREFIX);
	for (size_t at = 1; at < size; at += piece)
		content_take(&content, (const char *)data + at, size - at < piece ? size - at : piece, &kept, NULL, &ended, &all_kept);
	content_finish(&content, &kept);
	if (content.flaw == CONTENT_FLAWLESS) {
		end = content.in_header ? kept.length : PREFIX_LENGTH + (size_t)content.header_end;
		buffer_append_string(&left, PREFIX);
		clean(kept.data + PREFIX_LENGTH, end - PREFIX_LENGTH, &left);
		if (!content.has_own_fields && left.length != end)
			abort();
		buffer_append(&left, kept.data + end, kept.length - end);
		removed = own_fields_remove(&kept, PREFIX_LENGTH, end, OUR_NAME);
		if (kept.length != left.length || memcmp(kept.data, left.data, left.length) != 0)
			abort();
		if (own_fields_remove(&kept, PREFIX_LENGTH, end - removed, OUR_NAME) != 0)
			abort();
	}
	buffer_free(&kept);
	buffer_free(&left);
	return 0;
}
