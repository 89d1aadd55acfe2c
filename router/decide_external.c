/* decide_external - table 4.C: an external Internet domain */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mail/idn.h"
#include "common/mail/notes_name.h"
#include "common/net/own_address.h"
#include "router/decide.h"

/* Whether '*' (any run of characters) makes pattern the text. Linear but for the last '*' retried. */
static bool
pattern_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (*pattern != '\0' && strncasecmp(pattern, text, 1) == 0) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* How exactly a pattern names domains: an exact name beats all, then the longest literal tail. */
static size_t
exactness(const char *pattern)
{
	const char *star = strrchr(pattern, '*');

	return star == NULL ? SIZE_MAX : strlen(star + 1);
}

static const struct document_foreign_smtp_domain *
find_foreign_smtp(const struct question *question, const char *domain)
{
	const struct settings *settings = question->rules->settings;
	const struct document_foreign_smtp_domain *best = NULL;
	char ascii[ADDRESS_DOMAIN_MAX + 1];

	if (!domain_to_ascii(domain, ascii))
		strcpy(ascii, domain);
	for (size_t i = 0; i < settings->foreign_smtp_domain_count; i++) {
		const struct document_foreign_smtp_domain *document = &settings->foreign_smtp_domain_documents[i];
		bool matches = strcmp(document->title, "*.*") == 0 || pattern_matches(document->title, domain) ||
		    pattern_matches(document->title, ascii);

		trace_step(question->trace, &document->at, "foreign_smtp_domain \"%s\" %s", document->title,
		    matches ? "matches" : "does not match");
		if (matches && (best == NULL || exactness(document->title) > exactness(best->title)))
			best = document;
	}
	return best;
}

/* The SMTP Connection document to that domain: one with this server as its source first, then the first. */
static const struct document_smtp_connection *
find_smtp_connection(const struct settings *settings, const char *domain, bool *ours_out)
{
	const struct document_smtp_connection *first = NULL;

	*ours_out = false;
	for (size_t i = 0; i < settings->smtp_connection_count; i++) {
		const struct document_smtp_connection *connection = &settings->smtp_connection_documents[i];

		if (domain[0] == '\0' || strcasecmp(connection->destination_domain.text, domain) != 0)
			continue;
		if (notes_name_equal(connection->source_server.text, settings->matador.server_name.text)) {
			*ours_out = true;
			return connection;
		}
		if (first == NULL)
			first = connection;
	}
	return first;
}

static bool
leads_to_domino_domain(const struct settings *settings, const char *domain)
{
	for (size_t i = 0; i < settings->connection_count; i++) {
		const struct document_connection *connection = &settings->connection_documents[i];
		const struct document_server *server = classify_find_server(settings, connection->destination.text);

		if (strcasecmp(connection->destination_domain.text, domain) == 0 ||
		    (connection->destination_domain.text[0] == '\0' && server != NULL &&
		    strcasecmp(server->domino_domain.text, domain) == 0))
			return domain[0] != '\0';
	}
	return false;
}

/* The source server must send to the outside by SMTP. True: it does not, decided. */
static bool
decide_switched_off(const struct question *question, const struct classification *class, struct decision *decision)
{
	const struct setting *outside = &question->rules->settings->configuration.smtp_outside_local_internet_domain;

	if (outside->number != 0) {
		trace_step(question->trace, &outside->at, "smtp_outside_local_internet_domain is enabled");
		return false;
	}
	decide_rule_of_setting(question, decision, "smtp_outside_local_internet_domain", outside);
	trace_step(question->trace, &outside->at, "smtp_outside_local_internet_domain is disabled");
	decide_no_route(question, FAILURE_DOMAIN, class->address.domain,
	    "SMTP used when sending messages outside of the local Internet domain is disabled", decision);
	return true;
}

/* Whether mail for that address literal, in the form of a next hop, would come straight back. */
static bool
is_own_literal(const struct settings *settings, const char *next_hop)
{
	struct error error = ERROR_INITIALIZER;
	struct next_hop hop;

	return next_hop_parse(next_hop, (uint16_t)settings->server.smtp_outbound_tcp_port.number, &hop, &error) == 0 &&
	    hop.is_literal && own_address_is_ours(settings, &hop.address);
}

