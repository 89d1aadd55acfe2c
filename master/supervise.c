/* supervise - see supervise.h */
#include "master/supervise.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/ipc/worker.h"
#include "common/log/log.h"
#include "common/worker/installation.h"
#include "master/own_log.h"
#include "master/process.h"
#include "master/switchboard.h"
#include "master/system_files.h"
#include "master/voice.h"

#define WATCHDOG_ROUND_SECONDS 10
#define CLIENTS_QUEUED_MAX 1024		/* octets of introductions that a process has not read yet */
#define PATIENCE_MS 5000		/* for a process to leave by itself */
#define FAILING_LOGGED_EVERY_MS 60000
#define PROCESSES_BY_DEFAULT_MAX 4

static void process_begin(struct process *process);
static void process_timer_fired(int file, short events, void *context);

static const char *
process_name(const struct process *process)
{
	return role_rows[process->role].name;
}

/* Started: everyone is ready, or at least known to fail. */
static void
tell_started(struct supervisor *supervisor)
{
	if (supervisor->told_started || supervisor->stop_phase >= 0)
		return;
	for (size_t i = 0; i < supervisor->process_count; i++) {
		const struct process *process = &supervisor->processes[i];

		if (process->state != PROCESS_READY && !backoff_is_failing(&process->backoff))
			return;
	}
	supervisor->told_started = true;
	supervisor->events->started(supervisor->context);
}

/* ---- what a worker says ---- */

static void
handle_ready(void *context, struct channel *channel UNUSED, const struct worker_ready *message)
{
	struct process *process = context;

	if (process->state != PROCESS_STARTING)
		return;
	process->state = PROCESS_READY;
	process->silent_rounds = 0;
	snprintf(process->jail, sizeof(process->jail), "%s", message->jail);
	tell_started(process->supervisor);
}

static void
handle_drained(void *context, struct channel *channel UNUSED, const struct worker_drained *message UNUSED)
{
	struct process *process = context;

	process_dismiss(process, PATIENCE_MS);
}

static void
ask_status(struct process *process)
{
	process->status_wanted_again = false;
	process->status_asked = send_worker_status(process->channel, &(struct worker_status){ });
}

static void
handle_status(void *context, struct channel *channel UNUSED, const struct worker_status_answer *message)
{
	struct process *process = context;

	process->status_asked = false;
	process->silent_rounds = 0;
	buffer_clear(&process->status_lines);
	buffer_append(&process->status_lines, message->lines.data, message->lines.length);
	if (process->status_wanted_again)
		ask_status(process);
}

static const struct worker_handlers handlers = {
	.worker_ready = handle_ready,
	.worker_drained = handle_drained,
	.worker_status_answer = handle_status,
};

static void
pair_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct process *process = context;

	/* the end of file is the end of the process: that is logged when it is reaped */
	if (strcmp(reason, "end of file") != 0)
		log_event(LOG_PEER_LOST, process_name(process), reason);
	process_dismiss(process, PATIENCE_MS);
}

static const struct channel_events pair_events = { .closed = pair_closed, .ready = NULL };

/* ---- the life of a process ---- */

static void
process_set_timer(struct process *process, int64_t milliseconds)
{
	struct timeval wait = { .tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000 };

	event_add(process->timer, &wait);
}

void
process_dismiss(struct process *process, int64_t patience_ms)
{
	if (process->pid == 0)
		return;
	if (process->role == ROLE_LOGGER)
		own_log_disconnect(process->supervisor->base, process->supervisor->hears_workers);
	channel_free(&process->channel);
	process->status_asked = false;
	process->state = PROCESS_LEAVING;
	if (patience_ms == 0)
		kill(process->pid, SIGKILL);
	else
		process_set_timer(process, patience_ms);
}

/* Each end is told at once, until the program is known to keep failing: then one line a minute tells of all. */
static void
log_end(struct process *process, pid_t pid, const char *how, int64_t wait_ms)
{
	if (!backoff_is_failing(&process->backoff)) {
		log_event(LOG_WORKER_DIED, process_name(process), log_number(pid), how, log_seconds(wait_ms));
		return;
	}
	process->ends_untold++;
	if (!deadline_passed(process->failing_logged))
		return;
	process->failing_logged = deadline_after_ms(FAILING_LOGGED_EVERY_MS);
	log_event(LOG_WORKER_FAILING, process_name(process), log_number(process->restarts),
	    log_number(process->ends_untold), how, log_seconds(wait_ms));
	process->ends_untold = 0;
}

