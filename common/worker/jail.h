/*
 * jail - the last thing a worker does with its rights: it gives them up
 *
 * As root: limits, root folder, groups and user. As a plain user: limits, and landlock, which needs no privilege. In both
 * cases no_new_privs, and landlock as far as the kernel has it (behind a changed root it is a second lock).
 */
#ifndef COMMON_WORKER_JAIL_H
#define COMMON_WORKER_JAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "common/worker/roles.h"

struct jail {
	enum role role;
	const char *root;	/* the role's folder, absolute; borrowed */
	bool privileged;	/* started as root: change root folder and user */
	uid_t uid;		/* for privileged */
	gid_t gid;
	uint64_t open_files;	/* RLIMIT_NOFILE, as far as it can be had */
	uint64_t file_size;	/* RLIMIT_FSIZE; UINT64_MAX: none */
};

/*
 * Shuts the calling process in, for good; it must have one thread. *how_out is how its view of the file system was shut:
 * "chroot", "landlock" or "none" (a plain user on a kernel without landlock). -1 and an error when any
 * other step failed: the process must not go on.
 */
int jail_enter(const struct jail *jail, const char **how_out, struct error *error);

/* Whether paths inside the role's folder begin anew at "/" in the jail. */
bool jail_changes_root(const struct jail *jail);

#endif
