/*
 * lookup - our end of the pair with directory: does a recipient exist?
 *
 * The questions are those that the router asks (common/mail/recipient_lookup.h). When directory is restarted they
 * are asked again.
 */
#ifndef SMTPD_LOOKUP_H
#define SMTPD_LOOKUP_H

#include "smtpd/controls/control.h"

struct directory_memory;
struct event_base;
struct lookup;
struct lookups;
struct rules;

/* The answer; the lookup is gone afterwards. */
typedef void (*lookup_done_cb)(void *owner, enum recipient_finding finding);

/* memory is borrowed: it shares the channel. */
struct lookups *lookups_new(struct directory_memory *memory);
/* Owners are not told. */
void lookups_free(struct lookups **lookups);

/* Takes over the socket of a new directory. */
void lookups_connect(struct lookups *lookups, struct event_base *base, int socket);

/* Asks. NULL when the directory had not to be asked: then done has been called. */
struct lookup *lookups_ask(struct lookups *lookups, const struct rules *rules, const struct recipient_facts *recipient,
    lookup_done_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void lookups_forget(struct lookups *lookups, struct lookup **lookup);

#endif
