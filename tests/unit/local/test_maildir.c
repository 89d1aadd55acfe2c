/* Unit tests of local/maildir.c; rows 43 to 45 of docs/reference/hostile-inputs.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "local/maildir.h"

static char folder[] = "/tmp/matador-maildir-XXXXXX";
static int root;
static unsigned flushes;
static bool flushes_fail;

/* In place of the library's. */
int
fsync(int file)
{
	flushes++;
	if (!flushes_fail)
		return (int)syscall(SYS_fsync, file);
	errno = EIO;
	return -1;
}

static int
make_root(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	root = open(folder, O_RDONLY | O_DIRECTORY);
	return root == -1 ? -1 : 0;
}

static int
remove_root(void **state)
{
	char command[128];

	(void)state;
	close(root);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static struct maildir_message
make_message(const char *mail_file, const char *content)
{
	struct maildir_message message = { .mail_file = mail_file, .header = "Return-Path: <a@b>\n", .header_length = 19,
		.memory = content, .body = -1, .length = strlen(content) };

	maildir_format_name(1234567890123, 77, 3, "hub.acme.com", message.name);
	return message;
}

static int
deliver(struct maildir_message *message, struct error *error)
{
	int result = -1;

	if (maildir_write(root, message, error) == 0 && maildir_flush(message, error) == 0 &&
	    maildir_publish(message, error) == 0 && maildir_settle(message, error) == 0)
		result = 0;
	maildir_end(message);
	return result;
}

static void
read_file(const char *path, char text[static 256])
{
	int file = openat(root, path, O_RDONLY);
	ssize_t length = read(file, text, 255);

	assert_true(length >= 0);
	text[length] = '\0';
	close(file);
}

static unsigned
count_entries(const char *path)
{
	DIR *stream = fdopendir(openat(root, path, O_RDONLY | O_DIRECTORY));
	unsigned count = 0;

	assert_non_null(stream);
	while (readdir(stream) != NULL)
		count++;
	closedir(stream);
	return count - 2;
}

static void
knows_safe_names(void **state)
{
	static const char *const good[] = { "jdoe", "mail/jdoe.nsf", ".jdoe", "a b", "j\xc3\xb6", "..." };
	static const char *const bad[] = { "", ".", "..", "/etc", "a/", "a//b", "a/../b", "../a", "a/..", "jdoe/new", "tmp",
		"a\nb", "a\x7f" };
	char longest[300];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(maildir_name_is_valid(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(maildir_name_is_valid(bad[i]));
	memset(longest, 'x', sizeof(longest));
	longest[256] = '\0';
	assert_false(maildir_name_is_valid(longest));
	longest[255] = '\0';
	assert_true(maildir_name_is_valid(longest));
}

static void
makes_the_mail_file_and_writes_into_new(void **state)
{
	struct maildir_message message = make_message("mail/jdoe.nsf", "Subject: x\r\n\r\nbare\rcr\r\r\nlf\n.\r\nend\r");
	struct error error = ERROR_INITIALIZER;
	char path[400], text[256];
	struct stat status;

	(void)state;
	assert_int_equal(deliver(&message, &error), 0);
	snprintf(path, sizeof(path), "mail/jdoe.nsf/new/%s", message.name);
	read_file(path, text);
	assert_string_equal(text, "Return-Path: <a@b>\nSubject: x\n\nbare\rcr\r\nlf\n.\nend\r");
	assert_int_equal(count_entries("mail/jdoe.nsf/tmp"), 0);
	assert_int_equal(count_entries("mail/jdoe.nsf/cur"), 0);
	assert_int_equal(fstatat(root, "mail/jdoe.nsf", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	assert_int_equal(fstatat(root, path, &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void
writes_a_repeat_only_once(void **state)
{
	struct maildir_message message = make_message("once", "x\r\n");
	struct error error = ERROR_INITIALIZER;
	char from[400], to[420];

	(void)state;
	assert_int_equal(deliver(&message, &error), 0);
	assert_int_equal(deliver(&message, &error), 0);
	assert_true(message.there);
	assert_int_equal(count_entries("once/new"), 1);

	snprintf(from, sizeof(from), "once/new/%s", message.name);
	snprintf(to, sizeof(to), "once/cur/%s:2,S", message.name);
	assert_int_equal(renameat(root, from, root, to), 0);
	message.may_be_repeat = true;
	assert_int_equal(deliver(&message, &error), 0);
	assert_true(message.there);
	assert_int_equal(count_entries("once/new"), 0);
}

static void
names_a_message_only_when_it_was_flushed_and_flushes_its_name(void **state)
{
	struct maildir_message message = make_message("flushed", "x\r\n");
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(maildir_write(root, &message, &error), 0);
	flushes_fail = true;
	assert_int_equal(maildir_flush(&message, &error), -1);
	assert_true(error_is_temporary(&error));
	assert_int_equal(maildir_settle(&message, &error), -1);
	flushes_fail = false;
	flushes = 0;
	assert_int_equal(maildir_flush(&message, &error), 0);
	assert_int_equal(flushes, 1);
	assert_int_equal(maildir_publish(&message, &error), 0);
	assert_int_equal(maildir_settle(&message, &error), 0);
	assert_int_equal(flushes, 2);
	maildir_end(&message);
}

static void
copies_a_body_from_a_descriptor(void **state)
{
	struct maildir_message message = make_message("body", "");
	struct error error = ERROR_INITIALIZER;
	char path[400];
	struct stat status;
	char *content = malloc(200000);
	int i;

	(void)state;
	message.body = openat(root, "source", O_RDWR | O_CREAT, 0600);
	/* A CRLF lies across the edge of the first block. */
	memset(content, 'x', 200000);
	content[65535] = '\r';
	content[65536] = '\n';
	assert_int_equal(write(message.body, content, 200000), 200000);
	message.length = 200000;
	assert_int_equal(deliver(&message, &error), 0);
	snprintf(path, sizeof(path), "body/new/%s", message.name);
	assert_int_equal(fstatat(root, path, &status, 0), 0);
	assert_int_equal(status.st_size, 200000 + 19 - 1);
	message.length = 200001;
	unlinkat(root, path, 0);
	assert_int_equal(deliver(&message, &error), -1);
	assert_true(error_is_temporary(&error));
	for (i = 0; i < 2; i++)
		assert_int_equal(count_entries(i ? "body/tmp" : "body/new"), 0);
	close(message.body);
	free(content);
}

static void
follows_no_symbolic_link(void **state)
{
	struct maildir_message message = make_message("link", "x\r\n");
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(symlinkat("/tmp", root, "link"), 0);
	assert_int_equal(deliver(&message, &error), -1);
	message = make_message("real", "x\r\n");
	assert_int_equal(mkdirat(root, "real", 0700), 0);
	assert_int_equal(symlinkat("/tmp", root, "real/new"), 0);
	assert_int_equal(deliver(&message, &error), -1);
	assert_true(error_is_temporary(&error));
}

static void
refuses_a_bad_name_for_good(void **state)
{
	struct maildir_message message = make_message("../x", "x\r\n");
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(deliver(&message, &error), -1);
	assert_false(error_is_temporary(&error));
}

/* Who made them may have died before it could flush them. */
static void
flushes_folders_that_were_there_before_it_trusts_them(void **state)
{
	static const char *const made[] = { "found", "found/deep", "found/deep/tmp", "found/deep/new", "found/deep/cur" };
	struct maildir_message message = make_message("found/deep", "x\r\n");
	struct error error = ERROR_INITIALIZER;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		assert_int_equal(mkdirat(root, made[i], 0700), 0);
	flushes_fail = true;
	assert_int_equal(maildir_write(root, &message, &error), -1);
	maildir_end(&message);
	flushes_fail = false;
	flushes = 0;
	assert_int_equal(maildir_write(root, &message, &error), 0);
	assert_int_equal(flushes, 3);
	maildir_end(&message);
	flushes = 0;
	assert_int_equal(deliver(&message, &error), 0);
	assert_int_equal(flushes, 2);
}

static void
names_stay_one_component(void **state)
{
	char name[MAILDIR_NAME_SIZE];

	(void)state;
	maildir_format_name(5000, 1, 2, "a/b:c", name);
	assert_null(strpbrk(name, "/:"));
	assert_non_null(strstr(name, "5.M"));
	assert_non_null(strstr(name, "R2."));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_safe_names),
		cmocka_unit_test(makes_the_mail_file_and_writes_into_new),
		cmocka_unit_test(writes_a_repeat_only_once),
		cmocka_unit_test(names_a_message_only_when_it_was_flushed_and_flushes_its_name),
		cmocka_unit_test(copies_a_body_from_a_descriptor),
		cmocka_unit_test(follows_no_symbolic_link),
		cmocka_unit_test(refuses_a_bad_name_for_good),
		cmocka_unit_test(flushes_folders_that_were_there_before_it_trusts_them),
		cmocka_unit_test(names_stay_one_component),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
