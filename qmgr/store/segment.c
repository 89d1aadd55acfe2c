/* segment - see segment.h */
#include "qmgr/store/segment.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/crc32c.h"

#define VERSION 1
#define READ_CHUNK (1024 * 1024)
#define READ_ATTEMPTS 3
#define READ_PAUSE_US 50000

static const char magic[8] = { 'M', 'A', 'T', 'A', 'D', 'O', 'R', 'J' };
static const char zeroes[SEGMENT_PAGE];

static uint64_t
page_get(const uint8_t *page, size_t at, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, page + at, size);
	return le64toh(value);
}

static void
page_put(char *page, size_t at, uint64_t value, size_t size)
{
	value = htole64(value);
	memcpy(page + at, &value, size);
}

static uint32_t
page_crc(const void *page)
{
	uint32_t crc = crc32c(0, page, 12);

	crc = crc32c(crc, zeroes, 4);
	return crc32c(crc, (const char *)page + 16, SEGMENT_PAGE - 16);
}

void
segment_header_encode(const struct segment_header *header, char page[static SEGMENT_PAGE])
{
	memset(page, 0, SEGMENT_PAGE);
	memcpy(page, magic, sizeof(magic));
	page_put(page, 8, VERSION, 4);
	page_put(page, 16, header->serial, 8);
	page_put(page, 24, header->epoch, 8);
	page_put(page, 32, header->first, 8);
	page_put(page, 40, header->end, 8);
	page_put(page, 48, header->oldest, 8);
	page_put(page, 56, header->size, 8);
	page_put(page, 64, header->mailbox, 8);
	page_put(page, 72, header->closed, 8);
	page_put(page, 12, page_crc(page), 4);
}

enum segment_header_state
segment_header_decode(const void *data, struct segment_header *header_out)
{
	const uint8_t *page = data;

	if (memcmp(page, zeroes, SEGMENT_PAGE) == 0)
		return SEGMENT_HEADER_EMPTY;
	if (memcmp(page, magic, sizeof(magic)) != 0 || page_get(page, 12, 4) != page_crc(page))
		return SEGMENT_HEADER_BAD;
	if (page_get(page, 8, 4) != VERSION)
		return SEGMENT_HEADER_NEWER;
	header_out->serial = page_get(page, 16, 8);
	header_out->epoch = page_get(page, 24, 8);
	header_out->first = page_get(page, 32, 8);
	header_out->end = page_get(page, 40, 8);
	header_out->oldest = page_get(page, 48, 8);
	header_out->size = page_get(page, 56, 8);
	header_out->mailbox = page_get(page, 64, 8);
	header_out->closed = page_get(page, 72, 8);
	return SEGMENT_HEADER_GOOD;
}

ssize_t
segment_pread(int file, void *data, size_t length, uint64_t offset)
{
	unsigned attempts = 0;
	size_t done = 0;

	while (done < length) {
		ssize_t got = pread(file, (char *)data + done, length - done, (off_t)(offset + done));

		if (got == 0)
			break;
		if (got > 0) {
			done += (size_t)got;
		} else if (errno != EINTR) {
			if (++attempts == READ_ATTEMPTS)
				return -1;
			usleep(READ_PAUSE_US);
		}
	}
	return (ssize_t)done;
}

/* An orderly stop writes both again, one after the other. */
static bool
is_later(const struct segment_header *header, const struct segment_header *other)
{
	return header->serial != other->serial ? header->serial > other->serial : header->closed > other->closed;
}

enum segment_header_state
segment_headers_read(int file, struct segment_header *header_out)
{
	char pages[2][SEGMENT_PAGE];
	struct segment_header headers[2];
	enum segment_header_state states[2];

	for (int i = 0; i < 2; i++) {
		ssize_t got = segment_pread(file, pages[i], SEGMENT_PAGE, (uint64_t)i * SEGMENT_PAGE);

		states[i] = got == SEGMENT_PAGE ? segment_header_decode(pages[i], &headers[i]) : SEGMENT_HEADER_BAD;
		if (states[i] == SEGMENT_HEADER_NEWER)
			return SEGMENT_HEADER_NEWER;
	}
	if (states[0] == SEGMENT_HEADER_GOOD &&
	    (states[1] != SEGMENT_HEADER_GOOD || !is_later(&headers[1], &headers[0]))) {
		*header_out = headers[0];
		return SEGMENT_HEADER_GOOD;
	}
	if (states[1] == SEGMENT_HEADER_GOOD) {
		*header_out = headers[1];
		return SEGMENT_HEADER_GOOD;
	}
	return states[0] == SEGMENT_HEADER_EMPTY && states[1] == SEGMENT_HEADER_EMPTY ? SEGMENT_HEADER_EMPTY :
	    SEGMENT_HEADER_BAD;
}

