/* value - numbers, times, sizes, switches and choices; lists: see value.h */
#include "common/conf/value.h"

#include <inttypes.h>
#include <string.h>

#define LONGEST_VALUE 4096

struct unit {
	char letter;
	int64_t factor;
};

static const struct unit time_units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
static const struct unit size_units[] = { { 'K', 1024 }, { 'M', 1024 * 1024 }, { 'G', 1024 * 1024 * 1024 } };

/* The units of a type, and the factor of a bare number. */
struct number_form {
	const struct unit *units;
	size_t unit_count;
	int64_t bare;
	const char *bare_name;
};

static struct number_form
number_form(enum value_type type)
{
	switch (type) {
	case TYPE_TIME_SECONDS:
		return (struct number_form){ time_units, ARRAY_COUNT(time_units), 1, "seconds" };
	case TYPE_TIME_MINUTES:
		return (struct number_form){ time_units, ARRAY_COUNT(time_units), 60, "minutes" };
	case TYPE_TIME_HOURS:
		return (struct number_form){ time_units, ARRAY_COUNT(time_units), 3600, "hours" };
	case TYPE_TIME_DAYS:
		return (struct number_form){ time_units, ARRAY_COUNT(time_units), 86400, "days" };
	case TYPE_SIZE_OCTETS:
		return (struct number_form){ size_units, ARRAY_COUNT(size_units), 1, "octets" };
	case TYPE_SIZE_KB:
		return (struct number_form){ size_units, ARRAY_COUNT(size_units), 1024, "KB" };
	default:
		return (struct number_form){ NULL, 0, 1, "" };
	}
}

static void
format_number(enum value_type type, int64_t number, struct buffer *out)
{
	struct number_form form = number_form(type);

	for (size_t i = form.unit_count; i-- > 0;) {
		if (number != 0 && number % form.units[i].factor == 0) {
			buffer_printf(out, "%" PRId64 "%c", number / form.units[i].factor, form.units[i].letter);
			return;
		}
	}
	/* Only octets are left over: every time is a number of seconds. */
	buffer_printf(out, "%" PRId64, number);
}

static bool
parse_number(const struct setting_row *row, const char *text, int64_t *number_out)
{
	struct number_form form = number_form(row->type);
	int64_t number = 0, factor = form.bare;
	const char *next = text;

	for (; *next >= '0' && *next <= '9'; next++)
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *next - '0',
		    &number))
			return false;
	if (next == text)
		return false;
	if (*next != '\0') {
		factor = 0;
		for (size_t i = 0; i < form.unit_count; i++)
			if (next[0] == form.units[i].letter && next[1] == '\0')
				factor = form.units[i].factor;
		if (factor == 0)
			return false;
	}
	return !__builtin_mul_overflow(number, factor, number_out) && *number_out >= row->minimum &&
	    *number_out <= row->maximum;
}

/* The words of a switch in the order of their value, ended by NULL; NULL for types without words. */
static const char *const *
type_words(enum value_type type)
{
	static const char *const switch_words[] = { "disabled", "enabled", NULL };
	static const char *const yes_no_words[] = { "no", "yes", NULL };
	static const char *const flag_words[] = { "0", "1", NULL };
	static const char *const routing_task_words[] = { "mail_routing", "smtp_mail_routing", NULL };

	switch (type) {
	case TYPE_SWITCH:
		return switch_words;
	case TYPE_YES_NO:
		return yes_no_words;
	case TYPE_FLAG:
		return flag_words;
	case TYPE_LIST_ROUTING_TASK:
		return routing_task_words;
	default:
		return type_choice_words(type);
	}
}

static bool
parse_word(const char *const *words, const char *text, int64_t *number_out)
{
	for (int64_t i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], text) == 0) {
			*number_out = i;
			return true;
		}
	}
	return false;
}

static void
describe_range(const struct setting_row *row, struct buffer *out)
{
	struct number_form form = number_form(row->type);

	buffer_append_string(out, form.unit_count == 0 ? "a number from " :
	    form.units == time_units ? "a time (s, m, h, d) from " : "a size (K, M, G) from ");
	format_number(row->type, row->minimum, out);
	buffer_append_string(out, " to ");
	format_number(row->type, row->maximum, out);
	if (form.unit_count > 0)
		buffer_printf(out, ", a bare number is %s", form.bare_name);
}

