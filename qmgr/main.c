/*
 * qmgr - owns MAIL.BOX: stores, schedules, retries, expires
 *
 * SECURITY
 *   It talks to no network. The only files it can open are those of MAIL.BOX, its root after the jail. What it knows of the
 *   outside are octets from smtpd (hostile clients wrote them): envelopes are decoded with bounds and their states set
 *   anew, contents are never looked into but for the end of the header. Answers of router, results of smtp and local
 *   and requests of the control command are checked against what was asked; a malformed packet costs the peer its channel, and
 *   nothing that a peer says ends this process. Its own lock on the spool keeps a second qmgr out.
 */
#include <string.h>

#include "common/conf/settings.h"
#include "common/log/log.h"
#include "common/worker/worker.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

static void
store_accepting(void *context, bool accepting, const char *text)
{
	deposit_store_accepts(context, accepting, text);
}

static void
drained(void *context)
{
	worker_drained(context);
}

static void
exhausted(void *context, const char *reason)
{
	worker_fatal(context, "%s", reason);
}

static void
log_opened(const struct store_summary *summary)
{
	log_event(LOG_QUEUE_OPENED, log_number((int64_t)summary->messages), log_number((int64_t)summary->messages),
	    log_number((int64_t)summary->segments), log_number((int64_t)summary->replayed),
	    log_number((int64_t)summary->epoch));
}

static void
after_jail(struct worker *worker)
{
	static const struct store_events events = { .accepting = store_accepting };
	struct qmgr *qmgr = worker_context(worker);
	const struct settings *settings = worker_settings(worker);
	struct store_options options = {
		.folder = worker_path(worker, ""),
		.segment_size = (uint64_t)settings->matador.journal_segment_size.number,
		.disk_reserve_percent = (unsigned)settings->matador.disk_reserve_percent.number,
		.commit_bytes_limit = (uint64_t)settings->matador.deposit_memory_limit.number,
	};
	struct store_summary summary;
	struct error error = ERROR_INITIALIZER;
	struct store *store;

	limits_read(&qmgr->limits, settings);
	if (store_open(&options, worker_event_base(worker), &events, qmgr, &store, &summary, &error) != 0)
		worker_fatal(worker, "MAIL.BOX: %s", error.text);
	log_opened(&summary);
	qmgr->context = worker;
	qmgr->drained = drained;
	qmgr->exhausted = exhausted;
	qmgr_start(qmgr, worker_event_base(worker), store, &summary);
}

static void
reloaded(struct worker *worker)
{
	struct limits limits;

	limits_read(&limits, worker_settings(worker));
	qmgr_reloaded(worker_context(worker), &limits);
}

static void
introduced(struct worker *worker, enum role peer, unsigned instance, UNUSED const struct ipc_protocol *protocol,
    enum ipc_side side, int socket)
{
	struct qmgr *qmgr = worker_context(worker);

	switch (peer) {
	case ROLE_SMTPD:
		deposit_introduced(qmgr, instance, side, socket);
		break;
	case ROLE_ROUTER:
		routing_introduced(qmgr, side, socket);
		break;
	case ROLE_SMTP:
	case ROLE_LOCAL:
		deliver_introduced(qmgr, peer, instance, side, socket);
		break;
	default:
		control_introduced(qmgr, side, socket);
		break;
	}
}

static void
drain(struct worker *worker, UNUSED deadline_t deadline)
{
	qmgr_drain(worker_context(worker));
}

static void
status(struct worker *worker, struct buffer *lines)
{
	qmgr_status(worker_context(worker), lines);
}

static void
leaving(struct worker *worker)
{
	struct qmgr *qmgr = worker_context(worker);

	if (qmgr->store == NULL)
		return;
	qmgr->leaving = true;
	qmgr_save_clock(qmgr);
	store_close(&qmgr->store);
	qmgr_end(qmgr);
}

int
main(int argc, char **argv)
{
	static struct qmgr qmgr;
	static const struct worker_hooks hooks = {
		.role = ROLE_QMGR,
		.after_jail = after_jail,
		.reloaded = reloaded,
		.introduced = introduced,
		.drain = drain,
		.status = status,
		.leaving = leaving,
	};

	qmgr.boot = clock_boot_number();
	return worker_run(argc, argv, &hooks, &qmgr);
}
