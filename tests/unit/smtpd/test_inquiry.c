/*
 * test_inquiry - facts are asked of the right program, over real channels, and come back as they should
 *
 * The test is resolver and policy. It keeps what it was asked, and answers when a case says so.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/wire.h"
#include "common/ipc/dns.h"
#include "common/ipc/policy.h"
#include "fixture.h"
#include "smtpd/client_memory.h"
#include "smtpd/dns_client.h"
#include "smtpd/inquiry.h"
#include "smtpd/limits.h"

#define PATIENCE_MS 10000
#define QUESTIONS_MAX 64

struct asked {
	uint64_t id;
	enum dns_kind kind;
	char name[256];
};

struct answered {
	unsigned count;
	struct fact_answer answer;	/* the last one; its pointers are those below */
	struct host_names names;
	struct dns_list_answer lists[8];
	size_t list_count;
	char text[64];
};

struct scene {
	struct fixture settings;
	struct event_base *base;
	struct limits *limits;
	struct inquirer *inquirer;
	struct channel *resolver;
	struct channel *policy;
	struct known_client client;
	struct sockaddr_in address;
	/* what was asked, oldest first */
	struct asked questions[QUESTIONS_MAX];
	size_t question_count;
	uint64_t rate_id;
	unsigned rates, spf_questions;
	struct rate_question rate;
	char said[3][256];		/* address, helo and sender of the last SPF question */
	/* sessions told to policy: those open at the last watch, and what became of them */
	unsigned watches, open, opened, closed;
	/* events logged */
	unsigned ignored, silent;
};

static struct scene *scene;

static void
on_logged(enum log_event_number event, int64_t wall_ms, const char *const *values, unsigned count)
{
	(void)wall_ms;
	(void)values;
	(void)count;
	if (event == LOG_DNS_LIST_IGNORED)
		scene->ignored++;
	if (event == LOG_DNS_LIST_SILENT)
		scene->silent++;
}

/* ---- the other programs ---- */

static void
take_question(void *context, struct channel *channel, const struct dns_question *message)
{
	struct asked *asked = &scene->questions[scene->question_count];

	(void)context;
	(void)channel;
	assert_true(scene->question_count < QUESTIONS_MAX);
	asked->id = message->id;
	asked->kind = (enum dns_kind)message->kind;
	snprintf(asked->name, sizeof(asked->name), "%s", message->name);
	scene->question_count++;
}

static void
take_rate_question(void *context, struct channel *channel, const struct rate_question *message)
{
	(void)context;
	(void)channel;
	scene->rates++;
	scene->rate = *message;
	snprintf(scene->said[0], sizeof(scene->said[0]), "%s", message->client_address);
}

static void
take_spf_question(void *context, struct channel *channel, const struct spf_question *message)
{
	(void)context;
	(void)channel;
	scene->spf_questions++;
	scene->rate.id = message->id;
	snprintf(scene->said[0], sizeof(scene->said[0]), "%s", message->client_address);
	snprintf(scene->said[1], sizeof(scene->said[1]), "%s", message->helo);
	snprintf(scene->said[2], sizeof(scene->said[2]), "%s", message->sender);
}

static void
take_session(void *context, struct channel *channel, const struct policy_session *message)
{
	(void)context;
	(void)channel;
	assert_string_equal(message->client_address, "192.0.2.7");
	switch (message->change) {
	case SESSIONS_ALL:
		scene->watches++;
		scene->open = message->count;
		break;
	case SESSIONS_OPENED:
		scene->opened += message->count;
		break;
	case SESSIONS_CLOSED:
		scene->closed += message->count;
		break;
	default:
		fail();
	}
}

static void
start_peer(struct channel **channel, const struct ipc_protocol *protocol, const void *handlers)
{
	static const struct channel_events events = { .closed = NULL };
	int sockets[2];

	channel_free(channel);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	*channel = channel_open(scene->base, sockets[0], protocol, IPC_SERVES, handlers, &events, scene);
	assert_true(inquirer_connect(scene->inquirer, protocol, sockets[1]));
}

static void
start_resolver(void)
{
	static const struct dns_handlers handlers = { .dns_question = take_question };

	scene->question_count = 0;
	start_peer(&scene->resolver, &dns_protocol, &handlers);
}

