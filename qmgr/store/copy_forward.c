/*
 * copy_forward - segments are freed, made, and emptied of the few messages that still need them
 *
 * In the reader thread, a bounded step at a time. Only the oldest segment is copied, because segments are
 * freed in their order
 * (docs/mailbox-format.md, "Freeing").
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "qmgr/store/internal.h"

#define SPARE_SEGMENTS 2		/* made ahead: one for results, one to go on with */
#define FREE_MAX 8			/* more are removed */
#define SLACK_SEGMENTS 8		/* so many in use are never worth copying */
#define STEP_RECORDS 512
#define OUTSTANDING_MAX (4 * 1024 * 1024)
#define PASS_PAUSE_MS 1000
#define PATIENT_PASSES 600		/* so long what cannot be read is waited for; then it counts as lost */
#define UNREAD_MAX 4096			/* messages for which that time runs at once; the others come later */
#define DISK_CHECK_MS 1000

/* ---- freeing and making ---- */

static void
remove_file(const struct journal *journal, const struct segment *segment)
{
	char name[SEGMENT_NAME_SIZE];

	segment_name(segment->number, name);
	unlinkat(journal->directory, name, 0);
}

void
segments_free_oldest(struct store *store)
{
	struct journal *journal = &store->journal;

	pthread_mutex_lock(&store->lock);
	while (journal->used.count > 1 && journal->used.list[0].live == 0) {
		part_reader_forget(&store->reader.parts, journal->used.list[0].serial);
		segment_list_append(&journal->free, &journal->used.list[0]);
		segment_list_remove_first(&journal->used);
	}
	pthread_mutex_unlock(&store->lock);
}

/* What is not to be used again, or too much, goes; but not before a durable header says that it is free. */
static void
remove_surplus(struct store *store)
{
	struct journal *journal = &store->journal;
	struct segment_list removed = { NULL, 0, 0 };
	size_t kept = 0, count;

	pthread_mutex_lock(&store->lock);
	count = journal->free.count;
	for (size_t i = 0; i < journal->free.count; i++) {
		const struct segment *segment = &journal->free.list[i];

		if (segment->serial < journal->durable_oldest && (segment->suspect || count > FREE_MAX)) {
			segment_list_append(&removed, segment);
			count--;
		} else {
			journal->free.list[kept++] = *segment;
		}
	}
	journal->free.count = kept;
	pthread_mutex_unlock(&store->lock);
	for (size_t i = 0; i < removed.count; i++)
		remove_file(journal, &removed.list[i]);
	free(removed.list);
}

static void
prepare_work(struct store *store, struct job *job)
{
	struct segment segment = { .size = store->segment_size };
	char name[SEGMENT_NAME_SIZE];
	struct error error;
	int result;

	if (store->closing) {
		free(job);
		return;
	}
	pthread_mutex_lock(&store->lock);
	segment.number = store->journal.next_number++;
	pthread_mutex_unlock(&store->lock);
	segment_name(segment.number, name);
	result = segment_create(store->journal.directory, name, segment.size, &error);
	pthread_mutex_lock(&store->lock);
	if (result == 0)
		segment_list_append(&store->journal.free, &segment);
	pthread_mutex_unlock(&store->lock);
	store_set_trouble(store, TROUBLE_SEGMENT, result < 0);
	store->preparing = false;
	free(job);
}

static void
make_spares(struct store *store)
{
	size_t count = 0;
	struct job *job;

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < store->journal.free.count; i++)
		count += !store->journal.free.list[i].suspect;
	pthread_mutex_unlock(&store->lock);
	if (count >= SPARE_SEGMENTS) {
		store_set_trouble(store, TROUBLE_SEGMENT, false);
		return;
	}
	if (store->preparing || !deadline_passed(store->reader.prepare_at))
		return;
	store->reader.prepare_at = store->troubles & TROUBLE_SEGMENT ? deadline_after_ms(DISK_CHECK_MS) : 0;
	store->preparing = true;
	job = memory_new(1, sizeof(*job));
	job->work = prepare_work;
	helpers_add(store, job);
}

