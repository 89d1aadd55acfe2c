/* value_text - the types whose value is a text, each with its one canonical form: see value.h */
#include "common/conf/value.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/conf/dns_list_weight.h"
#include "common/conf/host_entry.h"
#include "common/mail/address.h"
#include "common/mail/notes_name.h"

#define LONGEST_TEXT 1000
#define LONGEST_NAME 255
#define LONGEST_DOMINO_DOMAIN 31

static bool
is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool
append_lower(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (!buffer_append_byte(out, *text >= 'A' && *text <= 'Z' ? (char)(*text | 0x20) : *text))
			return false;
	return true;
}

/* ---- Notes names ---- */

bool
value_abbreviate_name(const char *text, struct buffer *canonical)
{
	char name[NOTES_NAME_MAX];

	if (!notes_name_abbreviate(text, name) || strlen(name) > LONGEST_NAME || strchr(name, '@') != NULL)
		return false;
	for (const char *part = name;; part += strcspn(part, "/") + 1) {
		size_t length = strcspn(part, "/");

		if (length == 0)
			return false;
		if (part[length] == '\0')
			return buffer_append_string(canonical, name);
	}
}

/* A name, a group, "*" or "* /Unit/Organization". */
static bool
parse_name_entry(const char *text, struct buffer *canonical)
{
	return value_abbreviate_name(text, canonical) &&
	    strchr(canonical->data + (canonical->data[0] == '*' ? 1 : 0), '*') == NULL &&
	    (canonical->data[0] != '*' || canonical->length == 1 || canonical->data[1] == '/');
}

/* ---- Internet names and addresses ---- */

/* Without a trailing dot: the canonical form has none. */
static bool
is_domain(const char *text, bool allow_utf8)
{
	size_t length = strlen(text);

	return length > 0 && text[length - 1] != '.' && domain_is_valid(text, allow_utf8);
}

static bool
parse_address(const char *text, struct buffer *canonical, struct buffer *problem)
{
	struct error error = ERROR_INITIALIZER;
	struct address address;

	if (address_parse(text, strlen(text), ADDRESS_ALLOW_UTF8, &address, &error) < 0) {
		buffer_printf(problem, "found \"%.200s\" (%s); allowed: an Internet address such as "
		    "jane.doe@acme.com", text, error.text);
		return false;
	}
	return buffer_append_string(canonical, address.text);
}

static bool
parse_mail_name(const char *text, struct buffer *canonical, struct buffer *problem)
{
	if (strchr(text, '@') != NULL)
		return parse_address(text, canonical, problem);
	return value_abbreviate_name(text, canonical) && strchr(text, '*') == NULL;
}

static bool
parse_domain(const char *text, struct buffer *canonical)
{
	return is_domain(text, true) && append_lower(canonical, text);
}

static bool
parse_domain_alias(const char *text, struct buffer *canonical)
{
	if (strncmp(text, "*.", 2) != 0)
		return parse_domain(text, canonical);
	return is_domain(text + 2, true) && append_lower(canonical, text);
}

/* What may stand for a group: it has neither a dot nor an @. */
static bool
parse_group(const char *text, struct buffer *canonical)
{
	return strpbrk(text, ".@%*[]") == NULL && value_abbreviate_name(text, canonical);
}

static bool
parse_destination(const char *text, struct buffer *canonical)
{
	const char *domain = text + (text[0] == '@' || text[0] == '.' ? 1 : 0);

	if (strcmp(text, "*") == 0)
		return buffer_append_string(canonical, text);
	if (text[0] == '%')
		return text[1] != '\0' && strpbrk(text, ".@*/ ") == NULL &&
		    strlen(text + 1) <= LONGEST_DOMINO_DOMAIN && buffer_append_string(canonical, text);
	if (strchr(text, '.') == NULL && text[0] != '@')
		return parse_group(text, canonical);
	return is_domain(domain, true) && append_lower(canonical, text);
}

static bool
parse_address_entry(const char *text, bool domains_too, struct buffer *canonical, struct buffer *problem)
{
	const char *at = strchr(text, '@');

	if (at != NULL && (at != text || !domains_too))
		return parse_address(text, canonical, problem);
	if (at == NULL && strchr(text, '.') == NULL)
		return parse_group(text, canonical);
	return domains_too && is_domain(text + (text[0] == '@' || text[0] == '.' ? 1 : 0), true) &&
	    append_lower(canonical, text);
}

