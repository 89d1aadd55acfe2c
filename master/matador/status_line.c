/* status_line - see status_line.h */
#include "master/matador/status_line.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "master/matador/json_text.h"
#include "master/matador/terminal_text.h"

#define PAIRS_MAX 256
#define LINE_LENGTH 120

struct pair {
	const char *name;
	const char *value;
};

struct parsed_line {
	char *memory;			/* owned */
	const char *kind;
	struct pair pairs[PAIRS_MAX];
	size_t count;
};

/* For people the fields are fit for a terminal; what programs report may be anything. */
static void
parse(const char *line, bool for_terminal, struct parsed_line *parsed)
{
	char *next = memory_copy_string(line), *field, *equals;

	*parsed = (struct parsed_line){ .memory = next };
	parsed->kind = strsep(&next, "\t");
	while ((field = strsep(&next, "\t")) != NULL && parsed->count < PAIRS_MAX) {
		if (for_terminal)
			terminal_clean(field);
		equals = strchr(field, '=');
		if (equals == NULL)
			continue;
		*equals = '\0';
		parsed->pairs[parsed->count++] = (struct pair){ field, equals + 1 };
	}
}

static const char *
value_of(const struct parsed_line *parsed, const char *name)
{
	for (size_t i = 0; i < parsed->count; i++)
		if (strcmp(parsed->pairs[i].name, name) == 0)
			return parsed->pairs[i].value;
	return "";
}

static bool
is_number(const char *text)
{
	return text[0] != '\0' && strlen(text) <= 15 && strspn(text, "0123456789") == strlen(text);
}

static void
render_json(const struct parsed_line *parsed, struct buffer *out)
{
	cJSON *object = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(object, "kind", parsed->kind);
	for (size_t i = 0; i < parsed->count; i++) {
		cJSON *name = json_make_text(parsed->pairs[i].name);

		/* What master says stands in front, and no program may say otherwise. */
		if (cJSON_GetObjectItemCaseSensitive(object, name->valuestring) == NULL) {
			if (is_number(parsed->pairs[i].value))
				cJSON_AddNumberToObject(object, name->valuestring, strtod(parsed->pairs[i].value, NULL));
			else
				json_add_text(object, name->valuestring, parsed->pairs[i].value);
		}
		cJSON_Delete(name);
	}
	text = cJSON_PrintUnformatted(object);
	buffer_printf(out, "%s\n", text);
	free(text);
	cJSON_Delete(object);
}

static void
format_duration(const char *seconds_text, char text[static 32])
{
	unsigned long seconds = strtoul(seconds_text, NULL, 10);

	if (seconds < 120)
		snprintf(text, 32, "%lus", seconds);
	else if (seconds < 7200)
		snprintf(text, 32, "%lum", seconds / 60);
	else if (seconds < 172800)
		snprintf(text, 32, "%luh", seconds / 3600);
	else
		snprintf(text, 32, "%lud", seconds / 86400);
}

/* What a program reports about itself stands behind the pairs that master knows; its own view of those is no news. */
static bool
is_master_s(const char *name)
{
	static const char *const names[] = { "program", "instance", "pid", "state", "restarts", "uptime", "jail", "last_end" };

	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void
render_worker(const struct parsed_line *parsed, struct buffer *out)
{
	char name[64], uptime[32];

	snprintf(name, sizeof(name), "%s %s", value_of(parsed, "program"), value_of(parsed, "instance"));
	format_duration(value_of(parsed, "uptime"), uptime);
	buffer_printf(out, "%-12s %7s  %-9s %8s %7s  %-9s", name, value_of(parsed, "pid"), value_of(parsed, "state"),
	    value_of(parsed, "restarts"), uptime, value_of(parsed, "jail"));
	for (size_t i = 0, line = 70; i < parsed->count; i++) {
		size_t length = strlen(parsed->pairs[i].name) + strlen(parsed->pairs[i].value) + 2;

		if (is_master_s(parsed->pairs[i].name))
			continue;
		if (line + length > LINE_LENGTH) {
			buffer_append_string(out, "\n            ");
			line = 12;
		}
		buffer_printf(out, " %s=%s", parsed->pairs[i].name, parsed->pairs[i].value);
		line += length;
	}
	buffer_append_byte(out, '\n');
}

static void
render_text(struct status_view *view, const struct parsed_line *parsed)
{
	bool new_kind = strcmp(view->kind, parsed->kind) != 0;
	char uptime[32];

	snprintf(view->kind, sizeof(view->kind), "%s", parsed->kind);
	if (strcmp(parsed->kind, "service") == 0) {
		format_duration(value_of(parsed, "uptime"), uptime);
		buffer_printf(&view->text, "Matador %s, server %s: %s for %s (process %s, %s)\n", value_of(parsed, "version"),
		    value_of(parsed, "server"), value_of(parsed, "state"), uptime, value_of(parsed, "pid"),
		    value_of(parsed, "configuration"));
	} else if (strcmp(parsed->kind, "port") == 0) {
		buffer_printf(&view->text, "listening on %s (%s)\n", value_of(parsed, "address"), value_of(parsed, "purpose"));
	} else if (strcmp(parsed->kind, "worker") == 0) {
		if (new_kind)
			buffer_printf(&view->text, "\n%-12s %7s  %-9s %8s %7s  %-9s\n", "program", "process", "state", "restarts",
			    "uptime", "jail");
		render_worker(parsed, &view->text);
	} else if (strcmp(parsed->kind, "warning") == 0) {
		buffer_printf(&view->text, "%swarning: %s\n", new_kind ? "\n" : "", value_of(parsed, "text"));
	}
}

void
status_view_line(void *context, const char *line)
{
	struct status_view *view = context;
	struct parsed_line parsed;

	parse(line, !view->json, &parsed);
	if (view->json)
		render_json(&parsed, &view->text);
	else
		render_text(view, &parsed);
	free(parsed.memory);
}
