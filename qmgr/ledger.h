/*
 * ledger - what became of recipients, on its way into MAIL.BOX
 *
 * Nobody waits for these records: they ride with the next flush. One that fails is written again a little later; a crash in
 * between sends again, it never loses.
 */
#ifndef QMGR_LEDGER_H
#define QMGR_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/buffer.h"

struct event;
struct active_message;
struct qmgr;

struct ledger_entry;
TAILQ_HEAD(ledger_list, ledger_entry);

struct ledger {
	struct ledger_list waiting;	/* failed; to be written again */
	struct ledger_list committing;
	struct event *again;
};

void ledger_start(struct qmgr *qmgr);
void ledger_end(struct qmgr *qmgr);
/* The states of the recipients with chosen[i]. */
void ledger_update(struct qmgr *qmgr, struct active_message *message, const bool *chosen);
/* Nothing is left to do for the message. */
void ledger_done(struct qmgr *qmgr, uint64_t id);
void ledger_hold(struct qmgr *qmgr, uint64_t id, bool held);

#endif
