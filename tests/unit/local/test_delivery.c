/* Unit tests of local/delivery.c: jobs of a qmgr into mail files beneath a folder of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/base/memory.h"
#include "common/ipc/deliver.h"
#include "local/delivery.h"

struct scene {
	struct event_base *base;
	struct deliveries *deliveries;
	struct delivery_jobs *jobs;
	struct channel *qmgr;
	char folder[64];
	unsigned answers, finished, done, deferred, failed;
	char last_text[1024];
	char last_status[16];
};

static void
hear(struct scene *scene, const struct bytes *results)
{
	struct wire_reader reader;
	struct delivery_result result;

	wire_reader_init(&reader, results->data, results->length);
	while (reader.next < reader.end) {
		assert_true(delivery_result_decode(&reader, &result));
		scene->done += result.outcome == DELIVERY_DONE;
		scene->deferred += result.outcome == DELIVERY_DEFERRED;
		scene->failed += result.outcome == DELIVERY_FAILED;
		snprintf(scene->last_text, sizeof(scene->last_text), "%s", result.text);
		snprintf(scene->last_status, sizeof(scene->last_status), "%s", result.status);
	}
}

static void
on_results(void *context, struct channel *channel, const struct deliver_results *message)
{
	(void)channel;
	hear(context, &message->results);
}

static void
on_answer(void *context, struct channel *channel, const struct deliver_answer *message)
{
	struct scene *scene = context;

	(void)channel;
	hear(scene, &message->results);
	scene->answers++;
}

static void
on_holding_end(void *context, struct channel *channel, const struct deliver_holding_end *message)
{
	(void)context;
	(void)channel;
	(void)message;
}

static void
on_start(void *context, struct delivery_job *job)
{
	struct scene *scene = context;

	deliveries_add(scene->deliveries, job);
}

static void
on_finished(void *context)
{
	struct scene *scene = context;

	scene->finished++;
}

static int
begin_scene(void **state)
{
	static const struct delivery_jobs_events jobs_events = { .start = on_start };
	static const struct deliver_handlers handlers = { .deliver_results = on_results, .deliver_answer = on_answer,
		.deliver_holding_end = on_holding_end };
	static const struct channel_events events = { .closed = NULL };
	struct scene *scene = memory_new(1, sizeof(*scene));
	int sockets[2];

	strcpy(scene->folder, "/tmp/matador-delivery-XXXXXX");
	assert_non_null(mkdtemp(scene->folder));
	scene->base = event_base_new();
	scene->deliveries = deliveries_new(scene->base, open(scene->folder, O_RDONLY | O_DIRECTORY), "hub.acme.com",
	    on_finished, scene);
	scene->jobs = delivery_jobs_new(scene->base, &jobs_events, scene);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	scene->qmgr = channel_open(scene->base, sockets[0], &deliver_protocol, IPC_ASKS, &handlers, &events, scene);
	delivery_jobs_introduce(scene->jobs, sockets[1], IPC_SERVES);
	*state = scene;
	return 0;
}

static int
end_scene(void **state)
{
	struct scene *scene = *state;
	char command[128];

	channel_free(&scene->qmgr);
	deliveries_free(&scene->deliveries);
	delivery_jobs_free(&scene->jobs);
	event_base_free(scene->base);
	snprintf(command, sizeof(command), "rm -r %s", scene->folder);
	free(scene);
	return system(command);
}

/* A message for recipients in mail files; several may be the same. */
static void
offer(struct scene *scene, uint64_t message_id, int64_t arrival_ms, const char *const *mail_files, unsigned count)
{
	static uint64_t number;
	struct envelope envelope;
	struct buffer stream = BUFFER_INITIALIZER(0);
	struct deliver_begin begin = { .job = ++number, .message_id = message_id, .transport = TRANSPORT_LOCAL,
		.next_hop = "", .content_length = 4, .body = -1 };
	unsigned i;

	envelope_init(&envelope);
	envelope.sender = memory_copy_string("a@b.example");
	envelope.arrival_ms = arrival_ms;
	for (i = 0; i < count; i++)
		envelope_add_recipient(&envelope, "odd\x1b[2J@d.example")->delivery_address =
		    memory_copy_string(mail_files[i]);
	envelope_encode(&envelope, NULL, &stream);
	envelope_free(&envelope);
	begin.envelope_length = (uint32_t)stream.length;
	buffer_append_string(&stream, "hi\r\n");
	begin.data = (struct bytes){ stream.data, stream.length };
	assert_true(send_deliver_begin(scene->qmgr, &begin));
	buffer_free(&stream);
}

