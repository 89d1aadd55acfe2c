/* attempt - see attempt.h */
#include "smtp/attempt.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtp/commands.h"

#define LOOKUP_GRACE_MS 5000	/* resolver has a deadline of its own; this one is for a resolver that is gone */

struct attempt {
	TAILQ_ENTRY(attempt) entries;
	struct outbound *outbound;
	struct delivery_job *job;
	struct session_options options;
	char *name;				/* owned: options.name */
	struct next_hop hop;
	union socket_address *addresses;	/* owned */
	size_t address_count;
	size_t next_address;
	struct host_lookup *lookup;
	struct event timer;			/* of the look-up, and what starts the attempt */
	struct connection *connection;
	bool reused;				/* the connection carried messages before */
	bool begun;				/* a transaction was begun on it */
	struct transaction transaction;
	const struct envelope_recipient **recipients;	/* owned: not judged yet, as the transaction sees them */
	enum recipient_progress *progress;	/* owned */
	unsigned delivered;			/* recipients, on this connection */
	char last_reply[256];			/* for the log */
	int64_t started_ms;
};

static void connect_next(struct attempt *attempt);

static void
attempt_free(struct attempt *attempt)
{
	TAILQ_REMOVE(&attempt->outbound->attempts, attempt, entries);
	event_del(&attempt->timer);
	host_lookup_cancel(&attempt->lookup);
	connection_free(&attempt->connection);
	free(attempt->addresses);
	free(attempt->recipients);
	free(attempt->progress);
	free(attempt->name);
	free(attempt);
}

static void
finish(struct attempt *attempt)
{
	struct outbound *outbound = attempt->outbound;

	delivery_job_finish(attempt->job);
	attempt_free(attempt);
	outbound->finished(outbound->context);
}

/* ---- verdicts --------------------------------------------------------------------------------- */

static void
judge(void *context, const struct envelope_recipient *recipient, const struct reply_judgement *judgement)
{
	struct attempt *attempt = context;
	struct delivery_result result = { .recipient = recipient->number, .outcome = judgement->outcome,
		.failure = judgement->failure, .host_failed = judgement->host_failed,
		.dsn_relayed = judgement->dsn_relayed, .status = judgement->status, .text = judgement->text,
		.host = attempt->hop.host };

	attempt->delivered += judgement->outcome == DELIVERY_DONE;
	snprintf(attempt->last_reply, sizeof(attempt->last_reply), "%.*s", (int)sizeof(attempt->last_reply) - 1,
	    judgement->text);
	delivery_job_judge(attempt->job, &result);
}

/* Judges everyone who has no verdict, and finishes. */
static void
judge_rest(struct attempt *attempt, const struct reply_judgement *judgement)
{
	size_t i;

	for (i = 0; i < attempt->transaction.count; i++)
		if (attempt->progress[i] != PROGRESS_JUDGED)
			judge(attempt, attempt->recipients[i], judgement);
	finish(attempt);
}

static void
defer_rest(struct attempt *attempt, bool host_failed, const char *status, const char *text)
{
	struct reply_judgement judgement;

	judgement_set(&judgement, DELIVERY_DEFERRED, FAILURE_NONE, status, "%s", text);
	judgement.host_failed = host_failed;
	judge_rest(attempt, &judgement);
}

/* Moves those without a verdict to the front of the transaction. Their number. */
static size_t
gather_unjudged(struct attempt *attempt)
{
	size_t count = 0, i;

	for (i = 0; i < attempt->transaction.count; i++)
		if (attempt->progress[i] != PROGRESS_JUDGED)
			attempt->recipients[count++] = attempt->recipients[i];
	for (i = 0; i < count; i++)
		attempt->progress[i] = PROGRESS_WAITING;
	attempt->transaction.count = count;
	return count;
}

static void
log_attempt(struct attempt *attempt, const char *reply)
{
	const char *address = connection_address(attempt->connection);
	int64_t connect_ms = connection_connect_ms(attempt->connection);

	log_event(LOG_ATTEMPT, log_id(attempt->job->message_id), attempt->job->next_hop, attempt->hop.host, address, "no",
	    log_number((int64_t)attempt->job->envelope.recipient_count), log_number(attempt->delivered), reply,
	    attempt->reused || connect_ms < 0 ? "-" : log_seconds(connect_ms),
	    log_seconds(clock_monotonic_ms() - attempt->started_ms));
}

/* ---- the session ------------------------------------------------------------------------------ */

