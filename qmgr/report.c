/* report - see report.h */
#include "qmgr/report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/ipc/route.h"
#include "common/log/log.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

#define WAIT_MS 20000			/* for the rest of the message to be settled: one report, where it can be */
#define AGAIN_MS 15000			/* after a report that could not be stored */
#define RECIPIENTS_MAX 1000		/* in one report */
#define QUEUED_MAX (128 * 1024)
#define STREAM_MAX (16 * 1024 * 1024)	/* octets to router */
#define REPORT_MAX (16 * 1024 * 1024)	/* octets of a report */

struct report {
	struct hash_node by_job;
	TAILQ_ENTRY(report) all_link;
	TAILQ_ENTRY(report) asking_link;
	struct qmgr *qmgr;
	struct active_message *message;
	uint64_t job;
	enum report_kind kind;
	bool *chosen;			/* owned: flags for the recipients that it is about */
	size_t chosen_count;		/* flags in it: recipients may be added meanwhile */
	struct buffer stream;		/* envelope and header, kept until the answer: router may have to be asked again */
	uint32_t envelope_length;
	size_t sent;
	bool asking;			/* in the list */
	struct buffer received;
	struct envelope envelope;	/* of the report, while it is being stored */
	struct store_content *content;
};

static const char *const kind_names[] = { "failure", "delay", "success" };

static void
report_free(struct report *report)
{
	struct reports *reports = &report->qmgr->reports;

	if (report->asking)
		TAILQ_REMOVE(&reports->asking, report, asking_link);
	if (report->job != 0)
		hash_table_remove(&reports->by_job, &report->by_job);
	TAILQ_REMOVE(&reports->all, report, all_link);
	report->message->report = NULL;
	free(report->chosen);
	buffer_free(&report->stream);
	buffer_free(&report->received);
	envelope_free(&report->envelope);
	if (report->content != NULL)
		store_content_release(&report->content);
	free(report);
}

/* ---- which recipients ---- */

static bool
nobody_is_told(const struct active_message *message)
{
	return message->envelope.is_report || message->envelope.sender[0] == '\0';
}

static bool
is_delayed(const struct envelope_recipient *recipient)
{
	return active_recipient_is_open(recipient) && !recipient->delay_reported &&
	    (recipient->notify == 0 || (recipient->notify & NOTIFY_DELAY) != 0);
}

bool
report_delay_concerns(const struct active_message *message, uint32_t index)
{
	return !nobody_is_told(message) && !message->held && is_delayed(&message->envelope.recipients[index]);
}

bool
report_delay_is_wanted(const struct active_message *message)
{
	size_t i;

	if (message->delay_due)
		return true;
	if (nobody_is_told(message) || message->held)
		return false;
	for (i = 0; i < message->envelope.recipient_count; i++)
		if (is_delayed(&message->envelope.recipients[i]))
			return true;
	return false;
}

static bool
concerns(const struct active_message *message, uint32_t index, enum report_kind kind)
{
	switch (kind) {
	case REPORT_FAILURE:
		return active_phase(message, index) == PHASE_FAILING;
	case REPORT_SUCCESS:
		return active_phase(message, index) == PHASE_SUCCESS;
	default:
		return is_delayed(&message->envelope.recipients[index]);
	}
}

static void
choose(struct report *report)
{
	const struct active_message *message = report->message;
	uint32_t i, count = 0;

	report->chosen_count = message->envelope.recipient_count;
	report->chosen = memory_new(report->chosen_count, sizeof(*report->chosen));
	for (i = 0; i < report->chosen_count && count < RECIPIENTS_MAX; i++) {
		report->chosen[i] = concerns(message, i, report->kind);
		count += report->chosen[i];
	}
}

/* ---- the end of a report ---- */

/* Its recipients are dealt with, on disk or about to be. */
static void
settle_recipients(struct report *report)
{
	struct active_message *message = report->message;
	uint32_t i;

	for (i = 0; i < report->chosen_count; i++) {
		if (!report->chosen[i] || report->kind == REPORT_DELAY)
			continue;
		active_set_phase(message, i, PHASE_IDLE);
		if (report->kind == REPORT_FAILURE)
			message->open--;
	}
	if (report->kind == REPORT_DELAY)
		message->delay_due = false;
}

/* The flags of chosen for a message that may have grown since. */
static bool *
chosen_of_all(const struct report *report)
{
	bool *chosen = memory_new(report->message->envelope.recipient_count, sizeof(*chosen));
	uint32_t i;

	memcpy(chosen, report->chosen, report->chosen_count * sizeof(*chosen));
	/* One that failed since is written with its own report, or not at all. */
	for (i = 0; report->kind == REPORT_DELAY && i < report->chosen_count; i++)
		chosen[i] = chosen[i] && active_phase(report->message, i) != PHASE_FAILING &&
		    active_phase(report->message, i) != PHASE_JOURNALLING;
	return chosen;
}