/* The process is no more: it starts again after its back-off, or never when the service stops. */
static void
process_ended(struct process *process, const char *how)
{
	struct supervisor *supervisor = process->supervisor;
	int64_t lived = clock_monotonic_ms() - process->started;
	int64_t wait = backoff_ended(&process->backoff, lived,
	    supervisor->settings->matador.restart_delay_maximum.number * 1000);
	pid_t pid = process->pid;

	if (process->role == ROLE_LOGGER)
		own_log_disconnect(process->supervisor->base, process->supervisor->hears_workers);
	event_del(process->timer);
	channel_free(&process->channel);
	voice_close(&process->voice);
	process->pid = 0;
	process->status_asked = false;
	process->jail[0] = '\0';
	if (supervisor->stop_phase >= 0) {
		process->state = PROCESS_ENDED;
		return;
	}
	process->state = PROCESS_WAITING;
	snprintf(process->last_end, sizeof(process->last_end), "%s", how);
	process->restarts++;
	log_end(process, pid, how, wait);
	process_set_timer(process, wait);
	tell_started(supervisor);
}

static void
children_changed(int number UNUSED, short events UNUSED, void *context)
{
	struct supervisor *supervisor = context;

	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];
		int status;

		if (process->pid != 0 && waitpid(process->pid, &status, WNOHANG) == process->pid)
			process_ended(process, process_end_text(status));
	}
	if (supervisor->stop_phase >= 0)
		supervisor_stop_step(supervisor);
}

/* The waiting process starts; the leaving one had its time. */
static void
process_timer_fired(int file UNUSED, short events UNUSED, void *context)
{
	struct process *process = context;

	if (process->state == PROCESS_WAITING)
		process_begin(process);
	else if (process->state == PROCESS_LEAVING)
		kill(process->pid, SIGKILL);
}

static bool
send_jail(struct process *process)
{
	const struct supervisor *supervisor = process->supervisor;
	const struct settings *settings = supervisor->settings;
	struct error error = ERROR_INITIALIZER;
	char root[PATH_MAX];
	struct worker_jail jail = { .root = root, .privileged = supervisor->privileged };
	uid_t uid;
	gid_t gid;

	if (installation_jail(settings, process->role, root, &error) == -1 ||
	    installation_user(settings, supervisor->privileged ? process->role : ROLE_MASTER, &uid, &gid, &error) == -1) {
		log_event(LOG_FATAL, error.text);
		return false;
	}
	jail.uid = uid;
	jail.gid = gid;
	jail.open_files = installation_open_files(settings, process->role);
	jail.file_size = installation_file_size(settings, process->role);
	return send_worker_jail(process->channel, &jail);
}

static void
process_begin(struct process *process)
{
	struct supervisor *supervisor = process->supervisor;
	const char *name = process_name(process);
	struct error error = ERROR_INITIALIZER;
	char path[PATH_MAX];
	int socket, standard_error = -1, started;

	snprintf(path, sizeof(path), "%s/%s", supervisor->settings->matador.program_directory.text, name);
	process->started = clock_monotonic_ms();
	if (supervisor->hears_workers)
		process->voice = voice_open(supervisor->base, name, &standard_error);
	started = process_start(path, name, process->instance, standard_error, &socket, &process->pid, &error);
	if (standard_error != -1)
		close(standard_error);
	if (started == -1) {
		process_ended(process, error.text);
		return;
	}
	if (process->voice != NULL)
		voice_set_process(process->voice, process->pid);
	process->state = PROCESS_STARTING;
	process->silent_rounds = 0;
	process->channel = channel_open(supervisor->base, socket, &worker_protocol, IPC_ASKS, &handlers, &pair_events,
	    process);
	if (!send_jail(process) || !system_files_send(process->channel, process->role, supervisor->settings) ||
	    !send_worker_settings(process->channel, &(struct worker_settings){ .file = supervisor->sealed[process->role] })) {
		process_dismiss(process, 0);
		return;
	}
	if (process->role == ROLE_LOGGER)
		own_log_connect(supervisor->base, process);
	switchboard_connect(supervisor, process);
	supervisor->events->give_sockets(supervisor->context, process);
	if (process->channel != NULL)
		send_worker_begin(process->channel, &(struct worker_begin){ });
}

