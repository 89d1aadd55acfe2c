/*
 * test_strangers - the greylist and call-outs as smtpd asks for them, over real channels: of directory, and of qmgr
 *
 * The test is directory and qmgr. It keeps what it was asked, and answers when a case says so.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/ipc/deposit.h"
#include "common/ipc/directory.h"
#include "event_loop.h"
#include "fixture.h"
#include "smtpd/client_network.h"
#include "smtpd/inquiry.h"
#include "smtpd/limits.h"

struct scene {
	struct fixture settings;
	struct limits *limits;
	struct inquirer *inquirer;
	struct channel *directory;
	struct channel *queue;		/* qmgr's end */
	struct channel *to_queue;	/* ours */
	struct sockaddr_in client_address;
	struct client_facts client;
	struct address sender_address, recipient_address;
	struct sender_facts sender;
	struct recipient_facts recipient;
	/* what was asked */
	unsigned attempts, recalls, questions, reports;
	struct greylist_question attempt;
	char network[64], from[100], to[100];
	uint64_t recall_id, question_id;
	char asked[100];
	char reported[100];
	/* what came of it */
	unsigned answers;
	struct fact_answer answer;
	char text[100];
};

static struct scene *scene;

static void
take_attempt(void *context UNUSED, struct channel *channel UNUSED, const struct greylist_question *message)
{
	scene->attempts++;
	scene->attempt = *message;
	snprintf(scene->network, sizeof(scene->network), "%s", message->network);
	snprintf(scene->from, sizeof(scene->from), "%s", message->sender);
	snprintf(scene->to, sizeof(scene->to), "%s", message->recipient);
}

static void
take_recall(void *context UNUSED, struct channel *channel UNUSED, const struct call_out_recall *message)
{
	scene->recalls++;
	scene->recall_id = message->id;
	snprintf(scene->to, sizeof(scene->to), "%s", message->recipient);
}

static void
take_report(void *context UNUSED, struct channel *channel UNUSED, const struct call_out_report *message)
{
	scene->reports++;
	snprintf(scene->reported, sizeof(scene->reported), "%s %u %s", message->recipient, message->taken, message->text);
}

static void
take_question(void *context UNUSED, struct channel *channel UNUSED, const struct call_out_question *message)
{
	scene->questions++;
	scene->question_id = message->id;
	snprintf(scene->asked, sizeof(scene->asked), "%s", message->recipient);
}

static void
take_answer(void *context UNUSED, struct channel *channel UNUSED, const struct call_out_answer *message)
{
	inquirer_take_call_out(scene->inquirer, message);
}

static void
on_done(void *owner, const struct fact_answer *answer)
{
	assert_ptr_equal(owner, scene);
	scene->answers++;
	scene->answer = *answer;
	if (answer->fact == FACT_CALL_OUT)
		snprintf(scene->text, sizeof(scene->text), "%s", answer->call_out.text);
}

static void
start_directory(void)
{
	static const struct directory_handlers handlers = { .greylist_question = take_attempt,
		.call_out_recall = take_recall, .call_out_report = take_report };

	assert_true(inquirer_connect(scene->inquirer, &directory_protocol,
	    restart_peer(&scene->directory, &directory_protocol, &handlers)));
}

/* As server.c does it with the channel of the deposits. */
static void
start_queue(void)
{
	static const struct deposit_handlers serving = { .call_out_question = take_question };
	static const struct deposit_handlers asking = { .call_out_answer = take_answer };

	inquirer_use_queue(scene->inquirer, NULL);
	channel_free(&scene->to_queue);
	scene->to_queue = channel_open(base, restart_peer(&scene->queue, &deposit_protocol, &serving), &deposit_protocol,
	    IPC_ASKS, &asking, NULL, NULL);
	inquirer_use_queue(scene->inquirer, scene->to_queue);
}

static void
set_address(struct address *address, const char *text)
{
	struct error error = ERROR_INITIALIZER;

	assert_int_equal(address_parse(text, strlen(text), 0, address, &error), 0);
}

static int
prepare(void **state UNUSED)
{
	scene = memory_new(1, sizeof(*scene));
	base = event_base_new();
	fixture_start(&scene->settings);
	scene->settings.rules = rules_new(scene->settings.settings);
	scene->limits = limits_new();
	scene->inquirer = inquirer_new(base, scene->limits);
	scene->client_address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(0xc0000207) } };
	scene->client.address = (const struct sockaddr *)&scene->client_address;
	scene->client.address_text = "192.0.2.7";
	set_address(&scene->sender_address, "a@b.example");
	set_address(&scene->recipient_address, "alice@ours.example");
	scene->sender.address = &scene->sender_address;
	scene->recipient.address = &scene->recipient_address;
	start_directory();
	start_queue();
	return 0;
}

