/* Unit tests of smtp/address_order.c: the examples of RFC 6724 section 10.2 and what else decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "smtp/address_order.h"

#define CANDIDATES_MAX 8

static union socket_address
parse(const char *text)
{
	union socket_address address = { .any.sa_family = AF_UNSPEC };
	struct in6_addr octets;

	if (inet_pton(AF_INET, text, &octets) == 1)
		socket_address_make(&octets, 4, 25, &address);
	else if (inet_pton(AF_INET6, text, &octets) == 1)
		socket_address_make(&octets, 16, 25, &address);
	else
		fail_msg("%s is no address", text);
	return address;
}

/* candidates as "address<source", "address" for one that cannot be reached, separated by blanks; so is the result. */
static const char *
sorted(const char *text)
{
	static char result[CANDIDATES_MAX * INET6_ADDRSTRLEN];
	struct address_candidate candidates[CANDIDATES_MAX];
	char copy[400], *next = copy, *one, *source, number[INET6_ADDRSTRLEN];
	size_t count = 0, i;

	snprintf(copy, sizeof(copy), "%s", text);
	memset(candidates, 0, sizeof(candidates));
	while ((one = strsep(&next, " ")) != NULL) {
		source = strchr(one, '<');
		if (source != NULL) {
			*source = '\0';
			candidates[count].source = parse(source + 1);
			candidates[count].reachable = true;
		}
		candidates[count++].address = parse(one);
	}
	address_order_sort(candidates, count);
	result[0] = '\0';
	for (i = 0; i < count; i++) {
		socket_address_format(&candidates[i].address, number);
		snprintf(result + strlen(result), sizeof(result) - strlen(result), "%s%s", i > 0 ? " " : "", number);
	}
	return result;
}

static void
follows_the_rules_of_rfc_6724(void **state)
{
	static const struct { const char *candidates, *order; } rows[] = {
		/* precedence: IPv6 before IPv4 */
		{ "198.51.100.121<198.51.100.117 2001:db8:1::1<2001:db8:1::2", "2001:db8:1::1 198.51.100.121" },
		{ "10.1.2.3<10.1.2.4 2001:db8:1::1<2001:db8:1::2", "2001:db8:1::1 10.1.2.3" },
		/* a source of the scope of its destination */
		{ "2001:db8:1::1<fe80::1 198.51.100.121<198.51.100.117", "198.51.100.121 2001:db8:1::1" },
		{ "2001:db8:1::1<2001:db8:1::2 198.51.100.121<169.254.13.78", "2001:db8:1::1 198.51.100.121" },
		/* the smaller scope */
		{ "2001:db8:1::1<2001:db8:1::2 fe80::1<fe80::2", "fe80::1 2001:db8:1::1" },
		/* a source of the label of its destination */
		{ "2001:db8:1::1<2002:c633:6401::2 2002:c633:6401::1<2002:c633:6401::2", "2002:c633:6401::1 2001:db8:1::1" },
		{ "fd00::1<2001:db8::2 192.0.2.1<192.0.2.2", "192.0.2.1 fd00::1" },
		/* precedence: native before 6to4, Teredo and unique local */
		{ "2002:c633:6401::1<2002:c633:6401::2 2001:db8:1::1<2001:db8:1::2", "2001:db8:1::1 2002:c633:6401::1" },
		{ "2001::1<2001::2 192.0.2.1<192.0.2.2", "192.0.2.1 2001::1" },
		{ "fd00::1<fd00::2 192.0.2.1<192.0.2.2", "192.0.2.1 fd00::1" },
		{ "fd00::1<fd00::2 ::1<::1 fec0::1<fec0::2", "::1 fd00::1 fec0::1" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(rows); i++)
		assert_string_equal(sorted(rows[i].candidates), rows[i].order);
}

static void
tries_what_cannot_be_reached_last(void **state)
{
	(void)state;
	assert_string_equal(sorted("2001:db8::1 192.0.2.1<192.0.2.9"), "192.0.2.1 2001:db8::1");
	assert_string_equal(sorted("192.0.2.1 192.0.2.2<192.0.2.9 192.0.2.3"), "192.0.2.2 192.0.2.1 192.0.2.3");
	assert_string_equal(sorted("192.0.2.1 2001:db8::1"), "192.0.2.1 2001:db8::1");
}

static void
alternates_the_families(void **state)
{
	(void)state;
	assert_string_equal(sorted("192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9 192.0.2.3<192.0.2.9 2001:db8::1<2001:db8::9 "
	    "2001:db8::2<2001:db8::9 2001:db8::3"),
	    "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3 2001:db8::3");
	assert_string_equal(sorted("127.0.0.1<127.0.0.1"), "127.0.0.1");
}

static void
leaves_equals_as_they_are_and_shuffles_them_before(void **state)
{
	union socket_address addresses[2];
	struct source_addresses sources;
	unsigned first = 0, i;

	(void)state;
	assert_string_equal(sorted("192.0.2.3<192.0.2.9 192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9"),
	    "192.0.2.3 192.0.2.1 192.0.2.2");
	memset(&sources, 0, sizeof(sources));
	for (i = 0; i < 200; i++) {
		addresses[0] = parse("127.0.0.1");
		addresses[1] = parse("127.0.0.2");
		address_order(addresses, 2, &sources);
		first += addresses[0].ipv4.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
		assert_int_not_equal(addresses[0].ipv4.sin_addr.s_addr, addresses[1].ipv4.sin_addr.s_addr);
		assert_int_equal(addresses[1].ipv4.sin_port, htons(25));
	}
	assert_in_range(first, 40, 160);
}

static void
learns_where_a_connection_would_come_from(void **state)
{
	struct address_candidate candidates[] = { { .address = parse("127.0.0.1") }, { .address = parse("::1") },
		{ .address = parse("127.0.0.2") } };
	struct source_addresses sources;
	char text[INET6_ADDRSTRLEN];

	(void)state;
	memset(&sources, 0, sizeof(sources));
	address_order_find_sources(candidates, 3, &sources);
	assert_true(candidates[0].reachable && candidates[2].reachable);
	socket_address_format(&candidates[0].source, text);
	assert_string_equal(text, "127.0.0.1");
	if (candidates[1].reachable) {
		socket_address_format(&candidates[1].source, text);
		assert_string_equal(text, "::1");
	}
	sources.ipv4 = parse("127.0.0.7");
	address_order_find_sources(candidates, 3, &sources);
	socket_address_format(&candidates[2].source, text);
	assert_string_equal(text, "127.0.0.7");
	sources.ipv4 = parse("192.0.2.77");	/* nobody's */
	address_order_find_sources(candidates, 3, &sources);
	assert_false(candidates[0].reachable || candidates[2].reachable);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_rules_of_rfc_6724),
		cmocka_unit_test(tries_what_cannot_be_reached_last),
		cmocka_unit_test(alternates_the_families),
		cmocka_unit_test(leaves_equals_as_they_are_and_shuffles_them_before),
		cmocka_unit_test(learns_where_a_connection_would_come_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