static const char *
describe_text(enum value_type type)
{
	switch (type) {
	case TYPE_NAME: return "a Notes name such as Jane Doe/Sales/Acme";
	case TYPE_HOST: return "a host name such as hub.acme.com";
	case TYPE_DOMAIN: return "an Internet domain such as acme.com";
	case TYPE_ADDRESS: return "an Internet address such as jane.doe@acme.com";
	case TYPE_MAIL_NAME: return "an Internet address or a Notes name";
	case TYPE_PATH: return "an absolute path";
	case TYPE_NEXT_HOP: return "a domain, whose MX records count, [host] or [address], each with or without "
	    ":port, with lmtp: before it for LMTP; or \"\"";
	case TYPE_LOCAL_DELIVERY: return "maildir, or lmtp: followed by host or [address], each with or without "
	    ":port";
	case TYPE_TIME_RANGE: return "a time range such as 08:00-22:00";
	case TYPE_CHARACTER: return "one printable ASCII character that is no letter, digit or @";
	case TYPE_SECRET: return "a password";
	case TYPE_PASSWORD_HASH: return "a crypt(5) hash made by: matador password";
	case TYPE_LIST_STRING: return "texts";
	case TYPE_LIST_NAME: return "Notes names, groups, */Unit/Organization, *";
	case TYPE_LIST_DOMAIN: return "Internet domains";
	case TYPE_LIST_DOMAIN_ALIAS: return "Internet domains, or *. and a domain for everything below it";
	case TYPE_LIST_MEMBER: return "Internet addresses, people, groups and mail-in databases";
	case TYPE_LIST_HOST_ENTRY: return "host entries: the tail of a host name, .domain, [192.0.2.1], "
	    "[192.0.2.*], [192.0.2.1-9], [192.0.2.0/24], [2001:db8::/32], a group, *";
	case TYPE_LIST_DESTINATION: return "the tail of a domain, @domain, %DominoDomain, a group, *";
	case TYPE_LIST_ADDRESS_ENTRY: return "Internet addresses, domains and groups";
	case TYPE_LIST_RECIPIENT_ENTRY: return "Internet addresses and groups";
	case TYPE_LIST_LISTEN_ADDRESS: return "*, IPv4 addresses, IPv6 addresses in brackets";
	case TYPE_LIST_NAMESERVER: return "addresses, or address@port";
	case TYPE_LIST_DNS_LIST_WEIGHT: return "weights of DNS lists, zone*weight or zone=127.0.0.2*weight";
	case TYPE_LIST_SOURCE_ADDRESS: return "addresses, one IPv4 address and one IPv6 address at most";
	default: return "text";
	}
}

void
value_describe(const struct setting_row *row, struct buffer *out)
{
	const char *const *words = type_words(row->type);
	bool is_list = type_is_list(row->type);

	if (is_list)
		buffer_append_string(out, "a list of ");
	if (words != NULL) {
		for (size_t i = 0; words[i] != NULL; i++)
			buffer_printf(out, "%s%s", i > 0 ? ", " : "", words[i]);
	} else if (is_list) {
		buffer_append_string(out, describe_text(row->type));
		if (row->maximum > 0)
			buffer_printf(out, ", at most %" PRId64 " entries", row->maximum);
	} else if (row->type >= TYPE_NUMBER) {
		describe_range(row, out);
	} else {
		buffer_append_string(out, describe_text(row->type));
		if (row->type == TYPE_STRING && row->minimum > 0)
			buffer_append_string(out, ", not empty");
		if (row->maximum > 0 && row->type != TYPE_CHARACTER)
			buffer_printf(out, ", at most %" PRId64 " octets", row->maximum);
	}
}

static void
refuse(const struct setting_row *row, const char *text, struct buffer *problem)
{
	if (type_is_secret(row->type))
		buffer_append_string(problem, "found something else (not shown)");
	else
		buffer_printf(problem, "found \"%.200s\"", text);
	buffer_append_string(problem, "; allowed: ");
	value_describe(row, problem);
}

