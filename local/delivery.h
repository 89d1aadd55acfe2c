/*
 * delivery - jobs of qmgr into mail files, in batches that share the waits for the disk
 *
 * Owns:   the jobs that wait, each with how far it is.
 * Gives:  one result for each recipient of a job, then finishes it.
 * Bounds: a batch, in messages and octets, so that the program answers master between two.
 */
#ifndef LOCAL_DELIVERY_H
#define LOCAL_DELIVERY_H

#include "common/mail/delivery_job.h"

struct event_base;
struct deliveries;

/*
 * root is the folder of all mail files, taken over. finished is called when a job is done. Messages that arrived
 * before now may have been delivered by a predecessor: see deliveries_suspect_repeats().
 */
struct deliveries *deliveries_new(struct event_base *base, int root, const char *host, void (*finished)(void *context),
    void *context);
void deliveries_free(struct deliveries **deliveries);
/* The name that stands in file names, from now on. */
void deliveries_set_host(struct deliveries *deliveries, const char *host);
/* From now on everything that has arrived so far may be a repeat: qmgr is a new one. */
void deliveries_suspect_repeats(struct deliveries *deliveries);

void deliveries_add(struct deliveries *deliveries, struct delivery_job *job);
/* Messages delivered since the start. */
uint64_t deliveries_count(const struct deliveries *deliveries);

#endif
