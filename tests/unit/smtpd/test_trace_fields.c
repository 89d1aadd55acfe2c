/* test_trace_fields - what the controls found out stands in front of the message, in the forms of RFC 8601 and RFC 7208 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"

/* The content of one message, unfolded, up to our Received field; the caller frees it. */
static char *
fields_of(struct fixture *fixture, const char *helo, const char *sender)
{
	struct buffer said = BUFFER_INITIALIZER(0), fields = BUFFER_INITIALIZER(0);
	const char *text;
	char *replies;

	fixture_open(fixture);
	buffer_printf(&said, "EHLO %s\r\nMAIL FROM:<%s>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n", helo, sender);
	fixture_send(fixture, said.data, said.length);
	replies = fixture_replies(fixture);
	if (fixture->stored != 1)
		fail_msg("%s", replies);
	text = buffer_text(&fixture->content);
	assert_non_null(strstr(text, "\r\nSubject: x\r\n\r\nhello\r\n"));
	for (; strncmp(text, "Received: ", 10) != 0; text++) {
		assert_true(*text != '\0');
		if (strncmp(text, "\r\n ", 3) == 0)
			text += 2;
		buffer_append_byte(&fields, *text);
	}
	assert_null(strstr(text, "\r\nAuthentication-Results:"));
	free(replies);
	buffer_free(&said);
	buffer_append_string(&fields, "");
	return fields.data;
}

static void
start_with_spf(struct fixture *fixture, enum spf_verdict helo, enum spf_verdict mail)
{
	fixture_start(fixture);
	fixture_set(fixture, "spf_check", "enabled");
	fixture->spf_helo = helo;
	fixture->spf_mail = mail;
}

static void
without_anything_to_say_there_is_no_field(void **state)
{
	struct fixture fixture;
	char *fields;

	(void)state;
	fixture_start(&fixture);
	fields = fields_of(&fixture, "mx.b.example", "a@b.example");
	assert_string_equal(fields, "");
	free(fields);
	fixture_end(&fixture);
}

static void
a_pass_is_told_for_both_identities(void **state)
{
	struct fixture fixture;
	char *fields;

	(void)state;
	start_with_spf(&fixture, SPF_VERDICT_PASS, SPF_VERDICT_PASS);
	fields = fields_of(&fixture, "mx.b.example", "a@b.example");
	assert_string_equal(fields,
	    "Authentication-Results: hub.ours.example; spf=pass smtp.mailfrom=a@b.example; spf=pass smtp.helo=mx.b.example\r\n"
	    "Received-SPF: pass receiver=hub.ours.example; client-ip=192.0.2.7; envelope-from=\"a@b.example\"; "
	    "helo=mx.b.example; identity=mailfrom\r\n"
	    "Received-SPF: pass receiver=hub.ours.example; client-ip=192.0.2.7; envelope-from=\"a@b.example\"; "
	    "helo=mx.b.example; identity=helo\r\n");
	free(fields);
	fixture_end(&fixture);
}

/* Where HELO has no record its field would say nothing; the null sender has no other. */
static void
a_null_sender_has_the_verdict_of_helo(void **state)
{
	struct fixture fixture;
	char *fields;

	(void)state;
	start_with_spf(&fixture, SPF_VERDICT_NONE, SPF_VERDICT_NONE);
	fields = fields_of(&fixture, "mx.b.example", "");
	assert_string_equal(fields, "Authentication-Results: hub.ours.example; spf=none smtp.helo=mx.b.example\r\n"
	    "Received-SPF: none receiver=hub.ours.example; client-ip=192.0.2.7; envelope-from=\"\"; "
	    "helo=mx.b.example; identity=helo\r\n");
	free(fields);
	fixture_end(&fixture);
}

