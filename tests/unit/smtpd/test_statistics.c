/* test_statistics - hits of the filters are counted under Domino's names, within bounds */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "smtpd/statistics.h"

static void
totals_are_told_even_when_nothing_was_counted(void **state)
{
	struct statistics statistics = { .octets = 0 };
	struct buffer lines = BUFFER_INITIALIZER(0);

	(void)state;
	statistics_append(&statistics, &lines);
	assert_string_equal(buffer_text(&lines), "SMTP.PrivateWL.TotalHits=0\nSMTP.PrivateBL.TotalHits=0\n"
	    "SMTP.DNSWL.TotalHits=0\nSMTP.DNSBL.TotalHits=0\n");
	buffer_free(&lines);
	statistics_free(&statistics);
}

static void
expanded_hits_have_rows_for_zone_and_address(void **state)
{
	struct statistics statistics = { .octets = 0 };
	struct buffer lines = BUFFER_INITIALIZER(0);

	(void)state;
	statistics_count_hit(&statistics, STATISTICS_DNS_BLACKLIST, "black.example", "192.0.2.7");
	statistics_count_hit(&statistics, STATISTICS_DNS_BLACKLIST, "black.example", "192.0.2.8");
	statistics_count_hit(&statistics, STATISTICS_DNS_BLACKLIST, NULL, "192.0.2.9");
	statistics_count_hit(&statistics, STATISTICS_PRIVATE_BLACKLIST, NULL, "192.0.2.7");
	statistics_append(&statistics, &lines);
	assert_non_null(strstr(buffer_text(&lines), "SMTP.PrivateBL.TotalHits=1\n"));
	assert_non_null(strstr(buffer_text(&lines), "SMTP.DNSBL.TotalHits=3\n"));
	assert_non_null(strstr(buffer_text(&lines), "SMTP.DNSBL.black.example.TotalHits=2\n"));
	assert_non_null(strstr(buffer_text(&lines), "SMTP.DNSBL.black.example.192.0.2.7.Hits=1\n"));
	assert_non_null(strstr(buffer_text(&lines), "SMTP.DNSBL.black.example.192.0.2.8.Hits=1\n"));
	assert_null(strstr(buffer_text(&lines), "192.0.2.9"));
	buffer_free(&lines);
	statistics_free(&statistics);
}

static void
rows_are_bounded_and_known_ones_count_on(void **state)
{
	struct statistics statistics = { .octets = 0 };
	struct buffer lines = BUFFER_INITIALIZER(0);
	char address[20];

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(address, sizeof(address), "10.0.%u.%u", i / 256, i % 256);
		statistics_count_hit(&statistics, STATISTICS_DNS_WHITELIST, "white.example", address);
	}
	statistics_count_hit(&statistics, STATISTICS_DNS_WHITELIST, "white.example", "10.0.0.0");
	statistics_append(&statistics, &lines);
	assert_in_range(lines.length, 1000, STATISTICS_OCTETS + 200);
	assert_non_null(strstr(buffer_text(&lines), "SMTP.DNSWL.TotalHits=10001\n"));
	assert_non_null(strstr(buffer_text(&lines), "SMTP.DNSWL.white.example.TotalHits=10001\n"));
	assert_non_null(strstr(buffer_text(&lines), "SMTP.DNSWL.white.example.10.0.0.0.Hits=2\n"));
	buffer_free(&lines);
	statistics_free(&statistics);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(totals_are_told_even_when_nothing_was_counted),
		cmocka_unit_test(expanded_hits_have_rows_for_zone_and_address),
		cmocka_unit_test(rows_are_bounded_and_known_ones_count_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
