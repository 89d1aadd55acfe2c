/*
 * hash_table - intrusive hash tables for what remotes can name
 *
 * A struct hash_node is a member of the thing that is found; the table owns only its array. Several nodes may have the same
 * hash: the caller walks hash_table_find() and hash_node_next() and compares. Hashes are keyed with a secret of
 * the process, so that nobody outside can choose names that collide.
 */
#ifndef COMMON_BASE_HASH_TABLE_H
#define COMMON_BASE_HASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct hash_node {
	struct hash_node *next;
	uint64_t hash;
};

struct hash_table {
	struct hash_node **buckets;	/* owned; NULL while it never held anything */
	size_t bucket_count;		/* a power of two */
	size_t count;
};

#define HASH_TABLE_INITIALIZER { NULL, 0, 0 }

/* The struct that a node is a member of. */
#define HASH_CONTAINER(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

/* Gives the array back; the nodes are the caller's. */
void hash_table_free(struct hash_table *table);
void hash_table_insert(struct hash_table *table, struct hash_node *node, uint64_t hash);
/* node must be in the table. */
void hash_table_remove(struct hash_table *table, struct hash_node *node);

/* The first node of that hash, and the one after node with the same hash; NULL at the end. */
struct hash_node *hash_table_find(const struct hash_table *table, uint64_t hash);
struct hash_node *hash_node_next(const struct hash_node *node);

/* Walks everything, in no order: NULL begins. Ask for the next one before removing a node. */
struct hash_node *hash_table_walk(const struct hash_table *table, const struct hash_node *after);

uint64_t hash_bytes(const void *data, size_t length);
uint64_t hash_text(const char *text);
uint64_t hash_number(uint64_t number);

#endif
