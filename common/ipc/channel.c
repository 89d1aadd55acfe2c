/*
 * channel - see channel.h
 *
 * All that can end a channel goes through channel_fail(), which closes the socket at once and leaves the news
 * to a deferred event: nobody's `closed` is called from inside his own channel_send(). While handlers run the channel is
 * busy, and channel_free() only empties it; the last one out frees it.
 */
#include "common/ipc/channel.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"

#define GREETING_NUMBER 0
#define BATCH_PACKETS 16		/* packets moved by one system call */
#define BATCH_MESSAGES 128		/* messages in the packets that one system call sends */
#define LINGER_OCTETS (IPC_PACKET_MAX / 2)	/* nearly a packet: nothing is gained by waiting for more */
#define BATCHES_PER_TURN 4		/* then the other channels of the process have theirs */
#define PROTOCOL_NAME_MAX 32
#define RETRY_AFTER_MS 20		/* when the kernel is short of memory or of descriptors in flight */

/* One message on its way out; its memory comes from malloc's own pools, sized to the message. */
struct outgoing {
	STAILQ_ENTRY(outgoing) next;
	int descriptor;			/* owned; -1: none */
	bool is_answer;
	size_t length;
	uint8_t data[];
};
STAILQ_HEAD(outgoing_list, outgoing);

struct channel {
	int socket;			/* owned; -1: closed */
	const struct ipc_protocol *protocol;
	enum ipc_side side;
	const void *handlers;		/* borrowed, like the two below */
	const struct channel_events *events;
	void *context;
	unsigned long number;

	struct event *readable;
	struct event *writable;		/* added only while the socket is full */
	struct event *deferred;		/* flushes, and tells the owner what happened */
	bool deferred_pending;
	bool socket_full;
	bool greeted;			/* the peer named the protocol */
	bool send_broken;		/* the peer is gone; what it sent before is still to be read */
	bool ready_due;
	bool closed_due;
	bool freed;			/* by the owner, while busy */
	unsigned busy;			/* callbacks of the owner in progress */
	char reason[160];

	unsigned credits;		/* requests that we may send */
	unsigned unanswered;		/* requests whose answer has not left */
	unsigned answers;		/* of them: in the queue. A peer that does not read gets no further credit. */
	struct outgoing_list queue;
	size_t queued;
	unsigned linger_ms;
	bool lingering;
};

/* Arrivals of one batch. One for the process: it is empty again before anything else is read. */
static struct {
	uint8_t data[BATCH_PACKETS][IPC_PACKET_MAX];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control[BATCH_PACKETS];
	struct iovec vectors[BATCH_PACKETS];
	struct mmsghdr messages[BATCH_PACKETS];
} arrivals;

