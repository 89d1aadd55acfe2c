/* connection - see connection.h */
#include "smtpd/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/client_dns.h"
#include "smtpd/receive.h"
#include "smtpd/recipient.h"
#include "smtpd/server.h"

#define LINGER_OCTETS (1024 * 1024)	/* thrown away after the last reply, so that the client can read it */

struct connection {
	TAILQ_ENTRY(connection) entries;
	struct server *server;
	struct session *session;
	int socket;
	struct event readable;
	struct event writable;
	struct event timer;
	deadline_t timer_at;		/* when the timer fires */
	struct buffer unread;		/* octets that the session could not take yet */
	struct deposit_order *order;	/* what is asked of qmgr for it, or NULL */
	struct inquiry *inquiry;	/* or what is asked of others: a fact that the session waits for */
	enum fact asked;		/* which one */
	struct inquiry *foreseen;	/* a fact that it will want, asked ahead */
	uint64_t body_id;		/* the message whose body file it has; 0: none */
	bool has_body;
	bool is_counted;		/* in the limits */
	bool is_running;
	bool is_lingering;		/* all was said: reads only until the client closes */
	size_t lingered;
	struct in6_addr client;
};

static void run(struct connection *connection);

/* By policy's count: the session is none of its client's any more. */
static bool
is_turned_away(const struct connection *connection)
{
	return connection->session->known.facts.admission == RATE_EXCEEDED;
}

static void
leave_limits(struct connection *connection)
{
	struct server *server = connection->server;

	if (is_turned_away(connection)) {
		limits_leave_refused(server->limits);
		return;
	}
	limits_leave(server->limits, &connection->client);
	inquirer_session_closed(server->inquirer, &connection->session->known.facts);
}

static void
close_connection(struct connection *connection)
{
	struct server *server = connection->server;
	const struct session *session = connection->session;

	log_event(LOG_SESSION_CLOSED, session->name, session->client.address, session_client_name(session),
	    session->reason, log_number(session->messages), log_seconds(clock_monotonic_ms() - session->began_ms));
	depositor_detach(server->depositor, &connection->order);
	inquiry_forget(&connection->inquiry);
	inquiry_forget(&connection->foreseen);
	if (connection->is_counted)
		leave_limits(connection);
	session_free(&connection->session);
	if (connection->has_body)
		depositor_abandon(server->depositor, connection->body_id);
	event_del(&connection->readable);
	event_del(&connection->writable);
	event_del(&connection->timer);
	close(connection->socket);
	buffer_free(&connection->unread);
	TAILQ_REMOVE(&server->connections, connection, entries);
	free(connection);
	server_connection_gone(server);
}

/* ---- what the session waits for ---- */

static void
on_body_file(void *owner, enum deposit_outcome outcome, int file, const char *text)
{
	struct connection *connection = owner;

	connection->order = NULL;
	if (outcome == DEPOSIT_STORED && file >= 0) {
		connection->has_body = true;
		connection->body_id = connection->session->transaction->envelope.id;
	} else if (outcome == DEPOSIT_STORED) {
		/* We are short of descriptors, and this one was lost on its way: nobody will write the file. */
		depositor_abandon(connection->server->depositor, connection->session->transaction->envelope.id);
	}
	receive_body_file(connection->session, file, outcome, text);
	run(connection);
}

static void
on_deposited(void *owner, enum deposit_outcome outcome, int file, const char *text)
{
	struct connection *connection = owner;

	(void)file;
	connection->order = NULL;
	if (outcome == DEPOSIT_STORED)
		connection->server->messages_accepted++;
	receive_deposited(connection->session, outcome, text);
	run(connection);
}

static void
on_fact(void *owner, const struct fact_answer *answer)
{
	struct connection *connection = owner;

	connection->inquiry = NULL;
	session_learn(connection->session, answer);
	run(connection);
}

static struct inquiry *
ask_fact(struct connection *connection, enum fact fact, inquiry_done_cb done)
{
	struct session *session = connection->session;
	struct inquiry_subject subject = { .rules = session->rules, .client = &session->known.facts,
		.sender = session->transaction != NULL ? &session->transaction->sender.facts : NULL,
		.recipient = session->recipient != NULL ? &session->recipient->known.facts : NULL };

	return inquiry_ask(connection->server->inquirer, fact, &subject, done, connection);
}

static void on_foreseen(void *owner, const struct fact_answer *answer);

/* Asks for what the session will want to know of its client: the DNS has time until the first MAIL. */
static void
foresee(struct connection *connection)
{
	enum fact fact;

	while (connection->foreseen == NULL && session_foresees(connection->session, &fact)) {
		connection->foreseen = ask_fact(connection, fact, on_foreseen);
		if (connection->foreseen != NULL)
			return;
	}
}

