/*
 * message - which entries of the journal an alive message consists of, and a table of such messages
 *
 * The rules of docs/mailbox-format.md by which entries replace each other are here, once: for the running store, for
 * recovery, and for reading a stopped mailbox. Nothing here locks or reads files.
 */
#ifndef QMGR_STORE_MESSAGE_H
#define QMGR_STORE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qmgr/store/record.h"

/* One entry in the journal that a message still needs. */
struct part {
	uint64_t sequence;
	uint64_t serial;
	uint32_t record;		/* offset of its record in the segment, in units of 8 */
	uint32_t octets;		/* what it counts for in the segment's live octets */
	uint16_t entry;			/* which entry of the record, from 0 */
	uint8_t kind;			/* enum entry_kind */
	uint8_t flags;			/* ENTRY_ flags */
};

enum message_place {
	MESSAGE_ACTIVE,			/* the caller has it */
	MESSAGE_MOVING,			/* parked and in the index; here while it is copied forward, and until its row says so */
	MESSAGE_WAITING,		/* parked, not in the index: while there is none, during recovery, and what the disk cannot read */
};

struct message {
	struct message *next;		/* in its chain of the table */
	uint64_t id;
	uint64_t size;			/* octets of content */
	uint64_t through;		/* sequence and, below, number of the last entry that the parts include */
	int64_t due;			/* next attempt, for MESSAGE_WAITING */
	uint64_t held_by;		/* sequence of the last HOLD since the start; 0: none */
	struct part *parts;		/* the ADD first; then in the order of their sequences; owned unless `few` */
	struct part few[2];
	uint32_t part_count;
	uint32_t part_capacity;
	uint16_t through_entry;
	uint8_t place;			/* enum message_place */
	bool held;
	bool in_file;			/* its content is a file */
	bool indexed;			/* the index has a row of it */
	bool copying;			/* a copy of it is on its way to the committer */
	bool changed;			/* since the index' last checkpoint */
	bool unreadable;		/* the disk cannot read it, and that was told; its row in the index, if any, is as of an active one */
};

/* Tells that a segment gained (or with a negative number lost) live octets. */
typedef void (*message_live_cb)(void *context, uint64_t serial, int64_t octets);

/* One that tells nobody: it is counted elsewhere. */
void message_live_nothing(void *context, uint64_t serial, int64_t octets);

struct message *message_new(uint64_t id);
void message_free(struct message **message);
struct message *message_clone(const struct message *message);

/*
 * Takes in an entry: parts that it replaces go. through decides: a part that is included already changes
 * nothing. For ADD the
 * message is new or (with ENTRY_COPY) what was known of it is replaced. False when nothing changed.
 */
bool message_apply(struct message *message, const struct part *part, uint64_t content_length, message_live_cb live,
    void *context);
/* All its parts stop being alive. */
void message_release(struct message *message, message_live_cb live, void *context);
/* All its parts count as alive (they were read from the index). */
void message_count(const struct message *message, message_live_cb live, void *context);

struct part part_of(const struct record_head *head, uint64_t offset, const struct record_entry *entry, unsigned number);

/* ---- table ---- */

struct message_table {
	struct message **chains;
	size_t chain_count;		/* a power of two */
	size_t count;
};

void message_table_init(struct message_table *table);
/* Frees all messages too. */
void message_table_free(struct message_table *table);
struct message *message_table_find(const struct message_table *table, uint64_t id);
/* The table owns it from now on. */
void message_table_insert(struct message_table *table, struct message *message);
/* The caller owns it again. */
void message_table_remove(struct message_table *table, struct message *message);
/* Each message in no order; the callback must not change the table. */
void message_table_each(const struct message_table *table, void (*each)(void *context, struct message *message),
    void *context);

#endif
