/*
 * matador - the control command; as sendmail, mailq and newaliases what other programs expect of a mail system
 *
 * SECURITY: runs with the rights of its caller and is never installed set-user-id. It asks master over the control socket, where
 * the kernel tells who is calling; submissions go to smtpd like any other client's. Text that comes from mail (addresses,
 * replies) or from another program is cleaned of control characters before it is printed to a terminal.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/descriptors.h"
#include "master/matador/command.h"

static int
explain_aliases(void)
{
	fprintf(stderr, "newaliases: nothing to do: there is no alias file. Who gets which mail stands in the Person, Group and "
	    "Mail-In Database documents of the folder directory/; after a change: matador reload\n");
	return EX_OK;
}

/* Whether --help stands before the arguments proper. */
static bool
wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

/* name is what the command is called in its messages. */
static int
run(const struct command *command, const char *name, const char *folder, int argc, char **argv)
{
	if (wants_help(argc, argv)) {
		command_print_help(command);
		return EX_OK;
	}
	argv[0] = (char *)(uintptr_t)name;
	return command->run(folder, argc, argv);
}

static int
run_words(const char *folder, int argc, char **argv)
{
	const struct command *command;
	char name[64];
	int words;

	command = command_find(argc, argv, &words);
	if (command == NULL && wants_help(argc, argv) && command_print_family(argv[0]))
		return EX_OK;
	if (command == NULL) {
		bool second = command_is_family(argv[0]) && argc > 1;

		if (argc == 1 && command_is_family(argv[0]))
			fprintf(stderr, "matador: %s needs a second word; `matador %s --help` lists them\n", argv[0], argv[0]);
		else
			fprintf(stderr, "matador: there is no command %s%s%s; `matador help` lists all\n", argv[0],
			    second ? " " : "", second ? argv[1] : "");
		return EX_USAGE;
	}
	argc -= words - 1;
	argv += words - 1;
	snprintf(name, sizeof(name), "matador %s", command->name);
	return run(command, name, folder, argc, argv);
}

/* sendmail and mailq: one command under another name. mailq takes no option but --help, whatever it is given. */
static int
run_other_name(const char *name, int argc, char **argv)
{
	bool is_mailq = strcmp(name, "mailq") == 0;
	char *words[] = { (char *)(uintptr_t)(is_mailq ? "queue" : "submit"), (char *)(uintptr_t)(is_mailq ? "list" : NULL) };
	const struct command *command;
	int count;

	command = command_find(is_mailq ? 2 : 1, words, &count);
	return run(command, name, SYSCONFDIR "/matador", is_mailq && !wants_help(argc, argv) ? 1 : argc, argv);
}

static int
run_command(int argc, char **argv)
{
	const char *folder = SYSCONFDIR "/matador";
	int option;

	while ((option = getopt(argc, argv, "+c:h-:")) != -1) {
		if (option == 'c') {
			folder = optarg;
		} else if (option == 'h' || (option == '-' && strcmp(optarg, "help") == 0)) {
			command_print_all();
			return EX_OK;
		} else {
			fprintf(stderr, "usage: matador [-c FOLDER] COMMAND [ARGUMENT ...]; `matador help` lists the commands\n");
			return EX_USAGE;
		}
	}
	if (optind == argc) {
		command_print_all();
		return EX_USAGE;
	}
	return run_words(folder, argc - optind, argv + optind);
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') == NULL ? argv[0] : strrchr(argv[0], '/') + 1;
	int status;

	descriptors_fill_standard();
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(name, "sendmail") == 0 || strcmp(name, "mailq") == 0)
		status = run_other_name(name, argc, argv);
	else if (strcmp(name, "newaliases") == 0)
		status = explain_aliases();
	else
		status = run_command(argc, argv);
	if (fflush(stdout) == EOF && status == EX_OK)
		status = EX_IOERR;
	return status;
}
