/*
 * rates - how many sessions, messages and recipients a client, its network and its user had in rate_interval
 *
 * An event is let in when each of its limits is kept: fewer events than the limit were let in during rate_interval before it.
 * What is let in is counted for client, network and user; what is refused is counted for nobody, and so makes nobody wait longer.
 *
 * Times are kept in slots of a fifteenth of rate_interval, and the sixteen newest count: never more than the limit are let in within
 * any rate_interval, and each counts for that time and at most one slot longer.
 *
 * Bounds: RATES_RECORDS counts; the one that was counted in longest ago goes first, and those that nothing is in any more before it.
 * So who has very many networks may make the counts of others begin anew, and nothing else.
 */
#ifndef POLICY_RATES_H
#define POLICY_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/policy.h"

#define RATES_RECORDS 100000
#define RATES_SLOTS 16

struct document_configuration;
struct rates;

/* Nothing has a limit before rates_configure(). */
struct rates *rates_new(void);
/* NULL is accepted, the pointer is cleared. */
void rates_free(struct rates **rates);

/* Takes limits, prefixes and rate_interval. When the latter or a prefix has changed, counting begins anew. */
void rates_configure(struct rates *rates, const struct document_configuration *configuration);

/*
 * The key of the setting whose limit the event would exceed, static; NULL: it is let in, and counted unless is_peek. client_address is
 * text; what is no address has neither a client's nor a network's limit. user is "" for nobody. now_ms is monotonic.
 */
const char *rates_judge(struct rates *rates, enum rate_kind kind, const char *client_address, const char *user,
    bool is_peek, int64_t now_ms);

/* How many counts are kept. */
size_t rates_count(const struct rates *rates);

#endif
