/* retry - see retry.h */
#include "qmgr/retry.h"

#define MINUTES_A_DAY (24 * 60)

int64_t
retry_interval(const struct limits *limits, uint32_t failures)
{
	int64_t interval = limits->retry_initial_ms;

	while (failures > 1 && interval < limits->retry_cap_ms) {
		interval *= 2;
		failures--;
	}
	if (interval > limits->retry_cap_ms)
		interval = limits->retry_cap_ms;
	/* A cap below the initial interval is no reason to hurry. */
	return interval > limits->retry_initial_ms ? interval : limits->retry_initial_ms;
}

int64_t
retry_interval_spread(const struct limits *limits, uint32_t failures, uint32_t random)
{
	int64_t interval = retry_interval(limits, failures);
	int64_t spread = interval / 10;

	return interval - spread + (spread > 0 ? (int64_t)(random % (uint64_t)(2 * spread + 1)) : 0);
}

bool
retry_is_expired(const struct limits *limits, int64_t age_ms, uint32_t attempts)
{
	int64_t waited = 0;
	uint32_t i;

	if (age_ms >= 0)
		return age_ms >= limits->expiry_ms;
	for (i = 1; i < attempts && waited < limits->expiry_ms; i++)
		waited += retry_interval(limits, i);
	return waited >= limits->expiry_ms;
}

int64_t
retry_before_expiry(const struct limits *limits, int64_t next_ms, int64_t now_ms, int64_t age_ms)
{
	int64_t expiry = now_ms + limits->expiry_ms - age_ms;

	return age_ms >= 0 && expiry > now_ms && expiry < next_ms ? expiry : next_ms;
}

int64_t
retry_before_delay(const struct limits *limits, enum message_priority priority, int64_t next_ms, int64_t now_ms, int64_t age_ms)
{
	int64_t left = limits->delay_ms[priority] - age_ms;

	return age_ms >= 0 && left > 0 && now_ms + left + limits->look_interval_ms < next_ms ?
	    now_ms + left + limits->look_interval_ms : next_ms;
}

bool
retry_is_delayed(const struct limits *limits, enum message_priority priority, int64_t age_ms)
{
	return limits->delay_notifications && age_ms >= limits->delay_ms[priority];
}

int64_t
retry_low_priority_wait(const struct limits *limits, int minute_of_day)
{
	int from = limits->low_priority_from, until = limits->low_priority_until, wait;
	bool inside = from < until ? minute_of_day >= from && minute_of_day < until :
	    minute_of_day >= from || minute_of_day < until;

	if (from == until || inside)
		return 0;
	wait = from - minute_of_day;
	return (int64_t)(wait < 0 ? wait + MINUTES_A_DAY : wait) * 60000;
}
