/*
 * crash_recorder - every change that this process makes below one folder, in its order, and what it was told meanwhile
 *
 * Stands in place of the C library's open(), write(), fsync() and the like, for the program under test and for the
 * libraries that it uses. Changes are carried out and noted; flushes are only noted, with their beginning and their end, as
 * other threads go on in between. The log lies in memory that is shared with the process that started this one.
 * Changes past the C library and by mmap(2) are not seen: qmgr and Berkeley DB (private environment) make none. Calls that change
 * files and that the model does not know end the process.
 */
#ifndef TESTS_UNIT_QMGR_CRASH_RECORDER_H
#define TESTS_UNIT_QMGR_CRASH_RECORDER_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define CRASH_EVENTS_MAX 100000
#define CRASH_OCTETS_MAX ((uint64_t)512 * 1024 * 1024)
#define CRASH_NODES_MAX 20000
#define CRASH_NODE_NONE UINT32_MAX
#define CRASH_NAME_SIZE 48
#define CRASH_FLUSH_US 300		/* so long takes a flush: others gather meanwhile */

enum crash_kind {
	CRASH_CREATE,			/* name in folder is node, a file */
	CRASH_FOLDER,			/* name in folder is node, a folder */
	CRASH_UNLINK,
	CRASH_RENAME,			/* name in folder is now other_name */
	CRASH_WRITE,			/* length octets of node at offset */
	CRASH_LENGTH,			/* node has length octets */
	CRASH_FLUSH,			/* of node begins */
	CRASH_FLUSHED,			/* the flush of node that began with event `offset` succeeded */
	CRASH_FLUSH_FAILED,		/* or failed */
	CRASH_NOTE,			/* nothing happened on the disk */
};

/* What the program under test was told, or said; the numbers mean what the test wants. */
struct crash_note {
	int kind;
	uint32_t number;
	uint64_t id;
};

struct crash_event {
	enum crash_kind kind;
	uint32_t node;
	uint32_t folder;
	uint64_t offset;
	uint64_t length;
	uint64_t data;			/* of WRITE: where in the log's octets */
	char name[CRASH_NAME_SIZE];
	char other_name[CRASH_NAME_SIZE];
	struct crash_note note;
};

struct crash_log {
	uint32_t count;
	uint32_t node_count;
	uint64_t octets;
	ino_t inodes[CRASH_NODES_MAX];	/* of each node; of two with the same one the later has it now */
	struct crash_event events[CRASH_EVENTS_MAX];
	char data[CRASH_OCTETS_MAX];
};

static struct crash_log *crash_recording;	/* NULL: nothing is noted */
static pthread_mutex_t crash_lock = PTHREAD_MUTEX_INITIALIZER;
static enum { CRASH_FAIL_NONE, CRASH_FAIL_DATA, CRASH_FAIL_HEADER } crash_fail;	/* the next such flush fails */

/* Shared with the children that are forked later; only what is used takes memory. */
static struct crash_log *
crash_log_new(void)
{
	struct crash_log *log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
	    -1, 0);

	if (log == MAP_FAILED)
		abort();
	return log;
}

static uint32_t
crash_node_at(const struct stat *status)
{
	for (uint32_t node = crash_recording->node_count; node-- > 0;)
		if (crash_recording->inodes[node] == status->st_ino)
			return node;
	return CRASH_NODE_NONE;
}

