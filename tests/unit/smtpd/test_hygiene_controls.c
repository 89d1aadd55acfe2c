/* test_hygiene_controls - admission, early talkers, rates and the greylist */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/smtpd/controls_fixture.h"

static void
what_policy_says_of_a_session_decides_admission(void **state UNUSED)
{
	static const struct {
		enum rate_state state;
		const char *rule;
		enum reply reply;
	} cases[] = {
		{ RATE_WITHIN, "", REPLY_NONE },
		{ RATE_UNKNOWN, "", REPLY_NONE },
		{ RATE_EXCEEDED, "maximum_sessions_per_client", REPLY_TOO_MANY_FROM_CLIENT },
		{ RATE_EXCEEDED, "client_session_rate", REPLY_TOO_MANY_NEW_SESSIONS },
		{ RATE_EXCEEDED, "network_session_rate", REPLY_TOO_MANY_NEW_SESSIONS },
		{ RATE_EXCEEDED, "a key of another version", REPLY_TOO_MANY_NEW_SESSIONS },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "network_session_rate", "5");	/* line 1 */
		fixture.client.admission = cases[i].state;
		fixture.client.admission_rule = cases[i].rule;
		assert_int_equal(controls_walk(&fixture, CONTROL_AT_CONNECT), cases[i].reply);
		if (strcmp(cases[i].rule, "network_session_rate") == 0) {
			assert_string_equal(fixture.judgement.rule, cases[i].rule);
			assert_int_equal(fixture.judgement.at.line, 1);
		}
		controls_end(&fixture);
	}
}

static void
without_a_rate_nobody_is_asked_about_a_session(void **state UNUSED)
{
	static const char *const keys[] = { NULL, "client_session_rate", "network_session_rate" };

	for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		if (keys[i] != NULL)
			controls_set(&fixture, keys[i], "10");
		fixture.client.known = 0;
		assert_int_equal(controls_ask(&fixture, CONTROL_ADMISSION), keys[i] != NULL ? CONTROL_NEEDS : CONTROL_SKIPPED);
		controls_end(&fixture);
	}
}

static void
a_crowded_client_is_asked_about_without_a_rate(void **state UNUSED)
{
	for (int is_exempt = 0; is_exempt < 2; is_exempt++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		if (is_exempt)
			controls_set(&fixture, "rate_exempt_hosts", "[192.0.2.*]");
		fixture.client.is_crowded = true;
		fixture.client.known = 0;
		assert_int_equal(controls_ask(&fixture, CONTROL_ADMISSION), is_exempt ? CONTROL_SKIPPED : CONTROL_NEEDS);
		controls_end(&fixture);
	}
}

/* By what is known before the greeting: the address. */
static void
only_who_is_subject_by_its_address_waits_for_the_greeting(void **state UNUSED)
{
	static const struct {
		const char *key, *value, *name;
		bool waits;
	} cases[] = {
		{ NULL, NULL, NULL, true },
		{ "relay_enforcement", "none", NULL, false },
		{ "relay_enforcement", "all_hosts", NULL, true },
		{ "relay_enforcement_exclude_hosts", "[192.0.2.0/24]", NULL, false },
		{ "relay_enforcement_exclude_hosts", "[192.0.3.0/24]", NULL, true },
		{ "relay_enforcement_exclude_hosts", "mx.partner.example", "mx.partner.example", true },
		{ "rate_exempt_hosts", "[192.0.2.7]", NULL, false },
		{ "rate_exempt_hosts", "mx.partner.example", "mx.partner.example", true },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "greeting_delay", "5s");
		if (cases[i].key != NULL)
			controls_set(&fixture, cases[i].key, cases[i].value);
		if (cases[i].name != NULL)
			controls_name(&fixture, cases[i].name, true);
		fixture.client.known &= ~FACT_BIT(FACT_PATIENCE);
		if (controls_ask(&fixture, CONTROL_EARLY_TALKER) != (cases[i].waits ? CONTROL_NEEDS : CONTROL_SKIPPED))
			fail_msg("%s = %s", cases[i].key, cases[i].value);
		if (cases[i].waits)
			assert_int_equal(fixture.judgement.fact, FACT_PATIENCE);
		controls_end(&fixture);
	}
}

