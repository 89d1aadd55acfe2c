/* table - see table.h */
#include "common/conf/table.h"

#include <stdio.h>
#include <string.h>

/* The names that the column seen_by of settings.def uses. */
enum {
	EVERYONE = -1,
#define ROLE(symbol, name, jail, processes) symbol = ROLE_BIT(ROLE_##symbol),
#define PAIR(asker, server, protocol)
#include "common/worker/roles.def"
#undef ROLE
#undef PAIR
};

#define DOCUMENT(kind, word, meaning) static const struct setting_row kind##_rows[] = {
#define SETTING(kind, section, key, type, default_, minimum, maximum, seen_by, help) \
	{ section, &#key[sizeof(section) > 1 ? sizeof(section) : 0], TYPE_##type, default_, minimum, maximum, \
	    (unsigned)(seen_by), help, offsetof(struct document_##kind, key) },
#define END_DOCUMENT(kind) };
#include "common/conf/settings.def"
#undef DOCUMENT
#undef SETTING
#undef END_DOCUMENT

const struct document_row document_rows[KIND_COUNT] = {
#define DOCUMENT(kind, word, meaning) { word, meaning, kind##_rows, sizeof(kind##_rows) / sizeof(kind##_rows[0]), \
	sizeof(struct document_##kind), offsetof(struct settings, kind##_documents), \
	offsetof(struct settings, kind##_count) },
#define SETTING(kind, section, key, type, default_, minimum, maximum, seen_by, help)
#define END_DOCUMENT(kind)
#include "common/conf/settings.def"
#undef DOCUMENT
#undef SETTING
#undef END_DOCUMENT
};

#define DOCUMENT(kind, word, meaning) \
	_Static_assert(offsetof(struct document_##kind, at) == offsetof(struct document_start, at), \
	    "every document begins alike");
#define SETTING(kind, section, key, type, default_, minimum, maximum, seen_by, help)
#define END_DOCUMENT(kind)
#include "common/conf/settings.def"
#undef DOCUMENT
#undef SETTING
#undef END_DOCUMENT

#define CHOICE(setting) static const char *const setting##_words[] = {
#define VALUE(setting, symbol, word) word,
#define END_CHOICE NULL };
#include "common/conf/choices.def"
#undef CHOICE
#undef VALUE
#undef END_CHOICE

static const char *const *const choice_words[] = {
#define CHOICE(setting) setting##_words,
#define VALUE(setting, symbol, word)
#define END_CHOICE
#include "common/conf/choices.def"
#undef CHOICE
#undef VALUE
#undef END_CHOICE
};

const char *const *
type_choice_words(enum value_type type)
{
	return type < TYPE_FIRST_CHOICE ? NULL : choice_words[type - TYPE_FIRST_CHOICE];
}

bool
setting_row_is_seen_by(const struct setting_row *row, enum role role)
{
	return role == ROLE_MASTER || role == ROLE_CONTROL || (row->seen_by & ROLE_BIT(role)) != 0;
}

struct setting *
document_setting(void *document, const struct setting_row *row)
{
	return (struct setting *)(void *)((char *)document + row->offset);
}

const struct setting *
document_setting_const(const void *document, const struct setting_row *row)
{
	return (const struct setting *)(const void *)((const char *)document + row->offset);
}

void *
settings_document(const struct settings *settings, enum document_kind kind, size_t index)
{
	const struct document_row *row = &document_rows[kind];
	char *documents;

	memcpy(&documents, (const char *)settings + row->documents_offset, sizeof(documents));
	return documents + index * row->size;
}

static const struct {
	enum document_kind kind;
	size_t offset;
} without_effect[] = {
#define WITHOUT_EFFECT(kind, key) { KIND_##kind, offsetof(struct document_##kind, key) },
#include "common/conf/without_effect.def"
#undef WITHOUT_EFFECT
};

bool
setting_row_has_effect(enum document_kind kind, const struct setting_row *row)
{
	for (size_t i = 0; i < sizeof(without_effect) / sizeof(without_effect[0]); i++)
		if (without_effect[i].kind == kind && without_effect[i].offset == row->offset)
			return false;
	return true;
}

size_t
settings_document_count(const struct settings *settings, enum document_kind kind)
{
	size_t count;

	memcpy(&count, (const char *)settings + document_rows[kind].count_offset, sizeof(count));
	return count;
}

void
settings_set_documents(struct settings *settings, enum document_kind kind, void *documents, size_t count)
{
	memcpy((char *)settings + document_rows[kind].documents_offset, &documents, sizeof(documents));
	memcpy((char *)settings + document_rows[kind].count_offset, &count, sizeof(count));
}

void *
settings_in_force(const struct settings *settings, enum document_kind kind)
{
	switch (kind) {
	case KIND_matador:
		return (void *)&settings->matador;
	case KIND_server:
		return (void *)&settings->server;
	case KIND_configuration:
		return (void *)&settings->configuration;
	default:
		return NULL;
	}
}

const struct setting_row *
setting_row_find(enum document_kind kind, const char *section, const char *name)
{
	const struct document_row *document = &document_rows[kind];

	for (size_t i = 0; i < document->setting_count; i++)
		if (strcmp(document->settings[i].name, name) == 0 &&
		    strcmp(document->settings[i].section, section) == 0)
			return &document->settings[i];
	return NULL;
}

const char *
setting_row_label(const struct setting_row *row, char text[static 128])
{
	snprintf(text, 128, "%s%s%s", row->section, row->section[0] ? "." : "", row->name);
	return text;
}
