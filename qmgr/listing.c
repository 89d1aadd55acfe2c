/* listing - see listing.h */
#include "qmgr/listing.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

#define PAGE 200			/* parked messages asked for at a time */
#define ENVELOPE_OCTETS_MAX (16 * 1024 * 1024)

struct listing {
	struct qmgr *qmgr;
	struct selection selection;
	uint64_t cursor;		/* told up to here */
	uint64_t left;			/* still to tell */
	bool envelopes;
	listing_cb callback;
	void *context;
	struct listing_item *items;	/* owned: of this page */
	size_t count;
	size_t capacity;
	unsigned parked;		/* that the store told of this page */
	uint64_t last_parked;
	TAILQ_ENTRY(listing) link;
};

static void
clear(struct listing *listing)
{
	size_t i;

	for (i = 0; i < listing->count; i++)
		buffer_free(&listing->items[i].envelope);
	listing->count = 0;
}

static void
listing_free(struct listing *listing)
{
	clear(listing);
	TAILQ_REMOVE(&listing->qmgr->control.listings, listing, link);
	free(listing->items);
	selection_free(&listing->selection);
	free(listing);
}

static void
add(struct listing *listing, const struct envelope *envelope, uint64_t size, bool held)
{
	struct listing_item *item;

	if (listing->count == listing->capacity) {
		listing->capacity = listing->capacity ? listing->capacity * 2 : 64;
		listing->items = memory_resize(listing->items, listing->capacity, sizeof(*listing->items));
	}
	item = &listing->items[listing->count++];
	*item = (struct listing_item){ .id = envelope->id, .size = size, .arrival_ms = envelope->arrival_ms, .held = held };
	buffer_init(&item->envelope, ENVELOPE_OCTETS_MAX);
	if (listing->envelopes) {
		struct envelope shown = *envelope;

		shown.priority = limits_priority(&listing->qmgr->limits, envelope->priority, size);
		envelope_encode(&shown, NULL, &item->envelope);
	}
}

static int
compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int
compare_items(const void *a, const void *b)
{
	return compare_ids(&((const struct listing_item *)a)->id, &((const struct listing_item *)b)->id);
}

/* Adds the first messages in memory that match, as many as can be told. */
static void
add_active(struct listing *listing)
{
	struct qmgr *qmgr = listing->qmgr;
	uint64_t *ids = memory_new(qmgr->messages.by_id.count, sizeof(*ids));
	struct hash_node *node = NULL;
	int64_t now = clock_wall_ms();
	size_t count = 0, i;

	while ((node = hash_table_walk(&qmgr->messages.by_id, node)) != NULL) {
		const struct active_message *message = HASH_CONTAINER(node, struct active_message, by_id);

		if (message->envelope.id > listing->cursor && !message->removed &&
		    selection_matches(&listing->selection, &message->envelope, message->held, now))
			ids[count++] = message->envelope.id;
	}
	qsort(ids, count, sizeof(*ids), compare_ids);
	for (i = 0; i < count && i < listing->left; i++) {
		const struct active_message *message = active_find(qmgr, ids[i]);

		add(listing, &message->envelope, store_size(qmgr->store, ids[i]), message->held);
	}
	free(ids);
}

/* Tells the items up to upto. False when the listing is over: the limit is reached or the receiver has enough. */
static bool
tell(struct listing *listing, uint64_t upto)
{
	size_t i;

	if (listing->count > 1)
		qsort(listing->items, listing->count, sizeof(*listing->items), compare_items);
	for (i = 0; i < listing->count && listing->items[i].id <= upto; i++) {
		const struct listing_item *item = &listing->items[i];

		if (item->id <= listing->cursor)
			continue;
		if (listing->left == 0 || !listing->callback(listing->context, item, NULL))
			return false;
		listing->cursor = item->id;
		listing->left--;
	}
	listing->cursor = upto;
	return true;
}

static void page(struct listing *listing);

static void
end(struct listing *listing, const struct error *error)
{
	listing->callback(listing->context, NULL, error);
	listing_free(listing);
}

static bool
listed(void *context, const struct store_item *item, const struct error *error)
{
	struct listing *listing = context;
	uint64_t upto;

	if (item != NULL) {
		listing->parked++;
		listing->last_parked = item->envelope->id;
		if (selection_matches(&listing->selection, item->envelope, item->held, clock_wall_ms()))
			add(listing, item->envelope, item->size, item->held);
		return true;
	}
	upto = listing->parked < PAGE ? UINT64_MAX : listing->last_parked;
	if (listing->selection.id != 0 && upto >= listing->selection.id)
		upto = UINT64_MAX;
	add_active(listing);
	if (error != NULL || !tell(listing, upto) || upto == UINT64_MAX)
		end(listing, error);
	else
		page(listing);
	return true;
}

static void
page(struct listing *listing)
{
	clear(listing);
	listing->parked = 0;
	/* Before the store and after it: what moves meanwhile is in one of the three. */
	add_active(listing);
	store_list(listing->qmgr->store, listing->cursor, PAGE, listed, listing);
}

void
listing_start(struct qmgr *qmgr, struct selection *selection, uint64_t after, uint64_t limit, bool envelopes,
    listing_cb callback, void *context)
{
	struct listing *listing = memory_new(1, sizeof(*listing));

	listing->qmgr = qmgr;
	listing->selection = *selection;
	listing->cursor = after;
	if (selection->id != 0 && after < selection->id)
		listing->cursor = selection->id - 1;
	listing->left = limit == 0 ? UINT64_MAX : limit;
	listing->envelopes = envelopes;
	listing->callback = callback;
	listing->context = context;
	TAILQ_INSERT_TAIL(&qmgr->control.listings, listing, link);
	page(listing);
}

void
listing_end(struct qmgr *qmgr)
{
	while (!TAILQ_EMPTY(&qmgr->control.listings))
		listing_free(TAILQ_FIRST(&qmgr->control.listings));
}
