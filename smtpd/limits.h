/*
 * limits - how many sessions this process has, in all and for each client address
 *
 * maximum_sessions is for all smtpd processes together: each has an equal part of it. maximum_sessions_per_client
 * is counted by each process for itself.
 */
#ifndef SMTPD_LIMITS_H
#define SMTPD_LIMITS_H

#include <netinet/in.h>
#include <stddef.h>

struct limits;

enum limits_verdict { LIMITS_ENTERED, LIMITS_TOO_MANY, LIMITS_TOO_MANY_FROM_CLIENT };

struct limits *limits_new(void);
void limits_free(struct limits **limits);

/* Counts a session of a client (IPv4 as mapped) unless there are so many already. */
enum limits_verdict limits_enter(struct limits *limits, const struct in6_addr *client, size_t maximum,
    size_t maximum_of_client);
/* A counted session has ended. */
void limits_leave(struct limits *limits, const struct in6_addr *client);
size_t limits_sessions(const struct limits *limits);

#endif
