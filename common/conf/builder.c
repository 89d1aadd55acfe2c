/* builder - see builder.h */
#include "common/conf/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conf/nearest.h"
#include "common/conf/report.h"
#include "common/conf/templates.h"
#include "common/conf/value.h"

#define LONGEST_TITLE 255

/* The file that holds a kind of document. */
static const char *const file_of_kind[KIND_COUNT] = {
	[KIND_matador] = "matador.conf",
	[KIND_server] = "servers.conf",
	[KIND_configuration] = "configurations.conf",
	[KIND_global_domain] = "domains.conf",
	[KIND_foreign_domain] = "domains.conf",
	[KIND_foreign_smtp_domain] = "domains.conf",
	[KIND_adjacent_domain] = "domains.conf",
	[KIND_non_adjacent_domain] = "domains.conf",
	[KIND_connection] = "connections.conf",
	[KIND_smtp_connection] = "connections.conf",
	[KIND_smtp_inbound_site] = "sites.conf",
	[KIND_person] = "directory/*.conf",
	[KIND_group] = "directory/*.conf",
	[KIND_mail_in_database] = "directory/*.conf",
};

/* A copy on the stack with a NUL: a word in a message, or one that is looked up. */
struct short_text {
	char text[128];
};

static struct short_text
shorten(struct parsed_text word)
{
	struct short_text copy;

	snprintf(copy.text, sizeof(copy.text), "%.*s", word.length > 120 ? 120 : (int)word.length, word.text);
	return copy;
}

static bool
text_is(struct parsed_text word, const char *text)
{
	return strlen(text) == word.length && memcmp(text, word.text, word.length) == 0;
}

struct position
builder_here(const struct builder *builder, uint32_t line)
{
	return (struct position){ builder->file, line };
}

static void *
append_document(struct builder *builder, enum document_kind kind)
{
	size_t size = document_rows[kind].size;

	if (builder->counts[kind] == builder->capacities[kind]) {
		builder->capacities[kind] = builder->capacities[kind] ? builder->capacities[kind] * 2 : 4;
		builder->documents[kind] = memory_resize(builder->documents[kind], builder->capacities[kind],
		    size);
	}
	return memcpy(builder->documents[kind] + size * builder->counts[kind]++, builder->templates[kind], size);
}

void
builder_init(struct builder *builder, struct settings_memory *memory, struct documents_report *report)
{
	struct buffer problems = BUFFER_INITIALIZER(0);

	*builder = (struct builder){ .memory = memory, .report = report, .file = "", .section = "" };
	for (size_t kind = 0; kind < KIND_COUNT; kind++)
		builder->templates[kind] = template_new(kind, memory, &problems);
	if (problems.length > 0)
		report_error(report, (struct position){ "settings.def", 0 }, "default", "%s", problems.data);
	buffer_free(&problems);
	append_document(builder, KIND_matador);
}

void
builder_finish(struct builder *builder, struct settings *settings)
{
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		void *in_force = settings_in_force(settings, kind);

		if (in_force != NULL)
			memcpy(in_force, kind == KIND_matador ? builder->documents[kind] :
			    builder->templates[kind], document_rows[kind].size);
		if (builder->documents[kind] == NULL)
			continue;
		settings_memory_adopt(builder->memory, builder->documents[kind]);
		if (kind != KIND_matador)
			settings_set_documents(settings, kind, builder->documents[kind], builder->counts[kind]);
	}
}

void
builder_begin_file(struct builder *builder, const char *file, unsigned kinds, bool others_can_read)
{
	builder->file = file;
	builder->kinds = kinds;
	builder->others_can_read = others_can_read;
	builder->in_document = false;
}

bool
builder_is_outside(const struct builder *builder)
{
	return !builder->in_document;
}

/* What is open is closed as if its brace had been there. */
static void
close_forgotten(struct builder *builder)
{
	if (!builder->in_document)
		return;
	report_error(builder->report, builder_here(builder, builder->opened_at),
	    builder->skipping ? "document" : document_rows[builder->kind].word,
	    "found no } for what begins here; allowed: one } for each {");
	builder->in_document = false;
}

void
builder_end_file(struct builder *builder)
{
	close_forgotten(builder);
}

static bool
find_kind(struct parsed_text word, enum document_kind *kind_out)
{
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		if (kind != KIND_matador && text_is(word, document_rows[kind].word)) {
			*kind_out = kind;
			return true;
		}
	}
	return false;
}

static void
refuse_document_word(struct builder *builder, struct parsed_text word)
{
	struct short_text found = shorten(word);
	struct buffer allowed = BUFFER_INITIALIZER(0);

	for (size_t kind = 0; kind < KIND_COUNT; kind++)
		if (kind != KIND_matador && (builder->kinds & KIND_BIT(kind)) != 0)
			buffer_printf(&allowed, "%s%s", allowed.length > 0 ? ", " : "", document_rows[kind].word);
	report_error(builder->report, builder_here(builder, word.line), found.text, "found no kind of document; "
	    "allowed here: %s", allowed.length > 0 ? allowed.data :
	    "keys only, documents have files of their own");
	buffer_free(&allowed);
}