static void
what_is_no_atom_is_quoted(void **state)
{
	static const struct {
		const char *helo, *sender, *results, *spf;
	} cases[] = {
		{ "[192.0.2.7]", "a@b.example", "smtp.mailfrom=a@b.example; spf=none smtp.helo=\"[192.0.2.7]\"",
			"envelope-from=\"a@b.example\"; helo=\"[192.0.2.7]\";" },
		{ "a=b;c", "\"x; y\"@b.example", "smtp.mailfrom=\"\\\"x; y\\\"@b.example\"; spf=none smtp.helo=\"a=b;c\"",
			"envelope-from=\"\\\"x; y\\\"@b.example\"; helo=\"a=b;c\";" },
		{ "\"\\", "x+y=z@b.example", "smtp.mailfrom=\"x+y=z@b.example\"; spf=none smtp.helo=\"\\\"\\\\\"",
			"envelope-from=\"x+y=z@b.example\"; helo=\"\\\"\\\\\";" },
		{ "a..b", "x@[192.0.2.9]", "smtp.mailfrom=\"x@[192.0.2.9]\"; spf=none smtp.helo=\"a..b\"",
			"envelope-from=\"x@[192.0.2.9]\"; helo=\"a..b\";" },
		{ "me@there", "a@b.example", "smtp.mailfrom=a@b.example; spf=none smtp.helo=\"me@there\"", "helo=\"me@there\";" },
		{ "(c)", "a@b.example", "smtp.mailfrom=a@b.example; spf=none smtp.helo=\"(c)\"", "helo=\"(c)\";" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct fixture fixture;
		char *fields;

		start_with_spf(&fixture, SPF_VERDICT_NONE, SPF_VERDICT_SOFTFAIL);
		fixture_set(&fixture, "spf_softfail_action", "log");
		fields = fields_of(&fixture, cases[i].helo, cases[i].sender);
		if (strstr(fields, cases[i].results) == NULL || strstr(fields, cases[i].spf) == NULL)
			fail_msg("%s", fields);
		assert_null(strstr(fields, "$SPFResult"));
		free(fields);
		fixture_end(&fixture);
	}
}

static void
an_address_of_ipv6_is_quoted(void **state)
{
	struct fixture fixture;
	char *fields;

	(void)state;
	start_with_spf(&fixture, SPF_VERDICT_NONE, SPF_VERDICT_NEUTRAL);
	strcpy(fixture.client.address, "2001:db8::7");
	fields = fields_of(&fixture, "c", "a@b.example");
	assert_non_null(strstr(fields, "Received-SPF: neutral receiver=hub.ours.example; client-ip=\"2001:db8::7\"; "));
	free(fields);
	fixture_end(&fixture);
}

/* Octets above 127 would make the message need SMTPUTF8 for our words. */
static void
an_international_sender_is_told_in_ascii(void **state)
{
	struct fixture fixture;
	char *fields;

	(void)state;
	start_with_spf(&fixture, SPF_VERDICT_NONE, SPF_VERDICT_PASS);
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO c\r\nMAIL FROM:<j\xc3\xb6rg@b.example> SMTPUTF8\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\nx: y\r\n.\r\n");
	fields = fixture_replies(&fixture);
	assert_int_equal(fixture.stored, 1);
	assert_non_null(strstr(buffer_text(&fixture.content), "smtp.mailfrom=\"j??rg@b.example\";"));
	for (size_t i = 0; i < fixture.content.length; i++)
		assert_true((unsigned char)fixture.content.data[i] < 0x80);
	free(fields);
	fixture_end(&fixture);
}

static void
an_error_tells_its_problem(void **state)
{
	static const enum spf_verdict verdicts[] = { SPF_VERDICT_PERMERROR, SPF_VERDICT_TEMPERROR, SPF_VERDICT_FAIL };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(verdicts); i++) {
		struct fixture fixture;
		char *fields;

		start_with_spf(&fixture, SPF_VERDICT_NONE, verdicts[i]);
		fields = fields_of(&fixture, "c", "a@b.example");
		assert_int_equal(strstr(fields, "; identity=mailfrom; problem=\"as the test says\"\r\n") != NULL,
		    verdicts[i] != SPF_VERDICT_FAIL);
		free(fields);
		fixture_end(&fixture);
	}
}

