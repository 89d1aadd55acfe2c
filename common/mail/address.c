/* address - see address.h */
#include "common/mail/address.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define LABEL_MAX 63
#define ACE_PREFIX "xn--"
#define ACE_PREFIX_LENGTH 4
#define LITERAL_MAX 54	/* "[IPv6:" and an address and "]" */

/* What is left to read: text is never passed beyond end. */
struct cursor {
	const char *next;
	const char *end;
	bool allow_utf8;
	bool saw_utf8;
};

static bool
at(const struct cursor *cursor, char wanted)
{
	return cursor->next < cursor->end && *cursor->next == wanted;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter_or_digit(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_atext(char c)
{
	return is_letter_or_digit(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/*
 * The length of the UTF-8 character at text and its code point, or 0 when it is not one: overlong forms,
 * surrogates, code points beyond Unicode, noncharacters and C1 controls are none.
 */
static size_t
utf8_character(const char *text, size_t length, uint32_t *code_point_out)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = (uint8_t)*text;
	size_t size = first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 :
	    first >= 0xc2 && first < 0xe0 ? 2 : 0;
	uint32_t code_point;

	if (size == 0 || size > length)
		return 0;
	code_point = first & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		if (((uint8_t)text[i] & 0xc0) != 0x80)
			return 0;
		code_point = code_point << 6 | ((uint8_t)text[i] & 0x3f);
	}
	if (code_point < smallest[size] || code_point < 0xa0 || code_point > 0x10ffff ||
	    (code_point >= 0xd800 && code_point <= 0xdfff) || (code_point & 0xfffe) == 0xfffe)
		return 0;
	*code_point_out = code_point;
	return size;
}

/* Steps over one non-ASCII character. False when it is not allowed or not valid. */
static bool
take_utf8(struct cursor *cursor, struct error *error)
{
	uint32_t code_point;
	size_t size;

	if (!cursor->allow_utf8) {
		error_set(error, ERROR_INVALID, "Non-ASCII address needs SMTPUTF8");
		return false;
	}
	size = utf8_character(cursor->next, (size_t)(cursor->end - cursor->next), &code_point);
	if (size == 0) {
		error_set(error, ERROR_INVALID, "Invalid UTF-8 in address");
		return false;
	}
	cursor->next += size;
	cursor->saw_utf8 = true;
	return true;
}

static int
parse_dot_string(struct cursor *cursor, struct address *address, struct error *error)
{
	const char *start = cursor->next;
	bool atom_began = false;
	size_t length;

	while (cursor->next < cursor->end) {
		char c = *cursor->next;

		if (c == '.') {
			if (!atom_began)
				return error_set(error, ERROR_INVALID, "Misplaced dot in local part");
			atom_began = false;
			cursor->next++;
			continue;
		}
		if ((unsigned char)c >= 0x80) {
			if (!take_utf8(cursor, error))
				return -1;
		} else if (is_atext(c)) {
			cursor->next++;
		} else {
			break;
		}
		atom_began = true;
	}
	length = (size_t)(cursor->next - start);
	if (length > ADDRESS_LOCAL_PART_MAX)
		return error_set(error, ERROR_INVALID, "Local part is too long");
	if (!atom_began)
		return error_set(error, ERROR_INVALID, length == 0 ? "Local part is missing or malformed" :
		    "Misplaced dot in local part");
	memcpy(address->local_part, start, length);
	address->local_part[length] = '\0';
	return 0;
}

static int
parse_quoted_string(struct cursor *cursor, struct address *address, struct error *error)
{
	const char *start = cursor->next++;
	size_t length = 0;

	while (!at(cursor, '"')) {
		const char *from = cursor->next;
		size_t size;

		if (from == cursor->end)
			return error_set(error, ERROR_INVALID, "Quoted local part has no end");
		if (from - start >= ADDRESS_LOCAL_PART_MAX)
			return error_set(error, ERROR_INVALID, "Local part is too long");
		if ((unsigned char)*from >= 0x80) {
			if (!take_utf8(cursor, error))
				return -1;
		} else {
			if (*from == '\\' && ++from == cursor->end)
				return error_set(error, ERROR_INVALID, "Quoted local part has no end");
			if (*from < 32 || *from > 126)
				return error_set(error, ERROR_INVALID, "Illegal character in quoted local part");
			cursor->next = from + 1;
		}
		size = (size_t)(cursor->next - from);
		if (length + size > ADDRESS_LOCAL_PART_MAX)
			return error_set(error, ERROR_INVALID, "Local part is too long");
		memcpy(address->local_part + length, from, size);
		length += size;
	}
	cursor->next++;
	if (cursor->next - start > ADDRESS_LOCAL_PART_MAX)
		return error_set(error, ERROR_INVALID, "Local part is too long");
	address->local_part[length] = '\0';
	return 0;
}

/* RFC 3492: the value of a punycode digit, or 36. */
static uint32_t
punycode_digit(char c)
{
	c = lower(c);
	return is_digit(c) ? (uint32_t)(c - '0') + 26 : c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a') : 36;
}

static uint32_t
punycode_adapt(uint32_t delta, uint32_t count, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / 700 : delta / 2;
	for (delta += delta / count; delta > 455; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

/*
 * Whether the part of a label behind "xn--" decodes (RFC 3492) into at least one non-ASCII code point of Unicode.
 * Only the values are followed; where they would be inserted does not matter here.
 */
static bool
punycode_is_valid(const char *text, size_t length)
{
	const char *delimiter = memrchr(text, '-', length);
	uint32_t count = delimiter == NULL ? 0 : (uint32_t)(delimiter - text), n = 128, i = 0, bias = 72;
	size_t position = delimiter == NULL ? 0 : (size_t)(delimiter - text) + 1;
	bool first = true;

	if (position == length || (delimiter != NULL && count == 0))
		return false;
	while (position < length) {
		uint32_t before = i, weight = 1;

		for (uint32_t k = 36;; k += 36) {
			uint32_t digit, threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias, step;

			if (position == length || (digit = punycode_digit(text[position++])) == 36)
				return false;
			if (__builtin_mul_overflow(digit, weight, &step) || __builtin_add_overflow(i, step, &i))
				return false;
			if (digit < threshold)
				break;
			if (__builtin_mul_overflow(weight, 36 - threshold, &weight))
				return false;
		}
		count++;
		bias = punycode_adapt(i - before, count, first);
		first = false;
		if (__builtin_add_overflow(n, i / count, &n) || n > 0x10ffff || n < 0xa0 ||
		    (n >= 0xd800 && n <= 0xdfff))
			return false;
		i = i % count + 1;
	}
	return true;
}

/*
 * One label of a host name, whose octets are known to be letters, digits, hyphens and (when has_utf8) valid UTF-8.
 */
static bool
label_is_valid(const char *label, size_t length, bool has_utf8)
{
	size_t characters = 0;

	for (size_t i = 0; i < length; i++)
		characters += ((uint8_t)label[i] & 0xc0) != 0x80;
	if (length == 0 || label[0] == '-' || label[length - 1] == '-')
		return false;
	/* An A-label of 63 octets holds at most 59 characters. */
	if (has_utf8)
		return characters <= LABEL_MAX - ACE_PREFIX_LENGTH;
	if (length > LABEL_MAX)
		return false;
	if (length >= ACE_PREFIX_LENGTH && strncasecmp(label, ACE_PREFIX, ACE_PREFIX_LENGTH) == 0)
		return punycode_is_valid(label + ACE_PREFIX_LENGTH, length - ACE_PREFIX_LENGTH);
	return true;
}

/* U+3002, U+FF0E and U+FF61 are dots to IDNA: as part of a label they would hide one. */
static bool
is_hidden_dot(const char *text, size_t size)
{
	return size == 3 && (memcmp(text, "\xe3\x80\x82", 3) == 0 || memcmp(text, "\xef\xbc\x8e", 3) == 0 ||
	    memcmp(text, "\xef\xbd\xa1", 3) == 0);
}

/* Steps over one label, up to a dot or the first octet that no label has. */
static int
parse_label(struct cursor *cursor, bool *numeric_out, struct error *error)
{
	const char *start = cursor->next;
	bool has_utf8 = false;

	*numeric_out = true;
	while (cursor->next < cursor->end) {
		const char *from = cursor->next;

		if ((unsigned char)*from >= 0x80) {
			if (!take_utf8(cursor, error))
				return -1;
			if (is_hidden_dot(from, (size_t)(cursor->next - from)))
				return error_set(error, ERROR_INVALID, "Malformed domain");
			has_utf8 = true;
			*numeric_out = false;
		} else if (is_letter_or_digit(*from) || *from == '-') {
			cursor->next++;
			*numeric_out = *numeric_out && is_digit(*from);
		} else {
			break;
		}
	}
	if (!label_is_valid(start, (size_t)(cursor->next - start), has_utf8))
		return error_set(error, ERROR_INVALID, "Malformed domain");
	return 0;
}

static int
parse_domain(struct cursor *cursor, char domain[static ADDRESS_DOMAIN_MAX + 1], struct error *error)
{
	const char *start = cursor->next;
	bool numeric;
	size_t length;

	for (;;) {
		if (parse_label(cursor, &numeric, error) != 0)
			return -1;
		if (!at(cursor, '.'))
			break;
		cursor->next++;
	}
	length = (size_t)(cursor->next - start);
	if (length > ADDRESS_DOMAIN_MAX)
		return error_set(error, ERROR_INVALID, "Domain is too long");
	/* RFC 1123 2.1: the last label tells a name from an address without brackets. */
	if (numeric)
		return error_set(error, ERROR_INVALID, "Malformed domain");
	for (size_t i = 0; i < length; i++)
		domain[i] = lower(start[i]);
	domain[length] = '\0';
	return 0;
}

/* Writes the literal in its one canonical form, so that equal addresses are equal texts. */
static bool
canonical_literal(const char *literal, size_t length, char out[static ADDRESS_DOMAIN_MAX + 1])
{
	static const char tag[] = "IPv6:";
	char inside[LITERAL_MAX + 1], text[INET6_ADDRSTRLEN];
	unsigned char octets[16];
	bool is_ipv6;
	const char *number;

	if (length < 2 || length > LITERAL_MAX || literal[0] != '[' || literal[length - 1] != ']' ||
	    memchr(literal, '\0', length) != NULL)
		return false;
	memcpy(inside, literal + 1, length - 2);
	inside[length - 2] = '\0';
	is_ipv6 = strncasecmp(inside, tag, sizeof(tag) - 1) == 0;
	number = is_ipv6 ? inside + sizeof(tag) - 1 : inside;
	if (inet_pton(is_ipv6 ? AF_INET6 : AF_INET, number, octets) != 1 ||
	    inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, octets, text, sizeof(text)) == NULL)
		return false;
	stpcpy(stpcpy(stpcpy(stpcpy(out, "["), is_ipv6 ? tag : ""), text), "]");
	return true;
}

static int
parse_literal(struct cursor *cursor, struct address *address, struct error *error)
{
	size_t left = (size_t)(cursor->end - cursor->next);
	const char *close = memchr(cursor->next, ']', left < LITERAL_MAX ? left : LITERAL_MAX);

	if (close == NULL ||
	    !canonical_literal(cursor->next, (size_t)(close - cursor->next) + 1, address->domain))
		return error_set(error, ERROR_INVALID, "Malformed address literal");
	cursor->next = close + 1;
	address->is_literal = true;
	return 0;
}

static bool
is_dot_string(const char *local_part)
{
	char before = '.';

	for (const char *c = local_part; *c != '\0'; c++) {
		if (*c == '.' ? before == '.' : (unsigned char)*c < 0x80 && !is_atext(*c))
			return false;
		before = *c;
	}
	return before != '.';
}

static void
write_text(struct address *address)
{
	char *to = address->text;

	if (is_dot_string(address->local_part)) {
		to = stpcpy(to, address->local_part);
	} else {
		*to++ = '"';
		for (const char *c = address->local_part; *c != '\0'; c++) {
			if (*c == '"' || *c == '\\')
				*to++ = '\\';
			*to++ = *c;
		}
		*to++ = '"';
	}
	if (address->domain[0] != '\0') {
		*to++ = '@';
		to = stpcpy(to, address->domain);
	}
	*to = '\0';
}

static int
parse_mailbox(struct cursor *cursor, unsigned flags, struct address *address, struct error *error)
{
	bool quoted = at(cursor, '"');

	if ((quoted ? parse_quoted_string : parse_dot_string)(cursor, address, error) != 0)
		return -1;
	if (at(cursor, '@')) {
		cursor->next++;
		if (at(cursor, '[') ? parse_literal(cursor, address, error) != 0 :
		    parse_domain(cursor, address->domain, error) != 0)
			return -1;
	} else if (!(flags & ADDRESS_ALLOW_BARE_POSTMASTER) || quoted ||
	    strcasecmp(address->local_part, "postmaster") != 0) {
		return error_set(error, ERROR_INVALID, cursor->next == cursor->end || *cursor->next == '>' ?
		    "Address has no domain" : "Illegal character in local part");
	}
	address->has_utf8 = cursor->saw_utf8;
	write_text(address);
	return 0;
}

/* "@a,@b:" in front of a mailbox: every part must be a domain, none is used. */
static int
skip_source_route(struct cursor *cursor, struct address *address, struct error *error)
{
	char ignored[ADDRESS_DOMAIN_MAX + 1];

	if (!at(cursor, '@'))
		return 0;
	while (at(cursor, '@')) {
		cursor->next++;
		if (parse_domain(cursor, ignored, error) != 0)
			return error_set(error, ERROR_INVALID, "Malformed source route");
		if (at(cursor, ':')) {
			cursor->next++;
			address->had_source_route = true;
			return 0;
		}
		if (!at(cursor, ','))
			break;
		cursor->next++;
	}
	return error_set(error, ERROR_INVALID, "Malformed source route");
}

static struct cursor
cursor_over(const char *text, size_t length, unsigned flags, struct address *address)
{
	memset(address, 0, sizeof(*address));
	if (length > ADDRESS_PATH_MAX)
		length = ADDRESS_PATH_MAX;
	return (struct cursor){ text, text + length, (flags & ADDRESS_ALLOW_UTF8) != 0, false };
}

int
address_parse_path(const char *text, size_t length, unsigned flags, struct address *address_out,
    size_t *consumed_out, struct error *error)
{
	struct cursor cursor = cursor_over(text, length, flags, address_out);

	*consumed_out = 0;
	if (!at(&cursor, '<'))
		return error_set(error, ERROR_INVALID, "Address must stand in angle brackets");
	cursor.next++;
	if (!(at(&cursor, '>') && (flags & ADDRESS_ALLOW_NULL)) &&
	    (skip_source_route(&cursor, address_out, error) != 0 ||
	    parse_mailbox(&cursor, flags, address_out, error) != 0))
		goto refused;
	if (!at(&cursor, '>')) {
		error_set(error, ERROR_INVALID, "Malformed address");
		goto refused;
	}
	*consumed_out = (size_t)(cursor.next + 1 - text);
	return 0;
refused:
	memset(address_out, 0, sizeof(*address_out));
	return -1;
}

int
address_parse(const char *text, size_t length, unsigned flags, struct address *address_out, struct error *error)
{
	struct cursor cursor = cursor_over(text, length, flags, address_out);

	if (length == 0 && (flags & ADDRESS_ALLOW_NULL))
		return 0;
	if (parse_mailbox(&cursor, flags, address_out, error) != 0)
		goto refused;
	if (cursor.next != text + length) {
		error_set(error, ERROR_INVALID, "Malformed address");
		goto refused;
	}
	return 0;
refused:
	memset(address_out, 0, sizeof(*address_out));
	return -1;
}

int
address_make(const char *local_part, const char *domain, unsigned flags, struct address *address_out,
    struct error *error)
{
	char written[2 * ADDRESS_LOCAL_PART_MAX + ADDRESS_DOMAIN_MAX + 4], *to = written;

	memset(address_out, 0, sizeof(*address_out));
	if (strlen(local_part) > ADDRESS_LOCAL_PART_MAX || strlen(domain) > ADDRESS_DOMAIN_MAX)
		return error_set(error, ERROR_INVALID, "Address is too long");
	if (local_part[0] == '\0')
		return error_set(error, ERROR_INVALID, "Local part is empty");
	*to++ = '"';
	for (; *local_part != '\0'; local_part++) {
		if (*local_part == '"' || *local_part == '\\')
			*to++ = '\\';
		*to++ = *local_part;
	}
	to = stpcpy(to, "\"@");
	stpcpy(to, domain);
	return address_parse(written, strlen(written), flags, address_out, error);
}

/* Behind the closing quote of text, which begins with one; NULL when there is none. */
static const char *
behind_quotes(const char *text)
{
	const char *c = text + 1;

	while (*c != '\0' && *c != '"')
		c += c[0] == '\\' && c[1] != '\0' ? 2 : 1;
	return *c == '"' ? c + 1 : NULL;
}

bool
address_split(const char *text, char local_part[static ADDRESS_TEXT_MAX],
    char domain[static ADDRESS_DOMAIN_MAX + 1])
{
	const char *from = text[0] == '"' ? behind_quotes(text) : text;
	const char *sign = from == NULL ? NULL : strrchr(from, '@');
	size_t length = sign == NULL ? strlen(text) : (size_t)(sign - text);

	local_part[0] = domain[0] = '\0';
	if (length >= ADDRESS_TEXT_MAX || (sign != NULL && strlen(sign + 1) > ADDRESS_DOMAIN_MAX))
		return false;
	memcpy(local_part, text, length);
	local_part[length] = '\0';
	if (sign != NULL)
		strcpy(domain, sign + 1);
	return true;
}

bool
domain_is_valid(const char *domain, bool allow_utf8)
{
	char ignored[ADDRESS_DOMAIN_MAX + 1];
	struct cursor cursor = { domain, domain + strlen(domain), allow_utf8, false };

	return parse_domain(&cursor, ignored, NULL) == 0 && cursor.next == cursor.end;
}

bool
address_literal_is_valid(const char *literal)
{
	char ignored[ADDRESS_DOMAIN_MAX + 1];

	return canonical_literal(literal, strlen(literal), ignored);
}
