/* test_relay_controls - who may send where through us (docs/reference/domino-semantics.md, 7.2) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/smtpd/controls_fixture.h"

/* A host other than those that the lists name. */
#define OTHER "other.example"

static const struct {
	const char *allowed_destinations, *denied_destinations, *allowed_hosts, *denied_hosts;
	const char *client_name;	/* confirmed */
	const char *recipient;
	bool may;
	const char *rule;
	const char *why;
} table[] = {
	/* The table of 7.2. */
	{ "xyz.com", "", "", "smtp.efg.com", "smtp.efg.com", "a@xyz.com", true, "relay_allow_destinations",
		"a denied host relays to an allowed destination" },
	{ "xyz.com", "", "", "smtp.efg.com", "smtp.efg.com", "a@other.com", false, "relay_deny_hosts",
		"a denied host relays to no other destination" },
	{ "", "qrs.com", "relay.abc.com", "", "relay.abc.com", "a@qrs.com", true, "relay_allow_hosts",
		"an allowed host relays to a denied destination" },
	{ "", "qrs.com", "relay.abc.com", "", OTHER, "a@qrs.com", false, "relay_deny_destinations",
		"another host does not relay to a denied destination" },
	{ "", "qrs.com", "relay.abc.com", "", OTHER, "a@elsewhere.com", false, "relay_allow_hosts",
		"only the allowed hosts relay when some are named" },
	{ "xyz.com", "xyz.com", "", "", OTHER, "a@xyz.com", false, "relay_deny_destinations",
		"Deny wins over the same entry in Allow" },
	{ "partner.com", "*", "", "", OTHER, "a@partner.com", true, "relay_allow_destinations", "* is not the same entry" },
	{ "", "*", "[192.0.2.7]", "", OTHER, "a@anywhere.com", true, "relay_allow_hosts", "an allowed address relays anywhere" },
	{ "@xyz.com", "*", "", "", OTHER, "a@a.xyz.com", false, "relay_deny_destinations", "@domain does not cover what is below" },
	{ "", "", "", "", OTHER, "a@anywhere.com", true, "", "four empty lists are an open relay" },
	/* The rest of the rule. */
	{ "", "*", "", "", OTHER, "a@anywhere.com", false, "relay_deny_destinations", "the default: nobody relays" },
	{ "xyz.com", "", "", "", OTHER, "a@elsewhere.com", false, "relay_allow_destinations",
		"only the allowed destinations are relayed to when some are named" },
	{ "", "", "", "*", OTHER, "a@anywhere.com", false, "relay_deny_hosts", "* denies every host" },
	{ "", "", "[192.0.2.0/24]", "[192.0.2.0/24]", OTHER, "a@anywhere.com", false, "relay_deny_hosts",
		"Deny wins over the same host in Allow" },
	{ "", "", "[192.0.2.7]", "[192.0.2.0/24]", OTHER, "a@anywhere.com", true, "relay_allow_hosts",
		"a host in a denied network is not the same entry" },
	{ "", "*", "", "", OTHER, "a@[192.0.2.99]", false, "relay_deny_destinations", "an address literal is a relay" },
	{ "%AcmeEast", "*", "", "", OTHER, "Jane%AcmeEast@ours.example", true, "relay_allow_destinations",
		"an allowed Domino domain is relayed to" },
	{ "%AcmeEast", "*", "", "", OTHER, "Jane%AcmeWest@ours.example", false, "relay_deny_destinations",
		"another Domino domain is not" },
	{ "", "%AcmeEast", "", "", OTHER, "Jane%AcmeEast@ours.example", false, "relay_deny_destinations",
		"a denied Domino domain is not relayed to" },
};

