/*
 * worker - see worker.h
 *
 * Owns:  the pair to master, the settings in force, the channel to logger.
 * Order: what master sends before worker_begin is kept in the order of its arrival and told to the program behind the jail.
 */
#include "common/worker/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/conf/settings.h"
#include "common/ipc/log.h"
#include "common/ipc/worker.h"
#include "common/log/log.h"
#include "common/worker/jail.h"

#define STATUS_LINES_MAX 8192
#define LOG_LINGER_MS 20	/* events wait for others to travel with */
#define DRAIN_GRACE_MS 1000	/* behind the deadline, for a program that overlooks it */

/* A socket that came before worker_begin. */
struct arrival {
	STAILQ_ENTRY(arrival) next;
	int socket;
	const struct ipc_protocol *protocol;	/* NULL: a listening socket */
	enum role peer;
	unsigned instance;
	enum ipc_side side;
	enum listen_purpose purpose;
	char address[65];
};

struct worker {
	const struct worker_hooks *hooks;
	void *context;
	struct event_base *base;
	struct channel *master;
	struct channel *log;
	const struct settings *settings;
	struct jail jail;
	char root[PATH_MAX];
	char path[PATH_MAX];
	unsigned instance;
	bool jailed;
	bool begun;
	bool leaving;
	struct event *drain_timer;
	STAILQ_HEAD(, arrival) arrivals;
};

struct event_base *
worker_event_base(struct worker *worker)
{
	return worker->base;
}

void *
worker_context(struct worker *worker)
{
	return worker->context;
}

unsigned
worker_instance(const struct worker *worker)
{
	return worker->instance;
}

const struct settings *
worker_settings(const struct worker *worker)
{
	return worker->settings;
}

const char *
worker_path(struct worker *worker, const char *name)
{
	bool from_root = worker->jailed && jail_changes_root(&worker->jail);

	if (snprintf(worker->path, sizeof(worker->path), "%s/%s", from_root ? "" : worker->root, name) >=
	    (int)sizeof(worker->path))
		worker_fatal(worker, "the path of %s is too long", name);
	return worker->path;
}

void
worker_fatal(struct worker *worker, const char *format, ...)
{
	va_list arguments;
	char reason[1024];

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	log_event(LOG_FATAL, reason);
	if (worker->log != NULL)
		channel_flush(worker->log);
	fflush(NULL);
	_exit(EX_UNAVAILABLE);
}

/* ---- leaving ---------------------------------------------------------------------------------- */

static void
leave(struct worker *worker)
{
	if (worker->leaving)
		return;
	worker->leaving = true;
	/* At the end of this turn: what the program queued on its channels still leaves. */
	event_base_loopexit(worker->base, NULL);
}

void
worker_drained(struct worker *worker)
{
	if (worker->leaving)
		return;
	send_worker_drained(worker->master, &(struct worker_drained){ });
	leave(worker);
}

static void
drain_timer_cb(UNUSED evutil_socket_t socket, UNUSED short what, void *argument)
{
	worker_drained(argument);
}

static void
on_drain(void *context, UNUSED struct channel *channel, const struct worker_drain *message)
{
	struct worker *worker = context;
	int64_t milliseconds = (int64_t)message->seconds * 1000;
	struct timeval limit = deadline_timeval(deadline_after_ms(milliseconds + DRAIN_GRACE_MS));

	if (worker->hooks->drain == NULL || !worker->begun) {
		worker_drained(worker);
		return;
	}
	event_add(worker->drain_timer, &limit);
	worker->hooks->drain(worker, deadline_after_ms(milliseconds));
}

/* ---- the channel to logger -------------------------------------------------------------------- */

static void
log_closed(void *context, struct channel *channel, UNUSED const char *reason)
{
	struct worker *worker = context;

	log_set_channel(NULL);
	worker->log = NULL;
	channel_free(&channel);
}

