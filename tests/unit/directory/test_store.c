/* test_store - what is remembered of strangers: bounds, expiry, jumps of the clock, and files in every condition */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/log/log.h"
#include "directory/store.h"

#define PLENTY (1024 * 1024)
#define NOW INT64_C(1800000000000)

static struct event_base *base;
static char folder[40], path[60];
static struct store *store;
static unsigned damaged, unwritten;

static void
on_logged(enum log_event_number event, int64_t wall_ms UNUSED, const char *const *values UNUSED, unsigned count UNUSED)
{
	damaged += event == LOG_MEMORY_DAMAGED;
	unwritten += event == LOG_MEMORY_NOT_WRITTEN;
}

static int
set_up(void **state UNUSED)
{
	snprintf(folder, sizeof(folder), "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/memory", folder);
	base = event_base_new();
	log_set_level(LOG_SEVERITY_NOTICE);
	log_set_sink(on_logged);
	damaged = unwritten = 0;
	store = store_new(base, path, PLENTY);
	return 0;
}

static int
tear_down(void **state UNUSED)
{
	store_free(&store);
	log_set_sink(NULL);
	event_base_free(base);
	unlink(path);
	rmdir(folder);
	return 0;
}

static void
open_again(size_t octets_max)
{
	store_free(&store);
	store = store_new(base, path, octets_max);
}

/* 'F', 'L' or '-', and its text. */
static const char *
found(const char *key, int64_t now_ms)
{
	static char text[500];
	struct store_record record;

	if (!store_find(store, key, now_ms, &record))
		return "-";
	snprintf(text, sizeof(text), "%c %s", record.class == STORE_FLEETING ? 'F' : 'L', record.text);
	return text;
}

static long
file_size(void)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return (long)status.st_size;
}

static void
what_was_put_is_found_and_replaced(void **state UNUSED)
{
	assert_string_equal(found("a", NOW), "-");
	store_put(store, "a", STORE_FLEETING, "one", NOW);
	assert_string_equal(found("a", NOW), "F one");
	store_put(store, "a", STORE_LASTING, "two", NOW);
	assert_string_equal(found("a", NOW), "L two");
	assert_int_equal(store_count(store), 1);
}

static void
each_class_expires_in_its_own_time(void **state UNUSED)
{
	store_set_lifetime(store, STORE_FLEETING, 100);
	store_set_lifetime(store, STORE_LASTING, 1000);
	store_put(store, "f", STORE_FLEETING, "", NOW);
	store_put(store, "l", STORE_LASTING, "", NOW);
	assert_string_equal(found("f", NOW + 100), "F ");
	assert_string_equal(found("f", NOW + 101), "-");
	assert_string_equal(found("l", NOW + 1000), "L ");
	assert_string_equal(found("l", NOW + 1001), "-");
	assert_int_equal(store_count(store), 0);
}

static void
expired_records_make_room_for_new_ones(void **state UNUSED)
{
	char key[20];

	store_set_lifetime(store, STORE_FLEETING, 100);
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		store_put(store, key, STORE_FLEETING, "", NOW + i);
	}
	assert_in_range(store_count(store), 1, 110);
}

static void
a_record_from_the_future_counts_as_one_of_now(void **state UNUSED)
{
	struct store_record record;

	store_set_lifetime(store, STORE_FLEETING, 100);
	store_put(store, "a", STORE_FLEETING, "", NOW + 1000000);
	assert_true(store_find(store, "a", NOW, &record));
	assert_int_equal(record.since_ms, NOW);
	assert_string_equal(found("a", NOW + 101), "-");
}

static void
a_full_store_loses_the_oldest_of_the_larger_class(void **state UNUSED)
{
	char key[20];

	open_again(20000);
	for (int i = 0; i < 30; i++) {
		snprintf(key, sizeof(key), "known%d", i);
		store_put(store, key, STORE_LASTING, "", NOW);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "new%d", i);
		store_put(store, key, STORE_FLEETING, "", NOW);
	}
	assert_string_equal(found("known0", NOW), "L ");
	assert_string_equal(found("new0", NOW), "-");
	assert_string_equal(found("new4999", NOW), "F ");
	assert_in_range(store_count(store), 31, 300);
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "more%d", i);
		store_put(store, key, STORE_LASTING, "", NOW);
	}
	assert_string_equal(found("known0", NOW), "-");
	assert_string_equal(found("new4999", NOW), "F ");
}

