/*
 * commit - the committer thread: everything that waits becomes one write and one flush
 *
 * While one flush runs the next group gathers by itself, so slow disks make large groups. A group that failed is told so,
 * its segment is left for good, and its sequences become void by the next segment's header: a failed flush is never
 * tried again on the same file.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/crc32c.h"
#include "qmgr/store/internal.h"

#define GROUP_OCTETS (8 * 1024 * 1024)	/* no group grows beyond, so that a flush stays short */
#define RETRY_MS 1000			/* between attempts to open a segment after a failure */

static const char zeroes[SEGMENT_PAGE];

struct group {
	struct store_batch *first, **last;
	uint64_t octets;		/* with padding between records */
	uint64_t sequence;		/* of the last record */
};

static uint64_t
align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

/* ---- segments ---- */

/* The first free segment that is good and large enough, if there are more than `keep`. */
static bool
take_free(struct journal *journal, uint64_t needed, size_t keep, struct segment *segment_out)
{
	size_t good = 0, place = SIZE_MAX;

	for (size_t i = 0; i < journal->free.count; i++) {
		const struct segment *segment = &journal->free.list[i];

		if (segment->suspect)
			continue;
		good++;
		if (place == SIZE_MAX && segment->size >= needed + SEGMENT_DATA)
			place = i;
	}
	if (good <= keep || place == SIZE_MAX)
		return false;
	*segment_out = journal->free.list[place];
	journal->free.count--;
	memmove(&journal->free.list[place], &journal->free.list[place + 1],
	    (journal->free.count - place) * sizeof(*journal->free.list));
	return true;
}

/* Takes a free segment, or makes one. The last free one is for results only. */
static int
obtain_segment(struct store *store, uint64_t needed, bool results, struct segment *segment_out, struct error *error)
{
	struct journal *journal = &store->journal;
	uint64_t size = store->segment_size;
	char name[SEGMENT_NAME_SIZE];
	bool taken;

	if (size < needed + SEGMENT_DATA)
		size = align_up(needed + SEGMENT_DATA, SEGMENT_PAGE);
	pthread_mutex_lock(&store->lock);
	taken = take_free(journal, needed, results ? 0 : 1, segment_out);
	if (!taken)
		*segment_out = (struct segment){ .number = journal->next_number++, .size = size };
	pthread_mutex_unlock(&store->lock);
	if (taken)
		return 0;
	segment_name(segment_out->number, name);
	if (segment_create(journal->directory, name, size, error) == 0)
		return 0;
	store_set_trouble(store, TROUBLE_SEGMENT, true);
	return error_prefix(error, "new segment");
}

/* A header that may or may not be on the disk says that the segment before it ends here: nothing more may be written there. */
static void
leave_current(struct committer *committer)
{
	if (committer->file >= 0)
		close(committer->file);
	committer->file = -1;
}

