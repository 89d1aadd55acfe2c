/* connection - see connection.h */
#include "smtp/connection.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"

#define READ_SIZE 16384
#define SENT_AT_A_TIME (256 * 1024)	/* octets that one connection sends before others have their turn */

struct connection {
	struct session *session;
	int socket;
	struct event read_event;
	struct event write_event;
	struct event timer;
	deadline_t timer_at;		/* when the timer fires */
	enum session_state told;	/* the last state that the owner was told of; CONNECT: none */
	struct connection_peer peer;
	char *host;			/* owned: peer.host */
	bool lmtp;
	connection_cb changed;
	void *context;
};

static void
connection_lost(struct connection *connection, int number)
{
	char reason[96];

	session_connection_lost(connection->session,
	    number == 0 ? "closed by the host" : strerror_r(number, reason, sizeof(reason)));
}

/* Hands in what arrived. False when the connection is at its end. */
static bool
read_arrived(struct connection *connection)
{
	static char data[READ_SIZE];
	ssize_t length = recv(connection->socket, data, sizeof(data), 0);

	if (length > 0) {
		session_receive(connection->session, data, (size_t)length);
		return true;
	}
	if (length == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	connection_lost(connection, length == 0 ? 0 : errno);
	return false;
}

/* The host takes no more; it may have said why before it closed. */
static void
write_failed(struct connection *connection, int number)
{
	int reads = 0;

	while (session_state(connection->session) != SESSION_CLOSED && reads++ < 8 && read_arrived(connection))
		;
	connection_lost(connection, number);
}

/* From the file to the socket without passing through here. Like send(), but 0 when the file cannot be read. */
static ssize_t
send_file(struct connection *connection, int file, uint64_t offset, size_t length)
{
	off_t from = (off_t)offset;
	ssize_t sent = sendfile(connection->socket, file, &from, length < SENT_AT_A_TIME ? length : SENT_AT_A_TIME);

	if (sent == -1 && errno == EIO)
		sent = 0;
	if (sent == 0)
		session_output_unreadable(connection->session, strerror(EIO));
	return sent;
}

/* What waits for the wire, as much as the socket takes at once. The octets sent; 0: nothing waits, or the session failed. */
static ssize_t
send_some(struct connection *connection)
{
	uint64_t offset;
	size_t length;
	int file;
	const char *data;

	if (session_output_file(connection->session, &file, &offset, &length))
		return send_file(connection, file, offset, length);
	data = session_output(connection->session, &length);
	return length == 0 ? 0 : send(connection->socket, data, length, MSG_NOSIGNAL);
}

static void
write_waiting(struct connection *connection)
{
	size_t sent_now = 0;
	ssize_t sent;

	do {
		sent = send_some(connection);
		if (sent > 0) {
			session_output_sent(connection->session, (size_t)sent);
			sent_now += (size_t)sent;
		}
	} while (sent > 0 && sent_now < SENT_AT_A_TIME);
	if (sent == -1 && errno != EAGAIN && errno != EINTR)
		write_failed(connection, errno);
	else if (sent != 0)
		event_add(&connection->write_event, NULL);
}

/* The timer is moved only when it would be late; when it is early it is set again as it fires. */
static void
arm_timer(struct connection *connection)
{
	deadline_t deadline = session_deadline(connection->session);
	struct timeval wait;

	if (connection->timer_at <= deadline)
		return;
	connection->timer_at = deadline;
	wait = deadline_timeval(deadline);
	event_add(&connection->timer, &wait);
}

/* After anything happened: writes, sets the clock, and tells the owner when it is his turn. Nothing may follow. */
static void
advance(struct connection *connection)
{
	enum session_state state;

	if (session_state(connection->session) > SESSION_CONNECT)
		write_waiting(connection);
	arm_timer(connection);
	state = session_state(connection->session);
	if (state == SESSION_CLOSED) {
		event_del(&connection->read_event);
		event_del(&connection->write_event);
		event_del(&connection->timer);
	}
	if ((state != SESSION_CLOSED && state != SESSION_IDLE) || connection->told == state)
		return;
	connection->told = state;
	connection->changed(connection->context, connection);
}

static void
handle_write(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	advance(context);
}

static void
handle_read(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct connection *connection = context;

	read_arrived(connection);
	advance(connection);
}

static void
handle_timer(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct connection *connection = context;

	connection->timer_at = DEADLINE_NEVER;
	if (deadline_passed(session_deadline(connection->session)))
		session_time_out(connection->session);
	advance(connection);
}

struct connection *
connection_new(struct event_base *base, int socket, const struct connection_peer *peer,
    const struct session_options *options, connection_cb changed, void *context)
{
	struct connection *connection = memory_new(1, sizeof(*connection));
	int on = 1;

	setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection->socket = socket;
	connection->peer = *peer;
	connection->peer.host = connection->host = memory_copy_string(peer->host);
	connection->lmtp = options->lmtp;
	connection->session = session_new(options);
	connection->changed = changed;
	connection->context = context;
	connection->timer_at = DEADLINE_NEVER;
	event_assign(&connection->read_event, base, socket, EV_READ | EV_PERSIST, handle_read, connection);
	event_assign(&connection->write_event, base, socket, EV_WRITE, handle_write, connection);
	event_assign(&connection->timer, base, -1, 0, handle_timer, connection);
	session_connected(connection->session);
	event_add(&connection->read_event, NULL);
	arm_timer(connection);
	return connection;
}

void
connection_free(struct connection **connection)
{
	struct connection *gone = *connection;

	if (gone == NULL)
		return;
	event_del(&gone->read_event);
	event_del(&gone->write_event);
	event_del(&gone->timer);
	session_free(&gone->session);
	close(gone->socket);
	free(gone->host);
	free(gone);
	*connection = NULL;
}

void
connection_set_owner(struct connection *connection, connection_cb changed, void *context)
{
	connection->changed = changed;
	connection->context = context;
}

const struct session *
connection_session(const struct connection *connection)
{
	return connection->session;
}

const struct connection_peer *
connection_peer(const struct connection *connection)
{
	return &connection->peer;
}

uint16_t
connection_port(const struct connection *connection)
{
	const union socket_address *address = &connection->peer.address;

	return ntohs(address->any.sa_family == AF_INET ? address->ipv4.sin_port : address->ipv6.sin6_port);
}

bool
connection_is_lmtp(const struct connection *connection)
{
	return connection->lmtp;
}

void
connection_begin(struct connection *connection, struct transaction *transaction)
{
	session_begin(connection->session, transaction);
	connection->told = SESSION_CONNECT;
	event_active(&connection->write_event, EV_WRITE, 0);
}

void
connection_quit(struct connection *connection)
{
	session_quit(connection->session);
	connection->told = SESSION_CONNECT;
	event_active(&connection->write_event, EV_WRITE, 0);
}
