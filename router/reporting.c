/* reporting - see reporting.h */
#include "router/reporting.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/log/log.h"
#include "router/report.h"

#define QUEUED_MAX 262144		/* octets waiting in the channel while a report leaves */
#define ENVELOPE_OCTETS_MAX 268435456	/* an envelope over this is read off and never reported about */

struct reporting {
	TAILQ_ENTRY(reporting) entries;
	struct channel *channel;	/* borrowed: reportings_forget() comes before its end */
	struct rules *rules;		/* held */
	uint64_t job;
	uint64_t message_id;
	enum report_kind kind;
	uint64_t envelope_left;
	uint64_t content_left;
	struct buffer envelope;		/* of the original, while it comes in */
	struct buffer header;		/* of the original, its first octets */
	struct buffer out;		/* the report: envelope, content */
	size_t sent;
	struct report_answer answer;
	bool written;
};
TAILQ_HEAD(reporting_list, reporting);

struct reportings {
	struct reporting_list list;
	size_t count;
};

struct reportings *
reportings_new(void)
{
	struct reportings *reportings = memory_new(1, sizeof(*reportings));

	TAILQ_INIT(&reportings->list);
	return reportings;
}

static void
reporting_free(struct reportings *reportings, struct reporting *reporting)
{
	TAILQ_REMOVE(&reportings->list, reporting, entries);
	reportings->count--;
	rules_release(&reporting->rules);
	buffer_free(&reporting->envelope);
	buffer_free(&reporting->header);
	buffer_free(&reporting->out);
	free(reporting);
}

void
reportings_forget(struct reportings *reportings)
{
	struct reporting *reporting;

	while ((reporting = TAILQ_FIRST(&reportings->list)) != NULL)
		reporting_free(reportings, reporting);
}

void
reportings_free(struct reportings **reportings)
{
	if (*reportings == NULL)
		return;
	reportings_forget(*reportings);
	free(*reportings);
	*reportings = NULL;
}

size_t
reportings_count(const struct reportings *reportings)
{
	return reportings->count;
}

/* Sends what is left of the report while the channel takes it, then the answer. */
static void
send_report(struct reportings *reportings, struct reporting *reporting)
{
	while (reporting->sent < reporting->out.length) {
		size_t left = reporting->out.length - reporting->sent;
		const struct report_data message = { .job = reporting->job,
			.data = { reporting->out.data + reporting->sent, left < IPC_DATA_MAX ? left :
			    IPC_DATA_MAX } };

		if (channel_queued(reporting->channel) > QUEUED_MAX)
			return;
		send_report_data(reporting->channel, &message);
		reporting->sent += message.data.length;
	}
	send_report_answer(reporting->channel, &reporting->answer);
	reporting_free(reportings, reporting);
}

void
reportings_ready(struct reportings *reportings)
{
	struct reporting *reporting, *next;

	for (reporting = TAILQ_FIRST(&reportings->list); reporting != NULL; reporting = next) {
		next = TAILQ_NEXT(reporting, entries);
		if (reporting->written)
			send_report(reportings, reporting);
	}
}

/* The stream is whole: an envelope that cannot be read gets no report, which is logged. */
static void
write_report(struct reporting *reporting)
{
	struct envelope original, envelope;
	struct buffer content = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;

	reporting->written = true;
	reporting->answer.job = reporting->job;
	if (envelope_decode(reporting->envelope.data, reporting->envelope.length, &original, &error) != 0) {
		log_event(LOG_REPORT_IMPOSSIBLE, log_id(reporting->message_id), error.text);
		return;
	}
	if (report_write(reporting->rules->settings, reporting->kind, &original, buffer_text(&reporting->header),
	    reporting->header.length, clock_wall_ms(), &envelope, &content)) {
		if (envelope_encode(&envelope, NULL, &reporting->out)) {
			reporting->answer.wanted = 1;
			reporting->answer.envelope_length = (uint32_t)reporting->out.length;
			reporting->answer.content_length = content.length;
			buffer_append(&reporting->out, content.data, content.length);
		} else {
			log_event(LOG_REPORT_IMPOSSIBLE, log_id(reporting->message_id),
			    "the sender's address does not fit");
		}
	}
	envelope_free(&envelope);
	envelope_free(&original);
	buffer_free(&content);
	buffer_free(&reporting->envelope);
	buffer_free(&reporting->header);
}

/*
 * Takes octets of the stream: the envelope first, then the header. False when there are more than were announced.
 */
static bool
take(struct reportings *reportings, struct reporting *reporting, struct bytes data)
{
	const char *octets = data.data;
	size_t part = data.length < reporting->envelope_left ? data.length : (size_t)reporting->envelope_left;
	size_t rest = data.length - part;

	if (rest > reporting->content_left)
		return false;
	if (reporting->envelope.length + part <= ENVELOPE_OCTETS_MAX)
		buffer_append(&reporting->envelope, octets, part);
	reporting->envelope_left -= part;
	if (rest > 0 && reporting->header.length <= REPORT_HEADER_MAX)
		buffer_append(&reporting->header, octets + part, rest);
	reporting->content_left -= rest;
	if (reporting->envelope_left == 0 && reporting->content_left == 0) {
		write_report(reporting);
		send_report(reportings, reporting);
	}
	return true;
}

static struct reporting *
find(struct reportings *reportings, uint64_t job)
{
	struct reporting *reporting;

	TAILQ_FOREACH(reporting, &reportings->list, entries)
		if (reporting->job == job)
			return reporting;
	return NULL;
}

bool
reportings_begin(struct reportings *reportings, struct channel *channel, struct rules *rules,
    const struct report_begin *message)
{
	struct reporting *reporting;

	if (find(reportings, message->job) != NULL || message->kind > REPORT_SUCCESS ||
	    message->envelope_length == 0)
		return false;
	reporting = memory_new(1, sizeof(*reporting));
	reporting->channel = channel;
	reporting->rules = rules_hold(rules);
	reporting->job = message->job;
	reporting->message_id = message->message_id;
	reporting->kind = (enum report_kind)message->kind;
	reporting->envelope_left = message->envelope_length;
	reporting->content_left = message->content_length;
	TAILQ_INSERT_TAIL(&reportings->list, reporting, entries);
	reportings->count++;
	return take(reportings, reporting, message->data);
}

bool
reportings_more(struct reportings *reportings, const struct report_more *message)
{
	struct reporting *reporting = find(reportings, message->job);

	return reporting != NULL && !reporting->written && take(reportings, reporting, message->data);
}
