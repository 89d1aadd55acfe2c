/* test_connection_controls - who may connect, and to whom the relay controls apply (docs/reference/domino-semantics.md, 7.3 and 7.8) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/smtpd/controls_fixture.h"

/* Names of the client: one that leads back, one that does not, none, and no answer of the DNS. */
enum named { CONFIRMED, UNCONFIRMED, NAMELESS, SILENT };

static void
name_client(struct controls_fixture *fixture, enum named named, const char *name)
{
	if (named == NAMELESS || named == SILENT)
		controls_no_names(fixture, named == SILENT ? HOST_NAMES_NO_ANSWER : HOST_NAMES_NONE);
	else
		controls_name(fixture, name, named == CONFIRMED);
}

static const struct {
	const char *denied, *allowed;
	enum named named;
	enum control_verdict deny, allow;
	const char *why;
} lists[] = {
	{ "", "", NAMELESS, CONTROL_SKIPPED, CONTROL_SKIPPED, "empty lists let everybody in" },
	{ "[192.0.2.7]", "", NAMELESS, CONTROL_REFUSES, CONTROL_SKIPPED, "a denied address" },
	{ "[192.0.2.8]", "", NAMELESS, CONTROL_PASSES, CONTROL_SKIPPED, "another address is denied" },
	{ "abc.com", "", CONFIRMED, CONTROL_REFUSES, CONTROL_SKIPPED, "a denied name" },
	{ "abc.com", "", UNCONFIRMED, CONTROL_REFUSES, CONTROL_SKIPPED, "a denied name need not lead back" },
	{ "abc.com", "", NAMELESS, CONTROL_PASSES, CONTROL_SKIPPED, "a name is denied, and the client has none" },
	{ "*", "", SILENT, CONTROL_REFUSES, CONTROL_SKIPPED, "everybody is denied" },
	{ "", "[192.0.2.7]", NAMELESS, CONTROL_SKIPPED, CONTROL_PASSES, "an allowed address" },
	{ "", "[192.0.2.0/24]", SILENT, CONTROL_SKIPPED, CONTROL_PASSES, "an allowed network, and a silent DNS" },
	{ "", "[192.0.2.8]", NAMELESS, CONTROL_SKIPPED, CONTROL_REFUSES, "only another address is allowed" },
	{ "", "abc.com", CONFIRMED, CONTROL_SKIPPED, CONTROL_PASSES, "an allowed name" },
	{ "", "abc.com", UNCONFIRMED, CONTROL_SKIPPED, CONTROL_REFUSES, "an allowed name must lead back" },
	{ "", "abc.com", NAMELESS, CONTROL_SKIPPED, CONTROL_REFUSES, "names are allowed, and the client has none" },
	{ "", "abc.com", SILENT, CONTROL_SKIPPED, CONTROL_REFUSES, "names are allowed, and the DNS is silent" },
	{ "", "*", SILENT, CONTROL_SKIPPED, CONTROL_PASSES, "everybody is allowed" },
	{ "[192.0.2.7]", "[192.0.2.7]", NAMELESS, CONTROL_REFUSES, CONTROL_PASSES, "Deny beats Allow" },
};

static void
connection_lists_hold_row_by_row(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
		struct controls_fixture fixture;
		enum control_verdict deny, allow;

		controls_start(&fixture);
		controls_set(&fixture, "deny_connections_from", lists[i].denied);
		controls_set(&fixture, "allow_connections_from", lists[i].allowed);
		name_client(&fixture, lists[i].named, "smtp.abc.com");
		deny = controls_ask(&fixture, CONTROL_DENY_CONNECTIONS);
		if (deny == CONTROL_REFUSES)
			assert_int_equal(fixture.judgement.reply, REPLY_CONNECTION_REFUSED);
		allow = controls_ask(&fixture, CONTROL_ALLOW_CONNECTIONS);
		if (allow == CONTROL_REFUSES)
			assert_int_equal(fixture.judgement.reply, REPLY_CONNECTION_REFUSED);
		if (deny != lists[i].deny || allow != lists[i].allow)
			fail_msg("%s: %u %u", lists[i].why, deny, allow);
		if (lists[i].deny == CONTROL_REFUSES)
			assert_int_equal(controls_walk(&fixture, CONTROL_AT_CLIENT), REPLY_CONNECTION_REFUSED);
		controls_end(&fixture);
	}
}

