/* destination - see destination.h */
#include "smtpd/controls/destination.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mail/local_domain.h"
#include "common/mail/recipient_lookup.h"
#include "smtpd/rules.h"

/* A domain without a dot is a Domino domain; where there is none, nothing leaves us. */
static bool
is_ours(const struct rules *rules, const char *domain)
{
	const char *domino_domain = rules->settings->server.domino_domain.text;

	return *domain == '\0' || is_local_internet_domain(rules->local_domains, domain, NULL, NULL, NULL) ||
	    strcasecmp(domain, domino_domain) == 0;
}

static bool
leaves_for(const char *domain, char destination[static DESTINATION_MAX])
{
	size_t length = strlen(domain);

	if (length > 1 && domain[length - 1] == '.')
		length--;
	snprintf(destination, DESTINATION_MAX, "%s%.*s", strpbrk(domain, ".[") == NULL ? "%" : "", (int)length,
	    domain);
	return true;
}

/*
 * Takes the next hop off a local part of ours: behind the last @, before the first !, behind the last %. What is
 * left stands in path. False when it is no route.
 */
static bool
take_hop(char *path, char *hop)
{
	char *separator = strrchr(path, '@');

	if (separator == NULL && (separator = strchr(path, '!')) != NULL) {
		*separator = '\0';
		strcpy(hop, path);
		memmove(path, separator + 1, strlen(separator + 1) + 1);
		return true;
	}
	if (separator == NULL && (separator = strrchr(path, '%')) == NULL)
		return false;
	strcpy(hop, separator + 1);
	*separator = '\0';
	return true;
}

bool
destination_is_ours(const struct rules *rules, const struct recipient_facts *recipient,
    char destination[static DESTINATION_MAX])
{
	char path[ADDRESS_LOCAL_PART_MAX + 1], hop[ADDRESS_LOCAL_PART_MAX + 1];

	destination[0] = '\0';
	if (!recipient->is_local)
		return !leaves_for(recipient->address->domain, destination);
	/* The separator of a Domino domain may be another character than %. */
	if (recipient_lookup_unwrap(rules->settings, recipient->address, recipient->primary_domain, path, hop)) {
		if (!is_ours(rules, hop))
			return !leaves_for(hop, destination);
	} else {
		strcpy(path, recipient->address->local_part);
	}
	while (take_hop(path, hop))
		if (!is_ours(rules, hop))
			return !leaves_for(hop, destination);
	return true;
}
