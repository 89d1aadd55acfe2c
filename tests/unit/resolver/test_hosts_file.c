/* Unit tests of resolver/hosts_file.c and nameservers.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/hosts_file.h"
#include "resolver/nameservers.h"

static void
finds_names_and_addresses(void **state)
{
	static const char text[] =
	    "127.0.0.1\tlocalhost\n"
	    "::1 localhost ip6-localhost # 192.0.2.9 hidden\n"
	    "192.0.2.1 Mail.Example.NET. mail\r\n"
	    "192.0.2.1 other\n"
	    "192.0.2.300 wrong\n"
	    "nonsense\n"
	    "192.0.2.2";
	struct hosts_file *hosts = hosts_file_parse(text, strlen(text));
	struct hosts_address addresses[4];
	char longest[400];

	(void)state;
	assert_int_equal(hosts_file_addresses(hosts, "localhost", addresses, 4), 2);
	assert_int_equal(hosts_file_addresses(hosts, "localhost", addresses, 1), 1);
	assert_int_equal(hosts_file_addresses(hosts, "MAIL.example.net", addresses, 4), 1);
	assert_int_equal(addresses[0].length, 4);
	assert_memory_equal(addresses[0].octets, "\300\0\2\1", 4);
	assert_string_equal(hosts_file_name(hosts, &addresses[0]), "mail.example.net");
	assert_int_equal(hosts_file_addresses(hosts, "hidden", addresses, 4), 0);
	assert_int_equal(hosts_file_addresses(hosts, "wrong", addresses, 4), 0);
	assert_int_equal(hosts_file_addresses(hosts, "", addresses, 4), 0);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(hosts_file_addresses(hosts, longest, addresses, 4), 0);
	hosts_file_free(&hosts);
}

static void
takes_no_file_for_an_empty_one(void **state)
{
	struct hosts_file *hosts = hosts_file_read(-1);
	struct hosts_address addresses[1];
	struct nameservers nameservers;

	(void)state;
	assert_int_equal(hosts_file_addresses(hosts, "localhost", addresses, 1), 0);
	hosts_file_free(&hosts);
	nameservers_read(&nameservers, -1);
	assert_int_equal(nameservers.count, 0);
	nameservers_free(&nameservers);
}

static void
takes_only_name_servers(void **state)
{
	static const char *const lines[] = { "nameserver 192.0.2.53\n", "search example.net\n", "options ndots:5\n",
		"# nameserver 192.0.2.1\n", "nameserver\n", "nameserver nobody\n", "  nameserver\t2001:db8::53 # ours\n", "" };
	struct nameservers nameservers = { NULL, 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		nameservers_take_line(&nameservers, lines[i]);
	assert_int_equal(nameservers.count, 2);
	assert_string_equal(nameservers.addresses[0], "192.0.2.53");
	assert_string_equal(nameservers.addresses[1], "2001:db8::53");
	for (i = 0; i < 100; i++)
		nameservers_take_line(&nameservers, lines[0]);
	assert_true(nameservers.count <= 16);
	nameservers_free(&nameservers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_names_and_addresses),
		cmocka_unit_test(takes_no_file_for_an_empty_one),
		cmocka_unit_test(takes_only_name_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
