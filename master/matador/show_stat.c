/* show_stat - the statistics of the Domino console, added up over the processes that count them */
#include <stdio.h>
#include <sysexits.h>

#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/place.h"
#include "master/matador/statistics_sum.h"

int
command_show_stat(const char *folder, int argc, char **argv)
{
	static const struct option options[] = { NO_OPTIONS };
	struct statistics_sum sum = { .facility = NULL };
	struct buffer text = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	struct control_reply reply;
	struct place place;

	optind = 0;
	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return EX_USAGE;
	if (optind + 1 < argc)
		return command_fail(argv, EX_USAGE, "takes one argument, a facility: %s", argv[optind + 1]);
	if (optind < argc)
		sum.facility = argv[optind];
	if (place_find(folder, &place, &error) == -1)
		return command_fail(argv, EX_CONFIG, "%s", error.text);
	if (control_ask(place.control_socket, "status", NULL, statistics_sum_line, &sum, &reply, &error) == -1)
		return command_fail(argv, error.kind == ERROR_UNAVAILABLE ? EX_UNAVAILABLE : EX_OSERR, "%s", error.text);
	statistics_sum_append(&sum, &text);
	fputs(buffer_text(&text), stdout);
	buffer_free(&text);
	buffer_free(&reply.text);
	statistics_sum_free(&sum);
	return EX_OK;
}
