/* test_sender_controls - whom mail is taken from, by address and by SPF (docs/reference/domino-semantics.md, 7.9; RFC 7208) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/smtpd/controls_fixture.h"

static const struct {
	const char *denied, *allowed, *sender;
	enum control_verdict deny, allow;
	const char *why;
} lists[] = {
	{ "", "", "jane@partner.example", CONTROL_SKIPPED, CONTROL_SKIPPED, "empty lists let every sender in" },
	{ "jane@partner.example", "", "Jane@Partner.EXAMPLE", CONTROL_REFUSES, CONTROL_SKIPPED, "a denied address, without case" },
	{ "jane@partner.example", "", "mary@partner.example", CONTROL_PASSES, CONTROL_SKIPPED, "another address is denied" },
	{ "partner.example", "", "jane@partner.example", CONTROL_REFUSES, CONTROL_SKIPPED, "a denied domain" },
	{ "partner.example", "", "jane@eu.partner.example", CONTROL_REFUSES, CONTROL_SKIPPED, "below a denied domain" },
	{ "partner.example", "", "jane@notpartner.example", CONTROL_PASSES, CONTROL_SKIPPED, "domains of senders match by labels" },
	{ "", "partner.example", "jane@partner.example", CONTROL_SKIPPED, CONTROL_PASSES, "an allowed domain" },
	{ "", "partner.example", "jane@other.example", CONTROL_SKIPPED, CONTROL_REFUSES, "only another domain is allowed" },
	{ "", "partner.example", "bob@ours.example", CONTROL_SKIPPED, CONTROL_SKIPPED, "Allow does not restrict senders of ours" },
	{ "", "partner.example", "bob@alias.example", CONTROL_SKIPPED, CONTROL_SKIPPED, "nor those in an alias" },
	{ "ours.example", "", "bob@ours.example", CONTROL_REFUSES, CONTROL_SKIPPED, "Deny does" },
	{ "partner.example", "partner.example", "", CONTROL_SKIPPED, CONTROL_SKIPPED, "the null sender passes both" },
	{ "partner.example", "jane@partner.example", "jane@partner.example", CONTROL_REFUSES, CONTROL_PASSES, "Deny beats Allow" },
};

static void
sender_lists_hold_row_by_row(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
		struct controls_fixture fixture;
		enum control_verdict deny, allow;

		controls_start(&fixture);
		controls_set(&fixture, "deny_senders", lists[i].denied);
		controls_set(&fixture, "allow_senders", lists[i].allowed);
		controls_sender(&fixture, lists[i].sender);
		deny = controls_ask(&fixture, CONTROL_DENY_SENDERS);
		if (deny == CONTROL_REFUSES)
			assert_string_equal(fixture.judgement.text, fixture.sender_address.text);
		allow = controls_ask(&fixture, CONTROL_ALLOW_SENDERS);
		if (deny != lists[i].deny || allow != lists[i].allow)
			fail_msg("%s: %u %u", lists[i].why, deny, allow);
		assert_int_equal(controls_walk(&fixture, CONTROL_AT_MAIL),
		    deny == CONTROL_REFUSES || allow == CONTROL_REFUSES ? REPLY_SENDER_REJECTED : REPLY_NONE);
		controls_end(&fixture);
	}
}

static const struct {
	const char *sender;
	enum sender_domain_state domain;
	enum reply reply;
	const char *why;
} verified[] = {
	{ "jane@partner.example", SENDER_DOMAIN_EXISTS, REPLY_NONE, "a domain that exists" },
	{ "jane@partner.example", SENDER_DOMAIN_MISSING, REPLY_SENDER_REJECTED, "a domain that does not" },
	{ "jane@partner.example", SENDER_DOMAIN_NO_ANSWER, REPLY_SENDER_DOMAIN_UNKNOWN, "a DNS that is silent: later" },
	{ "", SENDER_DOMAIN_MISSING, REPLY_NONE, "the null sender" },
	{ "jane@[192.0.2.1]", SENDER_DOMAIN_MISSING, REPLY_NONE, "an address literal" },
};

static void
verify_sender_holds_row_by_row(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(verified); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "verify_sender_domain", "enabled");
		controls_sender(&fixture, verified[i].sender);
		fixture.sender.domain = verified[i].domain;
		if (controls_walk(&fixture, CONTROL_AT_MAIL) != verified[i].reply)
			fail_msg("%s", verified[i].why);
		if (verified[i].reply != REPLY_NONE) {
			assert_string_equal(fixture.judgement.text, verified[i].sender);
			assert_string_equal(fixture.judgement.rule, "verify_sender_domain");
		}
		controls_end(&fixture);
	}
}

static void
the_domain_is_asked_for_only_where_it_decides(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "verify_sender_domain", "enabled");
	fixture.sender.known = 0;
	assert_int_equal(controls_ask(&fixture, CONTROL_VERIFY_SENDER), CONTROL_NEEDS);
	assert_int_equal(fixture.judgement.fact, FACT_SENDER_DOMAIN);
	controls_sender(&fixture, "");
	assert_int_equal(controls_ask(&fixture, CONTROL_VERIFY_SENDER), CONTROL_SKIPPED);
	controls_end(&fixture);
	controls_start(&fixture);
	fixture.sender.known = 0;
	assert_int_equal(controls_ask(&fixture, CONTROL_VERIFY_SENDER), CONTROL_SKIPPED);
	controls_end(&fixture);
}

/* ---- SPF ---- */

