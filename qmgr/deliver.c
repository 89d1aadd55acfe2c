/* deliver - see deliver.h */
#include "qmgr/deliver.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/ipc/deliver.h"
#include "common/log/log.h"
#include "qmgr/adoption.h"
#include "qmgr/outcome.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

#define QUEUED_MAX (128 * 1024)		/* octets waiting in a channel: beyond it streams pause */
#define UNSENT_MAX 8			/* jobs being streamed to one worker */
#define DEATHS_MAX 4			/* of workers, with which a message has to wait */
#define SUSPECT_WAIT_MS 15000		/* a suspect comes back within twice that, twice as long the next time */
#define ENVELOPE_OCTETS_MAX (16 * 1024 * 1024)

/* ---- jobs ---- */

static struct job *
job_find(const struct qmgr *qmgr, const struct deliver_worker *worker, uint64_t number)
{
	struct hash_node *node = hash_table_find(&qmgr->deliver.jobs, hash_number(number));

	for (; node != NULL; node = hash_node_next(node)) {
		struct job *job = HASH_CONTAINER(node, struct job, by_number);

		if (job->number == number && job->worker == worker)
			return job;
	}
	return NULL;
}

/* What only the sending needs. */
static void
drop_stream(struct job *job)
{
	if (job->sent_all)
		return;
	job->sent_all = true;
	job->worker->unsent--;
	if (job->begun)
		TAILQ_REMOVE(&job->worker->sending, job, sending_link);
	else
		job->worker->unbegun--;
	buffer_free(&job->envelope);
	if (job->content != NULL)
		store_content_release(&job->content);
	if (job->body >= 0)
		close(job->body);
	job->body = -1;
}

static void
job_free(struct qmgr *qmgr, struct job *job)
{
	drop_stream(job);
	hash_table_remove(&qmgr->deliver.jobs, &job->by_number);
	TAILQ_REMOVE(&job->worker->jobs, job, worker_link);
	LIST_REMOVE(job, message_link);
	job->worker->job_count--;
	job->destination->jobs_at[job->worker->number]--;
	qmgr->deliver.jobs_of[job->destination->class]--;
	free(job->recipients);
	free(job);
}

/* The job is over: what it has no result for is put back to where it was taken from, or deferred for reason. */
static void
end_job(struct qmgr *qmgr, struct job *job, const char *reason, struct outcome_changes *changes)
{
	struct active_message *message = job->message;
	struct destination *destination = job->destination;
	uint32_t i;

	for (i = 0; i < job->count; i++) {
		uint32_t index = job->recipients[i];

		if (index == UINT32_MAX)
			continue;
		active_set_phase(message, index, PHASE_IDLE);
		if (reason != NULL)
			outcome_defer(qmgr, message, index, 0, "4.3.0", reason, NULL, changes);
	}
	destination->last_worker = job->worker->channel == NULL ? NULL : job->worker;
	job_free(qmgr, job);
	destination_session_ended(&qmgr->destinations, destination);
	outcome_commit(qmgr, message, changes);
	if (destination_is_down(destination, qmgr_now(qmgr)))
		outcome_destination_down(qmgr, destination);
	window_queue_shrank(qmgr, destination);
	schedule_kick(qmgr);
	qmgr_check_drained(qmgr);
}

/* ---- streaming ---- */

static uint64_t
stream_length(const struct job *job)
{
	return job->envelope.length + (job->content == NULL ? 0 : job->content->length);
}

