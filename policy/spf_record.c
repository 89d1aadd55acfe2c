/* spf_record - see spf_record.h */
#include "policy/spf_record.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"

#define VERSION "v=spf1"
#define SHOWN_OCTETS 60

enum shape { SHAPE_BARE, SHAPE_NETWORK, SHAPE_DOMAIN, SHAPE_MAYBE_DOMAIN, SHAPE_MAYBE_DOMAIN_AND_PREFIXES };

static const struct {
	const char *name;
	enum shape shape;
} mechanisms[SPF_MECHANISM_COUNT] = {
	[SPF_MECHANISM_ALL] = { "all", SHAPE_BARE },
	[SPF_MECHANISM_INCLUDE] = { "include", SHAPE_DOMAIN },
	[SPF_MECHANISM_A] = { "a", SHAPE_MAYBE_DOMAIN_AND_PREFIXES },
	[SPF_MECHANISM_MX] = { "mx", SHAPE_MAYBE_DOMAIN_AND_PREFIXES },
	[SPF_MECHANISM_PTR] = { "ptr", SHAPE_MAYBE_DOMAIN },
	[SPF_MECHANISM_IP4] = { "ip4", SHAPE_NETWORK },
	[SPF_MECHANISM_IP6] = { "ip6", SHAPE_NETWORK },
	[SPF_MECHANISM_EXISTS] = { "exists", SHAPE_DOMAIN },
};

void
spf_text_print(char *line, size_t size, struct spf_text text)
{
	size_t length = strlen(line), i;

	for (i = 0; i < text.length && i < SHOWN_OCTETS && length + 4 < size; i++)
		line[length++] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
	line[length] = '\0';
	if (i < text.length && length + 4 <= size)
		memcpy(line + length, "...", sizeof("..."));
}

static bool
text_is(struct spf_text text, const char *word)
{
	return text.length == strlen(word) && strncasecmp(text.data, word, text.length) == 0;
}

static struct spf_text
text_from(struct spf_text text, size_t start)
{
	return (struct spf_text){ text.data + start, text.length - start };
}

bool
spf_record_is_one(struct spf_text text)
{
	size_t length = strlen(VERSION);

	return text.length >= length && strncasecmp(text.data, VERSION, length) == 0 &&
	    (text.length == length || text.data[length] == ' ');
}

/* ---- parts of a term -------------------------------------------------------------------------- */

/* toplabel of section 7.1: letters, digits and hyphens, a hyphen at no end, not digits alone. */
static bool
is_top_label(struct spf_text label)
{
	bool has_other = false;
	size_t i;

	if (label.length == 0 || label.data[0] == '-' || label.data[label.length - 1] == '-')
		return false;
	for (i = 0; i < label.length; i++) {
		if (!isalnum((unsigned char)label.data[i]) && label.data[i] != '-')
			return false;
		has_other |= !isdigit((unsigned char)label.data[i]);
	}
	return has_other;
}

/* The literal text behind the last macro ends with a dot, a top label, and maybe one more dot. */
static bool
ends_like_a_domain(struct spf_text tail)
{
	size_t start;

	if (tail.length > 0 && tail.data[tail.length - 1] == '.')
		tail.length--;
	for (start = tail.length; start > 0 && tail.data[start - 1] != '.'; start--)
		;
	return start > 0 && is_top_label(text_from(tail, start));
}

static bool
is_domain_spec(struct spf_text text)
{
	struct spf_text rest = text, tail = text;
	struct spf_macro_piece piece;
	bool ends_in_macro = false;

	for (;;) {
		spf_macro_next(&rest, &piece);
		if (piece.kind == SPF_PIECE_END)
			return ends_in_macro || ends_like_a_domain(tail);
		if (piece.kind == SPF_PIECE_MALFORMED ||
		    (piece.kind == SPF_PIECE_MACRO && spf_macro_is_for_explanations(piece.letter)))
			return false;
		ends_in_macro = piece.kind != SPF_PIECE_LITERAL;
		if (ends_in_macro)
			tail = rest;
	}
}

static bool
is_macro_string(struct spf_text text)
{
	struct spf_macro_piece piece;

	do
		spf_macro_next(&text, &piece);
	while (piece.kind != SPF_PIECE_END && piece.kind != SPF_PIECE_MALFORMED);
	return piece.kind == SPF_PIECE_END;
}

/* 1*DIGIT without leading zeros, at most maximum. */
static bool
read_prefix(struct spf_text digits, unsigned maximum, uint8_t *prefix_out)
{
	unsigned value = 0;
	size_t i;

	if (digits.length == 0 || digits.length > 3 || (digits.length > 1 && digits.data[0] == '0'))
		return false;
	for (i = 0; i < digits.length; i++)
		value = value * 10 + (unsigned)(digits.data[i] - '0');
	if (value > maximum)
		return false;
	*prefix_out = (uint8_t)value;
	return true;
}

