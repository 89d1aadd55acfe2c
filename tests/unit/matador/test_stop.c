/* test_stop - matador stop waits for the end of master's process, which comes after its answer, and not forever */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/ipc/control.h"
#include "master/matador/command.h"

static bool patience_ends;		/* poll(2) waits for nothing */

int
poll(struct pollfd *files, nfds_t count, int timeout)
{
	struct timespec wait = { .tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L };

	return patience_ends ? 0 : ppoll(files, count, timeout < 0 ? NULL : &wait, NULL);
}

/* ---- a master in a folder ---- */

struct stage {
	char folder[64];
	char socket[96];
	char document[96];
	pid_t master;
};

struct acting {
	struct event_base *base;
	int listener;
	int status;
	bool stays;
};

/* It goes on for a while after its answer, as it does to free what it has. */
static void
take_request(void *context, struct channel *channel, const struct control_request *message)
{
	const struct acting *acting = context;
	bool is_stop = strcmp(message->command, "stop") == 0;

	send_control_answer(channel, &(struct control_answer){ .status = (uint8_t)(is_stop ? acting->status : EX_SOFTWARE),
		.text = is_stop ? "" : "stop was expected", .socket = -1 });
	channel_flush(channel);
	usleep(300000);
	if (!acting->stays)
		_exit(0);
	pause();
}

static void
caller_left(void *context UNUSED, struct channel *channel, const char *reason UNUSED)
{
	channel_free(&channel);
}

static void
take_caller(int listener, short events UNUSED, void *context)
{
	static const struct control_handlers handlers = { .control_request = take_request };
	static const struct channel_events channel_events = { .closed = caller_left };
	struct acting *acting = context;

	channel_open(acting->base, accept(listener, NULL, NULL), &control_protocol, IPC_SERVES, &handlers, &channel_events,
	    acting);
}

/* In the process that listens: the kernel tells its id to whoever connects. */
static void
act_master(const struct stage *stage, int ready, int status, bool stays)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct acting acting = { .base = event_base_new(), .listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), .status = status,
		.stays = stays };
	struct event *event;

	strcpy(address.sun_path, stage->socket);
	if (bind(acting.listener, (const struct sockaddr *)&address, sizeof(address)) == -1 || listen(acting.listener, 8) == -1)
		_exit(1);
	event = event_new(acting.base, acting.listener, EV_READ | EV_PERSIST, take_caller, &acting);
	event_add(event, NULL);
	if (write(ready, "!", 1) != 1)
		_exit(1);
	event_base_dispatch(acting.base);
	_exit(1);
}

static void
stage_set(struct stage *stage, int status, bool stays)
{
	FILE *document;
	char octet;
	int ends[2];

	strcpy(stage->folder, "/tmp/test_stop.XXXXXX");
	assert_non_null(mkdtemp(stage->folder));
	snprintf(stage->socket, sizeof(stage->socket), "%s/control", stage->folder);
	snprintf(stage->document, sizeof(stage->document), "%s/matador.conf", stage->folder);
	document = fopen(stage->document, "w");
	assert_non_null(document);
	fprintf(document, "control_socket = %s\n", stage->socket);
	fclose(document);
	assert_int_equal(pipe(ends), 0);
	stage->master = fork();
	if (stage->master == 0)
		act_master(stage, ends[1], status, stays);
	close(ends[1]);
	assert_int_equal(read(ends[0], &octet, 1), 1);
	close(ends[0]);
}

static int
stop(const struct stage *stage)
{
	char *arguments[] = { (char *)(uintptr_t)"matador stop", NULL };

	return command_stop(stage->folder, 1, arguments);
}

/* Whether the master has ended by itself. */
static bool
stage_clear(struct stage *stage)
{
	bool ended = waitpid(stage->master, NULL, WNOHANG) == stage->master;

	if (!ended) {
		kill(stage->master, SIGKILL);
		waitpid(stage->master, NULL, 0);
	}
	unlink(stage->socket);
	unlink(stage->document);
	rmdir(stage->folder);
	return ended;
}

/* ---- cases ---- */

static void
master_is_gone_when_stop_ends(void **state UNUSED)
{
	struct stage stage;

	stage_set(&stage, EX_OK, false);
	assert_int_equal(stop(&stage), EX_OK);
	assert_true(stage_clear(&stage));
}

static void
a_master_that_stays_is_not_waited_for_without_end(void **state UNUSED)
{
	struct stage stage;

	stage_set(&stage, EX_OK, true);
	patience_ends = true;
	assert_int_equal(stop(&stage), EX_TEMPFAIL);
	patience_ends = false;
	assert_false(stage_clear(&stage));
}

static void
a_master_that_refuses_is_not_waited_for(void **state UNUSED)
{
	struct stage stage;

	stage_set(&stage, EX_NOPERM, true);
	assert_int_equal(stop(&stage), EX_NOPERM);
	assert_false(stage_clear(&stage));
}

static void
no_master_is_told_as_such(void **state UNUSED)
{
	struct stage stage;

	stage_set(&stage, EX_OK, true);
	unlink(stage.socket);
	assert_int_equal(stop(&stage), EX_UNAVAILABLE);
	assert_false(stage_clear(&stage));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(master_is_gone_when_stop_ends),
		cmocka_unit_test(a_master_that_stays_is_not_waited_for_without_end),
		cmocka_unit_test(a_master_that_refuses_is_not_waited_for),
		cmocka_unit_test(no_master_is_told_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
