/*
 * decide_server - table 4.B: another server of our Domino domain; and table 4.D: another Domino domain
 *
 * What the tables send by Notes routing has no way out yet and fails as a transfer without a route does.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mail/notes_name.h"
#include "router/decide.h"

static bool
share_network(const struct setting *ours, const struct setting *theirs)
{
	for (size_t i = 0; i < ours->count; i++)
		for (size_t k = 0; k < theirs->count; k++)
			if (strcasecmp(ours->items[i].text, theirs->items[k].text) == 0)
				return true;
	return false;
}

/*
 * Why SMTP is not for this transfer (rules B-a to B-d), or NULL. *setting_out is the setting that says so, or
 * NULL.
 */
static const char *
why_not_smtp(const struct question *question, const struct document_server *receiver, const char **key_out,
    const struct setting **setting_out)
{
	const struct settings *settings = question->rules->settings;
	const struct setting *within = &settings->configuration.smtp_within_local_internet_domain;
	const struct setting *reachable = &settings->configuration.smtp_local_servers_reachable;

	*key_out = "smtp_within_local_internet_domain";
	*setting_out = within;
	if (within->number == SMTP_WITHIN_LOCAL_INTERNET_DOMAIN_DISABLED)
		return "sending by SMTP inside the domain is switched off";
	if (receiver == NULL || receiver->smtp_listener_task.number == 0 ||
	    receiver->internet_host_name.text[0] == '\0') {
		*setting_out = receiver == NULL ? NULL : &receiver->smtp_listener_task;
		return "the receiver has no SMTP listener";
	}
	if (within->number == SMTP_WITHIN_LOCAL_INTERNET_DOMAIN_MIME_ONLY && question->format == FORMAT_NOTES)
		return "Notes format is only sent by SMTP when the setting is all";
	*key_out = "smtp_local_servers_reachable";
	*setting_out = reachable;
	if (reachable->number == SMTP_LOCAL_SERVERS_REACHABLE_SAME_NOTES_NETWORK &&
	    !share_network(&settings->server.notes_named_networks, &receiver->notes_named_networks))
		return "SMTP is confined to the same named network";
	return NULL;
}

void
decide_server(const struct question *question, const char *server_name, const char *address,
    struct decision *decision)
{
	const struct settings *settings = question->rules->settings;
	const struct document_server *receiver = classify_find_server(settings, server_name);
	const struct setting *setting = NULL;
	const char *key, *why;
	char next_hop[ADDRESS_DOMAIN_MAX + 3];
	bool other_domain = receiver != NULL && receiver->domino_domain.text[0] != '\0' &&
	    strcasecmp(receiver->domino_domain.text, settings->server.domino_domain.text) != 0;

	trace_step(question->trace, receiver == NULL ? NULL : &receiver->at, "the mail is for server %s%s",
	    server_name, receiver == NULL ? ", which has no Server document" : other_domain ?
	    ", in another Domino domain" : "");
	why = other_domain ? "mail for another Domino domain goes by Notes routing" :
	    why_not_smtp(question, receiver, &key, &setting);
	if (why == NULL) {
		/* in brackets: only its addresses count, not its MX records */
		snprintf(next_hop, sizeof(next_hop), "[%s]", receiver->internet_host_name.text);
		decide_rule(decision, "server", receiver->title, &receiver->at);
		trace_step(question->trace, &receiver->internet_host_name.at, "by SMTP to %s", next_hop);
		decide_next_hop(question, next_hop, address, decision);
		return;
	}
	trace_step(question->trace, setting == NULL ? NULL : &setting->at, "by Notes routing: %s", why);
	decide_fail(decision, FAILURE_TRANSFER, "5.4.4",
	    "No route found to server %.250s from server %.250s. Check Server, "
	    "Connection and Domain documents in Domino Directory: %s", server_name,
	    settings->matador.server_name.text, why);
}

