/*
 * offline - see offline.h
 *
 * The journal alone is read, as a start without an index would, so what is told is the truth and not what the
 * index makes of it.
 */
#include "qmgr/store/offline.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "qmgr/store/body.h"
#include "qmgr/store/journal.h"
#include "qmgr/store/recovery.h"

struct offline_mailbox {
	struct journal journal;
	struct message_table table;
	struct part_reader parts;
	int lock_file;
	int bodies;
};

/* What a verification tells as it goes. */
struct verification {
	struct offline_mailbox *mailbox;
	void (*finding)(void *context, const struct offline_finding *finding);
	void *context;
	struct offline_totals *totals;
	const struct recovery *recovery;
};

static int
take_lock(struct offline_mailbox *mailbox, const char *folder, struct error *error)
{
	mailbox->lock_file = openat(mailbox->journal.folder, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (mailbox->lock_file < 0)
		return errno == ENOENT ? 0 : error_system(error, errno, "%s/lock", folder);
	if (flock(mailbox->lock_file, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return error_set(error, ERROR_UNAVAILABLE, "%s is in use: the service runs", folder);
	return error_system(error, errno, "lock %s", folder);
}

int
offline_open(const char *folder, struct offline_mailbox **mailbox_out, struct error *error)
{
	struct offline_mailbox *mailbox = memory_new(1, sizeof(*mailbox));
	struct recovery recovery = { .journal = &mailbox->journal, .table = &mailbox->table, .limit = UINT64_MAX };

	mailbox->lock_file = mailbox->bodies = mailbox->parts.file = -1;
	message_table_init(&mailbox->table);
	if (journal_find(folder, &mailbox->journal, error) < 0 || take_lock(mailbox, folder, error) < 0)
		goto failed;
	/* Again under the lock: nobody changes it any more. */
	journal_close(&mailbox->journal);
	if (journal_find(folder, &mailbox->journal, error) < 0)
		goto failed;
	mailbox->bodies = openat(mailbox->journal.folder, "bodies", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	part_reader_init(&mailbox->parts, &mailbox->journal);
	if (recovery_run(&recovery, error) < 0)
		goto failed;
	*mailbox_out = mailbox;
	return 0;
failed:
	offline_close(&mailbox);
	return -1;
}

void
offline_close(struct offline_mailbox **closed)
{
	struct offline_mailbox *mailbox = *closed;

	if (mailbox == NULL)
		return;
	part_reader_close(&mailbox->parts);
	message_table_free(&mailbox->table);
	if (mailbox->bodies >= 0)
		close(mailbox->bodies);
	if (mailbox->lock_file >= 0)
		close(mailbox->lock_file);
	journal_close(&mailbox->journal);
	free(mailbox);
	*closed = NULL;
}

struct gathering {
	struct message **list;
	size_t count;
};

static void
gather(void *context, struct message *message)
{
	struct gathering *gathering = context;

	gathering->list[gathering->count++] = message;
}

static int
by_id(const void *a, const void *b)
{
	const struct message *const *first = a, *const *second = b;

	return (*first)->id < (*second)->id ? -1 : (*first)->id > (*second)->id;
}

/* All messages in the order of their ids; the caller frees the list. */
static struct gathering
in_order(const struct offline_mailbox *mailbox)
{
	struct gathering gathering = { memory_new(mailbox->table.count, sizeof(struct message *)), 0 };

	message_table_each(&mailbox->table, gather, &gathering);
	qsort(gathering.list, gathering.count, sizeof(*gathering.list), by_id);
	return gathering;
}

static int
load(struct offline_mailbox *mailbox, const struct message *message, struct envelope *envelope, const struct part **bad_out,
    struct error *error)
{
	uint32_t *numbers = journal_numbers(&mailbox->journal, message);
	int result;

	envelope_init(envelope);
	*bad_out = &message->parts[0];
	if (numbers == NULL)
		return error_set(error, ERROR_DAMAGED, "a segment of the message is missing");
	result = message_load_envelope(&mailbox->parts, message, numbers, envelope, bad_out, error);
	free(numbers);
	return result;
}

int
offline_each(struct offline_mailbox *mailbox, bool (*callback)(void *context, const struct store_item *item), void *context,
    struct error *error)
{
	struct gathering gathering = in_order(mailbox);
	bool more = true;
	int result = 0;

	for (size_t i = 0; i < gathering.count && more; i++) {
		const struct message *message = gathering.list[i];
		const struct part *bad;
		struct envelope envelope;
		struct store_item item = { &envelope, message->size, message->held };

		if (load(mailbox, message, &envelope, &bad, error) < 0) {
			result = -1;	/* the others are told all the same */
			continue;
		}
		more = callback(context, &item);
		envelope_free(&envelope);
	}
	free(gathering.list);
	return result;
}

/* ---- contents ---- */

/* The entry that holds the content or says what the body file is like. */
static int
read_add(struct offline_mailbox *mailbox, const struct message *message, struct record_entry *entry, struct error *error)
{
	const struct segment *segment = journal_segment(&mailbox->journal, message->parts[0].serial);

	if (segment == NULL)
		return error_set(error, ERROR_DAMAGED, "a segment of the message is missing");
	return part_read(&mailbox->parts, segment->number, &message->parts[0], entry, error);
}

static int
open_body(const struct offline_mailbox *mailbox, uint64_t id, struct error *error)
{
	char path[BODY_PATH_SIZE];
	int file;

	body_path(id, path);
	file = openat(mailbox->bodies, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return file >= 0 ? file : error_system(error, errno, "body %s", path);
}

static int
check_body(const struct offline_mailbox *mailbox, uint64_t id, const struct record_entry *entry, struct error *error)
{
	int file = open_body(mailbox, id, error), result;
	uint64_t length;
	uint32_t crc;

	if (file < 0)
		return -1;
	result = body_measure(file, &length, &crc, error);
	if (result == 0 && (length != entry->content_length || crc != entry->content_crc))
		result = error_set(error, ERROR_DAMAGED, "the body file does not verify: %llu octets, recorded were %llu",
		    (unsigned long long)length, (unsigned long long)entry->content_length);
	close(file);
	return result;
}

static struct store_content *
read_body(const struct offline_mailbox *mailbox, uint64_t id, const struct record_entry *entry, struct error *error)
{
	struct store_content *content;
	size_t length = 0;
	ssize_t got = 0;
	int file;

	if (check_body(mailbox, id, entry, error) < 0 || (file = open_body(mailbox, id, error)) < 0)
		return NULL;
	content = store_content_new(entry->content_length);
	while (length < content->length && (got = read(file, content->data + length, content->length - length)) > 0)
		length += (size_t)got;
	close(file);
	if (length < content->length) {
		error_system(error, got < 0 ? errno : EIO, "read body");
		store_content_release(&content);
	}
	return content;
}

struct store_content *
offline_content(struct offline_mailbox *mailbox, uint64_t id, struct error *error)
{
	const struct message *message = message_table_find(&mailbox->table, id);
	struct record_entry entry;

	if (message == NULL) {
		error_set(error, ERROR_UNAVAILABLE, "there is no such message");
		return NULL;
	}
	if (read_add(mailbox, message, &entry, error) < 0)
		return NULL;
	if (message->in_file)
		return read_body(mailbox, id, &entry, error);
	return part_read_content(&mailbox->parts, &message->parts[0], &entry, error);
}

/* ---- verifying ---- */

static void
tell(struct verification *verification, uint64_t id, const char *file, uint64_t offset, const char *text)
{
	struct offline_finding finding = { id, file, offset, text };

	verification->totals->findings++;
	if (verification->finding != NULL)
		verification->finding(verification->context, &finding);
}

static void
tell_of_segment(struct verification *verification, uint64_t id, const struct segment *segment, uint64_t offset, const char *text)
{
	char name[SEGMENT_NAME_SIZE] = "", file[sizeof("journal/") + SEGMENT_NAME_SIZE];

	if (segment != NULL)
		segment_name(segment->number, name);
	snprintf(file, sizeof(file), "journal/%s", name);
	tell(verification, id, file, offset, text);
}

static void
tell_of_part(struct verification *verification, uint64_t id, const struct part *part, const char *text)
{
	tell_of_segment(verification, id, journal_segment(&verification->mailbox->journal, part->serial),
	    (uint64_t)part->record * 8, text);
}

static void
tell_damage(void *context, struct segment *segment, uint64_t offset, const void *octets, uint64_t length,
    uint64_t guess_id)
{
	const struct verification *verification = context;
	const struct error *unreadable = &verification->recovery->unreadable;
	char text[sizeof(unreadable->text)];

	(void)octets;
	if (length == 0)
		snprintf(text, sizeof(text), "%s", unreadable->kind == ERROR_NONE ? "records are missing" : unreadable->text);
	else
		snprintf(text, sizeof(text), "%llu octets do not verify", (unsigned long long)length);
	tell_of_segment(context, guess_id, segment, offset, text);
}

static void
verify_body(struct verification *verification, uint64_t id, const struct record_entry *entry)
{
	char path[BODY_PATH_SIZE], file[sizeof("bodies/") + BODY_PATH_SIZE];
	struct error error;

	if (check_body(verification->mailbox, id, entry, &error) == 0)
		return;
	body_path(id, path);
	snprintf(file, sizeof(file), "bodies/%s", path);
	tell(verification, id, file, 0, error.text);
}

/* The message's entries and envelope can be read, and its body file verifies. Contents in the journal were verified with their records. */
static void
verify_message(struct verification *verification, const struct message *message)
{
	struct offline_mailbox *mailbox = verification->mailbox;
	const struct part *bad;
	struct record_entry entry;
	struct envelope envelope;
	struct error error;

	if (load(mailbox, message, &envelope, &bad, &error) != 0)
		tell_of_part(verification, message->id, bad, error.text);
	envelope_free(&envelope);
	if (read_add(mailbox, message, &entry, &error) < 0)
		tell_of_part(verification, message->id, &message->parts[0], error.text);
	else if (message->in_file)
		verify_body(verification, message->id, &entry);
}

/* Segments in use that are cut short or have lost a header. */
static void
verify_segments(struct verification *verification)
{
	const struct segment_list *used = &verification->mailbox->journal.used;

	for (size_t i = 0; i < used->count; i++) {
		const struct segment *segment = &used->list[i];

		if (segment->first == 0)
			tell_of_segment(verification, 0, segment, 0, "both headers are lost");
		else if (segment->size != segment->made_size)
			tell_of_segment(verification, 0, segment, segment->size, "the file does not have the size it was made with");
	}
}

int
offline_verify(struct offline_mailbox *mailbox, void (*finding)(void *context, const struct offline_finding *finding),
    void *context, struct offline_totals *totals_out, struct error *error)
{
	struct gathering gathering;
	struct journal again = mailbox->journal;
	struct message_table table;
	struct recovery recovery = { .journal = &again, .table = &table, .limit = UINT64_MAX, .damaged = tell_damage };
	struct verification verification = { mailbox, finding, context, totals_out, &recovery };
	int result;

	recovery.context = &verification;
	*totals_out = (struct offline_totals){ .messages = mailbox->table.count, .segments = mailbox->journal.used.count };
	verify_segments(&verification);
	again.used.list = memory_copy(again.used.list, again.used.count * sizeof(*again.used.list));
	message_table_init(&table);
	result = recovery_run(&recovery, error);
	message_table_free(&table);
	free(again.used.list);
	if (result < 0)
		return -1;
	totals_out->records = recovery.replayed;
	gathering = in_order(mailbox);
	for (size_t i = 0; i < gathering.count; i++)
		verify_message(&verification, gathering.list[i]);
	free(gathering.list);
	return 0;
}
