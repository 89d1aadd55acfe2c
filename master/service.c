/* service - see service.h */
#include "master/service.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf/documents.h"
#include "common/ipc/inspection.h"
#include "common/ipc/queue.h"
#include "common/ipc/route.h"
#include "common/log/log.h"
#include "common/worker/installation.h"
#include "master/notify.h"
#include "master/own_log.h"

#define LOCK_NAME "master.lock"
#define STATUS_WAIT_MS 2000	/* for the workers' fresh answers */
#define STATUS_POLL_MS 20

/* ---- before the start: documents, folders, lock, limits ---- */

static void
print_lines(const struct buffer *lines)
{
	fputs(buffer_text(lines), stderr);
}

static int
read_documents(struct service *service)
{
	struct documents_report report;

	service->settings = documents_read(service->options.folder, &report);
	print_lines(&report.errors);
	print_lines(&report.warnings);
	if (service->settings == NULL)
		fprintf(stderr, "master: %zu mistakes in %s; not started\n", report.error_count, service->options.folder);
	documents_report_free(&report);
	return service->settings == NULL ? EX_CONFIG : EX_OK;
}

static int
check_installation(const struct service *service)
{
	struct buffer problems = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	int status = EX_OK;

	if (installation_check(service->settings, service->privileged, &problems) > 0) {
		print_lines(&problems);
		fprintf(stderr, "master: the users or folders are not right; run: matador -c %s setup\n",
		    service->options.folder);
		status = EX_CONFIG;
	} else if (installation_check_limits(service->settings, service->privileged, &problems) > 0) {
		print_lines(&problems);
		status = EX_CONFIG;
	} else if (installation_make_for_start(service->settings, service->privileged, &error) == -1) {
		fprintf(stderr, "master: %s\n", error.text);
		status = EX_CANTCREAT;
	}
	buffer_free(&problems);
	return status;
}

static int
take_lock(struct service *service)
{
	char path[PATH_MAX], holder[32] = "";

	snprintf(path, sizeof(path), "%.4000s/" LOCK_NAME, service->settings->matador.spool_directory.text);
	service->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (service->lock == -1) {
		fprintf(stderr, "master: opening %s: %s\n", path, strerror(errno));
		return EX_CANTCREAT;
	}
	if (flock(service->lock, LOCK_EX | LOCK_NB) == -1) {
		if (pread(service->lock, holder, sizeof(holder) - 1, 0) > 0)
			holder[strcspn(holder, "\n")] = '\0';
		fprintf(stderr, "master: the spool %s is in use by another master (process %s); stop it first: matador -c %s stop\n",
		    service->settings->matador.spool_directory.text, holder, service->options.folder);
		return EX_TEMPFAIL;
	}
	return EX_OK;
}

static void
write_lock(const struct service *service)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(service->lock, 0) == -1 || pwrite(service->lock, text, (size_t)length, 0) != length)
		log_event(LOG_NOTE, "the process id could not be written into " LOCK_NAME);
}

