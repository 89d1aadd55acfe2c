/* recovery - see recovery.h */
#include "qmgr/store/recovery.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "qmgr/store/index.h"

#define ALWAYS_READ 2	/* segments at the end that are read for the ids in them even when the index knows them */

struct reading {
	struct recovery *recovery;
	struct segment *segment;
	bool failed;
	struct error *error;
};

int64_t
envelope_next_attempt(const struct envelope *envelope)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < envelope->recipient_count; i++) {
		const struct envelope_recipient *recipient = &envelope->recipients[i];

		if ((recipient->state == RECIPIENT_NEW || recipient->state == RECIPIENT_WAITING) &&
		    recipient->next_attempt_ms < next)
			next = recipient->next_attempt_ms;
	}
	return next == INT64_MAX ? 0 : next;
}

uint32_t *
journal_numbers(const struct journal *journal, const struct message *message)
{
	uint32_t *numbers = memory_new(message->part_count, sizeof(*numbers));

	for (uint32_t i = 0; i < message->part_count; i++) {
		const struct segment *segment = journal_segment(journal, message->parts[i].serial);

		if (segment == NULL) {
			free(numbers);
			return NULL;
		}
		numbers[i] = segment->number;
	}
	return numbers;
}

/* The message, from the table or else from the index into the table; NULL when it is not alive. */
static struct message *
find(struct reading *reading, uint64_t id)
{
	struct recovery *recovery = reading->recovery;
	struct message *message = message_table_find(recovery->table, id);
	bool active;

	if (message != NULL || recovery->index == NULL || reading->failed)
		return message;
	switch (index_get(recovery->index, id, &message, NULL, &active, reading->error)) {
	case 1:
		message_table_insert(recovery->table, message);
		return message;
	case 0:
		return NULL;
	}
	reading->failed = true;
	return NULL;
}

/* Ended by the record with that sequence. */
static void
forget(struct reading *reading, struct message *message, uint64_t sequence)
{
	struct recovery *recovery = reading->recovery;

	message_release(message, journal_live, recovery->journal);
	message_table_remove(recovery->table, message);
	if (message->indexed && index_delete(recovery->index, message->id, sequence, reading->error) < 0)
		reading->failed = true;
	message_free(&message);
}

static void
apply_entry(struct reading *reading, const struct record_entry *entry, const struct part *part)
{
	struct recovery *recovery = reading->recovery;
	struct message *message = find(reading, entry->id);

	if (entry->kind == ENTRY_DONE) {
		if (message != NULL && (message->through < part->sequence ||
		    (message->through == part->sequence && message->through_entry < part->entry)))
			forget(reading, message, part->sequence);
		return;
	}
	if (message == NULL) {
		if (entry->kind != ENTRY_ADD)
			return;
		message = message_new(entry->id);
		message->place = MESSAGE_WAITING;
		message_table_insert(recovery->table, message);
	}
	message_apply(message, part, entry->content_length, journal_live, recovery->journal);
}

static void
take_record(void *context, const struct record_head *head, const void *record, uint64_t offset)
{
	struct reading *reading = context;
	struct recovery *recovery = reading->recovery;
	struct record_reader entries;
	struct record_entry entry;

	record_reader_init(&entries, record, head);
	for (unsigned i = 0; record_next_entry(&entries, &entry); i++) {
		struct part part = part_of(head, offset, &entry, i);

		if (entry.kind == ENTRY_ADD && recovery->added != NULL)
			recovery->added(recovery->context, entry.id);
		if (head->sequence > recovery->complete && head->sequence <= recovery->limit && !reading->failed)
			apply_entry(reading, &entry, &part);
	}
	if (head->sequence > recovery->complete)
		recovery->replayed++;
}

static void
take_damage(void *context, uint64_t offset, const void *octets, uint64_t length, uint64_t guess_id)
{
	struct reading *reading = context;

	reading->segment->suspect = true;
	reading->recovery->damage_count++;
	if (reading->recovery->damaged != NULL)
		reading->recovery->damaged(reading->recovery->context, reading->segment, offset, octets, length, guess_id);
}

