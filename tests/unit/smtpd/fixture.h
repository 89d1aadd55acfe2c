/*
 * fixture - a session without a socket, and the rest of Matador played by the test
 *
 * The settings are the defaults of settings.def; fixture_set() changes one by its name in the file. The server is
 * hub.ours.example, its local Internet domain ours.example; aliases.example is an alias of it.
 *
 * The part before the @ decides what the directory says: people are alice, bob and those that begin with "user";
 * "team" is a group, "twins" are ambiguous, for "away" there is no answer now. What else the controls want to know is told by
 * the test: the members of struct fixture say what is answered, and how often each fact was asked.
 */
#ifndef TESTS_UNIT_SMTPD_FIXTURE_H
#define TESTS_UNIT_SMTPD_FIXTURE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/attributes.h"
#include "common/base/crc32c.h"
#include "common/base/memory.h"
#include "common/conf/settings_memory.h"
#include "common/conf/table.h"
#include "common/conf/value.h"
#include "common/log/log.h"
#include "smtpd/client_dns.h"
#include "smtpd/receive.h"
#include "smtpd/recipient.h"
#include "smtpd/session.h"

struct fixture {
	struct settings *settings;
	struct rules *rules;
	struct session_shared shared;
	struct session_client client;
	struct session *session;
	struct buffer said;		/* replies not yet taken */
	struct buffer body;		/* what was written into the body file */
	/* what qmgr and the disk do */
	enum deposit_outcome outcome;
	enum deposit_outcome body_outcome;
	int write_error;
	/* what the others answer */
	struct host_names host_names;
	struct dns_lists *dns_lists;	/* owned */
	enum sender_domain_state sender_domain;
	enum spf_verdict spf_helo, spf_mail;
	const char *rate_rule;		/* the rate that the client exceeds; NULL: none */
	bool speaks_early;		/* the client, before its greeting */
	bool is_silent;			/* nobody answers: the session's deadline passes */
	unsigned asked[FACT_COUNT];
	/* what became of it */
	unsigned stored;
	unsigned body_files;
	struct buffer content;		/* of the message stored last, our Received field included */
	struct envelope envelope;	/* likewise */
};

static void
fixture_fill_defaults(struct settings *settings)
{
	void *documents[] = { [KIND_matador] = &settings->matador, [KIND_server] = &settings->server,
		[KIND_configuration] = &settings->configuration };
	struct buffer problem = BUFFER_INITIALIZER(0);

	for (size_t kind = 0; kind < ARRAY_COUNT(documents); kind++)
		for (size_t i = 0; i < document_rows[kind].setting_count; i++) {
			const struct setting_row *row = &document_rows[kind].settings[i];

			value_parse_default(row, settings->memory,
			    (struct setting *)(void *)((char *)documents[kind] + row->offset), &problem);
		}
	buffer_free(&problem);
}

/* Changes a setting of our own documents; a list gets this one entry. False when there is none of that name. */
static UNUSED bool
fixture_set(struct fixture *fixture, const char *key, const char *value)
{
	struct settings *settings = fixture->settings;
	void *documents[] = { [KIND_matador] = &settings->matador, [KIND_server] = &settings->server,
		[KIND_configuration] = &settings->configuration };
	struct buffer problem = BUFFER_INITIALIZER(0);
	bool found = false;

	for (size_t kind = 0; kind < ARRAY_COUNT(documents) && !found; kind++)
		for (size_t i = 0; i < document_rows[kind].setting_count && !found; i++) {
			const struct setting_row *row = &document_rows[kind].settings[i];
			struct setting *setting = (struct setting *)(void *)((char *)documents[kind] + row->offset);

			if (strcmp(row->name, key) != 0)
				continue;
			if (type_is_list(row->type)) {
				struct setting_item *item = settings_memory_take(settings->memory, 1, sizeof(*item));

				item->at.file = "";
				found = value_parse_item(row, settings_memory_text(settings->memory, value, strlen(value)),
				    settings->memory, &item->text, &problem);
				setting->items = item;
				setting->count = 1;
			} else {
				found = value_parse(row, value, settings->memory, setting, &problem);
			}
		}
	buffer_free(&problem);
	return found;
}

