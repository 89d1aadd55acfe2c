/* test_conf_documents - etc/ as a whole: what is read, what is a mistake, and how it is said */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "common/base/attributes.h"
#include "tests/unit/common/conf_folder.h"

#define EAST "server \"East1/Servers/Acme\" { domino_domain = Acme }\n"
#define HASH "\"$y$j9T$abcdefghijklmnop$abcdefgh\""

/* A mistake: in a folder with the usual files, file holds text, and one line of the report begins with file:LINE
 * and has the words. */
static const struct {
	const char *name;
	const char *file;
	const char *text;
	unsigned line;
	const char *words;
} mistakes[] = {
	{ "an unknown key, with a suggestion", "matador.conf", CONF_FOLDER_HOST "\nspool_dirctory = /x\n", 4,
	    "spool_dirctory: found no such key; did you mean spool_directory?" },
	{ "a key of another document", "matador.conf", CONF_FOLDER_HOST "relay_host = x.example\n", 3,
	    "allowed: in a document of configurations.conf" },
	{ "an unknown value", "matador.conf", CONF_FOLDER_HOST "log_format = yaml\n", 3,
	    "found \"yaml\"; allowed: text, json" },
	{ "a number out of range", "matador.conf", CONF_FOLDER_HOST "smtpd_processes = 65\n", 3,
	    "a number from 0 to 64" },
	{ "a key twice", "matador.conf", CONF_FOLDER_HOST "log_to = stderr\nlog_to = syslog\n", 4,
	    "found a second time (first in " },
	{ "a list instead of a value", "matador.conf", CONF_FOLDER_HOST "log_to = { stderr }\n", 3,
	    "found a list; allowed: one value" },
	{ "a value instead of a list", "matador.conf", CONF_FOLDER_HOST "nameservers = \"::1\"\n", 3,
	    "found one value; allowed: a list" },
	{ "a missing value", "matador.conf", CONF_FOLDER_HOST "log_to =\n", 4,
	    "log_to: found the end of the file" },
	{ "two equal signs", "matador.conf", CONF_FOLDER_HOST "log_to = = stderr\n", 3,
	    "log_to: found =; allowed: a word" },
	{ "an unquoted *", "matador.conf", CONF_FOLDER_HOST "listen_addresses = { * }\n", 3,
	    "found *; allowed without quotes" },
	{ "an open quote", "matador.conf", CONF_FOLDER_HOST "log_to = \"stderr\n", 3,
	    "without its closing quote" },
	{ "a backslash before n", "matador.conf", CONF_FOLDER_HOST "log_to = \"a\\nb\"\n", 3,
	    "allowed: \\\" and \\\\" },
	{ "a tabulator in a text", "matador.conf", CONF_FOLDER_HOST "log_to = \"a\tb\"\n", 3,
	    "control character" },
	{ "octets that are no UTF-8", "matador.conf", CONF_FOLDER_HOST "log_to = \"a\xff\"\n", 3, "UTF-8" },
	{ "a list without a comma", "matador.conf", CONF_FOLDER_HOST "nameservers = { \"::1\" \"::2\" }\n", 3,
	    "nameservers: found ::2; allowed: '}' or ','" },
	{ "a document in matador.conf", "matador.conf", CONF_FOLDER_HOST EAST, 3, "allowed: in servers.conf" },
	{ "an include of nothing", "matador.conf", CONF_FOLDER_HOST "include \"none.conf\"\n", 3, "No such file" },
	{ "a file that includes itself", "matador.conf", CONF_FOLDER_HOST "include \"matador.conf\"\n", 3,
	    "includes itself" },
	{ "a relative path", "matador.conf", CONF_FOLDER_HOST "spool_directory = spool\n", 3, "an absolute path" },
	{ "one folder for two things", "matador.conf", CONF_FOLDER_HOST "mail_directory = /var/spool/matador\n", 3,
	    "found the folder of spool_directory" },
	{ "a log that goes nowhere", "matador.conf", CONF_FOLDER_HOST "log_to = file\n", 3,
	    "allowed: syslog, stderr, an absolute path" },
	{ "a key file without a certificate", "matador.conf", CONF_FOLDER_HOST "tls_key_file = /dev/null\n", 3,
	    "both or none" },
	{ "two uses of one port", "matador.conf", CONF_FOLDER_HOST "submission_port = 587\nnotes_port = 587\n", 4,
	    "the port of submission_port" },
	{ "a server without a document", "matador.conf", "server_name = \"Hub2/Acme\"\n", 1,
	    "which has no server document" },
	{ "an unknown postmaster", "matador.conf", "server_name = \"Hub1/Servers/Acme\"\npostmaster = "
	    "\"Nobody/Acme\"\n", 2, "which the Directory does not know" },

	{ "a host name without a dot", "servers.conf", "server \"Hub1/Servers/Acme\" { internet_host_name = hub "
	    "}\n", 1, "found \"hub\"; allowed: a fully qualified name" },
	{ "our document without a host name", "servers.conf", "server \"Hub1/Servers/Acme\" { }\n", 1,
	    "found no Internet host name" },
	{ "a server twice, in another case", "servers.conf", CONF_FOLDER_SERVER "server \"hub1/servers/ACME\" { "
	    "}\n", 2, "found \"hub1/servers/ACME\" a second time" },
	{ "a document without a title", "servers.conf", CONF_FOLDER_SERVER "server { }\n", 2,
	    "found { without a title" },
	{ "an unknown kind of document", "servers.conf", CONF_FOLDER_SERVER "sevrer \"x\" { }\n", 2,
	    "allowed here: server" },
	{ "a document of another file", "servers.conf", CONF_FOLDER_SERVER "person \"x\" { }\n", 2,
	    "allowed: in directory/*.conf" },
	{ "a key outside of a document", "servers.conf", CONF_FOLDER_SERVER "domino_domain = Acme\n", 2,
	    "outside of a document" },
	{ "a key outside of its section", "servers.conf", CONF_FOLDER_SERVER "server \"E\" { tcp_port = 25 }\n", 2,
	    "found in the wrong place; allowed: smtp_inbound.tcp_port" },
	{ "an unknown section", "servers.conf", CONF_FOLDER_SERVER "server \"E\" { smtp { tcp_port = 25 } }\n", 2,
	    "smtp: found no section" },
	{ "a section twice", "servers.conf", CONF_FOLDER_SERVER "server \"E\" { smtp_inbound { tcp_port = 25 } "
	    "smtp_inbound { tls_port = 465 } }\n", 2, "found a second time in one" },
	{ "a section in a section", "servers.conf", CONF_FOLDER_SERVER "server \"E\" { smtp_inbound { "
	    "smtp_outbound { } } }\n", 2, "found in section smtp_inbound" },
	{ "an include in a document", "servers.conf", CONF_FOLDER_SERVER "server \"E\" { include \"x\" }\n", 2,
	    "between documents" },
	{ "a brace too many", "servers.conf", CONF_FOLDER_SERVER "}\n", 2, "found without a {" },
	{ "a brace too few at the end", "servers.conf", CONF_FOLDER_SERVER "server \"E\" {\n", 2,
	    "found no } for what begins here" },
	{ "a brace too few in between", "servers.conf", "server \"E\" {\n" CONF_FOLDER_SERVER, 1,
	    "found no } for what begins here" },

	{ "a configuration for nobody", "configurations.conf", "configuration \"Hub9\" { }\n", 1,
	    "neither a server nor a group" },
	{ "a mask with a wildcard", "configurations.conf",
	    "configuration \"*\" { relay_enforcement_exclude_hosts = {\n\"[10.0.0.1]\",\n\"[192.168.*.0/24]\" } "
	    "}\n", 3, "a mask cannot be combined with a wildcard or a range" },
	{ "a group that does not exist", "configurations.conf", "configuration \"*\" { deny_senders = { Spammers "
	    "} }\n", 1, "found \"Spammers\", and there is no such group" },
	{ "a secret that others can read", "configurations.conf", "configuration \"*\" { relay_host_user = u "
	    "relay_host_password = p }\n", 1, "found in a file that others can read" },
	{ "two source addresses of one family", "configurations.conf", "configuration \"*\" {\nsmtp_source_addresses = { "
	    "\"192.0.2.1\", \"::1\",\n\"192.0.2.2\" } }\n", 3, "found 192.0.2.2 beside 192.0.2.1; allowed: at most one" },
	{ "%s too often", "configurations.conf", "configuration \"*\" { private_blacklist_reply = \"%s %s\" }\n",
	    1, "at most 1 times" },
	{ "% before another letter", "configurations.conf", "configuration \"*\" { dns_blacklist_reply = \"%n\" "
	    "}\n", 1, "found a %" },
	{ "SMTPUTF8 without 8BITMIME", "configurations.conf", "configuration \"*\" { smtp_in_8bitmime = disabled "
	    "}\n", 1, "smtp_in_smtputf8 needs it" },
	{ "STARTTLS without a certificate", "configurations.conf", "configuration \"*\" { smtp_in_starttls = "
	    "enabled }\n", 1, "names no certificate" },

	{ "a global domain without a domain", "domains.conf", "global_domain \"G\" { }\n", 1,
	    "local_primary_internet_domain" },
	{ "a domain claimed twice", "domains.conf", "global_domain \"G\" { local_primary_internet_domain = "
	    "acme.com\ninternet_domain_aliases = { \"ACME.com\" } }\n", 2, "found acme.com a second time" },
	{ "a wildcard inside an alias", "domains.conf", "global_domain \"G\" { local_primary_internet_domain = "
	    "acme.com\ninternet_domain_aliases = { \"a.*.com\" } }\n", 2, "found \"a.*.com\"" },
	{ "a foreign SMTP domain that leads nowhere", "domains.conf", "foreign_smtp_domain \"*.*\" { }\n", 1,
	    "neither next_domain nor next_host" },
	{ "a pattern that is none", "domains.conf", "foreign_smtp_domain \"a*.com\" { next_host = x.example }\n",
	    1, "found the pattern" },
	{ "a gateway on an unknown server", "domains.conf", "foreign_domain Fax { }\nforeign_domain \"Fax\" { "
	    "gateway_server = X gateway_mail_file = f }\n", 2, "which has no server document" },
	{ "a title twice", "domains.conf", "adjacent_domain \"A\" { }\nadjacent_domain \"a\" { }\n", 2,
	    "a second time" },

	{ "a connection to an unknown server", "connections.conf",
	    "connection \"C\" { source = \"Hub1/Servers/Acme\"\ndestination = \"East1/Servers/Acme\" }\n", 2,
	    "destination: found \"East1/Servers/Acme\", which has no server document" },
	{ "an SMTP connection to no domain", "connections.conf", "smtp_connection \"C\" { source_server = "
	    "\"Hub1/Servers/Acme\"\ndestination_domain = TheInternet }\n", 2,
	    "the next_domain of a foreign_smtp_domain" },

	{ "a password that others can read", "directory/p.conf", "person \"A/B\" { password = " HASH " }\n", 1,
	    "found in a file that others can read" },
	{ "a password that is no hash", "directory/p.conf", "person \"A/B\" { password = hunter2 }\n", 1,
	    "not shown" },
	{ "a person twice", "directory/p.conf", "person \"A/B\" { }\nperson \"CN=a/O=b\" { }\n", 2,
	    "found \"a/b\" a second time" },
	{ "a group called like a person", "directory/p.conf", "person \"A/B\" { }\ngroup \"A/B\" { }\n", 1,
	    "found \"A/B\" a second" },
	{ "a short name twice", "directory/p.conf", "person \"A\" { short_names = { x } }\nperson \"B\" { "
	    "short_names = { X } }\n", 2, "short_names: found \"X\" a second time" },
	{ "an address twice", "directory/p.conf", "person \"A\" { internet_address = a@b.c }\nperson \"B\" { "
	    "internet_address = A@B.c }\n", 2, "a second time" },
	{ "a mail server without a document", "directory/p.conf", "person \"A\" { mail_server = \"East1/Acme\" "
	    "}\n", 1, "which has no server document" },
	{ "a mail file that leads out", "directory/p.conf", "person \"A\" { mail_file = \"../../etc\" }\n", 1,
	    "mail_file: found" },
	{ "a mail file from the root", "directory/p.conf", "person \"A\" { mail_file = /etc/x }\n", 1,
	    "mail_file: found" },
	{ "a mail file that hides", "directory/p.conf", "person \"A\" { mail_file = a/.b }\n", 1,
	    "mail_file: found" },
	{ "forwarding to nobody", "directory/p.conf", "person \"A\" { forwarding_address = nobody }\n", 1,
	    "does not know" },
	{ "forwarding to oneself", "directory/p.conf", "person \"A\" { internet_address = a@b.c "
	    "forwarding_address = A@b.c }\n", 1, "found the person's own" },
	{ "a member who does not exist", "directory/p.conf", "group \"G\" { members = { G, \"A/B\" } }\n", 1,
	    "found \"A/B\", which" },
	{ "a title with @", "directory/p.conf", "person \"a@b\" { }\n", 1, "found the title" },
};

