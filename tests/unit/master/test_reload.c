/* test_reload - what only a restart can change is refused by name */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "master/reload.h"

static struct settings
some_settings(void)
{
	struct settings settings = { 0 };
	struct document_matador *matador = &settings.matador;
	struct setting *const texts[] = { &matador->server_name, &matador->spool_directory, &matador->mail_directory,
		&matador->program_directory, &matador->control_socket, &matador->log_to, &matador->user_prefix,
		&matador->smtpd_processes, &matador->smtp_processes, &settings.configuration.maximum_sessions,
		&settings.configuration.maximum_message_size_kb };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		texts[i]->text = "same";
	settings.configuration.maximum_sessions.number = 100;
	settings.configuration.maximum_message_size_kb.number = 50 << 20;
	return settings;
}

static void
the_same_settings_are_taken(void **state)
{
	struct settings old = some_settings(), new = some_settings();
	struct buffer text = BUFFER_INITIALIZER(0);

	(void)state;
	assert_int_equal(reload_find_refused(&old, &new, &text), 0);
	assert_int_equal(text.length, 0);
}

static void
each_path_and_number_is_refused_by_name_and_place(void **state)
{
	struct settings old = some_settings(), new = some_settings();
	struct buffer text = BUFFER_INITIALIZER(0);

	(void)state;
	new.matador.spool_directory = (struct setting){ .text = "/elsewhere", .at = { "/etc/matador/matador.conf", 7 } };
	new.matador.smtpd_processes.number = 3;
	assert_int_equal(reload_find_refused(&old, &new, &text), 2);
	assert_non_null(strstr(text.data, "/etc/matador/matador.conf:7: spool_directory: "));
	assert_non_null(strstr(text.data, "smtpd_processes: "));
	assert_non_null(strstr(text.data, "matador restart"));
	buffer_free(&text);
}

static void
more_sessions_need_more_open_files_and_a_restart_but_fewer_do_not(void **state)
{
	struct settings old = some_settings(), new = some_settings();
	struct buffer text = BUFFER_INITIALIZER(0);

	(void)state;
	new.configuration.maximum_sessions.number = 50;
	assert_int_equal(reload_find_refused(&old, &new, &text), 0);
	new.configuration.maximum_sessions.number = 5000;
	assert_int_equal(reload_find_refused(&old, &new, &text), 1);
	buffer_free(&text);
}

static void
a_message_size_is_taken_as_far_as_a_running_smtpd_can_write(void **state)
{
	struct settings old = some_settings(), new = some_settings();
	struct buffer text = BUFFER_INITIALIZER(0);

	(void)state;
	new.configuration.maximum_message_size_kb.number = 200 << 20;
	assert_int_equal(reload_find_refused(&old, &new, &text), 0);
	new.configuration.maximum_message_size_kb.number = 0;
	assert_int_equal(reload_find_refused(&old, &new, &text), 1);
	new.configuration.maximum_message_size_kb.number = (int64_t)1 << 40;
	assert_int_equal(reload_find_refused(&old, &new, &text), 1);
	assert_non_null(strstr(text.data, "maximum_message_size_kb"));
	buffer_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_settings_are_taken),
		cmocka_unit_test(each_path_and_number_is_refused_by_name_and_place),
		cmocka_unit_test(a_message_size_is_taken_as_far_as_a_running_smtpd_can_write),
		cmocka_unit_test(more_sessions_need_more_open_files_and_a_restart_but_fewer_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
