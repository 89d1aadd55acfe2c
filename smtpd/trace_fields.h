/* trace_fields - what the controls found out about a message, as fields in front of its header */
#ifndef SMTPD_TRACE_FIELDS_H
#define SMTPD_TRACE_FIELDS_H

#include "common/base/buffer.h"

struct session;

/*
 * Appends the fields for the session's transaction, those that there is something to say in: Authentication-Results (RFC 8601),
 * Received-SPF (RFC 7208 9.1), $DNSBLSite, $DNSWLSite, $SPFResult. They stand above our Received field.
 */
void trace_fields_append(struct buffer *out, const struct session *session);

#endif
