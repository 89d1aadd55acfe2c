/*
 * fake_peers - a depositor, a router and delivery workers at the other ends of qmgr's channels, for its tests
 *
 * The router decides by the words of an address, the workers by the words of a recipient; what they did is counted and kept.
 */
#ifndef TESTS_FAKE_PEERS_H
#define TESTS_FAKE_PEERS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/ipc/deliver.h"
#include "common/ipc/deposit.h"
#include "common/ipc/queue.h"
#include "common/ipc/route.h"
#include "common/mail/delivery_result.h"
#include "qmgr/qmgr.h"

static struct event_base *base;
static struct qmgr qmgr;

static void
pair(int sockets[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) != 0)
		abort();
}

static struct bytes
part_of(const struct buffer *octets, size_t offset)
{
	size_t rest = octets->length - offset;

	return (struct bytes){ octets->data + offset, rest < IPC_DATA_MAX ? rest : IPC_DATA_MAX };
}

/* ---- a depositor ---- */

static struct {
	struct channel *channel;
	uint64_t next_id;
	bool accepting;
	unsigned answers;
	uint64_t last_id;
	uint8_t last_outcome;
	int file;
	unsigned call_outs;		/* answered */
	uint64_t last_call_out;
	uint8_t call_out_outcome;
	char call_out_text[100];
} depositor;

static void
got_block(UNUSED void *context, UNUSED struct channel *channel, const struct deposit_block *message)
{
	depositor.next_id = message->first_id;
}

static void
got_state(UNUSED void *context, UNUSED struct channel *channel, const struct deposit_state *message)
{
	depositor.accepting = message->accepting;
}

static void
got_deposit_answer(UNUSED void *context, UNUSED struct channel *channel, const struct deposit_answer *message)
{
	depositor.answers++;
	depositor.last_id = message->id;
	depositor.last_outcome = message->outcome;
}

static void
got_body_answer(UNUSED void *context, UNUSED struct channel *channel, const struct deposit_body_answer *message)
{
	depositor.answers++;
	depositor.last_outcome = message->outcome;
	depositor.file = message->file;
}

static void
got_call_out_answer(UNUSED void *context, UNUSED struct channel *channel, const struct call_out_answer *message)
{
	depositor.call_outs++;
	depositor.last_call_out = message->id;
	depositor.call_out_outcome = message->outcome;
	snprintf(depositor.call_out_text, sizeof(depositor.call_out_text), "%s", message->text);
}

static void
depositor_connect(void)
{
	static const struct deposit_handlers handlers = { .deposit_block = got_block, .deposit_state = got_state,
		.deposit_answer = got_deposit_answer, .deposit_body_answer = got_body_answer,
		.call_out_answer = got_call_out_answer };
	int sockets[2];

	pair(sockets);
	channel_free(&depositor.channel);
	memset(&depositor, 0, sizeof(depositor));
	depositor.channel = channel_open(base, sockets[0], &deposit_protocol, IPC_ASKS, &handlers, NULL, NULL);
	deposit_introduced(&qmgr, 0, IPC_SERVES, sockets[1]);
}

/* An envelope for the recipients, separated by blanks. */
static void
make_envelope(struct envelope *envelope, uint64_t id, const char *sender, const char *recipients)
{
	char *words = memory_copy_string(recipients), *state = NULL, *word;

	envelope_init(envelope);
	envelope->id = id;
	envelope->sender = memory_copy_string(sender);
	envelope->arrival_ms = clock_wall_ms();
	for (word = strtok_r(words, " ", &state); word != NULL; word = strtok_r(NULL, " ", &state))
		envelope_add_recipient(envelope, word);
	free(words);
}

