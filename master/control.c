/* control - see control.h */
#include "master/control.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "common/ipc/control.h"
#include "master/local_socket.h"

#define PATIENCE_SECONDS 10	/* for the request, and for the caller to leave after the answer */

struct control {
	struct event_base *base;
	const struct control_events *events;
	void *context;
	uid_t owner;
	int command_listener;
	int submit_listener;
	struct event *command_event;
	struct event *submit_event;
	char path[PATH_MAX];
	char submit_path[PATH_MAX];
	struct control_caller *callers;		/* owned list */
	unsigned caller_count;
};

struct control_caller {
	struct control *control;
	struct control_caller *next;
	struct channel *channel;		/* owned; NULL once the other side left */
	struct event *timer;
	bool may_command;
	bool in_progress;			/* control_finish() is still to come */
};

static void
caller_free(struct control_caller *caller)
{
	struct control *control = caller->control;

	for (struct control_caller **link = &control->callers; *link != NULL; link = &(*link)->next)
		if (*link == caller) {
			*link = caller->next;
			break;
		}
	control->caller_count--;
	channel_free(&caller->channel);
	event_free(caller->timer);
	free(caller);
}

static void
caller_closed(void *context, struct channel *channel UNUSED, const char *reason UNUSED)
{
	struct control_caller *caller = context;

	channel_free(&caller->channel);
	if (!caller->in_progress)
		caller_free(caller);
}

static void
caller_slow(int file UNUSED, short events UNUSED, void *context)
{
	caller_free(context);
}

void
control_line(struct control_caller *caller, const char *text)
{
	if (caller->channel != NULL)
		send_control_line(caller->channel, &(struct control_line){ .text = text });
}

void
control_finish(struct control_caller *caller, int status, const char *text, int socket)
{
	struct control_answer answer = { .status = (uint8_t)status, .text = text, .socket = socket };
	struct timeval patience = { .tv_sec = PATIENCE_SECONDS };

	caller->in_progress = false;
	if (caller->channel == NULL) {
		caller_free(caller);
		return;
	}
	if (!send_control_answer(caller->channel, &answer)) {
		/* too long a text must not cost the caller the answer */
		answer.text = "the answer is too long to be told; see the log";
		send_control_answer(caller->channel, &answer);
	}
	channel_flush(caller->channel);
	event_add(caller->timer, &patience);
}

static void
handle_request(void *context, struct channel *channel UNUSED, const struct control_request *message)
{
	struct control_caller *caller = context;

	event_del(caller->timer);
	caller->in_progress = true;
	if (!caller->may_command) {
		control_finish(caller, EX_NOPERM, "only root and the owner of the spool may control the service", -1);
		return;
	}
	caller->control->events->command(caller->control->context, caller, message->command, message->argument);
}

static void
command_waiting(int listener, short events UNUSED, void *context)
{
	static const struct control_handlers handlers = { .control_request = handle_request };
	static const struct channel_events channel_events = { .closed = caller_closed, .ready = NULL };
	struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	struct control *control = context;
	struct control_caller *caller;
	uid_t uid;
	int socket = local_socket_accept(listener, &uid);
	bool may_command = socket != -1 && (uid == 0 || uid == geteuid() || uid == control->owner);

	if (socket == -1)
		return;
	/* strangers may not take the last places */
	if (control->caller_count >= (may_command ? CONTROL_CALLERS_MAX : CONTROL_CALLERS_MAX / 2)) {
		close(socket);
		return;
	}
	caller = memory_new(1, sizeof(*caller));
	caller->control = control;
	caller->may_command = may_command;
	caller->timer = evtimer_new(control->base, caller_slow, caller);
	caller->next = control->callers;
	control->callers = caller;
	control->caller_count++;
	event_add(caller->timer, &patience);
	caller->channel = channel_open(control->base, socket, &control_protocol, IPC_SERVES, &handlers, &channel_events,
	    caller);
}

static void
submission_waiting(int listener, short events UNUSED, void *context)
{
	struct control *control = context;
	uid_t uid;
	int socket = local_socket_accept(listener, &uid);

	if (socket == -1)
		return;
	control->events->submission(control->context, uid, socket);
	close(socket);
}

struct control *
control_open(struct event_base *base, const char *path, uid_t owner, const struct control_events *events, void *context,
    struct error *error)
{
	struct control *control = memory_new(1, sizeof(*control));

	*control = (struct control){ .base = base, .events = events, .context = context, .owner = owner,
		.command_listener = -1, .submit_listener = -1 };
	snprintf(control->path, sizeof(control->path), "%s", path);
	snprintf(control->submit_path, sizeof(control->submit_path), "%.4000s.submit", path);
	control->command_listener = local_socket_listen(control->path, SOCK_SEQPACKET, error);
	if (control->command_listener != -1)
		control->submit_listener = local_socket_listen(control->submit_path, SOCK_STREAM, error);
	if (control->submit_listener == -1) {
		error_prefix(error, "control_socket");
		control_close(&control);
		return NULL;
	}
	control->command_event = event_new(base, control->command_listener, EV_READ | EV_PERSIST, command_waiting, control);
	control->submit_event = event_new(base, control->submit_listener, EV_READ | EV_PERSIST, submission_waiting, control);
	event_add(control->command_event, NULL);
	event_add(control->submit_event, NULL);
	return control;
}

static void
drop_listener(struct event **event, int *listener, const char *path)
{
	if (*event != NULL)
		event_free(*event);
	*event = NULL;
	if (*listener == -1)
		return;
	unlink(path);
	close(*listener);
	*listener = -1;
}

void
control_stop_listening(struct control *control)
{
	drop_listener(&control->command_event, &control->command_listener, control->path);
	drop_listener(&control->submit_event, &control->submit_listener, control->submit_path);
}

void
control_close(struct control **control)
{
	if (*control == NULL)
		return;
	control_stop_listening(*control);
	while ((*control)->callers != NULL)
		caller_free((*control)->callers);
	free(*control);
	*control = NULL;
}
