/* hosts_file - see hosts_file.h */
#include "resolver/hosts_file.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

#define FILE_SIZE_MAX (16u << 20)
#define NAME_MAX_OCTETS 255

/* One name of one line. */
struct host_name {
	struct hash_node by_name;
	struct hash_node by_address;
	struct hosts_address address;
	size_t sequence;	/* its place in the file */
	char *name;		/* owned, lower case */
};

struct hosts_file {
	struct hash_table names;
	struct hash_table addresses;
	size_t count;
};

static bool
parse_address(const char *text, struct hosts_address *address)
{
	memset(address, 0, sizeof(*address));
	address->length = 4;
	if (inet_pton(AF_INET, text, address->octets) == 1)
		return true;
	address->length = 16;
	return inet_pton(AF_INET6, text, address->octets) == 1;
}

static uint64_t
hash_address(const struct hosts_address *address)
{
	return hash_bytes(address->octets, address->length);
}

static bool
same_address(const struct hosts_address *a, const struct hosts_address *b)
{
	return a->length == b->length && memcmp(a->octets, b->octets, a->length) == 0;
}

static void
add_name(struct hosts_file *hosts, const struct hosts_address *address, const char *name)
{
	size_t length = strlen(name), i;
	struct host_name *entry;

	if (length > 1 && name[length - 1] == '.')
		length--;
	if (length > NAME_MAX_OCTETS)
		return;
	entry = memory_new(1, sizeof(*entry));
	entry->address = *address;
	entry->sequence = hosts->count++;
	entry->name = memory_copy(name, length);
	for (i = 0; i < length; i++)
		entry->name[i] = (char)tolower((unsigned char)entry->name[i]);
	hash_table_insert(&hosts->names, &entry->by_name, hash_text(entry->name));
	hash_table_insert(&hosts->addresses, &entry->by_address, hash_address(address));
}

static void
parse_line(struct hosts_file *hosts, char *line)
{
	char *rest = NULL, *word;
	struct hosts_address address;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, " \t\r\f\v", &rest);
	if (word == NULL || !parse_address(word, &address))
		return;
	while ((word = strtok_r(NULL, " \t\r\f\v", &rest)) != NULL)
		add_name(hosts, &address, word);
}

struct hosts_file *
hosts_file_parse(const char *text, size_t length)
{
	struct hosts_file *hosts = memory_new(1, sizeof(*hosts));
	char *copy = memory_copy(text, length);
	char *rest = NULL, *line;

	for (line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		parse_line(hosts, line);
	free(copy);
	return hosts;
}

struct hosts_file *
hosts_file_read(int file)
{
	struct buffer text = BUFFER_INITIALIZER(FILE_SIZE_MAX);
	struct hosts_file *hosts;
	ssize_t got = 0;
	char *room;

	while (file != -1 && (room = buffer_reserve(&text, 65536)) != NULL && (got = read(file, room, 65536)) > 0)
		buffer_commit(&text, (size_t)got);
	hosts = hosts_file_parse(buffer_text(&text), text.length);
	buffer_free(&text);
	return hosts;
}

void
hosts_file_free(struct hosts_file **hosts)
{
	struct hash_node *node, *next;

	if (*hosts == NULL)
		return;
	for (node = hash_table_walk(&(*hosts)->names, NULL); node != NULL; node = next) {
		struct host_name *entry = HASH_CONTAINER(node, struct host_name, by_name);

		next = hash_table_walk(&(*hosts)->names, node);
		free(entry->name);
		hash_table_remove(&(*hosts)->names, node);
		free(entry);
	}
	hash_table_free(&(*hosts)->names);
	hash_table_free(&(*hosts)->addresses);
	free(*hosts);
	*hosts = NULL;
}

size_t
hosts_file_addresses(const struct hosts_file *hosts, const char *name, struct hosts_address *addresses, size_t room)
{
	char key[NAME_MAX_OCTETS + 1];
	const struct hash_node *node;
	size_t length = strlen(name), count = 0, i;

	if (length > NAME_MAX_OCTETS)
		return 0;
	for (i = 0; i <= length; i++)
		key[i] = (char)tolower((unsigned char)name[i]);
	for (node = hash_table_find(&hosts->names, hash_text(key)); node != NULL && count < room;
	    node = hash_node_next(node)) {
		const struct host_name *entry = HASH_CONTAINER(node, const struct host_name, by_name);

		if (strcmp(entry->name, key) == 0)
			addresses[count++] = entry->address;
	}
	return count;
}

const char *
hosts_file_name(const struct hosts_file *hosts, const struct hosts_address *address)
{
	const struct host_name *first = NULL;
	const struct hash_node *node;

	for (node = hash_table_find(&hosts->addresses, hash_address(address)); node != NULL;
	    node = hash_node_next(node)) {
		const struct host_name *entry = HASH_CONTAINER(node, const struct host_name, by_address);

		if (same_address(&entry->address, address) && (first == NULL || entry->sequence < first->sequence))
			first = entry;
	}
	return first == NULL ? NULL : first->name;
}