/* ---- finding records ---- */

struct place {
	uint64_t offset;
	uint64_t sequence;
};

/* The good records in their order; a jump in the sequences is a gap, judged when all is known. */
struct places {
	struct place *list;
	size_t count;
	size_t capacity;
	uint64_t flushed;		/* the highest that any of them names */
};

static uint64_t
align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static void
places_add(struct places *places, uint64_t offset, const struct record_head *head)
{
	if (places->count == places->capacity) {
		places->capacity = places->capacity ? places->capacity * 2 : 256;
		places->list = memory_resize(places->list, places->capacity, sizeof(*places->list));
	}
	places->list[places->count++] = (struct place){ offset, head->sequence };
	if (head->flushed > places->flushed && head->flushed < head->sequence)
		places->flushed = head->flushed;
}

static bool
good_at(const char *data, uint64_t size, const struct segment_frame *frame, uint64_t offset, struct record_head *head)
{
	return offset < size && record_is_good(data + offset, size - offset, frame->mailbox, frame->serial, head) &&
	    head->sequence != 0 && head->sequence != UINT64_MAX && !(frame->closed && head->sequence > frame->claimed);
}

/* Where the record behind a bad one begins, if the bad one's head still says so and a good one is there; 0
 * otherwise. */
static uint64_t
neighbour(const char *data, uint64_t size, const struct segment_frame *frame, uint64_t offset, uint64_t expected)
{
	struct record_head head;

	if (!record_parse_head(data + offset, size - offset, &head) || head.mailbox != frame->mailbox ||
	    head.serial != frame->serial || head.sequence != expected)
		return 0;
	offset = align_up(offset + head.length, 8);
	return good_at(data, size, frame, offset, &head) && head.sequence == expected + 1 ? offset : 0;
}

static void
places_find(const char *data, uint64_t size, const struct segment_frame *frame, struct places *places)
{
	uint64_t offset = SEGMENT_DATA, expected = frame->first, next;
	struct record_head head;

	while (offset < size) {
		bool good = good_at(data, size, frame, offset, &head);

		if (good && (head.sequence == expected || (offset % SEGMENT_PAGE == 0 && head.sequence > expected))) {
			places_add(places, offset, &head);
			expected = head.sequence + 1;
			offset = align_up(offset + head.length, 8);
		} else if ((next = neighbour(data, size, frame, offset, expected)) != 0) {
			offset = next;
			expected++;
		} else {
			offset = align_up(offset + 1, SEGMENT_PAGE);
		}
	}
}

/* The id in the first entry of a bad record, if that looks like one. It begins at offset or on the next page. */
static uint64_t
guess_id(const char *data, uint64_t size, uint64_t offset)
{
	struct record_head head;
	struct record_reader reader;
	struct record_entry entry;

	if (!record_parse_head(data + offset, size - offset, &head)) {
		offset = align_up(offset, SEGMENT_PAGE);
		if (offset >= size || !record_parse_head(data + offset, size - offset, &head))
			return 0;
	}
	record_reader_init(&reader, data + offset, &head);
	return record_next_entry(&reader, &entry) ? entry.id : 0;
}

/* In damage that begins at offset: the record that is expected there, if all but its contents verifies. NULL: not. */
static const char *
sound_entries(const char *data, uint64_t size, const struct segment_frame *frame, uint64_t offset, uint64_t expected,
    struct record_head *head)
{
	for (unsigned i = 0; i < 2 && offset < size; i++) {
		if (record_parse_head(data + offset, size - offset, head) && head->mailbox == frame->mailbox &&
		    head->serial == frame->serial && head->sequence == expected && record_entries_are_sound(data + offset, head))
			return data + offset;
		offset = align_up(offset, SEGMENT_PAGE);
	}
	return NULL;
}

/* Damage without a good record behind it reaches to the last octet that is not zero. */
static uint64_t
length_without_zeroes(const char *octets, uint64_t length)
{
	while (length > 0 && octets[length - 1] == '\0')
		length--;
	return length;
}

static void
tell(segment_record_cb record, void *context, const struct record_head *head, const char *octets, uint64_t offset,
    struct segment_found *found)
{
	if (record != NULL)
		record(context, head, octets, offset);
	found->records++;
	found->last = head->sequence;
}