static void
every_row_of_the_relay_table_holds(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct controls_fixture fixture;
		enum control_verdict verdict;

		controls_start(&fixture);
		controls_set(&fixture, "relay_allow_destinations", table[i].allowed_destinations);
		controls_set(&fixture, "relay_deny_destinations", table[i].denied_destinations);
		controls_set(&fixture, "relay_allow_hosts", table[i].allowed_hosts);
		controls_set(&fixture, "relay_deny_hosts", table[i].denied_hosts);
		controls_name(&fixture, table[i].client_name, true);
		controls_recipient(&fixture, table[i].recipient);
		verdict = controls_ask(&fixture, CONTROL_RELAY);
		if (verdict != (table[i].may ? CONTROL_PASSES : CONTROL_REFUSES) ||
		    strcmp(fixture.judgement.rule, table[i].rule) != 0)
			fail_msg("%s: %u by %s", table[i].why, verdict, fixture.judgement.rule);
		if (!table[i].may)
			assert_int_equal(fixture.judgement.reply, REPLY_RELAY_REJECTED);
		controls_end(&fixture);
	}
}

static const struct {
	const char *allowed_destinations, *denied_destinations, *allowed_hosts, *denied_hosts;
	bool may, may_when_deny_wins;
	const char *why;
} precedences[] = {
	{ "xyz.com", "", "", "[192.0.2.7]", true, false, "an allowed destination, a denied host" },
	{ "", "xyz.com", "[192.0.2.7]", "", true, false, "a denied destination, an allowed host" },
	{ "xyz.com", "*", "", "", true, false, "an allowed destination, all denied" },
	{ "xyz.com", "", "[192.0.2.7]", "", true, true, "both allowed, nothing denied" },
	{ "xyz.com", "", "", "", true, true, "an allowed destination" },
	{ "", "other.com", "[192.0.2.7]", "", true, true, "an allowed host, another destination denied" },
	{ "other.com", "", "", "", false, false, "another destination allowed" },
	{ "", "", "", "[192.0.2.7]", false, false, "a denied host" },
};

static void
both_precedence_rules_hold(void **state UNUSED)
{
	for (size_t i = 0; i < 2 * ARRAY_COUNT(precedences); i++) {
		bool deny_wins = i % 2 == 1, may = deny_wins ? precedences[i / 2].may_when_deny_wins : precedences[i / 2].may;
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "relay_allow_destinations", precedences[i / 2].allowed_destinations);
		controls_set(&fixture, "relay_deny_destinations", precedences[i / 2].denied_destinations);
		controls_set(&fixture, "relay_allow_hosts", precedences[i / 2].allowed_hosts);
		controls_set(&fixture, "relay_deny_hosts", precedences[i / 2].denied_hosts);
		controls_set(&fixture, "relay_deny_takes_precedence", deny_wins ? "1" : "0");
		controls_recipient(&fixture, "a@xyz.com");
		if (controls_ask(&fixture, CONTROL_RELAY) != (may ? CONTROL_PASSES : CONTROL_REFUSES))
			fail_msg("%s, deny wins: %d", precedences[i / 2].why, deny_wins);
		controls_end(&fixture);
	}
}

