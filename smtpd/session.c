/* session - see session.h */
#include "smtpd/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/arrival.h"
#include "smtpd/judging.h"
#include "smtpd/receive.h"
#include "smtpd/recipient.h"
#include "smtpd/sender.h"
#include "smtpd/verb.h"

#define ENDLESS_LINE (256 * 1024)	/* octets of a command line after which its end is not waited for */
#define COMMAND_LOGGED 80		/* octets of a refused command in the log */
#define TLS_HANDSHAKE 0x16		/* first octet of a TLS client hello */

enum deadline_kind { COMMAND, DATA, FACT, PEER, CLOSE };

static const struct {
	const char *word;
	enum deadline_kind deadline;
} states[SESSION_STATE_COUNT] = {
#define STATE(symbol, word, deadline) [SESSION_##symbol] = { word, deadline },
#include "smtpd/states.def"
#undef STATE
};

const char *
session_state_word(enum session_state state)
{
	return states[state].word;
}

static void
set_deadline(struct session *session)
{
	const struct document_configuration *configuration = rules_configuration(session->rules);

	session->progress = 0;
	switch (states[session->state].deadline) {
	case COMMAND:
	case DATA:
		session->deadline = deadline_earlier(session->ends_by,
		    deadline_after_ms(configuration->session_idle_timeout.number * 1000));
		break;
	case FACT:
		session->deadline = deadline_after_ms(fact_time_ms(session->wanted_fact, session->rules));
		break;
	case PEER:
		session->deadline = deadline_after_ms(SESSION_PEER_TIMEOUT_MS);
		break;
	case CLOSE:
		session->deadline = deadline_after_ms(SESSION_CLOSE_TIMEOUT_MS);
		break;
	}
}

const char *
session_client_name(const struct session *session)
{
	return confirmed_host_name(session->known.facts.host_names);
}

void
session_enter(struct session *session, enum session_state state)
{
	session->state = state;
	set_deadline(session);
}

struct session *
session_new(struct rules *rules, struct session_shared *shared, const struct session_client *client,
    const char *name)
{
	struct session *session = memory_new(1, sizeof(*session));
	const struct document_configuration *configuration = rules_configuration(rules);

	session->rules = rules_hold(rules);
	session->shared = shared;
	session->client = *client;
	snprintf(session->name, sizeof(session->name), "%s", name);
	session->began_ms = clock_monotonic_ms();
	session->ends_by = deadline_after_ms(configuration->session_time_limit.number * 1000);
	session->reason = "client left";
	line_reader_init(&session->reader, (size_t)configuration->maximum_command_line_length.number,
	    ENDLESS_LINE);
	buffer_init(&session->output, 0);
	judging_describe_client(session);
	arrival_begin(session);
	return session;
}

void
session_free(struct session **session)
{
	struct session *going = *session;

	if (going == NULL)
		return;
	session_end_transaction(going);
	recipient_free(&going->recipient);
	known_client_free(&going->known);
	judging_forget_client(going);
	free(going->helo);
	line_reader_free(&going->reader);
	buffer_free(&going->output);
	rules_release(&going->rules);
	free(going);
	*session = NULL;
}

bool
session_reads(const struct session *session)
{
	return session->wait == SESSION_WAITS_FOR_INPUT && session->output.length < SESSION_OUTPUT_HIGH;
}

void
session_reply(struct session *session, enum reply reply, const char *argument)
{
	int64_t limit = rules_configuration(session->rules)->smtp_error_limit.number;

	if (reply_code(reply) >= 500)
		session->refused = reply;
	if (reply_code(reply) >= 500 && limit > 0 && ++session->errors > limit &&
	    session->state != SESSION_CLOSING) {
		session_close(session, REPLY_TOO_MANY_ERRORS, NULL, "too many errors");
		return;
	}
	reply_append(&session->output, reply, argument, true, false);
}

void
session_close(struct session *session, enum reply reply, const char *argument, const char *reason)
{
	session_enter(session, SESSION_CLOSING);
	reply_append(&session->output, reply, argument, true, false);
	session_end_transaction(session);
	session->wait = SESSION_WAITS_FOR_CLOSE;
	session->is_orderly = reply == REPLY_CLOSING;
	session->reason = reason;
}

void
session_end_transaction(struct session *session)
{
	if (session->transaction == NULL)
		return;
	session->shared->content_octets -= session->transaction->counted;
	transaction_free(&session->transaction);
}

/* Whether the line has only octets that a command may have: printable ones, and those of UTF-8. */
static bool
line_is_clean(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return line[i] == '\t' && i + 1 == length;
	return true;
}

