/*
 * body - content in files of its own: made, flushed before its record, verified, unlinked
 *
 * Everything here runs in helper threads but what says otherwise.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "qmgr/store/body.h"
#include "common/base/crc32c.h"
#include "qmgr/store/damage.h"
#include "qmgr/store/internal.h"

#define READ_SIZE (128 * 1024)
#define FOLDER_COUNT 256
#define LAST_FOLDER "ff"	/* made last: when it is there, all are */

struct body_job {
	struct job job;
	uint64_t id;
	uint64_t length;		/* as recorded */
	uint32_t crc;
	bool sound;			/* verified before */
	store_file_cb callback;
	void *context;
	struct store_batch *batch;
};

struct file_answer {
	struct completion completion;
	store_file_cb callback;
	void *context;
	uint64_t id;
	int file;
	uint64_t length;
	struct error error;
};

static unsigned
folder_of(uint64_t id)
{
	return (unsigned)(id / 16 % FOLDER_COUNT);
}

void
body_path(uint64_t id, char path[static BODY_PATH_SIZE])
{
	char text[IDENTIFIER_TEXT_SIZE];

	identifier_format(id, text);
	snprintf(path, BODY_PATH_SIZE, "%02x/%s", folder_of(id), text);
}

int
body_measure(int file, uint64_t *length_out, uint32_t *crc_out, struct error *error)
{
	char *room = memory_resize(NULL, READ_SIZE, 1);
	ssize_t got;

	*length_out = 0;
	*crc_out = 0;
	while ((got = segment_pread(file, room, READ_SIZE, *length_out)) > 0) {
		*crc_out = crc32c(*crc_out, room, (size_t)got);
		*length_out += (uint64_t)got;
	}
	free(room);
	return got == 0 ? 0 : error_system(error, errno, "read body");
}

/* ---- answers ---- */

static void
file_run(struct store *store, struct completion *completion)
{
	struct file_answer *answer = (struct file_answer *)completion;

	if (!store->closing)
		answer->callback(answer->context, answer->id, answer->file, answer->length,
		    answer->file < 0 ? &answer->error : NULL);
	else if (answer->file >= 0)
		close(answer->file);
	free(answer);
}

void
body_answer(struct store *store, store_file_cb callback, void *context, uint64_t id, int file, uint64_t length,
    const struct error *error)
{
	struct file_answer *answer = memory_new(1, sizeof(*answer));

	answer->callback = callback;
	answer->context = context;
	answer->id = id;
	answer->file = file;
	answer->length = length;
	if (error != NULL)
		answer->error = *error;
	answer->completion.run = file_run;
	store_complete(store, &answer->completion);
}

static struct body_job *
job_new(uint64_t id, void (*work)(struct store *store, struct job *job))
{
	struct body_job *job = memory_new(1, sizeof(*job));

	job->job.work = work;
	job->id = id;
	return job;
}

/* ---- making ---- */

