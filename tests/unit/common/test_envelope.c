/* test_envelope - envelopes as octets: what goes in comes out, and nothing else is taken */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "common/mail/envelope.h"

static void
fill(struct envelope *envelope)
{
	struct envelope_recipient *recipient;

	envelope_init(envelope);
	envelope->id = 0x0123456789abcdef;
	envelope->sender = memory_copy_string("jane.doe@acme.com");
	envelope->arrival_ms = 1790000000123;
	envelope->format = FORMAT_NOTES;
	envelope->priority = PRIORITY_HIGH;
	envelope->body = BODY_BINARYMIME;
	envelope->ret = RETURN_HEADERS;
	envelope->smtputf8 = true;
	envelope->envid = memory_copy_string("QQ314159");
	envelope->hops = 7;
	envelope->client_address = memory_copy_string("192.0.2.1");
	envelope->helo = memory_copy_string("client.example");
	envelope->protocol = memory_copy_string("ESMTP");
	envelope_add_recipient(envelope, "bob@partner.example");
	recipient = envelope_add_recipient(envelope, "Jane Doe/Sales/Acme");
	recipient->original = memory_copy_string("rfc822;jane@acme.com");
	recipient->notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
	recipient->forwards = 3;
	recipient->parent = 0;
	recipient->state = RECIPIENT_FAILED;
	recipient->transport = TRANSPORT_LMTP;
	recipient->next_hop = memory_copy_string("[127.0.0.1]:24");
	recipient->delivery_address = memory_copy_string("jdoe");
	recipient->attempts = 9;
	recipient->next_attempt_ms = 1790000099999;
	recipient->failure = FAILURE_USERNAME;
	recipient->status = memory_copy_string("5.1.1");
	recipient->reason = memory_copy_string("550 5.1.1 no such user");
	recipient->remote_host = memory_copy_string("mx.example");
	recipient->delay_reported = true;
	envelope_add_recipient(envelope, "third@partner.example");
}

static struct buffer
encoded(const bool *chosen)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct envelope envelope;

	fill(&envelope);
	assert_true(envelope_encode(&envelope, chosen, &octets));
	envelope_free(&envelope);
	return octets;
}

static void
what_was_encoded_is_decoded(void **state UNUSED)
{
	struct buffer octets = encoded(NULL);
	struct envelope envelope;
	const struct envelope_recipient *recipient;

	assert_int_equal(envelope_decode(octets.data, octets.length, &envelope, NULL), 0);
	assert_true(envelope.id == 0x0123456789abcdef);
	assert_string_equal(envelope.sender, "jane.doe@acme.com");
	assert_true(envelope.arrival_ms == 1790000000123);
	assert_int_equal(envelope.format, FORMAT_NOTES);
	assert_int_equal(envelope.priority, PRIORITY_HIGH);
	assert_int_equal(envelope.body, BODY_BINARYMIME);
	assert_int_equal(envelope.ret, RETURN_HEADERS);
	assert_true(envelope.smtputf8);
	assert_string_equal(envelope.envid, "QQ314159");
	assert_int_equal(envelope.hops, 7);
	assert_string_equal(envelope.client_address, "192.0.2.1");
	assert_null(envelope.client_name);
	assert_null(envelope.user);
	assert_int_equal(envelope.recipient_count, 3);
	recipient = envelope_find_recipient(&envelope, 1);
	assert_string_equal(recipient->address, "Jane Doe/Sales/Acme");
	assert_string_equal(recipient->original, "rfc822;jane@acme.com");
	assert_int_equal(recipient->notify, NOTIFY_SUCCESS | NOTIFY_FAILURE);
	assert_int_equal(recipient->forwards, 3);
	assert_int_equal(recipient->parent, 0);
	assert_int_equal(recipient->state, RECIPIENT_FAILED);
	assert_int_equal(recipient->transport, TRANSPORT_LMTP);
	assert_string_equal(recipient->next_hop, "[127.0.0.1]:24");
	assert_string_equal(recipient->delivery_address, "jdoe");
	assert_int_equal(recipient->attempts, 9);
	assert_true(recipient->next_attempt_ms == 1790000099999);
	assert_int_equal(recipient->failure, FAILURE_USERNAME);
	assert_string_equal(recipient->status, "5.1.1");
	assert_string_equal(recipient->reason, "550 5.1.1 no such user");
	assert_string_equal(recipient->remote_host, "mx.example");
	assert_true(recipient->delay_reported);
	assert_null(envelope.recipients[2].next_hop);
	envelope_free(&envelope);
	buffer_free(&octets);
}

