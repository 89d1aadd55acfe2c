/*
 * identifier - the id of a message
 *
 * One id names a message from its Received field to its last log line. qmgr grants each depositor a
 * block of ids (a durable epoch and a number, never granted twice on one spool); the depositor counts
 * within it. So an id never repeats, whatever the clock does, and a deposit that is replayed after a
 * crash is recognised by it.
 */
#ifndef COMMON_BASE_IDENTIFIER_H
#define COMMON_BASE_IDENTIFIER_H

#include <stdbool.h>
#include <stdint.h>

#define IDENTIFIER_TEXT_SIZE 14		/* 13 characters and a NUL */
#define IDENTIFIER_BLOCK_BITS 24	/* ids in one block: 2^24 */

/* 13 characters of 0-9 and A-Z without I, L, O and U; sorts like the number. */
void identifier_format(uint64_t id, char text[static IDENTIFIER_TEXT_SIZE]);
/* The reverse; case does not matter. False for anything else. */
bool identifier_parse(const char *text, uint64_t *id_out);

#endif
