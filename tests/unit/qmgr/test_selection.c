/* selection: what a control command's words match */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "qmgr/selection.h"

static struct envelope envelope;

static int
set_up(UNUSED void **state)
{
	struct envelope_recipient *recipient;

	envelope_init(&envelope);
	envelope.id = 42;
	envelope.sender = memory_copy_string("Jane.Doe@Example.org");
	envelope.arrival_ms = 1000000;
	recipient = envelope_add_recipient(&envelope, "bob@example.com");
	recipient->state = RECIPIENT_DELIVERED;
	recipient->transport = TRANSPORT_LOCAL;
	recipient->next_hop = memory_copy_string("");
	recipient = envelope_add_recipient(&envelope, "eve@example.net");
	recipient->state = RECIPIENT_WAITING;
	recipient->attempts = 2;
	recipient->transport = TRANSPORT_SMTP;
	recipient->next_hop = memory_copy_string("relay.example:25");
	return 0;
}

static int
tear_down(UNUSED void **state)
{
	envelope_free(&envelope);
	return 0;
}

static bool
matches(uint64_t id, const char *sender, const char *recipient, const char *destination, const char *state, uint64_t older,
    bool held)
{
	struct selection selection;
	bool result;

	selection_init(&selection, id, sender, recipient, destination, state, older);
	result = selection_matches(&selection, &envelope, held, 1000000 + 60000);
	selection_free(&selection);
	return result;
}

static void
matches_everything_when_nothing_is_given(UNUSED void **state)
{
	assert_true(matches(0, "", "", "", "", 0, false));
}

static void
matches_id_sender_and_age(UNUSED void **state)
{
	assert_true(matches(42, "", "", "", "", 0, false));
	assert_false(matches(43, "", "", "", "", 0, false));
	assert_true(matches(0, "jane.doe@example.ORG", "", "", "", 0, false));
	assert_true(matches(0, "@example.org", "", "", "", 0, false));
	assert_false(matches(0, "@ample.org", "", "", "", 0, false));
	assert_false(matches(0, "<>", "", "", "", 0, false));
	assert_true(matches(0, "", "", "", "", 60, false));
	assert_false(matches(0, "", "", "", "", 61, false));
	assert_false(matches(0, "", "", "", "", UINT64_MAX, false));
}

static void
matches_recipient_destination_and_state_of_one_recipient(UNUSED void **state)
{
	assert_true(matches(0, "", "eve@example.net", "smtp:relay.example:25", "deferred", 0, false));
	assert_true(matches(0, "", "", "relay.example:25", "waiting", 0, false));
	assert_true(matches(0, "", "", "local", "delivered", 0, false));
	assert_true(matches(0, "", "", "local:", "", 0, false));
	assert_false(matches(0, "", "bob@example.com", "smtp:relay.example:25", "", 0, false));
	assert_false(matches(0, "", "bob@example.com", "", "deferred", 0, false));
	assert_false(matches(0, "", "", "lmtp:relay.example:25", "", 0, false));
	assert_false(matches(0, "", "", "", "nonsense", 0, false));
}

static bool
goes_to(const char *text, const char *next_hop, bool or_domain)
{
	struct envelope_recipient *recipient = &envelope.recipients[1];

	free(recipient->next_hop);
	recipient->next_hop = memory_copy_string(next_hop);
	return selection_is_destination(text, recipient, or_domain);
}

static void
takes_the_host_of_a_next_hop_for_the_destination(UNUSED void **state)
{
	assert_true(goes_to("relay.example", "relay.example:25", false));
	assert_true(goes_to("Relay.Example", "[relay.example]:25", false));
	assert_true(goes_to("[relay.example]", "[relay.example]:25", false));
	assert_true(goes_to("relay.example", "relay.example", false));
	assert_true(goes_to("IPv6:2001:db8::1", "[IPv6:2001:db8::1]:25", false));
	assert_false(goes_to("relay", "relay.example:25", false));
	assert_false(goes_to("relay.example.org", "relay.example:25", false));
	assert_false(goes_to("[relay.example]", "relay.example:25", false));
	assert_false(goes_to("", "[]:25", false));
	assert_false(goes_to("relay.example", "[relay.example", false));
}

static void
takes_a_domain_for_all_its_recipients_elsewhere_when_told_so(UNUSED void **state)
{
	assert_true(goes_to("example.NET", "relay.example:25", true));
	assert_false(goes_to("example.net", "relay.example:25", false));
	assert_false(goes_to("ample.net", "relay.example:25", true));
	assert_false(selection_is_destination("example.com", &envelope.recipients[0], true));	/* a mail file */
}

static void
matches_held_messages(UNUSED void **state)
{
	assert_true(matches(0, "", "", "", "held", 0, true));
	assert_false(matches(0, "", "", "", "held", 0, false));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(matches_everything_when_nothing_is_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(matches_id_sender_and_age, set_up, tear_down),
		cmocka_unit_test_setup_teardown(matches_recipient_destination_and_state_of_one_recipient, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_the_host_of_a_next_hop_for_the_destination, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_a_domain_for_all_its_recipients_elsewhere_when_told_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(matches_held_messages, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
