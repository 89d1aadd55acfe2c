/*
 * index - see index.h
 *
 * The only file that sees Berkeley DB. The environment is private to the process and used by one thread at a
 * time, so it needs no
 * locks; its home is absolute, so no settings file is picked up from a working directory. Pages carry checksums: a
 * damaged one is an error, never a wrong answer.
 */
#include "qmgr/store/index.h"

#include <db.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "qmgr/store/index_row.h"

#define VERSION INDEX_ROW_VERSION
#define CACHE_OCTETS (32 * 1024 * 1024)
#define LOG_BUFFER (512 * 1024)
#define LOG_FILE (4 * 1024 * 1024)	/* every start fills the rest of one with zeroes */
#define TRANSACTION_MAX 2000	/* changes in one transaction at most: bounds the log that it pins */

enum database { DATABASE_MESSAGE, DATABASE_ENVELOPE, DATABASE_DUE, DATABASE_DESTINATION, DATABASE_META, DATABASE_COUNT };

struct index {
	DB_ENV *environment;
	DB *databases[DATABASE_COUNT];
	DB_TXN *transaction;
	unsigned changes;		/* in the transaction */
	uint64_t complete;
	uint64_t newest;
	struct store_note note;
	bool newest_changed;
	bool fresh;			/* there was none when it was opened */
	bool failed;
};

static int
failed(struct index *index, const char *doing, int result, struct error *error)
{
	index->failed = true;
	return error_set(error, ERROR_DAMAGED, "index of MAIL.BOX: %s: %s", doing, db_strerror(result));
}

static DBT
dbt(const void *data, size_t length)
{
	DBT value = { .data = (void *)(uintptr_t)data, .size = (uint32_t)length };

	return value;
}

/* ---- transactions ---- */

static int
begin(struct index *index, struct error *error)
{
	int result;

	if (index->transaction != NULL)
		return 0;
	result = index->environment->txn_begin(index->environment, NULL, &index->transaction, 0);
	index->changes = 0;
	return result == 0 ? 0 : failed(index, "begin", result, error);
}

static int
put(struct index *index, enum database where, const DBT *key, const void *data, size_t length, struct error *error)
{
	DBT k = *key, value = dbt(data, length);
	int result;

	if (begin(index, error) < 0)
		return -1;
	result = index->databases[where]->put(index->databases[where], index->transaction, &k, &value, 0);
	index->changes++;
	return result == 0 ? 0 : failed(index, "put", result, error);
}

static int
take_out(struct index *index, enum database where, const DBT *key, struct error *error)
{
	DBT k = *key;
	int result;

	if (begin(index, error) < 0)
		return -1;
	result = index->databases[where]->del(index->databases[where], index->transaction, &k, 0);
	index->changes++;
	return result == 0 || result == DB_NOTFOUND ? 0 : failed(index, "delete", result, error);
}

/* 1, 0 or -1; the value is lent until the next call for that database. */
static int
get(struct index *index, enum database where, const DBT *key, DBT *value, struct error *error)
{
	DBT k = *key;
	int result;

	memset(value, 0, sizeof(*value));
	result = index->databases[where]->get(index->databases[where], index->transaction, &k, value, 0);
	if (result == DB_NOTFOUND)
		return 0;
	return result == 0 ? 1 : failed(index, "get", result, error);
}

static int
put_number(struct index *index, const char *name, uint64_t number, struct error *error)
{
	DBT key = dbt(name, strlen(name));

	number = htole64(number);
	return put(index, DATABASE_META, &key, &number, sizeof(number), error);
}

static int
get_number(struct index *index, const char *name, uint64_t *number_out, struct error *error)
{
	DBT key = dbt(name, strlen(name)), value;
	int result = get(index, DATABASE_META, &key, &value, error);

	*number_out = 0;
	if (result == 1 && value.size == sizeof(*number_out)) {
		memcpy(number_out, value.data, sizeof(*number_out));
		*number_out = le64toh(*number_out);
	}
	return result;
}

