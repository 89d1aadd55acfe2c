/*
 * Unit tests of resolver/mail_hosts.c and mx_list.c: the rules of RFC 5321 section 5, of section 5 of
 * docs/reference/domino-semantics.md and rows 105 to 110 of docs/reference/hostile-inputs.md, with answers by the
 * test itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "resolver/mail_hosts.h"

#define QUESTIONS_MAX 64
#define SAYS_OF(name_, kind_, outcome_, text_) { .kind = kind_, .outcome = outcome_, .text = text_, .name = name_ }
#define SAYS(kind, outcome, text) SAYS_OF(NULL, kind, outcome, text)
#define MX(text) SAYS(DNS_MX, DNS_FOUND, text)
#define ADDRESS(name, text) SAYS_OF(name, DNS_HOST, DNS_FOUND, text)

/* What the DNS of a case says. text: "10:mail1 10:mail2" for MX, "1 2" for the last octets of 192.0.2.x. */
struct record {
	unsigned kind;
	enum dns_outcome outcome;
	const char *text;
	const char *name;	/* NULL: the domain itself */
	enum dns_security security;
};

struct asker {
	unsigned kind;
	char name[256];
	lookup_cb answered;
	void *context;
};

struct scene {
	struct event_base *base;
	struct mail_hosts_means means;
	struct asker *questions[QUESTIONS_MAX];		/* not answered */
	size_t question_count;
	const struct record *records;
	size_t record_count;
	unsigned asked;
	char asked_names[4096];
	uint8_t our_address;		/* its last octet */
	struct mail_hosts *hosts;
	unsigned answers;
	enum mail_hosts_outcome outcome;
	enum dns_security security;
	bool implicit;
	uint32_t retry_seconds;
	char text[600];
	char list[4096];		/* "10:mail1=USABLE ..." */
	uint32_t failed_seconds;	/* of the first FAILED host */
	uint16_t address_count;		/* of the first host */
};

static const char *const state_names[MAIL_HOST_STATE_COUNT] = { "USABLE", "FAILED", "NO_ADDRESS", "NO_ANSWER", "OURS",
	"BEHIND_OURS" };

/* ---- the DNS ---------------------------------------------------------------------------------- */

static struct asker *
scene_ask(void *context, unsigned kind, const char *name, lookup_cb answered, void *asker_context)
{
	struct scene *scene = context;
	struct asker *asker = memory_new(1, sizeof(*asker));
	size_t length = strlen(scene->asked_names);

	asker->kind = kind;
	snprintf(asker->name, sizeof(asker->name), "%s", name);
	asker->answered = answered;
	asker->context = asker_context;
	assert_true(scene->question_count < QUESTIONS_MAX);
	scene->questions[scene->question_count++] = asker;
	scene->asked++;
	snprintf(scene->asked_names + length, sizeof(scene->asked_names) - length, "%u/%s ", kind, name);
	return asker;
}

static void
remove_question(struct scene *scene, const struct asker *asker)
{
	size_t i;

	for (i = 0; scene->questions[i] != asker; i++)
		assert_true(i < scene->question_count);
	memmove(&scene->questions[i], &scene->questions[i + 1], (scene->question_count - i - 1) * sizeof(asker));
	scene->question_count--;
}

static void
scene_forget(void *context, struct asker **asker)
{
	remove_question(context, *asker);
	free(*asker);
	*asker = NULL;
}

static bool
scene_is_our_address(void *context, struct bytes address, uint16_t port)
{
	const struct scene *scene = context;

	return port == 25 && address.length == 4 && ((const uint8_t *)address.data)[3] == scene->our_address;
}

static uint16_t
put_records(struct buffer *records, unsigned kind, const char *text)
{
	char *copy = memory_copy_string(text), *rest = NULL, *word;
	uint16_t count = 0;

	for (word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest), count++) {
		if (kind == DNS_MX) {
			wire_put_u16(records, (uint16_t)atoi(word));
			wire_put_string(records, strchr(word, ':') + 1);
		} else {
			uint8_t octets[4] = { 192, 0, 2, (uint8_t)atoi(word) };

			wire_put_bytes(records, octets, sizeof(octets));
		}
	}
	free(copy);
	return count;
}

