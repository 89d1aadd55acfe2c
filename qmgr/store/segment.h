/*
 * segment - one file of the journal: its header, and how its records are found
 *
 * Reading works on the octets in memory: what a crash or a failing disk can leave is judged here, and nowhere else
 * (docs/mailbox-format.md, "Reading").
 */
#ifndef QMGR_STORE_SEGMENT_H
#define QMGR_STORE_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "qmgr/store/record.h"

#define SEGMENT_PAGE 4096
#define SEGMENT_DATA 8192		/* where the first commit begins */
#define SEGMENT_SIZE_MIN (64 * 1024)
#define SEGMENT_NAME_SIZE 16		/* "seg-NNNNNN" and a NUL */
#define SEQUENCE_EPOCH_SHIFT 40

struct segment_header {
	uint64_t serial;
	uint64_t epoch;
	uint64_t first;
	uint64_t end;
	uint64_t oldest;
	uint64_t size;
	uint64_t mailbox;
	uint64_t closed;		/* the last sequence that there is, if the service was stopped in order; 0: not */
};

enum segment_header_state { SEGMENT_HEADER_BAD, SEGMENT_HEADER_EMPTY, SEGMENT_HEADER_GOOD, SEGMENT_HEADER_NEWER };

void segment_header_encode(const struct segment_header *header, char page[static SEGMENT_PAGE]);
enum segment_header_state segment_header_decode(const void *page, struct segment_header *header_out);

/* Both pages judged together: the good one with the higher serial. NEWER when a good one is of a version not
 * known here. */
enum segment_header_state segment_headers_read(int file, struct segment_header *header_out);

/* What is known of the segment before its records are read. */
struct segment_frame {
	uint64_t mailbox;
	uint64_t serial;
	uint64_t first;			/* 0: unknown, take what is there */
	uint64_t claimed;		/* a record up to there was flushed: end of the next segment, or the end of an orderly stop */
	bool closed;			/* a next one is known: records above claimed are void */
};

struct segment_found {
	uint64_t last;			/* sequence of the last record that counts; 0: none */
	uint64_t records;
	uint64_t damaged;		/* gaps that a flush had covered */
};

/* record: one that counts, in order; its contents may be bad if damage was told just before. damage: octets that a flush had covered and
 * that do not verify; guess_id is the id in them if it can be guessed, or 0. Either may be NULL. */
typedef void (*segment_record_cb)(void *context, const struct record_head *head, const void *record, uint64_t offset);
typedef void (*segment_damage_cb)(void *context, uint64_t offset, const void *octets, uint64_t length, uint64_t guess_id);

/* Reads a segment of size octets, header pages included. */
void segment_scan(const void *data, uint64_t size, const struct segment_frame *frame, segment_record_cb record,
    segment_damage_cb damage, void *context, struct segment_found *found_out);

/* The serial and sequence of the first aligned record of that mailbox, for a segment that lost both headers. */
bool segment_identify(const void *data, uint64_t size, uint64_t mailbox, uint64_t *serial_out, uint64_t *sequence_out);

/* pread(2), all of it unless the file ends before. What fails is tried again a little later, twice: a disk that stumbled once is no
 * disk that lost something. Returns the octets read, or -1 with errno. */
ssize_t segment_pread(int file, void *data, size_t length, uint64_t offset);

/* All octets of a file, the caller frees; unreadable pages are zeroes, and then error says why: otherwise its kind is ERROR_NONE. NULL
 * and an error when nothing of it can be read. */
void *segment_read(int file, uint64_t size, struct error *error);

/* Makes folder/NAME of size zeroes, flushed, its entry too. */
int segment_create(int folder, const char *name, uint64_t size, struct error *error);
void segment_name(uint32_t number, char name[static SEGMENT_NAME_SIZE]);
bool segment_name_parse(const char *name, uint32_t *number_out);

#endif
