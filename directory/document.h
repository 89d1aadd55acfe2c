/*
 * document - what the catalogue keeps of a Person, Group or Mail-In Database document
 */
#ifndef DIRECTORY_DOCUMENT_H
#define DIRECTORY_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/ipc/directory.h"

#define DOCUMENT_NAMES_MAX 256	/* name forms of one document that are kept */

struct document {
	enum directory_entry_kind kind;
	const char *name;
	const char *mail_server;
	const char *mail_file;
	const char *forwarding_address;
	const char *internet_address;
	const char *file;
	uint32_t line;
	const char *names[DOCUMENT_NAMES_MAX];	/* keys of notes_name_key(): what an exact look-up compares */
	size_t name_count;
};

bool document_encode(const struct document *document, struct buffer *out);
/* Strings are lent from data. -1 and an error when the octets are no document. */
int document_decode(const void *data, size_t length, struct document *document, struct error *error);

#endif
