/*
 * quoted_printable - octets as quoted-printable (RFC 2045 6.7), piece by piece
 *
 * Of text, line ends are line ends. Of anything else they are octets like others (=0D=0A): only so does the far end
 * get back what it was.
 */
#ifndef SMTP_QUOTED_PRINTABLE_H
#define SMTP_QUOTED_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

struct quoted_printable {
	bool text;
	size_t column;
	char held;		/* a blank or tab that is encoded when its line ends; 0: none */
	bool line_ended;	/* not text: a line end that is content when content follows */
};

void quoted_printable_init(struct quoted_printable *encoder, bool text);
/* Octets of one line, without its end. */
void quoted_printable_put(struct quoted_printable *encoder, const char *octets, size_t length, struct buffer *out);
void quoted_printable_end_line(struct quoted_printable *encoder, struct buffer *out);
/* No more content: a line end that was the last thing belongs to what follows. */
void quoted_printable_finish(struct quoted_printable *encoder, struct buffer *out);

#endif
