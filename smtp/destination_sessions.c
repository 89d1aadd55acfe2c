/* destination_sessions - see destination_sessions.h */
#include "smtp/destination_sessions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"

/* What sessions are found by: a kind of octet, then the octets of a next hop or a host. */
struct destination_key {
	size_t length;
	char octets[2 + sizeof(union socket_address) + ADDRESS_DOMAIN_MAX + 1 + 1024];
};

struct membership {
	TAILQ_ENTRY(membership) entries;
	struct destination *destination;	/* NULL: not a member */
	struct idle_session *idle;
};

/* The idle sessions of one key; there is none without. */
struct destination {
	struct hash_node by_key;
	TAILQ_HEAD(, membership) members;	/* the one used last first */
	size_t length;
	char octets[];
};

enum { BY_NEXT_HOP, BY_HOST, MEMBERSHIPS };

struct idle_session {
	TAILQ_ENTRY(idle_session) entries;
	struct destination_sessions *sessions;
	struct membership memberships[MEMBERSHIPS];	/* none while it says QUIT */
	struct connection *connection;
	bool quitting;
};

struct destination_sessions {
	TAILQ_HEAD(, idle_session) idle_list;	/* the longest idle first */
	TAILQ_HEAD(, idle_session) quitting_list;
	struct hash_table destinations;
	unsigned count;				/* of both lists */
	unsigned idle;
	unsigned idle_limit;
	unsigned message_limit;
};

/* ---- keys ------------------------------------------------------------------------------------- */

static void
append(struct destination_key *key, const void *data, size_t length)
{
	if (length > sizeof(key->octets) - key->length)
		length = sizeof(key->octets) - key->length;
	memcpy(key->octets + key->length, data, length);
	key->length += length;
}

static void
begin_key(struct destination_key *key, char kind, bool lmtp)
{
	key->length = 0;
	append(key, (char[]){ kind, lmtp ? 'L' : 'S' }, 2);
}

static void
make_next_hop_key(struct destination_key *key, bool lmtp, const char *next_hop)
{
	begin_key(key, 'N', lmtp);
	append(key, next_hop, strlen(next_hop));
}

static void
make_host_key(struct destination_key *key, bool lmtp, const char *host, const union socket_address *address)
{
	begin_key(key, 'H', lmtp);
	append(key, address, socket_address_length(address));
	append(key, host, strlen(host));
}

static struct destination *
find(const struct destination_sessions *sessions, const struct destination_key *key, uint64_t hash)
{
	struct hash_node *node;

	for (node = hash_table_find(&sessions->destinations, hash); node != NULL; node = hash_node_next(node)) {
		struct destination *destination = HASH_CONTAINER(node, struct destination, by_key);

		if (destination->length == key->length && memcmp(destination->octets, key->octets, key->length) == 0)
			return destination;
	}
	return NULL;
}

/* ---- memberships ------------------------------------------------------------------------------ */

static void
join(struct idle_session *idle, unsigned kind, const struct destination_key *key)
{
	struct membership *membership = &idle->memberships[kind];
	uint64_t hash = hash_bytes(key->octets, key->length);
	struct destination *destination = find(idle->sessions, key, hash);

	if (destination == NULL) {
		destination = memory_new(1, sizeof(*destination) + key->length);
		TAILQ_INIT(&destination->members);
		destination->length = key->length;
		memcpy(destination->octets, key->octets, key->length);
		hash_table_insert(&idle->sessions->destinations, &destination->by_key, hash);
	}
	membership->destination = destination;
	membership->idle = idle;
	TAILQ_INSERT_HEAD(&destination->members, membership, entries);
}

static void
leave(struct idle_session *idle)
{
	unsigned kind;

	for (kind = 0; kind < MEMBERSHIPS; kind++) {
		struct membership *membership = &idle->memberships[kind];
		struct destination *destination = membership->destination;

		if (destination == NULL)
			continue;
		TAILQ_REMOVE(&destination->members, membership, entries);
		membership->destination = NULL;
		if (!TAILQ_EMPTY(&destination->members))
			continue;
		hash_table_remove(&idle->sessions->destinations, &destination->by_key);
		free(destination);
	}
}

/* ---- sessions --------------------------------------------------------------------------------- */

