/* explain_view - see explain_view.h */
#include "master/matador/explain_view.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/matador/json_text.h"
#include "master/matador/terminal_text.h"

#define PLACE_WIDTH_MAX 60
#define NAME_WIDTH_MAX 50
#define MEMBERS_SHOWN 10

static const char *const outcome_words[] = { [ROUTE_DELIVER] = "deliver", [ROUTE_EXPAND] = "expand",
	[ROUTE_FORWARD] = "forward", [ROUTE_FAIL] = "fail", [ROUTE_DEFER] = "defer" };
static const char *const fate_words[] = { [ROUTE_LOOP] = "loop", [ROUTE_DUPLICATE] = "duplicate",
	[ROUTE_NOT_ASKED] = "not_asked" };
static const char *const failure_words[FAILURE_CLASS_COUNT] = { [FAILURE_NONE] = "", [FAILURE_TRANSFER] = "transfer",
	[FAILURE_DELIVERY] = "delivery", [FAILURE_EXPIRATION] = "expiration", [FAILURE_DOMAIN] = "domain",
	[FAILURE_SERVER] = "server", [FAILURE_USERNAME] = "username", [FAILURE_SIZE] = "size",
	[FAILURE_RESTRICTION] = "restriction" };
static const char *const state_words[MAIL_HOST_STATE_COUNT] = { [MAIL_HOST_USABLE] = "usable",
	[MAIL_HOST_FAILED] = "failed", [MAIL_HOST_NO_ADDRESS] = "no_address", [MAIL_HOST_NO_ANSWER] = "no_answer",
	[MAIL_HOST_OURS] = "ours", [MAIL_HOST_BEHIND_OURS] = "behind_ours" };
static const char *const hosts_words[MAIL_HOSTS_OUTCOME_COUNT] = { [MAIL_HOSTS_FOUND] = "found",
	[MAIL_HOSTS_NO_NAME] = "no_name", [MAIL_HOSTS_NO_DATA] = "no_data", [MAIL_HOSTS_NO_ADDRESS] = "no_address",
	[MAIL_HOSTS_NULL_MX] = "null_mx", [MAIL_HOSTS_LOOP] = "loop", [MAIL_HOSTS_ALL_FAILED] = "all_failed",
	[MAIL_HOSTS_NO_ANSWER] = "no_answer" };
static const char *const security_words[] = { [DNS_INSECURE] = "insecure", [DNS_SECURE] = "secure",
	[DNS_BOGUS] = "bogus" };

/* ---- text ---- */

static void
append_steps(struct buffer *out, const struct route_told *told)
{
	char place[ENVELOPE_TEXT_MAX + 16];
	size_t width = 0;

	for (size_t i = 0; i < told->step_count; i++) {
		terminal_format_place(told->steps[i].file, told->steps[i].line, place, sizeof(place));
		if (strlen(place) > width && strlen(place) <= PLACE_WIDTH_MAX)
			width = strlen(place);
	}
	for (size_t i = 0; i < told->step_count; i++) {
		terminal_format_place(told->steps[i].file, told->steps[i].line, place, sizeof(place));
		buffer_append_string(out, "    ");
		terminal_append_column(out, place, width);
		buffer_append_string(out, "  ");
		terminal_append(out, told->steps[i].text);
		buffer_append_byte(out, '\n');
	}
}

/* "1h2m3s" */
static void
append_duration(struct buffer *out, uint32_t seconds)
{
	if (seconds >= 3600)
		buffer_printf(out, "%uh", (unsigned)(seconds / 3600));
	if (seconds >= 60)
		buffer_printf(out, "%um", (unsigned)(seconds / 60 % 60));
	buffer_printf(out, "%us", (unsigned)(seconds % 60));
}

static void
append_host_state(struct buffer *out, const struct told_host *host)
{
	static const char *const texts[MAIL_HOST_STATE_COUNT] = { [MAIL_HOST_USABLE] = "usable",
		[MAIL_HOST_FAILED] = "failed", [MAIL_HOST_NO_ADDRESS] = "skipped: no address",
		[MAIL_HOST_NO_ANSWER] = "skipped: no answer of the DNS", [MAIL_HOST_OURS] = "skipped: this server",
		[MAIL_HOST_BEHIND_OURS] = "skipped: not preferred over this server" };

	buffer_append_string(out, texts[host->state]);
	if (host->state == MAIL_HOST_FAILED) {
		buffer_append_string(out, ", not tried for ");
		append_duration(out, host->failed_seconds);
	}
	if (host->text[0] != '\0') {
		buffer_append_string(out, " (");
		terminal_append(out, host->text);
		buffer_append_byte(out, ')');
	}
	buffer_append_byte(out, '\n');
}

