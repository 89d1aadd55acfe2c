/* rules - see rules.h */
#include "smtpd/rules.h"

#include <stdlib.h>

#include "common/base/buffer.h"
#include "common/base/hash_table.h"
#include "common/base/memory.h"

static void
append_zones(struct buffer *text, const struct setting *zones, bool is_on)
{
	for (size_t i = 0; i < zones->count; i++)
		buffer_printf(text, "%s ", zones->items[i].text);
	buffer_append_byte(text, is_on ? '+' : '-');
}

static uint64_t
dns_zones_id(const struct document_configuration *configuration)
{
	struct buffer text = BUFFER_INITIALIZER(0);
	uint64_t id;

	append_zones(&text, &configuration->dns_whitelist_sites, configuration->dns_whitelist_filters.number);
	append_zones(&text, &configuration->dns_blacklist_sites, configuration->dns_blacklist_filters.number);
	id = hash_bytes(text.data, text.length);
	buffer_free(&text);
	return id;
}

struct rules *
rules_new(const struct settings *settings)
{
	const struct document_configuration *configuration = &settings->configuration;
	struct rules *rules = memory_new(1, sizeof(*rules));

	rules->settings = settings_hold(settings);
	rules->local_domains = local_domains_new(settings);
	rules->lists = control_lists_new(configuration);
	rules->parameters.size = configuration->smtp_in_size.number;
	rules->parameters.eightbitmime = configuration->smtp_in_8bitmime.number;
	/* RFC 6531 3.1: who offers SMTPUTF8 offers 8BITMIME. */
	rules->parameters.smtputf8 = configuration->smtp_in_smtputf8.number && rules->parameters.eightbitmime;
	rules->parameters.dsn = configuration->smtp_in_dsn.number;
	rules->maximum_size = (uint64_t)configuration->maximum_message_size_kb.number;
	rules->dns_zones_id = dns_zones_id(configuration);
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
	control_lists_free(&released->lists);
	local_domains_free(&released->local_domains);
	settings_release(&released->settings);
	free(released);
}