static void
drop_queue(struct channel *channel)
{
	struct outgoing *message;

	while ((message = STAILQ_FIRST(&channel->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&channel->queue, next);
		if (message->descriptor >= 0)
			close(message->descriptor);
		free(message);
	}
	channel->queued = 0;
}

static void
shut(struct channel *channel)
{
	drop_queue(channel);
	if (channel->socket < 0)
		return;
	event_del(channel->readable);
	event_del(channel->writable);
	close(channel->socket);
	channel->socket = -1;
}

static void
defer(struct channel *channel)
{
	if (channel->deferred_pending || channel->freed)
		return;
	channel->deferred_pending = true;
	event_active(channel->deferred, EV_TIMEOUT, 0);
}

static void PRINTF_LIKE(2, 3)
channel_fail(struct channel *channel, const char *format, ...)
{
	va_list arguments;

	if (channel->socket < 0)
		return;
	va_start(arguments, format);
	vsnprintf(channel->reason, sizeof(channel->reason), format, arguments);
	va_end(arguments);
	shut(channel);
	channel->closed_due = true;
	defer(channel);
}

static void
destroy(struct channel *channel)
{
	event_free(channel->readable);
	event_free(channel->writable);
	event_free(channel->deferred);
	free(channel);
}

static void
enter(struct channel *channel)
{
	channel->busy++;
}

/* The end of a callback. False when the owner freed the channel meanwhile: it is gone. */
static bool
leave(struct channel *channel)
{
	channel->busy--;
	if (!channel->freed)
		return true;
	if (channel->busy == 0)
		destroy(channel);
	return false;
}

/* ---- sending ---------------------------------------------------------------------------------- */

/* What is queued leaves at the end of this turn, or when others had time to join it. */
static void
send_soon(struct channel *channel)
{
	struct timeval linger = { channel->linger_ms / 1000, channel->linger_ms % 1000 * 1000 };

	if (channel->socket_full)
		return;
	if (channel->linger_ms == 0 || channel->queued >= LINGER_OCTETS) {
		defer(channel);
	} else if (!channel->lingering) {
		channel->lingering = true;
		event_add(channel->deferred, &linger);
	}
}

static bool
enqueue(struct channel *channel, const struct buffer *data, int descriptor, bool is_answer)
{
	struct outgoing *message;
	int duplicate = -1;

	if (descriptor >= 0) {
		duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
		if (duplicate < 0)
			return false;
	}
	message = memory_resize(NULL, sizeof(*message) + data->length, 1);
	message->descriptor = duplicate;
	message->is_answer = is_answer;
	message->length = data->length;
	memcpy(message->data, data->data, data->length);
	STAILQ_INSERT_TAIL(&channel->queue, message, next);
	channel->queued += data->length;
	send_soon(channel);
	return true;
}

/* Where messages are built; its memory stays for the next one. */
static struct buffer *
scratch(void)
{
	static char room[IPC_PACKET_MAX + 1];
	static struct buffer packet;

	packet = (struct buffer){ room, 0, sizeof(room), IPC_PACKET_MAX };
	return &packet;
}

bool
channel_send(struct channel *channel, const struct ipc_message *type, const void *message)
{
	struct buffer *packet = scratch();
	int descriptor;

	assert(type->number >= 1 && type->number <= channel->protocol->message_count &&
	    channel->protocol->messages[type->number - 1]() == type);
	assert(type->sender & channel->side);
	if (channel->socket < 0 || channel->send_broken)
		return false;
	if (type->kind == IPC_REQUEST && channel->credits == 0)
		return false;
	if (type->kind == IPC_ANSWER && channel->unanswered == channel->answers)
		return false;
	if (!ipc_pack(type, message, packet, &descriptor) ||
	    !enqueue(channel, packet, descriptor, type->kind == IPC_ANSWER))
		return false;
	if (type->kind == IPC_REQUEST)
		channel->credits--;
	else if (type->kind == IPC_ANSWER)
		channel->answers++;
	return true;
}

static void
send_greeting(struct channel *channel)
{
	struct buffer *packet = scratch();

	wire_put_u8(packet, GREETING_NUMBER);
	wire_put_string(packet, channel->protocol->name);
	wire_put_u16(packet, channel->protocol->version);
	enqueue(channel, packet, -1, false);
}

/* Adds the descriptor that travels with a packet. */
static void
attach_descriptor(struct msghdr *packet, struct cmsghdr *control, int descriptor)
{
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &descriptor, sizeof(int));
	packet->msg_control = control;
	packet->msg_controllen = CMSG_SPACE(sizeof(int));
}

static void
remove_sent(struct channel *channel, size_t count)
{
	while (count-- > 0) {
		struct outgoing *message = STAILQ_FIRST(&channel->queue);

		STAILQ_REMOVE_HEAD(&channel->queue, next);
		channel->queued -= message->length;
		channel->answers -= message->is_answer;
		channel->unanswered -= message->is_answer;
		if (message->descriptor >= 0)
			close(message->descriptor);
		free(message);
	}
}

/*
 * Sends one batch from the front of the queue: as many messages in a packet as fit, for each packet costs the kernel on both sides
 * what packing costs us. False, with errno, when nothing went.
 */
