/*
 * test_client_dns - what the DNS is asked about an address, and what hostile answers become (docs/reference/hostile-inputs.md,
 * rows 115 and 116)
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/base/wire.h"
#include "smtpd/client_dns.h"

static struct in6_addr
key_of(const char *text)
{
	struct sockaddr_storage address = { .ss_family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET };

	assert_int_equal(inet_pton(address.ss_family, text, address.ss_family == AF_INET ?
	    (void *)&((struct sockaddr_in *)(void *)&address)->sin_addr :
	    (void *)&((struct sockaddr_in6 *)(void *)&address)->sin6_addr), 1);
	return client_key((const struct sockaddr *)&address);
}

static void
a_mapped_address_is_the_ipv4_address(void **state)
{
	struct in6_addr plain = key_of("192.0.2.7"), mapped = key_of("::ffff:192.0.2.7"), other = key_of("2001:db8::7");
	char text[INET6_ADDRSTRLEN];

	(void)state;
	assert_memory_equal(&plain, &mapped, sizeof(plain));
	client_key_text(&plain, text);
	assert_string_equal(text, "192.0.2.7");
	client_key_text(&other, text);
	assert_string_equal(text, "2001:db8::7");
}

static void
lists_are_asked_backwards(void **state)
{
	static const struct {
		const char *address;
		const char *name;
	} rows[] = {
		{ "192.0.2.7", "7.2.0.192.list.example" },
		{ "::ffff:192.0.2.7", "7.2.0.192.list.example" },
		{ "2001:db8:1:2:3:4:567:89ab",
		    "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.list.example" },
	};
	struct in6_addr key;
	char name[DNS_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		key = key_of(rows[i].address);
		assert_true(dns_list_name(&key, "list.example", name));
		assert_string_equal(name, rows[i].name);
	}
}

static void
a_zone_that_makes_the_name_too_long_is_not_asked(void **state)
{
	struct in6_addr key = key_of("2001:db8::7");
	char zone[256], name[DNS_NAME_SIZE];

	(void)state;
	memset(zone, 'z', sizeof(zone));
	zone[255 - 64] = '\0';
	assert_true(dns_list_name(&key, zone, name));
	assert_int_equal(strlen(name), 255);
	zone[255 - 64] = 'z';
	zone[256 - 64] = '\0';
	assert_false(dns_list_name(&key, zone, name));
}

/* ---- names ---- */

static void
add_name(struct buffer *records, unsigned *count, const char *name, bool is_confirmed)
{
	wire_put_string(records, name);
	wire_put_u8(records, is_confirmed);
	++*count;
}

static void
take_names(struct buffer *records, unsigned count, struct host_names *names_out)
{
	struct dns_answer answer = { .outcome = DNS_FOUND, .count = (uint16_t)count,
		.records = { records->data, records->length }, .text = "" };

	host_names_of_answer(&answer, names_out);
	buffer_free(records);
}

static void
names_come_with_whether_they_lead_back(void **state)
{
	struct buffer records = BUFFER_INITIALIZER(0);
	struct host_names names;
	unsigned count = 0;

	(void)state;
	add_name(&records, &count, "liar.example", false);
	add_name(&records, &count, "mail.theirs.example", true);
	take_names(&records, count, &names);
	assert_int_equal(names.state, HOST_NAMES_FOUND);
	assert_int_equal(names.count, 2);
	assert_string_equal(names.names[0].name, "liar.example");
	assert_false(names.names[0].is_confirmed);
	assert_string_equal(names.names[1].name, "mail.theirs.example");
	assert_true(names.names[1].is_confirmed);
}

static void
names_with_other_octets_are_no_names(void **state)
{
	static const char *const hostile[] = { "", ".", "a..b", ".a", "a.", "a b", "%s%n", "a\nb", "a\177b", "\xc3\xa4.example",
		"a@b", "<a>", "a(b)", "a\"b", "a;b", "a/b", "a,b" };
	struct buffer records = BUFFER_INITIALIZER(0);
	struct host_names names;
	unsigned count = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(hostile); i++)
		add_name(&records, &count, hostile[i], true);
	take_names(&records, count, &names);
	assert_int_equal(names.count, 0);
	assert_int_equal(names.state, HOST_NAMES_NONE);
}

