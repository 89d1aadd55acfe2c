/*
 * submit - takes a message on standard input, as sendmail does, and gives it to smtpd
 *
 * All or nothing: when one recipient is refused nothing is taken, so that the exit status says what happened.
 */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "master/matador/command.h"
#include "master/matador/place.h"
#include "master/matador/smtp_client.h"
#include "master/matador/submission.h"

enum submit_mode { MODE_MESSAGE, MODE_SMTP, MODE_LIST, MODE_ALIASES, MODE_RUN_QUEUE };

struct submit_request {
	enum submit_mode mode;
	bool header_recipients;		/* -t */
	bool dot_is_text;		/* -i */
	const char *sender;		/* -f; NULL: the calling user */
	const char *full_name;		/* -F; NULL: the calling user's */
	const char *notify;		/* -N; NULL: not given */
	const char *ret;		/* -R; NULL: not given */
	const char *folder;		/* -C: where matador.conf is, as sendmail's option names its configuration */
};

static int
parse_mode(struct submit_request *request, char **argv, char mode)
{
	switch (mode) {
	case 'm':
		request->mode = MODE_MESSAGE;
		return EX_OK;
	case 's':
		request->mode = MODE_SMTP;
		return EX_OK;
	case 'p':
		request->mode = MODE_LIST;
		return EX_OK;
	case 'i':
		request->mode = MODE_ALIASES;
		return EX_OK;
	default:
		return command_fail(argv, EX_USAGE, "-b%c is not known; the service is started by: matador start", mode);
	}
}

/* The words of NOTIFY= and RET= go into a command. */
static bool
is_words(const char *text)
{
	return text[0] != '\0' && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz,") == strlen(text);
}

static int
parse_options(struct submit_request *request, int argc, char **argv)
{
	int option, status = EX_OK;

	optind = 0;
	while (status == EX_OK && (option = getopt(argc, argv, "A:B:b:C:F:f:GIiL:mN:nO:o:p:q::R:r:tUV:vX:")) != -1) {
		switch (option) {
		case 'b':
			status = parse_mode(request, argv, optarg[0]);
			break;
		case 'C':
			request->folder = optarg;
			break;
		case 'f':
		case 'r':
			request->sender = optarg;
			break;
		case 'F':
			request->full_name = optarg;
			break;
		case 'I':
			request->mode = MODE_ALIASES;
			break;
		case 'i':
			request->dot_is_text = true;
			break;
		case 'o':
			request->dot_is_text = request->dot_is_text || strcmp(optarg, "i") == 0;
			break;
		case 'N':
			request->notify = optarg;
			break;
		case 'q':
			request->mode = MODE_RUN_QUEUE;
			break;
		case 'R':
			request->ret = optarg;
			break;
		case 't':
			request->header_recipients = true;
			break;
		case '?':
			return command_misused(argv);
		default:
			break;	/* of no meaning here; callers of sendmail give it all the same */
		}
	}
	if (status == EX_OK && ((request->notify != NULL && !is_words(request->notify)) ||
	    (request->ret != NULL && !is_words(request->ret))))
		return command_fail(argv, EX_USAGE, "-N and -R take words");
	return status;
}

/* ---- the message ---- */

static int
read_input(struct buffer *input, char **argv)
{
	ssize_t got;

	while ((got = read(STDIN_FILENO, buffer_reserve(input, 65536), 65536)) != 0) {
		if (got == -1 && errno != EINTR)
			return command_fail(argv, EX_NOINPUT, "standard input: %s", strerror(errno));
		if (got > 0)
			buffer_commit(input, (size_t)got);
	}
	return EX_OK;
}

static int
read_submission(const struct submit_request *request, struct submission *submission, int argc, char **argv)
{
	struct buffer input = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	int status = read_input(&input, argv);

	if (status == EX_OK && submission_read(submission, buffer_text(&input), input.length, !request->dot_is_text, &error) == -1)
		status = command_fail(argv, EX_DATAERR, "%s", error.text);
	buffer_free(&input);
	for (int i = optind; status == EX_OK && i < argc; i++)
		if (submission_add_recipients(submission, argv[i], &error) == -1)
			status = command_fail(argv, EX_USAGE, "%s", error.text);
	if (status == EX_OK && request->header_recipients && submission_add_header_recipients(submission, &error) == -1)
		status = command_fail(argv, EX_DATAERR, "%s", error.text);
	if (status == EX_OK && submission->recipient_count == 0)
		status = command_fail(argv, EX_USAGE, "there is no recipient");
	return status;
}