static void
answer_question(struct scene *scene, struct asker *asker)
{
	struct buffer records = BUFFER_INITIALIZER(0);
	struct dns_answer answer = { .outcome = DNS_NO_NAME, .text = "" };
	size_t i;

	for (i = 0; i < scene->record_count; i++) {
		const struct record *record = &scene->records[i];

		if (record->kind != asker->kind ||
		    strcmp(record->name == NULL ? "example.net" : record->name, asker->name) != 0)
			continue;
		answer.outcome = record->outcome;
		answer.security = record->security;
		if (record->outcome == DNS_FOUND)
			answer.count = put_records(&records, record->kind, record->text);
		else
			answer.text = record->text;
	}
	answer.records = (struct bytes){ buffer_text(&records), records.length };
	remove_question(scene, asker);
	asker->answered(asker->context, &answer);
	free(asker);
	buffer_free(&records);
}

/* ---- the scene -------------------------------------------------------------------------------- */

static void
on_answer(void *context, const struct mail_hosts_result *result)
{
	struct scene *scene = context;
	size_t i;

	scene->hosts = NULL;
	scene->answers++;
	scene->outcome = result->outcome;
	scene->security = result->security;
	scene->implicit = result->implicit;
	scene->retry_seconds = result->retry_seconds;
	snprintf(scene->text, sizeof(scene->text), "%s", result->text);
	scene->list[0] = '\0';
	scene->failed_seconds = scene->address_count = 0;
	for (i = 0; i < result->list->count; i++) {
		const struct mx_host *host = &result->list->hosts[i];
		size_t length = strlen(scene->list);

		snprintf(scene->list + length, sizeof(scene->list) - length, "%s%u:%s=%s", i == 0 ? "" : " ",
		    host->preference, host->name, state_names[host->state]);
		if (i == 0)
			scene->address_count = host->count;
		if (host->state == MAIL_HOST_FAILED && scene->failed_seconds == 0)
			scene->failed_seconds = host->failed_seconds;
		assert_true(host->state == MAIL_HOST_USABLE || strlen(host->text) > 0);
	}
}

static void
ask(struct scene *scene, const struct record *records, size_t count, uint16_t port, unsigned flags)
{
	scene->records = records;
	scene->record_count = count;
	scene->answers = 0;
	scene->asked = 0;
	scene->asked_names[0] = '\0';
	scene->hosts = mail_hosts_ask(&scene->means, "example.net", port, flags, on_answer, scene);
	assert_int_equal(scene->answers, 0);
}

static void
answer_all(struct scene *scene)
{
	while (scene->question_count > 0)
		answer_question(scene, scene->questions[0]);
	assert_int_equal(scene->answers, 1);
}

static void
ask_and_answer(struct scene *scene, const struct record *records, size_t count)
{
	ask(scene, records, count, 25, 0);
	answer_all(scene);
}
#define ASK(scene, records) ask_and_answer(scene, records, sizeof(records) / sizeof(records[0]))

static int
begin_scene(void **state)
{
	struct scene *scene = memory_new(1, sizeof(*scene));

	scene->base = event_base_new();
	scene->our_address = 99;
	scene->means = (struct mail_hosts_means){ .base = scene->base, .context = scene, .ask = scene_ask,
		.forget = scene_forget, .is_our_address = scene_is_our_address, .memory = host_memory_new(100),
		.our_name = "Hub.Acme.Com" };
	*state = scene;
	return 0;
}

static int
end_scene(void **state)
{
	struct scene *scene = *state;

	mail_hosts_free(&scene->hosts);
	assert_int_equal(scene->question_count, 0);
	host_memory_free(&scene->means.memory);
	event_base_free(scene->base);
	free(scene);
	return 0;
}

/* ---- order ------------------------------------------------------------------------------------ */

static void
puts_the_lowest_preference_first(void **state)
{
	static const struct record records[] = { MX("20:c 0:a 65535:d 10:b"), ADDRESS("a", "1 2"), ADDRESS("b", "3"),
		ADDRESS("c", "4"), ADDRESS("d", "5") };
	struct scene *scene = *state;

	ASK(scene, records);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_string_equal(scene->list, "0:a=USABLE 10:b=USABLE 20:c=USABLE 65535:d=USABLE");
	assert_int_equal(scene->address_count, 2);
	assert_false(scene->implicit);
}