static void
deposit_octets(uint64_t id, const struct buffer *octets, size_t envelope_length, uint64_t body_length)
{
	struct deposit_begin begin = { .id = id, .envelope_length = (uint32_t)envelope_length,
		.content_length = octets->length - envelope_length, .body_length = body_length,
		.body_checksum = (uint32_t)body_length ^ 0x5a5a5a5au, .data = part_of(octets, 0) };
	size_t offset = begin.data.length;

	send_deposit_begin(depositor.channel, &begin);
	while (offset < octets->length) {
		struct deposit_more more = { .id = id, .data = part_of(octets, offset) };

		send_deposit_more(depositor.channel, &more);
		offset += more.data.length;
	}
}

static void
deposit_envelope(const struct envelope *envelope, const char *content, uint64_t body_length)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	size_t length;

	envelope_encode(envelope, NULL, &octets);
	length = octets.length;
	buffer_append_string(&octets, content);
	deposit_octets(envelope->id, &octets, length, body_length);
	buffer_free(&octets);
}

static uint64_t
deposit(const char *sender, const char *recipients, const char *content)
{
	struct envelope envelope;
	uint64_t id = depositor.next_id++;

	make_envelope(&envelope, id, sender, recipients);
	deposit_envelope(&envelope, content, 0);
	envelope_free(&envelope);
	return id;
}

/* ---- router ---- */

static struct {
	struct channel *channel;
	unsigned questions;
	unsigned reports;
	unsigned report_recipients;
	uint8_t report_kind;
	struct buffer report;		/* the request in hand */
	uint64_t report_job;
	size_t report_envelope, report_whole;
	char report_header[1000];
	bool silent;			/* answers nothing */
	const char *instead;		/* new documents: this next hop, where it was host-... */
	bool hasty;			/* answers a request for a report before it has all of it */
	unsigned hasty_answers;
} router;

static void
got_question(UNUSED void *context, struct channel *channel, const struct route_request *request)
{
	struct route_answer answer = { .job = request->job, .outcome = ROUTE_DELIVER, .transport = TRANSPORT_SMTP,
		.next_hop = "relay:25", .address = "", .status = "", .text = "", .rule = "rule" };
	char next_hop[1024], *word = strstr(request->recipient, "host-");
	unsigned members = 0, i;

	router.questions++;
	if (router.silent)
		return;
	if (strncmp(request->recipient, "local", 5) == 0) {
		answer.transport = TRANSPORT_LOCAL;
		answer.next_hop = "";
		answer.address = "mailfile";
	} else if (word != NULL) {
		snprintf(next_hop, sizeof(next_hop), "%s:25", word);
		answer.next_hop = router.instead != NULL ? router.instead : next_hop;
	} else if (strncmp(request->recipient, "unknown", 7) == 0) {
		answer.outcome = ROUTE_FAIL;
		answer.failure = FAILURE_USERNAME;
		answer.status = "5.1.1";
		answer.text = "not listed in Domino Directory";
	} else if (strncmp(request->recipient, "later", 5) == 0) {
		answer.outcome = ROUTE_DEFER;
		answer.status = "4.4.3";
		answer.text = "the directory is away";
	} else if (sscanf(request->recipient, "group%u", &members) == 1) {
		answer.outcome = ROUTE_EXPAND;
		for (i = 0; i < members; i++) {
			char address[60];
			struct route_member member = { .job = request->job, .recipient = address };

			snprintf(address, sizeof(address), "member%u@Example.COM", i);
			send_route_member(channel, &member);
		}
	} else if (strncmp(request->recipient, "forward", 7) == 0 || strncmp(request->recipient, "loop", 4) == 0) {
		struct route_member member = { .job = request->job,
			.recipient = "target@example.net" };

		if (request->recipient[0] == 'l')
			member.recipient = request->recipient;
		answer.outcome = ROUTE_FORWARD;
		send_route_member(channel, &member);
	}
	send_route_answer(channel, &answer);
}

