/*
 * local - writes messages into mail files
 *
 * qmgr hands it jobs (a message and some of its recipients, each with the name of its mail file); it writes a
 * Maildir file for each and answers when that is on stable storage.
 *
 * SECURITY: runs as a user of its own, shut in the folder of the mail files, which it alone writes; it has no
 * network and reads no message but to write it. Names of mail files come from the Directory by way of qmgr
 * and are checked all the same: no component leads up or through a symbolic link.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf/settings.h"
#include "common/worker/worker.h"
#include "local/delivery.h"

struct program {
	struct worker *worker;
	struct delivery_jobs *jobs;
	struct deliveries *deliveries;
	struct event drain_timer;
	bool draining;
};

static void
drained_when_done(void *context)
{
	struct program *program = context;

	if (program->draining && delivery_jobs_running(program->jobs) == 0)
		worker_drained(program->worker);
}

static void
start_job(void *context, struct delivery_job *job)
{
	struct program *program = context;

	deliveries_add(program->deliveries, job);
}

static void
drain_deadline_passed(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct program *program = context;

	worker_drained(program->worker);
}

static void
local_after_jail(struct worker *worker)
{
	static const struct delivery_jobs_events events = { .start = start_job };
	struct program *program = worker_context(worker);
	struct event_base *base = worker_event_base(worker);
	const char *path = worker_path(worker, ".");
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root == -1)
		worker_fatal(worker, "open the folder of the mail files (mail_directory) as %s: %s", path, strerror(errno));
	umask(077);
	program->worker = worker;
	program->jobs = delivery_jobs_new(base, &events, program);
	program->deliveries = deliveries_new(base, root, worker_settings(worker)->server.internet_host_name.text,
	    drained_when_done, program);
	event_assign(&program->drain_timer, base, -1, 0, drain_deadline_passed, program);
}

static void
local_reloaded(struct worker *worker)
{
	struct program *program = worker_context(worker);

	deliveries_set_host(program->deliveries, worker_settings(worker)->server.internet_host_name.text);
}

static void
local_introduced(struct worker *worker, enum role peer, unsigned instance UNUSED,
    const struct ipc_protocol *protocol UNUSED, enum ipc_side side, int socket)
{
	struct program *program = worker_context(worker);

	if (peer != ROLE_QMGR)
		worker_fatal(worker, "introduced to %s, which local does not know", role_rows[peer].name);
	deliveries_suspect_repeats(program->deliveries);
	delivery_jobs_introduce(program->jobs, socket, side);
}

static void
local_drain(struct worker *worker, deadline_t deadline)
{
	struct program *program = worker_context(worker);
	struct timeval wait = deadline_timeval(deadline);

	program->draining = true;
	delivery_jobs_drain(program->jobs);
	event_add(&program->drain_timer, &wait);
	drained_when_done(program);
}

static void
local_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	buffer_printf(lines, "jobs=%u\ndelivered=%llu\n", delivery_jobs_running(program->jobs),
	    (unsigned long long)deliveries_count(program->deliveries));
}

static void
local_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	event_del(&program->drain_timer);
	deliveries_free(&program->deliveries);
	delivery_jobs_free(&program->jobs);
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_LOCAL,
		.after_jail = local_after_jail,
		.reloaded = local_reloaded,
		.introduced = local_introduced,
		.drain = local_drain,
		.status = local_status,
		.leaving = local_leaving,
	};
	static struct program program;

	return worker_run(argc, argv, &hooks, &program);
}
