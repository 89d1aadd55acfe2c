/* delivery - see delivery.h */
#include "local/delivery.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "local/maildir.h"

#define BATCH_MESSAGES 32
#define BATCH_OCTETS (8u << 20)

struct waiting_job {
	TAILQ_ENTRY(waiting_job) entries;
	struct delivery_job *job;
	size_t next_recipient;	/* the first one that no batch has taken */
	size_t unjudged;
};

/* One recipient of a job, while its batch lasts. */
struct item {
	struct waiting_job *waiting;
	const struct envelope_recipient *recipient;
	struct maildir_message message;
	struct buffer header;
	struct error error;
	bool failed;
	int64_t started_ms;
};

struct deliveries {
	struct event_base *base;
	int root;
	char *host;
	int64_t repeats_before_ms;	/* wall time: what arrived before may be a repeat */
	uint64_t delivered;
	struct event work;
	TAILQ_HEAD(, waiting_job) waiting;
	struct item items[BATCH_MESSAGES];
	size_t item_count;
	void (*finished)(void *context);
	void *context;
};

/* ---- a batch ---------------------------------------------------------------------------------- */

/* The two fields above the content. Addresses were parsed at the door; a control in one would break the header. */
static void
write_header(struct item *item)
{
	size_t i;

	buffer_init(&item->header, 0);
	buffer_printf(&item->header, "Return-Path: <%s>?Delivered-To: %s?", item->waiting->job->envelope.sender,
	    item->recipient->address);
	for (i = 0; i < item->header.length; i++)
		if ((unsigned char)item->header.data[i] < ' ')
			item->header.data[i] = '?';
	item->header.data[strlen("Return-Path: <>") + strlen(item->waiting->job->envelope.sender)] = '\n';
	item->header.data[item->header.length - 1] = '\n';
}

static void
add_item(struct deliveries *deliveries, struct waiting_job *waiting)
{
	struct delivery_job *job = waiting->job;
	struct item *item = &deliveries->items[deliveries->item_count++];

	memset(item, 0, sizeof(*item));
	item->waiting = waiting;
	item->recipient = &job->envelope.recipients[waiting->next_recipient++];
	item->started_ms = clock_monotonic_ms();
	write_header(item);
	item->message.mail_file = item->recipient->delivery_address != NULL ? item->recipient->delivery_address : "";
	item->message.header = item->header.data;
	item->message.header_length = item->header.length;
	item->message.memory = buffer_text(&job->content);
	item->message.body = job->body;
	item->message.length = delivery_job_size(job);
	item->message.may_be_repeat = item->recipient->attempts > 0 ||
	    job->envelope.arrival_ms <= deliveries->repeats_before_ms;
	maildir_format_name(job->envelope.arrival_ms, job->message_id, item->recipient->number, deliveries->host,
	    item->message.name);
	item->failed = maildir_write(deliveries->root, &item->message, &item->error) == -1;
}

static void
fill_batch(struct deliveries *deliveries)
{
	struct waiting_job *waiting;
	uint64_t octets = 0;

	deliveries->item_count = 0;
	TAILQ_FOREACH(waiting, &deliveries->waiting, entries)
		while (waiting->next_recipient < waiting->job->envelope.recipient_count) {
			if (deliveries->item_count == BATCH_MESSAGES || octets >= BATCH_OCTETS)
				return;
			octets += delivery_job_size(waiting->job);
			add_item(deliveries, waiting);
		}
}


/* Whether the folder of an item was flushed for one before it: one flush serves all that got their names in it. */
static bool
settled_before(const struct deliveries *deliveries, size_t number)
{
	const struct maildir_message *message = &deliveries->items[number].message;
	size_t i;

	for (i = 0; i < number; i++)
		if (!deliveries->items[i].failed && deliveries->items[i].message.device == message->device &&
		    deliveries->items[i].message.inode == message->inode)
			return true;
	return false;
}

static int
settle_once(struct deliveries *deliveries, size_t number, struct error *error)
{
	return settled_before(deliveries, number) ? 0 : maildir_settle(&deliveries->items[number].message, error);
}

static int
flush_one(struct deliveries *deliveries, size_t number, struct error *error)
{
	return maildir_flush(&deliveries->items[number].message, error);
}

static int
publish_one(struct deliveries *deliveries, size_t number, struct error *error)
{
	return maildir_publish(&deliveries->items[number].message, error);
}

static void
do_step(struct deliveries *deliveries, int (*step)(struct deliveries *, size_t number, struct error *error))
{
	size_t i;

	for (i = 0; i < deliveries->item_count; i++) {
		struct item *item = &deliveries->items[i];

		if (!item->failed && step(deliveries, i, &item->error) == -1) {
			error_prefix(&item->error, "mail file %.300s", item->message.mail_file);
			item->failed = true;
		}
	}
}

