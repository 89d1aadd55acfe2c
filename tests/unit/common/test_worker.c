/*
 * test_worker - the skeleton's life between worker_jail and the end of file
 *
 * The test runs itself again as the worker, as master would; the worker's hooks write one word each to standard output.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/conf/documents.h"
#include "common/ipc/deposit.h"
#include "common/ipc/log.h"
#include "common/ipc/worker.h"
#include "common/log/log.h"
#include "common/worker/worker.h"

#define SOMEBODY 65534
#define PATIENCE_MS 5000

/* ---- the worker ------------------------------------------------------------------------------- */

static void PRINTF_LIKE(1, 2)
say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fflush(stdout);
}

static void
before_jail(struct worker *worker)
{
	say("before(%s) ", strstr(worker_path(worker, "x"), "test_worker.") != NULL ? "real" : "other");
}

static void
after_jail(struct worker *worker)
{
	say("after(%u,%s) ", worker_instance(worker), strcmp(worker_path(worker, "x"), "/x") == 0 ? "root" : "real");
}

static void
introduced(UNUSED struct worker *worker, enum role peer, unsigned instance, const struct ipc_protocol *protocol,
    enum ipc_side side, int socket)
{
	say("introduced(%s,%u,%s,%d) ", role_rows[peer].name, instance, protocol->name, side);
	close(socket);
}

static void
listen_(UNUSED struct worker *worker, UNUSED enum listen_purpose purpose, const char *address, int socket)
{
	say("listen(%s,%d) ", address, (fcntl(socket, F_GETFL) & O_NONBLOCK) != 0);
	close(socket);
}

static void
unlisten(UNUSED struct worker *worker, UNUSED enum listen_purpose purpose, const char *address)
{
	say("unlisten(%s) ", address);
}

static void
client(UNUSED struct worker *worker, uint32_t uid, int socket)
{
	say("client(%u) ", uid);
	close(socket);
}

static void
reloaded(struct worker *worker)
{
	say("reloaded(%s) ", worker_settings(worker)->matador.log_to.text);
}

static void
drain(struct worker *worker, deadline_t deadline)
{
	say("drain(%d) ", deadline_remaining_ms(deadline) > 1000);
	if (deadline_remaining_ms(deadline) > 1000)
		worker_drained(worker);
}

static void
status(UNUSED struct worker *worker, struct buffer *lines)
{
	buffer_append_string(lines, "sessions=7\n");
}

static void
leaving(UNUSED struct worker *worker)
{
	say("leaving");
}

static int
run_as_worker(int argc, char **argv)
{
	static const struct worker_hooks hooks = { .role = ROLE_SMTPD, .before_jail = before_jail,
		.after_jail = after_jail, .reloaded = reloaded, .introduced = introduced, .listen = listen_,
		.unlisten = unlisten, .client = client, .drain = drain, .status = status, .leaving = leaving };

	return worker_run(argc, argv, &hooks, NULL);
}

/* ---- master ----------------------------------------------------------------------------------- */

struct master {
	struct event_base *base;
	struct channel *channel;
	struct channel *log;
	pid_t process;
	int output;
	char folder[64];
	char jail[65];
	unsigned events, closed, drained;
	char status[500];
};

static struct master master;

static void
on_ready(UNUSED void *context, UNUSED struct channel *channel, const struct worker_ready *message)
{
	strcpy(master.jail, message->jail);
}

static void
on_drained(UNUSED void *context, UNUSED struct channel *channel, UNUSED const struct worker_drained *message)
{
	master.drained++;
}

static void
on_status(UNUSED void *context, UNUSED struct channel *channel, const struct worker_status_answer *message)
{
	snprintf(master.status, sizeof(master.status), "%.*s", (int)message->lines.length,
	    (const char *)message->lines.data);
}

static void
on_event(UNUSED void *context, UNUSED struct channel *channel, const struct log_event *message)
{
	assert_int_equal(message->event, LOG_STARTED);
	master.events++;
}

static void
on_closed(UNUSED void *context, UNUSED struct channel *channel, UNUSED const char *reason)
{
	master.closed++;
}

static int
setup(UNUSED void **state)
{
	static const struct worker_handlers handlers = { .worker_ready = on_ready, .worker_drained = on_drained,
		.worker_status_answer = on_status };
	static const struct channel_events events = { .closed = on_closed };
	int pair[2], output[2];

	memset(&master, 0, sizeof(master));
	strcpy(master.folder, "/tmp/test_worker.XXXXXX");
	if (mkdtemp(master.folder) == NULL || chmod(master.folder, 0755) < 0)
		return -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	master.process = fork();
	if (master.process == 0) {
		dup2(output[1], STDOUT_FILENO);
		if (dup2(fcntl(pair[1], F_DUPFD, 10), WORKER_PAIR_DESCRIPTOR) < 0)
			_exit(1);
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execl("/proc/self/exe", "worker", "2", NULL);
		_exit(1);
	}
	close(pair[1]);
	close(output[1]);
	master.output = output[0];
	master.base = event_base_new();
	master.channel = channel_open(master.base, pair[0], &worker_protocol, IPC_ASKS, &handlers, &events, NULL);
	return 0;
}