static size_t
count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static void
each_mistake_is_named_with_file_line_and_remedy(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(mistakes); i++) {
		struct documents_report report;
		struct conf_folder folder;
		char start[PATH_MAX + 32], path[PATH_MAX], *line;

		conf_folder_make(&folder);
		conf_folder_write_usual(&folder);
		conf_folder_write(&folder, mistakes[i].file, mistakes[i].text);
		snprintf(path, sizeof(path), "%s/%s", folder.path, mistakes[i].file);
		assert_int_equal(chmod(path, 0644), 0);
		assert_null(documents_read(folder.path, &report));
		assert_int_equal(report.error_count, count_lines(buffer_text(&report.errors)));
		snprintf(start, sizeof(start), "%s:%u: ", path, mistakes[i].line);
		line = strstr(buffer_text(&report.errors), start);
		while (line != NULL && memmem(line, strcspn(line, "\n"), mistakes[i].words,
		    strlen(mistakes[i].words)) == NULL)
			line = strstr(line + 1, start);
		if (line == NULL)
			fail_msg("%s: %s", mistakes[i].name, buffer_text(&report.errors));
		assert_null(strstr(buffer_text(&report.errors), "hunter2"));
		documents_report_free(&report);
		conf_folder_remove(&folder);
	}
}

static void
one_run_reports_mistakes_of_all_files(void **state UNUSED)
{
	struct documents_report report;
	struct conf_folder folder;

	conf_folder_make(&folder);
	conf_folder_write(&folder, "matador.conf", CONF_FOLDER_HOST "a = 1\nlog_format = yaml\nb = = 2\nlog_to = "
	    "file\n");
	conf_folder_write(&folder, "servers.conf", CONF_FOLDER_SERVER "server \"x\" { c = 1\n");
	conf_folder_write(&folder, "configurations.conf", "configuration \"*\" { maximum_sessions = 0 }\n");
	conf_folder_write(&folder, "directory/a.conf", "person \"A\" { d = 1 }\n");
	assert_null(documents_read(folder.path, &report));
	assert_int_equal(report.error_count, 8);
	documents_report_free(&report);
	conf_folder_remove(&folder);
}

