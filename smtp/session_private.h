/*
 * session_private - what session.c and session_transaction.c (what is said inside a transaction) share
 */
#ifndef SMTP_SESSION_PRIVATE_H
#define SMTP_SESSION_PRIVATE_H

#include "smtp/capabilities.h"
#include "smtp/chunking.h"
#include "smtp/commands.h"
#include "smtp/session.h"

#define OUTPUT_ENOUGH 16384	/* octets of pipelined commands that wait to leave before more are made */

/*
 * The commands of a transaction are numbered: 0 is MAIL, 1 to wire_count the RCPTs, from wire_count + 1 on DATA or
 * one BDAT after the other. issued and answered count them; what lies between is awaited, in this order.
 */
struct session {
	struct session_options options;
	char *name;				/* owned: options.name */
	enum session_state state;
	deadline_t deadline;
	struct capabilities capabilities;
	struct smtp_reply reply;
	struct buffer output;
	size_t output_sent;
	unsigned messages;
	bool failed;
	struct session_failure failure;

	struct transaction *transaction;	/* borrowed; NULL when there is none */
	deadline_t transaction_end;		/* of all of it, however well each wait is kept */
	struct mail_parameters parameters;
	size_t *wire;				/* owned: which of its recipients are asked for */
	size_t wire_count;
	size_t issued;
	size_t answered;
	size_t accepted;
	bool mail_refused;
	enum content_way way;
	struct content_stream content;
	struct downgrade *downgrade;		/* owned; NULL where the content goes out as it is */
	bool content_as_it_is;			/* it leaves without passing through output */
	bool content_ended;			/* its last octet, and the dot of DATA, is made */
	bool chunk_refused;
	size_t dot_answered;			/* LMTP: recipients answered, or passed over, after the dot */
};

/* session.c: changes the state and sets its deadline; sends a command; ends the session in one of its ways. */
void session_enter(struct session *session, enum session_state state);
void session_send_command(struct session *session, enum session_state state, const char *command);
void session_fail_protocol(struct session *session, const char *what);
/* Content that cannot be read. */
void session_fail_unreadable(struct session *session, const struct error *error);

/* session_transaction.c: how many replies the host owes us in a transaction. */
size_t session_transaction_awaited(const struct session *session);
/* A complete reply that is not 421, in a state of a transaction. */
void session_take_transaction_reply(struct session *session);
/* After a reply: the next commands, the wait for the next reply, or the end when nobody is left to send to. */
void session_transaction_go_on(struct session *session);
/* The host refused while content was on its way behind 354. */
void session_judge_early(struct session *session);
/* Content behind 354, where no other octets wait. */
void session_make_content(struct session *session);
/* The next octets of content that leaves as it is; length is 0 when there are none now. */
struct content_span session_content_span(const struct session *session);
void session_content_span_sent(struct session *session, size_t count);
/* Everything that waited has left. */
void session_transaction_drained(struct session *session);

#endif
