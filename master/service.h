/*
 * service - one running instance: its documents, lock, ports, sockets and workers, from start to stop
 *
 * Owns everything that master has. reload.c changes it, status.c tells about it.
 */
#ifndef MASTER_SERVICE_H
#define MASTER_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/conf/settings.h"
#include "master/control.h"
#include "master/ports.h"
#include "master/supervise.h"

struct event;
struct event_base;

struct service_options {
	const char *folder;		/* etc/ */
	bool foreground;
};

struct service;

/* finish is called when every worker has told its status. */
struct awaiting {
	struct control_caller *caller;
	void (*finish)(struct service *service, struct control_caller *caller);
};

struct service {
	struct service_options options;
	const struct settings *settings;	/* held */
	bool privileged;
	int lock;				/* the locked file of the spool */
	int64_t started_ms;			/* monotonic */
	struct event_base *base;
	struct supervisor supervisor;
	struct ports ports;
	struct control *control;
	struct event *signal_events[5];
	struct control_caller *stop_caller;	/* waits for the end; NULL: nobody does */
	struct awaiting awaiting[CONTROL_CALLERS_MAX];	/* callers that wait for fresh answers of the workers */
	size_t awaiting_count;
	size_t awaiting_asked;			/* the first of them, for whom the workers were asked; the others' turn comes then */
	struct event *status_timer;
	int64_t status_waited_ms;
	bool running;				/* every program was ready */
	bool stopping;
};

/* Runs an instance until it is stopped; the result is the exit status. Mistakes are told on standard error. */
int service_run(const struct service_options *options);

/* reload.c: reads the documents again. An exit status; every mistake is a line in text. */
int service_reload(struct service *service, struct buffer *text);

/* status.c: tells the caller everything, then finishes. */
void service_tell_status(struct service *service, struct control_caller *caller);

/* Opens the ports that the settings ask for beside (on a reload: instead of) those in force. */
int service_open_ports(struct service *service, const struct settings *settings, struct error *error);

#endif
