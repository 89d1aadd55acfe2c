/*
 * spf_control - what the sender's domain says about the hosts that may use its name (RFC 7208)
 *
 * A fail of HELO is final (2.3); otherwise MAIL FROM decides, of which a null sender has none but postmaster@HELO
 * (2.4).
 */
#include "smtpd/controls/judge.h"

/* The action for a verdict, or NULL where nothing is to be done. */
static const struct setting *
action_of(const struct document_configuration *configuration, enum spf_verdict verdict, const char **key_out)
{
	switch (verdict) {
	case SPF_VERDICT_FAIL:
		*key_out = "spf_fail_action";
		return &configuration->spf_fail_action;
	case SPF_VERDICT_SOFTFAIL:
		*key_out = "spf_softfail_action";
		return &configuration->spf_softfail_action;
	case SPF_VERDICT_PERMERROR:
		*key_out = "spf_permerror_action";
		return &configuration->spf_permerror_action;
	case SPF_VERDICT_TEMPERROR:
		*key_out = "spf_temperror_action";
		return &configuration->spf_temperror_action;
	default:
		return NULL;
	}
}

static void
refuse(const struct control_question *question, struct control_judgement *judgement, enum spf_verdict verdict,
    bool by_helo)
{
	const struct sender_facts *sender = question->sender;
	const char *identity = by_helo ? question->client->helo : sender->address->text;
	const char *const arguments[] = { by_helo ? "HELO" : "MAIL FROM", identity != NULL ? identity : "",
		sender->spf_text, NULL };
	bool says_why = sender->spf_text != NULL && sender->spf_text[0] != '\0';
	char text[CONTROL_TEXT_MAX];

	if (verdict == SPF_VERDICT_TEMPERROR) {
		judge_refuses(judgement, REPLY_SPF_TEMPORARY, NULL);
	} else if (verdict == SPF_VERDICT_PERMERROR) {
		judge_fill_in(says_why ? "SPF record for %s %s is malformed: %s" : "SPF record for %s %s is malformed",
		    arguments, text);
		judge_refuses(judgement, REPLY_SPF_MALFORMED, text);
	} else {
		/* RFC 7208 6.2: not our words, and only a fail has them. */
		judge_fill_in(says_why && verdict == SPF_VERDICT_FAIL ? "SPF check for %s %s failed; the domain says: %s" :
		    "SPF check for %s %s failed", arguments, text);
		judge_refuses(judgement, REPLY_SPF_FAILED, text);
	}
}

static void
judge_verdict(const struct control_question *question, struct control_judgement *judgement)
{
	const struct sender_facts *sender = question->sender;
	bool by_helo = sender->spf_helo == SPF_VERDICT_FAIL || sender->address->text[0] == '\0';
	enum spf_verdict verdict = by_helo ? sender->spf_helo : sender->spf_mail;
	const char *key = "spf_check";
	const struct setting *action = action_of(rules_configuration(question->rules), verdict, &key);

	JUDGED_BY(judgement, question, spf_check);
	if (action == NULL)
		return;
	judge_by(judgement, key, action);
	judgement->note = action->number == SPF_ACTION_LOG_AND_TAG ? NOTE_TAG : NOTE_LOG;
	if (action->number == SPF_ACTION_LOG_AND_REJECT)
		refuse(question, judgement, verdict, by_helo);
}

void
control_spf(const struct control_question *question, struct control_judgement *judgement)
{
	const struct client_facts *client = question->client;
	const struct setting_item *entry;

	/* Who authenticated submits mail, from wherever they are. */
	if (client->is_local_user || client->user != NULL || !rules_configuration(question->rules)->spf_check.number) {
		judge_skipped(judgement);
		return;
	}
	switch (judge_client(question, question->rules->lists->spf_exempt_hosts, TRUSTED_NAMES, &entry)) {
	case ON_LIST:
		judge_skipped(judgement);
		judge_by_entry(judgement, "spf_exempt_hosts", entry);
		break;
	case LIST_NEEDS_NAMES:
		judge_needs(judgement, FACT_HOST_NAMES);
		break;
	case NOT_ON_LIST:
		if (question->sender->known & FACT_BIT(FACT_SPF))
			judge_verdict(question, judgement);
		else
			judge_needs(judgement, FACT_SPF);
		break;
	}
}