static void
unconfirmed_names_allow_when_nobody_confirms(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "allow_connections_from", "abc.com");
	controls_set(&fixture, "confirm_host_names", "disabled");
	controls_name(&fixture, "smtp.abc.com", false);
	assert_int_equal(controls_ask(&fixture, CONTROL_ALLOW_CONNECTIONS), CONTROL_PASSES);
	controls_end(&fixture);
}

static void
one_of_several_names_is_enough(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "allow_connections_from", "nobody.example, abc.com, other.example");
	controls_name(&fixture, "unknown.example", true);
	controls_name(&fixture, "host.other.example", true);
	controls_name(&fixture, "smtp.abc.com", true);
	assert_int_equal(controls_ask(&fixture, CONTROL_ALLOW_CONNECTIONS), CONTROL_PASSES);
	assert_string_equal(fixture.judgement.entry, "abc.com");	/* the first of the list, not of the names */
	controls_end(&fixture);
}

static void
whole_labels_restrict_every_list(void **state UNUSED)
{
	for (int whole_labels = 0; whole_labels < 2; whole_labels++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "deny_connections_from", "abc.com");
		controls_set(&fixture, "host_entry_matching", whole_labels ? "whole_labels" : "character_tail");
		controls_name(&fixture, "xyzabc.com", true);
		assert_int_equal(controls_ask(&fixture, CONTROL_DENY_CONNECTIONS), whole_labels ? CONTROL_PASSES : CONTROL_REFUSES);
		controls_end(&fixture);
	}
}

static void
verify_host_name_wants_any_name(void **state UNUSED)
{
	static const enum control_verdict expected[] = { CONTROL_PASSES, CONTROL_PASSES, CONTROL_REFUSES, CONTROL_REFUSES };

	for (enum named named = CONFIRMED; named <= SILENT; named++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "verify_connecting_host_name", "enabled");
		name_client(&fixture, named, "smtp.abc.com");
		assert_int_equal(controls_ask(&fixture, CONTROL_VERIFY_HOST_NAME), expected[named]);
		if (expected[named] == CONTROL_REFUSES)
			assert_int_equal(fixture.judgement.reply, REPLY_CONNECTION_REFUSED);
		assert_string_equal(fixture.judgement.rule, expected[named] == CONTROL_REFUSES ? "verify_connecting_host_name" : "");
		controls_end(&fixture);
	}
}

/* ---- relay enforcement ---- */