static void
run_line(struct session *session, const char *line, size_t length)
{
	enum session_state before = session->state;
	char command[COMMAND_LOGGED + 1] = "";

	set_deadline(session);
	session->refused = REPLY_NONE;
	if (line == NULL)
		session_reply(session, REPLY_LINE_TOO_LONG, NULL);
	else if (!line_is_clean(line, length))
		session_reply(session, REPLY_LINE_MALFORMED, NULL);
	else
		verb_run(session, line, length);
	if (session->refused == REPLY_NONE)
		return;
	if (line != NULL)
		memcpy(command, line, length < COMMAND_LOGGED ? length : COMMAND_LOGGED);
	log_event(LOG_COMMAND_REFUSED, session->name, session->client.address, session_state_word(before), command,
	    log_number(reply_code(session->refused)));
}

static size_t
take_command(struct session *session, const char *data, size_t length)
{
	const char *line;
	size_t taken = 0, line_length;

	if (session->state == SESSION_CONNECTED && session->commands == 0 && data[0] == TLS_HANDSHAKE &&
	    !line_reader_is_inside_line(&session->reader)) {
		session_close(session, REPLY_NOT_SMTP, NULL, "not SMTP");
		return length;
	}
	switch (line_reader_take(&session->reader, data, length, &taken, &line, &line_length)) {
	case LINE_NONE:
		break;
	case LINE_TOO_LONG:
		run_line(session, NULL, 0);
		break;
	case LINE_ENDLESS:
		session_close(session, REPLY_LINE_TOO_LONG, NULL, "endless line");
		break;
	case LINE_COMPLETE:
		run_line(session, line, line_length);
		break;
	}
	return taken;
}

/* Whether it is the client's turn, to speak or to be silent. */
static bool
waits_for_client(const struct session *session)
{
	return session->wait == SESSION_WAITS_FOR_INPUT ||
	    (session->wait == SESSION_WAITS_FOR_FACT && session->wanted_fact == FACT_PATIENCE);
}

void
session_leave_when_draining(struct session *session)
{
	if (session->is_draining && waits_for_client(session) && session->transaction == NULL)
		session_close(session, REPLY_SHUTTING_DOWN, rules_host_name(session->rules), "service stops");
}

size_t
session_input_size(const struct session *session)
{
	return session->transaction != NULL && session->transaction->body_file >= 0 ? SESSION_INPUT_MAX : SESSION_INPUT_USUAL;
}

size_t
session_input(struct session *session, const char *data, size_t length)
{
	size_t taken = 0;

	if (length > SESSION_INPUT_MAX)
		length = SESSION_INPUT_MAX;
	while (taken < length && session_reads(session)) {
		if (session->state == SESSION_DATA)
			taken += receive_data(session, data + taken, length - taken);
		else if (session->state == SESSION_CHUNK)
			taken += receive_chunk(session, data + taken, length - taken);
		else
			taken += take_command(session, data + taken, length - taken);
		session_leave_when_draining(session);
	}
	return taken;
}

void
session_drain(struct session *session)
{
	session->is_draining = true;
	session_leave_when_draining(session);
}

void
session_learn(struct session *session, const struct fact_answer *answer)
{
	judging_learn(session, answer);
	if (session->wait != SESSION_WAITS_FOR_FACT || session->wanted_fact != answer->fact)
		return;
	session->wait = SESSION_WAITS_FOR_INPUT;
	if (session->state == SESSION_ARRIVING)
		arrival_continue(session);
	else if (session->state == SESSION_JUDGING)
		sender_continue(session);
	else
		recipient_continue(session);
	session_leave_when_draining(session);
}

void
session_expired(struct session *session)
{
	const char *host = rules_host_name(session->rules);
	struct fact_answer answer;

	switch (session->wait) {
	case SESSION_WAITS_FOR_FACT:
		answer = fact_unanswered(session->wanted_fact);
		session_learn(session, &answer);
		break;
	case SESSION_WAITS_FOR_DEPOSIT:
		receive_deposited(session, DEPOSIT_TEMPORARY,
		    "Message could not be stored in time, try again later");
		break;
	case SESSION_WAITS_FOR_CLOSE:
		break;
	case SESSION_WAITS_FOR_INPUT:
	case SESSION_WAITS_FOR_BODY_FILE:
	case SESSION_WAITS_FOR_BODY_WRITE:
		if (deadline_passed(session->ends_by))
			session_close(session, REPLY_SESSION_TOO_LONG, host, "session time limit");
		else
			session_close(session, REPLY_IDLE_TOO_LONG, host, "idle");
		break;
	}
}
