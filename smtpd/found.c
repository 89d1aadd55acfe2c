/* found - see found.h */
#include "smtpd/found.h"

#include <arpa/inet.h>

#include "smtpd/rules.h"
#include "smtpd/spf_verdict.h"

static void
append_host_names(struct buffer *out, const struct host_names *names)
{
	if (names->state != HOST_NAMES_FOUND)
		buffer_append_string(out, names->state == HOST_NAMES_NONE ? "none" : "no answer of the DNS");
	for (size_t i = 0; names->state == HOST_NAMES_FOUND && i < names->count; i++)
		buffer_printf(out, "%s%s (%s)", i == 0 ? "" : ", ", names->names[i].name,
		    names->names[i].is_confirmed ? "confirmed" : "not confirmed");
}

static void
append_zone(struct buffer *out, const char *zone, const struct dns_list_answer *answer)
{
	char address[INET_ADDRSTRLEN];

	buffer_printf(out, "%s ", zone);
	if (!answer->has_answered)
		buffer_append_string(out, "silent");
	else if (answer->count == 0)
		buffer_append_string(out, "not listed");
	for (size_t i = 0; answer->has_answered && i < answer->count; i++)
		buffer_printf(out, "%s%s", i == 0 ? "" : " ",
		    inet_ntop(AF_INET, &answer->answers[i], address, sizeof(address)));
}

/* The zones of one setting that were asked. */
static void
append_zones(struct buffer *out, const struct setting *zones, const struct dns_list_answer *answers, bool *has_some)
{
	for (size_t i = 0; i < zones->count; i++) {
		if (*has_some)
			buffer_append_string(out, ", ");
		*has_some = true;
		append_zone(out, zones->items[i].text, &answers[i]);
	}
}

static void
append_dns_lists(struct buffer *out, const struct document_configuration *configuration, const struct dns_lists *lists)
{
	const struct setting *white = &configuration->dns_whitelist_sites, *black = &configuration->dns_blacklist_sites;
	bool has_some = false;

	if (lists->count != white->count + black->count) {
		buffer_append_string(out, "no answer");
		return;
	}
	if (configuration->dns_whitelist_filters.number)
		append_zones(out, white, lists->answers, &has_some);
	if (configuration->dns_blacklist_filters.number)
		append_zones(out, black, lists->answers + white->count, &has_some);
}

static void
append_spf(struct buffer *out, const struct fact_answer *answer)
{
	buffer_printf(out, "HELO %s, MAIL FROM %s", spf_verdict_word(answer->spf.helo),
	    spf_verdict_word(answer->spf.mail));
	if (answer->spf.text[0] != '\0')
		buffer_printf(out, " (%s)", answer->spf.text);
}

static const char *
directory_word(enum recipient_finding finding)
{
	switch (finding) {
	case RECIPIENT_IS_UNKNOWN: return "nobody";
	case RECIPIENT_IS_PERSON: return "one person or database";
	case RECIPIENT_IS_GROUP: return "a group";
	case RECIPIENT_IS_AMBIGUOUS: return "several entries";
	case RECIPIENT_CANNOT_BE_FOUND_NOW: break;
	}
	return "no answer";
}

static const char *
rate_word(enum rate_state state)
{
	return state == RATE_WITHIN ? "within" : state == RATE_EXCEEDED ? "exceeded" : "no answer";
}

static const char *
sender_domain_word(enum sender_domain_state state)
{
	return state == SENDER_DOMAIN_EXISTS ? "exists" : state == SENDER_DOMAIN_MISSING ? "has neither MX nor address" :
	    "no answer of the DNS";
}

void
found_append(struct buffer *out, const struct rules *rules, const struct fact_answer *answer)
{
	static const char *const words[FACT_COUNT] = {
#define FACT(symbol, scope, word, meaning) [FACT_##symbol] = word,
#include "smtpd/controls/facts.def"
#undef FACT
	};

	buffer_printf(out, "%s: ", words[answer->fact]);
	switch (answer->fact) {
	case FACT_ADMISSION:
	case FACT_MESSAGE_RATE:
	case FACT_RECIPIENT_RATE:
		buffer_append_string(out, rate_word(answer->rate.state));
		break;
	case FACT_PATIENCE:
		buffer_append_string(out, answer->spoke_early ? "spoke before the greeting" : "waits for the greeting");
		break;
	case FACT_HOST_NAMES:
		append_host_names(out, answer->host_names);
		break;
	case FACT_DNS_LISTS:
		append_dns_lists(out, rules_configuration(rules), answer->dns_lists);
		break;
	case FACT_SENDER_DOMAIN:
		buffer_append_string(out, sender_domain_word(answer->sender_domain));
		break;
	case FACT_SPF:
		append_spf(out, answer);
		break;
	case FACT_DIRECTORY:
		buffer_append_string(out, directory_word(answer->directory));
		break;
	case FACT_CALL_OUT:
		buffer_append_string(out, answer->call_out.finding == CALL_OUT_TAKEN ? "taken" :
		    answer->call_out.finding == CALL_OUT_REFUSED ? "refused" : "no answer");
		break;
	case FACT_GREYLIST:
		buffer_append_string(out, answer->greylist.finding == GREYLIST_KNOWN ? "known" :
		    answer->greylist.finding == GREYLIST_TOO_SOON ? "not known, or too soon" : "no answer");
		break;
	case FACT_COUNT:
		break;
	}
}