/* A report for recipient as router's answer. */
static void
send_report(struct channel *channel, const char *recipient)
{
	struct report_answer answer = { .job = router.report_job, .wanted = 1 };
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct envelope envelope;
	size_t offset = 0;

	make_envelope(&envelope, 0, "", recipient);
	envelope_encode(&envelope, NULL, &octets);
	answer.envelope_length = (uint32_t)octets.length;
	buffer_append_string(&octets, "Subject: report\r\n\r\nfailed\r\n");
	answer.content_length = octets.length - answer.envelope_length;
	while (offset < octets.length) {
		struct report_data data = { .job = router.report_job, .data = part_of(&octets, offset) };

		send_report_data(channel, &data);
		offset += data.data.length;
	}
	send_report_answer(channel, &answer);
	envelope_free(&envelope);
	buffer_free(&octets);
}

static void
write_report(struct channel *channel)
{
	struct envelope about;
	struct error error = ERROR_INITIALIZER;
	size_t header = router.report.length - router.report_envelope;

	if (envelope_decode(router.report.data, router.report_envelope, &about, &error) != 0)
		abort();
	router.reports++;
	router.report_recipients += (unsigned)about.recipient_count;
	snprintf(router.report_header, sizeof(router.report_header), "%.*s", (int)header,
	    router.report.data + router.report_envelope);
	send_report(channel, about.sender);
	envelope_free(&about);
}

static void
got_report_octets(struct channel *channel, const struct bytes *data)
{
	buffer_append(&router.report, data->data, data->length);
	if (router.report.length == router.report_whole && !router.silent)
		write_report(channel);
}

static void
got_report_begin(UNUSED void *context, struct channel *channel, const struct report_begin *message)
{
	buffer_clear(&router.report);
	router.report_job = message->job;
	router.report_kind = message->kind;
	router.report_envelope = message->envelope_length;
	router.report_whole = message->envelope_length + message->content_length;
	if (router.hasty) {
		router.hasty_answers++;
		send_report(channel, "hasty@example.org");
	}
	got_report_octets(channel, &message->data);
}

static void
got_report_more(UNUSED void *context, struct channel *channel, const struct report_more *message)
{
	got_report_octets(channel, &message->data);
}

static void
router_connect(void)
{
	static const struct route_handlers handlers = { .route_request = got_question, .report_begin = got_report_begin,
		.report_more = got_report_more };
	int sockets[2];

	pair(sockets);
	channel_free(&router.channel);
	router.channel = channel_open(base, sockets[0], &route_protocol, IPC_SERVES, &handlers, NULL, NULL);
	routing_introduced(&qmgr, IPC_ASKS, sockets[1]);
}

/* ---- delivery workers ---- */

struct fake_worker;

struct fake_job {
	uint64_t number;
	uint64_t message_id;
	struct buffer octets;
	size_t envelope_length, whole;
	int body;
	struct fake_worker *worker;
	struct fake_job *next;
};

struct fake_worker {
	struct channel *channel;
	enum role role;
	unsigned instance;
	bool holds_jobs;		/* answers nothing until told */
	struct fake_job *jobs;
	unsigned job_count;		/* in all */
	unsigned in_hand, most_in_hand;
	unsigned delivered;
	char order[4000];		/* the first recipient of each job */
	char last_content[1000];
	char last_next_hop[200];
	uint8_t last_flags;
	unsigned call_outs;
	uint64_t last_call_out;
	char last_called_out[200];	/* transport, next hop and recipient */
};

static struct fake_worker smtp, smtp1, local;

