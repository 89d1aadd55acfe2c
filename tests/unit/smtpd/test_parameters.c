/* test_parameters - the parameters of MAIL and RCPT, and what they decode to (hostile-inputs rows 21 to 26) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/attributes.h"
#include "smtpd/parameters.h"

static const struct parameters_allowed all = { true, true, true, true };

static const struct {
	const char *name;
	const char *text;
	enum reply reply;	/* REPLY_NONE: taken */
} mail_cases[] = {
	{ "nothing", "", REPLY_NONE },
	{ "blanks only", "   ", REPLY_NONE },
	{ "all there are", " SIZE=1 BODY=7BIT SMTPUTF8 RET=FULL ENVID=x", REPLY_NONE },
	{ "the largest size there is", " SIZE=18446744073709551615", REPLY_NONE },
	{ "one more overflows", " SIZE=18446744073709551616", REPLY_BAD_ARGUMENT },
	{ "300 digits", " SIZE=00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
	    REPLY_BAD_ARGUMENT },
	{ "no blank", "SIZE=1", REPLY_BAD_ARGUMENT },
	{ "an unknown one", " FOO", REPLY_PARAMETER_UNKNOWN },
	{ "an unknown one of many octets", " AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=x", REPLY_PARAMETER_UNKNOWN },
	{ "only an equals sign", " =", REPLY_BAD_ARGUMENT },
	{ "a leading hyphen", " -A=1", REPLY_BAD_ARGUMENT },
	{ "a tab between", " SIZE=1\tBODY=7BIT", REPLY_BAD_ARGUMENT },
	{ "lower case hexadecimal", " ENVID=a+0a", REPLY_BAD_ARGUMENT },
	{ "an encoded line end", " ENVID=a+0D+0Ab", REPLY_BAD_ARGUMENT },
	{ "an encoded NUL", " ENVID=a+00b", REPLY_BAD_ARGUMENT },
	{ "an encoded DEL", " ENVID=a+7F", REPLY_BAD_ARGUMENT },
	{ "encoded 8-bit octets", " ENVID=a+FF", REPLY_BAD_ARGUMENT },
	{ "an encoded blank", " ENVID=a+20b", REPLY_NONE },
};

static void
mail_parameters_are_taken_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(mail_cases); i++) {
		struct mail_parameters parameters;
		struct parameter_refusal refusal = { .reply = REPLY_NONE };

		mail_parameters_parse(mail_cases[i].text, strlen(mail_cases[i].text), &all, &parameters, &refusal);
		if (refusal.reply != mail_cases[i].reply)
			fail_msg("%s: reply %u", mail_cases[i].name, reply_code(refusal.reply));
	}
}

static void
values_are_decoded(void **state)
{
	static const char mail[] = " size=123 body=8bitmime ret=hdrs envid=a+2Bb+3D smtputf8";
	static const char rcpt[] = " notify=success,delay orcpt=RFC822;a+2Bb@c";
	struct mail_parameters mail_parameters;
	struct rcpt_parameters rcpt_parameters;
	struct parameter_refusal refusal;

	(void)state;
	assert_true(mail_parameters_parse(mail, sizeof(mail) - 1, &all, &mail_parameters, &refusal));
	assert_int_equal(mail_parameters.size, 123);
	assert_int_equal(mail_parameters.body, BODY_8BITMIME);
	assert_int_equal(mail_parameters.ret, RETURN_HEADERS);
	assert_string_equal(mail_parameters.envid, "a+b=");
	assert_true(mail_parameters.smtputf8);
	assert_true(rcpt_parameters_parse(rcpt, sizeof(rcpt) - 1, &all, &rcpt_parameters, &refusal));
	assert_int_equal(rcpt_parameters.notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	assert_string_equal(rcpt_parameters.original, "RFC822;a+b@c");
}

static void
orcpt_may_have_500_octets_and_not_more(void **state)
{
	char text[600];
	struct rcpt_parameters parameters;
	struct parameter_refusal refusal;

	(void)state;
	for (size_t length = 499; length <= 502; length++) {
		int prefix = snprintf(text, sizeof(text), " ORCPT=rfc822;");

		memset(text + prefix, 'a', length - strlen("rfc822;"));
		assert_int_equal(rcpt_parameters_parse(text, strlen(" ORCPT=") + length, &all, &parameters, &refusal),
		    length <= PARAMETER_ORCPT_MAX);
	}
}

static void
what_is_switched_off_is_unknown(void **state)
{
	static const struct parameters_allowed none = { false, false, false, false };
	static const char *const texts[] = { " SIZE=1", " BODY=7BIT", " SMTPUTF8", " RET=FULL", " ENVID=x" };
	struct mail_parameters parameters;
	struct parameter_refusal refusal;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		assert_false(mail_parameters_parse(texts[i], strlen(texts[i]), &none, &parameters, &refusal));
		assert_int_equal(refusal.reply, REPLY_PARAMETER_UNKNOWN);
	}
}

static void
six_hundred_parameters_are_refused_at_the_second(void **state)
{
	char text[600 * 7 + 1] = "";
	struct mail_parameters parameters;
	struct parameter_refusal refusal;

	(void)state;
	for (unsigned i = 0; i < 600; i++)
		memcpy(text + i * 7, " SIZE=1", 8);
	assert_false(mail_parameters_parse(text, strlen(text), &all, &parameters, &refusal));
	assert_string_equal(refusal.text, "Parameter is there twice: SIZE");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_parameters_are_taken_or_refused),
		cmocka_unit_test(values_are_decoded),
		cmocka_unit_test(orcpt_may_have_500_octets_and_not_more),
		cmocka_unit_test(what_is_switched_off_is_unknown),
		cmocka_unit_test(six_hundred_parameters_are_refused_at_the_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
