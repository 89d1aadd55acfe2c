/* queue - list, show, export, hold, release, retry, remove, route: what the administrator asks of MAIL.BOX */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/identifier.h"
#include "master/matador/command.h"
#include "master/matador/message_view.h"
#include "master/matador/queue_source.h"

struct list_output {
	bool json;
	uint64_t messages;
	uint64_t octets;
};

static void
print_and_free(struct buffer *text)
{
	fwrite(buffer_text(text), 1, text->length, stdout);
	buffer_free(text);
}

static bool
print_listed(void *context, const struct store_item *item)
{
	struct list_output *output = context;
	struct buffer text = BUFFER_INITIALIZER(0);

	if (output->json)
		message_view_json(&text, item);
	else if (output->messages == 0)
		message_view_heading(&text);
	if (!output->json)
		message_view_list(&text, item);
	print_and_free(&text);
	output->messages++;
	output->octets += item->size;
	return ferror(stdout) == 0;
}

static int
list(const char *folder, const struct choice *choice, uint64_t limit, struct list_output *output, char **argv)
{
	struct error error = ERROR_INITIALIZER;
	struct queue_source *source;
	int status = queue_source_open(folder, argv, false, &source);

	if (status != EX_OK)
		return status;
	if (queue_source_each(source, choice, limit, print_listed, output, &error) == -1)
		status = command_fail(argv, EX_TEMPFAIL, "%s", error.text);
	queue_source_close(&source);
	if (status == EX_OK && !output->json)
		printf(output->messages == 0 ? "no message\n" : "%llu message%s, %llu octets\n", (unsigned long long)output->messages,
		    output->messages == 1 ? "" : "s", (unsigned long long)output->octets);
	return status;
}

/* 0 for what is no number above 0. */
static uint64_t
parse_limit(const char *text)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	return isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 ? number : 0;
}

int
command_queue_list(const char *folder, int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { "limit", required_argument, NULL, 'l' },
		CHOICE_OPTIONS, NO_OPTIONS };
	struct choice choice = CHOICE_INITIALIZER;
	struct list_output output = { .json = false };
	struct error error = ERROR_INITIALIZER;
	uint64_t limit = 0;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return command_misused(argv);
		if (option == 'j')
			output.json = true;
		else if (option == 'l' && (limit = parse_limit(optarg)) == 0)
			return command_fail(argv, EX_USAGE, "--limit: %s is not a number above 0", optarg);
		else if (option != 'l' && choice_take_option(&choice, option, optarg, &error) == -1)
			return command_fail(argv, EX_USAGE, "%s", error.text);
	}
	if (optind < argc)
		return command_fail(argv, EX_USAGE, "select by an option, such as --id: %s", argv[optind]);
	return list(folder, &choice, limit, &output, argv);
}

/* ---- one message ---- */

static int
take_id(int argc, char **argv, uint64_t *id_out)
{
	if (optind + 1 != argc)
		return command_fail(argv, EX_USAGE, "takes one id, as queue list shows it");
	if (!identifier_parse(argv[optind], id_out) || *id_out == 0)
		return command_fail(argv, EX_USAGE, "%s is not an id", argv[optind]);
	return EX_OK;
}

static bool
print_whole(void *context, const struct store_item *item)
{
	struct list_output *output = context;
	struct buffer text = BUFFER_INITIALIZER(0);

	(output->json ? message_view_json : message_view_whole)(&text, item);
	print_and_free(&text);
	output->messages++;
	return true;
}

int
command_queue_show(const char *folder, int argc, char **argv)
{
	struct choice choice = CHOICE_INITIALIZER;
	struct list_output output = { .json = false };
	struct error error = ERROR_INITIALIZER;
	struct queue_source *source;
	int status = command_expect_json(argc, argv, &output.json);

	if (status == EX_OK)
		status = take_id(argc, argv, &choice.id);
	if (status == EX_OK)
		status = queue_source_open(folder, argv, false, &source);
	if (status != EX_OK)
		return status;
	if (queue_source_each(source, &choice, 1, print_whole, &output, &error) == -1)
		status = command_fail(argv, EX_TEMPFAIL, "%s", error.text);
	else if (output.messages == 0)
		status = command_fail(argv, EX_NOINPUT, "there is no message %s", argv[optind]);
	queue_source_close(&source);
	return status;
}

static bool
print_envelope_fields(void *context UNUSED, const struct store_item *item)
{
	struct buffer text = BUFFER_INITIALIZER(0);

	message_view_envelope_fields(&text, item);
	print_and_free(&text);
	return true;
}

static void
print_content(void *context UNUSED, const void *data, size_t length)
{
	fwrite(data, 1, length, stdout);
}

