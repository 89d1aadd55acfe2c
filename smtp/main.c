/*
 * smtp - outbound sessions: SMTP and LMTP
 *
 * qmgr hands it jobs (a message, some of its recipients, a next hop); it delivers them and answers with one
 * result for each recipient. Names are looked up by resolver.
 *
 * SECURITY: talks to any host on the network and believes none of them. It runs as a user of its own in an
 * empty root, can open no file and listens nowhere; it holds the messages in delivery (in memory or as
 * read-only descriptors), and nothing of MAIL.BOX otherwise. Replies are bounded and checked in
 * common/net/smtp_reply.c and smtp/session.c, and what they say reaches the log and the queue as one line of
 * ASCII. qmgr and resolver are not believed either: lengths are bounded, addresses are checked again before
 * they become commands.
 */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/log/log.h"
#include "common/worker/worker.h"
#include "smtp/attempt.h"
#include "smtp/call_out.h"

struct program {
	struct worker *worker;
	struct outbound outbound;
	struct delivery_jobs *jobs;
	struct event drain_timer;
	bool draining;
};

static void
drained_when_done(struct program *program)
{
	if (program->draining && delivery_jobs_running(program->jobs) == 0)
		worker_drained(program->worker);
}

static void
attempt_finished(void *context)
{
	drained_when_done(context);
}

static void
start_job(void *context, struct delivery_job *job)
{
	struct program *program = context;

	attempt_start(&program->outbound, job);
}

static void
call_out_done(void *context, uint64_t number, enum call_out_outcome outcome, const char *text)
{
	struct program *program = context;

	delivery_jobs_answer_call_out(program->jobs, number, outcome, text);
}

static void
start_call_out(void *context, const struct call_out_job *job)
{
	struct program *program = context;

	call_out_start(&program->outbound, job, call_out_done, program);
}

static void
use_settings(struct program *program)
{
	const struct settings *settings = worker_settings(program->worker);

	program->outbound.settings = settings;
	destination_sessions_limit(program->outbound.sessions,
	    settings->configuration.smtp_reuse_idle_timeout.number == 0 ? 0 :
	    (unsigned)settings->configuration.smtp_reuse_session_limit.number,
	    (unsigned)settings->configuration.smtp_reuse_message_limit.number);
}

static void
drain_deadline_passed(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct program *program = context;

	worker_drained(program->worker);
}

static void
smtp_after_jail(struct worker *worker)
{
	static const struct delivery_jobs_events events = { .start = start_job, .call_out = start_call_out };
	struct program *program = worker_context(worker);
	struct event_base *base = worker_event_base(worker);

	program->worker = worker;
	program->jobs = delivery_jobs_new(base, &events, program);
	program->outbound.base = base;
	program->outbound.lookups = host_lookups_new(base);
	program->outbound.sessions = destination_sessions_new();
	program->outbound.finished = attempt_finished;
	program->outbound.context = program;
	TAILQ_INIT(&program->outbound.attempts);
	TAILQ_INIT(&program->outbound.call_outs);
	event_assign(&program->drain_timer, base, -1, 0, drain_deadline_passed, program);
	use_settings(program);
}

static void
smtp_reloaded(struct worker *worker)
{
	struct program *program = worker_context(worker);

	use_settings(program);
	/* Their time-outs and our name in them are the old ones. */
	destination_sessions_quit_all(program->outbound.sessions);
}

static void
smtp_introduced(struct worker *worker, enum role peer, unsigned instance UNUSED,
    const struct ipc_protocol *protocol UNUSED, enum ipc_side side, int socket)
{
	struct program *program = worker_context(worker);

	if (peer == ROLE_QMGR)
		delivery_jobs_introduce(program->jobs, socket, side);
	else if (peer == ROLE_RESOLVER)
		host_lookups_introduce(program->outbound.lookups, socket, side);
	else
		worker_fatal(worker, "introduced to %s, which smtp does not know", role_rows[peer].name);
}

static void
smtp_drain(struct worker *worker, deadline_t deadline)
{
	struct program *program = worker_context(worker);
	struct timeval wait = deadline_timeval(deadline);

	program->draining = true;
	delivery_jobs_drain(program->jobs);
	destination_sessions_quit_all(program->outbound.sessions);
	event_add(&program->drain_timer, &wait);
	drained_when_done(program);
}

static void
smtp_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	buffer_printf(lines, "jobs=%u\nidle_sessions=%u\ncall_outs=%u\n", delivery_jobs_running(program->jobs),
	    destination_sessions_count(program->outbound.sessions), program->outbound.call_out_count);
}

static void
smtp_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	event_del(&program->drain_timer);
	attempts_abandon(&program->outbound);
	call_outs_abandon(&program->outbound);
	destination_sessions_free(&program->outbound.sessions);
	host_lookups_free(&program->outbound.lookups);
	delivery_jobs_free(&program->jobs);
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_SMTP,
		.after_jail = smtp_after_jail,
		.reloaded = smtp_reloaded,
		.introduced = smtp_introduced,
		.drain = smtp_drain,
		.status = smtp_status,
		.leaving = smtp_leaving,
	};
	static struct program program;

	return worker_run(argc, argv, &hooks, &program);
}
