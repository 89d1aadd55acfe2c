/* seal - writes the settings that a role may see into a memfd: see sealed.h */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/base/wire.h"
#include "common/conf/expand.h"
#include "common/conf/sealed.h"
#include "common/conf/settings_memory.h"
#include "common/conf/templates.h"

struct file_node {
	struct hash_node node;
	const char *name;
	uint32_t number;
};

struct sealer {
	const struct settings *settings;
	enum role role;
	struct buffer body;
	struct buffer names;		/* of the files, in the order of their numbers */
	uint32_t name_count;
	struct hash_table files;
	const char *last_name;		/* the places of one file come in runs */
	uint32_t last_number;
	struct settings_memory *memory;	/* of everything that lives as long as this */
	const void *templates[KIND_COUNT];
	struct expansion *expansion;
};

static uint64_t
add_to_sum(uint64_t sum, const char *text)
{
	for (; *text != '\0'; text++)
		sum = (sum ^ (unsigned char)*text) * 0x100000001b3ULL;
	return (sum ^ 0xff) * 0x100000001b3ULL;
}

uint64_t
sealed_table_sum(void)
{
	uint64_t sum = 0xcbf29ce484222325ULL;

	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		sum = add_to_sum(sum, document_rows[kind].word);
		for (size_t i = 0; i < document_rows[kind].setting_count; i++) {
			const struct setting_row *row = &document_rows[kind].settings[i];

			sum = add_to_sum(add_to_sum(add_to_sum(sum, row->section), row->name), row->default_text);
			sum = (sum ^ (uint64_t)row->type ^ (uint64_t)row->seen_by << 8) * 0x100000001b3ULL;
		}
	}
	return sum;
}

/* Whether a kind's documents are told to a role at all. Other servers' Configuration Settings are nobody's
 * business. */
static bool
kind_is_seen_by(enum document_kind kind, enum role role)
{
	if (kind == KIND_matador || kind == KIND_configuration)
		return false;
	for (size_t i = 0; i < document_rows[kind].setting_count; i++)
		if (setting_row_is_seen_by(&document_rows[kind].settings[i], role))
			return true;
	return false;
}

static uint32_t
number_file(struct sealer *sealer, const char *name)
{
	struct hash_node *found;
	struct file_node *node;
	uint64_t hash;

	if (name == sealer->last_name)
		return sealer->last_number;
	hash = hash_text(name);
	for (found = hash_table_find(&sealer->files, hash); found != NULL; found = hash_node_next(found))
		if (strcmp(HASH_CONTAINER(found, struct file_node, node)->name, name) == 0)
			break;
	if (found == NULL) {
		node = settings_memory_take(sealer->memory, 1, sizeof(*node));
		node->name = name;
		node->number = sealer->name_count++;
		hash_table_insert(&sealer->files, &node->node, hash);
		wire_put_string(&sealer->names, name);
	} else {
		node = HASH_CONTAINER(found, struct file_node, node);
	}
	sealer->last_name = name;
	return sealer->last_number = node->number;
}

static void
put_position(struct sealer *sealer, struct position at)
{
	wire_put_u32(&sealer->body, number_file(sealer, at.file));
	wire_put_u32(&sealer->body, at.line);
}

static void
put_setting(struct sealer *sealer, uint16_t row_number, const struct setting_row *row,
    const struct setting *setting)
{
	size_t count = setting->count;
	const struct setting_item *items = expansion_items(sealer->expansion, row, setting, &count);

	wire_put_u16(&sealer->body, row_number);
	wire_put_u8(&sealer->body, setting->given ? SEALED_FLAG_GIVEN : 0);
	put_position(sealer, setting->at);
	wire_put_u64(&sealer->body, (uint64_t)setting->number);
	wire_put_string(&sealer->body, setting->text);
	wire_put_u32(&sealer->body, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		wire_put_string(&sealer->body, items[i].text);
		put_position(sealer, items[i].at);
	}
}

