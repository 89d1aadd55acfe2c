/* connection_race - see connection_race.h */
#include "smtp/connection_race.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

enum runner_state { RUNNER_WAITING, RUNNER_CONNECTING, RUNNER_DONE };

struct runner {
	struct connection_race *race;
	union socket_address address;
	enum runner_state state;
	int socket;			/* -1: none could be made */
	struct event event;		/* while it connects */
	struct error error;		/* why it failed */
	int64_t begun_ms;
};

struct connection_race {
	struct event_base *base;
	struct source_addresses sources;
	int64_t timeout_ms;
	const struct race_events *events;
	void *context;
	struct event timer;		/* begins the next */
	size_t connecting;
	size_t count;
	struct runner runners[];
};

static void handle_runner(evutil_socket_t socket, short what, void *context);

static struct race_end
end_of(const struct runner *runner)
{
	return (struct race_end){ .address = &runner->address, .elapsed_ms = clock_monotonic_ms() - runner->begun_ms };
}

/* ---- the beginning of one --------------------------------------------------------------------- */

/* An errno that says something of this host, and nothing of the address. */
static bool
is_ours(int number)
{
	return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM || number == EADDRNOTAVAIL ||
	    number == EADDRINUSE || number == EAGAIN;
}

/* 0: it connects. -1: runner->error says why not. */
static int
connect_runner(struct runner *runner)
{
	int family = runner->address.any.sa_family;

	runner->socket = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (runner->socket == -1)
		return error_system(&runner->error, errno, "cannot make a socket");
	if (source_addresses_bind(&runner->race->sources, runner->socket, family, &runner->error) == -1)
		return -1;
	if (connect(runner->socket, &runner->address.any, socket_address_length(&runner->address)) == -1 &&
	    errno != EINPROGRESS)
		return error_system(&runner->error, errno, "cannot connect");
	return 0;
}

static struct runner *
next_waiting(struct connection_race *race)
{
	size_t i;

	for (i = 0; i < race->count; i++)
		if (race->runners[i].state == RUNNER_WAITING)
			return &race->runners[i];
	return NULL;
}

static void
begin_next(struct connection_race *race)
{
	struct timeval limit = { .tv_sec = race->timeout_ms / 1000, .tv_usec = race->timeout_ms % 1000 * 1000 };
	struct timeval stagger = { .tv_usec = RACE_STAGGER_MS * 1000 };
	struct runner *runner = next_waiting(race);
	bool failed;

	event_del(&race->timer);
	if (runner == NULL) {
		if (race->connecting == 0)
			race->events->exhausted(race->context);
		return;
	}
	runner->state = RUNNER_CONNECTING;
	runner->begun_ms = clock_monotonic_ms();
	runner->error = (struct error)ERROR_INITIALIZER;
	race->connecting++;
	if (next_waiting(race) != NULL)
		event_add(&race->timer, &stagger);
	failed = connect_runner(runner) == -1;
	event_assign(&runner->event, race->base, runner->socket, EV_WRITE, handle_runner, runner);
	if (failed)
		event_active(&runner->event, EV_WRITE, 0);
	else
		event_add(&runner->event, &limit);
}

/* ---- the end of one --------------------------------------------------------------------------- */

static void
stop(struct runner *runner, enum runner_state state)
{
	event_del(&runner->event);
	runner->race->connecting--;
	runner->state = state;
	runner->socket = -1;
}

static void
fail(struct runner *runner)
{
	struct connection_race *race = runner->race;
	struct race_end end = end_of(runner);

	end.reason = runner->error.text;
	end.ours = is_ours(runner->error.number);
	if (runner->socket != -1)
		close(runner->socket);
	stop(runner, RUNNER_DONE);
	race->events->failed(race->context, &end);
	begin_next(race);
}

static void
give_up_others(struct connection_race *race)
{
	size_t i;

	event_del(&race->timer);
	for (i = 0; i < race->count; i++) {
		struct runner *runner = &race->runners[i];
		struct race_end end = end_of(runner);

		if (runner->state != RUNNER_CONNECTING)
			continue;
		if (runner->socket != -1)
			close(runner->socket);
		stop(runner, RUNNER_WAITING);
		race->events->overtaken(race->context, &end);
	}
}

static void
win(struct runner *runner)
{
	struct connection_race *race = runner->race;
	struct race_end end = end_of(runner);
	int socket = runner->socket;

	stop(runner, RUNNER_DONE);
	give_up_others(race);
	race->events->connected(race->context, &end, socket);
}

static void
handle_runner(evutil_socket_t socket, short what, void *context)
{
	struct runner *runner = context;
	socklen_t length = sizeof(int);
	int number = 0;

	if (runner->error.kind != ERROR_NONE) {
		fail(runner);
	} else if ((what & EV_WRITE) == 0) {
		error_set(&runner->error, ERROR_UNAVAILABLE, "timed out while connecting");
		fail(runner);
	} else if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &number, &length) == -1 || number != 0) {
		error_system(&runner->error, number != 0 ? number : errno, "cannot connect");
		fail(runner);
	} else {
		win(runner);
	}
}

static void
handle_timer(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	begin_next(context);
}

/* ---- */

void
connection_race_run(struct connection_race *race)
{
	event_active(&race->timer, EV_TIMEOUT, 0);
}

struct connection_race *
connection_race_new(struct event_base *base, const union socket_address *addresses, size_t count,
    const struct source_addresses *sources, int64_t timeout_ms, const struct race_events *events, void *context)
{
	struct connection_race *race = memory_new(1, sizeof(*race) + count * sizeof(race->runners[0]));
	size_t i;

	race->base = base;
	race->sources = *sources;
	race->timeout_ms = timeout_ms;
	race->events = events;
	race->context = context;
	race->count = count;
	event_assign(&race->timer, base, -1, 0, handle_timer, race);
	for (i = 0; i < count; i++) {
		race->runners[i].race = race;
		race->runners[i].address = addresses[i];
		race->runners[i].socket = -1;
	}
	return race;
}

void
connection_race_free(struct connection_race **race)
{
	struct connection_race *gone = *race;
	size_t i;

	if (gone == NULL)
		return;
	event_del(&gone->timer);
	for (i = 0; i < gone->count; i++) {
		if (gone->runners[i].state != RUNNER_CONNECTING)
			continue;
		event_del(&gone->runners[i].event);
		if (gone->runners[i].socket != -1)
			close(gone->runners[i].socket);
	}
	free(gone);
	*race = NULL;
}
