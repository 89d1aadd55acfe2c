/* record - see record.h */
#include "qmgr/store/record.h"

#include <endian.h>
#include <string.h>

#include "common/base/crc32c.h"

#define MAGIC 0x4345524du
#define TYPE_BATCH 1

static void
put16(char *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof(value));
}

static void
put32(char *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static void
put64(char *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

static uint16_t
get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return le16toh(value);
}

static uint32_t
get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t
get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

bool
record_put_entry(struct buffer *out, enum entry_kind kind, uint8_t flags, uint64_t id,
    const struct envelope *envelope, const bool *chosen, uint64_t content_length)
{
	size_t before = out->length;
	size_t head_size = kind == ENTRY_ADD ? RECORD_ADD_HEAD_SIZE : RECORD_ENTRY_HEAD_SIZE;
	char *head = buffer_reserve(out, head_size);

	if (head == NULL)
		return false;
	memset(head, 0, head_size);
	head[0] = (char)kind;
	head[1] = (char)flags;
	put64(head + 8, id);
	if (kind == ENTRY_ADD)
		put64(head + 16, content_length);
	buffer_commit(out, head_size);
	if (envelope != NULL && !envelope_encode(envelope, chosen, out)) {
		out->length = before;
		return false;
	}
	put32(out->data + before + 4, (uint32_t)(out->length - before));
	return true;
}

void
record_entry_set_crc(char *entry, uint32_t content_crc)
{
	put32(entry + 24, content_crc);
}

void
record_seal(char *record, struct record_head *head)
{
	put32(record, MAGIC);
	put32(record + 8, head->length);
	put32(record + 12, head->entries_length);
	put16(record + 16, TYPE_BATCH);
	put16(record + 18, head->count);
	put32(record + 20, 0);
	put64(record + 24, head->sequence);
	put64(record + 32, head->serial);
	put64(record + 40, head->flushed);
	put64(record + 48, head->mailbox);
	head->crc = crc32c(0, record + 8, RECORD_HEAD_SIZE - 8 + head->entries_length);
	put32(record + 4, head->crc);
}

bool
record_parse_head(const void *data, uint64_t available, struct record_head *head_out)
{
	const uint8_t *record = data;

	if (available < RECORD_HEAD_SIZE || get32(record) != MAGIC || get16(record + 16) != TYPE_BATCH ||
	    get32(record + 20) != 0)
		return false;
	head_out->crc = get32(record + 4);
	head_out->length = get32(record + 8);
	head_out->entries_length = get32(record + 12);
	head_out->count = get16(record + 18);
	head_out->sequence = get64(record + 24);
	head_out->serial = get64(record + 32);
	head_out->flushed = get64(record + 40);
	head_out->mailbox = get64(record + 48);
	return head_out->length >= RECORD_HEAD_SIZE && head_out->length <= available &&
	    head_out->entries_length <= head_out->length - RECORD_HEAD_SIZE;
}

void
record_reader_init(struct record_reader *reader, const void *data, const struct record_head *head)
{
	reader->next = (const uint8_t *)data + RECORD_HEAD_SIZE;
	reader->end = reader->next + head->entries_length;
	reader->content_offset = RECORD_HEAD_SIZE + (uint64_t)head->entries_length;
	reader->length = head->length;
	reader->left = head->count;
	reader->failed = false;
}

/* The content of an ADD lies inside the record, behind those before it. */
static bool
place_content(struct record_reader *reader, struct record_entry *entry)
{
	if (entry->kind != ENTRY_ADD || (entry->flags & ENTRY_FILE))
		return true;
	if (entry->content_length > reader->length - reader->content_offset)
		return false;
	entry->content_offset = reader->content_offset;
	reader->content_offset += entry->content_length;
	return true;
}

bool
record_next_entry(struct record_reader *reader, struct record_entry *entry_out)
{
	const uint8_t *at = reader->next;
	size_t head_size, available = (size_t)(reader->end - at);

	if (reader->failed)
		return false;
	if (reader->left == 0) {
		reader->failed = available != 0 || reader->content_offset != reader->length;
		return false;
	}
	reader->failed = true;
	if (available < RECORD_ENTRY_HEAD_SIZE || at[0] < ENTRY_ADD || at[0] > ENTRY_DONE)
		return false;
	*entry_out = (struct record_entry){ .kind = at[0], .flags = at[1], .length = get32(at + 4), .id = get64(at + 8) };
	head_size = entry_out->kind == ENTRY_ADD ? RECORD_ADD_HEAD_SIZE : RECORD_ENTRY_HEAD_SIZE;
	if (entry_out->length < head_size || entry_out->length > available)
		return false;
	if (entry_out->kind == ENTRY_ADD) {
		entry_out->content_length = get64(at + 16);
		entry_out->content_crc = get32(at + 24);
	}
	if (!place_content(reader, entry_out))
		return false;
	if (entry_out->kind <= ENTRY_UPDATE) {
		entry_out->envelope = at + head_size;
		entry_out->envelope_length = entry_out->length - head_size;
	}
	reader->next += entry_out->length;
	reader->left--;
	reader->failed = false;
	return true;
}

bool
record_entries_are_sound(const void *data, const struct record_head *head)
{
	struct record_reader reader;
	struct record_entry entry;

	if (crc32c(0, (const char *)data + 8, RECORD_HEAD_SIZE - 8 + (size_t)head->entries_length) != head->crc)
		return false;
	record_reader_init(&reader, data, head);
	while (record_next_entry(&reader, &entry))
		;
	return !reader.failed;
}

bool
record_is_good(const void *data, uint64_t available, uint64_t mailbox, uint64_t serial, struct record_head *head_out)
{
	struct record_reader reader;
	struct record_entry entry;

	if (!record_parse_head(data, available, head_out) || head_out->mailbox != mailbox || head_out->serial != serial ||
	    !record_entries_are_sound(data, head_out))
		return false;
	record_reader_init(&reader, data, head_out);
	while (record_next_entry(&reader, &entry))
		if (entry.kind == ENTRY_ADD && !(entry.flags & ENTRY_FILE) &&
		    crc32c(0, (const char *)data + entry.content_offset, entry.content_length) != entry.content_crc)
			return false;
	return true;
}
