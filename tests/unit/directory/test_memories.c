/* test_memories - the greylist and what call-outs found */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/conf/settings.h"
#include "directory/call_out_memory.h"
#include "directory/greylist.h"

#define NOW INT64_C(1800000000000)
#define SECOND INT64_C(1000)
#define NETWORK "192.0.2.0/24"
/* printf '192.0.2.0/24\ns@x.example\nr@ours.example' | sha256sum | cut -c 1-32 */
#define DIGEST "eacd9d4e0677f5eece81b8a569d62c55"

static struct document_configuration configuration = {
	.greylist_delay = { .number = 300 }, .greylist_window = { .number = 3600 }, .greylist_lifetime = { .number = 86400 },
	.call_out_positive_lifetime = { .number = 1000 }, .call_out_negative_lifetime = { .number = 100 },
};

static struct event_base *base;
static char folder[40], path[60];
static struct greylist *greylist;
static struct call_out_memories *memories;

static int
set_up(void **state UNUSED)
{
	char other[70];

	snprintf(folder, sizeof(folder), "/tmp/test_memories.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/memory", folder);
	snprintf(other, sizeof(other), "%s2", path);
	base = event_base_new();
	greylist = greylist_new(base, path);
	greylist_use_settings(greylist, &configuration);
	memories = call_out_memories_new(base, other);
	call_out_memories_use_settings(memories, &configuration);
	return 0;
}

static int
tear_down(void **state UNUSED)
{
	char other[70];

	greylist_free(&greylist);
	call_out_memories_free(&memories);
	event_base_free(base);
	snprintf(other, sizeof(other), "%s2", path);
	unlink(path);
	unlink(other);
	rmdir(folder);
	return 0;
}

/* Seconds to wait at so many seconds from now; 0: it may pass. */
static uint32_t
wait_at(int64_t seconds, const char *sender, bool peeks)
{
	uint32_t wait;

	if (greylist_attempt(greylist, NETWORK, sender, "r@ours.example", peeks, NOW + seconds * SECOND, &wait))
		assert_int_equal(wait, 0);
	else
		assert_true(wait > 0);
	return wait;
}

static void
who_comes_again_within_the_window_is_known(void **state UNUSED)
{
	assert_int_equal(wait_at(0, "s@x.example", false), 300);
	assert_int_equal(wait_at(100, "s@x.example", false), 200);
	assert_int_equal(wait_at(299, "s@x.example", false), 1);
	assert_int_equal(wait_at(300, "s@x.example", false), 0);
	assert_int_equal(wait_at(301, "S@X.EXAMPLE", false), 0);
}

static void
who_comes_after_the_window_begins_again(void **state UNUSED)
{
	assert_int_equal(wait_at(0, "s@x.example", false), 300);
	assert_int_equal(wait_at(3601, "s@x.example", false), 300);
	assert_int_equal(wait_at(3901, "s@x.example", false), 0);
}

static void
each_use_renews_what_is_known(void **state UNUSED)
{
	wait_at(0, "s@x.example", false);
	assert_int_equal(wait_at(300, "s@x.example", false), 0);
	assert_int_equal(wait_at(300 + 86400, "s@x.example", false), 0);
	assert_int_equal(wait_at(300 + 2 * 86400, "s@x.example", false), 0);
	assert_int_equal(wait_at(301 + 3 * 86400, "s@x.example", false), 300);
}

static void
a_peek_is_no_attempt(void **state UNUSED)
{
	assert_int_equal(wait_at(0, "s@x.example", true), 300);
	assert_int_equal(greylist_count(greylist), 0);
	assert_int_equal(wait_at(400, "s@x.example", false), 300);
	assert_int_equal(wait_at(700, "s@x.example", true), 0);
	assert_int_equal(wait_at(400 + 3601, "s@x.example", false), 300);
}

