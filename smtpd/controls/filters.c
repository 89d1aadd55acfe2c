/*
 * filters - private white- and blacklist, DNS white- and blacklists (docs/reference/domino-semantics.md, 7.4 to
 * 7.7)
 *
 * Only for clients that are subject to relay enforcement; the first that hits ends the chain.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "smtpd/controls/judge.h"

#define TEXT_WITHOUT_REPLY "Connection denied based on policy reason."

/* Whether the filter has nothing to say of this client. */
static bool
is_spared(const struct control_question *question, const struct setting *filter, const struct setting *list)
{
	return question->client->is_local_user || question->standing->is_exempt || question->standing->is_listed ||
	    !filter->number || list->count == 0;
}

static void
hit(struct control_judgement *judgement, enum control_note note, const char *site)
{
	judgement->verdict = CONTROL_HITS;
	judgement->note = note;
	strlcpy(judgement->site, site, sizeof(judgement->site));
}

/* reply is the administrator's own text, whose %s stand for the client's address and the site. */
static void
hit_and_refuse(struct control_judgement *judgement, const struct setting *reply, const char *const *arguments)
{
	char text[CONTROL_TEXT_MAX];

	judgement->note = NOTE_LOG;
	judge_fill_in(reply->text[0] != '\0' ? reply->text : TEXT_WITHOUT_REPLY, arguments, text);
	judge_refuses(judgement, REPLY_BLACKLISTED, text);
}

/* ---- private lists ---- */

void
control_private_whitelist(const struct control_question *question, struct control_judgement *judgement)
{
	static const enum control_note notes[] = {
		[PRIVATE_WHITELIST_ACTION_SKIP_SILENTLY] = NOTE_NOTHING,
		[PRIVATE_WHITELIST_ACTION_LOG] = NOTE_LOG,
		[PRIVATE_WHITELIST_ACTION_LOG_AND_TAG] = NOTE_TAG,
	};
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const struct setting_item *entry;

	if (is_spared(question, &configuration->private_whitelist_filter, &configuration->private_whitelist_hosts)) {
		judge_skipped(judgement);
		return;
	}
	switch (judge_client(question, question->rules->lists->private_whitelist_hosts, TRUSTED_NAMES, &entry)) {
	case NOT_ON_LIST:
		break;
	case ON_LIST:
		hit(judgement, notes[configuration->private_whitelist_action.number], "PrivateWhitelist");
		judge_by_entry(judgement, "private_whitelist_hosts", entry);
		break;
	case LIST_NEEDS_NAMES:
		judge_needs(judgement, FACT_HOST_NAMES);
		break;
	}
}

void
control_private_blacklist(const struct control_question *question, struct control_judgement *judgement)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const char *const arguments[] = { question->client->address_text, NULL };
	int64_t action = configuration->private_blacklist_action.number;
	const struct setting_item *entry;

	if (is_spared(question, &configuration->private_blacklist_filter, &configuration->private_blacklist_hosts)) {
		judge_skipped(judgement);
		return;
	}
	switch (judge_client(question, question->rules->lists->private_blacklist_hosts, EVERY_NAME, &entry)) {
	case NOT_ON_LIST:
		break;
	case ON_LIST:
		hit(judgement, action == PRIVATE_BLACKLIST_ACTION_LOG_AND_TAG ? NOTE_TAG : NOTE_LOG, "PrivateBlacklist");
		judge_by_entry(judgement, "private_blacklist_hosts", entry);
		if (action == PRIVATE_BLACKLIST_ACTION_LOG_AND_REJECT)
			hit_and_refuse(judgement, &configuration->private_blacklist_reply, arguments);
		break;
	case LIST_NEEDS_NAMES:
		judge_needs(judgement, FACT_HOST_NAMES);
		break;
	}
}

/* ---- DNS lists ---- */

/*
 * What the whitelists (first 0) or the blacklists (first: how many whitelists there are) said; one that says
 * nothing does not list.
 */
static const struct dns_list_answer *
answer_of(const struct control_question *question, size_t number)
{
	static const struct dns_list_answer nothing;
	const struct dns_lists *lists = question->client->dns_lists;

	return number < lists->count ? &lists->answers[number] : &nothing;
}

/* The first zone that lists the client, or NULL. */
static const struct setting_item *
first_listing(const struct control_question *question, const struct setting *sites, size_t first)
{
	for (size_t i = 0; i < sites->count; i++)
		if (answer_of(question, first + i)->count > 0)
			return &sites->items[i];
	return NULL;
}

