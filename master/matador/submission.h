/*
 * submission - a message as a local program hands it over, made fit for SMTP
 *
 * Line ends become CRLF whatever they were; a lone CR, which no client may send, becomes a blank. The header is read for
 * recipients and for what is missing. What a submitter may leave out (Date, Message-ID, From) is added; Bcc is removed.
 */
#ifndef MASTER_MATADOR_SUBMISSION_H
#define MASTER_MATADOR_SUBMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

#define SUBMISSION_RECIPIENTS_MAX 100000

struct submission {
	struct buffer message;		/* CRLF throughout, not dot-stuffed */
	size_t header_length;		/* octets of it up to, and without, the empty line */
	char **recipients;		/* owned array of owned texts: addresses, perhaps without a domain */
	size_t recipient_count;
	bool eight_bit;			/* octets above 127 anywhere */
	bool eight_bit_header;
};

struct submission_defaults {
	const char *host;		/* for unqualified addresses and the Message-ID */
	const char *sender;		/* for a missing From */
	const char *full_name;		/* "" for none */
};

void submission_init(struct submission *submission);
void submission_free(struct submission *submission);

/* Takes length octets as they come; dot_ends: a line with a single dot ends the message. -1 and an error for a NUL. */
int submission_read(struct submission *submission, const char *data, size_t length, bool dot_ends, struct error *error);

/* Adds one address of the command line, or the addresses of a list. -1 and an error when it is none. */
int submission_add_recipients(struct submission *submission, const char *list, struct error *error);

/* Adds the addresses of To, Cc and Bcc, or of their Resent- forms when there are such. */
int submission_add_header_recipients(struct submission *submission, struct error *error);

/* Removes Bcc and Resent-Bcc, adds what is missing. */
void submission_complete(struct submission *submission, const struct submission_defaults *defaults);

/* Appends the message to out with its dots doubled and the final line. */
void submission_stuff(const struct submission *submission, struct buffer *out);

#endif
