/* process - see process.h */
#include "master/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/worker/worker.h"

#define REPORT_DESCRIPTOR (WORKER_PAIR_DESCRIPTOR + 1)	/* tells master that execve failed, and why */

/* The child's part: nothing of master's but what is named here survives. Never returns. */
static void NO_RETURN
become(const char *path, const char *name, unsigned instance, int standard_error, int socket, int report)
{
	static const char *const environment[] = { "PATH=/usr/bin:/bin", "LC_ALL=C", NULL, NULL, NULL };
	const char *kept[5];
	char number[16], sanitizer[512], time_zone[256];
	char *const arguments[] = { (char *)name, number, NULL };
	size_t count = 2;
	sigset_t none;
	int nothing, error;

	memcpy(kept, environment, sizeof(kept));
	if (getenv("ASAN_OPTIONS") != NULL) {
		snprintf(sanitizer, sizeof(sanitizer), "ASAN_OPTIONS=%s", getenv("ASAN_OPTIONS"));
		kept[count++] = sanitizer;
	}
	if (getenv("TZ") != NULL) {
		snprintf(time_zone, sizeof(time_zone), "TZ=%s", getenv("TZ"));
		kept[count++] = time_zone;
	}
	kept[count] = NULL;
	snprintf(number, sizeof(number), "%u", instance);
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);	/* what the terminal sends (Ctrl-C) is for master to act on */
	nothing = open("/dev/null", O_RDWR);
	/* both must be out of the way of the places that they get */
	socket = fcntl(socket, F_DUPFD, REPORT_DESCRIPTOR + 1);
	report = fcntl(report, F_DUPFD, REPORT_DESCRIPTOR + 1);
	if (nothing != -1 && socket != -1 && report != -1 && dup2(nothing, STDIN_FILENO) != -1 &&
	    dup2(nothing, STDOUT_FILENO) != -1 &&
	    (standard_error == -1 || dup2(standard_error, STDERR_FILENO) != -1) &&
	    dup2(socket, WORKER_PAIR_DESCRIPTOR) != -1 &&
	    dup3(report, REPORT_DESCRIPTOR, O_CLOEXEC) != -1 && close_range(REPORT_DESCRIPTOR + 1, ~0U, 0) == 0)
		execve(path, arguments, (char *const *)(uintptr_t)kept);
	error = errno;
	if (write(REPORT_DESCRIPTOR, &error, sizeof(error)) == -1)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}

/* Waits until the child runs its program, which closes the pipe, or tells why it cannot. */
static int
hear_report(int report, pid_t child, const char *path, struct error *error)
{
	int number = 0;
	ssize_t got;

	do
		got = read(report, &number, sizeof(number));
	while (got == -1 && errno == EINTR);
	if (got == 0)
		return 0;
	while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
		;
	return error_system(error, number, "running %s", path);
}

int
process_start(const char *path, const char *name, unsigned instance, int standard_error, int *socket_out,
    pid_t *pid_out, struct error *error)
{
	int pair[2] = { -1, -1 }, report[2] = { -1, -1 };
	pid_t child;
	int result = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == -1 ||
	    pipe2(report, O_CLOEXEC) == -1) {
		error_system(error, errno, "making the pair to %s", name);
		goto out;
	}
	child = fork();
	if (child == -1) {
		error_system(error, errno, "starting %s", name);
		goto out;
	}
	if (child == 0)
		become(path, name, instance, standard_error, pair[1], report[1]);
	close(report[1]);
	report[1] = -1;
	if (hear_report(report[0], child, path, error) == -1)
		goto out;
	*socket_out = pair[0];
	*pid_out = child;
	pair[0] = -1;
	result = 0;
out:
	for (int i = 0; i < 2; i++) {
		if (pair[i] != -1)
			close(pair[i]);
		if (report[i] != -1)
			close(report[i]);
	}
	return result;
}

const char *
process_end_text(int status)
{
	static char text[80];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(text, sizeof(text), "exit %d", WEXITSTATUS(status));
	return text;
}