static void
on_foreseen(void *owner, const struct fact_answer *answer)
{
	struct connection *connection = owner;
	bool was_asked = connection->foreseen != NULL;

	connection->foreseen = NULL;
	session_learn(connection->session, answer);
	if (!was_asked)
		return;
	foresee(connection);
	run(connection);
}

/* Regular files take all, unless something is wrong. */
static int
write_all(int file, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t count = write(file, data, length);

		if (count > 0) {
			data += count;
			length -= (size_t)count;
		} else if (count == 0) {
			return ENOSPC;
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

/* Appends the content that is here to the body file. */
static int
write_body(const struct transaction *transaction)
{
	int error_number = write_all(transaction->body_file, transaction->data.data, transaction->data.length);

	return error_number != 0 ? error_number :
	    write_all(transaction->body_file, transaction->lent.data, transaction->lent.length);
}

static void
begin_deposit(struct connection *connection)
{
	connection->has_body = false;
	connection->order = depositor_store(connection->server->depositor, connection->session->transaction,
	    on_deposited, connection);
}

/* Asks for what the session waits for, unless it was asked already. True when it may go on at once. */
static bool
serve_wait(struct connection *connection)
{
	struct session *session = connection->session;
	struct server *server = connection->server;

	switch (session->wait) {
	case SESSION_WAITS_FOR_BODY_WRITE:
		receive_body_written(session, write_body(session->transaction));
		return true;
	case SESSION_WAITS_FOR_BODY_FILE:
		if (connection->order == NULL)
			connection->order = depositor_ask_body(server->depositor, session->transaction->envelope.id,
			    on_body_file, connection);
		return false;
	case SESSION_WAITS_FOR_DEPOSIT:
		if (connection->order == NULL)
			begin_deposit(connection);
		return false;
	case SESSION_WAITS_FOR_FACT:
		if (connection->inquiry != NULL && connection->asked == session->wanted_fact)
			return false;
		/* What was given up must not be answered later: policy's answer changes the limits. */
		inquiry_forget(&connection->inquiry);
		if (session->wanted_fact == FACT_PATIENCE)
			return false;
		connection->asked = session->wanted_fact;
		connection->inquiry = ask_fact(connection, session->wanted_fact, on_fact);
		return connection->inquiry == NULL;
	case SESSION_WAITS_FOR_INPUT:
	case SESSION_WAITS_FOR_CLOSE:
		break;
	}
	return false;
}

/* Gives back what belongs to a transaction that is over, or to a wait that was given up. */
static void
tidy(struct connection *connection)
{
	const struct session *session = connection->session;
	const struct transaction *transaction = session->transaction;

	if (connection->has_body && (transaction == NULL || transaction->envelope.id != connection->body_id ||
	    transaction->body_file < 0)) {
		depositor_abandon(connection->server->depositor, connection->body_id);
		connection->has_body = false;
	}
	if (session->wait != SESSION_WAITS_FOR_DEPOSIT && session->wait != SESSION_WAITS_FOR_BODY_FILE)
		depositor_detach(connection->server->depositor, &connection->order);
	if (session->wait != SESSION_WAITS_FOR_FACT)
		inquiry_forget(&connection->inquiry);
}

/* Feeds the session as long as it takes octets and nothing has to be waited for. */
static void
feed(struct connection *connection, const char *data, size_t length)
{
	size_t taken = 0;

	do {
		if (taken < length && session_reads(connection->session))
			taken += session_input(connection->session, data + taken, length - taken);
		tidy(connection);
	} while (serve_wait(connection) || (taken < length && session_reads(connection->session)));
	depositor_check_ids(connection->server->depositor);
	if (data == connection->unread.data)
		buffer_consume(&connection->unread, taken);
	else if (taken < length)
		buffer_append(&connection->unread, data + taken, length - taken);
	if (connection->unread.length == 0)
		buffer_free(&connection->unread);
}

/* ---- the socket ---- */

/* Sends replies as far as the client takes them; the reply to QUIT leaves with the close behind it, as one packet. False: the
 * client has gone. */
static bool
send_output(struct connection *connection)
{
	struct buffer *output = &connection->session->output;
	bool closes = connection->session->wait == SESSION_WAITS_FOR_CLOSE && connection->session->is_orderly;

	while (output->length > 0) {
		ssize_t count = send(connection->socket, output->data, output->length, MSG_NOSIGNAL | (closes ? MSG_MORE : 0));

		if (count >= 0)
			buffer_consume(output, (size_t)count);
		else if (errno == EAGAIN)
			return true;
		else if (errno != EINTR)
			return false;
	}
	buffer_free(output);
	return true;
}

/* Whether the client is not greeted yet, and it matters whether it says something. */
static bool
is_being_tried(const struct connection *connection)
{
	return connection->session->wait == SESSION_WAITS_FOR_FACT && connection->session->wanted_fact == FACT_PATIENCE;
}

static bool
wants_input(const struct connection *connection)
{
	return connection->is_lingering || ((session_reads(connection->session) || is_being_tried(connection)) &&
	    connection->unread.length == 0);
}

/* A client that waits for a reply seldom sends: reading stops only when it does so all the same (on_readable()), which
 * spares the kernel two changes of mind a message. */
static void
watch_socket(struct connection *connection)
{
	if (wants_input(connection))
		event_add(&connection->readable, NULL);
	if (connection->session->output.length > 0)
		event_add(&connection->writable, NULL);
	else
		event_del(&connection->writable);
}

/* The timer is moved only when it would be late; when it is early it is set again as it fires. */
static void
set_timer(struct connection *connection)
{
	struct timeval wait;

	if (connection->timer_at <= connection->session->deadline)
		return;
	connection->timer_at = connection->session->deadline;
	wait = deadline_timeval(connection->timer_at);
	evtimer_add(&connection->timer, &wait);
}

/* All was said. Unless the client expects that, it may still be sending, and a plain close would destroy the reply
 * on its way. A client that was turned away is not waited for, or it could hold as many places as it likes: what it has sent by now is
 * thrown away, so that it can read why. True when the connection is gone. */
static bool
finish(struct connection *connection)
{
	if (is_turned_away(connection))
		(void)!recv(connection->socket, connection->server->input, sizeof(connection->server->input), 0);
	if (connection->session->is_orderly || is_turned_away(connection)) {
		close_connection(connection);
		return true;
	}
	if (!connection->is_lingering)
		shutdown(connection->socket, SHUT_WR);
	connection->is_lingering = true;
	return false;
}

/* Goes on after anything has happened. */
static void
run(struct connection *connection)
{
	struct session *session = connection->session;

	if (connection->is_running)
		return;
	connection->is_running = true;
	do {
		feed(connection, connection->unread.data, connection->unread.length);
		if (!send_output(connection)) {
			close_connection(connection);
			return;
		}
		/* Replies that left make room for commands that wait. */
	} while (connection->unread.length > 0 && session_reads(session));
	connection->is_running = false;
	if (session->wait == SESSION_WAITS_FOR_CLOSE) {
		buffer_free(&connection->unread);
		if (session->output.length == 0 && finish(connection))
			return;
	}
	watch_socket(connection);
	set_timer(connection);
}

static void
linger(struct connection *connection)
{
	struct server *server = connection->server;
	ssize_t count = recv(connection->socket, server->input, sizeof(server->input), 0);

	if (count > 0)
		connection->lingered += (size_t)count;
	if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) || connection->lingered > LINGER_OCTETS)
		close_connection(connection);
}