static void
check_disk(struct store *store)
{
	struct statvfs disk;
	uint64_t percent;

	if (!deadline_passed(store->reader.disk_check))
		return;
	store->reader.disk_check = deadline_after_ms(DISK_CHECK_MS);
	if (fstatvfs(store->journal.directory, &disk) < 0 || disk.f_blocks == 0)
		return;
	percent = (uint64_t)disk.f_bavail * 100 / disk.f_blocks;
	store->disk_short = percent < 2 * store->options.disk_reserve_percent;
	store_set_trouble(store, TROUBLE_DISK, percent < store->options.disk_reserve_percent);
}

void
segments_tend(struct store *store)
{
	segments_free_oldest(store);
	remove_surplus(store);
	make_spares(store);
	check_disk(store);
}

/* ---- copying ---- */

/* The oldest segment, if it is to be copied now; serial 0 otherwise. */
static struct segment
choose(struct store *store)
{
	struct segment_list *used = &store->journal.used;
	struct segment oldest = { .serial = 0 };
	uint64_t live = 0, total = 0, slack, factor = store->disk_short ? 2 : 4;

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < used->count; i++) {
		live += used->list[i].live;
		total += used->list[i].size;
	}
	slack = (store->disk_short ? 2 : SLACK_SEGMENTS) * store->segment_size;
	if (used->count > 1 && (used->list[0].suspect || (total > slack &&
	    (used->list[0].live * 4 < used->list[0].size || total > factor * live + slack))))
		oldest = used->list[0];
	pthread_mutex_unlock(&store->lock);
	return oldest;
}

/* Makes sure that the message stands in the table, where the committer checks it, and marks it. */
static struct message *
claim(struct store *store, uint64_t id, uint64_t serial, struct buffer *envelope, struct error *error)
{
	struct message *message, *clone = NULL;
	bool needs = false;

	if (reader_find(store, id, &clone, envelope, error) < 0) {
		reader_index_failed(store, error);
		return NULL;
	}
	for (uint32_t i = 0; clone != NULL && i < clone->part_count; i++)
		needs |= clone->parts[i].serial == serial;
	/* One that is moving and not copied has changes that its row is yet to learn. */
	if (!needs || clone->copying || clone->place == MESSAGE_MOVING) {
		message_free(&clone);
		return NULL;
	}
	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	if (message == NULL && envelope->length > 0) {
		message = message_clone(clone);
		message->place = MESSAGE_MOVING;
		message_table_insert(&store->table, message);
	}
	if (message != NULL)
		message->copying = true;
	pthread_mutex_unlock(&store->lock);
	if (message == NULL)
		message_free(&clone);
	return clone;
}

/*
 * The disk could not read something of the message. True: nor could it in the first pass, and in each pass since then
 * something of those that failed there could not be read. Only they keep the time running: what fails only later has
 * its own, once they are read or given up. A failure that is not the disk's (no descriptor is left, say) tells nothing
 * about the message.
 */
static bool
is_unread_for_long(struct copying *copying, uint64_t id, const struct error *error)
{
	bool known;

	if (error->number != EIO)
		return false;
	if (copying->passes == 0) {
		if (copying->unread == NULL)
			copying->unread = recent_new(UNREAD_MAX);
		recent_add(copying->unread, id);
	}
	known = copying->unread != NULL && recent_has(copying->unread, id);
	copying->failed |= known;
	return known && copying->passes >= PATIENT_PASSES;
}

/* It is waited for no longer: its loss is told. */
static void
say_given_up(struct store *store, const struct message *message)
{
	const struct part *part = &message->parts[0];
	struct segment *segment;
	uint32_t number = 0;

	pthread_mutex_lock(&store->lock);
	segment = journal_segment(&store->journal, part->serial);
	if (segment != NULL)
		number = segment->number;
	pthread_mutex_unlock(&store->lock);
	store_say_damaged(store, number, (uint64_t)part->record * 8, part->octets, message->id);
	store->reader.copying.gave_up = true;
}