static int
write_header(struct store *store, struct segment *segment, struct segment_header *header_out, struct error *error)
{
	struct committer *committer = &store->committer;
	struct segment_header header = { .epoch = store->journal.epoch, .first = committer->next_sequence,
		.end = committer->flushed, .size = segment->size, .mailbox = store->journal.mailbox };
	char pages[2 * SEGMENT_PAGE], name[SEGMENT_NAME_SIZE];
	int file;

	pthread_mutex_lock(&store->lock);
	header.serial = store->journal.next_serial++;
	header.oldest = store->journal.used.count > 0 ? store->journal.used.list[0].serial : header.serial;
	pthread_mutex_unlock(&store->lock);
	segment_header_encode(&header, pages);
	memcpy(pages + SEGMENT_PAGE, pages, SEGMENT_PAGE);
	segment_name(segment->number, name);
	file = openat(store->journal.directory, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return error_system(error, errno, "%s", name);
	if (pwrite(file, pages, sizeof(pages), 0) != sizeof(pages) || fdatasync(file) < 0 ||
	    fsync(store->journal.directory) < 0) {
		error_system(error, errno, "header of %s", name);
		close(file);
		leave_current(committer);
		return -1;
	}
	*segment = (struct segment){ .serial = header.serial, .epoch = header.epoch, .first = header.first,
		.end = header.end, .size = segment->size, .mailbox = header.mailbox, .number = segment->number };
	*header_out = header;
	return file;
}

/* Results may still find a segment where new messages found none. */
static void
wait_before_retry(struct committer *committer, bool results)
{
	committer->retry_adds = deadline_after_ms(RETRY_MS);
	if (results)
		committer->retry = committer->retry_adds;
}

/* It holds nothing, and a flush of it failed: it only waits for its removal. */
static void
leave_segment(struct store *store, struct segment *segment)
{
	segment->suspect = true;
	pthread_mutex_lock(&store->lock);
	segment_list_append(&store->journal.free, segment);
	pthread_mutex_unlock(&store->lock);
	reader_wake(store);
}

/* A new current segment, durable. */
static int
roll(struct store *store, uint64_t needed, bool results, struct error *error)
{
	struct committer *committer = &store->committer;
	struct segment_header header;
	struct segment segment;
	int file;

	if (!deadline_passed(results ? committer->retry : committer->retry_adds))
		return error_set(error, ERROR_UNAVAILABLE, "no segment can be opened at the moment");
	if (obtain_segment(store, needed, results, &segment, error) < 0) {
		if (committer->file < 0)
			wait_before_retry(committer, results);
		return -1;
	}
	file = write_header(store, &segment, &header, error);
	if (file < 0) {
		wait_before_retry(committer, true);
		leave_segment(store, &segment);
		store_set_trouble(store, TROUBLE_FLUSH, true);
		store_say_flush_failed(store, segment.number, error);
		return -1;
	}
	if (committer->file >= 0)
		close(committer->file);
	committer->file = file;
	committer->header = header;
	committer->offset = SEGMENT_DATA;
	committer->retry = committer->retry_adds = 0;
	pthread_mutex_lock(&store->lock);
	segment_list_append(&store->journal.used, &segment);
	store->journal.durable_oldest = header.oldest;
	pthread_mutex_unlock(&store->lock);
	store_set_trouble(store, TROUBLE_FLUSH, false);
	reader_wake(store);
	return 0;
}

/* ---- groups ---- */

static void
group_init(struct group *group)
{
	*group = (struct group){ NULL, &group->first, 0, 0 };
}

static void
group_append(struct group *group, struct store_batch *batch)
{
	batch->next = NULL;
	*group->last = batch;
	group->last = &batch->next;
	group->octets += align_up(batch_record_length(batch), 8);
}

/* A copy is written only if nothing happened to the message since its state was read, and nothing is on its
 * way to the reader. */
static bool
copy_holds(struct store *store, const struct store_batch *batch)
{
	const struct message *message;
	bool holds;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, batch->entries[0].id);
	holds = message != NULL && store->in_transit == 0 && message->through == batch->copy_through &&
	    message->through_entry == batch->copy_through_entry;
	pthread_mutex_unlock(&store->lock);
	return holds;
}

static void
tell_copied(struct store *store, const struct store_batch *batch)
{
	struct request *request = request_new(REQUEST_COPIED, batch->entries[0].id);

	request->content_length = batch_record_length(batch);
	if (batch->applied)
		request->part = batch_part(batch, 0);
	reader_ask(store, request);
}

/* Hands the batches back; the error, if there is one, becomes theirs. */
static void
finish(struct store *store, struct store_batch *first, const struct error *error)
{
	struct completion *list = NULL, **last = &list;
	struct store_batch *next;

	for (struct store_batch *batch = first; batch != NULL; batch = next) {
		next = batch->next;
		if (error != NULL)
			batch_fail(batch, error);
		if (batch->is_copy) {
			if (!batch->applied)
				tell_copied(store, batch);
			batch_free(batch);
			continue;
		}
		*last = &batch->completion;
		last = &batch->completion.next;
		batch->completion.next = NULL;
	}
	if (list != NULL)
		store_complete_many(store, list, last);
}

