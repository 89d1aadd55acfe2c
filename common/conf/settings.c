/* settings - how long settings live, and what they live in: see settings.h and settings_memory.h */
#include "common/conf/settings.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/memory.h"
#include "common/conf/settings_memory.h"

#define BLOCK_SIZE ((size_t)256 * 1024)

struct block {
	struct block *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char data[];
};

struct adopted {
	struct adopted *next;
	void *memory;
	size_t mapped;		/* 0: from memory_new() */
};

struct settings_memory {
	struct block *blocks;	/* the first one has room */
	struct adopted *adopted;
};

struct settings_memory *
settings_memory_new(void)
{
	return memory_new(1, sizeof(struct settings_memory));
}

void
settings_memory_free(struct settings_memory **memory)
{
	if (*memory == NULL)
		return;
	for (struct adopted *adopted = (*memory)->adopted; adopted != NULL; adopted = adopted->next) {
		if (adopted->mapped > 0)
			munmap(adopted->memory, adopted->mapped);
		else
			free(adopted->memory);
	}
	for (struct block *block = (*memory)->blocks, *next; block != NULL; block = next) {
		next = block->next;
		/* Passwords and hashes may be among the texts. */
		memory_wipe(block->data, block->used);
		free(block);
	}
	free(*memory);
	*memory = NULL;
}

static void *
take(struct settings_memory *memory, size_t size, size_t alignment)
{
	struct block *block = memory->blocks;
	size_t start = block == NULL ? 0 : (block->used + alignment - 1) & ~(alignment - 1);

	if (block == NULL || start > block->size || block->size - start < size) {
		size_t room = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;

		block = memory_new(1, sizeof(*block) + room);
		block->size = room;
		if (room == BLOCK_SIZE || memory->blocks == NULL) {
			block->next = memory->blocks;
			memory->blocks = block;
		} else {	/* a big one is full at once: the one with room stays first */
			block->next = memory->blocks->next;
			memory->blocks->next = block;
		}
		start = 0;
	}
	block->used = start + size;
	return block->data + start;
}

void *
settings_memory_take(struct settings_memory *memory, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total) || total > SIZE_MAX / 2)
		total = SIZE_MAX / 2;	/* which no allocation gets */
	return take(memory, total, alignof(max_align_t));
}

const char *
settings_memory_text(struct settings_memory *memory, const char *text, size_t length)
{
	char *copy;

	if (length == 0)
		return "";
	copy = take(memory, length + 1, 1);
	memcpy(copy, text, length);
	return copy;
}

static void
adopt(struct settings_memory *memory, void *allocated, size_t mapped)
{
	struct adopted *adopted = take(memory, sizeof(*adopted), alignof(max_align_t));

	*adopted = (struct adopted){ memory->adopted, allocated, mapped };
	memory->adopted = adopted;
}

void
settings_memory_adopt(struct settings_memory *memory, void *allocated)
{
	adopt(memory, allocated, 0);
}

void
settings_memory_adopt_mapping(struct settings_memory *memory, void *mapping, size_t length)
{
	adopt(memory, mapping, length);
}

struct settings *
settings_new(struct settings_memory *memory)
{
	struct settings *settings = memory_new(1, sizeof(*settings));

	settings->memory = memory;
	settings->references = 1;
	return settings;
}

const struct settings *
settings_hold(const struct settings *settings)
{
	struct settings *held = (struct settings *)settings;

	held->references++;
	return settings;
}

void
settings_release(const struct settings **settings)
{
	struct settings *held = (struct settings *)*settings;

	*settings = NULL;
	if (held == NULL || --held->references > 0)
		return;
	settings_memory_free(&held->memory);
	free(held);
}
