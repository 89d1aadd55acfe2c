/*
 * content - judges and unstuffs the content of a message while it arrives
 *
 * Trusts: nobody. Only CRLF.CRLF ends the data of DATA, and only the count ends that of BDAT. A CR or LF alone and
 *         a NUL make the message refusable, never two messages of one: reading goes on to the true end. From then
 *         on nothing more is kept.
 * Sees:   the header's Received fields (the hop count), its size, what it says of the message's priority, and its
 *         Message-ID, for the log; and whether fields may be there that only we write.
 *
 * Readers differ on where a header ends that has a line which is no field: some go on to the empty line. So do we for
 * what only we write, and there alone.
 */
#ifndef SMTPD_CONTENT_H
#define SMTPD_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/wire.h"
#include "common/mail/envelope.h"

#define CONTENT_LENT_MIN 32768	/* octets that are worth being lent */
#define CONTENT_FIELD_MAX 200	/* octets of a header line that are looked at */

enum content_flaw {
	CONTENT_FLAWLESS,
	CONTENT_BARE_CR_OR_LF,
	CONTENT_NUL,
	CONTENT_HEADER_TOO_LARGE,
	CONTENT_BEGINS_FOLDED,		/* its first line would continue the field that we put in front */
};

enum content_position { CONTENT_LINE_START, CONTENT_IN_LINE, CONTENT_AFTER_CR, CONTENT_AFTER_DOT,
	CONTENT_AFTER_DOT_CR };

/* What the current header line is, as far as it was seen; a field's colon may stand behind CONTENT_FIELD_MAX. */
enum content_line { CONTENT_LINE_NAME, CONTENT_LINE_NAME_ENDED, CONTENT_LINE_FIELD, CONTENT_LINE_OTHER };

struct content {
	enum content_position position;
	enum content_flaw flaw;		/* the first one found */
	bool is_dotted;			/* DATA: dots are unstuffed, a lone one ends */
	bool in_header;			/* up to the empty line */
	bool is_ragged;			/* a line of it is no field: strict readers take what follows for the body */
	uint64_t length;		/* octets of content so far, unstuffed */
	size_t header_length;
	uint64_t line_start;		/* octets of content before the current header line */
	uint64_t header_end;		/* once in_header is false: octets of content that are its header */
	bool has_own_fields;		/* the header may have fields that only we may write (own_fields.h) */
	size_t header_limit;
	unsigned received_fields;
	enum message_priority priority;	/* of the first field that asks for another than normal */
	enum content_line line_kind;
	char line[CONTENT_FIELD_MAX];	/* the start of the current header line */
	size_t line_length;
	char message_id[CONTENT_FIELD_MAX];	/* "" when there is none */
};

void content_init(struct content *content, bool is_dotted, size_t header_limit);

/*
 * Whether all has been seen that fields of ours are to be taken out of: the header, or so much of a ragged one
 * without any that it is taken for the body. One that comes behind is a flaw then.
 */
bool content_header_is_seen(const struct content *content);

/*
 * Takes octets of the client; what is content goes to out (nothing when out is NULL or the content has a flaw).
 * With lent_out, a last run of many octets that stand in data as they are is not copied: it follows what is in out.
 * Returns how many octets were taken: all of them, or those up to the end of the data, with *ended_out true. False
 * in *kept_out when out reached its limit; the length counts on.
 */
size_t content_take(struct content *content, const char *data, size_t length, struct buffer *out, struct bytes *lent_out,
    bool *ended_out, bool *kept_out);

/* The last chunk of BDAT has arrived: ends an unfinished last line, and finds a CR at the very end. */
void content_finish(struct content *content, struct buffer *out);

#endif
