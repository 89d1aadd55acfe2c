/* catalogue - see catalogue.h */
#include "directory/catalogue.h"

#include <db.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"

#define DOCUMENT 'r'
#define MEMBER 'm'
#define TEXT_MAX 1023
#define KEY_MAX (1 + TEXT_MAX + 1 + sizeof(uint32_t))
#define OCTETS_A_DOCUMENT 1024	/* with its keys: for the size of the cache */
#define SMALLEST_CACHE (256 * 1024)
#define LARGEST_CACHE (64 * 1024 * 1024)

struct catalogue {
	DB *db;
	unsigned references;
	struct buffer value;	/* what was lent last */
};

struct key {
	uint8_t octets[KEY_MAX];
	size_t length;
};

static void
key_add_number(struct key *key, uint32_t number)
{
	number = htobe32(number);
	memcpy(key->octets + key->length, &number, sizeof(number));
	key->length += sizeof(number);
}

/* kind, text, NUL: what all documents of that key have in front. False when no key is so long. */
static bool
key_begin_text(struct key *key, enum catalogue_key kind, const char *text)
{
	size_t length = strlen(text);

	if (length > TEXT_MAX)
		return false;
	key->octets[0] = (uint8_t)kind;
	memcpy(key->octets + 1, text, length + 1);
	key->length = length + 2;
	return true;
}

static struct key
key_of_number(char kind, uint32_t number)
{
	struct key key = { .length = 1 };

	key.octets[0] = (uint8_t)kind;
	key_add_number(&key, number);
	return key;
}

static int
failed(struct error *error, int result, const char *doing)
{
	if (result > 0)
		return error_system(error, result, "%s", doing);
	return error_set(error, ERROR_DAMAGED, "%s: %s", doing, db_strerror(result));
}

/* Berkeley DB's own words would go to standard error; the caller logs the error once. */
static void
be_silent(const DB_ENV *environment UNUSED, const char *prefix UNUSED, const char *message UNUSED)
{
}

static int
configure(DB *db, size_t expected)
{
	size_t cache = expected > LARGEST_CACHE / OCTETS_A_DOCUMENT ? LARGEST_CACHE :
	    SMALLEST_CACHE + expected * OCTETS_A_DOCUMENT;
	int result;

	db->set_errcall(db, be_silent);
	if ((result = db->set_cachesize(db, 0, (uint32_t)cache, 1)) != 0)
		return result;
	return db->set_flags(db, DB_CHKSUM);
}

/*
 * Berkeley DB makes a file under this name with a prefix first. When a process was killed just then, the next one would wait
 * for it for ever.
 */
static int
remove_left(const char *path, const char *prefix)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	char left[PATH_MAX];

	snprintf(left, sizeof(left), "%.*s%s%s", (int)(name - path), path, prefix, name);
	return unlink(left) == 0 || errno == ENOENT ? 0 : -1;
}

struct catalogue *
catalogue_new(const char *path, size_t expected, struct error *error)
{
	struct catalogue *catalogue;
	DB *db;
	int result;

	if (remove_left(path, "") != 0 || remove_left(path, "__db.") != 0) {
		error_system(error, errno, "cannot remove what was left of %s", path);
		return NULL;
	}
	if ((result = db_create(&db, NULL, 0)) != 0) {
		failed(error, result, "cannot make a database");
		return NULL;
	}
	if ((result = configure(db, expected)) != 0 ||
	    (result = db->open(db, NULL, path, NULL, DB_BTREE, DB_CREATE | DB_EXCL, 0600)) != 0) {
		failed(error, result, "cannot make a database");
		error_prefix(error, "%s", path);
		db->close(db, DB_NOSYNC);
		return NULL;
	}
	unlink(path);
	catalogue = memory_new(1, sizeof(*catalogue));
	catalogue->db = db;
	catalogue->references = 1;
	return catalogue;
}

struct catalogue *
catalogue_hold(struct catalogue *catalogue)
{
	catalogue->references++;
	return catalogue;
}

void
catalogue_release(struct catalogue **catalogue)
{
	struct catalogue *released = *catalogue;

	*catalogue = NULL;
	if (released == NULL || --released->references > 0)
		return;
	/*
	 * Nothing is to be kept. (Berkeley DB may try to reopen the file for its dirty pages, by the name that is
	 * gone.)
	 */
	released->db->close(released->db, DB_NOSYNC);
	buffer_free(&released->value);
	free(released);
}

