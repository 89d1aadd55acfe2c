/*
 * test_client_memory - what is asked about clients, their names and DNS lists: once for all their sessions, and
 * remembered within bounds
 */
#include "common/base/wire.h"
#include "inquiry_fixture.h"
#include "smtpd/client_memory.h"
#include "smtpd/dns_client.h"

static void
answer_name(size_t number, const char *name)
{
	struct buffer records = BUFFER_INITIALIZER(0);

	wire_put_string(&records, name);
	wire_put_u8(&records, 1);
	answer_dns(number, DNS_FOUND, &records, 1);
	buffer_free(&records);
}

static void
answer_address(size_t number, const char *text)
{
	struct buffer records = BUFFER_INITIALIZER(0);
	struct in_addr address;

	assert_int_equal(inet_pton(AF_INET, text, &address), 1);
	wire_put_bytes(&records, &address, sizeof(address));
	answer_dns(number, DNS_FOUND, &records, 1);
	buffer_free(&records);
}

static void
sessions_of_one_client_share_a_question_and_later_ones_ask_none(void **state)
{
	struct answered first = { 0 }, second = { 0 }, third = { 0 };

	(void)state;
	assert_non_null(ask(FACT_HOST_NAMES, NULL, &first));
	assert_non_null(ask(FACT_HOST_NAMES, NULL, &second));
	turn_until(scene->question_count > 0);
	settle();
	assert_int_equal(scene->question_count, 1);
	assert_int_equal(scene->questions[0].kind, DNS_PTR);
	assert_string_equal(scene->questions[0].name, "192.0.2.7");
	answer_name(0, "mail.theirs.example");
	turn_until(first.count == 1 && second.count == 1);
	assert_string_equal(first.names.names[0].name, "mail.theirs.example");
	assert_true(second.names.names[0].is_confirmed);
	assert_null(ask(FACT_HOST_NAMES, NULL, &third));
	assert_int_equal(third.count, 1);
	assert_int_equal(third.names.state, HOST_NAMES_FOUND);
	assert_int_equal(third.names.count, 1);
	assert_string_equal(third.names.names[0].name, "mail.theirs.example");
	settle();
	assert_int_equal(scene->question_count, 1);
}

static void
who_no_longer_waits_is_not_told_and_the_answer_is_kept(void **state)
{
	struct answered gone = { 0 }, later = { 0 };
	struct inquiry *inquiry = ask(FACT_HOST_NAMES, NULL, &gone);

	(void)state;
	turn_until(scene->question_count == 1);
	inquiry_forget(&inquiry);
	assert_null(inquiry);
	answer_name(0, "mail.theirs.example");
	settle();
	assert_int_equal(gone.count, 0);
	assert_null(ask(FACT_HOST_NAMES, NULL, &later));
	assert_int_equal(later.count, 1);
}

static void
a_resolver_that_was_restarted_is_asked_again(void **state)
{
	struct answered answered = { 0 };

	(void)state;
	assert_non_null(ask(FACT_HOST_NAMES, NULL, &answered));
	turn_until(scene->question_count == 1);
	start_resolver();
	turn_until(scene->question_count == 1);
	answer_name(0, "mail.theirs.example");
	turn_until(answered.count == 1);
	assert_string_equal(answered.names.names[0].name, "mail.theirs.example");
}

static void
a_second_answer_to_a_question_finds_nobody(void **state)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct answered names = { 0 }, domain = { 0 };
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(address_parse("s@theirs.example", 16, 0, &sender.address, &error), 0);
	assert_non_null(ask(FACT_HOST_NAMES, NULL, &names));
	assert_non_null(ask(FACT_SENDER_DOMAIN, &sender.facts, &domain));
	turn_until(scene->question_count == 2);
	answer_dns(0, DNS_NO_NAME, NULL, 0);
	answer_dns(0, DNS_NO_NAME, NULL, 0);
	turn_until(names.count == 1);
	settle();
	assert_int_equal(names.count, 1);
	assert_int_equal(names.names.state, HOST_NAMES_NONE);
	assert_int_equal(domain.count, 0);
}

static void
ignore(void *owner, const struct fact_answer *answer)
{
	(void)owner;
	(void)answer;
}

static void
the_memory_of_clients_is_bounded(void **state)
{
	struct dns_client *dns = dns_client_new(base);
	struct client_memory *memory = client_memory_new(base, dns);
	struct sockaddr_in address = scene->address;
	struct client_wait *kept = client_memory_ask(memory, FACT_HOST_NAMES, rules_of_scene(), (const struct sockaddr *)&address,
	    ignore, NULL);

	(void)state;
	for (uint32_t i = 0; i < CLIENT_MEMORY_RECORDS + 500; i++) {
		struct client_wait *wait;

		address.sin_addr.s_addr = htonl(0x0a000000 + i);
		wait = client_memory_ask(memory, FACT_HOST_NAMES, rules_of_scene(), (const struct sockaddr *)&address, ignore, NULL);
		assert_non_null(wait);
		client_memory_forget(&wait);
	}
	assert_int_equal(client_memory_count(memory), CLIENT_MEMORY_RECORDS);
	/* Somebody waits for the first one: it is still there. */
	client_memory_forget(&kept);
	client_memory_free(&memory);
	dns_client_free(&dns);
}

/* ---- DNS lists ---- */

