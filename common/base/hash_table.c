/* hash_table - see hash_table.h */
#include "common/base/hash_table.h"

#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define SMALLEST_BUCKETS 16

static uint64_t key[2];
static bool keyed;

void
hash_table_free(struct hash_table *table)
{
	free(table->buckets);
	*table = (struct hash_table)HASH_TABLE_INITIALIZER;
}

static struct hash_node **
bucket_of(const struct hash_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

static void
grow(struct hash_table *table)
{
	struct hash_table larger = { NULL, table->bucket_count ? table->bucket_count * 2 : SMALLEST_BUCKETS, table->count };
	size_t i;

	larger.buckets = memory_new(larger.bucket_count, sizeof(*larger.buckets));
	for (i = 0; i < table->bucket_count; i++) {
		struct hash_node *node = table->buckets[i];

		while (node != NULL) {
			struct hash_node *next = node->next;
			struct hash_node **bucket = bucket_of(&larger, node->hash);

			node->next = *bucket;
			*bucket = node;
			node = next;
		}
	}
	free(table->buckets);
	*table = larger;
}

void
hash_table_insert(struct hash_table *table, struct hash_node *node, uint64_t hash)
{
	struct hash_node **bucket;

	if (table->count >= table->bucket_count)
		grow(table);
	bucket = bucket_of(table, hash);
	node->hash = hash;
	node->next = *bucket;
	*bucket = node;
	table->count++;
}

void
hash_table_remove(struct hash_table *table, struct hash_node *node)
{
	struct hash_node **link = bucket_of(table, node->hash);

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	node->next = NULL;
	table->count--;
}

struct hash_node *
hash_table_find(const struct hash_table *table, uint64_t hash)
{
	struct hash_node *node;

	if (table->count == 0)
		return NULL;
	for (node = *bucket_of(table, hash); node != NULL; node = node->next)
		if (node->hash == hash)
			return node;
	return NULL;
}

struct hash_node *
hash_node_next(const struct hash_node *node)
{
	struct hash_node *next;

	for (next = node->next; next != NULL; next = next->next)
		if (next->hash == node->hash)
			return next;
	return NULL;
}

struct hash_node *
hash_table_walk(const struct hash_table *table, const struct hash_node *after)
{
	size_t i = 0;

	if (after != NULL) {
		if (after->next != NULL)
			return after->next;
		i = (size_t)(after->hash & (table->bucket_count - 1)) + 1;
	}
	for (; i < table->bucket_count; i++)
		if (table->buckets[i] != NULL)
			return table->buckets[i];
	return NULL;
}

static uint64_t
rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 under a key drawn at first use. */
uint64_t
hash_bytes(const void *data, size_t length)
{
	const uint8_t *next = data;
	uint64_t v[4], word, last = (uint64_t)length << 56;
	size_t i;

	if (!keyed) {
		arc4random_buf(key, sizeof(key));
		keyed = true;
	}
	v[0] = key[0] ^ 0x736f6d6570736575ULL;
	v[1] = key[1] ^ 0x646f72616e646f6dULL;
	v[2] = key[0] ^ 0x6c7967656e657261ULL;
	v[3] = key[1] ^ 0x7465646279746573ULL;
	for (; length >= 8; length -= 8, next += 8) {
		memcpy(&word, next, sizeof(word));
		word = le64toh(word);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (i = 0; i < length; i++)
		last |= (uint64_t)next[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
hash_text(const char *text)
{
	return hash_bytes(text, strlen(text));
}

uint64_t
hash_number(uint64_t number)
{
	return hash_bytes(&number, sizeof(number));
}
