/* password - makes a crypt(5) hash for the password of a Person document */
#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "master/matador/command.h"

#define PASSWORD_SIZE 514	/* crypt(3) takes 511 octets */

/* One line of standard input without its end; false at the end of input or when it is too long. */
static bool
read_line(char line[static PASSWORD_SIZE])
{
	size_t length;

	if (fgets(line, PASSWORD_SIZE, stdin) == NULL)
		return false;
	length = strcspn(line, "\r\n");
	if (line[length] == '\0' && length == PASSWORD_SIZE - 1)
		return false;
	line[length] = '\0';
	return true;
}

static bool
ask_without_echo(const char *prompt, char line[static PASSWORD_SIZE])
{
	struct termios before, quiet;
	bool got;

	if (tcgetattr(STDIN_FILENO, &before) == -1)
		return read_line(line);
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	fputs(prompt, stderr);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	got = read_line(line);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return got;
}

static int
print_hash(char **argv, const char *password)
{
	struct crypt_data *data = memory_new(1, sizeof(*data));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash = NULL;
	int status = EX_OK;

	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)) != NULL)
		hash = crypt_r(password, setting, data);
	if (hash == NULL || hash[0] == '*')
		status = command_fail(argv, EX_OSERR, "making the hash: %s", strerror(errno));
	else
		puts(hash);
	memory_wipe(data, sizeof(*data));
	free(data);
	return status;
}

int
command_password(const char *folder UNUSED, int argc, char **argv)
{
	char first[PASSWORD_SIZE], second[PASSWORD_SIZE];
	bool terminal = isatty(STDIN_FILENO);
	int status = command_expect_nothing(argc, argv);

	if (status != EX_OK)
		return status;
	setvbuf(stdin, NULL, _IONBF, 0);
	if (!(terminal ? ask_without_echo("Password: ", first) : read_line(first)))
		status = command_fail(argv, EX_DATAERR, "no password was given, or it is longer than 511 octets");
	else if (first[0] == '\0')
		status = command_fail(argv, EX_DATAERR, "the password is empty");
	else if (terminal && (!ask_without_echo("The same again: ", second) || strcmp(first, second) != 0))
		status = command_fail(argv, EX_DATAERR, "the two were not the same");
	else
		status = print_hash(argv, first);
	memory_wipe(first, sizeof(first));
	memory_wipe(second, sizeof(second));
	return status;
}
