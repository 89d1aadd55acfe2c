/* Unit tests of common/mail/delivery_job.c: a worker's end of the deliver protocol against a qmgr that dies and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/base/memory.h"
#include "common/ipc/deliver.h"
#include "common/mail/delivery_job.h"

struct scene {
	struct event_base *base;
	struct delivery_jobs *jobs;
	struct channel *qmgr;
	struct delivery_job *started[8];
	unsigned started_count;
	char heard[4096];	/* what qmgr heard, in order */
	bool lost;
};

static void
hear(struct scene *scene, const char *what, uint64_t job, const struct bytes *results)
{
	struct wire_reader reader;
	struct delivery_result result;
	size_t length = strlen(scene->heard);

	length += (size_t)snprintf(scene->heard + length, sizeof(scene->heard) - length, "%s%llu", what,
	    (unsigned long long)job);
	if (results != NULL) {
		wire_reader_init(&reader, results->data, results->length);
		while (reader.next < reader.end) {
			assert_true(delivery_result_decode(&reader, &result));
			length += (size_t)snprintf(scene->heard + length, sizeof(scene->heard) - length, " %u%c",
			    result.recipient, "+-!"[result.outcome]);
		}
	}
	snprintf(scene->heard + length, sizeof(scene->heard) - length, ";");
}

static void
on_results(void *context, struct channel *channel, const struct deliver_results *message)
{
	(void)channel;
	hear(context, "part ", message->job, &message->results);
}

static void
on_answer(void *context, struct channel *channel, const struct deliver_answer *message)
{
	(void)channel;
	hear(context, "answer ", message->job, &message->results);
}

static void
on_holding(void *context, struct channel *channel, const struct deliver_holding *message)
{
	struct wire_reader reader;
	struct scene *scene = context;

	(void)channel;
	hear(scene, "holding ", message->job, NULL);
	wire_reader_init(&reader, message->recipients.data, message->recipients.length);
	while (reader.next < reader.end)
		sprintf(scene->heard + strlen(scene->heard), "r%u;", wire_get_u32(&reader));
}

static void
on_holding_end(void *context, struct channel *channel, const struct deliver_holding_end *message)
{
	struct scene *scene = context;

	(void)channel;
	(void)message;
	strcat(scene->heard, "end;");
}

static void
on_late_results(void *context, struct channel *channel, const struct deliver_late_results *message)
{
	(void)channel;
	hear(context, message->last ? "last " : "late ", message->job, &message->results);
}

static void
on_start(void *context, struct delivery_job *job)
{
	struct scene *scene = context;

	scene->started[scene->started_count++] = job;
}

static void
on_lost(void *context, const char *reason)
{
	struct scene *scene = context;

	(void)reason;
	scene->lost = true;
}

static const struct deliver_handlers qmgr_handlers = {
	.deliver_results = on_results,
	.deliver_answer = on_answer,
	.deliver_holding = on_holding,
	.deliver_holding_end = on_holding_end,
	.deliver_late_results = on_late_results,
};

static void
turn(struct scene *scene)
{
	int i;

	for (i = 0; i < 20; i++)
		event_base_loop(scene->base, EVLOOP_NONBLOCK);
}

/* A qmgr, the first one or another. */
static void
connect_qmgr(struct scene *scene)
{
	static const struct channel_events events = { .closed = NULL };
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	channel_free(&scene->qmgr);
	scene->heard[0] = '\0';
	scene->qmgr = channel_open(scene->base, sockets[0], &deliver_protocol, IPC_ASKS, &qmgr_handlers, &events, scene);
	delivery_jobs_introduce(scene->jobs, sockets[1], IPC_SERVES);
	turn(scene);
}

static int
begin_scene(void **state)
{
	static const struct delivery_jobs_events events = { .start = on_start, .lost = on_lost };
	struct scene *scene = memory_new(1, sizeof(*scene));

	scene->base = event_base_new();
	scene->jobs = delivery_jobs_new(scene->base, &events, scene);
	connect_qmgr(scene);
	*state = scene;
	return 0;
}

static int
end_scene(void **state)
{
	struct scene *scene = *state;

	channel_free(&scene->qmgr);
	delivery_jobs_free(&scene->jobs);
	event_base_free(scene->base);
	free(scene);
	return 0;
}

