/*
 * smtpd - SMTP server sessions and the inbound controls
 *
 * SECURITY: everything a client sends is hostile, and this program touches the network. It has an empty root
 * directory, opens no file and starts no program. It holds the listening sockets, its sessions' sockets, a pair to
 * master, logger, qmgr, directory, resolver and policy, and body files that qmgr opened for it. Its settings hold
 * no passwords. Whatever a client can make grow has a limit; whatever it says of itself is escaped before it
 * reaches a reply, a header or the log.
 */
#include <unistd.h>

#include "smtpd/listener.h"
#include "smtpd/server.h"

static void
before_jail(struct worker *worker)
{
	server_count_processes(worker_context(worker), worker_settings(worker));
}

static void
after_jail(struct worker *worker)
{
	server_start(worker_context(worker), worker);
}

static void
reloaded(struct worker *worker)
{
	server_reload(worker_context(worker));
}

static void
introduced(struct worker *worker, enum role peer, unsigned instance, const struct ipc_protocol *protocol,
    enum ipc_side side, int socket)
{
	(void)peer;
	(void)instance;
	(void)side;
	server_introduce(worker_context(worker), protocol, socket);
}

static void
listening(struct worker *worker, enum listen_purpose purpose, const char *address, int socket)
{
	/* TLS from the first octet and submission with AUTH are not spoken yet, and never anything less in their
	 * place. */
	if (purpose == LISTEN_SMTP)
		listener_open(worker_context(worker), address, socket);
	else
		close(socket);
}

static void
no_longer_listening(struct worker *worker, enum listen_purpose purpose, const char *address)
{
	if (purpose == LISTEN_SMTP)
		listener_close(worker_context(worker), address);
}

static void
client(struct worker *worker, uint32_t uid, int socket)
{
	server_take_local_client(worker_context(worker), socket, uid);
}

static void
drain(struct worker *worker, deadline_t deadline)
{
	server_drain(worker_context(worker), deadline);
}

static void
status(struct worker *worker, struct buffer *lines)
{
	server_status(worker_context(worker), lines);
}

static void
leaving(struct worker *worker)
{
	server_stop(worker_context(worker));
}

int
main(int argc, char **argv)
{
	static struct server server;
	static const struct worker_hooks hooks = {
		.role = ROLE_SMTPD,
		.before_jail = before_jail,
		.after_jail = after_jail,
		.reloaded = reloaded,
		.introduced = introduced,
		.listen = listening,
		.unlisten = no_longer_listening,
		.client = client,
		.drain = drain,
		.status = status,
		.leaving = leaving,
	};

	return worker_run(argc, argv, &hooks, &server);
}
