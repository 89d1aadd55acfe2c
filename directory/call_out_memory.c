/* call_out_memory - see call_out_memory.h */
#include "directory/call_out_memory.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/conf/settings.h"
#include "directory/store.h"

#define OCTETS_MAX (32u * 1024 * 1024)

struct call_out_memories {
	struct store *store;	/* FLEETING: refused, LASTING: taken */
};

struct call_out_memories *
call_out_memories_new(struct event_base *base, const char *path)
{
	struct call_out_memories *memories = memory_new(1, sizeof(*memories));

	memories->store = store_new(base, path, OCTETS_MAX);
	return memories;
}

void
call_out_memories_free(struct call_out_memories **memories)
{
	if (*memories != NULL)
		store_free(&(*memories)->store);
	free(*memories);
	*memories = NULL;
}

void
call_out_memories_use_settings(struct call_out_memories *memories, const struct document_configuration *configuration)
{
	store_set_lifetime(memories->store, STORE_FLEETING, configuration->call_out_negative_lifetime.number * 1000);
	store_set_lifetime(memories->store, STORE_LASTING, configuration->call_out_positive_lifetime.number * 1000);
}

enum call_out_memory_finding
call_out_memories_recall(struct call_out_memories *memories, const char *recipient, int64_t now_ms, const char **text_out)
{
	struct store_record record;

	*text_out = "";
	if (!store_find(memories->store, recipient, now_ms, &record))
		return CALL_OUT_MEMORY_NOTHING;
	*text_out = record.text;
	return record.class == STORE_LASTING ? CALL_OUT_MEMORY_TAKEN : CALL_OUT_MEMORY_REFUSED;
}

void
call_out_memories_learn(struct call_out_memories *memories, const char *recipient, bool taken, const char *text,
    int64_t now_ms)
{
	store_put(memories->store, recipient, taken ? STORE_LASTING : STORE_FLEETING, text, now_ms);
}

size_t
call_out_memories_count(const struct call_out_memories *memories)
{
	return store_count(memories->store);
}
