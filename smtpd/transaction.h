/*
 * transaction - one message on its way in, from MAIL to the answer of qmgr
 *
 * Owns:   the envelope, the content that is in memory, the descriptor of the body file.
 * It is made by a MAIL and freed whole, with a refused one at once; nothing else clears a field of it, so nothing is left
 * over for the next.
 */
#ifndef SMTPD_TRANSACTION_H
#define SMTPD_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/ipc/policy.h"
#include "common/mail/address.h"
#include "common/mail/envelope.h"
#include "smtpd/content.h"
#include "smtpd/facts.h"
#include "smtpd/reply.h"

/* What the octets of content received so far amount to. */
enum transaction_stage {
	TRANSACTION_MORE,		/* more is to come at once */
	TRANSACTION_CHUNK_ENDED,	/* a chunk of BDAT is complete, not the last */
	TRANSACTION_ENDED,		/* the whole message has arrived */
};

/* What the controls found out that is told in the header of the message. */
struct transaction_trace {
	char *client_name;		/* owned or NULL: the client's name that leads back to its address */
	char *dnsbl_site;		/* owned or NULL: $DNSBLSite, a zone or "PrivateBlacklist" */
	char *dnswl_site;		/* owned or NULL: $DNSWLSite */
	bool has_spf;			/* SPF was asked */
	bool tags_spf;			/* and its verdict is to be told in a tag */
	enum spf_verdict spf_helo, spf_mail;
	char *spf_text;			/* owned or NULL: why; printable */
};

struct transaction {
	struct envelope envelope;
	struct known_sender sender;
	struct transaction_trace trace;
	int64_t began_ms;		/* monotonic */
	bool has_content;		/* DATA or the first BDAT has begun */
	enum transaction_stage stage;
	struct content content;
	size_t prefix_length;		/* octets of data in front of the client's: our own fields */
	bool header_is_clean;		/* what only we may write was taken out of the client's header */
	struct buffer data;		/* content that is not in the body file */
	struct bytes lent;		/* more of it, behind data: still where it was received, until the next octets */
	size_t counted;			/* octets of data counted in the process's total */
	int body_file;			/* or -1 */
	uint64_t body_length;		/* octets in it */
	uint32_t body_checksum;		/* CRC-32C of them */
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

/*
 * Adds a recipient unless it is there already: the whole address compared without case when its domain is local, the
 * local part exactly when it is not. Returns what was added, lent until the next one is, or NULL.
 */
struct envelope_recipient *transaction_add_recipient(struct transaction *transaction, const struct address *address,
    bool domain_is_local);
/* Whether there are limit recipients and this would be another. */
bool transaction_is_full(const struct transaction *transaction, const struct address *address, bool domain_is_local,
    size_t limit);

/* Keeps *total, the octets of content that the process has in memory, in step with this transaction. */
void transaction_count(struct transaction *transaction, size_t *total);

#endif
