/*
 * channel - one end of a UNIX socket pair between two programs
 *
 * Owns:   the socket, the packets that wait to be sent, the credits.
 * Trusts: nobody. A malformed, unexpected or surplus packet closes the channel, never the process.
 * Bounds: a REQUEST needs a credit (the protocol's window in all), and room for its answer is thereby
 *         reserved: a reader never stops because another channel is full.
 *
 * Messages queued in one turn of the event loop leave together, many to a packet, or may linger for more; arrivals are read in
 * batches (recvmmsg). A message's strings and bytes are lent to the handler until it returns; a descriptor is
 * given to it, and may be -1 although the message should have one. A handler may free its own or any other channel.
 * The two events below come from the event loop only, never from inside channel_send() or channel_flush().
 */
#ifndef COMMON_IPC_CHANNEL_H
#define COMMON_IPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/ipc/protocol.h"

struct event_base;
struct channel;

struct channel_events {
	/* The channel is closed: end of file, an error, or a violation by the peer. reason is one line for the
	 * log. Free it here or later. Requests without an answer will never get one. May be NULL. */
	void (*closed)(void *context, struct channel *channel, const char *reason);
	/* There is something to use again: a credit came back, or all that was queued has left. May be NULL. */
	void (*ready)(void *context, struct channel *channel);
};

/*
 * Takes over socket (non-blocking from here on) as side of protocol. handlers is the protocol's
 * struct NAME_handlers; it, events and context must outlive the channel.
 */
struct channel *channel_open(struct event_base *base, int socket, const struct ipc_protocol *protocol,
    enum ipc_side side, const void *handlers, const struct channel_events *events, void *context);

/* Closes and frees; what is queued and not sent is lost. NULL is accepted, the pointer is cleared. */
void channel_free(struct channel **channel);

/* Queues one message; use the typed send_NAME() instead. A descriptor in it is duplicated, not taken. */
bool channel_send(struct channel *channel, const struct ipc_message *type, const void *message);

/* Lets messages wait so many milliseconds for others to leave with, unless they fill a packet before. For notices that are in
 * no hurry: each system call, and each time the peer wakes, then serves many. 0: the turn of the event loop. */
void channel_set_linger(struct channel *channel, unsigned milliseconds);

/* Sends now what is queued, as far as the socket takes it. */
void channel_flush(struct channel *channel);

/* REQUESTs that may be sent now. */
unsigned channel_credits(const struct channel *channel);

/* Octets queued and not yet sent: a sender of long streams pauses while this is large. */
size_t channel_queued(const struct channel *channel);

bool channel_is_open(const struct channel *channel);

/* A number that this process gives to each channel it opens; never reused. */
unsigned long channel_number(const struct channel *channel);

/* Replaces what the channel calls; for a channel whose owner is found out after it was opened. */
void channel_set_owner(struct channel *channel, const void *handlers, const struct channel_events *events,
    void *context);

#endif
