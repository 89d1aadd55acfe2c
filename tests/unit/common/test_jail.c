/* test_jail - what a worker can still do behind the jail, tried in a child process */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/worker/jail.h"

#define SOMEBODY 65534

/* Codes that a child leaves with. */
enum { ALL_AS_EXPECTED = 0, NO_JAIL = 100, NOT_HERE = 101 };

static char folder[64];

static int
setup(void **state)
{
	char path[100];

	(void)state;
	strcpy(folder, "/tmp/test_jail.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	chmod(folder, 0777);
	snprintf(path, sizeof(path), "%s/file", folder);
	close(open(path, O_CREAT | O_WRONLY, 0666));
	chmod(path, 0666);
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "file", "new", "other/moved", "other", "" };
	char path[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
	return 0;
}

/* Enters the jail in a child and runs check there; the child's status. */
static int
in_jail(const struct jail *jail, const char *expected_how, int (*check)(void))
{
	static const gid_t some_group = 4242;
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct error error = ERROR_INITIALIZER;
		const char *how;

		if (jail->privileged && setgroups(1, &some_group) < 0)
			_exit(NO_JAIL);
		if (!jail->privileged && geteuid() == 0 && (setgid(SOMEBODY) < 0 || setuid(SOMEBODY) < 0))
			_exit(NO_JAIL);
		if (jail_enter(jail, &how, &error) < 0) {
			fprintf(stderr, "%s\n", error.text);
			_exit(NO_JAIL);
		}
		if (jail->privileged && getgroups(0, NULL) != 0)
			_exit(2);
		if (strcmp(how, "none") == 0)
			_exit(NOT_HERE);
		if (strcmp(how, expected_how) != 0)
			_exit(1);
		_exit(check());
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static void
expect(int code)
{
	if (code == NOT_HERE)
		skip();
	assert_int_equal(code, ALL_AS_EXPECTED);
}

/* True for every role: no way to more rights, no cores, no programs. */
static int
check_common(void)
{
	struct rlimit limit;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 10;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 11;
	if (getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_max != 0)
		return 12;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur != 100 || limit.rlim_max != 100)
		return 13;
	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_max != 4096)
		return 14;
	if (getuid() == 0 || geteuid() == 0 || setuid(0) == 0)
		return 15;
	return 0;
}

static int
check_nothing_can_be_opened(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/file", folder);
	if (open("/etc/passwd", O_RDONLY) >= 0 || open(path, O_RDONLY) >= 0 || open("/", O_RDONLY) >= 0)
		return 20;
	if (open("/tmp/test_jail_made", O_WRONLY | O_CREAT, 0600) >= 0)
		return 21;
	if (fork() >= 0)
		return 22;
	execl("/bin/true", "true", NULL);
	return check_common();
}

