/* check_inbound - inbound controls that are set in a way in which they cannot act, in the document in force */
#include <string.h>
#include <strings.h>

#include "common/conf/check.h"
#include "common/conf/dns_list_weight.h"
#include "common/conf/report.h"

/* is_idle: for the reason given, what the setting says is never done. */
static void
warn_idle(struct check *check, const struct setting *setting, const char *key, bool is_idle, const char *reason)
{
	if (setting->given && is_idle)
		report_warning(check->report, setting->at, key, "%s", reason);
}

static bool
names_zone(const struct setting *sites, const char *zone)
{
	for (size_t i = 0; i < sites->count; i++)
		if (strcasecmp(sites->items[i].text, zone) == 0)
			return true;
	return false;
}

static void
check_weights(struct check *check, const struct document_configuration *one)
{
	struct dns_list_weight weight;

	for (size_t i = 0; i < one->dns_list_weight.count; i++) {
		const struct setting_item *item = &one->dns_list_weight.items[i];

		if (dns_list_weight_parse(item->text, &weight, NULL) == 0 &&
		    !names_zone(&one->dns_blacklist_sites, weight.zone) &&
		    !names_zone(&one->dns_whitelist_sites, weight.zone))
			report_warning(check->report, item->at, "dns_list_weight", "%s is neither one of "
			    "dns_blacklist_sites nor of dns_whitelist_sites: nobody asks it", weight.zone);
	}
	warn_idle(check, &one->dns_list_weight, "dns_list_weight",
	    one->dns_list_weight.count > 0 && one->dns_list_threshold.number == 0,
	    "dns_list_threshold is 0: nothing is weighed, the first blacklist that has a client decides");
	warn_idle(check, &one->dns_list_threshold, "dns_list_threshold", one->dns_list_threshold.number > 0 &&
	    !one->dns_blacklist_filters.number, "dns_blacklist_filters is disabled: nothing is weighed");
}

static void
check_subjects(struct check *check, const struct document_configuration *one)
{
	bool nobody = one->relay_enforcement.number == RELAY_ENFORCEMENT_NONE;

	warn_idle(check, &one->greylist, "greylist", one->greylist.number && nobody,
	    "relay_enforcement is none: only hosts that are subject to it are greylisted");
	if (one->greylist_window.number <= one->greylist_delay.number)
		report_error(check->report, check_where(check, one->greylist_window.at), "greylist_window",
		    "found %s, in which nobody could come again in time; allowed: more than greylist_delay",
		    one->greylist_window.text);
	warn_idle(check, &one->greeting_delay, "greeting_delay", one->greeting_delay.number > 0 && nobody,
	    "relay_enforcement is none: only hosts that are subject to it wait for the greeting");
	warn_idle(check, &one->early_talker_action, "early_talker_action", one->greeting_delay.number == 0,
	    "greeting_delay is 0: nobody can speak too early");
}

static void
check_replies(struct check *check, const struct document_configuration *one)
{
	warn_idle(check, &one->private_blacklist_reply, "private_blacklist_reply",
	    one->private_blacklist_action.number != PRIVATE_BLACKLIST_ACTION_LOG_AND_REJECT,
	    "private_blacklist_action is not log_and_reject: nobody reads this");
	warn_idle(check, &one->dns_blacklist_reply, "dns_blacklist_reply",
	    one->dns_blacklist_action.number != DNS_BLACKLIST_ACTION_LOG_AND_REJECT,
	    "dns_blacklist_action is not log_and_reject: nobody reads this");
}

/* Whether mail for local recipients can go on by SMTP or LMTP. */
static bool
local_mail_goes_on(const struct check *check, const struct document_configuration *one)
{
	return one->local_smart_host.text[0] != '\0' || check->settings->server_count > 1 ||
	    strcmp(one->local_delivery.text, "maildir") != 0;
}

static void
check_recipients(struct check *check, const struct document_configuration *one)
{
	warn_idle(check, &one->reject_ambiguous_recipients, "reject_ambiguous_recipients",
	    one->reject_ambiguous_recipients.number && !one->verify_local_recipients.number,
	    "verify_local_recipients is disabled: no recipient is looked up");
	warn_idle(check, &one->deny_mail_to_groups, "deny_mail_to_groups",
	    one->deny_mail_to_groups.number && !one->verify_local_recipients.number,
	    "verify_local_recipients is disabled: no recipient is looked up");
	warn_idle(check, &one->recipient_call_out, "recipient_call_out",
	    one->recipient_call_out.number && !local_mail_goes_on(check, one), "there is no host to ask: "
	    "local_smart_host is empty, local_delivery is maildir, and there is no other server");
}

void
check_inbound(struct check *check)
{
	const struct document_configuration *one = &check->settings->configuration;

	check_weights(check, one);
	check_subjects(check, one);
	check_replies(check, one);
	check_recipients(check, one);
}