static bool
send_batch(struct channel *channel)
{
	static union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control[BATCH_PACKETS];
	static struct iovec vectors[BATCH_MESSAGES];
	struct mmsghdr packets[BATCH_PACKETS] = { 0 };
	struct outgoing *message;
	unsigned messages = 0, count = 0;
	size_t room = 0;
	int sent, i;

	STAILQ_FOREACH(message, &channel->queue, next) {
		bool alone = message->descriptor >= 0;

		if (messages == BATCH_MESSAGES || (count == BATCH_PACKETS && (alone || message->length > room)))
			break;
		if (count == 0 || alone || message->length > room) {
			packets[count].msg_hdr.msg_iov = &vectors[messages];
			if (alone)
				attach_descriptor(&packets[count].msg_hdr, &control[count].header, message->descriptor);
			room = alone ? 0 : IPC_PACKET_MAX;
			count++;
		}
		vectors[messages++] = (struct iovec){ message->data, message->length };
		packets[count - 1].msg_hdr.msg_iovlen++;
		room -= alone ? 0 : message->length;
	}
	sent = sendmmsg(channel->socket, packets, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (i = 0; i < sent; i++)
		remove_sent(channel, packets[i].msg_hdr.msg_iovlen);
	return sent >= 0;
}

/* What an error of sendmmsg means. The socket may be full for now, the kernel short of something, or the end near. */
static void
send_stopped(struct channel *channel, int number)
{
	static const struct timeval retry = { 0, RETRY_AFTER_MS * 1000 };

	switch (number) {
	case EAGAIN:
		channel->socket_full = true;
		event_add(channel->writable, NULL);
		break;
	case ENOBUFS:
	case ENOMEM:
	case ETOOMANYREFS:
		channel->socket_full = true;
		event_add(channel->deferred, &retry);
		break;
	case EPIPE:
	case ECONNRESET:
		/* What the peer sent before it left is still in our socket, and is read before the channel ends. */
		channel->send_broken = true;
		drop_queue(channel);
		event_active(channel->readable, EV_READ, 0);
		break;
	default:
		channel_fail(channel, "cannot send: %s", strerror(number));
	}
}

void
channel_flush(struct channel *channel)
{
	if (channel->socket < 0 || channel->socket_full || STAILQ_EMPTY(&channel->queue))
		return;
	while (!STAILQ_EMPTY(&channel->queue)) {
		if (send_batch(channel) || errno == EINTR)
			continue;
		send_stopped(channel, errno);
		return;
	}
	channel->ready_due = true;
	defer(channel);
}

/* ---- receiving -------------------------------------------------------------------------------- */

static void
check_greeting(struct channel *channel, struct wire_reader *packet)
{
	const char *name;
	uint16_t version;

	if (wire_get_u8(packet) != GREETING_NUMBER) {
		channel_fail(channel, "violation: the first message is no greeting");
		return;
	}
	name = wire_get_string(packet, PROTOCOL_NAME_MAX);
	version = wire_get_u16(packet);
	if (packet->failed || strcmp(name, channel->protocol->name) != 0)
		channel_fail(channel, "violation: the peer does not speak %s", channel->protocol->name);
	else if (version != channel->protocol->version)
		channel_fail(channel, "the peer speaks version %u of %s, not %u", version, name,
		    channel->protocol->version);
	else
		channel->greeted = true;
}

/* Accounts for a message that arrived; false when the peer may not send it now. */
static bool
admit(struct channel *channel, const struct ipc_message *type)
{
	enum ipc_side peer = channel->side == IPC_ASKS ? IPC_SERVES : IPC_ASKS;

	if (!(type->sender & peer)) {
		channel_fail(channel, "violation: %s comes from the wrong side", type->name);
		return false;
	}
	if (type->kind == IPC_REQUEST) {
		if (channel->unanswered >= channel->protocol->window) {
			channel_fail(channel, "violation: %s without a credit", type->name);
			return false;
		}
		channel->unanswered++;
	} else if (type->kind == IPC_ANSWER) {
		if (channel->credits >= channel->protocol->window) {
			channel_fail(channel, "violation: %s answers nothing", type->name);
			return false;
		}
		channel->credits++;
		channel->ready_due = true;
	}
	return true;
}

/* The next message of a packet. False when it is refused: the descriptor stays the caller's then. */
static bool
receive_message(struct channel *channel, struct wire_reader *packet, int descriptor)
{
	union {
		max_align_t align;
		char room[IPC_STRUCT_MAX];
	} message;
	uint8_t number = wire_get_u8(packet);
	const struct ipc_message *type;

	if (number < 1 || number > channel->protocol->message_count) {
		channel_fail(channel, "violation: unknown message number %u", number);
		return false;
	}
	type = channel->protocol->messages[number - 1]();
	if (!ipc_unpack(type, packet, descriptor, &message)) {
		channel_fail(channel, "violation: malformed %s", type->name);
		return false;
	}
	if (!admit(channel, type))
		return false;
	if (type->dispatch(channel->handlers, channel->context, channel, &message))
		return true;
	channel_fail(channel, "violation: unexpected %s", type->name);
	return false;
}

static bool
is_usable(const struct channel *channel)
{
	return channel->socket >= 0 && !channel->freed;
}

/* Its messages, as long as no handler closes or frees the channel; the descriptor is for the first one, and consumed. */
static void
receive_packet(struct channel *channel, const uint8_t *data, size_t length, int descriptor)
{
	struct wire_reader packet;

	wire_reader_init(&packet, data, length);
	if (!channel->greeted)
		check_greeting(channel, &packet);
	else if (receive_message(channel, &packet, descriptor))
		descriptor = -1;
	while (packet.next < packet.end && is_usable(channel) && receive_message(channel, &packet, -1))
		;
	if (descriptor >= 0)
		close(descriptor);
}

/* The descriptor that came with a packet, or -1; any further ones are closed and counted. */
static int
take_descriptors(struct msghdr *header, unsigned *surplus)
{
	struct cmsghdr *control;
	int first = -1;

	for (control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
		size_t count, i;

		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
			continue;
		count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			int descriptor;

			memcpy(&descriptor, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
			if (first < 0) {
				first = descriptor;
				continue;
			}
			close(descriptor);
			(*surplus)++;
		}
	}
	return first;
}

static void
receive_arrival(struct channel *channel, struct mmsghdr *arrival)
{
	unsigned surplus = 0;
	int descriptor = take_descriptors(&arrival->msg_hdr, &surplus);
	const char *mistake = NULL;

	/* Cut off without any means that our own table is full: the message then comes without its descriptor. */
	if (surplus > 0 || (descriptor >= 0 && (arrival->msg_hdr.msg_flags & MSG_CTRUNC)))
		mistake = "violation: surplus descriptors";
	else if (arrival->msg_hdr.msg_flags & MSG_TRUNC)
		mistake = "violation: oversized packet";
	else if (arrival->msg_len == 0)
		mistake = "end of file";
	/* A handler may have closed or freed the channel: the rest of the batch is just put away. */
	if (is_usable(channel) && mistake == NULL) {
		receive_packet(channel, arrival->msg_hdr.msg_iov->iov_base, arrival->msg_len, descriptor);
		return;
	}
	if (mistake != NULL && !channel->freed)
		channel_fail(channel, "%s", mistake);
	if (descriptor >= 0)
		close(descriptor);
}

static int
receive_batch(struct channel *channel)
{
	unsigned i;
	int count;

	for (i = 0; i < BATCH_PACKETS; i++) {
		arrivals.vectors[i] = (struct iovec){ arrivals.data[i], sizeof(arrivals.data[i]) };
		arrivals.messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &arrivals.vectors[i],
			.msg_iovlen = 1,
			.msg_control = &arrivals.control[i],
			.msg_controllen = sizeof(arrivals.control[i]),
		};
	}
	/* A peer that left packets of ours unread makes the kernel report that, once, before what it sent itself. */
	do
		count = recvmmsg(channel->socket, arrivals.messages, BATCH_PACKETS, MSG_DONTWAIT | MSG_CMSG_CLOEXEC,
		    NULL);
	while (count < 0 && (errno == EINTR || errno == ECONNRESET));
	return count;
}

