/* Unit tests of common/net/own_address.c. Row 108 of docs/reference/hostile-inputs.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/conf/settings.h"
#include "common/net/own_address.h"

#define PORT 2525

static bool
is_ours(const char *listen, const char *text, uint16_t port)
{
	struct setting_item items[2] = { { .text = "198.51.100.1" }, { .text = listen } };
	static struct settings settings;
	union socket_address address = { .any.sa_family = AF_UNSPEC };
	struct in6_addr octets;

	settings.server.smtp_listener_task.number = listen != NULL;
	settings.server.smtp_inbound_tcp_status.number = 1;
	settings.server.smtp_inbound_tcp_port.number = PORT;
	settings.matador.listen_addresses.items = items;
	settings.matador.listen_addresses.count = 2;
	if (inet_pton(AF_INET, text, &octets) == 1)
		socket_address_make(&octets, sizeof(struct in_addr), port, &address);
	else if (inet_pton(AF_INET6, text, &octets) == 1)
		socket_address_make(&octets, sizeof(struct in6_addr), port, &address);
	else
		fail_msg("%s is no address", text);
	return own_address_is_ours(&settings, &address);
}

static void
compares_with_what_the_listener_has(void **state)
{
	static const struct { const char *listen, *address; bool ours; } rows[] = {
		{ "127.0.0.2", "127.0.0.2", true },
		{ "127.0.0.2", "198.51.100.1", true },
		{ "127.0.0.2", "::ffff:127.0.0.2", true },
		{ "127.0.0.2", "127.0.0.1", false },
		{ "[::1]", "::1", true },
		{ "[2001:db8::1]", "2001:db8::1", true },
		{ "[2001:db8::1]", "2001:db8::2", false },
		{ "*", "127.0.0.1", true },
		{ "*", "127.9.9.9", true },
		{ "*", "::ffff:127.9.9.9", true },
		{ "*", "192.0.2.1", false },
		{ "*", "2001:db8::1", false },
		{ "0.0.0.0", "127.0.0.1", true },
		{ "0.0.0.0", "2001:db8::1", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		assert_int_equal(is_ours(rows[i].listen, rows[i].address, PORT), rows[i].ours);
		assert_false(is_ours(rows[i].listen, rows[i].address, PORT + 1));
		assert_false(is_ours(NULL, rows[i].address, PORT));
	}
}

static void
takes_the_unspecified_addresses_for_ours_on_every_port(void **state)
{
	(void)state;
	assert_true(is_ours("192.0.2.1", "0.0.0.0", 25));
	assert_true(is_ours(NULL, "::", 26));
	assert_true(is_ours(NULL, "::ffff:0.0.0.0", 26));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares_with_what_the_listener_has),
		cmocka_unit_test(takes_the_unspecified_addresses_for_ours_on_every_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
