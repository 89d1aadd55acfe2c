/* switchboard - see switchboard.h */
#include "master/switchboard.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ipc/worker.h"
#include "common/log/log.h"

int
switchboard_make_pair(int ends_out[2], struct error *error)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_out) == -1)
		return error_system(error, errno, "making a socket pair");
	return 0;
}

/* A worker that cannot be told of a peer would work without it for ever: it is better started again. */
void
switchboard_introduce(struct process *process, enum role peer, unsigned instance, const struct ipc_protocol *protocol,
    enum ipc_side side, int socket)
{
	struct worker_introduce introduction = { .peer = (uint8_t)peer, .instance = (uint16_t)instance,
		.protocol = protocol->name, .side = (uint8_t)side, .socket = socket };

	if (process->channel == NULL || send_worker_introduce(process->channel, &introduction))
		return;
	process_dismiss(process, 0);
}

static void
connect_two(const struct role_pair *pair, struct process *asker, struct process *server)
{
	struct error error = ERROR_INITIALIZER;
	int ends[2];

	if (switchboard_make_pair(ends, &error) == -1) {
		log_event(LOG_FATAL, error.text);
		process_dismiss(asker, 0);
		return;
	}
	switchboard_introduce(asker, server->role, server->instance, pair->protocol, IPC_ASKS, ends[0]);
	switchboard_introduce(server, asker->role, asker->instance, pair->protocol, IPC_SERVES, ends[1]);
	close(ends[0]);
	close(ends[1]);
}

void
switchboard_connect(struct supervisor *supervisor, struct process *process)
{
	for (size_t p = 0; p < role_pair_count; p++) {
		const struct role_pair *pair = &role_pairs[p];

		for (size_t i = 0; i < supervisor->process_count; i++) {
			struct process *other = &supervisor->processes[i];

			if (process->channel == NULL)
				return;
			if (other == process || other->channel == NULL)
				continue;
			if (pair->asker == process->role && pair->server == other->role)
				connect_two(pair, process, other);
			else if (pair->server == process->role && pair->asker == other->role)
				connect_two(pair, other, process);
		}
	}
}

int
switchboard_pair(struct process *process, enum role peer, unsigned instance, const struct ipc_protocol *protocol,
    enum ipc_side side, int *socket_out, struct error *error)
{
	int ends[2];

	if (switchboard_make_pair(ends, error) == -1)
		return -1;
	switchboard_introduce(process, peer, instance, protocol, side, ends[0]);
	close(ends[0]);
	*socket_out = ends[1];
	return 0;
}
