/* test_recipient_controls - who gets mail by SMTP (docs/reference/domino-semantics.md, 7.9) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/smtpd/controls_fixture.h"

static const struct {
	const char *denied, *allowed, *recipient;
	enum control_verdict deny, allow;
	const char *why;
} lists[] = {
	{ "", "", "alice@ours.example", CONTROL_SKIPPED, CONTROL_SKIPPED, "empty lists let every recipient in" },
	{ "alice@ours.example", "", "Alice@Ours.Example", CONTROL_REFUSES, CONTROL_SKIPPED, "a denied recipient, without case" },
	{ "alice@ours.example", "", "bob@ours.example", CONTROL_PASSES, CONTROL_SKIPPED, "another recipient is denied" },
	{ "alice@ours.example", "", "alice@alias.example", CONTROL_PASSES, CONTROL_SKIPPED, "the address as given is compared" },
	{ "", "alice@ours.example", "alice@ours.example", CONTROL_SKIPPED, CONTROL_PASSES, "an allowed recipient" },
	{ "", "alice@ours.example", "bob@ours.example", CONTROL_SKIPPED, CONTROL_REFUSES, "only another recipient is allowed" },
	{ "alice@ours.example", "alice@ours.example", "alice@ours.example", CONTROL_REFUSES, CONTROL_PASSES, "Deny beats Allow" },
	{ "a@elsewhere.example", "alice@ours.example", "a@elsewhere.example", CONTROL_SKIPPED, CONTROL_SKIPPED, "relays are the relay controls' affair" },
	{ "", "alice@ours.example", "a%elsewhere.example@ours.example", CONTROL_SKIPPED, CONTROL_SKIPPED, "routed ones too" },
	{ "", "alice@ours.example", "alice%@ours.example", CONTROL_SKIPPED, CONTROL_REFUSES, "a route to nowhere does not leave us" },
	{ "", "alice@ours.example", "postmaster", CONTROL_SKIPPED, CONTROL_SKIPPED, "postmaster without a domain is always taken" },
};

static void
recipient_lists_hold_row_by_row(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
		struct controls_fixture fixture;
		enum control_verdict deny, allow;

		controls_start(&fixture);
		controls_set(&fixture, "deny_recipients", lists[i].denied);
		controls_set(&fixture, "allow_recipients", lists[i].allowed);
		controls_set(&fixture, "relay_deny_destinations", "");
		controls_recipient(&fixture, lists[i].recipient);
		deny = controls_ask(&fixture, CONTROL_DENY_RECIPIENTS);
		if (deny == CONTROL_REFUSES)
			assert_string_equal(fixture.judgement.text, fixture.recipient_address.text);
		allow = controls_ask(&fixture, CONTROL_ALLOW_RECIPIENTS);
		if (deny != lists[i].deny || allow != lists[i].allow)
			fail_msg("%s: %u %u", lists[i].why, deny, allow);
		assert_int_equal(controls_walk(&fixture, CONTROL_AT_RCPT),
		    deny == CONTROL_REFUSES || allow == CONTROL_REFUSES ? REPLY_RECIPIENT_REJECTED : REPLY_NONE);
		controls_end(&fixture);
	}
}

/* Whom the Directory does not know, the smart host may know. */
static const struct {
	const char *call_out, *smart_host /* or NULL */, *recipient;
	enum reply reply;
	const char *why;
} asked[] = {
	{ "enabled", "next.example", "nobody@ours.example", REPLY_NONE, "the smart host is asked" },
	{ "disabled", "next.example", "nobody@ours.example", REPLY_NO_SUCH_USER, "nobody is asked" },
	{ "enabled", NULL, "nobody@ours.example", REPLY_NO_SUCH_USER, "there is nobody to ask" },
	{ "enabled", "next.example", "nobody%elsewhere.example@ours.example", REPLY_NO_SUCH_USER, "it is not asked about routed addresses" },
};

