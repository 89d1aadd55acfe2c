/* wire - see wire.h */
#include "common/base/wire.h"

#include <endian.h>
#include <string.h>

bool
wire_put_u8(struct buffer *out, uint8_t value)
{
	return buffer_append(out, &value, sizeof(value));
}

bool
wire_put_u16(struct buffer *out, uint16_t value)
{
	value = htole16(value);
	return buffer_append(out, &value, sizeof(value));
}

bool
wire_put_u32(struct buffer *out, uint32_t value)
{
	value = htole32(value);
	return buffer_append(out, &value, sizeof(value));
}

bool
wire_put_u64(struct buffer *out, uint64_t value)
{
	value = htole64(value);
	return buffer_append(out, &value, sizeof(value));
}

bool
wire_put_string(struct buffer *out, const char *value)
{
	size_t length;

	if (value == NULL)
		value = "";
	length = strlen(value);
	return length <= UINT32_MAX && wire_put_u32(out, (uint32_t)length) &&
	    buffer_append(out, value, length + 1);
}

bool
wire_put_bytes(struct buffer *out, const void *data, size_t length)
{
	return length <= UINT32_MAX && wire_put_u32(out, (uint32_t)length) &&
	    buffer_append(out, data, length);
}

void
wire_reader_init(struct wire_reader *reader, const void *data, size_t length)
{
	reader->next = reader->end = data;
	/* nothing may have no address, to which nothing can be added */
	if (length > 0)
		reader->end += length;
	reader->failed = false;
}

/* The next length bytes, or NULL (and the reader failed) when there are not that many. */
static const uint8_t *
take(struct wire_reader *reader, size_t length)
{
	const uint8_t *taken = reader->next;

	if (reader->failed || (size_t)(reader->end - reader->next) < length) {
		reader->failed = true;
		return NULL;
	}
	reader->next += length;
	return taken;
}

uint8_t
wire_get_u8(struct wire_reader *reader)
{
	const uint8_t *data = take(reader, 1);

	return data == NULL ? 0 : *data;
}

uint16_t
wire_get_u16(struct wire_reader *reader)
{
	const uint8_t *data = take(reader, 2);
	uint16_t value = 0;

	if (data != NULL)
		memcpy(&value, data, sizeof(value));
	return le16toh(value);
}

uint32_t
wire_get_u32(struct wire_reader *reader)
{
	const uint8_t *data = take(reader, 4);
	uint32_t value = 0;

	if (data != NULL)
		memcpy(&value, data, sizeof(value));
	return le32toh(value);
}

uint64_t
wire_get_u64(struct wire_reader *reader)
{
	const uint8_t *data = take(reader, 8);
	uint64_t value = 0;

	if (data != NULL)
		memcpy(&value, data, sizeof(value));
	return le64toh(value);
}

const char *
wire_get_string(struct wire_reader *reader, size_t limit)
{
	uint32_t length = wire_get_u32(reader);
	const uint8_t *data;

	if (reader->failed || length > limit) {
		reader->failed = true;
		return "";
	}
	data = take(reader, (size_t)length + 1);
	if (data == NULL)
		return "";
	if (data[length] != '\0' || memchr(data, '\0', length) != NULL) {
		reader->failed = true;
		return "";
	}
	return (const char *)data;
}

struct bytes
wire_get_bytes(struct wire_reader *reader, size_t limit)
{
	uint32_t length = wire_get_u32(reader);
	const uint8_t *data;

	if (reader->failed || length > limit) {
		reader->failed = true;
		return (struct bytes){ "", 0 };
	}
	data = take(reader, length);
	return data == NULL ? (struct bytes){ "", 0 } : (struct bytes){ data, length };
}

bool
wire_reader_finished(const struct wire_reader *reader)
{
	return !reader->failed && reader->next == reader->end;
}