/* To the hosts of the domain itself. */
static void
decide_direct(const struct question *question, const struct classification *class, struct decision *decision)
{
	const struct address *address = &class->address;
	char next_hop[ADDRESS_DOMAIN_MAX + 3];

	if (address->is_literal) {
		const char *number = address->domain + (strncmp(address->domain, "[IPv6:", 6) == 0 ? 6 : 1);

		snprintf(next_hop, sizeof(next_hop), "[%.*s]", (int)strcspn(number, "]"), number);
		if (is_own_literal(question->rules->settings, next_hop)) {
			decide_fail(decision, FAILURE_DOMAIN, "5.4.6",
			    "Address %.100s is this server: mail loops back", address->domain);
			return;
		}
	} else if (!domain_to_ascii(address->domain, next_hop)) {
		decide_fail(decision, FAILURE_DOMAIN, "5.1.2", "%.255s is not a valid Internet domain",
		    address->domain);
		return;
	}
	trace_step(question->trace, NULL, address->is_literal ? "by SMTP to the address %s" :
	    "by SMTP to the hosts of %s", next_hop);
	decide_next_hop(question, next_hop, address->text, decision);
}

/* Rows 1 to 4 and 13 to 16: the general relay host, or the hosts of the domain. */
static void
decide_general(const struct question *question, const struct classification *class, struct decision *decision)
{
	const struct document_configuration *configuration = &question->rules->settings->configuration;
	bool rule_known = decision->rule[0] != '\0';

	if (decide_switched_off(question, class, decision))
		return;
	if (configuration->relay_host.text[0] == '\0') {
		if (!rule_known)
			decide_rule_of_setting(question, decision, "smtp_outside_local_internet_domain",
			    &configuration->smtp_outside_local_internet_domain);
		trace_step(question->trace, &configuration->relay_host.at, "there is no relay_host");
		decide_direct(question, class, decision);
		return;
	}
	if (!rule_known)
		decide_rule_of_setting(question, decision, "relay_host", &configuration->relay_host);
	trace_step(question->trace, &configuration->relay_host.at, "by SMTP to the relay host %s",
	    configuration->relay_host.text);
	decide_next_hop(question, configuration->relay_host.text, class->address.text, decision);
}

/* Rows 5 to 24: a Foreign SMTP Domain document matches. */
static void
decide_foreign_smtp(const struct question *question, const struct classification *class,
    const struct document_foreign_smtp_domain *document, struct decision *decision)
{
	const struct settings *settings = question->rules->settings;
	bool ours;
	const struct document_smtp_connection *connection = find_smtp_connection(settings,
	    document->next_domain.text, &ours);
	const struct setting *relay_host = ours && connection->relay_host.text[0] != '\0' ? &connection->relay_host :
	    &document->next_host;

	decide_rule(decision, "foreign_smtp_domain", document->title, &document->at);
	if (connection != NULL)
		trace_step(question->trace, &connection->at, "smtp_connection \"%s\" leads to %s",
		    connection->title, document->next_domain.text);
	if (connection != NULL && !ours) {
		decide_server(question, connection->source_server.text, class->address.text, decision);
	} else if (relay_host->text[0] != '\0') {
		if (decide_switched_off(question, class, decision))
			return;
		trace_step(question->trace, &relay_host->at, "by SMTP to the relay host %s", relay_host->text);
		decide_next_hop(question, relay_host->text, class->address.text, decision);
	} else if (connection != NULL) {
		decide_general(question, class, decision);
	} else if (leads_to_domino_domain(settings, document->next_domain.text)) {
		decide_no_route(question, FAILURE_TRANSFER, document->next_domain.text,
		    "it is reached by Notes routing", decision);
	} else {
		decide_no_route(question, FAILURE_DOMAIN, class->address.domain,
		    "nothing connects the next domain of its Foreign "
		    "SMTP Domain document", decision);
	}
}

void
decide_external(const struct question *question, const struct classification *class, struct decision *decision)
{
	const struct document_foreign_smtp_domain *document = find_foreign_smtp(question, class->address.domain);

	if (document != NULL)
		decide_foreign_smtp(question, class, document, decision);
	else
		decide_general(question, class, decision);
}
