/* help - help, version */
#include <stdio.h>
#include <sysexits.h>

#include "master/matador/command.h"

int
command_version(const char *folder UNUSED, int argc, char **argv)
{
	int status = command_expect_nothing(argc, argv);

	if (status == EX_OK)
		printf("matador " MATADOR_VERSION "\n");
	return status;
}

int
command_help(const char *folder UNUSED, int argc, char **argv)
{
	const struct command *command;
	int words;

	if (argc < 2) {
		command_print_all();
		return EX_OK;
	}
	command = command_find(argc - 1, argv + 1, &words);
	if (command == NULL && argc == 2 && command_print_family(argv[1]))
		return EX_OK;
	if (command == NULL)
		return command_fail(argv, EX_USAGE, "there is no command %s%s%s", argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
	command_print_help(command);
	return EX_OK;
}