static void
mark_delay_reported(struct report *report, bool reported)
{
	uint32_t i;

	for (i = 0; report->kind == REPORT_DELAY && i < report->chosen_count; i++)
		if (report->chosen[i])
			report->message->envelope.recipients[i].delay_reported = reported;
}

/* Nobody is to be told: only the states are written. */
static void
finish_without(struct report *report)
{
	struct qmgr *qmgr = report->qmgr;
	struct active_message *message = report->message;
	bool *chosen = chosen_of_all(report);

	mark_delay_reported(report, true);
	settle_recipients(report);
	report_free(report);
	if (message->open > 0 && !message->removed)
		ledger_update(qmgr, message, chosen);
	free(chosen);
	active_settle(qmgr, message);
}

static void
wait_in_line(struct qmgr *qmgr, struct active_message *message, int64_t since)
{
	message->report_wanted = true;
	message->report_since = since;
	TAILQ_INSERT_TAIL(&qmgr->reports.waiting, message, report_link);
	qmgr_want_tick(qmgr);
}

/* Something was wrong with the report or the store: later once more. */
static void
again_later(struct report *report)
{
	struct qmgr *qmgr = report->qmgr;
	struct active_message *message = report->message;

	mark_delay_reported(report, false);
	report_free(report);
	if (message->removed)
		active_settle(qmgr, message);
	else
		wait_in_line(qmgr, message, clock_monotonic_ms() + AGAIN_MS - WAIT_MS);
}

static void
log_report(const struct report *report)
{
	log_event(LOG_REPORT_QUEUED, log_id(report->message->envelope.id), log_id(report->envelope.id),
	    report->envelope.recipients[0].address, kind_names[report->kind]);
}

static void
committed(void *context, const struct error *error)
{
	struct report *report = context;
	struct qmgr *qmgr = report->qmgr;
	struct active_message *message = report->message, *own;

	if (qmgr->leaving)
		return;
	if (error != NULL) {
		message->done_recorded = false;
		again_later(report);
		return;
	}
	log_report(report);
	qmgr->counters.reports++;
	own = active_new(&report->envelope, report->content, PLACE_JOURNAL);
	report->content = NULL;
	settle_recipients(report);
	report_free(report);
	active_settle(qmgr, message);
	active_enter(qmgr, own);
}

/* Whether nothing is left of the message once this report is stored. */
static bool
is_the_end(const struct report *report)
{
	const struct active_message *message = report->message;
	uint32_t chosen = 0, i;

	for (i = 0; i < report->chosen_count; i++)
		chosen += report->chosen[i];
	if (report->kind == REPORT_DELAY || message->removed)
		return false;
	return message->open == (report->kind == REPORT_FAILURE ? chosen : 0) &&
	    message->phase_count[PHASE_SUCCESS] == (report->kind == REPORT_SUCCESS ? chosen : 0) &&
	    message->phase_count[PHASE_JOURNALLING] == 0;
}

static void
store_report(struct report *report)
{
	struct qmgr *qmgr = report->qmgr;
	struct store_batch *batch = store_batch_new(qmgr->store);
	bool *chosen;

	mark_delay_reported(report, true);
	store_batch_add(batch, &report->envelope, report->content, 0, 0);
	if (is_the_end(report)) {
		store_batch_done(batch, report->message->envelope.id);
		report->message->done_recorded = true;
	} else {
		chosen = chosen_of_all(report);
		store_batch_update(batch, &report->message->envelope, chosen);
		free(chosen);
	}
	store_commit(qmgr->store, batch, false, committed, report);
}

/* ---- what router wrote ---- */

void
report_data_arrived(void *context, UNUSED struct channel *channel, const struct report_data *message)
{
	struct qmgr *qmgr = context;
	struct hash_node *node = hash_table_find(&qmgr->reports.by_job, hash_number(message->job));
	struct report *report = node == NULL ? NULL : HASH_CONTAINER(node, struct report, by_job);

	/* What is beyond the limit makes the lengths of the answer wrong. */
	if (report != NULL && report->job == message->job)
		buffer_append(&report->received, message->data.data, message->data.length);
}