static void
judge(const struct envelope_recipient *recipient, struct delivery_result *result)
{
	*result = (struct delivery_result){ .recipient = recipient->number, .outcome = DELIVERY_DONE, .status = "2.0.0",
		.text = "250 ok", .host = "host" };
	if (strstr(recipient->address, "temp") != NULL) {
		result->outcome = DELIVERY_DEFERRED;
		result->status = "4.2.0";
		result->text = "451 later";
	} else if (strstr(recipient->address, "perm") != NULL) {
		result->outcome = DELIVERY_FAILED;
		result->failure = FAILURE_TRANSFER;
		result->status = "5.7.1";
		result->text = "550 no";
	} else if (strstr(recipient->address, "down") != NULL) {
		result->outcome = DELIVERY_DEFERRED;
		result->host_failed = true;
		result->status = "4.4.1";
		result->text = "Connection refused";
	} else if (strstr(recipient->address, "remembered") != NULL) {
		result->outcome = DELIVERY_DEFERRED;
		result->host_failed = true;
		result->retry_seconds = 300;
		result->status = "4.4.1";
		result->text = "all hosts failed lately";
	}
}

static void
finish_job(struct fake_worker *worker, struct fake_job *job)
{
	struct deliver_answer answer = { .job = job->number };
	struct buffer results = BUFFER_INITIALIZER(0);
	struct envelope envelope;
	struct error error = ERROR_INITIALIZER;
	struct fake_job **link;
	size_t i;

	if (envelope_decode(job->octets.data, job->envelope_length, &envelope, &error) != 0)
		abort();
	for (i = 0; i < envelope.recipient_count; i++) {
		struct delivery_result result;

		judge(&envelope.recipients[i], &result);
		delivery_result_encode(&result, &results);
		worker->delivered += result.outcome == DELIVERY_DONE;
	}
	snprintf(worker->last_content, sizeof(worker->last_content), "%.*s",
	    (int)(job->octets.length - job->envelope_length), job->octets.data + job->envelope_length);
	if (job->body >= 0) {
		ssize_t count = pread(job->body, worker->last_content, sizeof(worker->last_content) - 1, 0);

		worker->last_content[count > 0 ? count : 0] = '\0';
		close(job->body);
	}
	answer.results = (struct bytes){ results.data, results.length };
	if (worker->channel != NULL)
		send_deliver_answer(worker->channel, &answer);
	for (link = &worker->jobs; *link != job; link = &(*link)->next)
		;
	*link = job->next;
	worker->in_hand--;
	buffer_free(&results);
	envelope_free(&envelope);
	buffer_free(&job->octets);
	free(job);
}

static void
job_whole(struct fake_worker *worker, struct fake_job *job)
{
	struct envelope envelope;
	struct error error = ERROR_INITIALIZER;
	size_t used = strlen(worker->order);

	if (envelope_decode(job->octets.data, job->envelope_length, &envelope, &error) != 0)
		abort();
	snprintf(worker->order + used, sizeof(worker->order) - used, "%s ", envelope.recipients[0].address);
	envelope_free(&envelope);
	if (!worker->holds_jobs)
		finish_job(worker, job);
}

static void
got_job(void *context, UNUSED struct channel *channel, const struct deliver_begin *message)
{
	struct fake_worker *worker = context;
	struct fake_job *job = memory_new(1, sizeof(*job));

	job->number = message->job;
	job->message_id = message->message_id;
	job->envelope_length = message->envelope_length;
	job->whole = message->envelope_length + message->content_length;
	job->body = message->body;
	job->worker = worker;
	job->next = worker->jobs;
	worker->jobs = job;
	worker->job_count++;
	if (++worker->in_hand > worker->most_in_hand)
		worker->most_in_hand = worker->in_hand;
	worker->last_flags = message->flags;
	snprintf(worker->last_next_hop, sizeof(worker->last_next_hop), "%s", message->next_hop);
	buffer_append(&job->octets, message->data.data, message->data.length);
	if (job->octets.length == job->whole)
		job_whole(worker, job);
}

static void
got_job_more(void *context, UNUSED struct channel *channel, const struct deliver_more *message)
{
	struct fake_worker *worker = context;
	struct fake_job *job;

	for (job = worker->jobs; job != NULL && job->number != message->job; job = job->next)
		;
	if (job == NULL)
		abort();
	buffer_append(&job->octets, message->data.data, message->data.length);
	if (job->octets.length == job->whole)
		job_whole(worker, job);
}

