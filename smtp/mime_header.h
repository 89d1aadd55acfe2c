/*
 * mime_header - what the header of a message or body part says about its body (RFC 2045 sections 4 to 6)
 *
 * Only what a gateway needs that turns 8-bit parts into 7-bit ones: what kind of entity it is, how it is encoded,
 * and whether it may be changed at all. What is unclear may not.
 */
#ifndef SMTP_MIME_HEADER_H
#define SMTP_MIME_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

#define MIME_BOUNDARY_MAX 200	/* octets; RFC 2046 5.1.1 allows 70 */

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART,		/* parts that may be changed */
	MIME_MESSAGE,		/* message/rfc822 */
	MIME_FIXED,		/* signed, encrypted, encoded or malformed: to be passed on as it is, or not at all */
};

struct mime_header {
	enum mime_kind kind;
	bool text;			/* a leaf of type text */
	bool digest;			/* parts without a type are messages (RFC 2046 5.1.5) */
	bool identity;			/* not encoded: 7bit, 8bit or binary */
	bool labelled_8bit;		/* 8bit or binary */
	bool has_version;		/* MIME-Version */
	bool has_type;			/* Content-Type */
	char boundary[MIME_BOUNDARY_MAX + 1];	/* of a multipart */
};

/* Reads a whole header, up to and with its empty line. in_digest: it is that of a part of a multipart/digest. */
void mime_header_read(const char *header, size_t length, bool in_digest, struct mime_header *out);

/*
 * Appends the header with another Content-Transfer-Encoding. complete: of a message that was not MIME, or not quite,
 * one is made, of unknown charset (RFC 1428).
 */
void mime_header_append(const char *header, size_t length, const struct mime_header *read, const char *encoding,
    bool complete, struct buffer *out);

#endif