static int
clean_up(void **state UNUSED)
{
	inquirer_free(&scene->inquirer);
	limits_free(&scene->limits);
	channel_free(&scene->directory);
	channel_free(&scene->queue);
	channel_free(&scene->to_queue);
	fixture_end(&scene->settings);
	event_base_free(base);
	free(scene);
	return 0;
}

static struct inquiry *
ask(enum fact fact, bool is_rehearsal)
{
	const struct inquiry_subject subject = { .rules = scene->settings.rules, .client = &scene->client,
		.sender = &scene->sender, .recipient = &scene->recipient, .is_rehearsal = is_rehearsal };
	struct inquiry *inquiry = inquiry_ask(scene->inquirer, fact, &subject, on_done, scene);

	settle();
	return inquiry;
}

static void
tell_memory(enum call_out_memory_finding finding, const char *text)
{
	send_call_out_memory(scene->directory, &(struct call_out_memory){ .id = scene->recall_id, .finding = (uint8_t)finding,
	    .text = text });
	settle();
}

static void
tell_answer(unsigned outcome, const char *text)
{
	send_call_out_answer(scene->queue, &(struct call_out_answer){ .id = scene->question_id, .outcome = (uint8_t)outcome,
	    .text = text });
	settle();
}

static void
the_greylist_is_asked_by_network(void **state UNUSED)
{
	ask(FACT_GREYLIST, false);
	assert_int_equal(scene->attempts, 1);
	assert_int_equal(scene->attempt.flags, 0);
	assert_string_equal(scene->network, "192.0.2.0/24");
	assert_string_equal(scene->from, "a@b.example");
	assert_string_equal(scene->to, "alice@ours.example");
	send_greylist_answer(scene->directory, &(struct greylist_answer){ .id = scene->attempt.id, .seconds = 300 });
	settle();
	assert_int_equal(scene->answer.fact, FACT_GREYLIST);
	assert_int_equal(scene->answer.greylist.finding, GREYLIST_TOO_SOON);
	assert_int_equal(scene->answer.greylist.seconds, 300);
	ask(FACT_GREYLIST, false);
	send_greylist_answer(scene->directory, &(struct greylist_answer){ .id = scene->attempt.id, .known = 1 });
	settle();
	assert_int_equal(scene->answer.greylist.finding, GREYLIST_KNOWN);
	assert_int_equal(scene->answers, 2);
}

static void
a_rehearsal_only_peeks(void **state UNUSED)
{
	ask(FACT_GREYLIST, true);
	assert_int_equal(scene->attempt.flags, GREYLIST_PEEK);
}

static void
a_directory_that_was_restarted_is_asked_again(void **state UNUSED)
{
	ask(FACT_GREYLIST, false);
	ask(FACT_CALL_OUT, false);
	start_directory();
	settle();
	assert_int_equal(scene->attempts, 2);
	assert_int_equal(scene->recalls, 2);
	tell_memory(CALL_OUT_MEMORY_TAKEN, "");
	assert_int_equal(scene->answers, 1);
}

static void
what_is_remembered_is_not_asked_of_anybody(void **state UNUSED)
{
	ask(FACT_CALL_OUT, false);
	assert_string_equal(scene->to, "alice@ours.example");
	tell_memory(CALL_OUT_MEMORY_REFUSED, "550 no");
	assert_int_equal(scene->answer.call_out.finding, CALL_OUT_REFUSED);
	assert_string_equal(scene->text, "550 no");
	ask(FACT_CALL_OUT, false);
	tell_memory(CALL_OUT_MEMORY_TAKEN, "");
	assert_int_equal(scene->answer.call_out.finding, CALL_OUT_TAKEN);
	assert_int_equal(scene->questions, 0);
	assert_int_equal(scene->reports, 0);
}

static const struct {
	unsigned outcome;
	enum call_out_finding finding;
	const char *report;	/* NULL: none */
} outcomes[] = {
	{ CALL_OUT_ACCEPTED, CALL_OUT_TAKEN, "alice@ours.example 1 said" },
	{ CALL_OUT_DENIED, CALL_OUT_REFUSED, "alice@ours.example 0 said" },
	{ CALL_OUT_SILENT, CALL_OUT_NO_ANSWER, NULL },
	{ CALL_OUT_NOBODY_TO_ASK, CALL_OUT_TAKEN, NULL },
	{ 200, CALL_OUT_NO_ANSWER, NULL },
};