/* ---- results ---------------------------------------------------------------------------------- */

static const char *
temporary_status(const struct error *error)
{
	switch (error->kind == ERROR_SYSTEM ? error->number : 0) {
	case ENOSPC:
	case EDQUOT:
		return "4.3.1";
	default:
		return "4.3.0";
	}
}

static void
judge(struct deliveries *deliveries, struct item *item)
{
	struct delivery_job *job = item->waiting->job;
	struct delivery_result result = { .recipient = item->recipient->number, .outcome = DELIVERY_DONE,
		.status = "2.0.0", .text = "written into the mail file", .host = "" };

	if (item->failed) {
		result.text = item->error.text;
		if (error_is_temporary(&item->error)) {
			result.outcome = DELIVERY_DEFERRED;
			result.status = temporary_status(&item->error);
		} else {
			result.outcome = DELIVERY_FAILED;
			result.failure = FAILURE_DELIVERY;
			result.status = "5.3.5";
		}
	} else {
		deliveries->delivered++;
		if (item->message.there)
			result.text = "already in the mail file";
		log_event(LOG_MAIL_FILE_WRITTEN, log_id(job->message_id), item->message.mail_file, item->message.name,
		    log_seconds(clock_monotonic_ms() - item->started_ms));
	}
	delivery_job_judge(job, &result);
}

static void
finish_jobs(struct deliveries *deliveries)
{
	size_t i;

	for (i = 0; i < deliveries->item_count; i++) {
		struct item *item = &deliveries->items[i];
		struct waiting_job *waiting = item->waiting;

		judge(deliveries, item);
		maildir_end(&item->message);
		buffer_free(&item->header);
		if (--waiting->unjudged > 0)
			continue;
		TAILQ_REMOVE(&deliveries->waiting, waiting, entries);
		delivery_job_finish(waiting->job);
		free(waiting);
		deliveries->finished(deliveries->context);
	}
	deliveries->item_count = 0;
}

static void
run_batch(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct deliveries *deliveries = context;

	fill_batch(deliveries);
	do_step(deliveries, flush_one);
	do_step(deliveries, publish_one);
	do_step(deliveries, settle_once);
	finish_jobs(deliveries);
	if (!TAILQ_EMPTY(&deliveries->waiting))
		event_active(&deliveries->work, EV_TIMEOUT, 0);
}

/* ---- the rest --------------------------------------------------------------------------------- */

void
deliveries_add(struct deliveries *deliveries, struct delivery_job *job)
{
	struct waiting_job *waiting;

	if (job->envelope.recipient_count == 0) {
		delivery_job_finish(job);
		return;
	}
	waiting = memory_new(1, sizeof(*waiting));
	waiting->job = job;
	waiting->unjudged = job->envelope.recipient_count;
	TAILQ_INSERT_TAIL(&deliveries->waiting, waiting, entries);
	event_active(&deliveries->work, EV_TIMEOUT, 0);
}

void
deliveries_set_host(struct deliveries *deliveries, const char *host)
{
	free(deliveries->host);
	deliveries->host = memory_copy_string(host);
}

void
deliveries_suspect_repeats(struct deliveries *deliveries)
{
	deliveries->repeats_before_ms = clock_wall_ms();
}

uint64_t
deliveries_count(const struct deliveries *deliveries)
{
	return deliveries->delivered;
}

struct deliveries *
deliveries_new(struct event_base *base, int root, const char *host, void (*finished)(void *context), void *context)
{
	struct deliveries *deliveries = memory_new(1, sizeof(*deliveries));

	deliveries->base = base;
	deliveries->root = root;
	deliveries->finished = finished;
	deliveries->context = context;
	TAILQ_INIT(&deliveries->waiting);
	event_assign(&deliveries->work, base, -1, 0, run_batch, deliveries);
	deliveries_set_host(deliveries, host);
	deliveries_suspect_repeats(deliveries);
	return deliveries;
}

void
deliveries_free(struct deliveries **deliveries)
{
	struct waiting_job *waiting;

	if (*deliveries == NULL)
		return;
	event_del(&(*deliveries)->work);
	while ((waiting = TAILQ_FIRST(&(*deliveries)->waiting)) != NULL) {
		TAILQ_REMOVE(&(*deliveries)->waiting, waiting, entries);
		free(waiting);
	}
	close((*deliveries)->root);
	free((*deliveries)->host);
	free(*deliveries);
	*deliveries = NULL;
}