/* "host[address]:port", or "[address]:port" where no name led there, and what went wrong with it. */
static void
describe_failure(const struct attempt *attempt, const struct session_failure *failure, struct reply_judgement *judgement)
{
	static const struct session_failure ended = { .judgement = { .outcome = DELIVERY_DEFERRED, .status = "4.4.2",
		.text = "the session ended" } };
	char address[INET6_ADDRSTRLEN + 2] = "";

	if (failure == NULL)
		failure = &ended;
	if (!attempt->hop.is_literal)
		snprintf(address, sizeof(address), "[%s]", connection_address(attempt->connection));
	*judgement = failure->judgement;
	snprintf(judgement->text, sizeof(judgement->text), "%s%s:%u: %.600s", attempt->hop.host, address,
	    attempt->hop.port, failure->judgement.text);
}

/* The session failed: another connection where nothing can have been delivered, otherwise later. */
static void
session_closed(struct attempt *attempt)
{
	const struct session_failure *failure = session_failure(connection_session(attempt->connection));
	size_t unjudged = gather_unjudged(attempt);
	struct reply_judgement judgement;

	describe_failure(attempt, failure, &judgement);
	log_attempt(attempt, failure != NULL ? judgement.text : attempt->last_reply);
	if (unjudged == 0) {
		finish(attempt);
		return;
	}
	if (attempt->reused && (failure == NULL || failure->before_mail_reply)) {
		connection_free(&attempt->connection);
		connect_next(attempt);
	} else if (!attempt->begun && attempt->next_address < attempt->address_count) {
		connection_free(&attempt->connection);
		connect_next(attempt);
	} else {
		judge_rest(attempt, &judgement);
	}
}

static void
session_idle(struct attempt *attempt)
{
	struct connection *connection = attempt->connection;

	if (!attempt->begun || gather_unjudged(attempt) > 0) {
		if (attempt->begun)
			delivery_job_flush(attempt->job);
		attempt->begun = true;
		connection_begin(connection, &attempt->transaction);
		return;
	}
	log_attempt(attempt, attempt->last_reply);
	attempt->connection = NULL;
	destination_sessions_put(attempt->outbound->sessions, attempt->job->transport, attempt->job->next_hop,
	    connection);
	finish(attempt);
}

static void
connection_changed(void *context, struct connection *connection)
{
	if (session_state(connection_session(connection)) == SESSION_CLOSED)
		session_closed(context);
	else
		session_idle(context);
}

/* ---- the way to a connection ------------------------------------------------------------------ */

static void
connect_address(struct attempt *attempt)
{
	struct error error = ERROR_INITIALIZER;

	attempt->reused = false;
	attempt->begun = false;
	attempt->delivered = 0;
	attempt->connection = connection_open(attempt->outbound->base, &attempt->addresses[attempt->next_address++],
	    &attempt->options, connection_changed, attempt, &error);
	if (attempt->connection == NULL)
		defer_rest(attempt, false, "4.3.0", error.text);
}

static void
use_literal(struct attempt *attempt)
{
	attempt->addresses = memory_new(1, sizeof(*attempt->addresses));
	attempt->addresses[0] = attempt->hop.address;
	attempt->address_count = 1;
	connect_address(attempt);
}

/* Takes the addresses out of an answer, as many as are to be tried. */
static void
read_addresses(struct attempt *attempt, const struct dns_answer *answer)
{
	size_t limit = (size_t)attempt->outbound->settings->configuration.smtp_address_limit.number;
	struct wire_reader reader;
	unsigned i;

	free(attempt->addresses);
	attempt->addresses = memory_new(limit, sizeof(*attempt->addresses));
	attempt->address_count = attempt->next_address = 0;
	wire_reader_init(&reader, answer->records.data, answer->records.length);
	for (i = 0; i < answer->count && attempt->address_count < limit; i++) {
		struct bytes octets = wire_get_bytes(&reader, sizeof(struct in6_addr));

		if (!reader.failed && socket_address_make(octets.data, octets.length, attempt->hop.port,
		    &attempt->addresses[attempt->address_count]))
			attempt->address_count++;
	}
}

static void
looked_up(void *context, const struct dns_answer *answer)
{
	struct attempt *attempt = context;
	char text[ENVELOPE_TEXT_MAX];

	attempt->lookup = NULL;
	event_del(&attempt->timer);
	if (answer->outcome == DNS_FOUND) {
		read_addresses(attempt, answer);
		if (attempt->address_count > 0) {
			connect_address(attempt);
			return;
		}
	}
	if (answer->outcome == DNS_NO_ANSWER) {
		snprintf(text, sizeof(text), "the name server gives no answer about %s: %s", attempt->hop.host, answer->text);
		defer_rest(attempt, true, "4.4.3", text);
		return;
	}
	/* The next hop stands in our own documents: a name without addresses is a mistake that someone will mend. */
	snprintf(text, sizeof(text), "host %s %s", attempt->hop.host,
	    answer->outcome == DNS_NO_NAME ? "does not exist" : "has no address");
	log_event(LOG_LOOKUP_FAILED, attempt->hop.host, text);
	defer_rest(attempt, true, "4.4.4", text);
}

