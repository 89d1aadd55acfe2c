/*
 * preload_clock - a wall clock that a test can set, for one program
 *
 *	cc -shared -fPIC -O2 -D_GNU_SOURCE -o clock.so preload_clock.c
 *	WALL_CLOCK_SHIFT=FILE LD_PRELOAD=clock.so ...
 *
 * FILE holds the seconds by which the wall clock is ahead, as a signed 64-bit number in the machine's order; what a test writes
 * there holds from that moment on. The file is mapped before the program shuts itself in. Clocks that nobody can set are not touched.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t none;
static const volatile int64_t *shift = &none;

__attribute__((constructor)) static void
map_shift(void)
{
	const char *path = getenv("WALL_CLOCK_SHIFT");
	int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *place = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);

	if (place == MAP_FAILED)
		abort();
	shift = place;
	close(file);
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	int result;

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))(uintptr_t)dlsym(RTLD_NEXT, "clock_gettime");
	result = real(clock, now);
	if (result == 0 && clock == CLOCK_REALTIME)
		now->tv_sec += *shift;
	return result;
}

time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return 0;
}
