/*
 * test_inspection - sessions that nobody has, asked about over a real channel
 *
 * The test is the control command, and resolver, policy and directory too: it keeps what it was asked, and answers when a
 * case says so.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/base/wire.h"
#include "common/ipc/directory.h"
#include "common/ipc/dns.h"
#include "common/ipc/inspection.h"
#include "common/ipc/policy.h"
#include "event_loop.h"
#include "fixture.h"
#include "smtpd/inquiry.h"
#include "smtpd/inspection.h"
#include "smtpd/limits.h"

#define CALLERS 17
#define QUESTIONS 16
#define ASKED_MAX 64

struct told_step {
	enum inspection_stage stage;
	enum inspection_verdict verdict;
	char control[64], rule[128], found[1025], reply[513];
};

/* What was told to a question: its number is its id. */
struct told {
	struct told_step steps[CONTROL_COUNT + 1];
	size_t count;
	unsigned answers;
	enum inspection_outcome outcome;
	enum inspection_stage stage;
	char reply[513], text[513];
};

struct caller {
	struct channel *channel;
	struct told told[QUESTIONS];
	bool is_closed;
};

struct scene {
	struct fixture settings;
	struct limits *limits;
	struct inquirer *inquirer;
	struct inspector *inspector;
	struct channel *resolver, *policy, *directory;
	struct caller callers[CALLERS];
	/* what was asked of the others, oldest first */
	uint64_t dns_ids[ASKED_MAX];
	size_t dns_count;
	uint64_t policy_id;
	unsigned rates, peeks, spf_questions, sessions_told;
	char spf_client[65], spf_helo[256], spf_sender[1025];
	uint64_t directory_id;
	unsigned lookups;
	/* events logged */
	unsigned logged;
};

static struct scene *scene;

static void
on_logged(enum log_event_number event, int64_t wall_ms, const char *const *values, unsigned count)
{
	(void)event;
	(void)wall_ms;
	(void)values;
	(void)count;
	scene->logged++;
}

/* ---- the other programs ---- */

static void
take_dns_question(void *context, struct channel *channel, const struct dns_question *message)
{
	(void)context;
	(void)channel;
	assert_true(scene->dns_count < ASKED_MAX);
	scene->dns_ids[scene->dns_count++] = message->id;
}

static void
take_rate_question(void *context, struct channel *channel, const struct rate_question *message)
{
	(void)context;
	(void)channel;
	scene->policy_id = message->id;
	scene->rates++;
	scene->peeks += (message->flags & RATE_PEEK) != 0;
}

static void
take_spf_question(void *context, struct channel *channel, const struct spf_question *message)
{
	(void)context;
	(void)channel;
	scene->policy_id = message->id;
	scene->spf_questions++;
	snprintf(scene->spf_client, sizeof(scene->spf_client), "%s", message->client_address);
	snprintf(scene->spf_helo, sizeof(scene->spf_helo), "%s", message->helo);
	snprintf(scene->spf_sender, sizeof(scene->spf_sender), "%s", message->sender);
}

static void
take_session(void *context, struct channel *channel, const struct policy_session *message)
{
	(void)context;
	(void)channel;
	(void)message;
	scene->sessions_told++;
}

static void
take_lookup(void *context, struct channel *channel, const struct directory_lookup *message)
{
	(void)context;
	(void)channel;
	scene->directory_id = message->id;
	scene->lookups++;
}

static void
start_peer(struct channel **channel, const struct ipc_protocol *protocol, const void *handlers)
{
	assert_true(inquirer_connect(scene->inquirer, protocol, restart_peer(channel, protocol, handlers)));
}

/* ---- the control command ---- */

static void
take_step(void *context, struct channel *channel, const struct inspection_step *message)
{
	struct caller *caller = context;
	struct told *told = &caller->told[message->id];
	struct told_step *step = &told->steps[told->count];

	(void)channel;
	assert_true(told->count < CONTROL_COUNT);
	assert_int_equal(told->answers, 0);
	step->stage = (enum inspection_stage)message->stage;
	step->verdict = (enum inspection_verdict)message->verdict;
	snprintf(step->control, sizeof(step->control), "%s", message->control);
	snprintf(step->rule, sizeof(step->rule), "%s", message->rule);
	snprintf(step->found, sizeof(step->found), "%s", message->found);
	snprintf(step->reply, sizeof(step->reply), "%s", message->reply);
	told->count++;
}

