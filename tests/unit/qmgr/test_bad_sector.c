/*
 * test_bad_sector - a part of the disk that cannot be read, or that reads wrongly, while the store runs
 *
 * Commits here are one record of less than a page each: message n lies in page n + 1 of its segment.
 */
#include <errno.h>
#include <sys/syscall.h>

#include "tests/unit/qmgr/bad_disk.h"
#include "tests/unit/qmgr/store_support.h"

static bool garbled;		/* what is bad can be read, but wrongly */
static unsigned stumbles;	/* so many reads of what is bad fail, and no more; 0: all of them */
static unsigned opens;		/* so many times a segment can still be opened; 0: as often as one likes */

/* In place of the library's. */
ssize_t
pread(int file, void *data, size_t length, off_t offset)
{
	bool hit = is_bad(length, offset) && is_read_of_entry(file, length);
	ssize_t got;

	if (hit && !garbled) {
		if (stumbles > 0 && --stumbles == 0)
			bad_end = 0;
		errno = EIO;
		return -1;
	}
	got = syscall(SYS_pread64, file, data, length, offset);
	if (hit && got > 0)
		memset(data, '?', (size_t)got);
	return got;
}

int
openat(int folder, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	if (opens > 0 && strncmp(path, "seg-", 4) == 0 && --opens == 0) {
		opens = 1;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_openat, folder, path, flags, mode);
}

static void
open_without_index(struct box *box)
{
	box_close(box);
	box_remove_index(box);
	box_open(box);
}

static void
makes_an_index_without_what_cannot_be_read_and_takes_it_in_when_it_can(void **state)
{
	struct box *box = *state;
	uint64_t id;

	for (id = 1; id <= 5; id++)
		box_add(box, id, 1000);
	make_bad(3);
	open_without_index(box);
	assert_int_equal(box->summary.messages, 5);
	assert_int_equal(box_list(box, 0, 10), 4);
	assert_int_equal(box_number(box, "index_failures"), 0);
	assert_int_equal(box_number(box, "damaged"), 0);
	assert_null(box_take_id(box, 3));
	assert_true(box->failed);
	assert_int_equal(box->error.kind, ERROR_SYSTEM);
	/* Its changes are not lost: it is held when it can be read again. */
	box_forget_answers(box);
	{
		struct store_batch *batch = store_batch_new(box->store);

		store_batch_hold(batch, 3, true);
		box_commit(box, batch);
	}
	box_reopen(box);
	assert_int_equal(box->summary.messages, 5);
	assert_int_equal(box_list(box, 0, 10), 4);
	assert_int_equal(box_number(box, "index_failures"), 0);
	bad_end = 0;
	box_reopen(box);
	assert_int_equal(box_list(box, 0, 10), 5);
	assert_true(box->listed[2].held);
	assert_int_equal(box_take_due(box, FUTURE, 10), 4);
	assert_true(box_content_is_right(box, 3, 1000));
}

static void
reads_again_what_failed_once_or_twice(void **state)
{
	struct box *box = *state;

	box_add(box, 1, 1000);
	box_add(box, 2, 1000);
	for (unsigned times = 1; times <= 2; times++) {
		stumbles = times;
		make_bad(2);
		open_without_index(box);
		assert_int_equal(bad_end, 0);
		assert_int_equal(box_list(box, 0, 10), 2);
	}
}

static void
ends_a_message_that_cannot_be_read(void **state)
{
	struct box *box = *state;

	box_add(box, 1, 1000);
	box_add(box, 2, 1000);
	make_bad(1);
	open_without_index(box);
	box_done(box, 1);
	bad_end = 0;
	box_reopen(box);
	assert_int_equal(box->summary.messages, 1);
	assert_null(box_take_id(box, 1));
}

/* Message 1 with one recipient delivered, by a record in page 2 that is garbled from now on. */
static void
lose_an_update(struct box *box)
{
	struct envelope envelope;

	box_add(box, 1, 1000);
	support_envelope(&envelope, 1, 3);
	box_deliver(box, &envelope, 0);
	envelope_free(&envelope);
	garbled = true;
	make_bad(2);
}

static void
holds_a_message_of_which_a_change_is_lost(void **state)
{
	struct box *box = *state;
	struct envelope *envelope;

	lose_an_update(box);
	open_without_index(box);
	assert_int_equal(box_number(box, "damaged"), 1);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_true(box->listed[0].held);
	assert_int_equal(box_take_due(box, FUTURE, 10), 0);
	/* Also at the next start, which finds it in the index. */
	box_reopen(box);
	assert_int_equal(box_take_due(box, FUTURE, 10), 0);
	envelope = box_take_id(box, 1);
	assert_non_null(envelope);
	assert_true(store_held(box->store, 1));
}

static void
holds_a_parked_message_whose_new_change_cannot_be_read(void **state)
{
	struct box *box = *state;
	struct envelope envelope;

	for (int round = 0; round < 2; round++) {
		garbled = round > 0;
		box_add(box, 1, 1000);
		support_envelope(&envelope, 1, 3);
		store_park(box->store, &envelope, false);
		assert_int_equal(box_list(box, 0, 10), 1);
		assert_false(box->listed[0].held);
		make_bad(2);
		bad_end = UINT64_MAX;
		box_deliver(box, &envelope, 0);
		envelope_free(&envelope);
		assert_int_equal(box_list(box, 0, 10), 1);
		assert_true(box->listed[0].held);
		assert_int_equal(box_number(box, "index_failures"), 0);
		assert_int_equal(box_take_due(box, FUTURE, 10), 0);
		bad_end = 0;
		assert_non_null(box_take_id(box, 1));
		box_done(box, 1);
		if (!garbled)
			box_reopen(box);
	}
}

/* Its headers are found, and then it cannot be opened any more: nothing is begun, nothing is set aside. */
static void
refuses_to_start_over_a_segment_that_cannot_be_read_and_changes_nothing(void **state)
{
	struct box *box = *state;
	struct dirent *entry;
	char path[256];
	DIR *files;

	box_add(box, 1, 1000);
	box_close(box);
	box_remove_index(box);
	snprintf(path, sizeof(path), "%s/journal", box->folder);
	files = opendir(path);
	opens = 1;
	while ((entry = readdir(files)) != NULL)
		opens += 2 * (strncmp(entry->d_name, "seg-", 4) == 0);	/* they are looked for twice */
	closedir(files);
	assert_int_equal(box_try_open(box), -1);
	assert_int_equal(box->error.kind, ERROR_SYSTEM);
	assert_non_null(strstr(box->error.text, "seg-"));
	snprintf(path, sizeof(path), "%s/damaged", box->folder);
	assert_int_equal(access(path, F_OK), -1);
	opens = 0;
	box_open(box);
	assert_int_equal(box->summary.messages, 1);
	assert_int_equal(box->summary.damaged, 0);
	assert_true(box_content_is_right(box, 1, 1000));
}

static int
set_up(void **state)
{
	bad_end = 0;
	garbled = false;
	*state = box_new("bad-sector");
	box_open(*state);
	return 0;
}

static int
tear_down(void **state)
{
	bad_end = 0;
	box_free(*state);
	return 0;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		CASE(makes_an_index_without_what_cannot_be_read_and_takes_it_in_when_it_can),
		CASE(reads_again_what_failed_once_or_twice),
		CASE(ends_a_message_that_cannot_be_read),
		CASE(holds_a_message_of_which_a_change_is_lost),
		CASE(holds_a_parked_message_whose_new_change_cannot_be_read),
		CASE(refuses_to_start_over_a_segment_that_cannot_be_read_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
