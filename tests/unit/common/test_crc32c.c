/* test_crc32c - the checksum, with and without the processor's help */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/crc32c.h"

#define LONGEST 13000	/* over four times three lanes, in any division */

static char data[LONGEST];

static void
known_sums_come_out(void **state)
{
	static const char zeroes[32];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c_software(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c(0, zeroes, sizeof(zeroes)), 0x8a9136aau);	/* RFC 3720 B.4 */
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void
both_ways_agree_at_every_length_and_place(void **state)
{
	(void)state;
	for (size_t from = 0; from < 9; from++)
		for (size_t length = 0; length < 300; length++)
			assert_int_equal(crc32c(5, data + from, length), crc32c_software(5, data + from, length));
	for (size_t length = 2900; length < LONGEST - 3; length += 61)
		assert_int_equal(crc32c(0xffffffffu, data + 3, length), crc32c_software(0xffffffffu, data + 3, length));
}

static void
a_sum_can_be_made_piece_by_piece(void **state)
{
	uint32_t whole = crc32c(0, data, LONGEST);

	(void)state;
	for (size_t cut = 0; cut <= LONGEST; cut += 97)
		assert_int_equal(crc32c(crc32c(0, data, cut), data + cut, LONGEST - cut), whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sums_come_out),
		cmocka_unit_test(both_ways_agree_at_every_length_and_place),
		cmocka_unit_test(a_sum_can_be_made_piece_by_piece),
	};
	uint32_t seed = 1;

	for (size_t i = 0; i < LONGEST; i++) {
		seed = seed * 1664525u + 1013904223u;
		data[i] = (char)(seed >> 24);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