/* 2,000 questions: each of two equals leads in 1,000 of them but for 8 standard deviations (22 each). */
static void
shuffles_equals_anew_for_each_question(void **state)
{
	static const struct record records[] = { MX("5:mail1 5:mail2 10:mail3 10:mail4"), ADDRESS("mail1", "1"),
		ADDRESS("mail2", "2"), ADDRESS("mail3", "3"), ADDRESS("mail4", "4") };
	struct scene *scene = *state;
	unsigned first = 0, third = 0, i;

	for (i = 0; i < 2000; i++) {
		ASK(scene, records);
		first += strncmp(scene->list, "5:mail1=", 8) == 0;
		third += strstr(scene->list, "10:mail3=") < strstr(scene->list, "10:mail4=");
		assert_true(strstr(scene->list, "5:mail2=") < strstr(scene->list, "10:mail3="));
		assert_true(strstr(scene->list, "5:mail1=") < strstr(scene->list, "10:mail4="));
	}
	assert_in_range(first, 820, 1180);
	assert_in_range(third, 820, 1180);
}

/* Of 1,000 records 50 are kept; equals get their place by lot: each of them with the same probability. */
static void
keeps_the_best_of_a_thousand(void **state)
{
	struct buffer text = BUFFER_INITIALIZER(0), records = BUFFER_INITIALIZER(0);
	unsigned kept[1000] = { 0 }, i, round;
	struct dns_answer answer = { .count = 1000 };

	(void)state;
	for (i = 0; i < 1000; i++)
		buffer_printf(&text, "%u:host%u ", i == 700 ? 1 : i < 900 ? 10 : 20, i);
	assert_int_equal(put_records(&records, DNS_MX, buffer_text(&text)), 1000);
	answer.records = (struct bytes){ records.data, records.length };
	for (round = 0; round < 1000; round++) {
		struct mx_list list;

		mx_list_read(&list, &answer, "");
		assert_int_equal(list.count, MX_HOSTS_MAX);
		assert_string_equal(list.hosts[0].name, "host700");
		for (i = 0; i < list.count; i++)
			kept[atoi(list.hosts[i].name + 4)]++;
		mx_list_free(&list);
	}
	assert_int_equal(kept[700], 1000);
	/* 49 of 899: 54.5 of 1,000 expected, with a standard deviation of 7.2. */
	for (i = 0; i < 1000; i++)
		if (i != 700)
			assert_in_range(kept[i], i < 900 ? 5 : 0, i < 900 ? 115 : 0);
	buffer_free(&text);
	buffer_free(&records);
}

static void
counts_a_host_named_twice_once(void **state)
{
	static const struct record records[] = { MX("20:a 10:A 20:b 10:a"), ADDRESS("a", "1"), ADDRESS("b", "2") };
	struct scene *scene = *state;

	ASK(scene, records);
	assert_string_equal(scene->list, "10:a=USABLE 20:b=USABLE");
	assert_int_equal(scene->asked, 3);
}

/* ---- no MX records ---------------------------------------------------------------------------- */

static void
takes_the_name_itself_when_it_has_no_mx_record(void **state)
{
	static const struct record records[] = { SAYS(DNS_MX, DNS_NO_DATA, ""), ADDRESS("example.net", "1") };
	static const struct record no_address[] = { SAYS(DNS_MX, DNS_NO_DATA, ""), SAYS(DNS_HOST, DNS_NO_DATA, "") };
	static const struct record silent[] = { SAYS(DNS_MX, DNS_NO_DATA, ""), SAYS(DNS_HOST, DNS_NO_ANSWER, "SERVFAIL") };
	struct scene *scene = *state;

	ASK(scene, records);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_true(scene->implicit);
	assert_string_equal(scene->list, "0:example.net=USABLE");
	ASK(scene, no_address);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_DATA);
	ASK(scene, silent);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_ANSWER);
	assert_string_equal(scene->text, "SERVFAIL");
}

static void
never_takes_a_server_failure_for_no_mx_record(void **state)
{
	static const struct record records[] = { { .kind = DNS_MX, .outcome = DNS_NO_ANSWER, .text = "SERVFAIL", .security = DNS_BOGUS },
		ADDRESS("example.net", "1") };
	struct scene *scene = *state;

	ASK(scene, records);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_ANSWER);
	assert_int_equal(scene->security, DNS_BOGUS);
	assert_string_equal(scene->text, "SERVFAIL");
	assert_null(strstr(scene->asked_names, "0/example.net"));
}

static void
says_that_there_is_no_such_name(void **state)
{
	static const struct record records[] = { SAYS(DNS_MX, DNS_NO_NAME, ""), ADDRESS("example.net", "1") };
	struct scene *scene = *state;

	ASK(scene, records);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_NAME);
	assert_string_equal(scene->list, "");
}

