/*
 * sender_controls - whom mail is taken from (docs/reference/domino-semantics.md, 7.9)
 *
 * The null sender passes all of them. Deny comes before Allow.
 */
#include "common/mail/local_domain.h"
#include "smtpd/controls/judge.h"

static bool
is_null(const struct sender_facts *sender)
{
	return sender->address->text[0] == '\0';
}

void
control_verify_sender(const struct control_question *question, struct control_judgement *judgement)
{
	const struct sender_facts *sender = question->sender;

	/* An address literal needs no DNS. */
	if (question->client->is_local_user || is_null(sender) || sender->address->is_literal ||
	    sender->address->domain[0] == '\0' || !rules_configuration(question->rules)->verify_sender_domain.number) {
		judge_skipped(judgement);
		return;
	}
	if (!(sender->known & FACT_BIT(FACT_SENDER_DOMAIN))) {
		judge_needs(judgement, FACT_SENDER_DOMAIN);
		return;
	}
	JUDGED_BY(judgement, question, verify_sender_domain);
	switch (sender->domain) {
	case SENDER_DOMAIN_EXISTS:
		break;
	case SENDER_DOMAIN_MISSING:
		judge_refuses(judgement, REPLY_SENDER_REJECTED, sender->address->text);
		break;
	case SENDER_DOMAIN_NO_ANSWER:
		judge_refuses(judgement, REPLY_SENDER_DOMAIN_UNKNOWN, sender->address->text);
		break;
	}
}

void
control_deny_senders(const struct control_question *question, struct control_judgement *judgement)
{
	const struct address_list *list = question->rules->lists->deny_senders;
	const struct setting_item *entry;

	if (is_null(question->sender) || address_list_is_empty(list)) {
		judge_skipped(judgement);
	} else if ((entry = address_list_find(list, question->sender->address)) != NULL) {
		judge_refuses(judgement, REPLY_SENDER_REJECTED, question->sender->address->text);
		judge_by_entry(judgement, "deny_senders", entry);
	}
}

/* Its name speaks of external senders: those in local Internet domains are not restricted. */
void
control_allow_senders(const struct control_question *question, struct control_judgement *judgement)
{
	const struct address_list *list = question->rules->lists->allow_senders;
	const struct address *sender = question->sender->address;
	const struct setting_item *entry;

	if (is_null(question->sender) || address_list_is_empty(list) ||
	    is_local_internet_domain(question->rules->local_domains, sender->domain, NULL, NULL, NULL)) {
		judge_skipped(judgement);
	} else if ((entry = address_list_find(list, sender)) != NULL) {
		judge_by_entry(judgement, "allow_senders", entry);
	} else {
		judge_refuses(judgement, REPLY_SENDER_REJECTED, sender->text);
		JUDGED_BY(judgement, question, allow_senders);
	}
}
