/*
 * call_out_memory - which recipients the next hop took or refused when it was asked about them
 */
#ifndef DIRECTORY_CALL_OUT_MEMORY_H
#define DIRECTORY_CALL_OUT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/directory.h"

struct call_out_memories;
struct document_configuration;
struct event_base;

/* path: the file that it outlives the process in. */
struct call_out_memories *call_out_memories_new(struct event_base *base, const char *path);
/* The pointer is cleared; NULL is accepted. */
void call_out_memories_free(struct call_out_memories **memories);
/* How long answers last: call_out_positive_lifetime, call_out_negative_lifetime. */
void call_out_memories_use_settings(struct call_out_memories *memories, const struct document_configuration *configuration);

/* What was found at most its lifetime before now_ms, wall time; *text_out is lent, "" for none. */
enum call_out_memory_finding call_out_memories_recall(struct call_out_memories *memories, const char *recipient, int64_t now_ms,
    const char **text_out);
void call_out_memories_learn(struct call_out_memories *memories, const char *recipient, bool taken, const char *text,
    int64_t now_ms);

/* Recipients remembered. */
size_t call_out_memories_count(const struct call_out_memories *memories);

#endif