static const struct {
	enum spf_verdict helo, mail;
	const char *sender;
	const char *rule;	/* whose action decides */
	const char *why;
} verdicts[] = {
	{ SPF_VERDICT_NONE, SPF_VERDICT_PASS, "jane@partner.example", "spf_check", "a pass" },
	{ SPF_VERDICT_NONE, SPF_VERDICT_NONE, "jane@partner.example", "spf_check", "no record" },
	{ SPF_VERDICT_NONE, SPF_VERDICT_NEUTRAL, "jane@partner.example", "spf_check", "neutral" },
	{ SPF_VERDICT_NONE, SPF_VERDICT_FAIL, "jane@partner.example", "spf_fail_action", "a fail" },
	{ SPF_VERDICT_NONE, SPF_VERDICT_SOFTFAIL, "jane@partner.example", "spf_softfail_action", "a softfail" },
	{ SPF_VERDICT_NONE, SPF_VERDICT_PERMERROR, "jane@partner.example", "spf_permerror_action", "a malformed record" },
	{ SPF_VERDICT_NONE, SPF_VERDICT_TEMPERROR, "jane@partner.example", "spf_temperror_action", "a silent DNS" },
	{ SPF_VERDICT_FAIL, SPF_VERDICT_PASS, "jane@partner.example", "spf_fail_action", "a fail of HELO is final" },
	{ SPF_VERDICT_SOFTFAIL, SPF_VERDICT_PASS, "jane@partner.example", "spf_check", "a softfail of HELO is not" },
	{ SPF_VERDICT_TEMPERROR, SPF_VERDICT_PASS, "jane@partner.example", "spf_check", "nor is an error" },
	{ SPF_VERDICT_PASS, SPF_VERDICT_FAIL, "jane@partner.example", "spf_fail_action", "a pass of HELO does not save MAIL FROM" },
	{ SPF_VERDICT_SOFTFAIL, SPF_VERDICT_NONE, "", "spf_softfail_action", "HELO stands for the null sender" },
	{ SPF_VERDICT_PASS, SPF_VERDICT_NONE, "", "spf_check", "HELO stands for the null sender, and passes" },
};

static const struct {
	const char *word;
	enum control_verdict verdict;
	enum control_note note;
} spf_actions[] = {
	{ "log", CONTROL_PASSES, NOTE_LOG }, { "log_and_tag", CONTROL_PASSES, NOTE_TAG }, { "log_and_reject", CONTROL_REFUSES, NOTE_LOG },
};

static void
every_spf_verdict_has_its_action(void **state UNUSED)
{
	static const char *const keys[] = { "spf_fail_action", "spf_softfail_action", "spf_permerror_action", "spf_temperror_action" };

	for (size_t i = 0; i < ARRAY_COUNT(verdicts); i++)
		for (size_t action = 0; action < ARRAY_COUNT(spf_actions); action++) {
			bool acts = strcmp(verdicts[i].rule, "spf_check") != 0;
			struct controls_fixture fixture;

			controls_start(&fixture);
			controls_set(&fixture, "spf_check", "enabled");
			for (size_t key = 0; key < ARRAY_COUNT(keys); key++)
				controls_set(&fixture, keys[key], spf_actions[strcmp(keys[key], verdicts[i].rule) == 0 ? action : 0].word);
			controls_sender(&fixture, verdicts[i].sender);
			fixture.sender.spf_helo = verdicts[i].helo;
			fixture.sender.spf_mail = verdicts[i].mail;
			if (controls_ask(&fixture, CONTROL_SPF) != (acts ? spf_actions[action].verdict : CONTROL_PASSES) ||
			    fixture.judgement.note != (acts ? spf_actions[action].note : NOTE_NOTHING) ||
			    strcmp(fixture.judgement.rule, verdicts[i].rule) != 0)
				fail_msg("%s, %s: %u by %s", verdicts[i].why, spf_actions[action].word, fixture.judgement.verdict,
				    fixture.judgement.rule);
			controls_end(&fixture);
		}
}

