/*
 * settings_memory - where the texts, lists and documents of one struct settings live
 *
 * Everything is given back at once when the settings go. Unsealed settings also own the mapping that their texts
 * are borrowed from.
 */
#ifndef COMMON_CONF_SETTINGS_MEMORY_H
#define COMMON_CONF_SETTINGS_MEMORY_H

#include <stddef.h>

struct settings;
struct settings_memory;

struct settings_memory *settings_memory_new(void);
void settings_memory_free(struct settings_memory **memory);

/* Zeroed room for count elements of size bytes, aligned for anything. */
void *settings_memory_take(struct settings_memory *memory, size_t count, size_t size);
/* A copy of length bytes with a NUL behind them. */
const char *settings_memory_text(struct settings_memory *memory, const char *text, size_t length);
/* Takes over what memory_new() returned. */
void settings_memory_adopt(struct settings_memory *memory, void *allocated);
/* Takes over a mapping. */
void settings_memory_adopt_mapping(struct settings_memory *memory, void *mapping, size_t length);

/* Empty settings with one reference, which own memory. */
struct settings *settings_new(struct settings_memory *memory);

#endif
