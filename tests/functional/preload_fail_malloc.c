/*
 * preload_fail_malloc - one allocation of a program fails, once
 *
 * environment: FAIL_FLAG names a file; the process that finds and removes it at its start is the one that fails, at
 * its FAIL_AFTER-th allocation from then on. Whoever comes after it (the restart) finds no file and works.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_long left = -1;

__attribute__((constructor)) static void
arm(void)
{
	const char *flag = getenv("FAIL_FLAG"), *after = getenv("FAIL_AFTER");

	if (flag != NULL && after != NULL && unlink(flag) == 0)
		left = atol(after);
}

static int
fails(void)
{
	if (left < 0)
		return 0;
	if (atomic_fetch_sub(&left, 1) != 0)
		return 0;
	errno = ENOMEM;
	return 1;
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
	return fails() ? NULL : __libc_realloc(memory, size);
}
