/* attempt - see attempt.h */
#include "smtp/attempt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtp/commands.h"
#include "smtp/host_walk.h"

struct attempt {
	TAILQ_ENTRY(attempt) entries;
	struct outbound *outbound;
	struct delivery_job *job;
	const struct settings *settings;	/* held */
	struct host_walk *walk;			/* NULL while an idle session is used that nobody looked for */
	struct connection *connection;
	bool reused;				/* the connection carried messages before */
	bool best;				/* see struct walk_find */
	unsigned transactions;			/* begun on it */
	size_t brought;				/* recipients without a verdict when it was taken */
	unsigned delivered;			/* recipients, on it */
	int64_t used_since_ms;
	struct transaction transaction;
	const struct envelope_recipient **recipients;	/* owned: not judged yet, as the transaction sees them */
	enum recipient_progress *progress;	/* owned */
	uint32_t retry_seconds;			/* of a verdict without a connection */
	const char *host;			/* whom verdicts are about: lent */
	char last_reply[256];			/* for the log */
};

static void walk_to_a_host(struct attempt *attempt, bool with_idle);

static void
attempt_free(struct attempt *attempt)
{
	TAILQ_REMOVE(&attempt->outbound->attempts, attempt, entries);
	host_walk_free(&attempt->walk);
	connection_free(&attempt->connection);
	settings_release(&attempt->settings);
	free(attempt->recipients);
	free(attempt->progress);
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
		.retry_seconds = attempt->retry_seconds, .dsn_relayed = judgement->dsn_relayed,
		.status = judgement->status, .text = judgement->text, .host = attempt->host };

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

/* ---- no session ------------------------------------------------------------------------------- */

/* Whether the job goes to the very domain of the recipient's address: no document of ours sent it there. */
static bool
is_own_domain(const struct attempt *attempt, const struct envelope_recipient *recipient)
{
	const struct next_hop *hop = host_walk_next_hop(attempt->walk);
	char local_part[ADDRESS_TEXT_MAX], domain[ADDRESS_DOMAIN_MAX + 1];
	const char *text = attempt->job->next_hop;
	struct next_hop own;

	if (attempt->job->transport != TRANSPORT_SMTP || strchr(text[0] == '[' ? strchr(text, ']') : text, ':') != NULL)
		return false;
	if (!address_split(recipient_wire_address(recipient), local_part, domain) ||
	    next_hop_parse(domain, hop->port, &own, NULL) == -1 || own.is_literal != hop->is_literal ||
	    own.by_mx != hop->by_mx)
		return false;
	return own.is_literal ? memcmp(&own.address, &hop->address, sizeof(own.address)) == 0 :
	    strcmp(own.host, hop->host) == 0;
}

static void
walk_ended(void *context, const struct walk_end *end)
{
	struct attempt *attempt = context;
	struct reply_judgement failed;
	bool mistake = false;
	size_t i;

	attempt->host = end->host;
	attempt->retry_seconds = end->retry_seconds;
	if (end->failing_status[0] == '\0') {
		judge_rest(attempt, &end->judgement);
		return;
	}
	judgement_set(&failed, DELIVERY_FAILED, FAILURE_DOMAIN, end->failing_status, "%s", end->judgement.text);
	for (i = 0; i < attempt->transaction.count; i++) {
		bool own = is_own_domain(attempt, attempt->recipients[i]);

		judge(attempt, attempt->recipients[i], own ? &failed : &end->judgement);
		mistake |= !own;
	}
	if (mistake)
		log_event(LOG_LOOKUP_FAILED, attempt->job->next_hop, end->judgement.text);
	finish(attempt);
}

/* ---- the session ------------------------------------------------------------------------------ */

static void
log_attempt(const struct attempt *attempt, const char *reply)
{
	const struct connection_peer *peer = connection_peer(attempt->connection);

	outbound_log(attempt->job, &(struct use_of_host){ .host = peer->host, .address = &peer->address,
		.delivered = attempt->delivered, .reply = reply, .connect_ms = attempt->reused ? -1 : peer->connect_ms,
		.elapsed_ms = clock_monotonic_ms() - attempt->used_since_ms });
}

/* A time limit that passed in the middle of a transaction is held against the host, too. */
static void
report_time_out(const struct attempt *attempt, const struct session_failure *failure)
{
	const struct connection_peer *peer = connection_peer(attempt->connection);

	if (failure->judgement.host_failed && peer->host[0] != '[')
		host_failed(attempt->outbound->lookups, peer->host, connection_port(attempt->connection),
		    failure->judgement.text);
}

/*
 * A session that died before it took the transaction: another way is tried. From the first host again only when this
 * one served somebody, or no host that always does so would ever let us go.
 */