/* The next octets of envelope and content, at most IPC_DATA_MAX, gathered in room where both are in it. */
static struct bytes
next_octets(const struct job *job, char room[static IPC_DATA_MAX])
{
	size_t from_envelope, from_content, offset;

	if (job->sent >= job->envelope.length) {
		offset = (size_t)(job->sent - job->envelope.length);
		from_content = job->content == NULL ? 0 : job->content->length - offset;
		return (struct bytes){ job->content == NULL ? room : job->content->data + offset,
			from_content < IPC_DATA_MAX ? from_content : IPC_DATA_MAX };
	}
	from_envelope = job->envelope.length - (size_t)job->sent;
	if (from_envelope >= IPC_DATA_MAX)
		return (struct bytes){ job->envelope.data + job->sent, IPC_DATA_MAX };
	memcpy(room, job->envelope.data + job->sent, from_envelope);
	from_content = job->content == NULL ? 0 : job->content->length;
	if (from_content > IPC_DATA_MAX - from_envelope)
		from_content = IPC_DATA_MAX - from_envelope;
	if (from_content > 0)
		memcpy(room + from_envelope, job->content->data, from_content);
	return (struct bytes){ room, from_envelope + from_content };
}

static bool
send_begin(struct job *job)
{
	char room[IPC_DATA_MAX];
	struct deliver_begin begin = {
		.job = job->number,
		.message_id = job->message->envelope.id,
		.transport = (uint8_t)job->destination->transport,
		.flags = job->fresh ? DELIVER_FRESH : 0,
		.next_hop = job->destination->next_hop,
		.envelope_length = (uint32_t)job->envelope.length,
		.content_length = job->content == NULL ? 0 : job->content->length,
		.body_length = job->body_length,
		.body = job->body,
		.data = next_octets(job, room),
	};

	if (!send_deliver_begin(job->worker->channel, &begin))
		return false;
	job->sent += begin.data.length;
	job->begun = true;
	job->worker->unbegun--;
	TAILQ_INSERT_TAIL(&job->worker->sending, job, sending_link);
	return true;
}

static bool
send_more(struct job *job)
{
	char room[IPC_DATA_MAX];
	struct deliver_more more = { .job = job->number, .data = next_octets(job, room) };

	if (!send_deliver_more(job->worker->channel, &more))
		return false;
	job->sent += more.data.length;
	return true;
}

/* Sends as much as the channel takes, the jobs in turn. */
static void
stream(struct deliver_worker *worker)
{
	struct job *job;

	while (worker->channel != NULL && channel_queued(worker->channel) < QUEUED_MAX &&
	    (job = TAILQ_FIRST(&worker->sending)) != NULL) {
		if (job->sent < stream_length(job) && !send_more(job))
			return;
		if (job->sent == stream_length(job)) {
			drop_stream(job);
			schedule_kick(worker->qmgr);
		} else {
			TAILQ_REMOVE(&worker->sending, job, sending_link);
			TAILQ_INSERT_TAIL(&worker->sending, job, sending_link);
		}
	}
}

/* Everything is there: the job goes to its worker. */
static void
begin(struct qmgr *qmgr, struct job *job)
{
	struct outcome_changes changes = OUTCOME_CHANGES_INITIALIZER;
	struct deliver_worker *worker = job->worker;

	if (!send_begin(job)) {
		end_job(qmgr, job, "the job could not be handed over", &changes);
		return;
	}
	stream(worker);
}

/* ---- content ---- */

/* The content is lost: no other attempt can help. What is left of it was set aside by the store. */
static void
give_up(struct qmgr *qmgr, struct job *job)
{
	enum failure_class failure = job->worker->role == ROLE_LOCAL ? FAILURE_DELIVERY : FAILURE_TRANSFER;

	for (uint32_t i = 0; i < job->count; i++) {
		if (job->recipients[i] == UINT32_MAX)
			continue;
		outcome_fail(qmgr, job->message, job->recipients[i], failure, "5.3.0",
		    "the message was damaged on the disk of this server", NULL);
		job->recipients[i] = UINT32_MAX;
	}
}

