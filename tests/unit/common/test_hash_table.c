/* hash_table: everything inserted is found, walked and removed; equal hashes live side by side */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/base/hash_table.h"

struct thing {
	struct hash_node node;
	uint64_t number;
};

#define THINGS 1000

static void
finds_every_thing_inserted_and_nothing_removed(UNUSED void **state)
{
	static struct thing things[THINGS];
	struct hash_table table = HASH_TABLE_INITIALIZER;
	size_t i, walked = 0;
	struct hash_node *node;

	for (i = 0; i < THINGS; i++) {
		things[i].number = i;
		hash_table_insert(&table, &things[i].node, hash_number(i));
	}
	for (i = 0; i < THINGS; i += 2)
		hash_table_remove(&table, &things[i].node);
	for (node = hash_table_walk(&table, NULL); node != NULL; node = hash_table_walk(&table, node))
		walked++;
	assert_int_equal(walked, THINGS / 2);
	for (i = 0; i < THINGS; i++) {
		node = hash_table_find(&table, hash_number(i));
		if (i % 2 == 0)
			assert_null(node);
		else
			assert_int_equal(HASH_CONTAINER(node, struct thing, node)->number, i);
	}
	hash_table_free(&table);
	assert_null(hash_table_find(&table, 1));
}

static void
keeps_things_of_the_same_hash_apart(UNUSED void **state)
{
	struct thing a = { .number = 1 }, b = { .number = 2 }, c = { .number = 3 };
	struct hash_table table = HASH_TABLE_INITIALIZER;
	struct hash_node *node;
	uint64_t sum = 0;

	hash_table_insert(&table, &a.node, 7);
	hash_table_insert(&table, &b.node, 7 + 16);	/* the same bucket, another hash */
	hash_table_insert(&table, &c.node, 7);
	for (node = hash_table_find(&table, 7); node != NULL; node = hash_node_next(node))
		sum += HASH_CONTAINER(node, struct thing, node)->number;
	assert_int_equal(sum, 4);
	hash_table_free(&table);
}

static void
hashes_the_same_bytes_alike_and_others_apart(UNUSED void **state)
{
	assert_true(hash_text("smtp:relay.example:25") == hash_bytes("smtp:relay.example:25", 21));
	assert_true(hash_text("smtp:relay.example:25") != hash_text("smtp:relay.example:26"));
	assert_true(hash_text("") != hash_bytes("\0", 1));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_thing_inserted_and_nothing_removed),
		cmocka_unit_test(keeps_things_of_the_same_hash_apart),
		cmocka_unit_test(hashes_the_same_bytes_alike_and_others_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
