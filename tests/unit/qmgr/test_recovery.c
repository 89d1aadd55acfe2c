/* test_recovery - what a start makes of a mailbox that a crash, a bad disk or somebody's hand left behind */
#include "tests/unit/qmgr/store_support.h"

#include <signal.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "common/base/crc32c.h"
#include "qmgr/store/record.h"
#include "qmgr/store/segment.h"

/* Berkeley DB forgets some memory when it recovers a damaged environment. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libdb-5.3";
}

/* ---- hands on the files ---- */

static void
path_of(const struct box *box, const char *name, char path[static 256])
{
	snprintf(path, 256, "%s/%s", box->folder, name);
}

/* The file of the segment in use that has the highest serial. */
struct newest {
	char path[600];
	uint64_t serial;
	struct segment_header header;
};

static void
note_newest(void *context, const char *path)
{
	struct newest *newest = context;
	struct segment_header header;
	int file = open(path, O_RDONLY);

	if (file >= 0 && segment_headers_read(file, &header) == SEGMENT_HEADER_GOOD && header.serial > newest->serial) {
		newest->serial = header.serial;
		newest->header = header;
		snprintf(newest->path, sizeof(newest->path), "%s", path);
	}
	if (file >= 0)
		close(file);
}

static struct newest
newest_segment(const struct box *box)
{
	struct newest newest = { "", 0, { 0 } };

	support_each_segment(box->folder, note_newest, &newest);
	assert_int_not_equal(newest.serial, 0);
	return newest;
}

static char *
read_whole(const char *path, size_t *size_out)
{
	struct stat status;
	int file = open(path, O_RDONLY);
	char *data;

	assert_true(file >= 0);
	assert_int_equal(fstat(file, &status), 0);
	data = memory_new((size_t)status.st_size, 1);
	assert_int_equal(read(file, data, (size_t)status.st_size), status.st_size);
	close(file);
	*size_out = (size_t)status.st_size;
	return data;
}

static void
write_at(const char *path, uint64_t offset, const void *data, size_t length)
{
	int file = open(path, O_WRONLY);

	assert_true(file >= 0);
	assert_int_equal(pwrite(file, data, length, (off_t)offset), (ssize_t)length);
	close(file);
}

static void
write_zeroes(const char *path, uint64_t offset, size_t length)
{
	char *zeroes = memory_new(length, 1);

	write_at(path, offset, zeroes, length);
	free(zeroes);
}

/* Where the record of the message lies in its segment, and its length. */
static uint64_t
find_record(const char *path, uint64_t id, uint64_t *length_out)
{
	size_t size;
	char *data = read_whole(path, &size);
	struct record_head head;
	struct record_reader reader;
	struct record_entry entry;
	uint64_t found = 0;

	for (uint64_t offset = SEGMENT_DATA; offset < size && found == 0; offset += 8) {
		if (!record_parse_head(data + offset, size - offset, &head))
			continue;
		record_reader_init(&reader, data + offset, &head);
		if (record_next_entry(&reader, &entry) && entry.id == id && entry.kind == ENTRY_ADD) {
			found = offset;
			*length_out = head.length;
		}
	}
	free(data);
	assert_int_not_equal(found, 0);
	return found;
}

static bool
has(struct box *box, uint64_t id)
{
	bool found = false;

	box_list(box, 0, 1000);
	for (size_t i = 0; i < box->listed_count; i++)
		found |= box->listed[i].id == id;
	return found;
}

/* ---- damage ---- */

static void
a_damaged_content_is_set_aside_and_its_message_is_not_forgotten(void **state)
{
	struct box *box = *state;
	struct newest segment;
	uint64_t offset, length;
	char path[256];

	for (uint64_t id = 1; id <= 5; id++)
		box_add(box, id, 1000);
	box_close(box);
	segment = newest_segment(box);
	offset = find_record(segment.path, 3, &length);
	write_at(segment.path, offset + length - 10, "damage", 6);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box->summary.damaged, 1);
	assert_int_equal(box->summary.messages, 5);
	for (uint64_t id = 1; id <= 5; id++)
		assert_true(box_content_is_right(box, id, 1000) == (id != 3));
	path_of(box, "damaged", path);
	assert_int_equal(access(path, F_OK), 0);
	/* No crash loop; and the damaged segment is left behind. */
	box_add(box, 6, 1000);
	box_run_ms(box, 1000);
	box_reopen(box);
	box_remove_index(box);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 6);
	assert_int_equal(box->summary.damaged, 0);
	assert_true(has(box, 3));
	assert_false(box_body_is_right(box, 3, 1000));
	assert_int_equal(box->error.kind, ERROR_DAMAGED);
}

