/*
 * journal - the segments of a mailbox: which there are, which are in use, and reading from them
 *
 * Who writes is commit.c. Nothing here locks: the running store guards its journal by the store's lock.
 */
#ifndef QMGR_STORE_JOURNAL_H
#define QMGR_STORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "qmgr/store/message.h"
#include "qmgr/store/segment.h"
#include "qmgr/store/store.h"

struct segment {
	uint64_t serial;		/* 0: never used */
	uint64_t epoch;
	uint64_t first;			/* 0: unknown, both headers are lost */
	uint64_t end;			/* of the segment before */
	uint64_t closed;		/* of this one, if the service was stopped in order; 0: not */
	uint64_t size;
	uint64_t made_size;		/* as its header says */
	uint64_t live;			/* live octets */
	uint64_t mailbox;
	uint32_t number;		/* of the file's name */
	bool suspect;			/* damaged, cut short, or a flush failed: not used again */
};

struct segment_list {
	struct segment *list;
	size_t count;
	size_t capacity;
};

struct journal {
	int folder;			/* descriptor of the mailbox' folder */
	int directory;			/* descriptor of its journal/ */
	uint64_t mailbox;
	uint64_t epoch;			/* the highest found; from recovery on, this start's */
	struct segment_list used;	/* by serial, without holes but for lost files */
	struct segment_list free;	/* by serial, but for what is new */
	uint32_t next_number;
	uint64_t next_serial;
	uint64_t durable_oldest;	/* what the newest header says: below it everything is free */
	int64_t written_ms;		/* wall time of the last write that was found; INT64_MIN: none */
};

/* Finds the segments. Changes nothing. -1 when the format is newer or the folder cannot be read. A folder that
 * has no journal
 * yet is an empty journal. */
int journal_find(const char *folder, struct journal *journal, struct error *error);
/* Opens or makes journal/ for writing, and removes what was being prepared. */
int journal_prepare(struct journal *journal, struct error *error);
void journal_close(struct journal *journal);

void segment_list_append(struct segment_list *list, const struct segment *segment);
void segment_list_remove_first(struct segment_list *list);

/* NULL when that serial is not in use. */
struct segment *journal_segment(const struct journal *journal, uint64_t serial);
/* A message_live_cb; context is the journal. */
void journal_live(void *context, uint64_t serial, int64_t octets);

/* How the records of the used segment at that place are to be judged. */
struct segment_frame journal_frame(const struct journal *journal, size_t place);
/* The octets of a segment; the caller frees. *size_out: what the file really has. */
void *journal_read_segment(const struct journal *journal, const struct segment *segment, uint64_t *size_out,
    struct error *error);

/* ---- single entries ---- */

/* Keeps the last segment open and the last record in memory. Belongs to one thread. */
struct part_reader {
	int directory;
	uint64_t mailbox;
	int file;			/* of the segment `serial`; -1: none */
	uint64_t serial;
	struct buffer record;		/* head and entries */
};

void part_reader_init(struct part_reader *reader, const struct journal *journal);
void part_reader_close(struct part_reader *reader);
/* The file of that number is used anew. */
void part_reader_forget(struct part_reader *reader, uint64_t serial);
/* Reads and verifies the entry; entry_out borrows from the reader until its next call. number: of the
 * segment's file. */
int part_read(struct part_reader *reader, uint32_t number, const struct part *part, struct record_entry *entry_out,
    struct error *error);
/* The content of the ADD read last, verified; the caller releases it. NULL and an error otherwise. */
struct store_content *part_read_content(struct part_reader *reader, const struct part *part,
    const struct record_entry *entry, struct error *error);

/* The octets of the part as they are, its record's head before them: lent until the next call. NULL: they cannot be read. */
const void *part_read_raw(struct part_reader *reader, uint32_t number, const struct part *part, uint64_t *length_out);

/* Takes the recipients of update into base; update is then empty. */
void envelope_take_update(struct envelope *base, struct envelope *update, bool whole);

/* The present envelope of a message from its parts. numbers: the file of each part's segment. -1 when there is none, or the disk cannot
 * be read now (ERROR_SYSTEM); 1 and an error when a later part is damaged: then recipients may be in an earlier state.
 * *bad_out: the part that is the reason. */
int message_load_envelope(struct part_reader *reader, const struct message *message, const uint32_t *numbers,
    struct envelope *envelope_out, const struct part **bad_out, struct error *error);

#endif
