/* check_controls - Configuration Settings documents: keys that need or contradict each other, and what is valid
 * but rarely meant */
#include <string.h>

#include "common/conf/check.h"
#include "common/conf/report.h"

static void
check_reply(struct check *check, const struct setting *reply, const char *key, int most)
{
	int count = 0;

	for (const char *percent = strchr(reply->text, '%'); percent != NULL; percent = strchr(percent + 1, '%')) {
		if (percent[1] != 's') {
			report_error(check->report, reply->at, key, "found a %% that is not followed by s; "
			    "allowed: at most %d times %%s", most);
			return;
		}
		count++;
	}
	if (count > most)
		report_error(check->report, reply->at, key, "found %%s %d times; allowed: at most %d times",
		    count, most);
}

static void
check_organizations(struct check *check, const struct setting *list, const char *key)
{
	for (size_t i = 0; i < list->count; i++)
		if (strncmp(list->items[i].text, "*/", 2) != 0 || list->items[i].text[2] == '\0')
			report_error(check->report, list->items[i].at, key,
			    "found \"%s\"; allowed: */Unit/Organization", list->items[i].text);
}

/* A connection has one source address, and each family one to choose from. */
static void
check_source_addresses(struct check *check, const struct setting *list)
{
	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < i; j++)
			if (!strchr(list->items[i].text, ':') == !strchr(list->items[j].text, ':'))
				report_error(check->report, list->items[i].at, "smtp_source_addresses",
				    "found %s beside %s; allowed: at most one IPv4 address and one IPv6 address",
				    list->items[i].text, list->items[j].text);
}

/* Mistakes inside one document, in force or not. */
static void
check_document(struct check *check, const struct document_configuration *one)
{
	check_reply(check, &one->dns_blacklist_reply, "dns_blacklist_reply", 2);
	check_reply(check, &one->private_blacklist_reply, "private_blacklist_reply", 1);
	check_reply(check, &one->smtp_greeting, "smtp_greeting", 1);
	check_source_addresses(check, &one->smtp_source_addresses);
	check_organizations(check, &one->allow_mail_from_organizations, "allow_mail_from_organizations");
	check_organizations(check, &one->deny_mail_from_organizations, "deny_mail_from_organizations");
	if (one->smtp_in_smtputf8.number && !one->smtp_in_8bitmime.number && one->smtp_in_8bitmime.given)
		report_error(check->report, one->smtp_in_8bitmime.at, "smtp_in_8bitmime",
		    "found disabled, but smtp_in_smtputf8 needs it; allowed: enabled, or both disabled");
	if (one->relay_host_authentication.number != RELAY_HOST_AUTHENTICATION_DISABLED &&
	    one->relay_host_user.text[0] == '\0')
		report_error(check->report, one->relay_host_authentication.at, "relay_host_authentication",
		    "found %s without relay_host_user; allowed: disabled, or relay_host_user and "
		    "relay_host_password", one->relay_host_authentication.text);
	if (one->smart_host_for_all_local_recipients.number && one->local_smart_host.text[0] == '\0')
		report_error(check->report, one->smart_host_for_all_local_recipients.at,
		    "smart_host_for_all_local_recipients", "found enabled without local_smart_host; allowed: "
		    "disabled, or a local_smart_host");
	if (one->retry_interval_cap.number < one->initial_transfer_retry_interval.number)
		report_error(check->report, one->retry_interval_cap.given ? one->retry_interval_cap.at :
		    one->initial_transfer_retry_interval.at, one->retry_interval_cap.given ?
		    "retry_interval_cap" : "initial_transfer_retry_interval", "found a cap below the first "
		    "interval; allowed: retry_interval_cap at least initial_transfer_retry_interval");
	if (one->low_priority_size_range_kb.number > 0 && one->maximum_message_size_kb.number > 0 &&
	    one->low_priority_size_range_kb.number >= one->maximum_message_size_kb.number)
		report_error(check->report, one->low_priority_size_range_kb.at, "low_priority_size_range_kb",
		    "found a size that no message may have; allowed: less than maximum_message_size_kb");
}

static void
warn_empty_filter(struct check *check, const struct setting *filter, const char *key,
    const struct setting *entries, const char *entries_key)
{
	if (filter->number && entries->count == 0)
		report_warning(check->report, filter->at, key, "enabled, but %s is empty: nothing is filtered",
		    entries_key);
}

static void
warn_open_relay(struct check *check, const struct document_configuration *one)
{
	if (one->relay_enforcement.number == RELAY_ENFORCEMENT_NONE)
		report_warning(check->report, one->relay_enforcement.at, "relay_enforcement",
		    "none: everybody may relay anywhere, and no blacklist is asked");
	else if (one->relay_deny_destinations.count == 0 && one->relay_deny_hosts.count == 0 &&
	    one->relay_allow_destinations.count == 0 && one->relay_allow_hosts.count == 0)
		report_warning(check->report, one->relay_deny_destinations.at, "relay_deny_destinations",
		    "all four relay lists are empty: everybody may relay anywhere; the default is { \"*\" }");
}

/* What is valid, but probably not meant, in the document in force. */
static void
warn_about(struct check *check, const struct document_configuration *one)
{
	warn_open_relay(check, one);
	warn_empty_filter(check, &one->dns_blacklist_filters, "dns_blacklist_filters", &one->dns_blacklist_sites,
	    "dns_blacklist_sites");
	warn_empty_filter(check, &one->dns_whitelist_filters, "dns_whitelist_filters", &one->dns_whitelist_sites,
	    "dns_whitelist_sites");
	warn_empty_filter(check, &one->private_blacklist_filter, "private_blacklist_filter",
	    &one->private_blacklist_hosts, "private_blacklist_hosts");
	warn_empty_filter(check, &one->private_whitelist_filter, "private_whitelist_filter",
	    &one->private_whitelist_hosts, "private_whitelist_hosts");
	if (one->local_smart_host.text[0] != '\0' && one->verify_local_recipients.number && !one->recipient_call_out.number)
		report_warning(check->report, one->local_smart_host.at, "local_smart_host",
		    "verify_local_recipients is enabled: recipients that the Directory does not know are "
		    "refused, and never reach the smart host");
	if (one->relay_host.text[0] != '\0' && !one->smtp_outside_local_internet_domain.number)
		report_warning(check->report, one->relay_host.at, "relay_host",
		    "smtp_outside_local_internet_domain is disabled: no mail goes to the relay host");
	if (one->relay_host_authentication.number != RELAY_HOST_AUTHENTICATION_DISABLED &&
	    one->relay_host.text[0] == '\0')
		report_warning(check->report, one->relay_host_authentication.at, "relay_host_authentication",
		    "there is no relay_host");
	if (one->maximum_sessions_per_client.number > one->maximum_sessions.number)
		report_warning(check->report, one->maximum_sessions_per_client.at, "maximum_sessions_per_client",
		    "above maximum_sessions: one client can take every session");
	if (one->oversize_message.number == OVERSIZE_MESSAGE_REPORT)
		report_warning(check->report, one->oversize_message.at, "oversize_message",
		    "report: forged senders get our failure reports");
}

void
check_controls(struct check *check)
{
	for (size_t i = 0; i < check->settings->configuration_count; i++)
		check_document(check, &check->settings->configuration_documents[i]);
	warn_about(check, &check->settings->configuration);
}