static void
open_log(struct worker *worker, int socket)
{
	static const struct log_handlers none;
	static const struct channel_events events = { .closed = log_closed };

	log_set_channel(NULL);
	channel_free(&worker->log);
	worker->log = channel_open(worker->base, socket, &log_protocol, IPC_ASKS, &none, &events, worker);
	channel_set_linger(worker->log, LOG_LINGER_MS);
	log_set_channel(worker->log);
}

/* ---- what master sends ------------------------------------------------------------------------ */

static void
on_jail(void *context, UNUSED struct channel *channel, const struct worker_jail *message)
{
	struct worker *worker = context;

	if (worker->begun || message->root[0] != '/')
		worker_fatal(worker, "master sent a jail that cannot be entered: %s", message->root);
	snprintf(worker->root, sizeof(worker->root), "%s", message->root);
	worker->jail = (struct jail){ .role = worker->hooks->role, .root = worker->root,
		.privileged = message->privileged != 0, .uid = message->uid, .gid = message->gid,
		.open_files = message->open_files, .file_size = message->file_size };
}

static void
apply_log_level(const struct settings *settings)
{
	static const enum log_severity least[] = {
		[MAIL_LOGGING_LEVEL_MINIMAL] = LOG_SEVERITY_WARNING,
		[MAIL_LOGGING_LEVEL_NORMAL] = LOG_SEVERITY_INFO,
		[MAIL_LOGGING_LEVEL_INFORMATIONAL] = LOG_SEVERITY_INFO,
		[MAIL_LOGGING_LEVEL_VERBOSE] = LOG_SEVERITY_DEBUG,
	};
	int64_t level = settings->configuration.mail_logging_level.number;

	if (level >= 0 && level < (int64_t)ARRAY_COUNT(least))
		log_set_level(least[level]);
}

static void
on_settings(void *context, UNUSED struct channel *channel, const struct worker_settings *message)
{
	struct worker *worker = context;
	struct error error = ERROR_INITIALIZER;
	const struct settings *fresh, *old = worker->settings;

	if (message->file < 0) {
		error_set(&error, ERROR_LIMIT, "the settings came without their file: out of descriptors?");
		fresh = NULL;
	} else {
		fresh = settings_unseal(message->file, &error);
		close(message->file);
	}
	/* Sessions in progress are worth more than a reload. */
	if (fresh == NULL && worker->begun) {
		error_prefix(&error, "the old settings of %s stay in force", role_rows[worker->hooks->role].name);
		log_event(LOG_NOTE, error.text);
		return;
	}
	if (fresh == NULL)
		worker_fatal(worker, "cannot read the settings from master: %s", error.text);
	worker->settings = fresh;
	apply_log_level(fresh);
	if (worker->begun && worker->hooks->reloaded != NULL)
		worker->hooks->reloaded(worker);
	if (old != NULL)
		settings_release(&old);
}

static void
on_file(void *context, UNUSED struct channel *channel, const struct worker_file *message)
{
	struct worker *worker = context;

	if (message->file >= 0 && worker->hooks->file != NULL)
		worker->hooks->file(worker, message->name, message->file);
	else if (message->file >= 0)
		close(message->file);
}

static void
tell_arrival(struct worker *worker, const struct arrival *arrival)
{
	const struct worker_hooks *hooks = worker->hooks;

	if (arrival->protocol != NULL)
		hooks->introduced(worker, arrival->peer, arrival->instance, arrival->protocol, arrival->side,
		    arrival->socket);
	else if (hooks->listen != NULL)
		hooks->listen(worker, arrival->purpose, arrival->address, arrival->socket);
	else
		close(arrival->socket);
}

static void
take_arrival(struct worker *worker, const struct arrival *arrival)
{
	struct arrival *kept;

	if (worker->begun) {
		tell_arrival(worker, arrival);
		return;
	}
	kept = memory_copy(arrival, sizeof(*arrival));
	STAILQ_INSERT_TAIL(&worker->arrivals, kept, next);
}

