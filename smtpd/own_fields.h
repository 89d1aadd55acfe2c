/*
 * own_fields - header fields that speak in our name: a message that comes in must not have any
 *
 * $DNSBLSite, $DNSWLSite and $SPFResult are what rules for messages trust; Authentication-Results speaks for
 * whoever its authserv-id names (RFC 8601 section 5), Received-SPF for its receiver (RFC 7208 section 9.1). What
 * names nobody, or cannot be read to the end, counts as ours.
 */
#ifndef SMTPD_OWN_FIELDS_H
#define SMTPD_OWN_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

/*
 * Whether a header line, without its CRLF, may begin a field that has to be looked at whole. Its start is enough, as
 * long as it holds the names.
 */
bool own_fields_may_begin(const char *line, size_t length);

/*
 * Takes them out of a header: the octets of data from begin to before end, lines that end with CRLF. host_name is
 * ours. Returns how many octets went.
 */
size_t own_fields_remove(struct buffer *data, size_t begin, size_t end, const char *host_name);

#endif
