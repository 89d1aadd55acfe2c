/* local_socket - see local_socket.h */
#include "master/local_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static bool
somebody_answers(const struct sockaddr_un *address, int type)
{
	int file = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool answers = file != -1 &&
	    (connect(file, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);

	if (file != -1)
		close(file);
	return answers;
}

/* Whatever else stands there is not ours to remove. */
static int
remove_dead_socket(const char *path, struct error *error)
{
	struct stat status;

	if (lstat(path, &status) == -1)
		return errno == ENOENT ? 0 : error_system(error, errno, "%s", path);
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, ERROR_INVALID, "%s is in the way: it is not a socket", path);
	if (unlink(path) == -1)
		return error_system(error, errno, "removing the old socket %s", path);
	return 0;
}

int
local_socket_listen(const char *path, int type, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int length, file, bound;

	length = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return error_set(error, ERROR_INVALID, "the socket's path %s is too long (at most %zu octets)", path,
		    sizeof(address.sun_path) - 1);
	if (somebody_answers(&address, type))
		return error_set(error, ERROR_UNAVAILABLE, "another program listens on %s", path);
	file = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (file == -1)
		return error_system(error, errno, "making the socket %s", path);
	if (remove_dead_socket(path, error) == -1) {
		close(file);
		return -1;
	}
	mask = umask(0111);
	bound = bind(file, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (bound == -1 || listen(file, BACKLOG) == -1) {
		error_system(error, errno, "listening on %s", path);
		close(file);
		return -1;
	}
	return file;
}

int
local_socket_accept(int listener, uid_t *uid_out)
{
	struct ucred caller;
	socklen_t length = sizeof(caller);
	int file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (file == -1)
		return -1;
	if (getsockopt(file, SOL_SOCKET, SO_PEERCRED, &caller, &length) == -1) {
		close(file);
		return -1;
	}
	*uid_out = caller.uid;
	return file;
}