static bool
names_domain(const struct setting *list, const char *domain)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcasecmp(list->items[i].text, domain) == 0 || strcmp(list->items[i].text, "*") == 0)
			return true;
	return false;
}

/*
 * The lists of a domain's document look at the previous hop's Domino domain: ours, for all that came by SMTP. Deny
 * wins.
 */
static bool
may_use(const struct question *question, const struct setting *allow, const struct setting *deny)
{
	const char *previous = question->rules->settings->server.domino_domain.text;

	return !names_domain(deny, previous) && (allow->count == 0 || names_domain(allow, previous));
}

static bool
decide_refused(const struct classification *class, const struct setting *allow, const struct setting *deny,
    const struct question *question, struct decision *decision)
{
	if (may_use(question, allow, deny))
		return false;
	decide_fail(decision, FAILURE_RESTRICTION, "5.7.1",
	    "Mail to domain %.250s is not allowed by its Domain document", class->domain);
	return true;
}

static void
decide_foreign(const struct question *question, const struct classification *class, struct decision *decision)
{
	const struct settings *settings = question->rules->settings;

	for (size_t i = 0; i < settings->foreign_domain_count; i++) {
		const struct document_foreign_domain *foreign = &settings->foreign_domain_documents[i];

		if (strcasecmp(foreign->title, class->domain) != 0)
			continue;
		if (decide_refused(class, &foreign->allow_from, &foreign->deny_from, question, decision))
			return;
		if (!notes_name_equal(foreign->gateway_server.text, settings->matador.server_name.text)) {
			decide_server(question, foreign->gateway_server.text, question->recipient, decision);
			return;
		}
		decision->outcome = ROUTE_DELIVER;
		decision->transport = TRANSPORT_LOCAL;
		snprintf(decision->address, sizeof(decision->address), "%s", foreign->gateway_mail_file.text);
		trace_step(question->trace, &foreign->gateway_mail_file.at, "into the gateway's mail file %s",
		    decision->address);
		return;
	}
}

static void
decide_non_adjacent(const struct question *question, const struct classification *class, struct decision *decision)
{
	const struct settings *settings = question->rules->settings;

	for (size_t i = 0; i < settings->non_adjacent_domain_count; i++) {
		const struct document_non_adjacent_domain *domain = &settings->non_adjacent_domain_documents[i];

		if (strcasecmp(domain->title, class->domain) == 0 &&
		    decide_refused(class, &domain->allow_from, &domain->deny_from, question, decision))
			return;
	}
	decide_no_route(question, FAILURE_TRANSFER, class->domain, "it is reached by Notes routing", decision);
}

static void
decide_adjacent(const struct question *question, const struct classification *class, struct decision *decision)
{
	const struct settings *settings = question->rules->settings;

	for (size_t i = 0; i < settings->adjacent_domain_count; i++) {
		const struct document_adjacent_domain *domain = &settings->adjacent_domain_documents[i];

		if (strcasecmp(domain->title, class->domain) == 0 &&
		    decide_refused(class, &domain->allow_from, &domain->deny_from, question, decision))
			return;
	}
	decide_no_route(question, FAILURE_TRANSFER, class->domain, "it is reached by Notes routing", decision);
}

void
decide_domino_domain(const struct question *question, const struct classification *class, struct decision *decision)
{
	if (class->rule[0] != '\0')
		snprintf(decision->rule, sizeof(decision->rule), "%.250s %.240s:%u", class->rule, class->at.file,
		    (unsigned)class->at.line);
	if (class->class == CLASS_FOREIGN)
		decide_foreign(question, class, decision);
	else if (class->class == CLASS_ADJACENT)
		decide_adjacent(question, class, decision);
	else if (class->class == CLASS_NON_ADJACENT)
		decide_non_adjacent(question, class, decision);
	else
		decide_no_route(question, FAILURE_DOMAIN, class->domain, "", decision);
}
