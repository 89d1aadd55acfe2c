/* delivery_job - see delivery_job.h */
#include "common/mail/delivery_job.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/ipc/deliver.h"
#include "common/log/log.h"
#include "common/mail/envelope.h"

#define ENVELOPE_OCTETS_MAX (64u << 20)	/* of one job: far above any envelope that qmgr sends, far below trouble */
#define CONTENT_OCTETS_MAX (64u << 20)	/* in memory; larger content comes as a descriptor */
#define REMEMBERED_MS 10000		/* how long the results of an answered job are kept for a next qmgr */
#define REMEMBERED_MAX 2048

TAILQ_HEAD(job_list, delivery_job);

struct delivery_jobs {
	struct event_base *base;
	const struct delivery_jobs_events *events;
	void *context;
	struct channel *channel;	/* owned; NULL while there is no qmgr */
	struct job_list jobs;		/* arriving, running, or finished without a qmgr to tell */
	struct job_list remembered;	/* answered; oldest first */
	unsigned remembered_count;
	unsigned running;
	bool draining;
};

static void
job_free(struct job_list *list, struct delivery_job *job)
{
	TAILQ_REMOVE(list, job, entries);
	if (job->body >= 0)
		close(job->body);
	free(job->next_hop);
	envelope_free(&job->envelope);
	buffer_free(&job->content);
	buffer_free(&job->envelope_octets);
	buffer_free(&job->results);
	free(job);
}

static void
forget_oldest(struct delivery_jobs *jobs)
{
	job_free(&jobs->remembered, TAILQ_FIRST(&jobs->remembered));
	jobs->remembered_count--;
}

static void
forget_old(struct delivery_jobs *jobs)
{
	struct delivery_job *job;

	while ((job = TAILQ_FIRST(&jobs->remembered)) != NULL &&
	    (jobs->remembered_count > REMEMBERED_MAX || deadline_passed(job->remembered_until)))
		forget_oldest(jobs);
}

/* The jobs that were still arriving can never become whole. */
static void
drop_arriving(struct delivery_jobs *jobs)
{
	struct delivery_job *job = TAILQ_FIRST(&jobs->jobs);

	while (job != NULL) {
		struct delivery_job *next = TAILQ_NEXT(job, entries);

		if (!job->whole)
			job_free(&jobs->jobs, job);
		else
			job->taken_over = true;
		job = next;
	}
}

static void
lose_channel(struct delivery_jobs *jobs, const char *reason)
{
	log_peer_lost("qmgr", reason);
	channel_free(&jobs->channel);
	drop_arriving(jobs);
	if (jobs->events->lost != NULL)
		jobs->events->lost(jobs->context, reason);
}

/* ---- results ---------------------------------------------------------------------------------- */

/* The end of the results that fit into one packet, from offset on. */
static size_t
packet_end(const struct buffer *results, size_t offset)
{
	struct delivery_result result;
	struct wire_reader reader;
	const uint8_t *begin = (const uint8_t *)buffer_text(results) + offset;
	size_t end = offset;

	wire_reader_init(&reader, begin, results->length - offset);
	while (end < results->length && delivery_result_decode(&reader, &result)) {
		if ((size_t)(reader.next - begin) > IPC_DATA_MAX)
			break;
		end = offset + (size_t)(reader.next - begin);
	}
	return end;
}

/* Sends results in as many packets as they need; the last one of a finished job as its answer. */
static bool
send_results(struct delivery_job *job)
{
	struct channel *channel = job->jobs->channel;
	bool sent = true;

	do {
		size_t end = packet_end(&job->results, job->results_sent);
		bool last = job->finished && end == job->results.length;
		struct bytes octets = { buffer_text(&job->results) + job->results_sent, end - job->results_sent };

		if (job->taken_over) {
			struct deliver_late_results message = { .job = job->number, .message_id = job->message_id,
				.last = last, .results = octets };
			sent = send_deliver_late_results(channel, &message);
		} else if (last) {
			struct deliver_answer message = { .job = job->number, .results = octets };
			sent = send_deliver_answer(channel, &message);
		} else {
			struct deliver_results message = { .job = job->number, .results = octets };
			sent = send_deliver_results(channel, &message);
		}
		if (sent)
			job->results_sent = end;
	} while (sent && job->results_sent < job->results.length);
	return sent;
}

/* A copy of the results that say something final, for a next qmgr. */
static void
keep_final_results(struct delivery_job *job)
{
	struct buffer final = BUFFER_INITIALIZER(0);
	struct delivery_result result;
	struct wire_reader reader;

	wire_reader_init(&reader, buffer_text(&job->results), job->results.length);
	while (reader.next < reader.end && delivery_result_decode(&reader, &result))
		if (result.outcome != DELIVERY_DEFERRED)
			delivery_result_encode(&result, &final);
	buffer_free(&job->results);
	job->results = final;
}

