/* identifiers: ids and job numbers of one start, and whose they are */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/base/identifier.h"
#include "qmgr/identifiers.h"

static void
grants_blocks_that_never_overlap_nor_repeat_at_the_next_start(UNUSED void **state)
{
	struct identifiers first, second;
	uint64_t a, b, c;

	identifiers_init(&first, 7);
	identifiers_init(&second, 8);
	assert_true(identifiers_grant(&first, &a));
	assert_true(identifiers_grant(&first, &b));
	assert_true(identifiers_grant(&second, &c));
	assert_true(b - a == UINT64_C(1) << IDENTIFIER_BLOCK_BITS);
	assert_true(c > b);
	assert_true(identifiers_next_id(&first) < a);
}

static void
grants_no_more_blocks_than_an_epoch_has(UNUSED void **state)
{
	struct identifiers identifiers;
	uint64_t id, last = 0;
	unsigned granted = 0;

	identifiers_init(&identifiers, 1);
	while (identifiers_grant(&identifiers, &id)) {
		assert_true(id > last);
		last = id;
		granted++;
	}
	assert_int_equal(granted, IDENTIFIERS_BLOCKS - 1);	/* one is our own */
}

static void
knows_of_which_block_and_start_an_id_is(UNUSED void **state)
{
	struct identifiers identifiers, later;
	uint64_t id;

	identifiers_init(&identifiers, 5);
	identifiers_init(&later, 6);
	identifiers_grant(&identifiers, &id);
	assert_int_equal(identifiers_block_of(&identifiers, id + 1000), 1);
	assert_int_equal(identifiers_block_of(&identifiers, id + (UINT64_C(1) << IDENTIFIER_BLOCK_BITS)), -1);
	assert_int_equal(identifiers_block_of(&later, id), -1);
	assert_true(identifiers_is_earlier(&later, id));
	assert_false(identifiers_is_earlier(&identifiers, id));
}

static void
numbers_jobs_so_that_two_starts_never_share_one(UNUSED void **state)
{
	struct identifiers first, second;

	identifiers_init(&first, 5);
	identifiers_init(&second, 6);
	assert_true(identifiers_next_job(&first) != identifiers_next_job(&first));
	assert_true(identifiers_next_job(&second) > identifiers_next_job(&first));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants_blocks_that_never_overlap_nor_repeat_at_the_next_start),
		cmocka_unit_test(grants_no_more_blocks_than_an_epoch_has),
		cmocka_unit_test(knows_of_which_block_and_start_an_id_is),
		cmocka_unit_test(numbers_jobs_so_that_two_starts_never_share_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