/* There is one text for both: that of a fail of HELO, else that of MAIL FROM, and that of HELO where this has none. */
static void
a_problem_is_told_of_the_identity_that_has_it(void **state)
{
	static const struct {
		enum spf_verdict helo, mail;
		const char *sender, *told;	/* the identity, or NULL */
	} cases[] = {
		{ SPF_VERDICT_PERMERROR, SPF_VERDICT_FAIL, "a@b.example", NULL },
		{ SPF_VERDICT_TEMPERROR, SPF_VERDICT_FAIL, "a@b.example", NULL },
		{ SPF_VERDICT_FAIL, SPF_VERDICT_PERMERROR, "a@b.example", NULL },
		{ SPF_VERDICT_FAIL, SPF_VERDICT_TEMPERROR, "a@b.example", NULL },
		{ SPF_VERDICT_PERMERROR, SPF_VERDICT_PASS, "a@b.example", "helo" },
		{ SPF_VERDICT_TEMPERROR, SPF_VERDICT_NONE, "a@b.example", "helo" },
		{ SPF_VERDICT_PERMERROR, SPF_VERDICT_TEMPERROR, "a@b.example", "mailfrom" },
		{ SPF_VERDICT_PERMERROR, SPF_VERDICT_PERMERROR, "a@b.example", "mailfrom" },
		{ SPF_VERDICT_PASS, SPF_VERDICT_PERMERROR, "a@b.example", "mailfrom" },
		{ SPF_VERDICT_PERMERROR, SPF_VERDICT_PERMERROR, "", "helo" },
		{ SPF_VERDICT_TEMPERROR, SPF_VERDICT_NONE, "", "helo" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct fixture fixture;
		const char *problem;
		char *fields, told[80];

		start_with_spf(&fixture, cases[i].helo, cases[i].mail);
		fixture_set(&fixture, "spf_fail_action", "log");
		fields = fields_of(&fixture, "c", cases[i].sender);
		problem = strstr(fields, "problem=");
		snprintf(told, sizeof(told), "; identity=%s; problem=\"as the test says\"\r\n", cases[i].told != NULL ? cases[i].told : "");
		if ((problem == NULL) != (cases[i].told == NULL) || (problem != NULL && (strstr(fields, told) == NULL ||
		    strstr(problem + 1, "problem=") != NULL)))
			fail_msg("case %zu: %s", i, fields);
		free(fields);
		fixture_end(&fixture);
	}
}

static void
the_tag_has_the_verdict_that_was_judged_by(void **state)
{
	static const struct {
		enum spf_verdict helo, mail;
		const char *sender, *tag;
	} cases[] = {
		{ SPF_VERDICT_PASS, SPF_VERDICT_SOFTFAIL, "a@b.example", "$SPFResult: softfail\r\n" },
		{ SPF_VERDICT_FAIL, SPF_VERDICT_PASS, "a@b.example", "$SPFResult: fail\r\n" },
		{ SPF_VERDICT_PERMERROR, SPF_VERDICT_PERMERROR, "", "$SPFResult: permerror\r\n" },
		{ SPF_VERDICT_PASS, SPF_VERDICT_PASS, "a@b.example", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct fixture fixture;
		char *fields;

		start_with_spf(&fixture, cases[i].helo, cases[i].mail);
		fields = fields_of(&fixture, "c", cases[i].sender);
		if (cases[i].tag != NULL)
			assert_non_null(strstr(fields, cases[i].tag));
		else
			assert_null(strstr(fields, "$SPFResult"));
		free(fields);
		fixture_end(&fixture);
	}
}

static void
the_lists_that_have_the_client_are_told(void **state)
{
	struct fixture fixture;
	char *fields;

	(void)state;
	fixture_start(&fixture);
	fixture_set(&fixture, "private_blacklist_filter", "enabled");
	fixture_set(&fixture, "private_blacklist_hosts", "[192.0.2.7]");
	fixture_set(&fixture, "private_blacklist_action", "log_and_tag");
	fields = fields_of(&fixture, "c", "a@b.example");
	assert_string_equal(fields, "$DNSBLSite: PrivateBlacklist\r\n");
	free(fields);
	fixture_end(&fixture);
}

static void
a_users_submission_is_not_asked_about(void **state)
{
	struct fixture fixture;
	char *fields;

	(void)state;
	start_with_spf(&fixture, SPF_VERDICT_FAIL, SPF_VERDICT_FAIL);
	fixture.client.is_local_user = true;
	fields = fields_of(&fixture, "c", "a@ours.example");
	assert_string_equal(fields, "");
	free(fields);
	fixture_end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_anything_to_say_there_is_no_field),
		cmocka_unit_test(a_pass_is_told_for_both_identities),
		cmocka_unit_test(a_null_sender_has_the_verdict_of_helo),
		cmocka_unit_test(what_is_no_atom_is_quoted),
		cmocka_unit_test(an_address_of_ipv6_is_quoted),
		cmocka_unit_test(an_international_sender_is_told_in_ascii),
		cmocka_unit_test(an_error_tells_its_problem),
		cmocka_unit_test(a_problem_is_told_of_the_identity_that_has_it),
		cmocka_unit_test(the_tag_has_the_verdict_that_was_judged_by),
		cmocka_unit_test(the_lists_that_have_the_client_are_told),
		cmocka_unit_test(a_users_submission_is_not_asked_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