static void
asks_the_hosts_file_when_the_dns_has_no_name_or_no_answer(void **state)
{
	static const struct record no_name[] = { SAYS(DNS_MX, DNS_NO_NAME, ""),
		SAYS(LOOKUP_HOSTS_FILE, DNS_FOUND, "7") };
	static const struct record no_answer[] = { SAYS(DNS_MX, DNS_NO_ANSWER, "SERVFAIL"),
		SAYS(LOOKUP_HOSTS_FILE, DNS_FOUND, "7") };
	static const struct record ours[] = { SAYS(DNS_MX, DNS_NO_NAME, ""),
		SAYS(LOOKUP_HOSTS_FILE, DNS_FOUND, "99") };
	struct scene *scene = *state;

	ASK(scene, no_name);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_string_equal(scene->list, "0:example.net=USABLE");
	ASK(scene, no_answer);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	ASK(scene, ours);
	assert_int_equal(scene->outcome, MAIL_HOSTS_LOOP);
}

static void
asks_only_for_addresses_when_told_so(void **state)
{
	static const struct record records[] = { MX("10:other"), ADDRESS("example.net", "1") };
	static const struct record no_name[] = { SAYS(DNS_HOST, DNS_NO_NAME, "") };
	static const struct record no_data[] = { SAYS(DNS_HOST, DNS_NO_DATA, "") };
	struct scene *scene = *state;

	ask(scene, records, 2, 25, MAIL_HOSTS_NO_MX);
	answer_all(scene);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_string_equal(scene->list, "0:example.net=USABLE");
	assert_string_equal(scene->asked_names, "0/example.net ");
	ask(scene, no_name, 1, 25, MAIL_HOSTS_NO_MX);
	answer_all(scene);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_NAME);
	ask(scene, no_data, 1, 25, MAIL_HOSTS_NO_MX);
	answer_all(scene);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_DATA);
}

static void
believes_a_null_mx(void **state)
{
	static const struct record null_mx[] = { MX("0:"), ADDRESS("example.net", "1") };
	static const struct record localhost[] = { MX("10:LocalHost 20:mail.localhost"), ADDRESS("example.net", "1") };
	static const struct record mixed[] = { MX("0: 10:localhost 20:a"), ADDRESS("a", "1") };
	struct scene *scene = *state;

	ASK(scene, null_mx);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NULL_MX);
	ASK(scene, localhost);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NULL_MX);
	assert_int_equal(scene->asked, 1);
	ASK(scene, mixed);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_string_equal(scene->list, "0:=NO_ADDRESS 10:localhost=NO_ADDRESS 20:a=USABLE");
}

/* ---- hosts that cannot be used ---------------------------------------------------------------- */

static void
skips_hosts_without_addresses(void **state)
{
	static const struct record records[] = { MX("10:a 20:b 30:c"), SAYS_OF("b", DNS_HOST, DNS_NO_DATA, ""),
		ADDRESS("c", "3") };
	static const struct record none[] = { MX("10:a 20:b"), SAYS_OF("b", DNS_HOST, DNS_NO_DATA, "") };
	static const struct record silent[] = { MX("10:a 20:b"), SAYS_OF("b", DNS_HOST, DNS_NO_ANSWER, "time-out") };
	static const struct record bogus[] = { MX("10:a 20:b"),
		{ .kind = DNS_HOST, .outcome = DNS_NO_ANSWER, .text = "bogus", .name = "a", .security = DNS_BOGUS },
		ADDRESS("b", "2") };
	struct scene *scene = *state;

	ASK(scene, records);
	assert_string_equal(scene->list, "10:a=NO_ADDRESS 20:b=NO_ADDRESS 30:c=USABLE");
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	ASK(scene, none);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_ADDRESS);
	ASK(scene, silent);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_ANSWER);
	assert_string_equal(scene->text, "time-out");
	ASK(scene, bogus);
	assert_string_equal(scene->list, "10:a=NO_ANSWER 20:b=USABLE");
}

