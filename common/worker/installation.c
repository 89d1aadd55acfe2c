/* installation - see installation.h */
#include "common/worker/installation.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/attributes.h"

#define MODE_BITS 07777

void
installation_user_name(const struct settings *settings, enum role role, char name[static INSTALLATION_USER_NAME_SIZE])
{
	snprintf(name, INSTALLATION_USER_NAME_SIZE, "%s-%s", settings->matador.user_prefix.text, role_rows[role].name);
}

int
installation_user(const struct settings *settings, enum role role, uid_t *uid_out, gid_t *gid_out, struct error *error)
{
	char name[INSTALLATION_USER_NAME_SIZE];
	const struct passwd *entry;

	*uid_out = geteuid();
	*gid_out = getegid();
	if (role == ROLE_MASTER)
		return 0;
	installation_user_name(settings, role, name);
	errno = 0;
	entry = getpwnam(name);
	if (entry == NULL)
		return error_set(error, ERROR_INVALID, "there is no system user %s", name);
	if (entry->pw_uid == 0)
		return error_set(error, ERROR_INVALID, "the system user %s is root under another name", name);
	*uid_out = entry->pw_uid;
	*gid_out = entry->pw_gid;
	return 0;
}

/* The folder part of an absolute path, "/" for a file in the root folder. */
static int
folder_of(const char *file, char path[static PATH_MAX], struct error *error)
{
	const char *slash = strrchr(file, '/');
	size_t length;

	if (slash == NULL || file[0] != '/')
		return error_set(error, ERROR_INVALID, "%s is not an absolute path", file);
	length = slash == file ? 1 : (size_t)(slash - file);
	if (length >= PATH_MAX)
		return error_set(error, ERROR_INVALID, "%s is too long", file);
	memcpy(path, file, length);
	path[length] = '\0';
	return 0;
}

static int
folder_inside(const char *parent, const char *name, char path[static PATH_MAX], struct error *error)
{
	int length = snprintf(path, PATH_MAX, "%s%s%s", parent, name[0] == '\0' ? "" : "/", name);

	if (parent[0] != '/')
		return error_set(error, ERROR_INVALID, "%s is not an absolute path", parent);
	if (length < 0 || length >= PATH_MAX)
		return error_set(error, ERROR_INVALID, "%s is too long", parent);
	return 0;
}

static bool
log_is_a_file(const struct settings *settings)
{
	return settings->matador.log_to.text[0] == '/';
}

int
installation_jail(const struct settings *settings, enum role role, char path[static PATH_MAX], struct error *error)
{
	const struct document_matador *matador = &settings->matador;

	switch (role_rows[role].jail) {
	case JAIL_MAILBOX:
		return folder_inside(matador->spool_directory.text, "mailbox", path, error);
	case JAIL_DIRECTORY:
		return folder_inside(matador->spool_directory.text, "directory", path, error);
	case JAIL_MAIL:
		return folder_inside(matador->mail_directory.text, "", path, error);
	case JAIL_LOG:
		if (log_is_a_file(settings))
			return folder_of(matador->log_to.text, path, error);
		break;
	case JAIL_EMPTY:
	case JAIL_NONE:
		break;
	}
	return folder_inside(matador->spool_directory.text, "empty", path, error);
}

static void
describe_folder(struct installation_folder *folder, enum folder_care care, enum role owner, mode_t mode)
{
	folder->care = care;
	folder->owner = owner;
	folder->mode = mode;
}

int
installation_folders(const struct settings *settings, struct installation_folder folders[static INSTALLATION_FOLDERS],
    struct error *error)
{
	const struct document_matador *matador = &settings->matador;
	const char *spool = matador->spool_directory.text;

	memset(folders, 0, sizeof(*folders) * INSTALLATION_FOLDERS);
	describe_folder(&folders[0], FOLDER_OURS, ROLE_MASTER, 0755);
	describe_folder(&folders[1], FOLDER_INSIDE, ROLE_QMGR, 0700);
	describe_folder(&folders[2], FOLDER_INSIDE, ROLE_DIRECTORY, 0700);
	describe_folder(&folders[3], FOLDER_INSIDE, ROLE_MASTER, 0555);
	describe_folder(&folders[4], FOLDER_OURS, ROLE_LOCAL, 0751);
	describe_folder(&folders[5], FOLDER_SHARED, ROLE_MASTER, 0755);
	describe_folder(&folders[6], FOLDER_SHARED, ROLE_MASTER, 0755);
	if (folder_inside(spool, "", folders[0].path, error) == -1 ||
	    folder_inside(spool, "mailbox", folders[1].path, error) == -1 ||
	    folder_inside(spool, "directory", folders[2].path, error) == -1 ||
	    folder_inside(spool, "empty", folders[3].path, error) == -1)
		return error_prefix(error, "spool_directory");
	if (folder_inside(matador->mail_directory.text, "", folders[4].path, error) == -1)
		return error_prefix(error, "mail_directory");
	if (folder_of(matador->control_socket.text, folders[5].path, error) == -1)
		return error_prefix(error, "control_socket");
	if (log_is_a_file(settings) && folder_of(matador->log_to.text, folders[6].path, error) == -1)
		return error_prefix(error, "log_to");
	return 0;
}

