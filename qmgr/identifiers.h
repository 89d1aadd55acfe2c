/*
 * identifiers - the ids of messages and the numbers of jobs, which never repeat on one spool
 *
 * The store gives each start an epoch; within it blocks of ids are counted. The first block is our own, for reports.
 */
#ifndef QMGR_IDENTIFIERS_H
#define QMGR_IDENTIFIERS_H

#include <stdbool.h>
#include <stdint.h>

#define IDENTIFIERS_BLOCKS 4096		/* blocks that one start can grant */

struct identifiers {
	uint64_t epoch;
	uint32_t blocks;	/* granted so far */
	uint64_t next_own;	/* our own block */
	uint64_t jobs;
};

void identifiers_init(struct identifiers *identifiers, uint64_t epoch);
/* The first id of a new block; false when this start has none left. */
bool identifiers_grant(struct identifiers *identifiers, uint64_t *first_id_out);
uint64_t identifiers_next_id(struct identifiers *identifiers);
uint64_t identifiers_next_job(struct identifiers *identifiers);
/* The number of the block of an id of this start, or -1 when the id is of another start or of a block not granted. */
int identifiers_block_of(const struct identifiers *identifiers, uint64_t id);
/* Whether id can be from an earlier start. */
bool identifiers_is_earlier(const struct identifiers *identifiers, uint64_t id);

#endif
