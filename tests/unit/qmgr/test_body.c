/* test_body - content in files of its own */
#include <errno.h>
#include <sys/syscall.h>

#include "tests/unit/qmgr/store_support.h"

#include "common/base/identifier.h"
#include "qmgr/store/body.h"

static void
file_of(const struct box *box, uint64_t id, char path[static 256])
{
	char name[BODY_PATH_SIZE];

	body_path(id, name);
	snprintf(path, 256, "%s/bodies/%s", box->folder, name);
}

static bool
is_there(const struct box *box, uint64_t id)
{
	char path[256];

	file_of(box, id, path);
	return access(path, F_OK) == 0;
}

/* Makes the file and writes length octets of what support_content() makes. */
static void
write_body(struct box *box, uint64_t id, size_t length)
{
	struct store_content *content = support_content(id, length);

	box_forget_answers(box);
	store_body_create(box->store, id, box_got_file, box);
	box_wait(box, 1);
	assert_true(box->file >= 0);
	assert_int_equal(write(box->file, content->data, length), (ssize_t)length);
	box_forget_answers(box);
	store_content_release(&content);
}

static void
commit_body(struct box *box, uint64_t id, size_t length)
{
	struct store_batch *batch = store_batch_new(box->store);
	struct envelope envelope;

	support_envelope(&envelope, id, 2);
	store_batch_add(batch, &envelope, NULL, length, support_checksum(id, length));
	box_commit(box, batch);
	envelope_free(&envelope);
}

static bool index_fails;	/* it cannot be flushed, and no segment opened from then on */
static bool flushes_failed;

/* In place of the library's. */
static int
flush(int file, long call)
{
	char link[64], path[256];
	ssize_t count;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	count = readlink(link, path, sizeof(path) - 1);
	path[count < 0 ? 0 : count] = '\0';
	if (!index_fails || strstr(path, "/index/") == NULL)
		return (int)syscall(call, file);
	flushes_failed = true;
	errno = EIO;
	return -1;
}

int
fsync(int file)
{
	return flush(file, SYS_fsync);
}

int
fdatasync(int file)
{
	return flush(file, SYS_fdatasync);
}

int
openat(int folder, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	if (flushes_failed && strncmp(path, "seg-", 4) == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_openat, folder, path, flags, mode);
}

/* Nobody knows then which bodies are anybody's. */
static void
a_body_is_kept_at_a_start_that_can_read_neither_index_nor_journal(void **state)
{
	struct box *box = *state;

	write_body(box, 42, 300000);
	commit_body(box, 42, 300000);
	box_reopen(box);
	box_close(box);
	index_fails = true;
	box_try_open(box);
	assert_true(flushes_failed);
	index_fails = flushes_failed = false;
	box_reopen(box);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_true(box_body_is_right(box, 42, 300000));
}

static void
a_body_is_there_after_a_restart_and_gone_when_the_message_is_done(void **state)
{
	struct box *box = *state;

	write_body(box, 42, 300000);
	commit_body(box, 42, 300000);
	assert_false(box->failed);
	assert_true(box_body_is_right(box, 42, 300000));
	box_reopen(box);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box->listed[0].size, 300000);
	assert_true(box_body_is_right(box, 42, 300000));
	assert_true(box_body_is_right(box, 42, 300000));
	box_done(box, 42);
	box_run_ms(box, 100);
	assert_false(is_there(box, 42));
}

static void
a_body_of_a_parked_message_that_is_ended_goes_too(void **state)
{
	struct box *box = *state;
	struct envelope envelope;

	write_body(box, 1, 1000);
	commit_body(box, 1, 1000);
	support_envelope(&envelope, 1, 2);
	store_park(box->store, &envelope, false);
	envelope_free(&envelope);
	assert_int_equal(box_list(box, 0, 10), 1);
	box_done(box, 1);
	box_run_ms(box, 100);
	assert_false(is_there(box, 1));
	assert_int_equal(box_list(box, 0, 10), 0);
}

static void
a_file_is_made_once_only(void **state)
{
	struct box *box = *state;

	write_body(box, 1, 10);
	box_forget_answers(box);
	store_body_create(box->store, 1, box_got_file, box);
	box_wait(box, 1);
	assert_true(box->failed);
}

static void
a_body_of_another_length_than_announced_is_refused(void **state)
{
	struct box *box = *state;

	write_body(box, 1, 1000);
	commit_body(box, 1, 1001);
	assert_true(box->failed);
	assert_false(store_knows(box->store, 1));
	box->failed = false;
	commit_body(box, 1, 1000);
	assert_false(box->failed);
}

/* Else its depositor could change what was accepted, and what is on its way to a host. */
static void
a_body_that_is_open_for_writing_is_refused(void **state)
{
	struct box *box = *state;
	char path[256];
	int file;

	write_body(box, 1, 1000);
	file_of(box, 1, path);
	file = open(path, O_WRONLY);
	assert_true(file >= 0);
	commit_body(box, 1, 1000);
	assert_true(box->failed);
	close(file);
	box->failed = false;
	commit_body(box, 1, 1000);
	assert_false(box->failed);
}

