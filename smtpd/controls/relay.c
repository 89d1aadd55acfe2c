/*
 * relay - a recipient outside the local Internet domains is a relay attempt
 *
 * Refused unless the client is exempt: a host of relay_enforcement_exclude_hosts, or a user of this host. Routed
 * addresses (user%dom@local, "user@dom"@local, dom!user@local) are unwrapped first, so that none of them makes us
 * relay for a stranger.
 */
#include <string.h>
#include <strings.h>

#include "common/mail/recipient_lookup.h"
#include "smtpd/controls/controls.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"

static bool
client_may_relay(const struct control_question *question)
{
	const struct sockaddr *client = (const struct sockaddr *)&question->client->socket_address;

	/* Names on the list match nobody: a client's name is not known before its address has been looked up. */
	return question->client->is_local_user ||
	    host_list_match(question->rules->relay_exempt_hosts, client, NULL, NULL);
}

static bool
is_ours(const struct rules *rules, const char *domain)
{
	const char *domino_domain = rules->settings->server.domino_domain.text;

	return is_local_internet_domain(rules->local_domains, domain, NULL, NULL, NULL) ||
	    (*domino_domain != '\0' && strcasecmp(domain, domino_domain) == 0);
}

/* Whether the local part of a local address names a further destination that is not ours. */
static bool
leads_elsewhere(const struct rules *rules, const struct recipient *recipient)
{
	char path[ADDRESS_LOCAL_PART_MAX + 1], domain[ADDRESS_LOCAL_PART_MAX + 1], *separator;

	if (recipient_lookup_unwrap(rules->settings, &recipient->address, recipient->primary_domain, path,
	    domain) && !is_ours(rules, domain))
		return true;
	strlcpy(path, recipient->address.local_part, sizeof(path));
	for (;;) {
		if ((separator = strrchr(path, '@')) != NULL || (separator = strrchr(path, '%')) != NULL) {
			if (!is_ours(rules, separator + 1))
				return true;
			*separator = '\0';
		} else if ((separator = strchr(path, '!')) != NULL) {
			*separator = '\0';
			if (!is_ours(rules, path))
				return true;
			memmove(path, separator + 1, strlen(separator + 1) + 1);
		} else {
			return false;
		}
	}
}

struct control_judgement
control_relay(const struct control_question *question)
{
	const struct recipient *recipient = question->recipient;

	if (recipient->is_local && !leads_elsewhere(question->rules, recipient))
		return (struct control_judgement){ CONTROL_PASSES, REPLY_NONE, "" };
	if (client_may_relay(question))
		return (struct control_judgement){ CONTROL_PASSES, REPLY_NONE, "relay_enforcement_exclude_hosts" };
	return (struct control_judgement){ CONTROL_REFUSES, REPLY_RELAY_REJECTED, "relay_deny_destinations" };
}
