/* Unit tests of smtp/reply_judgement.c; rows 122 and 125 of docs/reference/hostile-inputs.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/reply_judgement.h"

static struct reply_judgement
judge_text(const char *text, enum reply_asked asked, bool *too_many_out)
{
	struct reply_judgement judgement;
	struct smtp_reply reply;
	size_t consumed;

	smtp_reply_init(&reply);
	assert_int_equal(smtp_reply_read(&reply, text, strlen(text), &consumed), SMTP_REPLY_COMPLETE);
	reply_judge(&reply, asked, &judgement);
	if (too_many_out != NULL)
		*too_many_out = reply_says_too_many_recipients(&reply);
	smtp_reply_free(&reply);
	return judgement;
}

static void
judges_by_code_and_status(void **state)
{
	static const struct {
		const char *reply;
		enum reply_asked asked;
		enum delivery_outcome outcome;
		enum failure_class failure;
		const char *status, *text;
	} rows[] = {
		{ "250 2.1.5 fine\r\n", REPLY_TO_RCPT, DELIVERY_DONE, FAILURE_NONE, "2.1.5", "250 2.1.5 fine" },
		{ "250\r\n", REPLY_TO_CONTENT, DELIVERY_DONE, FAILURE_NONE, "2.0.0", "250" },
		{ "450 4.2.1 later\r\n", REPLY_TO_RCPT, DELIVERY_DEFERRED, FAILURE_NONE, "4.2.1", "450 4.2.1 later" },
		{ "421 bye\r\n", REPLY_TO_MAIL, DELIVERY_DEFERRED, FAILURE_NONE, "4.3.0", "421 bye" },
		{ "550-first\r\n550-5.1.1 second\r\n550 5.1.1 last\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_USERNAME,
		    "5.1.1", "550 5.1.1 last" },
		{ "550 no\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_USERNAME, "5.0.0", "550 no" },
		{ "554 no\r\n", REPLY_TO_CONTENT, DELIVERY_FAILED, FAILURE_TRANSFER, "5.0.0", "554 no" },
		{ "552 5.3.4 big\r\n", REPLY_TO_MAIL, DELIVERY_FAILED, FAILURE_SIZE, "5.3.4", "552 5.3.4 big" },
		{ "552 big\r\n", REPLY_TO_CONTENT, DELIVERY_FAILED, FAILURE_SIZE, "5.0.0", "552 big" },
		{ "552 5.2.2 full\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_DELIVERY, "5.2.2", "552 5.2.2 full" },
		{ "550 5.1.2 where\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_DOMAIN, "5.1.2", "550 5.1.2 where" },
		{ "550 5.7.1 no relay\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_RESTRICTION, "5.7.1", "550 5.7.1 no relay" },
		{ "503 order\r\n", REPLY_TO_DATA, DELIVERY_FAILED, FAILURE_TRANSFER, "5.5.0", "503 order" },
		/* a status that contradicts the code, or is none */
		{ "550 2.1.1 x\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_USERNAME, "5.0.0", "550 2.1.1 x" },
		{ "450 5.1.1 x\r\n", REPLY_TO_RCPT, DELIVERY_DEFERRED, FAILURE_NONE, "4.0.0", "450 5.1.1 x" },
		{ "550 5.1234.1 x\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_USERNAME, "5.0.0", "550 5.1234.1 x" },
		{ "550 5.1.1x\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_USERNAME, "5.0.0", "550 5.1.1x" },
		{ "550 5..1 x\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_USERNAME, "5.0.0", "550 5..1 x" },
		{ "550 5.1.1\r\n", REPLY_TO_RCPT, DELIVERY_FAILED, FAILURE_USERNAME, "5.1.1", "550 5.1.1" },
		{ "354 go\r\n", REPLY_TO_RCPT, DELIVERY_DEFERRED, FAILURE_NONE, "4.5.0", "out of step: 354 go" },
		{ "550 \x1b[2J\x07 caf\xc3\xa9\t%s%n\r\n", REPLY_TO_CONTENT, DELIVERY_FAILED, FAILURE_TRANSFER, "5.0.0",
		    "550 ?[2J? caf???%s%n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		struct reply_judgement judgement = judge_text(rows[i].reply, rows[i].asked, NULL);

		assert_int_equal(judgement.outcome, rows[i].outcome);
		assert_int_equal(judgement.failure, rows[i].failure);
		assert_string_equal(judgement.status, rows[i].status);
		assert_string_equal(judgement.text, rows[i].text);
	}
}

static void
knows_when_a_transaction_is_full(void **state)
{
	static const struct { const char *reply; bool full; } rows[] = {
		{ "452 4.5.3 too many\r\n", true }, { "452 too many recipients\r\n", true }, { "552 too many\r\n", true },
		{ "552 5.5.3 too many\r\n", true }, { "452 4.2.2 over quota\r\n", false }, { "452 4.3.1 storage\r\n", false },
		{ "450 4.5.3 x\r\n", false }, { "552 5.2.2 full\r\n", false }, { "250 ok\r\n", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		bool full;

		judge_text(rows[i].reply, REPLY_TO_RCPT, &full);
		assert_int_equal(full, rows[i].full);
	}
}

static void
bounds_its_text(void **state)
{
	char text[SMTP_REPLY_LINE_MAX + 1];
	struct reply_judgement judgement;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "550 ", 4);
	memcpy(text + SMTP_REPLY_LINE_MAX - 2, "\r\n", 3);
	judgement = judge_text(text, REPLY_TO_RCPT, NULL);
	assert_true(strlen(judgement.text) <= ENVELOPE_TEXT_MAX);
	judgement_set(&judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.0.0", "%s", text);
	assert_true(strlen(judgement.text) <= ENVELOPE_TEXT_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_by_code_and_status),
		cmocka_unit_test(knows_when_a_transaction_is_full),
		cmocka_unit_test(bounds_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
