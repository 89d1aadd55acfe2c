/* check_domains - what the Domain, Connection and Site documents say about each other */
#include <string.h>
#include <strings.h>

#include "common/conf/check.h"
#include "common/conf/report.h"
#include "common/conf/table.h"
#include "common/mail/address.h"

/* The documents of one kind have different titles. */
static void
check_titles(struct check *check, enum document_kind kind)
{
	struct names *titles = names_new();

	for (size_t i = 0; i < settings_document_count(check->settings, kind); i++) {
		const struct document_start *document = settings_document(check->settings, kind, i);
		const struct name_entry *first = names_find(titles, document->title, NAME_FULL);

		if (first != NULL)
			report_error(check->report, document->at, document_rows[kind].word,
			    "found \"%s\" a second time (first in %s:%u); allowed: each title once",
			    document->title, first->at.file, first->at.line);
		else
			names_add(titles, document->title, NAME_FULL, document->at, document);
	}
	names_free(&titles);
}

static void
require(struct check *check, struct position at, const char *key, const struct setting *setting,
    const char *allowed)
{
	if (setting->text[0] == '\0')
		report_error(check->report, setting->given ? setting->at : at, key, "found %s; allowed: %s",
		    setting->given ? "\"\"" : "no such key in the document", allowed);
}

/* ---- domains.conf ---- */

static void
claim_domain(struct check *check, struct names *claimed, const char *domain, struct position at, const char *key)
{
	const struct name_entry *first = names_find(claimed, domain, NAME_FULL);

	if (first != NULL)
		report_error(check->report, at, key, "found %s a second time (first in %s:%u); allowed: each "
		    "domain once", domain, first->at.file, first->at.line);
	else
		names_add(claimed, domain, NAME_FULL, at, NULL);
}

static void
check_global_domains(struct check *check)
{
	const struct document_global_domain *default_one = NULL;
	struct names *claimed = names_new();

	for (size_t i = 0; i < check->settings->global_domain_count; i++) {
		const struct document_global_domain *one = &check->settings->global_domain_documents[i];
		const struct setting *primary = &one->local_primary_internet_domain;

		require(check, one->at, "local_primary_internet_domain", primary, "an Internet domain such as "
		    "acme.com");
		if (primary->text[0] != '\0')
			claim_domain(check, claimed, primary->text, primary->at, "local_primary_internet_domain");
		for (size_t j = 0; j < one->internet_domain_aliases.count; j++)
			claim_domain(check, claimed, one->internet_domain_aliases.items[j].text,
			    one->internet_domain_aliases.items[j].at, "internet_domain_aliases");
		if (one->use_as_default.number && default_one != NULL)
			report_error(check->report, one->use_as_default.at, "use_as_default",
			    "found yes, as in %s:%u; allowed: in one global_domain only", default_one->at.file,
			    default_one->at.line);
		if (one->use_as_default.number)
			default_one = one;
	}
	names_free(&claimed);
}

/* "*.*", a domain, or "*." and a domain. */
static bool
pattern_is_valid(const char *pattern)
{
	if (strcmp(pattern, "*") == 0 || strcmp(pattern, "*.*") == 0)
		return true;
	return domain_is_valid(pattern + (strncmp(pattern, "*.", 2) == 0 ? 2 : 0), true);
}

static bool
is_destination_of_smtp_connection(const struct check *check, const char *domain)
{
	for (size_t i = 0; i < check->settings->smtp_connection_count; i++)
		if (strcasecmp(check->settings->smtp_connection_documents[i].destination_domain.text, domain) == 0)
			return true;
	return false;
}

static void
check_foreign_smtp_domains(struct check *check)
{
	for (size_t i = 0; i < check->settings->foreign_smtp_domain_count; i++) {
		const struct document_foreign_smtp_domain *one =
		    &check->settings->foreign_smtp_domain_documents[i];

		if (!pattern_is_valid(one->title))
			report_error(check->report, one->at, "foreign_smtp_domain", "found the pattern \"%s\"; "
			    "allowed: \"*.*\", a domain, *. and a domain", one->title);
		if (one->next_host.text[0] == '\0' && one->next_domain.text[0] == '\0')
			report_error(check->report, one->at, "foreign_smtp_domain", "found neither next_domain "
			    "nor next_host; allowed: one of them");
		else if (one->next_host.text[0] != '\0' && one->next_domain.text[0] != '\0')
			report_error(check->report, one->next_host.at, "next_host", "found beside next_domain; "
			    "allowed: one of them");
		else if (one->next_host.text[0] == '\0' && !is_destination_of_smtp_connection(check,
		    one->next_domain.text))
			report_warning(check->report, one->next_domain.at, "next_domain",
			    "no smtp_connection leads to %s: mail for \"%s\" is returned to its sender",
			    one->next_domain.text, one->title);
	}
}