static void
of_a_thousand_names_the_first_eight_stay_and_no_confirmed_one_is_lost(void **state)
{
	struct buffer records = BUFFER_INITIALIZER(0);
	struct host_names names;
	char name[40];
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "host%u.theirs.example", i);
		add_name(&records, &count, name, i == 999);
	}
	take_names(&records, count, &names);
	assert_int_equal(names.count, HOST_NAMES_MAX);
	for (size_t i = 0; i + 1 < HOST_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "host%zu.theirs.example", i);
		assert_string_equal(names.names[i].name, name);
		assert_false(names.names[i].is_confirmed);
	}
	assert_string_equal(names.names[HOST_NAMES_MAX - 1].name, "host999.theirs.example");
	assert_true(names.names[HOST_NAMES_MAX - 1].is_confirmed);
}

static void
a_name_of_255_octets_fits(void **state)
{
	struct buffer records = BUFFER_INITIALIZER(0);
	struct host_names names;
	unsigned count = 0;
	char name[256];

	(void)state;
	memset(name, 'a', 255);
	name[255] = '\0';
	add_name(&records, &count, name, true);
	take_names(&records, count, &names);
	assert_int_equal(names.count, 1);
	assert_string_equal(names.names[0].name, name);
}

static void
no_name_and_no_answer_are_two_things(void **state)
{
	struct dns_answer answer = { .outcome = DNS_NO_NAME, .text = "" };
	struct host_names names;

	(void)state;
	host_names_of_answer(&answer, &names);
	assert_int_equal(names.state, HOST_NAMES_NONE);
	answer.outcome = DNS_NO_DATA;
	host_names_of_answer(&answer, &names);
	assert_int_equal(names.state, HOST_NAMES_NONE);
	answer.outcome = DNS_NO_ANSWER;
	host_names_of_answer(&answer, &names);
	assert_int_equal(names.state, HOST_NAMES_NO_ANSWER);
}

/* ---- lists ---- */

/* The answer of a list with these addresses, which end with NULL. */
static bool
take_list(const char *const *addresses, struct dns_list_answer *list_out, struct in_addr *ignored_out)
{
	struct buffer records = BUFFER_INITIALIZER(0);
	struct dns_answer answer = { .outcome = DNS_FOUND, .text = "" };
	struct in_addr address;
	bool has_ignored;

	for (; *addresses != NULL; addresses++, answer.count++) {
		assert_int_equal(inet_pton(AF_INET, *addresses, &address), 1);
		wire_put_bytes(&records, &address, sizeof(address));
	}
	answer.records = (struct bytes){ records.data, records.length };
	has_ignored = dns_list_of_answer(&answer, list_out, ignored_out);
	buffer_free(&records);
	return has_ignored;
}

static void
only_answers_in_127_count(void **state)
{
	static const char *const mixed[] = { "127.0.0.2", "0.0.0.0", "127.255.255.255", "128.0.0.1", "126.255.255.255", NULL };
	static const char *const parked[] = { "203.0.113.1", NULL };
	struct dns_list_answer list;
	struct in_addr ignored;
	char text[INET_ADDRSTRLEN];

	(void)state;
	assert_true(take_list(mixed, &list, &ignored));
	assert_string_equal(inet_ntop(AF_INET, &ignored, text, sizeof(text)), "0.0.0.0");
	assert_true(list.has_answered);
	assert_int_equal(list.count, 2);
	assert_string_equal(inet_ntop(AF_INET, &list.answers[0], text, sizeof(text)), "127.0.0.2");
	assert_string_equal(inet_ntop(AF_INET, &list.answers[1], text, sizeof(text)), "127.255.255.255");
	assert_true(take_list(parked, &list, &ignored));
	assert_true(list.has_answered);
	assert_int_equal(list.count, 0);
}