static int
take_report(struct report *report, const struct report_answer *answer, struct error *error)
{
	struct qmgr *qmgr = report->qmgr;
	struct envelope *envelope = &report->envelope;
	size_t i;

	if (answer->envelope_length + answer->content_length != report->received.length ||
	    answer->envelope_length > report->received.length)
		return error_set(error, ERROR_INVALID, "the report's lengths do not add up");
	if (envelope_decode(report->received.data, answer->envelope_length, envelope, error) != 0)
		return -1;
	if (envelope->recipient_count == 0)
		return error_set(error, ERROR_INVALID, "the report is for nobody");
	envelope->id = identifiers_next_id(&qmgr->identifiers);
	envelope->is_report = true;
	envelope->arrival_ms = clock_wall_ms();
	for (i = 0; i < envelope->recipient_count; i++)
		envelope->recipients[i].state = RECIPIENT_NEW;
	report->content = store_content_new((size_t)answer->content_length);
	memcpy(report->content->data, report->received.data + answer->envelope_length, (size_t)answer->content_length);
	buffer_free(&report->received);
	return 0;
}

void
report_answered(void *context, UNUSED struct channel *channel, const struct report_answer *message)
{
	struct qmgr *qmgr = context;
	struct hash_node *node = hash_table_find(&qmgr->reports.by_job, hash_number(message->job));
	struct report *report = node == NULL ? NULL : HASH_CONTAINER(node, struct report, by_job);
	struct error error = ERROR_INITIALIZER;

	if (report == NULL || report->job != message->job)
		return;
	if (report->asking) {
		log_event(LOG_NOTE, "router answered before it had all that a report is about");
		again_later(report);
	} else if (!message->wanted) {
		finish_without(report);
	} else if (take_report(report, message, &error) != 0) {
		log_event(LOG_NOTE, error.text);
		again_later(report);
	} else {
		hash_table_remove(&qmgr->reports.by_job, &report->by_job);
		report->job = 0;
		store_report(report);
	}
}

/* ---- asking router ---- */

static bool
send_part(struct qmgr *qmgr, struct report *report)
{
	size_t rest = report->stream.length - report->sent;
	struct bytes data = { report->stream.data + report->sent, rest < IPC_DATA_MAX ? rest : IPC_DATA_MAX };
	bool sent;

	if (report->job == 0) {
		struct report_begin begin = {
			.job = identifiers_next_job(&qmgr->identifiers),
			.message_id = report->message->envelope.id,
			.kind = (uint8_t)report->kind,
			.envelope_length = report->envelope_length,
			.content_length = report->stream.length - report->envelope_length,
			.data = data,
		};

		if (!send_report_begin(qmgr->routing.router, &begin))
			return false;
		report->job = begin.job;
		hash_table_insert(&qmgr->reports.by_job, &report->by_job, hash_number(report->job));
		sent = true;
	} else {
		struct report_more more = { .job = report->job, .data = data };

		sent = send_report_more(qmgr->routing.router, &more);
	}
	report->sent += sent ? data.length : 0;
	return sent;
}

void
report_router_ready(struct qmgr *qmgr)
{
	struct report *report;

	while (qmgr->routing.router != NULL && channel_queued(qmgr->routing.router) < QUEUED_MAX &&
	    (report = TAILQ_FIRST(&qmgr->reports.asking)) != NULL) {
		if (!send_part(qmgr, report))
			return;
		if (report->sent == report->stream.length) {
			report->asking = false;
			TAILQ_REMOVE(&qmgr->reports.asking, report, asking_link);
		}
	}
}

static void
ask(struct report *report)
{
	struct reports *reports = &report->qmgr->reports;

	report->asking = true;
	TAILQ_INSERT_TAIL(&reports->asking, report, asking_link);
	report_router_ready(report->qmgr);
}

void
report_router_lost(struct qmgr *qmgr)
{
	struct report *report;

	TAILQ_FOREACH(report, &qmgr->reports.all, all_link) {
		if (report->job == 0)
			continue;
		hash_table_remove(&qmgr->reports.by_job, &report->by_job);
		report->job = 0;
		report->sent = 0;
		buffer_clear(&report->received);
		if (!report->asking)
			TAILQ_INSERT_TAIL(&qmgr->reports.asking, report, asking_link);
		report->asking = true;
	}
}

/* ---- the header of the message ---- */

/* Octets of header in data: up to the empty line, or the last whole line that fits. */
static size_t
header_length(const char *data, size_t length)
{
	const char *end;
	size_t limit = length < REPORT_HEADER_MAX ? length : REPORT_HEADER_MAX;

	if (limit >= 2 && memcmp(data, "\r\n", 2) == 0)
		return 0;
	end = limit == 0 ? NULL : memmem(data, limit, "\r\n\r\n", 4);
	if (end != NULL)
		return (size_t)(end - data) + 2;
	while (limit > 0 && data[limit - 1] != '\n')
		limit--;
	return limit;
}