static void
records_outlive_the_process(void **state UNUSED)
{
	store_put(store, "a", STORE_LASTING, "kept \"as\" it is", NOW);
	store_put(store, "b", STORE_FLEETING, "old", NOW);
	store_put(store, "b", STORE_FLEETING, "new", NOW + 5);
	open_again(PLENTY);
	assert_string_equal(found("a", NOW + 10), "L kept \"as\" it is");
	assert_string_equal(found("b", NOW + 10), "F new");
	assert_int_equal(store_count(store), 2);
	assert_int_equal(damaged, 0);
}

static void
records_reach_the_file_soon_without_an_end(void **state UNUSED)
{
	long before = file_size();

	store_put(store, "a", STORE_LASTING, "text", NOW);
	assert_int_equal(file_size(), before);
	event_base_loop(base, EVLOOP_ONCE);
	assert_true(file_size() > before);
}

static void
a_file_of_outdated_records_is_written_anew(void **state UNUSED)
{
	char text[STORE_TEXT_MAX + 1];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 5000; i++) {
		store_put(store, "the same", STORE_LASTING, text, NOW + i);
		if (i % 100 == 0)
			open_again(PLENTY);
		else
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_in_range(file_size(), STORE_TEXT_MAX, 1100000);
	assert_int_equal(store_count(store), 1);
}

/* What can be read is kept, and the next start finds a good file. */
static void
assert_made_anew(const char *expected)
{
	assert_int_equal(damaged, 1);
	assert_string_equal(found("first", NOW), expected);
	open_again(PLENTY);
	assert_int_equal(damaged, 1);
	assert_string_equal(found("first", NOW), expected);
}

static void
put_two(void)
{
	store_put(store, "first", STORE_LASTING, "", NOW);
	event_base_loop(base, EVLOOP_ONCE);
	store_put(store, "second", STORE_LASTING, "", NOW);
	store_free(&store);
}

static void
a_torn_end_costs_only_the_last_record(void **state UNUSED)
{
	put_two();
	assert_int_equal(truncate(path, file_size() - 3), 0);
	store = store_new(base, path, PLENTY);
	assert_string_equal(found("second", NOW), "-");
	assert_made_anew("L ");
}

static void
an_octet_that_changed_costs_what_is_behind_it(void **state UNUSED)
{
	int file;
	char octet;

	put_two();
	file = open(path, O_RDWR);
	assert_int_equal(pread(file, &octet, 1, file_size() - 9), 1);
	octet ^= 1;
	assert_int_equal(pwrite(file, &octet, 1, file_size() - 9), 1);
	close(file);
	store = store_new(base, path, PLENTY);
	assert_string_equal(found("second", NOW), "-");
	assert_made_anew("L ");
}

static void
a_file_of_something_else_is_made_anew(void **state UNUSED)
{
	static const char *const others[] = { "", "short", "something else that is long enough to be a header", "matador-memory-1\xff\xff\xff\xff\0\0\0\0" };

	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		int file = open(path, O_WRONLY | O_TRUNC);

		store_free(&store);
		damaged = 0;
		assert_int_equal(write(file, others[i], strlen(others[i])), strlen(others[i]));
		close(file);
		store = store_new(base, path, PLENTY);
		assert_made_anew("-");
	}
}

static void
a_store_that_cannot_write_remembers_all_the_same(void **state UNUSED)
{
	struct store *other = store_new(base, "/nowhere/at/all/memory", PLENTY);
	struct store_record record;

	assert_int_equal(unwritten, 1);
	store_put(other, "a", STORE_LASTING, "", NOW);
	assert_true(store_find(other, "a", NOW, &record));
	store_free(&other);
}

static void
what_is_too_long_is_not_remembered_and_texts_are_cut(void **state UNUSED)
{
	char key[STORE_KEY_MAX + 2];

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	store_put(store, key, STORE_LASTING, "", NOW);
	assert_int_equal(store_count(store), 0);
	key[STORE_KEY_MAX] = '\0';
	store_put(store, key, STORE_LASTING, key, NOW);
	open_again(PLENTY);
	assert_int_equal(strlen(found(key, NOW)), 2 + STORE_TEXT_MAX);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(what_was_put_is_found_and_replaced),
		CASE(each_class_expires_in_its_own_time),
		CASE(expired_records_make_room_for_new_ones),
		CASE(a_record_from_the_future_counts_as_one_of_now),
		CASE(a_full_store_loses_the_oldest_of_the_larger_class),
		CASE(records_outlive_the_process),
		CASE(records_reach_the_file_soon_without_an_end),
		CASE(a_file_of_outdated_records_is_written_anew),
		CASE(a_torn_end_costs_only_the_last_record),
		CASE(an_octet_that_changed_costs_what_is_behind_it),
		CASE(a_file_of_something_else_is_made_anew),
		CASE(a_store_that_cannot_write_remembers_all_the_same),
		CASE(what_is_too_long_is_not_remembered_and_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