static void
a_damaged_record_is_set_aside_and_all_else_goes_on(void **state)
{
	struct box *box = *state;
	struct newest segment;
	uint64_t offset, length;

	for (uint64_t id = 1; id <= 5; id++)
		box_add(box, id, 1000);
	box_close(box);
	segment = newest_segment(box);
	offset = find_record(segment.path, 3, &length);
	write_at(segment.path, offset + RECORD_HEAD_SIZE + RECORD_ADD_HEAD_SIZE, "damage", 6);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box->summary.damaged, 1);
	assert_int_equal(box->summary.messages, 4);
	assert_false(has(box, 3));
	for (uint64_t id = 1; id <= 5; id++)
		assert_true(id == 3 || box_content_is_right(box, id, 1000));
}

static void
a_damaged_content_of_a_parked_message_is_an_error_of_that_message(void **state)
{
	struct box *box = *state;
	struct newest segment;
	uint64_t offset, length;
	char name[64], path[256], *aside;
	size_t size;

	box_add(box, 1, 1000);
	box_add(box, 2, 1000);
	box_close(box);
	segment = newest_segment(box);
	offset = find_record(segment.path, 1, &length);
	box_open(box);
	assert_int_equal(box->summary.messages, 2);
	write_at(segment.path, offset + length - 10, "damage", 6);
	for (unsigned i = 0; i < 2; i++) {
		assert_false(box_content_is_right(box, 1, 1000));
		assert_true(box->failed);
		assert_int_equal(box->error.kind, ERROR_DAMAGED);
	}
	assert_int_equal(box_number(box, "damaged"), 1);
	snprintf(name, sizeof(name), "damaged/segment-%llu-offset-%llu", (unsigned long long)segment.serial,
	    (unsigned long long)offset);
	path_of(box, name, path);
	aside = read_whole(path, &size);
	assert_int_equal(size, length);
	assert_memory_equal(aside + length - 10, "damage", 6);
	free(aside);
	assert_non_null(box_take_id(box, 1));
	assert_true(box_content_is_right(box, 2, 1000));
}

static void
a_segment_that_lost_a_header_or_both_is_still_read(void **state)
{
	struct box *box = *state;
	struct newest segment;
	uint64_t epoch;

	for (uint64_t id = 1; id <= 5; id++)
		box_add(box, id, 1000);
	box_close(box);
	segment = newest_segment(box);
	write_zeroes(segment.path, 0, 4096);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box->summary.messages, 5);
	assert_int_equal(box->summary.damaged, 0);
	box_add(box, 6, 1000);
	epoch = box->summary.epoch;
	box_close(box);
	write_zeroes(newest_segment(box).path, 0, 8192);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box->summary.messages, 6);
	assert_true(box->summary.epoch > epoch);
	assert_true(box_content_is_right(box, 6, 1000));
}

static void
a_segment_cut_short_loses_only_what_was_cut(void **state)
{
	struct box *box = *state;
	struct newest segment;
	uint64_t offset, length;

	for (uint64_t id = 1; id <= 5; id++)
		box_add(box, id, 1000);
	box_close(box);
	segment = newest_segment(box);
	offset = find_record(segment.path, 4, &length);
	assert_int_equal(truncate(segment.path, (off_t)offset + 5), 0);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box->summary.messages, 3);
	box_add(box, 6, 1000);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 4);
}

