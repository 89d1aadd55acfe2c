/*
 * slow_flush - a slower disk: every flush of a file takes FLUSH_MICROSECONDS longer
 *
 * Preloaded into servers by the benchmark. It models the latency of a disk, not a disk that does few things at a time.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void
wait_for_disk(void)
{
	static const long microseconds = FLUSH_MICROSECONDS;
	struct timespec time = { microseconds / 1000000, microseconds % 1000000 * 1000 };

	nanosleep(&time, NULL);
}

int
fsync(int file)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

	wait_for_disk();
	return real(file);
}

int
fdatasync(int file)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

	wait_for_disk();
	return real(file);
}
