/*
 * command - the control command's commands, each declared once in command.def
 *
 * Results go to standard output, messages to standard error, exit statuses are those of sysexits.h.
 */
#ifndef MASTER_MATADOR_COMMAND_H
#define MASTER_MATADOR_COMMAND_H

#include <getopt.h>
#include <stdbool.h>

#include "common/base/attributes.h"

struct command {
	const char *name;		/* one word or two */
	const char *arguments;
	int (*run)(const char *folder, int argc, char **argv);	/* argv[0] as in "matador queue list", for messages */
	const char *summary;		/* one line */
	const char *help;		/* the options, a line each */
};

/* The command that the first words name; *words_out says how many words it took. NULL for none. */
const struct command *command_find(int argc, char **argv, int *words_out);
void command_print_help(const struct command *command);
/* Whether commands of two words begin with this one. */
bool command_is_family(const char *word);
/* The help of every command whose first word this is ("queue"); false when there is none. */
bool command_print_family(const char *word);
void command_print_all(void);

/* Parses the options of a command that knows no other than these; returns like getopt_long(3). Call with optind = 0 first. */
#define NO_OPTIONS { NULL, 0, NULL, 0 }
/* Parses a command line that has no options and no arguments; an exit status. */
int command_expect_nothing(int argc, char **argv);
/* The same, with --json: *json_out. */
int command_expect_json(int argc, char **argv, bool *json_out);
/* To be called when getopt_long(3) has said what is wrong with an option: tells where help is, and returns the exit status. */
int command_misused(char **argv);
/* Writes "NAME: text" to standard error, fit for a terminal whoever wrote its parts, and returns status. */
int command_fail(char **argv, int status, const char *format, ...) PRINTF_LIKE(3, 4);

#define COMMAND(name, arguments, function, summary, help) int function(const char *folder, int argc, char **argv);
#include "master/matador/command.def"
#undef COMMAND

#endif