/* ---- checking ---- */

/* The owner that a folder should have; false, with a line in problems, when its user does not exist. */
static bool
wanted_owner(const struct settings *settings, const struct installation_folder *folder, bool privileged, uid_t *uid_out,
    gid_t *gid_out)
{
	return installation_user(settings, privileged ? folder->owner : ROLE_MASTER, uid_out, gid_out, NULL) == 0;
}

static bool
check_shared_folder(const struct installation_folder *folder, const struct stat *status, struct buffer *problems)
{
	bool ours = status->st_uid == geteuid();

	if (!ours && status->st_uid != 0) {
		buffer_printf(problems, "%s belongs to user %u, who could put something else in our place\n", folder->path,
		    status->st_uid);
		return false;
	}
	if ((status->st_mode & (S_IWGRP | S_IWOTH)) == 0 || (ours && (status->st_mode & S_IWOTH) == 0))
		return true;
	buffer_printf(problems, "%s can be written by others, who could put something else in our place\n", folder->path);
	return false;
}

static bool
check_folder(const struct settings *settings, const struct installation_folder *folder, bool privileged,
    struct buffer *problems)
{
	struct stat status;
	uid_t uid;
	gid_t gid;

	if (folder->path[0] == '\0')
		return true;
	if ((folder->care == FOLDER_INSIDE ? lstat : stat)(folder->path, &status) == -1) {
		if (errno == ENOENT && folder->care == FOLDER_SHARED)
			return true;
		buffer_printf(problems, "the folder %s: %s\n", folder->path, strerror(errno));
		return false;
	}
	if (!S_ISDIR(status.st_mode)) {
		buffer_printf(problems, "%s is not a folder\n", folder->path);
		return false;
	}
	if (folder->care == FOLDER_SHARED)
		return check_shared_folder(folder, &status, problems);
	if (!wanted_owner(settings, folder, privileged, &uid, &gid))
		return true;	/* the missing user is a line of its own */
	if (status.st_uid != uid) {
		buffer_printf(problems, "the folder %s belongs to user %u instead of %u\n", folder->path, status.st_uid, uid);
		return false;
	}
	if ((status.st_mode & MODE_BITS & ~folder->mode) != 0) {
		buffer_printf(problems, "the folder %s has mode %04o instead of %04o\n", folder->path,
		    status.st_mode & MODE_BITS, folder->mode);
		return false;
	}
	return true;
}

unsigned
installation_check(const struct settings *settings, bool privileged, struct buffer *problems)
{
	struct installation_folder folders[INSTALLATION_FOLDERS];
	struct error error = ERROR_INITIALIZER;
	unsigned count = 0;
	uid_t uid;
	gid_t gid;

	for (enum role role = ROLE_MASTER + 1; privileged && role < ROLE_CONTROL; role++)
		if (installation_user(settings, role, &uid, &gid, &error) == -1) {
			buffer_printf(problems, "%s\n", error.text);
			count++;
		}
	if (installation_folders(settings, folders, &error) == -1) {
		buffer_printf(problems, "%s\n", error.text);
		return count + 1;
	}
	for (size_t i = 0; i < INSTALLATION_FOLDERS; i++)
		if (!check_folder(settings, &folders[i], privileged, problems))
			count++;
	return count;
}

/* ---- making ---- */

