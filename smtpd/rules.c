/* rules - see rules.h */
#include "smtpd/rules.h"

#include <stdlib.h>

#include "common/base/memory.h"

struct rules *
rules_new(const struct settings *settings)
{
	const struct document_configuration *configuration = &settings->configuration;
	struct rules *rules = memory_new(1, sizeof(*rules));

	rules->settings = settings_hold(settings);
	rules->local_domains = local_domains_new(settings);
	rules->relay_exempt_hosts = host_list_new(&configuration->relay_enforcement_exclude_hosts,
	    configuration->host_entry_matching.number == HOST_ENTRY_MATCHING_WHOLE_LABELS);
	rules->parameters.size = configuration->smtp_in_size.number;
	rules->parameters.eightbitmime = configuration->smtp_in_8bitmime.number;
	/* RFC 6531 3.1: who offers SMTPUTF8 offers 8BITMIME. */
	rules->parameters.smtputf8 = configuration->smtp_in_smtputf8.number && rules->parameters.eightbitmime;
	rules->parameters.dsn = configuration->smtp_in_dsn.number;
	rules->maximum_size = (uint64_t)configuration->maximum_message_size_kb.number;
	rules->references = 1;
	return rules;
}

struct rules *
rules_hold(struct rules *rules)
{
	rules->references++;
	return rules;
}

void
rules_release(struct rules **rules)
{
	struct rules *released = *rules;

	*rules = NULL;
	if (released == NULL || --released->references > 0)
		return;
	host_list_free(&released->relay_exempt_hosts);
	local_domains_free(&released->local_domains);
	settings_release(&released->settings);
	free(released);
}
