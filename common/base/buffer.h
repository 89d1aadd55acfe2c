/*
 * buffer - bytes that grow up to a limit
 *
 * Whatever a remote can grow lives in a buffer with a limit. Appending beyond it changes nothing and
 * returns false. The bytes always have a NUL behind them that length does not count, so text can be
 * handed to C functions; binary data may contain NULs.
 */
#ifndef COMMON_BASE_BUFFER_H
#define COMMON_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"

struct buffer {
	char *data;		/* owned; never NULL after the first append */
	size_t length;
	size_t capacity;
	size_t limit;		/* largest length allowed; 0: no limit */
};

#define BUFFER_INITIALIZER(limit_) { NULL, 0, 0, (limit_) }

void buffer_init(struct buffer *buffer, size_t limit);
/* Gives the memory back; the buffer is empty and usable again, its limit kept. */
void buffer_free(struct buffer *buffer);
/* Empties it, keeping the memory. */
void buffer_clear(struct buffer *buffer);
/* Makes room for more bytes behind the end and returns where they go, or NULL at the limit. */
char *buffer_reserve(struct buffer *buffer, size_t more);
/* Counts bytes that were written behind the end after buffer_reserve(). */
void buffer_commit(struct buffer *buffer, size_t count);
bool buffer_append(struct buffer *buffer, const void *data, size_t length);
bool buffer_append_string(struct buffer *buffer, const char *string);
bool buffer_append_byte(struct buffer *buffer, char byte);
/* Appends formatted text whole or not at all. */
bool buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
/* Removes count bytes (at most length) from the front. */
void buffer_consume(struct buffer *buffer, size_t count);
/* The text, never NULL. Borrowed until the next change. */
const char *buffer_text(const struct buffer *buffer);

#endif