static uint32_t
crash_node_of(int file)
{
	struct stat status;

	if (crash_recording == NULL || fstat(file, &status) < 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
		return CRASH_NODE_NONE;
	return crash_node_at(&status);
}

/* The lock is held, or there are no threads yet. */
static uint32_t
crash_node_add(struct crash_log *log, ino_t inode)
{
	if (log->node_count == CRASH_NODES_MAX)
		abort();
	log->inodes[log->node_count] = inode;
	return log->node_count++;
}

static struct crash_event *
crash_event_add(enum crash_kind kind, uint32_t node)
{
	struct crash_event *event = &crash_recording->events[crash_recording->count];

	if (crash_recording->count == CRASH_EVENTS_MAX)
		abort();
	memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->node = node;
	crash_recording->count++;
	return event;
}

/* In its place among the changes. */
static void
crash_note(int kind, uint64_t id, uint32_t number)
{
	if (crash_recording == NULL)
		return;
	pthread_mutex_lock(&crash_lock);
	crash_event_add(CRASH_NOTE, CRASH_NODE_NONE)->note = (struct crash_note){ kind, number, id };
	pthread_mutex_unlock(&crash_lock);
}

/* ---- data ---- */

static void
crash_data_add(uint32_t node, uint64_t offset, const struct iovec *vectors, uint64_t length)
{
	struct crash_event *event = crash_event_add(CRASH_WRITE, node);

	if (crash_recording->octets + length > CRASH_OCTETS_MAX)
		abort();
	event->offset = offset;
	event->length = length;
	event->data = crash_recording->octets;
	for (; length > 0; vectors++) {
		uint64_t piece = vectors->iov_len < length ? vectors->iov_len : length;

		memcpy(&crash_recording->data[crash_recording->octets], vectors->iov_base, piece);
		crash_recording->octets += piece;
		length -= piece;
	}
}

static off_t
crash_position(int file)
{
	struct stat status;

	if ((fcntl(file, F_GETFL) & O_APPEND) && fstat(file, &status) == 0)
		return status.st_size;
	return lseek(file, 0, SEEK_CUR);
}

/* offset -1: where the file stands. */
static ssize_t
crash_writev(int file, const struct iovec *vectors, int count, off_t offset)
{
	off_t at = offset;
	uint32_t node;
	ssize_t result;

	pthread_mutex_lock(&crash_lock);
	node = crash_node_of(file);
	if (node != CRASH_NODE_NONE && offset < 0)
		at = crash_position(file);
	result = offset < 0 ? syscall(SYS_writev, file, vectors, count) :
	    syscall(SYS_pwritev, file, vectors, count, offset, 0L);
	if (node != CRASH_NODE_NONE && result > 0)
		crash_data_add(node, (uint64_t)at, vectors, (uint64_t)result);
	pthread_mutex_unlock(&crash_lock);
	return result;
}

/* The library's names; the headers may have others behind them. */
#define CRASH_AS(name) __asm__(name)

ssize_t crash_call_write(int file, const void *data, size_t length) CRASH_AS("write");
ssize_t
crash_call_write(int file, const void *data, size_t length)
{
	struct iovec vector = { (void *)(uintptr_t)data, length };

	return crash_writev(file, &vector, 1, -1);
}

ssize_t crash_call_pwrite(int file, const void *data, size_t length, off_t offset) CRASH_AS("pwrite");
ssize_t
crash_call_pwrite(int file, const void *data, size_t length, off_t offset)
{
	struct iovec vector = { (void *)(uintptr_t)data, length };

	return crash_writev(file, &vector, 1, offset);
}

ssize_t crash_call_writev(int file, const struct iovec *vectors, int count) CRASH_AS("writev");
ssize_t
crash_call_writev(int file, const struct iovec *vectors, int count)
{
	return crash_writev(file, vectors, count, -1);
}

ssize_t crash_call_pwritev(int file, const struct iovec *vectors, int count, off_t offset) CRASH_AS("pwritev");
ssize_t
crash_call_pwritev(int file, const struct iovec *vectors, int count, off_t offset)
{
	return crash_writev(file, vectors, count, offset);
}

int crash_call_ftruncate(int file, off_t length) CRASH_AS("ftruncate");
int
crash_call_ftruncate(int file, off_t length)
{
	uint32_t node;
	int result;

	pthread_mutex_lock(&crash_lock);
	node = crash_node_of(file);
	result = (int)syscall(SYS_ftruncate, file, length);
	if (node != CRASH_NODE_NONE && result == 0)
		crash_event_add(CRASH_LENGTH, node)->length = (uint64_t)length;
	pthread_mutex_unlock(&crash_lock);
	return result;
}

/* ---- flushes ---- */

/* Whether the flush of a file's data is the one that is to fail: of a header is what was written at its beginning. */
static bool
crash_fails(uint32_t node)
{
	uint32_t event = crash_recording->count;
	bool header;

	if (crash_fail == CRASH_FAIL_NONE)
		return false;
	while (event > 0 && (crash_recording->events[event - 1].kind != CRASH_WRITE ||
	    crash_recording->events[event - 1].node != node))
		event--;
	header = event > 0 && crash_recording->events[event - 1].offset == 0;
	if (header != (crash_fail == CRASH_FAIL_HEADER))
		return false;
	crash_fail = CRASH_FAIL_NONE;
	return true;
}

static int
crash_flush(int file, bool data)
{
	struct crash_event *event;
	uint32_t node, begin = 0;
	bool fails = false;

	pthread_mutex_lock(&crash_lock);
	node = crash_node_of(file);
	if (node != CRASH_NODE_NONE) {
		begin = crash_recording->count;
		crash_event_add(CRASH_FLUSH, node);
		fails = data && crash_fails(node);
	}
	pthread_mutex_unlock(&crash_lock);
	if (node == CRASH_NODE_NONE)
		return 0;
	usleep(CRASH_FLUSH_US);
	pthread_mutex_lock(&crash_lock);
	event = crash_event_add(fails ? CRASH_FLUSH_FAILED : CRASH_FLUSHED, node);
	event->offset = begin;
	pthread_mutex_unlock(&crash_lock);
	errno = EIO;
	return fails ? -1 : 0;
}

int crash_call_fsync(int file) CRASH_AS("fsync");
int
crash_call_fsync(int file)
{
	return crash_flush(file, false);
}

int crash_call_fdatasync(int file) CRASH_AS("fdatasync");
int
crash_call_fdatasync(int file)
{
	return crash_flush(file, true);
}

/* ---- folders ---- */

/* The folder that path lies in, if that is one of ours, and the name there. */
static uint32_t
crash_parent_of(int folder, const char *path, char name[static CRASH_NAME_SIZE])
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	struct stat status;

	if (crash_recording == NULL)
		return CRASH_NODE_NONE;
	snprintf(name, CRASH_NAME_SIZE, "%s", slash == NULL ? path : slash + 1);
	if (slash == NULL)
		strcpy(parent, ".");
	else
		snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return fstatat(folder, parent, &status, 0) == 0 ? crash_node_at(&status) : CRASH_NODE_NONE;
}

