/* verb_rcpt - RCPT: a recipient's syntax; recipient.h judges it */
#include "common/base/error.h"
#include "smtpd/path.h"
#include "smtpd/recipient.h"
#include "smtpd/session.h"
#include "smtpd/verb.h"

/* False, and a reply, when the argument is not that of a RCPT. */
static bool
parse(struct session *session, const char *argument, size_t length, struct recipient *recipient)
{
	struct parameter_refusal refusal;
	struct error error = ERROR_INITIALIZER;
	size_t consumed;

	if (path_parse(argument, length, "TO:", ADDRESS_ALLOW_BARE_POSTMASTER, &recipient->known.address,
	    &consumed, &error) != 0) {
		session_reply(session, REPLY_BAD_RECIPIENT, error.text);
		return false;
	}
	if (!rcpt_parameters_parse(argument + consumed, length - consumed, &session->rules->parameters,
	    &recipient->parameters, &refusal)) {
		session_reply(session, refusal.reply, refusal.text);
		return false;
	}
	if (recipient->known.address.has_utf8 && !session->transaction->envelope.smtputf8) {
		session_reply(session, REPLY_NEEDS_SMTPUTF8, NULL);
		return false;
	}
	return true;
}

void
verb_rcpt(struct session *session, const char *argument, size_t length)
{
	struct recipient *recipient = recipient_new();

	if (parse(session, argument, length, recipient))
		recipient_judge(session, recipient);
	else
		recipient_free(&recipient);
}