static int
read_segment(struct recovery *recovery, size_t place, struct error *error)
{
	struct segment *segment = &recovery->journal->used.list[place];
	struct segment_frame frame = journal_frame(recovery->journal, place);
	struct reading reading = { recovery, segment, false, error };
	struct segment_found found;
	struct error unreadable;
	/* Then what cannot be read is no damage yet: the disk may be well again in a moment, and nothing is given up for it. */
	bool running = recovery->limit != UINT64_MAX;
	uint64_t size;
	void *data;

	if (segment->end > recovery->last)
		recovery->last = segment->end;
	if (frame.closed && frame.claimed > recovery->last && frame.claimed <= recovery->complete)
		recovery->last = frame.claimed;
	if (frame.closed && frame.claimed <= recovery->complete && place + ALWAYS_READ < recovery->journal->used.count)
		return 0;
	data = journal_read_segment(recovery->journal, segment, &size, &unreadable);
	if (data == NULL || (running && unreadable.kind != ERROR_NONE)) {
		free(data);
		if (recovery->unreadable.kind == ERROR_NONE)
			recovery->unreadable = unreadable;
		if (!running)
			take_damage(&reading, 0, "", 0, 0);
		return 0;
	}
	segment_scan(data, size, &frame, take_record, take_damage, &reading, &found);
	free(data);
	if (found.last > recovery->last)
		recovery->last = found.last;
	return reading.failed ? -1 : 0;
}

static bool
part_is_freed(const struct recovery *recovery, const struct part *part)
{
	return journal_segment(recovery->journal, part->serial) == NULL;
}

/* A row of the index counts. One that was active, or names a segment that is not in use any more, is looked at
 * with what is
 * replayed. */
static bool
take_row(void *context, struct message *message, bool active)
{
	struct recovery *recovery = context;
	bool keep = active;

	for (uint32_t i = 0; i < message->part_count; i++)
		keep |= part_is_freed(recovery, &message->parts[i]);
	message_count(message, journal_live, recovery->journal);
	if (keep)
		message_table_insert(recovery->table, message);
	else
		message_free(&message);
	return true;
}

struct freed {
	const struct recovery *recovery;
	struct message **list;
	size_t count;
};

static void
note_freed(void *context, struct message *message)
{
	struct freed *freed = context;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < message->part_count; i++)
		if (i == 0 || !part_is_freed(freed->recovery, &message->parts[i]))
			message->parts[kept++] = message->parts[i];
	message->part_count = kept;
	if (kept == 0 || part_is_freed(freed->recovery, &message->parts[0]))
		freed->list[freed->count++] = message;
}

/* A segment is only freed when nothing in it is alive: an index that is older than that still knew the
 * messages that were
 * done since. */
static int
drop_freed(struct recovery *recovery, struct error *error)
{
	struct reading reading = { recovery, NULL, false, error };
	struct freed freed = { recovery, memory_new(recovery->table->count, sizeof(*freed.list)), 0 };

	message_table_each(recovery->table, note_freed, &freed);
	for (size_t i = 0; i < freed.count; i++)
		forget(&reading, freed.list[i], 0);
	free(freed.list);
	return reading.failed ? -1 : 0;
}

/* The newest header names the oldest segment in use: it, or more of them, may be missing. */
static void
look_for_lost_beginning(struct recovery *recovery)
{
	struct segment_list *used = &recovery->journal->used;
	struct reading reading = { recovery, used->list, false, NULL };

	if (used->count > 0 && recovery->journal->durable_oldest > 0 &&
	    used->list[0].serial > recovery->journal->durable_oldest)
		take_damage(&reading, 0, "", 0, 0);
}

int
recovery_run(struct recovery *recovery, struct error *error)
{
	struct segment_list *used = &recovery->journal->used;

	recovery->last = recovery->replayed = recovery->damage_count = 0;
	recovery->unreadable = (struct error)ERROR_INITIALIZER;
	for (size_t i = 0; i < used->count; i++)
		used->list[i].live = 0;
	if (recovery->index != NULL && index_each(recovery->index, take_row, recovery, error) < 0)
		return -1;
	look_for_lost_beginning(recovery);
	for (size_t i = 0; i < used->count; i++)
		if (read_segment(recovery, i, error) < 0)
			return -1;
	return drop_freed(recovery, error);
}