/* The checksum is the depositor's: one that lies harms its own message only. */
static void
a_body_with_another_checksum_than_announced_is_damage_after_a_restart(void **state)
{
	struct box *box = *state;
	struct store_batch *batch = store_batch_new(box->store);
	struct envelope envelope;

	write_body(box, 1, 1000);
	support_envelope(&envelope, 1, 2);
	store_batch_add(batch, &envelope, NULL, 1000, support_checksum(1, 1000) + 1);
	box_commit(box, batch);
	envelope_free(&envelope);
	assert_false(box->failed);
	write_body(box, 2, 1000);
	commit_body(box, 2, 1000);
	box_reopen(box);
	assert_false(box_body_is_right(box, 1, 1000));
	assert_int_equal(box->error.kind, ERROR_DAMAGED);
	assert_true(box_body_is_right(box, 2, 1000));
}

static void
a_body_that_is_missing_is_refused(void **state)
{
	struct box *box = *state;

	commit_body(box, 7, 10);
	assert_true(box->failed);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 0);
}

static void
an_abandoned_body_goes(void **state)
{
	struct box *box = *state;

	write_body(box, 1, 1000);
	assert_true(is_there(box, 1));
	store_body_abandon(box->store, 1);
	box_run_ms(box, 100);
	assert_false(is_there(box, 1));
}

static void
a_body_without_a_message_goes_at_the_next_start(void **state)
{
	struct box *box = *state;
	char path[256];
	int file;

	write_body(box, 1, 1000);
	write_body(box, 2, 1000);
	commit_body(box, 2, 1000);
	box_add(box, 3, 10);
	file_of(box, 3, path);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	close(file);
	snprintf(path, sizeof(path), "%s/bodies/00/README", box->folder);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	close(file);
	box_reopen(box);
	assert_false(is_there(box, 1));
	assert_true(is_there(box, 2));
	assert_false(is_there(box, 3));
	assert_int_equal(access(path, F_OK), 0);
}

/* Of what was set aside of the message; -1: nothing. */
static off_t
length_aside(const struct box *box, uint64_t id)
{
	char name[IDENTIFIER_TEXT_SIZE], path[256];
	struct stat status;

	identifier_format(id, name);
	snprintf(path, sizeof(path), "%s/damaged/body-%s", box->folder, name);
	return stat(path, &status) == 0 ? status.st_size : -1;
}

static void
a_changed_body_is_noticed_before_it_is_delivered(void **state)
{
	struct box *box = *state;
	char path[256];
	int file;

	for (uint64_t id = 1; id <= 3; id++) {
		write_body(box, id, 200000);
		commit_body(box, id, 200000);
	}
	box_close(box);
	file_of(box, 1, path);
	file = open(path, O_WRONLY);
	assert_int_equal(pwrite(file, "x", 1, 150000), 1);
	close(file);
	file_of(box, 2, path);
	assert_int_equal(truncate(path, 199999), 0);
	file_of(box, 3, path);
	assert_int_equal(unlink(path), 0);
	box_open(box);
	for (uint64_t id = 1; id <= 3; id++) {
		assert_false(box_body_is_right(box, id, 200000));
		assert_true(box->failed);
		assert_int_equal(box->error.kind, ERROR_DAMAGED);
	}
	assert_int_equal(length_aside(box, 1), 200000);
	assert_int_equal(length_aside(box, 2), 199999);
	assert_int_equal(length_aside(box, 3), -1);
	box_done(box, 1);
	box_run_ms(box, 300);
	assert_int_equal(length_aside(box, 1), 200000);
}

static void
inline_content_is_no_body(void **state)
{
	struct box *box = *state;

	box_add(box, 1, 100);
	assert_false(box_body_is_right(box, 1, 100));
	assert_true(box->failed);
	write_body(box, 2, 100);
	commit_body(box, 2, 100);
	box_forget_answers(box);
	store_read_content(box->store, 2, box_got_content, box);
	box_wait(box, 1);
	assert_null(box->content);
	assert_false(box->failed);
}

static void
an_empty_body_is_a_body(void **state)
{
	struct box *box = *state;

	write_body(box, 1, 0);
	commit_body(box, 1, 0);
	assert_false(box->failed);
	box_reopen(box);
	assert_true(box_body_is_right(box, 1, 0));
}

static int
set_up(void **state)
{
	struct box *box = box_new("body");

	box_open(box);
	*state = box;
	return 0;
}

static int
tear_down(void **state)
{
	box_free(*state);
	return 0;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_body_is_there_after_a_restart_and_gone_when_the_message_is_done),
		CASE(a_body_is_kept_at_a_start_that_can_read_neither_index_nor_journal),
		CASE(a_body_of_a_parked_message_that_is_ended_goes_too),
		CASE(a_file_is_made_once_only),
		CASE(a_body_of_another_length_than_announced_is_refused),
		CASE(a_body_that_is_open_for_writing_is_refused),
		CASE(a_body_with_another_checksum_than_announced_is_damage_after_a_restart),
		CASE(a_body_that_is_missing_is_refused),
		CASE(an_abandoned_body_goes),
		CASE(a_body_without_a_message_goes_at_the_next_start),
		CASE(a_changed_body_is_noticed_before_it_is_delivered),
		CASE(inline_content_is_no_body),
		CASE(an_empty_body_is_a_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
