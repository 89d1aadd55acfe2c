/*
 * transaction - one message on its way in, from MAIL to the answer of qmgr
 *
 * Owns:   the envelope, the content that is in memory, the descriptor of the body file.
 * It is made by an accepted MAIL and freed whole; nothing else clears a field of it, so nothing is left over for
 * the next.
 */
#ifndef SMTPD_TRANSACTION_H
#define SMTPD_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/mail/address.h"
#include "common/mail/envelope.h"
#include "smtpd/content.h"
#include "smtpd/reply.h"

/* What the octets of content received so far amount to. */
enum transaction_stage {
	TRANSACTION_MORE,		/* more is to come at once */
	TRANSACTION_CHUNK_ENDED,	/* a chunk of BDAT is complete, not the last */
	TRANSACTION_ENDED,		/* the whole message has arrived */
};

struct transaction {
	struct envelope envelope;
	int64_t began_ms;		/* monotonic */
	bool has_content;		/* DATA or the first BDAT has begun */
	enum transaction_stage stage;
	struct content content;
	struct buffer data;		/* content that is not in the body file */
	size_t counted;			/* octets of data counted in the process's total */
	int body_file;			/* or -1 */
	uint64_t body_length;		/* octets in it */
	enum reply refusal;		/* why the message will be refused at its end */
	char *refusal_text;		/* its argument, or NULL */
	uint32_t *recipient_hashes;	/* open addressing; 0: free */
	size_t hash_capacity;		/* a power of two, or 0 */
};

struct transaction *transaction_new(void);
/* Closes the body file and frees everything. The pointer is cleared; NULL is accepted. */
void transaction_free(struct transaction **transaction);

/* Remembers the first reason to refuse the message at its end; what was kept of its content goes. */
void transaction_refuse(struct transaction *transaction, enum reply reply, const char *text);

enum transaction_addition { RECIPIENT_ADDED, RECIPIENT_KNOWN, RECIPIENT_SURPLUS };

/*
 * Adds a recipient unless it is there already (the whole address compared without case when its domain is local,
 * the local part exactly when it is not) or there are limit others.
 */
enum transaction_addition transaction_add_recipient(struct transaction *transaction, const struct address *address,
    bool domain_is_local, size_t limit, struct envelope_recipient **added_out);

/* Keeps *total, the octets of content that the process has in memory, in step with this transaction. */
void transaction_count(struct transaction *transaction, size_t *total);

#endif
