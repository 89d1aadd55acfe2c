/* limits - the settings that rule qmgr, as plain numbers; nothing else here looks at documents */
#ifndef QMGR_LIMITS_H
#define QMGR_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct settings;

struct limits {
	uint64_t inline_body;			/* octets of content that a deposit may bring in packets */
	uint64_t deposit_memory;		/* octets of deposits not yet on stable storage */
	uint64_t active_memory;			/* octets of content kept for deliveries */
	uint32_t active_messages;		/* the active window */
	unsigned sessions_per_destination;	/* smtp, lmtp: jobs in hand for one destination */
	unsigned transfers;			/* smtp, lmtp: jobs in hand for all; 0: as the workers take them */
	unsigned deliveries;			/* local: jobs in hand */
	unsigned hops;
	int64_t retry_initial_ms;
	int64_t retry_cap_ms;
	int64_t expiry_ms;			/* age at which a message that cannot be delivered is returned */
	int64_t look_interval_ms;		/* how often waiting messages are looked at for delay */
	bool delay_notifications;
	int64_t delay_ms[3];			/* by enum message_priority */
	bool ignore_priority;
	int low_priority_from;			/* minutes of the day, local time; low priority moves only in this range */
	int low_priority_until;			/* not included; the same as from: always */
};

void limits_read(struct limits *limits, const struct settings *settings);

/* Reads "HH:MM-HH:MM" into minutes of the day; false when it is not that. */
bool limits_parse_time_range(const char *text, int *from_out, int *until_out);

#endif
