/* test_host_name - a server without a Server document is called as the system says; a name that is none is told usefully */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netdb.h>
#include <stdio.h>

#include "common/base/attributes.h"
#include "tests/unit/common/conf_folder.h"

static const char *system_name;

int
gethostname(char *name, size_t size)
{
	snprintf(name, size, "%s", system_name);
	return 0;
}

int
getaddrinfo(const char *name UNUSED, const char *service UNUSED, const struct addrinfo *hints UNUSED, struct addrinfo **found UNUSED)
{
	return EAI_NONAME;
}

static const struct settings *
read_without_servers(const char *name, const char *host_document, struct conf_folder *folder, struct documents_report *report)
{
	system_name = name;
	conf_folder_make(folder);
	conf_folder_write(folder, "matador.conf", host_document);
	return documents_read(folder->path, report);
}

static void
expect_told(const char *host_document)
{
	struct documents_report report;
	struct conf_folder folder;
	char expected[300];

	assert_null(read_without_servers("vm", host_document, &folder, &report));
	snprintf(expected, sizeof(expected), "%s/servers.conf: internet_host_name: found the system's name \"vm\"; allowed: ",
	    folder.path);
	assert_non_null(strstr(buffer_text(&report.errors), expected));
	assert_null(strstr(buffer_text(&report.errors), ":0:"));
	documents_report_free(&report);
	conf_folder_remove(&folder);
}

static void
a_system_without_a_full_name_is_told_with_the_file_to_write(void **state UNUSED)
{
	expect_told("postmaster = postmaster@acme.com\n");
	expect_told(CONF_FOLDER_HOST);
}

static void
the_system_s_full_name_is_the_server_s(void **state UNUSED)
{
	struct documents_report report;
	struct conf_folder folder;
	const struct settings *settings = read_without_servers("Hub.Acme.com", "log_to = stderr\n", &folder, &report);

	assert_string_equal(buffer_text(&report.errors), "");
	assert_non_null(settings);
	assert_string_equal(settings->server.internet_host_name.text, "hub.acme.com");
	assert_string_equal(settings->server.title, "hub/Servers");
	settings_release(&settings);
	documents_report_free(&report);
	conf_folder_remove(&folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_system_without_a_full_name_is_told_with_the_file_to_write),
		cmocka_unit_test(the_system_s_full_name_is_the_server_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
