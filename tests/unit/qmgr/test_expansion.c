/* expansion: which addresses are the same, and which recipients end at the same place */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "qmgr/active.h"
#include "qmgr/expansion.h"

static void
takes_each_address_once_whatever_the_case_of_its_domain(UNUSED void **state)
{
	struct address_set *set = address_set_new();

	assert_true(address_set_add(set, "jane@example.com", 0));
	assert_false(address_set_add(set, "jane@EXAMPLE.com", 0));
	assert_true(address_set_add(set, "Jane@example.com", 0));
	assert_true(address_set_add(set, "jane@example.org", 0));
	assert_true(address_set_add(set, "Jane Doe/Sales/Acme", 0));
	assert_false(address_set_add(set, "jane doe/sales/ACME", 0));
	assert_true(address_set_add(set, "\"a@b\"@example.com", 0));
	assert_true(address_set_add(set, "\"A@b\"@example.com", 0));
	assert_true(address_set_add(set, "", 0));
	address_set_free(&set);
	assert_null(set);
}

static struct active_message *
message_with_members(void)
{
	struct envelope envelope;
	struct envelope_recipient *recipient;
	size_t i;

	envelope_init(&envelope);
	envelope.sender = memory_copy_string("s@example.org");
	envelope_add_recipient(&envelope, "sales@acme.com")->state = RECIPIENT_EXPANDED;
	envelope_add_recipient(&envelope, "bob@acme.com");
	envelope_add_recipient(&envelope, "Jane Doe/Sales/Acme");
	envelope_add_recipient(&envelope, "jdoe@acme.com");
	envelope_add_recipient(&envelope, "x@example.net");
	for (i = 1; i < envelope.recipient_count; i++) {
		recipient = &envelope.recipients[i];
		recipient->state = RECIPIENT_WAITING;
		recipient->forwards = i > 1;
		recipient->transport = i < 4 ? TRANSPORT_LOCAL : TRANSPORT_SMTP;
		recipient->next_hop = memory_copy_string(i < 4 ? "" : "relay:25");
		recipient->delivery_address = memory_copy_string(i == 1 ? "bob" : i < 4 ? "jdoe" : NULL);
	}
	return active_new(&envelope, NULL, PLACE_UNKNOWN);
}

static void
gives_one_copy_to_a_person_who_is_in_a_group_under_two_names(UNUSED void **state)
{
	struct active_message *message = message_with_members();

	/* Both names were routed: whichever is asked about first finds the other there. */
	assert_true(expansion_is_duplicate(message, 3));
	message->envelope.recipients[3].state = RECIPIENT_EXPANDED;
	assert_false(expansion_is_duplicate(message, 2));
	assert_false(expansion_is_duplicate(message, 4));
	active_free(&message);
}

static void
never_drops_a_recipient_that_the_sender_named(UNUSED void **state)
{
	struct active_message *message = message_with_members();

	message->envelope.recipients[2].forwards = message->envelope.recipients[3].forwards = 0;
	assert_false(expansion_is_duplicate(message, 2));
	assert_false(expansion_is_duplicate(message, 3));
	active_free(&message);
}

static void
is_no_duplicate_of_itself_at_the_next_attempt(UNUSED void **state)
{
	struct active_message *message = message_with_members();

	assert_false(expansion_is_duplicate(message, 4));
	assert_false(expansion_is_duplicate(message, 4));
	active_free(&message);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_each_address_once_whatever_the_case_of_its_domain),
		cmocka_unit_test(gives_one_copy_to_a_person_who_is_in_a_group_under_two_names),
		cmocka_unit_test(never_drops_a_recipient_that_the_sender_named),
		cmocka_unit_test(is_no_duplicate_of_itself_at_the_next_attempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