static int
teardown(UNUSED void **state)
{
	channel_free(&master.channel);
	channel_free(&master.log);
	event_base_free(master.base);
	close(master.output);
	rmdir(master.folder);
	return 0;
}

static void
write_document(const char *name, const char *text, const char *end)
{
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", master.folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fputs(end, file);
	fclose(file);
}

static void
remove_document(const char *name)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/%s", master.folder, name);
	unlink(path);
}

static void
send_settings(const char *log_to)
{
	struct documents_report report;
	const struct settings *settings;
	struct error error = ERROR_INITIALIZER;
	int sealed;

	write_document("matador.conf", "server_name = \"Hub/Acme\"\nlog_to = ", log_to);
	write_document("servers.conf", "server \"Hub/Acme\" {\ndomino_domain = Acme\n"
	    "internet_host_name = hub.acme.example\n}\n", "");
	settings = documents_read(master.folder, &report);
	if (settings == NULL)
		fail_msg("%s", buffer_text(&report.errors));
	documents_report_free(&report);
	sealed = settings_seal(settings, ROLE_SMTPD, &error);
	if (sealed < 0)
		fail_msg("%s", error.text);
	assert_true(send_worker_settings(master.channel, &(struct worker_settings){ .file = sealed }));
	close(sealed);
	settings_release(&settings);
	remove_document("matador.conf");
	remove_document("servers.conf");
}

static void
send_jail(bool privileged)
{
	assert_true(send_worker_jail(master.channel, &(struct worker_jail){ .root = master.folder,
		.privileged = privileged, .uid = SOMEBODY, .gid = SOMEBODY, .open_files = 64,
		.file_size = UINT64_MAX }));
}

static void
introduce(enum role peer, const struct ipc_protocol *protocol, int *other_end_out)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(send_worker_introduce(master.channel, &(struct worker_introduce){ .peer = (uint8_t)peer,
		.instance = 3, .protocol = protocol->name, .side = IPC_ASKS, .socket = pair[0] }));
	close(pair[0]);
	*other_end_out = pair[1];
}

static void
offer_listener(const char *address)
{
	int socket_ = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(send_worker_listen(master.channel,
	    &(struct worker_listen){ .address = address, .socket = socket_ }));
	close(socket_);
}

static bool
has_logged(void)
{
	return master.events > 0;
}

static bool
is_ready(void)
{
	return master.jail[0] != '\0';
}

static bool
is_closed(void)
{
	return master.closed > 0;
}

static bool
has_status(void)
{
	return master.status[0] != '\0';
}

