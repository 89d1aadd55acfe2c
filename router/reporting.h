/*
 * reporting - report requests as streams: envelope and header come in, the report goes out
 *
 * Owns:   the requests whose stream is not whole, and the reports that qmgr has not taken yet.
 * Bounds: the protocol's window; the lengths of one request. A stream that does not add up ends the channel.
 */
#ifndef ROUTER_REPORTING_H
#define ROUTER_REPORTING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/ipc/route.h"
#include "router/rules.h"

struct reportings;

struct reportings *reportings_new(void);
void reportings_free(struct reportings **reportings);

/* Packets of requests. False: the peer broke the rules of the stream, end its channel. */
bool reportings_begin(struct reportings *reportings, struct channel *channel, struct rules *rules,
    const struct report_begin *message);
bool reportings_more(struct reportings *reportings, const struct report_more *message);

/* The channel takes more. */
void reportings_ready(struct reportings *reportings);

/* The channel is gone, and all that was asked over it. */
void reportings_forget(struct reportings *reportings);

size_t reportings_count(const struct reportings *reportings);

#endif