/* Takes slashes and the digits behind them off the end of text, if it ends so. False: the number is out of range. */
static bool
take_prefix(struct spf_text *text, const char *slashes, unsigned maximum, uint8_t *prefix_out)
{
	size_t start = text->length, count = strlen(slashes);

	while (start > 0 && isdigit((unsigned char)text->data[start - 1]))
		start--;
	if (start == text->length || start < count || memcmp(text->data + start - count, slashes, count) != 0)
		return true;
	if (!read_prefix(text_from(*text, start), maximum, prefix_out))
		return false;
	text->length = start - count;
	return true;
}

static bool
take_network(struct spf_term *term, struct spf_text value)
{
	bool is_ip4 = term->mechanism == SPF_MECHANISM_IP4;
	char address[INET6_ADDRSTRLEN + 1];

	if (value.length < 2 || value.data[0] != ':')
		return false;
	value = text_from(value, 1);
	if (!take_prefix(&value, "/", is_ip4 ? 32 : 128, is_ip4 ? &term->prefix4 : &term->prefix6))
		return false;
	if (value.length >= sizeof(address) || memchr(value.data, '\0', value.length) != NULL)
		return false;
	memcpy(address, value.data, value.length);
	address[value.length] = '\0';
	return inet_pton(is_ip4 ? AF_INET : AF_INET6, address, term->network) == 1;
}

/* What stands behind the name of a mechanism. */
static bool
take_value(struct spf_term *term, struct spf_text value)
{
	enum shape shape = mechanisms[term->mechanism].shape;

	switch (shape) {
	case SHAPE_BARE:
		return value.length == 0;
	case SHAPE_NETWORK:
		return take_network(term, value);
	case SHAPE_MAYBE_DOMAIN_AND_PREFIXES:
		if (!take_prefix(&value, "//", 128, &term->prefix6) || !take_prefix(&value, "/", 32, &term->prefix4))
			return false;
		break;
	case SHAPE_DOMAIN:
	case SHAPE_MAYBE_DOMAIN:
		break;
	}
	if (value.length == 0)
		return shape != SHAPE_DOMAIN;
	term->domain = text_from(value, 1);
	return value.data[0] == ':' && is_domain_spec(term->domain);
}

/* ---- terms ------------------------------------------------------------------------------------ */

static bool
take_mechanism(struct spf_record *record, struct spf_text word)
{
	struct spf_term term = { .qualifier = '+', .prefix4 = 32, .prefix6 = 128 };
	size_t name = 0;
	unsigned i;

	if (memchr("+-?~", word.data[0], 4) != NULL) {
		term.qualifier = word.data[0];
		word = text_from(word, 1);
	}
	while (name < word.length && word.data[name] != ':' && word.data[name] != '/')
		name++;
	for (i = 0; i < ARRAY_COUNT(mechanisms); i++)
		if (text_is((struct spf_text){ word.data, name }, mechanisms[i].name))
			break;
	if (i == ARRAY_COUNT(mechanisms))
		return false;
	term.mechanism = (enum spf_mechanism)i;
	if (!take_value(&term, text_from(word, name)))
		return false;
	record->terms[record->count++] = term;
	return true;
}

/* redirect and exp may stand in a record once each (section 6); all other modifiers mean nothing to us. */
static bool
take_modifier(struct spf_record *record, struct spf_text name, struct spf_text value)
{
	struct spf_text *place = text_is(name, "redirect") ? &record->redirect :
	    text_is(name, "exp") ? &record->explanation : NULL;

	if (place == NULL)
		return is_macro_string(value);
	if (place->length > 0 || !is_domain_spec(value))
		return false;
	*place = value;
	return true;
}

static bool
take_term(struct spf_record *record, struct spf_text word)
{
	size_t name = 0;

	if (isalpha((unsigned char)word.data[0]))
		while (name < word.length && (isalnum((unsigned char)word.data[name]) ||
		    memchr("-_.", word.data[name], 3) != NULL))
			name++;
	if (name > 0 && name < word.length && word.data[name] == '=')
		return take_modifier(record, (struct spf_text){ word.data, name }, text_from(word, name + 1));
	return take_mechanism(record, word);
}

/* Takes the next word off rest; words are separated by spaces and nothing else. */
static bool
next_word(struct spf_text *rest, struct spf_text *word)
{
	while (rest->length > 0 && rest->data[0] == ' ')
		*rest = text_from(*rest, 1);
	*word = (struct spf_text){ rest->data, 0 };
	while (word->length < rest->length && rest->data[word->length] != ' ')
		word->length++;
	*rest = text_from(*rest, word->length);
	return word->length > 0;
}

bool
spf_record_parse(struct spf_record *record, struct spf_text text, char problem[static SPF_PROBLEM_SIZE])
{
	struct spf_text rest = text_from(text, strlen(VERSION)), word;

	memset(record, 0, sizeof(*record));
	record->terms = memory_new(text.length / 2 + 1, sizeof(*record->terms));
	while (next_word(&rest, &word)) {
		if (!take_term(record, word)) {
			snprintf(problem, SPF_PROBLEM_SIZE, "malformed term: ");
			spf_text_print(problem, SPF_PROBLEM_SIZE, word);
			spf_record_free(record);
			return false;
		}
	}
	return true;
}

void
spf_record_free(struct spf_record *record)
{
	free(record->terms);
	memset(record, 0, sizeof(*record));
}
