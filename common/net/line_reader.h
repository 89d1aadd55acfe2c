/*
 * line_reader - cuts a stream of octets into lines that end in CRLF, and only in CRLF
 *
 * A CR or LF alone is an octet of its line like any other (the caller refuses the line whole), so it can never
 * make two lines of one. A line that arrives in one piece is lent from the caller's memory: between lines the
 * reader owns none.
 */
#ifndef COMMON_NET_LINE_READER_H
#define COMMON_NET_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

enum line_result {
	LINE_NONE,		/* all octets were taken; the line's end is still to come */
	LINE_COMPLETE,
	LINE_TOO_LONG,		/* the end of a line that was longer than the limit; its octets are gone */
	LINE_ENDLESS,		/* so many octets without an end that it is no use to wait for one */
};

struct line_reader {
	struct buffer pending;	/* the start of a line that arrives in pieces */
	size_t limit;		/* longest line, CRLF included */
	size_t endless;		/* octets of one line after which it counts as endless */
	size_t dropped;		/* octets of the current line that were not kept */
	bool after_cr;		/* the last octet dropped was a CR */
	bool clear_next;	/* pending holds the line that was lent last */
};

void line_reader_init(struct line_reader *reader, size_t limit, size_t endless);
void line_reader_free(struct line_reader *reader);

/*
 * Looks for the end of a line in data. *taken_out is how many octets were used up. For LINE_COMPLETE *line_out is
 * the line without its CRLF, lent until the next call or until data goes.
 */
enum line_result line_reader_take(struct line_reader *reader, const char *data, size_t length, size_t *taken_out,
    const char **line_out, size_t *line_length_out);

/* Whether a part of a line has arrived. */
bool line_reader_is_inside_line(const struct line_reader *reader);

#endif