/* Parses a text and keeps it: text itself when it is canonical already, it lives as long as memory. */
static bool
keep_text(const struct setting_row *row, const char *text, struct settings_memory *memory, const char **text_out,
    struct buffer *problem)
{
	struct buffer canonical = BUFFER_INITIALIZER(LONGEST_VALUE);
	size_t before = problem->length;
	bool good = value_parse_text(row, text, &canonical, problem);

	if (good)
		*text_out = canonical.length == 0 || strcmp(canonical.data, text) == 0 ? text :
		    settings_memory_text(memory, canonical.data, canonical.length);
	else if (problem->length == before)
		refuse(row, text, problem);
	buffer_free(&canonical);
	return good;
}

bool
value_parse(const struct setting_row *row, const char *text, struct settings_memory *memory,
    struct setting *setting_out, struct buffer *problem)
{
	const char *const *words = type_words(row->type);

	if (row->type < TYPE_NUMBER)
		return keep_text(row, text, memory, &setting_out->text, problem);
	if (words != NULL ? !parse_word(words, text, &setting_out->number) : !parse_number(row, text,
	    &setting_out->number)) {
		refuse(row, text, problem);
		return false;
	}
	setting_out->text = text;
	return true;
}

bool
value_parse_item(const struct setting_row *row, const char *text, struct settings_memory *memory,
    const char **text_out, struct buffer *problem)
{
	const char *const *words = type_words(row->type);
	int64_t ignored;

	if (words == NULL)
		return keep_text(row, text, memory, text_out, problem);
	*text_out = text;
	if (!parse_word(words, text, &ignored)) {
		refuse(row, text, problem);
		return false;
	}
	return true;
}

static bool
parse_default_items(const struct setting_row *row, struct settings_memory *memory, struct setting *setting_out,
    struct buffer *problem)
{
	struct setting_item *items;
	size_t count = 1;

	for (const char *c = row->default_text; *c != '\0'; c++)
		count += *c == ',';
	items = settings_memory_take(memory, count, sizeof(*items));
	setting_out->items = items;
	for (const char *start = row->default_text; start != NULL;) {
		const char *comma = strchr(start, ',');
		size_t length = comma != NULL ? (size_t)(comma - start) : strlen(start);

		if (!value_parse_item(row, settings_memory_text(memory, start, length), memory,
		    &items[setting_out->count].text, problem))
			return false;
		items[setting_out->count++].at.file = "";
		start = comma == NULL ? NULL : comma + 1 + strspn(comma + 1, " ");
	}
	return true;
}

bool
value_parse_default(const struct setting_row *row, struct settings_memory *memory, struct setting *setting_out,
    struct buffer *problem)
{
	*setting_out = (struct setting){ .text = "", .at = { "", 0 } };
	if (!type_is_list(row->type))
		return value_parse(row, row->default_text, memory, setting_out, problem);
	return row->default_text[0] == '\0' || parse_default_items(row, memory, setting_out, problem);
}

bool
value_number_is_possible(const struct setting_row *row, int64_t number)
{
	const char *const *words = type_is_list(row->type) ? NULL : type_words(row->type);
	int64_t count = 0;

	if (words == NULL)
		return row->type < TYPE_NUMBER || type_is_list(row->type) ? number == 0 :
		    number >= row->minimum && number <= row->maximum;
	while (words[count] != NULL)
		count++;
	return number >= 0 && number < count;
}

static void
format_quoted(const char *text, struct buffer *out)
{
	buffer_append_byte(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buffer_append_byte(out, '\\');
		buffer_append_byte(out, *text);
	}
	buffer_append_byte(out, '"');
}

void
value_format(const struct setting_row *row, const struct setting *setting, struct buffer *out)
{
	const char *const *words = type_words(row->type);

	if (type_is_list(row->type)) {
		buffer_append_string(out, "{");
		for (size_t i = 0; i < setting->count; i++) {
			buffer_append_string(out, i > 0 ? ", " : " ");
			format_quoted(setting->items[i].text, out);
		}
		buffer_append_string(out, setting->count > 0 ? " }" : "}");
	} else if (type_is_secret(row->type) && setting->text[0] != '\0') {
		buffer_append_string(out, "(hidden)");
	} else if (words != NULL) {
		buffer_append_string(out, words[setting->number]);
	} else if (row->type >= TYPE_NUMBER) {
		format_number(row->type, setting->number, out);
	} else {
		format_quoted(setting->text, out);
	}
}
