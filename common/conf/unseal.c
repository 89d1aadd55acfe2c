/* unseal - reads what settings_seal() wrote, as if a stranger had written it: see sealed.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/wire.h"
#include "common/conf/sealed.h"
#include "common/conf/settings_memory.h"
#include "common/conf/templates.h"
#include "common/conf/value.h"

struct unsealer {
	struct wire_reader reader;
	struct settings_memory *memory;
	const char **files;
	uint32_t file_count;
	const void *templates[KIND_COUNT];
};

static size_t
left(const struct unsealer *unsealer)
{
	return (size_t)(unsealer->reader.end - unsealer->reader.next);
}

/* A count of things of at least smallest bytes each: never more than there can be. */
static uint32_t
get_count(struct unsealer *unsealer, size_t smallest)
{
	uint32_t count = wire_get_u32(&unsealer->reader);

	if (count > left(unsealer) / smallest) {
		unsealer->reader.failed = true;
		return 0;
	}
	return count;
}

static struct position
get_position(struct unsealer *unsealer)
{
	uint32_t file = wire_get_u32(&unsealer->reader), line = wire_get_u32(&unsealer->reader);

	if (file >= unsealer->file_count) {
		unsealer->reader.failed = true;
		return (struct position){ "", 0 };
	}
	return (struct position){ unsealer->files[file], line };
}

static void
get_setting(struct unsealer *unsealer, struct setting *setting)
{
	struct setting_item *items;
	uint32_t count;

	setting->given = (wire_get_u8(&unsealer->reader) & SEALED_FLAG_GIVEN) != 0;
	setting->at = get_position(unsealer);
	setting->number = (int64_t)wire_get_u64(&unsealer->reader);
	setting->text = wire_get_string(&unsealer->reader, SEALED_LONGEST_TEXT);
	count = get_count(unsealer, SEALED_SMALLEST_ITEM);
	items = count > 0 ? settings_memory_take(unsealer->memory, count, sizeof(*items)) : NULL;
	for (uint32_t i = 0; i < count && !unsealer->reader.failed; i++) {
		items[i].text = wire_get_string(&unsealer->reader, SEALED_LONGEST_TEXT);
		items[i].at = get_position(unsealer);
	}
	setting->items = items;
	setting->count = count;
}

static void
get_document(struct unsealer *unsealer, enum document_kind kind, void *document)
{
	struct document_start *start = document;

	memcpy(document, unsealer->templates[kind], document_rows[kind].size);
	start->title = wire_get_string(&unsealer->reader, SEALED_LONGEST_TEXT);
	start->at = get_position(unsealer);
	while (!unsealer->reader.failed) {
		uint16_t number = wire_get_u16(&unsealer->reader);
		const struct setting_row *row;

		if (number == SEALED_LAST_ROW)
			return;
		if (number >= document_rows[kind].setting_count) {
			unsealer->reader.failed = true;
			return;
		}
		row = &document_rows[kind].settings[number];
		get_setting(unsealer, document_setting(document, row));
		if (!value_number_is_possible(row, document_setting(document, row)->number))
			unsealer->reader.failed = true;
	}
}

static void
get_documents(struct unsealer *unsealer, struct settings *settings)
{
	for (size_t kind = 0; kind < KIND_COUNT; kind++)
		if (settings_in_force(settings, kind) != NULL)
			get_document(unsealer, kind, settings_in_force(settings, kind));
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		uint32_t count = get_count(unsealer, SEALED_SMALLEST_DOCUMENT);
		size_t size = document_rows[kind].size;
		char *documents = count > 0 ? settings_memory_take(unsealer->memory, count, size) : NULL;

		for (uint32_t i = 0; i < count && !unsealer->reader.failed; i++)
			get_document(unsealer, kind, documents + i * size);
		settings_set_documents(settings, kind, documents, count);
	}
}

static bool
get_header(struct unsealer *unsealer)
{
	if (wire_get_u64(&unsealer->reader) != SEALED_MAGIC || wire_get_u32(&unsealer->reader) != SEALED_VERSION ||
	    wire_get_u64(&unsealer->reader) != sealed_table_sum())
		return false;
	wire_get_u32(&unsealer->reader);	/* the role, for people with a debugger */
	unsealer->file_count = get_count(unsealer, SEALED_SMALLEST_NAME);
	unsealer->files = settings_memory_take(unsealer->memory, (size_t)unsealer->file_count + 1,
	    sizeof(*unsealer->files));
	for (uint32_t i = 0; i < unsealer->file_count; i++)
		unsealer->files[i] = wire_get_string(&unsealer->reader, SEALED_LONGEST_TEXT);
	return !unsealer->reader.failed;
}

/* The sealed bytes, mapped; NULL and an error when they are not sealed. */
static void *
map_sealed(int file, size_t *length_out, struct error *error)
{
	int seals = fcntl(file, F_GET_SEALS);
	struct stat status;
	void *mapping;

	if (seals < 0 || (seals & SEALED_SEALS) != SEALED_SEALS) {
		error_set(error, ERROR_INVALID, "the settings are not sealed");
		return NULL;
	}
	if (fstat(file, &status) < 0) {
		error_system(error, errno, "fstat of sealed settings");
		return NULL;
	}
	*length_out = (size_t)status.st_size;
	if (*length_out == 0) {
		error_set(error, ERROR_INVALID, "the settings are empty");
		return NULL;
	}
	mapping = mmap(NULL, *length_out, PROT_READ, MAP_PRIVATE, file, 0);
	if (mapping == MAP_FAILED) {
		error_system(error, errno, "mapping sealed settings");
		return NULL;
	}
	return mapping;
}

const struct settings *
settings_unseal(int file, struct error *error)
{
	struct unsealer unsealer = { .memory = NULL };
	struct buffer problems = BUFFER_INITIALIZER(0);
	struct settings *settings;
	const struct settings *result;
	size_t length;
	void *mapping = map_sealed(file, &length, error);

	if (mapping == NULL)
		return NULL;
	unsealer.memory = settings_memory_new();
	settings_memory_adopt_mapping(unsealer.memory, mapping, length);
	result = settings = settings_new(unsealer.memory);
	for (size_t kind = 0; kind < KIND_COUNT; kind++)
		unsealer.templates[kind] = template_new(kind, unsealer.memory, &problems);
	buffer_free(&problems);
	wire_reader_init(&unsealer.reader, mapping, length);
	if (!get_header(&unsealer)) {
		error_set(error, ERROR_INVALID, "the settings were sealed by another version of Matador");
		settings_release(&result);
		return NULL;
	}
	get_documents(&unsealer, settings);
	if (!wire_reader_finished(&unsealer.reader)) {
		error_set(error, ERROR_INVALID, "the sealed settings are malformed");
		settings_release(&result);
	}
	return result;
}
