/*
 * recipient_controls - who gets mail by SMTP (docs/reference/domino-semantics.md, 7.9)
 *
 * For recipients whose mail stays in the local Internet domains; the relay controls judge the others. Deny comes
 * before Allow, and both compare the address as given. postmaster without a domain is always taken (RFC 5321
 * 4.5.1); nobody looks for postmaster, abuse and root.
 */
#include <strings.h>

#include "common/mail/recipient_lookup.h"
#include "smtpd/controls/destination.h"
#include "smtpd/controls/judge.h"

static bool
is_judged(const struct control_question *question)
{
	char destination[DESTINATION_MAX];

	return question->recipient->address->domain[0] != '\0' &&
	    destination_is_ours(question->rules, question->recipient, destination);
}

void
control_deny_recipients(const struct control_question *question, struct control_judgement *judgement)
{
	const struct address_list *list = question->rules->lists->deny_recipients;
	const struct setting_item *entry;

	if (address_list_is_empty(list) || !is_judged(question)) {
		judge_skipped(judgement);
	} else if ((entry = address_list_find(list, question->recipient->address)) != NULL) {
		judge_refuses(judgement, REPLY_RECIPIENT_REJECTED, question->recipient->address->text);
		judge_by_entry(judgement, "deny_recipients", entry);
	}
}

void
control_allow_recipients(const struct control_question *question, struct control_judgement *judgement)
{
	const struct address_list *list = question->rules->lists->allow_recipients;
	const struct setting_item *entry;

	if (address_list_is_empty(list) || !is_judged(question)) {
		judge_skipped(judgement);
	} else if ((entry = address_list_find(list, question->recipient->address)) != NULL) {
		judge_by_entry(judgement, "allow_recipients", entry);
	} else {
		judge_refuses(judgement, REPLY_RECIPIENT_REJECTED, question->recipient->address->text);
		JUDGED_BY(judgement, question, allow_recipients);
	}
}

/* Mail for whom the Directory does not know goes to the smart host; where that is asked (control_call_out()), it decides. */
static bool
smart_host_is_asked(const struct control_question *question)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);

	return configuration->recipient_call_out.number && configuration->local_smart_host.text[0] != '\0' &&
	    is_judged(question);
}

/* What the Directory's answer means. */
static void
judge_finding(const struct control_question *question, struct control_judgement *judgement)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const char *address = question->recipient->address->text;

	JUDGED_BY(judgement, question, verify_local_recipients);
	switch (question->recipient->directory) {
	case RECIPIENT_IS_PERSON:
		break;
	case RECIPIENT_IS_GROUP:
		if (configuration->deny_mail_to_groups.number) {
			judge_refuses(judgement, REPLY_RECIPIENT_REJECTED, address);
			JUDGED_BY(judgement, question, deny_mail_to_groups);
		}
		break;
	case RECIPIENT_IS_AMBIGUOUS:
		if (configuration->reject_ambiguous_recipients.number) {
			judge_refuses(judgement, REPLY_USER_AMBIGUOUS, address);
			JUDGED_BY(judgement, question, reject_ambiguous_recipients);
		}
		break;
	case RECIPIENT_IS_UNKNOWN:
		if (!smart_host_is_asked(question))
			judge_refuses(judgement, REPLY_NO_SUCH_USER, address);
		break;
	case RECIPIENT_CANNOT_BE_FOUND_NOW:
		judge_refuses(judgement, REPLY_DIRECTORY_AWAY, address);
		break;
	}
}

/*
 * Of routed addresses the router sends only those on that are for a Domino domain which is not ours, by whichever of its names; any
 * other must be somebody's name here.
 */
static bool
is_looked_up(const struct recipient_facts *recipient, const struct rules *rules)
{
	char user[ADDRESS_LOCAL_PART_MAX + 1], domain[ADDRESS_LOCAL_PART_MAX + 1];

	return recipient->is_local &&
	    (!recipient_lookup_unwrap(rules->settings, recipient->address, recipient->primary_domain, user, domain) ||
	    strcasecmp(domain, rules->settings->server.domino_domain.text) == 0 ||
	    is_local_internet_domain(rules->local_domains, domain, NULL, NULL, NULL));
}

void
control_verify_recipient(const struct control_question *question, struct control_judgement *judgement)
{
	const struct recipient_facts *recipient = question->recipient;

	if (!rules_configuration(question->rules)->verify_local_recipients.number ||
	    !is_looked_up(recipient, question->rules) ||
	    is_role_local_part(recipient->address->local_part))
		judge_skipped(judgement);
	else if (!(recipient->known & FACT_BIT(FACT_DIRECTORY)))
		judge_needs(judgement, FACT_DIRECTORY);
	else
		judge_finding(question, judgement);
}

/* The host that the mail goes to may know better than our Directory, or instead of it. */
void
control_call_out(const struct control_question *question, struct control_judgement *judgement)
{
	const struct recipient_facts *recipient = question->recipient;
	const char *const arguments[] = { recipient->address->text, recipient->call_out_text, NULL };
	char text[CONTROL_TEXT_MAX];

	if (!rules_configuration(question->rules)->recipient_call_out.number || !is_judged(question) ||
	    is_role_local_part(recipient->address->local_part)) {
		judge_skipped(judgement);
		return;
	}
	if (!(recipient->known & FACT_BIT(FACT_CALL_OUT))) {
		judge_needs(judgement, FACT_CALL_OUT);
		return;
	}
	JUDGED_BY(judgement, question, recipient_call_out);
	switch (recipient->call_out) {
	case CALL_OUT_TAKEN:
		break;
	case CALL_OUT_REFUSED:
		judge_fill_in("%s... No such user; the next host said: %s", arguments, text);
		judge_refuses(judgement, REPLY_CALL_OUT_REFUSED, text);
		break;
	case CALL_OUT_NO_ANSWER:
		judge_refuses(judgement, REPLY_CALL_OUT_PENDING, recipient->address->text);
		break;
	}
}
