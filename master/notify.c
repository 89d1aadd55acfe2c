/* notify - see notify.h */
#include "master/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un notify_address;
static socklen_t notify_length;
static int parent_pipe = -1;

void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path == NULL ? 0 : strlen(path);

	if (length < 2 || length >= sizeof(notify_address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	notify_address.sun_family = AF_UNIX;
	memcpy(notify_address.sun_path, path, length + 1);
	notify_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	if (path[0] == '@')
		notify_address.sun_path[0] = '\0';
	unsetenv("NOTIFY_SOCKET");
}

/* Nobody can act on a failure: systemd then times out and says so. */
static void
notify_send(const char *text)
{
	int file;

	if (notify_length == 0)
		return;
	file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (file == -1)
		return;
	(void)!sendto(file, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&notify_address, notify_length);
	close(file);
}

void
notify_ready(void)
{
	notify_send("READY=1");
}

void
notify_reloading(void)
{
	char text[80];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify_send(text);
}

void
notify_stopping(void)
{
	notify_send("STOPPING=1");
}

/* The parent's part. The child holds the writing end until it says a byte or ends. */
static void
wait_for_child(int pipe_end, pid_t child)
{
	ssize_t got;
	char byte;
	int status;

	do
		got = read(pipe_end, &byte, 1);
	while (got == -1 && errno == EINTR);
	if (got == 1)
		_exit(EX_OK);
	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			_exit(EX_OSERR);
	_exit(WIFEXITED(status) && WEXITSTATUS(status) != EX_OK ? WEXITSTATUS(status) : EX_SOFTWARE);
}

int
notify_daemonise(void)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	child = fork();
	if (child == -1)
		return -1;
	if (child != 0) {
		close(ends[1]);
		wait_for_child(ends[0], child);
	}
	close(ends[0]);
	parent_pipe = ends[1];
	return setsid() == -1 ? -1 : 0;
}

void
notify_started(int keep_stderr)
{
	int nothing;

	if (parent_pipe == -1)
		return;
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing != -1) {
		dup2(nothing, STDIN_FILENO);
		dup2(nothing, STDOUT_FILENO);
		if (!keep_stderr)
			dup2(nothing, STDERR_FILENO);
		close(nothing);
	}
	(void)!write(parent_pipe, "", 1);
	close(parent_pipe);
	parent_pipe = -1;
}
