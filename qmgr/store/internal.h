/*
 * internal - what the files of the running store share
 *
 * Three kinds of threads and their locks:
 *   event loop   store.c and the public functions; owns recent, next due times, troubles as last told
 *   committer    commit.c: takes all batches that wait, writes and flushes them, applies them to the table
 *   reader       reader.c, take.c, settle.c, index.c, copy_forward.c: index, reads, parking and waking, freeing of segments
 *   helpers      helpers.c, body.c: whatever takes long and concerns one file: bodies, unlinks, new segments
 * store->lock guards the journal's lists and the table. Queues have locks of their own, taken after store->lock.
 * Nothing is called back but from the event loop: threads hand over completions.
 */
#ifndef QMGR_STORE_INTERNAL_H
#define QMGR_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/clock.h"
#include "common/base/identifier.h"
#include "qmgr/store/index.h"
#include "qmgr/store/journal.h"
#include "qmgr/store/store.h"

#define RECENT_IDS 65536
#define PARTS_MAX 8		/* entries of a message that is parked; with more it is written whole */
#define RIDE_MS 100		/* how long a batch that nobody waits for may wait for company */

/* ---- completions: results on their way to the event loop ---- */

struct completion {
	struct completion *next;
	/* Runs in the event loop (or, while closing, with store->closing set, only to give memory back). Frees
	 * itself. */
	void (*run)(struct store *store, struct completion *completion);
};

struct completion_queue {
	pthread_mutex_t lock;
	struct completion *first;
	struct completion **last;
};

/* ---- batches ---- */

struct batch_entry {
	uint32_t at;			/* offset in the batch's octets */
	uint32_t length;
	uint64_t id;
	uint64_t content_length;
	struct store_content *content;	/* held; NULL: none or a file */
	uint8_t kind;
	uint8_t flags;
};

struct store_batch {
	struct completion completion;	/* first: a batch is its own completion */
	struct store_batch *next;
	struct store *store;
	struct buffer octets;		/* room for the head, then the entries */
	struct batch_entry *entries;
	uint32_t entry_count;
	uint32_t entry_capacity;
	bool has_bodies;		/* files to be flushed before */
	uint64_t contents;		/* octets of inline contents */
	bool urgent;
	bool only_adds;			/* nothing but new messages: waits when the disk is full */
	bool applied;			/* flushed, and the table knows */
	bool is_copy;			/* made by copy_forward.c */
	uint64_t copy_through;		/* of a copy: what it includes */
	uint16_t copy_through_entry;
	deadline_t ride_until;
	store_commit_cb callback;
	void *context;
	struct error *error;		/* owned; NULL: none */
	uint64_t offset;		/* where it lies, once written */
	struct record_head head;
};

struct committer {
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct store_batch *first, **last;
	struct store_batch *copies, **copies_last;
	unsigned urgent;		/* how many of those are */
	bool sleeping;
	bool stop;
	/* the thread's own */
	int file;			/* of the current segment; -1: there is none */
	struct segment_header header;	/* of it */
	uint64_t offset;
	uint64_t next_sequence;
	uint64_t flushed;
	deadline_t retry;		/* after a failure no new segment is tried before; for results */
	deadline_t retry_adds;		/* and for new messages */
	struct iovec *vectors;
	size_t vector_count, vector_capacity;
};

/* ---- the reader's requests ---- */

enum request_kind {
	REQUEST_PARK, REQUEST_TAKE_DUE, REQUEST_TAKE_DESTINATION, REQUEST_TAKE_ID, REQUEST_READ_CONTENT, REQUEST_LIST,
	REQUEST_OPEN_BODY, REQUEST_TURNS,
	REQUEST_ENTRY,			/* the committer wrote an entry of a message that is parked */
	REQUEST_GONE,			/* a message with a row is done */
	REQUEST_COPIED,			/* a copy was written (it is the part), or dropped (sequence 0) */
};

struct request {
	struct request *next;
	enum request_kind kind;
	bool held;			/* of PARK, with: */
	uint64_t applied;		/* the last sequence that counted when it was asked */
	unsigned limit;
	uint64_t id;			/* or "after" of a list */
	int64_t now;
	struct part part;
	uint32_t number;		/* of ENTRY: the file of the part's segment */
	bool released;			/* of GONE: live octets and body were seen to */
	uint64_t content_length;
	char *destination;		/* owned */
	struct buffer envelope;		/* of PARK: encoded */
	struct index_keys keys;
	union {
		store_take_cb take;
		store_content_cb content;
		store_list_cb list;
		store_file_cb file;
		store_turn_cb turn;
	} callback;
	void *context;
};

