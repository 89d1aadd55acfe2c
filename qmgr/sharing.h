/*
 * sharing - which worker gets the next job of a destination
 *
 * A process of smtp has as many sessions with a destination as it lately had jobs for it at one time, because it keeps
 * those that are free for the next ones. So each process has its share of the jobs that the destination may have in hand at one
 * time, and all of them together never have more sessions than that, the idle ones included.
 *
 * A process that is gone keeps its share: it is back in a moment, when those that had stepped in would still have their idle
 * sessions. Only when there is less than one session for each process do those that are there share them, or mail would wait for
 * one that is not.
 */
#ifndef QMGR_SHARING_H
#define QMGR_SHARING_H

#include "qmgr/destination.h"

struct deliver_worker;
struct qmgr;

/* The worker that should get the next job of the destination; NULL when none that can take one has room in its share. */
struct deliver_worker *sharing_choose(struct qmgr *qmgr, struct destination *destination);

#endif
