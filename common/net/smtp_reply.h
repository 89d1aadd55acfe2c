/*
 * smtp_reply - one reply of an SMTP or LMTP server, read octet by octet from a peer that may lie
 *
 * Owns:   the reply's lines, bounded in number and length.
 * Trusts: nobody. A line ends with CRLF and nothing else; a NUL, a stray CR or LF, a code that is none, a code
 *         that changes inside one reply, or more than the limits is a violation, after which the connection is
 *         of no use: nobody can tell where the next reply begins.
 *
 * RFC 5321 allows 512 octets a line; servers exceed it with long explanations, so a little more is taken.
 */
#ifndef COMMON_NET_SMTP_REPLY_H
#define COMMON_NET_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

#define SMTP_REPLY_LINE_MAX 2048	/* octets of a line with its end */
#define SMTP_REPLY_LINES_MAX 200	/* lines of one reply */
#define SMTP_REPLY_TOTAL_MAX 32768	/* octets of text kept of one reply */

enum smtp_reply_progress { SMTP_REPLY_UNFINISHED, SMTP_REPLY_COMPLETE, SMTP_REPLY_VIOLATION };

struct smtp_reply {
	int code;			/* 200 to 599; 0 before the first line */
	unsigned line_count;
	struct buffer lines;		/* the texts behind the codes, a NUL behind each */
	size_t last_line;		/* where the last text begins */
	struct buffer partial;		/* the line being read, without CRLF */
	bool saw_cr;
	bool complete;
	const char *violation;		/* what was wrong, for the log; NULL when nothing was */
};

void smtp_reply_init(struct smtp_reply *reply);
void smtp_reply_free(struct smtp_reply *reply);
/* Forgets what was read; ready for the next reply. */
void smtp_reply_clear(struct smtp_reply *reply);

/*
 * Reads on. *consumed_out octets belong to this reply; when it is complete, what follows them is the next
 * reply's. A complete reply must be cleared before the next one is read.
 */
enum smtp_reply_progress smtp_reply_read(struct smtp_reply *reply, const char *data, size_t length,
    size_t *consumed_out);

/* The text of a line behind its code, from 0; "" beyond the last. Borrowed until the next change. */
const char *smtp_reply_line(const struct smtp_reply *reply, unsigned number);
/* The text of the last line, which is the one to quote. */
const char *smtp_reply_last_line(const struct smtp_reply *reply);

#endif
