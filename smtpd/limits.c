/* limits - see limits.h */
#include "smtpd/limits.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"

struct client {
	struct hash_node node;
	struct in6_addr address;
	size_t sessions;
	size_t asked;			/* of them: those that policy is asked about */
	bool is_watched;
};

struct limits {
	struct hash_table clients;	/* those with sessions, and those watched */
	size_t sessions;
};

struct limits *
limits_new(void)
{
	return memory_new(1, sizeof(struct limits));
}

void
limits_free(struct limits **limits)
{
	struct hash_node *node, *next;

	if (*limits == NULL)
		return;
	for (node = hash_table_walk(&(*limits)->clients, NULL); node != NULL; node = next) {
		next = hash_table_walk(&(*limits)->clients, node);
		free(HASH_CONTAINER(node, struct client, node));
	}
	hash_table_free(&(*limits)->clients);
	free(*limits);
	*limits = NULL;
}

static struct client *
find(const struct limits *limits, const struct in6_addr *address)
{
	struct hash_node *node = hash_table_find(&limits->clients, hash_bytes(address, sizeof(*address)));

	for (; node != NULL; node = hash_node_next(node)) {
		struct client *client = HASH_CONTAINER(node, struct client, node);

		if (memcmp(&client->address, address, sizeof(*address)) == 0)
			return client;
	}
	return NULL;
}

static struct client *
find_or_add(struct limits *limits, const struct in6_addr *address)
{
	struct client *client = find(limits, address);

	if (client != NULL)
		return client;
	client = memory_new(1, sizeof(*client));
	client->address = *address;
	hash_table_insert(&limits->clients, &client->node, hash_bytes(address, sizeof(*address)));
	return client;
}

static void
free_when_unused(struct limits *limits, struct client *client)
{
	if (client->sessions > 0 || client->is_watched)
		return;
	hash_table_remove(&limits->clients, &client->node);
	free(client);
}

bool
limits_is_crowded(const struct limits *limits, const struct in6_addr *address, size_t share)
{
	const struct client *client = find(limits, address);

	return client == NULL ? share == 0 : client->is_watched || client->sessions >= share;
}

enum limits_verdict
limits_enter(struct limits *limits, const struct in6_addr *address, size_t maximum,
    size_t maximum_of_client)
{
	struct client *client;

	if (limits->sessions >= maximum)
		return LIMITS_TOO_MANY;
	client = find_or_add(limits, address);
	if (client->sessions >= maximum_of_client)
		return LIMITS_TOO_MANY_FROM_CLIENT;
	client->sessions++;
	limits->sessions++;
	return LIMITS_ENTERED;
}

void
limits_refuse(struct limits *limits, const struct in6_addr *address)
{
	struct client *client = find(limits, address);

	if (client == NULL || client->sessions == 0)
		return;
	client->sessions--;
	free_when_unused(limits, client);
}

void
limits_leave_refused(struct limits *limits)
{
	limits->sessions--;
}

void
limits_leave(struct limits *limits, const struct in6_addr *address)
{
	limits_refuse(limits, address);
	limits_leave_refused(limits);
}

size_t
limits_sessions(const struct limits *limits)
{
	return limits->sessions;
}

void
limits_ask(struct limits *limits, const struct in6_addr *address)
{
	struct client *client = find(limits, address);

	if (client != NULL)
		client->asked++;
}

void
limits_answered(struct limits *limits, const struct in6_addr *address)
{
	struct client *client = find(limits, address);

	if (client != NULL && client->asked > 0)
		client->asked--;
}

void
limits_watch(struct limits *limits, const struct in6_addr *address, bool is_watched)
{
	struct client *client = find_or_add(limits, address);

	client->is_watched = is_watched;
	free_when_unused(limits, client);
}

void
limits_watch_nobody(struct limits *limits)
{
	struct hash_node *node, *next;

	for (node = hash_table_walk(&limits->clients, NULL); node != NULL; node = next) {
		struct client *client = HASH_CONTAINER(node, struct client, node);

		next = hash_table_walk(&limits->clients, node);
		client->is_watched = false;
		free_when_unused(limits, client);
	}
}

bool
limits_is_watched(const struct limits *limits, const struct in6_addr *address)
{
	const struct client *client = find(limits, address);

	return client != NULL && client->is_watched;
}

size_t
limits_open_sessions(const struct limits *limits, const struct in6_addr *address)
{
	const struct client *client = find(limits, address);

	return client != NULL && client->sessions > client->asked ? client->sessions - client->asked : 0;
}
