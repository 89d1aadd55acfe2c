/* retry - when to try again and when to give up: pure arithmetic over the limits */
#ifndef QMGR_RETRY_H
#define QMGR_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/mail/envelope.h"
#include "qmgr/limits.h"

/* Milliseconds after failure number failures (from 1): the initial interval, doubled each time, up to the cap. */
int64_t retry_interval(const struct limits *limits, uint32_t failures);
/* The same with up to 10 % more or less, so that what failed together does not come back together. */
int64_t retry_interval_spread(const struct limits *limits, uint32_t failures, uint32_t random);

/*
 * Whether a message is too old to be tried again. age_ms is negative for a message from the future (the clock was set back
 * between two runs): then the attempts alone tell how long it has been here.
 */
bool retry_is_expired(const struct limits *limits, int64_t age_ms, uint32_t attempts);

/* The next attempt after next_ms that is not later than the moment of expiry, so that the last attempt is made then. */
int64_t retry_before_expiry(const struct limits *limits, int64_t next_ms, int64_t now_ms, int64_t age_ms);

/* The same for the moment at which the sender is to be told of the delay: looked at no later than look_interval_ms after it. */
int64_t retry_before_delay(const struct limits *limits, enum message_priority priority, int64_t next_ms, int64_t now_ms,
    int64_t age_ms);

/* Whether a sender is to be told of the delay of a message of that age. */
bool retry_is_delayed(const struct limits *limits, enum message_priority priority, int64_t age_ms);

/* Milliseconds from minute_of_day until low priority may move; 0: it may. */
int64_t retry_low_priority_wait(const struct limits *limits, int minute_of_day);

#endif