static bool
parse_host_entry(const char *text, struct buffer *canonical, struct buffer *problem)
{
	struct error error = ERROR_INITIALIZER;
	struct host_entry entry;

	if (host_entry_parse(text, &entry, &error) < 0) {
		buffer_printf(problem, "found \"%.200s\" (%s); allowed: ", text, error.text);
		buffer_append_string(problem, "the tail of a host name, .domain, [192.0.2.1], [192.0.2.*], "
		    "[192.0.2.1-9], [192.0.2.0/24], [2001:db8::/32], a group, *");
		return false;
	}
	return entry.kind == HOST_ENTRY_GROUP ? parse_group(text, canonical) : append_lower(canonical, text);
}

static bool
parse_dns_list_weight(const char *text, struct buffer *canonical, struct buffer *problem)
{
	struct error error = ERROR_INITIALIZER;
	struct dns_list_weight weight;

	if (dns_list_weight_parse(text, &weight, &error) == 0)
		return append_lower(canonical, text);
	buffer_printf(problem, "found \"%.200s\" (%s); allowed: zone*weight, zone=127.0.0.2*weight, zone=127.0.0.2-9*weight", text,
	    error.text);
	return false;
}

/* ---- places in the network ---- */

static bool
port_is_valid(const char *text)
{
	unsigned port = 0;

	if (strlen(text) < 1 || strlen(text) > 5 || text[strspn(text, "0123456789")] != '\0')
		return false;
	for (; *text != '\0'; text++)
		port = port * 10 + (unsigned)(*text - '0');
	return port >= 1 && port <= 65535;
}

/* An address of either family in canonical form. */
static bool
append_ip_address(const char *text, size_t length, bool brackets, struct buffer *canonical)
{
	char copy[INET6_ADDRSTRLEN], shown[INET6_ADDRSTRLEN];
	uint8_t address[16];
	int family;

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	family = memchr(copy, ':', length) != NULL ? AF_INET6 : AF_INET;
	return inet_pton(family, copy, address) == 1 && inet_ntop(family, address, shown, sizeof(shown)) != NULL &&
	    buffer_printf(canonical, brackets ? "[%s]" : "%s", shown);
}

