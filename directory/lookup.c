/* lookup - see lookup.h */
#include "directory/lookup.h"

#include <string.h>

#include "common/mail/notes_name.h"
#include "directory/compile.h"

/* Candidates of a loose name: many more than answers, because an exact look-up drops some. */
#define CANDIDATES_MAX 1000

static bool
has_name(const struct document *document, const char *key)
{
	for (size_t i = 0; i < document->name_count; i++)
		if (strcmp(document->names[i], key) == 0)
			return true;
	return false;
}

/* Tells the documents of these numbers; with exact_key only those that have this very name. */
static int
tell(struct catalogue *catalogue, const uint32_t *numbers, size_t count, const char *exact_key,
    void (*found)(void *context, const struct document *document), void *context, size_t *count_out,
    struct error *error)
{
	for (size_t i = 0; i < count && *count_out < LOOKUP_MATCHES_MAX; i++) {
		struct document document;
		const void *data;
		size_t length;
		int result = catalogue_get_document(catalogue, numbers[i], &data, &length, error);

		if (result == 0)
			return error_set(error, ERROR_DAMAGED, "the database lacks a document");
		if (result < 0 || document_decode(data, length, &document, error) != 0)
			return -1;
		if (exact_key != NULL && !has_name(&document, exact_key))
			continue;
		found(context, &document);
		(*count_out)++;
	}
	return 0;
}

int
lookup_entries(struct catalogue *catalogue, enum directory_lookup_kind kind, const char *text,
    void (*found)(void *context, const struct document *document), void *context, size_t *count_out,
    struct error *error)
{
	uint32_t numbers[CANDIDATES_MAX];
	char key[NOTES_NAME_MAX], exact[NOTES_NAME_MAX];
	size_t count;

	*count_out = 0;
	if (kind == DIRECTORY_INTERNET_ADDRESS) {
		if (!compile_address_key(text, key))
			return 0;
		if (catalogue_find(catalogue, CATALOGUE_ADDRESS, key, numbers, LOOKUP_MATCHES_MAX, &count,
		    error) != 0)
			return -1;
		return tell(catalogue, numbers, count, NULL, found, context, count_out, error);
	}
	if (!notes_name_loose_key(text, key) || !notes_name_key(text, exact) || key[0] == '\0')
		return 0;
	if (catalogue_find(catalogue, CATALOGUE_NAME, key, numbers, CANDIDATES_MAX, &count, error) != 0)
		return -1;
	if (count == 0 && kind == DIRECTORY_LOCAL_PART &&
	    catalogue_find(catalogue, CATALOGUE_WEAK, key, numbers, LOOKUP_MATCHES_MAX, &count, error) != 0)
		return -1;
	return tell(catalogue, numbers, count, kind == DIRECTORY_NAME ? exact : NULL, found, context, count_out,
	    error);
}

int
lookup_group(struct catalogue *catalogue, const char *name, uint32_t *number_out, struct error *error)
{
	char key[NOTES_NAME_MAX];
	size_t count;

	if (!notes_name_key(name, key))
		return 0;
	if (catalogue_find(catalogue, CATALOGUE_GROUP, key, number_out, 1, &count, error) != 0)
		return -1;
	return count > 0;
}