static void
remember(struct delivery_job *job)
{
	struct delivery_jobs *jobs = job->jobs;

	keep_final_results(job);
	if (job->results.length == 0) {
		job_free(&jobs->jobs, job);
		return;
	}
	envelope_free(&job->envelope);
	buffer_free(&job->content);
	job->remembered_until = deadline_after_ms(REMEMBERED_MS);
	TAILQ_REMOVE(&jobs->jobs, job, entries);
	TAILQ_INSERT_TAIL(&jobs->remembered, job, entries);
	jobs->remembered_count++;
	forget_old(jobs);
}

/* Results without a qmgr stay where they are: delivery_jobs_introduce() sends them. */
static void
deliver_results_now(struct delivery_job *job)
{
	struct delivery_jobs *jobs = job->jobs;

	if (jobs->channel == NULL || (!job->finished && job->results_sent == job->results.length))
		return;
	if (!send_results(job)) {
		lose_channel(jobs, "results cannot be sent");
		return;
	}
	if (job->finished)
		remember(job);
}

void
delivery_job_judge(struct delivery_job *job, const struct delivery_result *result)
{
	delivery_result_encode(result, &job->results);
}

void
delivery_job_flush(struct delivery_job *job)
{
	deliver_results_now(job);
}

void
delivery_job_finish(struct delivery_job *job)
{
	job->finished = true;
	job->owner = NULL;
	job->jobs->running--;
	if (job->body >= 0)
		close(job->body);
	job->body = -1;
	buffer_free(&job->content);
	deliver_results_now(job);
}

/* ---- jobs arriving ---------------------------------------------------------------------------- */

static void
start_job(struct delivery_job *job)
{
	struct delivery_jobs *jobs = job->jobs;
	struct error error = ERROR_INITIALIZER;

	job->whole = true;
	jobs->running++;
	if (envelope_decode(buffer_text(&job->envelope_octets), job->envelope_octets.length, &job->envelope,
	    &error) == -1) {
		log_event(LOG_JOB_REFUSED, log_id(job->message_id), error.text);
		delivery_job_finish(job);
		return;
	}
	buffer_free(&job->envelope_octets);
	jobs->events->start(jobs->context, job);
}

/* Takes octets of the stream: first the envelope's, then the content's. False when there are too many. */
static bool
take_octets(struct delivery_job *job, const struct bytes *octets)
{
	size_t missing = job->envelope_length - job->envelope_octets.length;
	size_t first = octets->length < missing ? octets->length : missing;
	size_t rest = octets->length - first;

	if (rest > job->content_length - job->content.length)
		return false;
	buffer_append(&job->envelope_octets, octets->data, first);
	buffer_append(&job->content, (const char *)octets->data + first, rest);
	return true;
}

static void
receive_octets(struct delivery_job *job, const struct bytes *octets)
{
	struct delivery_jobs *jobs = job->jobs;

	if (!take_octets(job, octets)) {
		lose_channel(jobs, "a job is longer than announced");
		return;
	}
	if (job->envelope_octets.length < job->envelope_length || job->content.length < job->content_length)
		return;
	/* While draining, a job without an answer is what qmgr schedules first after the restart. */
	if (!jobs->draining)
		start_job(job);
}

static struct delivery_job *
find_job(struct delivery_jobs *jobs, uint64_t number)
{
	struct delivery_job *job;

	/* Streams are sent one after the other: the job in question is nearly always the last. */
	TAILQ_FOREACH_REVERSE(job, &jobs->jobs, job_list, entries)
		if (job->number == number)
			return job;
	return NULL;
}

static void
handle_begin(void *context, struct channel *channel UNUSED, const struct deliver_begin *message)
{
	struct delivery_jobs *jobs = context;
	struct delivery_job *job;

	if (message->envelope_length == 0 || message->envelope_length > ENVELOPE_OCTETS_MAX ||
	    message->content_length > CONTENT_OCTETS_MAX || find_job(jobs, message->job) != NULL ||
	    (message->body >= 0 && message->content_length > 0) || (message->body < 0 && message->body_length > 0)) {
		if (message->body >= 0)
			close(message->body);
		lose_channel(jobs, "a job that contradicts itself");
		return;
	}
	job = memory_new(1, sizeof(*job));
	job->number = message->job;
	job->message_id = message->message_id;
	job->transport = message->transport <= TRANSPORT_LMTP ? (enum transport)message->transport : TRANSPORT_NONE;
	job->fresh = (message->flags & DELIVER_FRESH) != 0;
	job->next_hop = memory_copy_string(message->next_hop);
	job->body = message->body;
	job->body_length = message->body_length;
	job->envelope_length = message->envelope_length;
	job->content_length = message->content_length;
	job->jobs = jobs;
	envelope_init(&job->envelope);
	TAILQ_INSERT_TAIL(&jobs->jobs, job, entries);
	receive_octets(job, &message->data);
}

static void
handle_more(void *context, struct channel *channel UNUSED, const struct deliver_more *message)
{
	struct delivery_jobs *jobs = context;
	struct delivery_job *job = find_job(jobs, message->job);

	if (job == NULL || job->whole || message->data.length == 0)
		lose_channel(jobs, "octets for a job that expects none");
	else
		receive_octets(job, &message->data);
}