int
index_commit(struct index *index, struct error *error)
{
	DB_TXN *transaction;
	int result;

	if (index->transaction == NULL)
		return 0;
	if (index->newest_changed && put_number(index, "newest", index->newest, error) < 0)
		return -1;
	index->newest_changed = false;
	transaction = index->transaction;
	index->transaction = NULL;
	result = transaction->commit(transaction, 0);
	return result == 0 ? 0 : failed(index, "commit", result, error);
}

/* A transaction that grew long ends here: only whole messages are in it. */
static int
end_change(struct index *index, struct error *error)
{
	return index->changes < TRANSACTION_MAX ? 0 : index_commit(index, error);
}

/* ---- generations: a random number at each checkpoint, the same in all files unless one was put back from another time ---- */

/* Behind all other keys of any database. */
static const uint8_t generation_key[INDEX_TIME_SIZE + INDEX_ID_SIZE + 1] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static int
put_generation(struct index *index, struct error *error)
{
	DBT key = dbt(generation_key, sizeof(generation_key));
	uint64_t number;

	arc4random_buf(&number, sizeof(number));
	for (int i = 0; i < DATABASE_COUNT; i++)
		if (put(index, i, &key, &number, sizeof(number), error) < 0)
			return -1;
	return 0;
}

static int
check_generation(struct index *index, struct error *error)
{
	DBT key = dbt(generation_key, sizeof(generation_key)), value;
	char first[sizeof(uint64_t)];

	for (int i = 0; i < DATABASE_COUNT; i++) {
		int result = get(index, i, &key, &value, error);

		if (result < 0)
			return -1;
		if (result == 1 && value.size == sizeof(first) && i == 0)
			memcpy(first, value.data, sizeof(first));
		if (result == 0 || value.size != sizeof(first) || memcmp(first, value.data, sizeof(first)) != 0)
			return error_set(error, ERROR_DAMAGED, "index of MAIL.BOX: its files are of different times");
	}
	return 0;
}

static int
get_note(struct index *index, struct error *error)
{
	DBT key = dbt("note", 4), value;
	int result = get(index, DATABASE_META, &key, &value, error);

	if (result == 1 && value.size <= sizeof(index->note.octets)) {
		memcpy(index->note.octets, value.data, value.size);
		index->note.length = value.size;
	}
	return result < 0 ? -1 : 0;
}

const struct store_note *
index_note(const struct index *index)
{
	return &index->note;
}

int
index_checkpoint(struct index *index, uint64_t complete, const struct store_note *note, struct error *error)
{
	DBT key = dbt("note", 4);
	int result;

	if (put_number(index, "complete", complete, error) < 0 ||
	    put(index, DATABASE_META, &key, note->octets, note->length, error) < 0 || put_generation(index, error) < 0 ||
	    index_commit(index, error) < 0)
		return -1;
	index->complete = complete;
	result = index->environment->txn_checkpoint(index->environment, 0, 0, 0);
	return result == 0 ? 0 : failed(index, "checkpoint", result, error);
}

uint64_t
index_complete(const struct index *index)
{
	return index->complete;
}

uint64_t
index_newest(const struct index *index)
{
	return index->newest;
}

static void
note_newest(struct index *index, uint64_t sequence)
{
	if (sequence > index->newest) {
		index->newest = sequence;
		index->newest_changed = true;
	}
}

/* ---- rows ---- */

/* 1, 0 or -1. row->destinations are lent until the next get from that database. */
static int
get_row(struct index *index, uint64_t id, struct index_row *row_out, struct error *error)
{
	uint8_t id_octets[INDEX_ID_SIZE];
	DBT key = dbt(id_octets, sizeof(id_octets)), value;
	int result;

	index_id_key(id, id_octets);
	result = get(index, DATABASE_MESSAGE, &key, &value, error);
	if (result == 1 && !index_row_decode(id, value.data, value.size, row_out))
		return failed(index, "row", EINVAL, error);
	return result;
}