static void
chosen_recipients_keep_their_numbers(void **state UNUSED)
{
	struct buffer octets = encoded((const bool[]){ true, false, true });
	struct envelope envelope;

	assert_int_equal(envelope_decode(octets.data, octets.length, &envelope, NULL), 0);
	assert_int_equal(envelope.recipient_count, 2);
	assert_string_equal(envelope_find_recipient(&envelope, 2)->address, "third@partner.example");
	assert_null(envelope_find_recipient(&envelope, 1));
	assert_int_equal(envelope_add_recipient(&envelope, "x@y.example")->number, 3);
	envelope_free(&envelope);
	buffer_free(&octets);
}

static void
every_truncation_is_refused(void **state UNUSED)
{
	struct buffer octets = encoded(NULL);
	struct envelope envelope;
	struct error error = ERROR_INITIALIZER;

	for (size_t length = 0; length < octets.length; length++) {
		char *exact = memory_copy(octets.data, length);

		assert_int_equal(envelope_decode(exact, length, &envelope, &error), -1);
		assert_int_equal(envelope.recipient_count, 0);
		assert_null(envelope.sender);
		free(exact);
	}
	assert_int_equal(error.kind, ERROR_DAMAGED);
	assert_true(buffer_append_byte(&octets, 'x'));
	assert_int_equal(envelope_decode(octets.data, octets.length, &envelope, NULL), -1);
	buffer_free(&octets);
}

static void
another_version_is_refused(void **state UNUSED)
{
	struct buffer octets = encoded(NULL);
	struct envelope envelope;

	octets.data[0]++;
	assert_int_equal(envelope_decode(octets.data, octets.length, &envelope, NULL), -1);
	buffer_free(&octets);
}

/* Changing any one octet never crashes, and what is taken encodes again. */
static void
damaged_octets_never_do_harm(void **state UNUSED)
{
	struct buffer octets = encoded(NULL);

	for (size_t i = 0; i < octets.length; i++) {
		for (int change = 1; change < 256; change += 31) {
			struct buffer again = BUFFER_INITIALIZER(0);
			struct envelope envelope;

			octets.data[i] ^= (char)change;
			if (envelope_decode(octets.data, octets.length, &envelope, NULL) == 0)
				assert_true(envelope_encode(&envelope, NULL, &again));
			envelope_free(&envelope);
			buffer_free(&again);
			octets.data[i] ^= (char)change;
		}
	}
	buffer_free(&octets);
}

static void
a_huge_count_allocates_nothing(void **state UNUSED)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct envelope envelope;

	envelope_init(&envelope);
	assert_true(envelope_encode(&envelope, NULL, &octets));
	memcpy(octets.data + octets.length - 4, "\xff\xff\xff\x7f", 4);
	assert_int_equal(envelope_decode(octets.data, octets.length, &envelope, NULL), -1);
	buffer_free(&octets);
}

static void
an_address_with_a_line_end_is_not_encoded(void **state UNUSED)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct envelope envelope;

	envelope_init(&envelope);
	envelope_add_recipient(&envelope, "jane@acme.com\r\nRCPT TO:<x@y>");
	assert_false(envelope_encode(&envelope, NULL, &octets));
	assert_int_equal(octets.length, 0);
	envelope_free(&envelope);
	buffer_free(&octets);
}

static void
a_reason_becomes_one_line_and_is_cut(void **state UNUSED)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct envelope envelope, copy;
	char *reason;

	envelope_init(&envelope);
	reason = memory_new(3000, 1);
	memset(reason, 'x', 2999);
	reason[3] = '\r';
	reason[4] = '\n';
	envelope_add_recipient(&envelope, "jane@acme.com")->reason = reason;
	assert_true(envelope_encode(&envelope, NULL, &octets));
	assert_int_equal(envelope_decode(octets.data, octets.length, &copy, NULL), 0);
	assert_int_equal(strlen(copy.recipients[0].reason), ENVELOPE_TEXT_MAX);
	assert_memory_equal(copy.recipients[0].reason, "xxx  xxx", 8);
	envelope_free(&envelope);
	envelope_free(&copy);
	buffer_free(&octets);
}

static void
the_limit_of_the_buffer_leaves_it_as_it_was(void **state UNUSED)
{
	struct buffer octets = BUFFER_INITIALIZER(300);
	struct envelope envelope;

	fill(&envelope);
	assert_true(buffer_append_string(&octets, "before"));
	assert_false(envelope_encode(&envelope, NULL, &octets));
	assert_string_equal(buffer_text(&octets), "before");
	envelope_free(&envelope);
	buffer_free(&octets);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_encoded_is_decoded),
		cmocka_unit_test(chosen_recipients_keep_their_numbers),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(another_version_is_refused),
		cmocka_unit_test(damaged_octets_never_do_harm),
		cmocka_unit_test(a_huge_count_allocates_nothing),
		cmocka_unit_test(an_address_with_a_line_end_is_not_encoded),
		cmocka_unit_test(a_reason_becomes_one_line_and_is_cut),
		cmocka_unit_test(the_limit_of_the_buffer_leaves_it_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