static void
matador_conf_must_exist(void **state UNUSED)
{
	struct documents_report report;
	struct conf_folder folder;

	conf_folder_make(&folder);
	conf_folder_write(&folder, "servers.conf", CONF_FOLDER_SERVER);
	assert_null(documents_read(folder.path, &report));
	assert_non_null(strstr(report.errors.data, "matador.conf: -: found no file to read"));
	documents_report_free(&report);
	conf_folder_remove(&folder);
}

static void
values_lists_and_places_are_kept(void **state UNUSED)
{
	const struct settings *settings;
	struct conf_folder folder;

	conf_folder_make(&folder);
	conf_folder_write_usual(&folder);
	conf_folder_write(&folder, "matador.conf", "\xef\xbb\xbf# a comment\r\n" CONF_FOLDER_HOST
	    "drain_timeout=2m nameservers = { \"127.0.0.1@5353\",\n  \"::1\", } # { \n inline_body_limit = 64K\n");
	settings = conf_folder_read(&folder);
	assert_true(settings->matador.drain_timeout.number == 120);
	assert_true(settings->matador.inline_body_limit.number == 65536);
	assert_int_equal(settings->matador.drain_timeout.at.line, 4);
	assert_true(settings->matador.drain_timeout.given);
	assert_int_equal(settings->matador.nameservers.count, 2);
	assert_string_equal(settings->matador.nameservers.items[1].text, "::1");
	assert_int_equal(settings->matador.nameservers.items[1].at.line, 5);
	assert_non_null(strstr(settings->matador.nameservers.items[1].at.file, "/matador.conf"));
	assert_false(settings->matador.log_to.given);
	assert_string_equal(settings->matador.log_to.text, "syslog");
	assert_int_equal(settings->matador.log_to.at.line, 0);
	assert_string_equal(settings->server.internet_host_name.text, "hub.acme.com");
	assert_string_equal(settings->server.title, "Hub1/Servers/Acme");
	assert_int_equal(settings->configuration.relay_deny_destinations.count, 1);
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static void
included_files_hold_what_their_includer_may(void **state UNUSED)
{
	const struct settings *settings;
	struct conf_folder folder;
	char path[PATH_MAX];

	conf_folder_make(&folder);
	conf_folder_write_usual(&folder);
	snprintf(path, sizeof(path), "%s/more", folder.path);
	assert_int_equal(mkdir(path, 0700), 0);
	conf_folder_write(&folder, "servers.conf", CONF_FOLDER_SERVER
	    "include \"more/*.conf\"\nserver \"C\" { }\n");
	conf_folder_write(&folder, "more/1.conf", "server \"A\" { }\n");
	conf_folder_write(&folder, "more/2.conf", "server \"B\" { }\n");
	conf_folder_write(&folder, "more/.3.conf", "mistake");
	conf_folder_write(&folder, "more/2.conf~", "mistake");
	settings = conf_folder_read(&folder);
	assert_int_equal(settings->server_count, 4);
	assert_string_equal(settings->server_documents[1].title, "A");
	assert_string_equal(settings->server_documents[2].title, "B");
	assert_non_null(strstr(settings->server_documents[2].at.file, "/more/2.conf"));
	assert_string_equal(settings->server_documents[3].title, "C");
	assert_non_null(strstr(settings->server_documents[3].at.file, "/servers.conf"));
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static const struct {
	const char *configurations;
	int64_t sessions;
	const char *why;
} in_force[] = {
	{ "", 10000, "nothing: the default" },
	{ "configuration \"*\" { maximum_sessions = 1 }", 1, "the one for all" },
	{ "configuration \"*\" { maximum_sessions = 1 } configuration \"Hubs\" { maximum_sessions = 2 }", 2,
	    "the group's" },
	{ "configuration \"Hubs\" { maximum_sessions = 2 } configuration \"hub1/servers/acme\" { "
	    "maximum_sessions = 3 }", 3, "the server's" },
	{ "configuration \"*\" { maximum_sessions = 1 } configuration \"Hubs\" { }", 10000, "as a whole" },
	{ "configuration \"*\" { maximum_sessions = 1 } configuration \"Others\" { maximum_sessions = 2 }", 1,
	    "not another group's" },
	{ "configuration \"Outer\" { maximum_sessions = 4 }", 4, "a group in a group" },
};

static void
the_most_specific_configuration_is_in_force(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(in_force); i++) {
		const struct settings *settings;
		struct conf_folder folder;

		conf_folder_make(&folder);
		conf_folder_write_usual(&folder);
		conf_folder_write(&folder, "configurations.conf", in_force[i].configurations);
		conf_folder_write(&folder, "directory/g.conf", "group \"Hubs\" { type = servers_only members = { "
		    "\"Hub1/Servers/Acme\" } }\ngroup \"Others\" { type = servers_only }\ngroup \"Outer\" { type "
		    "= servers_only members = { Hubs, Ring } }\ngroup \"Ring\" { type = servers_only members = { "
		    "Outer } }\n");
		settings = conf_folder_read(&folder);
		if (settings->configuration.maximum_sessions.number != in_force[i].sessions)
			fail_msg("%s", in_force[i].why);
		settings_release(&settings);
		conf_folder_remove(&folder);
	}
}

static void
two_groups_for_one_server_are_a_mistake(void **state UNUSED)
{
	struct documents_report report;
	struct conf_folder folder;

	conf_folder_make(&folder);
	conf_folder_write_usual(&folder);
	conf_folder_write(&folder, "configurations.conf", "configuration \"A\" { }\nconfiguration \"B\" { }\n");
	conf_folder_write(&folder, "directory/g.conf", "group \"A\" { members = { \"Hub1/Servers/Acme\" } }\n"
	    "group \"B\" { members = { \"Hub1/Servers/Acme\" } }\n");
	assert_null(documents_read(folder.path, &report));
	assert_non_null(strstr(report.errors.data,
	    "configurations.conf:2: configuration: found \"B\", but \"A\""));
	documents_report_free(&report);
	conf_folder_remove(&folder);
}

static void
probable_slips_are_warnings(void **state UNUSED)
{
	static const char *const slips[][2] = {
		{ "relay_allow_hosts = { \"acme.com\" }", "acme.com lets in every name with that ending" },
		{ "relay_enforcement_exclude_hosts = { \"*\" }", "lets in everybody" },
		{ "relay_enforcement = none", "everybody may relay" },
		{ "relay_deny_destinations = {}", "everybody may relay" },
		{ "local_smart_host = x.example", "never reach the smart host" },
		{ "relay_host = x.example", "no mail goes to the relay host" },
		{ "dns_blacklist_filters = enabled", "nothing is filtered" },
		{ "oversize_message = report", "forged senders" },
		{ "journaling = enabled", "no effect in this version" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(slips); i++) {
		struct documents_report report;
		const struct settings *settings;
		struct conf_folder folder;
		char text[256];

		conf_folder_make(&folder);
		conf_folder_write_usual(&folder);
		snprintf(text, sizeof(text), "configuration \"*\" {\n%s }\n", slips[i][0]);
		conf_folder_write(&folder, "configurations.conf", text);
		settings = documents_read(folder.path, &report);
		assert_non_null(settings);
		/* Some of them have no effect in this version, which is said besides. */
		assert_in_range(report.warning_count, 1, 2);
		assert_non_null(strstr(report.warnings.data, slips[i][1]));
		assert_non_null(strstr(report.warnings.data, "configurations.conf:2: "));
		settings_release(&settings);
		documents_report_free(&report);
		conf_folder_remove(&folder);
	}
}

static void
a_port_for_outbound_smtp_that_does_less_than_one_thinks_is_a_warning(void **state UNUSED)
{
	static const char *const statuses[][2] = { { "disabled", "no mail leaves by SMTP" },
		{ "negotiated_tls", "without TLS" } };

	for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
		struct documents_report report;
		const struct settings *settings;
		struct conf_folder folder;
		char text[256];

		conf_folder_make(&folder);
		conf_folder_write_usual(&folder);
		snprintf(text, sizeof(text), "server \"Hub1/Servers/Acme\" {\ndomino_domain = Acme internet_host_name = "
		    "hub.acme.com\nsmtp_outbound { tcp_status = %s } }\n", statuses[i][0]);
		conf_folder_write(&folder, "servers.conf", text);
		settings = documents_read(folder.path, &report);
		assert_non_null(settings);
		assert_int_equal(report.warning_count, 1);
		assert_non_null(strstr(report.warnings.data, "servers.conf:3: smtp_outbound.tcp_status: "));
		assert_non_null(strstr(report.warnings.data, statuses[i][1]));
		settings_release(&settings);
		documents_report_free(&report);
		conf_folder_remove(&folder);
	}
}

static void
the_shipped_files_are_valid_with_every_example_in_force(void **state UNUSED)
{
	struct conf_folder folder;
	const struct settings *settings;
	char command[1024];

	conf_folder_make(&folder);
	/* Examples are behind "#key", "#}" or "#    "; certificates do not exist here, and a hash is only hinted
	 * at. */
	snprintf(command, sizeof(command), "for f in etc/*.conf etc/directory/*.conf; do sed -E "
	    "-e 's/^#([a-z}]|    )/\\1/' -e '/^tls_/d' "
	    "-e 's/\"[$]y[$]j9T[$][.]{3}\"/\"$y$j9T$abcdefghijklmnop$abcdefgh\"/' \"$f\" >\"%s/${f#etc/}\" && "
	    "chmod 600 \"%s/${f#etc/}\" || exit 1; done", folder.path, folder.path);
	assert_int_equal(system(command), 0);
	settings = conf_folder_read(&folder);
	assert_int_equal(settings->person_count, 2);
	assert_string_equal(settings->server.title, "Hub1/Servers/Acme");
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static void
a_hundred_thousand_people_are_read_in_seconds(void **state UNUSED)
{
	struct buffer text = BUFFER_INITIALIZER(0);
	const struct settings *settings;
	struct conf_folder folder;
	struct timespec start, end;

	for (unsigned i = 0; i < 100000; i++)
		buffer_printf(&text, "person \"User %u/Sales/Acme\" { short_names = { u%u } internet_address = "
		    "u%u@acme.com mail_file = u%u }\n", i, i, i, i);
	conf_folder_make(&folder);
	conf_folder_write_usual(&folder);
	conf_folder_write(&folder, "directory/people.conf", text.data);
	buffer_free(&text);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	settings = conf_folder_read(&folder);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_int_equal(settings->person_count, 100000);
	/* About one second, with room for sanitizers; quadratic work would take minutes. */
	assert_true(end.tv_sec - start.tv_sec < 15);
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static void
a_file_of_garbage_is_a_mistake_and_no_crash(void **state UNUSED)
{
	static const char *const garbage[] = { "\0", "{{{{{{", "}}}}}}", "= = =", "a = {", "a = { b", "a = { b,",
	    "\"", "\"\\", "include",
		"server", "server \"x\"", "server \"x\" { a", ",,,", "a = b } c = d { e", "\xff\xfe", "[",
		    "x { y { z {" };

	for (size_t i = 0; i < ARRAY_COUNT(garbage); i++) {
		struct documents_report report;
		struct conf_folder folder;

		conf_folder_make(&folder);
		conf_folder_write_usual(&folder);
		conf_folder_write_bytes(&folder, "servers.conf", garbage[i], strlen(garbage[i]) + (i == 0));
		assert_null(documents_read(folder.path, &report));
		assert_true(report.error_count >= 1 && report.error_count <= 12);
		documents_report_free(&report);
		conf_folder_remove(&folder);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_is_named_with_file_line_and_remedy),
		cmocka_unit_test(one_run_reports_mistakes_of_all_files),
		cmocka_unit_test(matador_conf_must_exist),
		cmocka_unit_test(values_lists_and_places_are_kept),
		cmocka_unit_test(included_files_hold_what_their_includer_may),
		cmocka_unit_test(the_most_specific_configuration_is_in_force),
		cmocka_unit_test(two_groups_for_one_server_are_a_mistake),
		cmocka_unit_test(probable_slips_are_warnings),
		cmocka_unit_test(a_port_for_outbound_smtp_that_does_less_than_one_thinks_is_a_warning),
		cmocka_unit_test(the_shipped_files_are_valid_with_every_example_in_force),
		cmocka_unit_test(a_hundred_thousand_people_are_read_in_seconds),
		cmocka_unit_test(a_file_of_garbage_is_a_mistake_and_no_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
