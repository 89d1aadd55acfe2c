/*
 * recent - the last ids that were stored: a ring that forgets the oldest, and a hash over it
 *
 * A deposit that is replayed after a restart is among the last seconds' (the depositor asks again at once).
 */
#include <stdlib.h>

#include "common/base/memory.h"
#include "qmgr/store/internal.h"

#define NONE UINT32_MAX

struct recent {
	unsigned limit;
	unsigned count;
	unsigned next;			/* the slot to be used next: the oldest when full */
	uint64_t *ids;
	uint32_t *behind;		/* the next slot of the chain */
	uint32_t *chains;
	unsigned chain_count;
};

struct recent *
recent_new(unsigned limit)
{
	struct recent *recent = memory_new(1, sizeof(*recent));

	recent->limit = limit;
	recent->ids = memory_new(limit, sizeof(*recent->ids));
	recent->behind = memory_new(limit, sizeof(*recent->behind));
	for (recent->chain_count = 1; recent->chain_count < limit; recent->chain_count *= 2)
		;
	recent->chains = memory_new(recent->chain_count, sizeof(*recent->chains));
	for (unsigned i = 0; i < recent->chain_count; i++)
		recent->chains[i] = NONE;
	return recent;
}

void
recent_free(struct recent **recent)
{
	if (*recent == NULL)
		return;
	free((*recent)->ids);
	free((*recent)->behind);
	free((*recent)->chains);
	free(*recent);
	*recent = NULL;
}

static uint32_t *
chain_of(const struct recent *recent, uint64_t id)
{
	return &recent->chains[(id * 0x9e3779b97f4a7c15u >> 40) & (recent->chain_count - 1)];
}

bool
recent_has(const struct recent *recent, uint64_t id)
{
	uint32_t slot = *chain_of(recent, id);

	while (slot != NONE && recent->ids[slot] != id)
		slot = recent->behind[slot];
	return slot != NONE;
}

void
recent_add(struct recent *recent, uint64_t id)
{
	uint32_t slot = recent->next;
	uint32_t *link;

	if (recent_has(recent, id))
		return;
	if (recent->count == recent->limit) {
		for (link = chain_of(recent, recent->ids[slot]); *link != slot; link = &recent->behind[*link])
			;
		*link = recent->behind[slot];
	} else {
		recent->count++;
	}
	link = chain_of(recent, id);
	recent->ids[slot] = id;
	recent->behind[slot] = *link;
	*link = slot;
	recent->next = (slot + 1) % recent->limit;
}
