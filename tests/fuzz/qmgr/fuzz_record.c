/*
 * fuzz_record - any octets as a segment, its header, and its records
 *
 * The input is what stands behind the header pages. So that the fuzzer gets past the checksums, each record that it wrote
 * is sealed before it is read: what is tested then is the structure behind a right checksum.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mail/envelope.h"
#include "qmgr/store/record.h"
#include "qmgr/store/segment.h"

#define MAILBOX 0x1122334455667788u
#define SERIAL 3
#define SIZE_MAX_TESTED (SEGMENT_DATA + 16 * SEGMENT_PAGE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take_record(void *context, const struct record_head *head, const void *record, uint64_t offset)
{
	struct record_reader reader;
	struct record_entry entry;
	struct envelope envelope;
	uint64_t *before = context;

	(void)offset;
	if (head->sequence <= *before)
		abort();
	*before = head->sequence;
	record_reader_init(&reader, record, head);
	while (record_next_entry(&reader, &entry)) {
		if (entry.envelope != NULL &&
		    envelope_decode(entry.envelope, entry.envelope_length, &envelope, NULL) == 0)
			envelope_free(&envelope);
		if (entry.kind == ENTRY_ADD && !(entry.flags & ENTRY_FILE) &&
		    entry.content_offset + entry.content_length > head->length)
			abort();
	}
	if (reader.failed)
		abort();
}

static void
take_damage(void *context, uint64_t offset, const void *octets, uint64_t length, uint64_t guess_id)
{
	const volatile char *next = octets;

	(void)context;
	(void)offset;
	(void)guess_id;
	for (uint64_t i = 0; i < length; i++)
		(void)next[i];
}

/* Gives what looks like a record the right numbers and checksum. */
static void
seal_all(char *segment, uint64_t size)
{
	struct record_head head;

	for (uint64_t offset = SEGMENT_DATA; offset < size; offset += 8) {
		if (!record_parse_head(segment + offset, size - offset, &head))
			continue;
		head.mailbox = MAILBOX;
		head.serial = SERIAL;
		record_seal(segment + offset, &head);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment_frame frame = { .mailbox = MAILBOX, .serial = SERIAL, .first = 1 };
	struct segment_header header;
	struct segment_found found;
	uint64_t total, before = 0, serial, sequence;
	char *segment;

	if (size > SIZE_MAX_TESTED - SEGMENT_DATA)
		size = SIZE_MAX_TESTED - SEGMENT_DATA;
	total = SEGMENT_DATA + size;
	segment = calloc(1, total);
	if (segment == NULL)
		return 0;
	memcpy(segment + SEGMENT_DATA, data, size);
	if (size >= SEGMENT_PAGE)
		segment_header_decode(data, &header);
	segment_scan(segment, total, &frame, take_record, take_damage, &before, &found);
	seal_all(segment, total);
	before = 0;
	segment_scan(segment, total, &frame, take_record, take_damage, &before, &found);
	frame.first = 0;
	before = 0;
	segment_scan(segment, total, &frame, take_record, take_damage, &before, &found);
	segment_identify(segment, total, MAILBOX, &serial, &sequence);
	free(segment);
	return 0;
}
