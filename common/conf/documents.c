/* documents - see documents.h */
#include "common/conf/documents.h"

#include <limits.h>
#include <stdio.h>

#include "common/conf/builder.h"
#include "common/conf/check.h"
#include "common/conf/parser.h"

#define DIRECTORY_KINDS (KIND_BIT(KIND_person) | KIND_BIT(KIND_group) | KIND_BIT(KIND_mail_in_database))

/* The files beside directory/. */
static const struct {
	const char *name;
	unsigned kinds;
	enum parser_presence presence;
} files[] = {
	{ "matador.conf", KIND_BIT(KIND_matador), PARSER_REQUIRED },
	{ "servers.conf", KIND_BIT(KIND_server), PARSER_OPTIONAL },
	{ "configurations.conf", KIND_BIT(KIND_configuration), PARSER_OPTIONAL },
	{ "domains.conf",
	    KIND_BIT(KIND_global_domain) | KIND_BIT(KIND_foreign_domain) | KIND_BIT(KIND_foreign_smtp_domain) |
	    KIND_BIT(KIND_adjacent_domain) | KIND_BIT(KIND_non_adjacent_domain), PARSER_OPTIONAL },
	{ "connections.conf", KIND_BIT(KIND_connection) | KIND_BIT(KIND_smtp_connection), PARSER_OPTIONAL },
	{ "sites.conf", KIND_BIT(KIND_smtp_inbound_site), PARSER_OPTIONAL },
};

static void
read_files(struct builder *builder, const char *folder)
{
	char path[PATH_MAX + 32];

	for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i].name);
		parser_read_file(builder, path, files[i].kinds, files[i].presence);
	}
	snprintf(path, sizeof(path), "%s/directory", folder);
	parser_read_folder(builder, path, DIRECTORY_KINDS);
}

const struct settings *
documents_read(const char *folder, struct documents_report *report)
{
	struct settings_memory *memory = settings_memory_new();
	struct settings *settings = settings_new(memory);
	const struct settings *result = settings;
	struct builder builder;
	char host_file[PATH_MAX + 32];

	*report = (struct documents_report){ .errors = BUFFER_INITIALIZER(0), .warnings = BUFFER_INITIALIZER(0) };
	builder_init(&builder, memory, report);
	read_files(&builder, folder);
	builder_finish(&builder, settings);
	snprintf(host_file, sizeof(host_file), "%s/%s", folder, files[0].name);
	check_documents(settings, report, host_file);
	if (report->error_count > 0)
		settings_release(&result);
	return result;
}

void
documents_report_free(struct documents_report *report)
{
	buffer_free(&report->errors);
	buffer_free(&report->warnings);
}
