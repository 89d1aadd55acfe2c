/*
 * verify_recipient - a recipient in a local Internet domain must be in the Directory
 *
 * With verify_local_recipients; a smart host is never tried for the others. postmaster is always accepted (RFC
 * 5321 4.5.1), abuse and root likewise.
 */
#include "common/mail/recipient_lookup.h"
#include "smtpd/controls/controls.h"
#include "smtpd/rules.h"

static struct control_judgement
refusal(enum reply reply, const char *rule)
{
	return (struct control_judgement){ CONTROL_REFUSES, reply, rule };
}

static const struct control_judgement passes = { CONTROL_PASSES, REPLY_NONE, "" };

struct control_judgement
control_verify_recipient(const struct control_question *question)
{
	const struct recipient *recipient = question->recipient;

	if (!recipient->is_local || is_role_local_part(recipient->address.local_part) ||
	    !rules_configuration(question->rules)->verify_local_recipients.number)
		return passes;
	return (struct control_judgement){ CONTROL_ASKS_DIRECTORY, REPLY_NONE, "verify_local_recipients" };
}

struct control_judgement
control_judge_finding(const struct rules *rules, enum recipient_finding finding)
{
	const struct document_configuration *configuration = rules_configuration(rules);

	switch (finding) {
	case RECIPIENT_IS_PERSON:
		break;
	case RECIPIENT_IS_GROUP:
		if (configuration->deny_mail_to_groups.number)
			return refusal(REPLY_RECIPIENT_REJECTED, "deny_mail_to_groups");
		break;
	case RECIPIENT_IS_AMBIGUOUS:
		if (configuration->reject_ambiguous_recipients.number)
			return refusal(REPLY_USER_AMBIGUOUS, "reject_ambiguous_recipients");
		break;
	case RECIPIENT_IS_UNKNOWN:
		return refusal(REPLY_NO_SUCH_USER, "verify_local_recipients");
	case RECIPIENT_CANNOT_BE_FOUND_NOW:
		return refusal(REPLY_DIRECTORY_AWAY, "verify_local_recipients");
	}
	return passes;
}
