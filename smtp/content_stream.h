/*
 * content_stream - a message's content on its way to the wire
 *
 * Owns:   where it stands. The source is borrowed.
 * Gives:  blocks as they follow 354: dots stuffed, every CR with its LF and every LF with its CR, no line over 998
 *         octets, a CRLF at the very end. The lone dot is the session's.
 *
 * A line that is too long is cut by CRLF and a blank, as Postfix does: nothing is lost, a long header field
 * becomes a folded one, and no piece ever begins with a dot. Content in MAIL.BOX has only CRLF; that a stray
 * CR or LF becomes CRLF here is the second wall behind the one at the door.
 */
#ifndef SMTP_CONTENT_STREAM_H
#define SMTP_CONTENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

#define CONTENT_LINE_MAX 998	/* RFC 5321 4.5.3.1.6, without CRLF and without a stuffed dot */
#define CONTENT_BLOCK 65536	/* octets of the source that make one block */

struct content_source {
	const char *memory;	/* borrowed; used when file is -1 */
	int file;		/* borrowed; read from offset 0 */
	uint64_t length;
};

struct content_stream {
	struct content_source source;
	uint64_t offset;
	size_t line_length;	/* octets of the line begun on the wire */
	bool saw_cr;
	bool ended;
};

void content_stream_init(struct content_stream *stream, const struct content_source *source);

/* Appends the next block to out. 1: there is more; 0: that was the end; -1 and an error: the source cannot be read, or is
 * shorter than it should be. */
int content_stream_next(struct content_stream *stream, struct buffer *out, struct error *error);

/* Whether the content, or just its header, has octets above 127. 1, 0, or -1 and an error. */
int content_source_has_8bit(const struct content_source *source, bool header_only, struct error *error);

#endif