/* Two whitelists and two blacklists. */
static void
set_lists(void)
{
	static struct setting_item white[] = { { "white1.example", { "", 0 } }, { "white2.example", { "", 0 } } };
	static struct setting_item black[] = { { "black1.example", { "", 0 } }, { "black2.example", { "", 0 } } };
	struct document_configuration *configuration = &scene->settings.settings->configuration;

	assert_true(fixture_set(&scene->settings, "dns_blacklist_filters", "enabled"));
	assert_true(fixture_set(&scene->settings, "dns_whitelist_filters", "enabled"));
	configuration->dns_whitelist_sites.items = white;
	configuration->dns_blacklist_sites.items = black;
	configuration->dns_whitelist_sites.count = configuration->dns_blacklist_sites.count = 2;
}

static void
all_lists_are_asked_at_once_and_told_in_the_order_of_the_settings(void **state)
{
	static const char *const names[] = { "7.2.0.192.white1.example", "7.2.0.192.white2.example", "7.2.0.192.black1.example",
		"7.2.0.192.black2.example" };
	struct answered answered = { 0 }, again = { 0 };

	(void)state;
	set_lists();
	assert_non_null(ask(FACT_DNS_LISTS, NULL, &answered));
	turn_until(scene->question_count == 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(scene->questions[i].kind, DNS_A);
		assert_string_equal(scene->questions[i].name, names[i]);
	}
	answer_address(3, "127.0.0.4");
	answer_address(2, "203.0.113.1");
	answer_dns(0, DNS_NO_NAME, NULL, 0);
	settle();
	assert_int_equal(answered.count, 0);
	answer_dns(1, DNS_NO_ANSWER, NULL, 0);
	turn_until(answered.count == 1);
	assert_int_equal(answered.list_count, 4);
	assert_true(answered.lists[0].has_answered);
	assert_int_equal(answered.lists[0].count, 0);
	assert_false(answered.lists[1].has_answered);
	assert_true(answered.lists[2].has_answered);
	assert_int_equal(answered.lists[2].count, 0);
	assert_int_equal(answered.lists[3].count, 1);
	assert_int_equal(answered.lists[3].answers[0].s_addr, htonl(0x7f000004));
	assert_int_equal(scene->ignored, 1);
	assert_int_equal(scene->silent, 1);
	assert_null(ask(FACT_DNS_LISTS, NULL, &again));
	assert_int_equal(again.count, 1);
	assert_int_equal(again.lists[3].count, 1);
	settle();
	assert_int_equal(scene->question_count, 4);
}

static void
a_silent_list_delays_nobody_beyond_its_time(void **state)
{
	struct answered answered = { 0 };
	int64_t began = clock_monotonic_ms();

	(void)state;
	set_lists();
	assert_true(fixture_set(&scene->settings, "dns_list_timeout", "1s"));
	assert_non_null(ask(FACT_DNS_LISTS, NULL, &answered));
	turn_until(scene->question_count == 4);
	answer_address(2, "127.0.0.2");
	turn_until(answered.count == 1);
	assert_true(clock_monotonic_ms() - began >= 900);
	assert_int_equal(answered.lists[2].count, 1);
	assert_false(answered.lists[0].has_answered);
	assert_false(answered.lists[3].has_answered);
	assert_int_equal(scene->silent, 3);
	/* The late answer finds nobody. */
	answer_address(3, "127.0.0.2");
	settle();
	assert_int_equal(answered.count, 1);
}

static void
lists_of_a_filter_that_is_off_are_not_asked(void **state)
{
	struct answered answered = { 0 };

	(void)state;
	set_lists();
	assert_true(fixture_set(&scene->settings, "dns_whitelist_filters", "disabled"));
	assert_non_null(ask(FACT_DNS_LISTS, NULL, &answered));
	turn_until(scene->question_count == 2);
	assert_string_equal(scene->questions[0].name, "7.2.0.192.black1.example");
	answer_address(0, "127.0.0.2");
	answer_dns(1, DNS_NO_NAME, NULL, 0);
	turn_until(answered.count == 1);
	assert_int_equal(answered.list_count, 4);
	assert_false(answered.lists[0].has_answered);
	assert_int_equal(answered.lists[2].count, 1);
	assert_int_equal(scene->silent, 0);
}

static void
changed_lists_are_asked_anew_and_names_are_not(void **state)
{
	struct answered names = { 0 }, lists = { 0 };

	(void)state;
	set_lists();
	ask(FACT_HOST_NAMES, NULL, &names);
	ask(FACT_DNS_LISTS, NULL, &lists);
	turn_until(scene->question_count == 5);
	answer_name(0, "mail.theirs.example");
	for (size_t i = 1; i < 5; i++)
		answer_dns(i, DNS_NO_NAME, NULL, 0);
	turn_until(names.count == 1 && lists.count == 1);
	rules_release(&scene->settings.rules);
	assert_null(ask(FACT_DNS_LISTS, NULL, &lists));
	rules_release(&scene->settings.rules);
	scene->settings.settings->configuration.dns_blacklist_sites.count = 1;
	assert_non_null(ask(FACT_DNS_LISTS, NULL, &lists));
	assert_null(ask(FACT_HOST_NAMES, NULL, &names));
	turn_until(scene->question_count == 8);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(sessions_of_one_client_share_a_question_and_later_ones_ask_none),
		CASE(who_no_longer_waits_is_not_told_and_the_answer_is_kept),
		CASE(a_resolver_that_was_restarted_is_asked_again),
		CASE(a_second_answer_to_a_question_finds_nobody),
		CASE(the_memory_of_clients_is_bounded),
		CASE(all_lists_are_asked_at_once_and_told_in_the_order_of_the_settings),
		CASE(a_silent_list_delays_nobody_beyond_its_time),
		CASE(lists_of_a_filter_that_is_off_are_not_asked),
		CASE(changed_lists_are_asked_anew_and_names_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