static UNUSED void
fixture_start(struct fixture *fixture)
{
	struct document_global_domain *domain;
	struct setting_item *alias;

	memset(fixture, 0, sizeof(*fixture));
	log_set_level(LOG_SEVERITY_ERROR);
	fixture->settings = settings_new(settings_memory_new());
	fixture_fill_defaults(fixture->settings);
	fixture->settings->server.internet_host_name.text = "hub.ours.example";
	fixture->settings->server.domino_domain.text = "Ours";
	domain = settings_memory_take(fixture->settings->memory, 1, sizeof(*domain));
	alias = settings_memory_take(fixture->settings->memory, 1, sizeof(*alias));
	*alias = (struct setting_item){ "alias.example", { "", 0 } };
	*domain = (struct document_global_domain){ .title = "Ours" };
	domain->at.file = "";
	domain->local_primary_internet_domain.text = "ours.example";
	domain->internet_domain_aliases = (struct setting){ .text = "", .items = alias, .count = 1 };
	domain->domino_domain_separator.text = "%";
	fixture->settings->global_domain_documents = domain;
	fixture->settings->global_domain_count = 1;
	fixture->shared = (struct session_shared){ .connected = true, .accepting = true, .next_id = 1,
		.end_id = 100000000, .content_limit = 1 << 26 };
	fixture->client.port = 4711;
	strcpy(fixture->client.address, "192.0.2.7");
	*(struct sockaddr_in *)(void *)&fixture->client.socket_address = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr = { htonl(0xc0000207) } };
}

/* The client connects; settings do not change any more. */
static UNUSED void
fixture_open(struct fixture *fixture)
{
	if (fixture->rules == NULL)
		fixture->rules = rules_new(fixture->settings);
	fixture->session = session_new(fixture->rules, &fixture->shared, &fixture->client, "1");
}

static UNUSED void
fixture_end(struct fixture *fixture)
{
	const struct settings *settings = fixture->settings;

	session_free(&fixture->session);
	rules_release(&fixture->rules);
	settings_release(&settings);
	buffer_free(&fixture->said);
	buffer_free(&fixture->body);
	buffer_free(&fixture->content);
	free(fixture->dns_lists);
	statistics_free(&fixture->shared.statistics);
	envelope_free(&fixture->envelope);
}

/* The client has one more name. */
static UNUSED void
fixture_name_client(struct fixture *fixture, const char *name, bool is_confirmed)
{
	struct host_names *names = &fixture->host_names;

	strcpy(names->names[names->count].name, name);
	names->names[names->count++].is_confirmed = is_confirmed;
	names->state = HOST_NAMES_FOUND;
}

/* What the zone of that number says: an address in 127.0.0.0/8, or NULL for silence. Those not named here do not list the client. */
static UNUSED void
fixture_list_client(struct fixture *fixture, size_t number, const char *address)
{
	const struct document_configuration *configuration = &fixture->settings->configuration;
	size_t count = configuration->dns_whitelist_sites.count + configuration->dns_blacklist_sites.count;
	struct dns_lists *lists = fixture->dns_lists;

	if (lists == NULL) {
		lists = memory_new(1, sizeof(*lists) + count * sizeof(lists->answers[0]));
		lists->count = count;
		for (size_t i = 0; i < count; i++)
			lists->answers[i].has_answered = true;
		fixture->dns_lists = lists;
	}
	lists->answers[number].has_answered = address != NULL;
	if (address != NULL)
		inet_pton(AF_INET, address, &lists->answers[number].answers[lists->answers[number].count++]);
}

static enum recipient_finding
fixture_find(const struct recipient *recipient)
{
	const char *name = recipient->known.address.local_part;

	if (strcasecmp(name, "away") == 0)
		return RECIPIENT_CANNOT_BE_FOUND_NOW;
	if (strcasecmp(name, "twins") == 0)
		return RECIPIENT_IS_AMBIGUOUS;
	if (strcasecmp(name, "team") == 0)
		return RECIPIENT_IS_GROUP;
	if (strcasecmp(name, "alice") == 0 || strcasecmp(name, "bob") == 0 || strncasecmp(name, "user", 4) == 0)
		return RECIPIENT_IS_PERSON;
	return RECIPIENT_IS_UNKNOWN;
}

static void
fixture_store(struct fixture *fixture)
{
	struct transaction *transaction = fixture->session->transaction;
	struct buffer octets = BUFFER_INITIALIZER(0);
	struct error error;

	if (fixture->outcome == DEPOSIT_STORED) {
		fixture->stored++;
		buffer_clear(&fixture->content);
		if (transaction->body_file >= 0) {
			buffer_append(&fixture->content, buffer_text(&fixture->body), fixture->body.length);
			if (transaction->body_length != fixture->body.length ||
			    transaction->body_checksum != crc32c(0, fixture->body.data, fixture->body.length))
				abort();
		} else {
			buffer_append(&fixture->content, buffer_text(&transaction->data), transaction->data.length);
		}
		envelope_free(&fixture->envelope);
		envelope_encode(&transaction->envelope, NULL, &octets);
		if (envelope_decode(octets.data, octets.length, &fixture->envelope, &error) != 0)
			abort();
		buffer_free(&octets);
	}
	receive_deposited(fixture->session, fixture->outcome,
	    fixture->outcome == DEPOSIT_STORED ? "" : "told by the test");
}

