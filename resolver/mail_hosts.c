/* mail_hosts - see mail_hosts.h */
#include "resolver/mail_hosts.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

/* The look-up of one host's addresses. */
struct host_lookup {
	struct mail_hosts *hosts;
	struct asker *asker;		/* NULL: answered */
	struct mx_host *host;
};

struct mail_hosts {
	const struct mail_hosts_means *means;
	char *name;			/* owned */
	uint16_t port;
	unsigned flags;
	mail_hosts_cb answered;
	void *context;
	struct asker *asker;		/* of the MX records or of the hosts file; NULL: answered */
	struct mx_list list;
	struct host_lookup *lookups;	/* one for each host of the list */
	struct mail_hosts_result result;
	enum mail_hosts_outcome without_address;	/* what it means that no host has an address */
	char text[512];
	struct event patience;
};

/* ---- the end ---------------------------------------------------------------------------------- */

static void
stop_lookups(struct mail_hosts *hosts)
{
	size_t i;

	if (hosts->asker != NULL)
		hosts->means->forget(hosts->means->context, &hosts->asker);
	for (i = 0; hosts->lookups != NULL && i < hosts->list.count; i++)
		if (hosts->lookups[i].asker != NULL)
			hosts->means->forget(hosts->means->context, &hosts->lookups[i].asker);
}

void
mail_hosts_free(struct mail_hosts **hosts)
{
	struct mail_hosts *mine = *hosts;

	if (mine == NULL)
		return;
	stop_lookups(mine);
	event_del(&mine->patience);
	mx_list_free(&mine->list);
	free(mine->lookups);
	free(mine->name);
	free(mine);
	*hosts = NULL;
}

static void
answer(struct mail_hosts *hosts)
{
	hosts->result.list = &hosts->list;
	hosts->answered(hosts->context, &hosts->result);
	mail_hosts_free(&hosts);
}

static void
answer_without_hosts(struct mail_hosts *hosts, enum mail_hosts_outcome outcome)
{
	hosts->result.outcome = outcome;
	hosts->result.text = hosts->text;
	answer(hosts);
}

/* All that is known of the hosts is said. */
static void
answer_with_hosts(struct mail_hosts *hosts)
{
	const char *text;

	hosts->result.outcome = mx_list_outcome(&hosts->list, &hosts->result.retry_seconds, &text);
	if (hosts->result.outcome == MAIL_HOSTS_NO_ADDRESS)
		hosts->result.outcome = hosts->without_address;
	hosts->result.text = text;
	answer(hosts);
}

/* ---- addresses -------------------------------------------------------------------------------- */

static bool
has_our_address(const struct mail_hosts *hosts, const struct mx_host *host)
{
	struct wire_reader reader;
	uint16_t i;

	wire_reader_init(&reader, buffer_text(&host->addresses), host->addresses.length);
	for (i = 0; i < host->count; i++)
		if (hosts->means->is_our_address(hosts->means->context, wire_get_bytes(&reader, 16), hosts->port))
			return true;
	return false;
}

static void
recall(const struct mail_hosts *hosts, struct mx_host *host)
{
	const char *text;
	int64_t remaining = host_memory_remaining(hosts->means->memory, host->name, hosts->port, clock_boottime_ms(),
	    &text);

	if (remaining == 0 || (hosts->flags & MAIL_HOSTS_FRESH) != 0)
		return;
	host->state = MAIL_HOST_FAILED;
	host->failed_seconds = (uint32_t)((remaining + 999) / 1000);
	snprintf(host->text, sizeof(host->text), "%.500s", text);
}

static void
judge_host(struct mail_hosts *hosts, struct mx_host *host, const struct dns_answer *addresses)
{
	host->known = true;
	host->security = (enum dns_security)addresses->security;
	switch (addresses->outcome) {
	case DNS_FOUND:
		break;
	case DNS_NO_ANSWER:
		host->state = MAIL_HOST_NO_ANSWER;
		snprintf(host->text, sizeof(host->text), "%.500s", addresses->text);
		return;
	case DNS_NO_NAME:
		if ((hosts->flags & MAIL_HOSTS_NO_MX) != 0)
			hosts->without_address = MAIL_HOSTS_NO_NAME;
		host->state = MAIL_HOST_NO_ADDRESS;
		snprintf(host->text, sizeof(host->text), "there is no such name");
		return;
	default:
		host->state = MAIL_HOST_NO_ADDRESS;
		snprintf(host->text, sizeof(host->text), "it has no address");
		return;
	}
	host->count = addresses->count;
	buffer_append(&host->addresses, addresses->records.data, addresses->records.length);
	if (has_our_address(hosts, host)) {
		host->state = MAIL_HOST_OURS;
		snprintf(host->text, sizeof(host->text), "it has an address at which this server listens");
		mx_list_cut(&hosts->list);
	} else {
		recall(hosts, host);
	}
}

static bool
all_known(const struct mail_hosts *hosts)
{
	size_t i;

	for (i = 0; i < hosts->list.count; i++)
		if (!hosts->list.hosts[i].known)
			return false;
	return true;
}

/* A host is usable and nothing that is as good is unknown. The list is in the order of preference. */
static bool
first_choice_is_known(const struct mail_hosts *hosts)
{
	unsigned usable = UINT16_MAX + 1;
	size_t i;

	for (i = 0; i < hosts->list.count; i++) {
		const struct mx_host *host = &hosts->list.hosts[i];

		if (host->preference > usable)
			return true;
		if (!host->known)
			return false;
		if (host->state == MAIL_HOST_USABLE)
			usable = host->preference;
	}
	return usable <= UINT16_MAX;
}