static void
foreign_and_empty_files_do_no_harm(void **state)
{
	struct box *box = *state;
	char path[256];
	int file;

	box_add(box, 1, 1000);
	box_close(box);
	path_of(box, "journal/seg-000090", path);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	close(file);
	path_of(box, "journal/seg-000091", path);
	assert_int_equal(mkdir(path, 0700), 0);
	path_of(box, "journal/seg-000092", path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	path_of(box, "journal/seg-000093", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	path_of(box, "journal/notes.txt", path);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(file, "hello", 5), 5);
	close(file);
	path_of(box, "journal/seg-000094", path);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(write(file, "rubbish", 7), 7);
	close(file);
	path_of(box, "journal/seg-000500.new", path);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	close(file);
	box_remove_index(box);
	box_open(box);
	assert_int_equal(box->summary.messages, 1);
	assert_int_equal(box->summary.damaged, 0);
	assert_int_equal(access(path, F_OK), -1);
	path_of(box, "journal/notes.txt", path);
	assert_int_equal(access(path, F_OK), 0);
}

static void
a_newer_format_is_refused_and_nothing_is_changed(void **state)
{
	struct box *box = *state;
	struct newest segment;
	char page[SEGMENT_PAGE], again[SEGMENT_PAGE];
	uint32_t crc;
	size_t size;
	char *data;

	box_add(box, 1, 1000);
	box_close(box);
	segment = newest_segment(box);
	segment_header_encode(&segment.header, page);
	/* Version 2, with the checksum that belongs to it. */
	page[8] = 2;
	memset(page + 12, 0, 4);
	crc = crc32c(0, page, sizeof(page));
	memcpy(page + 12, &crc, 4);
	write_at(segment.path, 0, page, sizeof(page));
	assert_int_equal(box_try_open(box), -1);
	assert_non_null(strstr(box->error.text, "newer format"));
	data = read_whole(segment.path, &size);
	memcpy(again, data, sizeof(again));
	assert_memory_equal(page, again, sizeof(page));
	free(data);
}

/* ---- torn tails and ghosts ---- */

/* Adds three messages in one commit; the second record begins on a page. Returns the file and where the commit
 * begins. */
static struct newest
add_three_in_one_commit(struct box *box, uint64_t first, uint64_t *offset_out)
{
	struct newest segment;
	uint64_t length;
	size_t filler = 0;

	/* How long the first record is without content, from one that is the same but for its id. */
	box_add(box, first + 5, 0);
	segment = newest_segment(box);
	find_record(segment.path, first + 5, &length);
	filler = 3 * SEGMENT_PAGE - length;
	for (uint64_t id = first; id < first + 3; id++) {
		struct store_batch *batch = store_batch_new(box->store);

		batch_add_message(batch, id, id == first ? filler : 500, 3);
		store_commit(box->store, batch, id == first + 2, box_committed, box);
	}
	box_wait(box, box->answers + 3);
	segment = newest_segment(box);
	*offset_out = find_record(segment.path, first, &length);
	assert_int_equal(length, 3 * SEGMENT_PAGE);
	return segment;
}

static void
ghosts_of_a_torn_commit_do_not_come_back_after_a_second_crash(void **state)
{
	struct box *box = *state;
	struct newest segment;
	uint64_t offset;
	char copy[160];

	snprintf(copy, sizeof(copy), "%s.crash", box->folder);
	box_add(box, 1, 100);
	segment = add_three_in_one_commit(box, 10, &offset);
	/* The crash: of the last commit only the pages behind the first reached the disk. */
	support_copy(box->folder, copy);
	box_close(box);
	support_copy(copy, box->folder);
	write_zeroes(segment.path, offset, SEGMENT_PAGE);
	box_remove_index(box);
	box_open(box);
	assert_true(has(box, 1));
	assert_false(has(box, 10) || has(box, 11) || has(box, 12));
	assert_int_equal(box->summary.damaged, 0);
	/* Life goes on, so that a flush covers more than the lost sequences; then it crashes again. */
	for (uint64_t id = 20; id < 40; id++)
		box_add(box, id, 100);
	support_copy(box->folder, copy);
	box_close(box);
	support_copy(copy, box->folder);
	support_remove(copy);
	box_remove_index(box);
	box_open(box);
	assert_false(has(box, 10) || has(box, 11) || has(box, 12));
	assert_true(has(box, 1));
	assert_true(has(box, 39));
	assert_int_equal(box->summary.damaged, 0);
}

static void
an_index_that_knows_more_than_the_journal_is_not_believed(void **state)
{
	struct box *box = *state;
	struct newest segment;
	uint64_t offset;

	box_add(box, 1, 100);
	segment = add_three_in_one_commit(box, 10, &offset);
	for (uint64_t id = 10; id <= 12; id++) {
		struct envelope envelope;

		support_envelope(&envelope, id, 3);
		store_park(box->store, &envelope, false);
		envelope_free(&envelope);
	}
	box_close(box);
	/* The disk kept the index, closed in order, and lost the journal's last commit. */
	write_zeroes(segment.path, offset, BOX_SEGMENT - offset);
	box_open(box);
	assert_true(has(box, 1));
	assert_false(has(box, 10) || has(box, 11) || has(box, 12));
	assert_int_equal(box->summary.messages, 2);
}

static void
an_older_index_is_brought_up_to_date(void **state)
{
	struct box *box = *state;
	char index[256], kept[160];
	struct envelope envelope;

	for (uint64_t id = 1; id <= 10; id++)
		box_add(box, id, 100);
	box_close(box);
	path_of(box, "index", index);
	snprintf(kept, sizeof(kept), "%s.kept", box->folder);
	support_copy(index, kept);
	box_open(box);
	for (uint64_t id = 1; id <= 5; id++)
		box_done(box, id);
	support_envelope(&envelope, 6, 3);
	box_deliver(box, &envelope, 2);
	envelope_free(&envelope);
	box_add(box, 11, 100);
	/* Enough that the segments of the first messages are used again. */
	for (uint64_t id = 100; id < 200; id++) {
		box_add(box, id, 30000);
		box_done(box, id);
	}
	box_run_ms(box, 1500);
	box_close(box);
	support_copy(kept, index);
	support_remove(kept);
	box_open(box);
	assert_int_equal(box->summary.messages, 6);
	assert_int_equal(box_list(box, 0, 100), 6);
	assert_int_equal(box->listed[0].id, 6);
	assert_int_equal(box->listed[0].delivered, 1);
	assert_int_equal(box->listed[5].id, 11);
	for (uint64_t id = 6; id <= 11; id++)
		assert_true(box_content_is_right(box, id, 100));
	assert_int_equal(box_number(box, "damaged"), 0);
}

/* The disk kept that the index forgot a message, and lost the record that ended the message. */
static void
an_index_that_forgot_what_the_journal_did_not_end_is_not_believed(void **state)
{
	struct box *box = *state;
	char copy[160];

	snprintf(copy, sizeof(copy), "%s.crash", box->folder);
	box_add(box, 1, 100);
	box_reopen(box);
	box_add(box, 2, 100);
	box_run_ms(box, 500);		/* a checkpoint: the index knows of both */
	box_done(box, 1);
	box_run_ms(box, 300);		/* the row goes, without a checkpoint */
	support_copy(box->folder, copy);
	box_close(box);
	support_copy(copy, box->folder);
	support_remove(copy);
	write_zeroes(newest_segment(box).path, SEGMENT_DATA + SEGMENT_PAGE, BOX_SEGMENT - SEGMENT_DATA - SEGMENT_PAGE);
	box_open(box);
	assert_true(has(box, 1));
	assert_true(has(box, 2));
	assert_int_equal(box->summary.messages, 2);
}

/* A person put back some of its files from a backup. */
static void
an_index_whose_files_are_of_different_times_is_not_believed(void **state)
{
	static const char *const files[] = { "message", "envelope", "due", "destination", "meta" };
	struct box *box = *state;
	char index[256], kept[160], command[700];

	box_add(box, 1, 100);
	box_close(box);
	path_of(box, "index", index);
	snprintf(kept, sizeof(kept), "%s.kept", box->folder);
	support_copy(index, kept);
	for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
		box_open(box);
		box_add(box, 10 + i, 100);
		box_close(box);
		snprintf(command, sizeof(command), "cp '%s/%s' '%s/'", kept, files[i], index);
		assert_int_equal(system(command), 0);
		box_open(box);
		assert_int_equal(box->summary.messages, i + 2);
		assert_int_equal(box_list(box, 0, 100), i + 2);
		assert_int_equal(box_take_due(box, INT64_MAX, 100), i + 2);
		box_close(box);
		support_copy(index, kept);
	}
	support_remove(kept);
	box_open(box);
}

