/*
 * destination - the queues in front of next hops, and whose turn it is
 *
 * A destination is a transport and a next hop. Messages stand in its queues as deliveries (one message, its recipients
 * there), by priority. Destinations that may start a job stand in a ring, and one job is taken from each in turn; a message
 * with many recipients goes back to the end of its queue after each job. All of it costs the same however many
 * messages and destinations there are. No input or output happens here.
 */
#ifndef QMGR_DESTINATION_H
#define QMGR_DESTINATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/hash_table.h"
#include "common/mail/envelope.h"
#include "qmgr/limits.h"

#define JOB_RECIPIENTS_MAX 100

struct deliver_worker;
struct active_message;

enum delivery_class { CLASS_TRANSFER, CLASS_LOCAL, CLASS_COUNT };	/* who does it: smtp, local */
enum queue_level { LEVEL_HIGH, LEVEL_NORMAL, LEVEL_LOW, LEVEL_COUNT };

struct delivery {
	struct hash_node by_pair;
	struct active_message *message;
	struct destination *destination;
	LIST_ENTRY(delivery) message_link;
	TAILQ_ENTRY(delivery) queue_link;
	bool queued;			/* false: gathers recipients */
	enum queue_level level;
	uint32_t *recipients;		/* owned: indices into the message's recipients */
	uint32_t count;
	uint32_t capacity;
	uint32_t taken;			/* of them already in jobs */
};
TAILQ_HEAD(delivery_queue, delivery);

struct destination {
	struct hash_node by_key;
	char *key;			/* owned: "transport:next_hop" */
	const char *next_hop;		/* within key */
	enum transport transport;
	enum delivery_class class;
	struct delivery_queue queues[LEVEL_COUNT];
	uint32_t queued;		/* deliveries, gathering ones included */
	uint32_t enqueued;		/* of them standing in queues */
	unsigned turn;
	unsigned sessions;		/* jobs in hand */
	bool ready;			/* in the ring */
	TAILQ_ENTRY(destination) ready_link;
	bool idle;			/* in the list of those that only remember */
	TAILQ_ENTRY(destination) idle_link;

	unsigned failures;		/* times in a row that it was down */
	unsigned failed_jobs;		/* jobs in a row that said so */
	int64_t down_until;		/* queue time; 0: up */
	int64_t last_success;		/* queue time */
	uint32_t put_off;		/* recipients that wait for down_until */
	char *last_status;		/* owned: what the last failure said */
	char *last_reason;
	char *last_host;

	uint64_t surplus;		/* messages parked because its queue was full, at most */
	bool refill_wanted;
	TAILQ_ENTRY(destination) refill_link;
	bool refilling;			/* the store was asked */
	struct deliver_worker *last_worker;	/* has a free session there, probably */
};
TAILQ_HEAD(destination_list, destination);

struct destinations {
	const struct limits *limits;
	struct hash_table by_key;
	struct hash_table pairs;
	struct destination_list ready[CLASS_COUNT];
	struct destination_list refill;
	struct destination_list idle;		/* oldest first */
	uint32_t idle_count;
	uint32_t queued;			/* deliveries in all */
};

void destinations_init(struct destinations *destinations, const struct limits *limits);
void destinations_free(struct destinations *destinations);

/* Writes "transport:next_hop". */
bool destination_format_key(enum transport transport, const char *next_hop, struct buffer *key);
/* The destination, made when there is none. */
struct destination *destination_get(struct destinations *destinations, enum transport transport, const char *next_hop);
struct destination *destination_find(struct destinations *destinations, const char *key);
/* Forgets a destination that has nothing to do and nothing to remember. Call after its last use in a function. */
void destination_release(struct destinations *destinations, struct destination *destination);

/* Jobs that may be in hand for it at one time: one while it has to prove itself. */
unsigned destination_concurrency(const struct destinations *destinations, const struct destination *destination);

/* The delivery of message for destination, or NULL. */
struct delivery *delivery_find(struct destinations *destinations, const struct active_message *message,
    const struct destination *destination);
/* Adds a recipient to the delivery of message for destination, which is made when there is none. */
struct delivery *delivery_add(struct destinations *destinations, struct destination *destination, struct active_message *message,
    uint32_t recipient);
/* It has all the recipients it will wait for: it takes its place in the queue. */
void delivery_enqueue(struct destinations *destinations, struct delivery *delivery, enum queue_level level);
/* Recipients not taken yet. */
uint32_t delivery_remaining(const struct delivery *delivery);
/* Gives up the delivery, which must be out of every job. */
void delivery_free(struct destinations *destinations, struct delivery *delivery);

/* The destination whose turn it is, or NULL. It leaves the ring; destination_take() puts it back at its end. */
struct destination *destination_next(struct destinations *destinations, enum delivery_class class);
/*
 * Takes a job: at most JOB_RECIPIENTS_MAX recipients of one message. Counts a session. Returns the message and fills
 * recipients and *count_out.
 */
struct active_message *destination_take(struct destinations *destinations, struct destination *destination,
    uint32_t recipients[static JOB_RECIPIENTS_MAX], uint32_t *count_out);
/* A destination that was popped by destination_next() and not used returns to the head of its ring. */
void destination_put_back(struct destinations *destinations, struct destination *destination);
/* A job of it ended. */
void destination_session_ended(struct destinations *destinations, struct destination *destination);

/* A job was not refused by the host as a whole: it is up. */
void destination_succeeded(struct destinations *destinations, struct destination *destination, int64_t now);
/*
 * A job found the host unusable. True when the destination is down from now on (or was already): until down_until. One that
 * worked a moment ago is given some more chances.
 */
bool destination_failed(struct destinations *destinations, struct destination *destination, int64_t now,
    const char *status, const char *reason, const char *host);
bool destination_is_down(const struct destination *destination, int64_t now);
/* An administrator wants it tried now. */
void destination_reset(struct destinations *destinations, struct destination *destination);

/* Puts it on, or takes it off, the list of those whose parked messages are wanted back. */
void destination_want_refill(struct destinations *destinations, struct destination *destination);
void destination_refill_done(struct destinations *destinations, struct destination *destination);

#endif