/* Each job of the message that waits for its content gets it, or the reason why there is none. */
static void
content_came(struct qmgr *qmgr, uint64_t id, struct store_content *content, int file, uint64_t length,
    const struct error *error)
{
	struct active_message *message = active_find(qmgr, id);
	struct outcome_changes changes = OUTCOME_CHANGES_INITIALIZER;
	struct job *job, *next;

	if (message == NULL)
		return;
	message->loading = false;
	for (job = LIST_FIRST(&message->jobs); job != NULL; job = next) {
		next = LIST_NEXT(job, message_link);
		if (job->begun || job->sent_all)
			continue;
		if (content != NULL) {
			job->content = store_content_hold(content);
		} else if (error == NULL) {
			job->body = dup(file);
			job->body_length = length;
		}
		if (content != NULL || job->body >= 0) {
			begin(qmgr, job);
			continue;
		}
		if (error != NULL && error->kind == ERROR_DAMAGED)
			give_up(qmgr, job);
		end_job(qmgr, job, error == NULL ? "the body cannot be handed over" : error->text, &changes);
	}
}

static void
body_opened(void *context, uint64_t id, int file, uint64_t length, const struct error *error)
{
	struct qmgr *qmgr = context;

	if (!qmgr->leaving)
		content_came(qmgr, id, NULL, file, length, file < 0 ? error : NULL);
	if (file >= 0)
		close(file);
}

static void
content_read(void *context, uint64_t id, struct store_content *content, const struct error *error)
{
	struct qmgr *qmgr = context;
	struct active_message *message = qmgr->leaving ? NULL : active_find(qmgr, id);

	if (message != NULL && content == NULL && error == NULL) {
		message->place = PLACE_FILE;
		store_body_open(qmgr->store, id, body_opened, qmgr);
		return;
	}
	if (message != NULL && content != NULL) {
		message->place = PLACE_JOURNAL;
		if (!LIST_EMPTY(&message->deliveries) && !window_content_is_short(qmgr))
			active_keep_content(qmgr, message, content);
	}
	if (message != NULL)
		content_came(qmgr, id, content, -1, 0, error);
	if (content != NULL)
		store_content_release(&content);
}

static void
fetch_content(struct qmgr *qmgr, struct job *job)
{
	struct active_message *message = job->message;

	if (message->content != NULL) {
		job->content = store_content_hold(message->content);
		if (LIST_EMPTY(&message->deliveries))
			active_drop_content(qmgr, message);
		begin(qmgr, job);
	} else if (!message->loading) {
		message->loading = true;
		if (message->place == PLACE_FILE)
			store_body_open(qmgr->store, message->envelope.id, body_opened, qmgr);
		else
			store_read_content(qmgr->store, message->envelope.id, content_read, qmgr);
	}
}

/* ---- starting ---- */

bool
deliver_can_take(const struct deliver_worker *worker)
{
	return worker->channel != NULL && !worker->telling && worker->unsent < UNSENT_MAX &&
	    channel_credits(worker->channel) > worker->unbegun && channel_queued(worker->channel) < QUEUED_MAX;
}

bool
deliver_any_can_take(const struct qmgr *qmgr, enum delivery_class class)
{
	enum role role = class == CLASS_LOCAL ? ROLE_LOCAL : ROLE_SMTP;
	const struct deliver_worker *worker;

	TAILQ_FOREACH(worker, &qmgr->deliver.workers, link)
		if (worker->role == role && deliver_can_take(worker))
			return true;
	return false;
}

static bool
encode_envelope(struct job *job)
{
	const struct envelope *envelope = &job->message->envelope;
	bool *chosen = memory_new(envelope->recipient_count, sizeof(*chosen));
	bool encoded;
	uint32_t i;

	for (i = 0; i < job->count; i++)
		chosen[job->recipients[i]] = true;
	encoded = envelope_encode(envelope, chosen, &job->envelope);
	free(chosen);
	return encoded;
}

void
deliver_start_job(struct qmgr *qmgr, struct deliver_worker *worker, struct destination *destination,
    struct active_message *message, const uint32_t *recipients, uint32_t count)
{
	struct job *job = memory_new(1, sizeof(*job));
	struct outcome_changes changes = OUTCOME_CHANGES_INITIALIZER;
	uint32_t i;

