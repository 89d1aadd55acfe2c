/* host_entry - see host_entry.h */
#include "common/conf/host_entry.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define LONGEST_ENTRY 255

/* A number of one to three digits without a leading zero, at most limit. Returns behind it, or NULL. */
static const char *
parse_small_number(const char *text, unsigned limit, unsigned *number_out)
{
	unsigned number = 0;
	const char *next = text;

	for (; *next >= '0' && *next <= '9' && next - text < 3; next++)
		number = number * 10 + (unsigned)(*next - '0');
	if (next == text || (next - text > 1 && *text == '0') || number > limit)
		return NULL;
	*number_out = number;
	return next;
}

/* One octet: a number, low-high, or *. *is_plain says whether it was a number. */
static const char *
parse_octet(const char *text, uint8_t *low_out, uint8_t *high_out, bool *is_plain)
{
	unsigned low = 0, high = 255;

	*is_plain = false;
	if (*text == '*') {
		text++;
	} else {
		text = parse_small_number(text, 255, &low);
		if (text == NULL)
			return NULL;
		high = low;
		if (*text == '-') {
			text = parse_small_number(text + 1, 255, &high);
			if (text == NULL || high < low)
				return NULL;
		} else {
			*is_plain = true;
		}
	}
	*low_out = (uint8_t)low;
	*high_out = (uint8_t)high;
	return text;
}

static void
apply_mask(struct host_entry *entry, unsigned bits)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
		uint8_t mask = kept >= 8 ? 0xff : (uint8_t)(0xff00 >> kept);

		entry->low[i] &= mask;
		entry->high[i] = entry->low[i] | (uint8_t)~mask;
	}
}

/* text is what stands between the brackets. */
static int
parse_ipv4(const char *text, struct host_entry *entry, struct error *error)
{
	bool all_plain = true, is_plain;
	unsigned bits;

	for (unsigned i = 0; i < 4; i++) {
		text = parse_octet(text, &entry->low[i], &entry->high[i], &is_plain);
		if (text == NULL || (i < 3 && *text++ != '.'))
			return error_set(error, ERROR_INVALID, "an IPv4 entry has four parts, each 0 to 255, "
			    "low-high or *");
		all_plain = all_plain && is_plain;
	}
	if (*text == '/') {
		if (!all_plain)
			return error_set(error, ERROR_INVALID, "a mask cannot be combined with a wildcard or a "
			    "range");
		text = parse_small_number(text + 1, 32, &bits);
		if (text == NULL)
			return error_set(error, ERROR_INVALID, "an IPv4 mask is a number from 0 to 32");
		apply_mask(entry, bits);
	}
	if (*text != '\0')
		return error_set(error, ERROR_INVALID, "something follows the address");
	entry->kind = HOST_ENTRY_IPV4;
	return 0;
}

static int
parse_ipv6(const char *text, struct host_entry *entry, struct error *error)
{
	char address[INET6_ADDRSTRLEN];
	size_t length = strcspn(text, "/");

	if (strncasecmp(text, "IPv6:", 5) == 0) {
		text += 5;
		length -= 5;
	}
	if (length >= sizeof(address))
		return error_set(error, ERROR_INVALID, "not an IPv6 address");
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(AF_INET6, address, entry->address) != 1)
		return error_set(error, ERROR_INVALID, strpbrk(text, "*-") != NULL ?
		    "wildcards and ranges are for IPv4, IPv6 takes an address or a prefix ([2001:db8::/32])" :
		    "not an IPv6 address");
	entry->prefix = 128;
	text += length;
	if (*text == '/') {
		text = parse_small_number(text + 1, 128, &entry->prefix);
		if (text == NULL || *text != '\0')
			return error_set(error, ERROR_INVALID, "an IPv6 prefix length is a number from 0 to 128");
	}
	if (entry->prefix >= 96 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)entry->address))
		return error_set(error, ERROR_INVALID, "an IPv4 client is known by its IPv4 address");
	entry->kind = HOST_ENTRY_IPV6;
	return 0;
}

static int
parse_bracketed(const char *text, size_t length, struct host_entry *entry, struct error *error)
{
	char inside[LONGEST_ENTRY + 1];

	if (length < 3 || text[length - 1] != ']')
		return error_set(error, ERROR_INVALID, "the bracket is not closed at its end");
	memcpy(inside, text + 1, length - 2);
	inside[length - 2] = '\0';
	return strchr(inside, ':') != NULL ? parse_ipv6(inside, entry, error) : parse_ipv4(inside, entry, error);
}

static int
parse_name(const char *text, struct host_entry *entry, struct error *error)
{
	struct in_addr ignored;

	if (inet_aton(text, &ignored) != 0 || strspn(text, "0123456789./-*") == strlen(text))
		return error_set(error, ERROR_INVALID, "an address stands in brackets, as in [192.0.2.1]; "
		    "without them it is a host name");
	if (strncmp(text, "*.", 2) == 0)
		return error_set(error, ERROR_INVALID, "what is below a domain is written .domain, without *");
	for (const char *c = text; *c != '\0'; c++)
		if (strchr("-._", *c) == NULL && !(*c >= '0' && *c <= '9') && !((*c | 0x20) >= 'a' &&
		    (*c | 0x20) <= 'z'))
			return error_set(error, ERROR_INVALID, "a host name has no such character: %c",
			    *c >= ' ' && *c < 127 ? *c : '?');
	if (strstr(text, "..") != NULL || text[strlen(text) - 1] == '.')
		return error_set(error, ERROR_INVALID, "no host name ends like this");
	entry->kind = HOST_ENTRY_NAME;
	return 0;
}

int
host_entry_parse(const char *text, struct host_entry *entry_out, struct error *error)
{
	size_t length = strlen(text);

	*entry_out = (struct host_entry){ .text = text };
	if (length == 0 || length > LONGEST_ENTRY)
		return error_set(error, ERROR_INVALID, "an entry has 1 to %d characters", LONGEST_ENTRY);
	if (strcmp(text, "*") == 0) {
		entry_out->kind = HOST_ENTRY_ALL;
		return 0;
	}
	if (text[0] == '[')
		return parse_bracketed(text, length, entry_out, error);
	if (strchr(text, '@') != NULL)
		return error_set(error, ERROR_INVALID, "a host has no @");
	if (strchr(text, '.') != NULL)
		return parse_name(text, entry_out, error);
	if (strpbrk(text, "[]*:") != NULL)
		return error_set(error, ERROR_INVALID, "neither a host name, nor an address in brackets, nor a "
		    "group's name");
	entry_out->kind = HOST_ENTRY_GROUP;
	return 0;
}

bool
host_entry_is_bare_tail(const struct host_entry *entry)
{
	return entry->kind == HOST_ENTRY_NAME && entry->text[0] != '.';
}
