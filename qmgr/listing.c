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
	uint64_t *active;		/* owned: a heap of ids behind the cursor that are in memory or were, the least first */
	size_t active_count;
	size_t active_capacity;
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
	free(listing->active);
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
compare_items(const void *a, const void *b)
{
	const struct listing_item *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Whether a message of that id may still have to be told. */
static bool
lies_ahead(const struct listing *listing, uint64_t id)
{
	return id > listing->cursor && (listing->selection.id == 0 || listing->selection.id == id);
}

static void
add_if_selected(struct listing *listing, const struct envelope *envelope, uint64_t size, bool held)
{
	if (selection_matches(&listing->selection, envelope, held, clock_wall_ms()))
		add(listing, envelope, size, held);
}

/* ---- what is in memory ---- */

static void
heap_push(struct listing *listing, uint64_t id)
{
	size_t place = listing->active_count++, parent;

	if (listing->active_count > listing->active_capacity) {
		listing->active_capacity = listing->active_capacity ? listing->active_capacity * 2 : 64;
		listing->active = memory_resize(listing->active, listing->active_capacity, sizeof(*listing->active));
	}
	for (; place > 0 && listing->active[parent = (place - 1) / 2] > id; place = parent)
		listing->active[place] = listing->active[parent];
	listing->active[place] = id;
}

static uint64_t
heap_pop(struct listing *listing)
{
	uint64_t *heap = listing->active, least = heap[0], last = heap[--listing->active_count];
	size_t count = listing->active_count, place = 0, child;

	while ((child = 2 * place + 1) < count) {
		child += child + 1 < count && heap[child + 1] < heap[child];
		if (heap[child] >= last)
			break;
		heap[place] = heap[child];
		place = child;
	}
	heap[place] = last;
	return least;
}

/* Adds the messages in memory with ids up to upto that match, as many as can be told. */
static void
add_active(struct listing *listing, uint64_t upto)
{
	struct qmgr *qmgr = listing->qmgr;
	size_t before = listing->count;
	uint64_t last = 0;

	while (listing->active_count > 0 && listing->active[0] <= upto && listing->count - before < listing->left) {
		uint64_t id = heap_pop(listing);
		/* One that left memory and came back is in the heap twice. */
		const struct active_message *message = id == last ? NULL : active_find(qmgr, id);

		last = id;
		if (message != NULL && !message->removed)
			add_if_selected(listing, &message->envelope, store_size(qmgr->store, id), message->held);
	}
}

void
listing_entered(struct qmgr *qmgr, uint64_t id)
{
	struct listing *listing;

	TAILQ_FOREACH(listing, &qmgr->control.listings, link)
		if (lies_ahead(listing, id))
			heap_push(listing, id);
}

void
listing_parking(struct qmgr *qmgr, const struct envelope *envelope, bool held)
{
	struct listing *listing;

	TAILQ_FOREACH(listing, &qmgr->control.listings, link)
		if (lies_ahead(listing, envelope->id))
			add_if_selected(listing, envelope, store_size(qmgr->store, envelope->id), held);
}

/* ---- pages ---- */

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
		if (!listing->callback(listing->context, item, NULL) || --listing->left == 0)
			return false;
		listing->cursor = item->id;
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
		add_if_selected(listing, item->envelope, item->size, item->held);
		return true;
	}
	upto = listing->parked < PAGE ? UINT64_MAX : listing->last_parked;
	if (listing->selection.id != 0 && upto >= listing->selection.id)
		upto = UINT64_MAX;
	add_active(listing, upto);
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
	store_list(listing->qmgr->store, listing->cursor, PAGE, listed, listing);
}

void
listing_start(struct qmgr *qmgr, struct selection *selection, uint64_t after, uint64_t limit, bool envelopes,
    listing_cb callback, void *context)
{
	struct listing *listing = memory_new(1, sizeof(*listing));
	struct hash_node *node = NULL;

	listing->qmgr = qmgr;
	listing->selection = *selection;
	listing->cursor = after;
	if (selection->id != 0 && after < selection->id)
		listing->cursor = selection->id - 1;
	listing->left = limit == 0 ? UINT64_MAX : limit;
	listing->envelopes = envelopes;
	listing->callback = callback;
	listing->context = context;
	while ((node = hash_table_walk(&qmgr->messages.by_id, node)) != NULL) {
		uint64_t id = HASH_CONTAINER(node, struct active_message, by_id)->envelope.id;

		if (lies_ahead(listing, id))
			heap_push(listing, id);
	}
	TAILQ_INSERT_TAIL(&qmgr->control.listings, listing, link);
	page(listing);
}

void
listing_end(struct qmgr *qmgr)
{
	while (!TAILQ_EMPTY(&qmgr->control.listings))
		listing_free(TAILQ_FIRST(&qmgr->control.listings));
}
