/*
 * recovery - from segments to the messages that are alive
 *
 * Reads what the index does not know yet (everything, without an index) and applies it to a table. Changes no
 * file; the
 * index only by deleting what is done.
 */
#ifndef QMGR_STORE_RECOVERY_H
#define QMGR_STORE_RECOVERY_H

#include "common/base/error.h"
#include "qmgr/store/journal.h"

struct index;

struct recovery {
	struct journal *journal;
	struct message_table *table;	/* filled; every message MESSAGE_WAITING without a due time */
	struct index *index;		/* or NULL */
	uint64_t complete;		/* the index knows records up to this sequence */
	uint64_t limit;			/* what follows this sequence is not looked at; UINT64_MAX: all */
	/* Both may be NULL. added: a message began in what was read, done since or not. */
	void (*added)(void *context, uint64_t id);
	void (*damaged)(void *context, struct segment *segment, uint64_t offset, const void *octets, uint64_t length,
	    uint64_t guess_id);
	void *context;
	/* results */
	uint64_t last;			/* sequence of the last record that counts */
	uint64_t replayed;
	uint64_t damage_count;
	struct error unreadable;	/* the first segment that could not be read at all; kind ERROR_NONE: all could */
};

/* -1 only when the index fails (error says so): then again without it, the table emptied. */
int recovery_run(struct recovery *recovery, struct error *error);

/* The files of the segments that a message's parts lie in; the caller frees. NULL when one is not in use any more. */
uint32_t *journal_numbers(const struct journal *journal, const struct message *message);

/* When a message is to be tried next, from its recipients that are not final; 0 when there is none. */
int64_t envelope_next_attempt(const struct envelope *envelope);

#endif
