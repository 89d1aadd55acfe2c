/*
 * event_loop - an event loop that the test turns, and the other programs' ends of channels
 */
#ifndef TESTS_UNIT_SMTPD_EVENT_LOOP_H
#define TESTS_UNIT_SMTPD_EVENT_LOOP_H

#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/attributes.h"
#include "common/base/clock.h"
#include "common/ipc/channel.h"

#define PATIENCE_MS 10000

static struct event_base *base;

static void
turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Turns the loop until something is true, but not for ever. */
#define turn_until(condition) do { \
	deadline_t patience_ = deadline_after_ms(PATIENCE_MS); \
	while (!(condition) && !deadline_passed(patience_)) { \
		turn(); \
		usleep(200); \
	} \
	assert_true(condition); \
} while (0)

/* Lets everything that is on its way arrive. */
UNUSED static void
settle(void)
{
	for (unsigned i = 0; i < 20; i++)
		turn();
}

/* A program that answers questions dies, if it was there, and starts; smtpd's end of its new channel. */
static int
restart_peer(struct channel **channel, const struct ipc_protocol *protocol, const void *handlers)
{
	int sockets[2];

	channel_free(channel);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	*channel = channel_open(base, sockets[0], protocol, IPC_SERVES, handlers, NULL, NULL);
	return sockets[1];
}

#endif