/* Answers a fact. */
static UNUSED void
fixture_answer(struct fixture *fixture, enum fact fact)
{
	struct fact_answer answer = fact_unanswered(fact);
	struct session *session = fixture->session;

	fixture->asked[fact]++;
	switch (fact) {
	case FACT_ADMISSION:
	case FACT_MESSAGE_RATE:
	case FACT_RECIPIENT_RATE:
		answer.rate.state = fixture->rate_rule != NULL ? RATE_EXCEEDED : RATE_WITHIN;
		answer.rate.rule = fixture->rate_rule != NULL ? fixture->rate_rule : "";
		break;
	case FACT_PATIENCE:
		answer.spoke_early = fixture->speaks_early;
		break;
	case FACT_HOST_NAMES:
		if (fixture->host_names.count == 0)
			fixture->host_names.state = HOST_NAMES_NONE;
		answer.host_names = &fixture->host_names;
		break;
	case FACT_DNS_LISTS:
		if (fixture->dns_lists != NULL)
			answer.dns_lists = fixture->dns_lists;
		break;
	case FACT_SENDER_DOMAIN:
		answer.sender_domain = fixture->sender_domain;
		break;
	case FACT_SPF:
		answer.spf.helo = fixture->spf_helo;
		answer.spf.mail = fixture->spf_mail;
		answer.spf.text = "as the test says";
		break;
	case FACT_DIRECTORY:
		answer.directory = fixture_find(session->recipient);
		break;
	case FACT_CALL_OUT:
	case FACT_GREYLIST:
	case FACT_COUNT:
		break;
	}
	session_learn(session, &answer);
}

/* Plays whoever the session waits for. False when it waits for the client, or for nobody any more. */
static bool
fixture_serve(struct fixture *fixture)
{
	struct session *session = fixture->session;
	int file;

	switch (session->wait) {
	case SESSION_WAITS_FOR_FACT:
		if (fixture->is_silent)
			session_expired(session);
		else
			fixture_answer(fixture, session->wanted_fact);
		return true;
	case SESSION_WAITS_FOR_BODY_FILE:
		buffer_clear(&fixture->body);
		fixture->body_files++;
		file = fixture->body_outcome == DEPOSIT_STORED ? open("/dev/null", O_WRONLY) : -1;
		receive_body_file(session, file, fixture->body_outcome, "no file for the test");
		return true;
	case SESSION_WAITS_FOR_BODY_WRITE:
		if (fixture->write_error == 0) {
			buffer_append(&fixture->body, session->transaction->data.data, session->transaction->data.length);
			buffer_append(&fixture->body, session->transaction->lent.data, session->transaction->lent.length);
		}
		receive_body_written(session, fixture->write_error);
		return true;
	case SESSION_WAITS_FOR_DEPOSIT:
		fixture_store(fixture);
		return true;
	case SESSION_WAITS_FOR_INPUT:
	case SESSION_WAITS_FOR_CLOSE:
		break;
	}
	return false;
}

/* The client sends octets; everything the session waits for is answered. Stops when the session closes. */
static UNUSED void
fixture_send(struct fixture *fixture, const char *data, size_t length)
{
	struct session *session = fixture->session;
	size_t taken = 0;

	do {
		if (taken < length && session_reads(session))
			taken += session_input(session, data + taken, length - taken);
		while (fixture_serve(fixture))
			continue;
		buffer_append(&fixture->said, buffer_text(&session->output), session->output.length);
		buffer_clear(&session->output);
	} while (taken < length && session->wait != SESSION_WAITS_FOR_CLOSE);
}

static UNUSED void
fixture_say(struct fixture *fixture, const char *text)
{
	fixture_send(fixture, text, strlen(text));
}

/* Takes the replies since the last call; the caller frees them. */
static UNUSED char *
fixture_replies(struct fixture *fixture)
{
	char *replies;

	fixture_send(fixture, "", 0);
	replies = memory_copy(buffer_text(&fixture->said), fixture->said.length);
	buffer_clear(&fixture->said);
	return replies;
}

/* The content stored last behind our Received field. */
static UNUSED const char *
fixture_stored_text(const struct fixture *fixture)
{
	const char *text = buffer_text(&fixture->content), *line = text;

	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (*line != '\t')
			return line;
	}
	return text;
}

#endif