/* Sends a job whose content is length times 'x', in packets of piece octets. stop: octets of the stream that are not sent. */
static void
send_job(struct scene *scene, uint64_t number, unsigned recipients, size_t length, size_t piece, size_t stop)
{
	struct envelope envelope;
	struct buffer stream = BUFFER_INITIALIZER(0);
	struct deliver_begin begin = { .job = number, .message_id = number + 100, .transport = TRANSPORT_SMTP,
		.next_hop = "host", .content_length = length, .body = -1 };
	size_t offset, i;

	envelope_init(&envelope);
	envelope.sender = memory_copy_string("a@b");
	for (i = 0; i < recipients; i++)
		envelope_add_recipient(&envelope, "c@d");
	envelope_encode(&envelope, NULL, &stream);
	envelope_free(&envelope);
	begin.envelope_length = (uint32_t)stream.length;
	for (i = 0; i < length; i++)
		buffer_append_byte(&stream, 'x');
	stream.length -= stop;
	begin.data = (struct bytes){ stream.data, stream.length < piece ? stream.length : piece };
	assert_true(send_deliver_begin(scene->qmgr, &begin));
	for (offset = begin.data.length; offset < stream.length; offset += piece) {
		struct deliver_more more = { .job = number, .data = { stream.data + offset,
			stream.length - offset < piece ? stream.length - offset : piece } };

		assert_true(send_deliver_more(scene->qmgr, &more));
	}
	buffer_free(&stream);
	turn(scene);
}

static void
judge(struct delivery_job *job, uint32_t recipient, enum delivery_outcome outcome)
{
	struct delivery_result result = { .recipient = recipient, .outcome = outcome, .status = "2.0.0", .text = "t",
		.host = "h" };

	delivery_job_judge(job, &result);
}

static void
puts_a_stream_together(void **state)
{
	struct scene *scene = *state;

	assert_string_equal(scene->heard, "end;");
	send_job(scene, 1, 3, 100000, 7000, 0);
	assert_int_equal(scene->started_count, 1);
	assert_int_equal(scene->started[0]->content.length, 100000);
	assert_int_equal(scene->started[0]->envelope.recipient_count, 3);
	assert_string_equal(scene->started[0]->next_hop, "host");
	send_job(scene, 2, 1, 10, 1, 0);
	assert_int_equal(scene->started_count, 2);
	send_job(scene, 3, 1, 0, 30000, 0);
	assert_int_equal(scene->started_count, 3);
	assert_int_equal(delivery_jobs_running(scene->jobs), 3);
}

static void
answers_with_all_results(void **state)
{
	struct scene *scene = *state;

	send_job(scene, 1, 3, 5, 30000, 0);
	judge(scene->started[0], 0, DELIVERY_DONE);
	delivery_job_flush(scene->started[0]);
	judge(scene->started[0], 1, DELIVERY_DEFERRED);
	judge(scene->started[0], 2, DELIVERY_FAILED);
	delivery_job_finish(scene->started[0]);
	turn(scene);
	assert_string_equal(scene->heard, "end;part 1 0+;answer 1 1- 2!;");
	assert_int_equal(delivery_jobs_running(scene->jobs), 0);
}

static void
cuts_many_results_into_packets(void **state)
{
	struct scene *scene = *state;
	char text[1001];
	unsigned i;

	memset(text, 'x', 1000);
	text[1000] = '\0';
	send_job(scene, 1, 100, 5, 30000, 0);
	for (i = 0; i < 100; i++) {
		struct delivery_result result = { .recipient = i, .outcome = DELIVERY_FAILED, .status = "5.1.1", .text = text,
			.host = "h" };
		delivery_job_judge(scene->started[0], &result);
	}
	delivery_job_finish(scene->started[0]);
	turn(scene);
	assert_non_null(strstr(scene->heard, "part 1 0! 1!"));
	assert_non_null(strstr(scene->heard, "answer 1 "));
	assert_non_null(strstr(scene->heard, " 99!;"));
}

static void
keeps_a_running_job_over_the_death_of_qmgr(void **state)
{
	struct scene *scene = *state;

	send_job(scene, 1, 2, 5, 30000, 0);
	judge(scene->started[0], 0, DELIVERY_DONE);
	delivery_job_flush(scene->started[0]);
	turn(scene);
	channel_free(&scene->qmgr);
	turn(scene);
	assert_true(scene->lost);
	connect_qmgr(scene);
	assert_string_equal(scene->heard, "holding 1;r0;r1;end;late 1 0+;");
	judge(scene->started[0], 1, DELIVERY_DONE);
	delivery_job_finish(scene->started[0]);
	turn(scene);
	assert_string_equal(scene->heard, "holding 1;r0;r1;end;late 1 0+;last 1 1+;");
}

static void
tells_results_that_came_while_there_was_no_qmgr(void **state)
{
	struct scene *scene = *state;

	send_job(scene, 1, 1, 5, 30000, 0);
	channel_free(&scene->qmgr);
	turn(scene);
	judge(scene->started[0], 0, DELIVERY_DEFERRED);
	delivery_job_finish(scene->started[0]);
	connect_qmgr(scene);
	assert_string_equal(scene->heard, "holding 1;r0;end;last 1 0-;");
	/* A deferral that was told needs no second telling. */
	connect_qmgr(scene);
	assert_string_equal(scene->heard, "end;");
}