/* Puts or takes out the keys under which a row is found when it is due. */
static int
change_keys(struct index *index, uint64_t id, int64_t due, struct bytes destinations, bool there, struct error *error)
{
	uint8_t key_octets[INDEX_DESTINATION_MAX + 1 + INDEX_TIME_SIZE + INDEX_ID_SIZE];
	const uint8_t *at = destinations.length == 0 ? (const uint8_t *)"" : destinations.data;
	const uint8_t *end = at + destinations.length, *text, *next;
	size_t length;
	DBT key = dbt(key_octets, INDEX_TIME_SIZE + INDEX_ID_SIZE);

	index_time_key(due, key_octets);
	index_id_key(id, key_octets + INDEX_TIME_SIZE);
	if ((there ? put(index, DATABASE_DUE, &key, "", 0, error) : take_out(index, DATABASE_DUE, &key, error)) < 0)
		return -1;
	for (; (next = index_next_destination(at, end, &text, &length)) != NULL; at = next) {
		if (length > INDEX_DESTINATION_MAX)
			continue;
		memcpy(key_octets, text, length + 1);
		memcpy(key_octets + length + 1, at, INDEX_TIME_SIZE);
		index_id_key(id, key_octets + length + 1 + INDEX_TIME_SIZE);
		key = dbt(key_octets, length + 1 + INDEX_TIME_SIZE + INDEX_ID_SIZE);
		if ((there ? put(index, DATABASE_DESTINATION, &key, "", 0, error) :
		    take_out(index, DATABASE_DESTINATION, &key, error)) < 0)
			return -1;
	}
	return 0;
}

static int
put_row(struct index *index, const struct index_row *row, struct error *error)
{
	struct buffer octets = BUFFER_INITIALIZER(0);
	uint8_t id_octets[INDEX_ID_SIZE];
	DBT key = dbt(id_octets, sizeof(id_octets));
	int result;

	for (uint32_t i = 0; i < row->message->part_count; i++)
		note_newest(index, row->message->parts[i].sequence);
	index_id_key(row->message->id, id_octets);
	index_row_encode(row, &octets);
	result = put(index, DATABASE_MESSAGE, &key, octets.data, octets.length, error);
	buffer_free(&octets);
	return result;
}

/* Takes out what finds the old row, if there is one. */
static int
forget_keys(struct index *index, uint64_t id, struct error *error)
{
	struct index_row old;
	int result = get_row(index, id, &old, error);

	if (result == 1) {
		/* One that is held may have them: its copy said so, and the index had heard already that it is not. */
		if (!old.active)
			result = change_keys(index, id, old.due, old.destinations, false, error);
		message_free(&old.message);
	}
	return result < 0 ? -1 : 0;
}

int
index_put(struct index *index, const struct message *message, const void *envelope, size_t length,
    const struct index_keys *keys, struct error *error)
{
	struct index_row row = { .message = (struct message *)(uintptr_t)message, .due = keys->due,
		.destinations = { keys->destinations.data, keys->destinations.length } };
	uint8_t id_octets[INDEX_ID_SIZE];
	DBT key = dbt(id_octets, sizeof(id_octets));

	index_id_key(message->id, id_octets);
	if (forget_keys(index, message->id, error) < 0 || put_row(index, &row, error) < 0 ||
	    put(index, DATABASE_ENVELOPE, &key, envelope, length, error) < 0)
		return -1;
	if (!message->held && change_keys(index, message->id, keys->due, row.destinations, true, error) < 0)
		return -1;
	return end_change(index, error);
}

int
index_put_parts(struct index *index, const struct message *message, struct error *error)
{
	struct index_row row;
	struct buffer destinations = BUFFER_INITIALIZER(0);
	int result = get_row(index, message->id, &row, error);

	if (result != 1)
		return result;
	message_free(&row.message);
	buffer_append(&destinations, row.destinations.data, row.destinations.length);
	row.message = (struct message *)(uintptr_t)message;
	row.destinations = (struct bytes){ destinations.data, destinations.length };
	result = put_row(index, &row, error);
	buffer_free(&destinations);
	return result < 0 ? -1 : end_change(index, error);
}

