/*
 * session - one outbound SMTP or LMTP session: octets in, octets out, no input or output of its own
 *
 * Owns:   the state, what the host offers, the commands that wait to leave, the reply being read.
 * Trusts: nobody. A reply that nobody asked for, or of a kind that the command cannot have, ends the session:
 *         a session that may be out of step is never used again. 421 ends it anywhere, and judges nobody.
 * Gives:  for every recipient of the transaction exactly one verdict, through its judge function, or says that the
 *         session failed (session_failure()) with the rest unjudged.
 *
 * The driver writes what session_output() gives, hands in what arrives, watches session_deadline(), and after
 * each of these looks at the state: IDLE takes a transaction, CLOSED is the end.
 */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "smtp/transaction.h"

enum session_state {
#define STATE(symbol, setting, words) SESSION_##symbol,
#include "smtp/states.def"
#undef STATE
	SESSION_STATE_COUNT,
};

struct session_options {
	const char *name;		/* ours, for EHLO */
	bool lmtp;
	bool use_size;			/* extensions that may be used when they are offered */
	bool use_pipelining;
	bool use_dsn;
	bool use_8bitmime;
	bool use_chunking;
	int64_t timeout_ms[SESSION_STATE_COUNT];
};

struct session_failure {
	struct reply_judgement judgement;	/* for recipients without a verdict: always deferred */
	/*
	 * The host has not answered anything of this transaction: an idle connection that is used again was most
	 * likely dead already, and the transaction may be repeated over a fresh one at once.
	 */
	bool before_mail_reply;
};

struct session;

/* A session that waits for its connection; options are copied. */
struct session *session_new(const struct session_options *options);
/* The connection is made: now it waits for the greeting. */
void session_connected(struct session *session);
void session_free(struct session **session);

enum session_state session_state(const struct session *session);
/* What the session is doing, for "while ..." */
const char *session_state_words(enum session_state state);
/* When the driver must call session_time_out(). */
deadline_t session_deadline(const struct session *session);

/* Octets for the wire; *length_out is 0 when there are none now. Valid until the next call of any other function. */
const char *session_output(struct session *session, size_t *length_out);
/* Whether the next octets for the wire stand in a file (borrowed): length of them from offset on. session_output() gives them too. */
bool session_output_file(struct session *session, int *file_out, uint64_t *offset_out, size_t *length_out);
/* So many of them were taken by the socket. */
void session_output_sent(struct session *session, size_t count);
/* The file cannot be read, or is shorter than it should be. */
void session_output_unreadable(struct session *session, const char *reason);

/* Octets that arrived. */
void session_receive(struct session *session, const char *data, size_t length);
/* The connection ended, by the peer or by an error. */
void session_connection_lost(struct session *session, const char *reason);
void session_time_out(struct session *session);

/*
 * Begins a transaction; the session is IDLE. It borrows the transaction until session_in_transaction() is
 * false, which may be so at once: what the host cannot take is judged without asking it.
 */
void session_begin(struct session *session, struct transaction *transaction);
bool session_in_transaction(const struct session *session);
/* Ends an idle session politely. */
void session_quit(struct session *session);

/* Why the session is CLOSED; NULL when it ended in order. */
const struct session_failure *session_failure(const struct session *session);
/* Messages that this session carried. */
unsigned session_messages(const struct session *session);

#endif
