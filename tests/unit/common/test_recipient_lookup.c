/*
 * test_recipient_lookup - the order of questions about a local Internet recipient
 * (docs/reference/domino-semantics.md, 3.3)
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "common/mail/recipient_lookup.h"

static struct document_global_domain acme = { .title = "Acme",
    .local_primary_internet_domain = { .text = "acme.com" },
	.domino_domain_separator = { .text = "%" } };

static struct recipient_lookup
started(enum address_lookup order, const char *text, const char *primary)
{
	struct settings settings = { .global_domain_documents = &acme, .global_domain_count = 1 };
	struct recipient_lookup lookup;
	struct address address;

	settings.configuration.address_lookup.number = order;
	settings.server.domino_domain.text = "Acme";
	assert_int_equal(address_parse(text, strlen(text), ADDRESS_ALLOW_UTF8, &address, NULL), 0);
	recipient_lookup_start(&lookup, &settings, &address, primary);
	return lookup;
}

static void
expect_question(const struct recipient_lookup *lookup, enum directory_lookup_kind kind, const char *text)
{
	assert_int_equal(lookup->state, RECIPIENT_LOOKUP_ASK);
	assert_int_equal(lookup->kind, kind);
	assert_string_equal(lookup->text, text);
}

static void
fullname_then_local_part_asks_twice(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_FULLNAME_THEN_LOCAL_PART, "jane.doe@acme.com",
	    NULL);

	expect_question(&lookup, DIRECTORY_INTERNET_ADDRESS, "jane.doe@acme.com");
	recipient_lookup_answer(&lookup, DIRECTORY_NONE, 0);
	expect_question(&lookup, DIRECTORY_LOCAL_PART, "jane.doe");
	recipient_lookup_answer(&lookup, DIRECTORY_NONE, 0);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_NONE);
}

static void
an_alias_is_tried_with_its_primary_domain(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_FULLNAME_THEN_LOCAL_PART, "\"jane doe\"@acme.fr",
	    "acme.com");

	expect_question(&lookup, DIRECTORY_INTERNET_ADDRESS, "\"jane doe\"@acme.fr");
	recipient_lookup_answer(&lookup, DIRECTORY_NONE, 0);
	expect_question(&lookup, DIRECTORY_INTERNET_ADDRESS, "\"jane doe\"@acme.com");
	recipient_lookup_answer(&lookup, DIRECTORY_NONE, 0);
	expect_question(&lookup, DIRECTORY_LOCAL_PART, "jane doe");
	recipient_lookup_answer(&lookup, DIRECTORY_FOUND, 1);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_FOUND);
}

static void
fullname_only_never_asks_for_the_local_part(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_FULLNAME_ONLY, "jane.doe@acme.com", NULL);

	expect_question(&lookup, DIRECTORY_INTERNET_ADDRESS, "jane.doe@acme.com");
	recipient_lookup_answer(&lookup, DIRECTORY_NONE, 0);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_NONE);
}

static void
local_part_only_never_asks_for_the_address(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_LOCAL_PART_ONLY, "jane.doe@acme.fr", "acme.com");

	expect_question(&lookup, DIRECTORY_LOCAL_PART, "jane.doe");
	recipient_lookup_answer(&lookup, DIRECTORY_FOUND, 2);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_MANY);
}

static void
a_hit_ends_the_questions(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_FULLNAME_THEN_LOCAL_PART, "jane.doe@acme.com",
	    NULL);

	recipient_lookup_answer(&lookup, DIRECTORY_FOUND, 1);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_FOUND);
	recipient_lookup_answer(&lookup, DIRECTORY_NONE, 0);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_FOUND);
}

static void
a_directory_that_cannot_answer_ends_them_without_a_conclusion(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_FULLNAME_THEN_LOCAL_PART, "jane.doe@acme.com",
	    NULL);

	recipient_lookup_answer(&lookup, DIRECTORY_NONE, 0);
	recipient_lookup_answer(&lookup, DIRECTORY_UNAVAILABLE, 0);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_UNAVAILABLE);
}

static void
an_outcome_of_no_known_value_is_no_conclusion(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_FULLNAME_ONLY, "jane.doe@acme.com", NULL);

	recipient_lookup_answer(&lookup, (enum directory_outcome)77, 1);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_UNAVAILABLE);
}

static void
a_user_of_our_domino_domain_is_asked_for_by_name(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_FULLNAME_ONLY, "jdoe%acme@acme.com", NULL);

	expect_question(&lookup, DIRECTORY_NAME, "jdoe");
	recipient_lookup_answer(&lookup, DIRECTORY_NONE, 0);
	assert_int_equal(lookup.state, RECIPIENT_LOOKUP_NONE);
}

static void
a_user_of_another_domino_domain_is_nobody_here(void **state UNUSED)
{
	assert_int_equal(started(ADDRESS_LOOKUP_FULLNAME_ONLY, "jdoe%East@acme.com", NULL).state,
	    RECIPIENT_LOOKUP_NONE);
}

static void
an_internet_domain_behind_the_separator_is_no_domino_domain(void **state UNUSED)
{
	struct recipient_lookup lookup = started(ADDRESS_LOOKUP_FULLNAME_ONLY, "victim%theirs.example@acme.com",
	    NULL);

	expect_question(&lookup, DIRECTORY_INTERNET_ADDRESS, "victim%theirs.example@acme.com");
}

static void
role_addresses_compare_without_case(void **state UNUSED)
{
	assert_true(is_role_local_part("PostMaster"));
	assert_true(is_role_local_part("abuse"));
	assert_true(is_role_local_part("root"));
	assert_false(is_role_local_part("jane"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fullname_then_local_part_asks_twice),
		cmocka_unit_test(an_alias_is_tried_with_its_primary_domain),
		cmocka_unit_test(fullname_only_never_asks_for_the_local_part),
		cmocka_unit_test(local_part_only_never_asks_for_the_address),
		cmocka_unit_test(a_hit_ends_the_questions),
		cmocka_unit_test(a_directory_that_cannot_answer_ends_them_without_a_conclusion),
		cmocka_unit_test(an_outcome_of_no_known_value_is_no_conclusion),
		cmocka_unit_test(a_user_of_our_domino_domain_is_asked_for_by_name),
		cmocka_unit_test(a_user_of_another_domino_domain_is_nobody_here),
		cmocka_unit_test(an_internet_domain_behind_the_separator_is_no_domino_domain),
		cmocka_unit_test(role_addresses_compare_without_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