static void
append_hosts(struct buffer *out, const struct route_told *told)
{
	size_t width = 0, address_width = 0;

	if (!told->hosts_told)
		return;
	buffer_printf(out, "  %-10s %s, port %u", "hosts", !told->by_mx ? "by address" : told->implicit ?
	    "the domain itself: it has no MX records" : "by MX records", (unsigned)told->port);
	buffer_append_string(out, told->hosts_security == DNS_SECURE ? ", validated\n" : told->hosts_security == DNS_BOGUS ?
	    ", bogus\n" : "\n");
	for (size_t i = 0; i < told->host_count; i++) {
		size_t length = strlen(told->hosts[i].name), address_length = strlen(told->hosts[i].addresses);

		width = length > width && length <= NAME_WIDTH_MAX ? length : width;
		address_width = address_length > address_width && address_length <= NAME_WIDTH_MAX ? address_length :
		    address_width;
	}
	for (size_t i = 0; i < told->host_count; i++) {
		const struct told_host *host = &told->hosts[i];

		buffer_printf(out, "    %3zu  %5u  ", i + 1, (unsigned)host->preference);
		terminal_append_column(out, host->name[0] == '\0' ? "." : host->name, width);
		buffer_append_string(out, "  ");
		terminal_append_column(out, host->addresses[0] == '\0' ? "-" : host->addresses, address_width);
		buffer_append_string(out, "  ");
		append_host_state(out, host);
	}
}

/* What happens with such hosts; resolver's own words where it has some. */
static void
append_hosts_outcome(struct buffer *out, const struct route_told *told)
{
	static const char *const texts[MAIL_HOSTS_OUTCOME_COUNT] = {
		[MAIL_HOSTS_FOUND] = "in this order",
		[MAIL_HOSTS_NO_NAME] = "the name does not exist",
		[MAIL_HOSTS_NO_DATA] = "the name has neither MX records nor addresses",
		[MAIL_HOSTS_NO_ADDRESS] = "none of its hosts has an address",
		[MAIL_HOSTS_NULL_MX] = "the domain takes no mail",
		[MAIL_HOSTS_LOOP] = "this server is the best host itself",
		[MAIL_HOSTS_ALL_FAILED] = "all hosts have failed",
		[MAIL_HOSTS_NO_ANSWER] = "the DNS gives no answer",
	};

	if (!told->hosts_told)
		return;
	buffer_printf(out, "  %-10s ", "attempt");
	if (told->hosts_outcome == MAIL_HOSTS_ALL_FAILED)
		append_duration(out, told->retry_seconds);
	buffer_append_string(out, told->hosts_outcome == MAIL_HOSTS_FOUND ? "now: " :
	    told->hosts_outcome == MAIL_HOSTS_ALL_FAILED ? " from now: " :
	    told->hosts_outcome == MAIL_HOSTS_NO_ANSWER || !told->own_domain ? "later: " : "fails: ");
	terminal_append(out, told->hosts_text[0] != '\0' ? told->hosts_text : texts[told->hosts_outcome]);
	buffer_append_byte(out, '\n');
}

static void
append_members(struct buffer *out, const struct route_told *told)
{
	for (size_t i = 0; i < told->member_count && i < MEMBERS_SHOWN; i++)
		terminal_append_fact(out, i == 0 ? told->is_forward ? "forward to" : "members" : "", told->members[i]);
	if (told->member_count > MEMBERS_SHOWN)
		buffer_printf(out, "  %-10s and %zu more\n", "", told->member_count - MEMBERS_SHOWN);
}

static void
append_decision(struct buffer *out, const struct route_told *told)
{
	terminal_append_fact(out, "decision", outcome_words[told->outcome]);
	if (told->outcome == ROUTE_DELIVER) {
		terminal_append_fact(out, "transport", transport_name(told->transport));
		terminal_append_fact(out, "next hop", told->next_hop);
		terminal_append_fact(out, told->transport == TRANSPORT_LOCAL ? "mail file" : "address", told->delivery_address);
	}
	append_members(out, told);
	terminal_append_fact(out, "class", failure_words[told->failure]);
	terminal_append_fact(out, "status", told->status);
	terminal_append_fact(out, "reason", told->text);
	terminal_append_fact(out, "rule", told->rule);
}

