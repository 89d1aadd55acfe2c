/* test_control_client - what becomes of master's answers: told, refused, without their descriptor, none */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
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
#include "master/matador/control_client.h"

static char *arguments[] = { (char *)(uintptr_t)"matador show stat", NULL };

/* ---- a folder whose matador.conf names a control socket, and a process that listens there ---- */

struct place_of_test {
	char folder[64];
	char socket[96];
	char document[96];
};

static void
place_make(struct place_of_test *place)
{
	FILE *document;

	strcpy(place->folder, "/tmp/test_control_client.XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->socket, sizeof(place->socket), "%s/control", place->folder);
	snprintf(place->document, sizeof(place->document), "%s/matador.conf", place->folder);
	document = fopen(place->document, "w");
	assert_non_null(document);
	fprintf(document, "control_socket = %s\n", place->socket);
	fclose(document);
}

static void
place_remove(struct place_of_test *place)
{
	unlink(place->socket);
	unlink(place->document);
	rmdir(place->folder);
}

static void
answer_request(void *context, struct channel *channel, const struct control_request *message)
{
	const struct control_answer *answer = context;

	send_control_line(channel, &(struct control_line){ .text = message->command });
	send_control_answer(channel, answer);
}

static void
caller_left(void *context UNUSED, struct channel *channel UNUSED, const char *reason UNUSED)
{
	_exit(0);
}

/* Serves one caller. */
static pid_t
start_master(const struct place_of_test *place, struct control_answer answer)
{
	static const struct control_handlers handlers = { .control_request = answer_request };
	static const struct channel_events events = { .closed = caller_left };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	pid_t pid;

	strcpy(address.sun_path, place->socket);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	if (pid == 0) {
		struct event_base *base = event_base_new();

		channel_open(base, accept(listener, NULL, NULL), &control_protocol, IPC_SERVES, &handlers, &events, &answer);
		event_base_dispatch(base);
		_exit(1);
	}
	close(listener);
	return pid;
}

/* ---- what is said on standard error ---- */

struct said {
	FILE *file;
	int kept;
	char text[300];
};

static void
said_begin(struct said *said)
{
	said->file = tmpfile();
	assert_non_null(said->file);
	said->kept = dup(STDERR_FILENO);
	dup2(fileno(said->file), STDERR_FILENO);
}

static void
said_end(struct said *said)
{
	dup2(said->kept, STDERR_FILENO);
	close(said->kept);
	rewind(said->file);
	said->text[fread(said->text, 1, sizeof(said->text) - 1, said->file)] = '\0';
	fclose(said->file);
}

/* ---- tests ---- */

static void
keep_line(void *context, const char *text)
{
	snprintf(context, 32, "%s", text);
}

static void
expect(int answer_status, const char *text, int expected, int expected_told, const char *expected_said)
{
	struct place_of_test place;
	struct said said;
	char line[32] = "";
	int status, told = -1, ended;
	pid_t master;

	place_make(&place);
	master = start_master(&place, (struct control_answer){ .status = (uint8_t)answer_status, .text = text, .socket = -1 });
	said_begin(&said);
	status = control_command(place.folder, arguments, "status", keep_line, line, &told);
	said_end(&said);
	waitpid(master, &ended, 0);
	place_remove(&place);
	assert_int_equal(ended, 0);
	assert_string_equal(line, "status");
	assert_string_equal(said.text, expected_said);
	assert_int_equal(status, expected);
	if (status == EX_OK)
		assert_int_equal(told, expected_told);
}

static void
a_status_that_was_told_is_the_caller_s_to_judge(void **state UNUSED)
{
	expect(EX_OK, "", EX_OK, EX_OK, "");
	expect(EX_SOFTWARE, "", EX_OK, EX_SOFTWARE, "");
}

static void
a_refusal_is_said_and_is_no_answer(void **state UNUSED)
{
	expect(EX_NOPERM, "you may not", EX_NOPERM, 0, "matador show stat: you may not\n");
}

static void
a_service_that_does_not_run_is_unavailable(void **state UNUSED)
{
	struct place_of_test place;
	struct said said;
	int status, told;

	place_make(&place);
	said_begin(&said);
	status = control_command(place.folder, arguments, "status", NULL, NULL, &told);
	said_end(&said);
	place_remove(&place);
	assert_int_equal(status, EX_UNAVAILABLE);
	assert_non_null(strstr(said.text, "the service does not run"));
}

static int
take(int answer_status, const char *text, int socket, int *socket_out, struct said *said)
{
	struct control_reply reply = { answer_status, BUFFER_INITIALIZER(0), socket };
	int status;

	buffer_append_string(&reply.text, text);
	said_begin(said);
	status = control_take_socket(arguments, &reply, socket_out);
	said_end(said);
	return status;
}

/* Its descriptor stays behind when this process can hold no more. */
static void
a_connection_that_did_not_arrive_is_a_failure_with_words(void **state UNUSED)
{
	struct said said;
	int socket;

	assert_int_equal(take(EX_OK, "", -1, &socket, &said), EX_TEMPFAIL);
	assert_string_equal(said.text, "matador show stat: the connection that master made did not arrive: too many open files?\n");
	assert_int_equal(take(EX_NOPERM, "no", -1, &socket, &said), EX_NOPERM);
	assert_string_equal(said.text, "matador show stat: no\n");
	assert_int_equal(take(EX_OK, "", 7, &socket, &said), EX_OK);
	assert_int_equal(socket, 7);
	assert_string_equal(said.text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_that_was_told_is_the_caller_s_to_judge),
		cmocka_unit_test(a_refusal_is_said_and_is_no_answer),
		cmocka_unit_test(a_service_that_does_not_run_is_unavailable),
		cmocka_unit_test(a_connection_that_did_not_arrive_is_a_failure_with_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