/* Titles that are Notes names are kept in their abbreviated form. NULL and a report for none. */
static const char *
make_title(struct builder *builder, enum document_kind kind, struct parsed_text title)
{
	bool is_name = kind == KIND_server || kind == KIND_person || kind == KIND_configuration ||
	    kind == KIND_group || kind == KIND_mail_in_database;
	struct buffer canonical = BUFFER_INITIALIZER(LONGEST_TITLE);
	const char *made = settings_memory_text(builder->memory, title.text, title.length);

	if (title.length == 0 || title.length > LONGEST_TITLE) {
		report_error(builder->report, builder_here(builder, title.line), document_rows[kind].word,
		    "found a title of %zu octets; allowed: 1 to %d", title.length, LONGEST_TITLE);
		return NULL;
	}
	if (is_name && !value_abbreviate_name(made, &canonical)) {
		report_error(builder->report, builder_here(builder, title.line), document_rows[kind].word,
		    "found the title \"%s\"; allowed: a name such as Jane Doe/Sales/Acme, without @ and empty "
		    "parts", made);
		made = NULL;
	} else if (is_name && strcmp(canonical.data, made) != 0) {
		made = settings_memory_text(builder->memory, canonical.data, canonical.length);
	}
	buffer_free(&canonical);
	return made;
}

void
builder_open_document(struct builder *builder, struct parsed_text word, struct parsed_text title)
{
	enum document_kind kind;
	const char *made_title;

	close_forgotten(builder);
	builder->in_document = true;
	builder->skipping = true;
	builder->opened_at = word.line;
	builder->section = "";
	builder->sections_seen = 0;
	if (word.text == NULL || title.text == NULL)
		return;
	if (!find_kind(word, &kind)) {
		refuse_document_word(builder, word);
		return;
	}
	if ((builder->kinds & KIND_BIT(kind)) == 0) {
		report_error(builder->report, builder_here(builder, word.line), document_rows[kind].word,
		    "found in a file that holds other documents; allowed: in %s", file_of_kind[kind]);
		return;
	}
	made_title = make_title(builder, kind, title);
	if (made_title != NULL) {
		struct document_start *document = append_document(builder, kind);

		document->title = made_title;
		document->at = builder_here(builder, word.line);
		builder->kind = kind;
		builder->skipping = false;
	}
}

/* The first row of a section, or -1. */
static int
find_section(enum document_kind kind, struct parsed_text word)
{
	for (size_t i = 0; i < document_rows[kind].setting_count; i++)
		if (document_rows[kind].settings[i].section[0] != '\0' &&
		    text_is(word, document_rows[kind].settings[i].section))
			return (int)i;
	return -1;
}

static void
open_known_section(struct builder *builder, struct parsed_text word, int first_row)
{
	if (builder->sections_seen & (1u << first_row % 32)) {
		struct short_text found = shorten(word);

		report_error(builder->report, builder_here(builder, word.line), found.text,
		    "found a second time in one document; allowed: once");
	}
	builder->sections_seen |= 1u << first_row % 32;
	builder->section = document_rows[builder->kind].settings[first_row].section;
}

void
builder_open_section(struct builder *builder, struct parsed_text word)
{
	struct short_text found = word.text == NULL ? (struct short_text){ "?" } : shorten(word);
	enum document_kind kind;
	int first_row;

	if (!builder->in_document || (word.text != NULL && find_kind(word, &kind))) {
		close_forgotten(builder);
		builder->in_document = builder->skipping = true;
		builder->opened_at = word.line;
		builder->section = "";
		if (word.text != NULL)
			report_error(builder->report, builder_here(builder, word.line), found.text,
			    "found { without a title; allowed: %s \"title\" {, or a key, = and a value",
			    found.text);
		return;
	}
	if (builder->section[0] != '\0') {
		report_error(builder->report, builder_here(builder, word.line), found.text,
		    "found in section %s; allowed: sections side by side, each closed by }", builder->section);
		builder->section = "";
	}
	first_row = builder->skipping || word.text == NULL ? -1 : find_section(builder->kind, word);
	if (first_row >= 0) {
		open_known_section(builder, word, first_row);
		return;
	}
	if (!builder->skipping && word.text != NULL)
		report_error(builder->report, builder_here(builder, word.line), found.text,
		    "found no section of a %s document; allowed: %s", document_rows[builder->kind].word,
		    builder->kind == KIND_server ? "smtp_inbound, smtp_outbound" : "keys");
	builder->section = "?";
}

void
builder_close(struct builder *builder, uint32_t line)
{
	if (!builder->in_document)
		report_error(builder->report, builder_here(builder, line), "}", "found without a { before it; "
		    "allowed: one } for each {");
	else if (builder->section[0] != '\0')
		builder->section = "";
	else
		builder->in_document = false;
}

