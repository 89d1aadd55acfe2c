/*
 * store - MAIL.BOX on disk: what is accepted is here until it is done
 *
 * Owns:   the journal's segments, the body files, the index, the committer thread (writes and flushes) and the
 *         reader thread (index, reads, unlinks). The event loop's thread makes no system call on the spool.
 * Promise: a commit's callback says success only after everything in it is on stable storage. A batch is one
 *         record: all of it is found after a crash, or nothing.
 * Format: docs/mailbox-format.md.
 *
 * All functions are called, and all callbacks come, in the event loop's thread; callbacks never come from inside
 * the call that asked. "Parked" is a message that only the store knows: it costs no memory. The caller keeps envelopes of
 * the messages that are not parked.
 */
#ifndef QMGR_STORE_STORE_H
#define QMGR_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/mail/envelope.h"

struct event_base;
struct store;

/* Content in memory, shared by reference. */
struct store_content {
	unsigned references;	/* event-loop thread and the store's threads: changed by the functions below only */
	size_t length;
	char data[];
};
struct store_content *store_content_new(size_t length);
struct store_content *store_content_hold(struct store_content *content);
void store_content_release(struct store_content **content);

struct store_options {
	const char *folder;		/* absolute; exists, owned by this process */
	uint64_t segment_size;		/* octets, a multiple of 4096 */
	unsigned disk_reserve_percent;	/* below so much free space the store refuses new messages */
	uint64_t commit_bytes_limit;	/* octets waiting for a flush before store_accepts() says no */
};

struct store_events {
	/* Acceptance changed (disk nearly full, a flush failed, too much waiting, or all well again). text says why not. */
	void (*accepting)(void *context, bool accepting, const char *text);
};

/* A few octets of the caller's that the next start gets back. */
#define STORE_NOTE_MAX 256
struct store_note {
	size_t length;
	uint8_t octets[STORE_NOTE_MAX];
};

/* What the start found. */
struct store_summary {
	uint64_t epoch;			/* greater than at any start before, durable before store_open() returns */
	uint64_t messages;		/* alive, all parked */
	uint64_t segments;
	uint64_t replayed;		/* records read behind the index */
	uint64_t damaged;		/* records that did not verify and were set aside */
	int64_t written_ms;		/* wall time of the last write before, INT64_MIN: never */
	struct store_note note;		/* empty: none was kept, or it was lost with the index */
};

/*
 * Takes the lock of the folder, recovers, and starts the threads. -1 and an error when another process holds it, when the format is
 * newer than this program, or when the folder cannot be used; damage to single records is no error.
 */
int store_open(const struct store_options *options, struct event_base *base, const struct store_events *events,
    void *context, struct store **store_out, struct store_summary *summary, struct error *error);

/* Flushes what waits, writes the index, stops the threads, gives the lock back. */
void store_close(struct store **store);

bool store_accepts(const struct store *store);

/* Keeps the note for the next start, in place of the one before. It is written with the index: within a minute while there is
 * work, within ten otherwise, and at the close; at_once: within a moment. */
void store_keep_note(struct store *store, const struct store_note *note, bool at_once);

/* ---- changing: batches ---- */

struct store_batch;
struct store_batch *store_batch_new(struct store *store);
/* A new message. content is held until the commit, or NULL when the body is the file of store_body_create(), body_length octets long with
 * that CRC-32C; the store looks at the length only and flushes the file before the record. The envelope is encoded now. Batches are written
 * in the order of store_commit(), but one with a file takes longer: say nothing more about its message before it succeeded. */
void store_batch_add(struct store_batch *batch, const struct envelope *envelope, struct store_content *content,
    uint64_t body_length, uint32_t body_checksum);
/* The state of some recipients changed, or recipients were added: those with chosen[i] (recipient_count flags) are recorded whole. */
void store_batch_update(struct store_batch *batch, const struct envelope *envelope, const bool *chosen);
/* An administrator holds or releases the message. */
void store_batch_hold(struct store_batch *batch, uint64_t id, bool held);
/* Nothing is left to do for this message. Its body file is unlinked after the flush. */
void store_batch_done(struct store_batch *batch, uint64_t id);

