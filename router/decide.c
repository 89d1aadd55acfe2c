/* decide - see decide.h; this file: what every table shares, and table 4.A */
#include "router/decide.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mail/notes_name.h"
#include "common/mail/recipient_lookup.h"

void
decide_fail(struct decision *decision, enum failure_class failure, const char *status, const char *format, ...)
{
	va_list arguments;

	decision->outcome = ROUTE_FAIL;
	decision->failure = failure;
	snprintf(decision->status, sizeof(decision->status), "%s", status);
	va_start(arguments, format);
	vsnprintf(decision->text, sizeof(decision->text), format, arguments);
	va_end(arguments);
}

void
decide_rule(struct decision *decision, const char *document, const char *title, const struct position *at)
{
	snprintf(decision->rule, sizeof(decision->rule), "%s \"%.200s\" %.250s:%u", document, title, at->file,
	    (unsigned)at->line);
}

void
decide_rule_of_setting(const struct question *question, struct decision *decision, const char *key,
    const struct setting *setting)
{
	const struct document_configuration *configuration = &question->rules->settings->configuration;

	if (setting->at.line == 0)
		snprintf(decision->rule, sizeof(decision->rule), "default of %s", key);
	else
		snprintf(decision->rule, sizeof(decision->rule), "configuration \"%.100s\" %.250s:%u %s",
		    configuration->title == NULL ? "" : configuration->title, setting->at.file,
		    (unsigned)setting->at.line, key);
}

void
decide_no_route(const struct question *question, enum failure_class failure, const char *domain, const char *why,
    struct decision *decision)
{
	decide_fail(decision, failure, "5.4.4", "No route found to domain %.250s from server %.250s. Check Server, "
	    "Connection and Domain documents in Domino Directory%s%s", domain, question->rules->settings->matador.server_name.text,
	    why[0] == '\0' ? "" : ": ", why);
	trace_step(question->trace, NULL, "%s", decision->text);
}

/* No SMTP session can be opened. */
static void
decide_smtp_disabled(const struct question *question, const char *next_hop, struct decision *decision)
{
	const struct document_server *server = &question->rules->settings->server;
	const struct setting *status = &server->smtp_outbound_tcp_status;

	decision->outcome = ROUTE_DEFER;
	snprintf(decision->status, sizeof(decision->status), "4.3.5");
	snprintf(decision->text, sizeof(decision->text), "no SMTP session to %.250s can be opened: tcp_status of "
	    "smtp_outbound in the Server document is disabled", next_hop);
	decide_rule(decision, "server", server->title, &status->at);
	trace_step(question->trace, &status->at, "%s", decision->text);
}

void
decide_next_hop(const struct question *question, const char *next_hop, const char *address,
    struct decision *decision)
{
	const struct document_server *server = &question->rules->settings->server;
	bool lmtp = strncasecmp(next_hop, "lmtp:", 5) == 0;

	if (!lmtp && server->smtp_outbound_tcp_status.number == SMTP_OUTBOUND_TCP_STATUS_DISABLED) {
		decide_smtp_disabled(question, next_hop, decision);
		return;
	}
	decision->outcome = ROUTE_DELIVER;
	decision->transport = lmtp ? TRANSPORT_LMTP : TRANSPORT_SMTP;
	snprintf(decision->next_hop, sizeof(decision->next_hop), "%s", lmtp ? next_hop + 5 : next_hop);
	snprintf(decision->address, sizeof(decision->address), "%s", address);
	for (char *c = decision->next_hop; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
}

bool
decide_hops(const struct question *question, struct decision *decision)
{
	const struct setting *maximum = &question->rules->settings->configuration.maximum_hop_count;

	trace_step(question->trace, &maximum->at, "%u forwards so far, maximum_hop_count is %lld",
	    question->forwards, (long long)maximum->number);
	if (question->forwards <= maximum->number)
		return false;
	decide_rule_of_setting(question, decision, "maximum_hop_count", maximum);
	decide_fail(decision, FAILURE_TRANSFER, "5.4.6",
	    "Maximum hop count exceeded. Message probably in a routing loop.");
	return true;
}

static void
decide_smart_host(const struct question *question, const struct classification *class, struct decision *decision)
{
	const struct setting *smart_host = &question->rules->settings->configuration.local_smart_host;

	decide_rule_of_setting(question, decision, "local_smart_host", smart_host);
	trace_step(question->trace, &smart_host->at, "to the smart host %s", smart_host->text);
	decide_next_hop(question, smart_host->text, class->address.text, decision);
}

bool
decide_smart_host_for_all(const struct question *question, const struct classification *class,
    struct decision *decision)
{
	const struct document_configuration *configuration = &question->rules->settings->configuration;