static void
handle_timer(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct attempt *attempt = context;
	char text[ENVELOPE_TEXT_MAX];

	if (attempt->lookup == NULL) {
		connect_next(attempt);
		return;
	}
	host_lookup_cancel(&attempt->lookup);
	snprintf(text, sizeof(text), "no answer about host %s in time", attempt->hop.host);
	defer_rest(attempt, true, "4.4.3", text);
}

static void
look_up(struct attempt *attempt)
{
	int64_t wait_ms = attempt->outbound->settings->matador.dns_timeout.number * 1000 + LOOKUP_GRACE_MS;
	struct timeval wait = { .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 };

	event_add(&attempt->timer, &wait);
	attempt->lookup = host_lookup_start(attempt->outbound->lookups, attempt->hop.host, looked_up, attempt);
}

/* Over the next address; before the first one, the addresses are found. */
static void
connect_next(struct attempt *attempt)
{
	if (attempt->next_address < attempt->address_count)
		connect_address(attempt);
	else if (attempt->hop.is_literal)
		use_literal(attempt);
	else
		look_up(attempt);
}

static void
reuse(struct attempt *attempt, struct connection *connection)
{
	attempt->connection = connection;
	attempt->reused = true;
	attempt->begun = true;
	connection_set_owner(connection, connection_changed, attempt);
	connection_begin(connection, &attempt->transaction);
}

/* ---- the start -------------------------------------------------------------------------------- */

static void
fill_options(struct attempt *attempt)
{
	const struct settings *settings = attempt->outbound->settings;
	const struct document_configuration *configuration = &settings->configuration;
	struct session_options *options = &attempt->options;

	options->name = attempt->name = memory_copy_string(settings->server.internet_host_name.text);
	options->lmtp = attempt->job->transport == TRANSPORT_LMTP;
	options->use_size = configuration->smtp_out_size.number != 0;
	options->use_pipelining = configuration->smtp_out_pipelining.number != 0;
	options->use_dsn = configuration->smtp_out_dsn.number != 0;
	options->use_8bitmime = configuration->smtp_out_8bitmime.number != 0;
#define STATE(symbol, setting, words) options->timeout_ms[SESSION_##symbol] = configuration->setting.number * 1000;
#include "smtp/states.def"
#undef STATE
}

static void
fill_transaction(struct attempt *attempt)
{
	struct delivery_job *job = attempt->job;
	size_t count = job->envelope.recipient_count, i;

	attempt->recipients = memory_new(count + 1, sizeof(*attempt->recipients));
	attempt->progress = memory_new(count + 1, sizeof(*attempt->progress));
	for (i = 0; i < count; i++)
		attempt->recipients[i] = &job->envelope.recipients[i];
	attempt->transaction = (struct transaction){
		.envelope = &job->envelope,
		.content = { .memory = buffer_text(&job->content), .file = job->body,
			.length = delivery_job_size(job) },
		.recipients = attempt->recipients, .progress = attempt->progress, .count = count, .judge = judge,
		.context = attempt,
	};
}

void
attempt_start(struct outbound *outbound, struct delivery_job *job)
{
	struct attempt *attempt = memory_new(1, sizeof(*attempt));
	uint16_t port = (uint16_t)outbound->settings->server.smtp_outbound_tcp_port.number;
	struct error error = ERROR_INITIALIZER;
	struct connection *connection;

	attempt->outbound = outbound;
	attempt->job = job;
	attempt->started_ms = clock_monotonic_ms();
	job->owner = attempt;
	TAILQ_INSERT_TAIL(&outbound->attempts, attempt, entries);
	event_assign(&attempt->timer, outbound->base, -1, 0, handle_timer, attempt);
	fill_options(attempt);
	fill_transaction(attempt);
	if (next_hop_parse(job->next_hop, job->transport == TRANSPORT_LMTP ? LMTP_PORT : port, &attempt->hop,
	    &error) == -1) {
		log_event(LOG_LOOKUP_FAILED, job->next_hop, error.text);
		defer_rest(attempt, true, "4.3.5", error.text);
		return;
	}
	connection = destination_sessions_take(outbound->sessions, job->transport, job->next_hop);
	if (connection != NULL)
		reuse(attempt, connection);
	else
		event_active(&attempt->timer, EV_TIMEOUT, 0);
}

void
attempts_abandon(struct outbound *outbound)
{
	while (!TAILQ_EMPTY(&outbound->attempts))
		attempt_free(TAILQ_FIRST(&outbound->attempts));
}