int
index_put_active(struct index *index, const struct message *message, struct error *error)
{
	struct index_row row = { .message = (struct message *)(uintptr_t)message, .active = true, .destinations = { "", 0 } };
	uint8_t id_octets[INDEX_ID_SIZE];
	DBT key = dbt(id_octets, sizeof(id_octets));

	index_id_key(message->id, id_octets);
	if (forget_keys(index, message->id, error) < 0 || put_row(index, &row, error) < 0 ||
	    take_out(index, DATABASE_ENVELOPE, &key, error) < 0)
		return -1;
	return end_change(index, error);
}

int
index_get(struct index *index, uint64_t id, struct message **message_out, struct buffer *envelope, bool *active_out,
    struct error *error)
{
	uint8_t id_octets[INDEX_ID_SIZE];
	DBT key = dbt(id_octets, sizeof(id_octets)), value;
	struct index_row row;
	int result = get_row(index, id, &row, error);

	if (result != 1)
		return result;
	*active_out = row.active;
	if (envelope != NULL && !row.active) {
		index_id_key(id, id_octets);
		result = get(index, DATABASE_ENVELOPE, &key, &value, error);
		if (result == 1)
			buffer_append(envelope, value.data, value.size);
		else if (result == 0)
			result = failed(index, "envelope", DB_NOTFOUND, error);
	}
	if (result == 1)
		*message_out = row.message;
	else
		message_free(&row.message);
	return result;
}

int
index_delete(struct index *index, uint64_t id, uint64_t sequence, struct error *error)
{
	uint8_t id_octets[INDEX_ID_SIZE];
	DBT key = dbt(id_octets, sizeof(id_octets));

	note_newest(index, sequence);
	index_id_key(id, id_octets);
	if (forget_keys(index, id, error) < 0 || take_out(index, DATABASE_MESSAGE, &key, error) < 0 ||
	    take_out(index, DATABASE_ENVELOPE, &key, error) < 0)
		return -1;
	return end_change(index, error);
}

/* ---- walking ---- */

static DBC *
cursor_open(struct index *index, enum database where, struct error *error)
{
	DBC *cursor;
	int result = index->databases[where]->cursor(index->databases[where], index->transaction, &cursor, 0);

	if (result == 0)
		return cursor;
	failed(index, "cursor", result, error);
	return NULL;
}

int
index_due(struct index *index, int64_t now, unsigned limit, uint64_t *ids, struct error *error)
{
	DBC *cursor = cursor_open(index, DATABASE_DUE, error);
	DBT key = { 0 }, value = { 0 };
	unsigned count = 0;
	int result = 0;

	if (cursor == NULL)
		return -1;
	while (count < limit && (result = cursor->get(cursor, &key, &value, DB_NEXT)) == 0 &&
	    key.size == INDEX_TIME_SIZE + INDEX_ID_SIZE && index_time_of(key.data) <= now)
		ids[count++] = index_id_of((uint8_t *)key.data + INDEX_TIME_SIZE);
	cursor->close(cursor);
	return result == 0 || result == DB_NOTFOUND ? (int)count : failed(index, "due", result, error);
}

int
index_destination(struct index *index, const char *destination, int64_t now, unsigned limit, uint64_t *ids,
    struct error *error)
{
	DBC *cursor = cursor_open(index, DATABASE_DESTINATION, error);
	size_t length = strlen(destination) + 1;
	DBT key = dbt(destination, length), value = { 0 };
	unsigned count = 0;
	int result;

	if (cursor == NULL)
		return -1;
	for (result = cursor->get(cursor, &key, &value, DB_SET_RANGE); result == 0 && count < limit;
	    result = cursor->get(cursor, &key, &value, DB_NEXT)) {
		if (key.size != length + INDEX_TIME_SIZE + INDEX_ID_SIZE || memcmp(key.data, destination, length) != 0 ||
		    index_time_of((uint8_t *)key.data + length) > now)
			break;
		ids[count++] = index_id_of((uint8_t *)key.data + length + INDEX_TIME_SIZE);
	}
	cursor->close(cursor);
	return result == 0 || result == DB_NOTFOUND ? (int)count : failed(index, "destination", result, error);
}

