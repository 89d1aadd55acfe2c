/* host_walk - see host_walk.h */
#include "smtp/host_walk.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/own_address.h"
#include "smtp/address_order.h"
#include "smtp/connection_race.h"

#define LOOKUPS_IN_A_ROW 2	/* MX records, then addresses: each has dns_timeout */
#define LOOKUP_GRACE_MS 5000	/* resolver has these deadlines itself; ours is for a resolver that is gone */

struct host_walk {
	struct outbound *outbound;
	const struct delivery_job *job;		/* borrowed */
	const struct settings *settings;	/* borrowed */
	unsigned flags;				/* HOST_WALK_... */
	const struct host_walk_events *events;
	void *context;
	struct next_hop hop;
	struct source_addresses sources;
	struct event timer;			/* starts the walk, and is the deadline of the question */
	struct host_lookup *lookup;
	struct mail_hosts *hosts;		/* owned; NULL before the answer */
	size_t next_target;
	const struct mail_target *target;	/* of hosts: being tried */
	bool target_at_fault;			/* no address failed for another reason than the host's */
	size_t budget;				/* addresses that may still be tried */
	unsigned failures;			/* addresses that failed */
	bool met_ourselves;			/* an address was passed over because it is ours */
	struct connection_race *race;
	struct connection *connection;		/* being greeted */
	int64_t connecting_ms;			/* since when, on the monotonic clock */
	struct walk_end end;			/* as it is should nothing else work */
	char end_host[ADDRESS_DOMAIN_MAX + 1];
};

/* ---- the end ---------------------------------------------------------------------------------- */

static void PRINTF_LIKE(4, 5)
end_with(struct host_walk *walk, const char *status, const char *failing_status, const char *format, ...)
{
	char text[ENVELOPE_TEXT_MAX + 1];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	judgement_set(&walk->end.judgement, DELIVERY_DEFERRED, FAILURE_NONE, status, "%s", text);
	walk->end.judgement.host_failed = true;
	walk->end.failing_status = failing_status;
	walk->events->ended(walk->context, &walk->end);
}

/* The last failure stands for all. */
static void
end_exhausted(struct host_walk *walk)
{
	struct reply_judgement *judgement = &walk->end.judgement;
	size_t length = strlen(judgement->text);

	if (walk->failures > 1)
		snprintf(judgement->text + length, sizeof(judgement->text) - length, " (%u other address%s failed before)",
		    walk->failures - 1, walk->failures == 2 ? "" : "es");
	walk->end.host = walk->end_host;
	walk->events->ended(walk->context, &walk->end);
}

static void
end_all_failed(struct host_walk *walk)
{
	const struct mail_hosts *hosts = walk->hosts;

	snprintf(walk->end_host, sizeof(walk->end_host), "%s",
	    hosts->failed_name != NULL ? hosts->failed_name : walk->hop.host);
	walk->end.host = walk->end_host;
	walk->end.retry_seconds = hosts->retry_seconds;
	end_with(walk, "4.4.1", "", "%s is not tried for another %u seconds because it failed: %.500s", walk->end_host,
	    hosts->failed_name != NULL ? hosts->failed_seconds : hosts->retry_seconds,
	    hosts->failed_name != NULL ? hosts->failed_text : hosts->text);
}

static unsigned
lookup_flags(const struct host_walk *walk)
{
	return (walk->job->fresh ? MAIL_HOSTS_FRESH : 0) |
	    (!walk->hop.by_mx || walk->job->transport == TRANSPORT_LMTP ? MAIL_HOSTS_NO_MX : 0);
}

/* There is nothing to try, says resolver. */
static void
end_by_outcome(struct host_walk *walk)
{
	bool by_mx = (lookup_flags(walk) & MAIL_HOSTS_NO_MX) == 0;
	const char *name = walk->hop.host;

	switch (walk->hosts->outcome) {
	case MAIL_HOSTS_NO_NAME:
		end_with(walk, "4.4.4", "5.1.2", "%s %s does not exist", by_mx ? "domain" : "host", name);
		return;
	case MAIL_HOSTS_NO_DATA:
		end_with(walk, "4.4.4", "5.1.2", by_mx ? "domain %s has neither an MX record nor an address" :
		    "host %s has no address", name);
		return;
	case MAIL_HOSTS_NO_ADDRESS:
		end_with(walk, "4.4.4", "5.1.2", "no mail host of %s has an address", name);
		return;
	case MAIL_HOSTS_NULL_MX:
		end_with(walk, "4.4.4", "5.1.10", "domain %s takes no mail: its MX record is empty (RFC 7505)", name);
		return;
	case MAIL_HOSTS_LOOP:
		end_with(walk, "4.4.6", "5.4.6", "mail for %s loops back: this server itself is its best mail host", name);
		return;
	case MAIL_HOSTS_ALL_FAILED:
		end_all_failed(walk);
		return;
	default:
		end_with(walk, "4.4.3", "", "the name server gives no answer about %s: %.300s", name, walk->hosts->text);
	}
}

