/* session - see session.h */
#include "smtp/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "smtp/capabilities.h"
#include "smtp/commands.h"
#include "smtp/suitability.h"

#define OUTPUT_ENOUGH 16384	/* octets of pipelined commands that wait to leave before more are made */

/*
 * The commands of a transaction are numbered: 0 is MAIL, 1 to wire_count the RCPTs, wire_count + 1 DATA.
 * issued and answered count them; what lies between is awaited, in this order.
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
	struct mail_parameters parameters;
	size_t *wire;				/* owned: which of its recipients are asked for */
	size_t wire_count;
	size_t issued;
	size_t answered;
	size_t accepted;
	bool mail_refused;
	struct content_stream content;
	bool content_ended;
	size_t dot_answered;			/* LMTP: recipients answered, or passed over, after the dot */
};

static const char *const state_words[SESSION_STATE_COUNT] = {
#define STATE(symbol, setting, words) words,
#include "smtp/states.def"
#undef STATE
};

static void
enter(struct session *session, enum session_state state)
{
	session->state = state;
	session->deadline = state == SESSION_CLOSED ? DEADLINE_NEVER :
	    deadline_after_ms(session->options.timeout_ms[state]);
}

struct session *
session_new(const struct session_options *options)
{
	struct session *session = memory_new(1, sizeof(*session));

	session->options = *options;
	session->options.name = session->name = memory_copy_string(options->name);
	smtp_reply_init(&session->reply);
	buffer_init(&session->output, 0);
	enter(session, SESSION_CONNECT);
	return session;
}

void
session_connected(struct session *session)
{
	if (session->state == SESSION_CONNECT)
		enter(session, SESSION_GREETING);
}

void
session_free(struct session **session)
{
	if (*session == NULL)
		return;
	smtp_reply_free(&(*session)->reply);
	buffer_free(&(*session)->output);
	free((*session)->wire);
	free((*session)->name);
	free(*session);
	*session = NULL;
}

enum session_state
session_state(const struct session *session)
{
	return session->state;
}

const char *
session_state_words(enum session_state state)
{
	return state_words[state];
}

deadline_t
session_deadline(const struct session *session)
{
	return session->deadline;
}

bool
session_in_transaction(const struct session *session)
{
	return session->transaction != NULL;
}

const struct session_failure *
session_failure(const struct session *session)
{
	return session->failed ? &session->failure : NULL;
}

unsigned
session_messages(const struct session *session)
{
	return session->messages;
}

/* ---- the end ---------------------------------------------------------------------------------- */

static void
close_session(struct session *session)
{
	session->transaction = NULL;
	buffer_free(&session->output);
	session->output_sent = 0;
	enter(session, SESSION_CLOSED);
}

/* Closes with the judgement that the caller put into session->failure. */
static void
fail(struct session *session)
{
	session->failed = true;
	session->failure.judgement.outcome = DELIVERY_DEFERRED;
	session->failure.judgement.failure = FAILURE_NONE;
	session->failure.judgement.status[0] = '4';
	session->failure.before_mail_reply = session->transaction == NULL || session->answered == 0;
	close_session(session);
}

static void
fail_protocol(struct session *session, const char *what)
{
	judgement_set(&session->failure.judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.5.0",
	    "protocol error while %s: %s", state_words[session->state], what);
	session->failure.judgement.host_failed = session->state < SESSION_IDLE;
	fail(session);
}

static void
fail_by_reply(struct session *session, bool host_failed)
{
	reply_judge(&session->reply, REPLY_TO_GREETING, &session->failure.judgement);
	session->failure.judgement.host_failed = host_failed;
	fail(session);
}

void
session_connection_lost(struct session *session, const char *reason)
{
	if (session->state == SESSION_CLOSED)
		return;
	if (session->state == SESSION_IDLE || session->state == SESSION_RSET || session->state == SESSION_QUIT) {
		close_session(session);
		return;
	}
	if (session->state == SESSION_CONNECT)
		judgement_set(&session->failure.judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.4.1", "cannot connect: %s",
		    reason);
	else
		judgement_set(&session->failure.judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.4.2",
		    "connection lost while %s: %s", state_words[session->state], reason);
	session->failure.judgement.host_failed = session->state < SESSION_IDLE;
	fail(session);
}

void
session_time_out(struct session *session)
{
	switch (session->state) {
	case SESSION_CLOSED:
		return;
	case SESSION_IDLE:
		session_quit(session);
		return;
	case SESSION_RSET:
	case SESSION_QUIT:
		close_session(session);
		return;
	default:
		judgement_set(&session->failure.judgement, DELIVERY_DEFERRED, FAILURE_NONE,
		    session->state == SESSION_CONNECT ? "4.4.1" : "4.4.2", "timed out while %s",
		    state_words[session->state]);
		session->failure.judgement.host_failed = true;
		fail(session);
	}
}

