/*
 * listing - all messages of MAIL.BOX that a selection means, in the order of their ids
 *
 * What the store has parked and what is in memory is merged page by page. A message that moves from the one to the other
 * meanwhile is told once. The messages in memory are looked over once for a listing, however many pages it has.
 */
#ifndef QMGR_LISTING_H
#define QMGR_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/mail/envelope.h"
#include "qmgr/selection.h"

struct qmgr;

struct listing_item {
	uint64_t id;
	uint64_t size;
	int64_t arrival_ms;
	bool held;
	struct buffer envelope;		/* encoded; empty when envelopes were not wanted */
};

/* For each message; false ends the listing there. At the end item is NULL; error says why it ended early. */
typedef bool (*listing_cb)(void *context, const struct listing_item *item, const struct error *error);

/* Begins; selection is taken over. Messages after `after`, at most limit (0: all). The callback never comes from inside. Every
 * listing comes to its end: context must live until then. */
void listing_start(struct qmgr *qmgr, struct selection *selection, uint64_t after, uint64_t limit, bool envelopes,
    listing_cb callback, void *context);

/* The message came into memory. */
void listing_entered(struct qmgr *qmgr, uint64_t id);
/* The store is about to be asked to park the message: the page under way may not see it there. */
void listing_parking(struct qmgr *qmgr, const struct envelope *envelope, bool held);

/* Frees those that are not at their end, without a word; at the end of the process. */
void listing_end(struct qmgr *qmgr);

#endif