static void
handle_call_out(void *context, struct channel *channel UNUSED, const struct call_out_job *message)
{
	struct delivery_jobs *jobs = context;

	if (jobs->events->call_out == NULL)
		lose_channel(jobs, "a call-out for a program that makes none");
	else
		jobs->events->call_out(jobs->context, message);
}

void
delivery_jobs_answer_call_out(struct delivery_jobs *jobs, uint64_t number, enum call_out_outcome outcome, const char *text)
{
	char cut[CALL_OUT_TEXT_MAX + 1];

	strlcpy(cut, text, sizeof(cut));
	if (jobs->channel != NULL)
		send_call_out_result(jobs->channel, &(struct call_out_result){ .job = number, .outcome = (uint8_t)outcome,
		    .text = cut });
}

static void
channel_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	lose_channel(context, reason);
}

/* ---- a new qmgr ------------------------------------------------------------------------------- */

/* Tells the recipients that a remembered or finished job has results for, or all that a running one has. */
static bool
send_holding(struct delivery_jobs *jobs, struct delivery_job *job)
{
	struct deliver_holding message = { .job = job->number, .message_id = job->message_id };
	struct buffer numbers = BUFFER_INITIALIZER(0);
	struct delivery_result result;
	struct wire_reader reader;
	bool sent = true;
	size_t offset, i;

	if (job->envelope.recipient_count > 0) {
		for (i = 0; i < job->envelope.recipient_count; i++)
			wire_put_u32(&numbers, job->envelope.recipients[i].number);
	} else {
		wire_reader_init(&reader, buffer_text(&job->results), job->results.length);
		while (reader.next < reader.end && delivery_result_decode(&reader, &result))
			wire_put_u32(&numbers, result.recipient);
	}
	for (offset = 0; offset < numbers.length && sent; offset += message.recipients.length) {
		size_t rest = numbers.length - offset;

		message.recipients.data = numbers.data + offset;
		message.recipients.length = rest < IPC_DATA_MAX ? rest : IPC_DATA_MAX / 4 * 4;
		sent = send_deliver_holding(jobs->channel, &message);
	}
	buffer_free(&numbers);
	return sent;
}

static void
tell_new_qmgr(struct delivery_jobs *jobs)
{
	static const struct deliver_holding_end end;
	struct delivery_job *job, *next;
	bool sent = true;

	TAILQ_FOREACH(job, &jobs->remembered, entries)
		sent = sent && send_holding(jobs, job);
	TAILQ_FOREACH(job, &jobs->jobs, entries)
		sent = sent && send_holding(jobs, job);
	sent = sent && send_deliver_holding_end(jobs->channel, &end);
	TAILQ_FOREACH(job, &jobs->remembered, entries) {
		job->taken_over = true;
		job->results_sent = 0;
		sent = sent && send_results(job);
	}
	if (!sent) {
		lose_channel(jobs, "what is held cannot be told");
		return;
	}
	for (job = TAILQ_FIRST(&jobs->jobs); job != NULL && jobs->channel != NULL; job = next) {
		next = TAILQ_NEXT(job, entries);
		job->taken_over = true;
		job->results_sent = 0;
		deliver_results_now(job);
	}
}

void
delivery_jobs_introduce(struct delivery_jobs *jobs, int socket, enum ipc_side side)
{
	static const struct deliver_handlers handlers = {
		.deliver_begin = handle_begin,
		.deliver_more = handle_more,
		.call_out_job = handle_call_out,
	};
	static const struct channel_events events = { .closed = channel_closed };

	if (jobs->channel != NULL)
		channel_free(&jobs->channel);
	drop_arriving(jobs);
	jobs->channel = channel_open(jobs->base, socket, &deliver_protocol, side, &handlers, &events, jobs);
	tell_new_qmgr(jobs);
}

/* ---- the rest --------------------------------------------------------------------------------- */

struct delivery_jobs *
delivery_jobs_new(struct event_base *base, const struct delivery_jobs_events *events, void *context)
{
	struct delivery_jobs *jobs = memory_new(1, sizeof(*jobs));

	jobs->base = base;
	jobs->events = events;
	jobs->context = context;
	TAILQ_INIT(&jobs->jobs);
	TAILQ_INIT(&jobs->remembered);
	return jobs;
}

void
delivery_jobs_free(struct delivery_jobs **jobs)
{
	struct delivery_jobs *all = *jobs;

	if (all == NULL)
		return;
	channel_free(&all->channel);
	while (!TAILQ_EMPTY(&all->jobs))
		job_free(&all->jobs, TAILQ_FIRST(&all->jobs));
	while (!TAILQ_EMPTY(&all->remembered))
		forget_oldest(all);
	free(all);
	*jobs = NULL;
}

void
delivery_jobs_drain(struct delivery_jobs *jobs)
{
	jobs->draining = true;
}

unsigned
delivery_jobs_running(const struct delivery_jobs *jobs)
{
	return jobs->running;
}

uint64_t
delivery_job_size(const struct delivery_job *job)
{
	return job->body >= 0 ? job->body_length : job->content.length;
}