static void
send_command(struct session *session, enum session_state state, const char *command)
{
	buffer_append_string(&session->output, command);
	buffer_append_string(&session->output, "\r\n");
	enter(session, state);
}

static void
send_hello(struct session *session, enum session_state state, const char *verb)
{
	buffer_printf(&session->output, "%s %s\r\n", verb, session->options.name);
	enter(session, state);
}

void
session_quit(struct session *session)
{
	if (session->state == SESSION_IDLE)
		send_command(session, SESSION_QUIT, "QUIT");
}

/* ---- verdicts --------------------------------------------------------------------------------- */

static void
judge_all_by_reply(struct session *session, enum recipient_progress progress, enum reply_asked asked)
{
	struct reply_judgement judgement;

	reply_judge(&session->reply, asked, &judgement);
	judgement.dsn_relayed = judgement.outcome == DELIVERY_DONE && session->parameters.dsn;
	transaction_judge_all(session->transaction, progress, &judgement);
}

/* The transaction is over and the session is to be used again, after RSET where the host may still be inside it. */
static void
end_transaction(struct session *session, bool reset)
{
	session->transaction = NULL;
	/* An idle session keeps no block of content. */
	if (session->output.length == 0)
		buffer_free(&session->output);
	if (reset)
		send_command(session, SESSION_RSET, "RSET");
	else
		enter(session, SESSION_IDLE);
}

/* ---- commands --------------------------------------------------------------------------------- */

/* After the dot: an LMTP host answers once for every recipient that it accepted. */
static size_t
awaited_after_dot(const struct session *session)
{
	size_t count = 0, i;

	if (!session->options.lmtp || session->accepted == 0)
		return 1;
	for (i = session->dot_answered; i < session->wire_count; i++)
		count += session->transaction->progress[session->wire[i]] == PROGRESS_ACCEPTED;
	return count;
}

/* How many replies the host owes us. */
static size_t
awaited(const struct session *session)
{
	switch (session->state) {
	case SESSION_DOT:
		return awaited_after_dot(session);
	case SESSION_MAIL:
	case SESSION_RCPT:
	case SESSION_DATA:
		return session->issued - session->answered;
	case SESSION_CONNECT:
	case SESSION_IDLE:
	case SESSION_CONTENT:
	case SESSION_CLOSED:
		return 0;
	default:
		return 1;
	}
}

static size_t
data_number(const struct session *session)
{
	return session->wire_count + 1;
}

/* Whether the command numbered session->issued may go out now. */
static bool
may_issue(const struct session *session)
{
	if (session->mail_refused || session->issued > data_number(session))
		return false;
	if (session->answered == session->issued)
		return session->issued < data_number(session) || session->accepted > 0;
	return session->capabilities.pipelining && session->output.length - session->output_sent < OUTPUT_ENOUGH;
}

static void
issue_one(struct session *session)
{
	struct transaction *transaction = session->transaction;
	size_t number = session->issued++;

	if (number == 0)
		command_append_mail(&session->output, transaction->envelope, &session->parameters);
	else if (number < data_number(session))
		command_append_rcpt(&session->output, transaction->recipients[session->wire[number - 1]],
		    session->parameters.dsn);
	else
		buffer_append_string(&session->output, "DATA\r\n");
}

static void
issue_commands(struct session *session)
{
	while (may_issue(session))
		issue_one(session);
}

/* After a reply: the next commands, the wait for the next reply, or the end when nobody is left to send to. */
static void
go_on(struct session *session)
{
	issue_commands(session);
	if (session->answered == session->issued)
		end_transaction(session, true);
	else if (session->answered == 0)
		enter(session, SESSION_MAIL);
	else if (session->answered < data_number(session))
		enter(session, SESSION_RCPT);
	else
		enter(session, SESSION_DATA);
}

/* ---- the beginning of a transaction ---------------------------------------------------------- */

void
session_begin(struct session *session, struct transaction *transaction)
{
	size_t i;

	if (session->state != SESSION_IDLE)
		return;
	session->transaction = transaction;
	suitability_check(transaction, &session->capabilities, &session->parameters);
	session->wire = memory_resize(session->wire, transaction->count + 1, sizeof(*session->wire));
	session->wire_count = 0;
	for (i = 0; i < transaction->count; i++)
		if (transaction->progress[i] == PROGRESS_WAITING)
			session->wire[session->wire_count++] = i;
	session->issued = session->answered = session->accepted = session->dot_answered = 0;
	session->mail_refused = false;
	if (session->wire_count == 0) {
		end_transaction(session, false);
		return;
	}
	session->messages++;
	go_on(session);
}

