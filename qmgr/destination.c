/* destination - see destination.h */
#include "qmgr/destination.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "qmgr/active.h"
#include "qmgr/retry.h"

#define IDLE_MAX 10000			/* destinations that are only remembered */
#define RECENT_SUCCESS_MS 60000
#define CHANCES 3			/* failures in a row after a recent success, until it is down */
#define PROVEN_MS (10 * 60 * 1000)	/* one without jobs for so long is new again */
#define PUT_OFF_MAX (24 * 60 * 60)	/* seconds: no worker puts a destination off for longer */
#define KEY_MAX 1100

void
destinations_init(struct destinations *destinations, const struct limits *limits)
{
	int class, ring;

	memset(destinations, 0, sizeof(*destinations));
	destinations->limits = limits;
	for (class = 0; class < CLASS_COUNT; class++) {
		destinations->capacity[class] = UINT_MAX;
		for (ring = 0; ring < RING_COUNT; ring++)
			TAILQ_INIT(&destinations->rings[class][ring]);
	}
	TAILQ_INIT(&destinations->refill);
	TAILQ_INIT(&destinations->idle);
}

static void
destination_free(struct destinations *destinations, struct destination *destination)
{
	hash_table_remove(&destinations->by_key, &destination->by_key);
	free(destination->key);
	free(destination->jobs_at);
	free(destination->last_status);
	free(destination->last_reason);
	free(destination->last_host);
	free(destination);
}

void
destinations_free(struct destinations *destinations)
{
	struct hash_node *node, *next;

	for (node = hash_table_walk(&destinations->by_key, NULL); node != NULL; node = next) {
		next = hash_table_walk(&destinations->by_key, node);
		destination_free(destinations, HASH_CONTAINER(node, struct destination, by_key));
	}
	hash_table_free(&destinations->by_key);
	hash_table_free(&destinations->pairs);
}

bool
destination_format_key(enum transport transport, const char *next_hop, struct buffer *key)
{
	return buffer_append_string(key, transport_name(transport)) && buffer_append_byte(key, ':') &&
	    buffer_append_string(key, next_hop);
}

struct destination *
destination_find(struct destinations *destinations, const char *key)
{
	struct hash_node *node;

	for (node = hash_table_find(&destinations->by_key, hash_text(key)); node != NULL; node = hash_node_next(node)) {
		struct destination *destination = HASH_CONTAINER(node, struct destination, by_key);

		if (strcmp(destination->key, key) == 0)
			return destination;
	}
	return NULL;
}

struct destination *
destination_get(struct destinations *destinations, enum transport transport, const char *next_hop)
{
	struct buffer key = BUFFER_INITIALIZER(KEY_MAX);
	struct destination *destination;
	int level;

	destination_format_key(transport, next_hop, &key);
	destination = destination_find(destinations, buffer_text(&key));
	if (destination == NULL) {
		destination = memory_new(1, sizeof(*destination));
		destination->key = memory_copy_string(buffer_text(&key));
		destination->next_hop = strchr(destination->key, ':') + 1;
		destination->transport = transport;
		destination->class = transport == TRANSPORT_LOCAL ? CLASS_LOCAL : CLASS_TRANSFER;
		destination->standing = destination->class == CLASS_LOCAL ? STANDING_PROVEN : STANDING_NEW;
		destination->concurrency = destinations->limits->initial_concurrency;
		destination->ring = RING_NONE;
		destination->surplus_unknown = destinations->earlier_surplus;
		for (level = 0; level < LEVEL_COUNT; level++)
			TAILQ_INIT(&destination->queues[level]);
		hash_table_insert(&destinations->by_key, &destination->by_key, hash_text(destination->key));
	} else if (destination->idle) {
		TAILQ_REMOVE(&destinations->idle, destination, idle_link);
		destination->idle = false;
		destinations->idle_count--;
	}
	buffer_free(&key);
	return destination;
}

void
destination_release(struct destinations *destinations, struct destination *destination)
{
	struct destination *oldest;

	if (destination->queued > 0 || destination->sessions > 0 || destination->refill_wanted || destination->refilling ||
	    destination->idle)
		return;
	if (destination->standing != STANDING_SUSPECT && destination->surplus == 0 && destination->last_worker == NULL &&
	    !destination->fresh && destination->low_until == 0) {
		destination_free(destinations, destination);
		return;
	}
	TAILQ_INSERT_TAIL(&destinations->idle, destination, idle_link);
	destination->idle = true;
	if (++destinations->idle_count > IDLE_MAX) {
		oldest = TAILQ_FIRST(&destinations->idle);
		TAILQ_REMOVE(&destinations->idle, oldest, idle_link);
		destinations->idle_count--;
		destination_free(destinations, oldest);
	}
}