/* ---- the watchdog ---- */

/*
 * Rounds are counted, not time: when master itself was stopped for an hour, nobody else is to blame. A process that
 * starts is not asked: recovering a MAIL.BOX may take its time.
 */
static void
watchdog_round(int file UNUSED, short events UNUSED, void *context)
{
	struct supervisor *supervisor = context;
	int64_t rounds = (supervisor->settings->matador.watchdog_timeout.number + WATCHDOG_ROUND_SECONDS - 1) /
	    WATCHDOG_ROUND_SECONDS;

	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];

		if (process->state != PROCESS_READY || !process->status_asked)
			continue;
		if (++process->silent_rounds <= rounds)
			continue;
		log_event(LOG_WORKER_HANGS, process_name(process), log_number(process->pid),
		    log_number((int64_t)process->silent_rounds * WATCHDOG_ROUND_SECONDS));
		process_dismiss(process, 0);
	}
	supervisor_ask_status(supervisor);
}

void
supervisor_ask_status(struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];

		if (process->state != PROCESS_READY)
			continue;
		/* What it tells by itself in a moment may be from before it took what was sent since. */
		process->status_wanted_again = process->status_asked;
		if (!process->status_asked)
			ask_status(process);
	}
}

bool
supervisor_awaits_status(const struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->process_count; i++)
		if (supervisor->processes[i].status_asked)
			return true;
	return false;
}

/* ---- all of them ---- */

static unsigned
process_number(const struct settings *settings, enum role role)
{
	int64_t wanted = 1;

	if (role == ROLE_SMTPD)
		wanted = settings->matador.smtpd_processes.number;
	else if (role == ROLE_SMTP)
		wanted = settings->matador.smtp_processes.number;
	if (wanted > 0)
		return (unsigned)wanted;
	wanted = sysconf(_SC_NPROCESSORS_ONLN);
	if (wanted < 1)
		return 1;
	return wanted < PROCESSES_BY_DEFAULT_MAX ? (unsigned)wanted : PROCESSES_BY_DEFAULT_MAX;
}

static int
seal_all(const struct settings *settings, int sealed[static ROLE_COUNT], struct error *error)
{
	for (enum role role = 0; role < ROLE_COUNT; role++)
		sealed[role] = -1;
	for (enum role role = ROLE_MASTER + 1; role < ROLE_CONTROL; role++) {
		sealed[role] = settings_seal(settings, role, error);
		if (sealed[role] == -1)
			return error_prefix(error, "the settings for %s", role_rows[role].name);
	}
	return 0;
}

static void
close_sealed(int sealed[static ROLE_COUNT])
{
	for (enum role role = 0; role < ROLE_COUNT; role++)
		if (sealed[role] != -1) {
			close(sealed[role]);
			sealed[role] = -1;
		}
}

static void
add_processes(struct supervisor *supervisor, enum role role, unsigned number)
{
	supervisor->processes = memory_resize(supervisor->processes, supervisor->process_count + number,
	    sizeof(*supervisor->processes));
	for (unsigned instance = 0; instance < number; instance++)
		supervisor->processes[supervisor->process_count++] = (struct process){ .role = role, .instance = instance,
			.state = PROCESS_WAITING, .supervisor = supervisor };
}

int
supervisor_open(struct supervisor *supervisor, struct event_base *base, const struct settings *settings,
    bool privileged, bool hears_workers, const struct supervisor_events *events, void *context, struct error *error)
{
	*supervisor = (struct supervisor){ .base = base, .settings = settings_hold(settings), .privileged = privileged,
		.hears_workers = hears_workers, .events = events, .context = context, .stop_phase = -1 };
	for (enum role role = ROLE_MASTER + 1; role < ROLE_CONTROL; role++)
		add_processes(supervisor, role, process_number(settings, role));
	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];

		buffer_init(&process->status_lines, 8192);
		process->timer = evtimer_new(base, process_timer_fired, process);
	}
	supervisor->child_event = evsignal_new(base, SIGCHLD, children_changed, supervisor);
	supervisor->watchdog = event_new(base, -1, EV_PERSIST, watchdog_round, supervisor);
	return seal_all(settings, supervisor->sealed, error);
}