static void
what_qmgr_finds_is_told_to_directory_but_not_in_a_rehearsal(void **state UNUSED)
{
	for (unsigned i = 0; i < 2 * ARRAY_COUNT(outcomes); i++) {
		unsigned reports = scene->reports;
		bool is_rehearsal = i % 2 == 1;

		ask(FACT_CALL_OUT, is_rehearsal);
		tell_memory(CALL_OUT_MEMORY_NOTHING, "");
		assert_string_equal(scene->asked, "alice@ours.example");
		tell_answer(outcomes[i / 2].outcome, "said");
		assert_int_equal(scene->answers, i + 1);
		assert_int_equal(scene->answer.call_out.finding, outcomes[i / 2].finding);
		assert_int_equal(scene->reports, reports + (outcomes[i / 2].report != NULL && !is_rehearsal));
		if (scene->reports > reports)
			assert_string_equal(scene->reported, outcomes[i / 2].report);
	}
}

static void
a_qmgr_that_was_restarted_is_asked_again(void **state UNUSED)
{
	ask(FACT_CALL_OUT, false);
	tell_memory(CALL_OUT_MEMORY_NOTHING, "");
	assert_int_equal(scene->questions, 1);
	start_queue();
	settle();
	assert_int_equal(scene->questions, 2);
	tell_answer(CALL_OUT_ACCEPTED, "");
	assert_int_equal(scene->answers, 1);
}

static void
without_a_qmgr_a_question_waits_for_one(void **state UNUSED)
{
	inquirer_use_queue(scene->inquirer, NULL);
	ask(FACT_CALL_OUT, false);
	tell_memory(CALL_OUT_MEMORY_NOTHING, "");
	assert_int_equal(scene->questions, 0);
	start_queue();
	settle();
	assert_int_equal(scene->questions, 1);
}

static void
who_no_longer_waits_is_not_told(void **state UNUSED)
{
	struct inquiry *greylist = ask(FACT_GREYLIST, false), *call_out = ask(FACT_CALL_OUT, false), *later;

	inquiry_forget(&greylist);
	inquiry_forget(&call_out);
	send_greylist_answer(scene->directory, &(struct greylist_answer){ .id = scene->attempt.id, .known = 1 });
	tell_memory(CALL_OUT_MEMORY_NOTHING, "");
	assert_int_equal(scene->questions, 0);
	later = ask(FACT_CALL_OUT, false);
	tell_memory(CALL_OUT_MEMORY_NOTHING, "");
	inquiry_forget(&later);
	tell_answer(CALL_OUT_ACCEPTED, "");
	assert_int_equal(scene->answers, 0);
	assert_int_equal(scene->reports, 0);
}

static void
networks_are_cut_at_their_prefix(void **state UNUSED)
{
	static const struct {
		const char *address;
		unsigned ipv4, ipv6;
		const char *network;
	} cases[] = {
		{ "192.0.2.255", 24, 64, "192.0.2.0/24" }, { "192.0.2.255", 32, 64, "192.0.2.255/32" },
		{ "192.0.2.255", 27, 64, "192.0.2.224/27" }, { "192.0.2.255", 8, 64, "192.0.0.0/8" },
		{ "2001:db8:1:2:3:4:5:6", 24, 64, "2001:db8:1:2::/64" }, { "2001:db8:1:2:3:4:5:6", 24, 128, "2001:db8:1:2:3:4:5:6/128" },
		{ "2001:db8:ffff::1", 24, 33, "2001:db8:8000::/33" }, { "::ffff:192.0.2.9", 24, 64, "192.0.2.0/24" },
	};
	char network[CLIENT_NETWORK_MAX];

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		union {
			struct sockaddr any;
			struct sockaddr_in ipv4;
			struct sockaddr_in6 ipv6;
		} address = { 0 };

		if (inet_pton(AF_INET, cases[i].address, &address.ipv4.sin_addr) == 1) {
			address.any.sa_family = AF_INET;
		} else {
			assert_int_equal(inet_pton(AF_INET6, cases[i].address, &address.ipv6.sin6_addr), 1);
			address.any.sa_family = AF_INET6;
		}
		client_network(&address.any, cases[i].ipv4, cases[i].ipv6, network);
		assert_string_equal(network, cases[i].network);
	}
	client_network(&(struct sockaddr){ .sa_family = AF_UNIX }, 24, 64, network);
	assert_string_equal(network, "");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
	const struct CMUnitTest tests[] = {
		CASE(the_greylist_is_asked_by_network),
		CASE(a_rehearsal_only_peeks),
		CASE(a_directory_that_was_restarted_is_asked_again),
		CASE(what_is_remembered_is_not_asked_of_anybody),
		CASE(what_qmgr_finds_is_told_to_directory_but_not_in_a_rehearsal),
		CASE(a_qmgr_that_was_restarted_is_asked_again),
		CASE(without_a_qmgr_a_question_waits_for_one),
		CASE(who_no_longer_waits_is_not_told),
		cmocka_unit_test(networks_are_cut_at_their_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
