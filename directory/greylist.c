/* greylist - see greylist.h */
#include "directory/greylist.h"

#include <sha2.h>
#include <stdlib.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/conf/settings.h"
#include "directory/store.h"

#define OCTETS_MAX (64u * 1024 * 1024)
#define KEY_LENGTH 32	/* characters of the digest: 128 bits */

struct greylist {
	struct store *store;	/* FLEETING: tried, LASTING: came again */
	int64_t delay_ms;
};

struct greylist *
greylist_new(struct event_base *base, const char *path)
{
	struct greylist *greylist = memory_new(1, sizeof(*greylist));

	greylist->store = store_new(base, path, OCTETS_MAX);
	return greylist;
}

void
greylist_free(struct greylist **greylist)
{
	if (*greylist != NULL)
		store_free(&(*greylist)->store);
	free(*greylist);
	*greylist = NULL;
}

void
greylist_use_settings(struct greylist *greylist, const struct document_configuration *configuration)
{
	greylist->delay_ms = configuration->greylist_delay.number * 1000;
	store_set_lifetime(greylist->store, STORE_FLEETING, configuration->greylist_window.number * 1000);
	store_set_lifetime(greylist->store, STORE_LASTING, configuration->greylist_lifetime.number * 1000);
}

static void
append_lower(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++)
		buffer_append_byte(out, *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text);
}

/* All keys have one length: a stranger who writes long addresses takes no more room than the others. */
static void
make_key(const char *network, const char *sender, const char *recipient, char key[static SHA256_DIGEST_STRING_LENGTH])
{
	struct buffer text = BUFFER_INITIALIZER(0);

	buffer_append_string(&text, network);
	buffer_append_byte(&text, '\n');
	append_lower(&text, sender);
	buffer_append_byte(&text, '\n');
	append_lower(&text, recipient);
	SHA256Data((const uint8_t *)text.data, text.length, key);
	key[KEY_LENGTH] = '\0';
	buffer_free(&text);
}

bool
greylist_attempt(struct greylist *greylist, const char *network, const char *sender, const char *recipient, bool peeks,
    int64_t now_ms, uint32_t *seconds_out)
{
	char key[SHA256_DIGEST_STRING_LENGTH];
	struct store_record record;
	int64_t wait_ms = greylist->delay_ms;
	bool is_new;

	make_key(network, sender, recipient, key);
	is_new = !store_find(greylist->store, key, now_ms, &record);
	if (!is_new)
		wait_ms = record.class == STORE_LASTING ? 0 : record.since_ms + greylist->delay_ms - now_ms;
	*seconds_out = wait_ms > 0 ? (uint32_t)((wait_ms + 999) / 1000) : 0;
	if (!peeks && (is_new || wait_ms <= 0))
		store_put(greylist->store, key, wait_ms > 0 ? STORE_FLEETING : STORE_LASTING, "", now_ms);
	return wait_ms <= 0;
}

size_t
greylist_count(const struct greylist *greylist)
{
	return store_count(greylist->store);
}
