/*
 * test_durability - nothing is confirmed before it was flushed, and nothing that was damaged is handed out
 *
 * This file has its own fsync(), fdatasync(), unlinkat() and fstatvfs(): they note the path and what was asked, fail on
 * request, and go on to the kernel. The store under test calls them in place of the library's.
 */
#include "tests/unit/qmgr/store_support.h"

#include <errno.h>
#include <pthread.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "common/base/identifier.h"

#define STEPS_MAX 4096

enum step { FLUSH_DATA, FLUSH_ALL, UNLINK };

static struct {
	pthread_mutex_t lock;
	struct {
		enum step step;
		char path[202];		/* with a '|' behind it: "/journal|" is the folder and nothing in it */
	} steps[STEPS_MAX];
	unsigned count;
	const char *failing;	/* flushes of paths with this in them fail */
	unsigned available;	/* percent of the disk; 0: as it is */
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
path_of_file(int file, char path[static 200])
{
	char link[40];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	length = readlink(link, path, 199);
	path[length < 0 ? 0 : length] = '\0';
}

static bool
note(enum step step, const char *path)
{
	bool fails;

	pthread_mutex_lock(&seen.lock);
	if (seen.count < STEPS_MAX) {
		seen.steps[seen.count].step = step;
		snprintf(seen.steps[seen.count++].path, sizeof(seen.steps[0].path), "%s|", path);
	}
	fails = step != UNLINK && seen.failing != NULL && strstr(path, seen.failing) != NULL;
	pthread_mutex_unlock(&seen.lock);
	return !fails;
}

static int
flush(enum step step, int file, long call)
{
	char path[200];

	path_of_file(file, path);
	if (note(step, path))
		return (int)syscall(call, file);
	errno = EIO;
	return -1;
}

int
fsync(int file)
{
	return flush(FLUSH_ALL, file, SYS_fsync);
}

int
fdatasync(int file)
{
	return flush(FLUSH_DATA, file, SYS_fdatasync);
}

int
unlinkat(int folder, const char *path, int flags)
{
	note(UNLINK, path);
	return (int)syscall(SYS_unlinkat, folder, path, flags);
}

int
fstatvfs(int file, struct statvfs *disk)
{
	struct statfs status;

	memset(disk, 0, sizeof(*disk));
	if (fstatfs(file, &status) < 0)
		return -1;
	disk->f_blocks = status.f_blocks;
	pthread_mutex_lock(&seen.lock);
	disk->f_bavail = seen.available == 0 ? status.f_bavail : status.f_blocks / 100 * seen.available;
	pthread_mutex_unlock(&seen.lock);
	return 0;
}

/* ---- looking back ---- */

static unsigned
steps_so_far(void)
{
	unsigned count;

	pthread_mutex_lock(&seen.lock);
	count = seen.count;
	pthread_mutex_unlock(&seen.lock);
	return count;
}

/* Behind the first such step from number on, with that in its path; 0: there was none. */
static unsigned
step_after(unsigned number, enum step step, const char *in_path)
{
	unsigned found = 0;

	pthread_mutex_lock(&seen.lock);
	for (; number < seen.count && found == 0; number++)
		if (seen.steps[number].step == step && strstr(seen.steps[number].path, in_path) != NULL)
			found = number + 1;
	pthread_mutex_unlock(&seen.lock);
	return found;
}

static void
let_fail(const char *in_path)
{
	pthread_mutex_lock(&seen.lock);
	seen.failing = in_path;
	pthread_mutex_unlock(&seen.lock);
}

static void
let_disk_have(unsigned percent)
{
	pthread_mutex_lock(&seen.lock);
	seen.available = percent;
	pthread_mutex_unlock(&seen.lock);
}

/* ---- flushes ---- */

static void
a_segment_is_durable_with_its_name_before_it_is_used(void **state)
{
	unsigned filled = step_after(0, FLUSH_ALL, "/journal/seg-000001.new"), named, headed;

	(void)state;
	assert_int_not_equal(filled, 0);
	named = step_after(filled, FLUSH_ALL, "/journal|");
	headed = step_after(filled, FLUSH_DATA, "/journal/seg-000001");
	assert_int_not_equal(named, 0);
	assert_true(headed > named);
	assert_int_not_equal(step_after(headed, FLUSH_ALL, "/journal|"), 0);
}

static void
a_message_is_confirmed_after_its_segment_was_flushed(void **state)
{
	struct box *box = *state;

	for (uint64_t id = 1; id <= 3; id++) {
		unsigned before = steps_so_far();

		box_add(box, id, 1000);
		assert_false(box->failed);
		assert_int_not_equal(step_after(before, FLUSH_DATA, "/journal/seg-000001"), 0);
	}
}

static void
a_failed_flush_fails_its_messages_and_nothing_more_goes_there(void **state)
{
	struct box *box = *state;
	unsigned before;

	box_add(box, 1, 100);
	let_fail("/journal/seg-000001");
	box_add(box, 2, 100);
	assert_true(box->failed);
	assert_false(store_knows(box->store, 2));
	let_fail(NULL);
	box->failed = false;
	before = steps_so_far();
	box_add(box, 3, 100);
	assert_false(box->failed);
	assert_int_equal(step_after(before, FLUSH_DATA, "/journal/seg-000001"), 0);
	/* What the failed flush left in the file may be on the disk, or not: nobody was told that it is. */
	box_reopen(box);
	assert_int_equal(box_list(box, 0, 10), 2);
	assert_int_equal(box->listed[0].id, 1);
	assert_int_equal(box->listed[1].id, 3);
}

/* The header may be on the disk all the same. It says where the segment before it ends. */
static void
nothing_goes_on_in_a_segment_once_a_next_one_was_begun(void **state)
{
	struct box *box = *state;
	char next[200], kept[200];

	for (uint64_t id = 1; id <= 11; id++)
		box_add(box, id, 20000);
	box_run_ms(box, 400);	/* the next segment is there */
	snprintf(next, sizeof(next), "%s/journal/seg-000002", box->folder);
	snprintf(kept, sizeof(kept), "%s/kept", box->folder);
	assert_int_equal(link(next, kept), 0);
	let_fail("/journal/seg-000002");
	box_add(box, 12, 40000);
	assert_true(box->failed);
	let_fail(NULL);
	for (unsigned i = 0; i < 100 && box->failed; i++) {
		box->failed = false;
		box_add(box, 13, 100);
		if (box->failed)
			box_run_ms(box, 100);
	}
	assert_false(box->failed);
	box_close(box);
	/* The segment is removed by now, but nothing flushed that into the folder: after a power failure it is back. */
	assert_int_equal(rename(kept, next), 0);
	box_open(box);
	assert_int_equal(box->summary.damaged, 0);
	assert_int_equal(box->summary.messages, 12);
	assert_true(box_content_is_right(box, 13, 100));
}

/* ---- bodies ---- */

static void
add_with_body(struct box *box, uint64_t id, size_t length)
{
	struct store_content *content = support_content(id, length);
	struct store_batch *batch = store_batch_new(box->store);
	struct envelope envelope;

	box_forget_answers(box);
	store_body_create(box->store, id, box_got_file, box);
	box_wait(box, 1);
	assert_true(box->file >= 0);
	assert_int_equal(write(box->file, content->data, length), (ssize_t)length);
	box_forget_answers(box);	/* closes it */
	store_content_release(&content);
	support_envelope(&envelope, id, 1);
	store_batch_add(batch, &envelope, NULL, length, support_checksum(id, length));
	envelope_free(&envelope);
	box_commit(box, batch);
}

static void
a_body_is_flushed_with_its_folder_before_its_record(void **state)
{
	struct box *box = *state;
	char name[IDENTIFIER_TEXT_SIZE];
	unsigned before = steps_so_far(), file, folder;

	identifier_format(33, name);
	add_with_body(box, 33, 50000);
	assert_false(box->failed);
	file = step_after(before, FLUSH_ALL, name);
	assert_int_not_equal(file, 0);
	folder = step_after(before, FLUSH_ALL, "/bodies/02|");
	assert_int_not_equal(folder, 0);
	assert_int_not_equal(step_after(file > folder ? file : folder, FLUSH_DATA, "/journal/seg-"), 0);
}

static void
a_body_that_cannot_be_flushed_is_no_message(void **state)
{
	struct box *box = *state;

	let_fail("/bodies/");
	add_with_body(box, 33, 50000);
	assert_true(box->failed);
	assert_false(store_knows(box->store, 33));
}

static void
a_body_goes_after_the_record_that_ends_it(void **state)
{
	struct box *box = *state;
	char name[IDENTIFIER_TEXT_SIZE];
	unsigned before, flushed;

	identifier_format(33, name);
	add_with_body(box, 33, 50000);
	let_fail("/journal/seg-");
	box_done(box, 33);
	assert_true(box->failed);
	box_run_ms(box, 300);
	assert_int_equal(step_after(0, UNLINK, name), 0);
	assert_true(box_body_is_right(box, 33, 50000));
	let_fail(NULL);
	before = steps_so_far();
	for (unsigned i = 0; i < 300 && step_after(before, UNLINK, name) == 0; i++) {
		box_done(box, 33);
		box_run_ms(box, 100);
	}
	flushed = step_after(before, FLUSH_DATA, "/journal/seg-");
	assert_int_not_equal(flushed, 0);
	assert_true(step_after(before, UNLINK, name) > flushed);
}

static void
a_disk_that_fails_is_tried_again_each_second_and_not_more(void **state)
{
	struct box *box = *state;
	unsigned before;

	let_fail("/journal/");
	before = steps_so_far();
	box_done(box, 33);
	assert_true(box->failed);
	box_run_ms(box, 2500);
	assert_in_range(steps_so_far() - before, 2, 40);
	let_fail(NULL);
}

/* ---- damage ---- */

/* Changes one octet of a file in the mailbox: the one behind the first place where octets stand. */
struct harm {
	char octets[64];
	unsigned done;
};

static void
harm_file(void *context, const char *path)
{
	struct harm *harm = context;
	struct stat status;
	int file = open(path, O_RDWR);
	char *data, *found;

	/* A segment that is just being made has another name by now, and no content. */
	if (file < 0 && errno == ENOENT)
		return;
	assert_true(file >= 0);
	assert_int_equal(fstat(file, &status), 0);
	data = memory_new((size_t)status.st_size, 1);
	assert_int_equal(pread(file, data, (size_t)status.st_size, 0), status.st_size);
	found = memmem(data, (size_t)status.st_size, harm->octets, sizeof(harm->octets));
	if (found != NULL) {
		found[sizeof(harm->octets)] ^= 1;
		assert_int_equal(pwrite(file, found, sizeof(harm->octets) + 1, found - data),
		    (ssize_t)sizeof(harm->octets) + 1);
		harm->done++;
	}
	free(data);
	close(file);
}

static struct harm
harm_to(uint64_t id)
{
	struct store_content *content = support_content(id, sizeof(((struct harm *)NULL)->octets));
	struct harm harm = { .done = 0 };

	memcpy(harm.octets, content->data, sizeof(harm.octets));
	store_content_release(&content);
	return harm;
}

static void
damaged_content_is_not_handed_out(void **state)
{
	struct box *box = *state;
	struct harm harm = harm_to(7);

	box_add(box, 7, 5000);
	support_each_segment(box->folder, harm_file, &harm);
	assert_int_equal(harm.done, 1);
	assert_false(box_content_is_right(box, 7, 5000));
	assert_null(box->content);
	assert_true(box->failed);
	assert_int_equal(box->error.kind, ERROR_DAMAGED);
}

static void
a_damaged_body_is_not_handed_out(void **state)
{
	struct box *box = *state;
	struct harm harm = harm_to(33);
	char name[IDENTIFIER_TEXT_SIZE], path[300];

	add_with_body(box, 33, 50000);
	identifier_format(33, name);
	snprintf(path, sizeof(path), "%s/bodies/02/%s", box->folder, name);
	harm_file(&harm, path);
	assert_int_equal(harm.done, 1);
	box_reopen(box);
	assert_false(box_body_is_right(box, 33, 50000));
	assert_int_equal(box->file, -1);
	assert_int_equal(box->error.kind, ERROR_DAMAGED);
}

/* ---- segments ---- */

static void
a_segment_stays_while_a_message_in_it_lives(void **state)
{
	struct box *box = *state;

	for (uint64_t id = 1; id <= 40; id++)
		box_add(box, id, 20000);
	/* Only the second segment has nothing left that lives: it has to wait for the first. */
	for (uint64_t id = 14; id <= 26; id++)
		box_done(box, id);
	box_run_ms(box, 400);
	for (unsigned round = 0; round < 2; round++) {
		for (uint64_t id = 1; id <= 40; id++)
			if (id < 14 || id > 26)
				assert_true(box_content_is_right(box, id, 20000));
		assert_int_equal(box_list(box, 0, 100), round == 0 ? 0 : 27);
		box_reopen(box);
		assert_int_equal(box->summary.messages, 27);
		for (uint64_t id = 50; id <= 60; id++)
			box_add(box, 100 * (round + 1) + id, 20000);
		for (uint64_t id = 50; id <= 60; id++)
			box_done(box, 100 * (round + 1) + id);
	}
}

/* ---- acceptance ---- */

static void
wait_for_acceptance(struct box *box, bool accepting)
{
	for (unsigned i = 0; i < 100 && box->accepting != accepting; i++)
		box_run_ms(box, 50);
}

static void
nothing_new_is_taken_while_the_disk_is_short(void **state)
{
	struct box *box = *state;

	assert_true(store_accepts(box->store));
	let_disk_have(2);
	wait_for_acceptance(box, false);
	assert_false(store_accepts(box->store));
	assert_non_null(strstr(box->accepting_text, "disk"));
	let_disk_have(50);
	wait_for_acceptance(box, true);
	assert_true(store_accepts(box->store));
}

/* ---- set-up ---- */

static int
set_up(void **state)
{
	struct box *box = box_new("durability");

	seen.count = 0;
	seen.failing = NULL;
	seen.available = 50;
	box->disk_reserve = 5;
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
		CASE(a_segment_is_durable_with_its_name_before_it_is_used),
		CASE(a_message_is_confirmed_after_its_segment_was_flushed),
		CASE(a_failed_flush_fails_its_messages_and_nothing_more_goes_there),
		CASE(nothing_goes_on_in_a_segment_once_a_next_one_was_begun),
		CASE(a_body_is_flushed_with_its_folder_before_its_record),
		CASE(a_body_that_cannot_be_flushed_is_no_message),
		CASE(a_body_goes_after_the_record_that_ends_it),
		CASE(a_disk_that_fails_is_tried_again_each_second_and_not_more),
		CASE(damaged_content_is_not_handed_out),
		CASE(a_damaged_body_is_not_handed_out),
		CASE(a_segment_stays_while_a_message_in_it_lives),
		CASE(nothing_new_is_taken_while_the_disk_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
