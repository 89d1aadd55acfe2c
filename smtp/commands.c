/* commands - see commands.h */
#include "smtp/commands.h"

#include <stdio.h>
#include <string.h>

#include "common/mail/idn.h"

#define ADDRESS_OCTETS_MAX 900	/* with its parameters a command stays a line that every server reads */
#define ORCPT_OCTETS_MAX 500	/* RFC 3461 4.2, encoded */
#define ENVID_OCTETS_MAX 100	/* RFC 3461 4.4 */

bool
command_address_is_safe(const char *address)
{
	bool quoted = false, escaped = false;
	size_t i;

	for (i = 0; address[i] != '\0'; i++) {
		unsigned char octet = (unsigned char)address[i];

		if (octet < ' ' || octet == 0x7f || i == ADDRESS_OCTETS_MAX)
			return false;
		if (escaped)
			escaped = false;
		else if (octet == '\\' && quoted)
			escaped = true;
		else if (octet == '"')
			quoted = !quoted;
		else if (!quoted && strchr(" <>()\\", octet) != NULL)
			return false;
	}
	return !quoted;
}

bool
address_is_ascii(const char *address)
{
	for (; *address != '\0'; address++)
		if ((unsigned char)*address > 127)
			return false;
	return true;
}

bool
address_to_ascii(const char *address, char ascii[static ADDRESS_TEXT_MAX])
{
	char local_part[ADDRESS_TEXT_MAX], domain[ADDRESS_DOMAIN_MAX + 1], converted[ADDRESS_DOMAIN_MAX + 1];

	return address_split(address, local_part, domain) && domain[0] != '\0' && address_is_ascii(local_part) &&
	    domain_to_ascii(domain, converted) &&
	    snprintf(ascii, ADDRESS_TEXT_MAX, "%s@%s", local_part, converted) < ADDRESS_TEXT_MAX;
}

const char *
recipient_wire_address(const struct envelope_recipient *recipient)
{
	return recipient->delivery_address != NULL ? recipient->delivery_address : recipient->address;
}

static void
append_path(struct buffer *out, const char *command, const char *address, bool smtputf8)
{
	char ascii[ADDRESS_TEXT_MAX];

	if (!smtputf8 && !address_is_ascii(address) && address_to_ascii(address, ascii))
		address = ascii;
	buffer_printf(out, "%s:<%s>", command, address);
}

/* Appends " NAME=xtext", or nothing when the encoded text would be longer than limit or the value is not ASCII. */
static void
append_xtext(struct buffer *out, const char *name, const char *prefix, const char *value, size_t limit)
{
	struct buffer text = BUFFER_INITIALIZER(limit);
	bool fits = buffer_append_string(&text, prefix);

	for (; fits && *value != '\0'; value++) {
		unsigned char octet = (unsigned char)*value;

		if (octet > 127)
			fits = false;
		else if (octet > ' ' && octet < 0x7f && octet != '+' && octet != '=')
			fits = buffer_append_byte(&text, (char)octet);
		else
			fits = buffer_printf(&text, "+%02X", octet);
	}
	if (fits)
		buffer_printf(out, " %s=%s", name, text.data);
	buffer_free(&text);
}

void
command_append_mail(struct buffer *out, const struct envelope *envelope, const struct mail_parameters *parameters)
{
	append_path(out, "MAIL FROM", envelope->sender, parameters->smtputf8);
	if (parameters->size)
		buffer_printf(out, " SIZE=%llu", (unsigned long long)parameters->octets);
	if (parameters->eight_bit)
		buffer_append_string(out, " BODY=8BITMIME");
	if (parameters->smtputf8)
		buffer_append_string(out, " SMTPUTF8");
	if (parameters->dsn && envelope->ret == RETURN_FULL)
		buffer_append_string(out, " RET=FULL");
	if (parameters->dsn && envelope->ret == RETURN_HEADERS)
		buffer_append_string(out, " RET=HDRS");
	if (parameters->dsn && envelope->envid != NULL && envelope->envid[0] != '\0')
		append_xtext(out, "ENVID", "", envelope->envid, ENVID_OCTETS_MAX);
	buffer_append_string(out, "\r\n");
}

static void
append_notify(struct buffer *out, uint8_t notify)
{
	static const struct { uint8_t bit; const char *word; } words[] = {
		{ NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	const char *separator = " NOTIFY=";
	size_t i;

	if (notify & NOTIFY_NEVER) {
		buffer_append_string(out, " NOTIFY=NEVER");
		return;
	}
	for (i = 0; i < ARRAY_COUNT(words); i++)
		if (notify & words[i].bit) {
			buffer_printf(out, "%s%s", separator, words[i].word);
			separator = ",";
		}
}

/* The code point at the start of a UTF-8 sequence, and the octets that it takes. */
static unsigned
take_code_point(const char **next)
{
	unsigned char first = (unsigned char)*(*next)++;
	unsigned mask = first < 0x80 ? 0x7f : first < 0xe0 ? 0x1f : first < 0xf0 ? 0x0f : 0x07, point = first & mask;

	while (((unsigned char)**next & 0xc0) == 0x80)
		point = point << 6 | ((unsigned char)*(*next)++ & 0x3fu);
	return point;
}

/*
 * RFC 6533 section 3: what may not stand in a parameter as it is becomes \x{HEX}; without SMTPUTF8, so does
 * everything beyond ASCII.
 */
static void
append_international_orcpt(struct buffer *out, const char *value, bool smtputf8)
{
	struct buffer text = BUFFER_INITIALIZER(ORCPT_OCTETS_MAX);
	bool fits = buffer_append_string(&text, "utf-8;");

	while (fits && *value != '\0') {
		const char *begin = value;
		unsigned point = take_code_point(&value);

		if (point > ' ' && point != 0x7f && point != '+' && point != '=' && (smtputf8 || point < 0x80))
			fits = buffer_append(&text, begin, (size_t)(value - begin));
		else
			fits = buffer_printf(&text, "\\x{%X}", point);
	}
	if (fits)
		buffer_printf(out, " ORCPT=%s", text.data);
	buffer_free(&text);
}

/* The address type before ';' is an atom and stays as it is; only what follows is xtext. */
static void
append_orcpt(struct buffer *out, const char *original, bool smtputf8)
{
	char prefix[32];
	size_t length = strcspn(original, ";");

	if (original[length] != ';' || length + 2 > sizeof(prefix) ||
	    strspn(original, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != length)
		return;
	memcpy(prefix, original, length + 1);
	prefix[length + 1] = '\0';
	if (strcasecmp(prefix, "utf-8;") == 0)
		append_international_orcpt(out, original + length + 1, smtputf8);
	else
		append_xtext(out, "ORCPT", prefix, original + length + 1, ORCPT_OCTETS_MAX);
}

void
command_append_rcpt(struct buffer *out, const struct envelope_recipient *recipient,
    const struct mail_parameters *parameters)
{
	append_path(out, "RCPT TO", recipient_wire_address(recipient), parameters->smtputf8);
	if (parameters->dsn)
		append_notify(out, recipient->notify);
	if (parameters->dsn && recipient->original != NULL)
		append_orcpt(out, recipient->original, parameters->smtputf8);
	buffer_append_string(out, "\r\n");
}
