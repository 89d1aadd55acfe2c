/* recipient_lookup - see recipient_lookup.h */
#include "common/mail/recipient_lookup.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void
add_question(struct recipient_lookup *lookup, enum directory_lookup_kind kind, const char *text)
{
	lookup->questions[lookup->question_count].kind = kind;
	snprintf(lookup->questions[lookup->question_count].text, ADDRESS_TEXT_MAX, "%s", text);
	lookup->question_count++;
}

static void
ask_next(struct recipient_lookup *lookup)
{
	if (lookup->asked == lookup->question_count) {
		lookup->state = RECIPIENT_LOOKUP_NONE;
		return;
	}
	lookup->state = RECIPIENT_LOOKUP_ASK;
	lookup->kind = lookup->questions[lookup->asked].kind;
	memcpy(lookup->text, lookup->questions[lookup->asked].text, sizeof(lookup->text));
	lookup->asked++;
}

/* The same address in the primary domain. */
static void
add_primary(struct recipient_lookup *lookup, const struct address *address, const char *primary)
{
	size_t local_length = strlen(address->text) - strlen(address->domain);
	char text[ADDRESS_TEXT_MAX];

	if (local_length + strlen(primary) < sizeof(text)) {
		snprintf(text, sizeof(text), "%.*s%s", (int)local_length, address->text, primary);
		add_question(lookup, DIRECTORY_INTERNET_ADDRESS, text);
	}
}

void
recipient_lookup_start(struct recipient_lookup *lookup, const struct settings *settings,
    const struct address *address, const char *primary)
{
	enum address_lookup order = (enum address_lookup)settings->configuration.address_lookup.number;
	char user[ADDRESS_LOCAL_PART_MAX + 1], domino_domain[ADDRESS_LOCAL_PART_MAX + 1];

	lookup->question_count = lookup->asked = 0;
	if (recipient_lookup_unwrap(settings, address, primary, user, domino_domain)) {
		if (strcasecmp(domino_domain, settings->server.domino_domain.text) == 0)
			add_question(lookup, DIRECTORY_NAME, user);
	} else {
		if (order != ADDRESS_LOOKUP_LOCAL_PART_ONLY) {
			add_question(lookup, DIRECTORY_INTERNET_ADDRESS, address->text);
			if (primary != NULL)
				add_primary(lookup, address, primary);
		}
		if (order != ADDRESS_LOOKUP_FULLNAME_ONLY)
			add_question(lookup, DIRECTORY_LOCAL_PART, address->local_part);
	}
	ask_next(lookup);
}

void
recipient_lookup_answer(struct recipient_lookup *lookup, enum directory_outcome outcome, size_t entries)
{
	if (lookup->state != RECIPIENT_LOOKUP_ASK)
		return;
	if (outcome == DIRECTORY_NONE || (outcome == DIRECTORY_FOUND && entries == 0))
		ask_next(lookup);
	else if (outcome == DIRECTORY_FOUND)
		lookup->state = entries == 1 ? RECIPIENT_LOOKUP_FOUND : RECIPIENT_LOOKUP_MANY;
	else
		lookup->state = RECIPIENT_LOOKUP_UNAVAILABLE;
}

/* The separator of the Global Domain document that domain (a primary one) stands in. */
static char
separator_of(const struct settings *settings, const char *domain)
{
	for (size_t i = 0; i < settings->global_domain_count; i++) {
		const struct document_global_domain *document = &settings->global_domain_documents[i];

		if (strcasecmp(document->local_primary_internet_domain.text, domain) == 0 &&
		    document->domino_domain_separator.text[0] != '\0')
			return document->domino_domain_separator.text[0];
	}
	return '%';
}

bool
recipient_lookup_unwrap(const struct settings *settings, const struct address *address, const char *primary,
    char user[static ADDRESS_LOCAL_PART_MAX + 1], char domino_domain[static ADDRESS_LOCAL_PART_MAX + 1])
{
	const char *local_part = address->local_part;
	const char *at = strrchr(local_part, separator_of(settings, primary != NULL ? primary : address->domain));

	if (at == NULL || at == local_part || at[1] == '\0' || strpbrk(at + 1, ".@/ ") != NULL)
		return false;
	snprintf(user, ADDRESS_LOCAL_PART_MAX + 1, "%.*s", (int)(at - local_part), local_part);
	snprintf(domino_domain, ADDRESS_LOCAL_PART_MAX + 1, "%s", at + 1);
	return true;
}

bool
is_role_local_part(const char *local_part)
{
	return strcasecmp(local_part, "postmaster") == 0 || strcasecmp(local_part, "abuse") == 0 ||
	    strcasecmp(local_part, "root") == 0;
}
