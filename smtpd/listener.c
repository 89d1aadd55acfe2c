/* listener - see listener.h */
#include "smtpd/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/connection.h"
#include "smtpd/server.h"

#define PAUSE_MS 250

struct listener {
	TAILQ_ENTRY(listener) entries;
	struct server *server;
	char *address;
	int socket;
	struct event *readable;
	struct event *resume;		/* the end of a pause */
};

static void
on_resume(evutil_socket_t unused, short what, void *context)
{
	struct listener *listener = context;

	(void)unused;
	(void)what;
	event_add(listener->readable, NULL);
}

/* The process is short of something: whoever waits keeps waiting in the kernel. */
static void
pause_accepting(struct listener *listener, int number)
{
	static const struct timeval pause = { 0, PAUSE_MS * 1000 };

	log_event(LOG_ACCEPT_PAUSED, listener->address, strerror(number));
	event_del(listener->readable);
	evtimer_add(listener->resume, &pause);
}

/* One client a turn: to find out that nobody else waits costs as much as a client, and the next turn knows anyway. */
static void
on_readable(evutil_socket_t socket, short what, void *context)
{
	struct listener *listener = context;
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	int client;

	(void)what;
	client = accept4(socket, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client >= 0)
		connection_open(listener->server, client, &address);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		pause_accepting(listener, errno);
	/* Anything else was the client's own end, or another process was faster. */
}

void
listener_open(struct server *server, const char *address, int socket)
{
	struct listener *listener;
	int on = 1;

	listener_close(server, address);
	/* What is accepted inherits it: replies are whole when they are sent. */
	setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	listener = memory_new(1, sizeof(*listener));
	listener->server = server;
	listener->address = memory_copy_string(address);
	listener->socket = socket;
	listener->readable = event_new(server->base, socket, EV_READ | EV_PERSIST, on_readable, listener);
	listener->resume = evtimer_new(server->base, on_resume, listener);
	if (server->is_open)
		event_add(listener->readable, NULL);
	TAILQ_INSERT_TAIL(&server->listeners, listener, entries);
}

static void
free_listener(struct listener *listener)
{
	TAILQ_REMOVE(&listener->server->listeners, listener, entries);
	event_free(listener->readable);
	event_free(listener->resume);
	close(listener->socket);
	free(listener->address);
	free(listener);
}

void
listener_close(struct server *server, const char *address)
{
	struct listener *listener;

	TAILQ_FOREACH(listener, &server->listeners, entries)
		if (strcmp(listener->address, address) == 0) {
			free_listener(listener);
			return;
		}
}

void
listeners_resume(struct server *server)
{
	struct listener *listener;

	TAILQ_FOREACH(listener, &server->listeners, entries)
		event_add(listener->readable, NULL);
}

void
listeners_close_all(struct server *server)
{
	struct listener *listener;

	while ((listener = TAILQ_FIRST(&server->listeners)) != NULL)
		free_listener(listener);
}