/* ---- replies ---------------------------------------------------------------------------------- */

static void
take_greeting(struct session *session)
{
	if (session->reply.code == 220)
		send_hello(session, SESSION_EHLO, session->options.lmtp ? "LHLO" : "EHLO");
	else if (session->reply.code >= 400)
		fail_by_reply(session, true);
	else
		fail_protocol(session, "the greeting is not 220");
}

/* Takes what is offered and may be used. */
static void
use_capabilities(struct session *session)
{
	struct capabilities *capabilities = &session->capabilities;

	capabilities_read(&session->reply, capabilities);
	capabilities->pipelining &= session->options.use_pipelining;
	capabilities->size &= session->options.use_size;
	capabilities->dsn &= session->options.use_dsn;
	capabilities->eight_bit_mime &= session->options.use_8bitmime;
}

static void
take_hello_reply(struct session *session)
{
	int kind = session->reply.code / 100;

	if (kind == 2) {
		if (session->state == SESSION_EHLO)
			use_capabilities(session);
		enter(session, SESSION_IDLE);
	} else if (kind == 5 && session->state == SESSION_EHLO && !session->options.lmtp) {
		send_hello(session, SESSION_HELO, "HELO");
	} else if (kind >= 4) {
		fail_by_reply(session, true);
	} else {
		fail_protocol(session, "the reply to EHLO is neither acceptance nor refusal");
	}
}

static void
take_mail_reply(struct session *session)
{
	if (session->reply.code / 100 == 2)
		return;
	session->mail_refused = true;
	judge_all_by_reply(session, PROGRESS_WAITING, REPLY_TO_MAIL);
}

static void
take_rcpt_reply(struct session *session)
{
	struct transaction *transaction = session->transaction;
	size_t index = session->wire[session->answered - 2];
	struct reply_judgement judgement;

	if (session->mail_refused)
		return;
	if (session->reply.code / 100 == 2) {
		transaction->progress[index] = PROGRESS_ACCEPTED;
		session->accepted++;
	} else if (session->accepted > 0 && reply_says_too_many_recipients(&session->reply)) {
		transaction->progress[index] = PROGRESS_AGAIN;
	} else {
		reply_judge(&session->reply, REPLY_TO_RCPT, &judgement);
		transaction_judge(transaction, index, &judgement);
	}
}

/*
 * DATA was refused, or taken: then content follows, or, when all recipients were refused meanwhile, a lone
 * dot (RFC 2920). A host that goes on after it refused MAIL might deliver what the dot ends: it gets none.
 */
static void
take_data_reply(struct session *session)
{
	if (session->reply.code != 354) {
		judge_all_by_reply(session, PROGRESS_ACCEPTED, REPLY_TO_DATA);
		return;
	}
	if (session->mail_refused) {
		fail_protocol(session, "DATA is taken though MAIL was refused");
	} else if (session->accepted > 0) {
		content_stream_init(&session->content, &session->transaction->content);
		session->content_ended = false;
		enter(session, SESSION_CONTENT);
	} else {
		send_command(session, SESSION_DOT, ".");
	}
}

/* A reply to MAIL, RCPT or DATA: of a kind that this command cannot have, the session is out of step. */
static void
take_command_reply(struct session *session)
{
	bool is_data = session->answered == data_number(session);
	int kind = session->reply.code / 100;

	if (is_data ? kind == 2 || (kind == 3 && session->reply.code != 354) : kind == 3) {
		fail_protocol(session, "the reply does not belong to this command");
		return;
	}
	session->answered++;
	if (session->answered == 1)
		take_mail_reply(session);
	else if (!is_data)
		take_rcpt_reply(session);
	else
		take_data_reply(session);
}

/* LMTP: passes over the recipients that were not accepted. */
static void
find_unanswered(struct session *session)
{
	while (session->dot_answered < session->wire_count &&
	    session->transaction->progress[session->wire[session->dot_answered]] != PROGRESS_ACCEPTED)
		session->dot_answered++;
}

static void
take_dot_reply(struct session *session)
{
	struct reply_judgement judgement;

	if (session->accepted == 0) {
		/* Nobody was accepted, yet the host took a message: it is not to be trusted with another. */
		end_transaction(session, false);
		session_quit(session);
		return;
	}
	if (session->reply.code / 100 == 3) {
		fail_protocol(session, "the reply does not belong to the end of data");
		return;
	}
	if (!session->options.lmtp) {
		judge_all_by_reply(session, PROGRESS_ACCEPTED, REPLY_TO_CONTENT);
		end_transaction(session, false);
		return;
	}
	find_unanswered(session);
	reply_judge(&session->reply, REPLY_TO_CONTENT, &judgement);
	judgement.dsn_relayed = judgement.outcome == DELIVERY_DONE && session->parameters.dsn;
	transaction_judge(session->transaction, session->wire[session->dot_answered], &judgement);
	find_unanswered(session);
	if (session->dot_answered == session->wire_count)
		end_transaction(session, false);
	else
		enter(session, SESSION_DOT);
}

