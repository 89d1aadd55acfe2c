/* destination_sessions - see destination_sessions.h */
#include "smtp/destination_sessions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/memory.h"

struct idle_session {
	TAILQ_ENTRY(idle_session) entries;
	struct destination_sessions *sessions;
	enum transport transport;
	char *next_hop;
	struct connection *connection;
	bool quitting;
};

struct destination_sessions {
	TAILQ_HEAD(idle_list, idle_session) list;	/* the longest idle first */
	unsigned count;				/* all of the list */
	unsigned idle;				/* without those that say QUIT */
	unsigned idle_limit;
	unsigned message_limit;
};

/* The connection stays the caller's. */
static void
idle_session_free(struct idle_session *idle)
{
	struct destination_sessions *sessions = idle->sessions;

	TAILQ_REMOVE(&sessions->list, idle, entries);
	sessions->count--;
	sessions->idle -= !idle->quitting;
	free(idle->next_hop);
	free(idle);
}

static void
session_changed(void *context, struct connection *connection)
{
	if (session_state(connection_session(connection)) != SESSION_CLOSED)
		return;
	idle_session_free(context);
	connection_free(&connection);
}

static void
quit(struct idle_session *idle)
{
	if (idle->quitting)
		return;
	idle->quitting = true;
	idle->sessions->idle--;
	connection_quit(idle->connection);
}

static void
quit_longest_idle(struct destination_sessions *sessions)
{
	struct idle_session *idle;

	TAILQ_FOREACH(idle, &sessions->list, entries)
		if (!idle->quitting) {
			quit(idle);
			return;
		}
}

void
destination_sessions_put(struct destination_sessions *sessions, enum transport transport, const char *next_hop,
    struct connection *connection)
{
	struct idle_session *idle = memory_new(1, sizeof(*idle));

	idle->sessions = sessions;
	idle->transport = transport;
	idle->next_hop = memory_copy_string(next_hop);
	idle->connection = connection;
	connection_set_owner(connection, session_changed, idle);
	TAILQ_INSERT_TAIL(&sessions->list, idle, entries);
	sessions->count++;
	sessions->idle++;
	if (session_messages(connection_session(connection)) >= sessions->message_limit)
		quit(idle);
	else if (sessions->idle > sessions->idle_limit)
		quit_longest_idle(sessions);
}

struct connection *
destination_sessions_take(struct destination_sessions *sessions, enum transport transport, const char *next_hop)
{
	struct idle_session *idle;

	/* The one used last is the least likely to have been closed by the host. */
	TAILQ_FOREACH_REVERSE(idle, &sessions->list, idle_list, entries) {
		struct connection *connection = idle->connection;

		if (idle->quitting || session_state(connection_session(connection)) != SESSION_IDLE ||
		    idle->transport != transport || strcmp(idle->next_hop, next_hop) != 0)
			continue;
		idle_session_free(idle);
		return connection;
	}
	return NULL;
}

void
destination_sessions_quit_all(struct destination_sessions *sessions)
{
	struct idle_session *idle;

	TAILQ_FOREACH(idle, &sessions->list, entries)
		quit(idle);
}

struct destination_sessions *
destination_sessions_new(void)
{
	struct destination_sessions *sessions = memory_new(1, sizeof(*sessions));

	TAILQ_INIT(&sessions->list);
	return sessions;
}

void
destination_sessions_free(struct destination_sessions **sessions)
{
	if (*sessions == NULL)
		return;
	while (!TAILQ_EMPTY(&(*sessions)->list)) {
		struct idle_session *idle = TAILQ_FIRST(&(*sessions)->list);

		connection_free(&idle->connection);
		idle_session_free(idle);
	}
	free(*sessions);
	*sessions = NULL;
}

void
destination_sessions_limit(struct destination_sessions *sessions, unsigned idle, unsigned messages)
{
	sessions->idle_limit = idle;
	sessions->message_limit = messages;
}

unsigned
destination_sessions_count(const struct destination_sessions *sessions)
{
	return sessions->count;
}
