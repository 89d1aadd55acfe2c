/* buffer - see buffer.h */
#include "common/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define SMALLEST_CAPACITY 64

void
buffer_init(struct buffer *buffer, size_t limit)
{
	*buffer = (struct buffer)BUFFER_INITIALIZER(limit);
}

void
buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	buffer_init(buffer, buffer->limit);
}

void
buffer_clear(struct buffer *buffer)
{
	buffer->length = 0;
	if (buffer->data != NULL)
		buffer->data[0] = '\0';
}

char *
buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t needed;

	if (__builtin_add_overflow(buffer->length, more, &needed) ||
	    (buffer->limit != 0 && needed > buffer->limit) || needed + 1 == 0)
		return NULL;
	if (needed + 1 > buffer->capacity) {
		size_t capacity = buffer->capacity ? buffer->capacity : SMALLEST_CAPACITY;

		while (capacity < needed + 1)
			if (__builtin_mul_overflow(capacity, (size_t)2, &capacity))
				return NULL;
		buffer->data = memory_resize(buffer->data, capacity, 1);
		buffer->capacity = capacity;
		buffer->data[buffer->length] = '\0';
	}
	return buffer->data + buffer->length;
}

void
buffer_commit(struct buffer *buffer, size_t count)
{
	buffer->length += count;
	buffer->data[buffer->length] = '\0';
}

bool
buffer_append(struct buffer *buffer, const void *data, size_t length)
{
	char *room = buffer_reserve(buffer, length);

	if (room == NULL)
		return false;
	if (length > 0)
		memcpy(room, data, length);
	buffer_commit(buffer, length);
	return true;
}

bool
buffer_append_string(struct buffer *buffer, const char *string)
{
	return buffer_append(buffer, string, strlen(string));
}

bool
buffer_append_byte(struct buffer *buffer, char byte)
{
	return buffer_append(buffer, &byte, 1);
}

bool
buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	int length;
	char *room;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return false;
	room = buffer_reserve(buffer, (size_t)length);
	if (room == NULL)
		return false;
	va_start(arguments, format);
	vsnprintf(room, (size_t)length + 1, format, arguments);
	va_end(arguments);
	buffer_commit(buffer, (size_t)length);
	return true;
}

void
buffer_consume(struct buffer *buffer, size_t count)
{
	if (count >= buffer->length) {
		buffer_clear(buffer);
		return;
	}
	buffer->length -= count;
	memmove(buffer->data, buffer->data + count, buffer->length + 1);
}

const char *
buffer_text(const struct buffer *buffer)
{
	return buffer->data == NULL ? "" : buffer->data;
}
