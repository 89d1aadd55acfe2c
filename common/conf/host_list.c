/* host_list - see host_list.h */
#include "common/conf/host_list.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/conf/host_entry.h"
#include "common/conf/tail_set.h"

#define ADDRESS_OCTETS 16
#define OCTET_BLOCKS_MAX 14	/* of one octet's range: 1-254 */
#define ENTRY_BLOCKS_MAX 64	/* of an entry that is looked up by its blocks */
#define NONE ((size_t)-1)

/* A network address with a mask, and the entry that it comes from. IPv4 addresses fill the first four octets. */
struct block {
	struct hash_node node;
	uint8_t octets[ADDRESS_OCTETS];
	size_t mask;
	size_t number;
};

struct block_set {
	struct hash_table table;
	struct block *blocks;		/* owned */
	size_t count, capacity;
	uint8_t (*masks)[ADDRESS_OCTETS];	/* owned: each that occurs */
	size_t mask_count;
};

struct pattern {
	struct host_entry entry;
	size_t number;
};

struct host_list {
	const struct setting *setting;
	size_t everybody;		/* the number of the first *, or NONE */
	struct block_set ipv4, ipv6;
	struct pattern *patterns;	/* owned */
	size_t pattern_count;
	struct tail_set *names;		/* owned */
};

/* ---- making ---- */

static size_t
find_mask(struct block_set *set, const uint8_t mask[static ADDRESS_OCTETS])
{
	for (size_t i = 0; i < set->mask_count; i++)
		if (memcmp(set->masks[i], mask, ADDRESS_OCTETS) == 0)
			return i;
	set->masks = memory_resize(set->masks, set->mask_count + 1, sizeof(*set->masks));
	memcpy(set->masks[set->mask_count], mask, ADDRESS_OCTETS);
	return set->mask_count++;
}

static void
add_block(struct block_set *set, const uint8_t octets[static ADDRESS_OCTETS],
    const uint8_t mask[static ADDRESS_OCTETS], size_t number)
{
	struct block *block;

	if (set->count == set->capacity) {
		set->capacity = set->capacity > 0 ? set->capacity * 2 : 8;
		set->blocks = memory_resize(set->blocks, set->capacity, sizeof(*set->blocks));
	}
	block = &set->blocks[set->count++];
	*block = (struct block){ .mask = find_mask(set, mask), .number = number };
	for (size_t i = 0; i < ADDRESS_OCTETS; i++)
		block->octets[i] = octets[i] & mask[i];
}

static uint64_t
hash_block(const uint8_t octets[static ADDRESS_OCTETS], size_t mask)
{
	uint8_t key[ADDRESS_OCTETS + sizeof(mask)];

	memcpy(key, octets, ADDRESS_OCTETS);
	memcpy(key + ADDRESS_OCTETS, &mask, sizeof(mask));
	return hash_bytes(key, sizeof(key));
}

static const struct block *
find_block(const struct block_set *set, const uint8_t octets[static ADDRESS_OCTETS], size_t mask)
{
	struct hash_node *node = hash_table_find(&set->table, hash_block(octets, mask));

	for (; node != NULL; node = hash_node_next(node)) {
		const struct block *block = HASH_CONTAINER(node, struct block, node);

		if (block->mask == mask && memcmp(block->octets, octets, ADDRESS_OCTETS) == 0)
			return block;
	}
	return NULL;
}

/* The blocks do not move any more. Of equal ones the first counts. */
static void
close_blocks(struct block_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct block *block = &set->blocks[i];

		if (find_block(set, block->octets, block->mask) == NULL)
			hash_table_insert(&set->table, &block->node, hash_block(block->octets, block->mask));
	}
}

struct octet_block {
	uint8_t value;
	uint8_t mask;
};

/* The fewest blocks that are the range: 1-10 is 1, 2-3, 4-7, 8-9, 10. */
static size_t
split_range(unsigned low, unsigned high, struct octet_block blocks[static OCTET_BLOCKS_MAX])
{
	size_t count = 0;

	while (low <= high) {
		unsigned size = low == 0 ? 256 : low & -low;

		while (low + size - 1 > high)
			size /= 2;
		blocks[count++] = (struct octet_block){ (uint8_t)low, (uint8_t)(256 - size) };
		low += size;
	}
	return count;
}

static void
add_pattern(struct host_list *list, const struct host_entry *entry, size_t number)
{
	list->patterns = memory_resize(list->patterns, list->pattern_count + 1, sizeof(*list->patterns));
	list->patterns[list->pattern_count++] = (struct pattern){ *entry, number };
}

static void
add_ipv4(struct host_list *list, const struct host_entry *entry, size_t number)
{
	struct octet_block blocks[4][OCTET_BLOCKS_MAX];
	size_t counts[4], all = 1;

	for (size_t i = 0; i < 4; i++)
		all *= counts[i] = split_range(entry->low[i], entry->high[i], blocks[i]);
	if (all > ENTRY_BLOCKS_MAX) {
		add_pattern(list, entry, number);
		return;
	}
	for (size_t which = 0; which < all; which++) {
		uint8_t octets[ADDRESS_OCTETS] = { 0 }, mask[ADDRESS_OCTETS] = { 0 };
		size_t rest = which;

		for (size_t i = 0; i < 4; i++) {
			octets[i] = blocks[i][rest % counts[i]].value;
			mask[i] = blocks[i][rest % counts[i]].mask;
			rest /= counts[i];
		}
		add_block(&list->ipv4, octets, mask, number);
	}
}

