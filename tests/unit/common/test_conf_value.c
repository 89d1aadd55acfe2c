/* test_conf_value - what stands behind a key, by the type of its row; and the table itself */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/conf/templates.h"
#include "common/conf/value.h"

#define SECRET_TEXT "hunter2"

static const struct {
	enum value_type type;
	const char *text;
	int64_t number;		/* -1: refused */
	const char *shown;
} number_cases[] = {
	{ TYPE_NUMBER, "0", 0, "0" },
	{ TYPE_NUMBER, "10", 10, "10" },
	{ TYPE_NUMBER, "010", 10, "10" },
	{ TYPE_NUMBER, "", -1, NULL },
	{ TYPE_NUMBER, "-1", -1, NULL },
	{ TYPE_NUMBER, "1x", -1, NULL },
	{ TYPE_NUMBER, "1s", -1, NULL },
	{ TYPE_NUMBER, " 1", -1, NULL },
	{ TYPE_NUMBER, "99999999999999999999", -1, NULL },
	{ TYPE_NUMBER, "9223372036854775807", INT64_MAX, "9223372036854775807" },
	{ TYPE_TIME_SECONDS, "90", 90, "90s" },
	{ TYPE_TIME_SECONDS, "5m", 300, "5m" },
	{ TYPE_TIME_MINUTES, "15", 900, "15m" },
	{ TYPE_TIME_MINUTES, "15s", 15, "15s" },
	{ TYPE_TIME_HOURS, "4", 14400, "4h" },
	{ TYPE_TIME_DAYS, "2", 172800, "2d" },
	{ TYPE_TIME_DAYS, "1w", -1, NULL },
	{ TYPE_TIME_DAYS, "106751991167301d", -1, NULL },
	{ TYPE_TIME_SECONDS, "1m30s", -1, NULL },
	{ TYPE_SIZE_OCTETS, "1000", 1000, "1000" },
	{ TYPE_SIZE_OCTETS, "64K", 65536, "64K" },
	{ TYPE_SIZE_OCTETS, "10M", 10485760, "10M" },
	{ TYPE_SIZE_OCTETS, "1G", 1073741824, "1G" },
	{ TYPE_SIZE_OCTETS, "10k", -1, NULL },
	{ TYPE_SIZE_KB, "51200", 52428800, "50M" },
	{ TYPE_SIZE_KB, "10M", 10485760, "10M" },
	{ TYPE_SWITCH, "enabled", 1, "enabled" },
	{ TYPE_SWITCH, "disabled", 0, "disabled" },
	{ TYPE_SWITCH, "yes", -1, NULL },
	{ TYPE_SWITCH, "Enabled", -1, NULL },
	{ TYPE_YES_NO, "yes", 1, "yes" },
	{ TYPE_YES_NO, "1", -1, NULL },
	{ TYPE_FLAG, "1", 1, "1" },
	{ TYPE_CHOICE_relay_enforcement, "external_hosts", RELAY_ENFORCEMENT_EXTERNAL_HOSTS, "external_hosts" },
	{ TYPE_CHOICE_relay_enforcement, "none", RELAY_ENFORCEMENT_NONE, "none" },
	{ TYPE_CHOICE_relay_enforcement, "nobody", -1, NULL },
	{ TYPE_CHOICE_group_type, "servers_only", GROUP_TYPE_SERVERS_ONLY, "servers_only" },
};

