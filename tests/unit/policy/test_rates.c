/* test_rates - what is let in, and until when it counts; the test is the clock */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/conf/settings.h"
#include "policy/rates.h"

#define MINUTE 60000
#define BEGIN 1000003		/* a time in the middle of a slot */

struct scene {
	struct document_configuration configuration;
	struct rates *rates;
	int64_t now;
};

static int
prepare(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	scene.configuration.rate_interval.number = 60;
	scene.configuration.network_prefix_ipv4.number = 24;
	scene.configuration.network_prefix_ipv6.number = 64;
	scene.rates = rates_new();
	scene.now = BEGIN;
	*state = &scene;
	return 0;
}

static int
clean_up(void **state)
{
	struct scene *scene = *state;

	rates_free(&scene->rates);
	rates_free(&scene->rates);
	return 0;
}

#define LIMIT(scene, key, value) do { \
	(scene)->configuration.key.number = (value); \
	rates_configure((scene)->rates, &(scene)->configuration); \
} while (0)

static const char *
judge(struct scene *scene, enum rate_kind kind, const char *address, const char *user)
{
	return rates_judge(scene->rates, kind, address, user, false, scene->now);
}

static void
without_a_limit_nothing_is_refused_or_kept(void **state)
{
	struct scene *scene = *state;

	for (unsigned i = 0; i < 1000; i++)
		assert_null(judge(scene, (enum rate_kind)(i % RATE_KIND_COUNT), "192.0.2.7", "jane"));
	assert_int_equal(rates_count(scene->rates), 0);
}

static void
each_limit_says_no_by_its_own_name(void **state)
{
	static const char *const rules[RATE_KIND_COUNT][3] = {
		[RATE_SESSION] = { "client_session_rate", "network_session_rate", NULL },
		[RATE_MESSAGE] = { "client_message_rate", "network_message_rate", "user_message_rate" },
		[RATE_RECIPIENT] = { "client_recipient_rate", "network_recipient_rate", "user_recipient_rate" },
	};
	struct scene *scene = *state;
	struct document_configuration *configuration = &scene->configuration;
	struct setting *const settings[RATE_KIND_COUNT][3] = {
		[RATE_SESSION] = { &configuration->client_session_rate, &configuration->network_session_rate, NULL },
		[RATE_MESSAGE] = { &configuration->client_message_rate, &configuration->network_message_rate,
			&configuration->user_message_rate },
		[RATE_RECIPIENT] = { &configuration->client_recipient_rate, &configuration->network_recipient_rate,
			&configuration->user_recipient_rate },
	};

	for (unsigned kind = 0; kind < RATE_KIND_COUNT; kind++)
		for (unsigned scope = 0; scope < 3; scope++) {
			if (settings[kind][scope] == NULL)
				continue;
			settings[kind][scope]->number = 2;
			rates_configure(scene->rates, configuration);
			for (unsigned other = 0; other < RATE_KIND_COUNT; other++)
				for (unsigned i = 0; i < 3; i++) {
					const char *rule = judge(scene, other, "192.0.2.7", "jane");

					if (i == 2 && other == kind)
						assert_string_equal(rule, rules[kind][scope]);
					else
						assert_null(rule);
				}
			settings[kind][scope]->number = 0;
			scene->now += 2 * MINUTE;
		}
}

static void
a_network_shares_its_limit_and_a_client_has_its_own(void **state)
{
	struct scene *scene = *state;

	LIMIT(scene, network_session_rate, 3);
	LIMIT(scene, client_session_rate, 2);
	assert_null(judge(scene, RATE_SESSION, "192.0.2.7", ""));
	assert_null(judge(scene, RATE_SESSION, "192.0.2.7", ""));
	assert_string_equal(judge(scene, RATE_SESSION, "192.0.2.7", ""), "client_session_rate");
	assert_null(judge(scene, RATE_SESSION, "192.0.2.200", ""));
	assert_string_equal(judge(scene, RATE_SESSION, "192.0.2.1", ""), "network_session_rate");
	assert_null(judge(scene, RATE_SESSION, "192.0.3.7", ""));
	assert_null(judge(scene, RATE_SESSION, "2001:db8::1", ""));
	assert_null(judge(scene, RATE_SESSION, "2001:db8::2", ""));
	assert_null(judge(scene, RATE_SESSION, "2001:db8::ffff:0:0:3", ""));
	assert_string_equal(judge(scene, RATE_SESSION, "2001:db8::4", ""), "network_session_rate");
	assert_null(judge(scene, RATE_SESSION, "2001:db8:0:1::4", ""));
}

