/*
 * connection_controls - who may connect at all (docs/reference/domino-semantics.md, 7.8)
 *
 * They apply to everybody but local users: internal, whitelisted and authenticated clients too. Deny comes before
 * Allow.
 */
#include "smtpd/controls/judge.h"

void
control_deny_connections(const struct control_question *question, struct control_judgement *judgement)
{
	const struct host_list *list = question->rules->lists->deny_connections_from;
	const struct setting_item *entry;

	if (question->client->is_local_user || host_list_is_empty(list)) {
		judge_skipped(judgement);
		return;
	}
	switch (judge_client(question, list, EVERY_NAME, &entry)) {
	case NOT_ON_LIST:
		break;
	case ON_LIST:
		judge_refuses(judgement, REPLY_CONNECTION_REFUSED, NULL);
		judge_by_entry(judgement, "deny_connections_from", entry);
		break;
	case LIST_NEEDS_NAMES:
		judge_needs(judgement, FACT_HOST_NAMES);
		break;
	}
}

void
control_allow_connections(const struct control_question *question, struct control_judgement *judgement)
{
	const struct host_list *list = question->rules->lists->allow_connections_from;
	const struct setting_item *entry;

	if (question->client->is_local_user || host_list_is_empty(list)) {
		judge_skipped(judgement);
		return;
	}
	switch (judge_client(question, list, TRUSTED_NAMES, &entry)) {
	case NOT_ON_LIST:
		judge_refuses(judgement, REPLY_CONNECTION_REFUSED, NULL);
		JUDGED_BY(judgement, question, allow_connections_from);
		break;
	case ON_LIST:
		judge_by_entry(judgement, "allow_connections_from", entry);
		break;
	case LIST_NEEDS_NAMES:
		judge_needs(judgement, FACT_HOST_NAMES);
		break;
	}
}

void
control_verify_host_name(const struct control_question *question, struct control_judgement *judgement)
{
	const struct client_facts *client = question->client;

	if (client->is_local_user || !rules_configuration(question->rules)->verify_connecting_host_name.number) {
		judge_skipped(judgement);
	} else if (!(client->known & FACT_BIT(FACT_HOST_NAMES))) {
		judge_needs(judgement, FACT_HOST_NAMES);
	} else if (client->host_names->count == 0) {
		/* A silent DNS is no name either. */
		judge_refuses(judgement, REPLY_CONNECTION_REFUSED, NULL);
		JUDGED_BY(judgement, question, verify_connecting_host_name);
	}
}