static void
got_call_out(void *context, UNUSED struct channel *channel, const struct call_out_job *message)
{
	struct fake_worker *worker = context;

	worker->call_outs++;
	worker->last_call_out = message->job;
	snprintf(worker->last_called_out, sizeof(worker->last_called_out), "%u %s %s", message->transport, message->next_hop,
	    message->recipient);
}

static void
forget_jobs(struct fake_worker *worker)
{
	struct fake_job *job;

	while ((job = worker->jobs) != NULL) {
		worker->jobs = job->next;
		buffer_free(&job->octets);
		if (job->body >= 0)
			close(job->body);
		free(job);
	}
	worker->in_hand = 0;
}

/* Connects without saying what it holds. */
static void
worker_connect_untold(struct fake_worker *worker, enum role role, unsigned instance)
{
	static const struct deliver_handlers handlers = { .deliver_begin = got_job, .deliver_more = got_job_more,
		.call_out_job = got_call_out };
	int sockets[2];

	pair(sockets);
	channel_free(&worker->channel);
	forget_jobs(worker);
	worker->role = role;
	worker->instance = instance;
	worker->channel = channel_open(base, sockets[0], &deliver_protocol, IPC_SERVES, &handlers, NULL, worker);
	deliver_introduced(&qmgr, role, instance, IPC_ASKS, sockets[1]);
}

static void
worker_connect(struct fake_worker *worker, enum role role, unsigned instance)
{
	static const struct deliver_holding_end end;

	worker_connect_untold(worker, role, instance);
	send_deliver_holding_end(worker->channel, &end);
}

/* ---- a control command ---- */

static struct {
	struct channel *channel;
	unsigned messages;
	uint64_t ids[1000];
	uint8_t held;
	uint64_t size;
	struct buffer data;
	unsigned answers;
	uint64_t count;
	uint8_t failed, more;
} command;

static void
got_queue_message(UNUSED void *context, UNUSED struct channel *channel, const struct queue_message *message)
{
	command.ids[command.messages++] = message->id;
	command.held = message->held;
	command.size = message->size;
}

static void
got_queue_data(UNUSED void *context, UNUSED struct channel *channel, const struct queue_data *message)
{
	buffer_append(&command.data, message->data.data, message->data.length);
}

static void
got_queue_answer(UNUSED void *context, UNUSED struct channel *channel, const struct queue_answer *message)
{
	command.answers++;
	command.count = message->count;
	command.failed = message->failed;
	command.more = message->more;
}

static void
command_connect(void)
{
	static const struct queue_handlers handlers = { .queue_message = got_queue_message, .queue_data = got_queue_data,
		.queue_answer = got_queue_answer };
	int sockets[2];

	pair(sockets);
	channel_free(&command.channel);
	buffer_free(&command.data);
	memset(&command, 0, sizeof(command));
	command.channel = channel_open(base, sockets[0], &queue_protocol, IPC_ASKS, &handlers, NULL, NULL);
	control_introduced(&qmgr, IPC_SERVES, sockets[1]);
}

static void
peers_free(void)
{
	channel_free(&depositor.channel);
	channel_free(&router.channel);
	channel_free(&smtp.channel);
	channel_free(&smtp1.channel);
	channel_free(&local.channel);
	channel_free(&command.channel);
	forget_jobs(&smtp);
	forget_jobs(&smtp1);
	forget_jobs(&local);
	buffer_free(&router.report);
	buffer_free(&command.data);
	memset(&depositor, 0, sizeof(depositor));
	memset(&router, 0, sizeof(router));
	memset(&smtp, 0, sizeof(smtp));
	memset(&smtp1, 0, sizeof(smtp1));
	memset(&local, 0, sizeof(local));
	memset(&command, 0, sizeof(command));
}

#endif