static void
try_again(struct attempt *attempt, const struct reply_judgement *failure)
{
	struct connection *connection = attempt->connection;

	attempt->connection = NULL;
	attempt->host = "";
	if (!attempt->reused && (attempt->transactions == 1 || attempt->transaction.count == attempt->brought))
		host_walk_go_on(attempt->walk, connection_peer(connection), failure);
	else if (attempt->walk != NULL)
		host_walk_restart(attempt->walk);
	else
		walk_to_a_host(attempt, false);
	connection_free(&connection);
}

static void
session_closed(struct attempt *attempt)
{
	static const struct session_failure ended = { .judgement = { .outcome = DELIVERY_DEFERRED, .status = "4.4.2",
		.text = "the session ended" }, .before_mail_reply = true };
	const struct session_failure *failure = session_failure(connection_session(attempt->connection));
	size_t unjudged = gather_unjudged(attempt);
	struct reply_judgement judgement;

	if (unjudged == 0) {
		log_attempt(attempt, attempt->last_reply);
		finish(attempt);
		return;
	}
	if (failure == NULL)
		failure = &ended;
	host_walk_describe(connection_peer(attempt->connection), &failure->judgement, &judgement);
	log_attempt(attempt, judgement.text);
	if (failure->before_mail_reply) {
		try_again(attempt, &failure->judgement);
		return;
	}
	report_time_out(attempt, failure);
	judge_rest(attempt, &judgement);
}

/* The message is through, whatever became of it. */
static void
give_back(struct attempt *attempt)
{
	struct outbound *outbound = attempt->outbound;
	struct connection *connection = attempt->connection;
	const char *host = connection_peer(connection)->host;

	log_attempt(attempt, attempt->last_reply);
	if (host[0] != '[')
		host_works(outbound->lookups, host, connection_port(connection), attempt->job->fresh && attempt->reused);
	attempt->connection = NULL;
	/* After a reload the time limits and our name in it are the old ones. */
	if (attempt->settings != outbound->settings)
		destination_sessions_dismiss(outbound->sessions, connection);
	else
		destination_sessions_put(outbound->sessions, attempt->best ? attempt->job->next_hop : NULL, connection);
	finish(attempt);
}

static void
session_idle(struct attempt *attempt)
{
	if (gather_unjudged(attempt) == 0) {
		give_back(attempt);
		return;
	}
	delivery_job_flush(attempt->job);
	attempt->transactions++;
	connection_begin(attempt->connection, &attempt->transaction);
}

static void
connection_changed(void *context, struct connection *connection)
{
	if (session_state(connection_session(connection)) == SESSION_CLOSED)
		session_closed(context);
	else
		session_idle(context);
}

static void
use(struct attempt *attempt, const struct walk_find *find)
{
	const struct connection_peer *peer = connection_peer(find->connection);

	attempt->connection = find->connection;
	attempt->reused = find->reused;
	attempt->best = find->best;
	attempt->delivered = 0;
	attempt->transactions = 1;
	attempt->brought = attempt->transaction.count;
	attempt->host = peer->host;
	attempt->used_since_ms = find->reused ? clock_monotonic_ms() : find->since_ms;
	connection_set_owner(find->connection, connection_changed, attempt);
	connection_begin(find->connection, &attempt->transaction);
}

static void
walk_found(void *context, const struct walk_find *find)
{
	use(context, find);
}

/* ---- the start -------------------------------------------------------------------------------- */

static void
walk_to_a_host(struct attempt *attempt, bool with_idle)
{
	static const struct host_walk_events events = { .found = walk_found, .ended = walk_ended };
	struct error error = ERROR_INITIALIZER;
	struct reply_judgement judgement;

	attempt->walk = host_walk_new(attempt->outbound, attempt->job, attempt->settings,
	    with_idle ? HOST_WALK_WITH_IDLE : 0, &events, attempt, &error);
	if (attempt->walk != NULL)
		return;
	log_event(LOG_LOOKUP_FAILED, attempt->job->next_hop, error.text);
	judgement_set(&judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.3.5", "%s", error.text);
	judgement.host_failed = true;
	judge_rest(attempt, &judgement);
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
	struct walk_find idle = { .reused = true, .best = true };

	attempt->outbound = outbound;
	attempt->job = job;
	attempt->settings = settings_hold(outbound->settings);
	attempt->host = "";
	job->owner = attempt;
	TAILQ_INSERT_TAIL(&outbound->attempts, attempt, entries);
	fill_transaction(attempt);
	idle.connection = destination_sessions_take(outbound->sessions, job->transport == TRANSPORT_LMTP, job->next_hop);
	if (idle.connection != NULL)
		use(attempt, &idle);
	else
		walk_to_a_host(attempt, true);
}

void
attempts_abandon(struct outbound *outbound)
{
	while (!TAILQ_EMPTY(&outbound->attempts))
		attempt_free(TAILQ_FIRST(&outbound->attempts));
}
