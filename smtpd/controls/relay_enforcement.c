/*
 * relay_enforcement - to whom the relay controls and the filters apply (docs/reference/domino-semantics.md, 7.3)
 *
 * What needs no name comes first: the same clients are exempt in any order.
 */
#include <string.h>

#include "common/mail/local_domain.h"
#include "smtpd/controls/judge.h"

static void
exempt(struct control_judgement *judgement)
{
	judgement->verdict = CONTROL_EXEMPTS;
}

/* A host is internal when its name, or the domain that its name is in, is a local Internet domain. */
static bool
is_internal_name(const struct rules *rules, const char *name)
{
	const char *dot = strchr(name, '.');

	return is_local_internet_domain(rules->local_domains, name, NULL, NULL, NULL) ||
	    (dot != NULL && dot[1] != '\0' &&
	    is_local_internet_domain(rules->local_domains, dot + 1, NULL, NULL, NULL));
}

static bool
is_internal(const struct control_question *question)
{
	const struct host_names *names = question->client->host_names;

	for (size_t i = 0; i < names->count; i++)
		if (judge_trusts_name(question, i, TRUSTED_NAMES) && is_internal_name(question->rules,
		    names->names[i].name))
			return true;
	return false;
}

void
control_relay_enforcement(const struct control_question *question, struct control_judgement *judgement)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const struct client_facts *client = question->client;
	bool by_name = configuration->relay_enforcement.number == RELAY_ENFORCEMENT_EXTERNAL_HOSTS;
	const struct setting_item *entry;
	enum on_list excluded;

	if (client->is_local_user) {
		exempt(judgement);
		return;
	}
	JUDGED_BY(judgement, question, relay_enforcement);
	if (configuration->relay_enforcement.number == RELAY_ENFORCEMENT_NONE) {
		exempt(judgement);
		return;
	}
	if (client->user != NULL &&
	    configuration->relay_authenticated_users.number == RELAY_AUTHENTICATED_USERS_ALLOW_ALL) {
		exempt(judgement);
		JUDGED_BY(judgement, question, relay_authenticated_users);
		return;
	}
	excluded = judge_client(question, question->rules->lists->relay_enforcement_exclude_hosts, TRUSTED_NAMES,
	    &entry);
	if (excluded == ON_LIST) {
		exempt(judgement);
		judge_by_entry(judgement, "relay_enforcement_exclude_hosts", entry);
	} else if (excluded == LIST_NEEDS_NAMES || (by_name && !(client->known & FACT_BIT(FACT_HOST_NAMES)))) {
		judge_needs(judgement, FACT_HOST_NAMES);
	} else if (by_name && is_internal(question)) {
		exempt(judgement);
	}
}
