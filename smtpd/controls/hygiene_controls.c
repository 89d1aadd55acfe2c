/*
 * hygiene_controls - admission, early talkers, rates and the greylist, which Domino does not have
 */
#include <string.h>

#include "common/conf/table.h"
#include "smtpd/controls/judge.h"

static void
judge_by_key(const struct control_question *question, struct control_judgement *judgement, const char *key)
{
	const struct setting_row *row = setting_row_find(KIND_configuration, "", key);

	if (row != NULL)
		judge_by(judgement, row->name, document_setting_const(rules_configuration(question->rules), row));
}

/* Names count where they are known already: nobody is asked for them here. */
static bool
is_rate_exempt(const struct control_question *question, struct control_judgement *judgement)
{
	const struct setting_item *entry;

	if (judge_client(question, question->rules->lists->rate_exempt_hosts, TRUSTED_NAMES, &entry) != ON_LIST)
		return false;
	judge_by_entry(judgement, "rate_exempt_hosts", entry);
	return true;
}

void
control_admission(const struct control_question *question, struct control_judgement *judgement)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const struct client_facts *client = question->client;

	/* Without a rate a process lets in its share of a client's sessions by itself, and nobody waits for the greeting. */
	if (client->is_local_user || (!client->is_crowded && configuration->client_session_rate.number == 0 &&
	    configuration->network_session_rate.number == 0) || is_rate_exempt(question, judgement)) {
		judge_skipped(judgement);
	} else if (!(client->known & FACT_BIT(FACT_ADMISSION))) {
		judge_needs(judgement, FACT_ADMISSION);
	} else if (client->admission == RATE_EXCEEDED) {
		judge_refuses(judgement, strcmp(client->admission_rule, "maximum_sessions_per_client") == 0 ?
		    REPLY_TOO_MANY_FROM_CLIENT : REPLY_TOO_MANY_NEW_SESSIONS, NULL);
		judge_by_key(question, judgement, client->admission_rule);
	}
}

/* Addresses only, also where the names are known by chance: the same client waits every time. */
static bool
is_greeted_at_once(const struct control_question *question, struct control_judgement *judgement)
{
	const struct control_lists *lists = question->rules->lists;
	const struct setting_item *entry;

	if (question->client->is_local_user || rules_configuration(question->rules)->greeting_delay.number == 0 ||
	    rules_configuration(question->rules)->relay_enforcement.number == RELAY_ENFORCEMENT_NONE)
		return true;
	entry = host_list_find_address(lists->relay_enforcement_exclude_hosts, question->client->address);
	if (entry != NULL) {
		judge_by_entry(judgement, "relay_enforcement_exclude_hosts", entry);
		return true;
	}
	entry = host_list_find_address(lists->rate_exempt_hosts, question->client->address);
	if (entry != NULL)
		judge_by_entry(judgement, "rate_exempt_hosts", entry);
	return entry != NULL;
}

void
control_early_talker(const struct control_question *question, struct control_judgement *judgement)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);

	if (is_greeted_at_once(question, judgement)) {
		judge_skipped(judgement);
		return;
	}
	if (!(question->client->known & FACT_BIT(FACT_PATIENCE))) {
		judge_needs(judgement, FACT_PATIENCE);
		return;
	}
	if (!question->client->spoke_early)
		return;
	JUDGED_BY(judgement, question, early_talker_action);
	judgement->note = NOTE_LOG;
	if (configuration->early_talker_action.number == EARLY_TALKER_ACTION_LOG_AND_REJECT)
		judge_refuses(judgement, REPLY_SPOKE_EARLY, NULL);
}

/* user is the limit for those who authenticated. */
static bool
has_no_rate(const struct control_question *question, const struct setting *client, const struct setting *network,
    const struct setting *user)
{
	return question->client->is_local_user || (client->number == 0 && network->number == 0 &&
	    (question->client->user == NULL || user->number == 0));
}

void
control_message_rate(const struct control_question *question, struct control_judgement *judgement)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const struct sender_facts *sender = question->sender;

	if (has_no_rate(question, &configuration->client_message_rate, &configuration->network_message_rate,
	    &configuration->user_message_rate) || is_rate_exempt(question, judgement)) {
		judge_skipped(judgement);
	} else if (!(sender->known & FACT_BIT(FACT_MESSAGE_RATE))) {
		judge_needs(judgement, FACT_MESSAGE_RATE);
	} else if (sender->message_rate == RATE_EXCEEDED) {
		judge_refuses(judgement, REPLY_TOO_MANY_MESSAGES, NULL);
		judge_by_key(question, judgement, sender->message_rate_rule);
	}
}

void
control_recipient_rate(const struct control_question *question, struct control_judgement *judgement)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const struct recipient_facts *recipient = question->recipient;

	if (has_no_rate(question, &configuration->client_recipient_rate, &configuration->network_recipient_rate,
	    &configuration->user_recipient_rate) || is_rate_exempt(question, judgement)) {
		judge_skipped(judgement);
	} else if (!(recipient->known & FACT_BIT(FACT_RECIPIENT_RATE))) {
		judge_needs(judgement, FACT_RECIPIENT_RATE);
	} else if (recipient->recipient_rate == RATE_EXCEEDED) {
		judge_refuses(judgement, REPLY_TOO_FAST_RECIPIENTS, NULL);
		judge_by_key(question, judgement, recipient->recipient_rate_rule);
	}
}

static void
judge_greylist(const struct control_question *question, struct control_judgement *judgement)
{
	const struct recipient_facts *recipient = question->recipient;

	if (!(recipient->known & FACT_BIT(FACT_GREYLIST))) {
		judge_needs(judgement, FACT_GREYLIST);
		return;
	}
	JUDGED_BY(judgement, question, greylist);
	if (recipient->greylist == GREYLIST_TOO_SOON)
		judge_refuses(judgement, REPLY_GREYLISTED, recipient->address->text);
}

void
control_greylist(const struct control_question *question, struct control_judgement *judgement)
{
	const struct setting_item *entry;

	if (question->client->is_local_user || question->standing->is_exempt ||
	    !rules_configuration(question->rules)->greylist.number) {
		judge_skipped(judgement);
		return;
	}
	switch (judge_client(question, question->rules->lists->greylist_exempt_hosts, TRUSTED_NAMES, &entry)) {
	case ON_LIST:
		judge_skipped(judgement);
		judge_by_entry(judgement, "greylist_exempt_hosts", entry);
		break;
	case LIST_NEEDS_NAMES:
		judge_needs(judgement, FACT_HOST_NAMES);
		break;
	case NOT_ON_LIST:
		judge_greylist(question, judgement);
		break;
	}
}
