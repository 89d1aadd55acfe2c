/* local_domain - see local_domain.h */
#include "common/mail/local_domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/mail/idn.h"

#define RULE_MAX 320

enum match {
	MATCH_WHOLE,		/* the domain itself */
	MATCH_BELOW,		/* every domain below it, at any depth */
	MATCH_ONE_BELOW,	/* one label in front of it */
};

struct local_domain {
	enum match match;
	char name[ADDRESS_DOMAIN_MAX + 1];	/* in the form of domain_to_ascii() */
	const char *primary;			/* borrowed from the settings; NULL when this is no alias */
	char rule[RULE_MAX];
	struct position at;
};

struct local_domains {
	const struct settings *settings;	/* held: positions and primary domains are lent from it */
	struct local_domain *rows;		/* in the order in which they are asked */
	size_t count;
};

static void
add(struct local_domains *domains, enum match match, const char *name, const char *primary, const char *rule,
    struct position at)
{
	struct local_domain *row;

	domains->rows = memory_resize(domains->rows, domains->count + 1, sizeof(*domains->rows));
	row = &domains->rows[domains->count];
	memset(row, 0, sizeof(*row));
	if (name[0] == '\0' || !domain_to_ascii(name, row->name))
		return;
	row->match = match;
	row->primary = primary;
	row->at = at;
	snprintf(row->rule, sizeof(row->rule), "%s", rule);
	domains->count++;
}

static void
global_rule(const struct document_global_domain *document, char rule[static RULE_MAX])
{
	snprintf(rule, RULE_MAX, "global_domain \"%.280s\"", document->title);
}

/* All primary domains come before all aliases. */
static void
add_global_domains(struct local_domains *domains, const struct settings *settings)
{
	char rule[RULE_MAX];

	for (size_t i = 0; i < settings->global_domain_count; i++) {
		const struct document_global_domain *document = &settings->global_domain_documents[i];
		const struct setting *primary = &document->local_primary_internet_domain;

		global_rule(document, rule);
		add(domains, MATCH_WHOLE, primary->text, NULL, rule, primary->at);
	}
	for (size_t i = 0; i < settings->global_domain_count; i++) {
		const struct document_global_domain *document = &settings->global_domain_documents[i];
		const struct setting *aliases = &document->internet_domain_aliases;

		global_rule(document, rule);
		for (size_t k = 0; k < aliases->count; k++) {
			const char *alias = aliases->items[k].text;
			bool below = strncmp(alias, "*.", 2) == 0;

			add(domains, below ? MATCH_BELOW : MATCH_WHOLE, below ? alias + 2 : alias,
			    document->local_primary_internet_domain.text, rule, aliases->items[k].at);
		}
	}
}

/*
 * Without Global Domain documents: our host name, its parent domain, and its neighbours, one label below the
 * parent.
 */
static void
add_own_domain(struct local_domains *domains, const struct settings *settings)
{
	const struct setting *host = &settings->server.internet_host_name;
	const char *dot = strchr(host->text, '.'), *parent;

	parent = dot != NULL && strchr(dot + 1, '.') != NULL ? dot + 1 : host->text;
	add(domains, MATCH_WHOLE, host->text, NULL, "the server's internet_host_name", host->at);
	if (dot == NULL)
		return;
	if (parent != host->text)
		add(domains, MATCH_WHOLE, parent, NULL, "the domain of the server's internet_host_name", host->at);
	add(domains, MATCH_ONE_BELOW, parent, NULL, "the domain of the server's internet_host_name", host->at);
}

struct local_domains *
local_domains_new(const struct settings *settings)
{
	struct local_domains *domains = memory_new(1, sizeof(*domains));

	domains->settings = settings_hold(settings);
	if (settings->global_domain_count > 0)
		add_global_domains(domains, settings);
	else
		add_own_domain(domains, settings);
	return domains;
}

void
local_domains_free(struct local_domains **domains)
{
	if (*domains == NULL)
		return;
	settings_release(&(*domains)->settings);
	free((*domains)->rows);
	free(*domains);
	*domains = NULL;
}

static bool
matches(const struct local_domain *row, const char *domain)
{
	size_t length = strlen(domain), own = strlen(row->name);
	const char *front;

	if (row->match == MATCH_WHOLE)
		return strcmp(domain, row->name) == 0;
	/* At least one octet, a dot, and the name: labels are compared, never tails of text. */
	if (length < own + 2 || domain[length - own - 1] != '.' || strcmp(domain + length - own, row->name) != 0)
		return false;
	front = memchr(domain, '.', length);
	return row->match == MATCH_BELOW || front == domain + length - own - 1;
}

bool
is_local_internet_domain(const struct local_domains *domains, const char *domain, const char **rule_out,
    struct position *at_out, const char **primary_out)
{
	char ascii[ADDRESS_DOMAIN_MAX + 1];

	if (domain[0] == '.' || !domain_to_ascii(domain, ascii))
		return false;
	for (size_t i = 0; i < domains->count; i++) {
		const struct local_domain *row = &domains->rows[i];

		if (!matches(row, ascii))
			continue;
		if (rule_out != NULL)
			*rule_out = row->rule;
		if (at_out != NULL)
			*at_out = row->at;
		if (primary_out != NULL)
			*primary_out = row->primary;
		return true;
	}
	return false;
}

const char *
local_domains_own(const struct local_domains *domains)
{
	return domains->count > 0 ? domains->rows[0].name : "";
}

void
local_domains_each(const struct local_domains *domains, void (*each)(void *context, const char *domain,
    const char *from), void *context)
{
	for (size_t i = 0; i < domains->count; i++) {
		const struct local_domain *row = &domains->rows[i];
		char domain[ADDRESS_DOMAIN_MAX + 16], from[RULE_MAX + 300];

		snprintf(domain, sizeof(domain), "%s%s", row->match == MATCH_BELOW ? "*." :
		    row->match == MATCH_ONE_BELOW ? "(one label)." : "", row->name);
		if (row->at.line > 0)
			snprintf(from, sizeof(from), "%s %.250s:%u", row->rule, row->at.file,
			    (unsigned)row->at.line);
		else
			snprintf(from, sizeof(from), "%s", row->rule);
		each(context, domain, from);
	}
}