static void
add_ipv6(struct host_list *list, const struct host_entry *entry, size_t number)
{
	uint8_t mask[ADDRESS_OCTETS] = { 0 };

	for (unsigned i = 0; i < entry->prefix; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	add_block(&list->ipv6, entry->address, mask, number);
}

static void
add_entry(struct host_list *list, size_t number, bool whole_labels)
{
	struct host_entry entry;

	if (host_entry_parse(list->setting->items[number].text, &entry, NULL) < 0)
		return;
	switch (entry.kind) {
	case HOST_ENTRY_ALL:
		if (list->everybody == NONE)
			list->everybody = number;
		break;
	case HOST_ENTRY_NAME:
		if (entry.text[0] == '.')
			tail_set_add(list->names, entry.text + 1, TAIL_BELOW, number);
		else
			tail_set_add(list->names, entry.text, whole_labels ? TAIL_LABELS : TAIL_CHARACTERS, number);
		break;
	case HOST_ENTRY_IPV4:
		add_ipv4(list, &entry, number);
		break;
	case HOST_ENTRY_IPV6:
		add_ipv6(list, &entry, number);
		break;
	case HOST_ENTRY_GROUP:
		break;
	}
}

struct host_list *
host_list_new(const struct setting *setting, const struct setting *except, bool whole_labels)
{
	struct host_list *list = memory_new(1, sizeof(*list));
	struct tail_set *ignored = tail_set_of_texts(except);

	list->setting = setting;
	list->everybody = NONE;
	list->names = tail_set_new();
	for (size_t i = 0; i < setting->count; i++)
		if (tail_set_find(ignored, setting->items[i].text) == TAIL_NOT_FOUND)
			add_entry(list, i, whole_labels);
	tail_set_free(&ignored);
	close_blocks(&list->ipv4);
	close_blocks(&list->ipv6);
	tail_set_close(list->names);
	return list;
}

static void
free_blocks(struct block_set *set)
{
	hash_table_free(&set->table);
	free(set->blocks);
	free(set->masks);
}

void
host_list_free(struct host_list **list)
{
	if (*list == NULL)
		return;
	free_blocks(&(*list)->ipv4);
	free_blocks(&(*list)->ipv6);
	free((*list)->patterns);
	tail_set_free(&(*list)->names);
	free(*list);
	*list = NULL;
}

/* ---- asking ---- */

bool
host_list_is_empty(const struct host_list *list)
{
	return list->setting->count == 0;
}

bool
host_list_has_names(const struct host_list *list)
{
	return tail_set_count(list->names) > 0;
}

static size_t
lowest_block(const struct block_set *set, const uint8_t address[static ADDRESS_OCTETS])
{
	size_t lowest = NONE;

	for (size_t mask = 0; mask < set->mask_count; mask++) {
		uint8_t octets[ADDRESS_OCTETS];
		const struct block *block;

		for (size_t i = 0; i < ADDRESS_OCTETS; i++)
			octets[i] = address[i] & set->masks[mask][i];
		block = find_block(set, octets, mask);
		if (block != NULL && block->number < lowest)
			lowest = block->number;
	}
	return lowest;
}

static size_t
lowest_pattern(const struct host_list *list, const uint8_t address[static ADDRESS_OCTETS])
{
	for (size_t i = 0; i < list->pattern_count; i++) {
		const struct host_entry *entry = &list->patterns[i].entry;
		size_t fitting = 0;

		while (fitting < 4 && address[fitting] >= entry->low[fitting] &&
		    address[fitting] <= entry->high[fitting])
			fitting++;
		if (fitting == 4)
			return list->patterns[i].number;
	}
	return NONE;
}

static size_t
lower(size_t one, size_t other)
{
	return one < other ? one : other;
}

static size_t
lowest_ipv4(const struct host_list *list, const uint8_t address[static ADDRESS_OCTETS])
{
	return lower(lowest_block(&list->ipv4, address), lowest_pattern(list, address));
}

const struct setting_item *
host_list_find_address(const struct host_list *list, const struct sockaddr *address)
{
	uint8_t octets[ADDRESS_OCTETS] = { 0 };
	size_t number = list->everybody;

	if (address->sa_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		bool is_mapped = IN6_IS_ADDR_V4MAPPED(in6);

		memcpy(octets, in6->s6_addr + (is_mapped ? 12 : 0), is_mapped ? 4 : ADDRESS_OCTETS);
		number = lower(number, is_mapped ? lowest_ipv4(list, octets) : lowest_block(&list->ipv6, octets));
	} else if (address->sa_family == AF_INET) {
		memcpy(octets, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
		number = lower(number, lowest_ipv4(list, octets));
	}
	return number == NONE ? NULL : &list->setting->items[number];
}

const struct setting_item *
host_list_find_name(const struct host_list *list, const char *host_name)
{
	char name[TAIL_MAX + 1];
	size_t length = strnlen(host_name, sizeof(name)), number;

	if (length == sizeof(name))
		return NULL;
	memcpy(name, host_name, length);
	name[length] = '\0';
	if (length > 0 && name[length - 1] == '.')
		name[length - 1] = '\0';
	number = tail_set_find(list->names, name);
	return number == TAIL_NOT_FOUND ? NULL : &list->setting->items[number];
}
