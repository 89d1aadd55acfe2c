/*
 * wire - how integers, strings and bytes are laid out in packets and on disk
 *
 * Integers are little-endian and of fixed width. A string is a u32 length, the bytes and a NUL, so that
 * a reader can lend it out as a C string without copying; it contains no other NUL. Bytes are a u32
 * length and the bytes. A reader never passes its end: the first violation makes it fail, every later
 * read then yields zero or the empty string, and one check at the end suffices.
 */
#ifndef COMMON_BASE_WIRE_H
#define COMMON_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

struct bytes {
	const void *data;	/* borrowed */
	size_t length;
};

bool wire_put_u8(struct buffer *out, uint8_t value);
bool wire_put_u16(struct buffer *out, uint16_t value);
bool wire_put_u32(struct buffer *out, uint32_t value);
bool wire_put_u64(struct buffer *out, uint64_t value);
bool wire_put_string(struct buffer *out, const char *value);	/* NULL is written as "" */
bool wire_put_bytes(struct buffer *out, const void *data, size_t length);

struct wire_reader {
	const uint8_t *next;
	const uint8_t *end;
	bool failed;
};

void wire_reader_init(struct wire_reader *reader, const void *data, size_t length);
uint8_t wire_get_u8(struct wire_reader *reader);
uint16_t wire_get_u16(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
/* At most limit bytes of text, lent from the reader's memory; "" on failure. */
const char *wire_get_string(struct wire_reader *reader, size_t limit);
/* At most limit bytes, lent from the reader's memory. */
struct bytes wire_get_bytes(struct wire_reader *reader, size_t limit);
/* True when nothing failed and everything was read. */
bool wire_reader_finished(const struct wire_reader *reader);

#endif
