/* own_fields - see own_fields.h */
#include "smtpd/own_fields.h"

#include <string.h>
#include <strings.h>

#include "common/base/attributes.h"

/* The octets of a field that are not looked at yet. */
struct rest {
	const char *next;
	const char *end;
};

/* Where the value begins when the line begins a field of that name. A blank before the colon is obsolete, and read by
 * many. */
static const char *
value_of(const char *line, const char *end, const char *name)
{
	size_t length = strlen(name);
	const char *colon = line + length;

	if ((size_t)(end - line) <= length || strncasecmp(line, name, length) != 0)
		return NULL;
	while (colon < end && (*colon == ' ' || *colon == '\t'))
		colon++;
	return colon < end && *colon == ':' ? colon + 1 : NULL;
}

/* Behind a comment in parentheses, which may hold others. False when it does not end. */
static bool
skip_comment(struct rest *rest)
{
	unsigned depth = 0;

	do {
		if (rest->next == rest->end)
			return false;
		if (*rest->next == '(')
			depth++;
		else if (*rest->next == ')')
			depth--;
		else if (*rest->next == '\\' && ++rest->next == rest->end)
			return false;
		rest->next++;
	} while (depth > 0);
	return true;
}

/* Controls separate words for some readers. */
static bool
is_blank(char octet)
{
	return (unsigned char)octet <= ' ' || octet == 0x7f;
}

/* Behind blanks, folds and comments. */
static bool
skip_blanks(struct rest *rest)
{
	while (rest->next < rest->end) {
		if (*rest->next == '(') {
			if (!skip_comment(rest))
				return false;
		} else if (is_blank(*rest->next)) {
			rest->next++;
		} else {
			return true;
		}
	}
	return true;
}

/* Takes one octet of a word off; false at the word's end. That of a quoted word is its quote, or the end of everything. */
static bool
next_octet(struct rest *rest, bool quoted, char *octet_out)
{
	if (rest->next == rest->end)
		return false;
	*octet_out = *rest->next;
	if (quoted ? *octet_out == '"' : is_blank(*octet_out) || *octet_out == ';' || *octet_out == '(')
		return false;
	rest->next++;
	if (quoted && *octet_out == '\\' && rest->next < rest->end)
		*octet_out = *rest->next++;
	return true;
}

/* Whether the next word, quoted or not, is the name in any case; a last dot does not count. A quoted word without an end is. */
static bool
next_word_is(struct rest *rest, const char *name)
{
	bool quoted = *rest->next == '"', differs = false;
	size_t length = strlen(name), at = 0;
	char octet;

	for (rest->next += quoted; next_octet(rest, quoted, &octet);) {
		if (at == length && octet == '.')
			continue;
		differs = differs || at >= length || strncasecmp(&octet, &name[at], 1) != 0;
		at++;
	}
	return (quoted && rest->next == rest->end) || (!differs && at == length);
}

static bool
speaks_for(const char *value, const char *end, const char *authserv_id)
{
	struct rest rest = { value, end };

	/* Nothing, or nothing that can be read: nobody else can be meant. */
	if (!skip_blanks(&rest) || rest.next == rest.end || *rest.next == ';')
		return true;
	return next_word_is(&rest, authserv_id);
}

static const char *const tags[] = { "$DNSBLSite", "$DNSWLSite", "$SPFResult" };

/* Whether the line begins with the name and a colon, or with blanks that reach to the end of what is known of it. */
static bool
may_be(const char *line, size_t length, const char *name)
{
	size_t at = strlen(name);

	if (length <= at || strncasecmp(line, name, at) != 0)
		return false;
	while (at < length && (line[at] == ' ' || line[at] == '\t'))
		at++;
	return at == length || line[at] == ':';
}

bool
own_fields_may_begin(const char *line, size_t length)
{
	for (size_t i = 0; i < ARRAY_COUNT(tags); i++)
		if (may_be(line, length, tags[i]))
			return true;
	return may_be(line, length, "Authentication-Results");
}

static bool
is_ours(const char *field, const char *end, const char *authserv_id)
{
	const char *value;

	for (size_t i = 0; i < ARRAY_COUNT(tags); i++)
		if (value_of(field, end, tags[i]) != NULL)
			return true;
	value = value_of(field, end, "Authentication-Results");
	return value != NULL && speaks_for(value, end, authserv_id);
}

/* Behind the field that begins here: its line and those that continue it. */
static const char *
field_end(const char *field, const char *end)
{
	do {
		const char *line_end = memchr(field, '\n', (size_t)(end - field));

		if (line_end == NULL)
			return end;
		field = line_end + 1;
	} while (field < end && (*field == ' ' || *field == '\t'));
	return field;
}

size_t
own_fields_remove(struct buffer *data, size_t begin, size_t end, const char *authserv_id)
{
	char *to = data->data + begin;
	const char *from = to, *header_end = data->data + end;
	size_t removed;

	while (from < header_end) {
		const char *next = field_end(from, header_end);
		size_t length = (size_t)(next - from);

		if (!is_ours(from, next, authserv_id)) {
			memmove(to, from, length);
			to += length;
		}
		from = next;
	}
	removed = (size_t)(from - to);
	/* with what follows the header, and the NUL behind it */
	memmove(to, from, data->length - end + 1);
	data->length -= removed;
	return removed;
}