static const struct {
	enum value_type type;
	const char *text;
	const char *canonical;	/* NULL: refused */
} text_cases[] = {
	{ TYPE_NAME, "CN=Jane Doe/OU=Sales/O=Acme", "Jane Doe/Sales/Acme" },
	{ TYPE_NAME, "Jane Doe/Sales/Acme", "Jane Doe/Sales/Acme" },
	{ TYPE_NAME, "Jane//Acme", NULL },
	{ TYPE_NAME, "jane@acme.com", NULL },
	{ TYPE_NAME, "*/Acme", NULL },
	{ TYPE_LIST_NAME, "*/Acme", "*/Acme" },
	{ TYPE_LIST_NAME, "*", "*" },
	{ TYPE_LIST_NAME, "a*/Acme", NULL },
	{ TYPE_HOST, "Hub.Acme.COM", "hub.acme.com" },
	{ TYPE_HOST, "hub.acme.com.", NULL },
	{ TYPE_HOST, "-hub.acme.com", NULL },
	{ TYPE_HOST, "hub..com", NULL },
	{ TYPE_DOMAIN, "acme.com", "acme.com" },
	{ TYPE_DOMAIN, "*.acme.com", NULL },
	{ TYPE_LIST_DOMAIN_ALIAS, "*.Acme.com", "*.acme.com" },
	{ TYPE_LIST_DOMAIN_ALIAS, "a*.acme.com", NULL },
	{ TYPE_LIST_DOMAIN_ALIAS, "*acme.com", NULL },
	{ TYPE_ADDRESS, "Jane@ACME.com", "Jane@acme.com" },
	{ TYPE_ADDRESS, "jane", NULL },
	{ TYPE_MAIL_NAME, "jane", "jane" },
	{ TYPE_PATH, "/var/spool/", "/var/spool" },
	{ TYPE_PATH, "/", "/" },
	{ TYPE_PATH, "var/spool", NULL },
	{ TYPE_PATH, "/var/../etc", NULL },
	{ TYPE_NEXT_HOP, "Relay.example", "relay.example" },
	{ TYPE_NEXT_HOP, "relay.example:587", "relay.example:587" },
	{ TYPE_NEXT_HOP, "[192.0.2.1]:25", "[192.0.2.1]:25" },
	{ TYPE_NEXT_HOP, "[2001:DB8:0::1]", "[2001:db8::1]" },
	{ TYPE_NEXT_HOP, "lmtp:[127.0.0.1]:24", "lmtp:[127.0.0.1]:24" },
	{ TYPE_NEXT_HOP, "[Relay.Example]:587", "[relay.example]:587" },
	{ TYPE_NEXT_HOP, "[relay]", "[relay]" },
	{ TYPE_NEXT_HOP, "[192.0.2.300]", NULL },
	{ TYPE_NEXT_HOP, "[]", NULL },
	{ TYPE_NEXT_HOP, "192.0.2.1", NULL },
	{ TYPE_NEXT_HOP, "[192.0.2.1", NULL },
	{ TYPE_NEXT_HOP, "[192.0.2.1]25", NULL },
	{ TYPE_NEXT_HOP, "relay.example:0", NULL },
	{ TYPE_NEXT_HOP, "relay.example:65536", NULL },
	{ TYPE_NEXT_HOP, "relay.example:", NULL },
	{ TYPE_NEXT_HOP, "lmtp:", NULL },
	{ TYPE_LOCAL_DELIVERY, "maildir", "maildir" },
	{ TYPE_LOCAL_DELIVERY, "lmtp:mail.example", "lmtp:mail.example" },
	{ TYPE_LOCAL_DELIVERY, "mail.example", NULL },
	{ TYPE_TIME_RANGE, "08:00-22:00", "08:00-22:00" },
	{ TYPE_TIME_RANGE, "00:00-24:00", "00:00-24:00" },
	{ TYPE_TIME_RANGE, "8:00-22:00", NULL },
	{ TYPE_TIME_RANGE, "08:60-22:00", NULL },
	{ TYPE_TIME_RANGE, "08:00-24:01", NULL },
	{ TYPE_CHARACTER, "%", "%" },
	{ TYPE_CHARACTER, "a", NULL },
	{ TYPE_CHARACTER, "@", NULL },
	{ TYPE_PASSWORD_HASH, "$y$j9T$abcdefghijklmnop$abcdefgh", "$y$j9T$abcdefghijklmnop$abcdefgh" },
	{ TYPE_PASSWORD_HASH, SECRET_TEXT, NULL },
	{ TYPE_PASSWORD_HASH, "$1$abcdefgh$abcdefghijklmnopqrstuv", NULL },
	{ TYPE_LIST_DESTINATION, "*", "*" },
	{ TYPE_LIST_DESTINATION, "@ABC.com", "@abc.com" },
	{ TYPE_LIST_DESTINATION, ".abc.com", ".abc.com" },
	{ TYPE_LIST_DESTINATION, "%AcmeEast", "%AcmeEast" },
	{ TYPE_LIST_DESTINATION, "Partners", "Partners" },
	{ TYPE_LIST_DESTINATION, "%", NULL },
	{ TYPE_LIST_DESTINATION, "@", NULL },
	{ TYPE_LIST_DESTINATION, "jane@abc.com", NULL },
	{ TYPE_LIST_DESTINATION, "*.abc.com", NULL },
	{ TYPE_LIST_ADDRESS_ENTRY, "abc.com", "abc.com" },
	{ TYPE_LIST_ADDRESS_ENTRY, "@abc.com", "@abc.com" },
	{ TYPE_LIST_ADDRESS_ENTRY, "jane@abc.com", "jane@abc.com" },
	{ TYPE_LIST_RECIPIENT_ENTRY, "jane@abc.com", "jane@abc.com" },
	{ TYPE_LIST_RECIPIENT_ENTRY, "abc.com", NULL },
	{ TYPE_LIST_HOST_ENTRY, "ABC.com", "abc.com" },
	{ TYPE_LIST_HOST_ENTRY, "[10.0.0.*/8]", NULL },
	{ TYPE_LIST_MEMBER, "[10.0.0.*]", "[10.0.0.*]" },
	{ TYPE_LIST_LISTEN_ADDRESS, "*", "*" },
	{ TYPE_LIST_LISTEN_ADDRESS, "127.0.0.1", "127.0.0.1" },
	{ TYPE_LIST_LISTEN_ADDRESS, "[::1]", "[::1]" },
	{ TYPE_LIST_LISTEN_ADDRESS, "::1", NULL },
	{ TYPE_LIST_LISTEN_ADDRESS, "localhost", NULL },
	{ TYPE_LIST_NAMESERVER, "127.0.0.1@5353", "127.0.0.1@5353" },
	{ TYPE_LIST_NAMESERVER, "::1", "::1" },
	{ TYPE_LIST_NAMESERVER, "[::1]@53", "::1@53" },
	{ TYPE_LIST_NAMESERVER, "127.0.0.1:53", NULL },
	{ TYPE_LIST_SOURCE_ADDRESS, "192.0.2.1", "192.0.2.1" },
	{ TYPE_LIST_SOURCE_ADDRESS, "[2001:DB8::1]", "2001:db8::1" },
	{ TYPE_LIST_SOURCE_ADDRESS, "*", NULL },
	{ TYPE_LIST_SOURCE_ADDRESS, "[192.0.2.1", NULL },
	{ TYPE_LIST_SOURCE_ADDRESS, "192.0.2.1:25", NULL },
	{ TYPE_LIST_ROUTING_TASK, "mail_routing", "mail_routing" },
	{ TYPE_LIST_ROUTING_TASK, "mail", NULL },
	{ TYPE_LIST_STRING, "", NULL },
};