int
index_turns(struct index *index, unsigned limit, void (*each)(void *context, const char *destination), void *context,
    struct error *error)
{
	char next[INDEX_DESTINATION_MAX + 2] = "";
	DBC *cursor = cursor_open(index, DATABASE_DESTINATION, error);
	DBT key = dbt(next, 0), value = { 0 };
	unsigned count = 0;
	size_t length;
	int result;

	if (cursor == NULL)
		return -1;
	while (count < limit && (result = cursor->get(cursor, &key, &value, DB_SET_RANGE)) == 0) {
		length = strnlen(key.data, key.size);
		if (length > INDEX_DESTINATION_MAX || key.size != length + 1 + INDEX_TIME_SIZE + INDEX_ID_SIZE)
			break;		/* the generation: behind all others */
		memcpy(next, key.data, length + 1);
		/* The first of a destination is the one that is due first. */
		if (index_time_of((const uint8_t *)key.data + length + 1) <= 0) {
			each(context, next);
			count++;
		}
		next[length] = '\1';
		key = dbt(next, length + 1);
		result = 0;
	}
	cursor->close(cursor);
	return count == limit || result == 0 || result == DB_NOTFOUND ? (int)count : failed(index, "turns", result, error);
}

int
index_next_due(struct index *index, int64_t *due_out, struct error *error)
{
	DBC *cursor = cursor_open(index, DATABASE_DUE, error);
	DBT key = { 0 }, value = { 0 };
	int result;

	*due_out = INT64_MAX;
	if (cursor == NULL)
		return -1;
	result = cursor->get(cursor, &key, &value, DB_FIRST);
	if (result == 0 && key.size == INDEX_TIME_SIZE + INDEX_ID_SIZE)
		*due_out = index_time_of(key.data);
	cursor->close(cursor);
	return result == 0 || result == DB_NOTFOUND ? 0 : failed(index, "next due", result, error);
}

int
index_parked(struct index *index, uint64_t after, unsigned limit, uint64_t *ids, struct error *error)
{
	DBC *cursor = cursor_open(index, DATABASE_ENVELOPE, error);
	uint8_t id_octets[INDEX_ID_SIZE];
	DBT key = dbt(id_octets, sizeof(id_octets)), value = { .flags = DB_DBT_PARTIAL };
	unsigned count = 0;
	int result;

	if (cursor == NULL)
		return -1;
	if (after == UINT64_MAX)
		limit = 0;
	index_id_key(after + 1, id_octets);
	for (result = limit == 0 ? DB_NOTFOUND : cursor->get(cursor, &key, &value, DB_SET_RANGE); result == 0 && count < limit;
	    result = cursor->get(cursor, &key, &value, DB_NEXT))
		if (key.size == INDEX_ID_SIZE)
			ids[count++] = index_id_of(key.data);
	cursor->close(cursor);
	return result == 0 || result == DB_NOTFOUND ? (int)count : failed(index, "list", result, error);
}

int
index_count(struct index *index, uint64_t *count_out, struct error *error)
{
	DB *database = index->databases[DATABASE_ENVELOPE];
	DB_BTREE_STAT *numbers;
	int result = database->stat(database, index->transaction, &numbers, 0);

	if (result != 0)
		return failed(index, "count", result, error);
	*count_out = numbers->bt_nkeys - 1;	/* the generation */
	free(numbers);
	return 0;
}

int
index_each(struct index *index, bool (*each)(void *context, struct message *message, bool active), void *context,
    struct error *error)
{
	DBC *cursor = cursor_open(index, DATABASE_MESSAGE, error);
	DBT key = { 0 }, value = { 0 };
	struct index_row row;
	bool more = true;
	int result = 0;

	if (cursor == NULL)
		return -1;
	while (more && (result = cursor->get(cursor, &key, &value, DB_NEXT)) == 0) {
		if (key.size == sizeof(generation_key))
			continue;
		if (key.size != INDEX_ID_SIZE || !index_row_decode(index_id_of(key.data), value.data, value.size, &row)) {
			result = EINVAL;
			break;
		}
		more = each(context, row.message, row.active);
	}
	cursor->close(cursor);
	if (!more)
		return -1;
	return result == DB_NOTFOUND ? 0 : failed(index, "rows", result, error);
}

