/*
 * server - what one smtpd process is made of: its sessions, its ports, its peers
 *
 * main.c declares the hooks; here they find what they work on.
 */
#ifndef SMTPD_SERVER_H
#define SMTPD_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/worker/worker.h"
#include "smtpd/deposit.h"
#include "smtpd/inquiry.h"
#include "smtpd/limits.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"

struct connection;
struct event;
struct inspector;
struct listener;

/* A local client that master handed over before transactions could begin. */
struct early_client {
	STAILQ_ENTRY(early_client) next;
	int socket;
	uint32_t user_id;
};

TAILQ_HEAD(connection_list, connection);
TAILQ_HEAD(listener_list, listener);

struct server {
	struct worker *worker;
	struct event_base *base;
	struct rules *rules;			/* for new sessions */
	struct session_shared shared;
	struct depositor *depositor;
	struct inquirer *inquirer;
	struct inspector *inspector;
	struct limits *limits;
	struct connection_list connections;
	struct listener_list listeners;
	struct event *opening_timer;		/* the longest wait before the ports are served */
	bool is_open;				/* they are */
	STAILQ_HEAD(, early_client) early_clients;	/* while they are not */
	struct event *drain_timer;		/* NULL until the service stops */
	long processes;				/* smtpd processes that share the ports */
	uint64_t connections_accepted;
	uint64_t connections_refused;
	uint64_t messages_accepted;
	char input[SESSION_INPUT_MAX];		/* what was read last, of whichever session */
};

/* Before the jail: counts the processors. */
void server_count_processes(struct server *server, const struct settings *settings);
void server_start(struct server *server, struct worker *worker);
void server_reload(struct server *server);
void server_introduce(struct server *server, const struct ipc_protocol *protocol, int socket);
/* Takes over a local client of this user. */
void server_take_local_client(struct server *server, int socket, uint32_t user_id);
/* Ends what can end, the rest by the deadline; then says worker_drained(). */
void server_drain(struct server *server, deadline_t deadline);
/* A connection has gone. */
void server_connection_gone(struct server *server);
void server_status(struct server *server, struct buffer *lines);
void server_stop(struct server *server);

#endif