unsigned
destination_limit(const struct destinations *destinations, const struct destination *destination)
{
	const struct limits *limits = destinations->limits;

	return destination->class == CLASS_LOCAL ? limits->deliveries : limits->sessions_per_destination;
}

unsigned
destination_concurrency(const struct destinations *destinations, const struct destination *destination)
{
	unsigned limit = destination_limit(destinations, destination);

	if (destination->standing == STANDING_SUSPECT)
		return 1;
	if (destination->class == CLASS_LOCAL)
		return limit;
	return destination->concurrency < limit ? destination->concurrency : limit;
}

static enum destination_ring
ring_of(const struct destinations *destinations, const struct destination *destination)
{
	if (destination->enqueued == 0 || destination->sessions >= destination_concurrency(destinations, destination))
		return RING_NONE;
	if (destination->standing == STANDING_NEW)
		return destination->sessions == 0 ? RING_FIRST : RING_MORE;
	return destination->standing == STANDING_PROVEN ? RING_PROVEN : RING_SUSPECT;
}

/* Puts the destination into the ring where it belongs in its state, or takes it out. One set aside stays so as long as it has jobs. */
static void
update_ring(struct destinations *destinations, struct destination *destination, bool at_head)
{
	struct destination_list *rings = destinations->rings[destination->class];
	enum destination_ring ring = ring_of(destinations, destination);

	if (ring == destination->ring || (destination->ring == RING_SET_ASIDE && ring != RING_NONE))
		return;
	if (destination->ring != RING_NONE)
		TAILQ_REMOVE(&rings[destination->ring], destination, ring_link);
	destination->ring = ring;
	if (ring == RING_NONE)
		return;
	if (at_head)
		TAILQ_INSERT_HEAD(&rings[ring], destination, ring_link);
	else
		TAILQ_INSERT_TAIL(&rings[ring], destination, ring_link);
}

static void
set_standing(struct destinations *destinations, struct destination *destination, enum destination_standing standing)
{
	unsigned *sessions = destinations->sessions[destination->class];

	sessions[destination->standing] -= destination->sessions;
	sessions[standing] += destination->sessions;
	destination->standing = standing;
	update_ring(destinations, destination, false);
}

/* ---- deliveries ---- */

static uint64_t
hash_pair(const struct active_message *message, const struct destination *destination)
{
	uintptr_t pair[2] = { (uintptr_t)message, (uintptr_t)destination };

	return hash_bytes(pair, sizeof(pair));
}

struct delivery *
delivery_find(struct destinations *destinations, const struct active_message *message, const struct destination *destination)
{
	struct hash_node *node = hash_table_find(&destinations->pairs, hash_pair(message, destination));

	for (; node != NULL; node = hash_node_next(node)) {
		struct delivery *delivery = HASH_CONTAINER(node, struct delivery, by_pair);

		if (delivery->message == message && delivery->destination == destination)
			return delivery;
	}
	return NULL;
}

struct delivery *
delivery_add(struct destinations *destinations, struct destination *destination, struct active_message *message, uint32_t recipient)
{
	struct delivery *delivery = delivery_find(destinations, message, destination);

	if (delivery == NULL) {
		delivery = memory_new(1, sizeof(*delivery));
		delivery->message = message;
		delivery->destination = destination;
		LIST_INSERT_HEAD(&message->deliveries, delivery, message_link);
		LIST_INSERT_HEAD(&message->unplaced[destination->class], delivery, unplaced_link);
		hash_table_insert(&destinations->pairs, &delivery->by_pair, hash_pair(message, destination));
		destination->queued++;
		destinations->queued++;
	}
	if (delivery->count == delivery->capacity) {
		delivery->capacity = delivery->capacity ? delivery->capacity * 2 : 1;
		delivery->recipients = memory_resize(delivery->recipients, delivery->capacity, sizeof(*delivery->recipients));
	}
	delivery->recipients[delivery->count++] = recipient;
	return delivery;
}

void
delivery_enqueue(struct destinations *destinations, struct delivery *delivery, enum queue_level level)
{
	struct destination *destination = delivery->destination;

	if (delivery->queued)
		return;
	LIST_REMOVE(delivery, unplaced_link);
	delivery->queued = true;
	delivery->level = level;
	TAILQ_INSERT_TAIL(&destination->queues[level], delivery, queue_link);
	destination->enqueued++;
	update_ring(destinations, destination, false);
}

uint32_t
delivery_remaining(const struct delivery *delivery)
{
	return delivery->count - delivery->taken;
}

