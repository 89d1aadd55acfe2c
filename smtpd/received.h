/* received - our trace field (RFC 5321 4.4), the first line of every message that we take */
#ifndef SMTPD_RECEIVED_H
#define SMTPD_RECEIVED_H

#include "common/base/buffer.h"

struct session;

/* Appends the field, with the client's name where it is known and leads back to its address. Whatever the client said of
 * itself stays inside it: one field, bounded, brackets balanced. */
void received_append(struct buffer *out, const struct session *session);

#endif
