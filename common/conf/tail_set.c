/* tail_set - see tail_set.h */
#include "common/conf/tail_set.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

struct tail {
	char *reversed;			/* owned: lower case, last octet first */
	size_t length;
	enum tail_kind kind;
	size_t number;
	size_t shorter;		/* the longest tail that this one ends in, or the same of another kind; TAIL_NOT_FOUND: none */
};

struct tail_set {
	struct tail *tails;
	size_t count, capacity;
};

struct tail_set *
tail_set_new(void)
{
	return memory_new(1, sizeof(struct tail_set));
}

void
tail_set_free(struct tail_set **set)
{
	if (*set == NULL)
		return;
	for (size_t i = 0; i < (*set)->count; i++)
		free((*set)->tails[i].reversed);
	free((*set)->tails);
	free(*set);
	*set = NULL;
}

static void
reverse(const char *text, size_t length, char *reversed)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[length - 1 - i];

		reversed[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	reversed[length] = '\0';
}

void
tail_set_add(struct tail_set *set, const char *tail, enum tail_kind kind, size_t number)
{
	size_t length = strlen(tail);
	struct tail *added;

	if (length == 0 || length > TAIL_MAX)
		return;
	if (set->count == set->capacity) {
		set->capacity = set->capacity > 0 ? set->capacity * 2 : 8;
		set->tails = memory_resize(set->tails, set->capacity, sizeof(*set->tails));
	}
	added = &set->tails[set->count++];
	*added = (struct tail){ memory_new(length + 1, 1), length, kind, number, TAIL_NOT_FOUND };
	reverse(tail, length, added->reversed);
}

static int
compare_tails(const void *one, const void *other)
{
	const struct tail *a = one, *b = other;
	int order = strcmp(a->reversed, b->reversed);

	if (order == 0)
		order = (a->kind > b->kind) - (a->kind < b->kind);
	return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static bool
ends_in(const char *reversed, const struct tail *tail)
{
	return strncmp(reversed, tail->reversed, tail->length) == 0;
}

/* Of tails that stand there several times only the first counts. */
static void
drop_repeated(struct tail_set *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (kept > 0 && set->tails[kept - 1].kind == set->tails[i].kind &&
		    strcmp(set->tails[kept - 1].reversed, set->tails[i].reversed) == 0)
			free(set->tails[i].reversed);
		else
			set->tails[kept++] = set->tails[i];
	}
	set->count = kept;
}

void
tail_set_close(struct tail_set *set)
{
	if (set->count > 1)
		qsort(set->tails, set->count, sizeof(*set->tails), compare_tails);
	drop_repeated(set);
	/*
	 * What the one before does not end in either, nothing between does: the sort keeps common ends together.
	 */
	for (size_t i = 1; i < set->count; i++) {
		size_t shorter = i - 1;

		while (shorter != TAIL_NOT_FOUND && !ends_in(set->tails[i].reversed, &set->tails[shorter]))
			shorter = set->tails[shorter].shorter;
		set->tails[i].shorter = shorter;
	}
}

struct tail_set *
tail_set_of_texts(const struct setting *setting)
{
	struct tail_set *set = tail_set_new();

	for (size_t i = 0; setting != NULL && i < setting->count; i++)
		tail_set_add(set, setting->items[i].text, TAIL_WHOLE, i);
	tail_set_close(set);
	return set;
}

size_t
tail_set_count(const struct tail_set *set)
{
	return set->count;
}

/* What stands before the tail in the name decides; the name is known to end in it. */
static bool
matches(const struct tail *tail, const char *reversed_name)
{
	char before = reversed_name[tail->length];

	switch (tail->kind) {
	case TAIL_CHARACTERS:
		return true;
	case TAIL_LABELS:
		return before == '\0' || before == '.' || before == '@';
	case TAIL_BELOW:
		return before == '.' && reversed_name[tail->length + 1] != '\0';
	case TAIL_WHOLE:
		return before == '\0';
	}
	return false;
}

/*
 * The last tail that does not stand behind the name. Every tail that the name has is it, or is reached from it by
 * shorter.
 */
static size_t
last_not_behind(const struct tail_set *set, const char *reversed_name)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(set->tails[middle].reversed, reversed_name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? low - 1 : TAIL_NOT_FOUND;
}

size_t
tail_set_find(const struct tail_set *set, const char *name)
{
	char reversed[TAIL_MAX + 1];
	size_t length = strnlen(name, TAIL_MAX + 1), found = TAIL_NOT_FOUND;

	if (length == 0 || length > TAIL_MAX || set->count == 0)
		return TAIL_NOT_FOUND;
	reverse(name, length, reversed);
	for (size_t i = last_not_behind(set, reversed); i != TAIL_NOT_FOUND; i = set->tails[i].shorter)
		if (ends_in(reversed, &set->tails[i]) && matches(&set->tails[i], reversed) &&
		    set->tails[i].number < found)
			found = set->tails[i].number;
	return found;
}