/* A Domino domain is one word. */
static void
check_domino_title(struct check *check, enum document_kind kind)
{
	for (size_t i = 0; i < settings_document_count(check->settings, kind); i++) {
		const struct document_start *document = settings_document(check->settings, kind, i);

		if (document->title[strcspn(document->title, ". @/%*")] != '\0')
			report_error(check->report, document->at, document_rows[kind].word,
			    "found the Domino domain \"%s\"; allowed: one word without . @ / %% *",
			    document->title);
	}
}

static void
require_server(struct check *check, struct position at, const char *key, const struct setting *server)
{
	require(check, at, key, server, "the title of a server document");
	if (server->text[0] != '\0' && names_find(check->names, server->text, NAME_SERVER) == NULL)
		report_error(check->report, server->at, key, "found \"%s\", which has no server document; "
		    "allowed: the title of a document in servers.conf", server->text);
}

static void
check_domino_domains(struct check *check)
{
	const struct settings *settings = check->settings;

	for (size_t i = 0; i < settings->foreign_domain_count; i++) {
		const struct document_foreign_domain *one = &settings->foreign_domain_documents[i];

		require_server(check, one->at, "gateway_server", &one->gateway_server);
		require(check, one->at, "gateway_mail_file", &one->gateway_mail_file, "the name of a mail file");
	}
	for (size_t i = 0; i < settings->non_adjacent_domain_count; i++) {
		const struct document_non_adjacent_domain *one = &settings->non_adjacent_domain_documents[i];

		require(check, one->at, "route_through", &one->route_through, "a Domino domain");
		if (one->route_through.text[0] != '\0' && strcasecmp(one->route_through.text, one->title) == 0)
			report_error(check->report, one->route_through.at, "route_through",
			    "found the domain itself; allowed: another Domino domain");
	}
	check_domino_title(check, KIND_foreign_domain);
	check_domino_title(check, KIND_adjacent_domain);
	check_domino_title(check, KIND_non_adjacent_domain);
}

void
check_domains(struct check *check)
{
	for (size_t kind = KIND_configuration; kind < KIND_person; kind++)
		check_titles(check, kind);
	check_global_domains(check);
	check_foreign_smtp_domains(check);
	check_domino_domains(check);
}

/* ---- connections.conf ---- */

static bool
is_next_domain(const struct check *check, const char *domain)
{
	for (size_t i = 0; i < check->settings->foreign_smtp_domain_count; i++)
		if (strcasecmp(check->settings->foreign_smtp_domain_documents[i].next_domain.text, domain) == 0)
			return true;
	return false;
}

void
check_connections(struct check *check)
{
	const struct settings *settings = check->settings;

	for (size_t i = 0; i < settings->connection_count; i++) {
		const struct document_connection *one = &settings->connection_documents[i];

		require_server(check, one->at, "source", &one->source);
		require_server(check, one->at, "destination", &one->destination);
		if (one->source.text[0] != '\0' && strcasecmp(one->source.text, one->destination.text) == 0)
			report_error(check->report, one->destination.at, "destination",
			    "found the source; allowed: another server");
	}
	for (size_t i = 0; i < settings->smtp_connection_count; i++) {
		const struct document_smtp_connection *one = &settings->smtp_connection_documents[i];
		const struct setting *domain = &one->destination_domain;

		require_server(check, one->at, "source_server", &one->source_server);
		require(check, one->at, "destination_domain", domain, "the next_domain of a foreign_smtp_domain");
		if (domain->text[0] != '\0' && !is_next_domain(check, domain->text))
			report_error(check->report, domain->at, "destination_domain",
			    "found \"%s\"; allowed: the next_domain of a foreign_smtp_domain in domains.conf",
			    domain->text);
	}
}