static void
a_clock_that_goes_back_costs_one_more_delay_at_most(void **state UNUSED)
{
	assert_int_equal(wait_at(0, "new@x.example", false), 300);
	wait_at(0, "old@x.example", false);
	assert_int_equal(wait_at(300, "old@x.example", false), 0);
	assert_int_equal(wait_at(-1000000, "new@x.example", false), 300);
	assert_int_equal(wait_at(-1000000 + 300, "new@x.example", false), 0);
	assert_int_equal(wait_at(-1000000, "old@x.example", false), 0);
}

static void
sender_and_recipient_are_told_apart(void **state UNUSED)
{
	uint32_t wait;

	assert_false(greylist_attempt(greylist, NETWORK, "a", "b@c", false, NOW, &wait));
	assert_false(greylist_attempt(greylist, NETWORK, "a\nb@c", "", false, NOW + 1, &wait));
	assert_false(greylist_attempt(greylist, "192.0.3.0/24", "a", "b@c", false, NOW + 300 * SECOND, &wait));
	assert_true(greylist_attempt(greylist, NETWORK, "a", "b@c", false, NOW + 300 * SECOND, &wait));
}

static void
strangers_who_write_much_crowd_nobody_out(void **state UNUSED)
{
	char sender[600];

	assert_int_equal(wait_at(0, "honest@x.example", false), 300);
	for (int i = 0; i < 150000; i++) {
		snprintf(sender, sizeof(sender), "%0*d@y.example", (int)sizeof(sender) - 20, i);
		wait_at(1, sender, false);
	}
	assert_int_equal(wait_at(300, "honest@x.example", false), 0);
}

/* The name of a triple in the file is that of every other process, and tells no address. */
static void
the_file_holds_a_digest_of_each_triple(void **state UNUSED)
{
	char octets[200] = "", *found;
	FILE *file;
	size_t count;

	wait_at(0, "S@X.example", false);
	greylist_free(&greylist);
	file = fopen(path, "r");
	count = fread(octets, 1, sizeof(octets), file);
	fclose(file);
	found = memmem(octets, count, DIGEST, strlen(DIGEST));
	assert_non_null(found);
	assert_int_equal(found[strlen(DIGEST)], 0);
	assert_null(memmem(octets, count, "example", strlen("example")));
}

static void
call_outs_are_remembered_for_their_time(void **state UNUSED)
{
	const char *text;

	assert_int_equal(call_out_memories_recall(memories, "r@x.example", NOW, &text), CALL_OUT_MEMORY_NOTHING);
	assert_string_equal(text, "");
	call_out_memories_learn(memories, "r@x.example", false, "550 no", NOW);
	assert_int_equal(call_out_memories_recall(memories, "r@x.example", NOW + 100 * SECOND, &text), CALL_OUT_MEMORY_REFUSED);
	assert_string_equal(text, "550 no");
	assert_int_equal(call_out_memories_recall(memories, "r@x.example", NOW + 101 * SECOND, &text), CALL_OUT_MEMORY_NOTHING);
	call_out_memories_learn(memories, "r@x.example", true, "250 ok", NOW);
	assert_int_equal(call_out_memories_recall(memories, "r@x.example", NOW + 1000 * SECOND, &text), CALL_OUT_MEMORY_TAKEN);
	assert_int_equal(call_out_memories_recall(memories, "r@x.example", NOW + 1001 * SECOND, &text), CALL_OUT_MEMORY_NOTHING);
	assert_int_equal(call_out_memories_count(memories), 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(who_comes_again_within_the_window_is_known),
		CASE(who_comes_after_the_window_begins_again),
		CASE(each_use_renews_what_is_known),
		CASE(a_peek_is_no_attempt),
		CASE(a_clock_that_goes_back_costs_one_more_delay_at_most),
		CASE(sender_and_recipient_are_told_apart),
		CASE(strangers_who_write_much_crowd_nobody_out),
		CASE(the_file_holds_a_digest_of_each_triple),
		CASE(call_outs_are_remembered_for_their_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