	job->number = identifiers_next_job(&qmgr->identifiers);
	job->worker = worker;
	job->destination = destination;
	job->message = message;
	job->recipients = memory_copy(recipients, count * sizeof(*recipients));
	job->count = job->open = count;
	job->body = -1;
	job->fresh = destination->fresh;
	buffer_init(&job->envelope, ENVELOPE_OCTETS_MAX);
	for (i = 0; i < count; i++)
		active_set_phase(message, recipients[i], PHASE_BUSY);
	hash_table_insert(&qmgr->deliver.jobs, &job->by_number, hash_number(job->number));
	TAILQ_INSERT_TAIL(&worker->jobs, job, worker_link);
	LIST_INSERT_HEAD(&message->jobs, job, message_link);
	worker->job_count++;
	destination_count_job_at(destination, worker->number);
	worker->unsent++;
	worker->unbegun++;
	qmgr->deliver.jobs_of[destination->class]++;
	if (encode_envelope(job))
		fetch_content(qmgr, job);
	else
		end_job(qmgr, job, "the envelope is too large", &changes);
}

/* ---- results ---- */

/* The index of the recipient of that number, if it is in the job and has no result yet; its slot is taken. */
static uint32_t
take_recipient(struct job *job, uint32_t number)
{
	uint32_t index = active_index_of(job->message, number), i;

	for (i = 0; index != UINT32_MAX && i < job->count; i++) {
		if (job->recipients[i] == index) {
			job->recipients[i] = UINT32_MAX;
			job->open--;
			return index;
		}
	}
	return UINT32_MAX;
}

/*
 * What a result says about the destination as a whole; each job counts once. Returns the queue time at which the
 * recipient is tried again because of that, 0: it has a back-off of its own.
 */
static int64_t
judge_destination(struct qmgr *qmgr, struct job *job, const struct delivery_result *result)
{
	struct destination *destination = job->destination;
	bool delivered = result->outcome == DELIVERY_DONE;
	int64_t now = qmgr_now(qmgr);

	if (job->fresh)
		destination->fresh = false;
	if (!result->host_failed) {
		if (!job->reached || (delivered && !job->delivered))
			destination_succeeded(&qmgr->destinations, destination, now, delivered);
		job->reached = true;
		job->delivered |= delivered;
		return 0;
	}
	if (!job->failed && result->retry_seconds > 0)
		destination_put_off(&qmgr->destinations, destination, now, result->retry_seconds, result->status, result->text,
		    result->host);
	else if (!job->failed)
		destination_failed(&qmgr->destinations, destination, now, result->status, result->text, result->host);
	job->failed = true;
	return destination_is_down(destination, now) ? destination->down_until : 0;
}

static void
apply_results(struct qmgr *qmgr, struct job *job, const struct bytes *results, struct outcome_changes *changes)
{
	struct wire_reader reader;
	struct delivery_result result;

	wire_reader_init(&reader, results->data, results->length);
	while (reader.next < reader.end && delivery_result_decode(&reader, &result)) {
		uint32_t index = take_recipient(job, result.recipient);

		if (index == UINT32_MAX)
			continue;
		active_set_phase(job->message, index, PHASE_IDLE);
		outcome_apply(qmgr, job->message, index, judge_destination(qmgr, job, &result), &result, changes);
	}
}

static void
results(void *context, UNUSED struct channel *channel, const struct deliver_results *message)
{
	struct deliver_worker *worker = context;
	struct job *job = job_find(worker->qmgr, worker, message->job);
	struct outcome_changes changes = OUTCOME_CHANGES_INITIALIZER;

	if (job == NULL)
		return;
	apply_results(worker->qmgr, job, &message->results, &changes);
	/* The job holds on to the message only by recipients without a result. */
	if (job->open == 0)
		end_job(worker->qmgr, job, NULL, &changes);
	else
		outcome_commit(worker->qmgr, job->message, &changes);
}

static void
answer(void *context, UNUSED struct channel *channel, const struct deliver_answer *message)
{
	struct deliver_worker *worker = context;
	struct job *job = job_find(worker->qmgr, worker, message->job);
	struct outcome_changes changes = OUTCOME_CHANGES_INITIALIZER;

	if (job != NULL) {
		apply_results(worker->qmgr, job, &message->results, &changes);
		end_job(worker->qmgr, job, "the attempt ended without a result", &changes);
	}
	stream(worker);
	schedule_kick(worker->qmgr);
}

