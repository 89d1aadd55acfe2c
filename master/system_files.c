/* system_files - see system_files.h */
#include "master/system_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/conf/settings.h"
#include "common/ipc/worker.h"
#include "common/log/log.h"

/* A regular file for reading, or -1 and an error. */
static int
open_file(const char *path, struct error *error)
{
	int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat status;

	if (file == -1)
		return error_system(error, errno, "cannot open %s", path);
	if (fstat(file, &status) == 0 && S_ISREG(status.st_mode))
		return file;
	close(file);
	return error_set(error, ERROR_INVALID, "%s is not a file", path);
}

static bool
send_file(struct channel *channel, const char *name, const char *path)
{
	struct error error = ERROR_INITIALIZER;
	int file = path[0] == '\0' ? -1 : open_file(path, &error);
	bool sent;

	if (file == -1) {
		if (error.kind != ERROR_NONE && error.number != ENOENT)
			log_event(LOG_NOTE, error.text);
		return true;
	}
	sent = send_worker_file(channel, &(struct worker_file){ .name = name, .file = file });
	close(file);
	return sent;
}

bool
system_files_send(struct channel *channel, enum role role, const struct settings *settings)
{
	if (role != ROLE_RESOLVER)
		return true;
	return send_file(channel, "hosts", "/etc/hosts") && send_file(channel, "resolv.conf", "/etc/resolv.conf") &&
	    send_file(channel, "dns_trust_anchor_file", settings->matador.dns_trust_anchor_file.text);
}