/* A value that stands in no file may still not be the default: the assumed server's. */
static bool
is_default(const struct setting *setting, const struct setting *default_setting)
{
	return !setting->given && setting->number == default_setting->number &&
	    strcmp(setting->text, default_setting->text) == 0 && setting->items == default_setting->items;
}

static void
put_document(struct sealer *sealer, enum document_kind kind, const void *document)
{
	const struct document_start *start = document;

	wire_put_string(&sealer->body, start->title);
	put_position(sealer, start->at);
	for (size_t i = 0; i < document_rows[kind].setting_count; i++) {
		const struct setting_row *row = &document_rows[kind].settings[i];
		const struct setting *setting = document_setting_const(document, row);

		if (setting_row_is_seen_by(row, sealer->role) && (setting->given ||
		    !is_default(setting, document_setting_const(sealer->templates[kind], row))))
			put_setting(sealer, (uint16_t)i, row, setting);
	}
	wire_put_u16(&sealer->body, SEALED_LAST_ROW);
}

static void
put_all(struct sealer *sealer)
{
	const struct settings *settings = sealer->settings;

	number_file(sealer, "");
	for (size_t kind = 0; kind < KIND_COUNT; kind++)
		if (settings_in_force(settings, kind) != NULL)
			put_document(sealer, kind, settings_in_force(settings, kind));
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		size_t count = kind_is_seen_by(kind, sealer->role) ? settings_document_count(settings, kind) : 0;

		wire_put_u32(&sealer->body, (uint32_t)count);
		for (size_t i = 0; i < count; i++)
			put_document(sealer, kind, settings_document(settings, kind, i));
	}
}

static int
write_all(int file, const struct buffer *bytes, struct error *error)
{
	size_t written = 0;

	while (written < bytes->length) {
		ssize_t count = write(file, bytes->data + written, bytes->length - written);

		if (count < 0 && errno != EINTR)
			return error_system(error, errno, "writing sealed settings");
		if (count > 0)
			written += (size_t)count;
	}
	return 0;
}

static int
seal_bytes(const struct sealer *sealer, struct error *error)
{
	struct buffer header = BUFFER_INITIALIZER(0);
	int file = memfd_create("matador-settings", MFD_CLOEXEC | MFD_ALLOW_SEALING), result = -1;

	wire_put_u64(&header, SEALED_MAGIC);
	wire_put_u32(&header, SEALED_VERSION);
	wire_put_u64(&header, sealed_table_sum());
	wire_put_u32(&header, (uint32_t)sealer->role);
	wire_put_u32(&header, sealer->name_count);
	if (file < 0) {
		error_system(error, errno, "memfd_create");
		goto out;
	}
	if (write_all(file, &header, error) < 0 || write_all(file, &sealer->names, error) < 0 ||
	    write_all(file, &sealer->body, error) < 0)
		goto out;
	if (fcntl(file, F_ADD_SEALS, SEALED_SEALS) < 0) {
		error_system(error, errno, "sealing settings");
		goto out;
	}
	result = file;
	file = -1;
out:
	if (file >= 0)
		close(file);
	buffer_free(&header);
	return result;
}

int
settings_seal(const struct settings *settings, enum role role, struct error *error)
{
	struct sealer sealer = { .settings = settings, .role = role, .body = BUFFER_INITIALIZER(0),
		.names = BUFFER_INITIALIZER(0), .memory = settings_memory_new() };
	struct buffer problems = BUFFER_INITIALIZER(0);
	int file;

	sealer.expansion = expansion_new(settings, sealer.memory);
	for (size_t kind = 0; kind < KIND_COUNT; kind++)
		sealer.templates[kind] = template_new(kind, sealer.memory, &problems);
	put_all(&sealer);
	file = seal_bytes(&sealer, error);

	expansion_free(&sealer.expansion);
	hash_table_free(&sealer.files);
	settings_memory_free(&sealer.memory);
	if (sealer.body.length > 0)
		memory_wipe(sealer.body.data, sealer.body.length);	/* it may hold hashes and passwords */
	buffer_free(&sealer.body);
	buffer_free(&sealer.names);
	buffer_free(&problems);
	return file;
}
