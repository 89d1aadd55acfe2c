/* test_buffer - bytes that grow up to a limit */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/buffer.h"

static void
appended_octets_stand_behind_each_other_with_a_nul(void **state)
{
	struct buffer buffer = BUFFER_INITIALIZER(0);

	(void)state;
	assert_string_equal(buffer_text(&buffer), "");
	assert_true(buffer_append(&buffer, "ab\0c", 4));
	assert_true(buffer_append_byte(&buffer, 'd'));
	assert_true(buffer_append_string(&buffer, "ef"));
	assert_int_equal(buffer.length, 7);
	assert_memory_equal(buffer.data, "ab\0cdef", 8);
	buffer_free(&buffer);
	assert_int_equal(buffer.length, 0);
}

static void
appending_beyond_the_limit_changes_nothing(void **state)
{
	struct buffer buffer = BUFFER_INITIALIZER(5);

	(void)state;
	assert_true(buffer_append_string(&buffer, "12345"));
	assert_false(buffer_append_byte(&buffer, '6'));
	assert_false(buffer_printf(&buffer, "%d", 6));
	assert_null(buffer_reserve(&buffer, 1));
	assert_null(buffer_reserve(&buffer, SIZE_MAX));
	assert_string_equal(buffer_text(&buffer), "12345");
	buffer_consume(&buffer, 2);
	assert_true(buffer_printf(&buffer, "%02d", 6));
	assert_string_equal(buffer_text(&buffer), "34506");
	buffer_free(&buffer);
	assert_int_equal(buffer.limit, 5);
}

static void
formatted_text_is_appended_whole_or_not_at_all(void **state)
{
	struct buffer buffer = BUFFER_INITIALIZER(8);

	(void)state;
	assert_true(buffer_printf(&buffer, "%s", "1234567"));
	assert_false(buffer_printf(&buffer, "%s", "89"));
	assert_string_equal(buffer_text(&buffer), "1234567");
	buffer_free(&buffer);
}

static void
consuming_more_than_there_is_empties_it(void **state)
{
	struct buffer buffer = BUFFER_INITIALIZER(0);

	(void)state;
	buffer_append_string(&buffer, "abc");
	buffer_consume(&buffer, 100);
	assert_int_equal(buffer.length, 0);
	assert_string_equal(buffer_text(&buffer), "");
	buffer_clear(&buffer);
	buffer_free(&buffer);
}

static void
a_reserved_part_counts_when_it_is_committed(void **state)
{
	struct buffer buffer = BUFFER_INITIALIZER(0);
	char *room;

	(void)state;
	room = buffer_reserve(&buffer, 1000);
	memset(room, 'x', 1000);
	assert_int_equal(buffer.length, 0);
	buffer_commit(&buffer, 10);
	assert_string_equal(buffer_text(&buffer), "xxxxxxxxxx");
	buffer_free(&buffer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_octets_stand_behind_each_other_with_a_nul),
		cmocka_unit_test(appending_beyond_the_limit_changes_nothing),
		cmocka_unit_test(formatted_text_is_appended_whole_or_not_at_all),
		cmocka_unit_test(consuming_more_than_there_is_empties_it),
		cmocka_unit_test(a_reserved_part_counts_when_it_is_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