static void
take_answer(void *context, struct channel *channel, const struct inspection_answer *message)
{
	struct caller *caller = context;
	struct told *told = &caller->told[message->id];

	(void)channel;
	told->answers++;
	told->outcome = (enum inspection_outcome)message->outcome;
	told->stage = (enum inspection_stage)message->stage;
	snprintf(told->reply, sizeof(told->reply), "%s", message->reply);
	snprintf(told->text, sizeof(told->text), "%s", message->text);
}

static void
on_closed(void *context, struct channel *channel, const char *reason)
{
	struct caller *caller = context;

	(void)channel;
	(void)reason;
	caller->is_closed = true;
}

static struct caller *
call(size_t number)
{
	static const struct inspection_handlers handlers = { .inspection_step = take_step, .inspection_answer = take_answer };
	static const struct channel_events events = { .closed = on_closed };
	struct caller *caller = &scene->callers[number];
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	caller->channel = channel_open(base, sockets[0], &inspection_protocol, IPC_ASKS, &handlers, &events, caller);
	inspector_connect(scene->inspector, sockets[1]);
	return caller;
}

static const struct inspection_question usual = { .client_address = "192.0.2.7", .helo = "client.example", .user = "",
	.sender = "jane@partner.example", .recipient = "alice@ours.example" };

static struct told *
ask(struct caller *caller, struct inspection_question question, uint64_t id)
{
	question.id = id;
	assert_true(send_inspection_question(caller->channel, &question));
	return &caller->told[id];
}

/* ---- a case ---- */

static int
prepare(void **state)
{
	static const struct dns_handlers dns = { .dns_question = take_dns_question };
	static const struct policy_handlers policy = { .rate_question = take_rate_question,
		.spf_question = take_spf_question, .policy_session = take_session };
	static const struct directory_handlers directory = { .directory_lookup = take_lookup };

	scene = memory_new(1, sizeof(*scene));
	base = event_base_new();
	fixture_start(&scene->settings);
	/* So that nobody is asked unless a case wants it. */
	assert_true(fixture_set(&scene->settings, "verify_local_recipients", "disabled"));
	assert_true(fixture_set(&scene->settings, "relay_enforcement", "all_hosts"));
	scene->limits = limits_new();
	scene->inquirer = inquirer_new(base, scene->limits);
	scene->inspector = inspector_new(base, scene->inquirer, scene->limits, 2);
	log_set_level(LOG_SEVERITY_INFO);
	log_set_sink(on_logged);
	start_peer(&scene->resolver, &dns_protocol, &dns);
	start_peer(&scene->policy, &policy_protocol, &policy);
	start_peer(&scene->directory, &directory_protocol, &directory);
	*state = scene;
	return 0;
}

static int
clean_up(void **state)
{
	(void)state;
	log_set_sink(NULL);
	inspector_free(&scene->inspector);
	inquirer_free(&scene->inquirer);
	limits_free(&scene->limits);
	channel_free(&scene->resolver);
	channel_free(&scene->policy);
	channel_free(&scene->directory);
	for (size_t i = 0; i < CALLERS; i++)
		channel_free(&scene->callers[i].channel);
	fixture_end(&scene->settings);
	event_base_free(base);
	free(scene);
	return 0;
}

static void
set(const char *key, const char *value)
{
	assert_true(fixture_set(&scene->settings, key, value));
}

/* The settings as they are now are in force. */
static void
reload(void)
{
	struct rules *rules = rules_new(scene->settings.settings);

	inspector_set_rules(scene->inspector, rules);
	rules_release(&rules);
}

static struct caller *
call_with_settings(void)
{
	reload();
	return call(0);
}

/* The answer to a question that nobody else needs to be asked about. */
static struct told *
told_at_once(struct caller *caller, struct inspection_question question)
{
	struct told *told = &caller->told[0];

	*told = (struct told){ .count = 0 };
	ask(caller, question, 0);
	turn_until(told->answers == 1);
	return told;
}

static void
answer_names(size_t number, const char *name, unsigned count)
{
	struct buffer records = BUFFER_INITIALIZER(0);

	for (unsigned i = 0; i < count; i++) {
		wire_put_string(&records, name);
		wire_put_u8(&records, 1);
	}
	assert_true(number < scene->dns_count);
	assert_true(send_dns_answer(scene->resolver, &(struct dns_answer){ .id = scene->dns_ids[number],
	    .outcome = DNS_FOUND, .ttl = 600, .count = (uint16_t)count, .records = { records.data, records.length }, .text = "" }));
	buffer_free(&records);
}

