/* test_output - lines on their way to a file and to a log daemon */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "master/logger/output.h"

#define NOON INT64_C(1795349558000)

static struct event_base *base;
static char folder[64], file[80], rotated[80], daemon_path[80];

static int
setup(UNUSED void **state)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	strcpy(folder, "/tmp/test_output.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/log", folder);
	snprintf(rotated, sizeof(rotated), "%s/log.1", folder);
	snprintf(daemon_path, sizeof(daemon_path), "%s/socket", folder);
	base = event_base_new();
	return 0;
}

static int
teardown(UNUSED void **state)
{
	unlink(file);
	unlink(rotated);
	unlink(daemon_path);
	rmdir(folder);
	event_base_free(base);
	return 0;
}

static struct output *
output_to(const char *to, bool json)
{
	return output_new(base, &(struct output_options){ .to = to, .socket = daemon_path, .json = json, .facility = 2 });
}

static void
note(struct output *output, const char *text)
{
	output_event(output, "smtpd", 17, NOON, LOG_NOTE, LOG_VALUES(text), 1);
}

static void
turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
expect_file(const char *path, const char *expected)
{
	static char content[8192];
	int descriptor = open(path, O_RDONLY);
	ssize_t length = descriptor < 0 ? 0 : read(descriptor, content, sizeof(content) - 1);

	close(descriptor);
	content[length < 0 ? 0 : length] = '\0';
	assert_string_equal(content, expected);
}

static int
open_daemon(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, daemon_path);
	unlink(daemon_path);
	assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
	return descriptor;
}

static void
expect_datagram(int daemon_socket, const char *expected)
{
	char text[1000];
	ssize_t length = recv(daemon_socket, text, sizeof(text) - 1, 0);

	text[length < 0 ? 0 : length] = '\0';
	assert_string_equal(text, expected);
}

static void
events_of_one_turn_stand_in_the_file_as_lines(UNUSED void **state)
{
	struct output *output = output_to(file, false);
	struct stat status;

	note(output, "one");
	note(output, "two\nforged");
	expect_file(file, "");
	turn();
	expect_file(file, "2026-11-22T12:12:38.000Z smtpd[17]: note text=one\n"
	    "2026-11-22T12:12:38.000Z smtpd[17]: note text=\"two\\nforged\"\n");
	assert_int_equal(stat(file, &status), 0);
	assert_int_equal(status.st_mode & 0137, 0);
	output_free(&output);
}

static void
a_file_that_was_rotated_is_opened_by_its_name_again(UNUSED void **state)
{
	struct output *output = output_to(file, false);

	note(output, "old");
	turn();
	assert_int_equal(rename(file, rotated), 0);
	note(output, "before");
	output_reopen(output);
	note(output, "new");
	turn();
	expect_file(rotated, "2026-11-22T12:12:38.000Z smtpd[17]: note text=old\n"
	    "2026-11-22T12:12:38.000Z smtpd[17]: note text=before\n");
	expect_file(file, "2026-11-22T12:12:38.000Z smtpd[17]: note text=new\n");
	output_free(&output);
}

static void
json_is_one_object_a_line(UNUSED void **state)
{
	struct output *output = output_to(file, true);

	note(output, "one");
	output_free(&output);
	expect_file(file, "{\"time\":\"2026-11-22T12:12:38.000Z\",\"source\":\"smtpd\",\"pid\":17,\"severity\":\"notice\","
	    "\"event\":\"note\",\"text\":\"one\"}\n");
}

static void
the_log_daemon_gets_a_datagram_a_line_with_priority_and_time(UNUSED void **state)
{
	int daemon_socket = open_daemon();
	struct output *output = output_to("syslog", false);

	note(output, "one");
	output_event(output, "qmgr", 18, NOON, LOG_FATAL, LOG_VALUES("broken"), 1);
	turn();
	expect_datagram(daemon_socket, "<21>Nov 22 12:12:38 matador/smtpd[17]: note text=one");
	expect_datagram(daemon_socket, "<19>Nov 22 12:12:38 matador/qmgr[18]: fatal reason=broken");
	output_free(&output);
	close(daemon_socket);
}

static void
a_log_daemon_that_was_restarted_is_found_again_without_loss(UNUSED void **state)
{
	int daemon_socket = open_daemon();
	struct output *output = output_to("syslog", false);

	note(output, "one");
	turn();
	expect_datagram(daemon_socket, "<21>Nov 22 12:12:38 matador/smtpd[17]: note text=one");
	close(daemon_socket);
	daemon_socket = open_daemon();
	note(output, "two");
	turn();
	expect_datagram(daemon_socket, "<21>Nov 22 12:12:38 matador/smtpd[17]: note text=two");
	assert_int_equal(output_dropped(output), 0);
	output_free(&output);
	close(daemon_socket);
}