/* The last qmgr may have died before it recorded the answer. */
static void
repeats_final_results_to_a_new_qmgr(void **state)
{
	struct scene *scene = *state;

	send_job(scene, 1, 3, 5, 30000, 0);
	judge(scene->started[0], 0, DELIVERY_DONE);
	judge(scene->started[0], 1, DELIVERY_DEFERRED);
	judge(scene->started[0], 2, DELIVERY_FAILED);
	delivery_job_finish(scene->started[0]);
	turn(scene);
	connect_qmgr(scene);
	assert_string_equal(scene->heard, "holding 1;r0;r2;end;last 1 0+ 2!;");
}

static void
forgets_a_job_that_was_cut(void **state)
{
	struct scene *scene = *state;

	send_job(scene, 1, 1, 1000, 100, 10);
	assert_int_equal(scene->started_count, 0);
	connect_qmgr(scene);
	assert_string_equal(scene->heard, "end;");
	send_job(scene, 1, 1, 1000, 100, 0);
	assert_int_equal(scene->started_count, 1);
}

static void
drops_a_qmgr_that_breaks_the_rules(void **state)
{
	static const struct deliver_begin rows[] = {
		{ .job = 1, .next_hop = "h", .envelope_length = 0, .body = -1 },
		{ .job = 1, .next_hop = "h", .envelope_length = UINT32_MAX, .body = -1 },
		{ .job = 1, .next_hop = "h", .envelope_length = 10, .content_length = UINT64_MAX, .body = -1 },
		{ .job = 1, .next_hop = "h", .envelope_length = 10, .body_length = 5, .body = -1 },
		{ .job = 1, .next_hop = "h", .envelope_length = 2, .data = { "12345", 5 }, .body = -1 },
	};
	struct scene *scene = *state;
	struct deliver_more more = { .job = 77, .data = { "x", 1 } };
	size_t i;

	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		scene->lost = false;
		assert_true(send_deliver_begin(scene->qmgr, &rows[i]));
		turn(scene);
		assert_true(scene->lost);
		connect_qmgr(scene);
	}
	scene->lost = false;
	assert_true(send_deliver_more(scene->qmgr, &more));
	turn(scene);
	assert_true(scene->lost);
	assert_int_equal(scene->started_count, 0);
}

static void
leaves_recipients_of_a_malformed_envelope_to_qmgr(void **state)
{
	struct scene *scene = *state;
	struct deliver_begin begin = { .job = 5, .next_hop = "h", .envelope_length = 4, .data = { "abcd", 4 }, .body = -1 };

	assert_true(send_deliver_begin(scene->qmgr, &begin));
	turn(scene);
	assert_int_equal(scene->started_count, 0);
	assert_string_equal(scene->heard, "end;answer 5;");
}

static void
starts_nothing_while_draining(void **state)
{
	struct scene *scene = *state;

	delivery_jobs_drain(scene->jobs);
	send_job(scene, 1, 1, 5, 30000, 0);
	assert_int_equal(scene->started_count, 0);
	assert_string_equal(scene->heard, "end;");
}

static void
takes_a_body_as_a_descriptor(void **state)
{
	struct scene *scene = *state;
	struct deliver_begin begin = { .job = 5, .next_hop = "h", .envelope_length = 4, .data = { "abcd", 4 },
		.body_length = 3 };
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	begin.body = pipes[1];
	assert_true(send_deliver_begin(scene->qmgr, &begin));
	turn(scene);
	close(pipes[1]);
	/* The malformed envelope ended the job, and with it the descriptor. */
	assert_int_equal(read(pipes[0], &(char){ 0 }, 1), 0);
	close(pipes[0]);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(puts_a_stream_together),
		SCENE_TEST(answers_with_all_results),
		SCENE_TEST(cuts_many_results_into_packets),
		SCENE_TEST(keeps_a_running_job_over_the_death_of_qmgr),
		SCENE_TEST(tells_results_that_came_while_there_was_no_qmgr),
		SCENE_TEST(repeats_final_results_to_a_new_qmgr),
		SCENE_TEST(forgets_a_job_that_was_cut),
		SCENE_TEST(drops_a_qmgr_that_breaks_the_rules),
		SCENE_TEST(leaves_recipients_of_a_malformed_envelope_to_qmgr),
		SCENE_TEST(starts_nothing_while_draining),
		SCENE_TEST(takes_a_body_as_a_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
