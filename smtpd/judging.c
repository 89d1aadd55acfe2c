/* judging - see judging.h */
#include "smtpd/judging.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/recipient.h"
#include "smtpd/spf_verdict.h"

void
judging_describe_client(struct session *session)
{
	struct client_facts *facts = &session->known.facts;

	facts->address = (const struct sockaddr *)&session->client.socket_address;
	facts->address_text = session->client.address;
	facts->is_local_user = session->client.is_local_user;
	facts->is_crowded = session->client.is_crowded;
}

void
judging_forget_client(struct session *session)
{
	free(session->judged_user);
	free(session->client_refusal);
	free(session->dnsbl_site);
	free(session->dnswl_site);
	session->judged_user = NULL;
	session->client_refusal = NULL;
	session->dnsbl_site = session->dnswl_site = NULL;
	session->standing = (struct control_standing){ 0 };
	session->is_client_judged = false;
}

/* ---- what a verdict leaves behind ---- */

/* The filters, and where each is counted. */
static bool
is_filter(enum control_number number, enum statistics_filter *filter_out)
{
	switch (number) {
	case CONTROL_PRIVATE_WHITELIST:
		*filter_out = STATISTICS_PRIVATE_WHITELIST;
		return true;
	case CONTROL_PRIVATE_BLACKLIST:
		*filter_out = STATISTICS_PRIVATE_BLACKLIST;
		return true;
	case CONTROL_DNS_WHITELIST:
		*filter_out = STATISTICS_DNS_WHITELIST;
		return true;
	case CONTROL_DNS_BLACKLIST:
		*filter_out = STATISTICS_DNS_BLACKLIST;
		return true;
	default:
		return false;
	}
}

static void
count_hit(struct session *session, enum statistics_filter filter, const char *site)
{
	const struct document_configuration *configuration = rules_configuration(session->rules);
	bool expand = (filter == STATISTICS_DNS_WHITELIST && configuration->dns_whitelist_expand_stats.number) ||
	    (filter == STATISTICS_DNS_BLACKLIST && configuration->dns_blacklist_expand_stats.number);

	statistics_count_hit(&session->shared->statistics, filter, expand ? site : NULL, session->client.address);
}

static void
take_tag(struct session *session, enum statistics_filter filter, const char *site)
{
	char **tag = filter == STATISTICS_PRIVATE_WHITELIST || filter == STATISTICS_DNS_WHITELIST ?
	    &session->dnswl_site : &session->dnsbl_site;

	free(*tag);
	*tag = memory_copy_string(site);
}

/* A filter's list has the client. */
static void
note_hit(struct session *session, enum control_number number, enum statistics_filter filter,
    const struct control_judgement *judgement)
{
	const char *action = judgement->verdict == CONTROL_REFUSES ? "reject" :
	    judgement->note == NOTE_TAG ? "tag" : "log";

	count_hit(session, filter, judgement->site);
	if (judgement->note == NOTE_TAG)
		take_tag(session, filter, judgement->site);
	if (judgement->note != NOTE_NOTHING || judgement->verdict == CONTROL_REFUSES)
		log_event(LOG_CLIENT_LISTED, session->name, session->client.address, session_client_name(session),
		    controls[number].word, judgement->site, action, judgement->rule);
}

static void
note_spf(struct session *session, const struct control_judgement *judgement)
{
	const struct sender_facts *facts = &session->transaction->sender.facts;

	if ((facts->known & FACT_BIT(FACT_SPF)) == 0)
		return;
	session->transaction->trace.tags_spf = judgement->note == NOTE_TAG;
	log_event(LOG_SPF_VERDICT, session->name, session->client.address, session->helo,
	    session->transaction->envelope.sender, spf_verdict_word(facts->spf_helo),
	    spf_verdict_word(facts->spf_mail), facts->spf_text);
}

static void
note_early_talker(const struct session *session, const struct control_judgement *judgement)
{
	if (judgement->note != NOTE_NOTHING)
		log_event(LOG_EARLY_TALKER, session->name, session->client.address,
		    judgement->verdict == CONTROL_REFUSES ? "reject" : "log", judgement->rule);
}

static void
on_judged(void *context, enum control_number number, const struct control_judgement *judgement)
{
	struct session *session = context;
	enum statistics_filter filter;

	session->judged_last = number;
	if (number == CONTROL_SPF)
		note_spf(session, judgement);
	else if (number == CONTROL_EARLY_TALKER)
		note_early_talker(session, judgement);
	else if (judgement->verdict != CONTROL_HITS && judgement->verdict != CONTROL_REFUSES)
		return;
	else if (is_filter(number, &filter))
		note_hit(session, number, filter, judgement);
}

void
judging_log_refusal(const struct session *session, enum control_number control,
    const struct control_judgement *judgement)
{
	const struct transaction *transaction = session->transaction;

	log_event(LOG_CONTROL_REFUSED, session->name, session->client.address, session_client_name(session),
	    session->helo, transaction != NULL ? transaction->envelope.sender : NULL, controls[control].word,
	    log_number(reply_code(judgement->reply)), judgement->rule);
}

/* ---- the walk ---- */

static struct control_question
question_of(const struct session *session, const struct recipient *recipient)
{
	return (struct control_question){ .rules = session->rules, .client = &session->known.facts,
		.standing = &session->standing,
		.sender = session->transaction != NULL ? &session->transaction->sender.facts : NULL,
		.recipient = recipient != NULL ? &recipient->known.facts : NULL };
}

void
judging_start(struct session *session, enum control_stage stage)
{
	control_walk_start(&session->walk, stage, session->standing);
	session->walk.judged = on_judged;
	session->walk.context = session;
}

enum control_verdict
judging_continue(struct session *session, const struct recipient *recipient, struct control_judgement *judgement_out)
{
	struct control_question question;

	session->known.facts.helo = session->helo;
	session->known.facts.user = session->client.user;
	question = question_of(session, recipient);
	return control_walk_on(&session->walk, &question, judgement_out);
}

void
judging_wait(struct session *session, enum session_state state, enum fact fact)
{
	session->wanted_fact = fact;
	session->wait = SESSION_WAITS_FOR_FACT;
	session_enter(session, state);
}

void
judging_learn(struct session *session, const struct fact_answer *answer)
{
	struct transaction *transaction = session->transaction;

	facts_learn(answer, &session->known, transaction != NULL ? &transaction->sender : NULL,
	    session->recipient != NULL ? &session->recipient->known : NULL);
}

bool
session_foresees(const struct session *session, enum fact *fact_out)
{
	struct control_question question = question_of(session, NULL);
	struct control_judgement judgement;
	struct control_walk walk;

	if (session->client.is_local_user || session->is_client_judged)
		return false;
	control_walk_start(&walk, CONTROL_AT_CLIENT, (struct control_standing){ 0 });
	if (control_walk_on(&walk, &question, &judgement) != CONTROL_NEEDS)
		return false;
	*fact_out = judgement.fact;
	return true;
}
