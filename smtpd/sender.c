/* sender - see sender.h */
#include "smtpd/sender.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "smtpd/judging.h"
#include "smtpd/session.h"

static void
refuse(struct session *session, enum control_number control, const struct control_judgement *judgement)
{
	judging_log_refusal(session, control, judgement);
	session_end_transaction(session);
	session_enter(session, SESSION_READY);
	session_reply(session, judgement->reply, judgement->text);
	session->refused = REPLY_NONE;
}

/* What is known of the client and its sender, for the header of the message. */
static void
leave_trace(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct transaction_trace *trace = &transaction->trace;
	const struct sender_facts *facts = &transaction->sender.facts;

	trace->client_name = memory_copy_string(session_client_name(session));
	trace->dnsbl_site = memory_copy_string(session->dnsbl_site);
	trace->dnswl_site = memory_copy_string(session->dnswl_site);
	trace->has_spf = (facts->known & FACT_BIT(FACT_SPF)) != 0;
	trace->spf_helo = facts->spf_helo;
	trace->spf_mail = facts->spf_mail;
	trace->spf_text = memory_copy_string(facts->spf_text);
}

static void
accept_sender(struct session *session)
{
	const char *sender = session->transaction->envelope.sender;

	leave_trace(session);
	session_enter(session, SESSION_SENDER);
	session_reply(session, REPLY_SENDER_OK, sender[0] != '\0' ? sender : "<>");
}

/* Stage CLIENT is through. */
static void
remember_client(struct session *session, const struct control_judgement *refusal)
{
	session->is_client_judged = true;
	session->standing = session->walk.standing;
	if (refusal == NULL)
		return;
	session->client_refusal = memory_new(1, sizeof(*session->client_refusal));
	session->client_refusal->control = session->judged_last;
	session->client_refusal->judgement = *refusal;
}

/* The client is known: its refusal is told at each MAIL, otherwise its sender is judged. False when it was refused. */
static bool
begin_sender(struct session *session)
{
	const struct client_refusal *refusal = session->client_refusal;

	if (refusal != NULL) {
		refuse(session, refusal->control, &refusal->judgement);
		return false;
	}
	judging_start(session, CONTROL_AT_MAIL);
	return true;
}

void
sender_continue(struct session *session)
{
	struct control_judgement judgement;
	enum control_verdict verdict;

	for (;;) {
		verdict = judging_continue(session, NULL, &judgement);
		if (verdict == CONTROL_NEEDS) {
			judging_wait(session, SESSION_JUDGING, judgement.fact);
			return;
		}
		if (session->walk.stage == CONTROL_AT_MAIL)
			break;
		remember_client(session, verdict == CONTROL_REFUSES ? &judgement : NULL);
		if (!begin_sender(session))
			return;
	}
	if (verdict == CONTROL_REFUSES)
		refuse(session, session->judged_last, &judgement);
	else
		accept_sender(session);
}

/* Whether stage CLIENT is to be judged: for the first time, or because somebody else has authenticated since. */
static bool
client_must_be_judged(const struct session *session)
{
	const char *user = session->client.user, *judged = session->judged_user;

	if (!session->is_client_judged)
		return true;
	return user == NULL || judged == NULL ? user != judged : strcmp(user, judged) != 0;
}

void
sender_judge(struct session *session)
{
	if (!client_must_be_judged(session)) {
		if (begin_sender(session))
			sender_continue(session);
		return;
	}
	judging_forget_client(session);
	session->judged_user = memory_copy_string(session->client.user);
	if (session->client.is_local_user) {
		session->standing.is_exempt = true;
		session->is_client_judged = true;
		judging_start(session, CONTROL_AT_MAIL);
	} else {
		judging_start(session, CONTROL_AT_CLIENT);
	}
	sender_continue(session);
}