static void
start_policy(void)
{
	static const struct policy_handlers handlers = { .rate_question = take_rate_question,
		.spf_question = take_spf_question, .policy_session = take_session };

	start_peer(&scene->policy, &policy_protocol, &handlers);
}

static int
prepare(void **state)
{
	scene = memory_new(1, sizeof(*scene));
	scene->base = event_base_new();
	fixture_start(&scene->settings);
	scene->limits = limits_new();
	scene->inquirer = inquirer_new(scene->base, scene->limits);
	scene->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(0xc0000207) } };
	scene->client.facts.address = (const struct sockaddr *)&scene->address;
	scene->client.facts.address_text = "192.0.2.7";
	scene->client.facts.helo = "client.example";
	log_set_level(LOG_SEVERITY_NOTICE);
	log_set_sink(on_logged);
	start_resolver();
	start_policy();
	*state = scene;
	return 0;
}

static int
clean_up(void **state)
{
	(void)state;
	log_set_sink(NULL);
	inquirer_free(&scene->inquirer);
	limits_free(&scene->limits);
	channel_free(&scene->resolver);
	channel_free(&scene->policy);
	known_client_free(&scene->client);
	fixture_end(&scene->settings);
	event_base_free(scene->base);
	free(scene);
	return 0;
}

/* Turns the loop until something is true, but not for ever. */
#define turn_until(condition) do { \
	deadline_t patience_ = deadline_after_ms(PATIENCE_MS); \
	while (!(condition) && !deadline_passed(patience_)) { \
		event_base_loop(scene->base, EVLOOP_NONBLOCK); \
		usleep(200); \
	} \
	assert_true(condition); \
} while (0)

/* Lets everything that is on its way arrive. */
static void
settle(void)
{
	for (unsigned i = 0; i < 20; i++)
		event_base_loop(scene->base, EVLOOP_NONBLOCK);
}

/* ---- asking ---- */

static void
on_answer(void *owner, const struct fact_answer *answer)
{
	struct answered *answered = owner;

	answered->count++;
	answered->answer = *answer;
	if (answer->fact == FACT_HOST_NAMES) {
		answered->names = *answer->host_names;
	} else if (answer->fact == FACT_DNS_LISTS) {
		answered->list_count = answer->dns_lists->count;
		memcpy(answered->lists, answer->dns_lists->answers, answered->list_count * sizeof(answered->lists[0]));
	} else if (answer->fact == FACT_SPF) {
		snprintf(answered->text, sizeof(answered->text), "%s", answer->spf.text);
	} else if (answer->fact == FACT_ADMISSION || answer->fact == FACT_MESSAGE_RATE || answer->fact == FACT_RECIPIENT_RATE) {
		snprintf(answered->text, sizeof(answered->text), "%s", answer->rate.rule);
	}
}

static struct rules *
rules_of_scene(void)
{
	if (scene->settings.rules == NULL)
		scene->settings.rules = rules_new(scene->settings.settings);
	return scene->settings.rules;
}

static struct inquiry *
ask(enum fact fact, const struct sender_facts *sender, struct answered *answered)
{
	struct inquiry_subject subject = { .rules = rules_of_scene(), .client = &scene->client.facts, .sender = sender };

	return inquiry_ask(scene->inquirer, fact, &subject, on_answer, answered);
}

static void
answer_dns(size_t number, enum dns_outcome outcome, const struct buffer *records, unsigned count)
{
	assert_true(number < scene->question_count);
	assert_true(send_dns_answer(scene->resolver, &(struct dns_answer){ .id = scene->questions[number].id,
	    .outcome = (uint8_t)outcome, .ttl = 600, .count = (uint16_t)count,
	    .records = { records != NULL ? records->data : NULL, records != NULL ? records->length : 0 }, .text = "" }));
}

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

/* ---- what is known of clients ---- */

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
	struct dns_client *dns = dns_client_new(scene->base);
	struct client_memory *memory = client_memory_new(scene->base, dns);
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

/* ---- senders ---- */

struct domain_row {
	const char *sender;
	enum dns_outcome mx;
	const char *exchange;		/* of DNS_FOUND */
	enum dns_outcome host;		/* asked when there is no MX */
	enum sender_domain_state state;
	size_t questions;
};

