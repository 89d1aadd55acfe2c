/* backoff - see backoff.h */
#include "master/backoff.h"

int64_t
backoff_ended(struct backoff *backoff, int64_t lived_ms, int64_t maximum_ms)
{
	int64_t wait = BACKOFF_FIRST_MS;

	if (lived_ms >= BACKOFF_FORGIVEN_MS)
		backoff->short_lives = 0;
	for (unsigned i = 0; i < backoff->short_lives && wait < maximum_ms; i++)
		wait *= 2;
	backoff->short_lives++;
	return wait < maximum_ms ? wait : maximum_ms;
}

bool
backoff_is_failing(const struct backoff *backoff)
{
	return backoff->short_lives >= BACKOFF_FAILING;
}
