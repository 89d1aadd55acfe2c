/*
 * catalogue - one compiled Directory: documents and the keys that lead to them, in a Berkeley DB file of its own
 *
 * Owns:   a database file that has lost its name: nobody can open, replace or damage it, and it is gone with its
 *         last holder. Pages carry checksums all the same.
 * Fails:  with an error; a catalogue that failed once is to be thrown away and made anew. Never with a wrong
 *         answer.
 *
 * Only this file sees Berkeley DB. There is no environment: no region files, no DB_CONFIG, no locks that a killed
 * process leaves.
 */
#ifndef DIRECTORY_CATALOGUE_H
#define DIRECTORY_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

struct catalogue;

/* What a key is: the same text may stand in several of these. */
enum catalogue_key {
	CATALOGUE_ADDRESS = 'a',	/* an Internet address */
	CATALOGUE_NAME = 'n',		/* a name form, '_' and '.' as blanks */
	CATALOGUE_WEAK = 'w',		/* a first or last name alone: counts only when no name form matches */
	CATALOGUE_GROUP = 'g',		/* the name of a group, whether it takes mail or not */
};

/*
 * Makes an empty one in a fresh file at path (absolute); expected is about how many documents will come. One
 * reference is the caller's.
 */
struct catalogue *catalogue_new(const char *path, size_t expected, struct error *error);
struct catalogue *catalogue_hold(struct catalogue *catalogue);
/* The last one closes the database and so removes the file. */
void catalogue_release(struct catalogue **catalogue);

int catalogue_put_document(struct catalogue *catalogue, uint32_t number, const struct buffer *document,
    struct error *error);
int catalogue_put_member(struct catalogue *catalogue, uint32_t group, uint32_t index, const char *member,
    struct error *error);
/* A key that a document has already is put once. */
int catalogue_put_key(struct catalogue *catalogue, enum catalogue_key key, const char *text, uint32_t number,
    struct error *error);

/* The numbers of at most maximum documents with that key, ascending. -1 and an error when the database fails. */
int catalogue_find(struct catalogue *catalogue, enum catalogue_key key, const char *text, uint32_t *numbers_out,
    size_t maximum, size_t *count_out, struct error *error);

/* Lends the octets until the next call. 1, 0: no such document, -1: an error. */
int catalogue_get_document(struct catalogue *catalogue, uint32_t number, const void **data_out, size_t *length_out,
    struct error *error);
int catalogue_get_member(struct catalogue *catalogue, uint32_t group, uint32_t index, const char **member_out,
    struct error *error);

#endif
