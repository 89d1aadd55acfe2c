/* verb_other - RSET, NOOP, QUIT, HELP, VRFY, and commands that we do not have */
#include "common/base/attributes.h"
#include "smtpd/session.h"
#include "smtpd/verb.h"

void
verb_rset(struct session *session, const char *argument UNUSED, size_t length)
{
	if (length != 0) {
		session_reply(session, REPLY_BAD_ARGUMENT, "RSET takes no argument");
		return;
	}
	session_end_transaction(session);
	session_enter(session, session->helo != NULL ? SESSION_READY : SESSION_CONNECTED);
	session_reply(session, REPLY_RESET, NULL);
}

void
verb_noop(struct session *session, const char *argument UNUSED, size_t length UNUSED)
{
	session_reply(session, REPLY_OK, NULL);
}

void
verb_quit(struct session *session, const char *argument UNUSED, size_t length)
{
	if (length != 0)
		session_reply(session, REPLY_BAD_ARGUMENT, "QUIT takes no argument");
	else
		session_close(session, REPLY_CLOSING, rules_host_name(session->rules), "QUIT");
}

void
verb_help(struct session *session, const char *argument, size_t length)
{
	static const char commands[] = "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT HELP VRFY";

	if (rules_configuration(session->rules)->smtp_in_help.number)
		session_reply(session, REPLY_HELP, commands);
	else
		verb_not_implemented(session, argument, length);
}

/* Never says whether the user exists. */
void
verb_vrfy(struct session *session, const char *argument, size_t length)
{
	if (!rules_configuration(session->rules)->smtp_in_vrfy.number)
		verb_not_implemented(session, argument, length);
	else if (length == 0)
		session_reply(session, REPLY_BAD_ARGUMENT, "VRFY needs a user");
	else
		session_reply(session, REPLY_CANNOT_VERIFY, NULL);
}

void
verb_not_implemented(struct session *session, const char *argument UNUSED, size_t length UNUSED)
{
	session_reply(session, REPLY_NOT_IMPLEMENTED, NULL);
}

void
verb_of_another_protocol(struct session *session, const char *argument UNUSED, size_t length UNUSED)
{
	session_close(session, REPLY_NOT_SMTP, NULL, "not SMTP");
}
