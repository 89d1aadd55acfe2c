/* call_out - see call_out.h */
#include "smtp/call_out.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtp/host_walk.h"

/* So long does a session that has brought its verdict, and whoever waits for it, wait for the reply to RSET. */
#define RESET_SECONDS 3

struct call_out {
	TAILQ_ENTRY(call_out) entries;
	struct outbound *outbound;
	const struct settings *settings;	/* held */
	struct delivery_job job;		/* a message with nothing in it, for the walk and the log */
	struct host_walk *walk;			/* NULL while an idle session is used that nobody looked for */
	bool waits;				/* for the session of another one that has its verdict */
	struct connection *connection;
	bool reused;
	bool best;				/* see struct walk_find */
	int64_t since_ms;
	struct event timer;
	struct transaction transaction;
	const struct envelope_recipient *recipient;
	enum recipient_progress progress;
	call_out_done_cb done;			/* NULL: the verdict is told */
	void *context;
};

static void walk_to_a_host(struct call_out *call_out, bool with_idle);
static void find_session(struct call_out *call_out);

static void
call_out_free(struct call_out *call_out)
{
	TAILQ_REMOVE(&call_out->outbound->call_outs, call_out, entries);
	call_out->outbound->call_out_count--;
	event_del(&call_out->timer);
	host_walk_free(&call_out->walk);
	connection_free(&call_out->connection);
	settings_release(&call_out->settings);
	envelope_free(&call_out->job.envelope);
	free(call_out->job.next_hop);
	free(call_out);
}

/* ---- sessions that will be idle at once ---- */

static bool
goes_the_same_way(const struct call_out *call_out, const struct call_out *other)
{
	return call_out->job.transport == other->job.transport &&
	    strcmp(call_out->job.next_hop, other->job.next_hop) == 0;
}

/* Otherwise each verdict would be followed by a connection more, made while the host answers RSET. */
static bool
should_wait(const struct call_out *call_out)
{
	const struct call_out *other;
	int sessions = 0;

	TAILQ_FOREACH(other, &call_out->outbound->call_outs, entries)
		if (goes_the_same_way(call_out, other))
			sessions += (other->done == NULL) - other->waits;
	return sessions > 0;
}

static struct call_out *
find_waiting(const struct call_out *call_out)
{
	struct call_out *other;

	TAILQ_FOREACH(other, &call_out->outbound->call_outs, entries)
		if (other->waits && other != call_out && goes_the_same_way(call_out, other))
			return other;
	return NULL;
}

/* ---- the end ---- */

/* There is room for one who waits: the session is idle now, or no longer there. */
static void
leave(struct call_out *call_out)
{
	struct call_out *waiting = find_waiting(call_out);

	call_out_free(call_out);
	if (waiting == NULL)
		return;
	waiting->waits = false;
	find_session(waiting);
}

static void
tell(struct call_out *call_out, enum call_out_outcome outcome, const char *text)
{
	static const char *const words[] = { [CALL_OUT_SILENT] = "none", [CALL_OUT_ACCEPTED] = "taken",
		[CALL_OUT_DENIED] = "refused" };

	log_event(LOG_CALL_OUT, call_out->recipient->address, call_out->job.next_hop, words[outcome], text,
	    log_seconds(clock_monotonic_ms() - call_out->since_ms));
	call_out->done(call_out->context, call_out->job.number, outcome, text);
	call_out->done = NULL;
}

static void
finish_silent(struct call_out *call_out, const char *text)
{
	if (call_out->done != NULL)
		tell(call_out, CALL_OUT_SILENT, text);
	leave(call_out);
}

/* Told at once: how the session ends its transaction does not matter to anybody who waits for the verdict. */
static void
judge(void *context, const struct envelope_recipient *recipient UNUSED, const struct reply_judgement *judgement)
{
	static const enum call_out_outcome outcomes[] = { [DELIVERY_DONE] = CALL_OUT_ACCEPTED,
		[DELIVERY_FAILED] = CALL_OUT_DENIED, [DELIVERY_DEFERRED] = CALL_OUT_SILENT };
	struct call_out *call_out = context;

	tell(call_out, outcomes[judgement->outcome], judgement->text);
	event_add(&call_out->timer, &(struct timeval){ .tv_sec = RESET_SECONDS });
}

static void
walk_ended(void *context, const struct walk_end *end)
{
	finish_silent(context, end->judgement.text);
}

static void
on_timer(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	finish_silent(context, "no answer in time");
}

/* ---- the session ---- */