struct copying {
	uint64_t serial;		/* the segment that is copied; 0: none */
	uint64_t offset;		/* how far */
	uint64_t outstanding;		/* octets handed to the committer, not yet written */
	unsigned passes;		/* over this segment that ended, in a row; in each something of `unread` could not be read */
	bool failed;			/* something of them could not be read in this pass */
	bool gave_up;			/* nor is it waited for any longer */
	struct recent *unread;		/* the messages that could not be read in the first of the passes; NULL: none */
	deadline_t next;
};

struct reader {
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct request *first, **last;
	bool sleeping;
	bool stop;
	/* the thread's own */
	struct part_reader parts;
	struct index *index;		/* NULL: none, messages that wait stand in the table */
	char *index_home;
	deadline_t index_retry;
	bool unread;			/* without an index, and a segment could not be read: more waits than the table knows */
	bool set_apart;			/* the index is there without what the disk cannot read */
	deadline_t checkpoint_at;
	uint64_t checkpoint_sequence;
	deadline_t idle_checkpoint_at;	/* for the note alone */
	struct copying copying;
	deadline_t disk_check;
	deadline_t prepare_at;
};

/* ---- helpers ---- */

struct job {
	struct job *next;
	void (*work)(struct store *store, struct job *job);	/* frees the job */
};

#define HELPER_THREADS 32	/* so many body files are flushed at once: where a flush takes long, the disk has the others to do */
struct helpers {
	pthread_t threads[HELPER_THREADS];
	unsigned started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first, **last;
	bool stop;
};

enum { TROUBLE_FLUSH = 1, TROUBLE_DISK = 2, TROUBLE_SEGMENT = 4 };

struct store {
	struct store_options options;	/* folder owned */
	struct event_base *base;
	struct store_events events;
	void *context;
	int lock_file;
	int bodies;			/* descriptor of bodies/ */
	uint64_t segment_size;

	pthread_mutex_t lock;
	struct journal journal;
	struct message_table table;
	uint64_t in_transit;		/* entries of parked messages that the reader has not taken in yet */
	uint64_t applied;		/* the last sequence that the table includes */
	struct store_note note;		/* for the next start */
	bool note_is_new;		/* it is to be written at once */

	struct completion_queue completions;
	int wakeup_file;
	struct event *wakeup;
	_Atomic unsigned troubles;
	_Atomic uint64_t commits, flush_failures, flush_microseconds, copied_octets, index_failures, damages;
	_Atomic bool disk_short;	/* copy forward sooner */
	_Atomic bool preparing;		/* a segment is being made */
	struct recent *sound_bodies;	/* verified since the start (helpers.lock) */

	struct committer committer;
	struct reader reader;
	struct helpers helpers;

	/* the event loop's own */
	_Atomic bool closing;
	bool accepting;
	uint64_t waiting_octets;
	struct store_batch *spare_batches;
	unsigned spare_count;
	struct recent *recent;
	_Atomic int64_t known_due;	/* as the reader knows it */
	int64_t pending_due;		/* the earliest of the parks on their way to the reader */
	uint64_t parks_asked;
	_Atomic uint64_t parks_done;
	struct store_summary summary;
};

/* store.c */
void store_complete(struct store *store, struct completion *completion);
void store_complete_many(struct store *store, struct completion *first, struct completion **last);
void store_set_trouble(struct store *store, unsigned trouble, bool on);
/* Any thread: log events by the event loop. */
void store_say_damaged(struct store *store, uint32_t number, uint64_t offset, uint64_t length, uint64_t id);
void store_say_unreadable(struct store *store, uint32_t number, uint64_t offset, uint64_t id, const struct error *error);
void store_say_unsure(struct store *store, uint64_t id);
/* A segment_damage_cb of recovery: set aside, and told once. context is the store. */
void store_found_damage(void *context, struct segment *segment, uint64_t offset, const void *octets, uint64_t length,
    uint64_t guess_id);
void store_say_flush_failed(struct store *store, uint32_t number, const struct error *error);
void store_say_index_lost(struct store *store, const struct error *error);
int store_thread_start(pthread_t *thread, void *(*main)(void *context), void *context);
void store_wait(pthread_cond_t *wake, pthread_mutex_t *lock, deadline_t deadline);
void store_wake_init(pthread_cond_t *wake);

void store_judge_acceptance(struct store *store);

