/*
 * store - what is remembered of strangers: a bounded map from texts to small records, that outlives the process
 *
 * Owns:   the records, in memory, and a file that they are written to behind the answers, several times a second at
 *         most. The file is a journal, written anew when most of it is outdated.
 * Bounds: the octets of memory. There are two classes of records, each in the order in which they were put; when the
 *         store is full, the class that holds more than half of it loses its oldest: neither crowds out the other.
 * Fails:  never. A store that cannot write remembers in memory and tries again every minute; a file that is damaged
 *         is read up to that place, and made anew. Nothing is flushed: a power cut loses the last minutes, a killed
 *         process the last moment.
 *
 * Times are wall times, and the clock may jump: a record from the future counts as one of now.
 */
#ifndef DIRECTORY_STORE_H
#define DIRECTORY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct store;

enum store_class { STORE_FLEETING, STORE_LASTING, STORE_CLASS_COUNT };

struct store_record {
	enum store_class class;
	int64_t since_ms;	/* when it was put */
	const char *text;	/* lent until the store changes */
};

#define STORE_KEY_MAX 2200	/* octets of a key, more than any address has; longer ones are not remembered */
#define STORE_TEXT_MAX 400	/* of a text; the rest is cut */

/* Reads what is in the file at path, as far as it is there. octets_max bounds the memory. */
struct store *store_new(struct event_base *base, const char *path, size_t octets_max);
/* Writes what is not written yet. The pointer is cleared; NULL is accepted. */
void store_free(struct store **store);

/* How long records of a class last after they were put. For those that are there, too. */
void store_set_lifetime(struct store *store, enum store_class class, int64_t lifetime_ms);

/* True, and *record_out, when there is one that has not expired. */
bool store_find(struct store *store, const char *key, int64_t now_ms, struct store_record *record_out);
/* Takes the place of what was under that key. */
void store_put(struct store *store, const char *key, enum store_class class, const char *text, int64_t now_ms);

/* Records held, expired ones among them. */
size_t store_count(const struct store *store);

#endif
