/* limits - the settings that rule qmgr, as plain numbers; nothing else here looks at documents */
#ifndef QMGR_LIMITS_H
#define QMGR_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/mail/envelope.h"

struct settings;

struct limits {
	uint64_t inline_body;			/* octets of content that a deposit may bring in packets */
	uint64_t deposit_memory;		/* octets of deposits not yet on stable storage */
	uint64_t active_memory;			/* octets of content kept for deliveries */
	uint32_t active_messages;		/* the active window */
	unsigned sessions_per_destination;	/* smtp, lmtp: jobs in hand for one destination */
	unsigned initial_concurrency;		/* smtp, lmtp: the same for one that did not work yet */
	unsigned transfers;			/* smtp, lmtp: jobs in hand for all; 0: as the workers take them */
	unsigned deliveries;			/* local: jobs in hand */
	unsigned hops;
	int64_t retry_initial_ms;
	int64_t retry_cap_ms;
	int64_t expiry_ms;			/* age at which a message that cannot be delivered is returned */
	int64_t look_interval_ms;		/* how late the delay of a waiting message may be noticed */
	bool delay_notifications;
	int64_t delay_ms[3];			/* by enum message_priority */
	bool ignore_priority;
	uint64_t low_priority_size;		/* octets from which on a message is of low priority; 0: none is */
	bool low_delay_chosen;			/* senders are told that mail is held back which they gave low priority */
	bool low_delay_by_size;			/* ... or which its size made so */
	int low_priority_from;			/* minutes of the day, local time; low priority moves only in this range */
	int low_priority_until;			/* not included; the same as from: always */
	int64_t call_out_timeout_ms;
};

/* The priority that a message of so many octets has by our documents; chosen is its sender's wish. */
enum message_priority limits_priority(const struct limits *limits, enum message_priority chosen, uint64_t size);
void limits_read(struct limits *limits, const struct settings *settings);

/* Reads "HH:MM-HH:MM" into minutes of the day; false when it is not that. */
bool limits_parse_time_range(const char *text, int *from_out, int *until_out);

#endif
