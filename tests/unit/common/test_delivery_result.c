/* test_delivery_result - results of attempts as octets */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "common/mail/delivery_result.h"

static const struct delivery_result sample = { .recipient = 7, .outcome = DELIVERY_FAILED, .failure = FAILURE_USERNAME,
	.host_failed = true, .retry_seconds = 900, .status = "5.1.1", .text = "550 5.1.1 no such user", .host = "mx.example" };

static void
results_follow_one_another(void **state UNUSED)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct wire_reader reader;
	struct delivery_result result;

	assert_true(delivery_result_encode(&sample, &octets));
	assert_true(delivery_result_encode(&(struct delivery_result){ .recipient = 8, .dsn_relayed = true }, &octets));
	wire_reader_init(&reader, octets.data, octets.length);
	assert_true(delivery_result_decode(&reader, &result));
	assert_int_equal(result.recipient, 7);
	assert_int_equal(result.outcome, DELIVERY_FAILED);
	assert_int_equal(result.failure, FAILURE_USERNAME);
	assert_true(result.host_failed);
	assert_int_equal(result.retry_seconds, 900);
	assert_false(result.dsn_relayed);
	assert_string_equal(result.status, "5.1.1");
	assert_string_equal(result.text, "550 5.1.1 no such user");
	assert_string_equal(result.host, "mx.example");
	assert_true(delivery_result_decode(&reader, &result));
	assert_true(result.dsn_relayed);
	assert_string_equal(result.host, "");
	assert_true(wire_reader_finished(&reader));
	buffer_free(&octets);
}

static void
every_truncation_and_every_strange_value_is_refused(void **state UNUSED)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct wire_reader reader;
	struct delivery_result result;

	assert_true(delivery_result_encode(&sample, &octets));
	for (size_t length = 0; length < octets.length; length++) {
		wire_reader_init(&reader, octets.data, length);
		assert_false(delivery_result_decode(&reader, &result));
	}
	for (size_t i = 4; i < 8; i++) {
		char kept = octets.data[i];

		octets.data[i] = 99;
		wire_reader_init(&reader, octets.data, octets.length);
		assert_false(delivery_result_decode(&reader, &result));
		octets.data[i] = kept;
	}
	buffer_free(&octets);
}

static void
a_reply_of_several_lines_becomes_one(void **state UNUSED)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct wire_reader reader;
	struct delivery_result result;

	assert_true(delivery_result_encode(&(struct delivery_result){ .text = "a\r\nb" }, &octets));
	wire_reader_init(&reader, octets.data, octets.length);
	assert_true(delivery_result_decode(&reader, &result));
	assert_string_equal(result.text, "a  b");
	buffer_free(&octets);
}

static void
an_overlong_status_is_cut_and_a_full_buffer_left_alone(void **state UNUSED)
{
	struct buffer octets = BUFFER_INITIALIZER(60);
	struct delivery_result long_status = { .status = "5.123.12345678901234567890" };

	assert_true(delivery_result_encode(&long_status, &octets));
	assert_int_equal(octets.length, 12 + 5 + 15 + 5 + 5);
	assert_false(delivery_result_encode(&long_status, &octets));
	assert_int_equal(octets.length, 12 + 5 + 15 + 5 + 5);
	buffer_free(&octets);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_follow_one_another),
		cmocka_unit_test(every_truncation_and_every_strange_value_is_refused),
		cmocka_unit_test(a_reply_of_several_lines_becomes_one),
		cmocka_unit_test(an_overlong_status_is_cut_and_a_full_buffer_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