/* ---- workers ---- */

/* Its recipients without a result, from now on the caller's: none is left in the job. */
static uint32_t *
take_open(struct job *job, uint32_t *count_out)
{
	uint32_t *recipients = job->recipients, i;

	*count_out = 0;
	for (i = 0; i < job->count; i++)
		if (recipients[i] != UINT32_MAX)
			recipients[(*count_out)++] = recipients[i];
	job->recipients = NULL;
	job->count = 0;
	return recipients;
}

/* Its worker died. Back to where it came from, without an attempt counted unless the message did that often. */
static void
put_back(struct qmgr *qmgr, struct job *job)
{
	struct active_message *message = job->message;
	struct outcome_changes changes = OUTCOME_CHANGES_INITIALIZER;
	unsigned deaths = job->begun ? suspects_deaths(&qmgr->deliver.suspects, message->envelope.id) : 0;
	int64_t back = qmgr_now(qmgr);
	uint32_t *recipients, count, i;

	if (deaths >= DEATHS_MAX) {
		end_job(qmgr, job, "the program that had it in hand ended several times", &changes);
		return;
	}
	if (deaths > 1)
		back += 1000 + arc4random_uniform(SUSPECT_WAIT_MS << (deaths - 1));
	recipients = take_open(job, &count);
	for (i = 0; i < count; i++) {
		if (deaths > 1)
			outcome_wait(qmgr, message, recipients[i], back);
		else
			active_set_phase(message, recipients[i], PHASE_UNROUTED);
	}
	free(recipients);
	if (message->phase_count[PHASE_UNROUTED] > 0)
		routing_add(qmgr, message);
	end_job(qmgr, job, NULL, &changes);
}

/*
 * What the worker had begun with may have killed it. Where the death is explained, by something else that was there at an
 * earlier one, only what was there at an earlier one as well.
 */
static void
note_death(struct qmgr *qmgr, const struct deliver_worker *worker, bool explained)
{
	uint64_t *ids = memory_new(worker->job_count, sizeof(*ids));
	const struct job *job;
	size_t count = 0;

	TAILQ_FOREACH(job, &worker->jobs, worker_link)
		if (job->begun)
			ids[count++] = job->message->envelope.id;
	if (explained)
		suspects_note_explained_death(&qmgr->deliver.suspects, ids, count, qmgr_now(qmgr));
	else
		suspects_note_death(&qmgr->deliver.suspects, ids, count, qmgr_now(qmgr));
	free(ids);
}

static void
lost(struct deliver_worker *worker)
{
	struct qmgr *qmgr = worker->qmgr;
	struct job *job;

	channel_free(&worker->channel);
	worker->telling = false;
	worker->told = true;
	note_death(qmgr, worker, call_outs_worker_lost(qmgr, worker));
	while ((job = TAILQ_FIRST(&worker->jobs)) != NULL)
		put_back(qmgr, job);
	adoption_worker_lost(qmgr, worker);
	adoption_check_open(qmgr);
}

static void
closed(void *context, UNUSED struct channel *channel, const char *reason)
{
	struct deliver_worker *worker = context;

	log_peer_lost(role_rows[worker->role].name, reason);
	lost(worker);
}

static void
ready(void *context, UNUSED struct channel *channel)
{
	struct deliver_worker *worker = context;

	stream(worker);
	schedule_kick(worker->qmgr);
}

static void
holding(void *context, UNUSED struct channel *channel, const struct deliver_holding *message)
{
	struct deliver_worker *worker = context;

	/* Otherwise a worker could lay hands on mail that was never given to it. */
	if (worker->told) {
		closed(worker, worker->channel, "violation: deliver_holding from one that can hold nothing");
		return;
	}
	adoption_holding(worker->qmgr, worker, message->job, message->message_id, &message->recipients);
}