static struct crash_event *
crash_entry_add(enum crash_kind kind, uint32_t folder, uint32_t node, const char *name)
{
	struct crash_event *event = crash_event_add(kind, node);

	event->folder = folder;
	memcpy(event->name, name, CRASH_NAME_SIZE);
	return event;
}

static int
crash_openat(int folder, const char *path, int flags, mode_t mode)
{
	char name[CRASH_NAME_SIZE];
	struct stat status;
	uint32_t parent;
	bool existed;
	int file;

	if (!(flags & (O_CREAT | O_TRUNC)))
		return (int)syscall(SYS_openat, folder, path, flags, mode);
	pthread_mutex_lock(&crash_lock);
	parent = crash_parent_of(folder, path, name);
	existed = fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
	file = (int)syscall(SYS_openat, folder, path, flags, mode);
	if (file >= 0 && parent != CRASH_NODE_NONE && fstat(file, &status) == 0) {
		if (!existed)
			crash_entry_add(CRASH_CREATE, parent, crash_node_add(crash_recording, status.st_ino), name);
		else if (flags & O_TRUNC)
			crash_event_add(CRASH_LENGTH, crash_node_at(&status))->length = 0;
	}
	pthread_mutex_unlock(&crash_lock);
	return file;
}

static mode_t
crash_mode(int flags, va_list arguments)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

int crash_call_open(const char *path, int flags, ...) CRASH_AS("open");
int
crash_call_open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = crash_mode(flags, arguments);
	va_end(arguments);
	return crash_openat(AT_FDCWD, path, flags, mode);
}

