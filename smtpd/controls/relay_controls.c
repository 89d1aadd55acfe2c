/*
 * relay_controls - who may send where through us (docs/reference/domino-semantics.md, 7.2)
 *
 * A relay is mail that leaves our local Internet domains. Allow wins over Deny across destination and host, unless
 * relay_deny_takes_precedence; within a pair Deny wins over the identical entry, which the lists were made
 * without.
 */
#include "smtpd/controls/destination.h"
#include "smtpd/controls/judge.h"

static void
refuse(struct control_judgement *judgement, const char *key, const struct setting_item *entry)
{
	judge_refuses(judgement, REPLY_RELAY_REJECTED, NULL);
	judge_by_entry(judgement, key, entry);
}

/* Whether relay_deny_hosts decides, by refusing or by needing the client's names. */
static bool
host_is_denied(const struct control_question *question, struct control_judgement *judgement)
{
	const struct setting_item *entry;

	switch (judge_client(question, question->rules->lists->relay_deny_hosts, EVERY_NAME, &entry)) {
	case NOT_ON_LIST:
		return false;
	case ON_LIST:
		refuse(judgement, "relay_deny_hosts", entry);
		break;
	case LIST_NEEDS_NAMES:
		judge_needs(judgement, FACT_HOST_NAMES);
		break;
	}
	return true;
}

/* Likewise relay_allow_hosts. */
static bool
host_is_allowed(const struct control_question *question, struct control_judgement *judgement)
{
	const struct setting_item *entry;

	switch (judge_client(question, question->rules->lists->relay_allow_hosts, TRUSTED_NAMES, &entry)) {
	case NOT_ON_LIST:
		return false;
	case ON_LIST:
		judge_by_entry(judgement, "relay_allow_hosts", entry);
		break;
	case LIST_NEEDS_NAMES:
		judge_needs(judgement, FACT_HOST_NAMES);
		break;
	}
	return true;
}

/* The algorithm of 7.2. */
static void
judge_relay(const struct control_question *question, struct control_judgement *judgement, const char *destination)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const struct control_lists *lists = question->rules->lists;
	const struct setting_item *allowed = destination_list_find(lists->relay_allow_destinations, destination);
	const struct setting_item *denied = destination_list_find(lists->relay_deny_destinations, destination);
	bool deny_wins = configuration->relay_deny_takes_precedence.number;

	if (deny_wins && denied != NULL) {
		refuse(judgement, "relay_deny_destinations", denied);
		return;
	}
	if (deny_wins && host_is_denied(question, judgement))
		return;
	if (allowed != NULL) {
		judge_by_entry(judgement, "relay_allow_destinations", allowed);
		return;
	}
	if (host_is_allowed(question, judgement))
		return;
	if (denied != NULL) {
		refuse(judgement, "relay_deny_destinations", denied);
		return;
	}
	if (!deny_wins && host_is_denied(question, judgement))
		return;
	/* "Only", say the names of the fields. */
	if (configuration->relay_allow_destinations.count > 0) {
		judge_refuses(judgement, REPLY_RELAY_REJECTED, NULL);
		JUDGED_BY(judgement, question, relay_allow_destinations);
	} else if (configuration->relay_allow_hosts.count > 0) {
		judge_refuses(judgement, REPLY_RELAY_REJECTED, NULL);
		JUDGED_BY(judgement, question, relay_allow_hosts);
	}
}

void
control_relay(const struct control_question *question, struct control_judgement *judgement)
{
	char destination[DESTINATION_MAX];

	if (question->client->is_local_user || question->standing->is_exempt ||
	    destination_is_ours(question->rules, question->recipient, destination))
		judge_skipped(judgement);
	else
		judge_relay(question, judgement, destination);
}
