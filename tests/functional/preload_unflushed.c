/*
 * preload_unflushed - a power cut for one process: what it wrote and did not flush is gone
 *
 *	cc -shared -fPIC -O2 -D_GNU_SOURCE -o unflushed.so preload_unflushed.c
 *	UNFLUSHED_PROGRAM=qmgr UNFLUSHED_SIGNAL=10 LD_PRELOAD=unflushed.so ...
 *	kill -10 PID-OF-QMGR
 *
 * Keeps the old octets of everything that the process writes to regular files, and the reverse of every change
 * to a folder,
 * until the file or the folder was flushed (fsync, fdatasync). At the cut all that is undone, the latest
 * first, and the process is
 * killed by SIGKILL. POSIX promises no more than this: a new file whose folder was not flushed is not there, a
 * file that was
 * unlinked or renamed without a flush of the folder is back.
 *
 *	UNFLUSHED_PROGRAM	only in the program of that name (the last part of argv[0]); otherwise in all
 *	UNFLUSHED_SIGNAL	the signal that cuts; default SIGUSR1
 *	UNFLUSHED_AFTER		also cut after so many calls that change or flush something: an instant that can be repeated
 *	UNFLUSHED_KEEP		so many percent of the unflushed pages (4,096 octets) are on the disk all the same, each at
 *				random: writes out of order, torn commits. Folders are undone strictly.
 *
 * What other processes write through descriptors that they were passed is theirs: preload it there too, or
 * not. A forked child begins
 * with nothing to undo. Works in a chroot and under landlock: everything is undone through descriptors that
 * were opened before.
 * Calls past the C library and mmap(2) are not seen; qmgr and Berkeley DB (private environment) use neither
 * for writing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

enum kind { UNDO_DATA, UNDO_LENGTH, UNDO_CREATE, UNDO_MKDIR, UNDO_UNLINK, UNDO_RENAME };

/* Our own descriptor of a file or folder that something is to be undone in. */
struct place {
	struct place *next;
	unsigned uses;
	dev_t device;
	ino_t inode;
	int file;
};

struct undo {
	struct undo *earlier;
	enum kind kind;
	uint64_t number;	/* in the order of the calls */
	struct place *place;	/* the file, or the folder that was changed */
	struct place *other;	/* of a rename: the folder where to */
	off_t offset;
	size_t length;
	char *data;
	char name[NAME_MAX + 1];
	char other_name[NAME_MAX + 1];
};

static struct undo *latest;
static struct place *places;
static uint64_t calls;
static uint64_t cut_after;
static unsigned keep_percent;
static uint64_t seed;
static bool on;
static atomic_flag locked = ATOMIC_FLAG_INIT;
static atomic_bool cut_wanted;
static unsigned hidden_count;

/* ---- the cut ---- */

static bool
kept(const struct undo *undo)
{
	uint64_t page = undo->kind == UNDO_LENGTH ? UINT64_MAX : (uint64_t)undo->offset / PAGE;
	uint64_t mixed = (seed ^ undo->place->inode * 0x9e3779b97f4a7c15u ^ page * 0xc2b2ae3d27d4eb4fu) * 0xff51afd7ed558ccdu;

	return (mixed >> 33) % 100 < keep_percent;
}

static void
undo_one(const struct undo *undo)
{
	switch (undo->kind) {
	case UNDO_DATA:
		if (!kept(undo))
			syscall(SYS_pwrite64, undo->place->file, undo->data, undo->length, undo->offset);
		break;
	case UNDO_LENGTH:
		if (!kept(undo))
			syscall(SYS_ftruncate, undo->place->file, undo->offset);
		break;
	case UNDO_CREATE:
		syscall(SYS_unlinkat, undo->place->file, undo->name, 0);
		break;
	case UNDO_MKDIR:
		syscall(SYS_unlinkat, undo->place->file, undo->name, AT_REMOVEDIR);
		break;
	case UNDO_UNLINK:
		syscall(SYS_renameat2, undo->place->file, undo->other_name, undo->place->file, undo->name, 0);
		break;
	case UNDO_RENAME:
		syscall(SYS_renameat2, undo->other->file, undo->other_name, undo->place->file, undo->name, 0);
		break;
	}
}