static const struct {
	const char *recipient;
	const char *denied;		/* the one destination to which nobody may relay */
	bool is_relay;
	const char *why;
} routed[] = {
	{ "alice@ours.example", "*", false, "a local recipient" },
	{ "alice@ALIAS.example", "*", false, "a recipient in an alias" },
	{ "postmaster", "*", false, "postmaster without a domain" },
	{ "a@evil.example", "evil.example", true, "another domain" },
	{ "a@sub.ours.example", "sub.ours.example", true, "below a local domain is another domain" },
	{ "a%evil.example@ours.example", "evil.example", true, "a % route" },
	{ "a%EVIL.example@alias.example", "evil.example", true, "a % route through an alias, in capitals" },
	{ "\"a%evil.example.\"@ours.example", "@evil.example", true, "a % route with a final dot" },
	{ "\"a@evil.example\"@ours.example", "evil.example", true, "a second @" },
	{ "\"a%evil.example\"@ours.example", "evil.example", true, "a quoted % route" },
	{ "\"\\a\\@evil.example\"@ours.example", "evil.example", true, "a second @ behind a backslash" },
	{ "evil.example!a@ours.example", "evil.example", true, "a bang path" },
	{ "\"evil.example!a\"@ours.example", "evil.example", true, "a quoted bang path" },
	{ "a%evil.example%ours.example@ours.example", "evil.example", true, "a % route through us twice" },
	{ "\"a%evil.example@ours.example\"@ours.example", "evil.example", true, "a % route behind a second @" },
	{ "ours.example!evil.example!a@ours.example", "evil.example", true, "a bang path through us" },
	{ "ours.example!a%evil.example@ours.example", "evil.example", true, "a % route behind a bang path" },
	{ "evil.example!a%ours.example@ours.example", "evil.example", true, "a bang path behind a % route" },
	{ "a%evil.example%Ours@ours.example", "evil.example", true, "a % route behind our Domino domain" },
	{ "\"a@[192.0.2.99]\"@ours.example", "*", true, "an address literal behind a second @" },
	{ "a%ours.example@ours.example", "*", false, "a % route that stays" },
	{ "\"a@alias.example\"@ours.example", "*", false, "a second @ that stays" },
	{ "ours.example!a@ours.example", "*", false, "a bang path that stays" },
	{ "Alice%Ours@ours.example", "*", false, "our own Domino domain" },
	{ "Alice%oURS@ours.example", "*", false, "our own Domino domain in other letters" },
	{ "Alice%Other@ours.example", "%Other", true, "another Domino domain" },
	{ "\"Alice@Other\"@ours.example", "%Other", true, "another Domino domain behind a second @" },
	{ "a%evil.example@partner.example", "partner.example", true, "what another domain does with its local parts is its own affair" },
	{ "a%evil.example%partner.example@ours.example", "partner.example", true, "unwrapping ends where the mail leaves us" },
	{ "a%@ours.example", "*", false, "a % route to nowhere" },
	{ "\"a@\"@ours.example", "*", false, "a second @ with nothing behind it" },
	{ "!a@ours.example", "*", false, "a bang path from nowhere" },
	{ "%@ours.example", "*", false, "nothing but a separator" },
	{ "a%evil.example%@ours.example", "evil.example", true, "a % route behind one to nowhere" },
	{ "a%%evil.example%%@ours.example", "evil.example", true, "a % route among several to nowhere" },
	{ "!evil.example!a@ours.example", "evil.example", true, "a bang path behind one from nowhere" },
	{ "\"a@evil.example@\"@ours.example", "evil.example", true, "a second @ in front of one with nothing behind it" },
};

/* With one denied destination and a relay open for all others, a refusal shows that it was the one that was judged. */
static void
routed_addresses_are_judged_by_where_the_mail_would_go(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(routed); i++) {
		struct controls_fixture fixture;
		enum control_verdict verdict;

		controls_start(&fixture);
		controls_set(&fixture, "relay_deny_destinations", routed[i].denied);
		controls_recipient(&fixture, routed[i].recipient);
		verdict = controls_ask(&fixture, CONTROL_RELAY);
		if (verdict != (routed[i].is_relay ? CONTROL_REFUSES : CONTROL_SKIPPED))
			fail_msg("%s: %u", routed[i].why, verdict);
		controls_end(&fixture);
	}
}

static void
source_routes_are_judged_by_their_last_domain(void **state UNUSED)
{
	static const char path[] = "<@ours.example,@partner.example:a@evil.example>";
	struct controls_fixture fixture;
	size_t consumed;

	controls_start(&fixture);
	controls_set(&fixture, "relay_deny_destinations", "evil.example");
	assert_int_equal(address_parse_path(path, strlen(path), 0, &fixture.recipient_address, &consumed, NULL), 0);
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY), CONTROL_REFUSES);
	assert_string_equal(fixture.judgement.entry, "evil.example");
	controls_end(&fixture);
}

static void
the_separator_of_the_global_domain_document_separates_too(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	fixture.settings->global_domain_documents[0].domino_domain_separator.text = "_";
	controls_set(&fixture, "relay_deny_destinations", "%Other");
	controls_recipient(&fixture, "Alice_Other@ours.example");
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY), CONTROL_REFUSES);
	controls_recipient(&fixture, "Alice_Ours@ours.example");
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY), CONTROL_SKIPPED);
	controls_end(&fixture);
}

