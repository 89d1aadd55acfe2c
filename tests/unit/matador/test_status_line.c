/* test_status_line - master's status as people and programs read it */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "master/matador/status_line.h"

static void
a_worker_is_one_line_under_a_heading(void **state)
{
	struct status_view view = STATUS_VIEW_INITIALIZER;

	(void)state;
	status_view_line(&view, "worker\tprogram=qmgr\tinstance=0\tpid=17\tstate=ready\trestarts=2\tuptime=61\tjail=chroot\tmessages=5");
	status_view_line(&view, "worker\tprogram=local\tinstance=0\tpid=18\tstate=ready\trestarts=0\tuptime=7300\tjail=chroot");
	assert_non_null(strstr(view.text.data, "program"));
	assert_null(strstr(strstr(view.text.data, "program") + 1, "program"));
	assert_non_null(strstr(view.text.data, "qmgr 0"));
	assert_non_null(strstr(view.text.data, "messages=5\n"));
	assert_non_null(strstr(view.text.data, "61s"));
	assert_non_null(strstr(view.text.data, "2h"));
	buffer_free(&view.text);
}

static void
json_is_one_object_a_line_with_numbers_as_numbers(void **state)
{
	struct status_view view = STATUS_VIEW_INITIALIZER;

	(void)state;
	view.json = true;
	status_view_line(&view, "worker\tprogram=qmgr\tpid=17\tjail=");
	status_view_line(&view, "warning\ttext=a \"b\" c");
	assert_string_equal(view.text.data, "{\"kind\":\"worker\",\"program\":\"qmgr\",\"pid\":17,\"jail\":\"\"}\n"
	    "{\"kind\":\"warning\",\"text\":\"a \\\"b\\\" c\"}\n");
	buffer_free(&view.text);
}

static void
what_a_program_reports_does_not_replace_what_master_says(void **state)
{
	struct status_view view = STATUS_VIEW_INITIALIZER;

	(void)state;
	view.json = true;
	status_view_line(&view, "worker\tprogram=smtpd\tstate=ready\tjail=none\tjail=chroot\tstate=x\tkind=port\tsessions=1");
	assert_string_equal(view.text.data,
	    "{\"kind\":\"worker\",\"program\":\"smtpd\",\"state\":\"ready\",\"jail\":\"none\",\"sessions\":1}\n");
	buffer_free(&view.text);
}

static void
a_field_without_an_equals_sign_is_passed_over(void **state)
{
	struct status_view view = STATUS_VIEW_INITIALIZER;

	(void)state;
	status_view_line(&view, "port\tnonsense\taddress=0.0.0.0:25\tpurpose=smtp");
	assert_string_equal(view.text.data, "listening on 0.0.0.0:25 (smtp)\n");
	buffer_free(&view.text);
}

/* A terminal's command in the C1 form, and an octet that is no UTF-8. */
#define HOSTILE "x\xc2\x9b" "2J\xff\xc3\xa9"
#define HOSTILE_SHOWN "x??2J?\xc3\xa9"

static void
what_programs_report_cannot_command_the_terminal(void **state)
{
	static const char *const lines[] = { "service\tversion=" HOSTILE "\tserver=" HOSTILE,
		"port\taddress=" HOSTILE "\tpurpose=" HOSTILE,
		"worker\tprogram=" HOSTILE "\tjail=" HOSTILE "\t" HOSTILE "=" HOSTILE, "warning\ttext=" HOSTILE };
	struct status_view view = STATUS_VIEW_INITIALIZER;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		status_view_line(&view, lines[i]);
	assert_null(strstr(view.text.data, "\xc2\x9b"));
	assert_null(strchr(view.text.data, '\xff'));
	assert_non_null(strstr(view.text.data, "Matador " HOSTILE_SHOWN ", server " HOSTILE_SHOWN ":"));
	assert_non_null(strstr(view.text.data, "listening on " HOSTILE_SHOWN " (" HOSTILE_SHOWN ")\n"));
	assert_non_null(strstr(view.text.data, " " HOSTILE_SHOWN "=" HOSTILE_SHOWN "\n"));
	assert_non_null(strstr(view.text.data, "warning: " HOSTILE_SHOWN "\n"));
	buffer_free(&view.text);
}

static void
json_is_utf8_whatever_a_program_reports(void **state)
{
	struct status_view view = STATUS_VIEW_INITIALIZER;

	(void)state;
	view.json = true;
	status_view_line(&view, "worker\ta\xff=b\xc3\ta\xfe=again\tn\xff=7\t\xc3\xa9=\xc3\xa9");
	assert_string_equal(view.text.data, "{\"kind\":\"worker\",\"a\xef\xbf\xbd\":\"b\xef\xbf\xbd\","
	    "\"n\xef\xbf\xbd\":7,\"\xc3\xa9\":\"\xc3\xa9\"}\n");
	buffer_free(&view.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_is_one_line_under_a_heading),
		cmocka_unit_test(json_is_one_object_a_line_with_numbers_as_numbers),
		cmocka_unit_test(what_a_program_reports_does_not_replace_what_master_says),
		cmocka_unit_test(a_field_without_an_equals_sign_is_passed_over),
		cmocka_unit_test(what_programs_report_cannot_command_the_terminal),
		cmocka_unit_test(json_is_utf8_whatever_a_program_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
