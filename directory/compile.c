/* compile - see compile.h */
#include "directory/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/mail/address.h"
#include "common/mail/idn.h"
#include "common/mail/notes_name.h"
#include "directory/document.h"

struct compilation {
	const struct settings *settings;
	struct catalogue *catalogue;
	size_t next;			/* over people, then groups, then mail-in databases */
	uint32_t next_member;		/* of the group that is being compiled */
	struct buffer octets;
};

/* A document on its way into the catalogue: its names are collected here. */
struct draft {
	struct document document;
	struct buffer names;		/* the keys behind document.names, each with its NUL */
	size_t offsets[DOCUMENT_NAMES_MAX];
};

struct compilation *
compile_begin(const struct settings *settings, const char *path, struct error *error)
{
	size_t documents = settings->person_count + settings->group_count + settings->mail_in_database_count;
	struct catalogue *catalogue = catalogue_new(path, documents, error);
	struct compilation *compilation;

	if (catalogue == NULL)
		return NULL;
	compilation = memory_new(1, sizeof(*compilation));
	compilation->settings = settings_hold(settings);
	compilation->catalogue = catalogue;
	return compilation;
}

bool
compile_address_key(const char *text, char key[static 512])
{
	struct address address;
	char domain[ADDRESS_DOMAIN_MAX + 1], *to;

	if (address_parse(text, strlen(text), ADDRESS_ALLOW_UTF8, &address, NULL) != 0)
		return false;
	/* The library of A-labels does not know literals, and may refuse what we merely compare. */
	if (address.is_literal || !domain_to_ascii(address.domain, domain))
		snprintf(domain, sizeof(domain), "%s", address.domain);
	to = stpcpy(stpcpy(stpcpy(key, address.local_part), "@"), domain);
	for (char *c = key; c < to; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return true;
}

static int
put_loose(struct compilation *compilation, enum catalogue_key kind, const char *name, uint32_t number,
    struct error *error)
{
	char key[NOTES_NAME_MAX];

	if (!notes_name_loose_key(name, key) || key[0] == '\0')
		return 0;
	return catalogue_put_key(compilation->catalogue, kind, key, number, error);
}

/* Adds a name form: to the draft for exact look-ups, to the catalogue for all. */
static int
add_name(struct compilation *compilation, struct draft *draft, const char *name, uint32_t number,
    struct error *error)
{
	char key[NOTES_NAME_MAX];
	size_t count = draft->document.name_count;

	if (!notes_name_key(name, key) || key[0] == '\0')
		return 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(draft->names.data + draft->offsets[i], key) == 0)
			return 0;
	if (count == DOCUMENT_NAMES_MAX)
		return 0;
	draft->offsets[count] = draft->names.length;
	draft->document.name_count++;
	buffer_append(&draft->names, key, strlen(key) + 1);
	return put_loose(compilation, CATALOGUE_NAME, name, number, error);
}

/* A full name counts with its hierarchy and as its common name alone. */
static int
add_full_name(struct compilation *compilation, struct draft *draft, const char *name, uint32_t number,
    struct error *error)
{
	char common[NOTES_NAME_MAX];

	if (add_name(compilation, draft, name, number, error) != 0)
		return -1;
	return notes_name_common(name, common) ? add_name(compilation, draft, common, number, error) : 0;
}

static int
add_address(struct compilation *compilation, const char *address, uint32_t number, struct error *error)
{
	char key[512];

	if (!compile_address_key(address, key))
		return 0;
	return catalogue_put_key(compilation->catalogue, CATALOGUE_ADDRESS, key, number, error);
}

static int
finish_document(struct compilation *compilation, struct draft *draft, uint32_t number, struct error *error)
{
	for (size_t i = 0; i < draft->document.name_count; i++)
		draft->document.names[i] = draft->names.data + draft->offsets[i];
	buffer_clear(&compilation->octets);
	document_encode(&draft->document, &compilation->octets);
	return catalogue_put_document(compilation->catalogue, number, &compilation->octets, error);
}

static struct draft
draft_of(enum directory_entry_kind kind, const char *name, struct position at)
{
	return (struct draft){ .document = { .kind = kind, .name = name, .mail_server = "", .mail_file = "",
		.forwarding_address = "", .internet_address = "", .file = at.file, .line = at.line } };
}

/* First and last name of a person whose document leaves them to the title: "Jane M. Doe" is Jane M. and Doe. */
static void
names_of_person(const struct document_person *person, char first[static NOTES_NAME_MAX],
    char last[static NOTES_NAME_MAX])
{
	char common[NOTES_NAME_MAX] = "", *blank;

	notes_name_common(person->title, common);
	blank = strrchr(common, ' ');
	first[0] = last[0] = '\0';
	if (blank != NULL) {
		*blank = '\0';
		strcpy(first, common);
		strcpy(last, blank + 1);
	}
	if (person->first_name.text[0] != '\0')
		snprintf(first, NOTES_NAME_MAX, "%s", person->first_name.text);
	if (person->last_name.text[0] != '\0')
		snprintf(last, NOTES_NAME_MAX, "%s", person->last_name.text);
}

