/* test_ports - which sockets listen, and what a change of the settings keeps */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "master/ports.h"

/* A port that is free now. */
static int64_t
free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int file = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(file, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(file, (struct sockaddr *)&address, &length), 0);
	close(file);
	return ntohs(address.sin_port);
}

static struct settings
settings_for(const struct setting_item *addresses, size_t count, int64_t port)
{
	struct settings settings = { 0 };

	settings.matador.listen_addresses.items = addresses;
	settings.matador.listen_addresses.count = count;
	settings.server.smtp_listener_task.number = 1;
	settings.server.smtp_inbound_tcp_status.number = 1;
	settings.server.smtp_inbound_tcp_port.number = port;
	return settings;
}

static void
an_asterisk_is_both_families(void **state)
{
	static const struct setting_item everywhere[] = { { .text = "*" } };
	struct settings settings = settings_for(everywhere, 1, 2525);
	struct error error = ERROR_INITIALIZER;
	struct ports wanted;

	(void)state;
	assert_int_equal(ports_wanted(&settings, &wanted, &error), 0);
	assert_int_equal(wanted.count, 2);
	assert_string_equal(wanted.list[0].address, "0.0.0.0:2525");
	assert_string_equal(wanted.list[1].address, "[::]:2525");
	ports_close(&wanted);
}

static void
no_listener_task_means_no_port(void **state)
{
	static const struct setting_item everywhere[] = { { .text = "*" } };
	struct settings settings = settings_for(everywhere, 1, 2525);
	struct error error = ERROR_INITIALIZER;
	struct ports wanted;

	(void)state;
	settings.server.smtp_listener_task.number = 0;
	assert_int_equal(ports_wanted(&settings, &wanted, &error), 0);
	assert_int_equal(wanted.count, 0);
	settings.server.smtp_listener_task.number = 1;
	settings.server.smtp_inbound_tcp_status.number = 0;
	assert_int_equal(ports_wanted(&settings, &wanted, &error), 0);
	assert_int_equal(wanted.count, 0);
}

static void
the_same_address_twice_is_one_port(void **state)
{
	static const struct setting_item twice[] = { { .text = "127.0.0.1" }, { .text = "127.0.0.1" } };
	struct settings settings = settings_for(twice, 2, 2525);
	struct error error = ERROR_INITIALIZER;
	struct ports wanted;

	(void)state;
	assert_int_equal(ports_wanted(&settings, &wanted, &error), 0);
	assert_int_equal(wanted.count, 1);
	ports_close(&wanted);
}

static void
a_change_keeps_the_sockets_that_stay(void **state)
{
	static const struct setting_item before[] = { { .text = "127.0.0.1" }, { .text = "127.0.0.2" } };
	static const struct setting_item after[] = { { .text = "127.0.0.2" }, { .text = "127.0.0.3" } };
	int64_t port = free_port();
	struct settings old = settings_for(before, 2, port), new = settings_for(after, 2, port);
	struct buffer notes = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	struct ports in_force = { NULL, 0 }, wanted, changed;
	int kept;

	(void)state;
	assert_int_equal(ports_wanted(&old, &wanted, &error), 0);
	assert_int_equal(ports_bind(&wanted, &in_force, &notes, &error), 0);
	assert_true(wanted.list[0].fresh && wanted.list[1].fresh);
	kept = wanted.list[1].socket;
	assert_int_equal(ports_wanted(&new, &changed, &error), 0);
	assert_int_equal(ports_bind(&changed, &wanted, &notes, &error), 0);
	assert_int_equal(changed.list[0].socket, kept);
	assert_false(changed.list[0].fresh);
	assert_true(changed.list[1].fresh);
	assert_int_equal(wanted.count, 1);	/* to be dropped */
	assert_int_equal(strncmp(wanted.list[0].address, "127.0.0.1:", 10), 0);
	ports_close(&wanted);
	ports_close(&changed);
	buffer_free(&notes);
}

static void
a_taken_port_changes_nothing(void **state)
{
	static const struct setting_item before[] = { { .text = "127.0.0.1" } };
	static const struct setting_item after[] = { { .text = "127.0.0.2" }, { .text = "127.0.0.3" } };
	int64_t port = free_port();
	struct settings old = settings_for(before, 1, port), new = settings_for(after, 2, port);
	struct buffer notes = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;
	struct ports in_force = { NULL, 0 }, wanted, changed;
	struct sockaddr_in taken = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int other = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	inet_pton(AF_INET, "127.0.0.3", &taken.sin_addr);
	assert_int_equal(bind(other, (struct sockaddr *)&taken, sizeof(taken)), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_int_equal(ports_wanted(&old, &wanted, &error), 0);
	assert_int_equal(ports_bind(&wanted, &in_force, &notes, &error), 0);
	assert_int_equal(ports_wanted(&new, &changed, &error), 0);
	assert_int_equal(ports_bind(&changed, &wanted, &notes, &error), -1);
	assert_non_null(strstr(error.text, "127.0.0.3"));
	assert_non_null(strstr(error.text, "another program listens"));
	assert_int_equal(wanted.count, 1);
	assert_int_not_equal(wanted.list[0].socket, -1);
	assert_int_equal(changed.list[0].socket, -1);
	ports_close(&wanted);
	ports_close(&changed);
	close(other);
	buffer_free(&notes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_asterisk_is_both_families),
		cmocka_unit_test(no_listener_task_means_no_port),
		cmocka_unit_test(the_same_address_twice_is_one_port),
		cmocka_unit_test(a_change_keeps_the_sockets_that_stay),
		cmocka_unit_test(a_taken_port_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
