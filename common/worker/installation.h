/*
 * installation - the system users and folders that the programs of one instance run in
 *
 * `matador setup` makes them, master refuses to start as root without them. As a plain user every program runs as that
 * user and only the folders are needed.
 */
#ifndef COMMON_WORKER_INSTALLATION_H
#define COMMON_WORKER_INSTALLATION_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/conf/settings.h"
#include "common/worker/roles.h"

#define INSTALLATION_USER_NAME_SIZE 64
#define INSTALLATION_FOLDERS 7

enum folder_care {
	FOLDER_OURS,		/* owner and mode are put right whenever setup runs */
	FOLDER_INSIDE,		/* the same, and it must not be a symbolic link */
	FOLDER_SHARED,		/* made when it is missing, at setup or at start; never changed when it exists */
};

struct installation_folder {
	char path[PATH_MAX];	/* "" when this installation needs none */
	enum folder_care care;
	enum role owner;	/* ROLE_MASTER: root, or the plain user */
	mode_t mode;
};

/* "PREFIX-ROLE", the system user of a program. */
void installation_user_name(const struct settings *settings, enum role role, char name[static INSTALLATION_USER_NAME_SIZE]);

/* The ids of a program's user; ROLE_MASTER is whoever calls. -1 and an error when there is no such user. */
int installation_user(const struct settings *settings, enum role role, uid_t *uid_out, gid_t *gid_out, struct error *error);

/* The folder that a program is shut in: what worker_jail's root says. */
int installation_jail(const struct settings *settings, enum role role, char path[static PATH_MAX], struct error *error);

/* The folders of this installation. */
int installation_folders(const struct settings *settings, struct installation_folder folders[static INSTALLATION_FOLDERS],
    struct error *error);

/* Appends one line for each user or folder that is missing or wrong for programs started now. Returns how many. */
unsigned installation_check(const struct settings *settings, bool privileged, struct buffer *problems);

/* Makes what is missing and puts right what is wrong; appends one line for each change. -1 and an error at the first thing that
 * cannot be done. */
int installation_make(const struct settings *settings, bool privileged, struct buffer *changes, struct error *error);

/* Makes the folders that may vanish between two starts (the control socket's under /run) and the log file, which logger must own. */
int installation_make_for_start(const struct settings *settings, bool privileged, struct error *error);

/* Open files (RLIMIT_NOFILE) that the limits in the settings ask of a program; ROLE_MASTER: of master. */
uint64_t installation_open_files(const struct settings *settings, enum role role);

/* The largest file (RLIMIT_FSIZE) that a program may write, UINT64_MAX for no limit: smtpd writes large bodies, twice the largest
 * message leaves room for what a reload may allow. */
uint64_t installation_file_size(const struct settings *settings, enum role role);

/* Appends one line for each limit above what this system allows. Returns how many. */
unsigned installation_check_limits(const struct settings *settings, bool privileged, struct buffer *problems);

#endif
