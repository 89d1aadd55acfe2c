/* status - shows what master tells about itself and the programs */
#include <stdio.h>
#include <sysexits.h>

#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/place.h"
#include "master/matador/status_line.h"

int
command_status(const char *folder, int argc, char **argv)
{
	struct status_view view = STATUS_VIEW_INITIALIZER;
	struct error error = ERROR_INITIALIZER;
	struct control_reply reply;
	struct place place;
	int status = command_expect_json(argc, argv, &view.json);

	if (status != EX_OK)
		return status;
	if (optind < argc)
		return command_fail(argv, EX_USAGE, "takes no argument: %s", argv[optind]);
	if (place_find(folder, &place, &error) == -1)
		return command_fail(argv, EX_CONFIG, "%s", error.text);
	if (control_ask(place.control_socket, "status", NULL, status_view_line, &view, &reply, &error) == -1)
		return command_fail(argv, error.kind == ERROR_UNAVAILABLE ? EX_UNAVAILABLE : EX_OSERR, "%s", error.text);
	fputs(buffer_text(&view.text), stdout);
	if (reply.text.length > 0)
		command_fail(argv, reply.status, "%s", buffer_text(&reply.text));
	buffer_free(&view.text);
	buffer_free(&reply.text);
	return reply.status;
}