/* The header is there, or there is none to be had: router can be asked. */
static void
got_header(struct report *report, const char *data, size_t length)
{
	if (!envelope_encode(&report->message->envelope, report->chosen, &report->stream)) {
		again_later(report);
		return;
	}
	report->envelope_length = (uint32_t)report->stream.length;
	if (length > 0)
		buffer_append(&report->stream, data, header_length(data, length));
	ask(report);
}

static struct report *
report_of(struct qmgr *qmgr, uint64_t id)
{
	struct active_message *message = qmgr->leaving ? NULL : active_find(qmgr, id);

	/* One whose stream is made already does not wait for its header. */
	return message == NULL || message->report == NULL || message->report->stream.length > 0 ? NULL : message->report;
}

/* The start of a large body is read here and now: once in the life of a message that failed. */
static void
body_opened(void *context, uint64_t id, int file, UNUSED uint64_t length, UNUSED const struct error *error)
{
	struct report *report = report_of(context, id);
	char *data;
	ssize_t count;

	if (report != NULL && file >= 0) {
		data = memory_new(REPORT_HEADER_MAX, 1);
		count = pread(file, data, REPORT_HEADER_MAX, 0);
		got_header(report, data, count > 0 ? (size_t)count : 0);
		free(data);
	} else if (report != NULL) {
		got_header(report, NULL, 0);
	}
	if (file >= 0)
		close(file);
}

static void
content_read(void *context, uint64_t id, struct store_content *content, const struct error *error)
{
	struct qmgr *qmgr = context;
	struct report *report = report_of(qmgr, id);

	if (report != NULL && content == NULL && error == NULL)
		store_body_open(qmgr->store, id, body_opened, qmgr);
	else if (report != NULL)
		got_header(report, content == NULL ? NULL : content->data, content == NULL ? 0 : content->length);
	if (content != NULL)
		store_content_release(&content);
}

/* ---- beginning ---- */

static enum report_kind
next_kind(const struct active_message *message)
{
	if (message->phase_count[PHASE_FAILING] > 0)
		return REPORT_FAILURE;
	return message->phase_count[PHASE_SUCCESS] > 0 ? REPORT_SUCCESS : REPORT_DELAY;
}

static void
begin(struct qmgr *qmgr, struct active_message *message)
{
	struct report *report = memory_new(1, sizeof(*report));

	report_forget(qmgr, message);
	report->qmgr = qmgr;
	report->message = message;
	report->kind = next_kind(message);
	buffer_init(&report->stream, STREAM_MAX);
	buffer_init(&report->received, REPORT_MAX);
	envelope_init(&report->envelope);
	TAILQ_INSERT_TAIL(&qmgr->reports.all, report, all_link);
	message->report = report;
	choose(report);
	if (nobody_is_told(message))
		finish_without(report);
	else if (message->content != NULL)
		got_header(report, message->content->data, message->content->length);
	else if (message->place == PLACE_FILE)
		store_body_open(qmgr->store, message->envelope.id, body_opened, qmgr);
	else
		store_read_content(qmgr->store, message->envelope.id, content_read, qmgr);
}

void
report_want(struct qmgr *qmgr, struct active_message *message)
{
	if (message->report != NULL)
		return;
	if (active_in_hand(message) == 0 && (!message->report_wanted || message->report_since <= clock_monotonic_ms()))
		begin(qmgr, message);
	else if (!message->report_wanted)
		wait_in_line(qmgr, message, clock_monotonic_ms());
}

void
report_forget(struct qmgr *qmgr, struct active_message *message)
{
	if (!message->report_wanted)
		return;
	message->report_wanted = false;
	TAILQ_REMOVE(&qmgr->reports.waiting, message, report_link);
}

bool
report_tick(struct qmgr *qmgr, int64_t monotonic_ms)
{
	struct active_message *message, *next;

	TAILQ_FOREACH_SAFE(message, &qmgr->reports.waiting, report_link, next)
		if (monotonic_ms - message->report_since >= WAIT_MS)
			begin(qmgr, message);
	return !TAILQ_EMPTY(&qmgr->reports.waiting);
}

void
report_start(struct qmgr *qmgr)
{
	TAILQ_INIT(&qmgr->reports.waiting);
	TAILQ_INIT(&qmgr->reports.asking);
	TAILQ_INIT(&qmgr->reports.all);
}

void
report_end(struct qmgr *qmgr)
{
	while (!TAILQ_EMPTY(&qmgr->reports.all))
		report_free(TAILQ_FIRST(&qmgr->reports.all));
	hash_table_free(&qmgr->reports.by_job);
}