static void
assert_refused(const struct told *told, enum control_number by, const char *rule, const char *reply)
{
	const struct told_step *step = &told->steps[by];

	assert_int_equal(told->outcome, INSPECTION_REFUSED);
	assert_int_equal(told->stage, controls[by].stage);
	assert_string_equal(told->reply, reply);
	assert_int_equal(step->verdict, INSPECTION_REFUSES);
	assert_string_equal(step->rule, rule);
	assert_string_equal(step->reply, reply);
}

static void
assert_accepted(const struct told *told)
{
	assert_int_equal(told->outcome, INSPECTION_ACCEPTED);
	assert_int_equal(told->stage, INSPECTION_AT_RCPT);
	assert_string_equal(told->reply, "250 2.1.5 alice@ours.example... Recipient OK");
}

/* ---- what is told ---- */

static void
every_control_is_told_once_in_its_order_and_none_is_reached_behind_a_refusal(void **state)
{
	struct told *told;

	(void)state;
	set("deny_senders", "partner.example");
	told = told_at_once(call_with_settings(), usual);
	assert_refused(told, CONTROL_DENY_SENDERS, "deny_senders",
	    "554 5.7.1 Mail from jane@partner.example rejected for policy reasons.");
	assert_int_equal(told->count, CONTROL_COUNT);
	for (size_t i = 0; i < CONTROL_COUNT; i++) {
		assert_string_equal(told->steps[i].control, controls[i].word);
		assert_int_equal(told->steps[i].stage, controls[i].stage);
		assert_int_equal(told->steps[i].verdict == INSPECTION_NOT_REACHED, i > CONTROL_DENY_SENDERS);
		assert_int_equal(told->steps[i].reply[0] != '\0', i == CONTROL_DENY_SENDERS);
	}
	assert_int_equal(scene->logged, 0);
}

static void
a_session_that_no_control_minds_is_told_the_reply_to_rcpt(void **state)
{
	struct told *told = told_at_once(call_with_settings(), usual);

	(void)state;
	assert_accepted(told);
	assert_int_equal(told->count, CONTROL_COUNT);
	for (size_t i = 0; i < CONTROL_COUNT; i++)
		assert_int_not_equal(told->steps[i].verdict, INSPECTION_NOT_REACHED);
}

static void
what_was_found_out_is_told_with_the_control_that_wanted_it(void **state)
{
	struct told *told;

	(void)state;
	set("deny_connections_from", "theirs.example");
	told = ask(call_with_settings(), usual, 0);
	turn_until(scene->dns_count == 1);
	assert_int_equal(told->answers, 0);
	answer_names(0, "mail.theirs.example", 1);
	turn_until(told->answers == 1);
	assert_refused(told, CONTROL_DENY_CONNECTIONS, "deny_connections_from",
	    "554 5.7.1 Connection refused for policy reasons.");
	assert_string_equal(told->steps[CONTROL_DENY_CONNECTIONS].found, "host names: mail.theirs.example (confirmed)");
	assert_string_equal(told->steps[CONTROL_ADMISSION].found, "");
}

static void
what_is_known_already_is_judged_at_once_time_after_time(void **state)
{
	struct caller *caller;

	(void)state;
	set("deny_connections_from", "other.example");
	set("relay_enforcement_exclude_hosts", "theirs.example");
	caller = call_with_settings();
	ask(caller, usual, 0);
	turn_until(scene->dns_count == 1);
	answer_names(0, "mail.theirs.example", 1);
	turn_until(caller->told[0].answers == 1);
	for (unsigned i = 0; i < 3; i++) {
		struct told *told = told_at_once(caller, usual);

		assert_accepted(told);
		assert_int_equal(told->steps[CONTROL_RELAY_ENFORCEMENT].verdict, INSPECTION_EXEMPTS);
	}
	assert_int_equal(scene->dns_count, 1);
}

static void
more_names_than_can_be_told_are_cut(void **state)
{
	char name[256];
	struct told *told;
	size_t length;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	for (size_t i = 60; i < sizeof(name) - 1; i += 60)
		name[i] = '.';
	name[sizeof(name) - 1] = '\0';
	set("deny_connections_from", "theirs.example");
	told = ask(call_with_settings(), usual, 0);
	turn_until(scene->dns_count == 1);
	answer_names(0, name, 8);
	turn_until(told->answers == 1);
	length = strlen(told->steps[CONTROL_DENY_CONNECTIONS].found);
	assert_int_equal(length, 1000);
	assert_string_equal(told->steps[CONTROL_DENY_CONNECTIONS].found + length - 3, "...");
	assert_int_equal(told->count, CONTROL_COUNT);
	assert_accepted(told);
}

