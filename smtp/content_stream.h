/*
 * content_stream - a message's content on its way to the wire
 *
 * Owns:   where it stands. The source is borrowed.
 * Gives:  blocks for DATA (dots stuffed; the lone dot is the session's) or for BDAT (dots as they are): every CR
 *         with its LF and every LF with its CR, no line over 998 octets, a CRLF at the very end.
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
#include "smtp/downgrade_mime.h"

#define CONTENT_LINE_MAX 998	/* RFC 5321 4.5.3.1.6, without CRLF and without a stuffed dot */
#define CONTENT_BLOCK 65536	/* octets of the source that make one block */

struct content_source {
	const char *memory;	/* borrowed; used when file is -1 */
	int file;		/* borrowed; read from offset 0 */
	uint64_t length;
	bool is_examined;	/* the rest is known; it is found out by the first question */
	bool has_8bit_header;
	bool has_8bit_body;
	bool is_plain;
};

struct content_stream {
	struct content_source source;
	uint64_t offset;
	bool stuff_dots;
	struct downgrade *downgrade;	/* borrowed; NULL: nothing is converted */
	size_t line_length;	/* octets of the line begun on the wire */
	bool saw_cr;
	bool ended;
};

/*
 * stuff_dots for DATA, not for BDAT (RFC 3030 section 2). downgrade, which has surveyed this source, converts what has
 * 8-bit octets; NULL: nothing is converted.
 */
void content_stream_init(struct content_stream *stream, const struct content_source *source, bool stuff_dots,
    struct downgrade *downgrade);

/*
 * Content that is plain can go without passing through here: these octets are the next ones, and count of them went. Nothing may have been
 * taken by content_stream_next() before. length is 0 at the end.
 */
struct content_span {
	const char *memory;	/* borrowed; NULL when they are in the file */
	int file;
	uint64_t offset;	/* in the file */
	uint64_t length;
};
struct content_span content_stream_rest(const struct content_stream *stream);
void content_stream_skip(struct content_stream *stream, uint64_t count);

/* Appends the next block to out. 1: there is more; 0: that was the end; -1 and an error: the source cannot be read, or is
 * shorter than it should be. */
int content_stream_next(struct content_stream *stream, struct buffer *out, struct error *error);

/* Lets downgrade survey the content. 1: it can be converted; 0: it cannot; -1 and an error: it cannot be read. */
int content_source_survey(const struct content_source *source, struct downgrade *downgrade, struct error *error);

/* The header ends with the first empty line; the body is what follows. */
enum content_part { CONTENT_HEADER, CONTENT_BODY };

/* Whether that part of the content has octets above 127. 1, 0, or -1 and an error. */
int content_source_has_8bit(struct content_source *source, enum content_part part, struct error *error);
/* Whether a stream that stuffs dots would change nothing (it may be so when this says no). 1, 0, or -1 and an error. */
int content_source_is_plain(struct content_source *source, struct error *error);

#endif
