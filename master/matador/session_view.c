/* session_view - see session_view.h */
#include "master/matador/session_view.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "master/matador/json_text.h"
#include "master/matador/terminal_text.h"

#define PLACE_WIDTH_MAX 60
#define PLACE_SIZE 1100

static const char *const stage_words[] = { [INSPECTION_AT_CONNECT] = "connect", [INSPECTION_AT_CLIENT] = "client",
	[INSPECTION_AT_MAIL] = "mail", [INSPECTION_AT_RCPT] = "rcpt" };
static const char *const verdict_words[] = { [INSPECTION_PASSES] = "passes", [INSPECTION_SKIPPED] = "skipped",
	[INSPECTION_EXEMPTS] = "exempts", [INSPECTION_HITS] = "hits", [INSPECTION_REFUSES] = "refuses",
	[INSPECTION_NOT_REACHED] = "not_reached" };

/* ---- text ---- */

static size_t
widest_control(const struct told_session *told)
{
	size_t width = 0;

	for (size_t i = 0; i < told->step_count; i++)
		if (strlen(told->steps[i].control) > width)
			width = strlen(told->steps[i].control);
	return width;
}

static size_t
widest_place(const struct told_session *told)
{
	char place[PLACE_SIZE];
	size_t width = 0;

	for (size_t i = 0; i < told->step_count; i++) {
		terminal_format_place(told->steps[i].file, told->steps[i].line, place, sizeof(place));
		if (strlen(place) > width && strlen(place) <= PLACE_WIDTH_MAX)
			width = strlen(place);
	}
	return width;
}

/* The setting that decided, and its entry. */
static void
append_rule(struct buffer *out, const struct session_step *step, size_t width)
{
	char place[PLACE_SIZE];

	if (step->rule[0] == '\0')
		return;
	terminal_format_place(step->file[0] == '\0' ? "default" : step->file, step->line, place, sizeof(place));
	terminal_append_column(out, place, width);
	buffer_append_string(out, "  ");
	terminal_append(out, step->rule);
	if (step->entry[0] != '\0') {
		buffer_append_string(out, " \"");
		terminal_append(out, step->entry);
		buffer_append_byte(out, '"');
	}
}

static void
append_step(struct buffer *out, const struct session_step *step, size_t control_width, size_t place_width)
{
	buffer_append_string(out, "    ");
	terminal_append_column(out, stage_words[step->stage], strlen("connect"));
	buffer_append_string(out, "  ");
	terminal_append_column(out, step->control, control_width);
	buffer_append_string(out, "  ");
	terminal_append_column(out, step->verdict == INSPECTION_NOT_REACHED ? "not reached" : verdict_words[step->verdict],
	    strlen("not reached"));
	buffer_append_string(out, "  ");
	append_rule(out, step, place_width);
	while (out->length > 0 && out->data[out->length - 1] == ' ')
		out->data[--out->length] = '\0';
	if (step->found[0] != '\0') {
		buffer_printf(out, "\n    %*s", (int)(strlen("connect") + 2), "");
		terminal_append(out, step->found);
	}
	buffer_append_byte(out, '\n');
}

void
session_view_text(struct buffer *out, const struct inspection_question *question, const struct told_session *told)
{
	size_t control_width = widest_control(told), place_width = widest_place(told);

	terminal_append(out, question->client_address);
	buffer_append_byte(out, '\n');
	terminal_append_fact(out, "helo", question->helo);
	terminal_append_fact(out, "user", question->user);
	terminal_append_fact(out, "from", question->sender[0] == '\0' ? "<>" : question->sender);
	terminal_append_fact(out, "to", question->recipient);
	for (size_t i = 0; i < told->step_count; i++)
		append_step(out, &told->steps[i], control_width, place_width);
	terminal_append_fact(out, "decision", told->outcome == INSPECTION_ACCEPTED ? "accepted" :
	    told->stage == INSPECTION_AT_CONNECT ? "refused before the greeting" :
	    told->stage == INSPECTION_AT_RCPT ? "refused at RCPT" : "refused at MAIL");
	terminal_append_fact(out, "reply", told->reply);
}

/* ---- JSON ---- */

static cJSON *
make_step(const struct session_step *one)
{
	cJSON *step = cJSON_CreateObject();

	cJSON_AddStringToObject(step, "stage", stage_words[one->stage]);
	json_add_text(step, "control", one->control);
	cJSON_AddStringToObject(step, "verdict", verdict_words[one->verdict]);
	json_add_text(step, "rule", one->rule);
	json_add_text(step, "entry", one->entry);
	json_add_text(step, "file", one->file);
	cJSON_AddNumberToObject(step, "line", one->line);
	json_add_text(step, "found", one->found);
	json_add_text(step, "reply", one->reply);
	return step;
}

void
session_view_json(struct buffer *out, const struct inspection_question *question, const struct told_session *told)
{
	cJSON *object = cJSON_CreateObject(), *steps;
	char *text;

	json_add_text(object, "client", question->client_address);
	json_add_text(object, "helo", question->helo);
	json_add_text(object, "user", question->user);
	json_add_text(object, "from", question->sender);
	json_add_text(object, "to", question->recipient);
	steps = cJSON_AddArrayToObject(object, "controls");
	for (size_t i = 0; i < told->step_count; i++)
		cJSON_AddItemToArray(steps, make_step(&told->steps[i]));
	cJSON_AddStringToObject(object, "decision", told->outcome == INSPECTION_ACCEPTED ? "accepted" : "refused");
	cJSON_AddStringToObject(object, "stage", stage_words[told->stage]);
	json_add_text(object, "reply", told->reply);
	text = cJSON_PrintUnformatted(object);
	buffer_append_string(out, text);
	buffer_append_byte(out, '\n');
	cJSON_free(text);
	cJSON_Delete(object);
}