static void
an_early_talker_is_logged_or_refused_where_the_greeting_waits(void **state UNUSED)
{
	static const struct {
		const char *delay, *action;
		bool spoke_early;
		enum control_verdict verdict;
		enum control_note note;
	} cases[] = {
		{ "0", "log_and_reject", true, CONTROL_SKIPPED, NOTE_NOTHING },
		{ "5s", "log_and_reject", false, CONTROL_PASSES, NOTE_NOTHING },
		{ "5s", "log", true, CONTROL_PASSES, NOTE_LOG },
		{ "5s", "log_and_reject", true, CONTROL_REFUSES, NOTE_LOG },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "greeting_delay", cases[i].delay);
		controls_set(&fixture, "early_talker_action", cases[i].action);
		fixture.client.spoke_early = cases[i].spoke_early;
		assert_int_equal(controls_ask(&fixture, CONTROL_EARLY_TALKER), cases[i].verdict);
		assert_int_equal(fixture.judgement.note, cases[i].note);
		if (cases[i].verdict == CONTROL_REFUSES)
			assert_int_equal(fixture.judgement.reply, REPLY_SPOKE_EARLY);
		controls_end(&fixture);
	}
}

static const struct {
	enum control_number control;
	enum fact fact;
	enum reply reply;
	const char *client, *network, *user;
} rates[] = {
	{ CONTROL_MESSAGE_RATE, FACT_MESSAGE_RATE, REPLY_TOO_MANY_MESSAGES, "client_message_rate", "network_message_rate", "user_message_rate" },
	{ CONTROL_RECIPIENT_RATE, FACT_RECIPIENT_RATE, REPLY_TOO_FAST_RECIPIENTS, "client_recipient_rate", "network_recipient_rate",
		"user_recipient_rate" },
};

static void
rates_are_asked_for_only_where_one_is_set(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
		const char *const keys[] = { NULL, rates[i].client, rates[i].network, rates[i].user };

		for (size_t set = 0; set < ARRAY_COUNT(keys); set++)
			for (int has_user = 0; has_user < 2; has_user++) {
				bool is_needed = set > 0 && (set < 3 || has_user);
				struct controls_fixture fixture;

				controls_start(&fixture);
				if (keys[set] != NULL)
					controls_set(&fixture, keys[set], "10");
				fixture.client.user = has_user ? "jane" : NULL;
				fixture.sender.known = fixture.recipient.known = 0;
				if (controls_ask(&fixture, rates[i].control) != (is_needed ? CONTROL_NEEDS : CONTROL_SKIPPED))
					fail_msg("%s, user: %d", keys[set] != NULL ? keys[set] : "no rate", has_user);
				if (is_needed)
					assert_int_equal(fixture.judgement.fact, rates[i].fact);
				controls_end(&fixture);
			}
	}
}

static void
a_rate_that_is_exceeded_refuses_for_now(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(rates); i++)
		for (enum rate_state told = RATE_WITHIN; told <= RATE_UNKNOWN; told++) {
			struct controls_fixture fixture;

			controls_start(&fixture);
			controls_set(&fixture, rates[i].network, "10");
			fixture.sender.message_rate = fixture.recipient.recipient_rate = told;
			fixture.sender.message_rate_rule = fixture.recipient.recipient_rate_rule = rates[i].network;
			assert_int_equal(controls_ask(&fixture, rates[i].control), told == RATE_EXCEEDED ? CONTROL_REFUSES : CONTROL_PASSES);
			if (told == RATE_EXCEEDED) {
				assert_int_equal(fixture.judgement.reply, rates[i].reply);
				assert_true(reply_code(fixture.judgement.reply) / 100 == 4);
				assert_string_equal(fixture.judgement.rule, rates[i].network);
				assert_int_equal(fixture.judgement.at.line, 1);
			}
			controls_end(&fixture);
		}
}

static void
exempt_hosts_have_no_rates(void **state UNUSED)
{
	static const enum control_number controls_with_rates[] = { CONTROL_ADMISSION, CONTROL_MESSAGE_RATE, CONTROL_RECIPIENT_RATE };

	for (size_t i = 0; i < ARRAY_COUNT(controls_with_rates); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "rate_exempt_hosts", "[192.0.2.8], abc.com");
		controls_set(&fixture, "client_session_rate", "1");
		controls_set(&fixture, "client_message_rate", "1");
		controls_set(&fixture, "client_recipient_rate", "1");
		fixture.client.admission = fixture.sender.message_rate = fixture.recipient.recipient_rate = RATE_EXCEEDED;
		assert_int_equal(controls_ask(&fixture, controls_with_rates[i]), CONTROL_REFUSES);
		controls_client(&fixture, "192.0.2.8");
		assert_int_equal(controls_ask(&fixture, controls_with_rates[i]), CONTROL_SKIPPED);
		controls_client(&fixture, "192.0.2.9");
		controls_name(&fixture, "smtp.abc.com", true);
		assert_int_equal(controls_ask(&fixture, controls_with_rates[i]), CONTROL_SKIPPED);
		fixture.names.names[0].is_confirmed = false;
		assert_int_equal(controls_ask(&fixture, controls_with_rates[i]), CONTROL_REFUSES);
		fixture.names.names[0].is_confirmed = true;
		fixture.client.known &= ~FACT_BIT(FACT_HOST_NAMES);	/* nobody is asked for them */
		fixture.client.host_names = NULL;
		assert_int_equal(controls_ask(&fixture, controls_with_rates[i]), CONTROL_REFUSES);
		controls_end(&fixture);
	}
}

