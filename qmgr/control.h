/*
 * control - answers the control command: queue list, show, export, hold, release, retry, remove; route; destinations
 *
 * master has checked who asks. Each client has a channel of its own and goes away with it.
 */
#ifndef QMGR_CONTROL_H
#define QMGR_CONTROL_H

#include <sys/queue.h>

#include "common/ipc/protocol.h"

struct client;
struct listing;
struct qmgr;

TAILQ_HEAD(client_list, client);
TAILQ_HEAD(listing_list, listing);

struct control {
	struct client_list clients;
	struct listing_list listings;	/* listing.c */
};

void control_start(struct qmgr *qmgr);
void control_end(struct qmgr *qmgr);
void control_introduced(struct qmgr *qmgr, enum ipc_side side, int socket);

#endif
