/* facts - see facts.h */
#include "smtpd/facts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conf/table.h"
#include "smtpd/rules.h"

#define COUNTING_SECONDS 3	/* those who only look something up: what they cannot say at once is not worth a wait */
#define DIRECTORY_SECONDS 30
#define SPARE_SECONDS 2		/* for those who keep a time of their own, to say so themselves */

enum fact_scope { CLIENT, SENDER, RECIPIENT };

static const enum fact_scope scopes[FACT_COUNT] = {
#define FACT(symbol, scope, word, meaning) [FACT_##symbol] = scope,
#include "smtpd/controls/facts.def"
#undef FACT
};

void
known_client_free(struct known_client *client)
{
	free(client->host_names);
	free(client->dns_lists);
	*client = (struct known_client){ 0 };
}

void
known_sender_free(struct known_sender *sender)
{
	free(sender->spf_text);
	*sender = (struct known_sender){ 0 };
}

void
known_recipient_free(struct known_recipient *recipient)
{
	free(recipient->call_out_text);
	*recipient = (struct known_recipient){ 0 };
}

void
known_recipient_locate(struct known_recipient *recipient, const struct rules *rules)
{
	struct recipient_facts *facts = &recipient->facts;

	facts->is_local = facts->address->domain[0] == '\0' || is_local_internet_domain(rules->local_domains,
	    facts->address->domain, NULL, NULL, &facts->primary_domain);
}

/* The name of a setting as the table has it, so that it lasts; policy's word for it is not trusted to be one. */
static const char *
setting_name(const char *name)
{
	const struct setting_row *row = setting_row_find(KIND_configuration, "", name);

	return row != NULL ? row->name : "";
}

static void
learn_of_client(const struct fact_answer *answer, struct known_client *client)
{
	struct client_facts *facts = &client->facts;
	size_t size;

	if (answer->fact == FACT_HOST_NAMES) {
		client->host_names = memory_copy(answer->host_names, sizeof(*answer->host_names));
		facts->host_names = client->host_names;
	} else if (answer->fact == FACT_DNS_LISTS) {
		size = sizeof(*answer->dns_lists) + answer->dns_lists->count * sizeof(answer->dns_lists->answers[0]);
		client->dns_lists = memory_copy(answer->dns_lists, size);
		facts->dns_lists = client->dns_lists;
	} else if (answer->fact == FACT_PATIENCE) {
		facts->spoke_early = answer->spoke_early;
	} else {
		facts->admission = answer->rate.state;
		facts->admission_rule = setting_name(answer->rate.rule);
	}
	facts->known |= FACT_BIT(answer->fact);
}

static void
learn_of_sender(const struct fact_answer *answer, struct known_sender *sender)
{
	struct sender_facts *facts = &sender->facts;

	if (answer->fact == FACT_SENDER_DOMAIN) {
		facts->domain = answer->sender_domain;
	} else if (answer->fact == FACT_SPF) {
		sender->spf_text = memory_copy_string(answer->spf.text);
		facts->spf_helo = answer->spf.helo;
		facts->spf_mail = answer->spf.mail;
		facts->spf_text = sender->spf_text;
	} else {
		facts->message_rate = answer->rate.state;
		facts->message_rate_rule = setting_name(answer->rate.rule);
	}
	facts->known |= FACT_BIT(answer->fact);
}

static void
learn_of_recipient(const struct fact_answer *answer, struct known_recipient *recipient)
{
	struct recipient_facts *facts = &recipient->facts;

	if (answer->fact == FACT_DIRECTORY) {
		facts->directory = answer->directory;
	} else if (answer->fact == FACT_CALL_OUT) {
		recipient->call_out_text = memory_copy_string(answer->call_out.text);
		facts->call_out = answer->call_out.finding;
		facts->call_out_text = recipient->call_out_text;
	} else if (answer->fact == FACT_GREYLIST) {
		facts->greylist = answer->greylist.finding;
		facts->greylist_seconds = answer->greylist.seconds;
	} else {
		facts->recipient_rate = answer->rate.state;
		facts->recipient_rate_rule = setting_name(answer->rate.rule);
	}
	facts->known |= FACT_BIT(answer->fact);
}