static void
judge_domain(const struct domain_row *row)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct answered answered = { 0 };
	struct buffer records = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;

	assert_int_equal(address_parse(row->sender, strlen(row->sender), ADDRESS_ALLOW_UTF8, &sender.address, &error), 0);
	scene->question_count = 0;
	ask(FACT_SENDER_DOMAIN, &sender.facts, &answered);
	if (row->questions > 0) {
		turn_until(scene->question_count == 1);
		assert_int_equal(scene->questions[0].kind, DNS_MX);
		if (row->mx == DNS_FOUND) {
			wire_put_u16(&records, 0);
			wire_put_string(&records, row->exchange);
		}
		answer_dns(0, row->mx, &records, row->mx == DNS_FOUND);
	}
	if (row->questions > 1) {
		turn_until(scene->question_count == 2);
		assert_int_equal(scene->questions[1].kind, DNS_HOST);
		answer_dns(1, row->host, NULL, 0);
	}
	turn_until(answered.count == 1);
	assert_int_equal(answered.answer.sender_domain, row->state);
	assert_int_equal(scene->question_count, row->questions);
	buffer_free(&records);
}

static void
a_senders_domain_exists_with_an_mx_or_an_address(void **state)
{
	static const struct domain_row rows[] = {
		{ "s@theirs.example", DNS_FOUND, "mx.theirs.example", 0, SENDER_DOMAIN_EXISTS, 1 },
		{ "s@null.example", DNS_FOUND, "", 0, SENDER_DOMAIN_MISSING, 1 },
		{ "s@host.example", DNS_NO_DATA, NULL, DNS_FOUND, SENDER_DOMAIN_EXISTS, 2 },
		{ "s@empty.example", DNS_NO_DATA, NULL, DNS_NO_DATA, SENDER_DOMAIN_MISSING, 2 },
		{ "s@half.example", DNS_NO_DATA, NULL, DNS_NO_ANSWER, SENDER_DOMAIN_NO_ANSWER, 2 },
		{ "s@missing.example", DNS_NO_NAME, NULL, 0, SENDER_DOMAIN_MISSING, 1 },
		{ "s@silent.example", DNS_NO_ANSWER, NULL, 0, SENDER_DOMAIN_NO_ANSWER, 1 },
		{ "s@[192.0.2.1]", 0, NULL, 0, SENDER_DOMAIN_EXISTS, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		judge_domain(&rows[i]);
}

static void
an_international_domain_is_asked_as_a_labels(void **state)
{
	static const struct domain_row row = { "s@m\xc3\xbcnchen.example", DNS_NO_NAME, NULL, 0, SENDER_DOMAIN_MISSING, 1 };

	(void)state;
	judge_domain(&row);
	assert_string_equal(scene->questions[0].name, "xn--mnchen-3ya.example");
}

/* Asks about a sender; the questions that went to resolver and policy for it. */
static size_t
questions_about(enum fact fact, const char *text, struct answered *answered)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct error error = ERROR_INITIALIZER;
	size_t before = scene->question_count + scene->spf_questions;

	*answered = (struct answered){ 0 };
	assert_int_equal(address_parse(text, strlen(text), 0, &sender.address, &error), 0);
	if (ask(fact, &sender.facts, answered) == NULL)
		return 0;
	turn_until(scene->question_count + scene->spf_questions > before);
	return scene->question_count + scene->spf_questions - before;
}

static void
what_the_dns_said_of_a_senders_domain_is_remembered(void **state)
{
	struct answered answered;

	(void)state;
	assert_int_equal(questions_about(FACT_SENDER_DOMAIN, "a@gone.example", &answered), 1);
	answer_dns(0, DNS_NO_NAME, NULL, 0);
	turn_until(answered.count == 1);
	assert_int_equal(questions_about(FACT_SENDER_DOMAIN, "b@GONE.example", &answered), 0);
	assert_int_equal(answered.answer.sender_domain, SENDER_DOMAIN_MISSING);
	assert_int_equal(questions_about(FACT_SENDER_DOMAIN, "a@silent.example", &answered), 1);
	answer_dns(1, DNS_NO_ANSWER, NULL, 0);
	turn_until(answered.count == 1);
	assert_int_equal(questions_about(FACT_SENDER_DOMAIN, "a@silent.example", &answered), 1);
}

/* ---- policy ---- */

static void
answer_spf(uint32_t lifetime, struct answered *answered)
{
	assert_true(send_spf_answer(scene->policy, &(struct spf_answer){ .id = scene->rate.id, .helo = SPF_VERDICT_PASS,
	    .mail = SPF_VERDICT_FAIL, .lifetime = lifetime, .text = "not from there" }));
	turn_until(answered->count == 1);
}

static void
a_verdict_is_remembered_for_the_client_its_helo_and_the_domain(void **state)
{
	struct answered answered;

	(void)state;
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
	answer_spf(600, &answered);
	assert_int_equal(questions_about(FACT_SPF, "b@Theirs.Example", &answered), 0);
	assert_int_equal(answered.answer.spf.helo, SPF_VERDICT_PASS);
	assert_int_equal(answered.answer.spf.mail, SPF_VERDICT_FAIL);
	assert_string_equal(answered.text, "not from there");
	assert_int_equal(questions_about(FACT_SPF, "a@others.example", &answered), 1);
	scene->client.facts.helo = "other.example";
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
	scene->client.facts.helo = "client.example";
	scene->client.facts.address_text = "192.0.2.8";
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
}

static void
a_verdict_for_once_is_asked_about_again(void **state)
{
	struct answered answered;

	(void)state;
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
	answer_spf(0, &answered);
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
}

static void
answer_rate(bool exceeded, const char *rule)
{
	assert_true(send_rate_answer(scene->policy, &(struct rate_answer){ .id = scene->rate.id, .exceeded = exceeded,
	    .rule = rule }));
}

static void
rates_are_asked_by_kind_and_answered_with_the_setting(void **state)
{
	static const struct {
		enum fact fact;
		enum rate_kind kind;
	} rows[] = { { FACT_ADMISSION, RATE_SESSION }, { FACT_MESSAGE_RATE, RATE_MESSAGE },
		{ FACT_RECIPIENT_RATE, RATE_RECIPIENT } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		struct answered answered = { 0 };

		assert_non_null(ask(rows[i].fact, NULL, &answered));
		turn_until(scene->rates == i + 1);
		assert_int_equal(scene->rate.kind, rows[i].kind);
		assert_int_equal(scene->rate.flags, 0);
		assert_string_equal(scene->said[0], "192.0.2.7");
		answer_rate(true, "client_session_rate");
		turn_until(answered.count == 1);
		assert_int_equal(answered.answer.fact, rows[i].fact);
		assert_int_equal(answered.answer.rate.state, RATE_EXCEEDED);
		assert_string_equal(answered.text, "client_session_rate");
	}
}

static void
spf_is_asked_about_helo_and_sender(void **state)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct answered answered = { 0 };
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(address_parse("s@theirs.example", 16, 0, &sender.address, &error), 0);
	assert_non_null(ask(FACT_SPF, &sender.facts, &answered));
	turn_until(scene->spf_questions == 1);
	assert_string_equal(scene->said[0], "192.0.2.7");
	assert_string_equal(scene->said[1], "client.example");
	assert_string_equal(scene->said[2], "s@theirs.example");
	assert_true(send_spf_answer(scene->policy, &(struct spf_answer){ .id = scene->rate.id, .helo = SPF_VERDICT_PASS,
	    .mail = 200, .text = "why" }));
	turn_until(answered.count == 1);
	assert_int_equal(answered.answer.spf.helo, SPF_VERDICT_PASS);
	assert_int_equal(answered.answer.spf.mail, SPF_VERDICT_TEMPERROR);
	assert_string_equal(answered.text, "why");
}

