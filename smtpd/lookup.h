/*
 * lookup - our end of the pair with directory: does a recipient exist?
 *
 * The questions are those that the router asks (common/mail/recipient_lookup.h). When directory is restarted they
 * are asked again.
 */
#ifndef SMTPD_LOOKUP_H
#define SMTPD_LOOKUP_H

#include "smtpd/recipient.h"

struct event_base;
struct lookup;
struct lookups;
struct rules;

/* The answer; the lookup is gone afterwards. */
typedef void (*lookup_done_cb)(void *owner, enum recipient_finding finding);

struct lookups *lookups_new(void);
/* Owners are not told. */
void lookups_free(struct lookups **lookups);

/* Takes over the socket of a new directory. */
void lookups_connect(struct lookups *lookups, struct event_base *base, int socket);

struct lookup *lookups_ask(struct lookups *lookups, const struct rules *rules, const struct recipient *recipient,
    lookup_done_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void lookups_forget(struct lookups *lookups, struct lookup **lookup);

#endif