int
command_queue_export(const char *folder, int argc, char **argv)
{
	struct error error = ERROR_INITIALIZER;
	struct queue_source *source;
	uint64_t id;
	int status = command_expect_json(argc, argv, NULL);

	if (status == EX_OK)
		status = take_id(argc, argv, &id);
	if (status == EX_OK)
		status = queue_source_open(folder, argv, false, &source);
	if (status != EX_OK)
		return status;
	switch (queue_source_export(source, id, print_envelope_fields, print_content, NULL, &error)) {
	case 1:
		break;
	case 0:
		status = command_fail(argv, EX_NOINPUT, "there is no message %s", argv[optind]);
		break;
	default:
		status = command_fail(argv, EX_TEMPFAIL, "%s", error.text);
		break;
	}
	queue_source_close(&source);
	return status;
}

/* ---- actions ---- */

static bool
take_held(void *context, const struct store_item *item)
{
	*(int *)context = item->held;
	return false;
}

/* An action changed nothing of the message that was asked for by its id: says why, and returns the exit status. */
static int
tell_why_not(struct queue_source *source, enum queue_action_kind action, const struct choice *choice, char **argv)
{
	struct error error = ERROR_INITIALIZER;
	char id[IDENTIFIER_TEXT_SIZE];
	int held = -1;

	identifier_format(choice->id, id);
	if (queue_source_each(source, choice, 1, take_held, &held, &error) == -1)
		return command_fail(argv, EX_TEMPFAIL, "%s", error.text);
	if (held == -1)
		return command_fail(argv, EX_NOINPUT, "there is no such message: %s", id);
	if (action == QUEUE_RETRY && held)
		return command_fail(argv, EX_TEMPFAIL, "%s is held; it is tried when it is released", id);
	if (action == QUEUE_RETRY)
		printf("%s has no recipient that waits\n", id);
	else if (action == QUEUE_HOLD && held)
		printf("%s is held already\n", id);
	else if (action == QUEUE_RELEASE && !held)
		printf("%s is not held\n", id);
	else
		return command_fail(argv, EX_TEMPFAIL, "%s was not changed; see the log", id);
	return EX_OK;
}

static int
act(const char *folder, int argc, char **argv, enum queue_action_kind action, const char *done)
{
	static const struct option options[] = { { "all", no_argument, NULL, 'a' }, CHOICE_OPTIONS, NO_OPTIONS };
	struct choice choice = CHOICE_INITIALIZER;
	struct error error = ERROR_INITIALIZER;
	struct queue_source *source;
	uint64_t count;
	int option, status;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return command_misused(argv);
		if (option == 'a')
			choice.given = true;
		else if (choice_take_option(&choice, option, optarg, &error) == -1)
			return command_fail(argv, EX_USAGE, "%s", error.text);
	}
	if (optind < argc && choice.given)
		return command_fail(argv, EX_USAGE, "%s: an id stands alone; beside options it is --id ID", argv[optind]);
	if (optind == argc && !choice.given)
		return command_fail(argv, EX_USAGE, "say which messages: an id, options such as --sender, or --all");
	if (optind < argc && (status = take_id(argc, argv, &choice.id)) != EX_OK)
		return status;
	status = queue_source_open(folder, argv, true, &source);
	if (status != EX_OK)
		return status;
	if (queue_source_act(source, action, &choice, &count, &error) == -1)
		status = command_fail(argv, EX_TEMPFAIL, "%s", error.text);
	else if (count == 0 && choice.id != 0)
		status = tell_why_not(source, action, &choice, argv);
	else
		printf("%llu message%s %s\n", (unsigned long long)count, count == 1 ? "" : "s", done);
	queue_source_close(&source);
	return status;
}

int
command_queue_hold(const char *folder, int argc, char **argv)
{
	return act(folder, argc, argv, QUEUE_HOLD, "held");
}

int
command_queue_release(const char *folder, int argc, char **argv)
{
	return act(folder, argc, argv, QUEUE_RELEASE, "released");
}

int
command_queue_retry(const char *folder, int argc, char **argv)
{
	return act(folder, argc, argv, QUEUE_RETRY, "to be tried now");
}

int
command_queue_remove(const char *folder, int argc, char **argv)
{
	return act(folder, argc, argv, QUEUE_REMOVE, "removed");
}

int
command_route(const char *folder, int argc, char **argv)
{
	struct choice choice = CHOICE_INITIALIZER;
	struct error error = ERROR_INITIALIZER;
	struct queue_source *source;
	uint64_t count;
	int status = command_expect_json(argc, argv, NULL);

	if (status != EX_OK)
		return status;
	if (optind + 1 != argc || argv[optind][0] == '\0')
		return command_fail(argv, EX_USAGE, "takes one destination, as queue list shows it, or a domain");
	choice.destination = argv[optind];
	status = queue_source_open(folder, argv, true, &source);
	if (status != EX_OK)
		return status;
	if (queue_source_act(source, QUEUE_ROUTE, &choice, &count, &error) == -1)
		status = command_fail(argv, EX_TEMPFAIL, "%s", error.text);
	else if (count == 0)
		status = command_fail(argv, EX_NOINPUT, "no message waits for %s", choice.destination);
	else
		printf("%llu message%s to be tried now\n", (unsigned long long)count, count == 1 ? "" : "s");
	queue_source_close(&source);
	return status;
}