static void
takes_no_text_for_a_host_that_is_none(void **state)
{
	static const char *const none[] = { "", "192.0.2.1", "localhost", "LOCALHOST", "a.localhost", "localhost.localdomain",
		"a..b", ".a", "a.", "-a.example", "a-.example", "a b", "a\\000b", "a\\.b.example", "2001:db8::1", "[192.0.2.1]",
		"mail.example.123", "a@b", "x%s", "\303\244.example",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example" };
	static const char *const hosts[] = { "a", "mail.example.net", "MAIL-1.example", "_mx.example.net", "1.example", "localhost.example",
		"xn--4ca.example", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example" };
	static const struct record records[] = { MX("10:192.0.2.1 20:a\\000b"), ADDRESS("192.0.2.1", "1") };
	struct scene *scene = *state;
	char longest[400];
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (mx_name_is_host(none[i]))
			fail_msg("\"%s\" was taken for a host", none[i]);
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (!mx_name_is_host(hosts[i]))
			fail_msg("\"%s\" was not taken for a host", hosts[i]);
	for (i = 0; i + 2 < sizeof(longest); i += 2)
		memcpy(longest + i, "a.", 3);
	longest[255] = '\0';
	assert_false(mx_name_is_host(longest));
	longest[253] = '\0';
	assert_true(mx_name_is_host(longest));
	ASK(scene, records);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_ADDRESS);
	assert_int_equal(scene->asked, 1);
}

/* ---- ourselves -------------------------------------------------------------------------------- */

static void
drops_itself_and_what_is_not_preferred(void **state)
{
	static const struct record by_name[] = { MX("10:a 20:HUB.acme.com 20:b 30:c"), ADDRESS("a", "1"), ADDRESS("b", "2"),
		ADDRESS("hub.acme.com", "3"), ADDRESS("c", "4") };
	static const struct record by_address[] = { MX("10:a 20:b 30:c"), ADDRESS("a", "1"), ADDRESS("b", "2 99"),
		ADDRESS("c", "3") };
	static const struct record first[] = { MX("10:a 20:b"), ADDRESS("a", "99"), ADDRESS("b", "2") };
	static const struct record better_without_address[] = { MX("10:a 20:b"), ADDRESS("b", "99") };
	static const struct record better_silent[] = { MX("10:a 20:b"), SAYS_OF("a", DNS_HOST, DNS_NO_ANSWER, "silent"),
		ADDRESS("b", "99") };
	struct scene *scene = *state;

	ASK(scene, by_name);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_non_null(strstr(scene->list, "10:a=USABLE "));
	assert_non_null(strstr(scene->list, "20:hub.acme.com=OURS"));
	assert_non_null(strstr(scene->list, "20:b=BEHIND_OURS"));
	assert_non_null(strstr(scene->list, "30:c=BEHIND_OURS"));
	assert_int_equal(scene->asked, 2);
	ASK(scene, by_address);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_string_equal(scene->list, "10:a=USABLE 20:b=OURS 30:c=BEHIND_OURS");
	ASK(scene, first);
	assert_int_equal(scene->outcome, MAIL_HOSTS_LOOP);
	assert_true(strlen(scene->text) > 0);
	ASK(scene, better_without_address);
	assert_int_equal(scene->outcome, MAIL_HOSTS_LOOP);
	ASK(scene, better_silent);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_ANSWER);
}

static void
is_not_itself_at_another_port(void **state)
{
	static const struct record records[] = { ADDRESS("example.net", "99") };
	struct scene *scene = *state;

	ask(scene, records, 1, 2525, MAIL_HOSTS_NO_MX);
	answer_all(scene);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	ask(scene, records, 1, 25, MAIL_HOSTS_NO_MX);
	answer_all(scene);
	assert_int_equal(scene->outcome, MAIL_HOSTS_LOOP);
}

/* ---- remembered failures ---------------------------------------------------------------------- */

static void
passes_over_hosts_that_failed(void **state)
{
	static const struct record records[] = { MX("5:a 10:b"), ADDRESS("a", "1"), ADDRESS("b", "2") };
	struct scene *scene = *state;
	int64_t now = clock_boottime_ms();

	host_memory_failed(scene->means.memory, "A", 25, "connection refused", now, 600 * 1000);
	ASK(scene, records);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_string_equal(scene->list, "5:a=FAILED 10:b=USABLE");
	assert_in_range(scene->failed_seconds, 500, 600);
	host_memory_failed(scene->means.memory, "b", 25, "time-out", now, 300 * 1000);
	ASK(scene, records);
	assert_int_equal(scene->outcome, MAIL_HOSTS_ALL_FAILED);
	assert_in_range(scene->retry_seconds, 200, 300);
	ask(scene, records, 3, 25, MAIL_HOSTS_FRESH);
	answer_all(scene);
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_string_equal(scene->list, "5:a=USABLE 10:b=USABLE");
	/* Another port is another host. */
	ask(scene, records, 3, 26, 0);
	answer_all(scene);
	assert_string_equal(scene->list, "5:a=USABLE 10:b=USABLE");
	host_memory_works(scene->means.memory, "a", 25);
	ASK(scene, records);
	assert_string_equal(scene->list, "5:a=USABLE 10:b=FAILED");
}