/* The lock is held and stays held. */
static void
cut(void)
{
	for (const struct undo *undo = latest; undo != NULL; undo = undo->earlier)
		undo_one(undo);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static void
lock(void)
{
	while (atomic_flag_test_and_set(&locked))
		sched_yield();
}

static void
unlock(void)
{
	atomic_flag_clear(&locked);
	if (cut_wanted && !atomic_flag_test_and_set(&locked))
		cut();
}

/* Whoever holds the lock cuts when it lets go, even if it is the thread that was interrupted. */
static void
cut_signal(int signal_number)
{
	(void)signal_number;
	cut_wanted = true;
	if (!atomic_flag_test_and_set(&locked))
		cut();
}

/* ---- keeping ---- */

static struct place *
place_use(int file, const struct stat *status)
{
	struct place *place;

	for (place = places; place != NULL; place = place->next)
		if (place->inode == status->st_ino && place->device == status->st_dev)
			break;
	if (place == NULL) {
		place = calloc(1, sizeof(*place));
		if (place == NULL)
			abort();
		place->device = status->st_dev;
		place->inode = status->st_ino;
		place->file = fcntl(file, F_DUPFD_CLOEXEC, 0);
		if (place->file < 0)
			abort();	/* better than a cut that undoes less than it should */
		place->next = places;
		places = place;
	}
	place->uses++;
	return place;
}

static void
place_leave(struct place *left)
{
	struct place **link = &places;

	if (left == NULL || --left->uses > 0)
		return;
	while (*link != left)
		link = &(*link)->next;
	*link = left->next;
	close(left->file);
	free(left);
}

static struct undo *
undo_new(enum kind kind, int file, const struct stat *status)
{
	struct undo *undo = calloc(1, sizeof(*undo));

	if (undo == NULL)
		abort();
	undo->kind = kind;
	undo->number = calls;
	undo->place = place_use(file, status);
	undo->earlier = latest;
	latest = undo;
	return undo;
}

static void
undo_free(struct undo *undo, bool for_good)
{
	if (for_good && undo->kind == UNDO_UNLINK)
		syscall(SYS_unlinkat, undo->place->file, undo->other_name, 0);
	place_leave(undo->place);
	place_leave(undo->other);
	free(undo->data);
	free(undo);
}

static bool
is_at(const struct place *place, const struct stat *status)
{
	return place != NULL && place->inode == status->st_ino && place->device == status->st_dev;
}

static bool
concerns(const struct undo *undo, const struct stat *status)
{
	return is_at(undo->place, status) || is_at(undo->other, status);
}

/* What was done up to that call to this file or folder is durable now. */
static void
forget(const struct stat *status, uint64_t up_to)
{
	for (struct undo **link = &latest; *link != NULL;) {
		struct undo *undo = *link;

		if (undo->number > up_to || !concerns(undo, status)) {
			link = &undo->earlier;
			continue;
		}
		*link = undo->earlier;
		undo_free(undo, true);
	}
}

static void
count_call(void)
{
	calls++;
	if (cut_after != 0 && calls >= cut_after)
		cut_wanted = true;
}

/* Keeps what stands where length octets are about to be written: page by page, so that pages can be kept one
 * by one. */
static void
keep_data(int file, off_t offset, size_t length)
{
	struct stat status;
	struct undo *undo;

	if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
		return;
	if (offset + (off_t)length > status.st_size) {
		undo = undo_new(UNDO_LENGTH, file, &status);
		undo->offset = status.st_size;
	}
	while (length > 0 && offset < status.st_size) {
		size_t piece = PAGE - (size_t)(offset % PAGE);
		ssize_t got;

		if (piece > length)
			piece = length;
		undo = undo_new(UNDO_DATA, file, &status);
		undo->offset = offset;
		undo->data = malloc(piece);
		got = undo->data == NULL ? -1 : syscall(SYS_pread64, file, undo->data, piece, offset);
		undo->length = got > 0 ? (size_t)got : 0;
		offset += (off_t)piece;
		length -= piece;
	}
}

static void
begin_anew(void)
{
	latest = NULL;
	places = NULL;
	calls = 0;
	atomic_flag_clear(&locked);
	seed = seed * 6364136223846793005u + (uint64_t)getpid();
}

static void
finish(void)
{
	for (struct undo *undo = latest; undo != NULL; undo = undo->earlier)
		if (undo->kind == UNDO_UNLINK)
			syscall(SYS_unlinkat, undo->place->file, undo->other_name, 0);
}

__attribute__((constructor)) static void
start(void)
{
	const char *program = getenv("UNFLUSHED_PROGRAM"), *value;
	struct sigaction action = { .sa_handler = cut_signal };
	struct timespec now;

	if (program != NULL && strcmp(program, program_invocation_short_name) != 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	seed = (uint64_t)now.tv_nsec * 2654435761u ^ (uint64_t)now.tv_sec;
	value = getenv("UNFLUSHED_AFTER");
	cut_after = value == NULL ? 0 : strtoull(value, NULL, 10);
	value = getenv("UNFLUSHED_KEEP");
	keep_percent = value == NULL ? 0 : (unsigned)strtoul(value, NULL, 10);
	value = getenv("UNFLUSHED_SIGNAL");
	sigaction(value == NULL ? SIGUSR1 : atoi(value), &action, NULL);
	pthread_atfork(NULL, NULL, begin_anew);
	atexit(finish);
	on = true;
}

/* ---- writing ---- */

static size_t
vectors_length(const struct iovec *vectors, int count)
{
	size_t length = 0;

	for (int i = 0; i < count; i++)
		length += vectors[i].iov_len;
	return length;
}

static off_t
write_offset(int file)
{
	struct stat status;

	if ((fcntl(file, F_GETFL) & O_APPEND) && fstat(file, &status) == 0)
		return status.st_size;
	return lseek(file, 0, SEEK_CUR);
}

static bool
is_watched(int file)
{
	struct stat status;

	return on && fstat(file, &status) == 0 && S_ISREG(status.st_mode);
}

#define WATCHED(file, keep, call) do { \
		long result_; \
		int reason_; \
		if (!is_watched(file)) \
			return (call); \
		lock(); \
		count_call(); \
		keep; \
		result_ = (call); \
		reason_ = errno; \
		unlock(); \
		errno = reason_; \
		return result_; \
	} while (0)

ssize_t
write(int file, const void *data, size_t length)
{
	WATCHED(file, keep_data(file, write_offset(file), length), syscall(SYS_write, file, data, length));
}

ssize_t
pwrite(int file, const void *data, size_t length, off_t offset)
{
	WATCHED(file, keep_data(file, offset, length), syscall(SYS_pwrite64, file, data, length, offset));
}

ssize_t
pwrite64(int file, const void *data, size_t length, off_t offset)
{
	return pwrite(file, data, length, offset);
}

ssize_t
writev(int file, const struct iovec *vectors, int count)
{
	WATCHED(file, keep_data(file, write_offset(file), vectors_length(vectors, count)),
	    syscall(SYS_writev, file, vectors, count));
}

ssize_t
pwritev(int file, const struct iovec *vectors, int count, off_t offset)
{
	WATCHED(file, keep_data(file, offset, vectors_length(vectors, count)),
	    syscall(SYS_pwritev, file, vectors, count, offset, 0L));
}

ssize_t
pwritev64(int file, const struct iovec *vectors, int count, off_t offset)
{
	return pwritev(file, vectors, count, offset);
}

static void
keep_truncation(int file, off_t length)
{
	struct stat status;
	struct undo *undo;

	if (fstat(file, &status) < 0)
		return;
	if (length < status.st_size)
		keep_data(file, length, (size_t)(status.st_size - length));
	undo = undo_new(UNDO_LENGTH, file, &status);
	undo->offset = status.st_size;
}

int
ftruncate(int file, off_t length)
{
	WATCHED(file, keep_truncation(file, length), (int)syscall(SYS_ftruncate, file, length));
}

int
ftruncate64(int file, off_t length)
{
	return ftruncate(file, length);
}

/* ---- flushing: only what was written before the call is covered ---- */

static int
flush(int file, long call)
{
	struct stat status;
	uint64_t up_to;
	int result, reason;

	if (!on || fstat(file, &status) < 0)
		return (int)syscall(call, file);
	lock();
	count_call();
	up_to = calls;
	unlock();
	result = (int)syscall(call, file);
	reason = errno;
	lock();
	if (result == 0)
		forget(&status, up_to);
	unlock();
	errno = reason;
	return result;
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

/* ---- folders ---- */

/* Our own descriptor of the folder that path lies in, and the name there. */
static int
parent_of(int folder, const char *path, char name[static NAME_MAX + 1], struct stat *status)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	int opened;

	snprintf(name, NAME_MAX + 1, "%s", slash == NULL ? path : slash + 1);
	if (slash == NULL)
		strcpy(parent, ".");
	else
		snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	opened = (int)syscall(SYS_openat, folder, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (opened >= 0 && fstat(opened, status) < 0) {
		close(opened);
		opened = -1;
	}
	return opened;
}

static void
keep_entry(enum kind kind, int folder, const char *path)
{
	char name[NAME_MAX + 1];
	struct stat status;
	struct undo *undo;
	int parent = parent_of(folder, path, name, &status);

	if (parent < 0)
		return;
	undo = undo_new(kind, parent, &status);
	snprintf(undo->name, sizeof(undo->name), "%s", name);
	close(parent);
}

static int
open_watched(int folder, const char *path, int flags, mode_t mode)
{
	struct stat status;
	bool creates, truncates;
	int file, reason;

	if (!on || (flags & O_TMPFILE) == O_TMPFILE || (flags & O_PATH) || (flags & O_ACCMODE) == O_RDONLY)
		return (int)syscall(SYS_openat, folder, path, flags, mode);
	lock();
	creates = (flags & O_CREAT) && fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) < 0;
	truncates = (flags & O_TRUNC) && !creates;
	/* Old octets must be readable. */
	file = (int)syscall(SYS_openat, folder, path,
	    ((flags & O_ACCMODE) == O_WRONLY ? (flags & ~O_ACCMODE) | O_RDWR : flags) & ~(truncates ? O_TRUNC : 0), mode);
	if (file < 0 && errno == EACCES)
		file = (int)syscall(SYS_openat, folder, path, flags, mode);
	reason = errno;
	if (file >= 0 && (creates || truncates))
		count_call();
	if (file >= 0 && creates)
		keep_entry(UNDO_CREATE, folder, path);
	if (file >= 0 && truncates && fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
		keep_truncation(file, 0);
		syscall(SYS_ftruncate, file, 0L);
	}
	unlock();
	errno = reason;
	return file;
}

static mode_t
mode_argument(int flags, va_list arguments)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN_AS(name) \
	int name(const char *path, int flags, ...) \
	{ \
		va_list arguments; \
		mode_t mode; \
		va_start(arguments, flags); \
		mode = mode_argument(flags, arguments); \
		va_end(arguments); \
		return open_watched(AT_FDCWD, path, flags, mode); \
	}
#define OPENAT_AS(name) \
	int name(int folder, const char *path, int flags, ...) \
	{ \
		va_list arguments; \
		mode_t mode; \
		va_start(arguments, flags); \
		mode = mode_argument(flags, arguments); \
		va_end(arguments); \
		return open_watched(folder, path, flags, mode); \
	}
OPEN_AS(open)
OPEN_AS(open64)
OPENAT_AS(openat)
OPENAT_AS(openat64)

int
creat(const char *path, mode_t mode)
{
	return open_watched(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int
mkdirat(int folder, const char *path, mode_t mode)
{
	int result, reason;

	if (!on)
		return (int)syscall(SYS_mkdirat, folder, path, mode);
	lock();
	result = (int)syscall(SYS_mkdirat, folder, path, mode);
	reason = errno;
	if (result == 0) {
		count_call();
		keep_entry(UNDO_MKDIR, folder, path);
	}
	unlock();
	errno = reason;
	return result;
}

int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* The file gets a hidden name until the folder is flushed. */
static int
hide(int folder, const char *path)
{
	char name[NAME_MAX + 1], hidden[NAME_MAX + 1];
	struct stat status;
	struct undo *undo;
	int parent = parent_of(folder, path, name, &status), result;

	if (parent < 0)
		return (int)syscall(SYS_unlinkat, folder, path, 0);
	snprintf(hidden, sizeof(hidden), ".unflushed-%d-%u", (int)getpid(), hidden_count++);
	result = (int)syscall(SYS_renameat2, parent, name, parent, hidden, 0);
	if (result == 0) {
		undo = undo_new(UNDO_UNLINK, parent, &status);
		snprintf(undo->name, sizeof(undo->name), "%s", name);
		snprintf(undo->other_name, sizeof(undo->other_name), "%s", hidden);
	}
	close(parent);
	return result;
}

int
unlinkat(int folder, const char *path, int flags)
{
	struct stat status;
	int result, reason;

	if (!on || (flags & AT_REMOVEDIR) || fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(status.st_mode))
		return (int)syscall(SYS_unlinkat, folder, path, flags);
	lock();
	count_call();
	result = hide(folder, path);
	reason = errno;
	unlock();
	errno = reason;
	return result;
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

static int
rename_watched(int from_folder, const char *from, int to_folder, const char *to)
{
	char from_name[NAME_MAX + 1], to_name[NAME_MAX + 1];
	struct stat from_status, to_status, replaced;
	int from_parent = parent_of(from_folder, from, from_name, &from_status);
	int to_parent = parent_of(to_folder, to, to_name, &to_status);
	int result = -1;
	struct undo *undo;

	if (from_parent < 0 || to_parent < 0) {
		result = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
		goto out;
	}
	if (fstatat(to_parent, to_name, &replaced, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(replaced.st_mode))
		hide(to_parent, to_name);
	result = (int)syscall(SYS_renameat2, from_parent, from_name, to_parent, to_name, 0);
	if (result == 0) {
		undo = undo_new(UNDO_RENAME, from_parent, &from_status);
		undo->other = place_use(to_parent, &to_status);
		snprintf(undo->name, sizeof(undo->name), "%s", from_name);
		snprintf(undo->other_name, sizeof(undo->other_name), "%s", to_name);
	}
out:
	if (from_parent >= 0)
		close(from_parent);
	if (to_parent >= 0)
		close(to_parent);
	return result;
}

int
renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
	int result, reason;

	if (!on || flags != 0)
		return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
	lock();
	count_call();
	result = rename_watched(from_folder, from, to_folder, to);
	reason = errno;
	unlock();
	errno = reason;
	return result;
}

int
renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	return renameat2(from_folder, from, to_folder, to, 0);
}

int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
