/* delivery_result - what became of one recipient in one attempt, as it travels from smtp and local to qmgr */
#ifndef COMMON_MAIL_DELIVERY_RESULT_H
#define COMMON_MAIL_DELIVERY_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/wire.h"
#include "common/mail/envelope.h"

enum delivery_outcome { DELIVERY_DONE, DELIVERY_DEFERRED, DELIVERY_FAILED, DELIVERY_OUTCOME_COUNT };

struct delivery_result {
	uint32_t recipient;		/* its number in the message */
	enum delivery_outcome outcome;
	enum failure_class failure;	/* for DELIVERY_FAILED */
	/* the next hop as a whole is unusable (connect, banner, EHLO, time-out), not this recipient */
	bool host_failed;
	/* with host_failed: nothing was tried, and for so long nothing will be; 0: the retry schedule decides */
	uint32_t retry_seconds;
	bool dsn_relayed;		/* the next hop took over success reporting (it offers DSN) */
	const char *status;		/* "2.0.0"; lent when decoded, at most 15 octets */
	const char *text;		/* the reply's last line, or what went wrong; at most ENVELOPE_TEXT_MAX */
	const char *host;		/* who said so; "" when none */
};

bool delivery_result_encode(const struct delivery_result *result, struct buffer *out);
/* Reads one result; strings are lent from the reader's memory. False when it is malformed. */
bool delivery_result_decode(struct wire_reader *reader, struct delivery_result *result);

#endif