static void
on_readable(evutil_socket_t socket, short what, void *context)
{
	struct connection *connection = context;
	struct server *server = connection->server;
	ssize_t count;

	(void)what;
	if (!wants_input(connection)) {
		event_del(&connection->readable);
		return;
	}
	if (connection->is_lingering) {
		linger(connection);
		return;
	}
	count = recv(socket, server->input, session_input_size(connection->session), 0);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		close_connection(connection);
		return;
	}
	if (is_being_tried(connection)) {
		buffer_append(&connection->unread, server->input, (size_t)count);
		session_learn(connection->session, &(struct fact_answer){ .fact = FACT_PATIENCE, .spoke_early = true });
	} else {
		connection->is_running = true;
		feed(connection, server->input, (size_t)count);
		connection->is_running = false;
	}
	run(connection);
}

static void
on_writable(evutil_socket_t socket, short what, void *context)
{
	(void)socket;
	(void)what;
	run(context);
}

static void
on_timer(evutil_socket_t socket, short what, void *context)
{
	struct connection *connection = context;
	struct session *session = connection->session;

	(void)socket;
	(void)what;
	connection->timer_at = DEADLINE_NEVER;
	if (!deadline_passed(session->deadline)) {
		set_timer(connection);
		return;
	}
	if (session->wait == SESSION_WAITS_FOR_CLOSE) {
		close_connection(connection);
		return;
	}
	session_expired(session);
	/* Before the session asks for anything else: what it gave up must not answer that. */
	tidy(connection);
	run(connection);
}

/* ---- opening ---- */