static void
tell_ready(struct channel *channel)
{
	if (!channel->ready_due || channel->socket < 0)
		return;
	channel->ready_due = false;
	if (channel->events->ready != NULL)
		channel->events->ready(channel->context, channel);
}

static void
readable_cb(UNUSED evutil_socket_t socket, UNUSED short what, void *argument)
{
	struct channel *channel = argument;
	int batch, count = BATCH_PACKETS, i;

	enter(channel);
	for (batch = 0; batch < BATCHES_PER_TURN && count == BATCH_PACKETS && channel->socket >= 0; batch++) {
		count = receive_batch(channel);
		if (count < 0 && errno != EAGAIN)
			channel_fail(channel, "cannot receive: %s", strerror(errno));
		for (i = 0; i < count; i++)
			receive_arrival(channel, &arrivals.messages[i]);
	}
	if (channel->send_broken && channel->socket >= 0) {
		if (count < BATCH_PACKETS)
			channel_fail(channel, "the peer does not read");
		else
			event_active(channel->readable, EV_READ, 0);
	}
	if (!channel->freed)
		tell_ready(channel);
	leave(channel);
}

/* ---- events of the channel itself ------------------------------------------------------------- */

static void
writable_cb(UNUSED evutil_socket_t socket, UNUSED short what, void *argument)
{
	struct channel *channel = argument;

	event_del(channel->writable);
	channel->socket_full = false;
	channel_flush(channel);
}

