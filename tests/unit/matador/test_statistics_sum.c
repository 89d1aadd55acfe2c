/* test_statistics_sum - the statistics of several processes as one list */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/buffer.h"
#include "master/matador/statistics_sum.h"

static void
expect(const char *facility, const char *expected)
{
	struct statistics_sum sum = { .facility = facility };
	struct buffer text = BUFFER_INITIALIZER(0);

	statistics_sum_line(&sum, "service\tstate=running\tversion=0.1.0");
	statistics_sum_line(&sum, "worker\tprogram=smtpd\tpid=7\tsessions=3\tSMTP.PrivateBL.TotalHits=2\tSMTP.DNSBL.TotalHits=1");
	statistics_sum_line(&sum, "worker\tprogram=smtpd\tpid=8\tSMTP.DNSBL.TotalHits=40\t"
	    "SMTP.DNSBL.black.example.192.0.2.7.Hits=40\tSMTP.PrivateBL.TotalHits=0");
	statistics_sum_line(&sum, "worker\tprogram=qmgr\tMail.Waiting=9\tMAIL.Dead=18446744073709551615\tno pair");
	statistics_sum_append(&sum, &text);
	assert_string_equal(buffer_text(&text), expected);
	buffer_free(&text);
	statistics_sum_free(&sum);
}

static void
numbers_of_one_name_are_added_up_and_names_sorted(void **state)
{
	(void)state;
	expect("smtp", "  SMTP.DNSBL.TotalHits = 41\n  SMTP.DNSBL.black.example.192.0.2.7.Hits = 40\n"
	    "  SMTP.PrivateBL.TotalHits = 2\n  3 statistics found\n");
}

static void
without_a_facility_all_are_shown(void **state)
{
	(void)state;
	expect(NULL, "  MAIL.Dead = 18446744073709551615\n  SMTP.DNSBL.TotalHits = 41\n"
	    "  SMTP.DNSBL.black.example.192.0.2.7.Hits = 40\n  SMTP.PrivateBL.TotalHits = 2\n  4 statistics found\n");
}

static void
a_facility_that_nobody_counts_has_none(void **state)
{
	(void)state;
	expect("smt", "  0 statistics found\n");
	expect("calendar", "  0 statistics found\n");
}

static void
a_name_with_controls_in_it_does_not_reach_the_terminal(void **state)
{
	struct statistics_sum sum = { .facility = "smtp" };
	struct buffer text = BUFFER_INITIALIZER(0);

	(void)state;
	statistics_sum_line(&sum, "worker\tprogram=smtpd\tSMTP.\xc2\x9b" "2J\x7f\x1b\xc3\xa9=3");
	statistics_sum_append(&sum, &text);
	assert_string_equal(buffer_text(&text), "  SMTP.??2J??\xc3\xa9 = 3\n  1 statistics found\n");
	buffer_free(&text);
	statistics_sum_free(&sum);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_one_name_are_added_up_and_names_sorted),
		cmocka_unit_test(without_a_facility_all_are_shown),
		cmocka_unit_test(a_facility_that_nobody_counts_has_none),
		cmocka_unit_test(a_name_with_controls_in_it_does_not_reach_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
