/*
 * preload_kill_after_flush - kills the process between a flush and everything that follows from it
 *
 *	cc -shared -fPIC -O2 -D_GNU_SOURCE -o kill_after_flush.so preload_kill_after_flush.c
 *	KILL_AFTER_FLUSHES=7 LD_PRELOAD=kill_after_flush.so ...
 *
 * After so many calls of fdatasync(2) that succeeded the process gets SIGKILL, before the last of them returns: what it
 * flushed is on the disk, and nobody was told. 0 or nothing: never. Only the flush of what pwritev(2) wrote counts: that is
 * how qmgr writes its records, and nothing else.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096

static atomic_bool written[FILES];	/* by descriptor: since its last flush */
static atomic_ulong flushes;
static unsigned long kill_after;

__attribute__((constructor)) static void
start(void)
{
	const char *value = getenv("KILL_AFTER_FLUSHES");

	kill_after = value == NULL ? 0 : strtoul(value, NULL, 10);
}

ssize_t
pwritev(int file, const struct iovec *vectors, int count, off_t offset)
{
	if (file >= 0 && file < FILES)
		atomic_store(&written[file], true);
	return syscall(SYS_pwritev, file, vectors, count, offset, 0L);
}

ssize_t
pwritev64(int file, const struct iovec *vectors, int count, off_t offset)
{
	return pwritev(file, vectors, count, offset);
}

int
fdatasync(int file)
{
	int result = (int)syscall(SYS_fdatasync, file);

	if (result == 0 && file < FILES && atomic_exchange(&written[file], false) &&
	    atomic_fetch_add(&flushes, 1) + 1 == kill_after) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	return result;
}