static void
spf_refusals_say_whose_words_they_are(void **state UNUSED)
{
	static const struct {
		const char *key;
		enum spf_verdict helo, mail;
		const char *said;
		enum reply reply;
		const char *text;
	} cases[] = {
		{ "spf_fail_action", SPF_VERDICT_NONE, SPF_VERDICT_FAIL, "not from there", REPLY_SPF_FAILED,
			"SPF check for MAIL FROM jane@partner.example failed; the domain says: not from there" },
		{ "spf_fail_action", SPF_VERDICT_FAIL, SPF_VERDICT_PASS, "100%s %n", REPLY_SPF_FAILED,
			"SPF check for HELO client.example failed; the domain says: 100%s %n" },
		{ "spf_softfail_action", SPF_VERDICT_NONE, SPF_VERDICT_SOFTFAIL, "not their words", REPLY_SPF_FAILED,
			"SPF check for MAIL FROM jane@partner.example failed" },
		{ "spf_permerror_action", SPF_VERDICT_NONE, SPF_VERDICT_PERMERROR, "unknown mechanism", REPLY_SPF_MALFORMED,
			"SPF record for MAIL FROM jane@partner.example is malformed: unknown mechanism" },
		{ "spf_temperror_action", SPF_VERDICT_NONE, SPF_VERDICT_TEMPERROR, "timeout", REPLY_SPF_TEMPORARY, "" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "spf_check", "enabled");
		controls_set(&fixture, cases[i].key, "log_and_reject");
		fixture.sender.spf_helo = cases[i].helo;
		fixture.sender.spf_mail = cases[i].mail;
		fixture.sender.spf_text = cases[i].said;
		assert_int_equal(controls_ask(&fixture, CONTROL_SPF), CONTROL_REFUSES);
		assert_int_equal(fixture.judgement.reply, cases[i].reply);
		assert_string_equal(fixture.judgement.text, cases[i].text);
		controls_end(&fixture);
	}
}

static void
exempt_hosts_and_users_are_not_asked_about(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "spf_check", "enabled");
	controls_set(&fixture, "spf_exempt_hosts", "[192.0.2.8], abc.com");
	fixture.sender.known = 0;
	controls_name(&fixture, "smtp.abc.com", false);
	assert_int_equal(controls_ask(&fixture, CONTROL_SPF), CONTROL_NEEDS);
	assert_int_equal(fixture.judgement.fact, FACT_SPF);
	fixture.names.names[0].is_confirmed = true;
	assert_int_equal(controls_ask(&fixture, CONTROL_SPF), CONTROL_SKIPPED);
	assert_string_equal(fixture.judgement.rule, "spf_exempt_hosts");
	fixture.client.known &= ~FACT_BIT(FACT_HOST_NAMES);
	assert_int_equal(controls_ask(&fixture, CONTROL_SPF), CONTROL_NEEDS);
	assert_int_equal(fixture.judgement.fact, FACT_HOST_NAMES);
	controls_client(&fixture, "192.0.2.8");
	assert_int_equal(controls_ask(&fixture, CONTROL_SPF), CONTROL_SKIPPED);
	controls_client(&fixture, "192.0.2.9");
	fixture.client.user = "jane";
	assert_int_equal(controls_ask(&fixture, CONTROL_SPF), CONTROL_SKIPPED);
	controls_end(&fixture);
	controls_start(&fixture);
	fixture.sender.known = 0;
	assert_int_equal(controls_ask(&fixture, CONTROL_SPF), CONTROL_SKIPPED);	/* off by default */
	controls_end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sender_lists_hold_row_by_row),
		cmocka_unit_test(verify_sender_holds_row_by_row),
		cmocka_unit_test(the_domain_is_asked_for_only_where_it_decides),
		cmocka_unit_test(every_spf_verdict_has_its_action),
		cmocka_unit_test(spf_refusals_say_whose_words_they_are),
		cmocka_unit_test(exempt_hosts_and_users_are_not_asked_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