/* recent.c: the last ids that were stored, a bounded set */
struct recent *recent_new(unsigned limit);
void recent_free(struct recent **recent);
void recent_add(struct recent *recent, uint64_t id);
bool recent_has(const struct recent *recent, uint64_t id);

/* batch.c */
struct store_batch *batch_new(struct store *store);
void batch_free(struct store_batch *batch);
uint64_t batch_record_length(const struct store_batch *batch);
/* The entry of that number, from 0, where it lies; the batch is written. */
struct part batch_part(const struct store_batch *batch, uint32_t number);
void batch_fail(struct store_batch *batch, const struct error *error);
bool batch_put(struct store_batch *batch, enum entry_kind kind, uint8_t flags, uint64_t id,
    const struct envelope *envelope, const bool *chosen, struct store_content *content, uint64_t content_length);

/* commit.c */
int committer_start(struct store *store, struct error *error);
/* Writes what waits and ends the thread. */
void committer_stop(struct store *store);
/* After the reader ended: copies that it still made are not needed. */
void committer_drop_copies(struct store *store);
void committer_add(struct store *store, struct store_batch *batch);
void committer_add_copy(struct store *store, struct store_batch *batch);
/* Opens the first segment of this start. */
int committer_open(struct store *store, uint64_t last, struct error *error);

/* apply.c: what was flushed becomes the state of the table; store->lock is held */
void apply_batch(struct store *store, const struct store_batch *batch);

/* reader.c */
int reader_start(struct store *store, struct error *error);
void reader_stop(struct store *store);
void reader_ask(struct store *store, struct request *request);
void reader_wake(struct store *store);
struct request *request_new(enum request_kind kind, uint64_t id);
void request_free(struct request *request);
/* A copy of what is known of a message, parked or not; the caller frees. NULL when it is not alive. Its
 * envelope is appended
 * when it is parked in the index. -1 when the index failed. */
int reader_find(struct store *store, uint64_t id, struct message **message_out, struct buffer *envelope,
    struct error *error);
/* The envelope as the journal has it; damage is told. -1 when there is none. 1: a change since is lost, so recipients may have the
 * message already that seem to wait: it is held from now on. */
int reader_load(struct store *store, const struct message *message, struct envelope *envelope_out, struct error *error);
/* Octets that do not verify are set aside and told, once; a disk that cannot be read now is no damage. */
void reader_report_damage(struct store *store, const struct message *message, const struct part *part,
    const struct error *error);
/* A parked message that is no longer copied leaves the table, if its row says all that the table does. */
void reader_leave_to_index(struct store *store, const struct message *row);
/* The message is given up: nothing of it can be read. */
void reader_drop(struct store *store, uint64_t id);
/* Finds out anew when the next parked message is due. */
void reader_know_due(struct store *store);

/* settle.c: in the reader thread */
/* The index failed: it is closed and discarded, and what it held is found in the journal. */
void reader_index_failed(struct store *store, const struct error *error);
/* Messages that wait in the table go to the index; or, without one, learn when they are due. -1 when the index failed. */
int reader_settle(struct store *store, struct error *error);
/* Makes an index when there is none, and tries once more to read what it lacks. */
void reader_try_index_again(struct store *store);

/* take.c: in the reader thread */
void take_serve(struct store *store, struct request *request);
void list_serve(struct store *store, struct request *request);
void turns_serve(struct store *store, struct request *request);
void content_serve(struct store *store, struct request *request);
void open_body_serve(struct store *store, struct request *request);

/* copy_forward.c: in the reader thread */
void copy_forward_step(struct store *store);
void copy_forward_done(struct store *store, const struct request *request);
/* Frees the oldest segments that are not needed, and has new ones made. */
void segments_tend(struct store *store);
/* Only the freeing. */
void segments_free_oldest(struct store *store);

/* helpers.c */
int helpers_start(struct store *store, struct error *error);
void helpers_stop(struct store *store);
void helpers_add(struct store *store, struct job *job);

/* body.c */
int bodies_open(struct store *store, struct error *error);
void body_flush_then_commit(struct store *store, struct store_batch *batch);
void body_unlink(struct store *store, uint64_t id);
/* Unlinks every body without a message. */
void bodies_remove_orphans(struct store *store);
/* Looks for the file of a message, length and crc as recorded. */
void body_open(struct store *store, uint64_t id, uint64_t length, uint32_t crc, store_file_cb callback, void *context);
void body_note_sound(struct store *store, uint64_t id);
void body_answer(struct store *store, store_file_cb callback, void *context, uint64_t id, int file, uint64_t length,
    const struct error *error);

#endif