static void
the_directory_is_asked_as_for_a_client(void **state)
{
	struct told *told;

	(void)state;
	set("verify_local_recipients", "enabled");
	told = ask(call_with_settings(), usual, 0);
	while (told->answers == 0) {
		unsigned seen = scene->lookups;

		turn_until(scene->lookups > seen || told->answers == 1);
		if (told->answers == 0)
			assert_true(send_directory_answer(scene->directory, &(struct directory_answer){
			    .id = scene->directory_id, .outcome = DIRECTORY_NONE }));
	}
	assert_refused(told, CONTROL_VERIFY_RECIPIENT, "verify_local_recipients",
	    "550 5.1.1 alice@ours.example... No such user");
	assert_string_equal(told->steps[CONTROL_VERIFY_RECIPIENT].found, "directory: nobody");
}

/* ---- nothing happens by it ---- */

static void
rates_are_looked_at_and_not_counted(void **state)
{
	struct told *told;

	(void)state;
	set("client_session_rate", "5");
	set("client_message_rate", "5");
	set("client_recipient_rate", "5");
	told = ask(call_with_settings(), usual, 0);
	for (unsigned i = 1; i <= 3; i++) {
		turn_until(scene->rates == i);
		assert_true(send_rate_answer(scene->policy, &(struct rate_answer){ .id = scene->policy_id,
		    .exceeded = i == 3, .rule = i == 3 ? "client_recipient_rate" : "" }));
	}
	turn_until(told->answers == 1);
	assert_int_equal(scene->peeks, 3);
	assert_refused(told, CONTROL_RECIPIENT_RATE, "client_recipient_rate",
	    "450 4.7.1 Too many recipients from you, try again later");
	assert_string_equal(told->steps[CONTROL_ADMISSION].found, "admission: within");
	assert_string_equal(told->steps[CONTROL_RECIPIENT_RATE].found, "recipient rate: exceeded");
	settle();
	assert_int_equal(scene->sessions_told, 0);
}

static void
a_client_with_as_many_sessions_as_it_may_have_would_get_no_other(void **state)
{
	const struct in6_addr key = client_key((const struct sockaddr *)&scene->settings.client.socket_address);
	struct caller *caller;
	struct told *told;

	(void)state;
	set("maximum_sessions_per_client", "4");
	caller = call_with_settings();
	assert_int_equal(told_at_once(caller, usual)->steps[CONTROL_ADMISSION].verdict, INSPECTION_SKIPPED);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(limits_enter(scene->limits, &key, 100, 4), LIMITS_ENTERED);
	caller->told[1] = (struct told){ .count = 0 };
	told = ask(caller, usual, 1);
	turn_until(scene->rates == 1);
	assert_int_equal(scene->peeks, 1);
	assert_true(send_rate_answer(scene->policy, &(struct rate_answer){ .id = scene->policy_id, .exceeded = 1,
	    .rule = "maximum_sessions_per_client" }));
	turn_until(told->answers == 1);
	assert_refused(told, CONTROL_ADMISSION, "maximum_sessions_per_client",
	    "421 4.7.0 Too many sessions from your address, try again later");
	assert_int_equal(limits_sessions(scene->limits), 2);
}

/* ---- those who ask, and those who are asked ---- */

static void
a_caller_that_leaves_takes_its_questions_along_and_no_others(void **state)
{
	struct caller *leaving, *staying;

	(void)state;
	set("verify_connecting_host_name", "enabled");
	leaving = call_with_settings();
	staying = call(1);
	for (unsigned i = 0; i < 3; i++)
		ask(leaving, usual, i);
	ask(staying, usual, 0);
	turn_until(scene->dns_count == 1);
	settle();
	channel_free(&leaving->channel);
	settle();
	answer_names(0, "mail.theirs.example", 1);
	turn_until(staying->told[0].answers == 1);
	assert_accepted(&staying->told[0]);
	assert_int_equal(leaving->told[0].answers, 0);
}

