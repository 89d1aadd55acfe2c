/*
 * table - settings.def as data: what the checker, the sealer, `matador config` and the manual page walk
 */
#ifndef COMMON_CONF_TABLE_H
#define COMMON_CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf/settings.h"

/* KIND_server and so on: the kind as it stands in settings.def. */
enum document_kind {
#define DOCUMENT(kind, word, meaning) KIND_##kind,
#define SETTING(kind, section, key, type, default_, minimum, maximum, seen_by, help)
#define END_DOCUMENT(kind)
#include "common/conf/settings.def"
#undef DOCUMENT
#undef SETTING
#undef END_DOCUMENT
	KIND_COUNT,
};
#define KIND_BIT(kind) (1u << (kind))

enum value_type {
	/* text */
	TYPE_STRING, TYPE_NAME, TYPE_HOST, TYPE_DOMAIN, TYPE_ADDRESS, TYPE_MAIL_NAME, TYPE_PATH, TYPE_NEXT_HOP,
	TYPE_LOCAL_DELIVERY, TYPE_TIME_RANGE, TYPE_CHARACTER, TYPE_SECRET, TYPE_PASSWORD_HASH,
	/* number */
	TYPE_NUMBER, TYPE_TIME_SECONDS, TYPE_TIME_MINUTES, TYPE_TIME_HOURS, TYPE_TIME_DAYS, TYPE_SIZE_OCTETS,
	    TYPE_SIZE_KB,
	TYPE_SWITCH, TYPE_YES_NO, TYPE_FLAG,
	/* items */
	TYPE_LIST_STRING, TYPE_LIST_NAME, TYPE_LIST_DOMAIN, TYPE_LIST_DOMAIN_ALIAS, TYPE_LIST_MEMBER,
	    TYPE_LIST_HOST_ENTRY,
	TYPE_LIST_DESTINATION, TYPE_LIST_ADDRESS_ENTRY, TYPE_LIST_RECIPIENT_ENTRY, TYPE_LIST_LISTEN_ADDRESS,
	TYPE_LIST_NAMESERVER, TYPE_LIST_SOURCE_ADDRESS, TYPE_LIST_DNS_LIST_WEIGHT, TYPE_LIST_ROUTING_TASK,
	/* number: one for each CHOICE of choices.def */
#define CHOICE(setting) TYPE_CHOICE_##setting,
#define VALUE(setting, symbol, word)
#define END_CHOICE
#include "common/conf/choices.def"
#undef CHOICE
#undef VALUE
#undef END_CHOICE
	TYPE_COUNT,
};
#define TYPE_FIRST_LIST TYPE_LIST_STRING
#define TYPE_LAST_LIST TYPE_LIST_ROUTING_TASK
#define TYPE_FIRST_CHOICE (TYPE_LAST_LIST + 1)

struct setting_row {
	const char *section;	/* "" for none */
	const char *name;	/* as it stands in the file */
	enum value_type type;
	const char *default_text;
	int64_t minimum;
	int64_t maximum;
	unsigned seen_by;	/* ROLE_BITs */
	const char *help;
	size_t offset;		/* of the struct setting in the document's struct */
};

struct document_row {
	const char *word;
	const char *meaning;
	const struct setting_row *settings;
	size_t setting_count;
	size_t size;		/* of the document's struct */
	size_t documents_offset;	/* of NAME_documents in struct settings */
	size_t count_offset;
};

extern const struct document_row document_rows[KIND_COUNT];

/* Every document begins like this, whatever its kind. */
struct document_start {
	const char *title;
	struct position at;
};

static inline bool
type_is_list(enum value_type type)
{
	return type >= TYPE_FIRST_LIST && type <= TYPE_LAST_LIST;
}

static inline bool
type_is_secret(enum value_type type)
{
	return type == TYPE_SECRET || type == TYPE_PASSWORD_HASH;
}

/* The words of a choice, ended by NULL, in the order of its enum; NULL for other types. */
const char *const *type_choice_words(enum value_type type);

/* Whether role may see this setting. master and the control command see everything. */
bool setting_row_is_seen_by(const struct setting_row *row, enum role role);

/* Whether a program of this version reads it (without_effect.def). */
bool setting_row_has_effect(enum document_kind kind, const struct setting_row *row);

/* The setting of row in document, the n-th document of a kind, and how many there are. */
struct setting *document_setting(void *document, const struct setting_row *row);
const struct setting *document_setting_const(const void *document, const struct setting_row *row);
void *settings_document(const struct settings *settings, enum document_kind kind, size_t index);
size_t settings_document_count(const struct settings *settings, enum document_kind kind);
void settings_set_documents(struct settings *settings, enum document_kind kind, void *documents, size_t count);
/* The document in force of a kind that has one (matador, server, configuration), or NULL. */
void *settings_in_force(const struct settings *settings, enum document_kind kind);

/* The row of section and name in a kind, or NULL. */
const struct setting_row *setting_row_find(enum document_kind kind, const char *section, const char *name);

/* "name", or "section.name": how messages call it. text holds 128 bytes. */
const char *setting_row_label(const struct setting_row *row, char text[static 128]);

#endif