static void
an_unknown_recipient_is_the_call_outs_when_there_is_a_smart_host(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(asked); i++) {
		struct controls_fixture fixture;
		enum control_verdict verdict;

		controls_start(&fixture);
		controls_set(&fixture, "verify_local_recipients", "enabled");
		controls_set(&fixture, "recipient_call_out", asked[i].call_out);
		if (asked[i].smart_host != NULL)
			controls_set(&fixture, "local_smart_host", asked[i].smart_host);
		controls_recipient(&fixture, asked[i].recipient);
		fixture.recipient.known = FACT_BIT(FACT_DIRECTORY);
		fixture.recipient.directory = RECIPIENT_IS_UNKNOWN;
		verdict = controls_ask(&fixture, CONTROL_VERIFY_RECIPIENT);
		if (verdict != (asked[i].reply == REPLY_NONE ? CONTROL_PASSES : CONTROL_REFUSES))
			fail_msg("%s: %u", asked[i].why, verdict);
		controls_end(&fixture);
	}
}

static const struct {
	enum recipient_finding finding;
	const char *key;	/* what is enabled besides verify_local_recipients, or NULL */
	const char *recipient;
	enum reply reply;
	const char *rule;
	const char *why;
} findings[] = {
	{ RECIPIENT_IS_PERSON, NULL, "alice@ours.example", REPLY_NONE, "", "somebody of ours" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "nobody@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "nobody of ours" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "postmaster", REPLY_NONE, "", "postmaster without a domain" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "PostMaster@ours.example", REPLY_NONE, "", "postmaster" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "abuse@ours.example", REPLY_NONE, "", "abuse" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "a@elsewhere.example", REPLY_NONE, "", "a relay" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "Jane%Other@ours.example", REPLY_NONE, "", "a user of another Domino domain" },
	/* The router sends none of these on. */
	{ RECIPIENT_IS_UNKNOWN, NULL, "nobody%@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "a % route to nowhere" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "!nobody@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "a bang path from nowhere" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "\"nobody@\"@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "a second @ with nothing behind it" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "nobody%a/b@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "a % route to two words" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "%Other@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "a % route of nobody" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "nobody%intranet@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "a % route to an alias" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "Other!nobody@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "a bang path" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "\"nobody@Other\"@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients", "a second @" },
	{ RECIPIENT_IS_UNKNOWN, NULL, "Jane%Other%Ours@ours.example", REPLY_NO_SUCH_USER, "verify_local_recipients",
		"a name of ours that looks like a user of another Domino domain" },
	{ RECIPIENT_IS_AMBIGUOUS, NULL, "twins@ours.example", REPLY_NONE, "", "an ambiguous name" },
	{ RECIPIENT_IS_AMBIGUOUS, "reject_ambiguous_recipients", "twins@ours.example", REPLY_USER_AMBIGUOUS, "reject_ambiguous_recipients",
		"an ambiguous name that is refused" },
	{ RECIPIENT_IS_GROUP, NULL, "team@ours.example", REPLY_NONE, "", "a group" },
	{ RECIPIENT_IS_GROUP, "deny_mail_to_groups", "team@ours.example", REPLY_RECIPIENT_REJECTED, "deny_mail_to_groups", "a group that is refused" },
	{ RECIPIENT_CANNOT_BE_FOUND_NOW, NULL, "alice@ours.example", REPLY_DIRECTORY_AWAY, "verify_local_recipients", "no Directory: later" },
};

static void
verify_recipient_holds_row_by_row(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(findings); i++) {
		struct controls_fixture fixture;
		enum reply reply;

		controls_start(&fixture);
		controls_set(&fixture, "verify_local_recipients", "enabled");
		controls_set(&fixture, "relay_deny_destinations", "");
		if (findings[i].key != NULL)
			controls_set(&fixture, findings[i].key, "enabled");
		controls_recipient(&fixture, findings[i].recipient);
		fixture.recipient.directory = findings[i].finding;
		reply = controls_walk(&fixture, CONTROL_AT_RCPT);
		if (reply != findings[i].reply || (reply != REPLY_NONE && (strcmp(fixture.judgement.rule, findings[i].rule) != 0 ||
		    strcmp(fixture.judgement.text, findings[i].recipient) != 0)))
			fail_msg("%s: %u by %s", findings[i].why, reply, fixture.judgement.rule);
		controls_end(&fixture);
	}
}