/* Descriptors on their way through sockets count against our own limit, and a plain user's programs inherit it. */
static void
raise_limits(const struct service *service)
{
	struct rlimit limit;
	rlim_t wanted = 4096;

	for (enum role role = ROLE_MASTER; role < ROLE_CONTROL; role++)
		if (installation_open_files(service->settings, role) > wanted)
			wanted = installation_open_files(service->settings, role);
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	if (limit.rlim_max < wanted && service->privileged)
		limit.rlim_max = wanted;
	if (limit.rlim_cur < wanted)
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- ports ---- */

int
service_open_ports(struct service *service, const struct settings *settings, struct error *error)
{
	struct buffer notes = BUFFER_INITIALIZER(0);
	struct ports wanted, *dropped = &service->ports;

	if (ports_wanted(settings, &wanted, error) == -1 || ports_bind(&wanted, dropped, &notes, error) == -1) {
		ports_close(&wanted);
		buffer_free(&notes);
		return -1;
	}
	for (char *line = notes.data, *end; notes.length > 0 && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		log_event(LOG_NOTE, line);
	}
	buffer_free(&notes);
	for (size_t i = 0; i < dropped->count; i++)
		supervisor_unlisten_all(&service->supervisor, dropped->list[i].purpose, dropped->list[i].address);
	ports_close(dropped);
	service->ports = wanted;
	for (size_t i = 0; i < wanted.count; i++) {
		const struct port *port = &wanted.list[i];

		if (!port->fresh)
			continue;
		if (service->running)
			log_event(LOG_LISTENING, port->address, ports_purpose_name(port->purpose));
		supervisor_listen_all(&service->supervisor, port->purpose, port->address, port->socket);
	}
	return 0;
}

static void
give_sockets(void *context, struct process *process)
{
	struct service *service = context;

	for (size_t i = 0; i < service->ports.count; i++)
		supervisor_listen(process, service->ports.list[i].purpose, service->ports.list[i].address,
		    service->ports.list[i].socket);
}

/* ---- commands ---- */

static void
begin_stop(struct service *service, const char *reason)
{
	if (!service->stopping) {
		service->stopping = true;
		log_event(LOG_SERVICE_STOPPING, reason);
		notify_stopping();
		for (size_t i = 0; i < service->ports.count; i++)
			supervisor_unlisten_all(&service->supervisor, service->ports.list[i].purpose,
			    service->ports.list[i].address);
		ports_close(&service->ports);
	}
	supervisor_stop(&service->supervisor, (unsigned)service->settings->matador.drain_timeout.number);
}

static void ask_workers(struct service *service);

static void
answers_poll(int file UNUSED, short events UNUSED, void *context)
{
	static const struct timeval again = { .tv_usec = STATUS_POLL_MS * 1000 };
	struct service *service = context;

	service->status_waited_ms += STATUS_POLL_MS;
	if (supervisor_awaits_status(&service->supervisor) && service->status_waited_ms < STATUS_WAIT_MS) {
		event_add(service->status_timer, &again);
		return;
	}
	for (size_t i = 0; i < service->awaiting_asked; i++)
		service->awaiting[i].finish(service, service->awaiting[i].caller);
	service->awaiting_count -= service->awaiting_asked;
	memmove(service->awaiting, service->awaiting + service->awaiting_asked,
	    service->awaiting_count * sizeof(*service->awaiting));
	service->awaiting_asked = 0;
	if (service->awaiting_count > 0)
		ask_workers(service);
}

/* For all who wait. */
static void
ask_workers(struct service *service)
{
	service->awaiting_asked = service->awaiting_count;
	service->status_waited_ms = 0;
	supervisor_ask_status(&service->supervisor);
	answers_poll(-1, 0, service);
}

/* Calls finish when every worker has told its status, and so has taken what it was sent before; or after a while. */
static void
await_workers(struct service *service, struct control_caller *caller,
    void (*finish)(struct service *service, struct control_caller *caller))
{
	if (service->awaiting_count == ARRAY_COUNT(service->awaiting) || service->stopping) {
		finish(service, caller);
		return;
	}
	service->awaiting[service->awaiting_count++] = (struct awaiting){ caller, finish };
	if (service->awaiting_asked == 0)
		ask_workers(service);
}

static void
command_stop(struct service *service, struct control_caller *caller)
{
	if (service->stop_caller != NULL) {
		control_finish(caller, EX_TEMPFAIL, "the service is being stopped by another command", -1);
		return;
	}
	service->stop_caller = caller;
	begin_stop(service, "matador stop");
}

static void
command_connect(struct service *service, struct control_caller *caller, const char *argument)
{
	static const struct {
		enum role role;
		const struct ipc_protocol *protocol;
	} programs[] = { { ROLE_QMGR, &queue_protocol }, { ROLE_ROUTER, &route_protocol },
		{ ROLE_SMTPD, &inspection_protocol } };
	struct error error = ERROR_INITIALIZER;

	for (size_t i = 0; i < ARRAY_COUNT(programs); i++) {
		int socket;

		if (strcmp(argument, role_rows[programs[i].role].name) != 0)
			continue;
		socket = supervisor_connect(&service->supervisor, programs[i].role, programs[i].protocol, &error);
		control_finish(caller, socket == -1 ? EX_TEMPFAIL : EX_OK, error.text, socket);
		if (socket != -1)
			close(socket);
		return;
	}
	control_finish(caller, EX_USAGE, "connect: there is no such program", -1);
}

static void
finish_reload(struct service *service UNUSED, struct control_caller *caller)
{
	control_finish(caller, EX_OK, "", -1);
}

/* The caller hears of success when the settings are in force everywhere: mail that comes next finds the new documents. */
static void
command_reload(struct service *service, struct control_caller *caller)
{
	struct buffer text = BUFFER_INITIALIZER(1 << 20);
	int status;

	if (service->stopping) {
		control_finish(caller, EX_TEMPFAIL, "the service is being stopped", -1);
		return;
	}
	status = service_reload(service, &text);
	/* in lines: there may be more mistakes than fit into one packet */
	for (char *line = text.data, *end; text.length > 0 && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		control_line(caller, line);
	}
	buffer_free(&text);
	if (status == EX_OK)
		await_workers(service, caller, finish_reload);
	else
		control_finish(caller, status, "nothing was changed: the old configuration stays in force", -1);
}

static void
command_arrived(void *context, struct control_caller *caller, const char *command, const char *argument)
{
	struct service *service = context;

	if (strcmp(command, "status") == 0)
		await_workers(service, caller, service_tell_status);
	else if (strcmp(command, "stop") == 0)
		command_stop(service, caller);
	else if (strcmp(command, "reload") == 0)
		command_reload(service, caller);
	else if (strcmp(command, "connect") == 0)
		command_connect(service, caller, argument);
	else
		control_finish(caller, EX_USAGE, "master does not know this command", -1);
}

static void
submission_arrived(void *context, uid_t uid, int socket)
{
	struct service *service = context;

	if (!service->stopping)
		supervisor_pass_client(&service->supervisor, uid, socket);
}

/* ---- events ---- */

static void
reload_by_signal(struct service *service)
{
	struct buffer text = BUFFER_INITIALIZER(1 << 20);

	if (!service->stopping)
		service_reload(service, &text);
	if (service->options.foreground)
		print_lines(&text);
	buffer_free(&text);
}

static void
signal_arrived(int number, short events UNUSED, void *context)
{
	struct service *service = context;
	struct error error = ERROR_INITIALIZER;

	switch (number) {
	case SIGHUP:
		reload_by_signal(service);
		break;
	case SIGUSR1:
		if (installation_make_for_start(service->settings, service->privileged, &error) == -1)
			log_event(LOG_NOTE, error.text);
		own_log_reopen();
		break;
	default:
		begin_stop(service, strsignal(number));
		break;
	}
}

static void
everything_started(void *context)
{
	struct service *service = context;
	bool log_to_stderr = strcmp(service->settings->matador.log_to.text, "stderr") == 0;

	service->running = true;
	for (size_t i = 0; i < service->ports.count; i++)
		log_event(LOG_LISTENING, service->ports.list[i].address, ports_purpose_name(service->ports.list[i].purpose));
	log_event(LOG_SERVICE_STARTED, MATADOR_VERSION, service->options.folder,
	    service->settings->server.title == NULL ? "" : service->settings->server.title);
	for (size_t i = 0; i < service->supervisor.process_count; i++) {
		const struct process *process = &service->supervisor.processes[i];

		if (process->state != PROCESS_READY)
			fprintf(stderr, "master: %s does not start (%s); the rest runs, see the log\n",
			    role_rows[process->role].name, process->last_end);
	}
	notify_ready();
	notify_started(log_to_stderr);
}

static void
everything_stopped(void *context)
{
	struct service *service = context;

	event_base_loopbreak(service->base);
}

/* ---- start and end ---- */

static void
watch_signals(struct service *service)
{
	static const int numbers[ARRAY_COUNT(service->signal_events)] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
		service->signal_events[i] = evsignal_new(service->base, numbers[i], signal_arrived, service);
		event_add(service->signal_events[i], NULL);
	}
}