static void
a_prefix_need_not_end_at_an_octet(void **state)
{
	static const struct {
		unsigned prefix;
		const char *inside, *outside;
	} cases[] = { { 32, "10.1.2.3", "10.1.2.2" }, { 31, "10.1.2.2", "10.1.2.4" }, { 20, "10.1.15.255", "10.1.16.0" },
		{ 9, "10.127.0.1", "10.128.0.1" }, { 8, "10.255.0.1", "11.1.2.3" } };
	struct scene *scene = *state;

	scene->configuration.network_message_rate.number = 1;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		LIMIT(scene, network_prefix_ipv4, cases[i].prefix);
		assert_null(judge(scene, RATE_MESSAGE, "10.1.2.3", ""));
		assert_non_null(judge(scene, RATE_MESSAGE, cases[i].inside, ""));
		assert_null(judge(scene, RATE_MESSAGE, cases[i].outside, ""));
	}
}

static void
a_user_counts_from_everywhere(void **state)
{
	struct scene *scene = *state;

	LIMIT(scene, user_message_rate, 2);
	assert_null(judge(scene, RATE_MESSAGE, "192.0.2.7", "jane"));
	assert_null(judge(scene, RATE_MESSAGE, "2001:db8::1", "jane"));
	assert_string_equal(judge(scene, RATE_MESSAGE, "198.51.100.1", "jane"), "user_message_rate");
	assert_null(judge(scene, RATE_MESSAGE, "198.51.100.1", "janet"));
	for (unsigned i = 0; i < 5; i++)
		assert_null(judge(scene, RATE_MESSAGE, "198.51.100.1", ""));
}

static void
what_is_refused_counts_for_nobody(void **state)
{
	struct scene *scene = *state;

	LIMIT(scene, client_message_rate, 1);
	LIMIT(scene, network_message_rate, 2);
	LIMIT(scene, user_message_rate, 2);
	assert_null(judge(scene, RATE_MESSAGE, "192.0.2.7", "jane"));
	for (unsigned i = 0; i < 5; i++)
		assert_string_equal(judge(scene, RATE_MESSAGE, "192.0.2.7", "jane"), "client_message_rate");
	assert_null(judge(scene, RATE_MESSAGE, "192.0.2.8", "jane"));
}