static void
spf_questions_without_an_answer_leave_credits_for_the_others(void **state)
{
	struct answered answered = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		struct known_sender sender = { .facts.address = &sender.address };
		struct error error = ERROR_INITIALIZER;
		char text[40];

		snprintf(text, sizeof(text), "s@d%u.example", i);
		assert_int_equal(address_parse(text, strlen(text), 0, &sender.address, &error), 0);
		assert_non_null(ask(FACT_SPF, &sender.facts, &(struct answered){ 0 }));
	}
	turn_until(scene->spf_questions > 0);
	settle();
	assert_in_range(scene->spf_questions, 100, 1000);
	assert_non_null(ask(FACT_MESSAGE_RATE, NULL, &answered));
	turn_until(scene->rates == 1);
	answer_rate(false, "");
	turn_until(answered.count == 1);
}

static void
forgotten_spf_questions_give_their_places_back_when_they_are_answered(void **state)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct error error = ERROR_INITIALIZER;

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		struct answered answered = { 0 };
		struct inquiry *inquiry;

		assert_int_equal(address_parse("s@theirs.example", 16, 0, &sender.address, &error), 0);
		inquiry = ask(FACT_SPF, &sender.facts, &answered);
		turn_until(scene->spf_questions == i + 1);
		inquiry_forget(&inquiry);
		assert_true(send_spf_answer(scene->policy, &(struct spf_answer){ .id = scene->rate.id, .text = "" }));
		settle();
	}
}

