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

/* Controls separate words for some readers. */
static bool
is_blank(char octet)
{
	return (unsigned char)octet <= ' ' || octet == 0x7f;
}

/*
 * Where the value begins when a field has that name. Blanks before the colon are obsolete, and read by many; some
 * look for it in the lines that continue the first one as well.
 */
static const char *
value_of(const char *field, const char *end, const char *name)
{
	size_t length = strlen(name);
	const char *colon = field + length;

	if ((size_t)(end - field) <= length || strncasecmp(field, name, length) != 0)
		return NULL;
	while (colon < end && is_blank(*colon))
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

/* What ends a word that is not quoted, besides a blank. */
#define ENDS_OF_VALUE ";("
#define ENDS_OF_KEY ";(="

/* Takes one octet of a word off; false at the word's end. That of a quoted word is its quote, or the end of everything. */
static bool
next_octet(struct rest *rest, bool quoted, const char *ends, char *octet_out)
{
	if (rest->next == rest->end)
		return false;
	*octet_out = *rest->next;
	if (quoted ? *octet_out == '"' : is_blank(*octet_out) || strchr(ends, *octet_out) != NULL)
		return false;
	rest->next++;
	if (quoted && *octet_out == '\\' && rest->next < rest->end)
		*octet_out = *rest->next++;
	return true;
}

enum word { WORD_IS_NAME, WORD_IS_ANOTHER, WORD_IS_EMPTY, WORD_HAS_NO_END };

/* Takes a word off, quoted or not, and compares it with a name: in any case, and the word's last dot does not count. */
static enum word
take_word(struct rest *rest, const char *ends, const char *name)
{
	bool quoted = rest->next < rest->end && *rest->next == '"', differs = false;
	size_t length = strlen(name), at = 0;
	char octet;

	for (rest->next += quoted; next_octet(rest, quoted, ends, &octet);) {
		if (at == length && octet == '.')
			continue;
		differs = differs || at >= length || strncasecmp(&octet, &name[at], 1) != 0;
		at++;
	}
	if (quoted && rest->next == rest->end)
		return WORD_HAS_NO_END;
	rest->next += quoted;
	return at == 0 ? WORD_IS_EMPTY : differs || at < length ? WORD_IS_ANOTHER : WORD_IS_NAME;
}

/* Authentication-Results: the first word says whose they are. */
static bool
results_are_ours(const char *value, const char *end, const char *host_name)
{
	struct rest rest = { value, end };

	return !skip_blanks(&rest) || take_word(&rest, ENDS_OF_VALUE, host_name) != WORD_IS_ANOTHER;
}

/* Takes a word of Received-SPF off, with the value when it is a key. False when this makes the field ours. */
static bool
take_spf_word(struct rest *rest, const char *host_name, bool *has_receiver)
{
	enum word key = take_word(rest, ENDS_OF_KEY, "receiver"), value;

	if (key == WORD_HAS_NO_END || !skip_blanks(rest))
		return false;
	if (rest->next == rest->end || *rest->next != '=')
		return true;
	rest->next++;
	if (!skip_blanks(rest))
		return false;
	value = take_word(rest, ENDS_OF_VALUE, host_name);
	if (key == WORD_IS_NAME)
		*has_receiver = true;
	return value != WORD_HAS_NO_END && (key != WORD_IS_NAME || value == WORD_IS_ANOTHER);
}

/* Received-SPF: receiver= says whose it is, which may stand anywhere in it. */
static bool
spf_is_ours(const char *value, const char *end, const char *host_name)
{
	struct rest rest = { value, end };
	bool has_receiver = false;

	while (skip_blanks(&rest)) {
		if (rest.next == rest.end)
			return !has_receiver;
		if (*rest.next == ';' || *rest.next == '=')
			rest.next++;
		else if (!take_spf_word(&rest, host_name, &has_receiver))
			return true;
	}
	return true;
}

static const char *const tags[] = { "$DNSBLSite", "$DNSWLSite", "$SPFResult" };

#define RESULTS "Authentication-Results"
#define SPF "Received-SPF"

/* Whether the line begins with the name and a colon, or with blanks that reach to the end of what is known of it. */
static bool
may_be(const char *line, size_t length, const char *name)
{
	size_t at = strlen(name);

	if (length < at || strncasecmp(line, name, at) != 0)
		return false;
	while (at < length && is_blank(line[at]))
		at++;
	return at == length || line[at] == ':';
}

bool
own_fields_may_begin(const char *line, size_t length)
{
	for (size_t i = 0; i < ARRAY_COUNT(tags); i++)
		if (may_be(line, length, tags[i]))
			return true;
	return may_be(line, length, RESULTS) || may_be(line, length, SPF);
}

static bool
is_ours(const char *field, const char *end, const char *host_name)
{
	const char *value;

	for (size_t i = 0; i < ARRAY_COUNT(tags); i++)
		if (value_of(field, end, tags[i]) != NULL)
			return true;
	if ((value = value_of(field, end, RESULTS)) != NULL)
		return results_are_ours(value, end, host_name);
	return (value = value_of(field, end, SPF)) != NULL && spf_is_ours(value, end, host_name);
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
own_fields_remove(struct buffer *data, size_t begin, size_t end, const char *host_name)
{
	char *to = data->data + begin;
	const char *from = to, *header_end = data->data + end;
	size_t removed;

	while (from < header_end) {
		const char *next = field_end(from, header_end);
		size_t length = (size_t)(next - from);

		if (!is_ours(from, next, host_name)) {
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
