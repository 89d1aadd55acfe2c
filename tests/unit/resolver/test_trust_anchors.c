/* Unit tests of resolver/trust_anchors.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/trust_anchors.h"

static int
read_text(struct trust_anchors *anchors, const char *text, struct error *error)
{
	int file = memfd_create("anchors", 0), result;

	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	lseek(file, 0, SEEK_SET);
	result = trust_anchors_read(anchors, file, error);
	close(file);
	return result;
}

static void
takes_keys_and_digests_of_a_zone_file(void **state)
{
	struct trust_anchors anchors;
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(read_text(&anchors,
	    "; the root\n"
	    "$TTL 3600\n"
	    ".\t172800\tIN\tDNSKEY\t257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3 ; KSK ;{id = 1}\n"
	    "\n"
	    "example. IN DS 56471 13 2 (\n"
	    "  d1bd0d3e0d93ac108d12b39ac50ee3bf\n"
	    "  176dead8bf55f258bc33b9e93a36eb2e )\n"
	    "example. IN A 192.0.2.1\n", &error), 0);
	assert_int_equal(anchors.count, 2);
	assert_int_equal(strncmp(anchors.records[0], ".\t172800\tIN\tDNSKEY\t257 3 8 AwEAAaz/", 35), 0);
	assert_null(strchr(anchors.records[0], ';'));
	assert_null(strchr(anchors.records[1], '\n'));
	assert_non_null(strstr(anchors.records[1], "176dead8bf55f258bc33b9e93a36eb2e"));
	trust_anchors_free(&anchors);
	assert_int_equal(anchors.count, 0);
}

static void
refuses_a_file_that_holds_none_or_is_broken(void **state)
{
	static const char *const texts[] = { "", "; nothing\n", "example. IN A 192.0.2.1\n",
		"example. IN DS 56471 13 2 d1bd0d3e\nexample. IN DS nonsense\n" };
	struct trust_anchors anchors;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error error = ERROR_INITIALIZER;

		assert_int_equal(read_text(&anchors, texts[i], &error), -1);
		assert_true(strlen(error.text) > 0);
		assert_int_equal(anchors.count, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_keys_and_digests_of_a_zone_file),
		cmocka_unit_test(refuses_a_file_that_holds_none_or_is_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
