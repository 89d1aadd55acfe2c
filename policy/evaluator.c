/* evaluator - see evaluator.h */
#include "policy/evaluator.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "common/base/wire.h"
#include "policy/evaluator_child.h"

#define REASON_SIZE 160
#define TEMPLATE_PATIENCE_SECONDS 2	/* policy stands still meanwhile, and smtpd gives rates up after three */

struct evaluator {
	struct event_base *base;
	evaluator_compute_cb compute;
	const struct evaluator_events *events;
	void *context;
	pid_t template_process;		/* 0: none */
	int template_socket;		/* -1 without it */
	pid_t process;			/* 0: none */
	int socket;			/* -1 without a process */
	struct event *readable;
	struct event *writable;
	struct event *late;
	struct buffer sending;		/* what is left of the request, with its length before it */
	struct buffer received;		/* the reply so far, with its length before it */
	bool is_busy;
	uint64_t failures;
};

static void on_readable(int socket, short what, void *context);
static void on_writable(int socket, short what, void *context);
static void on_late(int socket, short what, void *context);

/* ---- the template ----------------------------------------------------------------------------- */

/* Ends a child that may have ended already; its status. */
static int
end_process(pid_t process)
{
	int status = 0;

	if (waitpid(process, &status, WNOHANG) != process) {
		kill(process, SIGKILL);
		while (waitpid(process, &status, 0) < 0 && errno == EINTR)
			;
	}
	return status;
}

static int
start_template(struct evaluator *evaluator, struct error *error)
{
	struct timeval patience = { TEMPLATE_PATIENCE_SECONDS, 0 };
	pid_t process, ourselves = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_system(error, errno, "cannot make a pair of sockets for the template of the evaluator");
	process = fork();
	if (process == 0)
		evaluator_template_run(pair[1], ourselves, evaluator->compute);
	close(pair[1]);
	if (process < 0 || setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
		error_system(error, errno, "cannot fork the template of the evaluator");
		close(pair[0]);
		return -1;
	}
	evaluator->template_process = process;
	evaluator->template_socket = pair[0];
	return 0;
}

static void
end_template(struct evaluator *evaluator)
{
	if (evaluator->template_process == 0)
		return;
	close(evaluator->template_socket);
	end_process(evaluator->template_process);
	evaluator->template_socket = -1;
	evaluator->template_process = 0;
}

/* Has the template fork a child of ours at this end of a pair. 0: the template is of no use. */
static pid_t
fork_from_template(const struct evaluator *evaluator, int socket)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) } };
	char octet = 0;
	struct iovec vector = { .iov_base = &octet, .iov_len = sizeof(octet) };
	struct msghdr packet = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	pid_t process;
	ssize_t count;

	memcpy(CMSG_DATA(&control.header), &socket, sizeof(socket));
	if (sendmsg(evaluator->template_socket, &packet, MSG_NOSIGNAL) < 0)
		return 0;
	do
		count = recv(evaluator->template_socket, &process, sizeof(process), 0);
	while (count < 0 && errno == EINTR);
	return count == sizeof(process) ? process : 0;
}

/* ---- the child's life ------------------------------------------------------------------------- */

static struct event *
new_event(struct evaluator *evaluator, short what, event_callback_fn called)
{
	struct event *event = event_new(evaluator->base, what == EV_TIMEOUT ? -1 : evaluator->socket,
	    what == EV_TIMEOUT ? 0 : what | EV_PERSIST, called, evaluator);

	if (event == NULL)
		abort();
	return event;
}

