/* command - see command.h */
#include "master/matador/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "master/matador/terminal_text.h"

static const struct command commands[] = {
#define COMMAND(name, arguments, function, summary, help) { name, arguments, function, summary, help },
#include "master/matador/command.def"
#undef COMMAND
};

/* How many of the given words are the words of name; 0 when it is another command. */
static int
match_name(const char *name, int argc, char **argv)
{
	int words = 0;

	for (const char *word = name; word != NULL; words++) {
		const char *blank = strchr(word, ' ');
		size_t length = blank == NULL ? strlen(word) : (size_t)(blank - word);

		if (words >= argc || strlen(argv[words]) != length || memcmp(argv[words], word, length) != 0)
			return 0;
		word = blank == NULL ? NULL : blank + 1;
	}
	return words;
}

const struct command *
command_find(int argc, char **argv, int *words_out)
{
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		*words_out = match_name(commands[i].name, argc, argv);
		if (*words_out > 0)
			return &commands[i];
	}
	return NULL;
}

static bool
is_of_family(const struct command *command, const char *word)
{
	size_t length = strlen(word);

	return strncmp(command->name, word, length) == 0 && command->name[length] == ' ';
}

bool
command_is_family(const char *word)
{
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
		if (is_of_family(&commands[i], word))
			return true;
	return false;
}

bool
command_print_family(const char *word)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		if (!is_of_family(&commands[i], word))
			continue;
		if (any)
			putchar('\n');
		command_print_help(&commands[i]);
		any = true;
	}
	return any;
}

void
command_print_help(const struct command *command)
{
	printf("usage: matador [-c FOLDER] %s%s%s\n%s\n%s", command->name, command->arguments[0] == '\0' ? "" : " ",
	    command->arguments, command->summary, command->help);
}

void
command_print_all(void)
{
	printf("usage: matador [-c FOLDER] COMMAND [ARGUMENT ...]\n"
	    "  -c FOLDER   where matador.conf is (default: " SYSCONFDIR "/matador)\n\n");
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
		printf("  %-14s %s\n", commands[i].name, commands[i].summary);
	printf("\n`matador COMMAND --help` says more.\n");
}

int
command_fail(char **argv, int status, const char *format, ...)
{
	char *text, *next, *line;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = memory_new((size_t)length + 1, 1);
	va_start(arguments, format);
	vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	fprintf(stderr, "%s: ", argv[0]);
	/* a server's reply may have several lines */
	for (next = text; (line = strsep(&next, "\n")) != NULL;) {
		terminal_clean(line);
		fprintf(stderr, "%s\n", line);
	}
	free(text);
	return status;
}

int
command_misused(char **argv)
{
	fprintf(stderr, "%s --help says what is allowed\n", argv[0]);
	return EX_USAGE;
}

int
command_expect_json(int argc, char **argv, bool *json_out)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, NO_OPTIONS };
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'j')
			return command_misused(argv);
		if (json_out == NULL)
			return command_fail(argv, EX_USAGE, "--json has no meaning here");
		*json_out = true;
	}
	return EX_OK;
}

int
command_expect_nothing(int argc, char **argv)
{
	static const struct option options[] = { NO_OPTIONS };

	optind = 0;
	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return command_misused(argv);
	if (optind < argc)
		return command_fail(argv, EX_USAGE, "takes no argument: %s", argv[optind]);
	return EX_OK;
}
