/* test_index - the index by itself: what finds a row goes with it */
#include "qmgr/store/index.h"
#include "qmgr/store/record.h"
#include "tests/unit/qmgr/store_support.h"

#define DUE 1000

/* A copy forward says what was true when it was asked for: held, where the row had been released meanwhile. */
static void
a_row_that_turned_held_with_its_keys_leaves_none_behind(UNUSED void **state)
{
	struct part add = { .sequence = 1, .serial = 1, .record = 1, .octets = 100, .kind = ENTRY_ADD };
	struct index_keys keys = { .due = DUE };
	struct box *box = box_new("index");
	struct message *message = message_new(7);
	struct index *index;
	struct error error;
	uint64_t ids[4];
	int64_t due;
	char home[256];

	message_apply(message, &add, 10, message_live_nothing, NULL);
	snprintf(home, sizeof(home), "%s/index", box->folder);
	assert_int_equal(index_open(home, 1, &index, &error), 0);
	assert_int_equal(index_put(index, message, "", 0, &keys, &error), 0);
	assert_int_equal(index_next_due(index, &due, &error), 0);
	assert_int_equal(due, DUE);
	message->held = true;
	assert_int_equal(index_put_parts(index, message, &error), 0);
	assert_int_equal(index_put_active(index, message, &error), 0);
	due = INT64_MAX;
	assert_int_equal(index_next_due(index, &due, &error), 0);
	assert_int_equal(due, INT64_MAX);
	assert_int_equal(index_due(index, 2 * DUE, 4, ids, &error), 0);
	index_close(&index);
	message_free(&message);
	box_free(box);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_that_turned_held_with_its_keys_leaves_none_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
