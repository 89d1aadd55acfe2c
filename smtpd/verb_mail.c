/* verb_mail - MAIL: its syntax and the start of a transaction; sender.h judges it */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "smtpd/path.h"
#include "smtpd/sender.h"
#include "smtpd/session.h"
#include "smtpd/verb.h"

/* Whether a transaction may begin now; replies otherwise. */
static bool
may_begin(struct session *session)
{
	const struct document_configuration *configuration = rules_configuration(session->rules);
	const struct session_shared *shared = session->shared;
	const char *host = rules_host_name(session->rules);

	if (deadline_passed(session->ends_by))
		session_close(session, REPLY_SESSION_TOO_LONG, host, "session time limit");
	else if (session->messages >= configuration->maximum_messages_per_session.number)
		session_close(session, REPLY_SESSION_TOO_LONG, host, "message limit");
	else if (!shared->connected || shared->next_id == shared->end_id)
		session_reply(session, REPLY_TRY_LATER, "Queue is not available now, try again later");
	else if (!shared->accepting)
		session_reply(session, REPLY_NOT_ACCEPTING, shared->why_not);
	else
		return true;
	return false;
}

static const char *
protocol_of(const struct session *session, const struct mail_parameters *parameters)
{
	if (session->client.is_local_user)
		return "LOCAL";
	if (parameters->smtputf8)
		return "UTF8SMTP";
	return session->is_esmtp ? "ESMTP" : "SMTP";
}

static void
begin_transaction(struct session *session, const struct address *sender, const struct mail_parameters *parameters)
{
	struct envelope *envelope;
	char user[24];

	session->transaction = transaction_new();
	session->transaction->sender.address = *sender;
	envelope = &session->transaction->envelope;
	free(envelope->sender);
	envelope->sender = memory_copy_string(sender->text);
	envelope->body = parameters->body;
	envelope->ret = parameters->ret;
	envelope->smtputf8 = parameters->smtputf8;
	if (parameters->envid[0] != '\0')
		envelope->envid = memory_copy_string(parameters->envid);
	envelope->client_address = memory_copy_string(session->client.address);
	envelope->helo = memory_copy_string(session->helo);
	envelope->protocol = memory_copy_string(protocol_of(session, parameters));
	if (session->client.is_local_user) {
		snprintf(user, sizeof(user), "uid:%u", session->client.user_id);
		envelope->user = memory_copy_string(user);
	}
	sender_judge(session);
}

void
verb_mail(struct session *session, const char *argument, size_t length)
{
	struct address sender;
	struct mail_parameters parameters;
	struct parameter_refusal refusal;
	struct error error = ERROR_INITIALIZER;
	size_t consumed;

	if (!may_begin(session))
		return;
	if (path_parse(argument, length, "FROM:", ADDRESS_ALLOW_NULL, &sender, &consumed, &error) != 0) {
		session_reply(session, REPLY_BAD_SENDER, error.text);
		return;
	}
	if (!mail_parameters_parse(argument + consumed, length - consumed, &session->rules->parameters,
	    &parameters, &refusal)) {
		session_reply(session, refusal.reply, refusal.text);
		return;
	}
	if (sender.has_utf8 && !parameters.smtputf8) {
		session_reply(session, REPLY_NEEDS_SMTPUTF8, NULL);
		return;
	}
	if (session->rules->maximum_size != 0 && parameters.size > session->rules->maximum_size) {
		session_reply(session, REPLY_TOO_LARGE, NULL);
		return;
	}
	begin_transaction(session, &sender, &parameters);
}