static int
add_person_names(struct compilation *compilation, struct draft *draft, const struct document_person *person,
    uint32_t number, struct error *error)
{
	char first[NOTES_NAME_MAX], last[NOTES_NAME_MAX], both[2 * NOTES_NAME_MAX];

	names_of_person(person, first, last);
	snprintf(both, sizeof(both), "%s %s", first, last);
	if (add_full_name(compilation, draft, person->title, number, error) != 0)
		return -1;
	for (size_t i = 0; i < person->full_names.count; i++)
		if (add_full_name(compilation, draft, person->full_names.items[i].text, number, error) != 0)
			return -1;
	for (size_t i = 0; i < person->short_names.count; i++)
		if (add_name(compilation, draft, person->short_names.items[i].text, number, error) != 0)
			return -1;
	if (add_name(compilation, draft, both, number, error) != 0 ||
	    put_loose(compilation, CATALOGUE_WEAK, first, number, error) != 0)
		return -1;
	return put_loose(compilation, CATALOGUE_WEAK, last, number, error);
}

static int
compile_person(struct compilation *compilation, size_t index, uint32_t number, struct error *error)
{
	const struct document_person *person = &compilation->settings->person_documents[index];
	struct draft draft = draft_of(DIRECTORY_PERSON, person->title, person->at);
	int result = -1;

	draft.document.mail_server = person->mail_server.text;
	draft.document.mail_file = person->mail_file.text;
	draft.document.forwarding_address = person->forwarding_address.text;
	draft.document.internet_address = person->internet_address.text;
	if (add_person_names(compilation, &draft, person, number, error) == 0 &&
	    add_address(compilation, person->internet_address.text, number, error) == 0)
		result = finish_document(compilation, &draft, number, error);
	buffer_free(&draft.names);
	return result;
}

static int
compile_mail_in(struct compilation *compilation, size_t index, uint32_t number, struct error *error)
{
	const struct document_mail_in_database *database = &compilation->settings->mail_in_database_documents[index];
	struct draft draft = draft_of(DIRECTORY_MAIL_IN, database->title, database->at);
	int result = -1;

	draft.document.mail_server = database->mail_server.text;
	draft.document.mail_file = database->mail_file.text;
	draft.document.internet_address = database->internet_address.text;
	if (add_full_name(compilation, &draft, database->title, number, error) == 0 &&
	    add_address(compilation, database->internet_address.text, number, error) == 0)
		result = finish_document(compilation, &draft, number, error);
	buffer_free(&draft.names);
	return result;
}

static int
compile_group_itself(struct compilation *compilation, const struct document_group *group, uint32_t number,
    struct error *error)
{
	struct draft draft = draft_of(DIRECTORY_GROUP, group->title, group->at);
	bool takes_mail = group->type.number == GROUP_TYPE_MAIL_ONLY ||
	    group->type.number == GROUP_TYPE_MULTI_PURPOSE;
	char key[NOTES_NAME_MAX];
	int result = -1;

	draft.document.internet_address = group->internet_address.text;
	if (!notes_name_key(group->title, key) ||
	    catalogue_put_key(compilation->catalogue, CATALOGUE_GROUP, key, number, error) != 0)
		goto out;
	if (takes_mail && (add_name(compilation, &draft, group->title, number, error) != 0 ||
	    add_address(compilation, group->internet_address.text, number, error) != 0))
		goto out;
	result = finish_document(compilation, &draft, number, error);
out:
	buffer_free(&draft.names);
	return result;
}

/* A large group takes several slices: *budget counts its members too. 1 when the group is complete. */
static int
compile_group(struct compilation *compilation, size_t index, uint32_t number, size_t *budget, struct error *error)
{
	const struct document_group *group = &compilation->settings->group_documents[index];

	while (compilation->next_member < group->members.count) {
		uint32_t member = compilation->next_member++;

		if (catalogue_put_member(compilation->catalogue, number, member, group->members.items[member].text,
		    error) != 0)
			return -1;
		if (*budget > 0 && --*budget == 0)
			return 0;
	}
	compilation->next_member = 0;
	return compile_group_itself(compilation, group, number, error) == 0 ? 1 : -1;
}

/* One document. 1 when it is complete. */
static int
compile_one(struct compilation *compilation, size_t *budget, struct error *error)
{
	const struct settings *settings = compilation->settings;
	uint32_t number = (uint32_t)compilation->next;
	size_t index = compilation->next;

	if (index < settings->person_count)
		return compile_person(compilation, index, number, error) == 0 ? 1 : -1;
	index -= settings->person_count;
	if (index < settings->group_count)
		return compile_group(compilation, index, number, budget, error);
	index -= settings->group_count;
	return compile_mail_in(compilation, index, number, error) == 0 ? 1 : -1;
}

int
compile_continue(struct compilation *compilation, size_t documents, struct error *error)
{
	const struct settings *settings = compilation->settings;
	size_t all = settings->person_count + settings->group_count + settings->mail_in_database_count;

	while (compilation->next < all) {
		int result;

		if (documents == 0)
			return 0;
		result = compile_one(compilation, &documents, error);
		if (result < 0)
			return -1;
		compilation->next += result == 1;
		documents -= documents > 0;
	}
	return 1;
}

struct catalogue *
compile_take(struct compilation *compilation, struct compile_counts *counts_out)
{
	struct catalogue *catalogue = compilation->catalogue;

	compilation->catalogue = NULL;
	*counts_out = (struct compile_counts){ compilation->settings->person_count,
	    compilation->settings->group_count,
		compilation->settings->mail_in_database_count };
	return catalogue;
}

void
compile_free(struct compilation **compilation)
{
	if (*compilation == NULL)
		return;
	catalogue_release(&(*compilation)->catalogue);
	settings_release(&(*compilation)->settings);
	buffer_free(&(*compilation)->octets);
	free(*compilation);
	*compilation = NULL;
}
