/* test_process - what a program that master starts gets, and what it does not */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/process.h"

static char folder[] = "/tmp/test_process.XXXXXX";

/* Runs a shell script as a worker; its standard error goes to output. */
static int
run_script(const char *text, char *output, size_t size)
{
	char path[64];
	struct error error = ERROR_INITIALIZER;
	int ends[2], file, socket, status;
	size_t length = 0;
	ssize_t got;
	pid_t child;

	snprintf(path, sizeof(path), "%s/script", folder);
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
	close(file);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(process_start(path, "script", 3, ends[1], &socket, &child, &error), 0);
	close(ends[1]);
	while ((got = read(ends[0], output + length, size - 1 - length)) > 0)
		length += (size_t)got;
	output[length] = '\0';
	close(ends[0]);
	close(socket);
	assert_int_equal(waitpid(child, &status, 0), child);
	unlink(path);
	return status;
}

static void
it_has_four_descriptors_and_no_more(void **state)
{
	char output[500];
	int stray = open("/dev/zero", O_RDONLY);

	(void)state;
	run_script("#!/bin/bash\n"
	    "for f in /proc/$$/fd/*; do case ${f##*/} in 255) ;; *) echo ${f##*/} $(readlink $f) >&2;; esac; done\n",
	    output, sizeof(output));
	assert_non_null(strstr(output, "0 /dev/null"));
	assert_non_null(strstr(output, "1 /dev/null"));
	assert_non_null(strstr(output, "2 pipe:"));
	assert_non_null(strstr(output, "3 socket:"));
	assert_null(strstr(output, "zero"));
	close(stray);
}

static void
nothing_of_the_environment_but_a_path_survives(void **state)
{
	char output[500];

	(void)state;
	setenv("SECRET", "of the caller", 1);
	setenv("LD_PRELOAD", "", 1);
	run_script("#!/bin/sh\nenv >&2\n", output, sizeof(output));
	assert_null(strstr(output, "SECRET"));
	assert_null(strstr(output, "LD_PRELOAD"));
	assert_non_null(strstr(output, "PATH=/usr/bin:/bin"));
}

static void
its_argument_is_the_number_of_the_instance(void **state)
{
	char output[500];

	(void)state;
	run_script("#!/bin/sh\necho $# $1 >&2\n", output, sizeof(output));
	assert_string_equal(output, "1 3\n");
}

static void
how_it_ended_is_told_in_words(void **state)
{
	char output[500];

	(void)state;
	assert_string_equal(process_end_text(run_script("#!/bin/sh\nexit 70\n", output, sizeof(output))), "exit 70");
	assert_string_equal(process_end_text(run_script("#!/bin/sh\nkill -9 $$\n", output, sizeof(output))), "signal 9 (Killed)");
}

static void
a_program_that_cannot_be_run_is_an_error_with_its_path(void **state)
{
	struct error error = ERROR_INITIALIZER;
	int socket;
	pid_t child;

	(void)state;
	assert_int_equal(process_start("/nowhere/smtpd", "smtpd", 0, -1, &socket, &child, &error), -1);
	assert_int_equal(error.number, ENOENT);
	assert_non_null(strstr(error.text, "/nowhere/smtpd"));
}

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_four_descriptors_and_no_more),
		cmocka_unit_test(nothing_of_the_environment_but_a_path_survives),
		cmocka_unit_test(its_argument_is_the_number_of_the_instance),
		cmocka_unit_test(how_it_ended_is_told_in_words),
		cmocka_unit_test(a_program_that_cannot_be_run_is_an_error_with_its_path),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