/* ---- failures --------------------------------------------------------------------------------- */

void
host_walk_describe(const struct connection_peer *peer, const struct reply_judgement *failure,
    struct reply_judgement *judgement_out)
{
	union socket_address address = peer->address;
	unsigned port = ntohs(address.any.sa_family == AF_INET ? address.ipv4.sin_port : address.ipv6.sin6_port);
	char shown[INET6_ADDRSTRLEN + 2] = "", number[INET6_ADDRSTRLEN];

	if (peer->host[0] != '[') {
		socket_address_format(&address, number);
		snprintf(shown, sizeof(shown), "[%s]", number);
	}
	judgement_set(judgement_out, failure->outcome, failure->failure, failure->status, "%s%s:%u: %.600s", peer->host,
	    shown, port, failure->text);
	judgement_out->host_failed = failure->host_failed;
}

/* One address is of no use. */
static void
address_failed(struct host_walk *walk, const struct connection_peer *peer, const struct reply_judgement *failure)
{
	host_walk_describe(peer, failure, &walk->end.judgement);
	snprintf(walk->end_host, sizeof(walk->end_host), "%s", peer->host);
	walk->failures++;
	walk->target_at_fault &= failure->host_failed;
}

/* The name of the host in reports: whoever reads them knows it already. */
static void
report_failed(struct host_walk *walk)
{
	const char *text = walk->end.judgement.text;
	size_t name = strlen(walk->target->name);

	if ((walk->flags & HOST_WALK_ONLY_ASKS) == 0 && !walk->hop.is_literal && walk->target_at_fault)
		host_failed(walk->outbound->lookups, walk->target->name, walk->hop.port,
		    strncmp(text, walk->target->name, name) == 0 ? text + name : text);
}

/* ---- one host --------------------------------------------------------------------------------- */

static void
fill_options(struct host_walk *walk, struct session_options *options)
{
	const struct document_configuration *configuration = &walk->settings->configuration;

	options->name = walk->settings->server.internet_host_name.text;
	options->lmtp = walk->job->transport == TRANSPORT_LMTP;
	options->use_size = configuration->smtp_out_size.number != 0;
	options->use_pipelining = configuration->smtp_out_pipelining.number != 0;
	options->use_dsn = configuration->smtp_out_dsn.number != 0;
	options->use_8bitmime = configuration->smtp_out_8bitmime.number != 0;
	options->use_chunking = configuration->smtp_out_chunking.number != 0;
#define STATE(symbol, setting, words) options->timeout_ms[SESSION_##symbol] = configuration->setting.number * 1000;
#include "smtp/states.def"
#undef STATE
}

static void
log_use(struct host_walk *walk, const struct connection_peer *peer, const char *reply, int64_t elapsed_ms)
{
	outbound_log(walk->job, &(struct use_of_host){ .host = peer->host, .address = &peer->address, .reply = reply,
		.connect_ms = peer->connect_ms, .elapsed_ms = elapsed_ms });
}

/* The greeting and EHLO went well: the connection is the owner's. */
static void
greeted(struct host_walk *walk)
{
	struct walk_find find = { .connection = walk->connection, .since_ms = walk->connecting_ms,
		.best = !walk->hosts->has_best || walk->target->preference == walk->hosts->best_preference };

	walk->connection = NULL;
	if (!walk->hop.is_literal)
		host_works(walk->outbound->lookups, walk->target->name, walk->hop.port, walk->job->fresh);
	walk->events->found(walk->context, &find);
}

static void
not_greeted(struct host_walk *walk)
{
	static const struct reply_judgement ended = { .status = "4.4.2", .outcome = DELIVERY_DEFERRED, .host_failed = true,
		.text = "the session ended" };
	const struct session_failure *failure = session_failure(connection_session(walk->connection));
	const struct connection_peer *peer = connection_peer(walk->connection);

	address_failed(walk, peer, failure != NULL ? &failure->judgement : &ended);
	log_use(walk, peer, walk->end.judgement.text, clock_monotonic_ms() - walk->connecting_ms);
	connection_free(&walk->connection);
	connection_race_run(walk->race);
}

