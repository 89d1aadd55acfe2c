/*
 * logger - takes the events of all programs and writes them to syslog, standard error or a file
 *
 * SECURITY: every other program can send here, the ones that talk to the network included, and what they send may be
 * chosen by an attacker. Events are numbers of a table with plain values; names and line ends are made here, values are
 * quoted and escaped, so that no line can be forged. logger can write in the folder of the log file and nowhere else,
 * reads nothing, and has no network but syslog's local socket. Nobody waits for it: a log that cannot be written loses
 * events, which are counted, never mail.
 */
#include <event2/event.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/conf/settings.h"
#include "common/ipc/log.h"
#include "common/worker/worker.h"
#include "master/logger/output.h"
#include "master/logger/peer.h"

#define SYSLOG_SOCKET "/dev/log"
#define LAST_TURNS 100		/* of the event loop, for what the other programs sent before they left */

static struct peers peers;

static unsigned
facility_number(int64_t facility)
{
	if (facility >= SYSLOG_FACILITY_LOCAL0 && facility <= SYSLOG_FACILITY_LOCAL7)
		return 16 + (unsigned)(facility - SYSLOG_FACILITY_LOCAL0);
	return facility == SYSLOG_FACILITY_DAEMON ? 3 : 2;
}

static struct output_options
options_of(const struct settings *settings)
{
	return (struct output_options){
		.to = settings->matador.log_to.text,
		.socket = SYSLOG_SOCKET,
		.json = settings->matador.log_format.number == LOG_FORMAT_JSON,
		.facility = facility_number(settings->matador.syslog_facility.number),
	};
}

static void
log_own_event(enum log_event_number event, int64_t wall_ms, const char *const *values, unsigned count)
{
	output_event(peers.output, "logger", (uint32_t)getpid(), wall_ms, event, values, count);
}

static void
logger_after_jail(struct worker *worker)
{
	struct output_options options = options_of(worker_settings(worker));

	peers.base = worker_event_base(worker);
	peers.output = output_new(peers.base, &options);
	log_set_sink(log_own_event);
}

static void
logger_reloaded(struct worker *worker)
{
	struct output_options options = options_of(worker_settings(worker));

	output_configure(peers.output, &options);
}

static void
logger_introduced(UNUSED struct worker *worker, enum role peer, UNUSED unsigned instance,
    const struct ipc_protocol *protocol, enum ipc_side side, int socket)
{
	if (protocol != &log_protocol || side != IPC_SERVES) {
		close(socket);
		return;
	}
	peer_open(&peers, peer, socket);
}

static void
logger_status(UNUSED struct worker *worker, struct buffer *lines)
{
	const char *failure = output_failure(peers.output);

	buffer_printf(lines, "events=%llu\ndropped=%llu\n", (unsigned long long)peers.events,
	    (unsigned long long)output_dropped(peers.output));
	if (*failure != '\0')
		buffer_printf(lines, "failure=%s\n", failure);
}

static void
logger_leaving(UNUSED struct worker *worker)
{
	uint64_t before;
	int turns = 0;

	do {
		before = peers.events;
		event_base_loop(peers.base, EVLOOP_NONBLOCK);
	} while (peers.events != before && ++turns < LAST_TURNS);
	log_set_sink(NULL);
	peers_free(&peers);
	output_free(&peers.output);
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_LOGGER,
		.after_jail = logger_after_jail,
		.reloaded = logger_reloaded,
		.introduced = logger_introduced,
		.status = logger_status,
		.leaving = logger_leaving,
	};

	return worker_run(argc, argv, &hooks, NULL);
}