/* ---- opening ---- */

static const char *const names[DATABASE_COUNT] = { "message", "envelope", "due", "destination", "meta" };

static void *
allocate(size_t size)
{
	return memory_resize(NULL, size, 1);
}

static void *
allocate_again(void *memory, size_t size)
{
	return memory_resize(memory, size, 1);
}

static int
open_environment(struct index *index, const char *home, struct error *error)
{
	DB_ENV *environment;
	int result;

	/* Out of memory it would go on with pointers to nothing; so the process ends as it does everywhere else. */
	db_env_set_func_malloc(allocate);
	db_env_set_func_realloc(allocate_again);
	result = db_env_create(&index->environment, 0);
	if (result != 0) {
		index->environment = NULL;
		return failed(index, "create", result, error);
	}
	environment = index->environment;
	environment->set_errfile(environment, NULL);
	environment->set_errcall(environment, NULL);
	environment->set_cachesize(environment, 0, CACHE_OCTETS, 1);
	environment->set_lg_bsize(environment, LOG_BUFFER);
	environment->set_lg_max(environment, LOG_FILE);
	environment->set_flags(environment, DB_TXN_WRITE_NOSYNC, 1);
	environment->log_set_config(environment, DB_LOG_AUTO_REMOVE, 1);
	result = environment->open(environment, home, DB_CREATE | DB_RECOVER | DB_PRIVATE | DB_INIT_MPOOL | DB_INIT_LOG |
	    DB_INIT_TXN, 0600);
	return result == 0 ? 0 : failed(index, "open", result, error);
}

/* Berkeley DB obeys a settings file that lies there, and nothing can tell it not to. */
static void
remove_settings_file(const char *home)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/DB_CONFIG", home) < (int)sizeof(path))
		unlink(path);
}

static void
opening_path(const char *home, char path[static PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.4000s/opening", home);
}

/* A file is there while the index is opened. If one is left the process ended in the middle: Berkeley DB can do that to it, over a
 * damaged file or a disk that fails, and would again. */
static int
begin_opening(const char *home, struct error *error)
{
	char path[PATH_MAX];
	int file;

	opening_path(home, path);
	file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0 && errno == EEXIST)
		return error_set(error, ERROR_DAMAGED, "index of MAIL.BOX: the last start did not survive opening it");
	if (file >= 0)
		close(file);
	return 0;
}

static void
end_opening(const char *home)
{
	char path[PATH_MAX];

	opening_path(home, path);
	unlink(path);
}

/* All are there, or none: Berkeley DB makes an empty one in place of one that is missing or empty, and mail would not be seen. */
static int
check_files(struct index *index, const char *home, struct error *error)
{
	const char *missing = NULL;
	struct stat status;
	char path[PATH_MAX];
	int found = 0;

	for (int i = 0; i < DATABASE_COUNT; i++) {
		snprintf(path, sizeof(path), "%s/%s", home, names[i]);
		if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
			found++;
		else
			missing = names[i];
	}
	index->fresh = found == 0;
	if (found == 0 || found == DATABASE_COUNT)
		return 0;
	return error_set(error, ERROR_DAMAGED, "index of MAIL.BOX: %s is missing", missing);
}

static int
open_databases(struct index *index, struct error *error)
{
	for (int i = 0; i < DATABASE_COUNT; i++) {
		DB *database;
		int result = db_create(&database, index->environment, 0);

		if (result != 0)
			return failed(index, names[i], result, error);
		index->databases[i] = database;
		result = database->set_flags(database, DB_CHKSUM);
		if (result == 0)
			result = database->open(database, NULL, names[i], NULL, DB_BTREE, DB_CREATE | DB_AUTO_COMMIT, 0600);
		if (result != 0)
			return failed(index, names[i], result, error);
	}
	return 0;
}

