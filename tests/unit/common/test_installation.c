/* test_installation - the folders of an instance are made, checked and put right */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/worker/installation.h"

static char folder[64];
static char paths[4][128];
static struct settings settings;

static int
make_place(void **state)
{
	struct document_matador *matador = &settings.matador;

	(void)state;
	strcpy(folder, "/tmp/test_installation.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(paths[0], sizeof(paths[0]), "%s/var/spool", folder);
	snprintf(paths[1], sizeof(paths[1]), "%s/mail", folder);
	snprintf(paths[2], sizeof(paths[2]), "%s/run/control", folder);
	snprintf(paths[3], sizeof(paths[3]), "%s/log/mail.log", folder);
	settings = (struct settings){ 0 };
	matador->spool_directory.text = paths[0];
	matador->mail_directory.text = paths[1];
	matador->control_socket.text = paths[2];
	matador->log_to.text = paths[3];
	matador->user_prefix.text = "matador";
	settings.configuration.maximum_sessions.number = 100;
	return 0;
}

static int
remove_place(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static mode_t
mode_of(const char *below)
{
	char path[256];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", folder, below);
	return stat(path, &status) == -1 ? 0 : status.st_mode & 07777;
}

static void
setup_makes_every_folder_and_a_second_one_changes_nothing(void **state)
{
	struct buffer changes = BUFFER_INITIALIZER(0), problems = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_true(installation_check(&settings, false, &problems) > 0);
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	assert_int_equal(mode_of("var/spool"), 0755);
	assert_int_equal(mode_of("var/spool/mailbox"), 0700);
	assert_int_equal(mode_of("var/spool/directory"), 0700);
	assert_int_equal(mode_of("var/spool/empty"), 0555);
	assert_int_equal(mode_of("mail"), 0751);
	assert_int_equal(mode_of("run"), 0755);
	assert_int_equal(mode_of("log"), 0755);
	buffer_clear(&changes);
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	assert_int_equal(changes.length, 0);
	buffer_clear(&problems);
	assert_int_equal(installation_check(&settings, false, &problems), 0);
	buffer_free(&changes);
	buffer_free(&problems);
}

static void
a_mailbox_that_others_can_read_is_a_problem_and_put_right(void **state)
{
	struct buffer changes = BUFFER_INITIALIZER(0), problems = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	char path[256];

	(void)state;
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	snprintf(path, sizeof(path), "%s/mailbox", paths[0]);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(installation_check(&settings, false, &problems), 1);
	assert_non_null(strstr(problems.data, "mailbox has mode 0755 instead of 0700"));
	buffer_clear(&changes);
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	assert_non_null(strstr(changes.data, "put right the folder"));
	assert_int_equal(mode_of("var/spool/mailbox"), 0700);
	buffer_free(&changes);
	buffer_free(&problems);
}

static void
a_symbolic_link_in_the_place_of_a_folder_is_not_followed(void **state)
{
	struct buffer changes = BUFFER_INITIALIZER(0), problems = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	char path[256];

	(void)state;
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	snprintf(path, sizeof(path), "%s/mailbox", paths[0]);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/etc", path), 0);
	assert_int_equal(installation_check(&settings, false, &problems), 1);
	assert_int_equal(installation_make(&settings, false, &changes, &error), -1);
	buffer_free(&changes);
	buffer_free(&problems);
}

static void
a_folder_for_the_socket_that_anybody_can_write_is_a_problem_and_left_alone(void **state)
{
	struct buffer changes = BUFFER_INITIALIZER(0), problems = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/run", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	assert_int_equal(mode_of("run"), 0777);
	assert_int_equal(installation_check(&settings, false, &problems), 1);
	buffer_free(&changes);
	buffer_free(&problems);
}

static void
a_folder_for_the_socket_that_belongs_to_another_user_is_a_problem(void **state)
{
	struct buffer changes = BUFFER_INITIALIZER(0), problems = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	char path[256];

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(path, sizeof(path), "%s/run", folder);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	assert_int_equal(installation_check(&settings, false, &problems), 1);
	assert_non_null(strstr(problems.data, "belongs to user 65534"));
	buffer_free(&changes);
	buffer_free(&problems);
}

static void
a_log_file_with_a_second_name_is_not_taken(void **state)
{
	struct buffer changes = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	char path[256], other[256];

	(void)state;
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	assert_int_equal(installation_make_for_start(&settings, false, &error), 0);
	snprintf(path, sizeof(path), "%s/log/mail.log", folder);
	snprintf(other, sizeof(other), "%s/secret", folder);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(link(other, path), 0);
	assert_int_equal(installation_make_for_start(&settings, false, &error), -1);
	assert_non_null(strstr(error.text, "second name"));
	buffer_free(&changes);
}

static void
start_makes_the_log_file_and_what_vanished_under_run(void **state)
{
	struct buffer changes = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	char path[256];

	(void)state;
	assert_int_equal(installation_make(&settings, false, &changes, &error), 0);
	snprintf(path, sizeof(path), "%s/run", folder);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(installation_make_for_start(&settings, false, &error), 0);
	assert_int_equal(mode_of("run"), 0755);
	assert_int_equal(mode_of("log/mail.log"), 0640);
	buffer_free(&changes);
}

static void
each_jail_is_the_folder_of_its_row(void **state)
{
	struct error error = ERROR_INITIALIZER;
	char path[PATH_MAX], wanted[256];

	(void)state;
	assert_int_equal(installation_jail(&settings, ROLE_QMGR, path, &error), 0);
	snprintf(wanted, sizeof(wanted), "%s/mailbox", paths[0]);
	assert_string_equal(path, wanted);
	assert_int_equal(installation_jail(&settings, ROLE_SMTPD, path, &error), 0);
	snprintf(wanted, sizeof(wanted), "%s/empty", paths[0]);
	assert_string_equal(path, wanted);
	assert_int_equal(installation_jail(&settings, ROLE_LOCAL, path, &error), 0);
	assert_string_equal(path, paths[1]);
	assert_int_equal(installation_jail(&settings, ROLE_LOGGER, path, &error), 0);
	snprintf(wanted, sizeof(wanted), "%s/log", folder);
	assert_string_equal(path, wanted);
	settings.matador.log_to.text = "syslog";
	assert_int_equal(installation_jail(&settings, ROLE_LOGGER, path, &error), 0);
	snprintf(wanted, sizeof(wanted), "%s/empty", paths[0]);
	assert_string_equal(path, wanted);
}

static void
more_sessions_than_open_files_are_a_problem_with_file_and_line(void **state)
{
	struct buffer problems = BUFFER_INITIALIZER(0);

	(void)state;
	settings.configuration.maximum_sessions = (struct setting){ .number = INT32_MAX, .at = { "configurations.conf", 3 } };
	assert_true(installation_check_limits(&settings, false, &problems) > 0);
	assert_non_null(strstr(problems.data, "configurations.conf:3: maximum_sessions"));
	buffer_free(&problems);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(setup_makes_every_folder_and_a_second_one_changes_nothing, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_mailbox_that_others_can_read_is_a_problem_and_put_right, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_symbolic_link_in_the_place_of_a_folder_is_not_followed, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_folder_for_the_socket_that_anybody_can_write_is_a_problem_and_left_alone,
		    make_place, remove_place),
		cmocka_unit_test_setup_teardown(start_makes_the_log_file_and_what_vanished_under_run, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_folder_for_the_socket_that_belongs_to_another_user_is_a_problem, make_place,
		    remove_place),
		cmocka_unit_test_setup_teardown(a_log_file_with_a_second_name_is_not_taken, make_place, remove_place),
		cmocka_unit_test_setup_teardown(each_jail_is_the_folder_of_its_row, make_place, remove_place),
		cmocka_unit_test_setup_teardown(more_sessions_than_open_files_are_a_problem_with_file_and_line, make_place,
		    remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