void
delivery_free(struct destinations *destinations, struct delivery *delivery)
{
	struct destination *destination = delivery->destination;

	if (delivery->queued) {
		TAILQ_REMOVE(&destination->queues[delivery->level], delivery, queue_link);
		destination->enqueued--;
	} else {
		LIST_REMOVE(delivery, unplaced_link);
	}
	LIST_REMOVE(delivery, message_link);
	hash_table_remove(&destinations->pairs, &delivery->by_pair);
	destination->queued--;
	destinations->queued--;
	free(delivery->recipients);
	free(delivery);
	update_ring(destinations, destination, false);
}

/* ---- turns ---- */

void
destinations_set_capacity(struct destinations *destinations, enum delivery_class class, unsigned capacity)
{
	destinations->capacity[class] = capacity;
}

/* Whether those of a ring have not all the jobs in hand yet that are theirs. */
static bool
ring_has_room(const struct destinations *destinations, enum delivery_class class, enum destination_ring ring)
{
	const unsigned *sessions = destinations->sessions[class];
	unsigned capacity = destinations->capacity[class];

	switch (ring) {
	case RING_FIRST:
		return sessions[STANDING_NEW] < capacity / 2 + capacity % 2;
	case RING_MORE:
		return sessions[STANDING_NEW] < capacity / 4;
	case RING_SUSPECT:
		return sessions[STANDING_SUSPECT] == 0 || sessions[STANDING_SUSPECT] < capacity / 4;
	default:
		return true;
	}
}

static struct destination *
ring_take(struct destinations *destinations, enum delivery_class class, enum destination_ring ring)
{
	struct destination *destination = TAILQ_FIRST(&destinations->rings[class][ring]);

	if (destination == NULL || !ring_has_room(destinations, class, ring))
		return NULL;
	TAILQ_REMOVE(&destinations->rings[class][ring], destination, ring_link);
	destination->ring = RING_NONE;
	return destination;
}

/* The rings take turns, but for the last one. */
struct destination *
destination_next(struct destinations *destinations, enum delivery_class class)
{
	struct destination *destination;
	unsigned i;

	for (i = 0; i < RING_MORE; i++) {
		enum destination_ring ring = (destinations->ring_turn[class] + i) % RING_MORE;

		destination = ring_take(destinations, class, ring);
		if (destination != NULL) {
			destinations->ring_turn[class] = ring + 1;
			return destination;
		}
	}
	return ring_take(destinations, class, RING_MORE);
}

void
destination_set_aside(struct destinations *destinations, struct destination *destination)
{
	TAILQ_INSERT_TAIL(&destinations->rings[destination->class][RING_SET_ASIDE], destination, ring_link);
	destination->ring = RING_SET_ASIDE;
}

void
destinations_bring_back(struct destinations *destinations, enum delivery_class class)
{
	struct destination_list *aside = &destinations->rings[class][RING_SET_ASIDE];
	struct destination *destination;

	while ((destination = TAILQ_LAST(aside, destination_list)) != NULL) {
		TAILQ_REMOVE(aside, destination, ring_link);
		destination->ring = RING_NONE;
		update_ring(destinations, destination, true);
	}
}

unsigned
destination_jobs_at(const struct destination *destination, unsigned worker)
{
	return worker < destination->jobs_at_count ? destination->jobs_at[worker] : 0;
}

void
destination_count_job_at(struct destination *destination, unsigned worker)
{
	if (worker >= destination->jobs_at_count) {
		destination->jobs_at = memory_resize(destination->jobs_at, worker + 1, sizeof(*destination->jobs_at));
		memset(destination->jobs_at + destination->jobs_at_count, 0,
		    (worker + 1 - destination->jobs_at_count) * sizeof(*destination->jobs_at));
		destination->jobs_at_count = worker + 1;
	}
	destination->jobs_at[worker]++;
}

/* Of eight turns five are for high priority, two for normal, one for low; a turn that nobody there wants goes to the highest. */
static struct delivery *
next_delivery(struct destination *destination)
{
	static const enum queue_level turns[8] = { LEVEL_HIGH, LEVEL_NORMAL, LEVEL_HIGH, LEVEL_HIGH, LEVEL_LOW, LEVEL_HIGH,
		LEVEL_NORMAL, LEVEL_HIGH };
	enum queue_level wanted = turns[destination->turn++ % 8];
	int level;

	if (!TAILQ_EMPTY(&destination->queues[wanted]))
		return TAILQ_FIRST(&destination->queues[wanted]);
	for (level = 0; level < LEVEL_COUNT; level++)
		if (!TAILQ_EMPTY(&destination->queues[level]))
			return TAILQ_FIRST(&destination->queues[level]);
	return NULL;
}