/* ---- the index is damaged ---- */

static void
damage_file(void *context, const char *path)
{
	const char *how = context;
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	if (strcmp(how, "truncate") == 0)
		assert_int_equal(truncate(path, status.st_size / 2), 0);
	else if (strcmp(how, "flip") == 0)
		for (off_t offset = 100; offset < status.st_size; offset += 1000)
			write_at(path, (uint64_t)offset, "\xff", 1);
	else if (strcmp(how, "empty") == 0)
		assert_int_equal(truncate(path, 0), 0);
}

static void
damage_index(const struct box *box, const char *how, const char *only)
{
	char folder[256], path[600];
	struct dirent *entry;
	DIR *files;

	path_of(box, "index", folder);
	files = opendir(folder);
	assert_non_null(files);
	while ((entry = readdir(files)) != NULL) {
		if (entry->d_name[0] == '.' || (only != NULL && strcmp(entry->d_name, only) != 0))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		damage_file((void *)(uintptr_t)how, path);
	}
	closedir(files);
}

static void
a_damaged_index_never_loses_mail(void **state)
{
	static const struct {
		const char *how, *file;		/* NULL: all */
	} cases[] = { { "truncate", NULL }, { "flip", NULL }, { "empty", NULL }, { "flip", "message" }, { "truncate", "envelope" },
		{ "flip", "due" }, { "empty", "meta" } };
	struct box *box = *state;

	for (uint64_t id = 1; id <= 20; id++)
		box_add(box, id, 100);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		box_close(box);
		damage_index(box, cases[i].how, cases[i].file);
		box_open(box);
		assert_int_equal(box_list(box, 0, 100), 20);
		assert_int_equal(box_take_due(box, INT64_MAX, 100), 20);
	}
}