static bool
fits(const struct committer *committer, uint64_t octets)
{
	return committer->file >= 0 && committer->offset + align_up(octets, SEGMENT_PAGE) <= committer->header.size;
}

/* Copies that hold go first, so that what was asked meanwhile has higher sequences. */
static void
group_copies(struct store *store, struct group *group, struct store_batch **copies)
{
	while (*copies != NULL) {
		struct store_batch *batch = *copies;
		bool holds = copy_holds(store, batch);

		if (holds && !fits(&store->committer, group->octets + batch_record_length(batch)))
			break;
		*copies = batch->next;
		batch->next = NULL;
		if (holds)
			group_append(group, batch);
		else
			finish(store, batch, NULL);
	}
}

static void
group_batches(struct store *store, struct group *group, struct store_batch **waiting)
{
	while (*waiting != NULL && group->octets < GROUP_OCTETS &&
	    fits(&store->committer, group->octets + align_up(batch_record_length(*waiting), 8))) {
		struct store_batch *batch = *waiting;

		*waiting = batch->next;
		group_append(group, batch);
	}
}

static void
vector_add(struct committer *committer, const void *data, size_t length)
{
	if (length == 0)
		return;
	if (committer->vector_count == committer->vector_capacity) {
		committer->vector_capacity = committer->vector_capacity ? committer->vector_capacity * 2 : 256;
		committer->vectors = memory_resize(committer->vectors, committer->vector_capacity,
		    sizeof(*committer->vectors));
	}
	committer->vectors[committer->vector_count++] = (struct iovec){ (void *)(uintptr_t)data, length };
}

static void
seal(struct store *store, struct store_batch *batch, uint64_t offset)
{
	struct committer *committer = &store->committer;
	uint64_t length = batch_record_length(batch);

	for (uint32_t i = 0; i < batch->entry_count; i++) {
		struct batch_entry *entry = &batch->entries[i];

		if (entry->content != NULL)
			record_entry_set_crc(batch->octets.data + entry->at,
			    crc32c(0, entry->content->data, entry->content->length));
	}
	batch->offset = offset;
	batch->head = (struct record_head){ .length = (uint32_t)length,
		.entries_length = (uint32_t)(batch->octets.length - RECORD_HEAD_SIZE), .count = (uint16_t)batch->entry_count,
		.sequence = committer->next_sequence++, .serial = committer->header.serial, .flushed = committer->flushed,
		.mailbox = store->journal.mailbox };
	record_seal(batch->octets.data, &batch->head);
	vector_add(committer, batch->octets.data, batch->octets.length);
	for (uint32_t i = 0; i < batch->entry_count; i++)
		if (batch->entries[i].content != NULL)
			vector_add(committer, batch->entries[i].content->data, batch->entries[i].content->length);
	vector_add(committer, zeroes, align_up(length, 8) - length);
}

/* Everything in the vectors, at offset; the vectors are used up. */
static int
write_vectors(struct committer *committer, uint64_t offset)
{
	struct iovec *next = committer->vectors;
	size_t left = committer->vector_count;

	while (left > 0) {
		ssize_t put = pwritev(committer->file, next, left < IOV_MAX ? (int)left : IOV_MAX, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			if (put == 0)
				errno = EIO;
			return -1;
		}
		offset += (uint64_t)put;
		while (left > 0 && (size_t)put >= next->iov_len) {
			put -= (ssize_t)next->iov_len;
			next++;
			left--;
		}
		if (put > 0) {
			next->iov_base = (char *)next->iov_base + put;
			next->iov_len -= (size_t)put;
		}
	}
	return 0;
}

static int
flush(struct store *store)
{
	struct timespec before, after;
	int result;

	clock_gettime(CLOCK_MONOTONIC, &before);
	result = fdatasync(store->committer.file);
	clock_gettime(CLOCK_MONOTONIC, &after);
	store->commits++;
	store->flush_microseconds += (uint64_t)((after.tv_sec - before.tv_sec) * 1000000 +
	    (after.tv_nsec - before.tv_nsec) / 1000);
	return result;
}

