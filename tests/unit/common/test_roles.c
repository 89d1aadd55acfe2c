/* test_roles - the trust map as it is expanded */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/ipc/deposit.h"
#include "common/worker/roles.h"

static void
roles_are_found_by_name(void **state)
{
	enum role role;

	(void)state;
	for (role = ROLE_MASTER; role < ROLE_COUNT; role++)
		assert_int_equal(role_by_name(role_rows[role].name), role);
	assert_int_equal(role_by_name("smtp"), ROLE_SMTP);
	assert_int_equal(role_by_name("smtpx"), ROLE_COUNT);
	assert_int_equal(role_by_name(""), ROLE_COUNT);
}

static void
a_role_has_the_setting_of_its_number_or_none(void **state)
{
	(void)state;
	assert_string_equal(role_rows[ROLE_SMTPD].processes_setting, "smtpd_processes");
	assert_null(role_rows[ROLE_QMGR].processes_setting);
	assert_int_equal(role_rows[ROLE_QMGR].jail, JAIL_MAILBOX);
	assert_int_equal(role_rows[ROLE_MASTER].jail, JAIL_NONE);
}

/* The rule behind the table: who touches the network opens no file. */
static void
programs_that_touch_the_network_are_shut_in_an_empty_folder(void **state)
{
	static const enum role network[] = { ROLE_SMTPD, ROLE_SMTP, ROLE_RESOLVER, ROLE_POLICY, ROLE_ROUTER };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(network) / sizeof(network[0]); i++)
		assert_int_equal(role_rows[network[i]].jail, JAIL_EMPTY);
}

static void
everyone_talks_to_logger_and_only_smtpd_deposits(void **state)
{
	unsigned log = 0;
	size_t i;

	(void)state;
	for (i = 0; i < role_pair_count; i++) {
		log += role_pairs[i].server == ROLE_LOGGER;
		if (role_pairs[i].protocol == &deposit_protocol) {
			assert_int_equal(role_pairs[i].asker, ROLE_SMTPD);
			assert_int_equal(role_pairs[i].server, ROLE_QMGR);
		}
	}
	assert_int_equal(log, ROLE_COUNT - 3);	/* all but master, logger itself and the control command */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_are_found_by_name),
		cmocka_unit_test(a_role_has_the_setting_of_its_number_or_none),
		cmocka_unit_test(programs_that_touch_the_network_are_shut_in_an_empty_folder),
		cmocka_unit_test(everyone_talks_to_logger_and_only_smtpd_deposits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
