/* parameters - see parameters.h */
#include "smtpd/parameters.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/attributes.h"
#include "common/base/utf8.h"

#define KEYWORD_MAX 20

struct parameter {
	char keyword[KEYWORD_MAX + 1];
	const char *value;		/* NULL: there was no "=" */
	size_t length;
};

struct parser {
	const struct parameters_allowed *allowed;
	struct mail_parameters *mail;
	struct rcpt_parameters *rcpt;
	struct parameter_refusal *refusal;
};

struct parameter_row {
	const char *keyword;
	bool (*parse)(struct parser *parser, const struct parameter *parameter);
	size_t allowed_offset;		/* the switch in struct parameters_allowed */
};

static bool
refuse(struct parser *parser, enum reply reply, const char *text, const char *keyword)
{
	parser->refusal->reply = reply;
	snprintf(parser->refusal->text, sizeof(parser->refusal->text), "%s%s", text, keyword);
	return false;
}

static bool
value_is(const struct parameter *parameter, const char *word)
{
	return parameter->value != NULL && strlen(word) == parameter->length &&
	    strncasecmp(parameter->value, word, parameter->length) == 0;
}

static int
hexadecimal_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/*
 * Decodes xtext (RFC 3461 section 4); out has room for length + 1. Octets above 127 pass only when utf8 is true
 * and they are UTF-8. False for anything malformed and for what decodes to a control.
 */
static bool
decode_xtext(const char *text, size_t length, bool utf8, char *out)
{
	size_t written = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned char octet = (unsigned char)text[i];

		if (octet == '=' || octet <= ' ')
			return false;
		if (octet == '+') {
			int high, low;

			if (length - i < 3)
				return false;
			high = hexadecimal_digit(text[i + 1]);
			low = hexadecimal_digit(text[i + 2]);
			if (high < 0 || low < 0)
				return false;
			octet = (unsigned char)(high << 4 | low);
			i += 2;
		}
		if (octet < ' ' || octet == 0x7f || (octet > 0x7f && !utf8))
			return false;
		out[written++] = (char)octet;
	}
	out[written] = '\0';
	return utf8_is_valid(out, written);
}

static bool
parse_size(struct parser *parser, const struct parameter *parameter)
{
	uint64_t size = 0;

	if (parameter->value == NULL || parameter->length == 0 || parameter->length > 20)
		return refuse(parser, REPLY_BAD_ARGUMENT, "SIZE is not a number", "");
	for (size_t i = 0; i < parameter->length; i++) {
		char digit = parameter->value[i];

		if (digit < '0' || digit > '9' || __builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, (uint64_t)(digit - '0'), &size))
			return refuse(parser, REPLY_BAD_ARGUMENT, "SIZE is not a number", "");
	}
	parser->mail->size = size;
	return true;
}

static bool
parse_body(struct parser *parser, const struct parameter *parameter)
{
	if (value_is(parameter, "7BIT"))
		parser->mail->body = BODY_7BIT;
	else if (value_is(parameter, "8BITMIME"))
		parser->mail->body = BODY_8BITMIME;
	else
		return refuse(parser, REPLY_BAD_ARGUMENT, "BODY is neither 7BIT nor 8BITMIME", "");
	return true;
}

static bool
parse_smtputf8(struct parser *parser, const struct parameter *parameter)
{
	if (parameter->value != NULL)
		return refuse(parser, REPLY_BAD_ARGUMENT, "SMTPUTF8 takes no value", "");
	parser->mail->smtputf8 = true;
	return true;
}

static bool
parse_ret(struct parser *parser, const struct parameter *parameter)
{
	if (value_is(parameter, "FULL"))
		parser->mail->ret = RETURN_FULL;
	else if (value_is(parameter, "HDRS"))
		parser->mail->ret = RETURN_HEADERS;
	else
		return refuse(parser, REPLY_BAD_ARGUMENT, "RET is neither FULL nor HDRS", "");
	return true;
}

