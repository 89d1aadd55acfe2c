/*
 * active - a message of the active window: what each of its recipients is at, and what happens next
 *
 * The envelope says what is true on disk or about to be; the phase says what this process is doing with a recipient
 * right now. A message leaves memory when nothing is being done for it: it is parked, or done. It is parked only after its
 * updates were answered, so that none that is older comes over what the store then has of it.
 */
#ifndef QMGR_ACTIVE_H
#define QMGR_ACTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/mail/envelope.h"
#include "qmgr/destination.h"

struct job;
struct qmgr;
struct report;
struct store_content;

enum recipient_phase {
	PHASE_IDLE,		/* waits for its next attempt, or is final */
	PHASE_UNROUTED,		/* due: router is to be asked */
	PHASE_ROUTING,		/* router was asked */
	PHASE_JOURNALLING,	/* a new member, until its expansion is on stable storage */
	PHASE_QUEUED,		/* stands in the queue of a destination */
	PHASE_BUSY,		/* in a job */
	PHASE_ADOPTED,		/* in a job of an earlier qmgr */
	PHASE_FAILING,		/* failed for good, but report and state are not on stable storage yet */
	PHASE_SUCCESS,		/* delivered; the report that the sender wanted is not written yet */
	PHASE_COUNT
};

/* Where the content is, as far as it is known. */
enum active_place { PLACE_UNKNOWN, PLACE_JOURNAL, PLACE_FILE };

LIST_HEAD(delivery_list, delivery);
LIST_HEAD(job_list, job);
TAILQ_HEAD(active_list, active_message);

struct active_message {
	struct hash_node by_id;
	struct envelope envelope;
	uint8_t *phases;			/* enum recipient_phase of each recipient */
	size_t phase_capacity;
	uint32_t phase_count[PHASE_COUNT];
	uint32_t open;				/* recipients without a final state on disk */
	struct store_content *content;		/* held while in memory, else NULL */
	enum active_place place;
	bool loading;				/* the store was asked for the content */
	bool held;
	bool removed;				/* by an administrator: done as soon as nothing is in hand */
	bool routes_known;			/* came from the store: what routes it has are by the documents in force */
	bool done_recorded;			/* the record that it is done is on its way with its last report */
	uint32_t recording;			/* updates that the store has not answered yet: it is not parked before */
	bool delay_due;				/* the sender is to be told of the delay */
	uint32_t order;				/* of an administrator: its destinations are tried at once; 0: none */
	int64_t arrival_ms;			/* queue time */
	int64_t wake_ms;			/* queue time of the earliest attempt of an idle recipient */
	struct delivery_list deliveries;
	struct delivery_list unplaced[CLASS_COUNT];	/* of them: not in a queue yet */
	struct job_list jobs;

	/* routing.c */
	TAILQ_ENTRY(active_message) routing_link;
	bool in_routing;
	uint32_t route_cursor;
	TAILQ_ENTRY(active_message) gathering_link;	/* has deliveries that wait for the other recipients */
	bool gathering;
	int64_t gathering_since;		/* monotonic */
	TAILQ_ENTRY(active_message) spreading_link;	/* has deliveries that take their places one by one */
	bool spreading;
	struct address_set *addresses;		/* while it is being expanded */
	struct place_set *places;		/* likewise */

	/* report.c */
	struct report *report;			/* the one being written */
	TAILQ_ENTRY(active_message) report_link;
	bool report_wanted;
	int64_t report_since;			/* monotonic */
};

struct active_messages {
	struct hash_table by_id;
	uint64_t content_octets;		/* in memory for messages here */
};

/*
 * Takes over envelope (which is empty afterwards) and, unless NULL, one reference of content. It is not active yet: its
 * acceptance may still fail.
 */
struct active_message *active_new(struct envelope *envelope, struct store_content *content, enum active_place place);
/* For one that is not active. */
void active_free(struct active_message **message);

/* Finds out when it came, by queue time; active_enter() does it, too. */
void active_set_arrival(struct qmgr *qmgr, struct active_message *message);
/* The message enters the window and its due recipients are routed. It may be gone or parked on return. */
void active_enter(struct qmgr *qmgr, struct active_message *message);
struct active_message *active_find(struct qmgr *qmgr, uint64_t id);

void active_set_phase(struct active_message *message, uint32_t index, enum recipient_phase phase);
enum recipient_phase active_phase(const struct active_message *message, uint32_t index);
/* The index of the recipient of that number, or UINT32_MAX. */
uint32_t active_index_of(struct active_message *message, uint32_t number);
/* Whether the recipient still has to get the message. */
bool active_recipient_is_open(const struct envelope_recipient *recipient);
/* Recipients that something is being done for, reports apart. */
uint32_t active_in_hand(const struct active_message *message);
int64_t active_age_ms(const struct active_message *message, int64_t now);
/* Its priority by our documents. */
enum message_priority active_priority(const struct qmgr *qmgr, const struct active_message *message);

/* Adds recipients' phases after the envelope grew. */
void active_grew(struct active_message *message);

/* Routes the idle recipients whose time has come; all of them with at_once. */
void active_wake(struct qmgr *qmgr, struct active_message *message, bool at_once);

/* Gives content to the message, or takes it from it (the store has it still). */
void active_keep_content(struct qmgr *qmgr, struct active_message *message, struct store_content *content);
void active_drop_content(struct qmgr *qmgr, struct active_message *message);

/* Call when something about the message changed: asks for a report, parks it, or writes that it is done. It may be gone afterwards. */
void active_settle(struct qmgr *qmgr, struct active_message *message);

/* Takes every recipient out of the queues of destinations; for one that is held or removed. */
void active_withdraw(struct qmgr *qmgr, struct active_message *message);

/* Frees every message, at the end of the process. */
void active_free_all(struct qmgr *qmgr);

#endif