static void
exempt_clients_and_local_users_relay_anywhere(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_recipient(&fixture, "a@evil.example");
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY), CONTROL_REFUSES);
	fixture.standing.is_exempt = true;
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY), CONTROL_SKIPPED);
	fixture.standing.is_exempt = false;
	fixture.client.is_local_user = true;
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY), CONTROL_SKIPPED);
	controls_end(&fixture);
}

static void
an_unconfirmed_name_denies_but_does_not_allow(void **state UNUSED)
{
	static const char *const lists[] = { "relay_allow_hosts", "relay_deny_hosts" };

	for (size_t i = 0; i < 4; i++) {
		bool is_confirmed = i / 2, is_allow = i % 2 == 0;
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "relay_deny_destinations", "");
		controls_set(&fixture, lists[i % 2], "relay.abc.com");
		controls_name(&fixture, "relay.abc.com", is_confirmed);
		controls_recipient(&fixture, "a@xyz.com");
		assert_int_equal(controls_ask(&fixture, CONTROL_RELAY), is_allow && is_confirmed ? CONTROL_PASSES : CONTROL_REFUSES);
		controls_end(&fixture);
	}
}

static void
names_are_asked_for_only_where_they_decide(void **state UNUSED)
{
	static const struct {
		const char *allowed_destinations, *denied_destinations, *allowed_hosts, *denied_hosts;
		bool is_needed;
	} cases[] = {
		{ "", "*", "", "", false },
		{ "", "*", "relay.abc.com", "", true },
		{ "", "*", "relay.abc.com, [192.0.2.7]", "", false },
		{ "", "*", "", "relay.abc.com", false },
		{ "", "", "", "relay.abc.com", true },
		{ "xyz.com", "*", "relay.abc.com", "relay.efg.com", false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct controls_fixture fixture;
		enum control_verdict verdict;

		controls_start(&fixture);
		controls_set(&fixture, "relay_allow_destinations", cases[i].allowed_destinations);
		controls_set(&fixture, "relay_deny_destinations", cases[i].denied_destinations);
		controls_set(&fixture, "relay_allow_hosts", cases[i].allowed_hosts);
		controls_set(&fixture, "relay_deny_hosts", cases[i].denied_hosts);
		controls_recipient(&fixture, "a@xyz.com");
		fixture.client.known &= ~FACT_BIT(FACT_HOST_NAMES);
		fixture.client.host_names = NULL;
		verdict = controls_ask(&fixture, CONTROL_RELAY);
		if ((verdict == CONTROL_NEEDS) != cases[i].is_needed)
			fail_msg("case %zu: %u", i, verdict);
		if (cases[i].is_needed)
			assert_int_equal(fixture.judgement.fact, FACT_HOST_NAMES);
		controls_end(&fixture);
	}
}

static void
a_judgement_names_the_entry_and_its_line(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "relay_deny_destinations", "one.example, two.example, three.example");	/* line 1, entries from 2 */
	controls_recipient(&fixture, "a@two.example");
	assert_int_equal(controls_ask(&fixture, CONTROL_RELAY), CONTROL_REFUSES);
	assert_string_equal(fixture.judgement.entry, "two.example");
	assert_string_equal(fixture.judgement.at.file, CONTROLS_FILE);
	assert_int_equal(fixture.judgement.at.line, 3);
	controls_end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_relay_table_holds),
		cmocka_unit_test(both_precedence_rules_hold),
		cmocka_unit_test(routed_addresses_are_judged_by_where_the_mail_would_go),
		cmocka_unit_test(source_routes_are_judged_by_their_last_domain),
		cmocka_unit_test(the_separator_of_the_global_domain_document_separates_too),
		cmocka_unit_test(exempt_clients_and_local_users_relay_anywhere),
		cmocka_unit_test(an_unconfirmed_name_denies_but_does_not_allow),
		cmocka_unit_test(names_are_asked_for_only_where_they_decide),
		cmocka_unit_test(a_judgement_names_the_entry_and_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
