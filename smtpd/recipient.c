/* recipient - see recipient.h */
#include "smtpd/recipient.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/judging.h"
#include "smtpd/session.h"

struct recipient *
recipient_new(void)
{
	struct recipient *recipient = memory_new(1, sizeof(*recipient));

	recipient->known.facts.address = &recipient->known.address;
	return recipient;
}

void
recipient_free(struct recipient **recipient)
{
	if (*recipient == NULL)
		return;
	known_recipient_free(&(*recipient)->known);
	free(*recipient);
	*recipient = NULL;
}

static void
finish(struct session *session)
{
	recipient_free(&session->recipient);
}

/* Where the session was before this RCPT. */
static enum session_state
state_before(const struct session *session)
{
	return session->transaction->envelope.recipient_count > 0 ? SESSION_RECIPIENTS : SESSION_SENDER;
}

static void
refuse(struct session *session, const struct control_judgement *judgement)
{
	log_event(LOG_RECIPIENT_REFUSED, session->name, session->client.address, session_client_name(session),
	    session->helo, session->transaction->envelope.sender, session->recipient->known.address.text,
	    log_number(reply_code(judgement->reply)), judgement->rule);
	session_enter(session, state_before(session));
	session_reply(session, judgement->reply, judgement->text);
	session->refused = REPLY_NONE;
	finish(session);
}

static void
accept_recipient(struct session *session)
{
	struct recipient *recipient = session->recipient;
	struct envelope_recipient *added = transaction_add_recipient(session->transaction, &recipient->known.address,
	    recipient->known.facts.is_local);

	if (added != NULL) {
		added->notify = recipient->parameters.notify;
		if (recipient->parameters.original[0] != '\0')
			added->original = memory_copy_string(recipient->parameters.original);
	}
	session_enter(session, SESSION_RECIPIENTS);
	session_reply(session, REPLY_RECIPIENT_OK, recipient->known.address.text);
	finish(session);
}

void
recipient_continue(struct session *session)
{
	struct control_judgement judgement;

	switch (judging_continue(session, session->recipient, &judgement)) {
	case CONTROL_NEEDS:
		judging_wait(session, SESSION_VERIFYING, judgement.fact);
		break;
	case CONTROL_REFUSES:
		refuse(session, &judgement);
		break;
	default:
		accept_recipient(session);
	}
}

void
recipient_judge(struct session *session, struct recipient *recipient)
{
	size_t limit = (size_t)rules_configuration(session->rules)->maximum_recipients_per_message.number;

	known_recipient_locate(&recipient->known, session->rules);
	/* Nobody else is troubled with a recipient that cannot be taken. */
	if (transaction_is_full(session->transaction, &recipient->known.address, recipient->known.facts.is_local, limit)) {
		session_reply(session, REPLY_TOO_MANY_RECIPIENTS, NULL);
		recipient_free(&recipient);
		return;
	}
	session->recipient = recipient;
	judging_start(session, CONTROL_AT_RCPT);
	recipient_continue(session);
}
