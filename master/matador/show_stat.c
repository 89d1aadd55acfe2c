/* show_stat - the statistics of the Domino console, added up over the processes that count them */
#include <stdio.h>
#include <strings.h>
#include <sysexits.h>

#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/statistics_sum.h"

int
command_show_stat(const char *folder, int argc, char **argv)
{
	static const struct option options[] = { NO_OPTIONS };
	struct statistics_sum sum = { .facility = NULL };
	struct buffer text = BUFFER_INITIALIZER(0);
	int status, health;

	optind = 0;
	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return command_misused(argv);
	if (optind + 1 < argc)
		return command_fail(argv, EX_USAGE, "takes one argument, a facility: %s", argv[optind + 1]);
	if (optind < argc)
		sum.facility = argv[optind];
	if (sum.facility != NULL && strcasecmp(sum.facility, "smtp") != 0)
		return command_fail(argv, EX_USAGE, "there is no facility %s; known: smtp", sum.facility);
	/* The numbers count whether all is well or not: that is what `matador status` is asked for. */
	status = control_command(folder, argv, "status", statistics_sum_line, &sum, &health);
	if (status == EX_OK) {
		statistics_sum_append(&sum, &text);
		fputs(buffer_text(&text), stdout);
	}
	buffer_free(&text);
	statistics_sum_free(&sum);
	return status;
}
