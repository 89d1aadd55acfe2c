/* server - see server.h */
#include "smtpd/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/memory.h"
#include "common/ipc/deposit.h"
#include "common/ipc/inspection.h"
#include "smtpd/connection.h"
#include "smtpd/inspection.h"
#include "smtpd/listener.h"

#define PROCESSES_MAX 4		/* when smtpd_processes is 0, as master counts them */
#define OPENING_SECONDS 10	/* how long the first clients may wait for qmgr */

void
server_count_processes(struct server *server, const struct settings *settings)
{
	server->processes = (long)settings->matador.smtpd_processes.number;
	if (server->processes == 0)
		server->processes = sysconf(_SC_NPROCESSORS_ONLN);
	if (settings->matador.smtpd_processes.number == 0 && server->processes > PROCESSES_MAX)
		server->processes = PROCESSES_MAX;
	if (server->processes < 1)
		server->processes = 1;
}

/* qmgr has gone, and the body files of messages on their way in with it. */
static void
on_queue_lost(void *context)
{
	struct server *server = context;

	inquirer_use_queue(server->inquirer, NULL);
	connections_body_lost(server);
}

static void
on_call_out_answered(void *context, const struct call_out_answer *message)
{
	struct server *server = context;

	inquirer_take_call_out(server->inquirer, message);
}

/* Transactions can begin, or this has been waited for long enough: clients in the kernel's queue are taken from
 * now on. */
static void
open_ports(void *context)
{
	struct server *server = context;
	struct early_client *client;

	if (server->is_open)
		return;
	server->is_open = true;
	evtimer_del(server->opening_timer);
	listeners_resume(server);
	while ((client = STAILQ_FIRST(&server->early_clients)) != NULL) {
		STAILQ_REMOVE_HEAD(&server->early_clients, next);
		connection_open_local(server, client->socket, client->user_id);
		free(client);
	}
}

void
server_take_local_client(struct server *server, int socket, uint32_t user_id)
{
	struct early_client *client;

	if (server->is_open) {
		connection_open_local(server, socket, user_id);
		return;
	}
	client = memory_new(1, sizeof(*client));
	client->socket = socket;
	client->user_id = user_id;
	STAILQ_INSERT_TAIL(&server->early_clients, client, next);
}

static void
on_opening_timer(evutil_socket_t unused, short what, void *context)
{
	(void)unused;
	(void)what;
	open_ports(context);
}

static void
take_settings(struct server *server)
{
	const struct settings *settings = worker_settings(server->worker);

	rules_release(&server->rules);
	server->rules = rules_new(settings);
	inspector_set_rules(server->inspector, server->rules);
	server->shared.content_limit = (size_t)settings->matador.content_memory_limit.number;
}

void
server_start(struct server *server, struct worker *worker)
{
	static const struct depositor_events events = { .lost = on_queue_lost, .ready = open_ports,
		.call_out_answered = on_call_out_answered };
	static const struct timeval longest = { OPENING_SECONDS, 0 };

	server->worker = worker;
	server->base = worker_event_base(worker);
	TAILQ_INIT(&server->connections);
	TAILQ_INIT(&server->listeners);
	STAILQ_INIT(&server->early_clients);
	server->depositor = depositor_new(&server->shared, &events, server);
	server->opening_timer = evtimer_new(server->base, on_opening_timer, server);
	evtimer_add(server->opening_timer, &longest);
	server->limits = limits_new();
	server->inquirer = inquirer_new(server->base, server->limits);
	server->inspector = inspector_new(server->base, server->inquirer, server->limits, (size_t)server->processes);
	take_settings(server);
}

void
server_reload(struct server *server)
{
	take_settings(server);
}

void
server_introduce(struct server *server, const struct ipc_protocol *protocol, int socket)
{
	if (protocol == &deposit_protocol) {
		depositor_connect(server->depositor, server->base, socket);
		inquirer_use_queue(server->inquirer, depositor_channel(server->depositor));
	} else if (protocol == &inspection_protocol) {
		inspector_connect(server->inspector, socket);
	} else if (!inquirer_connect(server->inquirer, protocol, socket)) {
		close(socket);
	}
}

static void
on_drain_deadline(evutil_socket_t unused, short what, void *context)
{
	struct server *server = context;

	(void)unused;
	(void)what;
	connections_close_all(server);
	worker_drained(server->worker);
}

void
server_drain(struct server *server, deadline_t deadline)
{
	struct timeval wait = deadline_timeval(deadline);

	if (server->drain_timer != NULL)
		return;
	listeners_close_all(server);
	open_ports(server);
	server->drain_timer = evtimer_new(server->base, on_drain_deadline, server);
	evtimer_add(server->drain_timer, &wait);
	connections_drain(server);
	server_connection_gone(server);
}

void
server_connection_gone(struct server *server)
{
	static const struct timeval now = { 0, 0 };

	/* From the event loop, not from inside what just ended. */
	if (server->drain_timer != NULL && TAILQ_EMPTY(&server->connections))
		evtimer_add(server->drain_timer, &now);
}

void
server_status(struct server *server, struct buffer *lines)
{
	buffer_printf(lines, "sessions=%zu\n", limits_sessions(server->limits));
	buffer_printf(lines, "connections_accepted=%" PRIu64 "\n", server->connections_accepted);
	buffer_printf(lines, "connections_refused=%" PRIu64 "\n", server->connections_refused);
	buffer_printf(lines, "messages_accepted=%" PRIu64 "\n", server->messages_accepted);
	buffer_printf(lines, "deposits_pending=%zu\n", depositor_pending(server->depositor));
	buffer_printf(lines, "content_octets=%zu\n", server->shared.content_octets);
	buffer_printf(lines, "queue=%s\n", !server->shared.connected ? "away" :
	    server->shared.accepting ? "accepting" : "refusing");
	statistics_append(&server->shared.statistics, lines);
}

void
server_stop(struct server *server)
{
	if (server->worker == NULL)
		return;
	listeners_close_all(server);
	open_ports(server);
	connections_close_all(server);
	event_free(server->opening_timer);
	if (server->drain_timer != NULL)
		event_free(server->drain_timer);
	depositor_free(&server->depositor);
	inspector_free(&server->inspector);
	inquirer_free(&server->inquirer);
	statistics_free(&server->shared.statistics);
	limits_free(&server->limits);
	rules_release(&server->rules);
}