/* The segment is left; what is alive in it moves when it is the oldest. */
static void
give_up_segment(struct store *store, const struct error *error)
{
	struct committer *committer = &store->committer;
	struct segment *segment;
	uint32_t number = 0;

	pthread_mutex_lock(&store->lock);
	segment = journal_segment(&store->journal, committer->header.serial);
	if (segment != NULL) {
		segment->suspect = true;
		number = segment->number;
	}
	pthread_mutex_unlock(&store->lock);
	close(committer->file);
	committer->file = -1;
	store_set_trouble(store, TROUBLE_FLUSH, true);
	store_say_flush_failed(store, number, error);
}

static void
write_group(struct store *store, struct group *group)
{
	struct committer *committer = &store->committer;
	uint64_t offset = committer->offset;
	struct error error;

	committer->vector_count = 0;
	for (struct store_batch *batch = group->first; batch != NULL; batch = batch->next) {
		seal(store, batch, offset);
		offset += align_up(batch_record_length(batch), 8);
	}
	vector_add(committer, zeroes, align_up(offset, SEGMENT_PAGE) - offset);
	if (write_vectors(committer, committer->offset) < 0 || flush(store) < 0) {
		error_system(&error, errno, "write to MAIL.BOX");
		give_up_segment(store, &error);
		finish(store, group->first, &error);
		return;
	}
	committer->offset = align_up(offset, SEGMENT_PAGE);
	committer->flushed = committer->next_sequence - 1;
	pthread_mutex_lock(&store->lock);
	for (struct store_batch *batch = group->first; batch != NULL; batch = batch->next) {
		apply_batch(store, batch);
		batch->applied = true;
		/* Under the lock: a checkpoint that includes the sequence also includes the row's change. */
		if (batch->is_copy)
			tell_copied(store, batch);
	}
	pthread_mutex_unlock(&store->lock);
	finish(store, group->first, NULL);
}

/* No segment for them: new messages are told so; results too when there is not even the last one. */
static void
fail_waiting(struct store *store, struct store_batch **waiting, bool only_adds, const struct error *error)
{
	struct store_batch *failed = NULL, **last = &failed;

	for (struct store_batch **link = waiting; *link != NULL;) {
		struct store_batch *batch = *link;

		if (only_adds && !batch->only_adds) {
			link = &batch->next;
			continue;
		}
		*link = batch->next;
		batch->next = NULL;
		*last = batch;
		last = &batch->next;
	}
	finish(store, failed, error);
}

static void
commit_all(struct store *store, struct store_batch *waiting, struct store_batch *copies)
{
	struct group group;
	struct error error;

	while (waiting != NULL || copies != NULL) {
		struct store_batch *next = waiting != NULL ? waiting : copies;

		if (!fits(&store->committer, align_up(batch_record_length(next), 8))) {
			bool results = waiting != NULL && !next->only_adds;

			if (roll(store, align_up(batch_record_length(next), SEGMENT_PAGE), results, &error) < 0) {
				if (waiting != NULL)
					fail_waiting(store, &waiting, !results, &error);
				fail_waiting(store, &copies, false, &error);
				continue;
			}
		}
		group_init(&group);
		group_copies(store, &group, &copies);
		group_batches(store, &group, &waiting);
		if (group.first != NULL)
			write_group(store, &group);
	}
}

/* ---- the thread ---- */