static struct connection *
new_connection(struct server *server, int socket, const struct session_client *client)
{
	struct connection *connection = memory_new(1, sizeof(*connection));
	char name[24];

	snprintf(name, sizeof(name), "%u-%" PRIu64, worker_instance(server->worker),
	    ++server->connections_accepted);
	connection->server = server;
	connection->socket = socket;
	connection->timer_at = DEADLINE_NEVER;
	buffer_init(&connection->unread, 0);
	connection->session = session_new(server->rules, &server->shared, client, name);
	event_assign(&connection->readable, server->base, socket, EV_READ | EV_PERSIST, on_readable, connection);
	event_assign(&connection->writable, server->base, socket, EV_WRITE | EV_PERSIST, on_writable, connection);
	evtimer_assign(&connection->timer, server->base, on_timer, connection);
	TAILQ_INSERT_TAIL(&server->connections, connection, entries);
	log_event(LOG_SESSION_OPENED, name, client->address, log_number(client->port));
	return connection;
}

/* The client's address as IPv6 (IPv4 mapped), and as text without the mapping. */
static void
describe_client(const struct sockaddr_storage *address, struct session_client *client, struct in6_addr *key)
{
	*client = (struct session_client){ .socket_address = *address };
	*key = client_key((const struct sockaddr *)address);
	client_key_text(key, client->address);
	client->port = ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port :
	    ((const struct sockaddr_in *)address)->sin_port);
}

static void
turn_away(struct server *server, int socket, const struct session_client *client, enum reply reply,
    const char *reason)
{
	struct buffer line = BUFFER_INITIALIZER(REPLY_LINE_MAX);

	server->connections_refused++;
	log_event(LOG_SESSION_REFUSED, client->address, reason);
	reply_append(&line, reply, NULL, true, false);
	(void)!send(socket, line.data, line.length, MSG_NOSIGNAL);
	buffer_free(&line);
	close(socket);
}

/* How many sessions the client may have in this process, and whether policy is to be asked about this one. By its address alone: to ask
 * for the client's names would cost a flood of sessions more than to let it in. */
static size_t
maximum_of(const struct server *server, const struct in6_addr *key, struct session_client *client)
{
	size_t maximum = (size_t)rules_configuration(server->rules)->maximum_sessions_per_client.number;

	if (client->is_local_user || !limits_is_crowded(server->limits, key, maximum / (size_t)server->processes))
		return maximum;
	if (host_list_find_address(server->rules->lists->rate_exempt_hosts,
	    (const struct sockaddr *)&client->socket_address) != NULL)
		return SIZE_MAX;
	client->is_crowded = true;
	return maximum;
}

/* A session of a client that is counted under key, unless there are too many. */
static void
open_counted(struct server *server, int socket, struct session_client *client, const struct in6_addr *key)
{
	int64_t all = rules_configuration(server->rules)->maximum_sessions.number;
	size_t maximum = (size_t)((all + server->processes - 1) / server->processes);
	struct connection *connection;

	switch (limits_enter(server->limits, key, maximum, maximum_of(server, key, client))) {
	case LIMITS_TOO_MANY:
		turn_away(server, socket, client, REPLY_TOO_MANY_SESSIONS, "maximum_sessions");
		return;
	case LIMITS_TOO_MANY_FROM_CLIENT:
		turn_away(server, socket, client, REPLY_TOO_MANY_FROM_CLIENT, "maximum_sessions_per_client");
		return;
	case LIMITS_ENTERED:
		break;
	}
	connection = new_connection(server, socket, client);
	connection->client = *key;
	connection->is_counted = true;
	foresee(connection);
	run(connection);
}

void
connection_open(struct server *server, int socket, const struct sockaddr_storage *address)
{
	struct session_client client;
	struct in6_addr key;

	describe_client(address, &client, &key);
	open_counted(server, socket, &client, &key);
}

/* Each local user is a client like any other: counted under an address that nobody has (RFC 6666) and the user's id. */
void
connection_open_local(struct server *server, int socket, uint32_t user_id)
{
	struct session_client client = { .is_local_user = true, .user_id = user_id, .address = "local" };
	struct in6_addr key = { .s6_addr = { 0x01 } };

	memcpy(&key.s6_addr[12], &user_id, sizeof(user_id));
	evutil_make_socket_nonblocking(socket);
	open_counted(server, socket, &client, &key);
}

/* ---- all of them ---- */

void
connections_drain(struct server *server)
{
	struct connection *connection, *next;

	for (connection = TAILQ_FIRST(&server->connections); connection != NULL; connection = next) {
		next = TAILQ_NEXT(connection, entries);
		session_drain(connection->session);
		run(connection);
	}
}

void
connections_close_all(struct server *server)
{
	struct connection *connection;

	while ((connection = TAILQ_FIRST(&server->connections)) != NULL) {
		connection->session->reason = "service stops";
		close_connection(connection);
	}
}

void
connections_body_lost(struct server *server)
{
	struct connection *connection;

	TAILQ_FOREACH(connection, &server->connections, entries) {
		receive_body_lost(connection->session);
		connection->has_body = false;
	}
}
