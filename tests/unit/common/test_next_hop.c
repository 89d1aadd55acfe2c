/* Unit tests of common/net/next_hop.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/net/next_hop.h"

static void
reads_every_form(void **state)
{
	static const struct { const char *text, *host; unsigned port; const char *address; } rows[] = {
		{ "Relay.Example.NET", "relay.example.net", 25, NULL },
		{ "relay.example.net.", "relay.example.net", 25, NULL },
		{ "relay:2525", "relay", 2525, NULL },
		{ "[Relay.example.net]", "relay.example.net", 25, NULL },
		{ "[relay]:2525", "relay", 2525, NULL },
		{ "M\303\274nchen.de", "xn--mnchen-3ya.de", 25, NULL },
		{ "[mail.m\303\274nchen.de]:2525", "mail.xn--mnchen-3ya.de", 2525, NULL },
		{ "[192.0.2.1]", "[192.0.2.1]", 25, "192.0.2.1" },
		{ "[192.0.2.1]:26", "[192.0.2.1]", 26, "192.0.2.1" },
		{ "[2001:db8::1]", "[2001:db8::1]", 25, "2001:db8::1" },
		{ "[IPv6:2001:DB8::1]:65535", "[ipv6:2001:db8::1]", 65535, "2001:db8::1" },
	};
	struct next_hop hop;
	struct error error = ERROR_INITIALIZER;
	char text[INET6_ADDRSTRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		assert_int_equal(next_hop_parse(rows[i].text, 25, &hop, &error), 0);
		assert_string_equal(hop.host, rows[i].host);
		assert_int_equal(hop.port, rows[i].port);
		assert_int_equal(hop.is_literal, rows[i].address != NULL);
		assert_int_equal(hop.by_mx, rows[i].text[0] != '[');
		if (hop.is_literal) {
			socket_address_format(&hop.address, text);
			assert_string_equal(text, rows[i].address);
			assert_int_equal(ntohs(hop.address.any.sa_family == AF_INET ? hop.address.ipv4.sin_port :
			    hop.address.ipv6.sin6_port), rows[i].port);
		}
	}
}

static void
refuses_everything_else(void **state)
{
	static const char *const rows[] = { "", ":25", "[", "[]", "[]:25", "[192.0.2.1", "[192.0.2.1]25", "[192.0.2.256]",
		"[re lay]", "[-relay]", "192.0.2.1", "relay:", "relay:0", "relay:65536", "relay:25x", "relay: 25", "relay:-1", "re lay", "a..b", "::1", "\303\274\342\200\256.de",
		"[::1]:", "[1.2.3.4]:99999999999999999999", "-x", "relay:25:25" };
	struct next_hop hop;
	struct error error = ERROR_INITIALIZER;
	char longest[400];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(rows); i++)
		assert_int_equal(next_hop_parse(rows[i], 25, &hop, &error), -1);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(next_hop_parse(longest, 25, &hop, &error), -1);
	longest[0] = '[';
	assert_int_equal(next_hop_parse(longest, 25, &hop, &error), -1);
}

static void
makes_addresses_of_4_or_16_octets(void **state)
{
	union socket_address address;

	(void)state;
	assert_true(socket_address_make("\177\0\0\1", 4, 25, &address));
	assert_int_equal(socket_address_length(&address), sizeof(struct sockaddr_in));
	assert_true(socket_address_make("0123456789abcdef", 16, 25, &address));
	assert_int_equal(socket_address_length(&address), sizeof(struct sockaddr_in6));
	assert_false(socket_address_make("12345", 5, 25, &address));
	assert_false(socket_address_make("", 0, 25, &address));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_form),
		cmocka_unit_test(refuses_everything_else),
		cmocka_unit_test(makes_addresses_of_4_or_16_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
