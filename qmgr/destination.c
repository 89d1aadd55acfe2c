/* destination - see destination.h */
#include "qmgr/destination.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "qmgr/active.h"
#include "qmgr/retry.h"

#define IDLE_MAX 10000			/* destinations that are only remembered */
#define RECENT_SUCCESS_MS 60000
#define CHANCES 3			/* failures in a row after a recent success, until it is down */
#define KEY_MAX 1100

void
destinations_init(struct destinations *destinations, const struct limits *limits)
{
	int class;

	memset(destinations, 0, sizeof(*destinations));
	destinations->limits = limits;
	for (class = 0; class < CLASS_COUNT; class++)
		TAILQ_INIT(&destinations->ready[class]);
	TAILQ_INIT(&destinations->refill);
	TAILQ_INIT(&destinations->idle);
}

static void
destination_free(struct destinations *destinations, struct destination *destination)
{
	hash_table_remove(&destinations->by_key, &destination->by_key);
	free(destination->key);
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
	if (destination->failures == 0 && destination->surplus == 0 && destination->last_worker == NULL) {
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
destination_concurrency(const struct destinations *destinations, const struct destination *destination)
{
	if (destination->failures > 0)
		return 1;
	return destination->class == CLASS_LOCAL ? destinations->limits->deliveries :
	    destinations->limits->sessions_per_destination;
}

/* Puts the destination into the ring, or takes it out, as its state demands. */
static void
update_ready(struct destinations *destinations, struct destination *destination, bool at_head)
{
	bool ready = destination->enqueued > 0 &&
	    destination->sessions < destination_concurrency(destinations, destination);

	if (ready == destination->ready)
		return;
	destination->ready = ready;
	if (!ready)
		TAILQ_REMOVE(&destinations->ready[destination->class], destination, ready_link);
	else if (at_head)
		TAILQ_INSERT_HEAD(&destinations->ready[destination->class], destination, ready_link);
	else
		TAILQ_INSERT_TAIL(&destinations->ready[destination->class], destination, ready_link);
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
	delivery->queued = true;
	delivery->level = level;
	TAILQ_INSERT_TAIL(&destination->queues[level], delivery, queue_link);
	destination->enqueued++;
	update_ready(destinations, destination, false);
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
	}
	LIST_REMOVE(delivery, message_link);
	hash_table_remove(&destinations->pairs, &delivery->by_pair);
	destination->queued--;
	destinations->queued--;
	free(delivery->recipients);
	free(delivery);
	update_ready(destinations, destination, false);
}

/* ---- turns ---- */

struct destination *
destination_next(struct destinations *destinations, enum delivery_class class)
{
	struct destination *destination = TAILQ_FIRST(&destinations->ready[class]);

	if (destination != NULL) {
		TAILQ_REMOVE(&destinations->ready[class], destination, ready_link);
		destination->ready = false;
	}
	return destination;
}

void
destination_put_back(struct destinations *destinations, struct destination *destination)
{
	update_ready(destinations, destination, true);
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
	if (delivery_remaining(delivery) == 0) {
		delivery_free(destinations, delivery);
	} else {
		TAILQ_REMOVE(&destination->queues[delivery->level], delivery, queue_link);
		TAILQ_INSERT_TAIL(&destination->queues[delivery->level], delivery, queue_link);
	}
	update_ready(destinations, destination, false);
	return message;
}

void
destination_session_ended(struct destinations *destinations, struct destination *destination)
{
	destination->sessions--;
	update_ready(destinations, destination, false);
}

/* ---- up and down ---- */

static void
replace(char **text, const char *with)
{
	free(*text);
	*text = memory_copy_string(with);
}

void
destination_succeeded(struct destinations *destinations, struct destination *destination, int64_t now)
{
	destination->last_success = now;
	destination->failures = destination->failed_jobs = 0;
	destination->down_until = 0;
	update_ready(destinations, destination, false);
}

bool
destination_failed(struct destinations *destinations, struct destination *destination, int64_t now,
    const char *status, const char *reason, const char *host)
{
	bool worked = destination->last_success != 0 && now - destination->last_success < RECENT_SUCCESS_MS;

	replace(&destination->last_status, status);
	replace(&destination->last_reason, reason);
	replace(&destination->last_host, host);
	if (destination_is_down(destination, now))
		return true;
	if (++destination->failed_jobs < CHANCES && worked)
		return false;
	destination->failures++;
	destination->failed_jobs = 0;
	destination->put_off = 0;
	destination->down_until = now + retry_interval_spread(destinations->limits, destination->failures, arc4random());
	update_ready(destinations, destination, false);
	return true;
}

bool
destination_is_down(const struct destination *destination, int64_t now)
{
	return destination->down_until > now;
}

void
destination_reset(struct destinations *destinations, struct destination *destination)
{
	destination->failures = destination->failed_jobs = 0;
	destination->down_until = 0;
	update_ready(destinations, destination, false);
}

/* ---- refilling ---- */

void
destination_want_refill(struct destinations *destinations, struct destination *destination)
{
	if (destination->refill_wanted || destination->refilling || destination->surplus == 0)
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
