/* host_memory - see host_memory.h */
#include "resolver/host_memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"

#define NAME_OCTETS_MAX 255
#define TEXT_OCTETS_MAX 500

struct failed_host {
	struct hash_node node;
	TAILQ_ENTRY(failed_host) entries;
	uint16_t port;
	int64_t until;
	char *text;
	char name[NAME_OCTETS_MAX + 1];		/* in lower case */
};

struct host_memory {
	struct hash_table table;
	TAILQ_HEAD(failed_hosts, failed_host) oldest_first;
	size_t hosts_max;
};

static void
lower_name(const char *name, char key[static NAME_OCTETS_MAX + 1])
{
	size_t i;

	for (i = 0; name[i] != '\0' && i < NAME_OCTETS_MAX; i++)
		key[i] = (char)tolower((unsigned char)name[i]);
	key[i] = '\0';
}

static uint64_t
hash_host(const char *key, uint16_t port)
{
	return hash_text(key) ^ hash_number(port);
}

static struct failed_host *
find_host(const struct host_memory *memory, const char *key, uint16_t port)
{
	struct hash_node *node = hash_table_find(&memory->table, hash_host(key, port));

	for (; node != NULL; node = hash_node_next(node)) {
		struct failed_host *host = HASH_CONTAINER(node, struct failed_host, node);

		if (host->port == port && strcmp(host->name, key) == 0)
			return host;
	}
	return NULL;
}

static void
forget(struct host_memory *memory, struct failed_host *host)
{
	hash_table_remove(&memory->table, &host->node);
	TAILQ_REMOVE(&memory->oldest_first, host, entries);
	free(host->text);
	free(host);
}

struct host_memory *
host_memory_new(size_t hosts_max)
{
	struct host_memory *memory = memory_new(1, sizeof(*memory));

	TAILQ_INIT(&memory->oldest_first);
	memory->hosts_max = hosts_max;
	return memory;
}

void
host_memory_free(struct host_memory **memory)
{
	if (*memory == NULL)
		return;
	while (!TAILQ_EMPTY(&(*memory)->oldest_first))
		forget(*memory, TAILQ_FIRST(&(*memory)->oldest_first));
	hash_table_free(&(*memory)->table);
	free(*memory);
	*memory = NULL;
}

void
host_memory_failed(struct host_memory *memory, const char *name, uint16_t port, const char *text, int64_t now,
    int64_t remember_ms)
{
	char key[NAME_OCTETS_MAX + 1];
	struct failed_host *host;

	host_memory_works(memory, name, port);
	while (memory->table.count >= memory->hosts_max)
		forget(memory, TAILQ_FIRST(&memory->oldest_first));
	lower_name(name, key);
	host = memory_new(1, sizeof(*host));
	strcpy(host->name, key);
	host->port = port;
	host->until = now + remember_ms;
	host->text = memory_copy(text, strnlen(text, TEXT_OCTETS_MAX));
	hash_table_insert(&memory->table, &host->node, hash_host(key, port));
	TAILQ_INSERT_TAIL(&memory->oldest_first, host, entries);
}

void
host_memory_works(struct host_memory *memory, const char *name, uint16_t port)
{
	char key[NAME_OCTETS_MAX + 1];
	struct failed_host *host;

	lower_name(name, key);
	host = find_host(memory, key, port);
	if (host != NULL)
		forget(memory, host);
}

int64_t
host_memory_remaining(struct host_memory *memory, const char *name, uint16_t port, int64_t now, const char **text_out)
{
	char key[NAME_OCTETS_MAX + 1];
	struct failed_host *host;

	*text_out = "";
	lower_name(name, key);
	host = find_host(memory, key, port);
	if (host == NULL)
		return 0;
	if (host->until <= now) {
		forget(memory, host);
		return 0;
	}
	*text_out = host->text;
	return host->until - now;
}

size_t
host_memory_count(const struct host_memory *memory)
{
	return memory->table.count;
}
