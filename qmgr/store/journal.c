/* journal - see journal.h */
#include "qmgr/store/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/crc32c.h"

void
segment_list_append(struct segment_list *list, const struct segment *segment)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 16;
		list->list = memory_resize(list->list, list->capacity, sizeof(*list->list));
	}
	list->list[list->count++] = *segment;
}

void
segment_list_remove_first(struct segment_list *list)
{
	list->count--;
	memmove(list->list, list->list + 1, list->count * sizeof(*list->list));
}

static int
by_serial(const void *a, const void *b)
{
	const struct segment *first = a, *second = b;

	return first->serial < second->serial ? -1 : first->serial > second->serial;
}

/* What was found in the folder, before it is known what is in use. */
struct finding {
	struct segment_list all;
	struct segment_list headless;
	uint64_t oldest;
	uint64_t newest;
};

static void
note_written(struct journal *journal, const struct stat *status)
{
	int64_t written_ms = (int64_t)status->st_mtim.tv_sec * 1000 + status->st_mtim.tv_nsec / 1000000;

	if (written_ms > journal->written_ms)
		journal->written_ms = written_ms;
}

/* -1 only when nothing may be touched. */
static int
look_at(struct journal *journal, const char *name, uint32_t number, struct finding *finding, struct error *error)
{
	struct segment segment = { .number = number };
	struct segment_header header;
	struct stat status;
	int file = openat(journal->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (file < 0)
		return errno == ELOOP || errno == ENXIO ? 0 : error_system(error, errno, "%s", name);
	if (fstat(file, &status) < 0) {
		error_system(error, errno, "%s", name);
		close(file);
		return -1;
	}
	if (!S_ISREG(status.st_mode)) {
		close(file);
		return 0;
	}
	segment.size = segment.made_size = (uint64_t)status.st_size;
	note_written(journal, &status);
	switch (segment_headers_read(file, &header)) {
	case SEGMENT_HEADER_NEWER:
		close(file);
		return error_set(error, ERROR_INVALID, "%s is in a newer format than this program knows; install the program "
		    "that wrote it", name);
	case SEGMENT_HEADER_GOOD:
		segment.serial = header.serial;
		segment.epoch = header.epoch;
		segment.first = header.first;
		segment.end = header.end;
		segment.closed = header.closed;
		segment.made_size = header.size;
		segment.suspect = segment.made_size != segment.size;
		segment.mailbox = header.mailbox;
		if (segment.serial > finding->newest) {
			finding->newest = segment.serial;
			journal->mailbox = header.mailbox;
		}
		if (header.oldest > finding->oldest)
			finding->oldest = header.oldest;
		segment_list_append(&finding->all, &segment);
		break;
	case SEGMENT_HEADER_EMPTY:
		segment.suspect = segment.size < SEGMENT_SIZE_MIN || segment.size % SEGMENT_PAGE != 0;
		segment_list_append(&finding->headless, &segment);
		break;
	case SEGMENT_HEADER_BAD:
		segment.suspect = true;
		segment_list_append(&finding->headless, &segment);
		break;
	}
	close(file);
	return 0;
}

/* A segment without a header is known by the records in it; if there are none and it is sound, it was never used. -1 when one cannot
 * be read: nobody knows what would be lost by going on without it. */
static int
identify(struct journal *journal, struct finding *finding, struct error *error)
{
	for (size_t i = 0; i < finding->headless.count; i++) {
		struct segment *segment = &finding->headless.list[i];
		uint64_t sequence, size;
		void *data = journal_read_segment(journal, segment, &size, error);

		if (data == NULL)
			return -1;
		if (segment_identify(data, size, journal->mailbox, &segment->serial, &sequence)) {
			segment->epoch = sequence >> SEQUENCE_EPOCH_SHIFT;
			segment->mailbox = journal->mailbox;
			segment->suspect = true;
			segment_list_append(&finding->all, segment);
		} else if (!segment->suspect) {
			segment_list_append(&journal->free, segment);
		}
		free(data);
	}
	return 0;
}

static int
sort_out(struct journal *journal, struct finding *finding, struct error *error)
{
	journal->durable_oldest = finding->oldest;
	if (identify(journal, finding, error) < 0)
		return -1;
	qsort(finding->all.list, finding->all.count, sizeof(*finding->all.list), by_serial);
	for (size_t i = 0; i < finding->all.count; i++) {
		struct segment *segment = &finding->all.list[i];

		if (segment->mailbox != journal->mailbox)
			continue;	/* another mailbox' file: left alone */
		segment_list_append(segment->serial >= finding->oldest ? &journal->used : &journal->free, segment);
		if (segment->serial >= journal->next_serial)
			journal->next_serial = segment->serial + 1;
		if (segment->epoch > journal->epoch)
			journal->epoch = segment->epoch;
	}
	return 0;
}

int
journal_find(const char *folder, struct journal *journal, struct error *error)
{
	struct finding finding = { { NULL, 0, 0 }, { NULL, 0, 0 }, 0, 0 };
	struct dirent *entry;
	uint32_t number;
	DIR *files;
	int result = 0;

	*journal = (struct journal){ .directory = -1, .next_number = 1, .next_serial = 1, .written_ms = INT64_MIN };
	journal->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (journal->folder < 0)
		return error_system(error, errno, "%s", folder);
	journal->directory = openat(journal->folder, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (journal->directory < 0 && errno == ENOENT)
		return 0;
	files = journal->directory < 0 ? NULL : fdopendir(dup(journal->directory));
	if (files == NULL) {
		result = error_system(error, errno, "%s/journal", folder);
		journal_close(journal);
		return result;
	}
	while (result == 0 && (errno = 0, entry = readdir(files)) != NULL) {
		if (!segment_name_parse(entry->d_name, &number))
			continue;
		if (number >= journal->next_number)
			journal->next_number = number + 1;
		result = look_at(journal, entry->d_name, number, &finding, error);
	}
	if (result == 0 && errno != 0)
		result = error_system(error, errno, "%s/journal", folder);
	closedir(files);
	if (result == 0)
		result = sort_out(journal, &finding, error);
	free(finding.all.list);
	free(finding.headless.list);
	if (result < 0)
		journal_close(journal);
	return result;
}

static void
remove_unfinished(struct journal *journal)
{
	struct dirent *entry;
	DIR *files = fdopendir(dup(journal->directory));

	if (files == NULL)
		return;
	rewinddir(files);
	while ((entry = readdir(files)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (strncmp(entry->d_name, "seg-", 4) == 0 && length > 4 && strcmp(entry->d_name + length - 4, ".new") == 0)
			unlinkat(journal->directory, entry->d_name, 0);
	}
	closedir(files);
}

int
journal_prepare(struct journal *journal, struct error *error)
{
	if (journal->directory < 0) {
		if (mkdirat(journal->folder, "journal", 0700) < 0 && errno != EEXIST)
			return error_system(error, errno, "make journal");
		journal->directory = openat(journal->folder, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (journal->directory < 0 || fsync(journal->folder) < 0)
			return error_system(error, errno, "open journal");
	}
	remove_unfinished(journal);
	return 0;
}

void
journal_close(struct journal *journal)
{
	if (journal->directory >= 0)
		close(journal->directory);
	if (journal->folder >= 0)
		close(journal->folder);
	journal->directory = journal->folder = -1;
	free(journal->used.list);
	free(journal->free.list);
	journal->used = journal->free = (struct segment_list){ NULL, 0, 0 };
}

struct segment *
journal_segment(const struct journal *journal, uint64_t serial)
{
	size_t low = 0, high = journal->used.count;

	if (high > 0 && serial >= journal->used.list[0].serial &&
	    serial - journal->used.list[0].serial < high &&
	    journal->used.list[serial - journal->used.list[0].serial].serial == serial)
		return &journal->used.list[serial - journal->used.list[0].serial];
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (journal->used.list[middle].serial == serial)
			return &journal->used.list[middle];
		if (journal->used.list[middle].serial < serial)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void
journal_live(void *context, uint64_t serial, int64_t octets)
{
	struct segment *segment = journal_segment(context, serial);

	if (segment != NULL)
		segment->live += (uint64_t)octets;
}

struct segment_frame
journal_frame(const struct journal *journal, size_t place)
{
	const struct segment *segment = &journal->used.list[place];
	const struct segment *next = place + 1 < journal->used.count ? segment + 1 : NULL;
	struct segment_frame frame = { .mailbox = journal->mailbox, .serial = segment->serial, .first = segment->first };

	if (next != NULL && next->first != 0) {
		frame.closed = true;
		frame.claimed = next->end;
	} else if (next == NULL) {
		frame.claimed = segment->closed;
	}
	return frame;
}

void *
journal_read_segment(const struct journal *journal, const struct segment *segment, uint64_t *size_out,
    struct error *error)
{
	char name[SEGMENT_NAME_SIZE];
	struct stat status;
	void *data = NULL;
	int file;

	segment_name(segment->number, name);
	file = openat(journal->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 || fstat(file, &status) < 0) {
		error_system(error, errno, "%s", name);
	} else {
		*size_out = (uint64_t)status.st_size;
		data = segment_read(file, *size_out, error);
	}
	if (file >= 0)
		close(file);
	return data;
}

/* ---- single entries ---- */

void
part_reader_init(struct part_reader *reader, const struct journal *journal)
{
	*reader = (struct part_reader){ .directory = journal->directory, .mailbox = journal->mailbox, .file = -1 };
	buffer_init(&reader->record, 0);
}

void
part_reader_close(struct part_reader *reader)
{
	if (reader->file >= 0)
		close(reader->file);
	reader->file = -1;
	buffer_free(&reader->record);
}

void
part_reader_forget(struct part_reader *reader, uint64_t serial)
{
	if (reader->file >= 0 && reader->serial == serial) {
		close(reader->file);
		reader->file = -1;
	}
}

static int
part_damaged(const struct part *part, uint32_t number, const char *text, struct error *error)
{
	return error_set(error, ERROR_DAMAGED, "seg-%06u at %llu: %s", number, (unsigned long long)part->record * 8, text);
}

/* Exactly length octets of the open segment. A disk that cannot be read may be able to later: that is no damage. */
static int
read_octets(struct part_reader *reader, const struct part *part, uint64_t offset, uint64_t length, char *out,
    struct error *error)
{
	ssize_t got = segment_pread(reader->file, out, length, offset);

	if (got == (ssize_t)length)
		return 0;
	if (got < 0)
		return error_system(error, errno, "segment %llu at %llu", (unsigned long long)part->serial,
		    (unsigned long long)offset);
	return error_set(error, ERROR_DAMAGED, "segment %llu at %llu: the file was cut short", (unsigned long long)part->serial,
	    (unsigned long long)offset);
}

static int
open_segment(struct part_reader *reader, uint32_t number, uint64_t serial, struct error *error)
{
	char name[SEGMENT_NAME_SIZE];

	if (reader->file >= 0 && reader->serial == serial)
		return 0;
	if (reader->file >= 0)
		close(reader->file);
	segment_name(number, name);
	reader->serial = serial;
	reader->file = openat(reader->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return reader->file >= 0 ? 0 : error_system(error, errno, "%s", name);
}

int
part_read(struct part_reader *reader, uint32_t number, const struct part *part, struct record_entry *entry_out,
    struct error *error)
{
	struct record_reader entries;
	struct record_head head;
	uint64_t offset = (uint64_t)part->record * 8;
	char *room;

	if (open_segment(reader, number, part->serial, error) < 0)
		return -1;
	buffer_clear(&reader->record);
	room = buffer_reserve(&reader->record, RECORD_HEAD_SIZE);
	if (read_octets(reader, part, offset, RECORD_HEAD_SIZE, room, error) < 0)
		return -1;
	if (!record_parse_head(room, RECORD_OCTETS_MAX, &head) || head.mailbox != reader->mailbox ||
	    head.serial != part->serial || head.sequence != part->sequence)
		return part_damaged(part, number, "the record is not there", error);
	buffer_commit(&reader->record, RECORD_HEAD_SIZE);
	room = buffer_reserve(&reader->record, head.entries_length);
	if (read_octets(reader, part, offset + RECORD_HEAD_SIZE, head.entries_length, room, error) < 0)
		return -1;
	buffer_commit(&reader->record, head.entries_length);
	if (!record_entries_are_sound(reader->record.data, &head))
		return part_damaged(part, number, "the record does not verify", error);
	record_reader_init(&entries, reader->record.data, &head);
	for (unsigned i = 0; i <= part->entry; i++)
		if (!record_next_entry(&entries, entry_out))
			return part_damaged(part, number, "the entry is not there", error);
	return 0;
}

struct store_content *
part_read_content(struct part_reader *reader, const struct part *part, const struct record_entry *entry,
    struct error *error)
{
	struct store_content *content = store_content_new(entry->content_length);

	if (read_octets(reader, part, (uint64_t)part->record * 8 + entry->content_offset, content->length, content->data,
	    error) < 0) {
		store_content_release(&content);
		return NULL;
	}
	if (crc32c(0, content->data, content->length) == entry->content_crc)
		return content;
	store_content_release(&content);
	error_set(error, ERROR_DAMAGED, "segment %llu at %llu: the content does not verify",
	    (unsigned long long)part->serial, (unsigned long long)part->record * 8);
	return NULL;
}

const void *
part_read_raw(struct part_reader *reader, uint32_t number, const struct part *part, uint64_t *length_out)
{
	size_t wanted = RECORD_HEAD_SIZE + (size_t)part->octets;
	struct error ignored;
	ssize_t got;
	char *room;

	if (open_segment(reader, number, part->serial, &ignored) < 0)
		return NULL;
	buffer_clear(&reader->record);
	room = buffer_reserve(&reader->record, wanted);
	got = segment_pread(reader->file, room, wanted, (uint64_t)part->record * 8);
	*length_out = got < 0 ? 0 : (uint64_t)got;
	return got < 0 ? NULL : room;
}

static void
swap_recipients(struct envelope_recipient *a, struct envelope_recipient *b)
{
	struct envelope_recipient c = *a;

	*a = *b;
	*b = c;
}

void
envelope_take_update(struct envelope *base, struct envelope *update, bool whole)
{
	if (whole) {
		struct envelope old = *base;

		base->recipients = update->recipients;
		base->recipient_count = update->recipient_count;
		base->recipient_capacity = update->recipient_capacity;
		update->recipients = old.recipients;
		update->recipient_count = old.recipient_count;
		update->recipient_capacity = old.recipient_capacity;
	} else {
		for (size_t i = 0; i < update->recipient_count; i++) {
			struct envelope_recipient *changed = &update->recipients[i];
			struct envelope_recipient *known = envelope_find_recipient(base, changed->number);

			if (known == NULL) {
				known = envelope_add_recipient(base, "");
				for (; known > base->recipients && known[-1].number > changed->number; known--)
					swap_recipients(known, known - 1);
			}
			swap_recipients(known, changed);
		}
	}
	envelope_free(update);
}

int
message_load_envelope(struct part_reader *reader, const struct message *message, const uint32_t *numbers,
    struct envelope *envelope_out, const struct part **bad_out, struct error *error)
{
	struct record_entry entry;
	struct envelope update;
	int result = 0;

	*bad_out = &message->parts[0];
	envelope_init(envelope_out);
	for (uint32_t i = 0; i < message->part_count; i++) {
		if (message->parts[i].kind == ENTRY_HOLD)
			continue;
		if (part_read(reader, numbers[i], &message->parts[i], &entry, error) < 0 ||
		    envelope_decode(entry.envelope, entry.envelope_length, i == 0 ? envelope_out : &update, error) < 0) {
			*bad_out = &message->parts[i];
			if (i == 0 || error->kind == ERROR_SYSTEM) {
				envelope_free(envelope_out);
				return -1;
			}
			result = 1;
			continue;
		}
		if (i > 0)
			envelope_take_update(envelope_out, &update, (entry.flags & ENTRY_WHOLE) != 0);
	}
	return result;
}