static const struct {
	const char *scope, *excluded, *users, *user;
	enum named named;
	const char *name;
	bool is_exempt;
	const char *rule;
	const char *why;
} enforcements[] = {
	{ "external_hosts", "", "allow_all", NULL, NAMELESS, "", false, "relay_enforcement", "a client without a name is external" },
	{ "external_hosts", "", "allow_all", NULL, SILENT, "", false, "relay_enforcement", "with a silent DNS a client is external" },
	{ "external_hosts", "", "allow_all", NULL, CONFIRMED, "pc.ours.example", true, "relay_enforcement", "a host in our domain is internal" },
	{ "external_hosts", "", "allow_all", NULL, CONFIRMED, "ours.example", true, "relay_enforcement", "a host called like our domain is internal" },
	{ "external_hosts", "", "allow_all", NULL, CONFIRMED, "pc.alias.example", true, "relay_enforcement", "a host in an alias is internal" },
	{ "external_hosts", "", "allow_all", NULL, CONFIRMED, "PC.Ours.Example", true, "relay_enforcement", "case does not matter" },
	{ "external_hosts", "", "allow_all", NULL, CONFIRMED, "pc.sub.ours.example", false, "relay_enforcement", "sub-domains are not implied" },
	{ "external_hosts", "", "allow_all", NULL, CONFIRMED, "pc.notours.example", false, "relay_enforcement", "labels are compared, not characters" },
	{ "external_hosts", "", "allow_all", NULL, CONFIRMED, "example", false, "relay_enforcement", "above our domain is external" },
	{ "external_hosts", "", "allow_all", NULL, UNCONFIRMED, "pc.ours.example", false, "relay_enforcement", "a name that does not lead back is external" },
	{ "all_hosts", "", "allow_all", NULL, CONFIRMED, "pc.ours.example", false, "relay_enforcement", "all hosts: internal ones too" },
	{ "none", "", "allow_all", NULL, NAMELESS, "", true, "relay_enforcement", "none: nobody is subject" },
	{ "all_hosts", "[192.0.2.7]", "allow_all", NULL, NAMELESS, "", true, "relay_enforcement_exclude_hosts", "an excluded address" },
	{ "all_hosts", "[192.0.2.8]", "allow_all", NULL, NAMELESS, "", false, "relay_enforcement", "another excluded address" },
	{ "all_hosts", "abc.com", "allow_all", NULL, CONFIRMED, "smtp.abc.com", true, "relay_enforcement_exclude_hosts", "an excluded name" },
	{ "all_hosts", "abc.com", "allow_all", NULL, UNCONFIRMED, "smtp.abc.com", false, "relay_enforcement", "an excluded name must lead back" },
	{ "external_hosts", "abc.com", "allow_all", NULL, CONFIRMED, "smtp.abc.com", true, "relay_enforcement_exclude_hosts", "an excluded external host" },
	{ "all_hosts", "", "allow_all", "jane", NAMELESS, "", true, "relay_authenticated_users", "an authenticated user" },
	{ "all_hosts", "", "check", "jane", NAMELESS, "", false, "relay_enforcement", "authenticated users are checked" },
	{ "external_hosts", "", "check", "jane", CONFIRMED, "pc.ours.example", true, "relay_enforcement", "users are checked, and the host is internal" },
	{ "all_hosts", "[192.0.2.7]", "check", "jane", NAMELESS, "", true, "relay_enforcement_exclude_hosts", "users are checked, and the host is excluded" },
};

static void
relay_enforcement_holds_row_by_row(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(enforcements); i++) {
		struct controls_fixture fixture;
		enum control_verdict verdict;

		controls_start(&fixture);
		controls_set(&fixture, "relay_enforcement", enforcements[i].scope);
		controls_set(&fixture, "relay_enforcement_exclude_hosts", enforcements[i].excluded);
		controls_set(&fixture, "relay_authenticated_users", enforcements[i].users);
		fixture.client.user = enforcements[i].user;
		name_client(&fixture, enforcements[i].named, enforcements[i].name);
		verdict = controls_ask(&fixture, CONTROL_RELAY_ENFORCEMENT);
		if (verdict != (enforcements[i].is_exempt ? CONTROL_EXEMPTS : CONTROL_PASSES) ||
		    strcmp(fixture.judgement.rule, enforcements[i].rule) != 0)
			fail_msg("%s: %u by %s", enforcements[i].why, verdict, fixture.judgement.rule);
		controls_end(&fixture);
	}
}

static void
without_confirmation_any_name_makes_a_host_internal(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "confirm_host_names", "disabled");
	controls_name(&fixture, "pc.ours.example", false);
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY_ENFORCEMENT), CONTROL_EXEMPTS);
	controls_end(&fixture);
}

