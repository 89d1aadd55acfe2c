/*
 * plain_lines - finds the lines of a message that need no further look, many octets at a time
 *
 * Nearly all of a large message is such lines: who judges, stuffs or unstuffs content takes them as they are and looks
 * at single octets only in between.
 */
#ifndef COMMON_MAIL_PLAIN_LINES_H
#define COMMON_MAIL_PLAIN_LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How many octets from data on, where a line begins, are whole plain lines: each ends with CRLF, has no other CR or
 * LF, no NUL, at most 998 octets without its CRLF (RFC 5321 4.5.3.1.6; one of over 800 may be taken for longer), and,
 * with without_dots, no dot in front. 0 when the first line is none of these, or its end is not there.
 */
size_t plain_lines(const char *data, size_t length, bool without_dots);

/* Whether there are octets above 127. */
bool has_eight_bit(const char *data, size_t length);

#endif
