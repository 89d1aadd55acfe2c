/*
 * backoff - how long a program that ended waits for its next start
 *
 * Each end soon after a start doubles the wait; a program that lived long enough starts afresh.
 */
#ifndef MASTER_BACKOFF_H
#define MASTER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_FORGIVEN_MS 60000	/* a life this long forgets what was before */
#define BACKOFF_FAILING 5		/* so many short lives in a row are worth a report */

struct backoff {
	unsigned short_lives;
};

/* A program ended after it lived so long; returns how many milliseconds to wait, at most maximum_ms. */
int64_t backoff_ended(struct backoff *backoff, int64_t lived_ms, int64_t maximum_ms);

/* Whether it keeps ending soon after its starts. */
bool backoff_is_failing(const struct backoff *backoff);

#endif
