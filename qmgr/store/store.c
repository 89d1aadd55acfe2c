/*
 * store - see store.h: opening and closing, and what happens in the event loop
 */
#include "qmgr/store/store.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "qmgr/store/damage.h"
#include "qmgr/store/internal.h"
#include "qmgr/store/recovery.h"

#define STACK_SIZE (512 * 1024)
#define LOST_HEADER_EPOCHS 1024	/* skipped when a segment's epoch could not be read */

/* ---- content ---- */

struct store_content *
store_content_new(size_t length)
{
	struct store_content *content = memory_resize(NULL, sizeof(*content) + length, 1);

	content->references = 1;
	content->length = length;
	return content;
}

struct store_content *
store_content_hold(struct store_content *content)
{
	__atomic_add_fetch(&content->references, 1, __ATOMIC_RELAXED);
	return content;
}

void
store_content_release(struct store_content **content)
{
	if (*content != NULL && __atomic_sub_fetch(&(*content)->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(*content);
	*content = NULL;
}

/* ---- threads ---- */

void
store_wake_init(pthread_cond_t *wake)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

void
store_wait(pthread_cond_t *wake, pthread_mutex_t *lock, deadline_t deadline)
{
	struct timespec until;

	if (deadline == DEADLINE_NEVER) {
		pthread_cond_wait(wake, lock);
		return;
	}
	until.tv_sec = deadline / 1000;
	until.tv_nsec = deadline % 1000 * 1000000;
	pthread_cond_timedwait(wake, lock, &until);
}

int
store_thread_start(pthread_t *thread, void *(*main)(void *context), void *context)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	result = pthread_create(thread, &attributes, main, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	errno = result;
	return result == 0 ? 0 : -1;
}

/* ---- completions ---- */

void
store_complete_many(struct store *store, struct completion *first, struct completion **last)
{
	struct completion_queue *queue = &store->completions;
	uint64_t one = 1;
	bool wake;

	pthread_mutex_lock(&queue->lock);
	wake = queue->first == NULL;
	*queue->last = first;
	queue->last = last;
	pthread_mutex_unlock(&queue->lock);
	if (wake)
		while (write(store->wakeup_file, &one, sizeof(one)) < 0 && errno == EINTR)
			;
}

void
store_complete(struct store *store, struct completion *completion)
{
	completion->next = NULL;
	store_complete_many(store, completion, &completion->next);
}

static void
run_completions(struct store *store)
{
	struct completion_queue *queue = &store->completions;
	struct completion *completion, *next;

	pthread_mutex_lock(&queue->lock);
	completion = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	pthread_mutex_unlock(&queue->lock);
	for (; completion != NULL; completion = next) {
		next = completion->next;
		completion->run(store, completion);
	}
}

static void
wakeup_cb(evutil_socket_t file, short what, void *context)
{
	struct store *store = context;
	uint64_t count;
	ssize_t ignored = read(file, &count, sizeof(count));

	(void)ignored;
	(void)what;
	run_completions(store);
	store_judge_acceptance(store);
}

/* ---- acceptance ---- */

void
store_judge_acceptance(struct store *store)
{
	unsigned troubles = store->troubles;
	bool full = store->waiting_octets > store->options.commit_bytes_limit;
	bool accepting = troubles == 0 && !full;

	/* Once too much waited, half of it has to go first: no flutter. */
	if (accepting && !store->accepting && store->waiting_octets > store->options.commit_bytes_limit / 2)
		return;
	if (accepting == store->accepting || store->closing)
		return;
	store->accepting = accepting;
	if (store->events.accepting != NULL)
		store->events.accepting(store->context, accepting, accepting ? "" :
		    troubles & TROUBLE_FLUSH ? "MAIL.BOX cannot be written" :
		    troubles != 0 ? "insufficient disk space for MAIL.BOX" : "too much mail is waiting for the disk");
}

bool
store_accepts(const struct store *store)
{
	return store->accepting;
}

static void
nothing_run(struct store *store, struct completion *completion)
{
	(void)store;
	free(completion);
}

void
store_set_trouble(struct store *store, unsigned trouble, bool on)
{
	unsigned before = on ? atomic_fetch_or(&store->troubles, trouble) : atomic_fetch_and(&store->troubles, ~trouble);
	struct completion *completion;

	if (((before & trouble) != 0) == on)
		return;
	completion = memory_new(1, sizeof(*completion));	/* the event loop judges anew when it wakes */
	completion->run = nothing_run;
	store_complete(store, completion);
}

/* ---- events of the log, from any thread ---- */

struct saying {
	struct completion completion;
	enum log_event_number event;
	uint32_t number;
	uint64_t offset, length, id;
	struct error error;
};

static void
saying_run(struct store *store, struct completion *completion)
{
	struct saying *saying = (struct saying *)completion;

	char segment[SEGMENT_NAME_SIZE];

	(void)store;
	segment_name(saying->number, segment);
	if (saying->event == LOG_QUEUE_DAMAGED)
		log_event(LOG_QUEUE_DAMAGED, segment, log_number((int64_t)saying->offset), log_number((int64_t)saying->length),
		    saying->id == 0 ? "-" : log_id(saying->id));
	else if (saying->event == LOG_QUEUE_UNREADABLE)
		log_event(LOG_QUEUE_UNREADABLE, segment, log_number((int64_t)saying->offset), log_id(saying->id),
		    saying->error.text);
	else if (saying->event == LOG_MESSAGE_UNSURE)
		log_event(LOG_MESSAGE_UNSURE, log_id(saying->id));
	else if (saying->event == LOG_QUEUE_FLUSH_FAILED)
		log_event(LOG_QUEUE_FLUSH_FAILED, segment, saying->error.text);
	else
		log_event(LOG_QUEUE_INDEX_LOST, saying->error.text);
	free(saying);
}

static struct saying *
saying_new(enum log_event_number event)
{
	struct saying *saying = memory_new(1, sizeof(*saying));

	saying->event = event;
	saying->completion.run = saying_run;
	return saying;
}

void
store_say_damaged(struct store *store, uint32_t number, uint64_t offset, uint64_t length, uint64_t id)
{
	struct saying *saying = saying_new(LOG_QUEUE_DAMAGED);

	store->damages++;
	saying->number = number;
	saying->offset = offset;
	saying->length = length;
	saying->id = id;
	store_complete(store, &saying->completion);
}

void
store_say_unreadable(struct store *store, uint32_t number, uint64_t offset, uint64_t id, const struct error *error)
{
	struct saying *saying = saying_new(LOG_QUEUE_UNREADABLE);

	saying->number = number;
	saying->offset = offset;
	saying->id = id;
	saying->error = *error;
	store_complete(store, &saying->completion);
}

void
store_say_unsure(struct store *store, uint64_t id)
{
	struct saying *saying = saying_new(LOG_MESSAGE_UNSURE);

	saying->id = id;
	store_complete(store, &saying->completion);
}

void
store_say_flush_failed(struct store *store, uint32_t number, const struct error *error)
{
	struct saying *saying = saying_new(LOG_QUEUE_FLUSH_FAILED);

	store->flush_failures++;
	saying->number = number;
	saying->error = *error;
	store_complete(store, &saying->completion);
}

void
store_say_index_lost(struct store *store, const struct error *error)
{
	struct saying *saying = saying_new(LOG_QUEUE_INDEX_LOST);

	saying->error = *error;
	store_complete(store, &saying->completion);
}

/* ---- opening ---- */

static int
take_lock(struct store *store, struct error *error)
{
	store->lock_file = openat(store->journal.folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (store->lock_file < 0)
		return error_system(error, errno, "%s/lock", store->options.folder);
	if (flock(store->lock_file, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return error_set(error, ERROR_UNAVAILABLE, "%s is in use by another process", store->options.folder);
	return error_system(error, errno, "lock %s", store->options.folder);
}

static void
found_added(void *context, uint64_t id)
{
	struct store *store = context;

	recent_add(store->recent, id);
}

void
store_found_damage(void *context, struct segment *segment, uint64_t offset, const void *octets, uint64_t length,
    uint64_t guess_id)
{
	struct store *store = context;

	/* Of what is missing nothing can be set aside. */
	if (length == 0 || damage_set_aside(&store->journal, segment->serial, offset, octets, length))
		store_say_damaged(store, segment->number, offset, length, guess_id);
}

/* The index is of use if it belongs to this journal and does not claim more than that has. */
static void
open_index(struct store *store)
{
	struct reader *reader = &store->reader;
	struct error error;

	if (index_open(reader->index_home, store->journal.mailbox, &reader->index, &error) == 0)
		return;
	store_say_index_lost(store, &error);
	index_discard(reader->index_home);
	if (index_open(reader->index_home, store->journal.mailbox, &reader->index, &error) < 0) {
		store_say_index_lost(store, &error);
		reader->index = NULL;
		reader->index_retry = deadline_after_ms(1000);
	}
}

static void
discard_index(struct store *store)
{
	index_close(&store->reader.index);
	index_discard(store->reader.index_home);
	open_index(store);
}

/* It knows records that the journal does not have (any more). */
static bool
index_is_ahead(const struct recovery *recovery)
{
	return index_newest(recovery->index) > recovery->last || recovery->complete > recovery->last;
}

/* -1 when a segment cannot be read: to go on without it would free it, and it may be readable at another time. */
static int
recover(struct store *store, struct error *unreadable)
{
	struct recovery recovery = { .journal = &store->journal, .table = &store->table, .limit = UINT64_MAX,
		.added = found_added, .damaged = store_found_damage, .context = store };
	struct error error;
	int result;

	recovery.index = store->reader.index;
	recovery.complete = recovery.index == NULL ? 0 : index_complete(recovery.index);
	result = recovery_run(&recovery, &error);
	if (recovery.index != NULL && (result < 0 || index_is_ahead(&recovery))) {
		if (result >= 0)
			error_set(&error, ERROR_DAMAGED, "index of MAIL.BOX: it knows records that the journal does not have");
		store_say_index_lost(store, &error);
		message_table_free(&store->table);
		message_table_init(&store->table);
		discard_index(store);
		recovery.index = NULL;
		recovery.complete = 0;
		recovery_run(&recovery, &error);
	}
	store->applied = recovery.last;
	store->summary.replayed = recovery.replayed;
	store->summary.damaged = recovery.damage_count;
	*unreadable = recovery.unreadable;
	return unreadable->kind == ERROR_NONE ? 0 : -1;
}

/* A new epoch and its first segment. */
static int
begin_epoch(struct store *store, struct error *error)
{
	struct journal *journal = &store->journal;
	uint64_t lost = 0;

	for (size_t i = 0; i < journal->used.count; i++)
		if (journal->used.list[i].first == 0)
			lost = LOST_HEADER_EPOCHS;
	journal->epoch += 1 + lost;
	segments_free_oldest(store);	/* so that the new header says so */
	return committer_open(store, store->applied, error);
}

static int
fill_index(struct store *store)
{
	struct error error;

	if (reader_settle(store, &error) == 0 && store->reader.index != NULL &&
	    index_checkpoint(store->reader.index, store->applied, &store->note, &error) == 0)
		return 0;
	if (store->reader.index == NULL)
		return 0;
	reader_index_failed(store, &error);
	return 0;
}

struct counting {
	uint64_t count;
};

static void
count_message(void *context, struct message *message)
{
	struct counting *counting = context;

	counting->count += message->place == MESSAGE_WAITING;
}

static void
summarize(struct store *store)
{
	struct counting counting = { 0 };
	struct error error;
	uint64_t count;

	message_table_each(&store->table, count_message, &counting);
	if (store->reader.index != NULL && index_count(store->reader.index, &count, &error) == 0)
		counting.count += count;
	store->summary.epoch = store->journal.epoch;
	store->summary.messages = counting.count;
	store->summary.segments = store->journal.used.count;
	store->summary.written_ms = store->journal.written_ms;
	store->summary.note = store->note;
}

static int
open_folder(struct store *store, struct error *error)
{
	if (journal_find(store->options.folder, &store->journal, error) < 0)
		return -1;
	if (take_lock(store, error) < 0)
		return -1;
	/* Again under the lock: nobody changes it any more. */
	journal_close(&store->journal);
	if (journal_find(store->options.folder, &store->journal, error) < 0 ||
	    journal_prepare(&store->journal, error) < 0 || bodies_open(store, error) < 0)
		return -1;
	part_reader_init(&store->reader.parts, &store->journal);
	return 0;
}

static int
start_threads(struct store *store, struct error *error)
{
	if (committer_start(store, error) < 0 || reader_start(store, error) < 0 || helpers_start(store, error) < 0)
		return -1;
	return 0;
}

static int
start_events(struct store *store, struct error *error)
{
	store->wakeup_file = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (store->wakeup_file < 0)
		return error_system(error, errno, "eventfd");
	store->wakeup = event_new(store->base, store->wakeup_file, EV_READ | EV_PERSIST, wakeup_cb, store);
	if (store->wakeup == NULL || event_add(store->wakeup, NULL) < 0)
		return error_set(error, ERROR_UNAVAILABLE, "the event loop takes no more events");
	return 0;
}

static struct store *
store_new(const struct store_options *options, struct event_base *base, const struct store_events *events, void *context)
{
	struct store *store = memory_new(1, sizeof(*store));
	char home[4096];

	store->options = *options;
	store->options.folder = memory_copy_string(options->folder);
	store->segment_size = options->segment_size < SEGMENT_SIZE_MIN ? SEGMENT_SIZE_MIN :
	    options->segment_size / SEGMENT_PAGE * SEGMENT_PAGE;
	store->base = base;
	store->events = *events;
	store->context = context;
	store->lock_file = store->bodies = store->wakeup_file = -1;
	store->committer.file = store->reader.parts.file = -1;
	store->journal.folder = store->journal.directory = -1;
	store->known_due = store->pending_due = INT64_MAX;
	store->accepting = true;
	pthread_mutex_init(&store->lock, NULL);
	pthread_mutex_init(&store->completions.lock, NULL);
	store->completions.last = &store->completions.first;
	pthread_mutex_init(&store->committer.lock, NULL);
	store_wake_init(&store->committer.wake);
	store->committer.last = &store->committer.first;
	store->committer.copies_last = &store->committer.copies;
	pthread_mutex_init(&store->reader.lock, NULL);
	store_wake_init(&store->reader.wake);
	store->reader.last = &store->reader.first;
	pthread_mutex_init(&store->helpers.lock, NULL);
	store_wake_init(&store->helpers.wake);
	store->helpers.last = &store->helpers.first;
	message_table_init(&store->table);
	store->recent = recent_new(RECENT_IDS);
	store->sound_bodies = recent_new(4096);
	snprintf(home, sizeof(home), "%s/index", options->folder);
	store->reader.index_home = memory_copy_string(home);
	return store;
}

int
store_open(const struct store_options *options, struct event_base *base, const struct store_events *events,
    void *context, struct store **store_out, struct store_summary *summary, struct error *error)
{
	struct store *store = store_new(options, base, events, context);

	if (start_events(store, error) < 0 || open_folder(store, error) < 0)
		goto failed;
	while (store->journal.mailbox == 0)
		arc4random_buf(&store->journal.mailbox, sizeof(store->journal.mailbox));
	store->reader.parts.mailbox = store->journal.mailbox;
	open_index(store);
	if (store->reader.index != NULL)
		store->note = *index_note(store->reader.index);
	if (recover(store, error) < 0 || begin_epoch(store, error) < 0)
		goto failed;
	fill_index(store);
	if (!store->reader.unread)
		bodies_remove_orphans(store);
	reader_know_due(store);
	summarize(store);
	store->reader.checkpoint_sequence = store->applied;
	store->reader.idle_checkpoint_at = deadline_after_ms(0);
	if (start_threads(store, error) < 0)
		goto failed;
	*summary = store->summary;
	*store_out = store;
	return 0;
failed:
	store_close(&store);
	return -1;
}

static void
close_files(struct store *store)
{
	if (store->wakeup != NULL)
		event_free(store->wakeup);
	if (store->wakeup_file >= 0)
		close(store->wakeup_file);
	if (store->bodies >= 0)
		close(store->bodies);
	if (store->lock_file >= 0)
		close(store->lock_file);
	journal_close(&store->journal);
}

static void
free_jobs_and_requests(struct store *store)
{
	struct request *request;

	while ((request = store->reader.first) != NULL) {
		store->reader.first = request->next;
		request_free(request);
	}
	while (store->helpers.first != NULL) {
		struct job *job = store->helpers.first;

		store->helpers.first = job->next;
		job->work(store, job);
	}
	store->helpers.last = &store->helpers.first;
}

void
store_close(struct store **closed)
{
	struct store *store = *closed;

	if (store == NULL)
		return;
	store->closing = true;
	helpers_stop(store);
	committer_stop(store);
	reader_stop(store);
	committer_drop_copies(store);
	free_jobs_and_requests(store);
	run_completions(store);
	while (store->spare_batches != NULL) {
		struct store_batch *batch = store->spare_batches;

		store->spare_batches = batch->next;
		batch_free(batch);
	}
	close_files(store);
	message_table_free(&store->table);
	recent_free(&store->recent);
	recent_free(&store->sound_bodies);
	free(store->reader.index_home);
	free((char *)(uintptr_t)store->options.folder);
	free(store);
	*closed = NULL;
}

/* ---- small questions ---- */

void
store_keep_note(struct store *store, const struct store_note *note, bool at_once)
{
	pthread_mutex_lock(&store->lock);
	store->note = *note;
	store->note_is_new = store->note_is_new || at_once;
	pthread_mutex_unlock(&store->lock);
	if (at_once)
		pthread_cond_signal(&store->reader.wake);
}

bool
store_knows(struct store *store, uint64_t id)
{
	bool knows;

	if (recent_has(store->recent, id))
		return true;
	pthread_mutex_lock(&store->lock);
	knows = message_table_find(&store->table, id) != NULL;
	pthread_mutex_unlock(&store->lock);
	return knows;
}

uint64_t
store_size(struct store *store, uint64_t id)
{
	const struct message *message;
	uint64_t size;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	size = message == NULL ? 0 : message->size;
	pthread_mutex_unlock(&store->lock);
	return size;
}

bool
store_held(struct store *store, uint64_t id)
{
	const struct message *message;
	bool held;

	pthread_mutex_lock(&store->lock);
	message = message_table_find(&store->table, id);
	held = message != NULL && message->held;
	pthread_mutex_unlock(&store->lock);
	return held;
}

int64_t
store_next_due_ms(const struct store *store)
{
	int64_t known = store->known_due;

	return store->parks_asked == store->parks_done || known < store->pending_due ? known : store->pending_due;
}

void
store_status(struct store *store, struct buffer *lines)
{
	uint64_t live = 0, used = 0, in_memory;
	size_t segments, free_segments;

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < store->journal.used.count; i++) {
		live += store->journal.used.list[i].live;
		used += store->journal.used.list[i].size;
	}
	segments = store->journal.used.count;
	free_segments = store->journal.free.count;
	in_memory = store->table.count;
	pthread_mutex_unlock(&store->lock);
	buffer_printf(lines, "flush_failed=%d\ndisk_short=%d\n",
	    (store->troubles & TROUBLE_FLUSH) != 0, (store->troubles & (TROUBLE_DISK | TROUBLE_SEGMENT)) != 0);
	buffer_printf(lines, "flush_failures=%llu\ndamaged=%llu\nindex_failures=%llu\n",
	    (unsigned long long)store->flush_failures, (unsigned long long)store->damages,
	    (unsigned long long)store->index_failures);
	buffer_printf(lines, "epoch=%llu\nsegments=%zu\nfree_segments=%zu\njournal_octets=%llu\nlive_octets=%llu\n",
	    (unsigned long long)store->journal.epoch, segments, free_segments, (unsigned long long)used,
	    (unsigned long long)live);
	buffer_printf(lines, "in_memory=%llu\nwaiting_octets=%llu\nflushes=%llu\nflush_microseconds=%llu\ncopied_octets=%llu\n",
	    (unsigned long long)in_memory, (unsigned long long)store->waiting_octets, (unsigned long long)store->commits,
	    (unsigned long long)store->flush_microseconds, (unsigned long long)store->copied_octets);
}