static int
run_useradd(const char *program, const char *name, const char *home, struct error *error)
{
	char *const arguments[] = { (char *)"useradd", (char *)"--system", (char *)"--user-group", (char *)"--no-create-home",
		(char *)"--home-dir", (char *)home, (char *)"--shell", (char *)"/usr/sbin/nologin", (char *)name, NULL };
	char *const environment[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	pid_t child;
	int status, number;

	number = posix_spawn(&child, program, NULL, NULL, arguments, environment);
	if (number != 0)
		return error_system(error, number, "running %s", program);
	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			return error_system(error, errno, "waiting for %s", program);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(error, ERROR_SYSTEM, "%s %s failed", program, name);
	return 0;
}

static int
make_users(const struct settings *settings, struct buffer *changes, struct error *error)
{
	static const char *const places[] = { "/usr/sbin/useradd", "/sbin/useradd", "/usr/bin/useradd" };
	const char *program = NULL;
	char name[INSTALLATION_USER_NAME_SIZE], home[PATH_MAX];
	uid_t uid;
	gid_t gid;

	if (folder_inside(settings->matador.spool_directory.text, "empty", home, error) == -1)
		return -1;
	for (size_t i = 0; i < ARRAY_COUNT(places) && program == NULL; i++)
		if (access(places[i], X_OK) == 0)
			program = places[i];
	for (enum role role = ROLE_MASTER + 1; role < ROLE_CONTROL; role++) {
		if (installation_user(settings, role, &uid, &gid, NULL) == 0)
			continue;
		installation_user_name(settings, role, name);
		if (getpwnam(name) != NULL)
			return installation_user(settings, role, &uid, &gid, error);
		if (program == NULL)
			return error_set(error, ERROR_UNAVAILABLE,
			    "cannot make the system user %s: useradd was not found (Debian package: passwd)", name);
		if (run_useradd(program, name, home, error) == -1)
			return -1;
		buffer_printf(changes, "made the system user %s\n", name);
	}
	return 0;
}

/* Makes the folders above path that are missing. */
static int
make_parents(const char *path, struct error *error)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s", path);
	for (char *slash = strchr(parent + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(parent, 0755) == -1 && errno != EEXIST)
			return error_system(error, errno, "making the folder %s", parent);
		*slash = '/';
	}
	return 0;
}

static int
put_right(const struct installation_folder *folder, uid_t uid, gid_t gid, bool made, struct buffer *changes,
    struct error *error)
{
	int no_follow = folder->care == FOLDER_INSIDE ? O_NOFOLLOW : 0;
	bool changed = false;
	struct stat status;
	int result = -1;
	int file = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | no_follow);

	if (file == -1 || fstat(file, &status) == -1) {
		error_system(error, errno, "opening the folder %s", folder->path);
		goto out;
	}
	if (status.st_uid != uid || status.st_gid != gid) {
		if (fchown(file, uid, gid) == -1) {
			error_system(error, errno, "giving the folder %s to user %u", folder->path, uid);
			goto out;
		}
		changed = true;
	}
	if (changed || (status.st_mode & MODE_BITS) != folder->mode) {
		changed |= (status.st_mode & MODE_BITS) != folder->mode;
		if (fchmod(file, folder->mode) == -1) {
			error_system(error, errno, "setting the mode of %s", folder->path);
			goto out;
		}
	}
	if (made || changed)
		buffer_printf(changes, "%s the folder %s (user %u, mode %04o)\n", made ? "made" : "put right", folder->path, uid,
		    folder->mode);
	result = 0;
out:
	if (file != -1)
		close(file);
	return result;
}

static int
make_folder(const struct settings *settings, const struct installation_folder *folder, bool privileged,
    struct buffer *changes, struct error *error)
{
	struct stat status;
	bool made;
	uid_t uid;
	gid_t gid;

	if (folder->path[0] == '\0')
		return 0;
	if (installation_user(settings, privileged ? folder->owner : ROLE_MASTER, &uid, &gid, error) == -1 ||
	    make_parents(folder->path, error) == -1)
		return -1;
	made = mkdir(folder->path, 0700) == 0;
	if (!made && errno != EEXIST)
		return error_system(error, errno, "making the folder %s", folder->path);
	if (!made && folder->care == FOLDER_SHARED)
		return stat(folder->path, &status) == 0 && S_ISDIR(status.st_mode) ? 0 :
		    error_set(error, ERROR_INVALID, "%s is in the way: it is not a folder", folder->path);
	return put_right(folder, uid, gid, made, changes, error);
}

int
installation_make(const struct settings *settings, bool privileged, struct buffer *changes, struct error *error)
{
	struct installation_folder folders[INSTALLATION_FOLDERS];

	if (installation_folders(settings, folders, error) == -1)
		return -1;
	if (privileged && make_users(settings, changes, error) == -1)
		return -1;
	for (size_t i = 0; i < INSTALLATION_FOLDERS; i++)
		if (make_folder(settings, &folders[i], privileged, changes, error) == -1)
			return -1;
	return 0;
}

