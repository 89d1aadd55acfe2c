/*
 * Unit tests of smtp/connection_race.c. An address that neither answers nor refuses is a listener whose queue
 * of connections is
 * full: its SYNs are dropped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "smtp/connection_race.h"

#define FILLERS_MAX 8

struct scene {
	struct event_base *base;
	struct connection_race *race;
	struct source_addresses sources;
	int listener;			/* answers, at 127.0.0.1 */
	int silent;			/* full, at 127.0.0.3 */
	int fillers[FILLERS_MAX];
	uint16_t port;
	int socket;			/* of the winner */
	char heard[1024];		/* "event address;" */
	char reason[512];
	bool ours;
	bool done;			/* connected or exhausted */
	bool frees;			/* the owner frees the race at once */
};

static void
hear(struct scene *scene, const char *event, const struct race_end *end)
{
	char address[INET6_ADDRSTRLEN] = "";

	if (end != NULL) {
		socket_address_format(end->address, address);
		assert_true(end->elapsed_ms >= 0);
	}
	snprintf(scene->heard + strlen(scene->heard), sizeof(scene->heard) - strlen(scene->heard), "%s%s%s;", event,
	    end != NULL ? " " : "", address);
}

static void
on_connected(void *context, const struct race_end *end, int socket)
{
	struct scene *scene = context;

	hear(scene, "connected", end);
	if (scene->socket != -1)
		close(scene->socket);
	scene->socket = socket;
	scene->done = true;
	if (scene->frees)
		connection_race_free(&scene->race);
}

static void
on_failed(void *context, const struct race_end *end)
{
	struct scene *scene = context;

	hear(scene, "failed", end);
	snprintf(scene->reason, sizeof(scene->reason), "%s", end->reason);
	scene->ours = end->ours;
}

static void
on_overtaken(void *context, const struct race_end *end)
{
	hear(context, "overtaken", end);
}

static void
on_exhausted(void *context)
{
	struct scene *scene = context;

	hear(scene, "exhausted", NULL);
	scene->done = true;
	if (scene->frees)
		connection_race_free(&scene->race);
}

static int
listen_at(struct scene *scene, const char *address, int backlog)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(scene->port) };
	socklen_t length = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, backlog), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &length), 0);
	scene->port = ntohs(at.sin_port);
	return listener;
}

/* Fills the queue of the listener at 127.0.0.3. */
static void
listen_in_silence(struct scene *scene)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(scene->port) };
	unsigned i;

	scene->silent = listen_at(scene, "127.0.0.3", 0);
	inet_pton(AF_INET, "127.0.0.3", &at.sin_addr);
	for (i = 0; i < FILLERS_MAX; i++) {
		scene->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(scene->fillers[i], (struct sockaddr *)&at, sizeof(at));
	}
	usleep(20000);
}

static int
begin_scene(void **state)
{
	struct scene *scene = memory_new(1, sizeof(*scene));
	unsigned i;

	scene->base = event_base_new();
	scene->socket = scene->silent = -1;
	for (i = 0; i < FILLERS_MAX; i++)
		scene->fillers[i] = -1;
	scene->listener = listen_at(scene, "127.0.0.1", 8);
	*state = scene;
	return 0;
}

static int
end_scene(void **state)
{
	struct scene *scene = *state;
	unsigned i;

	connection_race_free(&scene->race);
	close(scene->listener);
	if (scene->silent != -1)
		close(scene->silent);
	if (scene->socket != -1)
		close(scene->socket);
	for (i = 0; i < FILLERS_MAX; i++)
		if (scene->fillers[i] != -1)
			close(scene->fillers[i]);
	event_base_free(scene->base);
	free(scene);
	return 0;
}

static void
run(struct scene *scene)
{
	deadline_t deadline = deadline_after_ms(5000);

	scene->done = false;
	scene->heard[0] = '\0';
	connection_race_run(scene->race);
	assert_string_equal(scene->heard, "");
	while (!scene->done && !deadline_passed(deadline))
		event_base_loop(scene->base, EVLOOP_ONCE);
	assert_true(scene->done);
}

