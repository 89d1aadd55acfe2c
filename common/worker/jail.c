/*
 * jail - see jail.h
 *
 * The order matters: limits need rights, the root folder must change before the user, the groups before the user too, and
 * landlock needs no_new_privs. Filters of system calls belong behind all of it.
 */
#include "common/worker/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/attributes.h"

/* What came after the first headers that have landlock; the kernel decides at run time. */
#define ACCESS_FILE_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_FILE_IOCTL_DEVICE (UINT64_C(1) << 15)
#define ACCESS_NETWORK_BIND_TCP (UINT64_C(1) << 0)
#define ACCESS_NETWORK_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

/* struct landlock_ruleset_attr as it has grown; a kernel is given as much of it as it knows. */
struct ruleset_attributes {
	uint64_t handled_file;
	uint64_t handled_network;
	uint64_t scoped;
};

/* The rights that each version of landlock can deny, from version 1. */
static const struct {
	uint64_t file;
	uint64_t network;
	uint64_t scope;
	size_t size;		/* of struct ruleset_attributes */
} versions[] = {
	{ LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1, 0, 0, 8 },
	{ LANDLOCK_ACCESS_FS_REFER, 0, 0, 8 },
	{ ACCESS_FILE_TRUNCATE, 0, 0, 8 },
	{ 0, ACCESS_NETWORK_BIND_TCP | ACCESS_NETWORK_CONNECT_TCP, 0, 16 },
	{ ACCESS_FILE_IOCTL_DEVICE, 0, 0, 16 },
	{ 0, 0, SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL, 24 },
};

/* Whoever owns a folder of the spool works in it freely, with plain files and folders. */
#define RIGHTS_OF_OWNER (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
	LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | ACCESS_FILE_TRUNCATE)
#define RIGHTS_OF_LOGGER (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)

static const struct {
	uint64_t rights;	/* beneath the role's folder */
	bool changes_root;
	bool renames_across;	/* moves files from one folder to another: version 1 always denies that */
} kinds[] = {
	[JAIL_NONE] = { 0, false, false },
	[JAIL_EMPTY] = { 0, true, false },
	[JAIL_MAILBOX] = { RIGHTS_OF_OWNER, true, true },
	[JAIL_DIRECTORY] = { RIGHTS_OF_OWNER, true, true },
	[JAIL_MAIL] = { RIGHTS_OF_OWNER, true, true },
	[JAIL_LOG] = { RIGHTS_OF_LOGGER, false, false },
};

/* policy, the template and its evaluator, the one that is dying, and the same of other services on this machine. */
#define POLICY_PROCESSES_MAX 64

/* smtp and resolver are the ones that open connections. */
static bool
connects(enum role role)
{
	return role == ROLE_SMTP || role == ROLE_RESOLVER;
}

bool
jail_changes_root(const struct jail *jail)
{
	return jail->privileged && kinds[role_rows[jail->role].jail].changes_root;
}

static int
limit_resource(int resource, const char *name, uint64_t value, struct error *error)
{
	struct rlimit limit;
	rlim_t hard;

	if (getrlimit(resource, &limit) < 0)
		return error_system(error, errno, "cannot read the limit %s", name);
	/* Only root may raise the hard limit, and not in every container: everyone else gets as near as it lets him. */
	hard = limit.rlim_max;
	limit.rlim_cur = limit.rlim_max = value;
	if (setrlimit(resource, &limit) == 0)
		return 0;
	if (errno == EPERM && value > hard) {
		limit.rlim_cur = limit.rlim_max = hard;
		if (setrlimit(resource, &limit) == 0)
			return 0;
	}
	return error_system(error, errno, "cannot set the limit %s to %llu", name, (unsigned long long)value);
}

static int
set_limits(const struct jail *jail, struct error *error)
{
	if (jail->open_files > 0 &&
	    limit_resource(RLIMIT_NOFILE, "RLIMIT_NOFILE", jail->open_files, error) < 0)
		return -1;
	if (jail->file_size != UINT64_MAX &&
	    limit_resource(RLIMIT_FSIZE, "RLIMIT_FSIZE", jail->file_size, error) < 0)
		return -1;
	/* A dump would hold mail. */
	return limit_resource(RLIMIT_CORE, "RLIMIT_CORE", 0, error);
}

