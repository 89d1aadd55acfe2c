/*
 * router - decides for each recipient what it is and where it goes, and writes reports
 *
 * qmgr asks about one recipient at a time; the Directory is asked in turn. `matador explain` asks the same, as a dry
 * run, over a pair that master made for it. Failures, delays and requested confirmations become delivery status
 * notifications here, which qmgr stores.
 *
 * SECURITY: reads what strangers wrote: addresses, and the header of a message that is reported about. It runs as
 * a user of its own in an empty root, without network and without files (the texts of failure_texts_from =
 * text_file are read before the jail). A report is made so that nothing foreign leaves its line or its part
 * (router/report.c). What it decides from it has from the settings and from directory; qmgr, directory and
 * resolver are not believed beyond their protocols.
 */
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/ipc/route.h"
#include "common/log/log.h"
#include "common/worker/worker.h"
#include "router/directory_client.h"
#include "router/failure_text.h"
#include "router/hosts_client.h"
#include "router/reporting.h"
#include "router/routing.h"
#include "router/rules.h"

#define COMMANDS_MAX 64	/* control commands at a time */

/* qmgr, or a control command that master introduced. */
struct asker {
	LIST_ENTRY(asker) entries;
	struct program *program;
	bool is_qmgr;
	struct channel *channel;
};

struct program {
	struct worker *worker;
	struct rules *rules;
	struct directory_client *directory;
	struct hosts_client *hosts;
	struct routings *routings;
	struct reportings *reportings;	/* only qmgr's */
	LIST_HEAD(, asker) askers;	/* at most one of them is qmgr */
	size_t commands;
};

static void
log_local_domain(void *context UNUSED, const char *domain, const char *from)
{
	log_event(LOG_LOCAL_DOMAIN, domain, from);
}

static void
use_settings(struct program *program)
{
	rules_release(&program->rules);
	program->rules = rules_new(worker_settings(program->worker));
	local_domains_each(program->rules->local_domains, log_local_domain, NULL);
}

static void
forget(struct asker *asker)
{
	struct program *program = asker->program;

	routings_forget(program->routings, asker->channel);
	if (asker->is_qmgr)
		reportings_forget(program->reportings);
	else
		program->commands--;
	LIST_REMOVE(asker, entries);
	channel_free(&asker->channel);
	free(asker);
}

static void
forget_all(struct program *program, bool only_qmgr)
{
	struct asker *asker, *next;

	for (asker = LIST_FIRST(&program->askers); asker != NULL; asker = next) {
		next = LIST_NEXT(asker, entries);
		if (asker->is_qmgr || !only_qmgr)
			forget(asker);
	}
}

static void
end(struct asker *asker, const char *reason)
{
	/* a control command comes and goes */
	if (asker->is_qmgr)
		log_peer_lost("qmgr", reason);
	forget(asker);
}

static void
take_request(void *context, struct channel *channel, const struct route_request *message)
{
	struct asker *asker = context;

	routings_start(asker->program->routings, channel, asker->program->rules, message);
}

static void
take_report(void *context, struct channel *channel, const struct report_begin *message)
{
	struct asker *asker = context;

	if (!reportings_begin(asker->program->reportings, channel, asker->program->rules, message))
		end(asker, "it began a report that cannot be");
}

static void
take_more(void *context, struct channel *channel UNUSED, const struct report_more *message)
{
	struct asker *asker = context;

	if (!reportings_more(asker->program->reportings, message))
		end(asker, "it sent more of a report than it had announced");
}

static void
asker_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	end(context, reason);
}

static void
asker_ready(void *context, struct channel *channel UNUSED)
{
	struct asker *asker = context;
	struct program *program = asker->program;

	routings_ready(program->routings);
	if (asker->is_qmgr)
		reportings_ready(program->reportings);
}

static void
introduce_asker(struct program *program, bool is_qmgr, enum ipc_side side, int socket)
{
	static const struct route_handlers for_qmgr = { .route_request = take_request, .report_begin = take_report,
		.report_more = take_more };
	static const struct route_handlers for_command = { .route_request = take_request };
	static const struct channel_events events = { .closed = asker_closed, .ready = asker_ready };
	struct asker *asker;

	if (!is_qmgr && program->commands == COMMANDS_MAX) {
		close(socket);
		return;
	}
	if (is_qmgr)
		forget_all(program, true);
	else
		program->commands++;
	asker = memory_new(1, sizeof(*asker));
	asker->program = program;
	asker->is_qmgr = is_qmgr;
	LIST_INSERT_HEAD(&program->askers, asker, entries);
	asker->channel = channel_open(worker_event_base(program->worker), socket, &route_protocol, side,
	    is_qmgr ? &for_qmgr : &for_command, &events, asker);
}

static void
router_before_jail(struct worker *worker)
{
	failure_text_read_files(worker_settings(worker));
}

static void
router_after_jail(struct worker *worker)
{
	struct program *program = worker_context(worker);

	program->worker = worker;
	program->directory = directory_client_new(worker_event_base(worker));
	program->hosts = hosts_client_new(worker_event_base(worker));
	program->routings = routings_new(program->directory, program->hosts);
	program->reportings = reportings_new();
	use_settings(program);
}

static void
router_reloaded(struct worker *worker)
{
	use_settings(worker_context(worker));
}

static void
router_introduced(struct worker *worker, enum role peer, unsigned instance UNUSED,
    const struct ipc_protocol *protocol UNUSED, enum ipc_side side, int socket)
{
	struct program *program = worker_context(worker);

	if (peer == ROLE_QMGR || peer == ROLE_CONTROL)
		introduce_asker(program, peer == ROLE_QMGR, side, socket);
	else if (peer == ROLE_DIRECTORY)
		directory_client_introduce(program->directory, side, socket);
	else if (peer == ROLE_RESOLVER)
		hosts_client_introduce(program->hosts, side, socket);
	else
		worker_fatal(worker, "introduced to %s, which router does not know", role_rows[peer].name);
}

static void
router_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	buffer_printf(lines, "recipients=%zu\nreports=%zu\nquestions=%zu\n", routings_count(program->routings),
	    reportings_count(program->reportings), directory_client_open_questions(program->directory) +
	    hosts_client_open_questions(program->hosts));
}

static void
router_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	forget_all(program, false);
	reportings_free(&program->reportings);
	routings_free(&program->routings);
	directory_client_free(&program->directory);
	hosts_client_free(&program->hosts);
	rules_release(&program->rules);
	failure_text_forget_files();
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_ROUTER,
		.before_jail = router_before_jail,
		.after_jail = router_after_jail,
		.reloaded = router_reloaded,
		.introduced = router_introduced,
		.status = router_status,
		.leaving = router_leaving,
	};
	static struct program program;

	return worker_run(argc, argv, &hooks, &program);
}
