/* memory - see memory.h */
#include "common/base/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define KEPT_OCTETS (16 * 1024 * 1024)
#define MAPPED_OCTETS (1024 * 1024)	/* so large a piece comes from the kernel and goes back to it */

static void
out_of_memory(void)
{
	static const char text[] = "matador: out of memory\n";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)ignored;
	_exit(EX_OSERR);
}

void *
memory_new(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	if (memory == NULL)
		out_of_memory();
	return memory;
}

void *
memory_resize(void *memory, size_t count, size_t size)
{
	void *resized = reallocarray(memory, count ? count : 1, size ? size : 1);

	if (resized == NULL)
		out_of_memory();
	return resized;
}

void *
memory_copy(const void *data, size_t length)
{
	char *copy;

	if (length + 1 == 0)
		out_of_memory();
	copy = malloc(length + 1);
	if (copy == NULL)
		out_of_memory();
	if (length > 0)
		memcpy(copy, data, length);
	copy[length] = '\0';
	return copy;
}

char *
memory_copy_string(const char *string)
{
	return string == NULL ? NULL : memory_copy(string, strlen(string));
}

void
memory_keep_freed(void)
{
#ifdef M_TRIM_THRESHOLD
	mallopt(M_TRIM_THRESHOLD, KEPT_OCTETS);
	mallopt(M_MMAP_THRESHOLD, MAPPED_OCTETS);
#endif
}

void
memory_wipe(void *memory, size_t length)
{
	explicit_bzero(memory, length);
}
