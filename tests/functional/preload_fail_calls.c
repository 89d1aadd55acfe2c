/*
 * preload_fail_calls - one call on the disk fails, at the place and in the way that a test says while the program runs
 *
 *	cc -shared -fPIC -O2 -D_GNU_SOURCE -o fail_calls.so preload_fail_calls.c
 *	FAIL_CALLS=FILE LD_PRELOAD=fail_calls.so ...
 *
 * FILE holds a struct control. It is mapped before the program shuts itself in, so the test goes on writing to it. Counted is every call
 * on regular files and folders: opening, making, reading, writing, flushing, naming, removing, closing, asking.
 *
 *	at	the so-many-th call from now fails; counts down to 0, which is: none
 *	times	so many calls fail, that one and those after it
 *	reason	the errno. ENOSPC and EDQUOT come only from calls that can need room, others fail with EIO in their place. 0: a call
 *		that reads or writes does the first half of what was asked; others are passed over until one does. EROFS too comes
 *		only from calls that can need room
 *	calls	how many were counted
 *	failed	how many of them failed
 *	name	of the one that failed last
 *	only	if there is a name, only calls of that name are counted
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
	int64_t at;
	int64_t times;
	int64_t reason;
	int64_t calls;
	int64_t failed;
	char name[24];
	char only[24];
};

enum need { ROOM = 1, LENGTH = 2 };	/* may need room on the disk; can be done in part */

static struct control *control;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("FAIL_CALLS");
	int file = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);

	if (file < 0)
		return;
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (control == MAP_FAILED)
		abort();
	syscall(SYS_close, file);
}

/* Whether this call is to fail; errno says how, 0: in part. */
static bool
fails(const char *name, enum need need)
{
	bool result = false;
	int64_t reason;

	if (control == NULL || (control->only[0] != '\0' && strcmp(control->only, name) != 0))
		return false;
	pthread_mutex_lock(&lock);
	reason = control->reason;
	control->calls++;
	if (control->at > 1) {
		control->at--;
	} else if (control->at == 1 && (reason != 0 || (need & LENGTH)) && (reason != EROFS || (need & ROOM))) {
		result = true;
		control->failed++;
		snprintf(control->name, sizeof(control->name), "%s", name);
		if (--control->times <= 0)
			control->at = 0;
	}
	pthread_mutex_unlock(&lock);
	if (result)
		errno = (reason == ENOSPC || reason == EDQUOT) && !(need & ROOM) ? EIO : (int)reason;
	return result;
}

static bool
is_on_disk(int file)
{
	struct stat status;

	return control != NULL && syscall(SYS_newfstatat, file, "", &status, AT_EMPTY_PATH) == 0 &&
	    (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

/* ---- data ---- */

#define IN_PART(length) ((length) > 1 ? (length) / 2 : (length))
#define DATA_CALL(file, name, need, whole, part) do { \
		if (is_on_disk(file) && fails(name, need)) \
			return errno == 0 ? (part) : -1; \
		return (whole); \
	} while (0)

ssize_t
read(int file, void *data, size_t length)
{
	DATA_CALL(file, "read", LENGTH, syscall(SYS_read, file, data, length), syscall(SYS_read, file, data, IN_PART(length)));
}

ssize_t
pread(int file, void *data, size_t length, off_t offset)
{
	DATA_CALL(file, "pread", LENGTH, syscall(SYS_pread64, file, data, length, offset),
	    syscall(SYS_pread64, file, data, IN_PART(length), offset));
}

ssize_t
readv(int file, const struct iovec *vectors, int count)
{
	DATA_CALL(file, "readv", LENGTH, syscall(SYS_readv, file, vectors, count),
	    syscall(SYS_read, file, vectors[0].iov_base, IN_PART(vectors[0].iov_len)));
}

ssize_t
write(int file, const void *data, size_t length)
{
	DATA_CALL(file, "write", ROOM | LENGTH, syscall(SYS_write, file, data, length),
	    syscall(SYS_write, file, data, IN_PART(length)));
}

ssize_t
pwrite(int file, const void *data, size_t length, off_t offset)
{
	DATA_CALL(file, "pwrite", ROOM | LENGTH, syscall(SYS_pwrite64, file, data, length, offset),
	    syscall(SYS_pwrite64, file, data, IN_PART(length), offset));
}

ssize_t
writev(int file, const struct iovec *vectors, int count)
{
	DATA_CALL(file, "writev", ROOM | LENGTH, syscall(SYS_writev, file, vectors, count),
	    syscall(SYS_write, file, vectors[0].iov_base, IN_PART(vectors[0].iov_len)));
}

ssize_t
pwritev(int file, const struct iovec *vectors, int count, off_t offset)
{
	DATA_CALL(file, "pwritev", ROOM | LENGTH, syscall(SYS_pwritev, file, vectors, count, offset, 0L),
	    syscall(SYS_pwrite64, file, vectors[0].iov_base, IN_PART(vectors[0].iov_len), offset));
}

/* ---- files ---- */

#define FILE_CALL(file, name, need, call) do { \
		if (is_on_disk(file) && fails(name, need)) \
			return -1; \
		return (int)(call); \
	} while (0)

