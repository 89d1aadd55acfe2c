/* verify - whether a stopped MAIL.BOX is whole; changes nothing */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/base/identifier.h"
#include "master/matador/command.h"
#include "master/matador/control_client.h"
#include "master/matador/json_text.h"
#include "master/matador/place.h"
#include "master/matador/queue_source.h"
#include "qmgr/store/offline.h"

static void
print_finding(void *context UNUSED, const struct offline_finding *finding)
{
	char id[IDENTIFIER_TEXT_SIZE] = "-";

	if (finding->id != 0)
		identifier_format(finding->id, id);
	printf("%s %s:%llu: %s\n", id, finding->file, (unsigned long long)finding->offset, finding->text);
}

static void
print_object(cJSON *object)
{
	char *text = cJSON_PrintUnformatted(object);

	puts(text);
	cJSON_free(text);
	cJSON_Delete(object);
}

static void
print_finding_json(void *context UNUSED, const struct offline_finding *finding)
{
	cJSON *object = cJSON_CreateObject();
	char id[IDENTIFIER_TEXT_SIZE];

	if (finding->id != 0) {
		identifier_format(finding->id, id);
		cJSON_AddStringToObject(object, "id", id);
	} else {
		cJSON_AddNullToObject(object, "id");
	}
	cJSON_AddStringToObject(object, "file", finding->file);
	cJSON_AddNumberToObject(object, "offset", (double)finding->offset);
	json_add_text(object, "finding", finding->text);
	print_object(object);
}

static void
print_totals(const struct offline_totals *totals)
{
	printf("%llu messages, %llu records in %llu segments read: ", (unsigned long long)totals->messages,
	    (unsigned long long)totals->records, (unsigned long long)totals->segments);
	if (totals->findings == 0)
		puts("all is right");
	else
		printf("%llu findings\n", (unsigned long long)totals->findings);
}

static void
print_totals_json(const struct offline_totals *totals)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "messages", (double)totals->messages);
	cJSON_AddNumberToObject(object, "records", (double)totals->records);
	cJSON_AddNumberToObject(object, "segments", (double)totals->segments);
	cJSON_AddNumberToObject(object, "findings", (double)totals->findings);
	print_object(object);
}

int
command_verify(const char *folder, int argc, char **argv)
{
	struct offline_mailbox *mailbox = NULL;
	struct offline_totals totals;
	struct error error = ERROR_INITIALIZER;
	struct control_reply reply;
	struct place place;
	char path[PATH_MAX];
	bool json = false;
	int result, status = command_expect_json(argc, argv, &json);

	if (status != EX_OK)
		return status;
	if (optind < argc)
		return command_fail(argv, EX_USAGE, "takes no argument: %s", argv[optind]);
	if (place_find(folder, &place, &error) == -1)
		return command_fail(argv, EX_CONFIG, "%s", error.text);
	if (control_ask(place.control_socket, "ping", NULL, NULL, NULL, &reply, &error) == 0) {
		buffer_free(&reply.text);
		return command_fail(argv, EX_TEMPFAIL, "the service runs; stop it first");
	}
	snprintf(path, sizeof(path), "%.4000s/mailbox", place.spool_directory);
	if (offline_open(path, &mailbox, &error) == -1)
		return command_fail(argv, offline_open_status(&error), "%s", error.text);
	result = offline_verify(mailbox, json ? print_finding_json : print_finding, NULL, &totals, &error);
	offline_close(&mailbox);
	if (result == -1)
		return command_fail(argv, EX_IOERR, "%s", error.text);
	(json ? print_totals_json : print_totals)(&totals);
	return totals.findings == 0 ? EX_OK : EX_DATAERR;
}
