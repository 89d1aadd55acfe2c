/* index_row - see index_row.h */
#include "qmgr/store/index_row.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/wire.h"
#include "qmgr/store/index.h"

enum { ROW_ACTIVE = 1, ROW_HELD = 2, ROW_IN_FILE = 4 };

/* ---- keys ---- */

/* Sorts as bytes like the numbers do. */
void
index_time_key(int64_t time, uint8_t key[static INDEX_TIME_SIZE])
{
	uint64_t biased = htobe64((uint64_t)time ^ (uint64_t)1 << 63);

	memcpy(key, &biased, sizeof(biased));
}

int64_t
index_time_of(const uint8_t *key)
{
	uint64_t biased;

	memcpy(&biased, key, sizeof(biased));
	return (int64_t)(be64toh(biased) ^ (uint64_t)1 << 63);
}

void
index_id_key(uint64_t id, uint8_t key[static INDEX_ID_SIZE])
{
	id = htobe64(id);
	memcpy(key, &id, sizeof(id));
}

uint64_t
index_id_of(const uint8_t *key)
{
	uint64_t id;

	memcpy(&id, key, sizeof(id));
	return be64toh(id);
}

/* The keys' destinations: 8 octets of time, then text and NUL, one behind the other. */
const uint8_t *
index_next_destination(const uint8_t *at, const uint8_t *end, const uint8_t **text_out, size_t *length_out)
{
	const uint8_t *nul;

	if (end - at <= INDEX_TIME_SIZE)
		return NULL;
	nul = memchr(at + INDEX_TIME_SIZE, '\0', (size_t)(end - at) - INDEX_TIME_SIZE);
	if (nul == NULL)
		return NULL;
	*text_out = at + INDEX_TIME_SIZE;
	*length_out = (size_t)(nul - *text_out);
	return nul + 1;
}

static void
add_destination(struct buffer *destinations, const char *name, int64_t next_attempt)
{
	const uint8_t *start = (const uint8_t *)buffer_text(destinations), *end = start + destinations->length;
	const uint8_t *text, *next;
	uint8_t key[INDEX_TIME_SIZE];
	size_t length;

	for (const uint8_t *at = start; at != NULL; at = next) {
		next = index_next_destination(at, end, &text, &length);
		if (next == NULL)
			break;
		if (strcmp((const char *)text, name) != 0)
			continue;
		if (next_attempt < index_time_of(at))
			index_time_key(next_attempt, (uint8_t *)destinations->data + (at - start));
		return;
	}
	index_time_key(next_attempt, key);
	buffer_append(destinations, key, sizeof(key));
	buffer_append(destinations, name, strlen(name) + 1);
}

void
index_keys_make(const struct envelope *envelope, struct index_keys *keys_out)
{
	char name[INDEX_DESTINATION_MAX];
	bool any = false;

	keys_out->due = 0;
	buffer_init(&keys_out->destinations, 0);
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		const struct envelope_recipient *recipient = &envelope->recipients[i];

		if (recipient->state != RECIPIENT_NEW && recipient->state != RECIPIENT_WAITING)
			continue;
		if (!any || recipient->next_attempt_ms < keys_out->due)
			keys_out->due = recipient->next_attempt_ms;
		any = true;
		if (recipient->state != RECIPIENT_WAITING)
			continue;
		snprintf(name, sizeof(name), "%s:%s", transport_name(recipient->transport),
		    recipient->next_hop == NULL ? "" : recipient->next_hop);
		add_destination(&keys_out->destinations, name,
		    recipient->waits_for_turn ? 0 : recipient->next_attempt_ms);
	}
}

/* ---- rows ---- */

void
index_row_encode(const struct index_row *row, struct buffer *out)
{
	const struct message *message = row->message;

	wire_put_u8(out, INDEX_ROW_VERSION);
	wire_put_u8(out, (uint8_t)((row->active ? ROW_ACTIVE : 0) | (message->held ? ROW_HELD : 0) |
	    (message->in_file ? ROW_IN_FILE : 0)));
	wire_put_u64(out, message->size);
	wire_put_u64(out, (uint64_t)row->due);
	wire_put_u64(out, message->through);
	wire_put_u16(out, message->through_entry);
	wire_put_u32(out, message->part_count);
	for (uint32_t i = 0; i < message->part_count; i++) {
		const struct part *part = &message->parts[i];

		wire_put_u64(out, part->sequence);
		wire_put_u64(out, part->serial);
		wire_put_u32(out, part->record);
		wire_put_u32(out, part->octets);
		wire_put_u16(out, part->entry);
		wire_put_u8(out, part->kind);
		wire_put_u8(out, part->flags);
	}
	wire_put_bytes(out, row->destinations.data, row->destinations.length);
}

#define PART_SIZE 28

bool
index_row_decode(uint64_t id, const void *data, size_t length, struct index_row *row_out)
{
	struct wire_reader reader;
	struct message *message = message_new(id);
	uint8_t version, flags;
	uint32_t count;

	wire_reader_init(&reader, data, length);
	version = wire_get_u8(&reader);
	flags = wire_get_u8(&reader);
	message->size = wire_get_u64(&reader);
	row_out->due = (int64_t)wire_get_u64(&reader);
	message->through = wire_get_u64(&reader);
	message->through_entry = wire_get_u16(&reader);
	count = wire_get_u32(&reader);
	if (version != INDEX_ROW_VERSION || count == 0 || count > (size_t)(reader.end - reader.next) / PART_SIZE) {
		message_free(&message);
		return false;
	}
	if (count > message->part_capacity) {
		message->parts = memory_new(count, sizeof(*message->parts));
		message->part_capacity = count;
	}
	for (message->part_count = 0; message->part_count < count; message->part_count++) {
		struct part *part = &message->parts[message->part_count];

		part->sequence = wire_get_u64(&reader);
		part->serial = wire_get_u64(&reader);
		part->record = wire_get_u32(&reader);
		part->octets = wire_get_u32(&reader);
		part->entry = wire_get_u16(&reader);
		part->kind = wire_get_u8(&reader);
		part->flags = wire_get_u8(&reader);
	}
	row_out->destinations = wire_get_bytes(&reader, UINT32_MAX);
	message->held = (flags & ROW_HELD) != 0;
	message->in_file = (flags & ROW_IN_FILE) != 0;
	message->place = MESSAGE_WAITING;
	message->indexed = true;
	row_out->active = (flags & ROW_ACTIVE) != 0;
	row_out->message = message;
	if (wire_reader_finished(&reader))
		return true;
	message_free(&message);
	return false;
}
