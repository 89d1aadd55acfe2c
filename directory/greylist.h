/*
 * greylist - which network tried which sender and recipient before, and which of them came again
 *
 * The first attempt is too soon, and so is every other within greylist_delay of it. One within greylist_window makes
 * the three known; they stay so for greylist_lifetime after the last message. After a jump of the wall clock nobody
 * waits longer than the delay once more. A digest stands for the three: how long a stranger's addresses are is no
 * matter to the others.
 */
#ifndef DIRECTORY_GREYLIST_H
#define DIRECTORY_GREYLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct document_configuration;
struct event_base;
struct greylist;

/* path: the file that it outlives the process in. */
struct greylist *greylist_new(struct event_base *base, const char *path);
/* The pointer is cleared; NULL is accepted. */
void greylist_free(struct greylist **greylist);
void greylist_use_settings(struct greylist *greylist, const struct document_configuration *configuration);

/*
 * An attempt at now_ms, wall time: true when it may pass, otherwise *seconds_out is how long it must wait. Nothing is
 * remembered of one that only peeks. Upper and lower case are the same.
 */
bool greylist_attempt(struct greylist *greylist, const char *network, const char *sender, const char *recipient,
    bool peeks, int64_t now_ms, uint32_t *seconds_out);

/* Triples remembered. */
size_t greylist_count(const struct greylist *greylist);

#endif