/* The weight of one answer. False when the zone has weights, but none for it. */
static bool
weigh_answer(const struct control_lists *lists, const char *zone, struct in_addr answer, int otherwise,
    int *weight_out)
{
	bool is_named = false;

	for (size_t i = 0; i < lists->dns_list_weight_count; i++) {
		const struct dns_list_weight *weight = &lists->dns_list_weights[i];

		if (strcasecmp(weight->zone, zone) != 0)
			continue;
		is_named = true;
		if (dns_list_weight_matches(weight, answer)) {
			*weight_out = weight->weight;
			return true;
		}
	}
	*weight_out = otherwise;
	return !is_named;
}

/* The heaviest of a zone's answers; 0 when none has a weight. */
static int
weigh_zone(const struct control_question *question, const char *zone, const struct dns_list_answer *answer,
    int otherwise)
{
	bool is_weighed = false;
	int heaviest = 0, weight;

	for (size_t i = 0; i < answer->count; i++)
		if (weigh_answer(question->rules->lists, zone, answer->answers[i], otherwise, &weight)) {
			heaviest = is_weighed && heaviest > weight ? heaviest : weight;
			is_weighed = true;
		}
	return heaviest;
}

/*
 * The weights of all zones in force together; *accuser_out is the first blacklist that speaks against the client,
 * or NULL.
 */
static int64_t
weigh_all(const struct control_question *question, const struct setting_item **accuser_out)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const struct setting *whitelists = &configuration->dns_whitelist_sites;
	const struct setting *blacklists = &configuration->dns_blacklist_sites;
	int64_t sum = 0;

	*accuser_out = NULL;
	for (size_t i = 0; configuration->dns_whitelist_filters.number && i < whitelists->count; i++)
		sum += weigh_zone(question, whitelists->items[i].text, answer_of(question, i), -1);
	for (size_t i = 0; i < blacklists->count; i++) {
		int weight = weigh_zone(question, blacklists->items[i].text,
		    answer_of(question, whitelists->count + i), 1);

		sum += weight;
		if (weight > 0 && *accuser_out == NULL)
			*accuser_out = &blacklists->items[i];
	}
	return sum;
}

void
control_dns_whitelist(const struct control_question *question, struct control_judgement *judgement)
{
	static const enum control_note notes[] = {
		[DNS_WHITELIST_ACTION_SKIP_SILENTLY] = NOTE_NOTHING,
		[DNS_WHITELIST_ACTION_LOG] = NOTE_LOG,
		[DNS_WHITELIST_ACTION_LOG_AND_TAG] = NOTE_TAG,
	};
	const struct document_configuration *configuration = rules_configuration(question->rules);
	const struct setting_item *listing;

	/* With a threshold the whitelists' weights count among those of the blacklists. */
	if (is_spared(question, &configuration->dns_whitelist_filters, &configuration->dns_whitelist_sites) ||
	    configuration->dns_list_threshold.number > 0) {
		judge_skipped(judgement);
		return;
	}
	if (!(question->client->known & FACT_BIT(FACT_DNS_LISTS))) {
		judge_needs(judgement, FACT_DNS_LISTS);
		return;
	}
	listing = first_listing(question, &configuration->dns_whitelist_sites, 0);
	if (listing != NULL) {
		hit(judgement, notes[configuration->dns_whitelist_action.number], listing->text);
		judge_by_entry(judgement, "dns_whitelist_sites", listing);
	}
}

void
control_dns_blacklist(const struct control_question *question, struct control_judgement *judgement)
{
	const struct document_configuration *configuration = rules_configuration(question->rules);
	int64_t threshold = configuration->dns_list_threshold.number;
	int64_t action = configuration->dns_blacklist_action.number;
	const struct setting_item *listing;

	if (is_spared(question, &configuration->dns_blacklist_filters, &configuration->dns_blacklist_sites)) {
		judge_skipped(judgement);
		return;
	}
	if (!(question->client->known & FACT_BIT(FACT_DNS_LISTS))) {
		judge_needs(judgement, FACT_DNS_LISTS);
		return;
	}
	if (threshold > 0) {
		if (weigh_all(question, &listing) < threshold)
			listing = NULL;
	} else {
		listing = first_listing(question, &configuration->dns_blacklist_sites,
		    configuration->dns_whitelist_sites.count);
	}
	if (listing == NULL)
		return;
	hit(judgement, action == DNS_BLACKLIST_ACTION_LOG_AND_TAG ? NOTE_TAG : NOTE_LOG, listing->text);
	judge_by_entry(judgement, "dns_blacklist_sites", listing);
	if (action == DNS_BLACKLIST_ACTION_LOG_AND_REJECT)
		hit_and_refuse(judgement, &configuration->dns_blacklist_reply,
		    (const char *const[]){ question->client->address_text, listing->text, NULL });
}
