/*
 * fuzz_own_fields - no field of ours is left in a header, and everything else stays byte for byte
 *
 * The first octet says how the rest is cut into packets, and whether the limit of headers is small. What is ours is told by a second reader, which first makes plain text of a
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

/* The first word, what is escaped made plain, and what follows it. False: it does not end. */
static bool
first_word(const char *text, size_t length, bool is_key, struct buffer *word, const char **rest)
{
	bool quoted = length > 0 && text[0] == '"', ended = !quoted;
	size_t at = quoted;

	for (; at < length; at++) {
		if (quoted && text[at] == '"') {
			ended = true;
			break;
		}
		if (!quoted && (is_space(text[at]) || text[at] == ';' || text[at] == '(' || (is_key && text[at] == '=')))
			break;
		if (quoted && text[at] == '\\' && at + 1 < length)
			at++;
		buffer_append_byte(word, text[at]);
	}
	*rest = text + at + (quoted && ended);
	return ended;
}

/* Dots at its end do not count. */
static bool
is_word(const struct buffer *word, const char *name)
{
	size_t length = word->length;

	while (length > strlen(name) && word->data[length - 1] == '.')
		length--;
	return length == strlen(name) && strncasecmp(word->data, name, length) == 0;
}

static bool
results_are_ours(const char *value, size_t length)
{
	struct buffer plain = BUFFER_INITIALIZER(0), word = BUFFER_INITIALIZER(0);
	const char *rest;
	bool ours = !make_plain(value, length, &plain) || plain.length == 0 ||
	    !first_word(plain.data, plain.length, false, &word, &rest) || word.length == 0 || is_word(&word, OUR_NAME);

	buffer_free(&plain);
	buffer_free(&word);
	return ours;
}

/* What one turn takes off Received-SPF: a ; or =, a word, or a key and its value. */
struct turn {
	bool is_unreadable, is_receiver, is_ours;
	size_t left;
};

static struct turn
take_turn(const char *value, size_t length)
{
	struct buffer plain = BUFFER_INITIALIZER(0), key = BUFFER_INITIALIZER(0), after = BUFFER_INITIALIZER(0),
	    told = BUFFER_INITIALIZER(0), word = BUFFER_INITIALIZER(0);
	struct turn turn = { .is_unreadable = true };
	const char *rest;

	if (!make_plain(value, length, &plain))
		goto end;
	turn.left = plain.length;
	turn.is_unreadable = false;
	if (plain.length == 0)
		goto end;
	turn.left--;
	if (plain.data[0] == ';' || plain.data[0] == '=')
		goto end;
	turn.is_unreadable = !first_word(plain.data, plain.length, true, &key, &rest) ||
	    !make_plain(rest, plain.length - (size_t)(rest - plain.data), &after);
	turn.left = after.length;
	if (turn.is_unreadable || after.length == 0 || after.data[0] != '=')
		goto end;
	turn.is_receiver = is_word(&key, "receiver");
	turn.is_unreadable = !make_plain(after.data + 1, after.length - 1, &told) ||
	    !first_word(buffer_text(&told), told.length, false, &word, &rest);
	turn.is_ours = word.length == 0 || is_word(&word, OUR_NAME);
	turn.left = told.length - (size_t)(rest - buffer_text(&told));
end:
	buffer_free(&plain);
	buffer_free(&key);
	buffer_free(&after);
	buffer_free(&told);
	buffer_free(&word);
	return turn;
}

static bool
spf_is_ours(const char *value, size_t length)
{
	bool has_receiver = false;

	/* Each turn leaves an end of the value. */
	while (length > 0) {
		struct turn turn = take_turn(value, length);

		if (turn.is_unreadable || (turn.is_receiver && turn.is_ours))
			return true;
		has_receiver = has_receiver || turn.is_receiver;
		value += length - turn.left;
		length = turn.left;
	}
	return !has_receiver;
}

static bool
field_is_ours(const char *field, size_t length)
{
	static const char *const names[] = { "$DNSBLSite", "$DNSWLSite", "$SPFResult", "Authentication-Results",
		"Received-SPF" };
	const char *colon = memchr(field, ':', length);
	size_t name = colon != NULL ? (size_t)(colon - field) : 0;

	while (name > 0 && is_space(field[name - 1]))
		name--;
	for (size_t i = 0; i < 5; i++)
		if (name == strlen(names[i]) && strncasecmp(field, names[i], name) == 0)
			return i < 3 || (i == 3 ? results_are_ours : spf_is_ours)(colon + 1, length - (size_t)(colon + 1 - field));
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
	content_init(&content, false, data[0] % 2 == 0 ? 65536 : 300);
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
