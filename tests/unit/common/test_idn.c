/* test_idn - one form of a domain for comparing */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "common/mail/idn.h"

static void
domains_become_lower_case_a_labels(void **state UNUSED)
{
	static const struct { const char *domain, *ascii; } rows[] = {
		{ "Acme.COM", "acme.com" },
		{ "m\xc3\xbcnchen.example", "xn--mnchen-3ya.example" },
		{ "M\xc3\x9cNCHEN.example", "xn--mnchen-3ya.example" },
		{ "XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example" },
		{ "mu\xcc\x88nchen.example", "xn--mnchen-3ya.example" },
		{ "", "" },
		{ "[192.0.2.1]", "[192.0.2.1]" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		char ascii[ADDRESS_DOMAIN_MAX + 1];

		if (!domain_to_ascii(rows[i].domain, ascii) || strcmp(ascii, rows[i].ascii) != 0)
			fail_msg("%s is not %s", rows[i].domain, rows[i].ascii);
	}
}

static void
what_idna_forbids_and_what_is_too_long_is_refused(void **state UNUSED)
{
	char ascii[ADDRESS_DOMAIN_MAX + 1], longest[ADDRESS_DOMAIN_MAX + 2];

	assert_false(domain_to_ascii("\xe2\x98\x83\xff.example", ascii));
	assert_false(domain_to_ascii("\xc2\xad\xe2\x80\x8b.example", ascii));
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(domain_to_ascii(longest, ascii));
	longest[sizeof(longest) - 2] = '\0';
	assert_true(domain_to_ascii(longest, ascii));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains_become_lower_case_a_labels),
		cmocka_unit_test(what_idna_forbids_and_what_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