static void
a_settings_file_of_the_database_is_not_read_from_the_working_directory(void **state)
{
	struct box *box = *state;
	char folder[] = "/tmp/matador-cwd-XXXXXX", path[64];
	int file;

	box_close(box);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/DB_CONFIG", folder);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(file, "nonsense that cannot be parsed\n", 31), 31);
	close(file);
	assert_int_equal(chdir(folder), 0);
	box_open(box);
	box_add(box, 1, 10);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 1);
	assert_int_equal(chdir("/"), 0);
	support_remove(folder);
}

/* ---- no room, and writes that fail ---- */

static void
limit_file_size(rlim_t octets)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = octets;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
a_failed_write_is_told_and_the_store_recovers_by_itself(void **state)
{
	struct box *box = *state;

	box_add(box, 1, 1000);
	limit_file_size(SEGMENT_DATA + 100);
	box_add(box, 2, 20000);
	assert_true(box->failed);
	box_run_ms(box, 300);
	assert_false(box->accepting);
	assert_false(store_accepts(box->store));
	limit_file_size(RLIM_INFINITY);
	for (unsigned i = 0; i < 50 && !box->accepting; i++)
		box_run_ms(box, 100);
	assert_true(box->accepting);
	box->failed = false;
	box_add(box, 3, 1000);
	assert_false(box->failed);
	assert_false(store_knows(box->store, 2));
	box_remove_index(box);
	box_reopen(box);
	assert_true(has(box, 1));
	assert_false(has(box, 2));
	assert_true(has(box, 3));
	assert_int_equal(box->summary.damaged, 0);
}

/* Puts the mailbox on a small file system of its own; false when that is not allowed. */
static bool
move_to_small_disk(struct box *box)
{
	box_close(box);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", box->folder, "tmpfs", 0, "size=8m") < 0)
		return false;
	box_open(box);
	return true;
}

static void
fill_disk(const struct box *box, const char *name)
{
	static const char block[4096];
	char path[256];
	int file;

	path_of(box, name, path);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	while (write(file, block, sizeof(block)) == sizeof(block))
		;
	close(file);
}

