/*
 * chunking - content in BDAT commands (RFC 3030)
 *
 * A chunk is what one block of the source makes on the wire, so that its length is known before its first octet
 * leaves, and content of one block is one chunk.
 *
 * BDAT pays where it saves a round trip: the 354. It leaves when MAIL and all RCPTs were answered. To send content in one
 * flight with them would save one more, and is not done: a host that dies then may have all of it before it said
 * anything, and one that says a word too many would be believed about content that it never judged. Without PIPELINING
 * every chunk waits for its reply, so only content of one chunk gains. LMTP keeps to DATA: how many replies a refused
 * chunk gets there is not agreed upon.
 */
#ifndef SMTP_CHUNKING_H
#define SMTP_CHUNKING_H

#include "smtp/capabilities.h"
#include "smtp/content_stream.h"

enum content_way {
	CONTENT_BY_DATA,
	CONTENT_BY_CHUNKS,	/* BDAT after a recipient was accepted */
};

enum content_way chunking_choose(const struct capabilities *capabilities, bool lmtp, uint64_t length);

/* Appends BDAT with the next block. 1: there is more; 0: that was BDAT LAST; -1 and an error: it cannot be read. */
int chunking_append(struct content_stream *stream, struct buffer *out, struct error *error);

#endif
