/* test_listed_domain - the form in which domains meet the entries of lists */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/conf/listed_domain.h"

static const char *
form_of(const char *domain)
{
	static char form[LISTED_DOMAIN_MAX + 1];

	listed_domain_form(domain, form);
	return form;
}

static void
what_idna_takes_is_in_a_labels(void **state UNUSED)
{
	assert_string_equal(form_of("ABC.com"), "abc.com");
	assert_string_equal(form_of("BÜCHER.example"), "xn--bcher-kva.example");
	assert_string_equal(form_of(""), "");
}

static void
what_stands_behind_a_refused_label_is_in_a_labels(void **state UNUSED)
{
	assert_string_equal(form_of("☃.bücher.example"), "☃.xn--bcher-kva.example");
	assert_string_equal(form_of("bücher.☃.bücher.example"), "bücher.☃.xn--bcher-kva.example");
	assert_string_equal(form_of("bücher.☃.☃.example"), "bücher.☃.☃.example");
	assert_string_equal(form_of("aא.bücher.example"), "aא.xn--bcher-kva.example");
}

static void
what_has_nothing_behind_the_refused_label_stays(void **state UNUSED)
{
	assert_string_equal(form_of("☃"), "☃");
	assert_string_equal(form_of("bücher.☃"), "bücher.☃");
	assert_string_equal(form_of("☃."), "☃.");
}

/* As many labels as the DNS has room for are in A-labels, and not one more. */
static void
the_longest_end_that_fits_is_in_a_labels(void **state UNUSED)
{
	char domain[ADDRESS_DOMAIN_MAX + 1], expected[LISTED_DOMAIN_MAX + 1], *to = domain;

	for (int i = 0; i < 80; i++)
		to = stpcpy(to, "é.");
	strcpy(to, "abc.com");
	to = expected;
	for (int i = 0; i < 80; i++)
		to = stpcpy(to, i < 50 ? "é." : "xn--9ca.");
	strcpy(to, "abc.com");
	assert_string_equal(form_of(domain), expected);
}

static void
of_what_is_longer_than_a_domain_the_end_counts(void **state UNUSED)
{
	char domain[1000];

	snprintf(domain, sizeof(domain), "%0*d.abc.com", 900, 0);
	assert_string_equal(form_of(domain), domain + strlen(domain) - ADDRESS_DOMAIN_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_idna_takes_is_in_a_labels),
		cmocka_unit_test(what_stands_behind_a_refused_label_is_in_a_labels),
		cmocka_unit_test(what_has_nothing_behind_the_refused_label_stays),
		cmocka_unit_test(the_longest_end_that_fits_is_in_a_labels),
		cmocka_unit_test(of_what_is_longer_than_a_domain_the_end_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
