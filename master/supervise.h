/*
 * supervise - every worker's process: started, watched, started again, drained
 *
 * Owns:    one struct process for each process of roles.def, its pid and its pair; the sealed settings.
 * Promise: a program's next process starts only after the last one was reaped, so there is never a second qmgr.
 *          A process that ended comes back after its back-off and is introduced to all its peers. One that does not
 *          answer the watchdog is killed. What keeps failing is reported, and the rest goes on.
 * Trusts:  no worker. A pair that breaks the protocol is closed, which makes the worker leave.
 */
#ifndef MASTER_SUPERVISE_H
#define MASTER_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/conf/settings.h"
#include "common/worker/roles.h"
#include "common/worker/worker.h"
#include "master/backoff.h"

struct channel;
struct event;
struct event_base;
struct supervisor;
struct voice;

enum process_state {
	PROCESS_WAITING,	/* for its next start */
	PROCESS_STARTING,	/* until worker_ready */
	PROCESS_READY,
	PROCESS_DRAINING,
	PROCESS_LEAVING,	/* its pair is closed, it is not reaped yet */
	PROCESS_ENDED,		/* and not coming back */
};

struct process {
	struct supervisor *supervisor;
	enum role role;
	unsigned instance;
	enum process_state state;
	pid_t pid;			/* 0: none */
	struct channel *channel;	/* owned; NULL: none */
	struct event *timer;		/* the next start, or the end of patience with a leaving process */
	struct backoff backoff;
	deadline_t started;		/* monotonic time of the last start */
	deadline_t failing_logged;	/* not again before this */
	unsigned ends_untold;		/* since then */
	unsigned restarts;
	char jail[65];			/* as worker_ready said; "" before */
	bool status_asked;
	bool status_wanted_again;	/* once it has answered */
	unsigned silent_rounds;		/* watchdog rounds without an answer */
	struct buffer status_lines;	/* of the last answer */
	struct voice *voice;		/* owned; NULL: standard error is master's */
	char last_end[100];		/* how its last process ended; "" if none did */
};

struct supervisor_events {
	/* Once: every process is ready, or known to keep failing. */
	void (*started)(void *context);
	/* A process wants its listening sockets: supervisor_listen() for each. */
	void (*give_sockets)(void *context, struct process *process);
	/* After supervisor_stop(): every process has ended. */
	void (*stopped)(void *context);
};

struct supervisor {
	struct event_base *base;
	const struct settings *settings;	/* held */
	bool privileged;
	bool hears_workers;			/* standard error of workers goes to the log */
	const struct supervisor_events *events;
	void *context;
	struct process *processes;		/* owned array */
	size_t process_count;
	int sealed[ROLE_COUNT];			/* a memfd for each role; -1: none */
	struct event *child_event;
	struct event *watchdog;
	size_t next_client;			/* round robin of local submissions */
	bool told_started;
	int stop_phase;				/* -1: not stopping */
	deadline_t stop_deadline;
	struct event *stop_timer;
};

/* Prepares the processes that the settings ask for; starts none. */
int supervisor_open(struct supervisor *supervisor, struct event_base *base, const struct settings *settings,
    bool privileged, bool hears_workers, const struct supervisor_events *events, void *context, struct error *error);
void supervisor_close(struct supervisor *supervisor);

void supervisor_start(struct supervisor *supervisor);

/* New settings for every worker, running or to come. -1 and an error when they cannot be sealed: the old ones stay. */
int supervisor_change_settings(struct supervisor *supervisor, const struct settings *settings, struct error *error);

/* A listening socket for one process (or for every process of its role that runs). */
void supervisor_listen(struct process *process, enum listen_purpose purpose, const char *address, int socket);
void supervisor_listen_all(struct supervisor *supervisor, enum listen_purpose purpose, const char *address, int socket);
void supervisor_unlisten_all(struct supervisor *supervisor, enum listen_purpose purpose, const char *address);

/* Hands an accepted local connection to an smtpd that is ready; false when there is none. The socket stays the caller's. */
bool supervisor_pass_client(struct supervisor *supervisor, uid_t uid, int socket);

/* Introduces the control command to a program that is ready. The caller's end of the fresh pair, or -1 and an error. */
int supervisor_connect(struct supervisor *supervisor, enum role role, const struct ipc_protocol *protocol,
    struct error *error);

/* Asks every ready process for fresh status lines, unless one is being asked already. */
void supervisor_ask_status(struct supervisor *supervisor);
/* Whether an answer is outstanding. */
bool supervisor_awaits_status(const struct supervisor *supervisor);

/* ---- among supervise.c and stopping.c ---- */

/* Closes the pair, which asks the process to leave, and kills it when it is not gone within so long. */
void process_dismiss(struct process *process, int64_t patience_ms);

/* Drains and ends every process in order, within about seconds; called again, at once. */
void supervisor_stop(struct supervisor *supervisor, unsigned seconds);
/* A process was drained or ended: maybe the next phase begins. */
void supervisor_stop_step(struct supervisor *supervisor);

#endif