/* The connection stays the caller's. */
static void
idle_session_free(struct idle_session *idle)
{
	struct destination_sessions *sessions = idle->sessions;

	leave(idle);
	if (idle->quitting) {
		TAILQ_REMOVE(&sessions->quitting_list, idle, entries);
	} else {
		TAILQ_REMOVE(&sessions->idle_list, idle, entries);
		sessions->idle--;
	}
	sessions->count--;
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
	struct destination_sessions *sessions = idle->sessions;

	leave(idle);
	TAILQ_REMOVE(&sessions->idle_list, idle, entries);
	sessions->idle--;
	idle->quitting = true;
	TAILQ_INSERT_TAIL(&sessions->quitting_list, idle, entries);
	connection_quit(idle->connection);
}

static struct idle_session *
hold(struct destination_sessions *sessions, struct connection *connection)
{
	struct idle_session *idle = memory_new(1, sizeof(*idle));

	idle->sessions = sessions;
	idle->connection = connection;
	connection_set_owner(connection, session_changed, idle);
	TAILQ_INSERT_TAIL(&sessions->idle_list, idle, entries);
	sessions->count++;
	sessions->idle++;
	return idle;
}

void
destination_sessions_put(struct destination_sessions *sessions, const char *next_hop,
    struct connection *connection)
{
	const struct connection_peer *peer = connection_peer(connection);
	struct idle_session *idle = hold(sessions, connection);
	bool lmtp = connection_is_lmtp(connection);
	struct destination_key key;

	if (session_messages(connection_session(connection)) >= sessions->message_limit) {
		quit(idle);
		return;
	}
	if (next_hop != NULL) {
		make_next_hop_key(&key, lmtp, next_hop);
		join(idle, BY_NEXT_HOP, &key);
	}
	make_host_key(&key, lmtp, peer->host, &peer->address);
	join(idle, BY_HOST, &key);
	if (sessions->idle > sessions->idle_limit)
		quit(TAILQ_FIRST(&sessions->idle_list));
}

void
destination_sessions_dismiss(struct destination_sessions *sessions, struct connection *connection)
{
	quit(hold(sessions, connection));
}

/* A session whose time is over has begun to say QUIT by itself; those used before it have done so too. */
static struct connection *
take(struct destination_sessions *sessions, const struct destination_key *key)
{
	struct destination *destination = find(sessions, key, hash_bytes(key->octets, key->length));
	struct idle_session *idle;
	struct connection *connection;

	if (destination == NULL)
		return NULL;
	idle = TAILQ_FIRST(&destination->members)->idle;
	connection = idle->connection;
	if (session_state(connection_session(connection)) != SESSION_IDLE)
		return NULL;
	idle_session_free(idle);
	return connection;
}

struct connection *
destination_sessions_take(struct destination_sessions *sessions, bool lmtp, const char *next_hop)
{
	struct destination_key key;

	if (sessions->idle == 0)
		return NULL;
	make_next_hop_key(&key, lmtp, next_hop);
	return take(sessions, &key);
}

struct connection *
destination_sessions_take_host(struct destination_sessions *sessions, bool lmtp, const char *host,
    const union socket_address *address)
{
	struct destination_key key;

	if (sessions->idle == 0)
		return NULL;
	make_host_key(&key, lmtp, host, address);
	return take(sessions, &key);
}

void
destination_sessions_quit_all(struct destination_sessions *sessions)
{
	while (!TAILQ_EMPTY(&sessions->idle_list))
		quit(TAILQ_FIRST(&sessions->idle_list));
}

struct destination_sessions *
destination_sessions_new(void)
{
	struct destination_sessions *sessions = memory_new(1, sizeof(*sessions));

	TAILQ_INIT(&sessions->idle_list);
	TAILQ_INIT(&sessions->quitting_list);
	return sessions;
}

void
destination_sessions_free(struct destination_sessions **sessions)
{
	struct destination_sessions *gone = *sessions;
	struct idle_session *idle;

	if (gone == NULL)
		return;
	while ((idle = TAILQ_FIRST(&gone->idle_list)) != NULL || (idle = TAILQ_FIRST(&gone->quitting_list)) != NULL) {
		connection_free(&idle->connection);
		idle_session_free(idle);
	}
	hash_table_free(&gone->destinations);
	free(gone);
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