/* Section 13, point 1: our own host name stands for our domain. */
static void
without_global_domain_documents_our_own_domain_is_internal(void **state UNUSED)
{
	static const struct {
		const char *name;
		bool is_internal;
	} cases[] = {
		{ "pc.ours.example", true }, { "hub.ours.example", true }, { "pc.a.b.ours.example", false }, { "pc.other.example", false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		fixture.settings->global_domain_count = 0;
		controls_name(&fixture, cases[i].name, true);
		if (controls_ask(&fixture, CONTROL_RELAY_ENFORCEMENT) != (cases[i].is_internal ? CONTROL_EXEMPTS : CONTROL_PASSES))
			fail_msg("%s", cases[i].name);
		controls_end(&fixture);
	}
}

static const struct {
	const char *key, *value;
	enum control_number control;
	bool is_needed;
} questions[] = {
	{ "deny_connections_from", "[192.0.2.8]", CONTROL_DENY_CONNECTIONS, false },
	{ "deny_connections_from", "[192.0.2.7], abc.com", CONTROL_DENY_CONNECTIONS, false },
	{ "deny_connections_from", "abc.com", CONTROL_DENY_CONNECTIONS, true },
	{ "allow_connections_from", "abc.com, [192.0.2.7]", CONTROL_ALLOW_CONNECTIONS, false },
	{ "allow_connections_from", "abc.com", CONTROL_ALLOW_CONNECTIONS, true },
	{ "verify_connecting_host_name", "disabled", CONTROL_VERIFY_HOST_NAME, false },
	{ "verify_connecting_host_name", "enabled", CONTROL_VERIFY_HOST_NAME, true },
	{ "relay_enforcement", "none", CONTROL_RELAY_ENFORCEMENT, false },
	{ "relay_enforcement", "all_hosts", CONTROL_RELAY_ENFORCEMENT, false },
	{ "relay_enforcement", "external_hosts", CONTROL_RELAY_ENFORCEMENT, true },
	{ "relay_enforcement_exclude_hosts", "[192.0.2.7]", CONTROL_RELAY_ENFORCEMENT, false },
	{ "relay_enforcement_exclude_hosts", "abc.com", CONTROL_RELAY_ENFORCEMENT, true },
};

static void
names_are_asked_for_only_where_they_decide(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(questions); i++) {
		struct controls_fixture fixture;
		enum control_verdict verdict;

		controls_start(&fixture);
		controls_set(&fixture, questions[i].key, questions[i].value);
		fixture.client.known &= ~FACT_BIT(FACT_HOST_NAMES);
		fixture.client.host_names = NULL;
		verdict = controls_ask(&fixture, questions[i].control);
		if ((verdict == CONTROL_NEEDS) != questions[i].is_needed)
			fail_msg("%s = %s: %u", questions[i].key, questions[i].value, verdict);
		if (questions[i].is_needed)
			assert_int_equal(fixture.judgement.fact, FACT_HOST_NAMES);
		controls_end(&fixture);
	}
}

static void
local_users_are_no_clients(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "deny_connections_from", "*");
	controls_set(&fixture, "allow_connections_from", "[192.0.2.8]");
	controls_set(&fixture, "verify_connecting_host_name", "enabled");
	fixture.client.is_local_user = true;
	fixture.client.address_text = "local";
	fixture.address.ss_family = AF_UNSPEC;
	assert_int_equal(controls_walk(&fixture, CONTROL_AT_CLIENT), REPLY_NONE);
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY_ENFORCEMENT), CONTROL_EXEMPTS);
	controls_end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connection_lists_hold_row_by_row),
		cmocka_unit_test(unconfirmed_names_allow_when_nobody_confirms),
		cmocka_unit_test(one_of_several_names_is_enough),
		cmocka_unit_test(whole_labels_restrict_every_list),
		cmocka_unit_test(verify_host_name_wants_any_name),
		cmocka_unit_test(relay_enforcement_holds_row_by_row),
		cmocka_unit_test(without_confirmation_any_name_makes_a_host_internal),
		cmocka_unit_test(without_global_domain_documents_our_own_domain_is_internal),
		cmocka_unit_test(names_are_asked_for_only_where_they_decide),
		cmocka_unit_test(local_users_are_no_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