static void
run_until(bool (*condition)(void))
{
	deadline_t limit = deadline_after_ms(PATIENCE_MS);

	while (!condition() && !deadline_passed(limit)) {
		event_base_loop(master.base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	assert_true(condition());
}

/* Everything that the worker said, once it is gone; its exit status is the result. */
static int
hear_the_end(char *said, size_t size)
{
	size_t length = 0;
	ssize_t got;
	int end;

	while ((got = read(master.output, said + length, size - 1 - length)) > 0)
		length += (size_t)got;
	said[length] = '\0';
	waitpid(master.process, &end, 0);
	return WIFEXITED(end) ? WEXITSTATUS(end) : 1000 + WTERMSIG(end);
}

static void
leave_and_expect(const char *expected)
{
	char said[1000];

	channel_flush(master.channel);
	channel_free(&master.channel);
	assert_int_equal(hear_the_end(said, sizeof(said)), EX_OK);
	assert_string_equal(said, expected);
}

/* ---- the cases -------------------------------------------------------------------------------- */

static void
what_came_before_the_jail_is_told_behind_it_in_its_order(UNUSED void **state)
{
	static const struct log_handlers log_handlers = { .log_event = on_event };
	int qmgr, logger, late;

	send_jail(false);
	send_settings("syslog");
	introduce(ROLE_LOGGER, &log_protocol, &logger);
	introduce(ROLE_QMGR, &deposit_protocol, &qmgr);
	offer_listener("127.0.0.1:25");
	offer_listener("127.0.0.1:26");
	assert_true(send_worker_unlisten(master.channel, &(struct worker_unlisten){ .address = "127.0.0.1:25" }));
	introduce(ROLE_RESOLVER, ipc_protocol_by_name("dns"), &late);
	assert_true(send_worker_begin(master.channel, &(struct worker_begin){ }));
	master.log = channel_open(master.base, logger, &log_protocol, IPC_SERVES, &log_handlers, NULL, NULL);
	run_until(is_ready);
	run_until(has_logged);
	assert_int_equal(master.events, 1);
	leave_and_expect("before(real) after(2,real) introduced(qmgr,3,deposit,1) listen(127.0.0.1:26,1) "
	    "introduced(resolver,3,dns,1) leaving");
	close(qmgr);
	close(late);
}

static void
as_root_the_folder_becomes_the_root(UNUSED void **state)
{
	if (geteuid() != 0)
		skip();
	send_jail(true);
	send_settings("syslog");
	assert_true(send_worker_begin(master.channel, &(struct worker_begin){ }));
	run_until(is_ready);
	assert_string_equal(master.jail, "chroot");
	leave_and_expect("before(real) after(2,root) leaving");
}

static void
everything_may_come_again_later(UNUSED void **state)
{
	int qmgr, pair[2];

	send_jail(false);
	send_settings("syslog");
	assert_true(send_worker_begin(master.channel, &(struct worker_begin){ }));
	run_until(is_ready);
	introduce(ROLE_QMGR, &deposit_protocol, &qmgr);
	offer_listener("[::1]:25");
	assert_true(send_worker_unlisten(master.channel, &(struct worker_unlisten){ .address = "[::1]:25" }));
	send_settings("stderr");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(send_worker_client(master.channel, &(struct worker_client){ .uid = 12, .socket = pair[0] }));
	assert_true(send_worker_status(master.channel, &(struct worker_status){ }));
	run_until(has_status);
	assert_string_equal(master.status, "sessions=7\n");
	leave_and_expect("before(real) after(2,real) introduced(qmgr,3,deposit,1) listen([::1]:25,1) unlisten([::1]:25) "
	    "reloaded(stderr) client(12) leaving");
	close(qmgr);
	close(pair[0]);
	close(pair[1]);
}

static void
signals_for_everyone_do_not_end_a_worker_but_a_drain_does(UNUSED void **state)
{
	send_jail(false);
	send_settings("syslog");
	assert_true(send_worker_begin(master.channel, &(struct worker_begin){ }));
	run_until(is_ready);
	kill(master.process, SIGTERM);
	kill(master.process, SIGINT);
	kill(master.process, SIGHUP);
	assert_true(send_worker_drain(master.channel, &(struct worker_drain){ .seconds = 30 }));
	run_until(is_closed);
	assert_int_equal(master.drained, 1);
	leave_and_expect("before(real) after(2,real) drain(1) leaving");
}

static void
a_program_that_overlooks_its_deadline_is_drained_soon_after_it(UNUSED void **state)
{
	send_jail(false);
	send_settings("syslog");
	assert_true(send_worker_begin(master.channel, &(struct worker_begin){ }));
	run_until(is_ready);
	assert_true(send_worker_drain(master.channel, &(struct worker_drain){ .seconds = 0 }));
	run_until(is_closed);
	assert_int_equal(master.drained, 1);
	leave_and_expect("before(real) after(2,real) drain(0) leaving");
}

static void
a_worker_without_settings_or_jail_does_not_begin(UNUSED void **state)
{
	char said[1000];

	send_settings("syslog");
	assert_true(send_worker_begin(master.channel, &(struct worker_begin){ }));
	run_until(is_closed);
	assert_int_equal(hear_the_end(said, sizeof(said)), EX_UNAVAILABLE);
	assert_string_equal(said, "");
}

static void
an_end_of_file_before_the_jail_is_an_end_too(UNUSED void **state)
{
	leave_and_expect("");
}

static void
unanswered_questions_do_not_keep_a_worker_from_leaving(UNUSED void **state)
{
	int i;

	send_jail(false);
	send_settings("syslog");
	assert_true(send_worker_begin(master.channel, &(struct worker_begin){ }));
	run_until(is_ready);
	for (i = 0; i < 100 && channel_is_open(master.channel); i++)
		send_worker_status(master.channel, &(struct worker_status){ });
	leave_and_expect("before(real) after(2,real) leaving");
}

static void
nobody_starts_a_program_by_hand(UNUSED void **state)
{
	pid_t process = fork();
	int end;

	if (process == 0) {
		close(WORKER_PAIR_DESCRIPTOR);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execl("/proc/self/exe", "worker", "0", NULL);
		_exit(1);
	}
	waitpid(process, &end, 0);
	assert_true(WIFEXITED(end));
	assert_int_equal(WEXITSTATUS(end), EX_USAGE);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(what_came_before_the_jail_is_told_behind_it_in_its_order),
		CASE(as_root_the_folder_becomes_the_root),
		CASE(everything_may_come_again_later),
		CASE(signals_for_everyone_do_not_end_a_worker_but_a_drain_does),
		CASE(a_program_that_overlooks_its_deadline_is_drained_soon_after_it),
		CASE(a_worker_without_settings_or_jail_does_not_begin),
		CASE(an_end_of_file_before_the_jail_is_an_end_too),
		CASE(unanswered_questions_do_not_keep_a_worker_from_leaving),
		cmocka_unit_test(nobody_starts_a_program_by_hand),
	};

	if (argc == 2)
		return run_as_worker(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