static int
put(struct catalogue *catalogue, struct key *key, const void *data, size_t length, struct error *error)
{
	DBT where = { .data = key->octets, .size = (uint32_t)key->length };
	DBT what = { .data = (void *)(uintptr_t)data, .size = (uint32_t)length };
	int result;

	if (length > UINT32_MAX)
		return error_set(error, ERROR_LIMIT, "a document is too long");
	result = catalogue->db->put(catalogue->db, NULL, &where, &what, DB_NOOVERWRITE);
	return result == 0 || result == DB_KEYEXIST ? 0 : failed(error, result, "cannot write the database");
}

int
catalogue_put_document(struct catalogue *catalogue, uint32_t number, const struct buffer *document,
    struct error *error)
{
	struct key key = key_of_number(DOCUMENT, number);

	return put(catalogue, &key, document->data, document->length, error);
}

int
catalogue_put_member(struct catalogue *catalogue, uint32_t group, uint32_t index, const char *member,
    struct error *error)
{
	struct key key = key_of_number(MEMBER, group);

	key_add_number(&key, index);
	return put(catalogue, &key, member, strlen(member) + 1, error);
}

int
catalogue_put_key(struct catalogue *catalogue, enum catalogue_key kind, const char *text, uint32_t number,
    struct error *error)
{
	struct key key;

	if (!key_begin_text(&key, kind, text))
		return error_set(error, ERROR_LIMIT, "a name is too long");
	key_add_number(&key, number);
	return put(catalogue, &key, "", 0, error);
}

int
catalogue_find(struct catalogue *catalogue, enum catalogue_key kind, const char *text, uint32_t *numbers_out,
    size_t maximum, size_t *count_out, struct error *error)
{
	struct key prefix, found;
	DBT where = { .data = found.octets, .ulen = sizeof(found.octets), .flags = DB_DBT_USERMEM };
	DBT what = { .flags = DB_DBT_USERMEM | DB_DBT_PARTIAL };
	DBC *cursor;
	int result;

	*count_out = 0;
	if (!key_begin_text(&prefix, kind, text))
		return 0;
	if ((result = catalogue->db->cursor(catalogue->db, NULL, &cursor, 0)) != 0)
		return failed(error, result, "cannot read the database");
	memcpy(found.octets, prefix.octets, prefix.length);
	where.size = (uint32_t)prefix.length;
	result = cursor->get(cursor, &where, &what, DB_SET_RANGE);
	while (result == 0 && *count_out < maximum && where.size == prefix.length + sizeof(uint32_t) &&
	    memcmp(found.octets, prefix.octets, prefix.length) == 0) {
		uint32_t number;

		memcpy(&number, found.octets + prefix.length, sizeof(number));
		numbers_out[(*count_out)++] = be32toh(number);
		result = cursor->get(cursor, &where, &what, DB_NEXT);
	}
	cursor->close(cursor);
	return result == 0 || result == DB_NOTFOUND ? 0 : failed(error, result, "cannot read the database");
}

static int
get(struct catalogue *catalogue, struct key *key, struct error *error)
{
	DBT where = { .data = key->octets, .size = (uint32_t)key->length }, what = { 0 };
	int result = catalogue->db->get(catalogue->db, NULL, &where, &what, 0);

	if (result == DB_NOTFOUND)
		return 0;
	if (result != 0)
		return failed(error, result, "cannot read the database");
	buffer_clear(&catalogue->value);
	buffer_append(&catalogue->value, what.data, what.size);
	return 1;
}

int
catalogue_get_document(struct catalogue *catalogue, uint32_t number, const void **data_out, size_t *length_out,
    struct error *error)
{
	struct key key = key_of_number(DOCUMENT, number);
	int result = get(catalogue, &key, error);

	*data_out = catalogue->value.data;
	*length_out = catalogue->value.length;
	return result;
}

int
catalogue_get_member(struct catalogue *catalogue, uint32_t group, uint32_t index, const char **member_out,
    struct error *error)
{
	struct key key = key_of_number(MEMBER, group);
	int result;

	key_add_number(&key, index);
	result = get(catalogue, &key, error);
	*member_out = buffer_text(&catalogue->value);
	return result;
}