/* Judges by a complete reply. */
static void
take_reply(struct session *session)
{
	switch (session->state) {
	case SESSION_GREETING:
		take_greeting(session);
		return;
	case SESSION_EHLO:
	case SESSION_HELO:
		take_hello_reply(session);
		return;
	case SESSION_MAIL:
	case SESSION_RCPT:
	case SESSION_DATA:
		take_command_reply(session);
		break;
	case SESSION_DOT:
		take_dot_reply(session);
		break;
	case SESSION_RSET:
		enter(session, SESSION_IDLE);
		if (session->reply.code / 100 != 2)
			session_quit(session);
		break;
	case SESSION_QUIT:
		close_session(session);
		return;
	default:
		return;
	}
	if (session->reply.code == 421 && session->state != SESSION_CLOSED)
		fail_by_reply(session, false);
}

/*
 * What comes behind the last reply that was awaited came before we asked on: to take it for the reply to our next
 * command would let a host that is out of step decide about the wrong recipient.
 */
static void
take_whole_reply(struct session *session, bool more_follows)
{
	bool last = awaited(session) == 1;

	take_reply(session);
	smtp_reply_clear(&session->reply);
	if (session->state == SESSION_CLOSED)
		return;
	if (last && more_follows)
		fail_protocol(session, "a reply that nobody asked for");
	else if (session->state == SESSION_MAIL || session->state == SESSION_RCPT || session->state == SESSION_DATA)
		go_on(session);
}

/*
 * A host that answers while content is still on its way has refused it and will not go on. Its refusal
 * counts; an acceptance of what it has not seen does not.
 */
static void
take_early_reply(struct session *session, const char *data, size_t length)
{
	size_t consumed;
	enum smtp_reply_progress progress = smtp_reply_read(&session->reply, data, length, &consumed);

	if (progress == SMTP_REPLY_UNFINISHED)
		return;
	if (progress == SMTP_REPLY_VIOLATION || session->reply.code < 400) {
		fail_protocol(session, "a reply that nobody asked for");
		return;
	}
	judge_all_by_reply(session, PROGRESS_ACCEPTED, REPLY_TO_CONTENT);
	fail_by_reply(session, false);
}

void
session_receive(struct session *session, const char *data, size_t length)
{
	size_t consumed;

	while (length > 0 && session->state != SESSION_CLOSED) {
		enum smtp_reply_progress progress;

		if (session->state == SESSION_CONTENT) {
			take_early_reply(session, data, length);
			return;
		}
		if (awaited(session) == 0) {
			fail_protocol(session, "a reply that nobody asked for");
			return;
		}
		progress = smtp_reply_read(&session->reply, data, length, &consumed);
		data += consumed;
		length -= consumed;
		if (progress == SMTP_REPLY_UNFINISHED)
			return;
		if (progress == SMTP_REPLY_VIOLATION) {
			fail_protocol(session, session->reply.violation);
			return;
		}
		take_whole_reply(session, length > 0);
	}
}

/* ---- octets for the wire ---------------------------------------------------------------------- */

static void
make_content(struct session *session)
{
	struct error error = ERROR_INITIALIZER;
	int more = content_stream_next(&session->content, &session->output, &error);

	if (more == -1) {
		/* Without the dot the host throws away what it has. */
		judgement_set(&session->failure.judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.3.0", "%s", error.text);
		fail(session);
		return;
	}
	if (more == 0) {
		buffer_append_string(&session->output, ".\r\n");
		session->content_ended = true;
	}
	enter(session, SESSION_CONTENT);
}

const char *
session_output(struct session *session, size_t *length_out)
{
	if (session->state == SESSION_CONTENT && session->output.length == 0 && !session->content_ended)
		make_content(session);
	*length_out = session->output.length - session->output_sent;
	return buffer_text(&session->output) + session->output_sent;
}

void
session_output_sent(struct session *session, size_t count)
{
	session->output_sent += count;
	if (session->output_sent < session->output.length)
		return;
	session->output_sent = 0;
	buffer_clear(&session->output);
	if (session->state == SESSION_CONTENT && session->content_ended)
		enter(session, SESSION_DOT);
	else if (session->transaction != NULL && session->state != SESSION_CONTENT && session->state != SESSION_DOT)
		issue_commands(session);
}
