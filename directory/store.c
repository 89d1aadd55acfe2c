/* store - see store.h */
#include "directory/store.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/crc32c.h"
#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/base/wire.h"
#include "common/log/log.h"

#define HEADER "matador-memory-1"
#define HEADER_OCTETS (sizeof(HEADER) - 1)
#define WRITE_AFTER_MS 200
#define AGAIN_AFTER_MS 60000		/* after the file could not be written */
#define OUTDATED_OCTETS (1024 * 1024)	/* of the file beyond what is alive in it: it is worth a new one */
#define PIECE (256 * 1024)		/* read and written at a time */
#define FRAME_OCTETS 8			/* length and checksum in front of a record */
#define RECORD_MAX (1 + 8 + 2 * 5 + STORE_KEY_MAX + STORE_TEXT_MAX)
#define SWEPT_AT_A_TIME 4

struct entry {
	struct hash_node by_key;
	TAILQ_ENTRY(entry) by_age;
	TAILQ_ENTRY(entry) unwritten;
	bool is_unwritten;
	enum store_class class;
	int64_t since_ms;
	char *text;			/* owned */
	size_t octets;			/* that it counts for */
	char key[];
};
TAILQ_HEAD(entry_list, entry);

struct store {
	char *path;
	int file;			/* -1: it could not be written */
	uint64_t file_octets;
	struct hash_table by_key;
	struct entry_list by_age[STORE_CLASS_COUNT];
	struct entry_list unwritten;
	size_t class_octets[STORE_CLASS_COUNT];
	size_t octets_max;
	int64_t lifetime_ms[STORE_CLASS_COUNT];
	struct event timer;		/* pending while something is to be written */
};

/* ---- entries ---- */

static struct entry *
find_entry(const struct store *store, const char *key)
{
	struct hash_node *node = hash_table_find(&store->by_key, hash_text(key));

	for (; node != NULL; node = hash_node_next(node)) {
		struct entry *entry = HASH_CONTAINER(node, struct entry, by_key);

		if (strcmp(entry->key, key) == 0)
			return entry;
	}
	return NULL;
}

static void
leave_class(struct store *store, struct entry *entry)
{
	TAILQ_REMOVE(&store->by_age[entry->class], entry, by_age);
	store->class_octets[entry->class] -= entry->octets;
}

static void
enter_class(struct store *store, struct entry *entry)
{
	TAILQ_INSERT_TAIL(&store->by_age[entry->class], entry, by_age);
	store->class_octets[entry->class] += entry->octets;
}

static void
forget(struct store *store, struct entry *entry)
{
	hash_table_remove(&store->by_key, &entry->by_key);
	leave_class(store, entry);
	if (entry->is_unwritten)
		TAILQ_REMOVE(&store->unwritten, entry, unwritten);
	free(entry->text);
	free(entry);
}

static size_t
octets_held(const struct store *store)
{
	return store->class_octets[STORE_FLEETING] + store->class_octets[STORE_LASTING];
}

static bool
has_expired(const struct store *store, const struct entry *entry, int64_t now_ms)
{
	return now_ms - entry->since_ms > store->lifetime_ms[entry->class];
}

/* It begins again, as the youngest. */
static void
set_date(struct store *store, struct entry *entry, int64_t now_ms)
{
	TAILQ_REMOVE(&store->by_age[entry->class], entry, by_age);
	TAILQ_INSERT_TAIL(&store->by_age[entry->class], entry, by_age);
	entry->since_ms = now_ms;
}

/* A few of the oldest that have expired go, so that a store in use holds no more of them than it gets new ones. */
static void
sweep(struct store *store, enum store_class class, int64_t now_ms)
{
	struct entry *entry;

	for (unsigned i = 0; i < SWEPT_AT_A_TIME && (entry = TAILQ_FIRST(&store->by_age[class])) != NULL; i++) {
		if (entry->since_ms > now_ms)
			set_date(store, entry, now_ms);
		else if (has_expired(store, entry, now_ms))
			forget(store, entry);
		else
			return;
	}
}

static void
make_room(struct store *store)
{
	while (octets_held(store) > store->octets_max)
		forget(store, TAILQ_FIRST(&store->by_age[store->class_octets[STORE_FLEETING] > store->octets_max / 2 ?
		    STORE_FLEETING : STORE_LASTING]));
}

/* The entry under that key, new or with what is new in it. */
static struct entry *
enter(struct store *store, const char *key, enum store_class class, const char *text, int64_t since_ms)
{
	struct entry *entry = find_entry(store, key);
	size_t length = strlen(key);

	if (entry == NULL) {
		entry = memory_new(1, sizeof(*entry) + length + 1);
		memcpy(entry->key, key, length + 1);
		hash_table_insert(&store->by_key, &entry->by_key, hash_text(key));
	} else {
		leave_class(store, entry);
		free(entry->text);
	}
	entry->class = class;
	entry->since_ms = since_ms;
	entry->text = memory_copy(text, strnlen(text, STORE_TEXT_MAX));
	entry->octets = sizeof(*entry) + length + strlen(entry->text);
	enter_class(store, entry);
	return entry;
}