bool
fact_is_known(enum fact fact, const struct known_client *client, const struct known_sender *sender,
    const struct known_recipient *recipient)
{
	uint32_t known = scopes[fact] == CLIENT ? client->facts.known :
	    scopes[fact] == SENDER ? sender->facts.known : recipient->facts.known;

	return (known & FACT_BIT(fact)) != 0;
}

void
facts_learn(const struct fact_answer *answer, struct known_client *client, struct known_sender *sender,
    struct known_recipient *recipient)
{
	if ((scopes[answer->fact] == SENDER && sender == NULL) || (scopes[answer->fact] == RECIPIENT && recipient == NULL) ||
	    fact_is_known(answer->fact, client, sender, recipient))
		return;
	switch (scopes[answer->fact]) {
	case CLIENT:
		learn_of_client(answer, client);
		break;
	case SENDER:
		learn_of_sender(answer, sender);
		break;
	case RECIPIENT:
		learn_of_recipient(answer, recipient);
		break;
	}
}

struct fact_answer
fact_unanswered(enum fact fact)
{
	static const struct host_names no_names = { .state = HOST_NAMES_NO_ANSWER };
	static const struct dns_lists no_lists = { .count = 0 };
	struct fact_answer answer = { .fact = fact };

	switch (fact) {
	case FACT_ADMISSION:
	case FACT_MESSAGE_RATE:
	case FACT_RECIPIENT_RATE:
		answer.rate.state = RATE_UNKNOWN;
		answer.rate.rule = "";
		break;
	case FACT_PATIENCE:
		answer.spoke_early = false;
		break;
	case FACT_HOST_NAMES:
		answer.host_names = &no_names;
		break;
	case FACT_DNS_LISTS:
		answer.dns_lists = &no_lists;
		break;
	case FACT_SENDER_DOMAIN:
		answer.sender_domain = SENDER_DOMAIN_NO_ANSWER;
		break;
	case FACT_SPF:
		answer.spf.helo = answer.spf.mail = SPF_VERDICT_TEMPERROR;
		answer.spf.text = "no answer in time";
		break;
	case FACT_DIRECTORY:
		answer.directory = RECIPIENT_CANNOT_BE_FOUND_NOW;
		break;
	case FACT_CALL_OUT:
		answer.call_out.finding = CALL_OUT_NO_ANSWER;
		answer.call_out.text = "";
		break;
	case FACT_GREYLIST:
		answer.greylist.finding = GREYLIST_NO_ANSWER;
		break;
	case FACT_COUNT:
		break;
	}
	return answer;
}

int64_t
fact_time_ms(enum fact fact, const struct rules *rules)
{
	const struct document_configuration *configuration = rules_configuration(rules);

	switch (fact) {
	case FACT_ADMISSION:
	case FACT_MESSAGE_RATE:
	case FACT_RECIPIENT_RATE:
	case FACT_GREYLIST:
		return COUNTING_SECONDS * 1000;
	case FACT_PATIENCE:
		return configuration->greeting_delay.number * 1000;
	case FACT_DNS_LISTS:
		return (configuration->dns_list_timeout.number + SPARE_SECONDS) * 1000;
	case FACT_SPF:
		return (configuration->spf_timeout.number + SPARE_SECONDS) * 1000;
	case FACT_CALL_OUT:
		return (configuration->call_out_timeout.number + SPARE_SECONDS) * 1000;
	case FACT_DIRECTORY:
		return DIRECTORY_SECONDS * 1000;
	case FACT_HOST_NAMES:
	case FACT_SENDER_DOMAIN:
	case FACT_COUNT:
		break;
	}
	/* All questions together have the time of one, which nearly all of them need a little of. */
	return (rules->settings->matador.dns_timeout.number + SPARE_SECONDS) * 1000;
}

const char *
confirmed_host_name(const struct host_names *names)
{
	for (size_t i = 0; names != NULL && i < names->count; i++)
		if (names->names[i].is_confirmed)
			return names->names[i].name;
	return NULL;
}
