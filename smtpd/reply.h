/*
 * reply - the replies of replies.def as octets
 *
 * Every line is printable, at most 512 octets with its CRLF, and nothing a client sent can add another line.
 */
#ifndef SMTPD_REPLY_H
#define SMTPD_REPLY_H

#include <stdbool.h>

#include "common/base/buffer.h"

enum reply {
	REPLY_NONE,
#define REPLY(symbol, code, enhanced, text) REPLY_##symbol,
#include "smtpd/replies.def"
#undef REPLY
	REPLY_COUNT,
};

#define REPLY_LINE_MAX 512

unsigned reply_code(enum reply reply);
/* Appends one line. argument stands for the reply's %s; it may be NULL when there is none. with_status: with the
 * enhanced status code. more: another line of the same reply follows. */
void reply_append(struct buffer *out, enum reply reply, const char *argument, bool with_status, bool more);

#endif