static void
with_a_full_disk_results_are_still_recorded(void **state)
{
	struct box *box = *state;
	uint64_t id = 0, added;
	char path[256];

	if (!move_to_small_disk(box))
		skip();
	box_run_ms(box, 500);
	fill_disk(box, "filler");
	do {
		box_add(box, ++id, 20000);
	} while (!box->failed && id < 1000);
	assert_true(box->failed);
	added = id - 1;
	assert_in_range(added, 10, 100);
	box_run_ms(box, 300);
	assert_false(store_accepts(box->store));
	for (id = 1; id <= added; id++) {
		box->failed = false;
		box_done(box, id);
		assert_false(box->failed);
	}
	path_of(box, "filler", path);
	assert_int_equal(unlink(path), 0);
	for (unsigned i = 0; i < 50 && !box->accepting; i++)
		box_run_ms(box, 100);
	assert_true(box->accepting);
	box->failed = false;
	box_add(box, 5000, 20000);
	assert_false(box->failed);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 1);
	box_close(box);
	assert_int_equal(umount(box->folder), 0);
}

static void
a_full_disk_costs_the_index_but_no_mail(void **state)
{
	struct box *box = *state;
	struct envelope envelope;
	char path[256];

	if (!move_to_small_disk(box))
		skip();
	box_run_ms(box, 500);
	for (uint64_t id = 1; id <= 30; id++)
		box_add(box, id, 100);
	fill_disk(box, "filler");
	for (uint64_t round = 0; round < 20; round++)
		for (uint64_t id = 1; id <= 30; id++) {
			support_envelope(&envelope, id, 3);
			store_park(box->store, &envelope, false);
			envelope_free(&envelope);
			assert_non_null(box_take_id(box, id));
		}
	for (uint64_t id = 1; id <= 30; id++) {
		support_envelope(&envelope, id, 3);
		store_park(box->store, &envelope, false);
		envelope_free(&envelope);
	}
	assert_int_equal(box_list(box, 0, 100), 30);
	box_reopen(box);
	assert_int_equal(box_list(box, 0, 100), 30);
	assert_int_equal(box_take_due(box, INT64_MAX, 100), 30);
	path_of(box, "filler", path);
	assert_int_equal(unlink(path), 0);
	box_reopen(box);
	assert_int_equal(box_list(box, 0, 100), 30);
	box_close(box);
	assert_int_equal(umount(box->folder), 0);
}

static void
a_nearly_full_disk_is_told_at_once(void **state)
{
	struct box *box = *state;

	box_close(box);
	box->disk_reserve = 100;
	box_open(box);
	box_run_ms(box, 500);
	assert_false(store_accepts(box->store));
	assert_non_null(strstr(box->accepting_text, "disk"));
}

/* ---- set-up ---- */

static int
set_up(void **state)
{
	struct box *box = box_new("recovery");

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
		CASE(a_damaged_content_is_set_aside_and_its_message_is_not_forgotten),
		CASE(a_damaged_record_is_set_aside_and_all_else_goes_on),
		CASE(a_damaged_content_of_a_parked_message_is_an_error_of_that_message),
		CASE(a_segment_that_lost_a_header_or_both_is_still_read),
		CASE(a_segment_cut_short_loses_only_what_was_cut),
		CASE(foreign_and_empty_files_do_no_harm),
		CASE(a_newer_format_is_refused_and_nothing_is_changed),
		CASE(ghosts_of_a_torn_commit_do_not_come_back_after_a_second_crash),
		CASE(an_index_that_knows_more_than_the_journal_is_not_believed),
		CASE(an_older_index_is_brought_up_to_date),
		CASE(an_index_that_forgot_what_the_journal_did_not_end_is_not_believed),
		CASE(an_index_whose_files_are_of_different_times_is_not_believed),
		CASE(a_damaged_index_never_loses_mail),
		CASE(a_settings_file_of_the_database_is_not_read_from_the_working_directory),
		CASE(a_failed_write_is_told_and_the_store_recovers_by_itself),
		CASE(with_a_full_disk_results_are_still_recorded),
		CASE(a_full_disk_costs_the_index_but_no_mail),
		CASE(a_nearly_full_disk_is_told_at_once),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