/* Waits until something is to be written; false at the end. The lock is held. */
static bool
wait_for_work(struct committer *committer)
{
	for (;;) {
		deadline_t until = DEADLINE_NEVER;

		if (committer->urgent > 0 || (committer->stop && committer->first != NULL))
			return true;
		if (committer->stop)
			return false;
		if (committer->first != NULL)
			until = committer->first->ride_until;
		if (committer->copies != NULL)
			until = deadline_earlier(until, committer->copies->ride_until);
		if (committer->file < 0)
			until = deadline_earlier(until, committer->retry_adds);
		if (until != DEADLINE_NEVER && deadline_passed(until))
			return true;
		committer->sleeping = true;
		store_wait(&committer->wake, &committer->lock, until);
		committer->sleeping = false;
	}
}

static void *
committer_main(void *context)
{
	struct store *store = context;
	struct committer *committer = &store->committer;

	pthread_mutex_lock(&committer->lock);
	while (wait_for_work(committer)) {
		struct store_batch *waiting = committer->first, *copies = committer->copies;
		struct error error;

		committer->first = committer->copies = NULL;
		committer->last = &committer->first;
		committer->copies_last = &committer->copies;
		committer->urgent = 0;
		pthread_mutex_unlock(&committer->lock);
		if (waiting == NULL && copies == NULL && committer->file < 0)
			roll(store, 0, false, &error);
		commit_all(store, waiting, copies);
		pthread_mutex_lock(&committer->lock);
	}
	pthread_mutex_unlock(&committer->lock);
	return NULL;
}

static void
add_to(struct committer *committer, struct store_batch *batch, struct store_batch ***last)
{
	bool wake;

	pthread_mutex_lock(&committer->lock);
	batch->next = NULL;
	**last = batch;
	*last = &batch->next;
	committer->urgent += batch->urgent;
	wake = committer->sleeping && (batch->urgent || committer->first == batch || committer->copies == batch);
	if (wake)
		committer->sleeping = false;
	pthread_mutex_unlock(&committer->lock);
	if (wake)
		pthread_cond_signal(&committer->wake);
}

void
committer_add(struct store *store, struct store_batch *batch)
{
	add_to(&store->committer, batch, &store->committer.last);
}

void
committer_add_copy(struct store *store, struct store_batch *batch)
{
	batch->ride_until = deadline_after_ms(RIDE_MS);
	add_to(&store->committer, batch, &store->committer.copies_last);
}

int
committer_open(struct store *store, uint64_t last, struct error *error)
{
	struct committer *committer = &store->committer;

	committer->next_sequence = (store->journal.epoch << SEQUENCE_EPOCH_SHIFT) + 1;
	committer->flushed = last;
	return roll(store, 0, true, error);
}

int
committer_start(struct store *store, struct error *error)
{
	if (store_thread_start(&store->committer.thread, committer_main, store) != 0)
		return error_system(error, errno, "start the committer");
	store->committer.started = true;
	return 0;
}

/*
 * An orderly stop says in the header up to where there are records, so that a start can tell an end that was lost while the
 * service was stopped from the torn tail of a crash. One header is whole at any time; if neither can be written nothing is lost.
 */
static void
close_segment(struct committer *committer)
{
	char page[SEGMENT_PAGE];

	committer->header.closed = committer->flushed;
	segment_header_encode(&committer->header, page);
	for (off_t offset = SEGMENT_PAGE; offset >= 0; offset -= SEGMENT_PAGE)
		if (pwrite(committer->file, page, sizeof(page), offset) != sizeof(page) || fdatasync(committer->file) < 0)
			break;
	close(committer->file);
	committer->file = -1;
}

void
committer_stop(struct store *store)
{
	struct committer *committer = &store->committer;

	if (committer->started) {
		pthread_mutex_lock(&committer->lock);
		committer->stop = true;
		pthread_mutex_unlock(&committer->lock);
		pthread_cond_signal(&committer->wake);
		pthread_join(committer->thread, NULL);
		committer->started = false;
	}
	if (committer->file >= 0)
		close_segment(committer);
	free(committer->vectors);
	committer->vectors = NULL;
}

void
committer_drop_copies(struct store *store)
{
	while (store->committer.copies != NULL) {
		struct store_batch *batch = store->committer.copies;

		store->committer.copies = batch->next;
		batch_free(batch);
	}
}
