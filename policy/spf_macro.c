/* spf_macro - see spf_macro.h */
#include "policy/spf_macro.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define NAME_OCTETS_MAX 253
#define LABEL_OCTETS_MAX 63
#define PARTS_MAX 1000000	/* larger numbers all mean "all of them" */

/* ---- reading ---------------------------------------------------------------------------------- */

static char
take(struct spf_text *rest)
{
	rest->length--;
	return *rest->data++;
}

static char
peek(const struct spf_text *rest)
{
	return rest->length == 0 ? '\0' : *rest->data;
}

bool
spf_macro_is_for_explanations(char letter)
{
	return letter == 'c' || letter == 'r' || letter == 't';
}

/* How many parts: 1*DIGIT, not zero. False: zero. */
static bool
take_parts(struct spf_text *rest, struct spf_macro_piece *piece)
{
	bool has_digits = false;

	while (isdigit((unsigned char)peek(rest))) {
		piece->parts = piece->parts * 10 + (unsigned)(take(rest) - '0');
		if (piece->parts > PARTS_MAX)
			piece->parts = PARTS_MAX;
		has_digits = true;
	}
	return !has_digits || piece->parts > 0;
}

static void
take_delimiters(struct spf_text *rest, struct spf_macro_piece *piece)
{
	size_t count = 0;

	while (rest->length > 0 && peek(rest) != '\0' && strchr(".-+,/_=", peek(rest)) != NULL) {
		char delimiter = take(rest);

		if (strchr(piece->delimiters, delimiter) == NULL)
			piece->delimiters[count++] = delimiter;
	}
	if (count == 0)
		piece->delimiters[0] = '.';
}

/* Behind "%{". */
static bool
take_macro(struct spf_text *rest, struct spf_macro_piece *piece)
{
	char letter;

	if (rest->length == 0)
		return false;
	letter = take(rest);
	piece->is_encoded = isupper((unsigned char)letter);
	piece->letter = (char)tolower((unsigned char)letter);
	if (piece->letter == '\0' || strchr("slodipvhcrt", piece->letter) == NULL || !take_parts(rest, piece))
		return false;
	if (peek(rest) == 'r' || peek(rest) == 'R') {
		take(rest);
		piece->is_reversed = true;
	}
	take_delimiters(rest, piece);
	return rest->length > 0 && take(rest) == '}';
}

void
spf_macro_next(struct spf_text *rest, struct spf_macro_piece *piece)
{
	char character;

	memset(piece, 0, sizeof(*piece));
	if (rest->length == 0) {
		piece->kind = SPF_PIECE_END;
		return;
	}
	character = take(rest);
	if (character != '%') {
		piece->kind = character >= ' ' && character <= '~' ? SPF_PIECE_LITERAL : SPF_PIECE_MALFORMED;
		piece->text[0] = character;
		return;
	}
	piece->kind = SPF_PIECE_ESCAPE;
	character = rest->length == 0 ? '\0' : take(rest);
	switch (character) {
	case '%':
	case '_':
		piece->text[0] = character == '_' ? ' ' : '%';
		break;
	case '-':
		memcpy(piece->text, "%20", sizeof("%20"));
		break;
	case '{':
		piece->kind = take_macro(rest, piece) ? SPF_PIECE_MACRO : SPF_PIECE_MALFORMED;
		break;
	default:
		piece->kind = SPF_PIECE_MALFORMED;
	}
}

bool
spf_macro_uses(struct spf_text text, char letter)
{
	struct spf_macro_piece piece;

	do {
		spf_macro_next(&text, &piece);
		if (piece.kind == SPF_PIECE_MACRO && piece.letter == letter)
			return true;
	} while (piece.kind != SPF_PIECE_END && piece.kind != SPF_PIECE_MALFORMED);
	return false;
}

/* ---- expanding -------------------------------------------------------------------------------- */

/* An IPv6 address in the form of section 7.3: each nibble, with dots between. */
static void
format_nibbles(const uint8_t address[16], char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < 16; i++) {
		*text++ = digits[address[i] >> 4];
		*text++ = '.';
		*text++ = digits[address[i] & 15];
		*text++ = '.';
	}
	text[-1] = '\0';
}

static void
format_value(const struct spf_macro_values *values, char letter, char text[static SPF_VALUE_MAX])
{
	const char *value = "";

	switch (letter) {
	case 's':
		value = values->sender;
		break;
	case 'l':
		value = values->local_part;
		break;
	case 'o':
		value = values->sender_domain;
		break;
	case 'd':
		value = values->domain;
		break;
	case 'h':
		value = values->helo;
		break;
	case 'p':
		value = values->validated;
		break;
	case 'r':
		value = values->receiver;
		break;
	case 'v':
		value = values->family == AF_INET6 ? "ip6" : "in-addr";
		break;
	case 't':
		snprintf(text, SPF_VALUE_MAX, "%lld", (long long)values->now);
		return;
	case 'i':
		if (values->family == AF_INET6) {
			format_nibbles(values->address, text);
			return;
		}
		/* FALLTHROUGH */
	case 'c':
		inet_ntop(values->family, values->address, text, SPF_VALUE_MAX);
		return;
	}
	snprintf(text, SPF_VALUE_MAX, "%s", value);
}