static void
a_peek_counts_nothing(void **state)
{
	struct scene *scene = *state;

	LIMIT(scene, client_session_rate, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_null(rates_judge(scene->rates, RATE_SESSION, "192.0.2.7", "", true, scene->now));
	assert_int_equal(rates_count(scene->rates), 0);
	assert_null(judge(scene, RATE_SESSION, "192.0.2.7", ""));
	assert_non_null(rates_judge(scene->rates, RATE_SESSION, "192.0.2.7", "", true, scene->now));
}

/* Whatever an event's place in its slot is. */
static void
an_event_counts_for_the_interval_and_at_most_a_fifteenth_longer(void **state)
{
	struct scene *scene = *state;

	LIMIT(scene, client_session_rate, 1);
	for (int64_t place = 0; place < MINUTE / 15; place += 97) {
		char address[16];

		snprintf(address, sizeof(address), "10.0.0.%u", (unsigned)(place / 97));
		scene->now = BEGIN + place;
		assert_null(judge(scene, RATE_SESSION, address, ""));
		scene->now = BEGIN + place + MINUTE - 1;
		assert_non_null(judge(scene, RATE_SESSION, address, ""));
		scene->now = BEGIN + place + MINUTE + MINUTE / 15;
		assert_null(judge(scene, RATE_SESSION, address, ""));
	}
}

/* Against all events let in, kept one by one. */
static void
no_interval_ever_has_more_than_the_limit(void **state)
{
	enum { EVENTS = 20000, LIMIT_SET = 20 };
	static int64_t let_in[EVENTS];
	struct scene *scene = *state;
	unsigned count = 0, random = 1;

	LIMIT(scene, client_recipient_rate, LIMIT_SET);
	for (unsigned i = 0; i < EVENTS; i++) {
		unsigned recent = 0, older = 0;
		bool refused;

		random = random * 1103515245 + 12345;
		scene->now += (random >> 16) % 7 == 0 ? (random >> 8) % 60000 : (random >> 8) % 900;
		for (unsigned j = count; j-- > 0 && let_in[j] > scene->now - MINUTE - MINUTE / 15;) {
			recent += let_in[j] > scene->now - MINUTE;
			older++;
		}
		refused = judge(scene, RATE_RECIPIENT, "192.0.2.7", "") != NULL;
		if (recent >= LIMIT_SET)
			assert_true(refused);
		if (older < LIMIT_SET)
			assert_false(refused);
		if (!refused)
			let_in[count++] = scene->now;
	}
	assert_true(count > 1000);
}

static void
a_changed_limit_keeps_what_was_counted_and_a_changed_interval_does_not(void **state)
{
	struct scene *scene = *state;

	LIMIT(scene, client_session_rate, 2);
	assert_null(judge(scene, RATE_SESSION, "192.0.2.7", ""));
	LIMIT(scene, client_session_rate, 1);
	assert_non_null(judge(scene, RATE_SESSION, "192.0.2.7", ""));
	LIMIT(scene, rate_interval, 3600);
	assert_int_equal(rates_count(scene->rates), 0);
	assert_null(judge(scene, RATE_SESSION, "192.0.2.7", ""));
	scene->now += 59 * MINUTE;
	assert_non_null(judge(scene, RATE_SESSION, "192.0.2.7", ""));
}

static void
what_is_no_address_has_no_limit_of_one(void **state)
{
	struct scene *scene = *state;

	LIMIT(scene, client_message_rate, 1);
	LIMIT(scene, network_message_rate, 1);
	LIMIT(scene, user_message_rate, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_null(judge(scene, RATE_MESSAGE, "local", ""));
	assert_null(judge(scene, RATE_MESSAGE, "local", "jane"));
	assert_string_equal(judge(scene, RATE_MESSAGE, "local", "jane"), "user_message_rate");
}

static void
name_client(unsigned number, char address[32])
{
	snprintf(address, 32, "10.%u.%u.%u", number >> 16, (number >> 8) & 255, number & 255);
}

static void
counts_are_bounded_and_the_oldest_goes_first(void **state)
{
	struct scene *scene = *state;
	char address[32];

	LIMIT(scene, client_session_rate, 2);
	for (unsigned i = 0; i < RATES_RECORDS + 10; i++) {
		name_client(i, address);
		assert_null(judge(scene, RATE_SESSION, address, ""));
		/* one that is counted again stays */
		if (i == 100)
			assert_null(judge(scene, RATE_SESSION, "10.0.0.3", ""));
	}
	assert_int_equal(rates_count(scene->rates), RATES_RECORDS);
	assert_non_null(judge(scene, RATE_SESSION, "10.0.0.3", ""));
	assert_null(judge(scene, RATE_SESSION, "10.0.0.4", ""));
	assert_null(judge(scene, RATE_SESSION, "10.0.0.4", ""));
	assert_non_null(judge(scene, RATE_SESSION, "10.0.0.4", ""));
}

static void
counts_that_nothing_is_in_any_more_go(void **state)
{
	struct scene *scene = *state;
	char address[32];

	LIMIT(scene, client_session_rate, 2);
	for (unsigned i = 0; i < 1000; i++) {
		name_client(i, address);
		judge(scene, RATE_SESSION, address, "");
	}
	scene->now += 2 * MINUTE;
	for (unsigned i = 5000; i < 6000; i++) {
		name_client(i, address);
		judge(scene, RATE_SESSION, address, "");
	}
	assert_int_equal(rates_count(scene->rates), 1000);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
	const struct CMUnitTest tests[] = {
		CASE(without_a_limit_nothing_is_refused_or_kept),
		CASE(each_limit_says_no_by_its_own_name),
		CASE(a_network_shares_its_limit_and_a_client_has_its_own),
		CASE(a_prefix_need_not_end_at_an_octet),
		CASE(a_user_counts_from_everywhere),
		CASE(what_is_refused_counts_for_nobody),
		CASE(a_peek_counts_nothing),
		CASE(an_event_counts_for_the_interval_and_at_most_a_fifteenth_longer),
		CASE(no_interval_ever_has_more_than_the_limit),
		CASE(a_changed_limit_keeps_what_was_counted_and_a_changed_interval_does_not),
		CASE(what_is_no_address_has_no_limit_of_one),
		CASE(counts_are_bounded_and_the_oldest_goes_first),
		CASE(counts_that_nothing_is_in_any_more_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