	if (configuration->local_smart_host.text[0] == '\0' ||
	    configuration->smart_host_for_all_local_recipients.number == 0)
		return false;
	trace_step(question->trace, &configuration->smart_host_for_all_local_recipients.at,
	    "smart_host_for_all_local_recipients is enabled: nobody is looked up");
	decide_smart_host(question, class, decision);
	return true;
}

/* The address that an LMTP server or another server of ours is given for this entry. */
static void
address_of_entry(const struct question *question, const struct entry *entry, const char *host, char *address,
    size_t size)
{
	char common[NOTES_NAME_MAX];
	struct address made;

	if (entry->internet_address[0] != '\0')
		snprintf(address, size, "%s", entry->internet_address);
	else if (address_parse(question->recipient, strlen(question->recipient), ADDRESS_ALLOW_UTF8, &made,
	    NULL) == 0)
		snprintf(address, size, "%s", made.text);
	else if (notes_name_common(entry->name, common) &&
	    address_make(common, host, ADDRESS_ALLOW_UTF8, &made, NULL) == 0)
		snprintf(address, size, "%s", made.text);
	else
		snprintf(address, size, "%s", entry->mail_file);
}

static void
deliver_locally(const struct question *question, const struct entry *entry, struct decision *decision)
{
	const struct settings *settings = question->rules->settings;
	const struct setting *delivery = &settings->configuration.local_delivery;

	if (strncasecmp(delivery->text, "lmtp:", 5) == 0) {
		char address[ENVELOPE_TEXT_MAX + 1];

		address_of_entry(question, entry, settings->server.internet_host_name.text, address,
		    sizeof(address));
		trace_step(question->trace, &delivery->at, "the mail file %s is on this server, behind %s",
		    entry->mail_file, delivery->text);
		decide_next_hop(question, delivery->text, address, decision);
		return;
	}
	decision->outcome = ROUTE_DELIVER;
	decision->transport = TRANSPORT_LOCAL;
	snprintf(decision->address, sizeof(decision->address), "%s", entry->mail_file);
	trace_step(question->trace, NULL, "the mail file %s is on this server", entry->mail_file);
}

void
decide_entry(const struct question *question, const struct entry *entry, struct decision *decision)
{
	static const char *const documents[] = { "person", "mail_in_database", "group" };
	const struct settings *settings = question->rules->settings;
	const struct position at = { entry->file, entry->line };
	char address[ENVELOPE_TEXT_MAX + 1];

	decide_rule(decision, documents[entry->kind], entry->name, &at);
	trace_step(question->trace, &at, "found %s \"%s\"", documents[entry->kind], entry->name);
	if (entry->forwarding_address[0] != '\0') {
		decision->outcome = ROUTE_FORWARD;
		snprintf(decision->address, sizeof(decision->address), "%s", entry->forwarding_address);
		trace_step(question->trace, &at, "forwarded to %s", entry->forwarding_address);
	} else if (entry->mail_file[0] == '\0') {
		decide_fail(decision, FAILURE_USERNAME, "5.2.1",
		    "%.250s has no mail file and no forwarding address in the Domino Directory", entry->name);
	} else if (entry->mail_server[0] == '\0' ||
	    notes_name_equal(entry->mail_server, settings->matador.server_name.text)) {
		deliver_locally(question, entry, decision);
	} else {
		const struct document_server *server = classify_find_server(settings, entry->mail_server);

		address_of_entry(question, entry, server == NULL ? "" : server->internet_host_name.text, address,
		    sizeof(address));
		decide_server(question, entry->mail_server, address, decision);
	}
}

/* postmaster, abuse and root are always somebody: RFC 5321 4.5.1, RFC 2142. */
static bool
decide_role(const struct question *question, const char *local_part, struct decision *decision)
{
	const struct setting *postmaster = &question->rules->settings->matador.postmaster;

	if (!is_role_local_part(local_part) || postmaster->text[0] == '\0')
		return false;
	decision->outcome = ROUTE_FORWARD;
	snprintf(decision->address, sizeof(decision->address), "%s", postmaster->text);
	snprintf(decision->rule, sizeof(decision->rule), "postmaster %.250s:%u", postmaster->at.file,
	    (unsigned)postmaster->at.line);
	trace_step(question->trace, &postmaster->at, "mail for %s goes to %s", local_part, postmaster->text);
	return true;
}

void
decide_unknown(const struct question *question, const struct classification *class, struct decision *decision)
{
	bool is_internet = class->class == CLASS_LOCAL_INTERNET;
	const char *local_part = is_internet ? class->address.local_part : class->name;
	const struct setting *smart_host = &question->rules->settings->configuration.local_smart_host;

	trace_step(question->trace, NULL, "%s is not in the Directory", question->recipient);
	if (decide_role(question, local_part, decision))
		return;
	if (is_internet && smart_host->text[0] != '\0') {
		decide_smart_host(question, class, decision);
		return;
	}
	if (is_internet)
		trace_step(question->trace, &smart_host->at, "there is no local_smart_host");
	decide_fail(decision, FAILURE_USERNAME, "5.1.1", "User %.250s (%.350s) not listed in Domino Directory",
	    local_part, question->recipient);
}

void
decide_ambiguous(const struct question *question, const char *name, struct decision *decision)
{
	decide_fail(decision, FAILURE_USERNAME, "5.1.4",
	    "User %.250s (%.350s) not unique. Several matches found in Domino "
	    "Directory", name, question->recipient);
	trace_step(question->trace, NULL, "%s", decision->text);
}

void
decide_malformed(const struct question *question, struct decision *decision)
{
	decide_fail(decision, FAILURE_USERNAME, "5.1.3", "%.350s is not a valid name or address",
	    question->recipient);
}

void
decide_unavailable(const struct question *question, struct decision *decision)
{
	decision->outcome = ROUTE_DEFER;
	snprintf(decision->status, sizeof(decision->status), "4.4.3");
	snprintf(decision->text, sizeof(decision->text), "the Directory is not available");
	trace_step(question->trace, NULL, "%s", decision->text);
}

void
decide_group(const struct question *question, const struct entry *entry, uint32_t members,
    struct decision *decision)
{
	const struct setting *maximum = &question->rules->settings->configuration.maximum_group_members;
	const struct setting *depth = &question->rules->settings->configuration.maximum_group_depth;
	const struct position at = { entry->file, entry->line };

	decide_rule(decision, "group", entry->name, &at);
	trace_step(question->trace, &at, "group \"%s\" has %u member%s", entry->name, (unsigned)members,
	    members == 1 ? "" : "s");
	if (members == 0) {
		decide_fail(decision, FAILURE_USERNAME, "5.2.4", "Group %.250s has no members", entry->name);
	} else if (members > maximum->number) {
		decide_rule_of_setting(question, decision, "maximum_group_members", maximum);
		decide_fail(decision, FAILURE_RESTRICTION, "5.5.3", "Group %.250s has more than %lld members",
		    entry->name, (long long)maximum->number);
	} else if (question->forwards >= depth->number) {
		decide_rule_of_setting(question, decision, "maximum_group_depth", depth);
		decide_fail(decision, FAILURE_TRANSFER, "5.4.6", "Group %.250s is nested deeper than %lld groups",
		    entry->name, (long long)depth->number);
	} else {
		decision->outcome = ROUTE_EXPAND;
	}
}