/* A new index stays found after a power cut, so that not every start after one reads the whole journal. */
static void
flush_folders(const char *home)
{
	int folder = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC), parent;

	if (folder < 0)
		return;
	fsync(folder);
	parent = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0) {
		fsync(parent);
		close(parent);
	}
	close(folder);
}

/* Each file has a mark of its own, which Berkeley DB writes into it when it is made. */
static int
file_mark(struct index *index, int database, uint64_t *mark_out, struct error *error)
{
	uint8_t octets[DB_FILE_ID_LEN];
	DB_MPOOLFILE *file = index->databases[database]->get_mpf(index->databases[database]);
	int result = file->get_fileid(file, octets);

	if (result != 0)
		return failed(index, names[database], result, error);
	*mark_out = 0;
	for (size_t i = 0; i < sizeof(octets); i++)
		*mark_out = (*mark_out ^ octets[i]) * 0x100000001b3u;
	return 0;
}

static int
put_meta(struct index *index, uint64_t mailbox, struct error *error)
{
	uint64_t mark;

	for (int i = 0; i < DATABASE_COUNT; i++)
		if (file_mark(index, i, &mark, error) < 0 || put_number(index, names[i], mark, error) < 0)
			return -1;
	if (put_number(index, "version", VERSION, error) < 0 || put_number(index, "mailbox", mailbox, error) < 0 ||
	    put_generation(index, error) < 0)
		return -1;
	return index_commit(index, error);
}

static int
check_meta(struct index *index, uint64_t mailbox, struct error *error)
{
	uint64_t version, found, mark, expected;

	if (index->fresh)
		return put_meta(index, mailbox, error);
	if (get_number(index, "version", &version, error) < 0 || get_number(index, "mailbox", &found, error) < 0 ||
	    get_number(index, "complete", &index->complete, error) < 0 ||
	    get_number(index, "newest", &index->newest, error) < 0)
		return -1;
	if (version != VERSION || found != mailbox)
		return error_set(error, ERROR_INVALID, "index of MAIL.BOX: it belongs to another journal or version");
	for (int i = 0; i < DATABASE_COUNT; i++) {
		if (file_mark(index, i, &mark, error) < 0 || get_number(index, names[i], &expected, error) < 0)
			return -1;
		if (mark != expected)
			return error_set(error, ERROR_DAMAGED, "index of MAIL.BOX: %s is another file", names[i]);
	}
	return get_note(index, error) < 0 ? -1 : check_generation(index, error);
}

int
index_open(const char *home, uint64_t mailbox, struct index **index_out, struct error *error)
{
	struct index *index = memory_new(1, sizeof(*index));

	if (mkdir(home, 0700) < 0 && errno != EEXIST) {
		free(index);
		return error_system(error, errno, "make %s", home);
	}
	remove_settings_file(home);
	if (begin_opening(home, error) == 0 && check_files(index, home, error) == 0 &&
	    open_environment(index, home, error) == 0 && open_databases(index, error) == 0 &&
	    check_meta(index, mailbox, error) == 0) {
		end_opening(home);
		flush_folders(home);
		*index_out = index;
		return 0;
	}
	index->failed = true;
	index_close(&index);
	return -1;
}

void
index_close(struct index **closed)
{
	struct index *index = *closed;
	struct error ignored;

	if (index == NULL)
		return;
	if (!index->failed)
		index_commit(index, &ignored);
	if (index->transaction != NULL)
		index->transaction->abort(index->transaction);
	for (int i = 0; i < DATABASE_COUNT; i++)
		if (index->databases[i] != NULL)
			index->databases[i]->close(index->databases[i], index->failed ? DB_NOSYNC : 0);
	if (index->environment != NULL)
		index->environment->close(index->environment, 0);
	free(index);
	*closed = NULL;
}

void
index_discard(const char *home)
{
	DIR *files = opendir(home);
	struct dirent *entry;

	while (files != NULL && (entry = readdir(files)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(files), entry->d_name, 0);
	if (files != NULL)
		closedir(files);
}
