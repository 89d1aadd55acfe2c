/* identifiers - see identifiers.h */
#include "qmgr/identifiers.h"

#include "common/base/identifier.h"

#define BLOCK_BITS 12			/* 2^12 blocks in an epoch */
#define EPOCH_SHIFT (BLOCK_BITS + IDENTIFIER_BLOCK_BITS)
#define EPOCH_BITS (64 - EPOCH_SHIFT)
#define JOB_EPOCH_SHIFT 32

void
identifiers_init(struct identifiers *identifiers, uint64_t epoch)
{
	*identifiers = (struct identifiers){ .epoch = epoch & ((UINT64_C(1) << EPOCH_BITS) - 1) };
	identifiers_grant(identifiers, &identifiers->next_own);
}

bool
identifiers_grant(struct identifiers *identifiers, uint64_t *first_id_out)
{
	if (identifiers->blocks == IDENTIFIERS_BLOCKS)
		return false;
	*first_id_out = identifiers->epoch << EPOCH_SHIFT | (uint64_t)identifiers->blocks++ << IDENTIFIER_BLOCK_BITS;
	return true;
}

uint64_t
identifiers_next_id(struct identifiers *identifiers)
{
	return identifiers->next_own++;
}

uint64_t
identifiers_next_job(struct identifiers *identifiers)
{
	return identifiers->epoch << JOB_EPOCH_SHIFT | ++identifiers->jobs;
}

int
identifiers_block_of(const struct identifiers *identifiers, uint64_t id)
{
	uint64_t block = id >> IDENTIFIER_BLOCK_BITS & (IDENTIFIERS_BLOCKS - 1);

	if (id >> EPOCH_SHIFT != identifiers->epoch || block >= identifiers->blocks)
		return -1;
	return (int)block;
}

bool
identifiers_is_earlier(const struct identifiers *identifiers, uint64_t id)
{
	return id >> EPOCH_SHIFT < identifiers->epoch;
}