static void
connection_changed(void *context, struct connection *connection)
{
	if (session_state(connection_session(connection)) == SESSION_CLOSED)
		not_greeted(context);
	else
		greeted(context);
}

static void
address_connected(void *context, const struct race_end *end, int socket)
{
	struct host_walk *walk = context;
	struct connection_peer peer = { .host = walk->target->name, .address = *end->address,
		.connect_ms = end->elapsed_ms };
	struct session_options options;

	fill_options(walk, &options);
	walk->connecting_ms = clock_monotonic_ms() - end->elapsed_ms;
	walk->connection = connection_new(walk->outbound->base, socket, &peer, &options, connection_changed, walk);
}

static void
address_not_connected(void *context, const struct race_end *end)
{
	struct host_walk *walk = context;
	struct connection_peer peer = { .host = walk->target->name, .address = *end->address, .connect_ms = -1 };
	struct reply_judgement failure;

	judgement_set(&failure, DELIVERY_DEFERRED, FAILURE_NONE, end->ours ? "4.3.0" : "4.4.1", "%s", end->reason);
	failure.host_failed = !end->ours;
	address_failed(walk, &peer, &failure);
	log_use(walk, &peer, walk->end.judgement.text, end->elapsed_ms);
}

static void
address_overtaken(void *context, const struct race_end *end)
{
	struct host_walk *walk = context;
	struct connection_peer peer = { .host = walk->target->name, .address = *end->address, .connect_ms = -1 };

	log_use(walk, &peer, "another address was faster", end->elapsed_ms);
}

/* The addresses of the target that will be tried, at most the budget. */
static size_t
choose_addresses(struct host_walk *walk, union socket_address chosen[static MAIL_ADDRESSES_MAX])
{
	size_t count = 0, i;

	for (i = 0; i < walk->target->address_count; i++)
		if (own_address_is_ours(walk->settings, &walk->target->addresses[i]))
			walk->met_ourselves = true;
		else
			chosen[count++] = walk->target->addresses[i];
	address_order(chosen, count, &walk->sources);
	if (count > walk->budget)
		count = walk->budget;
	walk->budget -= count;
	return count;
}

static void next_host(void *context);

/* Begins with the next host; true when there was one. */
static bool
begin_host(struct host_walk *walk)
{
	static const struct race_events events = { .connected = address_connected, .failed = address_not_connected,
		.overtaken = address_overtaken, .exhausted = next_host };
	union socket_address chosen[MAIL_ADDRESSES_MAX];
	size_t count = 0;

	while (count == 0 && walk->next_target < walk->hosts->count) {
		walk->target = &walk->hosts->targets[walk->next_target++];
		count = choose_addresses(walk, chosen);
	}
	if (count == 0)
		return false;
	walk->target_at_fault = true;
	walk->race = connection_race_new(walk->outbound->base, chosen, count, &walk->sources,
	    walk->settings->configuration.smtp_connect_timeout.number * 1000, &events, walk);
	connection_race_run(walk->race);
	return true;
}

/* All addresses of a host failed, or there was none before. */
static void
next_host(void *context)
{
	struct host_walk *walk = context;

	if (walk->race != NULL)
		report_failed(walk);
	connection_race_free(&walk->race);
	if (begin_host(walk))
		return;
	if (walk->failures > 0)
		end_exhausted(walk);
	else if (walk->met_ourselves)
		end_with(walk, "4.4.6", "5.4.6", "mail for %s loops back: that is this server itself", walk->hop.host);
	else
		end_with(walk, "4.4.4", "", "no host of %s has an address", walk->hop.host);
}

/* ---- the hosts -------------------------------------------------------------------------------- */

/* An idle session with one of the hosts that would be tried first. */
static struct connection *
take_idle(const struct host_walk *walk)
{
	const struct mail_hosts *hosts = walk->hosts;
	bool lmtp = walk->job->transport == TRANSPORT_LMTP;
	size_t i, j;

	for (i = 0; i < hosts->count && hosts->targets[i].preference == hosts->targets[0].preference; i++)
		for (j = 0; j < hosts->targets[i].address_count; j++) {
			struct connection *connection = destination_sessions_take_host(walk->outbound->sessions, lmtp,
			    hosts->targets[i].name, &hosts->targets[i].addresses[j]);

			if (connection != NULL)
				return connection;
		}
	return NULL;
}

