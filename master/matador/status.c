/* status - shows what master tells about itself and the programs */
#include <stdio.h>
#include <sysexits.h>

#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/status_line.h"

int
command_status(const char *folder, int argc, char **argv)
{
	struct status_view view = STATUS_VIEW_INITIALIZER;
	int health, status = command_expect_json(argc, argv, &view.json);

	if (status != EX_OK)
		return status;
	if (optind < argc)
		return command_fail(argv, EX_USAGE, "takes no argument: %s", argv[optind]);
	status = control_command(folder, argv, "status", status_view_line, &view, &health);
	if (status == EX_OK) {
		fputs(buffer_text(&view.text), stdout);
		status = health;
	}
	buffer_free(&view.text);
	return status;
}
