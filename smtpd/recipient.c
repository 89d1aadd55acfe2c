/* recipient - see recipient.h */
#include "smtpd/recipient.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/controls/controls.h"
#include "smtpd/session.h"

static void
finish(struct session *session)
{
	free(session->recipient);
	session->recipient = NULL;
}

static void
refuse(struct session *session, const struct control_judgement *judgement)
{
	const char *address = session->recipient->address.text;

	log_event(LOG_RECIPIENT_REFUSED, session->name, session->client.address, session->helo,
	    session->transaction->envelope.sender, address, log_number(reply_code(judgement->reply)),
	    judgement->rule);
	session_reply(session, judgement->reply, address);
	session->refused = REPLY_NONE;
	finish(session);
}

static void
accept_recipient(struct session *session)
{
	struct recipient *recipient = session->recipient;
	size_t limit = (size_t)rules_configuration(session->rules)->maximum_recipients_per_message.number;
	struct envelope_recipient *added;

	switch (transaction_add_recipient(session->transaction, &recipient->address, recipient->is_local, limit,
	    &added)) {
	case RECIPIENT_SURPLUS:
		session_reply(session, REPLY_TOO_MANY_RECIPIENTS, NULL);
		finish(session);
		return;
	case RECIPIENT_ADDED:
		added->notify = recipient->parameters.notify;
		if (recipient->parameters.original[0] != '\0')
			added->original = memory_copy_string(recipient->parameters.original);
		break;
	case RECIPIENT_KNOWN:
		break;
	}
	session_enter(session, SESSION_RECIPIENTS);
	session_reply(session, REPLY_RECIPIENT_OK, recipient->address.text);
	finish(session);
}

static void
walk_controls(struct session *session)
{
	struct recipient *recipient = session->recipient;
	struct control_question question = { session->rules, &session->client, recipient };
	struct control_judgement judgement = controls_judge(CONTROL_AT_RCPT, &question, &recipient->next_control);

	switch (judgement.verdict) {
	case CONTROL_PASSES:
		accept_recipient(session);
		break;
	case CONTROL_REFUSES:
		refuse(session, &judgement);
		break;
	case CONTROL_ASKS_DIRECTORY:
		session_enter(session, SESSION_VERIFYING);
		session->wait = SESSION_WAITS_FOR_DIRECTORY;
		break;
	}
}

void
recipient_judge(struct session *session, struct recipient *recipient)
{
	recipient->is_local = recipient->address.domain[0] == '\0' ||
	    is_local_internet_domain(session->rules->local_domains, recipient->address.domain, NULL, NULL,
	    &recipient->primary_domain);
	session->recipient = recipient;
	walk_controls(session);
}

void
recipient_found(struct session *session, enum recipient_finding finding)
{
	struct control_judgement judgement;

	session->wait = SESSION_WAITS_FOR_INPUT;
	session_enter(session,
	    session->transaction->envelope.recipient_count > 0 ? SESSION_RECIPIENTS : SESSION_SENDER);
	judgement = control_judge_finding(session->rules, finding);
	if (judgement.verdict == CONTROL_REFUSES)
		refuse(session, &judgement);
	else
		walk_controls(session);
	session_leave_when_draining(session);
}