static struct in6_addr
key_of_scene(void)
{
	return client_key((const struct sockaddr *)&scene->address);
}

/* A session comes, as connection.c lets it in. */
static void
enter(void)
{
	const struct in6_addr key = key_of_scene();

	assert_int_equal(limits_enter(scene->limits, &key, 100, 100), LIMITS_ENTERED);
}

/* And goes. */
static void
leave(void)
{
	const struct in6_addr key = key_of_scene();

	limits_leave(scene->limits, &key);
	inquirer_session_closed(scene->inquirer, &scene->client.facts);
}

static size_t
sessions_open(void)
{
	const struct in6_addr key = key_of_scene();

	return limits_open_sessions(scene->limits, &key);
}

static void
watch(bool ends)
{
	unsigned before = scene->watches;
	const struct in6_addr key = key_of_scene();

	assert_true(send_policy_watch(scene->policy, &(struct policy_watch){ .ends = ends, .client_address = "192.0.2.7" }));
	if (ends)
		turn_until(!limits_is_watched(scene->limits, &key));
	else
		turn_until(scene->watches == before + 1);
}

static struct inquiry *
ask_admission(struct answered *answered)
{
	unsigned before = scene->rates;
	struct inquiry *inquiry;

	enter();
	inquiry = ask(FACT_ADMISSION, NULL, answered);
	turn_until(scene->rates == before + 1);
	return inquiry;
}

static void
a_crowded_session_says_so(void **state)
{
	struct answered answered = { 0 };

	(void)state;
	scene->client.facts.is_crowded = true;
	assert_non_null(ask_admission(&answered));
	assert_int_equal(scene->rate.flags, RATE_CROWDED);
	answer_rate(false, "");
	turn_until(answered.count == 1);
}

static void
a_rehearsal_counts_nothing(void **state)
{
	struct answered answered = { 0 };
	struct inquiry_subject subject = { .rules = rules_of_scene(), .client = &scene->client.facts, .is_rehearsal = true };

	(void)state;
	enter();
	watch(false);
	assert_non_null(inquiry_ask(scene->inquirer, FACT_ADMISSION, &subject, on_answer, &answered));
	turn_until(scene->rates == 1);
	assert_int_equal(scene->rate.flags, RATE_PEEK);
	assert_int_equal(sessions_open(), 1);
	answer_rate(true, "client_session_rate");
	turn_until(answered.count == 1);
	assert_int_equal(sessions_open(), 1);
	settle();
	assert_int_equal(scene->opened + scene->closed, 0);
}

static void
sessions_of_a_client_are_told_while_it_is_watched(void **state)
{
	(void)state;
	enter();
	enter();
	leave();
	settle();
	assert_int_equal(scene->closed, 0);
	enter();
	watch(false);
	assert_int_equal(scene->open, 2);
	leave();
	turn_until(scene->closed == 1);
	watch(true);
	leave();
	settle();
	assert_int_equal(scene->closed, 1);
	assert_int_equal(scene->opened, 0);
}

