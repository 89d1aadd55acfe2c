/*
 * settings - the documents in force, as every program sees them
 *
 * settings.def declares every key once: document, key, type, default, range, who may see it, and help. From it come
 * the structs below, the checker, `matador config`, the manual page, and what master seals into each program's memfd.
 * A program sees the default of a key that its role may not see.
 *
 * A setting's value by type of its row: numbers, TIME (seconds), SIZE (octets), switches (0 or 1) and choices
 * (their enum value) in number; words and strings in text; lists in items and count. Every value and list entry keeps its
 * file and line.
 */
#ifndef COMMON_CONF_SETTINGS_H
#define COMMON_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/worker/roles.h"

struct position {
	const char *file;	/* borrowed from the settings; "" for a default */
	uint32_t line;		/* 0 for a default */
};

struct setting_item {
	const char *text;
	struct position at;
};

struct setting {
	int64_t number;
	const char *text;	/* never NULL */
	const struct setting_item *items;
	size_t count;
	struct position at;
	bool given;		/* stands in a file; false: the default */
};

#include "common/conf/choices.h"	/* an enum for each setting with choices, expanded from choices.def */

/* One struct a kind of document: struct document_KIND { title; at; a struct setting for each key }. A key inside a section
 * is called SECTION_KEY: smtp_inbound_tcp_port. */
#define DOCUMENT(kind, word, meaning) struct document_##kind { const char *title; struct position at;
#define SETTING(kind, section_, key, type, default_, minimum, maximum, seen_by, help) struct setting key;
#define END_DOCUMENT(kind) };
#include "common/conf/settings.def"
#undef DOCUMENT
#undef SETTING
#undef END_DOCUMENT

/*
 * Everything in force. matador, server and configuration are this host's own: the Server document named by server_name and
 * the most specific Configuration Settings document, or defaults.
 */
struct settings {
	struct document_matador matador;
	struct document_server server;
	struct document_configuration configuration;
	/* every document of the other kinds, in the order of the files: NAME_documents, NAME_count */
#define DOCUMENT(kind, word, meaning) struct document_##kind *kind##_documents; size_t kind##_count;
#define SETTING(kind, section_, key, type, default_, minimum, maximum, seen_by, help)
#define END_DOCUMENT(kind)
#include "common/conf/settings.def"
#undef DOCUMENT
#undef SETTING
#undef END_DOCUMENT
	unsigned references;
	struct settings_memory *memory;
};

/* One more holder; the settings live until the last settings_release(). */
const struct settings *settings_hold(const struct settings *settings);
void settings_release(const struct settings **settings);

/*
 * Seals what role may see into a new memfd (F_SEAL_WRITE and the rest). -1 and an error on failure.
 */
int settings_seal(const struct settings *settings, enum role role, struct error *error);

/* Reads a sealed memfd; NULL and an error when it is not sealed or malformed. One reference is the caller's. */
const struct settings *settings_unseal(int file, struct error *error);

#endif
