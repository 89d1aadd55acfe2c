/* expansion - see expansion.h */
#include "qmgr/expansion.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/log/log.h"
#include "qmgr/outcome.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

#define AGAIN_MS 5000

/* ---- addresses of a message ---- */

struct address_set {
	struct hash_table table;
	/* Members that were recipients already: from, which was expanded, leads to into. Indices. */
	struct merge {
		uint32_t from, into;
	} *merges;
	size_t merge_count, merge_capacity;
};

struct address_entry {
	struct hash_node node;
	const char *address;
	uint32_t index;			/* of the recipient */
};

/* From where on the case of letters does not matter: the domain, or all of a Notes name. */
static size_t
caseless_from(const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL ? 0 : (size_t)(at - address);
}

static uint64_t
hash_address(const char *address)
{
	char canonical[1100];
	size_t i, from = caseless_from(address);

	for (i = 0; address[i] != '\0' && i < sizeof(canonical); i++)
		canonical[i] = i >= from && address[i] >= 'A' && address[i] <= 'Z' ? (char)(address[i] | 0x20) : address[i];
	return hash_bytes(canonical, i);
}

static bool
same_address(const char *a, const char *b)
{
	size_t from = caseless_from(a);

	return from == caseless_from(b) && strncmp(a, b, from) == 0 && strcasecmp(a + from, b + from) == 0;
}

struct address_set *
address_set_new(void)
{
	return memory_new(1, sizeof(struct address_set));
}

void
address_set_free(struct address_set **set)
{
	struct hash_node *node, *next;

	if (*set == NULL)
		return;
	for (node = hash_table_walk(&(*set)->table, NULL); node != NULL; node = next) {
		next = hash_table_walk(&(*set)->table, node);
		free(HASH_CONTAINER(node, struct address_entry, node));
	}
	hash_table_free(&(*set)->table);
	free((*set)->merges);
	free(*set);
	*set = NULL;
}

bool
address_set_add(struct address_set *set, const char *address, uint32_t index)
{
	uint64_t hash = hash_address(address);
	struct hash_node *node;
	struct address_entry *entry;

	for (node = hash_table_find(&set->table, hash); node != NULL; node = hash_node_next(node))
		if (same_address(HASH_CONTAINER(node, struct address_entry, node)->address, address))
			return false;
	entry = memory_new(1, sizeof(*entry));
	entry->address = address;
	entry->index = index;
	hash_table_insert(&set->table, &entry->node, hash);
	return true;
}

static struct address_set *
addresses_of(struct active_message *message)
{
	uint32_t i;

	if (message->addresses == NULL) {
		message->addresses = address_set_new();
		for (i = 0; i < message->envelope.recipient_count; i++)
			address_set_add(message->addresses, message->envelope.recipients[i].address, i);
	}
	return message->addresses;
}

/* ---- places that recipients end at ---- */

struct place_set {
	struct hash_table table;
};

struct place {
	struct hash_node node;
	uint32_t index;
};

static const char *
final_address(const struct envelope_recipient *recipient)
{
	return recipient->delivery_address == NULL ? recipient->address : recipient->delivery_address;
}

static bool
same_place(const struct envelope_recipient *a, const struct envelope_recipient *b)
{
	return a->transport == b->transport && strcmp(a->next_hop, b->next_hop) == 0 &&
	    same_address(final_address(a), final_address(b));
}

/* The recipient that has the place of recipient index already; UINT32_MAX: none, and the place is its own now. */
static uint32_t
take_place(struct active_message *message, uint32_t index)
{
	const struct envelope_recipient *recipient = &message->envelope.recipients[index];
	uint64_t hash = hash_address(final_address(recipient));
	struct hash_node *node;
	struct place *place;

	for (node = hash_table_find(&message->places->table, hash); node != NULL; node = hash_node_next(node)) {
		place = HASH_CONTAINER(node, struct place, node);
		if (place->index != index && same_place(&message->envelope.recipients[place->index], recipient))
			return place->index;
	}
	place = memory_new(1, sizeof(*place));
	place->index = index;
	hash_table_insert(&message->places->table, &place->node, hash);
	return UINT32_MAX;
}

void
place_set_free(struct place_set **set)
{
	struct hash_node *node, *next;

	if (*set == NULL)
		return;
	for (node = hash_table_walk(&(*set)->table, NULL); node != NULL; node = next) {
		next = hash_table_walk(&(*set)->table, node);
		free(HASH_CONTAINER(node, struct place, node));
	}
	hash_table_free(&(*set)->table);
	free(*set);
	*set = NULL;
}

