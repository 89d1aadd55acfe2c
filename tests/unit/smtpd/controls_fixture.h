/*
 * controls_fixture - settings, a client, a sender and a recipient, and what the controls say of them
 *
 * The settings are the defaults of settings.def. The server is hub.ours.example in the Domino domain Ours; its
 * local Internet domain is ours.example, of which alias.example and intranet are aliases. The client is 192.0.2.7 without a
 * name, the sender jane@partner.example, the recipient alice@ours.example; every fact is known and speaks for the
 * mail, so that a test changes what it is about.
 */
#ifndef TESTS_UNIT_SMTPD_CONTROLS_FIXTURE_H
#define TESTS_UNIT_SMTPD_CONTROLS_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "common/conf/settings_memory.h"
#include "common/conf/table.h"
#include "common/conf/value.h"
#include "smtpd/controls/walk.h"
#include "smtpd/rules.h"

#define CONTROLS_ZONES_MAX 8
#define CONTROLS_FILE "configurations.conf"

struct controls_fixture {
	struct settings *settings;
	struct rules *rules;			/* NULL until the first question */
	uint32_t line;				/* of the next setting or entry */
	struct sockaddr_storage address;
	char address_text[INET6_ADDRSTRLEN];
	struct host_names names;
	struct dns_lists *dns_lists;
	struct client_facts client;
	struct address sender_address, recipient_address;
	struct sender_facts sender;
	struct recipient_facts recipient;
	struct control_standing standing;
	struct control_judgement judgement;	/* the last */
	unsigned hits;				/* CONTROL_HITS and their refusals in the last walk, as bits of control_number */
	unsigned skipped;			/* CONTROL_SKIPPED, likewise */
	enum control_number last;		/* the control that the last walk ended at */
};

/* ---- settings ---- */

static struct setting *
controls_setting(struct controls_fixture *fixture, const char *key, const struct setting_row **row_out)
{
	*row_out = setting_row_find(KIND_configuration, "", key);
	if (*row_out == NULL)
		fail_msg("no setting %s", key);
	return document_setting(&fixture->settings->configuration, *row_out);
}

static void
controls_set_list(struct controls_fixture *fixture, const struct setting_row *row, struct setting *setting, const char *value)
{
	struct setting_item *items = settings_memory_take(fixture->settings->memory, strlen(value) + 1, sizeof(*items));
	struct buffer problem = BUFFER_INITIALIZER(0);

	setting->count = 0;
	for (const char *next = value; *next != '\0'; next += strspn(next, ", ")) {
		size_t length = strcspn(next, ",");
		const char *text = settings_memory_text(fixture->settings->memory, next, length);

		items[setting->count].at = (struct position){ CONTROLS_FILE, fixture->line++ };
		if (!value_parse_item(row, text, fixture->settings->memory, &items[setting->count++].text, &problem))
			fail_msg("%s = %s: %s", row->name, text, buffer_text(&problem));
		next += length;
	}
	setting->items = items;
	buffer_free(&problem);
}

/* Before the first question. A list's entries are separated by ", ". */
static UNUSED void
controls_set(struct controls_fixture *fixture, const char *key, const char *value)
{
	const struct setting_row *row;
	struct setting *setting = controls_setting(fixture, key, &row);
	struct buffer problem = BUFFER_INITIALIZER(0);
	struct position at = { CONTROLS_FILE, fixture->line++ };

	assert_null(fixture->rules);
	if (type_is_list(row->type))
		controls_set_list(fixture, row, setting, value);
	else if (!value_parse(row, value, fixture->settings->memory, setting, &problem))
		fail_msg("%s = %s: %s", key, value, buffer_text(&problem));
	setting->at = at;
	setting->given = true;
	buffer_free(&problem);
}

/* ---- who asks for what ---- */

static UNUSED void
controls_client(struct controls_fixture *fixture, const char *address)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&fixture->address;
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&fixture->address;

	memset(&fixture->address, 0, sizeof(fixture->address));
	fixture->address.ss_family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(fixture->address.ss_family, address, fixture->address.ss_family == AF_INET6 ?
	    (void *)&in6->sin6_addr : (void *)&in->sin_addr), 1);
	snprintf(fixture->address_text, sizeof(fixture->address_text), "%s", address);
}

static UNUSED void
controls_name(struct controls_fixture *fixture, const char *name, bool is_confirmed)
{
	assert_true(fixture->names.count < HOST_NAMES_MAX);
	snprintf(fixture->names.names[fixture->names.count].name, sizeof(fixture->names.names[0].name), "%s", name);
	fixture->names.names[fixture->names.count++].is_confirmed = is_confirmed;
	fixture->names.state = HOST_NAMES_FOUND;
}

static UNUSED void
controls_no_names(struct controls_fixture *fixture, enum host_names_state state)
{
	fixture->names.count = 0;
	fixture->names.state = state;
}

/* What zone number of the white- and blacklists together answers, besides what it answered already. */
static UNUSED void
controls_zone(struct controls_fixture *fixture, size_t number, const char *answer)
{
	struct dns_list_answer *told = &fixture->dns_lists->answers[number];

	assert_true(number < CONTROLS_ZONES_MAX && told->count < DNS_LIST_ANSWERS_MAX);
	assert_int_equal(inet_pton(AF_INET, answer, &told->answers[told->count++]), 1);
}

static UNUSED void
controls_sender(struct controls_fixture *fixture, const char *address)
{
	assert_int_equal(address_parse(address, strlen(address), ADDRESS_ALLOW_NULL | ADDRESS_ALLOW_UTF8, &fixture->sender_address, NULL), 0);
}