/* A session that died before it heard of us is no answer: another way is tried. */
static void
try_again(struct call_out *call_out, const struct reply_judgement *failure)
{
	struct connection *connection = call_out->connection;

	call_out->connection = NULL;
	if (!call_out->reused)
		host_walk_go_on(call_out->walk, connection_peer(connection), failure);
	else if (call_out->walk != NULL)
		host_walk_restart(call_out->walk);
	else
		walk_to_a_host(call_out, false);
	connection_free(&connection);
}

static void
session_closed(struct call_out *call_out)
{
	const struct session_failure *failure = session_failure(connection_session(call_out->connection));

	if (call_out->done != NULL && failure != NULL && failure->before_mail_reply)
		try_again(call_out, &failure->judgement);
	else
		finish_silent(call_out, failure == NULL ? "the session ended" : failure->judgement.text);
}

/* RSET is answered: the session serves whoever comes next. */
static void
session_idle(struct call_out *call_out)
{
	struct outbound *outbound = call_out->outbound;
	struct connection *connection = call_out->connection;

	call_out->connection = NULL;
	if (call_out->settings != outbound->settings)
		destination_sessions_dismiss(outbound->sessions, connection);
	else
		destination_sessions_put(outbound->sessions, call_out->best ? call_out->job.next_hop : NULL, connection);
	leave(call_out);
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
use(void *context, const struct walk_find *find)
{
	struct call_out *call_out = context;

	call_out->connection = find->connection;
	call_out->reused = find->reused;
	call_out->best = find->best;
	connection_set_owner(find->connection, connection_changed, call_out);
	connection_begin(find->connection, &call_out->transaction);
}

/* ---- the start ---- */

static void
walk_to_a_host(struct call_out *call_out, bool with_idle)
{
	static const struct host_walk_events events = { .found = use, .ended = walk_ended };
	struct error error = ERROR_INITIALIZER;

	call_out->walk = host_walk_new(call_out->outbound, &call_out->job, call_out->settings,
	    HOST_WALK_ONLY_ASKS | (with_idle ? HOST_WALK_WITH_IDLE : 0), &events, call_out, &error);
	if (call_out->walk != NULL)
		return;
	log_event(LOG_LOOKUP_FAILED, call_out->job.next_hop, error.text);
	finish_silent(call_out, error.text);
}

static void
find_session(struct call_out *call_out)
{
	struct walk_find idle = { .reused = true, .best = true };

	idle.connection = destination_sessions_take(call_out->outbound->sessions,
	    call_out->job.transport == TRANSPORT_LMTP, call_out->job.next_hop);
	if (idle.connection != NULL)
		use(call_out, &idle);
	else if (should_wait(call_out))
		call_out->waits = true;
	else
		walk_to_a_host(call_out, true);
}

static void
fill_job(struct call_out *call_out, const struct call_out_job *job)
{
	struct delivery_job *message = &call_out->job;

	message->number = job->job;
	message->transport = (enum transport)job->transport;
	message->next_hop = memory_copy_string(job->next_hop);
	message->body = -1;
	envelope_init(&message->envelope);
	message->envelope.sender = memory_copy_string("");
	envelope_add_recipient(&message->envelope, job->recipient);
	call_out->recipient = &message->envelope.recipients[0];
	call_out->transaction = (struct transaction){ .envelope = &message->envelope,
		.content = { .memory = "", .file = -1 }, .recipients = &call_out->recipient, .progress = &call_out->progress,
		.count = 1, .only_asks = true, .judge = judge, .context = call_out };
}

void
call_out_start(struct outbound *outbound, const struct call_out_job *job, call_out_done_cb done, void *context)
{
	struct call_out *call_out;

	if (job->transport != TRANSPORT_SMTP && job->transport != TRANSPORT_LMTP) {
		done(context, job->job, CALL_OUT_SILENT, "only SMTP and LMTP hosts can be asked");
		return;
	}
	if (outbound->call_out_count >= CALL_OUTS_MAX) {
		done(context, job->job, CALL_OUT_SILENT, "too many are asked about at a time");
		return;
	}
	call_out = memory_new(1, sizeof(*call_out));
	call_out->outbound = outbound;
	call_out->settings = settings_hold(outbound->settings);
	call_out->since_ms = clock_monotonic_ms();
	call_out->done = done;
	call_out->context = context;
	fill_job(call_out, job);
	TAILQ_INSERT_TAIL(&outbound->call_outs, call_out, entries);
	outbound->call_out_count++;
	event_assign(&call_out->timer, outbound->base, -1, 0, on_timer, call_out);
	event_add(&call_out->timer,
	    &(struct timeval){ .tv_sec = (time_t)call_out->settings->configuration.call_out_timeout.number });
	find_session(call_out);
}

void
call_outs_abandon(struct outbound *outbound)
{
	while (!TAILQ_EMPTY(&outbound->call_outs))
		call_out_free(TAILQ_FIRST(&outbound->call_outs));
}