int
ftruncate(int file, off_t length)
{
	FILE_CALL(file, "ftruncate", ROOM, syscall(SYS_ftruncate, file, length));
}

int
flock(int file, int operation)
{
	FILE_CALL(file, "flock", 0, syscall(SYS_flock, file, operation));
}

int
fsync(int file)
{
	FILE_CALL(file, "fsync", ROOM, syscall(SYS_fsync, file));
}

int
fdatasync(int file)
{
	FILE_CALL(file, "fdatasync", ROOM, syscall(SYS_fdatasync, file));
}

/* The file is closed all the same, as Linux does it. */
int
close(int file)
{
	bool failing = is_on_disk(file) && fails("close", ROOM);
	int reason = errno, result = (int)syscall(SYS_close, file);

	if (!failing)
		return result;
	errno = reason;
	return -1;
}

int
fstat(int file, struct stat *status)
{
	FILE_CALL(file, "fstat", 0, syscall(SYS_newfstatat, file, "", status, AT_EMPTY_PATH));
}

off_t
lseek(int file, off_t offset, int whence)
{
	if (is_on_disk(file) && fails("lseek", 0))
		return -1;
	return (off_t)syscall(SYS_lseek, file, offset, whence);
}

/* What begins after the control is known: the linker's own calls, and those for memory, pass. */
void *
mmap(void *at, size_t length, int protection, int flags, int file, off_t offset)
{
	if (control != NULL && !(flags & MAP_ANONYMOUS) && is_on_disk(file) && fails("mmap", 0))
		return MAP_FAILED;
	return (void *)(uintptr_t)syscall(SYS_mmap, at, length, protection, flags, file, offset);
}

/* ---- names ---- */

#define NAME_CALL(name, need, call) do { \
		if (fails(name, need)) \
			return -1; \
		return (int)(call); \
	} while (0)

static mode_t
mode_argument(int flags, va_list arguments)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

int
open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = mode_argument(flags, arguments);
	va_end(arguments);
	NAME_CALL("open", flags & O_CREAT ? ROOM : 0, syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int
openat(int folder, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = mode_argument(flags, arguments);
	va_end(arguments);
	NAME_CALL("openat", flags & O_CREAT ? ROOM : 0, syscall(SYS_openat, folder, path, flags, mode));
}

int
mkdir(const char *path, mode_t mode)
{
	NAME_CALL("mkdir", ROOM, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int
mkdirat(int folder, const char *path, mode_t mode)
{
	NAME_CALL("mkdirat", ROOM, syscall(SYS_mkdirat, folder, path, mode));
}

int
rename(const char *from, const char *to)
{
	NAME_CALL("rename", ROOM, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int
renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	NAME_CALL("renameat", ROOM, syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}

int
linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
	NAME_CALL("linkat", ROOM, syscall(SYS_linkat, from_folder, from, to_folder, to, flags));
}

int
unlink(const char *path)
{
	NAME_CALL("unlink", ROOM, syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int
unlinkat(int folder, const char *path, int flags)
{
	NAME_CALL("unlinkat", ROOM, syscall(SYS_unlinkat, folder, path, flags));
}

int
fstatat(int folder, const char *path, struct stat *status, int flags)
{
	NAME_CALL("fstatat", 0, syscall(SYS_newfstatat, folder, path, status, flags));
}

int
stat(const char *path, struct stat *status)
{
	NAME_CALL("stat", 0, syscall(SYS_newfstatat, AT_FDCWD, path, status, 0));
}

int
lstat(const char *path, struct stat *status)
{
	NAME_CALL("lstat", 0, syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW));
}

int
faccessat(int folder, const char *path, int mode, int flags)
{
	NAME_CALL("faccessat", 0, flags == 0 ? syscall(SYS_faccessat, folder, path, mode) :
	    syscall(SYS_faccessat2, folder, path, mode, flags));
}

/* ---- what the library does in more steps ---- */

#define LIBRARY_CALL(type, name, ...) ({ \
		static type *real; \
		if (real == NULL) \
			real = (type *)dlsym(RTLD_NEXT, name); \
		real(__VA_ARGS__); \
	})

typedef DIR *opendir_type(const char *);
typedef DIR *fdopendir_type(int);
typedef struct dirent *readdir_type(DIR *);
typedef int statvfs_type(int, struct statvfs *);
typedef FILE *fopen_type(const char *, const char *);

DIR *
opendir(const char *path)
{
	return fails("opendir", 0) ? NULL : LIBRARY_CALL(opendir_type, "opendir", path);
}

DIR *
fdopendir(int folder)
{
	return fails("fdopendir", 0) ? NULL : LIBRARY_CALL(fdopendir_type, "fdopendir", folder);
}

struct dirent *
readdir(DIR *stream)
{
	return fails("readdir", 0) ? NULL : LIBRARY_CALL(readdir_type, "readdir", stream);
}

int
fstatvfs(int file, struct statvfs *disk)
{
	return fails("fstatvfs", 0) ? -1 : LIBRARY_CALL(statvfs_type, "fstatvfs", file, disk);
}

FILE *
fopen(const char *path, const char *mode)
{
	return fails("fopen", mode[0] == 'r' ? 0 : ROOM) ? NULL : LIBRARY_CALL(fopen_type, "fopen", path, mode);
}