static void
on_introduce(void *context, UNUSED struct channel *channel, const struct worker_introduce *message)
{
	struct worker *worker = context;
	const struct ipc_protocol *protocol = ipc_protocol_by_name(message->protocol);

	if (message->socket < 0)
		worker_fatal(worker, "an introduction came without its socket: out of descriptors?");
	if (protocol == NULL || message->peer >= ROLE_COUNT ||
	    (message->side != IPC_ASKS && message->side != IPC_SERVES))
		worker_fatal(worker, "master introduced a peer of an unknown kind (%s)", message->protocol);
	if (protocol == &log_protocol && message->side == IPC_ASKS)
		open_log(worker, message->socket);
	else if (worker->hooks->introduced == NULL)
		close(message->socket);
	else
		take_arrival(worker, &(struct arrival){ .socket = message->socket, .protocol = protocol,
			.peer = (enum role)message->peer, .instance = message->instance,
			.side = (enum ipc_side)message->side });
}

static void
on_listen(void *context, UNUSED struct channel *channel, const struct worker_listen *message)
{
	struct arrival arrival = { .socket = message->socket, .purpose = (enum listen_purpose)message->purpose };

	if (message->socket < 0)
		worker_fatal(context, "a listening socket came without its descriptor: out of descriptors?");
	snprintf(arrival.address, sizeof(arrival.address), "%s", message->address);
	evutil_make_socket_nonblocking(arrival.socket);
	take_arrival(context, &arrival);
}

static void
drop_waiting_listener(struct worker *worker, enum listen_purpose purpose, const char *address)
{
	struct arrival *arrival, *following;

	STAILQ_FOREACH_SAFE(arrival, &worker->arrivals, next, following) {
		if (arrival->protocol != NULL || arrival->purpose != purpose || strcmp(arrival->address, address) != 0)
			continue;
		STAILQ_REMOVE(&worker->arrivals, arrival, arrival, next);
		close(arrival->socket);
		free(arrival);
	}
}

static void
on_unlisten(void *context, UNUSED struct channel *channel, const struct worker_unlisten *message)
{
	struct worker *worker = context;

	if (!worker->begun)
		drop_waiting_listener(worker, (enum listen_purpose)message->purpose, message->address);
	else if (worker->hooks->unlisten != NULL)
		worker->hooks->unlisten(worker, (enum listen_purpose)message->purpose, message->address);
}

static void
on_client(void *context, UNUSED struct channel *channel, const struct worker_client *message)
{
	struct worker *worker = context;

	if (message->socket < 0)
		return;
	if (worker->begun && worker->hooks->client != NULL)
		worker->hooks->client(worker, message->uid, message->socket);
	else
		close(message->socket);
}

static void
on_begin(void *context, UNUSED struct channel *channel, UNUSED const struct worker_begin *message)
{
	struct worker *worker = context;
	struct error error = ERROR_INITIALIZER;
	struct arrival *arrival;
	const char *how;

	if (worker->begun || worker->settings == NULL || worker->root[0] == '\0')
		worker_fatal(worker, "master began a worker twice, or without settings or jail");
	/* The time zone's file is out of sight later. */
	tzset();
	if (worker->hooks->before_jail != NULL)
		worker->hooks->before_jail(worker);
	if (jail_enter(&worker->jail, &how, &error) < 0)
		worker_fatal(worker, "cannot enter the jail: %s", error.text);
	worker->jailed = true;
	worker->begun = true;
	if (worker->hooks->after_jail != NULL)
		worker->hooks->after_jail(worker);
	while ((arrival = STAILQ_FIRST(&worker->arrivals)) != NULL) {
		STAILQ_REMOVE_HEAD(&worker->arrivals, next);
		tell_arrival(worker, arrival);
		free(arrival);
	}
	log_event(LOG_STARTED, MATADOR_VERSION, how);
	send_worker_ready(worker->master, &(struct worker_ready){ .jail = how });
}

static void
on_status(void *context, struct channel *channel, UNUSED const struct worker_status *message)
{
	struct worker *worker = context;
	struct buffer lines = BUFFER_INITIALIZER(STATUS_LINES_MAX);
	struct worker_status_answer answer;

	if (worker->begun && worker->hooks->status != NULL)
		worker->hooks->status(worker, &lines);
	answer.lines = (struct bytes){ lines.data, lines.length };
	send_worker_status_answer(channel, &answer);
	buffer_free(&lines);
}