static void
holding_end(void *context, UNUSED struct channel *channel, UNUSED const struct deliver_holding_end *message)
{
	struct deliver_worker *worker = context;

	worker->telling = false;
	worker->told = true;
	adoption_check_open(worker->qmgr);
	schedule_kick(worker->qmgr);
}

static void
late_results(void *context, UNUSED struct channel *channel, const struct deliver_late_results *message)
{
	struct deliver_worker *worker = context;

	adoption_results(worker->qmgr, worker, message->job, message->message_id, &message->results, message->last != 0);
}

static void
call_out_result(void *context, UNUSED struct channel *channel, const struct call_out_result *message)
{
	struct deliver_worker *worker = context;

	call_outs_answered(worker->qmgr, worker, message);
}

static struct deliver_worker *
worker_of(struct qmgr *qmgr, enum role role, unsigned instance)
{
	struct deliver_worker *worker;

	TAILQ_FOREACH(worker, &qmgr->deliver.workers, link)
		if (worker->role == role && worker->instance == instance)
			return worker;
	worker = memory_new(1, sizeof(*worker));
	worker->qmgr = qmgr;
	worker->role = role;
	worker->instance = instance;
	worker->number = qmgr->deliver.worker_count++;
	TAILQ_INIT(&worker->jobs);
	TAILQ_INIT(&worker->sending);
	TAILQ_INSERT_TAIL(&qmgr->deliver.workers, worker, link);
	return worker;
}

void
deliver_introduced(struct qmgr *qmgr, enum role role, unsigned instance, enum ipc_side side, int socket)
{
	static const struct deliver_handlers handlers = {
		.deliver_results = results,
		.deliver_answer = answer,
		.deliver_holding = holding,
		.deliver_holding_end = holding_end,
		.deliver_late_results = late_results,
		.call_out_result = call_out_result,
	};
	static const struct channel_events events = { .closed = closed, .ready = ready };
	struct deliver_worker *worker = worker_of(qmgr, role, instance);

	if (worker->channel != NULL)
		lost(worker);
	worker->telling = true;
	worker->channel = channel_open(qmgr->base, socket, &deliver_protocol, side, &handlers, &events, worker);
	adoption_worker_came(qmgr);
	call_outs_kick(qmgr);
}

bool
deliver_is_telling(const struct qmgr *qmgr)
{
	const struct deliver_worker *worker;

	TAILQ_FOREACH(worker, &qmgr->deliver.workers, link)
		if (worker->telling)
			return true;
	return false;
}

unsigned
deliver_jobs(const struct qmgr *qmgr)
{
	return qmgr->deliver.jobs_of[CLASS_TRANSFER] + qmgr->deliver.jobs_of[CLASS_LOCAL];
}

unsigned
deliver_capacity(const struct qmgr *qmgr, enum delivery_class class)
{
	enum role role = class == CLASS_LOCAL ? ROLE_LOCAL : ROLE_SMTP;
	const struct deliver_worker *worker;
	unsigned capacity = 0;

	TAILQ_FOREACH(worker, &qmgr->deliver.workers, link)
		if (worker->role == role && worker->channel != NULL)
			capacity += deliver_protocol.window;
	return capacity;
}

void
deliver_start(struct qmgr *qmgr)
{
	TAILQ_INIT(&qmgr->deliver.workers);
	suspects_init(&qmgr->deliver.suspects);
}

void
deliver_end(struct qmgr *qmgr)
{
	struct deliver_worker *worker;
	struct job *job;

	while ((worker = TAILQ_FIRST(&qmgr->deliver.workers)) != NULL) {
		channel_free(&worker->channel);
		while ((job = TAILQ_FIRST(&worker->jobs)) != NULL)
			job_free(qmgr, job);
		TAILQ_REMOVE(&qmgr->deliver.workers, worker, link);
		free(worker);
	}
	hash_table_free(&qmgr->deliver.jobs);
	suspects_free(&qmgr->deliver.suspects);
}