static struct setting_row
row_of(enum value_type type)
{
	return (struct setting_row){ .section = "", .name = "key", .type = type, .default_text = "", .help = "",
		.maximum = type < TYPE_NUMBER || type_is_list(type) ? 0 : INT64_MAX };
}

static void
numbers_times_sizes_and_words_are_read_and_shown(void **state UNUSED)
{
	struct settings_memory *memory = settings_memory_new();

	for (size_t i = 0; i < ARRAY_COUNT(number_cases); i++) {
		struct setting_row row = row_of(number_cases[i].type);
		struct buffer problem = BUFFER_INITIALIZER(0), shown = BUFFER_INITIALIZER(0);
		struct setting setting = { .text = "" };

		if (value_parse(&row, number_cases[i].text, memory, &setting,
		    &problem) != (number_cases[i].number >= 0))
			fail_msg("%s", number_cases[i].text);
		if (number_cases[i].number >= 0) {
			assert_true(setting.number == number_cases[i].number);
			value_format(&row, &setting, &shown);
			assert_string_equal(shown.data, number_cases[i].shown);
		} else {
			assert_non_null(strstr(problem.data, "; allowed: "));
		}
		buffer_free(&problem);
		buffer_free(&shown);
	}
	settings_memory_free(&memory);
}

static void
texts_have_one_form(void **state UNUSED)
{
	struct settings_memory *memory = settings_memory_new();

	for (size_t i = 0; i < ARRAY_COUNT(text_cases); i++) {
		struct setting_row row = row_of(text_cases[i].type);
		struct buffer problem = BUFFER_INITIALIZER(0);
		struct setting setting = { .text = "" };
		const char *text = "";
		bool good;

		if (type_is_list(row.type)) {
			good = value_parse_item(&row, text_cases[i].text, memory, &text, &problem);
		} else {
			good = value_parse(&row, text_cases[i].text, memory, &setting, &problem);
			text = setting.text;
		}
		if (good != (text_cases[i].canonical != NULL))
			fail_msg("\"%s\" of type %d: %s", text_cases[i].text, (int)row.type,
			    buffer_text(&problem));
		if (good)
			assert_string_equal(text, text_cases[i].canonical);
		else
			assert_non_null(strstr(problem.data, "; allowed: "));
		buffer_free(&problem);
	}
	settings_memory_free(&memory);
}

static void
a_number_out_of_range_is_refused_with_the_range(void **state UNUSED)
{
	const struct setting_row *row = setting_row_find(KIND_server, "smtp_inbound", "tcp_port");
	struct settings_memory *memory = settings_memory_new();
	struct buffer problem = BUFFER_INITIALIZER(0);
	struct setting setting = { .text = "" };

	assert_false(value_parse(row, "65536", memory, &setting, &problem));
	assert_string_equal(problem.data, "found \"65536\"; allowed: a number from 1 to 65535");
	buffer_free(&problem);
	settings_memory_free(&memory);
}

