/*
 * router - decides for each recipient what it is and where it goes, and writes reports
 *
 * qmgr asks about one recipient at a time; the Directory is asked in turn. Failures, delays and requested
 * confirmations become delivery status notifications here, which qmgr stores.
 *
 * SECURITY: reads what strangers wrote: addresses, and the header of a message that is reported about. It runs as
 * a user of its own in an empty root, without network and without files (the texts of failure_texts_from =
 * text_file are read before the jail). A report is made so that nothing foreign leaves its line or its part
 * (router/report.c). What it decides from it has from the settings and from directory; qmgr and directory are not
 * believed beyond their protocols.
 */
#include "common/ipc/dns.h"
#include "common/ipc/route.h"
#include "common/log/log.h"
#include "common/worker/worker.h"
#include "router/directory_client.h"
#include "router/failure_text.h"
#include "router/reporting.h"
#include "router/routing.h"
#include "router/rules.h"

struct program {
	struct worker *worker;
	struct rules *rules;
	struct directory_client *directory;
	struct routings *routings;
	struct reportings *reportings;
	struct channel *qmgr;		/* NULL while there is none */
	struct channel *resolver;	/* the same; nothing is asked before mail is routed by MX */
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
forget_qmgr(struct program *program)
{
	routings_forget(program->routings);
	reportings_forget(program->reportings);
	channel_free(&program->qmgr);
}

static void
end_qmgr(struct program *program, const char *reason)
{
	log_event(LOG_PEER_LOST, "qmgr", reason);
	forget_qmgr(program);
}

static void
take_request(void *context, struct channel *channel, const struct route_request *message)
{
	struct program *program = context;

	routings_start(program->routings, channel, program->rules, message);
}

static void
take_report(void *context, struct channel *channel, const struct report_begin *message)
{
	struct program *program = context;

	if (!reportings_begin(program->reportings, channel, program->rules, message))
		end_qmgr(program, "it began a report that cannot be");
}

static void
take_more(void *context, struct channel *channel UNUSED, const struct report_more *message)
{
	struct program *program = context;

	if (!reportings_more(program->reportings, message))
		end_qmgr(program, "it sent more of a report than it had announced");
}

static void
qmgr_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	end_qmgr(context, reason);
}

static void
qmgr_ready(void *context, struct channel *channel UNUSED)
{
	struct program *program = context;

	routings_ready(program->routings);
	reportings_ready(program->reportings);
}

static void
introduce_qmgr(struct program *program, enum ipc_side side, int socket)
{
	static const struct route_handlers handlers = { .route_request = take_request, .report_begin = take_report,
		.report_more = take_more };
	static const struct channel_events events = { .closed = qmgr_closed, .ready = qmgr_ready };

	forget_qmgr(program);
	program->qmgr = channel_open(worker_event_base(program->worker), socket, &route_protocol, side, &handlers,
	    &events, program);
}

static void
resolver_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct program *program = context;

	log_event(LOG_PEER_LOST, "resolver", reason);
	channel_free(&program->resolver);
}

static void
introduce_resolver(struct program *program, enum ipc_side side, int socket)
{
	static const struct dns_handlers handlers;
	static const struct channel_events events = { .closed = resolver_closed };

	channel_free(&program->resolver);
	program->resolver = channel_open(worker_event_base(program->worker), socket, &dns_protocol, side,
	    &handlers, &events, program);
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
	program->routings = routings_new(program->directory);
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

	if (peer == ROLE_QMGR)
		introduce_qmgr(program, side, socket);
	else if (peer == ROLE_DIRECTORY)
		directory_client_introduce(program->directory, side, socket);
	else if (peer == ROLE_RESOLVER)
		introduce_resolver(program, side, socket);
	else
		worker_fatal(worker, "introduced to %s, which router does not know", role_rows[peer].name);
}

static void
router_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	buffer_printf(lines, "recipients=%zu\nreports=%zu\nquestions=%zu\n", routings_count(program->routings),
	    reportings_count(program->reportings), directory_client_open_questions(program->directory));
}

static void
router_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	forget_qmgr(program);
	channel_free(&program->resolver);
	reportings_free(&program->reportings);
	routings_free(&program->routings);
	directory_client_free(&program->directory);
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