static void
as_many_questions_as_the_window_has_are_answered_each(void **state)
{
	struct caller *caller;

	(void)state;
	set("verify_connecting_host_name", "enabled");
	caller = call_with_settings();
	for (unsigned i = 0; i < QUESTIONS; i++)
		ask(caller, usual, i);
	turn_until(scene->dns_count == 1);
	settle();
	answer_names(0, "mail.theirs.example", 1);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		turn_until(caller->told[i].answers == 1);
		assert_accepted(&caller->told[i]);
		assert_int_equal(caller->told[i].count, CONTROL_COUNT);
	}
}

static void
one_caller_too_many_is_turned_away_and_finds_room_when_another_leaves(void **state)
{
	(void)state;
	reload();
	for (size_t i = 0; i < CALLERS; i++)
		call(i);
	turn_until(scene->callers[CALLERS - 1].is_closed);
	assert_false(scene->callers[CALLERS - 2].is_closed);
	channel_free(&scene->callers[0].channel);
	channel_free(&scene->callers[CALLERS - 1].channel);
	settle();
	assert_accepted(told_at_once(call(0), usual));
}

static void
a_question_is_judged_to_its_end_by_the_settings_of_its_beginning(void **state)
{
	struct caller *caller;

	(void)state;
	set("verify_connecting_host_name", "enabled");
	caller = call_with_settings();
	ask(caller, usual, 0);
	turn_until(scene->dns_count == 1);
	set("deny_senders", "partner.example");
	reload();
	ask(caller, usual, 1);
	settle();
	answer_names(0, "mail.theirs.example", 1);
	turn_until(caller->told[0].answers == 1 && caller->told[1].answers == 1);
	assert_accepted(&caller->told[0]);
	assert_int_equal(caller->told[1].outcome, INSPECTION_REFUSED);
}

static void
who_does_not_answer_is_waited_for_as_long_as_a_client_waits(void **state)
{
	int64_t began = clock_monotonic_ms();
	struct told *told;

	(void)state;
	set("verify_connecting_host_name", "enabled");
	set("dns_timeout", "1s");
	told = ask(call_with_settings(), usual, 0);
	turn_until(told->answers == 1);
	assert_true(clock_monotonic_ms() - began >= 2900);
	assert_refused(told, CONTROL_VERIFY_HOST_NAME, "verify_connecting_host_name",
	    "554 5.7.1 Connection refused for policy reasons.");
	assert_string_equal(told->steps[CONTROL_VERIFY_HOST_NAME].found, "host names: no answer of the DNS");
	/* The late answer finds nobody. */
	answer_names(0, "mail.theirs.example", 1);
	settle();
	assert_int_equal(told->answers, 1);
}

static void
a_service_that_stops_cuts_callers_off(void **state)
{
	struct caller *caller;

	(void)state;
	set("verify_connecting_host_name", "enabled");
	caller = call_with_settings();
	ask(caller, usual, 0);
	turn_until(scene->dns_count == 1);
	inspector_free(&scene->inspector);
	turn_until(caller->is_closed);
	answer_names(0, "mail.theirs.example", 1);
	settle();
	assert_int_equal(caller->told[0].answers, 0);
}

/* ---- the question ---- */

/* As policy is asked about SPF. */
static void
assert_spf_asks(struct caller *caller, struct inspection_question question, const char *client, const char *helo,
    const char *sender)
{
	unsigned seen = scene->spf_questions;
	struct told *told = &caller->told[0];

	*told = (struct told){ .count = 0 };
	ask(caller, question, 0);
	turn_until(scene->spf_questions > seen);
	assert_string_equal(scene->spf_client, client);
	assert_string_equal(scene->spf_helo, helo);
	assert_string_equal(scene->spf_sender, sender);
	assert_true(send_spf_answer(scene->policy, &(struct spf_answer){ .id = scene->policy_id,
	    .helo = SPF_VERDICT_NONE, .mail = SPF_VERDICT_SOFTFAIL, .text = "why" }));
	turn_until(told->answers == 1);
	assert_accepted(told);
	assert_string_equal(told->steps[CONTROL_SPF].found, "SPF: HELO none, MAIL FROM softfail (why)");
}

static void
a_client_without_a_name_calls_itself_by_its_address(void **state)
{
	struct inspection_question question = usual;
	struct caller *caller;

	(void)state;
	set("spf_check", "enabled");
	caller = call_with_settings();
	assert_spf_asks(caller, question, "192.0.2.7", "client.example", "jane@partner.example");
	question.helo = "";
	assert_spf_asks(caller, question, "192.0.2.7", "[192.0.2.7]", "jane@partner.example");
	question.client_address = "2001:DB8:0::1";
	assert_spf_asks(caller, question, "2001:db8::1", "[IPv6:2001:db8::1]", "jane@partner.example");
	question.client_address = "::ffff:192.0.2.9";
	question.sender = "";
	assert_spf_asks(caller, question, "192.0.2.9", "[192.0.2.9]", "");
}