static void
waits_for_dns_rather_than_for_a_failed_host(void **state)
{
	static const struct record records[] = { MX("5:a 10:b"), ADDRESS("a", "1"),
		SAYS_OF("b", DNS_HOST, DNS_NO_ANSWER, "silent") };
	struct scene *scene = *state;

	host_memory_failed(scene->means.memory, "a", 25, "connection refused", clock_boottime_ms(), 600 * 1000);
	ASK(scene, records);
	assert_int_equal(scene->outcome, MAIL_HOSTS_NO_ANSWER);
}

/* ---- time ------------------------------------------------------------------------------------- */

static struct asker *
question_for(struct scene *scene, const char *name)
{
	size_t i;

	for (i = 0; i < scene->question_count; i++)
		if (strcmp(scene->questions[i]->name, name) == 0)
			return scene->questions[i];
	fail_msg("nobody asks for %s", name);
	return NULL;
}

static void
run_until_answered(struct scene *scene)
{
	while (scene->answers == 0)
		event_base_loop(scene->base, EVLOOP_ONCE);
}

static void
does_not_wait_long_for_second_choices(void **state)
{
	static const struct record records[] = { MX("5:a 10:b 20:c"), ADDRESS("a", "1"), ADDRESS("b", "2") };
	struct scene *scene = *state;

	ask(scene, records, 3, 25, 0);
	answer_question(scene, question_for(scene, "example.net"));
	answer_question(scene, question_for(scene, "b"));
	event_base_loop(scene->base, EVLOOP_NONBLOCK);
	assert_false(event_base_get_num_events(scene->base, EVENT_BASE_COUNT_ADDED) > 0);
	answer_question(scene, question_for(scene, "a"));
	assert_int_equal(scene->answers, 0);
	run_until_answered(scene);
	assert_string_equal(scene->list, "5:a=USABLE 10:b=USABLE 20:c=NO_ANSWER");
	assert_int_equal(scene->outcome, MAIL_HOSTS_FOUND);
	assert_int_equal(scene->question_count, 0);
}

static void
asks_for_all_addresses_at_once_and_lets_go(void **state)
{
	static const struct record records[] = { MX("5:a 10:b 20:c"), ADDRESS("a", "1") };
	struct scene *scene = *state;

	ask(scene, records, 2, 25, 0);
	answer_question(scene, question_for(scene, "example.net"));
	assert_int_equal(scene->question_count, 3);
	answer_question(scene, question_for(scene, "a"));
	mail_hosts_free(&scene->hosts);
	assert_int_equal(scene->question_count, 0);
	ask(scene, records, 2, 25, 0);
	mail_hosts_free(&scene->hosts);
	assert_int_equal(scene->question_count, 0);
	assert_int_equal(scene->answers, 0);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(puts_the_lowest_preference_first),
		SCENE_TEST(shuffles_equals_anew_for_each_question),
		cmocka_unit_test(keeps_the_best_of_a_thousand),
		SCENE_TEST(counts_a_host_named_twice_once),
		SCENE_TEST(takes_the_name_itself_when_it_has_no_mx_record),
		SCENE_TEST(never_takes_a_server_failure_for_no_mx_record),
		SCENE_TEST(says_that_there_is_no_such_name),
		SCENE_TEST(asks_the_hosts_file_when_the_dns_has_no_name_or_no_answer),
		SCENE_TEST(asks_only_for_addresses_when_told_so),
		SCENE_TEST(believes_a_null_mx),
		SCENE_TEST(skips_hosts_without_addresses),
		SCENE_TEST(takes_no_text_for_a_host_that_is_none),
		SCENE_TEST(drops_itself_and_what_is_not_preferred),
		SCENE_TEST(is_not_itself_at_another_port),
		SCENE_TEST(passes_over_hosts_that_failed),
		SCENE_TEST(waits_for_dns_rather_than_for_a_failed_host),
		SCENE_TEST(does_not_wait_long_for_second_choices),
		SCENE_TEST(asks_for_all_addresses_at_once_and_lets_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
