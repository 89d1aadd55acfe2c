/* classify - see classify.h */
#include "router/classify.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mail/notes_name.h"
#include "common/mail/recipient_lookup.h"

/* Sets what decided: a document, as `DOCUMENT "title"`. */
static void
decided_by(struct classification *class, const char *document, const char *title, struct position at)
{
	snprintf(class->rule_text, sizeof(class->rule_text), "%s \"%.300s\"", document, title);
	class->rule = class->rule_text;
	class->at = at;
}

const struct document_server *
classify_find_server(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->server_count; i++)
		if (notes_name_equal(settings->server_documents[i].title, name))
			return &settings->server_documents[i];
	return NULL;
}

static bool
is_own_domino_domain(const struct settings *settings, const char *domain)
{
	return domain[0] != '\0' && strcasecmp(domain, settings->server.domino_domain.text) == 0;
}

static const struct document_foreign_domain *
find_foreign(const struct settings *settings, const char *domain)
{
	for (size_t i = 0; i < settings->foreign_domain_count; i++)
		if (strcasecmp(settings->foreign_domain_documents[i].title, domain) == 0)
			return &settings->foreign_domain_documents[i];
	return NULL;
}

/* The Connection document to a server in that domain. */
static const struct document_connection *
find_connection(const struct settings *settings, const char *domain)
{
	for (size_t i = 0; i < settings->connection_count; i++) {
		const struct document_connection *connection = &settings->connection_documents[i];
		const char *leads_to = connection->destination_domain.text;
		const struct document_server *server;

		if (leads_to[0] == '\0') {
			server = classify_find_server(settings, connection->destination.text);
			leads_to = server == NULL ? "" : server->domino_domain.text;
		}
		if (strcasecmp(leads_to, domain) == 0)
			return connection;
	}
	return NULL;
}

static const struct document_non_adjacent_domain *
find_non_adjacent(const struct settings *settings, const char *domain)
{
	for (size_t i = 0; i < settings->non_adjacent_domain_count; i++)
		if (strcasecmp(settings->non_adjacent_domain_documents[i].title, domain) == 0)
			return &settings->non_adjacent_domain_documents[i];
	return NULL;
}

/* Question 2 of the order: a domain without a dot that is not ours. */
static void
classify_domino_domain(const struct settings *settings, const struct trace *trace, struct classification *class)
{
	const struct document_foreign_domain *foreign = find_foreign(settings, class->domain);
	const struct document_connection *connection = find_connection(settings, class->domain);
	const struct document_non_adjacent_domain *non_adjacent = find_non_adjacent(settings, class->domain);

	if (foreign != NULL) {
		class->class = CLASS_FOREIGN;
		decided_by(class, "foreign_domain", foreign->title, foreign->at);
	} else if (connection != NULL) {
		class->class = CLASS_ADJACENT;
		decided_by(class, "connection", connection->title, connection->at);
	} else if (non_adjacent != NULL) {
		class->class = CLASS_NON_ADJACENT;
		decided_by(class, "non_adjacent_domain", non_adjacent->title, non_adjacent->at);
	} else {
		class->class = CLASS_UNKNOWN_DOMAIN;
	}
	trace_step(trace, class->class == CLASS_UNKNOWN_DOMAIN ? NULL : &class->at, "%s is %s", class->domain,
	    foreign != NULL ? "a foreign domain" : connection != NULL ? "an adjacent Domino domain" :
	    non_adjacent != NULL ? "a non-adjacent Domino domain" :
	    "a Domino domain that no document names");
}

/* user%DominoDomain in a local Internet domain stands for user@DominoDomain. */
static void
classify_local(const struct rules *rules, const struct trace *trace, struct classification *class)
{
	char user[ADDRESS_LOCAL_PART_MAX + 1], domain[ADDRESS_LOCAL_PART_MAX + 1];

	class->class = CLASS_LOCAL_INTERNET;
	if (!recipient_lookup_unwrap(rules->settings, &class->address, class->primary, user, domain))
		return;
	trace_step(trace, NULL, "%s means %s in the Domino domain %s", class->address.text, user, domain);
	snprintf(class->name, sizeof(class->name), "%s", user);
	snprintf(class->domain, sizeof(class->domain), "%s", domain);
	if (is_own_domino_domain(rules->settings, domain))
		class->class = CLASS_NAME;
	else
		classify_domino_domain(rules->settings, trace, class);
}

/* An address as RFC 5321 wants it, or one whose local part was written as Notes users do. */
static bool
parse_internet(const char *recipient, const char *local_part, const char *domain, struct address *address)
{
	return address_parse(recipient, strlen(recipient), ADDRESS_ALLOW_UTF8, address, NULL) == 0 ||
	    (local_part[0] != '"' && address_make(local_part, domain, ADDRESS_ALLOW_UTF8, address, NULL) == 0);
}

static void
classify_internet(const struct rules *rules, const struct trace *trace, struct classification *class)
{
	const char *domain = class->address.domain;

	if (!class->address.is_literal &&
	    is_local_internet_domain(rules->local_domains, domain, &class->rule, &class->at, &class->primary)) {
		trace_step(trace, &class->at, "%s is a local Internet domain by %s%s%s", domain, class->rule,
		    class->primary == NULL ? "" : ", an alias of ", class->primary == NULL ? "" : class->primary);
		classify_local(rules, trace, class);
		return;
	}
	class->class = CLASS_EXTERNAL;
	trace_step(trace, NULL, "%s is an external Internet domain", domain);
}

void
classify(const struct rules *rules, const char *recipient, const struct trace *trace,
    struct classification *class_out)
{
	char text[ENVELOPE_TEXT_MAX + 1], local_part[ADDRESS_TEXT_MAX], domain[ADDRESS_DOMAIN_MAX + 1];

	memset(class_out, 0, sizeof(*class_out));
	class_out->rule = "";
	class_out->at.file = "";
	class_out->class = CLASS_MALFORMED;
	snprintf(text, sizeof(text), "%s", recipient);
	/* "Robin@C@Acme" in our domain Acme is "Robin@C": each turn takes one @ off. */
	for (;;) {
		if (text[0] == '\0' || !address_split(text, local_part, domain))
			break;
		if (strchr(text, '@') == NULL || (domain[0] == '\0' && text[0] == '"')) {
			class_out->class = CLASS_NAME;
			snprintf(class_out->name, sizeof(class_out->name), "%s", text);
			trace_step(trace, NULL, "%s has no @: a name to be looked up", text);
			return;
		}
		if (is_own_domino_domain(rules->settings, domain)) {
			trace_step(trace, &rules->settings->server.domino_domain.at, "%s is our Domino domain",
			    domain);
			strcpy(text, local_part);
			continue;
		}
		if (domain[0] == '\0')
			break;
		if (strchr(domain, '.') == NULL && domain[0] != '[') {
			strcpy(class_out->name, local_part);
			strcpy(class_out->domain, domain);
			classify_domino_domain(rules->settings, trace, class_out);
			return;
		}
		if (!parse_internet(text, local_part, domain, &class_out->address))
			break;
		classify_internet(rules, trace, class_out);
		return;
	}
	trace_step(trace, NULL, "%s is neither a name nor an address", recipient);
}