static void
addresses_answered(void *context, const struct dns_answer *addresses)
{
	static const struct timeval patience = { .tv_sec = MAIL_HOSTS_PATIENCE_MS / 1000,
		.tv_usec = MAIL_HOSTS_PATIENCE_MS % 1000 * 1000 };
	struct host_lookup *lookup = context;
	struct mail_hosts *hosts = lookup->hosts;

	lookup->asker = NULL;
	if (lookup->host->known)
		return;		/* found to be behind us meanwhile */
	judge_host(hosts, lookup->host, addresses);
	if (all_known(hosts))
		answer_with_hosts(hosts);
	else if (first_choice_is_known(hosts) && !event_pending(&hosts->patience, EV_TIMEOUT, NULL))
		event_add(&hosts->patience, &patience);
}

static void
ask_addresses(struct mail_hosts *hosts)
{
	size_t i;

	hosts->lookups = memory_new(hosts->list.count + 1, sizeof(*hosts->lookups));
	for (i = 0; i < hosts->list.count; i++) {
		struct host_lookup *lookup = &hosts->lookups[i];

		lookup->hosts = hosts;
		lookup->host = &hosts->list.hosts[i];
		if (!lookup->host->known)
			lookup->asker = hosts->means->ask(hosts->means->context, DNS_HOST, lookup->host->name,
			    addresses_answered, lookup);
	}
	if (all_known(hosts))
		answer_with_hosts(hosts);
}

/* ---- MX records ------------------------------------------------------------------------------- */

/* The name itself is the host; outcome is what to say when it has no address. */
static void
take_implicit(struct mail_hosts *hosts, enum mail_hosts_outcome without_address)
{
	hosts->result.implicit = true;
	hosts->without_address = without_address;
	mx_list_set_implicit(&hosts->list, hosts->name);
}

static void
hosts_file_answered(void *context, const struct dns_answer *addresses)
{
	struct mail_hosts *hosts = context;

	hosts->asker = NULL;
	if (addresses->outcome != DNS_FOUND) {
		answer_without_hosts(hosts, hosts->without_address);
		return;
	}
	hosts->result.security = DNS_INSECURE;
	take_implicit(hosts, MAIL_HOSTS_NO_ADDRESS);
	judge_host(hosts, &hosts->list.hosts[0], addresses);
	answer_with_hosts(hosts);
}

/* The DNS names no host: the hosts file may. */
static void
ask_hosts_file(struct mail_hosts *hosts, enum mail_hosts_outcome otherwise)
{
	hosts->without_address = otherwise;
	hosts->asker = hosts->means->ask(hosts->means->context, LOOKUP_HOSTS_FILE, hosts->name, hosts_file_answered,
	    hosts);
}

static void
exchanges_answered(void *context, const struct dns_answer *exchanges)
{
	struct mail_hosts *hosts = context;

	hosts->asker = NULL;
	hosts->result.security = (enum dns_security)exchanges->security;
	hosts->result.ttl = exchanges->ttl;
	switch (exchanges->outcome) {
	case DNS_FOUND:
		hosts->without_address = MAIL_HOSTS_NO_ADDRESS;
		mx_list_read(&hosts->list, exchanges, hosts->means->our_name);
		ask_addresses(hosts);
		return;
	case DNS_NO_DATA:
		take_implicit(hosts, MAIL_HOSTS_NO_DATA);
		ask_addresses(hosts);
		return;
	case DNS_NO_NAME:
		snprintf(hosts->text, sizeof(hosts->text), "there is no such name");
		ask_hosts_file(hosts, MAIL_HOSTS_NO_NAME);
		return;
	default:
		snprintf(hosts->text, sizeof(hosts->text), "%.500s", exchanges->text);
		ask_hosts_file(hosts, MAIL_HOSTS_NO_ANSWER);
	}
}

/* ---- asking ----------------------------------------------------------------------------------- */

/* The second choices that are silent until now are not waited for. */
static void
patience_ended(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	static const struct dns_answer nothing = { .outcome = DNS_NO_ANSWER,
		.text = "the name servers give no answer in time" };
	struct mail_hosts *hosts = context;
	size_t i;

	for (i = 0; i < hosts->list.count; i++)
		if (!hosts->list.hosts[i].known)
			judge_host(hosts, &hosts->list.hosts[i], &nothing);
	answer_with_hosts(hosts);
}

struct mail_hosts *
mail_hosts_ask(const struct mail_hosts_means *means, const char *name, uint16_t port, unsigned flags,
    mail_hosts_cb answered, void *context)
{
	struct mail_hosts *hosts = memory_new(1, sizeof(*hosts));

	hosts->means = means;
	hosts->name = memory_copy_string(name);
	hosts->port = port;
	hosts->flags = flags;
	hosts->answered = answered;
	hosts->context = context;
	hosts->result.text = "";
	event_assign(&hosts->patience, means->base, -1, 0, patience_ended, hosts);
	if ((flags & MAIL_HOSTS_NO_MX) != 0) {
		take_implicit(hosts, MAIL_HOSTS_NO_DATA);
		ask_addresses(hosts);
	} else {
		hosts->asker = means->ask(means->context, DNS_MX, name, exchanges_answered, hosts);
	}
	return hosts;
}
