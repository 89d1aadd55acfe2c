/*
 * memory - allocation that never returns NULL
 *
 * Exhaustion ends the process with EX_OSERR; master restarts it. Sizes are products checked for
 * overflow. Memory is given back with free(3).
 */
#ifndef COMMON_BASE_MEMORY_H
#define COMMON_BASE_MEMORY_H

#include <stddef.h>

/* Zeroed room for count elements of size bytes; the caller owns it. */
void *memory_new(size_t count, size_t size);

/* Grows or shrinks what memory_new() returned to count elements of size bytes; new bytes are not zeroed. */
void *memory_resize(void *memory, size_t count, size_t size);

/* A copy of length bytes with a NUL behind them; the caller owns it. */
void *memory_copy(const void *data, size_t length);

/* A copy of a string; NULL stays NULL. The caller owns it. */
char *memory_copy_string(const char *string);

/* For a program whose buffers come and go with each message: up to 16 MiB that were freed stay with the process for the next one. */
void memory_keep_freed(void);

/* Overwrites a secret in a way the compiler may not remove. */
void memory_wipe(void *memory, size_t length);

#endif