void
explain_view_text(struct buffer *out, const struct route_told *told)
{
	if (told->from != NULL)
		buffer_append_byte(out, '\n');
	terminal_append(out, told->address);
	if (told->from != NULL) {
		buffer_append_string(out, told->from->is_forward ? "  (forwarded from " : "  (member of ");
		terminal_append(out, told->from->address);
		buffer_append_byte(out, ')');
	}
	buffer_append_byte(out, '\n');
	append_steps(out, told);
	if (told->rule != NULL)
		append_decision(out, told);
	append_hosts(out, told);
	append_hosts_outcome(out, told);
	if (told->fate == ROUTE_LOOP)
		terminal_append_fact(out, "loop", "it comes from this address itself; nothing is sent this way");
	else if (told->fate == ROUTE_DUPLICATE)
		terminal_append_fact(out, "duplicate", told->rule == NULL ? "it is a recipient already, and gets one copy" :
		    "another recipient ends there already, and gets the one copy");
	else if (told->fate == ROUTE_NOT_ASKED)
		terminal_append_fact(out, "not asked", "too many recipients to be explained; they are routed like the others");
}

/* ---- JSON ---- */

static void
add_steps(cJSON *object, const struct route_told *told)
{
	cJSON *steps = cJSON_AddArrayToObject(object, "steps");

	for (size_t i = 0; i < told->step_count; i++) {
		cJSON *step = cJSON_CreateObject();

		json_add_text(step, "file", told->steps[i].file);
		cJSON_AddNumberToObject(step, "line", told->steps[i].line);
		json_add_text(step, "text", told->steps[i].text);
		cJSON_AddItemToArray(steps, step);
	}
}

static void
add_hosts(cJSON *object, const struct route_told *told)
{
	cJSON *hosts = cJSON_AddArrayToObject(object, "hosts");

	for (size_t i = 0; i < told->host_count; i++) {
		const struct told_host *one = &told->hosts[i];
		cJSON *host = cJSON_CreateObject(), *addresses;
		char *text = one->addresses;

		cJSON_AddNumberToObject(host, "preference", one->preference);
		json_add_text(host, "name", one->name);
		addresses = cJSON_AddArrayToObject(host, "addresses");
		while (text[0] != '\0') {
			char *end = text + strcspn(text, ",");
			char address[64];

			snprintf(address, sizeof(address), "%.*s", (int)(end - text), text);
			cJSON_AddItemToArray(addresses, cJSON_CreateString(address));
			text = end + strspn(end, ", ");
		}
		cJSON_AddStringToObject(host, "state", state_words[one->state]);
		cJSON_AddStringToObject(host, "security", security_words[one->security]);
		cJSON_AddNumberToObject(host, "failed_seconds", one->failed_seconds);
		json_add_text(host, "text", one->text);
		cJSON_AddItemToArray(hosts, host);
	}
	cJSON_AddStringToObject(object, "hosts_outcome", hosts_words[told->hosts_outcome]);
	json_add_text(object, "hosts_text", told->hosts_text);
	cJSON_AddStringToObject(object, "hosts_security", security_words[told->hosts_security]);
	cJSON_AddBoolToObject(object, "own_domain", told->own_domain);
	cJSON_AddBoolToObject(object, "by_mx", told->by_mx);
	cJSON_AddBoolToObject(object, "implicit_mx", told->implicit);
	cJSON_AddNumberToObject(object, "port", told->port);
	cJSON_AddNumberToObject(object, "retry_seconds", told->retry_seconds);
}

static void
add_decision(cJSON *object, const struct route_told *told)
{
	cJSON *members = cJSON_AddArrayToObject(object, "members");

	for (size_t i = 0; i < told->member_count; i++)
		cJSON_AddItemToArray(members, json_make_text(told->members[i]));
	cJSON_AddStringToObject(object, "transport", told->transport == TRANSPORT_NONE ? "" :
	    transport_name(told->transport));
	json_add_text(object, "next_hop", told->next_hop);
	json_add_text(object, "delivery_address", told->delivery_address);
	cJSON_AddStringToObject(object, "failure", failure_words[told->failure]);
	json_add_text(object, "status", told->status);
	json_add_text(object, "reason", told->text);
	json_add_text(object, "rule", told->rule);
}

void
explain_view_json(struct buffer *out, const struct route_told *told)
{
	cJSON *object = cJSON_CreateObject();
	char *text;

	json_add_text(object, "address", told->address);
	json_add_text(object, "from", told->from == NULL ? "" : told->from->address);
	cJSON_AddNumberToObject(object, "forwards", told->forwards);
	cJSON_AddStringToObject(object, "decision", told->fate == ROUTE_ASKED ? outcome_words[told->outcome] :
	    fate_words[told->fate]);
	add_steps(object, told);
	if (told->rule != NULL)
		add_decision(object, told);
	if (told->hosts_told)
		add_hosts(object, told);
	text = cJSON_PrintUnformatted(object);
	buffer_append_string(out, text);
	buffer_append_byte(out, '\n');
	cJSON_free(text);
	cJSON_Delete(object);
}