static void
without_verification_ambiguous_names_and_groups_are_taken(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "verify_local_recipients", "disabled");
	controls_set(&fixture, "reject_ambiguous_recipients", "enabled");
	controls_set(&fixture, "deny_mail_to_groups", "enabled");
	for (enum recipient_finding finding = RECIPIENT_IS_UNKNOWN; finding <= RECIPIENT_CANNOT_BE_FOUND_NOW; finding++) {
		fixture.recipient.directory = finding;
		assert_int_equal(controls_ask(&fixture, CONTROL_VERIFY_RECIPIENT), CONTROL_SKIPPED);
	}
	controls_end(&fixture);
}

static void
the_directory_is_asked_last(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	controls_set(&fixture, "deny_recipients", "alice@ours.example");
	fixture.recipient.known = 0;
	assert_int_equal(controls_walk(&fixture, CONTROL_AT_RCPT), REPLY_RECIPIENT_REJECTED);
	assert_int_equal(controls_ask(&fixture, CONTROL_VERIFY_RECIPIENT), CONTROL_NEEDS);
	assert_int_equal(fixture.judgement.fact, FACT_DIRECTORY);
	controls_end(&fixture);
}

static const struct {
	const char *recipient;
	enum call_out_finding finding;
	const char *said;
	enum reply reply;
	const char *text;
	const char *why;
} call_outs[] = {
	{ "alice@ours.example", CALL_OUT_TAKEN, "", REPLY_NONE, "", "the next host takes it" },
	{ "alice@ours.example", CALL_OUT_REFUSED, "550 unknown", REPLY_CALL_OUT_REFUSED,
		"alice@ours.example... No such user; the next host said: 550 unknown", "it does not" },
	{ "alice@ours.example", CALL_OUT_NO_ANSWER, "", REPLY_CALL_OUT_PENDING, "alice@ours.example", "it does not answer: later" },
	{ "a@elsewhere.example", CALL_OUT_REFUSED, "", REPLY_NONE, "", "a relay" },
	{ "postmaster@ours.example", CALL_OUT_REFUSED, "", REPLY_NONE, "", "postmaster" },
};

static void
call_outs_hold_row_by_row(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(call_outs); i++) {
		struct controls_fixture fixture;

		controls_start(&fixture);
		controls_set(&fixture, "recipient_call_out", "enabled");
		controls_set(&fixture, "relay_deny_destinations", "");
		controls_recipient(&fixture, call_outs[i].recipient);
		fixture.recipient.call_out = call_outs[i].finding;
		fixture.recipient.call_out_text = call_outs[i].said;
		if (controls_walk(&fixture, CONTROL_AT_RCPT) != call_outs[i].reply)
			fail_msg("%s", call_outs[i].why);
		if (call_outs[i].reply != REPLY_NONE)
			assert_string_equal(fixture.judgement.text, call_outs[i].text);
		controls_end(&fixture);
	}
}

static void
nobody_is_called_unless_it_is_enabled(void **state UNUSED)
{
	struct controls_fixture fixture;

	controls_start(&fixture);
	fixture.recipient.known = 0;
	assert_int_equal(controls_ask(&fixture, CONTROL_CALL_OUT), CONTROL_SKIPPED);
	controls_end(&fixture);
	controls_start(&fixture);
	controls_set(&fixture, "recipient_call_out", "enabled");
	fixture.recipient.known = 0;
	assert_int_equal(controls_ask(&fixture, CONTROL_CALL_OUT), CONTROL_NEEDS);
	assert_int_equal(fixture.judgement.fact, FACT_CALL_OUT);
	controls_end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recipient_lists_hold_row_by_row),
		cmocka_unit_test(verify_recipient_holds_row_by_row),
		cmocka_unit_test(an_unknown_recipient_is_the_call_outs_when_there_is_a_smart_host),
		cmocka_unit_test(without_verification_ambiguous_names_and_groups_are_taken),
		cmocka_unit_test(the_directory_is_asked_last),
		cmocka_unit_test(call_outs_hold_row_by_row),
		cmocka_unit_test(nobody_is_called_unless_it_is_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
