/* test_conf_inbound - what the check of the documents says of the inbound controls (docs/reference/domino-semantics.md, 7.1) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/attributes.h"
#include "tests/unit/common/conf_folder.h"

/* Reads a configuration of one line (its number is 2); NULL when it has mistakes. */
static const struct settings *
read_configuration(const char *line, const char *groups, struct documents_report *report)
{
	const struct settings *settings;
	struct conf_folder folder;
	char text[512];

	conf_folder_make(&folder);
	conf_folder_write_usual(&folder);
	snprintf(text, sizeof(text), "configuration \"*\" {\n%s }\n", line);
	conf_folder_write(&folder, "configurations.conf", text);
	conf_folder_write(&folder, "directory/groups.conf", groups);
	settings = documents_read(folder.path, report);
	conf_folder_remove(&folder);
	return settings;
}

static const char *const allowing_hosts[] = { "relay_allow_hosts", "relay_enforcement_exclude_hosts", "private_whitelist_hosts",
	"allow_connections_from", "rate_exempt_hosts", "spf_exempt_hosts", "greylist_exempt_hosts" };

/* How often such a list is warned of because of its tails. */
static unsigned
count_tail_warnings(const char *key, const char *entry, const char *matching)
{
	struct documents_report report;
	const struct settings *settings;
	unsigned count = 0;
	char line[256], expected[128];

	snprintf(line, sizeof(line), "%s = { \"%s\" } host_entry_matching = %s", key, entry, matching);
	settings = read_configuration(line, "", &report);
	assert_non_null(settings);
	snprintf(expected, sizeof(expected), "configurations.conf:2: %s: %s lets in ", key, entry);
	for (const char *found = buffer_text(&report.warnings); (found = strstr(found, expected)) != NULL; found++)
		count++;
	settings_release(&settings);
	documents_report_free(&report);
	return count;
}

static void
a_bare_tail_in_a_list_that_allows_is_a_warning(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(allowing_hosts); i++) {
		if (count_tail_warnings(allowing_hosts[i], "acme.com", "character_tail") != 1 ||
		    count_tail_warnings(allowing_hosts[i], "*", "whole_labels") != 1)
			fail_msg("%s", allowing_hosts[i]);
		assert_int_equal(count_tail_warnings(allowing_hosts[i], ".acme.com", "character_tail"), 0);
		assert_int_equal(count_tail_warnings(allowing_hosts[i], "[192.0.2.1]", "character_tail"), 0);
		assert_int_equal(count_tail_warnings(allowing_hosts[i], "acme.com", "whole_labels"), 0);
	}
	assert_int_equal(count_tail_warnings("relay_allow_destinations", "acme.com", "character_tail"), 1);
	assert_int_equal(count_tail_warnings("relay_allow_destinations", "@acme.com", "character_tail"), 0);
	assert_int_equal(count_tail_warnings("deny_connections_from", "acme.com", "character_tail"), 0);
	assert_int_equal(count_tail_warnings("private_blacklist_hosts", "*", "character_tail"), 0);
}

static const struct {
	const char *line;
	const char *words;
} malformed[] = {
	{ "greylist_delay = 1h greylist_window = 60m", "greylist_window: found 60m" },
	{ "deny_connections_from = { \"[192.168.*.0/24]\" }", "a mask cannot be combined with a wildcard" },
	{ "deny_connections_from = { \"[192.168.1-10.0/8]\" }", "a mask cannot be combined with a wildcard or a range" },
	{ "deny_connections_from = { \"192.168.1.1\" }", "an address stands in brackets" },
	{ "rate_exempt_hosts = { \"[2001:db8::*]\" }", "wildcards and ranges are for IPv4" },
	{ "spf_exempt_hosts = { \"jane@acme.com\" }", "a host has no @" },
	{ "greylist_exempt_hosts = { \"*.acme.com\" }", "without *" },
	{ "relay_allow_destinations = { \"%Acme.East\" }", "%DominoDomain" },
	{ "relay_deny_destinations = { \"acme..com\" }", "the tail of a domain" },
	{ "deny_senders = { \"jane@@acme.com\" }", "an Internet address" },
	{ "deny_recipients = { \"@acme.com\" }", "an Internet address" },
	{ "dns_list_weight = { \"bl.example*ten\" }", "a weight is a number" },
	{ "dns_list_weight = { \"bl.example=10.0.0.1*1\" }", "127.0.0.0/8" },
	{ "deny_connections_from = { Partners }", "there is no such group" },
	{ "deny_senders = { Doorkeepers }", "of type access_control_only" },
};