static void
create_work(struct store *store, struct job *work)
{
	struct body_job *job = (struct body_job *)work;
	char path[BODY_PATH_SIZE];
	struct error error;
	int file;

	body_path(job->id, path);
	file = openat(store->bodies, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		error_system(&error, errno, "make body %s", path);
	body_answer(store, job->callback, job->context, job->id, file, 0, &error);
	free(job);
}

void
store_body_create(struct store *store, uint64_t id, store_file_cb callback, void *context)
{
	struct body_job *job = job_new(id, create_work);

	job->callback = callback;
	job->context = context;
	helpers_add(store, &job->job);
}

/* ---- flushing ---- */

static int
flush_folder(const struct store *store, uint64_t id, struct error *error)
{
	char name[4];
	int folder, result = -1;

	snprintf(name, sizeof(name), "%02x", folder_of(id));
	folder = openat(store->bodies, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0)
		result = fsync(folder);
	if (result < 0)
		error_system(error, errno, "flush bodies/%s", name);
	if (folder >= 0)
		close(folder);
	return result;
}

/*
 * Whether the file is as its depositor said, and will stay so: nobody can open it again, and on a file that somebody still could write a
 * read lease cannot be had.
 */
static int
check_file(int file, uint64_t length, struct error *error)
{
	struct stat status;

	if (fcntl(file, F_SETLEASE, F_RDLCK) == 0)
		fcntl(file, F_SETLEASE, F_UNLCK);
	else if (errno == EAGAIN)
		return error_set(error, ERROR_INVALID, "it is still open for writing");
	if (fstat(file, &status) < 0)
		return error_system(error, errno, "look at it");
	if ((uint64_t)status.st_size != length)
		return error_set(error, ERROR_INVALID, "it has %llu octets instead of %llu", (unsigned long long)status.st_size,
		    (unsigned long long)length);
	return 0;
}

/* The file's data and size become durable. Its checksum is the depositor's, who wrote it. */
static int
flush_file(struct store *store, const struct batch_entry *entry, struct error *error)
{
	char path[BODY_PATH_SIZE];
	int file, result;

	body_path(entry->id, path);
	file = openat(store->bodies, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return error_system(error, errno, "open body %s", path);
	result = check_file(file, entry->content_length, error);
	if (result == 0 && fsync(file) < 0)
		result = error_system(error, errno, "flush");
	close(file);
	if (result == 0)
		body_note_sound(store, entry->id);
	else
		error_prefix(error, "body %s", path);
	return result;
}

static int
flush_batch(struct store *store, const struct store_batch *batch, struct error *error)
{
	bool flushed[FOLDER_COUNT] = { false };

	for (uint32_t i = 0; i < batch->entry_count; i++)
		if (batch->entries[i].kind == ENTRY_ADD && (batch->entries[i].flags & ENTRY_FILE) &&
		    flush_file(store, &batch->entries[i], error) < 0)
			return -1;
	for (uint32_t i = 0; i < batch->entry_count; i++) {
		uint64_t id = batch->entries[i].id;

		if (batch->entries[i].kind != ENTRY_ADD || !(batch->entries[i].flags & ENTRY_FILE) || flushed[folder_of(id)])
			continue;
		if (flush_folder(store, id, error) < 0)
			return -1;
		flushed[folder_of(id)] = true;
	}
	return 0;
}

static void
flush_work(struct store *store, struct job *work)
{
	struct body_job *job = (struct body_job *)work;
	struct error error;

	if (flush_batch(store, job->batch, &error) == 0) {
		committer_add(store, job->batch);
	} else {
		batch_fail(job->batch, &error);
		store_complete(store, &job->batch->completion);
	}
	free(job);
}

/* Event loop. */
void
body_flush_then_commit(struct store *store, struct store_batch *batch)
{
	struct body_job *job = job_new(0, flush_work);

	job->batch = batch;
	helpers_add(store, &job->job);
}

/* ---- reading ---- */

static void
open_work(struct store *store, struct job *work)
{
	struct body_job *job = (struct body_job *)work;
	char path[BODY_PATH_SIZE];
	struct stat status;
	uint64_t length = job->length;
	uint32_t crc = job->crc;
	struct error error;
	int file, result;

	body_path(job->id, path);
	file = openat(store->bodies, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 || fstat(file, &status) < 0) {
		if (errno == ENOENT)
			error_set(&error, ERROR_DAMAGED, "body %s is missing", path);
		else
			error_system(&error, errno, "open body %s", path);
	} else if ((result = job->sound ? 0 : body_measure(file, &length, &crc, &error)) < 0) {
		error_prefix(&error, "%s", path);
	} else if ((uint64_t)status.st_size != job->length || length != job->length || crc != job->crc) {
		error_set(&error, ERROR_DAMAGED, "body %s does not verify", path);
	} else {
		if (!job->sound)
			body_note_sound(store, job->id);
		body_answer(store, job->callback, job->context, job->id, file, job->length, NULL);
		free(job);
		return;
	}
	if (error.kind == ERROR_DAMAGED && (file < 0 || damage_set_aside_body(&store->journal, job->id, file)))
		store_say_damaged(store, 0, 0, job->length, job->id);
	if (file >= 0)
		close(file);
	body_answer(store, job->callback, job->context, job->id, -1, 0, &error);
	free(job);
}

void
body_note_sound(struct store *store, uint64_t id)
{
	pthread_mutex_lock(&store->helpers.lock);
	recent_add(store->sound_bodies, id);
	pthread_mutex_unlock(&store->helpers.lock);
}

/* Reader thread. */
void
body_open(struct store *store, uint64_t id, uint64_t length, uint32_t crc, store_file_cb callback, void *context)
{
	struct body_job *job = job_new(id, open_work);

	job->length = length;
	job->crc = crc;
	job->callback = callback;
	job->context = context;
	pthread_mutex_lock(&store->helpers.lock);
	job->sound = recent_has(store->sound_bodies, id);
	pthread_mutex_unlock(&store->helpers.lock);
	helpers_add(store, &job->job);
}

/* ---- going ---- */

static void
unlink_work(struct store *store, struct job *work)
{
	struct body_job *job = (struct body_job *)work;
	char path[BODY_PATH_SIZE];

	body_path(job->id, path);
	unlinkat(store->bodies, path, 0);
	free(job);
}

/* Any thread. */
void
body_unlink(struct store *store, uint64_t id)
{
	helpers_add(store, &job_new(id, unlink_work)->job);
}

void
store_body_abandon(struct store *store, uint64_t id)
{
	body_unlink(store, id);
}

/* Before the threads. */
static void
remove_orphans_in(struct store *store, const char *name)
{
	int folder = openat(store->bodies, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *files = folder < 0 ? NULL : fdopendir(folder);
	struct dirent *entry;
	uint64_t id;

	while (files != NULL && (entry = readdir(files)) != NULL) {
		struct message *message = NULL;
		struct error error;

		if (!identifier_parse(entry->d_name, &id) || reader_find(store, id, &message, NULL, &error) < 0)
			continue;
		if (message == NULL || !message->in_file)
			unlinkat(folder, entry->d_name, 0);
		message_free(&message);
	}
	if (files != NULL)
		closedir(files);
	else if (folder >= 0)
		close(folder);
}

int
bodies_open(struct store *store, struct error *error)
{
	char name[4];

	if (mkdirat(store->journal.folder, "bodies", 0700) < 0 && errno != EEXIST)
		return error_system(error, errno, "make bodies");
	store->bodies = openat(store->journal.folder, "bodies", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->bodies < 0)
		return error_system(error, errno, "open bodies");
	if (faccessat(store->bodies, LAST_FOLDER, F_OK, 0) == 0)
		return 0;
	for (unsigned i = 0; i < FOLDER_COUNT; i++) {
		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(store->bodies, name, 0700) < 0 && errno != EEXIST)
			return error_system(error, errno, "make bodies/%s", name);
	}
	if (fsync(store->bodies) < 0 || fsync(store->journal.folder) < 0)
		return error_system(error, errno, "flush bodies");
	return 0;
}

void
bodies_remove_orphans(struct store *store)
{
	char name[4];

	for (unsigned i = 0; i < FOLDER_COUNT; i++) {
		snprintf(name, sizeof(name), "%02x", i);
		remove_orphans_in(store, name);
	}
}