static bool
parse_envid(struct parser *parser, const struct parameter *parameter)
{
	if (parameter->value == NULL || parameter->length == 0 || parameter->length > PARAMETER_ENVID_MAX ||
	    !decode_xtext(parameter->value, parameter->length, false, parser->mail->envid))
		return refuse(parser, REPLY_BAD_ARGUMENT, "ENVID is malformed", "");
	return true;
}

static bool
parse_notify(struct parser *parser, const struct parameter *parameter)
{
	static const struct {
		const char *word;
		uint8_t bit;
	} words[] = { { "NEVER", NOTIFY_NEVER }, { "SUCCESS", NOTIFY_SUCCESS }, { "FAILURE", NOTIFY_FAILURE },
		{ "DELAY", NOTIFY_DELAY } };
	const char *next = parameter->value, *end = next != NULL ? next + parameter->length : NULL;
	uint8_t notify = 0;

	while (next != NULL && next <= end) {
		const char *comma = memchr(next, ',', (size_t)(end - next));
		struct parameter word = { "", next, (size_t)((comma != NULL ? comma : end) - next) };
		uint8_t bit = 0;

		for (size_t i = 0; i < ARRAY_COUNT(words); i++)
			if (value_is(&word, words[i].word))
				bit = words[i].bit;
		if (bit == 0 || (notify & bit) != 0)
			return refuse(parser, REPLY_BAD_ARGUMENT, "NOTIFY is malformed", "");
		notify |= bit;
		next = comma != NULL ? comma + 1 : NULL;
	}
	if (notify == 0 || ((notify & NOTIFY_NEVER) != 0 && notify != NOTIFY_NEVER))
		return refuse(parser, REPLY_BAD_ARGUMENT, "NOTIFY is malformed", "");
	parser->rcpt->notify = notify;
	return true;
}

static bool
is_address_type(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
		    (text[i] >= '0' && text[i] <= '9') || text[i] == '-'))
			return false;
	return length > 0;
}

/* ORCPT=type;xtext. With the type utf-8 (RFC 6533) the address may be UTF-8. */
static bool
parse_orcpt(struct parser *parser, const struct parameter *parameter)
{
	const char *value = parameter->value, *semicolon;
	char *original = parser->rcpt->original;
	size_t type_length;
	bool utf8;

	if (value == NULL || parameter->length > PARAMETER_ORCPT_MAX ||
	    (semicolon = memchr(value, ';', parameter->length)) == NULL)
		return refuse(parser, REPLY_BAD_ARGUMENT, "ORCPT is malformed", "");
	type_length = (size_t)(semicolon - value);
	utf8 = type_length == 5 && strncasecmp(value, "utf-8", 5) == 0;
	memcpy(original, value, type_length + 1);
	if (!is_address_type(value, type_length) || type_length + 1 == parameter->length ||
	    !decode_xtext(semicolon + 1, parameter->length - type_length - 1, utf8, original + type_length + 1)) {
		original[0] = '\0';
		return refuse(parser, REPLY_BAD_ARGUMENT, "ORCPT is malformed", "");
	}
	return true;
}

static const struct parameter_row mail_rows[] = {
	{ "SIZE", parse_size, offsetof(struct parameters_allowed, size) },
	{ "BODY", parse_body, offsetof(struct parameters_allowed, eightbitmime) },
	{ "SMTPUTF8", parse_smtputf8, offsetof(struct parameters_allowed, smtputf8) },
	{ "RET", parse_ret, offsetof(struct parameters_allowed, dsn) },
	{ "ENVID", parse_envid, offsetof(struct parameters_allowed, dsn) },
};

static const struct parameter_row rcpt_rows[] = {
	{ "NOTIFY", parse_notify, offsetof(struct parameters_allowed, dsn) },
	{ "ORCPT", parse_orcpt, offsetof(struct parameters_allowed, dsn) },
};