static void
a_session_that_is_asked_about_is_not_open_yet(void **state)
{
	struct answered first = { 0 }, second = { 0 };

	(void)state;
	enter();
	assert_non_null(ask_admission(&first));
	watch(false);
	assert_int_equal(scene->open, 1);
	answer_rate(false, "");
	turn_until(first.count == 1);
	assert_int_equal(sessions_open(), 2);
	assert_non_null(ask_admission(&second));
	answer_rate(true, "maximum_sessions_per_client");
	turn_until(second.count == 1);
	assert_int_equal(sessions_open(), 2);
	limits_leave_refused(scene->limits);
	assert_int_equal(limits_sessions(scene->limits), 2);
	settle();
	assert_int_equal(scene->opened + scene->closed, 0);
	watch(false);
	assert_int_equal(scene->open, 2);
}

static void
a_policy_that_was_restarted_watches_nobody_and_is_asked_again(void **state)
{
	struct answered waiting = { 0 };

	(void)state;
	enter();
	watch(false);
	assert_non_null(ask_admission(&waiting));
	start_policy();
	turn_until(scene->rates == 2);
	leave();
	settle();
	assert_int_equal(scene->closed, 0);
	watch(false);
	assert_int_equal(scene->open, 0);
	answer_rate(false, "");
	turn_until(waiting.count == 1);
	assert_int_equal(sessions_open(), 1);
}

static void
a_session_that_no_longer_waits_for_its_answer_is_open(void **state)
{
	struct answered answered = { 0 };

	(void)state;
	watch(false);
	for (unsigned round = 1; round <= 2; round++) {
		struct inquiry *inquiry = ask_admission(&answered);

		inquiry_forget(&inquiry);
		turn_until(scene->opened == round);
		assert_int_equal(sessions_open(), round);
		/* policy has counted it twice when it says yes, and once when it says no */
		answer_rate(round == 2, "client_session_rate");
		settle();
		assert_int_equal(scene->closed, 1);
		assert_int_equal(sessions_open(), round);
	}
	assert_int_equal(answered.count, 0);
}

static void
a_session_that_goes_before_its_answer_counts_for_nobody(void **state)
{
	struct answered answered = { 0 };
	struct inquiry *inquiry;

	(void)state;
	watch(false);
	inquiry = ask_admission(&answered);
	inquiry_forget(&inquiry);
	leave();
	answer_rate(false, "");
	turn_until(scene->closed == 2);
	assert_int_equal(scene->opened, 1);
	assert_int_equal(sessions_open(), 0);
	start_policy();
	settle();
	assert_int_equal(scene->rates, 1);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
	const struct CMUnitTest tests[] = {
		CASE(sessions_of_one_client_share_a_question_and_later_ones_ask_none),
		CASE(who_no_longer_waits_is_not_told_and_the_answer_is_kept),
		CASE(all_lists_are_asked_at_once_and_told_in_the_order_of_the_settings),
		CASE(a_silent_list_delays_nobody_beyond_its_time),
		CASE(lists_of_a_filter_that_is_off_are_not_asked),
		CASE(changed_lists_are_asked_anew_and_names_are_not),
		CASE(a_resolver_that_was_restarted_is_asked_again),
		CASE(a_second_answer_to_a_question_finds_nobody),
		CASE(the_memory_of_clients_is_bounded),
		CASE(a_senders_domain_exists_with_an_mx_or_an_address),
		CASE(an_international_domain_is_asked_as_a_labels),
		CASE(what_the_dns_said_of_a_senders_domain_is_remembered),
		CASE(a_verdict_is_remembered_for_the_client_its_helo_and_the_domain),
		CASE(a_verdict_for_once_is_asked_about_again),
		CASE(spf_questions_without_an_answer_leave_credits_for_the_others),
		CASE(forgotten_spf_questions_give_their_places_back_when_they_are_answered),
		CASE(rates_are_asked_by_kind_and_answered_with_the_setting),
		CASE(spf_is_asked_about_helo_and_sender),
		CASE(a_crowded_session_says_so),
		CASE(a_rehearsal_counts_nothing),
		CASE(sessions_of_a_client_are_told_while_it_is_watched),
		CASE(a_session_that_is_asked_about_is_not_open_yet),
		CASE(a_policy_that_was_restarted_watches_nobody_and_is_asked_again),
		CASE(a_session_that_no_longer_waits_for_its_answer_is_open),
		CASE(a_session_that_goes_before_its_answer_counts_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