static void
a_malformed_entry_refuses_the_documents_with_file_and_line(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(malformed); i++) {
		struct documents_report report;

		if (read_configuration(malformed[i].line, "group \"Doorkeepers\" { type = access_control_only }\n", &report) != NULL)
			fail_msg("taken: %s", malformed[i].line);
		if (strstr(buffer_text(&report.errors), "configurations.conf:2: ") == NULL ||
		    strstr(buffer_text(&report.errors), malformed[i].words) == NULL)
			fail_msg("%s: %s", malformed[i].line, buffer_text(&report.errors));
		documents_report_free(&report);
	}
}

static const struct {
	const char *line;
	const char *words;	/* NULL: no warning of that setting */
	const char *key;
} idle[] = {
	{ "dns_blacklist_sites = { \"bl.example\" } dns_list_threshold = 2 dns_list_weight = { \"bk.example*2\" } dns_blacklist_filters = enabled",
		"bk.example is neither", "dns_list_weight" },
	{ "dns_blacklist_sites = { \"bl.example\" } dns_list_threshold = 2 dns_list_weight = { \"BL.example*2\" } dns_blacklist_filters = enabled",
		NULL, "dns_list_weight" },
	{ "dns_blacklist_sites = { \"bl.example\" } dns_list_weight = { \"bl.example*2\" } dns_blacklist_filters = enabled", "nothing is weighed",
		"dns_list_weight" },
	{ "dns_blacklist_sites = { \"bl.example\" } dns_list_threshold = 2", "nothing is weighed", "dns_list_threshold" },
	{ "early_talker_action = log_and_reject", "greeting_delay is 0", "early_talker_action" },
	{ "early_talker_action = log_and_reject greeting_delay = 5s", NULL, "early_talker_action" },
	{ "greeting_delay = 5s relay_enforcement = none", "wait for the greeting", "greeting_delay" },
	{ "greylist = enabled relay_enforcement = none", "are greylisted", "greylist" },
	{ "greylist = enabled", NULL, "greylist" },
	{ "recipient_call_out = enabled", "there is no host to ask", "recipient_call_out" },
	{ "recipient_call_out = enabled local_smart_host = next.example", NULL, "recipient_call_out" },
	{ "recipient_call_out = enabled local_smart_host = next.example", NULL, "local_smart_host" },
	{ "local_smart_host = next.example", "never reach the smart host", "local_smart_host" },
	{ "recipient_call_out = enabled local_delivery = \"lmtp:[127.0.0.1]:24\"", NULL, "recipient_call_out" },
	{ "private_blacklist_reply = \"Go away\"", "nobody reads this", "private_blacklist_reply" },
	{ "dns_blacklist_reply = \"Go away\"", "nobody reads this", "dns_blacklist_reply" },
	{ "private_blacklist_reply = \"Go away\" private_blacklist_action = log_and_reject", NULL, "private_blacklist_reply" },
	{ "deny_mail_to_groups = enabled verify_local_recipients = disabled", "no recipient is looked up", "deny_mail_to_groups" },
	{ "reject_ambiguous_recipients = enabled verify_local_recipients = disabled", "no recipient is looked up", "reject_ambiguous_recipients" },
	{ "deny_mail_to_groups = enabled", NULL, "deny_mail_to_groups" },
};

static void
what_cannot_act_is_a_warning(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(idle); i++) {
		struct documents_report report;
		const struct settings *settings = read_configuration(idle[i].line, "", &report);
		const char *warnings = buffer_text(&report.warnings);
		char prefix[128];

		assert_non_null(settings);
		snprintf(prefix, sizeof(prefix), "configurations.conf:2: %s: ", idle[i].key);
		if (idle[i].words != NULL ? strstr(warnings, prefix) == NULL || strstr(warnings, idle[i].words) == NULL :
		    strstr(warnings, prefix) != NULL)
			fail_msg("%s: %s", idle[i].line, warnings);
		settings_release(&settings);
		documents_report_free(&report);
	}
}

static void
a_custom_reply_with_too_many_places_is_a_mistake(void **state UNUSED)
{
	static const char *const lines[] = { "private_blacklist_reply = \"%s and %s\"", "dns_blacklist_reply = \"%s, %s and %s\"",
		"dns_blacklist_reply = \"%d\"", "private_blacklist_reply = \"100%\"" };

	for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
		struct documents_report report;

		if (read_configuration(lines[i], "", &report) != NULL)
			fail_msg("taken: %s", lines[i]);
		assert_non_null(strstr(buffer_text(&report.errors), "configurations.conf:2: "));
		documents_report_free(&report);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bare_tail_in_a_list_that_allows_is_a_warning),
		cmocka_unit_test(a_malformed_entry_refuses_the_documents_with_file_and_line),
		cmocka_unit_test(what_cannot_act_is_a_warning),
		cmocka_unit_test(a_custom_reply_with_too_many_places_is_a_mistake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