/* The message as a batch of its own, in its present state. NULL: its content cannot be read now. */
static struct store_batch *
make_copy(struct store *store, const struct message *message, const struct envelope *envelope)
{
	struct store_content *content = NULL;
	struct store_batch *batch;
	struct record_entry entry = { .content_crc = 0 };
	struct error error = ERROR_INITIALIZER;
	uint8_t flags = ENTRY_COPY | (message->held ? ENTRY_HELD : 0);
	uint32_t number = 0;
	struct segment *segment;

	pthread_mutex_lock(&store->lock);
	segment = journal_segment(&store->journal, message->parts[0].serial);
	if (segment != NULL)
		number = segment->number;
	pthread_mutex_unlock(&store->lock);
	if (segment != NULL && part_read(&store->reader.parts, number, &message->parts[0], &entry, &error) == 0 &&
	    !message->in_file)
		content = part_read_content(&store->reader.parts, &message->parts[0], &entry, &error);
	if (error.kind == ERROR_SYSTEM && !is_unread_for_long(&store->reader.copying, message->id, &error))
		return NULL;
	if (error.kind == ERROR_SYSTEM)
		say_given_up(store, message);
	else if (error.kind != ERROR_NONE)
		reader_report_damage(store, message, &message->parts[0], &error);
	/* A content that is lost becomes a body file that is missing: the delivery will say so. */
	if (content == NULL)
		flags |= ENTRY_FILE;
	batch = batch_new(store);
	batch->is_copy = true;
	batch->copy_through = message->through;
	batch->copy_through_entry = message->through_entry;
	batch_put(batch, ENTRY_ADD, flags, message->id, envelope, NULL, content, message->size);
	if (batch->error == NULL && content == NULL)
		record_entry_set_crc(batch->octets.data + batch->entries[0].at, entry.content_crc);
	store_content_release(&content);
	return batch;
}

/*
 * The row of a parked message takes in the copy (NULL: none was written) and nothing else: the table may include changes already
 * that are still on their way to the reader, and of those the row's envelope and keys know nothing.
 */
static int
put_copy(struct store *store, uint64_t id, const struct part *copy, struct error *error)
{
	struct message *row = NULL;
	bool active;
	int result = index_get(store->reader.index, id, &row, NULL, &active, error);

	if (result == 1 && copy != NULL && message_apply(row, copy, row->size, message_live_nothing, NULL))
		result = index_put_parts(store->reader.index, row, error);
	if (result >= 0 && row != NULL)
		reader_leave_to_index(store, row);
	message_free(&row);
	return result;
}

/* The message is no longer being copied; one that is parked goes back to the index alone. copy: what was written, or NULL. */
static void
release_claim(struct store *store, uint64_t id, const struct part *copy)
{
	struct message *message;
	struct error error;
	bool moving;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	moving = message != NULL && message->place == MESSAGE_MOVING;
	if (message != NULL)
		message->copying = false;
	pthread_mutex_unlock(&store->lock);
	if (moving && store->reader.index != NULL && put_copy(store, id, copy, &error) < 0)
		reader_index_failed(store, &error);
}

/* A copy was written, or the message changed meanwhile and it was not. */
void
copy_forward_done(struct store *store, const struct request *request)
{
	store->reader.copying.outstanding -= request->content_length;
	release_claim(store, request->id, request->part.sequence > 0 ? &request->part : NULL);
}

