/* limits - see limits.h */
#include "qmgr/limits.h"

#include <stdio.h>

#include "common/conf/settings.h"
#include "common/mail/envelope.h"

#define DELIVERIES_BY_DEFAULT 20
#define MINUTES_A_DAY (24 * 60)

bool
limits_parse_time_range(const char *text, int *from_out, int *until_out)
{
	unsigned from_hour, from_minute, until_hour, until_minute;
	int consumed = 0;

	if (sscanf(text, "%2u:%2u-%2u:%2u%n", &from_hour, &from_minute, &until_hour, &until_minute, &consumed) != 4 ||
	    text[consumed] != '\0' || from_hour > 24 || until_hour > 24 || from_minute > 59 || until_minute > 59)
		return false;
	*from_out = (int)(from_hour * 60 + from_minute) % MINUTES_A_DAY;
	*until_out = (int)(until_hour * 60 + until_minute) % MINUTES_A_DAY;
	return true;
}

static unsigned
sessions_per_destination(const struct document_configuration *configuration)
{
	unsigned sessions = (unsigned)configuration->maximum_sessions_per_destination.number;
	unsigned concurrent = (unsigned)configuration->maximum_concurrent_transfer_threads.number;
	unsigned transfers = (unsigned)configuration->maximum_transfer_threads.number;

	if (concurrent == 0 && transfers > 0)
		concurrent = transfers > 1 ? transfers / 2 : 1;
	return concurrent > 0 && concurrent < sessions ? concurrent : sessions;
}

enum message_priority
limits_priority(const struct limits *limits, enum message_priority chosen, uint64_t size)
{
	if (limits->ignore_priority)
		return PRIORITY_NORMAL;
	return limits->low_priority_size > 0 && size >= limits->low_priority_size ? PRIORITY_LOW : chosen;
}

void
limits_read(struct limits *limits, const struct settings *settings)
{
	const struct document_matador *matador = &settings->matador;
	const struct document_configuration *configuration = &settings->configuration;
	int64_t minutes = configuration->mail_timeout_minutes.number;
	int64_t low_delay = configuration->low_priority_delay_notification.number;

	*limits = (struct limits){
		.inline_body = (uint64_t)matador->inline_body_limit.number,
		.deposit_memory = (uint64_t)matador->deposit_memory_limit.number,
		.active_memory = (uint64_t)matador->active_memory_limit.number,
		.active_messages = (uint32_t)matador->active_message_limit.number,
		.sessions_per_destination = sessions_per_destination(configuration),
		.initial_concurrency = (unsigned)configuration->initial_transfer_concurrency.number,
		.transfers = (unsigned)configuration->maximum_transfer_threads.number,
		.deliveries = (unsigned)configuration->maximum_delivery_threads.number,
		.hops = (unsigned)configuration->maximum_hop_count.number,
		.retry_initial_ms = configuration->initial_transfer_retry_interval.number * 1000,
		.retry_cap_ms = configuration->retry_interval_cap.number * 1000,
		.expiry_ms = (minutes > 0 ? minutes : configuration->mail_timeout_days.number) * 1000,
		.look_interval_ms = configuration->expired_message_purge_interval.number * 1000,
		.delay_notifications = configuration->delay_notifications.number != 0,
		.call_out_timeout_ms = configuration->call_out_timeout.number * 1000,
		.ignore_priority = configuration->ignore_message_priority.number != 0,
		.low_priority_size = (uint64_t)configuration->low_priority_size_range_kb.number,
		.low_delay_chosen = low_delay == LOW_PRIORITY_DELAY_NOTIFICATION_ALL ||
		    low_delay == LOW_PRIORITY_DELAY_NOTIFICATION_SENDER_REQUESTED,
		.low_delay_by_size = low_delay == LOW_PRIORITY_DELAY_NOTIFICATION_ALL ||
		    low_delay == LOW_PRIORITY_DELAY_NOTIFICATION_POLICY_LOWERED,
	};
	limits->delay_ms[PRIORITY_HIGH] = configuration->delay_notification_high.number * 1000;
	limits->delay_ms[PRIORITY_NORMAL] = configuration->delay_notification_normal.number * 1000;
	limits->delay_ms[PRIORITY_LOW] = configuration->delay_notification_low.number * 1000;
	if (limits->deliveries == 0)
		limits->deliveries = DELIVERIES_BY_DEFAULT;
	if (!limits_parse_time_range(configuration->low_priority_time_range.text, &limits->low_priority_from,
	    &limits->low_priority_until))
		limits->low_priority_from = limits->low_priority_until = 0;
}