static int
connect_to_nowhere(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int socket_ = socket(AF_INET, SOCK_STREAM, 0);

	return connect(socket_, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
}

static int
check_no_connections_either(void)
{
	int result = connect_to_nowhere();

	/* Kernels before 6.7 cannot deny it. */
	if (result != EACCES && result != ECONNREFUSED)
		return 30;
	return check_nothing_can_be_opened();
}

static int
check_connections_only(void)
{
	return connect_to_nowhere() == ECONNREFUSED ? check_nothing_can_be_opened() : 31;
}

static int
check_own_folder_only(void)
{
	char file[100], new[100], other[100], moved[120];

	snprintf(file, sizeof(file), "%s/file", folder);
	snprintf(new, sizeof(new), "%s/new", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	snprintf(moved, sizeof(moved), "%s/other/moved", folder);
	if (open("/etc/passwd", O_RDONLY) >= 0 || open("/", O_RDONLY | O_DIRECTORY) >= 0)
		return 40;
	if (open(file, O_RDWR) < 0 || open(folder, O_RDONLY | O_DIRECTORY) < 0)
		return 41;
	if (open(new, O_RDWR | O_CREAT | O_TRUNC, 0600) < 0 || mkdir(other, 0700) < 0 || rename(new, moved) < 0 ||
	    unlink(moved) < 0 || rmdir(other) < 0)
		return 42;
	return check_common();
}

static int
check_root_is_the_folder(void)
{
	if (open("/etc/passwd", O_RDONLY) >= 0 || open("/../../etc/passwd", O_RDONLY) >= 0)
		return 50;
	if (open("/file", O_RDWR) < 0 || open("/new", O_RDWR | O_CREAT, 0600) < 0 || unlink("/new") < 0)
		return 51;
	return check_common();
}

static int
check_log_can_be_opened_again_but_not_read(void)
{
	char file[100], new[100];

	snprintf(file, sizeof(file), "%s/file", folder);
	snprintf(new, sizeof(new), "%s/new", folder);
	if (open(file, O_WRONLY | O_APPEND) < 0 || open(new, O_WRONLY | O_APPEND | O_CREAT, 0640) < 0)
		return 60;
	if (open(file, O_RDONLY) >= 0 || unlink(new) == 0 || open("/etc/passwd", O_RDONLY) >= 0)
		return 61;
	return check_common();
}

static struct jail
jail_of(enum role role, bool privileged)
{
	return (struct jail){ .role = role, .root = folder, .privileged = privileged, .uid = SOMEBODY, .gid = SOMEBODY,
		.open_files = 100, .file_size = 4096 };
}

static void
a_plain_users_smtpd_can_open_nothing_and_connect_nowhere(void **state)
{
	struct jail jail = jail_of(ROLE_SMTPD, false);

	(void)state;
	assert_false(jail_changes_root(&jail));
	expect(in_jail(&jail, "landlock", check_no_connections_either));
}

static void
a_plain_users_smtp_can_connect_and_open_nothing(void **state)
{
	struct jail jail = jail_of(ROLE_SMTP, false);

	(void)state;
	expect(in_jail(&jail, "landlock", check_connections_only));
}

static void
a_plain_users_qmgr_and_local_work_in_their_folder_only(void **state)
{
	struct jail qmgr = jail_of(ROLE_QMGR, false), local = jail_of(ROLE_LOCAL, false);

	(void)state;
	expect(in_jail(&qmgr, "landlock", check_own_folder_only));
	expect(in_jail(&local, "landlock", check_own_folder_only));
}

static void
a_plain_users_logger_writes_beneath_the_logs_folder_only(void **state)
{
	struct jail jail = jail_of(ROLE_LOGGER, false);

	(void)state;
	expect(in_jail(&jail, "landlock", check_log_can_be_opened_again_but_not_read));
}

static void
a_folder_that_is_missing_is_an_error(void **state)
{
	struct jail jail = jail_of(ROLE_QMGR, false);

	(void)state;
	jail.root = "/nonexistent/folder";
	assert_int_equal(in_jail(&jail, "landlock", check_common), NO_JAIL);
}

static void
as_root_smtpd_sees_an_empty_root_folder(void **state)
{
	struct jail jail = jail_of(ROLE_SMTPD, true);
	char empty[80];

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(empty, sizeof(empty), "%s/other", folder);
	mkdir(empty, 0555);
	jail.root = empty;
	assert_true(jail_changes_root(&jail));
	expect(in_jail(&jail, "chroot", check_no_connections_either));
}

static void
as_root_qmgr_sees_its_folder_as_the_root(void **state)
{
	struct jail jail = jail_of(ROLE_QMGR, true);

	(void)state;
	if (geteuid() != 0)
		skip();
	expect(in_jail(&jail, "chroot", check_root_is_the_folder));
}

static void
as_root_logger_keeps_its_paths_behind_landlock(void **state)
{
	struct jail jail = jail_of(ROLE_LOGGER, true);

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_false(jail_changes_root(&jail));
	expect(in_jail(&jail, "landlock", check_log_can_be_opened_again_but_not_read));
}

static void
nobody_stays_root(void **state)
{
	struct jail jail = jail_of(ROLE_SMTPD, true);

	(void)state;
	if (geteuid() != 0)
		skip();
	jail.uid = 0;
	assert_int_equal(in_jail(&jail, "chroot", check_common), NO_JAIL);
	jail.uid = SOMEBODY;
	jail.gid = 0;
	assert_int_equal(in_jail(&jail, "chroot", check_common), NO_JAIL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(a_plain_users_smtpd_can_open_nothing_and_connect_nowhere),
		CASE(a_plain_users_smtp_can_connect_and_open_nothing),
		CASE(a_plain_users_qmgr_and_local_work_in_their_folder_only),
		CASE(a_plain_users_logger_writes_beneath_the_logs_folder_only),
		CASE(a_folder_that_is_missing_is_an_error),
		CASE(as_root_smtpd_sees_an_empty_root_folder),
		CASE(as_root_qmgr_sees_its_folder_as_the_root),
		CASE(as_root_logger_keeps_its_paths_behind_landlock),
		CASE(nobody_stays_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
