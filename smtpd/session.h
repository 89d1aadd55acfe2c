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
#include "smtpd/controls/walk.h"
#include "smtpd/facts.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/statistics.h"
#include "smtpd/transaction.h"

#define SESSION_INPUT_USUAL 65536	/* octets for session_input() at a time */
#define SESSION_INPUT_MAX 262144	/* while content goes on into a body file: few large writes cost less */
#define SESSION_OUTPUT_HIGH 16384	/* octets of replies not sent, at which no more commands are read */
#define SESSION_PROGRESS 65536
#define SESSION_PEER_TIMEOUT_MS (4 * 60 * 1000)	/* below what clients wait, RFC 5321 4.5.3.2 */
#define SESSION_CLOSE_TIMEOUT_MS (5 * 1000)
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
	SESSION_WAITS_FOR_FACT,		/* find session->wanted_fact out; session_learn() */
	SESSION_WAITS_FOR_BODY_FILE,	/* a file for the transaction's id; receive_body_file() */
	SESSION_WAITS_FOR_BODY_WRITE,	/* append transaction->data and what is lent to the file; receive_body_written() */
	SESSION_WAITS_FOR_DEPOSIT,	/* store the transaction; receive_deposited() */
	SESSION_WAITS_FOR_CLOSE,	/* send the output and close */
};

/* What all sessions of the process share: what qmgr granted, how much content is in memory, what was counted. */
struct session_shared {
	bool connected;			/* qmgr is there */
	bool accepting;
	char why_not[201];		/* text of the 452 while not accepting */
	uint64_t next_id;		/* ids granted: from here to before end_id */
	uint64_t end_id;
	size_t content_octets;
	size_t content_limit;
	struct statistics statistics;
};

/* Who the client is. */
struct session_client {
	struct sockaddr_storage socket_address;
	char address[SESSION_ADDRESS_MAX];	/* "192.0.2.1", "2001:db8::1"; "local" for a local user */
	uint16_t port;
	bool is_local_user;		/* submits over the control socket */
	uint32_t user_id;
	const char *user;		/* who authenticated; borrowed, or NULL */
	bool is_crowded;			/* see struct client_facts */
};

/* Why a client's mail is not taken: told at each MAIL. */
struct client_refusal {
	enum control_number control;
	struct control_judgement judgement;
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
	struct recipient *recipient;		/* owned or NULL: the one that is being judged */
	struct known_client known;		/* the facts of the client */
	enum fact wanted_fact;			/* SESSION_WAITS_FOR_FACT */
	struct control_walk walk;		/* over the controls of a stage, while they judge */
	enum control_number judged_last;	/* of them */
	bool is_client_judged;			/* stage CLIENT is through, for judged_user; its results follow */
	char *judged_user;			/* owned or NULL */
	struct control_standing standing;
	struct client_refusal *client_refusal;	/* owned or NULL */
	char *dnsbl_site, *dnswl_site;		/* owned or NULL: tags for the messages of this client */
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

/* rules is held; shared is borrowed. The greeting is in the output, or the session waits for what it needs to know
 * before it greets. */
struct session *session_new(struct rules *rules, struct session_shared *shared,
    const struct session_client *client, const char *name);
/* Frees the session and what it was doing. The pointer is cleared. */
void session_free(struct session **session);

/* Whether session_input() would take octets now. */
bool session_reads(const struct session *session);

/* How many octets should be offered at a time: what cannot be taken at once has to be kept. */
size_t session_input_size(const struct session *session);

/* Takes at most SESSION_INPUT_MAX octets from the client; returns how many. The rest is to be offered again once
 * session_reads(). */
size_t session_input(struct session *session, const char *data, size_t length);

/* The answer to a fact, asked for by the session or foreseen for it. */
void session_learn(struct session *session, const struct fact_answer *answer);

/*
 * Which fact of the client the session will want at MAIL, as far as it can be told now, so that it may be asked while
 * the client still says who it is. False when none.
 */
bool session_foresees(const struct session *session, enum fact *fact_out);

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

/* The name of the client that counts, for the log; NULL when there is none, or it is not known. */
const char *session_client_name(const struct session *session);

const char *session_state_word(enum session_state state);

#endif
