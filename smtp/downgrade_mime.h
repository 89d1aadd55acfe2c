/*
 * downgrade_mime - a message with 8-bit parts for a host without 8BITMIME (RFC 6152 section 3)
 *
 * Owns:   where it stands in the structure of the message, and which of its parts have 8-bit octets.
 * Gives:  the same message, in which every leaf with 8-bit octets is quoted-printable and says so; all else, and
 *         above all every part that is signed, encrypted or encoded already, octet for octet as it came.
 * Trusts: nobody. Depth, parts, boundaries and headers have limits. What is over them, is unclear, or has 8-bit
 *         octets where they cannot be encoded (between parts, in the header of a part) is not converted at all.
 *
 * The message goes through twice, in blocks cut anywhere: first it is surveyed, because the header of a part, which
 * leaves first, has to say how the part that follows is encoded; then it is rewritten. 8-bit octets in the
 * message's own header are left alone: no encoding of the body helps there.
 */
#ifndef SMTP_DOWNGRADE_MIME_H
#define SMTP_DOWNGRADE_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

struct downgrade;

struct downgrade *downgrade_new(void);
/* NULL is accepted, the pointer is cleared. */
void downgrade_free(struct downgrade **downgrade);

/* The first time through: the next octets, then the end. Whether the message can be converted. */
void downgrade_survey(struct downgrade *downgrade, const char *octets, size_t length);
bool downgrade_survey_end(struct downgrade *downgrade);

/* The second time, for a message that can be: appends what the next octets become, and at the end what is left. */
void downgrade_rewrite(struct downgrade *downgrade, const char *octets, size_t length, struct buffer *out);
void downgrade_rewrite_end(struct downgrade *downgrade, struct buffer *out);

#endif
