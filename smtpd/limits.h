/*
 * limits - how many sessions this process has, in all and for each client address
 *
 * maximum_sessions is for all smtpd processes together: each has an equal part of it.
 *
 * maximum_sessions_per_client is for all of them together as well. A process lets in its share by itself; about those beyond it policy is
 * asked, which then watches the client (common/ipc/policy.def). While policy is away each process counts for itself.
 */
#ifndef SMTPD_LIMITS_H
#define SMTPD_LIMITS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct limits;

enum limits_verdict { LIMITS_ENTERED, LIMITS_TOO_MANY, LIMITS_TOO_MANY_FROM_CLIENT };

struct limits *limits_new(void);
void limits_free(struct limits **limits);

/* Whether policy is to be asked about the client's next session: this process has its share of them, or the client is watched. */
bool limits_is_crowded(const struct limits *limits, const struct in6_addr *client, size_t share);
/* Counts a session of a client (IPv4 as mapped) unless there are so many already. */
enum limits_verdict limits_enter(struct limits *limits, const struct in6_addr *client, size_t maximum,
    size_t maximum_of_client);
/* A counted session has ended. */
void limits_leave(struct limits *limits, const struct in6_addr *client);
/* One that limits_refuse() took from its client has ended. */
void limits_leave_refused(struct limits *limits);
size_t limits_sessions(const struct limits *limits);

/* ---- for policy_client ---- */

/* Policy is asked about a counted session, and then not any more. */
void limits_ask(struct limits *limits, const struct in6_addr *client);
void limits_answered(struct limits *limits, const struct in6_addr *client);
/* It said no: the session is one of all until it has ended, but not one of its client. */
void limits_refuse(struct limits *limits, const struct in6_addr *client);

/* A client is watched; or not any more. */
void limits_watch(struct limits *limits, const struct in6_addr *client, bool is_watched);
void limits_watch_nobody(struct limits *limits);
bool limits_is_watched(const struct limits *limits, const struct in6_addr *client);

/* The sessions of a client but those that policy is asked about. */
size_t limits_open_sessions(const struct limits *limits, const struct in6_addr *client);

#endif