static bool
append_octet(struct buffer *out, char octet, bool is_encoded)
{
	if (is_encoded && !isalnum((unsigned char)octet) && strchr("-._~", octet) == NULL)
		return buffer_printf(out, "%%%02X", (unsigned char)octet);
	return buffer_append_byte(out, octet);
}

static bool
append_part(struct buffer *out, struct spf_text part, const struct spf_macro_piece *piece, bool is_first)
{
	size_t i;

	if (!is_first && !buffer_append_byte(out, '.'))
		return false;
	for (i = 0; i < part.length; i++)
		if (!append_octet(out, part.data[i], piece->is_encoded))
			return false;
	return true;
}

/* The first of the delimiters, or the end. For a few delimiters and short parts strcspn(3) spends its time on preparing. */
static size_t
part_length(const char *value, const char *delimiters)
{
	size_t length = 0;

	while (value[length] != '\0' && strchr(delimiters, value[length]) == NULL)
		length++;
	return length;
}

/* Split at the delimiters, turned around, the right-hand parts of that, joined with dots. */
static bool
append_transformed(struct buffer *out, const char *value, const struct spf_macro_piece *piece)
{
	struct spf_text parts[SPF_VALUE_MAX];
	size_t count = 0, first = 0, i;
	bool fits = true;

	for (;;) {
		size_t length = part_length(value, piece->delimiters);

		parts[count++] = (struct spf_text){ value, length };
		if (value[length] == '\0')
			break;
		value += length + 1;
	}
	if (piece->parts > 0 && piece->parts < count)
		first = count - piece->parts;
	for (i = first; i < count && fits; i++)
		fits = append_part(out, parts[piece->is_reversed ? count - 1 - i : i], piece, i == first);
	return fits;
}

bool
spf_macro_expand(struct spf_text text, const struct spf_macro_values *values, struct buffer *out)
{
	char value[SPF_VALUE_MAX];
	struct spf_macro_piece piece;
	size_t taken = 0;		/* octets of values */
	bool fits = true;

	while (fits) {
		spf_macro_next(&text, &piece);
		if (piece.kind == SPF_PIECE_END)
			return true;
		if (piece.kind == SPF_PIECE_MALFORMED)
			return false;
		if (piece.kind == SPF_PIECE_MACRO) {
			format_value(values, piece.letter, value);
			taken += strlen(value);
			fits = taken <= SPF_EXPANSION_MAX && append_transformed(out, value, &piece);
		} else {
			fits = buffer_append_string(out, piece.text);
		}
		fits = fits && out->length <= SPF_EXPANSION_MAX;
	}
	return false;
}

/* ---- names ------------------------------------------------------------------------------------ */

static bool
labels_are_valid(struct spf_text name)
{
	size_t label = 0, i;

	for (i = 0; i < name.length; i++) {
		if (name.data[i] == '\0' || (unsigned char)name.data[i] > 127)
			return false;
		label = name.data[i] == '.' ? 0 : label + 1;
		if (label > LABEL_OCTETS_MAX || (label == 0 && (i == 0 || name.data[i - 1] == '.')))
			return false;
	}
	return label > 0;
}

/* The octet stands for itself in a name's text. */
static bool
is_plain(char octet)
{
	return octet > ' ' && octet <= '~' && strchr("\\\"();@$", octet) == NULL;
}

bool
spf_name_make(struct spf_text expansion, char name[static SPF_NAME_SIZE])
{
	size_t escaped = 0, i;

	if (expansion.length > 0 && expansion.data[expansion.length - 1] == '.')
		expansion.length--;
	while (expansion.length > NAME_OCTETS_MAX) {
		const char *dot = memchr(expansion.data, '.', expansion.length);

		if (dot == NULL)
			return false;
		expansion.length -= (size_t)(dot + 1 - expansion.data);
		expansion.data = dot + 1;
	}
	for (i = 0; i < expansion.length; i++)
		escaped += is_plain(expansion.data[i]) ? 1 : 4;
	if (!labels_are_valid(expansion) || escaped >= SPF_NAME_SIZE)
		return false;
	memcpy(name, expansion.data, expansion.length);
	name[expansion.length] = '\0';
	return true;
}

void
spf_name_escape(const char *name, char escaped[static SPF_NAME_SIZE])
{
	size_t length = 0;

	for (; *name != '\0'; name++) {
		if (is_plain(*name))
			escaped[length++] = *name;
		else
			length += (size_t)snprintf(escaped + length, SPF_NAME_SIZE - length, "\\%03u", (unsigned char)*name);
	}
	escaped[length] = '\0';
}
