/* service - start, stop, restart, reload */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/conf/documents.h"
#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/place.h"

#define LEAVING_MS 10000

extern char **environ;

/* Runs master, which tells its mistakes itself, and waits until it is ready or ended. */
static int
run_master(const char *folder, char **argv, bool foreground)
{
	struct error error = ERROR_INITIALIZER;
	struct place place;
	char program[PATH_MAX];
	char *arguments[] = { (char *)"master", (char *)"-c", (char *)(uintptr_t)folder,
		foreground ? (char *)"--foreground" : NULL, NULL };
	int number, status;
	pid_t child;

	if (place_find(folder, &place, &error) == -1)
		return command_fail(argv, EX_CONFIG, "%s", error.text);
	snprintf(program, sizeof(program), "%.4000s/master", place.program_directory);
	if (foreground) {
		execv(program, arguments);
		return command_fail(argv, EX_UNAVAILABLE, "%s: %s (see program_directory)", program, strerror(errno));
	}
	number = posix_spawn(&child, program, NULL, NULL, arguments, environ);
	if (number != 0)
		return command_fail(argv, EX_UNAVAILABLE, "%s: %s (see program_directory)", program, strerror(number));
	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			return command_fail(argv, EX_OSERR, "waiting for %s: %s", program, strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

int
command_start(const char *folder, int argc, char **argv)
{
	static const struct option options[] = { { "foreground", no_argument, NULL, 'F' }, NO_OPTIONS };
	bool foreground = false;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'F')
			return command_misused(argv);
		foreground = true;
	}
	if (optind < argc)
		return command_fail(argv, EX_USAGE, "takes no argument: %s", argv[optind]);
	return run_master(folder, argv, foreground);
}

static void
print_message(void *context UNUSED, const char *text)
{
	fprintf(stderr, "%s\n", text);
}

/* Asks for one command whose lines are messages; prints what is said. */
static int
ask(const char *folder, char **argv, const char *command)
{
	int told, status = control_command(folder, argv, command, print_message, NULL, &told);

	return status == EX_OK ? told : status;
}

/* master answers as its last act; the process is gone a little later. */
static int
await_end(int master, char **argv)
{
	struct pollfd end = { .fd = master, .events = POLLIN };
	int64_t deadline = deadline_after_ms(LEAVING_MS);
	int ready;

	do
		ready = poll(&end, 1, (int)deadline_remaining_ms(deadline));
	while (ready == -1 && errno == EINTR);
	if (ready == 1)
		return EX_OK;
	return command_fail(argv, EX_TEMPFAIL, "everything has stopped, but master itself has not ended within %d seconds",
	    LEAVING_MS / 1000);
}

int
command_stop(const char *folder, int argc, char **argv)
{
	int master, status = command_expect_nothing(argc, argv);

	if (status != EX_OK)
		return status;
	master = control_open_master(folder);
	status = ask(folder, argv, "stop");
	if (status == EX_OK && master != -1)
		status = await_end(master, argv);
	if (master != -1)
		close(master);
	return status;
}

int
command_reload(const char *folder, int argc, char **argv)
{
	int status = command_expect_nothing(argc, argv);

	return status == EX_OK ? ask(folder, argv, "reload") : status;
}

int
command_restart(const char *folder, int argc, char **argv)
{
	struct documents_report report;
	const struct settings *settings;
	int status = command_expect_nothing(argc, argv);

	if (status != EX_OK)
		return status;
	settings = documents_read(folder, &report);
	if (settings == NULL) {
		fputs(buffer_text(&report.errors), stderr);
		status = command_fail(argv, EX_CONFIG, "nothing was stopped");
	}
	documents_report_free(&report);
	settings_release(&settings);
	if (status == EX_OK)
		status = ask(folder, argv, "stop");
	return status == EX_OK || status == EX_UNAVAILABLE ? run_master(folder, argv, false) : status;
}
