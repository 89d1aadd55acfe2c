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
};

struct limits {
	struct hash_table clients;	/* those with sessions */
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

enum limits_verdict
limits_enter(struct limits *limits, const struct in6_addr *address, size_t maximum,
    size_t maximum_of_client)
{
	struct client *client = find(limits, address);

	if (limits->sessions >= maximum)
		return LIMITS_TOO_MANY;
	if (client != NULL && client->sessions >= maximum_of_client)
		return LIMITS_TOO_MANY_FROM_CLIENT;
	if (client == NULL) {
		client = memory_new(1, sizeof(*client));
		client->address = *address;
		hash_table_insert(&limits->clients, &client->node, hash_bytes(address, sizeof(*address)));
	}
	client->sessions++;
	limits->sessions++;
	return LIMITS_ENTERED;
}

void
limits_leave(struct limits *limits, const struct in6_addr *address)
{
	struct client *client = find(limits, address);

	if (client == NULL)
		return;
	limits->sessions--;
	if (--client->sessions > 0)
		return;
	hash_table_remove(&limits->clients, &client->node);
	free(client);
}

size_t
limits_sessions(const struct limits *limits)
{
	return limits->sessions;
}