/* addresses: the last numbers of 127.0.0.x, each a digit. */
static void
race(struct scene *scene, const char *addresses, int64_t timeout_ms)
{
	static const struct race_events events = { .connected = on_connected, .failed = on_failed,
		.overtaken = on_overtaken, .exhausted = on_exhausted };
	union socket_address list[8];
	size_t count = strlen(addresses), i;

	for (i = 0; i < count; i++) {
		uint32_t number = htonl(INADDR_LOOPBACK - 1 + (uint32_t)(addresses[i] - '0'));

		socket_address_make(&number, sizeof(number), scene->port, &list[i]);
	}
	scene->race = connection_race_new(scene->base, list, count, &scene->sources, timeout_ms, &events, scene);
	run(scene);
}

static void
goes_on_at_once_when_an_address_refuses(void **state)
{
	struct scene *scene = *state;
	int64_t begun = clock_monotonic_ms();

	race(scene, "981", 3000);
	assert_string_equal(scene->heard, "failed 127.0.0.9;failed 127.0.0.8;connected 127.0.0.1;");
	assert_string_equal(scene->reason, "cannot connect: Connection refused");
	assert_false(scene->ours);
	assert_true(clock_monotonic_ms() - begun < 3000);
	assert_int_equal(send(scene->socket, "x", 1, MSG_NOSIGNAL), 1);
}

static void
waits_for_a_silent_address_no_longer_than_the_delay(void **state)
{
	struct scene *scene = *state;
	int64_t begun = clock_monotonic_ms(), took;

	listen_in_silence(scene);
	race(scene, "31", 60000);
	took = clock_monotonic_ms() - begun;
	assert_string_equal(scene->heard, "overtaken 127.0.0.3;connected 127.0.0.1;");
	assert_true(took >= RACE_STAGGER_MS && took < 5000);
}

static void
goes_on_with_the_rest_when_the_winner_is_useless(void **state)
{
	struct scene *scene = *state;

	listen_in_silence(scene);
	race(scene, "319", 700);
	assert_string_equal(scene->heard, "overtaken 127.0.0.3;connected 127.0.0.1;");
	run(scene);
	assert_string_equal(scene->heard, "failed 127.0.0.9;failed 127.0.0.3;exhausted;");
	assert_string_equal(scene->reason, "timed out while connecting");
}

static void
says_when_no_address_is_left(void **state)
{
	struct scene *scene = *state;

	scene->frees = true;
	race(scene, "89", 3000);
	assert_string_equal(scene->heard, "failed 127.0.0.8;failed 127.0.0.9;exhausted;");
	assert_null(scene->race);
}

static void
may_be_freed_by_the_winner_and_in_the_middle(void **state)
{
	struct scene *scene = *state;

	listen_in_silence(scene);
	scene->frees = true;
	race(scene, "13", 3000);
	assert_string_equal(scene->heard, "connected 127.0.0.1;");
	scene->frees = false;
	race(scene, "31", 3000);
	assert_string_equal(scene->heard, "overtaken 127.0.0.3;connected 127.0.0.1;");
	scene->heard[0] = '\0';
	connection_race_run(scene->race);
	event_base_loop(scene->base, EVLOOP_NONBLOCK);
	connection_race_free(&scene->race);
	event_base_loop(scene->base, EVLOOP_NONBLOCK);
	assert_string_equal(scene->heard, "");
}

static void
tells_faults_of_this_side_from_those_of_the_address(void **state)
{
	struct scene *scene = *state;
	uint32_t nobodys = inet_addr("192.0.2.77");

	socket_address_make(&nobodys, sizeof(nobodys), 0, &scene->sources.ipv4);
	race(scene, "1", 3000);
	assert_string_equal(scene->heard, "failed 127.0.0.1;exhausted;");
	assert_true(scene->ours);
	assert_non_null(strstr(scene->reason, "source address 192.0.2.77 of smtp_source_addresses"));
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(goes_on_at_once_when_an_address_refuses),
		SCENE_TEST(waits_for_a_silent_address_no_longer_than_the_delay),
		SCENE_TEST(goes_on_with_the_rest_when_the_winner_is_useless),
		SCENE_TEST(says_when_no_address_is_left),
		SCENE_TEST(may_be_freed_by_the_winner_and_in_the_middle),
		SCENE_TEST(tells_faults_of_this_side_from_those_of_the_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
