/* explain_session - explain session: what every inbound control would say to a client and its message */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/mail/envelope.h"
#include "common/worker/roles.h"
#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/session_question.h"
#include "master/matador/session_view.h"

enum session_option { CLIENT = 256, HELO, USER, FROM, TO, JSON };

/* The field of the question that an option fills, and how long it may be; NULL for none. */
static const char **
option_field(struct inspection_question *question, int option, size_t *longest_out)
{
	*longest_out = option == CLIENT ? 64 : option == HELO || option == USER ? 255 : ENVELOPE_TEXT_MAX;
	switch (option) {
	case CLIENT: return &question->client_address;
	case HELO: return &question->helo;
	case USER: return &question->user;
	case FROM: return &question->sender;
	case TO: return &question->recipient;
	default: return NULL;
	}
}

static int
take_options(int argc, char **argv, struct inspection_question *question, bool *json_out)
{
	static const struct option options[] = { { "json", no_argument, NULL, JSON },
		{ "client", required_argument, NULL, CLIENT }, { "helo", required_argument, NULL, HELO },
		{ "user", required_argument, NULL, USER }, { "from", required_argument, NULL, FROM },
		{ "to", required_argument, NULL, TO }, NO_OPTIONS };
	bool has_sender = false;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		size_t longest;
		const char **field = option_field(question, option, &longest);

		if (option == '?')
			return command_misused(argv);
		if (field == NULL) {
			*json_out = true;
			continue;
		}
		if (strlen(optarg) > longest)
			return command_fail(argv, EX_USAGE, "%.40s...: at most %zu octets", optarg, longest);
		*field = option == FROM && strcmp(optarg, "<>") == 0 ? "" : optarg;
		has_sender = has_sender || option == FROM;
	}
	if (optind != argc)
		return command_fail(argv, EX_USAGE, "%s: takes options only", argv[optind]);
	if (question->client_address[0] == '\0' || question->recipient[0] == '\0' || !has_sender)
		return command_fail(argv, EX_USAGE, "--client, --from and --to are required");
	return EX_OK;
}

int
command_explain_session(const char *folder, int argc, char **argv)
{
	struct inspection_question question = { .id = 1, .client_address = "", .helo = "", .user = "", .sender = "",
		.recipient = "" };
	struct told_session told = { 0 };
	struct buffer text = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	bool json = false;
	int socket, status = take_options(argc, argv, &question, &json);

	if (status == EX_OK)
		status = control_connect(folder, argv, role_rows[ROLE_SMTPD].name, &socket);
	if (status != EX_OK)
		return status;
	if (session_question_ask(&question, socket, &told, &error) == -1) {
		status = command_fail(argv, error.kind == ERROR_INVALID ? EX_USAGE : EX_TEMPFAIL, "%s", error.text);
	} else {
		(json ? session_view_json : session_view_text)(&text, &question, &told);
		fwrite(buffer_text(&text), 1, text.length, stdout);
	}
	buffer_free(&text);
	told_session_free(&told);
	return status;
}