/* ---- the dialogue ---- */

/* What a reply means for the exit: later may work, the user is unknown, or never. */
static int
refused(const struct smtp_client *client, char **argv, const char *what)
{
	int status = EX_UNAVAILABLE;

	if (client->code / 100 == 4)
		status = EX_TEMPFAIL;
	else if (client->code == 550 && strncmp(buffer_text(&client->reply), "5.1.1", 5) == 0)
		status = EX_NOUSER;
	else if (client->code == 552)
		status = EX_DATAERR;
	return command_fail(argv, status, "%s%s%d %s", what, what[0] == '\0' ? "" : ": ", client->code,
	    buffer_text(&client->reply));
}

static int
broken(char **argv, const struct error *error)
{
	return command_fail(argv, error->kind == ERROR_INVALID ? EX_DATAERR : EX_TEMPFAIL, "%s", error->text);
}

/* Greeting and EHLO; what completes addresses goes to domain: what XDOMAIN says, or the server's own name. */
static int
greet(struct smtp_client *client, char **argv, char domain[static 256])
{
	struct error error = ERROR_INITIALIZER;
	const char *name;

	if (smtp_client_read_reply(client, &error) == -1)
		return broken(argv, &error);
	if (client->code != 220)
		return refused(client, argv, "");
	if (smtp_client_command(client, &error, "EHLO localhost") == -1)
		return broken(argv, &error);
	if (client->code != 250)
		return refused(client, argv, "");
	name = strstr(buffer_text(&client->reply), "\nXDOMAIN ");
	name = name != NULL ? name + strlen("\nXDOMAIN ") : buffer_text(&client->reply);
	snprintf(domain, 256, "%.*s", (int)strcspn(name, " \n"), name);
	return EX_OK;
}

/* The last '@' separates a domain unless it is quoted. */
static void
qualify(const char *address, const char *domain, char qualified[static 2048])
{
	const char *at = strrchr(address, '@');
	bool has_domain = at != NULL && strchr(at, '"') == NULL;

	snprintf(qualified, 2048, "%.1023s%s%.255s", address, has_domain ? "" : "@", has_domain ? "" : domain);
}

static void
choose_sender(const struct submit_request *request, const char *domain, char sender[static 2048],
    struct submission_defaults *defaults, char full_name[static 256])
{
	const struct passwd *user = getpwuid(getuid());
	const char *name = user == NULL ? "nobody" : user->pw_name;
	const char *gecos = user == NULL || user->pw_gecos == NULL ? "" : user->pw_gecos;
	static char from[2048];

	qualify(name, domain, from);
	if (request->sender == NULL)
		snprintf(sender, 2048, "%s", from);
	else if (request->sender[0] == '\0' || strcmp(request->sender, "<>") == 0)
		sender[0] = '\0';
	else
		qualify(request->sender, domain, sender);
	if (request->full_name != NULL)
		snprintf(full_name, 256, "%s", request->full_name);
	else
		snprintf(full_name, 256, "%.*s", request->sender == NULL ? (int)strcspn(gecos, ",") : 0, gecos);
	*defaults = (struct submission_defaults){ .host = domain, .sender = sender[0] == '\0' ? from : sender,
		.full_name = full_name };
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((*text & 0x80) != 0)
			return false;
	return true;
}

static bool
needs_smtputf8(const struct submission *submission, const char *sender)
{
	if (submission->eight_bit_header || !is_ascii(sender))
		return true;
	for (size_t i = 0; i < submission->recipient_count; i++)
		if (!is_ascii(submission->recipients[i]))
			return true;
	return false;
}

static int
send_envelope(struct smtp_client *client, const struct submit_request *request, const struct submission *submission,
    const char *sender, const char *domain, char **argv)
{
	struct error error = ERROR_INITIALIZER;
	bool dsn = smtp_client_offers(client, "DSN");
	bool utf8 = smtp_client_offers(client, "SMTPUTF8") && needs_smtputf8(submission, sender);
	bool eight_bit = smtp_client_offers(client, "8BITMIME") && submission->eight_bit;
	const char *ret = dsn && request->ret != NULL ? request->ret : "";
	const char *notify = dsn && request->notify != NULL ? request->notify : "";

	if (smtp_client_command(client, &error, "MAIL FROM:<%s>%s%s%s%s", sender, eight_bit ? " BODY=8BITMIME" : "",
	    utf8 ? " SMTPUTF8" : "", ret[0] == '\0' ? "" : " RET=", ret) == -1)
		return broken(argv, &error);
	if (client->code != 250)
		return refused(client, argv, sender);
	for (size_t i = 0; i < submission->recipient_count; i++) {
		char address[2048];

		qualify(submission->recipients[i], domain, address);
		if (smtp_client_command(client, &error, "RCPT TO:<%s>%s%s", address, notify[0] == '\0' ? "" : " NOTIFY=",
		    notify) == -1)
			return broken(argv, &error);
		if (client->code != 250 && client->code != 251)
			return refused(client, argv, address);
	}
	return EX_OK;
}