/* ---- the file ---- */

static void
append_record(struct buffer *out, const struct entry *entry)
{
	struct buffer record = BUFFER_INITIALIZER(0);

	wire_put_u8(&record, (uint8_t)entry->class);
	wire_put_u64(&record, (uint64_t)entry->since_ms);
	wire_put_string(&record, entry->key);
	wire_put_string(&record, entry->text);
	wire_put_u32(out, (uint32_t)record.length);
	wire_put_u32(out, crc32c(0, record.data, record.length));
	buffer_append(out, record.data, record.length);
	buffer_free(&record);
}

/* Takes a record. False when it is none. */
static bool
take_record(struct store *store, const void *data, size_t length)
{
	struct wire_reader reader;
	const char *key, *text;
	uint8_t class;
	int64_t since_ms;

	wire_reader_init(&reader, data, length);
	class = wire_get_u8(&reader);
	since_ms = (int64_t)wire_get_u64(&reader);
	key = wire_get_string(&reader, STORE_KEY_MAX);
	text = wire_get_string(&reader, STORE_TEXT_MAX);
	if (!wire_reader_finished(&reader) || class >= STORE_CLASS_COUNT || since_ms < 0)
		return false;
	enter(store, key, (enum store_class)class, text, since_ms);
	make_room(store);
	return true;
}

/* Takes the whole records at the front of what was read, and removes them. False at a damaged one. */
static bool
take_records(struct store *store, struct buffer *octets)
{
	size_t offset = 0;
	bool is_whole = true;

	while (is_whole && octets->length - offset >= FRAME_OCTETS) {
		struct wire_reader frame;
		uint32_t length, checksum;

		wire_reader_init(&frame, octets->data + offset, FRAME_OCTETS);
		length = wire_get_u32(&frame);
		checksum = wire_get_u32(&frame);
		if (length <= RECORD_MAX && octets->length - offset - FRAME_OCTETS < length)
			break;
		is_whole = length <= RECORD_MAX && crc32c(0, octets->data + offset + FRAME_OCTETS, length) == checksum &&
		    take_record(store, octets->data + offset + FRAME_OCTETS, length);
		offset += is_whole ? FRAME_OCTETS + length : 0;
	}
	buffer_consume(octets, offset);
	store->file_octets += offset;
	return is_whole;
}

/* Reads to the end, or to a damaged place. True when all of it was good. */
static bool
read_file(struct store *store)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	bool is_good = true;
	ssize_t count = 0;

	while (is_good && (count = read(store->file, buffer_reserve(&octets, PIECE), PIECE)) > 0) {
		buffer_commit(&octets, (size_t)count);
		if (store->file_octets == 0 && octets.length >= HEADER_OCTETS) {
			is_good = memcmp(octets.data, HEADER, HEADER_OCTETS) == 0;
			buffer_consume(&octets, HEADER_OCTETS);
			store->file_octets = HEADER_OCTETS;
		}
		is_good = is_good && (store->file_octets == 0 || take_records(store, &octets));
	}
	is_good = is_good && count == 0 && octets.length == 0 && store->file_octets >= HEADER_OCTETS;
	buffer_free(&octets);
	return is_good;
}

static int
write_all(int file, const struct buffer *octets)
{
	size_t written = 0;

	while (written < octets->length) {
		ssize_t count = write(file, octets->data + written, octets->length - written);

		if (count < 0 && errno != EINTR)
			return -1;
		written += count > 0 ? (size_t)count : 0;
	}
	return 0;
}

static void
cannot_write(struct store *store, int error)
{
	log_event(LOG_MEMORY_NOT_WRITTEN, store->path, strerror(error));
	if (store->file >= 0)
		close(store->file);
	store->file = -1;
}

static void
forget_unwritten(struct store *store)
{
	struct entry *entry;

	while ((entry = TAILQ_FIRST(&store->unwritten)) != NULL) {
		TAILQ_REMOVE(&store->unwritten, entry, unwritten);
		entry->is_unwritten = false;
	}
}

/* All records, the oldest of each class first. -1 and errno. */
static int
write_records(const struct store *store, int file, uint64_t *written_out)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	int result = 0;

	buffer_append(&octets, HEADER, HEADER_OCTETS);
	*written_out = 0;
	for (int class = 0; class < STORE_CLASS_COUNT && result == 0; class++) {
		const struct entry *entry;

		TAILQ_FOREACH(entry, &store->by_age[class], by_age) {
			append_record(&octets, entry);
			if (octets.length < PIECE)
				continue;
			if ((result = write_all(file, &octets)) != 0)
				break;
			*written_out += octets.length;
			buffer_clear(&octets);
		}
	}
	if (result == 0)
		result = write_all(file, &octets);
	*written_out += octets.length;
	buffer_free(&octets);
	return result;
}