static int
open_everything(struct service *service)
{
	static const struct supervisor_events supervisor_events = { .started = everything_started,
		.give_sockets = give_sockets, .stopped = everything_stopped };
	static const struct control_events control_events = { .command = command_arrived,
		.submission = submission_arrived };
	const struct document_matador *matador = &service->settings->matador;
	bool hears_workers = !service->options.foreground && strcmp(matador->log_to.text, "stderr") != 0;
	struct error error = ERROR_INITIALIZER;
	struct stat spool;

	if (stat(matador->spool_directory.text, &spool) == -1)
		error_system(&error, errno, "%s", matador->spool_directory.text);
	else if (supervisor_open(&service->supervisor, service->base, service->settings, service->privileged, hears_workers,
	    &supervisor_events, service, &error) == 0 &&
	    service_open_ports(service, service->settings, &error) == 0 &&
	    (service->control = control_open(service->base, matador->control_socket.text, spool.st_uid, &control_events,
	    service, &error)) != NULL)
		return EX_OK;
	fprintf(stderr, "master: %s\n", error.text);
	return EX_UNAVAILABLE;
}

/* The lock and the sockets go before the answer: who waited for the end may start the next master at once. */
static void
close_everything(struct service *service)
{
	if (service->lock != -1)
		close(service->lock);
	if (service->control != NULL)
		control_stop_listening(service->control);
	if (service->stop_caller != NULL)
		control_finish(service->stop_caller, EX_OK, "", -1);
	control_close(&service->control);
	ports_close(&service->ports);
	own_log_disconnect(service->base, false);
	if (service->supervisor.base != NULL)
		supervisor_close(&service->supervisor);
	for (size_t i = 0; i < ARRAY_COUNT(service->signal_events); i++)
		if (service->signal_events[i] != NULL)
			event_free(service->signal_events[i]);
	if (service->status_timer != NULL)
		event_free(service->status_timer);
	if (service->base != NULL)
		event_base_free(service->base);
	settings_release(&service->settings);
}

int
service_run(const struct service_options *options)
{
	struct service service = { .options = *options, .privileged = geteuid() == 0, .lock = -1,
		.started_ms = clock_monotonic_ms() };
	int status = read_documents(&service);

	if (status == EX_OK)
		status = check_installation(&service);
	if (status == EX_OK)
		status = take_lock(&service);
	if (status == EX_OK && !options->foreground && notify_daemonise() == -1) {
		fprintf(stderr, "master: going into the background: %s\n", strerror(errno));
		status = EX_OSERR;
	}
	if (status == EX_OK) {
		write_lock(&service);
		raise_limits(&service);
		service.base = event_base_new();
		service.status_timer = evtimer_new(service.base, answers_poll, &service);
		watch_signals(&service);
		status = open_everything(&service);
	}
	if (status == EX_OK) {
		supervisor_start(&service.supervisor);
		event_base_dispatch(service.base);
	}
	close_everything(&service);
	return status;
}