static void
only_clients_that_are_subject_to_relay_enforcement_are_greylisted(void **state UNUSED)
{
	static const struct {
		const char *greylist, *exempt_hosts;
		bool is_exempt, is_local_user;
		enum greylist_finding finding;
		enum control_verdict verdict;
		const char *why;
	} cases[] = {
		{ "disabled", "", false, false, GREYLIST_TOO_SOON, CONTROL_SKIPPED, "it is off" },
		{ "enabled", "", false, false, GREYLIST_TOO_SOON, CONTROL_REFUSES, "the first attempt" },
		{ "enabled", "", false, false, GREYLIST_KNOWN, CONTROL_PASSES, "a known client" },
		{ "enabled", "", false, false, GREYLIST_NO_ANSWER, CONTROL_PASSES, "no Directory: as if known" },
		{ "enabled", "", true, false, GREYLIST_TOO_SOON, CONTROL_SKIPPED, "a client that is exempt" },
		{ "enabled", "", false, true, GREYLIST_TOO_SOON, CONTROL_SKIPPED, "a local user" },
		{ "enabled", "[192.0.2.7]", false, false, GREYLIST_TOO_SOON, CONTROL_SKIPPED, "an exempt address" },
		{ "enabled", "abc.com", false, false, GREYLIST_TOO_SOON, CONTROL_SKIPPED, "an exempt name" },
		{ "enabled", "efg.com", false, false, GREYLIST_TOO_SOON, CONTROL_REFUSES, "another exempt name" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "greylist", cases[i].greylist);
		controls_set(&fixture, "greylist_exempt_hosts", cases[i].exempt_hosts);
		controls_name(&fixture, "smtp.abc.com", true);
		fixture.standing.is_exempt = cases[i].is_exempt;
		fixture.client.is_local_user = cases[i].is_local_user;
		fixture.recipient.greylist = cases[i].finding;
		if (controls_ask(&fixture, CONTROL_GREYLIST) != cases[i].verdict)
			fail_msg("%s: %u", cases[i].why, fixture.judgement.verdict);
		if (cases[i].verdict == CONTROL_REFUSES) {
			assert_int_equal(fixture.judgement.reply, REPLY_GREYLISTED);
			assert_string_equal(fixture.judgement.text, "alice@ours.example");
		}
		controls_end(&fixture);
	}
}

static void
the_greylist_asks_for_names_and_then_for_itself(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "greylist", "enabled");
	controls_set(&fixture, "greylist_exempt_hosts", "abc.com");
	fixture.recipient.known = 0;
	fixture.client.known = 0;
	assert_int_equal(controls_ask(&fixture, CONTROL_GREYLIST), CONTROL_NEEDS);
	assert_int_equal(fixture.judgement.fact, FACT_HOST_NAMES);
	fixture.client.known = FACT_BIT(FACT_HOST_NAMES);
	assert_int_equal(controls_ask(&fixture, CONTROL_GREYLIST), CONTROL_NEEDS);
	assert_int_equal(fixture.judgement.fact, FACT_GREYLIST);
	controls_end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_policy_says_of_a_session_decides_admission),
		cmocka_unit_test(without_a_rate_nobody_is_asked_about_a_session),
		cmocka_unit_test(a_crowded_client_is_asked_about_without_a_rate),
		cmocka_unit_test(only_who_is_subject_by_its_address_waits_for_the_greeting),
		cmocka_unit_test(an_early_talker_is_logged_or_refused_where_the_greeting_waits),
		cmocka_unit_test(rates_are_asked_for_only_where_one_is_set),
		cmocka_unit_test(a_rate_that_is_exceeded_refuses_for_now),
		cmocka_unit_test(exempt_hosts_have_no_rates),
		cmocka_unit_test(only_clients_that_are_subject_to_relay_enforcement_are_greylisted),
		cmocka_unit_test(the_greylist_asks_for_names_and_then_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