static int
make_log_file(const struct settings *settings, bool privileged, struct error *error)
{
	const char *path = settings->matador.log_to.text;
	struct stat status;
	uid_t uid;
	gid_t gid;
	int result = -1;
	int file;

	if (installation_user(settings, privileged ? ROLE_LOGGER : ROLE_MASTER, &uid, &gid, error) == -1)
		return -1;
	file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
	if (file == -1 || fstat(file, &status) == -1)
		error_system(error, errno, "opening the log file %s", path);
	else if (!S_ISREG(status.st_mode))
		error_set(error, ERROR_INVALID, "log_to: %s is not a file", path);
	else if (status.st_nlink > 1)
		error_set(error, ERROR_INVALID, "log_to: %s has a second name: it may be another program's file", path);
	else if (status.st_uid != uid && fchown(file, uid, gid) == -1)
		error_system(error, errno, "giving the log file %s to user %u", path, uid);
	else
		result = 0;
	if (file != -1)
		close(file);
	return result;
}

int
installation_make_for_start(const struct settings *settings, bool privileged, struct error *error)
{
	struct installation_folder folders[INSTALLATION_FOLDERS];
	struct buffer changes = BUFFER_INITIALIZER(0);
	int result = installation_folders(settings, folders, error);

	for (size_t i = 0; result == 0 && i < INSTALLATION_FOLDERS; i++)
		if (folders[i].care == FOLDER_SHARED)
			result = make_folder(settings, &folders[i], privileged, &changes, error);
	if (result == 0 && log_is_a_file(settings))
		result = make_log_file(settings, privileged, error);
	buffer_free(&changes);
	return result;
}

/* ---- limits ---- */

/* Descriptors that a program holds beside those that its limits count: peers, libraries, the event loop. */
#define OPEN_FILES_BESIDE 512
#define FILE_SIZE_FLOOR ((uint64_t)256 << 20)

uint64_t
installation_open_files(const struct settings *settings, enum role role)
{
	switch (role) {
	case ROLE_SMTPD:
		/* a session is a socket, and one in two may have a large body open */
		return (uint64_t)settings->configuration.maximum_sessions.number * 3 / 2 + OPEN_FILES_BESIDE;
	case ROLE_RESOLVER:
	case ROLE_QMGR:
	case ROLE_SMTP:
		return 4096;
	default:
		return 1024;
	}
}

uint64_t
installation_file_size(const struct settings *settings, enum role role)
{
	uint64_t largest = (uint64_t)settings->configuration.maximum_message_size_kb.number;

	if (role != ROLE_SMTPD || largest == 0)
		return UINT64_MAX;
	return largest * 2 > FILE_SIZE_FLOOR ? largest * 2 : FILE_SIZE_FLOOR;
}

static uint64_t
open_files_allowed(bool privileged)
{
	struct rlimit limit;
	unsigned long long most;
	FILE *file;

	if (privileged && (file = fopen("/proc/sys/fs/nr_open", "re")) != NULL) {
		bool read = fscanf(file, "%llu", &most) == 1;

		fclose(file);
		if (read)
			return most;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_max == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_max;
}

unsigned
installation_check_limits(const struct settings *settings, bool privileged, struct buffer *problems)
{
	uint64_t allowed = open_files_allowed(privileged);
	const struct setting *sessions = &settings->configuration.maximum_sessions;
	unsigned count = 0;

	for (enum role role = ROLE_MASTER; role < ROLE_CONTROL; role++) {
		uint64_t needed = installation_open_files(settings, role);

		if (needed <= allowed)
			continue;
		count++;
		if (role == ROLE_SMTPD)
			buffer_printf(problems, "%s:%u: maximum_sessions: %lld sessions need %llu open files; this system allows %llu "
			    "(raise the hard limit of open files, ulimit -Hn, or lower maximum_sessions)\n",
			    sessions->at.file[0] == '\0' ? "default" : sessions->at.file, sessions->at.line,
			    (long long)sessions->number, (unsigned long long)needed, (unsigned long long)allowed);
		else
			buffer_printf(problems, "%s needs %llu open files; this system allows %llu (raise the hard limit of open "
			    "files, ulimit -Hn)\n", role_rows[role].name, (unsigned long long)needed, (unsigned long long)allowed);
	}
	return count;
}
