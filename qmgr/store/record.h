/*
 * record - one batch of changes as octets of the journal
 *
 * Knows docs/mailbox-format.md, "Records", and nothing of files. Parsing trusts nothing: the octets may be anything.
 */
#ifndef QMGR_STORE_RECORD_H
#define QMGR_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/mail/envelope.h"

#define RECORD_HEAD_SIZE 56
#define RECORD_ENTRY_HEAD_SIZE 16
#define RECORD_ADD_HEAD_SIZE 32		/* of an ADD entry, before its envelope */
#define RECORD_ENTRIES_MAX 65535
#define RECORD_OCTETS_MAX ((uint64_t)1 << 30)

enum entry_kind { ENTRY_ADD = 1, ENTRY_UPDATE, ENTRY_HOLD, ENTRY_DONE };
enum { ENTRY_FILE = 1, ENTRY_COPY = 2, ENTRY_HELD = 4, ENTRY_WHOLE = 8 };

struct record_head {
	uint32_t crc;
	uint32_t length;		/* without padding */
	uint32_t entries_length;
	uint16_t count;
	uint64_t sequence;
	uint64_t serial;
	uint64_t flushed;
	uint64_t mailbox;
};

struct record_entry {
	enum entry_kind kind;
	uint8_t flags;
	uint64_t id;
	uint32_t length;		/* of the entry */
	const void *envelope;		/* borrowed; NULL for HOLD and DONE */
	size_t envelope_length;
	uint64_t content_length;	/* of ADD; the file's with ENTRY_FILE */
	uint32_t content_crc;
	uint64_t content_offset;	/* from the record's start; of ADD without ENTRY_FILE */
};

/* Appends an entry; envelope and chosen as for envelope_encode(), NULL for HOLD and DONE. False when the
 * envelope does not
 * fit or encode; out is then as before. An ADD's checksum is filled in later: record_entry_set_crc(). */
bool record_put_entry(struct buffer *out, enum entry_kind kind, uint8_t flags, uint64_t id,
    const struct envelope *envelope, const bool *chosen, uint64_t content_length);
void record_entry_set_crc(char *entry, uint32_t content_crc);
/* Fills the head in front of head->entries_length octets of entries; checksum by itself. */
void record_seal(char *record, struct record_head *head);

/* Reads a head; false unless it is one whose lengths fit into available. Checksums are not looked at. */
bool record_parse_head(const void *data, uint64_t available, struct record_head *head_out);
/* Whether head and entries of a parsed head, all there, have the right checksum and a sound structure. */
bool record_entries_are_sound(const void *data, const struct record_head *head);
/* Whether a whole record of that mailbox and serial is there: contents too. */
bool record_is_good(const void *data, uint64_t available, uint64_t mailbox, uint64_t serial, struct record_head *head_out);

struct record_reader {
	const uint8_t *next;
	const uint8_t *end;
	uint64_t content_offset;
	uint64_t length;		/* of the record */
	uint32_t left;
	bool failed;
};

/* data: the record's start, its head and entries there. */
void record_reader_init(struct record_reader *reader, const void *data, const struct record_head *head);
/* The next entry; false at the end, or with reader->failed when it is malformed. */
bool record_next_entry(struct record_reader *reader, struct record_entry *entry_out);

#endif
