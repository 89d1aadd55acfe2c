/*
 * destination - the queues in front of next hops, and whose turn it is
 *
 * A destination is a transport and a next hop. Messages stand in its queues as deliveries (one message, its recipients
 * there), by priority. Destinations that may start a job stand in a ring, and one job is taken from each in turn; a message
 * with many recipients goes back to the end of its queue after each job. All of it costs the same however many
 * messages and destinations there are. No input or output happens here.
 *
 * How many jobs a destination may have in hand grows by one with each that succeeds, is halved when its host fails, and is
 * one while a destination that was down proves itself. Destinations that have not worked yet may hold half of all the
 * transfers that can be in hand, those that were down a quarter: hosts that take a connection and then keep silent never
 * take the transfers that mail for working hosts needs.
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

enum destination_standing {
	STANDING_NEW,		/* did not work yet, or not for long */
	STANDING_PROVEN,	/* its last jobs reached it */
	STANDING_SUSPECT,	/* is down, or was and did not work since */
	STANDING_COUNT
};

/* Where a destination that may start a job waits for its turn. */
enum destination_ring {
	RING_PROVEN,
	RING_FIRST,		/* new ones with nothing in hand */
	RING_SUSPECT,
	RING_MORE,		/* new ones that have a job in hand: when there is room to spare */
	RING_SET_ASIDE,		/* out of the turns for a moment */
	RING_COUNT,
	RING_NONE = RING_COUNT
};

struct delivery {
	struct hash_node by_pair;
	struct active_message *message;
	struct destination *destination;
	LIST_ENTRY(delivery) message_link;
	LIST_ENTRY(delivery) unplaced_link;
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
	unsigned *jobs_at;		/* owned: the same for each worker, by its number */
	unsigned jobs_at_count;
	enum destination_ring ring;	/* RING_NONE: it may not start a job */
	TAILQ_ENTRY(destination) ring_link;
	bool idle;			/* in the list of those that only remember */
	TAILQ_ENTRY(destination) idle_link;

	enum destination_standing standing;
	unsigned concurrency;		/* jobs it may have in hand, as far as the limits allow */
	bool fresh;			/* the next jobs are not to trust what is remembered of failed hosts */
	uint32_t order;			/* of an administrator, the last one that it followed */
	int64_t low_until;		/* mail of low priority that arrived until then (queue time) may move at any time of day */
	unsigned failures;		/* times in a row that it was down */
	unsigned failed_jobs;		/* jobs in a row that said so */
	int64_t down_until;		/* queue time; 0: up */
	int64_t last_success;		/* queue time */
	uint32_t put_off;		/* recipients that wait for down_until */
	char *last_status;		/* owned: what the last failure said */
	char *last_reason;
	char *last_host;

	uint64_t surplus;		/* messages parked because its queue was full, at most */
	bool surplus_unknown;		/* there may be more, from before our start */
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
	struct destination_list rings[CLASS_COUNT][RING_COUNT];
	unsigned ring_turn[CLASS_COUNT];
	unsigned capacity[CLASS_COUNT];		/* jobs that can be in hand, whoever they are for */
	unsigned sessions[CLASS_COUNT][STANDING_COUNT];
	struct destination_list refill;
	struct destination_list idle;		/* oldest first */
	uint32_t idle_count;
	uint32_t queued;			/* deliveries in all */
	bool earlier_surplus;			/* an earlier qmgr may have left messages parked behind destinations */
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

/* Jobs that the settings allow to be in hand for it at one time; what it may have now, which is not more. */
unsigned destination_limit(const struct destinations *destinations, const struct destination *destination);
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

/* How many jobs of that class can be in hand at all. */
void destinations_set_capacity(struct destinations *destinations, enum delivery_class class, unsigned capacity);
/* The destination whose turn it is, or NULL. It leaves its ring; destination_take() puts it back at its end. */
struct destination *destination_next(struct destinations *destinations, enum delivery_class class);
/*
 * Takes a job: at most JOB_RECIPIENTS_MAX recipients of one message. Counts a session. Returns the message and fills
 * recipients and *count_out.
 */
struct active_message *destination_take(struct destinations *destinations, struct destination *destination,
    uint32_t recipients[static JOB_RECIPIENTS_MAX], uint32_t *count_out);
/* A destination that was popped by destination_next() and not used is passed over from now on ... */
void destination_set_aside(struct destinations *destinations, struct destination *destination);
/* ... until all of them return to the heads of their rings. */
void destinations_bring_back(struct destinations *destinations, enum delivery_class class);
/* Its jobs in hand at the worker of that number. One more; whoever ends the job takes it off jobs_at. */
unsigned destination_jobs_at(const struct destination *destination, unsigned worker);
void destination_count_job_at(struct destination *destination, unsigned worker);
/* A job of it ended. */
void destination_session_ended(struct destinations *destinations, struct destination *destination);

/* New mail is about to wait for it: what it did long ago says nothing any more. */
void destination_age(struct destinations *destinations, struct destination *destination, int64_t now);
/* A job was not refused by the host as a whole: it is up. delivered: and it took mail. Call once for each job. */
void destination_succeeded(struct destinations *destinations, struct destination *destination, int64_t now, bool delivered);
/*
 * A job found the host unusable; call once for each job. True when the destination is down from now on (or was
 * already): until down_until. One that worked a moment ago is given some more chances, with half as many jobs.
 */
bool destination_failed(struct destinations *destinations, struct destination *destination, int64_t now,
    const char *status, const char *reason, const char *host);
/* Nothing was tried: all its hosts failed for others lately, and for so long nothing will be. That is no failure of its own. */
void destination_put_off(struct destinations *destinations, struct destination *destination, int64_t now,
    uint32_t seconds, const char *status, const char *reason, const char *host);
bool destination_is_down(const struct destination *destination, int64_t now);
/* An administrator wants it tried now, whatever is known of it and its hosts. Each order (not 0) is followed once. */
void destination_override(struct destinations *destinations, struct destination *destination, uint32_t order);

/* Puts it on, or takes it off, the list of those whose parked messages are wanted back. */
void destination_want_refill(struct destinations *destinations, struct destination *destination);
void destination_refill_done(struct destinations *destinations, struct destination *destination);

#endif
