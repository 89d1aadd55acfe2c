/*
 * session - one SMTP client, from greeting to close
 *
 * Owns:   the start of a line, the replies not yet sent, at most one transaction.
 * Does no I/O: it takes octets and answers, and says what it waits for; connection.h reads, writes and asks for
 *         it, and dialogue files drive it in tests.
 * Trusts: nobody. The client's octets are hostile; peers' answers arrive typed and bounded.
 * Fails:  a lost client ends the session and frees its transaction; a lost peer becomes a 451.
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/net/line_reader.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/transaction.h"

#define SESSION_INPUT_MAX 65536		/* octets for session_input() at a time */
#define SESSION_OUTPUT_HIGH 16384	/* octets of replies not sent, at which no more commands are read */
#define SESSION_PROGRESS 65536
#define SESSION_PEER_TIMEOUT_MS (4 * 60 * 1000)	/* below what clients wait, RFC 5321 4.5.3.2 */
#define SESSION_CLOSE_TIMEOUT_MS (5 * 1000)
#define SESSION_LOOKUP_TIMEOUT_MS (30 * 1000)
#define SESSION_ADDRESS_MAX 46

enum session_state {
#define STATE(symbol, word, deadline) SESSION_##symbol,
#include "smtpd/states.def"
#undef STATE
	SESSION_STATE_COUNT,
};

/* What the session needs before it can go on. */
enum session_wait {
	SESSION_WAITS_FOR_INPUT,	/* session_input() */
	SESSION_WAITS_FOR_DIRECTORY,	/* look session->recipient up; recipient_found() */
	SESSION_WAITS_FOR_BODY_FILE,	/* a file for the transaction's id; receive_body_file() */
	SESSION_WAITS_FOR_BODY_WRITE,	/* append transaction->data to the file; receive_body_written() */
	SESSION_WAITS_FOR_DEPOSIT,	/* store the transaction; receive_deposited() */
	SESSION_WAITS_FOR_CLOSE,	/* send the output and close */
};

/* What all sessions of the process share: what qmgr granted, and how much content is in memory. */
struct session_shared {
	bool connected;			/* qmgr is there */
	bool accepting;
	char why_not[201];		/* text of the 452 while not accepting */
	uint64_t next_id;		/* ids granted: from here to before end_id */
	uint64_t end_id;
	size_t content_octets;
	size_t content_limit;
};

/* Who the client is. */
struct session_client {
	struct sockaddr_storage socket_address;
	char address[SESSION_ADDRESS_MAX];	/* "192.0.2.1", "2001:db8::1"; "local" for a local user */
	uint16_t port;
	bool is_local_user;		/* submits over the control socket */
	uint32_t user_id;
};

struct recipient;

struct session {
	struct rules *rules;			/* held */
	struct session_shared *shared;		/* borrowed */
	struct session_client client;
	char name[24];				/* in the log */
	enum session_state state;
	enum session_wait wait;
	deadline_t deadline;
	deadline_t ends_by;			/* session_time_limit */
	int64_t began_ms;
	struct line_reader reader;
	struct buffer output;			/* replies to be sent */
	char *helo;				/* owned or NULL */
	bool is_esmtp;
	bool is_draining;
	bool is_orderly;			/* it closes by QUIT: the client expects nothing more */
	struct transaction *transaction;	/* owned or NULL */
	struct recipient *recipient;		/* owned or NULL: waits for the directory */
	uint64_t chunk_size;			/* octets of the current BDAT */
	uint64_t chunk_left;			/* those still to come */
	bool chunk_is_last;
	enum reply chunk_refusal;		/* the chunk is read off and answered so */
	const char *chunk_refusal_text;		/* static */
	uint64_t progress;			/* octets of content since the deadline was set */
	unsigned errors;
	unsigned commands;
	unsigned idle_commands;			/* their cost since the last accepted message, see verbs.def */
	unsigned messages;			/* accepted */
	enum reply refused;			/* the error that answered the current command, not yet logged */
	const char *reason;			/* why it closes, for the log */
};

/* rules is held; shared is borrowed. The greeting is in the output. */
struct session *session_new(struct rules *rules, struct session_shared *shared,
    const struct session_client *client, const char *name);
/* Frees the session and what it was doing. The pointer is cleared. */
void session_free(struct session **session);

/* Whether session_input() would take octets now. */
bool session_reads(const struct session *session);

/* Takes at most SESSION_INPUT_MAX octets from the client; returns how many. The rest is to be offered again once
 * session_reads(). */
size_t session_input(struct session *session, const char *data, size_t length);

/* session->deadline has passed. */
void session_expired(struct session *session);
/* The service stops: a session without a transaction ends now, others after it. */
void session_drain(struct session *session);

/* ---- for the verbs ---- */

void session_enter(struct session *session, enum session_state state);
/* Appends a reply; counts protocol errors, and closes the session with 421 instead when there were too many. */
void session_reply(struct session *session, enum reply reply, const char *argument);
/* A reply after which the session closes. */
void session_close(struct session *session, enum reply reply, const char *argument, const char *reason);
/* Ends the transaction, whatever became of it. */
void session_end_transaction(struct session *session);
/* A service that stops waits for the end of a transaction, not for the client's next idea. */
void session_leave_when_draining(struct session *session);

const char *session_state_word(enum session_state state);

#endif