static void
addresses_are_read_as_mail_and_rcpt_read_them(void **state)
{
	struct inspection_question question = usual;
	struct caller *caller = call_with_settings();

	(void)state;
	question.recipient = "@relay.example,@other.example:\"alice\"@OURS.example";
	assert_accepted(told_at_once(caller, question));
	question.recipient = "postmaster";
	assert_string_equal(told_at_once(caller, question)->reply, "250 2.1.5 postmaster... Recipient OK");
	question.sender = "s\xc3\xb8ren@partner.example";
	assert_int_equal(told_at_once(caller, question)->outcome, INSPECTION_ACCEPTED);
	set("smtp_in_smtputf8", "disabled");
	reload();
	assert_int_equal(told_at_once(caller, question)->outcome, INSPECTION_MALFORMED);
	assert_non_null(strstr(caller->told[0].text, "SMTPUTF8"));
}

static void
a_question_that_makes_no_sense_is_answered_by_why(void **state)
{
	struct {
		const char *client, *helo, *sender, *recipient, *why;
	} cases[] = {
		{ "", "", "a@b.example", "c@d.example", "client" },
		{ "192.0.2.300", "", "a@b.example", "c@d.example", "client" },
		{ "client.example", "", "a@b.example", "c@d.example", "client" },
		{ "192.0.2.1", "two words", "a@b.example", "c@d.example", "HELO" },
		{ "192.0.2.1", "tab\t", "a@b.example", "c@d.example", "HELO" },
		{ "192.0.2.1", "", "nobody", "c@d.example", "sender" },
		{ "192.0.2.1", "", "a@b.example> SIZE=1", "c@d.example", "sender" },
		{ "192.0.2.1", "", "a@b.example", "", "recipient" },
		{ "192.0.2.1", "", "a@b.example", "c@d.example\r\nDATA", "recipient" },
	};
	struct caller *caller = call_with_settings();
	char longest[1025];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct told *told = told_at_once(caller, (struct inspection_question){ .client_address = cases[i].client,
		    .helo = cases[i].helo, .user = "", .sender = cases[i].sender, .recipient = cases[i].recipient });

		assert_int_equal(told->outcome, INSPECTION_MALFORMED);
		assert_int_equal(told->count, 0);
		assert_ptr_equal(strstr(told->text, cases[i].why), strncmp(cases[i].why, "client", 6) == 0 ?
		    told->text + strlen("the ") : told->text);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(told_at_once(caller, (struct inspection_question){ .client_address = "192.0.2.1", .helo = "",
	    .user = "", .sender = longest, .recipient = longest })->outcome, INSPECTION_MALFORMED);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
	const struct CMUnitTest cases[] = {
		CASE(every_control_is_told_once_in_its_order_and_none_is_reached_behind_a_refusal),
		CASE(a_session_that_no_control_minds_is_told_the_reply_to_rcpt),
		CASE(what_was_found_out_is_told_with_the_control_that_wanted_it),
		CASE(what_is_known_already_is_judged_at_once_time_after_time),
		CASE(more_names_than_can_be_told_are_cut),
		CASE(the_directory_is_asked_as_for_a_client),
		CASE(rates_are_looked_at_and_not_counted),
		CASE(a_client_with_as_many_sessions_as_it_may_have_would_get_no_other),
		CASE(a_caller_that_leaves_takes_its_questions_along_and_no_others),
		CASE(as_many_questions_as_the_window_has_are_answered_each),
		CASE(one_caller_too_many_is_turned_away_and_finds_room_when_another_leaves),
		CASE(a_question_is_judged_to_its_end_by_the_settings_of_its_beginning),
		CASE(who_does_not_answer_is_waited_for_as_long_as_a_client_waits),
		CASE(a_service_that_stops_cuts_callers_off),
		CASE(a_client_without_a_name_calls_itself_by_its_address),
		CASE(addresses_are_read_as_mail_and_rcpt_read_them),
		CASE(a_question_that_makes_no_sense_is_answered_by_why),
	};
#undef CASE

	return cmocka_run_group_tests(cases, NULL, NULL);
}