static int
change_root(const struct jail *jail, struct error *error)
{
	if (chdir(jail->root) < 0)
		return error_system(error, errno, "cannot enter the folder %s", jail->root);
	if (chroot(".") < 0 || chdir("/") < 0)
		return error_system(error, errno, "cannot make %s the root folder", jail->root);
	return 0;
}

static int
change_user(const struct jail *jail, struct error *error)
{
	uid_t real, effective, saved;

	if (jail->uid == 0 || jail->gid == 0)
		return error_set(error, ERROR_INVALID, "refusing to run as user %lu, group %lu",
		    (unsigned long)jail->uid, (unsigned long)jail->gid);
	if (setgroups(0, NULL) < 0)
		return error_system(error, errno, "cannot drop the groups");
	if (setresgid(jail->gid, jail->gid, jail->gid) < 0)
		return error_system(error, errno, "cannot become group %lu", (unsigned long)jail->gid);
	if (setresuid(jail->uid, jail->uid, jail->uid) < 0)
		return error_system(error, errno, "cannot become user %lu", (unsigned long)jail->uid);
	if (getresuid(&real, &effective, &saved) < 0 || real != jail->uid || effective != jail->uid ||
	    saved != jail->uid || setresuid(0, 0, 0) == 0)
		return error_set(error, ERROR_INVALID, "the rights of root could not be given up");
	return 0;
}

static int
allow_beneath(int ruleset, const char *folder, uint64_t rights, struct error *error)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights };
	int result = 0;

	rule.parent_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return error_system(error, errno, "cannot open the folder %s", folder);
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		result = error_system(error, errno, "cannot add %s to the landlock rules", folder);
	close(rule.parent_fd);
	return result;
}

/* Shuts everything but folder with landlock: 1, or 0 when this kernel cannot. */
static int
apply_landlock(const struct jail *jail, const char *folder, struct error *error)
{
	enum jail_kind kind = role_rows[jail->role].jail;
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset_attributes attributes = { 0 };
	size_t size = 0, i;
	int ruleset, result = 1;

	if (version < 1 || (version < 2 && kinds[kind].renames_across))
		return 0;
	for (i = 0; i < ARRAY_COUNT(versions) && i < (size_t)version; i++) {
		attributes.handled_file |= versions[i].file;
		attributes.handled_network |= versions[i].network;
		attributes.scoped |= versions[i].scope;
		size = versions[i].size;
	}
	if (connects(jail->role))
		attributes.handled_network = 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
	if (ruleset < 0)
		return error_system(error, errno, "cannot make landlock rules");
	if (kinds[kind].rights != 0 &&
	    allow_beneath(ruleset, folder, kinds[kind].rights & attributes.handled_file, error) < 0)
		result = -1;
	else if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		result = error_system(error, errno, "cannot apply landlock rules");
	close(ruleset);
	return result;
}

/*
 * Nobody starts programs. qmgr has threads, policy forks its evaluator; the limit would count all processes of the user, so
 * policy has one only where the user is its own.
 */
static int
limit_processes(const struct jail *jail, struct error *error)
{
	bool forks = jail->role == ROLE_POLICY;

	if (role_rows[jail->role].jail == JAIL_MAILBOX || (forks && !jail->privileged))
		return 0;
	return limit_resource(RLIMIT_NPROC, "RLIMIT_NPROC", forks ? POLICY_PROCESSES_MAX : 0, error);
}

int
jail_enter(const struct jail *jail, const char **how_out, struct error *error)
{
	bool changes_root = jail_changes_root(jail);
	int locked;

	umask(027);
	if (set_limits(jail, error) < 0)
		return -1;
	if (changes_root && change_root(jail, error) < 0)
		return -1;
	if (jail->privileged && change_user(jail, error) < 0)
		return -1;
	if (limit_processes(jail, error) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_system(error, errno, "cannot set no_new_privs");
	/* Neither a core nor a trace by another program of the same user. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_system(error, errno, "cannot forbid tracing");
	locked = apply_landlock(jail, changes_root ? "/" : jail->root, error);
	if (locked < 0)
		return -1;
	*how_out = changes_root ? "chroot" : locked ? "landlock" : "none";
	return 0;
}
