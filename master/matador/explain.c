/* explain - explain route: which rule of which document sends a recipient where */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/worker/roles.h"
#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/explain_view.h"
#include "master/matador/route_question.h"

struct explain_output {
	bool json;
};

static bool
print_told(void *context, const struct route_told *told)
{
	const struct explain_output *output = context;
	struct buffer text = BUFFER_INITIALIZER(0);

	(output->json ? explain_view_json : explain_view_text)(&text, told);
	fwrite(buffer_text(&text), 1, text.length, stdout);
	buffer_free(&text);
	return ferror(stdout) == 0;
}

static int
take_options(int argc, char **argv, struct route_question *question, struct explain_output *output)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "from", required_argument, NULL, 'f' }, { "format", required_argument, NULL, 't' }, NO_OPTIONS };
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return command_misused(argv);
		if (option == 'j')
			output->json = true;
		else if (option == 'f')
			question->sender = strcmp(optarg, "<>") == 0 ? "" : optarg;
		else if (strcmp(optarg, "mime") == 0 || strcmp(optarg, "notes") == 0)
			question->format = optarg[0] == 'm' ? FORMAT_MIME : FORMAT_NOTES;
		else
			return command_fail(argv, EX_USAGE, "--format: %s is neither mime nor notes", optarg);
	}
	if (optind + 1 != argc)
		return command_fail(argv, EX_USAGE, "takes one address, or one name in quotes");
	if (argv[optind][0] == '\0' || strlen(argv[optind]) > ENVELOPE_TEXT_MAX ||
	    strlen(question->sender) > ENVELOPE_TEXT_MAX)
		return command_fail(argv, EX_USAGE, "an address has 1 to %d octets", ENVELOPE_TEXT_MAX);
	return EX_OK;
}

int
command_explain_route(const char *folder, int argc, char **argv)
{
	struct explain_output output = { .json = false };
	struct route_question question = { .sender = "", .format = FORMAT_MIME, .told = print_told, .context = &output };
	struct error error = ERROR_INITIALIZER;
	int socket, status = take_options(argc, argv, &question, &output);

	if (status == EX_OK)
		status = control_connect(folder, argv, role_rows[ROLE_ROUTER].name, &socket);
	if (status != EX_OK)
		return status;
	if (route_question_ask(&question, socket, argv[optind], &error) == -1)
		status = command_fail(argv, EX_TEMPFAIL, "%s", error.text);
	return status;
}
