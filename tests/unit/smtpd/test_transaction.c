/* test_transaction - recipients are there once, refusals drop the content (hostile-inputs rows 39, 40) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "smtpd/transaction.h"

enum addition { ADDED, KNOWN, SURPLUS };

static enum addition
add(struct transaction *transaction, const char *text, bool is_local, size_t limit)
{
	struct address address = { .text = "" };

	snprintf(address.text, sizeof(address.text), "%s", text);
	if (transaction_is_full(transaction, &address, is_local, limit))
		return SURPLUS;
	return transaction_add_recipient(transaction, &address, is_local) != NULL ? ADDED : KNOWN;
}

static void
a_local_recipient_is_there_once_in_any_case(void **state)
{
	struct transaction *transaction = transaction_new();

	(void)state;
	assert_int_equal(add(transaction, "Jane.Doe@ours.example", true, 10), ADDED);
	assert_int_equal(add(transaction, "jane.doe@ours.example", true, 10), KNOWN);
	assert_int_equal(add(transaction, "JANE.DOE@ours.example", true, 10), KNOWN);
	assert_int_equal(add(transaction, "jane.do@ours.example", true, 10), ADDED);
	assert_int_equal(transaction->envelope.recipient_count, 2);
	transaction_free(&transaction);
}

static void
a_local_part_elsewhere_keeps_its_case(void **state)
{
	struct transaction *transaction = transaction_new();

	(void)state;
	assert_int_equal(add(transaction, "Jane@theirs.example", false, 10), ADDED);
	assert_int_equal(add(transaction, "jane@theirs.example", false, 10), ADDED);
	assert_int_equal(add(transaction, "Jane@theirs.example", false, 10), KNOWN);
	transaction_free(&transaction);
}

static void
a_thousand_are_told_apart_and_the_surplus_is_refused(void **state)
{
	struct transaction *transaction = transaction_new();
	char text[64];

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "user%u@ours.example", i % 1500);
		assert_int_equal(add(transaction, text, true, 1000),
		    i % 1500 >= 1000 ? SURPLUS : i < 1500 ? ADDED : KNOWN);
	}
	assert_int_equal(transaction->envelope.recipient_count, 1000);
	transaction_free(&transaction);
}

static void
a_refusal_is_the_first_one_and_drops_the_content(void **state)
{
	struct transaction *transaction = transaction_new();
	size_t total = 100;

	(void)state;
	buffer_append_string(&transaction->data, "some content");
	transaction_count(transaction, &total);
	assert_true(total > 100);
	transaction_refuse(transaction, REPLY_TOO_LARGE, NULL);
	transaction_refuse(transaction, REPLY_TRY_LATER, "later");
	assert_int_equal(transaction->refusal, REPLY_TOO_LARGE);
	assert_null(transaction->refusal_text);
	transaction_count(transaction, &total);
	assert_int_equal(total, 100);
	transaction_free(&transaction);
	transaction_free(&transaction);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_local_recipient_is_there_once_in_any_case),
		cmocka_unit_test(a_local_part_elsewhere_keeps_its_case),
		cmocka_unit_test(a_thousand_are_told_apart_and_the_surplus_is_refused),
		cmocka_unit_test(a_refusal_is_the_first_one_and_drops_the_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
