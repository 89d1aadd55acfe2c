/*
 * header_field - the fields of a message's header, read one after the other, and written so that nothing can be
 * forged
 *
 * Reading is linear and takes what the world sends: bare line feeds, fields of any length, octets above 127.
 * Writing passes no control octet on and no line over 998 octets.
 */
#ifndef COMMON_MAIL_HEADER_FIELD_H
#define COMMON_MAIL_HEADER_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

#define HEADER_LINE_MAX 998	/* RFC 5322 2.1.1, octets without CRLF */

struct header_field {
	const char *name;	/* borrowed, not terminated */
	size_t name_length;
	const char *value;	/* behind the colon, with its folding, without the last line end */
	size_t value_length;
};

/*
 * Reads the field at *offset of a header and moves *offset behind it. False at the empty line, at the end, and at
 * a line that is no field (no colon, a blank before it, a continuation of nothing): *offset then stands on it.
 */
bool header_field_next(const char *header, size_t length, size_t *offset, struct header_field *field_out);

/* Whether the field has that name, in any case. */
bool header_field_is(const struct header_field *field, const char *name);

/* The value unfolded, without blanks at its ends, controls replaced by '?'. Cut to size - 1 octets. */
void header_field_text(const struct header_field *field, char *text, size_t size);

/* Finds the first field of that name; as header_field_next(). */
bool header_field_find(const char *header, size_t length, const char *name, struct header_field *field_out);

/*
 * Appends "name: value" and CRLF. Controls in value become '?', blanks are where it is folded once a line is over
 * 78 octets; a word too long for any line is cut. False at the buffer's limit.
 */
bool header_field_append(struct buffer *out, const char *name, const char *value);

#endif
