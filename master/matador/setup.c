/* setup - setup, check, config: the documents and what they need on this host */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf/documents.h"
#include "common/conf/table.h"
#include "common/conf/value.h"
#include "common/worker/installation.h"
#include "master/matador/command.h"

/* The documents, or NULL after telling every mistake. */
static const struct settings *
read_documents(const char *folder, bool warn)
{
	struct documents_report report;
	const struct settings *settings = documents_read(folder, &report);

	fputs(buffer_text(&report.errors), stderr);
	if (warn)
		fputs(buffer_text(&report.warnings), stderr);
	documents_report_free(&report);
	return settings;
}

int
command_setup(const char *folder, int argc, char **argv)
{
	struct buffer changes = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	bool privileged = geteuid() == 0;
	const struct settings *settings;
	int status = command_expect_nothing(argc, argv);

	if (status != EX_OK)
		return status;
	settings = read_documents(folder, false);
	if (settings == NULL)
		return EX_CONFIG;
	if (installation_make(settings, privileged, &changes, &error) == -1)
		status = command_fail(argv, EX_CANTCREAT, "%s", error.text);
	fputs(buffer_text(&changes), stdout);
	if (status == EX_OK && changes.length == 0)
		puts("everything is in place");
	if (status == EX_OK && !privileged)
		puts("no system users: started by this user, all programs run as this user");
	buffer_free(&changes);
	settings_release(&settings);
	return status;
}

int
command_check(const char *folder, int argc, char **argv)
{
	struct buffer problems = BUFFER_INITIALIZER(0);
	const struct settings *settings;
	int status = command_expect_nothing(argc, argv);

	if (status != EX_OK)
		return status;
	settings = read_documents(folder, true);
	if (settings == NULL)
		return EX_CONFIG;
	if (installation_check_limits(settings, geteuid() == 0, &problems) > 0)
		status = EX_CONFIG;
	fputs(buffer_text(&problems), stderr);
	buffer_free(&problems);
	settings_release(&settings);
	return status;
}

/* ---- config ---- */

struct config_request {
	const char *key;	/* NULL: all */
	bool json;
	unsigned printed;
};

static bool
is_wanted(const struct config_request *request, const struct document_row *document, const char *label)
{
	char name[256];

	if (request->key == NULL || strcmp(request->key, label) == 0)
		return true;
	snprintf(name, sizeof(name), "%s.%s", document->word, label);
	return strcmp(request->key, name) == 0;
}

/* The value itself: a list as an array, a text without the quotes that it has in the file. */
static cJSON *
json_value(const struct setting_row *row, const struct setting *setting, const char *formatted)
{
	cJSON *array;

	if (type_is_secret(row->type))
		return cJSON_CreateString(formatted);
	if (!type_is_list(row->type))
		return cJSON_CreateString(formatted[0] == '"' ? setting->text : formatted);
	array = cJSON_CreateArray();
	for (size_t i = 0; i < setting->count; i++)
		cJSON_AddItemToArray(array, cJSON_CreateString(setting->items[i].text));
	return array;
}

static void
print_json(const char *document, const char *title, const char *label, const char *value, const struct setting_row *row,
    const struct setting *setting)
{
	cJSON *object = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(object, "document", document);
	cJSON_AddStringToObject(object, "title", title);
	cJSON_AddStringToObject(object, "key", label);
	cJSON_AddItemToObject(object, "value", json_value(row, setting, value));
	cJSON_AddStringToObject(object, "default", row->default_text);
	cJSON_AddBoolToObject(object, "given", setting->given);
	if (setting->given) {
		cJSON_AddStringToObject(object, "file", setting->at.file);
		cJSON_AddNumberToObject(object, "line", setting->at.line);
	}
	text = cJSON_PrintUnformatted(object);
	puts(text);
	free(text);
	cJSON_Delete(object);
}

static void
print_setting(struct config_request *request, const struct document_row *document, const char *title,
    const struct setting_row *row, const struct setting *setting)
{
	struct buffer value = BUFFER_INITIALIZER(0);
	char label[128];

	setting_row_label(row, label);
	if (!is_wanted(request, document, label))
		return;
	request->printed++;
	value_format(row, setting, &value);
	if (request->json)
		print_json(document->word, title, label, buffer_text(&value), row, setting);
	else if (setting->given)
		printf("%s.%s = %s  (default %s, %s:%u)\n", document->word, label, buffer_text(&value),
		    row->default_text[0] == '\0' ? "empty" : row->default_text, setting->at.file, setting->at.line);
	else
		printf("%s.%s = %s  (default)\n", document->word, label, buffer_text(&value));
	buffer_free(&value);
}

static void
print_document(struct config_request *request, enum document_kind kind, const void *document)
{
	const struct document_row *row = &document_rows[kind];
	const struct document_start *start = document;

	if (!request->json && request->key == NULL) {
		printf("# %s", row->word);
		if (start->title != NULL && start->title[0] != '\0')
			printf(" \"%s\"", start->title);
		if (start->at.line != 0)
			printf(", %s:%u", start->at.file, start->at.line);
		putchar('\n');
	}
	for (size_t i = 0; i < row->setting_count; i++)
		print_setting(request, row, start->title == NULL ? "" : start->title, &row->settings[i],
		    document_setting_const(document, &row->settings[i]));
}

/* The Directory is data, not settings. */
static bool
is_directory(enum document_kind kind)
{
	return kind == KIND_person || kind == KIND_group || kind == KIND_mail_in_database;
}

/* The document in force, or all of a kind that has many. */
static void
print_kind(struct config_request *request, const struct settings *settings, enum document_kind kind)
{
	const void *in_force = settings_in_force(settings, kind);

	if (in_force != NULL) {
		print_document(request, kind, in_force);
		return;
	}
	if (is_directory(kind))
		return;
	for (size_t i = 0; i < settings_document_count(settings, kind); i++)
		print_document(request, kind, settings_document(settings, kind, i));
}

static bool
kind_has(const struct config_request *request, enum document_kind kind)
{
	const struct document_row *row = &document_rows[kind];
	char label[128];

	for (size_t i = 0; i < row->setting_count; i++) {
		setting_row_label(&row->settings[i], label);
		if (is_wanted(request, row, label))
			return true;
	}
	return false;
}

/* Why nothing was printed. */
static int
tell_why_none(const struct config_request *request, char **argv)
{
	for (enum document_kind kind = 0; kind < KIND_COUNT; kind++) {
		if (!kind_has(request, kind))
			continue;
		if (is_directory(kind))
			return command_fail(argv, EX_USAGE, "%s: the documents of directory/ are not shown", request->key);
		return command_fail(argv, EX_USAGE, "%s: there is no %s document", request->key, document_rows[kind].word);
	}
	return command_fail(argv, EX_USAGE, "there is no key %s", request->key);
}

int
command_config(const char *folder, int argc, char **argv)
{
	struct config_request request = { .key = NULL };
	const struct settings *settings;
	int status = command_expect_json(argc, argv, &request.json);

	if (status != EX_OK)
		return status;
	if (optind < argc)
		request.key = argv[optind++];
	if (optind < argc)
		return command_fail(argv, EX_USAGE, "one key at a time: %s", argv[optind]);
	settings = read_documents(folder, false);
	if (settings == NULL)
		return EX_CONFIG;
	for (enum document_kind kind = 0; kind < KIND_COUNT; kind++)
		print_kind(&request, settings, kind);
	settings_release(&settings);
	if (request.printed == 0)
		return tell_why_none(&request, argv);
	return EX_OK;
}
