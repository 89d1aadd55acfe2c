/*
 * inquiry_fixture - facts are asked of the right program, over real channels
 *
 * The test is resolver and policy. It keeps what it was asked, and answers when a case says so.
 */
#ifndef TESTS_UNIT_SMTPD_INQUIRY_FIXTURE_H
#define TESTS_UNIT_SMTPD_INQUIRY_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/ipc/dns.h"
#include "common/ipc/policy.h"
#include "smtpd/inquiry.h"
#include "smtpd/limits.h"
#include "tests/unit/smtpd/event_loop.h"
#include "tests/unit/smtpd/fixture.h"

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
	assert_true(inquirer_connect(scene->inquirer, protocol, restart_peer(channel, protocol, handlers)));
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
	base = event_base_new();
	fixture_start(&scene->settings);
	scene->limits = limits_new();
	scene->inquirer = inquirer_new(base, scene->limits);
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
	event_base_free(base);
	free(scene);
	return 0;
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

UNUSED static void
answer_dns(size_t number, enum dns_outcome outcome, const struct buffer *records, unsigned count)
{
	assert_true(number < scene->question_count);
	assert_true(send_dns_answer(scene->resolver, &(struct dns_answer){ .id = scene->questions[number].id,
	    .outcome = (uint8_t)outcome, .ttl = 600, .count = (uint16_t)count,
	    .records = { records != NULL ? records->data : NULL, records != NULL ? records->length : 0 }, .text = "" }));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

#endif