static int
send_content(struct smtp_client *client, const struct submission *submission, char **argv)
{
	struct buffer content = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	int status = EX_OK;

	if (smtp_client_command(client, &error, "DATA") == -1)
		return broken(argv, &error);
	if (client->code != 354)
		return refused(client, argv, "");
	submission_stuff(submission, &content);
	if (smtp_client_send(client, content.data, content.length, &error) == -1 ||
	    smtp_client_read_reply(client, &error) == -1)
		status = broken(argv, &error);
	else if (client->code != 250)
		status = refused(client, argv, "");
	buffer_free(&content);
	return status;
}

static int
submit_message(struct smtp_client *client, const struct submit_request *request, struct submission *submission,
    char **argv)
{
	struct submission_defaults defaults;
	struct error ignored = ERROR_INITIALIZER;
	char domain[256], sender[2048], full_name[256];
	int status = greet(client, argv, domain);

	if (status != EX_OK)
		return status;
	choose_sender(request, domain, sender, &defaults, full_name);
	submission_complete(submission, &defaults);
	status = send_envelope(client, request, submission, sender, domain, argv);
	if (status == EX_OK)
		status = send_content(client, submission, argv);
	/* what was accepted stays accepted, however the session ends */
	smtp_client_command(client, &ignored, "QUIT");
	return status;
}

/* ---- -bs ---- */

/* Copies what is there from one to the other; false at the end of file. */
static bool
copy_some(int from, int to)
{
	char octets[16384];
	ssize_t got = read(from, octets, sizeof(octets));

	for (ssize_t done = 0, written; done < got; done += written) {
		written = write(to, octets + done, (size_t)(got - done));
		if (written == -1)
			return false;
	}
	return got > 0;
}

static int
copy_session(struct smtp_client *client)
{
	struct pollfd ends[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = client->socket, .events = POLLIN } };

	for (;;) {
		if (poll(ends, 2, -1) == -1)
			return EX_OSERR;
		if (ends[1].revents != 0 && !copy_some(client->socket, STDOUT_FILENO))
			return EX_OK;
		if (ends[0].fd != -1 && ends[0].revents != 0 && !copy_some(STDIN_FILENO, client->socket)) {
			shutdown(client->socket, SHUT_WR);
			ends[0].fd = -1;
		}
	}
}

/* ---- the command ---- */

static int
submit(const struct submit_request *request, int argc, char **argv)
{
	struct submission submission;
	struct smtp_client client = { .socket = -1 };
	struct error error = ERROR_INITIALIZER;
	struct place place;
	int status = EX_OK;

	submission_init(&submission);
	if (place_find(request->folder, &place, &error) == -1)
		return command_fail(argv, EX_CONFIG, "%s", error.text);
	if (request->mode == MODE_MESSAGE)
		status = read_submission(request, &submission, argc, argv);
	if (status == EX_OK && smtp_client_connect(&client, place.submit_socket, &error) == -1)
		status = command_fail(argv, EX_TEMPFAIL, "%s; nothing was taken", error.text);
	if (status == EX_OK)
		status = request->mode == MODE_SMTP ? copy_session(&client) :
		    submit_message(&client, request, &submission, argv);
	smtp_client_close(&client);
	submission_free(&submission);
	return status;
}

int
command_submit(const char *folder, int argc, char **argv)
{
	struct submit_request request = { .mode = MODE_MESSAGE, .folder = folder };
	int status = parse_options(&request, argc, argv);

	if (status != EX_OK)
		return status;
	switch (request.mode) {
	case MODE_LIST:
		return command_queue_list(request.folder, 1, argv);
	case MODE_ALIASES:
		fprintf(stderr, "there is no alias file: who gets which mail stands in the documents of directory/\n");
		return EX_OK;
	case MODE_RUN_QUEUE:
		return EX_OK;	/* the service tries by itself */
	case MODE_MESSAGE:
	case MODE_SMTP:
		break;
	}
	return submit(&request, argc, argv);
}