bool
expansion_is_duplicate(struct active_message *message, uint32_t index)
{
	uint32_t i;

	if (message->places == NULL) {
		if (message->envelope.recipients[index].forwards == 0)
			return false;
		message->places = memory_new(1, sizeof(*message->places));
		for (i = 0; i < message->envelope.recipient_count; i++) {
			const struct envelope_recipient *other = &message->envelope.recipients[i];

			if (i != index && other->state != RECIPIENT_EXPANDED && other->next_hop != NULL)
				take_place(message, i);
		}
	}
	return take_place(message, index) != UINT32_MAX && message->envelope.recipients[index].forwards > 0;
}

/* ---- recording an expansion ---- */

struct expansion {
	struct qmgr *qmgr;
	uint64_t id;
	uint32_t parent;		/* indices */
	uint32_t first, count;		/* the new members */
	bool report;			/* the sender wants to hear that the group was expanded (RFC 3461, 5.2.7.3) */
	int64_t again_ms;		/* 0: on its way to the store */
	TAILQ_ENTRY(expansion) link;
};

static void
committed(void *context, const struct error *error)
{
	struct expansion *expansion = context;
	struct qmgr *qmgr = expansion->qmgr;
	struct active_message *message = active_find(qmgr, expansion->id);
	uint32_t i;

	if (error != NULL && !qmgr->leaving && message != NULL && !message->removed) {
		expansion->again_ms = clock_monotonic_ms() + AGAIN_MS;
		qmgr_want_tick(qmgr);
		return;
	}
	TAILQ_REMOVE(&qmgr->routing.expansions, expansion, link);
	if (message != NULL && !qmgr->leaving) {
		for (i = 0; i < expansion->count; i++)
			active_set_phase(message, expansion->first + i, PHASE_IDLE);
		active_set_phase(message, expansion->parent, expansion->report ? PHASE_SUCCESS : PHASE_IDLE);
		active_wake(qmgr, message, false);
		active_settle(qmgr, message);
	}
	free(expansion);
}

static void
commit(struct expansion *expansion, struct active_message *message)
{
	bool *chosen = memory_new(message->envelope.recipient_count, sizeof(*chosen));
	struct store_batch *batch = store_batch_new(expansion->qmgr->store);

	expansion->again_ms = 0;
	chosen[expansion->parent] = true;
	memset(chosen + expansion->first, true, expansion->count);
	store_batch_update(batch, &message->envelope, chosen);
	free(chosen);
	store_commit(expansion->qmgr->store, batch, true, committed, expansion);
}

bool
expansion_tick(struct qmgr *qmgr, int64_t monotonic_ms)
{
	struct expansion *expansion, *next;
	bool waiting = false;

	TAILQ_FOREACH_SAFE(expansion, &qmgr->routing.expansions, link, next) {
		struct active_message *message;

		if (expansion->again_ms == 0)
			continue;
		waiting = true;
		if (monotonic_ms >= expansion->again_ms && (message = active_find(qmgr, expansion->id)) != NULL)
			commit(expansion, message);
	}
	return waiting;
}

void
expansion_end(struct qmgr *qmgr)
{
	struct expansion *expansion;

	while ((expansion = TAILQ_FIRST(&qmgr->routing.expansions)) != NULL) {
		TAILQ_REMOVE(&qmgr->routing.expansions, expansion, link);
		free(expansion);
	}
}

/* ---- members ---- */

/* RFC 3461, 5.2.7: what several get in place of one is not reported as delivered to the one. */
static uint8_t
inherited_notify(uint8_t notify, bool forward)
{
	if (forward || (notify & NOTIFY_SUCCESS) == 0)
		return notify;
	notify &= (uint8_t)~NOTIFY_SUCCESS;
	return notify == 0 ? NOTIFY_NEVER : notify;
}

/* Whether address is the recipient or one that it was expanded from. */
static bool
is_ancestor(struct envelope *envelope, uint32_t index, const char *address)
{
	const struct envelope_recipient *recipient = &envelope->recipients[index];
	unsigned depth, deepest = recipient->forwards;

	for (depth = 0; recipient != NULL && depth <= deepest; depth++) {
		if (same_address(recipient->address, address))
			return true;
		if (recipient->parent == recipient->number)
			break;
		recipient = envelope_find_recipient(envelope, recipient->parent);
	}
	return false;
}

static void
add_member(struct active_message *message, uint32_t parent, const char *address, bool forward)
{
	struct envelope_recipient *recipient = envelope_add_recipient(&message->envelope, address);
	const struct envelope_recipient *from = &message->envelope.recipients[parent];

	recipient->original = memory_copy_string(from->original);
	recipient->notify = inherited_notify(from->notify, forward);
	recipient->forwards = (uint16_t)(from->forwards + 1);
	recipient->parent = from->number;
	address_set_add(message->addresses, recipient->address, (uint32_t)message->envelope.recipient_count - 1);
}

