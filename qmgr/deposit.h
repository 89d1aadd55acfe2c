/*
 * deposit - takes messages from depositors into MAIL.BOX
 *
 * Trusts: nobody. Lengths are bounded before anything is allocated; ids must be the depositor's own; what an envelope may
 * not say yet (states, routes) is taken out of it.
 * Promise: "stored" is said only after the store's commit succeeded. A deposit that is sent again after we were
 * restarted gets the answer that it would have got.
 * Bounds: the octets of all deposits that are not stored yet; beyond it depositors are told to hold their clients off.
 */
#ifndef QMGR_DEPOSIT_H
#define QMGR_DEPOSIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/ipc/protocol.h"
#include "common/mail/envelope.h"

struct depositor;
struct qmgr;

TAILQ_HEAD(depositor_list, depositor);

struct deposits {
	struct depositor_list depositors;
	struct hash_table by_id;	/* unfinished, or on their way to stable storage */
	struct hash_table files;	/* body files handed out and not deposited */
	uint64_t octets;		/* of all in by_id */
	bool accepting;			/* as last told */
	bool store_accepts;
	char reason[200];		/* why the store does not */
};

void deposit_start(struct qmgr *qmgr);
void deposit_end(struct qmgr *qmgr);
/* A process of smtpd is there, for the first time or again: takes over socket. */
void deposit_introduced(struct qmgr *qmgr, unsigned instance, enum ipc_side side, int socket);
/* The store does or does not accept; text says why not. */
void deposit_store_accepts(struct qmgr *qmgr, bool accepts, const char *text);
/* Deposits not answered yet. */
bool deposit_is_busy(const struct qmgr *qmgr);

#endif
