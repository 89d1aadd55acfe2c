/*
 * directory - answers look-ups in the Domino Directory
 *
 * The Person, Group and Mail-In Database documents of the settings are compiled into a Berkeley DB file; router
 * and smtpd ask it for people, groups and members. Beside it are the two small stores of what is remembered of strangers: the
 * greylist, and what call-outs found.
 *
 * SECURITY: holds what only it may know, the password hashes of the people, and gives none of it away: no answer
 * carries one. It runs as a user of its own, shut in a folder of the spool that holds nothing but its own nameless
 * database file and the two stores; it has no network and starts nothing. What it is asked comes from strangers (addresses of RCPT
 * TO, by way of smtpd): texts are bounded by the protocol, parsed strictly, and become keys with a length and a
 * kind in front, so that no text can meet a key of another kind.
 */
#include "common/worker/worker.h"
#include "directory/call_out_memory.h"
#include "directory/greylist.h"
#include "directory/server.h"

struct program {
	struct directory_server *server;
};

static void
directory_after_jail(struct worker *worker)
{
	struct program *program = worker_context(worker);

	struct event_base *base = worker_event_base(worker);
	struct greylist *greylist = greylist_new(base, worker_path(worker, "greylist"));
	struct call_out_memories *call_outs = call_out_memories_new(base, worker_path(worker, "call-outs"));

	program->server = directory_server_new(base, worker_path(worker, "directory.db"), greylist, call_outs);
	directory_server_compile(program->server, worker_settings(worker));
}

static void
directory_reloaded(struct worker *worker)
{
	struct program *program = worker_context(worker);

	directory_server_compile(program->server, worker_settings(worker));
}

static void
directory_introduced(struct worker *worker, enum role peer, unsigned instance,
    const struct ipc_protocol *protocol UNUSED, enum ipc_side side, int socket)
{
	struct program *program = worker_context(worker);

	if (peer != ROLE_ROUTER && peer != ROLE_SMTPD)
		worker_fatal(worker, "introduced to %s, which directory does not know", role_rows[peer].name);
	directory_server_introduce(program->server, peer, instance, side, socket);
}

static void
directory_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	directory_server_status(program->server, lines);
}

static void
directory_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	directory_server_free(&program->server);
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_DIRECTORY,
		.after_jail = directory_after_jail,
		.reloaded = directory_reloaded,
		.introduced = directory_introduced,
		.status = directory_status,
		.leaving = directory_leaving,
	};
	static struct program program;

	return worker_run(argc, argv, &hooks, &program);
}