void
supervisor_start(struct supervisor *supervisor)
{
	struct timeval round = { .tv_sec = WATCHDOG_ROUND_SECONDS };

	event_add(supervisor->child_event, NULL);
	event_add(supervisor->watchdog, &round);
	for (size_t i = 0; i < supervisor->process_count; i++)
		process_begin(&supervisor->processes[i]);
}

void
supervisor_close(struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];

		channel_free(&process->channel);
		voice_close(&process->voice);
		buffer_free(&process->status_lines);
		event_free(process->timer);
	}
	free(supervisor->processes);
	if (supervisor->child_event != NULL)
		event_free(supervisor->child_event);
	if (supervisor->watchdog != NULL)
		event_free(supervisor->watchdog);
	if (supervisor->stop_timer != NULL)
		event_free(supervisor->stop_timer);
	close_sealed(supervisor->sealed);
	settings_release(&supervisor->settings);
}

int
supervisor_change_settings(struct supervisor *supervisor, const struct settings *settings, struct error *error)
{
	int sealed[ROLE_COUNT];

	if (seal_all(settings, sealed, error) == -1) {
		close_sealed(sealed);
		return -1;
	}
	close_sealed(supervisor->sealed);
	memcpy(supervisor->sealed, sealed, sizeof(sealed));
	settings_release(&supervisor->settings);
	supervisor->settings = settings_hold(settings);
	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];

		if (process->channel != NULL && (!system_files_send(process->channel, process->role, settings) ||
		    !send_worker_settings(process->channel, &(struct worker_settings){ .file = sealed[process->role] })))
			process_dismiss(process, 0);
	}
	return 0;
}

void
supervisor_listen(struct process *process, enum listen_purpose purpose, const char *address, int socket)
{
	struct worker_listen listen = { .purpose = (uint8_t)purpose, .address = address, .socket = socket };

	if (process->role == ROLE_SMTPD && process->channel != NULL && !send_worker_listen(process->channel, &listen))
		process_dismiss(process, 0);
}

void
supervisor_listen_all(struct supervisor *supervisor, enum listen_purpose purpose, const char *address, int socket)
{
	for (size_t i = 0; i < supervisor->process_count; i++)
		supervisor_listen(&supervisor->processes[i], purpose, address, socket);
}

void
supervisor_unlisten_all(struct supervisor *supervisor, enum listen_purpose purpose, const char *address)
{
	struct worker_unlisten unlisten = { .purpose = (uint8_t)purpose, .address = address };

	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];

		if (process->role == ROLE_SMTPD && process->channel != NULL &&
		    !send_worker_unlisten(process->channel, &unlisten))
			process_dismiss(process, 0);
	}
}

bool
supervisor_pass_client(struct supervisor *supervisor, uid_t uid, int socket)
{
	struct worker_client client = { .uid = uid, .socket = socket };

	for (size_t tried = 0; tried < supervisor->process_count; tried++) {
		struct process *process = &supervisor->processes[supervisor->next_client++ % supervisor->process_count];

		if (process->role == ROLE_SMTPD && process->state == PROCESS_READY &&
		    channel_queued(process->channel) < CLIENTS_QUEUED_MAX)
			return send_worker_client(process->channel, &client);
	}
	return false;
}

int
supervisor_connect(struct supervisor *supervisor, enum role role, const struct ipc_protocol *protocol,
    struct error *error)
{
	static uint16_t callers;
	int socket;

	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];

		if (process->role != role || process->state != PROCESS_READY)
			continue;
		if (switchboard_pair(process, ROLE_CONTROL, callers++, protocol, IPC_SERVES, &socket, error) == -1)
			return -1;
		return socket;
	}
	return error_set(error, ERROR_UNAVAILABLE, "%s is not ready; try again shortly", role_rows[role].name);
}
