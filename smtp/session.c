/* session - see session.h */
#include "smtp/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static const char unasked[] = "a reply that nobody asked for";

static const char *const state_words[SESSION_STATE_COUNT] = {
#define STATE(symbol, setting, words) words,
#include "smtp/states.def"
#undef STATE
};

void
session_enter(struct session *session, enum session_state state)
{
	session->state = state;
	session->deadline = state == SESSION_CLOSED ? DEADLINE_NEVER :
	    deadline_after_ms(session->options.timeout_ms[state]);
	if (session->transaction != NULL && session->transaction_end < session->deadline)
		session->deadline = session->transaction_end;
}

struct session *
session_new(const struct session_options *options)
{
	struct session *session = memory_new(1, sizeof(*session));

	session->options = *options;
	session->options.name = session->name = memory_copy_string(options->name);
	smtp_reply_init(&session->reply);
	buffer_init(&session->output, 0);
	session_enter(session, SESSION_CONNECT);
	return session;
}

void
session_connected(struct session *session)
{
	if (session->state == SESSION_CONNECT)
		session_enter(session, SESSION_GREETING);
}

void
session_free(struct session **session)
{
	if (*session == NULL)
		return;
	smtp_reply_free(&(*session)->reply);
	buffer_free(&(*session)->output);
	downgrade_free(&(*session)->downgrade);
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
	session_enter(session, SESSION_CLOSED);
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

void
session_fail_protocol(struct session *session, const char *what)
{
	judgement_set(&session->failure.judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.5.0",
	    "protocol error while %s: %s", state_words[session->state], what);
	session->failure.judgement.host_failed = session->state < SESSION_IDLE;
	fail(session);
}

void
session_fail_unreadable(struct session *session, const struct error *error)
{
	judgement_set(&session->failure.judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.3.0", "%s", error->text);
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

void
session_send_command(struct session *session, enum session_state state, const char *command)
{
	buffer_append_string(&session->output, command);
	buffer_append_string(&session->output, "\r\n");
	session_enter(session, state);
}

static void
send_hello(struct session *session, enum session_state state, const char *verb)
{
	buffer_printf(&session->output, "%s %s\r\n", verb, session->options.name);
	session_enter(session, state);
}

void
session_quit(struct session *session)
{
	if (session->state == SESSION_IDLE)
		session_send_command(session, SESSION_QUIT, "QUIT");
}

/* How many replies the host owes us. */
static size_t
awaited(const struct session *session)
{
	if (session->transaction != NULL)
		return session_transaction_awaited(session);
	return session->state != SESSION_CONNECT && session->state != SESSION_IDLE && session->state != SESSION_CLOSED;
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
		session_fail_protocol(session, "the greeting is not 220");
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
	capabilities->chunking &= session->options.use_chunking;
	capabilities->eight_bit_mime &= session->options.use_8bitmime;
}

static void
take_hello_reply(struct session *session)
{
	int kind = session->reply.code / 100;

	if (kind == 2) {
		if (session->state == SESSION_EHLO)
			use_capabilities(session);
		session_enter(session, SESSION_IDLE);
	} else if (kind == 5 && session->state == SESSION_EHLO && !session->options.lmtp) {
		send_hello(session, SESSION_HELO, "HELO");
	} else if (kind >= 4) {
		fail_by_reply(session, true);
	} else {
		session_fail_protocol(session, "the reply to EHLO is neither acceptance nor refusal");
	}
}

/* Judges by a complete reply. 421 may come at any time (RFC 5321 3.8): it ends the session and judges nobody. */
static void
take_reply(struct session *session)
{
	if (session->reply.code == 421 && session->state != SESSION_QUIT) {
		fail_by_reply(session, session->state < SESSION_IDLE);
		return;
	}
	switch (session->state) {
	case SESSION_GREETING:
		take_greeting(session);
		break;
	case SESSION_EHLO:
	case SESSION_HELO:
		take_hello_reply(session);
		break;
	case SESSION_RSET:
		session_enter(session, SESSION_IDLE);
		if (session->reply.code / 100 != 2)
			session_quit(session);
		break;
	case SESSION_QUIT:
		close_session(session);
		break;
	default:
		session_take_transaction_reply(session);
	}
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
		session_fail_protocol(session, unasked);
	else if (session->transaction != NULL)
		session_transaction_go_on(session);
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
		session_fail_protocol(session, unasked);
		return;
	}
	/* LMTP answers behind the dot, once for each recipient (RFC 2033 4.2): this one judges nobody. */
	if (!session->options.lmtp)
		session_judge_early(session);
	fail_by_reply(session, false);
}

/* An idle session hears nothing but that the host closes it. */
static void
take_unasked_reply(struct session *session, const char *data, size_t length)
{
	size_t consumed;

	if (session->state == SESSION_IDLE &&
	    smtp_reply_read(&session->reply, data, length, &consumed) == SMTP_REPLY_COMPLETE &&
	    session->reply.code == 421)
		fail_by_reply(session, false);
	else
		session_fail_protocol(session, unasked);
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
			take_unasked_reply(session, data, length);
			return;
		}
		progress = smtp_reply_read(&session->reply, data, length, &consumed);
		data += consumed;
		length -= consumed;
		if (progress == SMTP_REPLY_UNFINISHED)
			return;
		if (progress == SMTP_REPLY_VIOLATION) {
			session_fail_protocol(session, session->reply.violation);
			return;
		}
		take_whole_reply(session, length > 0);
	}
}

/* ---- octets for the wire ---------------------------------------------------------------------- */

void
session_output_unreadable(struct session *session, const char *reason)
{
	struct error error;

	error_set(&error, ERROR_SYSTEM, "read the body: %s", reason);
	session_fail_unreadable(session, &error);
}

bool
session_output_file(struct session *session, int *file_out, uint64_t *offset_out, size_t *length_out)
{
	struct content_span span = session_content_span(session);

	*file_out = span.file;
	*offset_out = span.offset;
	*length_out = span.length;
	return span.length > 0 && span.memory == NULL;
}

const char *
session_output(struct session *session, size_t *length_out)
{
	struct content_span span = session_content_span(session);

	if (span.length > 0 && span.memory != NULL) {
		*length_out = span.length;
		return span.memory;
	}
	if (session->state == SESSION_CONTENT && session->output.length == 0 && !session->content_ended)
		session_make_content(session);
	*length_out = session->output.length - session->output_sent;
	return buffer_text(&session->output) + session->output_sent;
}

void
session_output_sent(struct session *session, size_t count)
{
	if (session_content_span(session).length > 0) {
		session_content_span_sent(session, count);
		return;
	}
	session->output_sent += count;
	if (session->output_sent < session->output.length)
		return;
	session->output_sent = 0;
	buffer_clear(&session->output);
	if (session->transaction != NULL)
		session_transaction_drained(session);
}