static void
master_closed(void *context, UNUSED struct channel *channel, UNUSED const char *reason)
{
	leave(context);
}

static const struct worker_handlers master_handlers = {
	.worker_jail = on_jail,
	.worker_file = on_file,
	.worker_settings = on_settings,
	.worker_introduce = on_introduce,
	.worker_listen = on_listen,
	.worker_unlisten = on_unlisten,
	.worker_client = on_client,
	.worker_begin = on_begin,
	.worker_drain = on_drain,
	.worker_status = on_status,
};
static const struct channel_events master_events = { .closed = master_closed };

/* ---- the run ---------------------------------------------------------------------------------- */

/* master rules by the pair alone: what the terminal or a group signal sends is for it. */
static void
ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGXFSZ };
	size_t i;

	for (i = 0; i < ARRAY_COUNT(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

/*
 * Who is woken by a peer's packet or a client's command does not interrupt whoever runs: on a busy machine each then finds
 * more to do at once, which halves the context switches of a message. On an idle one another CPU takes it at once.
 */
static void
yield_to_the_running(void)
{
	sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
}

static void *
allocate(size_t size)
{
	return memory_resize(NULL, 1, size);
}

static void *
reallocate(void *memory, size_t size)
{
	return memory_resize(memory, 1, size);
}

/* For libevent too a failed allocation is an exit, and no NULL that somebody would have to look for. */
static void
guard_event_loop(void)
{
	event_set_mem_functions(allocate, reallocate, free);
}

static bool
parse_instance(int argc, char **argv, unsigned *instance_out)
{
	char *end;
	unsigned long number;

	if (argc != 2 || argv[1][0] < '0' || argv[1][0] > '9')
		return false;
	number = strtoul(argv[1], &end, 10);
	*instance_out = (unsigned)number;
	return *end == '\0' && number <= UINT16_MAX;
}

static bool
is_seqpacket(int descriptor)
{
	int type = 0;
	socklen_t length = sizeof(type);

	return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

static void
clean_up(struct worker *worker)
{
	struct arrival *arrival;

	if (worker->begun && worker->hooks->leaving != NULL)
		worker->hooks->leaving(worker);
	while ((arrival = STAILQ_FIRST(&worker->arrivals)) != NULL) {
		STAILQ_REMOVE_HEAD(&worker->arrivals, next);
		close(arrival->socket);
		free(arrival);
	}
	if (worker->log != NULL)
		channel_flush(worker->log);
	log_set_channel(NULL);
	channel_free(&worker->log);
	channel_flush(worker->master);
	channel_free(&worker->master);
	event_free(worker->drain_timer);
	event_base_free(worker->base);
	if (worker->settings != NULL)
		settings_release(&worker->settings);
}

int
worker_run(int argc, char **argv, const struct worker_hooks *hooks, void *context)
{
	struct worker worker = { .hooks = hooks, .context = context };

	setproctitle_init(argc, argv, environ);
	log_open(role_rows[hooks->role].name);
	if (!parse_instance(argc, argv, &worker.instance) || !is_seqpacket(WORKER_PAIR_DESCRIPTOR)) {
		fprintf(stderr, "%s is started by Matador's master, not by hand; see master(8)\n",
		    role_rows[hooks->role].name);
		return EX_USAGE;
	}
	setproctitle("%u", worker.instance);
	ignore_signals();
	yield_to_the_running();
	memory_keep_freed();
	guard_event_loop();
	STAILQ_INIT(&worker.arrivals);
	worker.base = event_base_new();
	if (worker.base == NULL)
		worker_fatal(&worker, "cannot make an event loop: %s", strerror(errno));
	worker.drain_timer = evtimer_new(worker.base, drain_timer_cb, &worker);
	worker.master = channel_open(worker.base, WORKER_PAIR_DESCRIPTOR, &worker_protocol, IPC_SERVES,
	    &master_handlers, &master_events, &worker);
	event_base_dispatch(worker.base);
	clean_up(&worker);
	return EX_OK;
}