static void
secrets_are_never_shown(void **state UNUSED)
{
	const struct setting_row *hash = setting_row_find(KIND_person, "", "password");
	const struct setting_row *secret = setting_row_find(KIND_configuration, "", "relay_host_password");
	struct settings_memory *memory = settings_memory_new();
	struct buffer text = BUFFER_INITIALIZER(0);
	struct setting setting = { .text = "" };

	assert_false(value_parse(hash, SECRET_TEXT, memory, &setting, &text));
	assert_null(strstr(text.data, SECRET_TEXT));
	assert_true(value_parse(secret, SECRET_TEXT, memory, &setting, &text));
	buffer_clear(&text);
	value_format(secret, &setting, &text);
	assert_string_equal(text.data, "(hidden)");
	buffer_free(&text);
	settings_memory_free(&memory);
}

static void
lists_are_shown_as_they_would_be_written(void **state UNUSED)
{
	struct setting_row row = row_of(TYPE_LIST_STRING);
	struct setting_item items[] = { { "a \"b\" \\", { "", 0 } }, { "c", { "", 0 } } };
	struct setting setting = { .text = "", .items = items, .count = 2 };
	struct buffer text = BUFFER_INITIALIZER(0);

	value_format(&row, &setting, &text);
	assert_string_equal(text.data, "{ \"a \\\"b\\\" \\\\\", \"c\" }");
	buffer_clear(&text);
	setting.count = 0;
	value_format(&row, &setting, &text);
	assert_string_equal(text.data, "{}");
	buffer_free(&text);
}

static void
every_default_is_a_value_of_its_own_type_and_range(void **state UNUSED)
{
	struct settings_memory *memory = settings_memory_new();
	struct buffer problems = BUFFER_INITIALIZER(0);

	for (size_t kind = 0; kind < KIND_COUNT; kind++)
		template_new(kind, memory, &problems);
	assert_string_equal(buffer_text(&problems), "");
	buffer_free(&problems);
	settings_memory_free(&memory);
}

static void
every_row_has_help_a_place_and_one_name(void **state UNUSED)
{
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		const struct document_row *document = &document_rows[kind];

		assert_true(document->setting_count > 0 && document->setting_count < UINT16_MAX);
		for (size_t i = 0; i < document->setting_count; i++) {
			const struct setting_row *row = &document->settings[i];

			assert_true(row->help[0] != '\0' && row->help[strlen(row->help) - 1] == '.');
			assert_true(row->minimum <= row->maximum);
			assert_ptr_equal(setting_row_find(kind, row->section, row->name), row);
		}
	}
}

static void
hashes_are_told_to_directory_and_relay_passwords_to_smtp_only(void **state UNUSED)
{
	const struct setting_row *hash = setting_row_find(KIND_person, "", "password");
	const struct setting_row *secret = setting_row_find(KIND_configuration, "", "relay_host_password");

	for (enum role role = ROLE_LOGGER; role < ROLE_CONTROL; role++) {
		assert_int_equal(setting_row_is_seen_by(hash, role), role == ROLE_DIRECTORY);
		assert_int_equal(setting_row_is_seen_by(secret, role), role == ROLE_SMTP);
	}
	assert_true(setting_row_is_seen_by(hash, ROLE_MASTER));
}

static void
expect_described(const struct setting_row *row, const char *expected)
{
	struct buffer text = BUFFER_INITIALIZER(0);

	value_describe(row, &text);
	assert_string_equal(buffer_text(&text), expected);
	buffer_free(&text);
}

static void
what_is_allowed_says_that_it_is_a_list_and_how_long_it_may_be(void **state UNUSED)
{
	expect_described(&(struct setting_row){ .type = TYPE_LIST_NAMESERVER, .maximum = 16 },
	    "a list of addresses, or address@port, at most 16 entries");
	expect_described(&(struct setting_row){ .type = TYPE_LIST_NAMESERVER }, "a list of addresses, or address@port");
	expect_described(&(struct setting_row){ .type = TYPE_LIST_ROUTING_TASK }, "a list of mail_routing, smtp_mail_routing");
	expect_described(&(struct setting_row){ .type = TYPE_SWITCH, .maximum = 1 }, "disabled, enabled");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_times_sizes_and_words_are_read_and_shown),
		cmocka_unit_test(texts_have_one_form),
		cmocka_unit_test(a_number_out_of_range_is_refused_with_the_range),
		cmocka_unit_test(secrets_are_never_shown),
		cmocka_unit_test(lists_are_shown_as_they_would_be_written),
		cmocka_unit_test(what_is_allowed_says_that_it_is_a_list_and_how_long_it_may_be),
		cmocka_unit_test(every_default_is_a_value_of_its_own_type_and_range),
		cmocka_unit_test(every_row_has_help_a_place_and_one_name),
		cmocka_unit_test(hashes_are_told_to_directory_and_relay_passwords_to_smtp_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