struct active_message *
destination_take(struct destinations *destinations, struct destination *destination,
    uint32_t recipients[static JOB_RECIPIENTS_MAX], uint32_t *count_out)
{
	struct delivery *delivery = next_delivery(destination);
	struct active_message *message;
	uint32_t count;

	if (delivery == NULL)
		return NULL;
	message = delivery->message;
	count = delivery_remaining(delivery) < JOB_RECIPIENTS_MAX ? delivery_remaining(delivery) : JOB_RECIPIENTS_MAX;
	memcpy(recipients, delivery->recipients + delivery->taken, count * sizeof(*recipients));
	*count_out = count;
	delivery->taken += count;
	destination->sessions++;
	destinations->sessions[destination->class][destination->standing]++;
	if (delivery_remaining(delivery) == 0) {
		delivery_free(destinations, delivery);
	} else {
		TAILQ_REMOVE(&destination->queues[delivery->level], delivery, queue_link);
		TAILQ_INSERT_TAIL(&destination->queues[delivery->level], delivery, queue_link);
	}
	update_ring(destinations, destination, false);
	return message;
}

void
destination_session_ended(struct destinations *destinations, struct destination *destination)
{
	destination->sessions--;
	destinations->sessions[destination->class][destination->standing]--;
	update_ring(destinations, destination, false);
}

/* ---- up and down ---- */

static void
replace(char **text, const char *with)
{
	free(*text);
	*text = memory_copy_string(with);
}

static void
remember_failure(struct destination *destination, const char *status, const char *reason, const char *host)
{
	replace(&destination->last_status, status);
	replace(&destination->last_reason, reason);
	replace(&destination->last_host, host);
}

void
destination_age(struct destinations *destinations, struct destination *destination, int64_t now)
{
	if (destination->standing != STANDING_PROVEN || destination->class == CLASS_LOCAL || destination->sessions > 0 ||
	    now - destination->last_success < PROVEN_MS)
		return;
	destination->concurrency = destinations->limits->initial_concurrency;
	set_standing(destinations, destination, STANDING_NEW);
}

void
destination_succeeded(struct destinations *destinations, struct destination *destination, int64_t now, bool delivered)
{
	if (destination->standing == STANDING_SUSPECT)
		destination->concurrency = destinations->limits->initial_concurrency;
	if (delivered && destination->concurrency < destinations->limits->sessions_per_destination)
		destination->concurrency++;
	destination->last_success = now;
	destination->failures = destination->failed_jobs = 0;
	destination->down_until = 0;
	set_standing(destinations, destination, STANDING_PROVEN);
}

static void
go_down(struct destinations *destinations, struct destination *destination, int64_t until)
{
	destination->failed_jobs = 0;
	destination->put_off = 0;
	destination->down_until = until;
	set_standing(destinations, destination, STANDING_SUSPECT);
}

bool
destination_failed(struct destinations *destinations, struct destination *destination, int64_t now,
    const char *status, const char *reason, const char *host)
{
	bool worked = destination->last_success != 0 && now - destination->last_success < RECENT_SUCCESS_MS;

	remember_failure(destination, status, reason, host);
	if (destination_is_down(destination, now))
		return true;
	if (++destination->failed_jobs < CHANCES && worked) {
		destination->concurrency = destination->concurrency > 1 ? destination->concurrency / 2 : 1;
		update_ring(destinations, destination, false);
		return false;
	}
	destination->failures++;
	go_down(destinations, destination,
	    now + retry_interval_spread(destinations->limits, destination->failures, arc4random()));
	return true;
}

void
destination_put_off(struct destinations *destinations, struct destination *destination, int64_t now, uint32_t seconds,
    const char *status, const char *reason, const char *host)
{
	int64_t wait = (int64_t)(seconds < PUT_OFF_MAX ? seconds : PUT_OFF_MAX) * 1000;

	remember_failure(destination, status, reason, host);
	if (!destination_is_down(destination, now))
		go_down(destinations, destination, now + wait + arc4random_uniform((uint32_t)(wait / 50 + 1)));
}

bool
destination_is_down(const struct destination *destination, int64_t now)
{
	return destination->down_until > now;
}

void
destination_override(struct destinations *destinations, struct destination *destination, uint32_t order)
{
	if (order <= destination->order)
		return;
	destination->order = order;
	destination->failures = destination->failed_jobs = 0;
	destination->down_until = 0;
	destination->fresh = destination->class == CLASS_TRANSFER;
	update_ring(destinations, destination, false);
}

/* ---- refilling ---- */

void
destination_want_refill(struct destinations *destinations, struct destination *destination)
{
	if (destination->refill_wanted || destination->refilling || (destination->surplus == 0 && !destination->surplus_unknown))
		return;
	destination->refill_wanted = true;
	TAILQ_INSERT_TAIL(&destinations->refill, destination, refill_link);
}

void
destination_refill_done(struct destinations *destinations, struct destination *destination)
{
	if (!destination->refill_wanted)
		return;
	destination->refill_wanted = false;
	TAILQ_REMOVE(&destinations->refill, destination, refill_link);
}
