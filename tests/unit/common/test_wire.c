/* test_wire - integers, strings and bytes in packets and on disk */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/wire.h"

static void
every_kind_comes_back_as_it_was_put(void **state)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	struct wire_reader reader;
	struct bytes bytes;

	(void)state;
	wire_put_u8(&out, 200);
	wire_put_u16(&out, 60000);
	wire_put_u32(&out, 4000000000u);
	wire_put_u64(&out, UINT64_MAX - 1);
	wire_put_string(&out, "text");
	wire_put_string(&out, NULL);
	wire_put_bytes(&out, "a\0b", 3);
	wire_reader_init(&reader, out.data, out.length);
	assert_int_equal(wire_get_u8(&reader), 200);
	assert_int_equal(wire_get_u16(&reader), 60000);
	assert_int_equal(wire_get_u32(&reader), 4000000000u);
	assert_true(wire_get_u64(&reader) == UINT64_MAX - 1);
	assert_string_equal(wire_get_string(&reader, 4), "text");
	assert_string_equal(wire_get_string(&reader, 0), "");
	bytes = wire_get_bytes(&reader, 3);
	assert_int_equal(bytes.length, 3);
	assert_memory_equal(bytes.data, "a\0b", 3);
	assert_true(wire_reader_finished(&reader));
	buffer_free(&out);
}

static void
integers_are_little_endian(void **state)
{
	struct buffer out = BUFFER_INITIALIZER(0);

	(void)state;
	wire_put_u32(&out, 0x01020304);
	assert_memory_equal(out.data, "\4\3\2\1", 4);
	buffer_free(&out);
}

/* What is read from data must fail, and so must the read that follows. */
static void
expect_no_string(const void *data, size_t length, size_t limit)
{
	struct wire_reader reader;

	wire_reader_init(&reader, data, length);
	assert_string_equal(wire_get_string(&reader, limit), "");
	assert_true(reader.failed);
	assert_int_equal(wire_get_u8(&reader), 0);
	assert_false(wire_reader_finished(&reader));
}

static void
a_string_is_refused_when_it_is_cut_too_long_or_holds_a_nul(void **state)
{
	(void)state;
	expect_no_string("\5\0\0\0abc", 7, 100);
	expect_no_string("\3\0\0\0abc", 7, 100);
	expect_no_string("\3\0\0\0abc\0", 8, 2);
	expect_no_string("\3\0\0\0a\0c\0", 8, 100);
	expect_no_string("\3\0\0\0abcd", 8, 100);
	expect_no_string("\377\377\377\377abc\0", 8, SIZE_MAX);
	expect_no_string("\3\0", 2, 100);
	expect_no_string("", 0, 100);
}

static void
bytes_are_refused_when_they_are_cut_or_too_long(void **state)
{
	struct wire_reader reader;

	(void)state;
	wire_reader_init(&reader, "\4\0\0\0abc", 7);
	assert_int_equal(wire_get_bytes(&reader, 100).length, 0);
	assert_true(reader.failed);
	wire_reader_init(&reader, "\3\0\0\0abc", 7);
	assert_int_equal(wire_get_bytes(&reader, 2).length, 0);
	assert_true(reader.failed);
}

static void
a_reader_is_not_finished_while_octets_are_left(void **state)
{
	struct wire_reader reader;

	(void)state;
	wire_reader_init(&reader, "\1\2", 2);
	wire_get_u8(&reader);
	assert_false(wire_reader_finished(&reader));
	wire_get_u8(&reader);
	assert_true(wire_reader_finished(&reader));
	wire_get_u8(&reader);
	assert_false(wire_reader_finished(&reader));
}

static void
putting_beyond_the_limit_says_so(void **state)
{
	struct buffer out = BUFFER_INITIALIZER(6);

	(void)state;
	assert_true(wire_put_u32(&out, 1));
	assert_false(wire_put_u32(&out, 1));
	assert_false(wire_put_string(&out, "long"));
	buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_comes_back_as_it_was_put),
		cmocka_unit_test(integers_are_little_endian),
		cmocka_unit_test(a_string_is_refused_when_it_is_cut_too_long_or_holds_a_nul),
		cmocka_unit_test(bytes_are_refused_when_they_are_cut_or_too_long),
		cmocka_unit_test(a_reader_is_not_finished_while_octets_are_left),
		cmocka_unit_test(putting_beyond_the_limit_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