/* A host name, in lower case. Four numbers would be asked for in the DNS: they need brackets. */
static bool
append_host_name(const char *text, size_t length, struct buffer *canonical)
{
	char host[ADDRESS_DOMAIN_MAX + 1];

	if (length == 0 || length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	return is_domain(host, true) && strspn(host, "0123456789.") != length && append_lower(canonical, host);
}

/* domain, [host], [address], each with or without :port; with lmtp: before it for LMTP. */
static bool
parse_next_hop(const char *text, struct buffer *canonical)
{
	size_t length;

	if (strncmp(text, "lmtp:", 5) == 0) {
		buffer_append_string(canonical, "lmtp:");
		text += 5;
	}
	if (text[0] == '[') {
		length = strcspn(text, "]");
		if (text[length] != ']' || (!append_ip_address(text + 1, length - 1, true, canonical) &&
		    !(buffer_append_byte(canonical, '[') && append_host_name(text + 1, length - 1, canonical) &&
		    buffer_append_byte(canonical, ']'))))
			return false;
		length++;
	} else {
		length = strcspn(text, ":");
		if (!append_host_name(text, length, canonical))
			return false;
	}
	if (text[length] == '\0')
		return true;
	return text[length] == ':' && port_is_valid(text + length + 1) && buffer_append_string(canonical,
	    text + length);
}

static bool
parse_listen_address(const char *text, struct buffer *canonical)
{
	size_t length = strlen(text);

	if (strcmp(text, "*") == 0)
		return buffer_append_string(canonical, text);
	if (text[0] == '[')
		return length > 2 && text[length - 1] == ']' && strchr(text, ':') != NULL &&
		    append_ip_address(text + 1, length - 2, true, canonical);
	return strchr(text, ':') == NULL && append_ip_address(text, length, false, canonical);
}

static bool
parse_nameserver(const char *text, struct buffer *canonical)
{
	size_t length = strcspn(text, "@");
	bool brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';

	if (!append_ip_address(text + brackets, length - 2 * brackets, false, canonical))
		return false;
	return text[length] == '\0' || (port_is_valid(text + length + 1) && buffer_append_string(canonical,
	    text + length));
}

/* An address without brackets, which they may have around them in the file. */
static bool
parse_source_address(const char *text, struct buffer *canonical)
{
	size_t length = strlen(text);
	bool brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';

	return append_ip_address(text + brackets, length - 2 * brackets, false, canonical);
}

/* ---- the rest ---- */

static bool
parse_path(const char *text, struct buffer *canonical)
{
	size_t length = strlen(text);

	if (text[0] != '/' || length >= 4000 || strstr(text, "/../") != NULL ||
	    (length >= 3 && strcmp(text + length - 3, "/..") == 0))
		return false;
	while (length > 1 && text[length - 1] == '/')
		length--;
	return buffer_append(canonical, text, length);
}

/* "HH:MM" up to 24:00. */
static bool
clock_time_is_valid(const char *text)
{
	static const char form[] = "00:00";
	int hours, minutes;

	for (int i = 0; i < 5; i++)
		if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	hours = (text[0] - '0') * 10 + text[1] - '0';
	minutes = (text[3] - '0') * 10 + text[4] - '0';
	return (hours < 24 && minutes < 60) || (hours == 24 && minutes == 0);
}

static bool
parse_time_range(const char *text, struct buffer *canonical)
{
	return strlen(text) == 11 && text[5] == '-' && clock_time_is_valid(text) &&
	    clock_time_is_valid(text + 6) && buffer_append_string(canonical, text);
}

static bool
parse_password_hash(const char *text, struct buffer *canonical)
{
	static const char *const schemes[] = { "$y$", "$gy$", "$7$", "$2a$", "$2b$", "$2y$", "$6$", "$5$" };

	for (size_t i = 0; i < ARRAY_COUNT(schemes); i++)
		if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
			return strlen(text) >= 20 && strpbrk(text, " :;*!\\") == NULL &&
			    buffer_append_string(canonical, text);
	return false;
}

bool
value_parse_text(const struct setting_row *row, const char *text, struct buffer *canonical, struct buffer *problem)
{
	size_t length = strlen(text), limit = row->maximum > 0 && !type_is_list(row->type) ?
	    (size_t)row->maximum : LONGEST_TEXT;

	if (length == 0 && !type_is_list(row->type))
		return row->minimum == 0;
	if (length == 0 || (row->type != TYPE_PATH && length > limit))
		return false;
	switch (row->type) {
	case TYPE_NAME:
		return value_abbreviate_name(text, canonical) && strchr(text, '*') == NULL;
	case TYPE_LIST_NAME:
		return parse_name_entry(text, canonical);
	case TYPE_HOST:
		return is_domain(text, false) && append_lower(canonical, text);
	case TYPE_DOMAIN:
	case TYPE_LIST_DOMAIN:
		return parse_domain(text, canonical);
	case TYPE_LIST_DOMAIN_ALIAS:
		return parse_domain_alias(text, canonical);
	case TYPE_ADDRESS:
		return parse_address(text, canonical, problem);
	case TYPE_MAIL_NAME:
		return parse_mail_name(text, canonical, problem);
	case TYPE_LIST_MEMBER:
		return text[0] == '[' ? parse_host_entry(text, canonical, problem) : strchr(text, '@') != NULL ?
		    parse_address(text, canonical, problem) : parse_name_entry(text, canonical);
	case TYPE_PATH:
		return length <= limit && parse_path(text, canonical);
	case TYPE_NEXT_HOP:
		return parse_next_hop(text, canonical);
	case TYPE_LOCAL_DELIVERY:
		return strcmp(text, "maildir") == 0 ? buffer_append_string(canonical, text) :
		    strncmp(text, "lmtp:", 5) == 0 && parse_next_hop(text, canonical);
	case TYPE_TIME_RANGE:
		return parse_time_range(text, canonical);
	case TYPE_CHARACTER:
		return length == 1 && text[0] > ' ' && text[0] < 127 && text[0] != '@' &&
		    !is_alphanumeric(text[0]) && buffer_append_string(canonical, text);
	case TYPE_PASSWORD_HASH:
		return parse_password_hash(text, canonical);
	case TYPE_LIST_HOST_ENTRY:
		return parse_host_entry(text, canonical, problem);
	case TYPE_LIST_DESTINATION:
		return parse_destination(text, canonical);
	case TYPE_LIST_ADDRESS_ENTRY:
		return parse_address_entry(text, true, canonical, problem);
	case TYPE_LIST_RECIPIENT_ENTRY:
		return parse_address_entry(text, false, canonical, problem);
	case TYPE_LIST_LISTEN_ADDRESS:
		return parse_listen_address(text, canonical);
	case TYPE_LIST_NAMESERVER:
		return parse_nameserver(text, canonical);
	case TYPE_LIST_SOURCE_ADDRESS:
		return parse_source_address(text, canonical);
	case TYPE_LIST_DNS_LIST_WEIGHT:
		return parse_dns_list_weight(text, canonical, problem);
	default:
		return buffer_append_string(canonical, text);
	}
}