void
segment_scan(const void *data, uint64_t size, const struct segment_frame *frame, segment_record_cb record,
    segment_damage_cb damage, void *context, struct segment_found *found_out)
{
	struct places places = { NULL, 0, 0, 0 };
	const char *octets = data;
	uint64_t offset = SEGMENT_DATA, expected = frame->first, high;

	*found_out = (struct segment_found){ 0, 0, 0 };
	places_find(octets, size, frame, &places);
	high = places.flushed > frame->claimed ? places.flushed : frame->claimed;
	for (size_t i = 0; i <= places.count; i++) {
		bool more = i < places.count;
		struct record_head head;
		const char *bad;
		uint64_t length;

		if (expected != 0 && (!more || places.list[i].sequence != expected)) {
			if (expected > high)
				break;
			if (offset > size)
				offset = size;	/* cut short in what only fills the page */
			length = more ? places.list[i].offset - offset :
			    length_without_zeroes(octets + offset, size - offset);
			found_out->damaged++;
			if (damage != NULL)
				damage(context, offset, octets + offset, length, guess_id(octets, size, offset));
			bad = sound_entries(octets, size, frame, offset, expected, &head);
			if (bad != NULL)
				tell(record, context, &head, bad, (uint64_t)(bad - octets), found_out);
		}
		if (!more)
			break;
		record_parse_head(octets + places.list[i].offset, size - places.list[i].offset, &head);
		tell(record, context, &head, octets + places.list[i].offset, places.list[i].offset, found_out);
		expected = head.sequence + 1;
		offset = align_up(places.list[i].offset + head.length, 8);
	}
	free(places.list);
}

bool
segment_identify(const void *data, uint64_t size, uint64_t mailbox, uint64_t *serial_out, uint64_t *sequence_out)
{
	struct record_head head;

	for (uint64_t offset = SEGMENT_DATA; offset < size; offset += SEGMENT_PAGE) {
		const char *at = (const char *)data + offset;

		if (!record_parse_head(at, size - offset, &head) || head.mailbox != mailbox ||
		    !record_is_good(at, size - offset, mailbox, head.serial, &head))
			continue;
		*serial_out = head.serial;
		*sequence_out = head.sequence;
		return true;
	}
	return false;
}

/* ---- files ---- */

void *
segment_read(int file, uint64_t size, struct error *error)
{
	char *data = memory_resize(NULL, size, 1);
	bool any = size == 0;
	unsigned failures = 0;

	*error = (struct error)ERROR_INITIALIZER;
	for (uint64_t offset = 0; offset < size;) {
		uint64_t wanted = size - offset < READ_CHUNK ? size - offset : READ_CHUNK;
		ssize_t got = pread(file, data + offset, wanted, (off_t)offset);
		if (got < 0 && wanted > SEGMENT_PAGE)
			wanted = SEGMENT_PAGE;
		/* A file that cannot be read anywhere is not waited for at each page. */
		if (got < 0 && failures++ < READ_ATTEMPTS)
			got = segment_pread(file, data + offset, wanted, offset);
		else if (got < 0)
			got = pread(file, data + offset, wanted, (off_t)offset);
		if (got > 0) {
			any = true;
			offset += (uint64_t)got;
			continue;
		}
		error_system(error, got < 0 ? errno : EIO, "read");
		memset(data + offset, 0, wanted);
		offset += wanted;
	}
	if (!any) {
		free(data);
		return NULL;
	}
	return data;
}

void
segment_name(uint32_t number, char name[static SEGMENT_NAME_SIZE])
{
	snprintf(name, SEGMENT_NAME_SIZE, "seg-%06u", number);
}

bool
segment_name_parse(const char *name, uint32_t *number_out)
{
	char again[SEGMENT_NAME_SIZE];
	char *end;

	if (strncmp(name, "seg-", 4) != 0 || strlen(name) >= SEGMENT_NAME_SIZE)
		return false;
	*number_out = (uint32_t)strtoul(name + 4, &end, 10);
	segment_name(*number_out, again);
	return *end == '\0' && strcmp(name, again) == 0;
}

static int
fill(int file, uint64_t size, struct error *error)
{
	static const char block[64 * 1024];

	for (uint64_t offset = 0; offset < size;) {
		size_t wanted = size - offset < sizeof(block) ? size - offset : sizeof(block);
		ssize_t put = pwrite(file, block, wanted, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return error_system(error, put < 0 ? errno : ENOSPC, "write");
		offset += (uint64_t)put;
	}
	return fsync(file) == 0 ? 0 : error_system(error, errno, "flush");
}

int
segment_create(int folder, const char *name, uint64_t size, struct error *error)
{
	char making[SEGMENT_NAME_SIZE + 4];
	int file, result = -1;

	snprintf(making, sizeof(making), "%s.new", name);
	file = openat(folder, making, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0) {
		error_system(error, errno, "%s", making);
		return -1;
	}
	if (fill(file, size, error) < 0)
		error_prefix(error, "%s", making);
	else if (renameat(folder, making, folder, name) < 0 || fsync(folder) < 0)
		error_system(error, errno, "%s", name);
	else
		result = 0;
	if (result < 0)
		unlinkat(folder, making, 0);
	close(file);
	return result;
}
