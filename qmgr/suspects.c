/* suspects - see suspects.h */
#include "qmgr/suspects.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/base/memory.h"

#define MEMORY_MS (60 * 60 * 1000)
#define SUSPECTS_MAX 10000

struct suspect {
	struct hash_node by_id;
	TAILQ_ENTRY(suspect) link;
	uint64_t id;
	int64_t last_ms;
	unsigned deaths;
	uint64_t last_death;	/* the number of the last death that counted */
};

static struct suspect *
find(const struct suspects *suspects, uint64_t id)
{
	struct hash_node *node = hash_table_find(&suspects->by_id, hash_number(id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct suspect *suspect = HASH_CONTAINER(node, struct suspect, by_id);

		if (suspect->id == id)
			return suspect;
	}
	return NULL;
}

static void
forget(struct suspects *suspects, struct suspect *suspect)
{
	hash_table_remove(&suspects->by_id, &suspect->by_id);
	TAILQ_REMOVE(&suspects->all, suspect, link);
	free(suspect);
}

static void
add(struct suspects *suspects, uint64_t id, int64_t now_ms)
{
	struct suspect *suspect = memory_new(1, sizeof(*suspect));

	suspect->id = id;
	suspect->last_ms = now_ms;
	suspect->deaths = 1;
	hash_table_insert(&suspects->by_id, &suspect->by_id, hash_number(id));
	TAILQ_INSERT_TAIL(&suspects->all, suspect, link);
}

/* Counts the death once against each that is a suspect already. Whether there was any. */
static bool
count_known(struct suspects *suspects, const uint64_t *ids, size_t count, int64_t now_ms)
{
	struct suspect *suspect;
	bool any = false;
	size_t i;

	suspects->deaths++;
	for (i = 0; i < count; i++) {
		suspect = find(suspects, ids[i]);
		if (suspect == NULL || suspect->last_death == suspects->deaths)
			continue;
		any = true;
		suspect->last_death = suspects->deaths;
		suspect->deaths++;
		suspect->last_ms = now_ms;
		TAILQ_REMOVE(&suspects->all, suspect, link);
		TAILQ_INSERT_TAIL(&suspects->all, suspect, link);
	}
	return any;
}

static void
forget_old(struct suspects *suspects, int64_t now_ms)
{
	struct suspect *oldest;

	while ((oldest = TAILQ_FIRST(&suspects->all)) != NULL && now_ms - oldest->last_ms >= MEMORY_MS)
		forget(suspects, oldest);
}

void
suspects_note_explained_death(struct suspects *suspects, const uint64_t *ids, size_t count, int64_t now_ms)
{
	forget_old(suspects, now_ms);
	count_known(suspects, ids, count, now_ms);
}

void
suspects_note_death(struct suspects *suspects, const uint64_t *ids, size_t count, int64_t now_ms)
{
	size_t i;

	forget_old(suspects, now_ms);
	if (count_known(suspects, ids, count, now_ms))
		return;
	for (i = 0; i < count; i++)
		if (find(suspects, ids[i]) == NULL)
			add(suspects, ids[i], now_ms);
	while (suspects->by_id.count > SUSPECTS_MAX)
		forget(suspects, TAILQ_FIRST(&suspects->all));
}

unsigned
suspects_deaths(const struct suspects *suspects, uint64_t id)
{
	const struct suspect *suspect = find(suspects, id);

	return suspect == NULL ? 0 : suspect->deaths;
}

void
suspects_init(struct suspects *suspects)
{
	suspects->by_id = (struct hash_table)HASH_TABLE_INITIALIZER;
	suspects->deaths = 0;
	TAILQ_INIT(&suspects->all);
}

void
suspects_free(struct suspects *suspects)
{
	while (!TAILQ_EMPTY(&suspects->all))
		forget(suspects, TAILQ_FIRST(&suspects->all));
	hash_table_free(&suspects->by_id);
}