int crash_call_openat(int folder, const char *path, int flags, ...) CRASH_AS("openat");
int
crash_call_openat(int folder, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = crash_mode(flags, arguments);
	va_end(arguments);
	return crash_openat(folder, path, flags, mode);
}

int crash_call_mkdirat(int folder, const char *path, mode_t mode) CRASH_AS("mkdirat");
int
crash_call_mkdirat(int folder, const char *path, mode_t mode)
{
	char name[CRASH_NAME_SIZE];
	struct stat status;
	uint32_t parent;
	int result;

	pthread_mutex_lock(&crash_lock);
	parent = crash_parent_of(folder, path, name);
	result = (int)syscall(SYS_mkdirat, folder, path, mode);
	if (result == 0 && parent != CRASH_NODE_NONE && fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
		crash_entry_add(CRASH_FOLDER, parent, crash_node_add(crash_recording, status.st_ino), name);
	pthread_mutex_unlock(&crash_lock);
	return result;
}

int crash_call_mkdir(const char *path, mode_t mode) CRASH_AS("mkdir");
int
crash_call_mkdir(const char *path, mode_t mode)
{
	return crash_call_mkdirat(AT_FDCWD, path, mode);
}

int crash_call_unlinkat(int folder, const char *path, int flags) CRASH_AS("unlinkat");
int
crash_call_unlinkat(int folder, const char *path, int flags)
{
	char name[CRASH_NAME_SIZE];
	uint32_t parent;
	int result;

	pthread_mutex_lock(&crash_lock);
	parent = crash_parent_of(folder, path, name);
	result = (int)syscall(SYS_unlinkat, folder, path, flags);
	if (result == 0 && parent != CRASH_NODE_NONE)
		crash_entry_add(CRASH_UNLINK, parent, CRASH_NODE_NONE, name);
	pthread_mutex_unlock(&crash_lock);
	return result;
}

int crash_call_unlink(const char *path) CRASH_AS("unlink");
int
crash_call_unlink(const char *path)
{
	return crash_call_unlinkat(AT_FDCWD, path, 0);
}

int crash_call_renameat(int from_folder, const char *from, int to_folder, const char *to) CRASH_AS("renameat");
int
crash_call_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	char name[CRASH_NAME_SIZE], other_name[CRASH_NAME_SIZE];
	uint32_t parent, other_parent;
	struct stat status;
	int result;

	pthread_mutex_lock(&crash_lock);
	parent = crash_parent_of(from_folder, from, name);
	other_parent = crash_parent_of(to_folder, to, other_name);
	result = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
	if (parent != other_parent)
		abort();	/* the model knows renames within a folder only */
	if (result == 0 && parent != CRASH_NODE_NONE && fstatat(to_folder, to, &status, AT_SYMLINK_NOFOLLOW) == 0)
		memcpy(crash_entry_add(CRASH_RENAME, parent, crash_node_at(&status), name)->other_name, other_name,
		    CRASH_NAME_SIZE);
	pthread_mutex_unlock(&crash_lock);
	return result;
}

int crash_call_rename(const char *from, const char *to) CRASH_AS("rename");
int
crash_call_rename(const char *from, const char *to)
{
	return crash_call_renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* ---- what the model does not know ---- */

#define CRASH_UNKNOWN(name) \
	void crash_call_##name(void) CRASH_AS(#name); \
	void \
	crash_call_##name(void) \
	{ \
		fprintf(stderr, "crash_recorder: " #name " is not recorded\n"); \
		abort(); \
	}

CRASH_UNKNOWN(copy_file_range)
CRASH_UNKNOWN(creat)
CRASH_UNKNOWN(fallocate)
CRASH_UNKNOWN(link)
CRASH_UNKNOWN(linkat)
CRASH_UNKNOWN(posix_fallocate)
CRASH_UNKNOWN(pwritev2)
CRASH_UNKNOWN(renameat2)
CRASH_UNKNOWN(sync_file_range)
CRASH_UNKNOWN(syncfs)
CRASH_UNKNOWN(truncate)

#endif
