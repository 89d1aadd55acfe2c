/*
 * suspects - messages that were in hand when a worker died
 *
 * One of them may kill whoever gets it, and nobody can tell which. So the deaths of each are counted, and when some of those in
 * hand were there at an earlier death too, only these: the one that kills is always among them, a neighbour by chance. What
 * saw no death for an hour is forgotten.
 */
#ifndef QMGR_SUSPECTS_H
#define QMGR_SUSPECTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"

struct suspect;
TAILQ_HEAD(suspect_list, suspect);

struct suspects {
	struct hash_table by_id;
	struct suspect_list all;	/* owned; by their last death, the oldest first */
	uint64_t deaths;		/* noted since the start */
};

void suspects_init(struct suspects *suspects);
void suspects_free(struct suspects *suspects);

/* A worker died with these messages in hand; an id may stand there several times. now_ms: queue time. */
void suspects_note_death(struct suspects *suspects, const uint64_t *ids, size_t count, int64_t now_ms);
/* The same where something else is a likely reason: the death counts against suspects, and makes nobody one. */
void suspects_note_explained_death(struct suspects *suspects, const uint64_t *ids, size_t count, int64_t now_ms);
/* The deaths that count against the message; 0: none. */
unsigned suspects_deaths(const struct suspects *suspects, uint64_t id);

#endif
