/*
 * builder - makes documents of what the grammar recognises, and says what cannot be
 *
 * It judges each key by its row of settings.def alone; what documents say about each other is checked afterwards
 * (check.h). It counts the braces itself, so that a forgotten one is one mistake and not the loss of the rest of
 * the file.
 */
#ifndef COMMON_CONF_BUILDER_H
#define COMMON_CONF_BUILDER_H

#include "common/conf/documents.h"
#include "common/conf/settings_memory.h"
#include "common/conf/table.h"

/* A word or string of a file. text is NULL when the scanner already reported it. */
struct parsed_text {
	const char *text;	/* borrowed, not ended by NUL */
	size_t length;
	uint32_t line;
};

struct builder {
	struct settings_memory *memory;		/* borrowed */
	struct documents_report *report;	/* borrowed */
	void *templates[KIND_COUNT];		/* documents of defaults, in memory */
	char *documents[KIND_COUNT];		/* owned until builder_finish() */
	size_t counts[KIND_COUNT];
	size_t capacities[KIND_COUNT];

	/* the file that is being read */
	const char *file;
	unsigned kinds;		/* KIND_BITs: what it may hold; with matador also keys outside of documents */
	bool others_can_read;
	/* where in it */
	bool in_document;
	bool skipping;		/* the document or section is not known: its keys are not judged */
	enum document_kind kind;
	uint32_t opened_at;
	const char *section;	/* "" outside of one */
	unsigned sections_seen;	/* bits of the kind's rows: the first row of each section that was opened */
};

void builder_init(struct builder *builder, struct settings_memory *memory, struct documents_report *report);
/* Hands the documents over to settings. matador is set in force. */
void builder_finish(struct builder *builder, struct settings *settings);

void builder_begin_file(struct builder *builder, const char *file, unsigned kinds, bool others_can_read);
void builder_end_file(struct builder *builder);
bool builder_is_outside(const struct builder *builder);

void builder_open_document(struct builder *builder, struct parsed_text word, struct parsed_text title);
void builder_open_section(struct builder *builder, struct parsed_text word);
void builder_close(struct builder *builder, uint32_t line);
/* key = text, or key = { items }. */
void builder_set(struct builder *builder, struct parsed_text key, const struct parsed_text *items, size_t count,
    bool is_list);

/* Here, in the file that is being read. */
struct position builder_here(const struct builder *builder, uint32_t line);

#endif