static int
start_child(struct evaluator *evaluator, struct error *error)
{
	int pair[2];
	pid_t process;

	if (evaluator->template_process == 0 && start_template(evaluator, error) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_system(error, errno, "cannot make a pair of sockets for the evaluator");
	process = fork_from_template(evaluator, pair[1]);
	close(pair[1]);
	if (process <= 0) {
		close(pair[0]);
		if (process == 0) {
			end_template(evaluator);
			/* One that was forked and not told of ends with its pair. */
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
		}
		error_system(error, process == 0 ? ESRCH : -process, "cannot fork the evaluator");
		return -1;
	}
	evutil_make_socket_nonblocking(pair[0]);
	evaluator->process = process;
	evaluator->socket = pair[0];
	evaluator->readable = new_event(evaluator, EV_READ, on_readable);
	evaluator->writable = new_event(evaluator, EV_WRITE, on_writable);
	event_add(evaluator->readable, NULL);
	return 0;
}

/* Ends the child, which may have ended already; says how in reason unless that is NULL. */
static void
end_child(struct evaluator *evaluator, char *reason)
{
	int status;

	if (evaluator->process == 0)
		return;
	event_free(evaluator->readable);
	event_free(evaluator->writable);
	evaluator->readable = evaluator->writable = NULL;
	status = end_process(evaluator->process);
	close(evaluator->socket);
	evaluator->socket = -1;
	evaluator->process = 0;
	buffer_clear(&evaluator->sending);
	buffer_clear(&evaluator->received);
	if (reason != NULL && reason[0] == '\0')
		snprintf(reason, REASON_SIZE, WIFSIGNALED(status) ? "it ended by signal %d" : "it ended with status %d",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* The child is of no use any more. An empty reason: the one that its exit status tells. */
static void
replace_child(struct evaluator *evaluator, const char *known_reason)
{
	char reason[REASON_SIZE];

	snprintf(reason, sizeof(reason), "%s", known_reason);
	end_child(evaluator, reason);
	event_del(evaluator->late);
	evaluator->is_busy = false;
	evaluator->failures++;
	evaluator->events->failed(evaluator->context, reason);
}

struct evaluator *
evaluator_new(struct event_base *base, evaluator_compute_cb compute, const struct evaluator_events *events, void *context)
{
	struct evaluator *evaluator = memory_new(1, sizeof(*evaluator));
	struct error error = ERROR_INITIALIZER;

	evaluator->base = base;
	evaluator->compute = compute;
	evaluator->events = events;
	evaluator->context = context;
	evaluator->socket = evaluator->template_socket = -1;
	evaluator->late = new_event(evaluator, EV_TIMEOUT, on_late);
	start_child(evaluator, &error);
	return evaluator;
}

void
evaluator_free(struct evaluator **evaluator)
{
	if (*evaluator == NULL)
		return;
	end_child(*evaluator, NULL);
	end_template(*evaluator);
	event_free((*evaluator)->late);
	buffer_free(&(*evaluator)->sending);
	buffer_free(&(*evaluator)->received);
	free(*evaluator);
	*evaluator = NULL;
}

bool
evaluator_is_idle(const struct evaluator *evaluator)
{
	return !evaluator->is_busy;
}

pid_t
evaluator_process(const struct evaluator *evaluator)
{
	return evaluator->process;
}

uint64_t
evaluator_failures(const struct evaluator *evaluator)
{
	return evaluator->failures;
}

/* ---- asking ----------------------------------------------------------------------------------- */

/* Sends what the socket takes; the end of the child is seen by reading. */
static void
send_more(struct evaluator *evaluator)
{
	ssize_t sent = send(evaluator->socket, evaluator->sending.data, evaluator->sending.length, MSG_NOSIGNAL);

	if (sent > 0)
		buffer_consume(&evaluator->sending, (size_t)sent);
	if (evaluator->sending.length == 0 || (sent < 0 && errno != EAGAIN && errno != EINTR))
		event_del(evaluator->writable);
	else
		event_add(evaluator->writable, NULL);
}

int
evaluator_ask(struct evaluator *evaluator, const struct buffer *request, struct error *error)
{
	struct timeval patience = { EVALUATOR_PATIENCE_MS / 1000, EVALUATOR_PATIENCE_MS % 1000 * 1000 };

	if (evaluator->process == 0 && start_child(evaluator, error) < 0)
		return -1;
	wire_put_u32(&evaluator->sending, (uint32_t)request->length);
	buffer_append(&evaluator->sending, request->data, request->length);
	evaluator->is_busy = true;
	event_add(evaluator->late, &patience);
	send_more(evaluator);
	return 0;
}

static void
on_writable(int socket UNUSED, short what UNUSED, void *context)
{
	send_more(context);
}

static void
on_late(int socket UNUSED, short what UNUSED, void *context)
{
	replace_child(context, "it did not answer in time");
}

/* ---- its answer ------------------------------------------------------------------------------- */

/* Whether a whole reply is there, and nothing behind it: it may not speak unasked. */
static bool
reply_is_whole(const struct evaluator *evaluator, size_t *length_out)
{
	struct wire_reader reader;

	if (evaluator->received.length < sizeof(uint32_t))
		return false;
	wire_reader_init(&reader, evaluator->received.data, sizeof(uint32_t));
	*length_out = wire_get_u32(&reader);
	return evaluator->received.length - sizeof(uint32_t) >= *length_out;
}

static void
take_reply(struct evaluator *evaluator, size_t length)
{
	struct buffer reply = evaluator->received;
	bool makes_sense = reply.length == sizeof(uint32_t) + length;

	buffer_init(&evaluator->received, 0);
	if (makes_sense) {
		event_del(evaluator->late);
		evaluator->is_busy = false;
		makes_sense = evaluator->events->answered(evaluator->context, reply.data + sizeof(uint32_t), length);
	}
	if (!makes_sense) {
		evaluator->is_busy = true;
		replace_child(evaluator, "its answer makes no sense");
	}
	buffer_free(&reply);
}

static void
on_readable(int socket, short what UNUSED, void *context)
{
	struct evaluator *evaluator = context;
	char octets[4096];
	ssize_t count = recv(socket, octets, sizeof(octets), 0);
	size_t length;

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		replace_child(evaluator, "");
		return;
	}
	buffer_append(&evaluator->received, octets, (size_t)count);
	if (!evaluator->is_busy || evaluator->received.length > EVALUATOR_REPLY_MAX)
		replace_child(evaluator, "it says too much");
	else if (reply_is_whole(evaluator, &length))
		take_reply(evaluator, length);
}
