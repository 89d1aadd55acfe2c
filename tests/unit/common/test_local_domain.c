/* test_local_domain - which Internet domains are ours (docs/reference/domino-semantics.md, 3.2) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/mail/local_domain.h"

static bool
is_local_to_host(const char *host, const char *domain)
{
	struct settings settings = { .references = 1 };
	struct local_domains *domains;
	bool local;

	settings.server.internet_host_name.text = host;
	settings.server.internet_host_name.at.file = "servers.conf";
	settings.server.internet_host_name.at.line = 3;
	domains = local_domains_new(&settings);
	local = is_local_internet_domain(domains, domain, NULL, NULL, NULL);
	local_domains_free(&domains);
	assert_null(domains);
	assert_int_equal(settings.references, 1);
	return local;
}

static void
without_documents_our_host_name_and_its_neighbours_are_local(void **state UNUSED)
{
	assert_true(is_local_to_host("hub.acme.com", "host3.acme.com"));
	assert_true(is_local_to_host("hub.acme.com", "hub.acme.com"));
	assert_true(is_local_to_host("hub.acme.com", "acme.com"));
	assert_true(is_local_to_host("Hub.Acme.COM", "HOST3.aCME.com"));
	assert_false(is_local_to_host("hub.acme.com", "a.b.acme.com"));
	assert_false(is_local_to_host("hub.acme.com", "notacme.com"));
	assert_false(is_local_to_host("hub.eu.acme.com", "acme.com"));
	assert_false(is_local_to_host("hub.acme.com", "com"));
	assert_false(is_local_to_host("hub.acme.com", ""));
	assert_false(is_local_to_host("hub.acme.com", ".acme.com"));
}

static void
a_host_name_of_two_labels_does_not_claim_the_top_level_domain(void **state UNUSED)
{
	assert_true(is_local_to_host("acme.com", "acme.com"));
	assert_false(is_local_to_host("acme.com", "other.com"));
	assert_true(is_local_to_host("acme.com", "mail.acme.com"));
}

static void
without_a_host_name_nothing_is_local(void **state UNUSED)
{
	assert_false(is_local_to_host("", "acme.com"));
	assert_false(is_local_to_host("", ""));
	assert_true(is_local_to_host("hub", "hub"));
	assert_false(is_local_to_host("hub", "a.hub"));
}

static const struct setting_item aliases[] = {
	{ "acme.fr", { "domains.conf", 4 } },
	{ "*.Acme.net", { "domains.conf", 5 } },
	{ "m\xc3\xbcnchen.example", { "domains.conf", 6 } },
};

static struct document_global_domain documents[] = {
	{ .title = "Other", .local_primary_internet_domain = { .text = "other.org", .at = { "domains.conf", 1 } } },
	{ .title = "Acme mail", .local_primary_internet_domain = { .text = "Acme.com",
	    .at = { "domains.conf", 3 } },
		.internet_domain_aliases = { .items = aliases, .count = ARRAY_COUNT(aliases) } },
	{ .title = "Late", .local_primary_internet_domain = { .text = "acme.fr", .at = { "domains.conf", 9 } } },
};

static struct local_domains *
documented(struct settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->references = 1;
	settings->server.internet_host_name.text = "hub.elsewhere.example";
	settings->global_domain_documents = documents;
	settings->global_domain_count = ARRAY_COUNT(documents);
	return local_domains_new(settings);
}

static void
documents_name_whole_domains_and_switch_the_fallback_off(void **state UNUSED)
{
	static const struct { const char *domain; bool local; } rows[] = {
		{ "acme.com", true }, { "ACME.COM", true }, { "other.org", true }, { "acme.fr", true },
		{ "sales.acme.com", false }, { "sales.acme.fr", false }, { "notacme.com", false }, { "com", false },
		{ "a.acme.net", true }, { "a.b.acme.net", true }, { "acme.net", false }, { "xacme.net", false }, { "notacme.net", false },
		{ ".acme.net", false }, { "hub.elsewhere.example", false }, { "elsewhere.example", false },
		{ "M\xc3\xbcnchen.example", true }, { "xn--mnchen-3ya.example", true }, { "", false },
	};
	struct settings settings;
	struct local_domains *domains = documented(&settings);

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		if (is_local_internet_domain(domains, rows[i].domain, NULL, NULL, NULL) != rows[i].local)
			fail_msg("%s must %sbe local", rows[i].domain, rows[i].local ? "" : "not ");
	local_domains_free(&domains);
}

static void
the_document_that_decided_is_named_and_primaries_come_first(void **state UNUSED)
{
	struct settings settings;
	struct local_domains *domains = documented(&settings);
	const char *rule, *primary;
	struct position at;

	assert_string_equal(local_domains_own(domains), "other.org");
	assert_true(is_local_internet_domain(domains, "x.acme.net", &rule, &at, &primary));
	assert_string_equal(rule, "global_domain \"Acme mail\"");
	assert_int_equal(at.line, 5);
	assert_string_equal(primary, "Acme.com");
	assert_true(is_local_internet_domain(domains, "acme.fr", &rule, &at, &primary));
	assert_string_equal(rule, "global_domain \"Late\"");
	assert_null(primary);
	local_domains_free(&domains);
}

static void
append_line(void *context, const char *domain, const char *from)
{
	buffer_printf(context, "%s <- %s\n", domain, from);
}

static void
the_domains_in_force_can_be_listed(void **state UNUSED)
{
	struct buffer lines = BUFFER_INITIALIZER(0);
	struct settings settings = { .references = 1 };
	struct local_domains *domains;

	settings.server.internet_host_name.text = "hub.acme.com";
	settings.server.internet_host_name.at = (struct position){ "servers.conf", 3 };
	domains = local_domains_new(&settings);
	local_domains_each(domains, append_line, &lines);
	assert_string_equal(local_domains_own(domains), "hub.acme.com");
	assert_string_equal(buffer_text(&lines),
	    "hub.acme.com <- the server's internet_host_name servers.conf:3\n"
	    "acme.com <- the domain of the server's internet_host_name servers.conf:3\n"
	    "(one label).acme.com <- the domain of the server's internet_host_name servers.conf:3\n");
	local_domains_free(&domains);
	buffer_free(&lines);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_documents_our_host_name_and_its_neighbours_are_local),
		cmocka_unit_test(a_host_name_of_two_labels_does_not_claim_the_top_level_domain),
		cmocka_unit_test(without_a_host_name_nothing_is_local),
		cmocka_unit_test(documents_name_whole_domains_and_switch_the_fallback_off),
		cmocka_unit_test(the_document_that_decided_is_named_and_primaries_come_first),
		cmocka_unit_test(the_domains_in_force_can_be_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