static void
try_hosts(struct host_walk *walk)
{
	struct walk_find find = { .reused = true };

	if ((walk->flags & HOST_WALK_WITH_IDLE) != 0 && walk->hosts->count > 0)
		find.connection = take_idle(walk);
	if (find.connection != NULL) {
		find.best = walk->hosts->targets[0].preference == walk->hosts->best_preference;
		walk->events->found(walk->context, &find);
		return;
	}
	walk->next_target = 0;
	walk->failures = 0;
	walk->budget = (size_t)walk->settings->configuration.smtp_address_limit.number;
	next_host(walk);
}

static void
looked_up(void *context, struct mail_hosts *hosts)
{
	struct host_walk *walk = context;

	walk->lookup = NULL;
	event_del(&walk->timer);
	walk->hosts = hosts;
	if (hosts->outcome == MAIL_HOSTS_FOUND)
		try_hosts(walk);
	else
		end_by_outcome(walk);
}

static void
look_up(struct host_walk *walk)
{
	int64_t wait_ms = walk->settings->matador.dns_timeout.number * 1000 * LOOKUPS_IN_A_ROW + LOOKUP_GRACE_MS;
	struct timeval wait = { .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 };

	event_add(&walk->timer, &wait);
	walk->lookup = host_lookup_start(walk->outbound->lookups, walk->hop.host, walk->hop.port, lookup_flags(walk),
	    looked_up, walk);
}

/* An address is the only host with the only address. */
static void
use_literal(struct host_walk *walk)
{
	struct mail_target *target = memory_new(1, sizeof(*target));

	*target = (struct mail_target){ .name = memory_copy_string(walk->hop.host), .address_count = 1,
		.addresses = memory_copy(&walk->hop.address, sizeof(walk->hop.address)) };
	walk->hosts = mail_hosts_new();
	walk->hosts->targets = target;
	walk->hosts->count = 1;
	try_hosts(walk);
}

static void
handle_timer(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct host_walk *walk = context;

	if (walk->lookup != NULL) {
		host_lookup_cancel(&walk->lookup);
		end_with(walk, "4.4.3", "", "no answer about %s in time", walk->hop.host);
	} else if (walk->hosts != NULL) {
		try_hosts(walk);
	} else if (walk->hop.is_literal) {
		use_literal(walk);
	} else {
		look_up(walk);
	}
}

/* ---- for the owner ---------------------------------------------------------------------------- */

void
host_walk_go_on(struct host_walk *walk, const struct connection_peer *peer,
    const struct reply_judgement *failure)
{
	address_failed(walk, peer, failure);
	connection_race_run(walk->race);
}

void
host_walk_restart(struct host_walk *walk)
{
	walk->flags &= ~(unsigned)HOST_WALK_WITH_IDLE;
	connection_race_free(&walk->race);
	event_active(&walk->timer, EV_TIMEOUT, 0);
}

const struct next_hop *
host_walk_next_hop(const struct host_walk *walk)
{
	return &walk->hop;
}

struct host_walk *
host_walk_new(struct outbound *outbound, const struct delivery_job *job, const struct settings *settings,
    unsigned flags, const struct host_walk_events *events, void *context, struct error *error)
{
	uint16_t port = job->transport == TRANSPORT_LMTP ? LMTP_PORT :
	    (uint16_t)settings->server.smtp_outbound_tcp_port.number;
	struct host_walk *walk = memory_new(1, sizeof(*walk));

	if (next_hop_parse(job->next_hop, port, &walk->hop, error) == -1) {
		free(walk);
		return NULL;
	}
	walk->outbound = outbound;
	walk->job = job;
	walk->settings = settings;
	walk->flags = flags;
	walk->events = events;
	walk->context = context;
	walk->end.failing_status = walk->end.host = "";
	source_addresses_read(&settings->configuration.smtp_source_addresses, &walk->sources);
	event_assign(&walk->timer, outbound->base, -1, 0, handle_timer, walk);
	event_active(&walk->timer, EV_TIMEOUT, 0);
	return walk;
}

void
host_walk_free(struct host_walk **walk)
{
	struct host_walk *gone = *walk;

	if (gone == NULL)
		return;
	event_del(&gone->timer);
	host_lookup_cancel(&gone->lookup);
	connection_race_free(&gone->race);
	connection_free(&gone->connection);
	mail_hosts_free(&gone->hosts);
	free(gone);
	*walk = NULL;
}