/* Splits one parameter, text up to the next blank, into keyword and value. */
static bool
split_parameter(struct parser *parser, const char *text, size_t length, struct parameter *parameter)
{
	const char *equals = memchr(text, '=', length);
	size_t keyword_length = equals != NULL ? (size_t)(equals - text) : length;

	*parameter = (struct parameter){ .keyword = "" };
	if (!is_address_type(text, keyword_length) || text[0] == '-')
		return refuse(parser, REPLY_BAD_ARGUMENT, "Parameter is malformed", "");
	if (keyword_length > KEYWORD_MAX)
		keyword_length = KEYWORD_MAX;
	memcpy(parameter->keyword, text, keyword_length);
	if (equals == NULL)
		return true;
	parameter->value = equals + 1;
	parameter->length = length - (size_t)(equals - text) - 1;
	for (size_t i = 0; i < parameter->length; i++) {
		unsigned char octet = (unsigned char)parameter->value[i];

		if (octet == '=' || octet <= ' ' || octet == 0x7f)
			return refuse(parser, REPLY_BAD_ARGUMENT, "Parameter is malformed: ", parameter->keyword);
	}
	if (parameter->length == 0 || !utf8_is_valid(parameter->value, parameter->length))
		return refuse(parser, REPLY_BAD_ARGUMENT, "Parameter is malformed: ", parameter->keyword);
	return true;
}

static bool
parse_one(struct parser *parser, const struct parameter *parameter, const struct parameter_row *rows, size_t count,
    unsigned *seen)
{
	for (size_t i = 0; i < count; i++) {
		const bool *allowed = (const bool *)((const char *)parser->allowed + rows[i].allowed_offset);

		if (strcasecmp(rows[i].keyword, parameter->keyword) != 0 || !*allowed)
			continue;
		if ((*seen & (1u << i)) != 0)
			return refuse(parser, REPLY_BAD_ARGUMENT, "Parameter is there twice: ", rows[i].keyword);
		*seen |= 1u << i;
		return rows[i].parse(parser, parameter);
	}
	return refuse(parser, REPLY_PARAMETER_UNKNOWN, "", parameter->keyword);
}

static bool
parse_all(struct parser *parser, const char *text, size_t length, const struct parameter_row *rows, size_t count,
    unsigned *seen)
{
	const char *end = text + length;

	if (length > 0 && *text != ' ')
		return refuse(parser, REPLY_BAD_ARGUMENT, "Blank expected behind the address", "");
	while (text < end) {
		const char *blank;
		struct parameter parameter;

		if (*text == ' ') {
			text++;
			continue;
		}
		blank = memchr(text, ' ', (size_t)(end - text));
		if (blank == NULL)
			blank = end;
		if (!split_parameter(parser, text, (size_t)(blank - text), &parameter) ||
		    !parse_one(parser, &parameter, rows, count, seen))
			return false;
		text = blank;
	}
	return true;
}

bool
mail_parameters_parse(const char *text, size_t length, const struct parameters_allowed *allowed,
    struct mail_parameters *parameters_out, struct parameter_refusal *refusal_out)
{
	struct parser parser = { .allowed = allowed, .mail = parameters_out, .refusal = refusal_out };

	*parameters_out = (struct mail_parameters){ .body = BODY_7BIT };
	return parse_all(&parser, text, length, mail_rows, ARRAY_COUNT(mail_rows), &parameters_out->seen);
}

bool
rcpt_parameters_parse(const char *text, size_t length, const struct parameters_allowed *allowed,
    struct rcpt_parameters *parameters_out, struct parameter_refusal *refusal_out)
{
	struct parser parser = { .allowed = allowed, .rcpt = parameters_out, .refusal = refusal_out };

	*parameters_out = (struct rcpt_parameters){ .notify = 0 };
	return parse_all(&parser, text, length, rcpt_rows, ARRAY_COUNT(rcpt_rows), &parameters_out->seen);
}