static void
deferred_cb(UNUSED evutil_socket_t socket, UNUSED short what, void *argument)
{
	struct channel *channel = argument;

	if (!event_pending(channel->writable, EV_WRITE, NULL))
		channel->socket_full = false;
	channel->lingering = false;
	channel_flush(channel);
	channel->deferred_pending = false;
	enter(channel);
	tell_ready(channel);
	if (!channel->freed && channel->closed_due) {
		channel->closed_due = false;
		if (channel->events->closed != NULL)
			channel->events->closed(channel->context, channel, channel->reason);
	}
	leave(channel);
}

/* ---- life ------------------------------------------------------------------------------------- */

struct channel *
channel_open(struct event_base *base, int socket, const struct ipc_protocol *protocol, enum ipc_side side,
    const void *handlers, const struct channel_events *events, void *context)
{
	static unsigned long numbers;
	struct channel *channel = memory_new(1, sizeof(*channel));

	evutil_make_socket_nonblocking(socket);
	evutil_make_socket_closeonexec(socket);
	channel->socket = socket;
	channel->protocol = protocol;
	channel->side = side;
	channel->number = ++numbers;
	channel->credits = protocol->window;
	STAILQ_INIT(&channel->queue);
	channel_set_owner(channel, handlers, events, context);
	channel->readable = event_new(base, socket, EV_READ | EV_PERSIST, readable_cb, channel);
	channel->writable = event_new(base, socket, EV_WRITE | EV_PERSIST, writable_cb, channel);
	channel->deferred = event_new(base, -1, 0, deferred_cb, channel);
	event_add(channel->readable, NULL);
	send_greeting(channel);
	return channel;
}

void
channel_free(struct channel **pointer)
{
	struct channel *channel = *pointer;

	*pointer = NULL;
	if (channel == NULL || channel->freed)
		return;
	shut(channel);
	event_del(channel->deferred);
	channel->freed = true;
	if (channel->busy == 0)
		destroy(channel);
}

void
channel_set_owner(struct channel *channel, const void *handlers, const struct channel_events *events,
    void *context)
{
	static const struct channel_events none;

	channel->handlers = handlers;
	channel->events = events == NULL ? &none : events;
	channel->context = context;
}

void
channel_set_linger(struct channel *channel, unsigned milliseconds)
{
	channel->linger_ms = milliseconds;
}

unsigned
channel_credits(const struct channel *channel)
{
	return channel->socket < 0 || channel->send_broken ? 0 : channel->credits;
}

size_t
channel_queued(const struct channel *channel)
{
	return channel->queued;
}

bool
channel_is_open(const struct channel *channel)
{
	return channel->socket >= 0;
}

unsigned long
channel_number(const struct channel *channel)
{
	return channel->number;
}
