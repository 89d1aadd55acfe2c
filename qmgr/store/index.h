/*
 * index - what is parked, in Berkeley DB; derived from the journal, never the truth
 *
 * Used by one thread at a time. Every function that can fail returns -1 with an error, and then the index is to be
 * closed, discarded and made again. Changes become one transaction until index_commit().
 */
#ifndef QMGR_STORE_INDEX_H
#define QMGR_STORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/mail/envelope.h"
#include "qmgr/store/message.h"
#include "qmgr/store/store.h"

struct index;

/* Where a parked message is found: when it is due, and its destinations with theirs. */
struct index_keys {
	int64_t due;
	struct buffer destinations;	/* each: 8 octets next attempt as a key, the destination, a NUL */
};

/* From the recipients that wait. The caller frees keys->destinations. */
void index_keys_make(const struct envelope *envelope, struct index_keys *keys_out);

/* home: absolute; made when it is missing. */
int index_open(const char *home, uint64_t mailbox, struct index **index_out, struct error *error);
/* Commits unless it failed. */
void index_close(struct index **index);
/* Removes the files of a closed index. */
void index_discard(const char *home);

/* What the last checkpoint wrote, and the highest sequence that any row names, or that deleted one. */
uint64_t index_complete(const struct index *index);
uint64_t index_newest(const struct index *index);

/* A parked message with its present envelope. Takes the place of what was there. */
int index_put(struct index *index, const struct message *message, const void *envelope, size_t length,
    const struct index_keys *keys, struct error *error);
/* The parts changed, nothing else; the row exists. */
int index_put_parts(struct index *index, const struct message *message, struct error *error);
/* A message that is active: only where its parts are. */
int index_put_active(struct index *index, const struct message *message, struct error *error);
/* 1: *message_out (the caller's, MESSAGE_WAITING, indexed), envelope appended unless NULL; *active_out. 0: no
 * such row. */
int index_get(struct index *index, uint64_t id, struct message **message_out, struct buffer *envelope, bool *active_out,
    struct error *error);
/* By the record with that sequence. Nothing happens when there is none. */
int index_delete(struct index *index, uint64_t id, uint64_t sequence, struct error *error);
int index_commit(struct index *index, struct error *error);
/* Writes that it is complete up to there, and the note; commits, and flushes. */
int index_checkpoint(struct index *index, uint64_t complete, const struct store_note *note, struct error *error);
/* As the last checkpoint wrote it; empty when there was none. */
const struct store_note *index_note(const struct index *index);

/* Ids in the order of their due times, at most limit, those at or before now; how many. */
int index_due(struct index *index, int64_t now, unsigned limit, uint64_t *ids, struct error *error);
int index_destination(struct index *index, const char *destination, int64_t now, unsigned limit, uint64_t *ids,
    struct error *error);
/* The destinations at which somebody waits for a turn, each once, the text lent; at most limit. How many. */
int index_turns(struct index *index, unsigned limit, void (*each)(void *context, const char *destination), void *context,
    struct error *error);
/* Ids of parked messages after `after`. */
int index_parked(struct index *index, uint64_t after, unsigned limit, uint64_t *ids, struct error *error);
/* The earliest due time, INT64_MAX when nothing waits. */
int index_next_due(struct index *index, int64_t *due_out, struct error *error);

/* How many rows there are. */
int index_count(struct index *index, uint64_t *count_out, struct error *error);
/* Each row; the message is the callback's to free or keep. False stops: -1 with the callback's own error. */
int index_each(struct index *index, bool (*each)(void *context, struct message *message, bool active), void *context,
    struct error *error);

#endif