static void
of_many_answers_of_a_list_the_first_eight_count(void **state)
{
	static const char *const many[] = { "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7",
		"127.0.0.8", "127.0.0.9", "127.0.0.10", NULL };
	struct dns_list_answer list;
	struct in_addr ignored;

	(void)state;
	assert_false(take_list(many, &list, &ignored));
	assert_int_equal(list.count, DNS_LIST_ANSWERS_MAX);
}

static void
a_list_that_fails_does_not_list(void **state)
{
	struct dns_answer answer = { .outcome = DNS_NO_ANSWER, .text = "" };
	struct dns_list_answer list;
	struct in_addr ignored;

	(void)state;
	assert_false(dns_list_of_answer(&answer, &list, &ignored));
	assert_false(list.has_answered);
	assert_int_equal(list.count, 0);
	answer.outcome = DNS_NO_NAME;
	assert_false(dns_list_of_answer(&answer, &list, &ignored));
	assert_true(list.has_answered);
}

static void
records_that_are_cut_off_or_of_another_size_are_left_out(void **state)
{
	struct buffer records = BUFFER_INITIALIZER(0);
	struct dns_answer answer = { .outcome = DNS_FOUND, .count = 60000, .text = "" };
	struct dns_list_answer list;
	struct host_names names;
	struct in_addr ignored;

	(void)state;
	wire_put_bytes(&records, "0123456789abcdef", 3);
	wire_put_bytes(&records, "\x7f\0\0\x05", 4);
	buffer_append(&records, "\x04\0\0", 3);
	answer.records = (struct bytes){ records.data, records.length };
	assert_false(dns_list_of_answer(&answer, &list, &ignored));
	assert_int_equal(list.count, 1);
	buffer_clear(&records);
	wire_put_string(&records, "mail.theirs.example");
	answer.records = (struct bytes){ records.data, records.length };
	host_names_of_answer(&answer, &names);
	assert_int_equal(names.count, 0);
	buffer_free(&records);
}

static void
answers_are_remembered_for_their_time_within_bounds(void **state)
{
	static const struct {
		enum dns_outcome outcome;
		uint32_t ttl;
		int64_t seconds;
	} rows[] = {
		{ DNS_FOUND, 0, 30 }, { DNS_FOUND, 600, 600 }, { DNS_FOUND, 86400, 3600 }, { DNS_FOUND, UINT32_MAX, 3600 },
		{ DNS_NO_NAME, 0, 30 }, { DNS_NO_NAME, 120, 120 }, { DNS_NO_NAME, 3600, 300 }, { DNS_NO_DATA, 3600, 300 },
		{ DNS_NO_ANSWER, 0, 60 }, { DNS_NO_ANSWER, 3600, 60 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		assert_int_equal(client_answer_lifetime_ms(&(struct dns_answer){ .outcome = (uint8_t)rows[i].outcome,
		    .ttl = rows[i].ttl }), rows[i].seconds * 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mapped_address_is_the_ipv4_address),
		cmocka_unit_test(lists_are_asked_backwards),
		cmocka_unit_test(a_zone_that_makes_the_name_too_long_is_not_asked),
		cmocka_unit_test(names_come_with_whether_they_lead_back),
		cmocka_unit_test(names_with_other_octets_are_no_names),
		cmocka_unit_test(of_a_thousand_names_the_first_eight_stay_and_no_confirmed_one_is_lost),
		cmocka_unit_test(a_name_of_255_octets_fits),
		cmocka_unit_test(no_name_and_no_answer_are_two_things),
		cmocka_unit_test(only_answers_in_127_count),
		cmocka_unit_test(of_many_answers_of_a_list_the_first_eight_count),
		cmocka_unit_test(a_list_that_fails_does_not_list),
		cmocka_unit_test(records_that_are_cut_off_or_of_another_size_are_left_out),
		cmocka_unit_test(answers_are_remembered_for_their_time_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