/* error is NULL for success. */
typedef void (*store_commit_cb)(void *context, const struct error *error);
/* Takes the batch over. callback may be NULL. urgent: somebody waits for it (an acceptance); otherwise it may ride with a later
 * flush, at the latest after about 100 ms. */
void store_commit(struct store *store, struct store_batch *batch, bool urgent, store_commit_cb callback, void *context);

/* Whether a message of that id was stored since the start or is known from recovery (a replayed deposit). */
bool store_knows(struct store *store, uint64_t id);

/* ---- bodies in files ---- */

/* A new empty body file for id: callback gets it open for writing (its to close), or -1 and an error. */
typedef void (*store_file_cb)(void *context, uint64_t id, int file, uint64_t length, const struct error *error);
void store_body_create(struct store *store, uint64_t id, store_file_cb callback, void *context);
/* Unlinks the body file of a deposit that came to nothing. */
void store_body_abandon(struct store *store, uint64_t id);
/* The body file open for reading, length and checksum verified the first time. */
void store_body_open(struct store *store, uint64_t id, store_file_cb callback, void *context);

/* ---- parking and waking ---- */

/* The message leaves memory: the index keeps its envelope (as last committed and passed here) under its earliest next_attempt_ms and
 * under the destination of each waiting recipient. Every update of it was answered before: one that is applied later
 * changes what is kept here, and without an index nothing but the journal is kept. */
void store_park(struct store *store, const struct envelope *envelope, bool held);

/* A parked message that was taken is no longer parked: the callback owns envelope (free it with envelope_free and free). Held messages are
 * never taken. At the end the callback comes once more with envelope NULL. */
typedef void (*store_take_cb)(void *context, struct envelope *envelope, const struct error *error);
/* Those whose earliest attempt is at or before now_ms (wall), oldest first, at most limit. */
void store_take_due(struct store *store, int64_t now_ms, unsigned limit, store_take_cb callback, void *context);
/* Those waiting for a destination ("transport:next_hop") and due, oldest first, at most limit. Under its destination a waiting recipient
 * that waits_for_turn is due at once, whatever its next_attempt_ms. */
void store_take_destination(struct store *store, const char *destination, int64_t now_ms, unsigned limit,
    store_take_cb callback, void *context);
/* The destinations at which parked recipients wait for a turn, each once, at most limit; at the end the callback comes once more with
 * NULL. Without an index none is known. */
typedef void (*store_turn_cb)(void *context, const char *destination);
void store_turns(struct store *store, unsigned limit, store_turn_cb callback, void *context);
/* One message by id, held or not. */
void store_take_id(struct store *store, uint64_t id, store_take_cb callback, void *context);
/* The earliest next attempt of all parked messages that are not held; INT64_MAX when there is none. Kept in memory. */
int64_t store_next_due_ms(const struct store *store);

/* ---- reading ---- */

/* Octets of content of a message that is not parked (a list tells them of those that are); 0 for any other. */
uint64_t store_size(struct store *store, uint64_t id);
/* Whether a message that was taken was held when it was parked, or since. */
bool store_held(struct store *store, uint64_t id);

/* The inline content of a message, parked or not; NULL and an error when it is gone or does not verify, or NULL without an error
 * when its body is a file. The content is given to the callback, which releases it. */
typedef void (*store_content_cb)(void *context, uint64_t id, struct store_content *content, const struct error *error);
void store_read_content(struct store *store, uint64_t id, store_content_cb callback, void *context);

struct store_item {
	const struct envelope *envelope;	/* lent */
	uint64_t size;				/* octets of content */
	bool held;
};
/* Parked messages with ids after `after`, in their order, at most limit; at the end item is NULL. Those not parked are the caller's to tell. */
typedef bool (*store_list_cb)(void *context, const struct store_item *item, const struct error *error);
void store_list(struct store *store, uint64_t after, unsigned limit, store_list_cb callback, void *context);

/* Numbers for `matador status`: "name=value\n" lines. */
void store_status(struct store *store, struct buffer *lines);

#endif