static void
run_until(struct scene *scene, unsigned answers)
{
	deadline_t deadline = deadline_after_ms(10000);

	while (scene->answers < answers && !deadline_passed(deadline)) {
		event_base_loop(scene->base, EVLOOP_NONBLOCK);
		usleep(200);
	}
	assert_int_equal(scene->answers, answers);
	assert_int_equal(scene->finished, answers);
}

/* How many files there are in a folder; the path of one of them. */
static unsigned
count_files(const struct scene *scene, const char *name, char path[static 600])
{
	char folder[200];
	struct dirent *entry;
	unsigned count = 0;
	DIR *stream;

	snprintf(folder, sizeof(folder), "%s/%s", scene->folder, name);
	stream = opendir(folder);
	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.') {
			count++;
			snprintf(path, 600, "%s/%s", folder, entry->d_name);
		}
	closedir(stream);
	return count;
}

static void
writes_each_recipient_its_file(void **state)
{
	static const char *const mail_files[] = { "jdoe", "mail/bob.nsf", "jdoe" };
	struct scene *scene = *state;
	char path[600], text[600] = "";
	int file;

	offer(scene, 7, clock_wall_ms(), mail_files, 3);
	run_until(scene, 1);
	assert_int_equal(scene->done, 3);
	assert_string_equal(scene->last_status, "2.0.0");
	assert_int_equal(count_files(scene, "jdoe/new", path), 2);
	assert_int_equal(count_files(scene, "mail/bob.nsf/new", path), 1);
	assert_int_equal(count_files(scene, "mail/bob.nsf/tmp", text), 0);
	file = open(path, O_RDONLY);
	assert_true(read(file, text, sizeof(text) - 1) > 0);
	close(file);
	/* No control character of an address gets into the header. */
	assert_string_equal(text, "Return-Path: <a@b.example>\nDelivered-To: odd?[2J@d.example\nhi\n");
}

static void
judges_each_recipient_for_itself(void **state)
{
	static const char *const mail_files[] = { "../up", "jdoe", "blocked" };
	struct scene *scene = *state;
	char path[600];
	int file;

	snprintf(path, sizeof(path), "%s/blocked", scene->folder);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	close(file);
	offer(scene, 7, clock_wall_ms(), mail_files, 3);
	run_until(scene, 1);
	assert_int_equal(scene->done, 1);
	assert_int_equal(scene->failed, 1);
	assert_int_equal(scene->deferred, 1);
	assert_string_equal(scene->last_status, "4.3.0");
	assert_non_null(strstr(scene->last_text, "mail file blocked"));
}

static void
serves_more_than_one_batch(void **state)
{
	const char *mail_files[100];
	struct scene *scene = *state;
	char path[600];
	unsigned i;

	for (i = 0; i < 100; i++)
		mail_files[i] = i % 2 == 0 ? "even" : "odd";
	for (i = 0; i < 3; i++)
		offer(scene, 10 + i, clock_wall_ms(), mail_files, 100);
	run_until(scene, 3);
	assert_int_equal(scene->done, 300);
	assert_int_equal(count_files(scene, "even/new", path), 150);
	assert_int_equal(count_files(scene, "odd/new", path), 150);
}

static void
writes_a_repeat_only_once(void **state)
{
	static const char *const mail_files[] = { "jdoe" };
	struct scene *scene = *state;
	char path[600], read_path[640];
	int64_t arrival_ms = clock_wall_ms() - 5000;

	offer(scene, 7, arrival_ms, mail_files, 1);
	run_until(scene, 1);
	offer(scene, 7, arrival_ms, mail_files, 1);
	run_until(scene, 2);
	assert_int_equal(scene->done, 2);
	assert_int_equal(count_files(scene, "jdoe/new", path), 1);
	/* The reader has seen it. */
	snprintf(read_path, sizeof(read_path), "%s/jdoe/cur/%s:2,S", scene->folder, strrchr(path, '/') + 1);
	assert_int_equal(rename(path, read_path), 0);
	deliveries_suspect_repeats(scene->deliveries);
	offer(scene, 7, arrival_ms, mail_files, 1);
	run_until(scene, 3);
	assert_int_equal(scene->done, 3);
	assert_int_equal(count_files(scene, "jdoe/new", path), 0);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(writes_each_recipient_its_file),
		SCENE_TEST(judges_each_recipient_for_itself),
		SCENE_TEST(serves_more_than_one_batch),
		SCENE_TEST(writes_a_repeat_only_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