static void
copy_message(struct store *store, uint64_t id, uint64_t serial)
{
	struct copying *copying = &store->reader.copying;
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct error error;
	struct envelope envelope;
	struct store_batch *batch = NULL;
	struct message *message = claim(store, id, serial, &octets, &error);
	int result;

	if (message != NULL) {
		result = octets.length > 0 ? envelope_decode(octets.data, octets.length, &envelope, &error) :
		    reader_load(store, message, &envelope, &error);
		message->held |= result == 1;
		if (result >= 0) {
			batch = make_copy(store, message, &envelope);
			envelope_free(&envelope);
		} else if (error.kind == ERROR_SYSTEM && is_unread_for_long(copying, id, &error) &&
		    message->place == MESSAGE_WAITING && store->disk_short) {
			/* It stands between the journal and the room that it needs. */
			say_given_up(store, message);
			reader_drop(store, id);
			message_free(&message);
		}
	}
	if (batch != NULL && batch->error == NULL) {
		copying->outstanding += batch_record_length(batch);
		store->copied_octets += batch_record_length(batch);
		committer_add_copy(store, batch);
	} else if (message != NULL) {
		if (batch != NULL)
			batch_free(batch);
		release_claim(store, id, NULL);
	}
	message_free(&message);
	buffer_free(&octets);
}

/* Reads head and entries of the record at offset, if one is there. */
static bool
read_record(int file, const struct store *store, uint64_t serial, uint64_t offset, struct buffer *octets,
    struct record_head *head)
{
	char *room;

	buffer_clear(octets);
	room = buffer_reserve(octets, RECORD_HEAD_SIZE);
	if (segment_pread(file, room, RECORD_HEAD_SIZE, offset) != RECORD_HEAD_SIZE ||
	    !record_parse_head(room, RECORD_OCTETS_MAX, head) || head->mailbox != store->journal.mailbox ||
	    head->serial != serial)
		return false;
	buffer_commit(octets, RECORD_HEAD_SIZE);
	room = buffer_reserve(octets, head->entries_length);
	if (segment_pread(file, room, head->entries_length, offset + RECORD_HEAD_SIZE) != (ssize_t)head->entries_length)
		return false;
	buffer_commit(octets, head->entries_length);
	return record_entries_are_sound(octets->data, head);
}

static void
copy_record(struct store *store, const struct buffer *octets, const struct record_head *head)
{
	struct record_reader entries;
	struct record_entry entry;

	record_reader_init(&entries, octets->data, head);
	while (record_next_entry(&entries, &entry))
		if (entry.kind != ENTRY_DONE)
			copy_message(store, entry.id, head->serial);
}

static void
copy_some(struct store *store, const struct segment *segment)
{
	struct copying *copying = &store->reader.copying;
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct record_head head;
	char name[SEGMENT_NAME_SIZE];
	int file;

	segment_name(segment->number, name);
	file = openat(store->journal.directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	for (unsigned i = 0; file >= 0 && i < STEP_RECORDS && copying->offset < segment->size &&
	    copying->outstanding < OUTSTANDING_MAX; i++) {
		if (read_record(file, store, segment->serial, copying->offset, &octets, &head)) {
			copy_record(store, &octets, &head);
			copying->offset = (copying->offset + head.length + 7) / 8 * 8;
		} else {
			copying->offset = (copying->offset / SEGMENT_PAGE + 1) * SEGMENT_PAGE;
		}
	}
	if (file >= 0)
		close(file);
	buffer_free(&octets);
}

static void
end_pass(struct copying *copying)
{
	copying->passes = copying->failed && !copying->gave_up ? copying->passes + 1 : 0;
	if (copying->passes == 0)
		recent_free(&copying->unread);
	copying->failed = copying->gave_up = false;
	copying->offset = SEGMENT_DATA;
}

void
copy_forward_step(struct store *store)
{
	struct copying *copying = &store->reader.copying;
	struct segment oldest = choose(store);

	if (copying->serial != oldest.serial) {
		copying->failed = false;	/* of the segment before */
		end_pass(copying);
		copying->serial = oldest.serial;
		copying->next = 0;
	}
	if (oldest.serial == 0 || !deadline_passed(copying->next))
		return;
	copy_some(store, &oldest);
	if (copying->offset >= oldest.size) {
		end_pass(copying);
		copying->next = deadline_after_ms(PASS_PAUSE_MS);
	}
}