static void
note_merge(struct address_set *set, uint32_t from, uint32_t into)
{
	if (set->merge_count == set->merge_capacity) {
		set->merge_capacity = set->merge_capacity == 0 ? 8 : 2 * set->merge_capacity;
		set->merges = memory_resize(set->merges, set->merge_capacity, sizeof(*set->merges));
	}
	set->merges[set->merge_count++] = (struct merge){ from, into };
}

/* Adds the members that are not recipients yet. Returns how many lead nowhere but back to where they come from. */
static uint32_t
add_members(struct active_message *message, uint32_t parent, const struct buffer *members, uint32_t count, bool forward)
{
	const char *next = buffer_text(members);
	struct address_set *probe = addresses_of(message);
	uint32_t i, circular = 0;

	for (i = 0; i < count; i++, next += strlen(next) + 1) {
		uint64_t hash = hash_address(next);
		struct hash_node *node = hash_table_find(&probe->table, hash);

		while (node != NULL && !same_address(HASH_CONTAINER(node, struct address_entry, node)->address, next))
			node = hash_node_next(node);
		if (node == NULL)
			add_member(message, parent, next, forward);
		else if (is_ancestor(&message->envelope, parent, next))
			circular++;
		else
			note_merge(probe, parent, HASH_CONTAINER(node, struct address_entry, node)->index);
	}
	return circular;
}

/*
 * Whether somebody gets what is for a recipient that is expanded to others that were there already. Two that forward to each other
 * would both count as expanded otherwise, and nobody would get it or be told. One of which is not known what it led to (its
 * expansion is from before a restart, or it is a duplicate) leads somewhere.
 */
static bool
leads_to_somebody(struct active_message *message, uint32_t from)
{
	const struct address_set *set = message->addresses;
	uint32_t count = (uint32_t)message->envelope.recipient_count, i;
	bool *leads = memory_new(count, sizeof(*leads)), *served = memory_new(count, sizeof(*served)), changed = true, result;
	uint32_t *parents = memory_new(count, sizeof(*parents));
	size_t m;

	for (i = 0; i < count; i++) {
		parents[i] = active_index_of(message, message->envelope.recipients[i].parent);
		if (parents[i] != UINT32_MAX && parents[i] != i)
			leads[parents[i]] = true;
	}
	for (m = 0; m < set->merge_count; m++)
		leads[set->merges[m].from] = true;
	for (i = 0; i < count; i++)
		served[i] = i != from && (message->envelope.recipients[i].state != RECIPIENT_EXPANDED || !leads[i]);
	while (changed) {
		changed = false;
		for (i = 0; i < count; i++)
			if (served[i] && parents[i] != UINT32_MAX && !served[parents[i]])
				served[parents[i]] = changed = true;
		for (m = 0; m < set->merge_count; m++)
			if (served[set->merges[m].into] && !served[set->merges[m].from])
				served[set->merges[m].from] = changed = true;
	}
	result = served[from];
	free(leads);
	free(served);
	free(parents);
	return result;
}

void
expansion_apply(struct qmgr *qmgr, struct active_message *message, uint32_t parent, const struct buffer *members,
    uint32_t count, bool forward)
{
	uint32_t first = (uint32_t)message->envelope.recipient_count, added, circular, i;
	struct expansion *expansion;

	if (first + (uint64_t)count > ENVELOPE_RECIPIENTS_MAX) {
		outcome_fail(qmgr, message, parent, FAILURE_USERNAME, "5.3.4", "The group has too many members.", NULL);
		return;
	}
	circular = add_members(message, parent, members, count, forward);
	added = (uint32_t)message->envelope.recipient_count - first;
	if (added == 0 && (circular == count || !leads_to_somebody(message, parent))) {
		outcome_fail(qmgr, message, parent, count == 0 ? FAILURE_USERNAME : FAILURE_TRANSFER,
		    count == 0 ? "5.1.1" : "5.4.6", count == 0 ? "The group has no members." :
		    "The address leads back to itself. Message probably in a routing loop.", NULL);
		return;
	}
	active_grew(message);
	for (i = 0; i < added; i++)
		active_set_phase(message, first + i, PHASE_JOURNALLING);
	active_set_phase(message, parent, PHASE_JOURNALLING);
	message->envelope.recipients[parent].state = RECIPIENT_EXPANDED;
	message->open += added;
	message->open--;
	log_event(LOG_RECIPIENT_ROUTED, log_id(message->envelope.id), message->envelope.recipients[parent].address,
	    forward ? "forward" : "group", log_number(added), NULL);
	expansion = memory_new(1, sizeof(*expansion));
	expansion->qmgr = qmgr;
	expansion->id = message->envelope.id;
	expansion->parent = parent;
	expansion->first = first;
	expansion->count = added;
	expansion->report = !forward && (message->envelope.recipients[parent].notify & NOTIFY_SUCCESS) != 0;
	TAILQ_INSERT_TAIL(&qmgr->routing.expansions, expansion, link);
	commit(expansion, message);
}
