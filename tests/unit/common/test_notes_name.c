/* test_notes_name - hierarchical names in their two forms */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "common/mail/notes_name.h"

static void
both_forms_are_made_from_either(void **state UNUSED)
{
	static const struct { const char *name, *abbreviated, *canonical, *common; } rows[] = {
		{ "Jane Doe/Sales/Acme", "Jane Doe/Sales/Acme", "CN=Jane Doe/OU=Sales/O=Acme", "Jane Doe" },
		{ "CN=Jane Doe/OU=Sales/O=Acme", "Jane Doe/Sales/Acme", "CN=Jane Doe/OU=Sales/O=Acme", "Jane Doe" },
		{ "cn=Jane Doe/ou=A/ou=B/o=Acme/c=US", "Jane Doe/A/B/Acme/US",
		    "CN=Jane Doe/OU=A/OU=B/OU=Acme/O=US", "Jane Doe" },
		{ "  Jane   Doe / Sales/Acme ", "Jane Doe/Sales/Acme", "CN=Jane Doe/OU=Sales/O=Acme", "Jane Doe" },
		{ "jdoe", "jdoe", "jdoe", "jdoe" },
		{ "", "", "", "" },
		{ "Smith/O=Brien", "Smith/O=Brien", "CN=Smith/O=O=Brien", "Smith" },
		{ "O=Acme", "Acme", "Acme", "Acme" },
		{ "/", "/", "CN=/O=", "" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		char out[NOTES_NAME_MAX];

		assert_true(notes_name_abbreviate(rows[i].name, out));
		assert_string_equal(out, rows[i].abbreviated);
		assert_true(notes_name_canonicalize(rows[i].name, out));
		assert_string_equal(out, rows[i].canonical);
		assert_true(notes_name_common(rows[i].name, out));
		assert_string_equal(out, rows[i].common);
	}
}

static void
names_compare_without_case_and_form(void **state UNUSED)
{
	assert_true(notes_name_equal("CN=Jane Doe/OU=Sales/O=Acme", "jane doe/SALES/acme"));
	assert_true(notes_name_equal("Hub1/Servers/Acme", "CN=Hub1/OU=Servers/O=Acme"));
	assert_false(notes_name_equal("Jane Doe/Sales/Acme", "Jane Doe/Acme"));
	assert_false(notes_name_equal("Jane Doe", "Jane_Doe"));
}

static void
underscore_and_dot_stand_for_a_blank_in_a_loose_key(void **state UNUSED)
{
	static const char *const spellings[] = { "Jane_Doe", "jane.doe", "JANE DOE", "jane__doe", " Jane . Doe" };

	for (size_t i = 0; i < ARRAY_COUNT(spellings); i++) {
		char key[NOTES_NAME_MAX];

		assert_true(notes_name_loose_key(spellings[i], key));
		assert_string_equal(key, "jane doe");
	}
}

static void
overlong_names_are_refused_not_cut(void **state UNUSED)
{
	char name[NOTES_NAME_MAX + 1], out[NOTES_NAME_MAX];

	memset(name, 'x', NOTES_NAME_MAX);
	name[NOTES_NAME_MAX] = '\0';
	assert_false(notes_name_abbreviate(name, out));
	assert_false(notes_name_key(name, out));
	assert_false(notes_name_loose_key(name, out));
	assert_false(notes_name_equal(name, name));
	name[NOTES_NAME_MAX - 1] = '\0';
	assert_true(notes_name_key(name, out));
	memset(name, '/', NOTES_NAME_MAX - 1);
	assert_false(notes_name_canonicalize(name, out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_are_made_from_either),
		cmocka_unit_test(names_compare_without_case_and_form),
		cmocka_unit_test(underscore_and_dot_stand_for_a_blank_in_a_loose_key),
		cmocka_unit_test(overlong_names_are_refused_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