/* A new file with what is alive takes the place of the old one. */
static void
write_anew(struct store *store)
{
	char path[PATH_MAX];
	uint64_t written;
	int file;

	snprintf(path, sizeof(path), "%s.new", store->path);
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0 || write_records(store, file, &written) != 0 || rename(path, store->path) != 0) {
		int error = errno;

		if (file >= 0)
			close(file);
		cannot_write(store, error);
		return;
	}
	if (store->file >= 0)
		close(store->file);
	store->file = file;
	store->file_octets = written;
	forget_unwritten(store);
}

/* Behind what is in the file already. */
static void
append_unwritten(struct store *store)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct entry *entry;
	int result = 0;

	while (result == 0 && (entry = TAILQ_FIRST(&store->unwritten)) != NULL) {
		append_record(&octets, entry);
		TAILQ_REMOVE(&store->unwritten, entry, unwritten);
		entry->is_unwritten = false;
		if (octets.length < PIECE && !TAILQ_EMPTY(&store->unwritten))
			continue;
		result = write_all(store->file, &octets);
		store->file_octets += octets.length;
		buffer_clear(&octets);
	}
	buffer_free(&octets);
	if (result != 0)
		cannot_write(store, errno);
}

static void
write_soon(struct store *store)
{
	int64_t wait_ms = store->file >= 0 ? WRITE_AFTER_MS : AGAIN_AFTER_MS;

	if (!event_pending(&store->timer, EV_TIMEOUT, NULL))
		event_add(&store->timer, &(struct timeval){ .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 });
}

static void
write_file(struct store *store)
{
	if (store->file < 0 || store->file_octets > 2 * octets_held(store) + OUTDATED_OCTETS)
		write_anew(store);
	else
		append_unwritten(store);
}

static void
on_timer(evutil_socket_t unused UNUSED, short what UNUSED, void *context)
{
	struct store *store = context;

	write_file(store);
	if (store->file < 0)
		write_soon(store);
}

/* ---- for the owner ---- */

struct store *
store_new(struct event_base *base, const char *path, size_t octets_max)
{
	struct store *store = memory_new(1, sizeof(*store));

	store->path = memory_copy_string(path);
	store->octets_max = octets_max;
	TAILQ_INIT(&store->unwritten);
	for (int class = 0; class < STORE_CLASS_COUNT; class++) {
		TAILQ_INIT(&store->by_age[class]);
		store->lifetime_ms[class] = INT64_MAX;
	}
	event_assign(&store->timer, base, -1, 0, on_timer, store);
	store->file = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (store->file >= 0 && read_file(store))
		return store;
	if (store->file >= 0)
		log_event(LOG_MEMORY_DAMAGED, path, log_number((int64_t)store->by_key.count));
	write_anew(store);
	return store;
}

void
store_free(struct store **store)
{
	struct store *going = *store;

	*store = NULL;
	if (going == NULL)
		return;
	if (!TAILQ_EMPTY(&going->unwritten))
		write_file(going);
	event_del(&going->timer);
	for (int class = 0; class < STORE_CLASS_COUNT; class++)
		while (!TAILQ_EMPTY(&going->by_age[class]))
			forget(going, TAILQ_FIRST(&going->by_age[class]));
	hash_table_free(&going->by_key);
	if (going->file >= 0)
		close(going->file);
	free(going->path);
	free(going);
}

void
store_set_lifetime(struct store *store, enum store_class class, int64_t lifetime_ms)
{
	store->lifetime_ms[class] = lifetime_ms;
}

bool
store_find(struct store *store, const char *key, int64_t now_ms, struct store_record *record_out)
{
	struct entry *entry = find_entry(store, key);

	if (entry == NULL)
		return false;
	if (entry->since_ms > now_ms)
		set_date(store, entry, now_ms);
	if (has_expired(store, entry, now_ms)) {
		forget(store, entry);
		return false;
	}
	*record_out = (struct store_record){ entry->class, entry->since_ms, entry->text };
	return true;
}

void
store_put(struct store *store, const char *key, enum store_class class, const char *text, int64_t now_ms)
{
	struct entry *entry;

	if (strlen(key) > STORE_KEY_MAX)
		return;
	sweep(store, STORE_FLEETING, now_ms);
	sweep(store, STORE_LASTING, now_ms);
	entry = enter(store, key, class, text, now_ms);
	if (!entry->is_unwritten) {
		entry->is_unwritten = true;
		TAILQ_INSERT_TAIL(&store->unwritten, entry, unwritten);
	}
	make_room(store);
	write_soon(store);
}

size_t
store_count(const struct store *store)
{
	return store->by_key.count;
}
