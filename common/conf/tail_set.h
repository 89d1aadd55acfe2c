/*
 * tail_set - which of many tails a name ends in
 *
 * The tails stand sorted from their ends, each with the longest other that it ends in: a look-up costs one binary
 * search and the tails that the name has, however many there are in all.
 */
#ifndef COMMON_CONF_TAIL_SET_H
#define COMMON_CONF_TAIL_SET_H

#include <stddef.h>

#include "common/conf/settings.h"

#define TAIL_MAX 639	/* octets of a tail, and of a name that is looked up; a longer one matches nothing */
#define TAIL_NOT_FOUND ((size_t)-1)

enum tail_kind {
	TAIL_CHARACTERS,		/* abc.com: xyzabc.com too */
	TAIL_LABELS,			/* abc.com, x.abc.com, user@abc.com, but not xyzabc.com */
	TAIL_BELOW,			/* x.abc.com, but not abc.com */
	TAIL_WHOLE,			/* abc.com */
};

struct tail_set;

struct tail_set *tail_set_new(void);
/* NULL is accepted. The pointer is cleared. */
void tail_set_free(struct tail_set **set);

/* Adds a tail under a number of the caller's. ASCII letters count without case, here and in names. */
void tail_set_add(struct tail_set *set, const char *tail, enum tail_kind kind, size_t number);
/* To be called once, behind the last tail_set_add() and before the first tail_set_find(). */
void tail_set_close(struct tail_set *set);

/* A closed set of the items of a setting as they stand there, whole; NULL: an empty one. */
struct tail_set *tail_set_of_texts(const struct setting *setting);

/* How many different tails there are. */
size_t tail_set_count(const struct tail_set *set);

/* The lowest number of the tails that name ends in, or TAIL_NOT_FOUND. */
size_t tail_set_find(const struct tail_set *set, const char *name);

#endif