static UNUSED void
controls_recipient(struct controls_fixture *fixture, const char *address)
{
	assert_int_equal(address_parse(address, strlen(address), ADDRESS_ALLOW_BARE_POSTMASTER | ADDRESS_ALLOW_UTF8,
	    &fixture->recipient_address, NULL), 0);
}

static UNUSED void
controls_start(struct controls_fixture *fixture)
{
	struct buffer problem = BUFFER_INITIALIZER(0);
	struct document_global_domain *domain;
	struct setting_item *alias;

	memset(fixture, 0, sizeof(*fixture));
	fixture->line = 1;
	fixture->settings = settings_new(settings_memory_new());
	for (size_t i = 0; i < document_rows[KIND_configuration].setting_count; i++) {
		const struct setting_row *row = &document_rows[KIND_configuration].settings[i];

		assert_true(value_parse_default(row, fixture->settings->memory,
		    document_setting(&fixture->settings->configuration, row), &problem));
	}
	buffer_free(&problem);
	fixture->settings->server.internet_host_name.text = "hub.ours.example";
	fixture->settings->server.domino_domain.text = "Ours";
	domain = settings_memory_take(fixture->settings->memory, 1, sizeof(*domain));
	alias = settings_memory_take(fixture->settings->memory, 2, sizeof(*alias));
	alias[0] = (struct setting_item){ "alias.example", { "", 0 } };
	alias[1] = (struct setting_item){ "intranet", { "", 0 } };
	domain->title = "Ours";
	domain->at.file = "";
	domain->local_primary_internet_domain.text = "ours.example";
	domain->internet_domain_aliases = (struct setting){ .text = "", .items = alias, .count = 2 };
	domain->domino_domain_separator.text = "%";
	fixture->settings->global_domain_documents = domain;
	fixture->settings->global_domain_count = 1;
	fixture->dns_lists = memory_new(1, sizeof(*fixture->dns_lists) + CONTROLS_ZONES_MAX * sizeof(fixture->dns_lists->answers[0]));
	fixture->dns_lists->count = CONTROLS_ZONES_MAX;
	fixture->client = (struct client_facts){ .known = ~0u, .address = (struct sockaddr *)&fixture->address,
		.address_text = fixture->address_text, .helo = "client.example", .host_names = &fixture->names,
		.dns_lists = fixture->dns_lists, .admission_rule = "" };
	fixture->sender = (struct sender_facts){ .known = ~0u, .address = &fixture->sender_address, .spf_text = "",
		.message_rate_rule = "" };
	fixture->recipient = (struct recipient_facts){ .known = ~0u, .address = &fixture->recipient_address,
		.directory = RECIPIENT_IS_PERSON, .call_out_text = "", .recipient_rate_rule = "" };
	controls_no_names(fixture, HOST_NAMES_NONE);
	controls_client(fixture, "192.0.2.7");
	controls_sender(fixture, "jane@partner.example");
	controls_recipient(fixture, "alice@ours.example");
}

static UNUSED void
controls_end(struct controls_fixture *fixture)
{
	const struct settings *settings = fixture->settings;

	free(fixture->dns_lists);
	rules_release(&fixture->rules);
	settings_release(&settings);
}

/* ---- questions ---- */

static struct control_question
controls_question(struct controls_fixture *fixture)
{
	if (fixture->rules == NULL)
		fixture->rules = rules_new(fixture->settings);
	fixture->recipient.is_local = fixture->recipient_address.domain[0] == '\0' ||
	    is_local_internet_domain(fixture->rules->local_domains, fixture->recipient_address.domain, NULL, NULL,
	    &fixture->recipient.primary_domain);
	return (struct control_question){ fixture->rules, &fixture->client, &fixture->standing, &fixture->sender, &fixture->recipient };
}

/* Asks one control. */
static UNUSED enum control_verdict
controls_ask(struct controls_fixture *fixture, enum control_number number)
{
	struct control_question question = controls_question(fixture);

	fixture->judgement = (struct control_judgement){ .rule = "" };
	controls[number].judge(&question, &fixture->judgement);
	return fixture->judgement.verdict;
}

static UNUSED void
controls_judged(void *context, enum control_number number, const struct control_judgement *judgement)
{
	struct controls_fixture *fixture = context;

	fixture->last = number;
	if (judgement->verdict == CONTROL_HITS || judgement->site[0] != '\0')
		fixture->hits |= 1u << number;
	if (judgement->verdict == CONTROL_SKIPPED)
		fixture->skipped |= 1u << number;
}

/* Asks all stages up to the last in their order, as a session does; the reply of a refusal, or REPLY_NONE. */
static UNUSED enum reply
controls_walk(struct controls_fixture *fixture, enum control_stage last)
{
	struct control_question question = controls_question(fixture);
	struct control_standing standing = { false, false };

	fixture->hits = fixture->skipped = 0;
	for (enum control_stage stage = CONTROL_AT_CONNECT; stage <= last; stage++) {
		struct control_walk walk;
		enum control_verdict verdict;

		control_walk_start(&walk, stage, standing);
		walk.judged = controls_judged;
		walk.context = fixture;
		verdict = control_walk_on(&walk, &question, &fixture->judgement);
		assert_int_not_equal(verdict, CONTROL_NEEDS);
		if (verdict == CONTROL_REFUSES)
			return fixture->judgement.reply;
		standing = walk.standing;
	}
	return REPLY_NONE;
}

#endif