static void
a_stalled_log_daemon_costs_events_and_is_told_how_many(UNUSED void **state)
{
	int daemon_socket = open_daemon();
	struct output *output = output_to("syslog", false);
	static char value[1001], text[2000];
	unsigned long sent = 10000, got = 0, told = 0;
	int idle = 0;

	memset(value, 'v', sizeof(value) - 1);
	for (unsigned long i = 0; i < sent; i++) {
		note(output, value);
		turn();
	}
	assert_true(output_dropped(output) > 1000);
	while (idle < 200) {
		ssize_t length = recv(daemon_socket, text, sizeof(text) - 1, 0);
		char *count;

		if (length < 0) {
			usleep(1000);
			turn();
			idle++;
			continue;
		}
		text[length] = '\0';
		count = strstr(text, "events-dropped count=");
		told += count == NULL ? 0 : strtoul(count + 21, NULL, 10);
		got += count == NULL;
		idle = 0;
	}
	note(output, "room again");
	turn();
	while (recv(daemon_socket, text, sizeof(text) - 1, 0) > 0) {
		char *count = strstr(text, "events-dropped count=");

		told += count == NULL ? 0 : strtoul(count + 21, NULL, 10);
		got += count == NULL;
	}
	assert_int_equal(told, output_dropped(output));
	assert_int_equal(got + told, sent + 1);
	output_free(&output);
	close(daemon_socket);
}

static void
a_missing_log_daemon_is_a_failure_that_ends_when_it_comes(UNUSED void **state)
{
	struct output *output = output_to("syslog", false);
	int daemon_socket, turns;
	char text[200] = "";

	note(output, "early");
	turn();
	assert_non_null(strstr(output_failure(output), "No such file"));
	daemon_socket = open_daemon();
	for (turns = 0; turns < 200 && recv(daemon_socket, text, sizeof(text), 0) < 0; turns++) {
		usleep(10000);
		turn();
	}
	assert_non_null(strstr(text, "note text=early"));
	assert_string_equal(output_failure(output), "");
	output_free(&output);
	close(daemon_socket);
}

static void
a_full_disk_keeps_nobody_waiting(UNUSED void **state)
{
	struct output *output;

	if (access("/dev/full", W_OK) < 0)
		skip();
	output = output_to("/dev/full", false);
	for (int i = 0; i < 200000; i++)
		note(output, "a line that finds no room on the disk");
	turn();
	assert_non_null(strstr(output_failure(output), "No space"));
	assert_true(output_dropped(output) > 0);
	output_free(&output);
}

static void
a_new_place_is_taken_over_and_a_bad_one_leaves_the_old(UNUSED void **state)
{
	struct output *output = output_to(file, false);

	note(output, "one");
	output_configure(output, &(struct output_options){ .to = "/nonexistent/log", .socket = daemon_path });
	note(output, "two");
	output_configure(output, &(struct output_options){ .to = rotated, .socket = daemon_path, .json = true });
	note(output, "three");
	turn();
	expect_file(file, "2026-11-22T12:12:38.000Z smtpd[17]: note text=one\n"
	    "2026-11-22T12:12:38.000Z smtpd[17]: note text=two\n");
	expect_file(rotated, "{\"time\":\"2026-11-22T12:12:38.000Z\",\"source\":\"smtpd\",\"pid\":17,"
	    "\"severity\":\"notice\",\"event\":\"note\",\"text\":\"three\"}\n");
	assert_int_equal(output_dropped(output), 0);
	output_free(&output);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(events_of_one_turn_stand_in_the_file_as_lines),
		CASE(a_file_that_was_rotated_is_opened_by_its_name_again),
		CASE(json_is_one_object_a_line),
		CASE(the_log_daemon_gets_a_datagram_a_line_with_priority_and_time),
		CASE(a_log_daemon_that_was_restarted_is_found_again_without_loss),
		CASE(a_stalled_log_daemon_costs_events_and_is_told_how_many),
		CASE(a_missing_log_daemon_is_a_failure_that_ends_when_it_comes),
		CASE(a_full_disk_keeps_nobody_waiting),
		CASE(a_new_place_is_taken_over_and_a_bad_one_leaves_the_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