static void
refuse_key(struct builder *builder, enum document_kind kind, struct parsed_text key)
{
	struct short_text found = shorten(key);
	const struct document_row *document = &document_rows[kind];
	const struct setting_row *nearest = NULL;
	size_t nearest_so_far = SIZE_MAX;
	char label[128];

	for (size_t i = 0; i < document->setting_count; i++) {
		size_t distance = nearest_distance(found.text, document->settings[i].name);

		if (distance < nearest_so_far) {
			nearest_so_far = distance;
			nearest = &document->settings[i];
		}
	}
	if (nearest != NULL && nearest_is_near(found.text, nearest_so_far)) {
		report_error(builder->report, builder_here(builder, key.line), found.text, nearest_so_far == 0 ?
		    "found in the wrong place; allowed: %s" : "found no such key; did you mean %s?",
		    setting_row_label(nearest, label));
		return;
	}
	for (size_t other = 0; other < KIND_COUNT; other++) {
		if (setting_row_find(other, "", found.text) != NULL) {
			report_error(builder->report, builder_here(builder, key.line), found.text,
			    "found in the wrong place; allowed: in %s%s", other == KIND_matador ? "" :
			    "a document of ", file_of_kind[other]);
			return;
		}
	}
	report_error(builder->report, builder_here(builder, key.line), found.text, "found no such key; allowed: "
	    "the keys of matador-documents(5)");
}

static const struct setting_row *
find_row(const struct builder *builder, enum document_kind kind, struct parsed_text key)
{
	const char *section = builder->in_document ? builder->section : "";
	const struct document_row *document = &document_rows[kind];

	for (size_t i = 0; i < document->setting_count; i++)
		if (text_is(key, document->settings[i].name) &&
		    strcmp(document->settings[i].section, section) == 0)
			return &document->settings[i];
	return NULL;
}

static void
set_items(struct builder *builder, const struct setting_row *row, struct setting *setting,
    const struct parsed_text *items, size_t count, const char *label)
{
	struct setting_item *made = count > 0 ? settings_memory_take(builder->memory, count, sizeof(*made)) : NULL;
	struct buffer problem = BUFFER_INITIALIZER(0);

	setting->items = made;
	setting->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct setting_item *item = &made[setting->count];

		if (items[i].text == NULL)
			continue;
		item->at = builder_here(builder, items[i].line);
		buffer_clear(&problem);
		if (value_parse_item(row, settings_memory_text(builder->memory, items[i].text, items[i].length),
		    builder->memory, &item->text, &problem))
			setting->count++;
		else
			report_error(builder->report, item->at, label, "%s", problem.data);
	}
	if (row->maximum > 0 && (int64_t)setting->count > row->maximum)
		report_error(builder->report, setting->at, label, "found %zu entries; allowed: at most %lld",
		    setting->count, (long long)row->maximum);
	buffer_free(&problem);
}

static void
set_text(struct builder *builder, const struct setting_row *row, struct setting *setting,
    const struct parsed_text *text, const char *label)
{
	struct buffer problem = BUFFER_INITIALIZER(0);

	if (text->text != NULL && !value_parse(row, settings_memory_text(builder->memory, text->text,
	    text->length), builder->memory, setting, &problem))
		report_error(builder->report, builder_here(builder, text->line), label, "%s", problem.data);
	if (type_is_secret(row->type) && builder->others_can_read && text->length > 0)
		report_error(builder->report, builder_here(builder, text->line), label,
		    "found in a file that others can read; allowed: a file with mode 0640 or stricter (chmod o= "
		    "%s)", builder->file);
	buffer_free(&problem);
}

void
builder_set(struct builder *builder, struct parsed_text key, const struct parsed_text *items, size_t count,
    bool is_list)
{
	enum document_kind kind = builder->in_document ? builder->kind : KIND_matador;
	const struct setting_row *row;
	struct setting *setting;
	char label[128];

	if (key.text == NULL || (builder->in_document && (builder->skipping || builder->section[0] == '?')))
		return;
	if (!builder->in_document && (builder->kinds & KIND_BIT(KIND_matador)) == 0) {
		struct short_text found = shorten(key);

		report_error(builder->report, builder_here(builder, key.line), found.text,
		    "found outside of a document; allowed: keys inside of documents");
		return;
	}
	row = find_row(builder, kind, key);
	if (row == NULL) {
		refuse_key(builder, kind, key);
		return;
	}
	setting = document_setting(builder->documents[kind] +
	    (builder->counts[kind] - 1) * document_rows[kind].size, row);
	setting_row_label(row, label);
	if (setting->given) {
		report_error(builder->report, builder_here(builder, key.line), label,
		    "found a second time (first in %s:%u); allowed: once", setting->at.file, setting->at.line);
		return;
	}
	setting->given = true;
	setting->at = builder_here(builder, key.line);
	if (is_list != type_is_list(row->type)) {
		report_error(builder->report, setting->at, label, "%s", is_list ? "found a list; allowed: one "
		    "value" : "found one value; allowed: a list, { a, b }");
		return;
	}
	if (is_list)
		set_items(builder, row, setting, items, count, label);
	else
		set_text(builder, row, setting, &items[0], label);
}
