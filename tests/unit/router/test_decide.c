/* test_decide - the decision tables 4.A to 4.D (docs/reference/domino-semantics.md), row by row */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "router/decide.h"
#include "tests/unit/router/world.h"

static const struct trace silent = { NULL, NULL };

struct asked {
	struct rules *rules;
	struct question question;
	struct decision decision;
};

static struct asked
about(struct settings *settings, const char *recipient)
{
	struct asked asked = { .rules = rules_new(settings) };

	asked.question = (struct question){ .rules = asked.rules, .trace = &silent, .recipient = recipient };
	return asked;
}

static void
expect_delivery(struct asked *asked, enum transport transport, const char *next_hop, const char *address)
{
	assert_int_equal(asked->decision.outcome, ROUTE_DELIVER);
	assert_int_equal(asked->decision.transport, transport);
	assert_string_equal(asked->decision.next_hop, next_hop);
	assert_string_equal(asked->decision.address, address);
	rules_release(&asked->rules);
}

static void
expect_failure(struct asked *asked, enum failure_class failure, const char *status, const char *text)
{
	assert_int_equal(asked->decision.outcome, ROUTE_FAIL);
	assert_int_equal(asked->decision.failure, failure);
	assert_string_equal(asked->decision.status, status);
	if (strstr(asked->decision.text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", asked->decision.text, text);
	rules_release(&asked->rules);
}

/* What classify() makes of the recipient. */
static struct classification
class_of(const struct asked *asked)
{
	struct classification class;

	classify(asked->rules, asked->question.recipient, &silent, &class);
	return class;
}

static const struct entry jane = { .kind = DIRECTORY_PERSON, .name = "Jane Doe/Sales/Acme", .mail_file = "jdoe",
	.mail_server = "hub1/servers/acme", .internet_address = "jane.doe@acme.com", .file = "people.conf",
	    .line = 7 };

static void
a1_a_mail_file_on_this_server_is_delivered_locally(void **state)
{
	struct world *world = *state;
	struct asked asked = about(&world->settings, "jane.doe@acme.com");

	decide_entry(&asked.question, &jane, &asked.decision);
	assert_string_equal(asked.decision.rule, "person \"Jane Doe/Sales/Acme\" people.conf:7");
	expect_delivery(&asked, TRANSPORT_LOCAL, "", "jdoe");
}

static void
a1_no_mail_server_is_this_server(void **state)
{
	struct world *world = *state;
	struct asked asked = about(&world->settings, "jane.doe@acme.com");
	struct entry entry = jane;

	entry.mail_server[0] = '\0';
	decide_entry(&asked.question, &entry, &asked.decision);
	expect_delivery(&asked, TRANSPORT_LOCAL, "", "jdoe");
}

static void
a1_local_delivery_may_be_an_lmtp_server(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct asked asked;
	struct entry entry = jane;

	settings.configuration.local_delivery.text = "lmtp:[127.0.0.1]:24";
	asked = about(&settings, "jdoe@acme.fr");
	decide_entry(&asked.question, &jane, &asked.decision);
	expect_delivery(&asked, TRANSPORT_LMTP, "[127.0.0.1]:24", "jane.doe@acme.com");
	entry.internet_address[0] = '\0';
	asked = about(&settings, "jdoe@acme.fr");
	decide_entry(&asked.question, &entry, &asked.decision);
	expect_delivery(&asked, TRANSPORT_LMTP, "[127.0.0.1]:24", "jdoe@acme.fr");
	asked = about(&settings, "Jane Doe/Sales/Acme");
	decide_entry(&asked.question, &entry, &asked.decision);
	expect_delivery(&asked, TRANSPORT_LMTP, "[127.0.0.1]:24", "\"Jane Doe\"@hub.acme.com");
}

static void
a3_a_forwarding_address_wins_over_a_mail_file(void **state)
{
	struct world *world = *state;
	struct asked asked = about(&world->settings, "jane.doe@acme.com");
	struct entry entry = jane;

	strcpy(entry.forwarding_address, "jane@elsewhere.example");
	decide_entry(&asked.question, &entry, &asked.decision);
	assert_int_equal(asked.decision.outcome, ROUTE_FORWARD);
	assert_string_equal(asked.decision.address, "jane@elsewhere.example");
	rules_release(&asked.rules);
}

static void
a_person_without_a_mail_file_gets_no_mail(void **state)
{
	struct world *world = *state;
	struct asked asked = about(&world->settings, "jane.doe@acme.com");
	struct entry entry = jane;

	entry.mail_file[0] = '\0';
	decide_entry(&asked.question, &entry, &asked.decision);
	expect_failure(&asked, FAILURE_USERNAME, "5.2.1", "no mail file");
}

static void
a4_an_unknown_name_never_goes_to_the_smart_host(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct classification class;
	struct asked asked;

	settings.configuration.local_smart_host.text = "smart.acme.com";
	asked = about(&settings, "Nobody/Acme");
	class = class_of(&asked);
	decide_unknown(&asked.question, &class, &asked.decision);
	expect_failure(&asked, FAILURE_USERNAME, "5.1.1",
	    "User Nobody/Acme (Nobody/Acme) not listed in Domino Directory");
}

static void
a5_the_smart_host_may_take_all_local_recipients(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct classification class;
	struct asked asked;

	settings.configuration.smart_host_for_all_local_recipients.number = 1;
	asked = about(&settings, "jane@acme.com");
	class = class_of(&asked);
	assert_false(decide_smart_host_for_all(&asked.question, &class, &asked.decision));
	rules_release(&asked.rules);
	settings.configuration.local_smart_host.text = "Smart.acme.com:2525";
	asked = about(&settings, "jane@acme.com");
	class = class_of(&asked);
	assert_true(decide_smart_host_for_all(&asked.question, &class, &asked.decision));
	expect_delivery(&asked, TRANSPORT_SMTP, "smart.acme.com:2525", "jane@acme.com");
	settings.configuration.smart_host_for_all_local_recipients.number = 0;
	asked = about(&settings, "jane@acme.com");
	class = class_of(&asked);
	assert_false(decide_smart_host_for_all(&asked.question, &class, &asked.decision));
	rules_release(&asked.rules);
}

static void
a7_an_unknown_local_recipient_goes_to_the_smart_host(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct classification class;
	struct asked asked;

	settings.configuration.local_smart_host.text = "[192.0.2.9]";
	asked = about(&settings, "nobody@acme.com");
	class = class_of(&asked);
	decide_unknown(&asked.question, &class, &asked.decision);
	expect_delivery(&asked, TRANSPORT_SMTP, "[192.0.2.9]", "nobody@acme.com");
}

/* Members of groups are written as Notes users write. */
static void
the_smart_host_is_given_an_address_that_smtp_knows(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct classification class;
	struct asked asked;

	settings.configuration.local_smart_host.text = "smart.acme.com";
	asked = about(&settings, "John Smith@acme.com");
	class = class_of(&asked);
	decide_unknown(&asked.question, &class, &asked.decision);
	expect_delivery(&asked, TRANSPORT_SMTP, "smart.acme.com", "\"John Smith\"@acme.com");
}

static void
a8_without_a_smart_host_it_fails(void **state)
{
	struct world *world = *state;
	struct asked asked = about(&world->settings, "nobody@acme.com");
	struct classification class;

	class = class_of(&asked);
	decide_unknown(&asked.question, &class, &asked.decision);
	expect_failure(&asked, FAILURE_USERNAME, "5.1.1",
	    "User nobody (nobody@acme.com) not listed in Domino Directory");
}

static void
postmaster_abuse_and_root_go_to_the_postmaster_of_matador_conf(void **state)
{
	static const char *const names[] = { "postmaster@acme.com", "Postmaster", "abuse@acme.com", "root" };
	struct settings settings = ((struct world *)*state)->settings;
	struct classification class;
	struct asked asked;

	settings.configuration.local_smart_host.text = "smart.acme.com";
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		asked = about(&settings, names[i]);
		class = class_of(&asked);
		decide_unknown(&asked.question, &class, &asked.decision);
		assert_int_equal(asked.decision.outcome, ROUTE_FORWARD);
		assert_string_equal(asked.decision.address, "Jane Doe/Sales/Acme");
		assert_non_null(strstr(asked.decision.rule, "matador.conf:2"));
		rules_release(&asked.rules);
	}
	settings.configuration.local_smart_host.text = "";
	settings.matador.postmaster.text = "";
	asked = about(&settings, "postmaster");
	class = class_of(&asked);
	decide_unknown(&asked.question, &class, &asked.decision);
	expect_failure(&asked, FAILURE_USERNAME, "5.1.1", "User postmaster");
}

static void
too_many_forwards_are_a_loop(void **state)
{
	struct world *world = *state;
	struct asked asked = about(&world->settings, "jane@acme.com");

	asked.question.forwards = 25;
	assert_false(decide_hops(&asked.question, &asked.decision));
	asked.question.forwards = 26;
	assert_true(decide_hops(&asked.question, &asked.decision));
	assert_string_equal(asked.decision.rule, "default of maximum_hop_count");
	expect_failure(&asked, FAILURE_TRANSFER, "5.4.6",
	    "Maximum hop count exceeded. Message probably in a routing loop.");
}

static void
groups_are_expanded_within_limits(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	const struct entry group = { .kind = DIRECTORY_GROUP, .name = "Sales", .file = "groups.conf", .line = 1 };
	struct asked asked;

	settings.configuration.maximum_group_members.number = 3;
	asked = about(&settings, "Sales");
	decide_group(&asked.question, &group, 3, &asked.decision);
	assert_int_equal(asked.decision.outcome, ROUTE_EXPAND);
	assert_string_equal(asked.decision.rule, "group \"Sales\" groups.conf:1");
	decide_group(&asked.question, &group, 4, &asked.decision);
	expect_failure(&asked, FAILURE_RESTRICTION, "5.5.3", "more than 3 members");
	asked = about(&settings, "Sales");
	decide_group(&asked.question, &group, 0, &asked.decision);
	expect_failure(&asked, FAILURE_USERNAME, "5.2.4", "no members");
	asked = about(&settings, "Sales");
	asked.question.forwards = 20;
	decide_group(&asked.question, &group, 1, &asked.decision);
	expect_failure(&asked, FAILURE_TRANSFER, "5.4.6", "nested deeper");
}

static void
an_unavailable_directory_is_no_conclusion(void **state)
{
	struct world *world = *state;
	struct asked asked = about(&world->settings, "jane@acme.com");

	decide_unavailable(&asked.question, &asked.decision);
	assert_int_equal(asked.decision.outcome, ROUTE_DEFER);
	assert_string_equal(asked.decision.status, "4.4.3");
	rules_release(&asked.rules);
}

static void
several_matches_fail(void **state)
{
	struct world *world = *state;
	struct asked asked = about(&world->settings, "john@acme.com");

	decide_ambiguous(&asked.question, "john", &asked.decision);
	expect_failure(&asked, FAILURE_USERNAME, "5.1.4", "not unique");
}

/* 4.B: S, format, R, same network, receiver listens; in the order of the table's rows. S: SMTP, N: Notes. */
static const char table_b[] = "NNNNNNNNNNNNNNNN" "SNSNSNNNNNNNNNNN" "SNSNSNNNSNSNSNNN";

static void
b_every_row_of_the_table_for_another_server(void **state)
{
	struct world *world = *state;

	assert_int_equal(sizeof(table_b) - 1, 48);
	for (unsigned row = 0; row < 48; row++) {
		struct settings settings = world->settings;
		struct document_server servers[3];
		struct entry entry = jane;
		struct asked asked;

		memcpy(servers, settings.server_documents, sizeof(servers));
		settings.server_documents = servers;
		settings.configuration.smtp_within_local_internet_domain.number = row / 16;
		settings.configuration.smtp_local_servers_reachable.number = row / 4 % 2;
		if (row / 2 % 2 == 1)
			servers[1].notes_named_networks.count = 0;
		servers[1].smtp_listener_task.number = row % 2 == 0;
		strcpy(entry.mail_server, "Hub2/Servers/Acme");
		asked = about(&settings, "jane.doe@acme.com");
		asked.question.format = row / 8 % 2 == 0 ? FORMAT_MIME : FORMAT_NOTES;
		decide_entry(&asked.question, &entry, &asked.decision);
		if ((asked.decision.outcome == ROUTE_DELIVER) != (table_b[row] == 'S'))
			fail_msg("row %u: %s", row + 1, asked.decision.text);
		if (table_b[row] == 'S')
			expect_delivery(&asked, TRANSPORT_SMTP, "[hub2.acme.com]", "jane.doe@acme.com");
		else
			expect_failure(&asked, FAILURE_TRANSFER, "5.4.4",
			    "No route found to server Hub2/Servers/Acme");
	}
}

static void
b_a_server_without_a_host_name_or_document_has_no_listener(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct asked asked;
	struct entry entry = jane;

	settings.configuration.smtp_within_local_internet_domain.number = SMTP_WITHIN_LOCAL_INTERNET_DOMAIN_ALL;
	strcpy(entry.mail_server, "Gone/Servers/Acme");
	asked = about(&settings, "jane.doe@acme.com");
	decide_entry(&asked.question, &entry, &asked.decision);
	expect_failure(&asked, FAILURE_TRANSFER, "5.4.4", "no SMTP listener");
	strcpy(entry.mail_server, "East1/Servers/East");
	asked = about(&settings, "jane.doe@acme.com");
	decide_entry(&asked.question, &entry, &asked.decision);
	expect_failure(&asked, FAILURE_TRANSFER, "5.4.4", "another Domino domain");
}

/* Connects TheInternet in one of the five ways of table 4.C. */
enum connection_kind { NO_MATCH, NOTHING, SELF_RELAY, SELF, OTHER, DOMAIN, KIND_COUNT };

static void
connect_the_internet(struct settings *settings, enum connection_kind kind,
    struct document_foreign_smtp_domain *foreign, struct document_smtp_connection *smtp,
    struct document_connection *notes)
{
	static const struct position at = { "connections.conf", 1 };

	*foreign = (struct document_foreign_smtp_domain){ .title = "*.*", .at = at,
	    .next_domain = { .text = "TheInternet" },
		.next_host = { .text = "" } };
	*smtp = (struct document_smtp_connection){ .title = "Out", .at = at,
	    .destination_domain = { .text = "theinternet" },
		.source_server = { .text = kind == OTHER ? "Hub2/Servers/Acme" : "CN=Hub1/OU=Servers/O=Acme" },
		.relay_host = { .text = kind == SELF_RELAY ? "own.relay.example" : "" } };
	*notes = (struct document_connection){ .title = "Gate", .at = at,
	    .destination = { .text = "Gate/TheInternet" },
		.destination_domain = { .text = "TheInternet" }, .source = { .text = "Hub1/Servers/Acme" } };
	settings->foreign_smtp_domain_documents = foreign;
	settings->foreign_smtp_domain_count = kind != NO_MATCH;
	settings->smtp_connection_documents = smtp;
	settings->smtp_connection_count = kind == SELF_RELAY || kind == SELF || kind == OTHER;
	settings->connection_documents = notes;
	settings->connection_count = kind == DOMAIN;
}

/*
 * 4.C: the outcome by row. R: relay host, M: the domain's hosts, D: domain failure, C: the connection's relay host, S:
 * the other server by SMTP, N: by Notes, which fails as a transfer.
 */
static const char table_c[] = "RMDD" "DDDD" "CCDD" "RMDD" "SSSS" "NNNN";

static void
c_every_row_of_the_table_for_an_external_domain(void **state)
{
	struct world *world = *state;

	for (unsigned row = 0; row < 24; row++) {
		struct settings settings = world->settings;
		struct document_foreign_smtp_domain foreign;
		struct document_smtp_connection smtp;
		struct document_connection notes;
		struct classification class;
		struct asked asked;

		connect_the_internet(&settings, (enum connection_kind)(row / 4), &foreign, &smtp, &notes);
		settings.configuration.smtp_within_local_internet_domain.number = SMTP_WITHIN_LOCAL_INTERNET_DOMAIN_ALL;
		settings.configuration.smtp_outside_local_internet_domain.number = row / 2 % 2 == 0;
		settings.configuration.relay_host.text = row % 2 == 0 ? "Relay.example:587" : "";
		asked = about(&settings, "bob@Partner.example");
		classify(asked.rules, "bob@Partner.example", &silent, &class);
		assert_int_equal(class.class, CLASS_EXTERNAL);
		decide_external(&asked.question, &class, &asked.decision);
		switch (table_c[row]) {
		case 'R':
			expect_delivery(&asked, TRANSPORT_SMTP, "relay.example:587", "bob@partner.example");
			break;
		case 'M':
			expect_delivery(&asked, TRANSPORT_SMTP, "partner.example", "bob@partner.example");
			break;
		case 'C':
			expect_delivery(&asked, TRANSPORT_SMTP, "own.relay.example", "bob@partner.example");
			break;
		case 'S':
			expect_delivery(&asked, TRANSPORT_SMTP, "[hub2.acme.com]", "bob@partner.example");
			break;
		case 'N':
			expect_failure(&asked, FAILURE_TRANSFER, "5.4.4", "No route found to domain TheInternet");
			break;
		default:
			expect_failure(&asked, FAILURE_DOMAIN, "5.4.4",
			    "No route found to domain partner.example from server "
			    "Hub1/Servers/Acme. Check Server, Connection and Domain documents in Domino Directory");
		}
	}
}

static struct asked
decided_external(struct settings *settings, const char *recipient)
{
	struct asked asked = about(settings, recipient);
	struct classification class;

	classify(asked.rules, recipient, &silent, &class);
	assert_int_equal(class.class, CLASS_EXTERNAL);
	decide_external(&asked.question, &class, &asked.decision);
	return asked;
}

static void
c_the_most_exact_pattern_wins(void **state)
{
	static const struct { const char *recipient, *next_hop; } rows[] = {
		{ "x@partner.com", "host1" }, { "x@a.partner.com", "host2" }, { "x@b.a.partner.com", "host2" },
		{ "x@other.com", "host3" }, { "x@xpartner.org", "host4" }, { "x@partner.org", "host4" },
		{ "x@other.example", "host5" }, { "x@PARTNER.com", "host1" },
	};
	static struct document_foreign_smtp_domain documents[] = {
		{ .title = "*.*", .next_host = { .text = "host5" } },
		    { .title = "*partner.org", .next_host = { .text = "host4" } },
		{ .title = "*.com", .next_host = { .text = "host3" } },
		    { .title = "*.partner.com", .next_host = { .text = "host2" } },
		{ .title = "Partner.com", .next_host = { .text = "host1" } },
	};
	struct settings settings = ((struct world *)*state)->settings;

	for (size_t i = 0; i < ARRAY_COUNT(documents); i++) {
		documents[i].at.file = "domains.conf";
		documents[i].next_domain.text = "Somewhere";
	}
	settings.foreign_smtp_domain_documents = documents;
	settings.foreign_smtp_domain_count = ARRAY_COUNT(documents);
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct asked asked = decided_external(&settings, rows[i].recipient);

		if (strcmp(asked.decision.next_hop, rows[i].next_hop) != 0)
			fail_msg("%s goes to %s", rows[i].recipient, asked.decision.next_hop);
		rules_release(&asked.rules);
	}
}

static void
a_pattern_of_many_stars_takes_little_time(void **state)
{
	static struct document_foreign_smtp_domain document = { .title = "*a*a*a*a*a*a*a*a*a*a*a*a*b",
	    .at = { "", 0 },
		.next_domain = { .text = "" }, .next_host = { .text = "x" } };
	struct settings settings = ((struct world *)*state)->settings;
	struct asked asked;

	settings.foreign_smtp_domain_documents = &document;
	settings.foreign_smtp_domain_count = 1;
	asked = decided_external(&settings, "x@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_memory_equal(asked.decision.next_hop, "aaaa", 4);
	rules_release(&asked.rules);
}

static void
literals_go_to_the_address_but_never_to_ourselves(void **state)
{
	static const char *const own[] = { "x@[0.0.0.0]", "x@[IPv6:::]", "x@[192.0.2.25]", "x@[IPv6:2001:db8::25]",
		"x@[IPv6:::ffff:192.0.2.25]" };
	struct settings settings = ((struct world *)*state)->settings;
	struct asked asked = decided_external(&settings, "x@[192.0.2.26]");

	expect_delivery(&asked, TRANSPORT_SMTP, "[192.0.2.26]", "x@[192.0.2.26]");
	asked = decided_external(&settings, "x@[IPv6:2001:DB8::26]");
	expect_delivery(&asked, TRANSPORT_SMTP, "[2001:db8::26]", "x@[IPv6:2001:db8::26]");
	for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
		asked = decided_external(&settings, own[i]);
		expect_failure(&asked, FAILURE_DOMAIN, "5.4.6", "loops back");
	}
	settings.server.smtp_outbound_tcp_port.number = 2525;
	asked = decided_external(&settings, "x@[192.0.2.25]");
	expect_delivery(&asked, TRANSPORT_SMTP, "[192.0.2.25]", "x@[192.0.2.25]");
	settings.configuration.relay_host.text = "relay.example";
	asked = decided_external(&settings, "x@[0.0.0.0]");
	expect_delivery(&asked, TRANSPORT_SMTP, "relay.example", "x@[0.0.0.0]");
	settings.configuration.relay_host.text = "";
	settings.configuration.smtp_outside_local_internet_domain.number = 0;
	asked = decided_external(&settings, "x@[192.0.2.26]");
	expect_failure(&asked, FAILURE_DOMAIN, "5.4.4", "disabled");
}

static void
an_internationalised_domain_is_looked_up_by_its_a_labels(void **state)
{
	struct world *world = *state;
	struct asked asked = decided_external(&world->settings, "j\xc3\xbcrgen@m\xc3\xbcnchen.example");

	expect_delivery(&asked, TRANSPORT_SMTP, "xn--mnchen-3ya.example", "j\xc3\xbcrgen@m\xc3\xbcnchen.example");
}

static void
c_a_relay_host_alone_is_not_enough(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct asked asked;

	settings.configuration.smtp_outside_local_internet_domain.number = 0;
	settings.configuration.relay_host.text = "relay.example";
	asked = decided_external(&settings, "bob@partner.example");
	assert_non_null(strstr(asked.decision.rule, "smtp_outside_local_internet_domain"));
	expect_failure(&asked, FAILURE_DOMAIN, "5.4.4", "outside of the local Internet domain is disabled");
}

static void
c_with_both_settings_all_mail_for_outside_goes_to_the_relay_host(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct asked asked;

	settings.configuration.relay_host.text = "relay.example";
	asked = decided_external(&settings, "bob@partner.example");
	assert_non_null(strstr(asked.decision.rule, "relay_host"));
	expect_delivery(&asked, TRANSPORT_SMTP, "relay.example", "bob@partner.example");
	asked = decided_external(&settings, "bob@[192.0.2.26]");
	expect_delivery(&asked, TRANSPORT_SMTP, "relay.example", "bob@[192.0.2.26]");
}

static void
c_without_a_relay_host_the_domain_itself_is_the_next_hop(void **state)
{
	struct world *world = *state;
	struct asked asked = decided_external(&world->settings, "Bob@PARTNER.Example");

	expect_delivery(&asked, TRANSPORT_SMTP, "partner.example", "Bob@partner.example");
}

static void
c_a_pattern_in_a_labels_matches_the_domain_in_u_labels(void **state)
{
	static struct document_foreign_smtp_domain document = { .title = "*.xn--mnchen-3ya.example",
	    .at = { "domains.conf", 3 }, .next_domain = { .text = "" }, .next_host = { .text = "munich.example" } };
	struct settings settings = ((struct world *)*state)->settings;
	struct asked asked;

	settings.foreign_smtp_domain_documents = &document;
	settings.foreign_smtp_domain_count = 1;
	asked = decided_external(&settings, "x@mail.m\xc3\xbcnchen.example");
	assert_string_equal(asked.decision.next_hop, "munich.example");
	rules_release(&asked.rules);
	asked = decided_external(&settings, "x@mail.XN--MNCHEN-3YA.example");
	assert_string_equal(asked.decision.next_hop, "munich.example");
	rules_release(&asked.rules);
}

/* Section 6.2: every SMTP session, internal and external. */
static void
with_the_smtp_port_disabled_nothing_leaves_by_smtp_and_all_waits(void **state)
{
	struct settings settings = ((struct world *)*state)->settings;
	struct entry entry = jane;
	struct asked asked;

	settings.server.smtp_outbound_tcp_status.number = SMTP_OUTBOUND_TCP_STATUS_DISABLED;
	settings.server.smtp_outbound_tcp_status.at = (struct position){ "servers.conf", 9 };
	asked = decided_external(&settings, "bob@partner.example");
	assert_int_equal(asked.decision.outcome, ROUTE_DEFER);
	assert_string_equal(asked.decision.status, "4.3.5");
	assert_string_equal(asked.decision.rule, "server \"Hub1/Servers/Acme\" servers.conf:9");
	assert_non_null(strstr(asked.decision.text, "disabled"));
	rules_release(&asked.rules);
	settings.configuration.smtp_within_local_internet_domain.number = SMTP_WITHIN_LOCAL_INTERNET_DOMAIN_ALL;
	strcpy(entry.mail_server, "Hub2/Servers/Acme");
	asked = about(&settings, "jane.doe@acme.com");
	decide_entry(&asked.question, &entry, &asked.decision);
	assert_int_equal(asked.decision.outcome, ROUTE_DEFER);
	rules_release(&asked.rules);
	settings.configuration.local_delivery.text = "lmtp:[127.0.0.1]:24";
	asked = about(&settings, "jane.doe@acme.com");
	decide_entry(&asked.question, &jane, &asked.decision);
	expect_delivery(&asked, TRANSPORT_LMTP, "[127.0.0.1]:24", "jane.doe@acme.com");
}

static struct asked
decided_domain(struct settings *settings, const char *recipient)
{
	struct asked asked = about(settings, recipient);
	struct classification class;

	classify(asked.rules, recipient, &silent, &class);
	decide_domino_domain(&asked.question, &class, &asked.decision);
	return asked;
}

static void
d_other_domino_domains(void **state)
{
	struct world *world = *state;
	struct asked asked = decided_domain(&world->settings, "123@Fax");

	assert_non_null(strstr(asked.decision.rule, "foreign_domain \"Fax\""));
	expect_delivery(&asked, TRANSPORT_LOCAL, "", "faxout");
	asked = decided_domain(&world->settings, "123@Pager");
	expect_failure(&asked, FAILURE_RESTRICTION, "5.7.1", "not allowed");
	asked = decided_domain(&world->settings, "Robin@East");
	expect_failure(&asked, FAILURE_TRANSFER, "5.4.4", "Notes routing");
	asked = decided_domain(&world->settings, "Robin@West");
	expect_failure(&asked, FAILURE_TRANSFER, "5.4.4", "Notes routing");
	asked = decided_domain(&world->settings, "Robin@North");
	expect_failure(&asked, FAILURE_DOMAIN, "5.4.4", "No route found to domain North");
}

static int
begin(void **state)
{
	static struct world world;

	world_begin(&world);
	*state = &world;
	return 0;
}

static int
end(void **state)
{
	world_end(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a1_a_mail_file_on_this_server_is_delivered_locally),
		cmocka_unit_test(a1_no_mail_server_is_this_server),
		cmocka_unit_test(a1_local_delivery_may_be_an_lmtp_server),
		cmocka_unit_test(a3_a_forwarding_address_wins_over_a_mail_file),
		cmocka_unit_test(a_person_without_a_mail_file_gets_no_mail),
		cmocka_unit_test(a4_an_unknown_name_never_goes_to_the_smart_host),
		cmocka_unit_test(a5_the_smart_host_may_take_all_local_recipients),
		cmocka_unit_test(a7_an_unknown_local_recipient_goes_to_the_smart_host),
		cmocka_unit_test(the_smart_host_is_given_an_address_that_smtp_knows),
		cmocka_unit_test(a8_without_a_smart_host_it_fails),
		cmocka_unit_test(postmaster_abuse_and_root_go_to_the_postmaster_of_matador_conf),
		cmocka_unit_test(too_many_forwards_are_a_loop),
		cmocka_unit_test(groups_are_expanded_within_limits),
		cmocka_unit_test(an_unavailable_directory_is_no_conclusion),
		cmocka_unit_test(several_matches_fail),
		cmocka_unit_test(b_every_row_of_the_table_for_another_server),
		cmocka_unit_test(b_a_server_without_a_host_name_or_document_has_no_listener),
		cmocka_unit_test(c_every_row_of_the_table_for_an_external_domain),
		cmocka_unit_test(c_the_most_exact_pattern_wins),
		cmocka_unit_test(a_pattern_of_many_stars_takes_little_time),
		cmocka_unit_test(literals_go_to_the_address_but_never_to_ourselves),
		cmocka_unit_test(an_internationalised_domain_is_looked_up_by_its_a_labels),
		cmocka_unit_test(c_a_relay_host_alone_is_not_enough),
		cmocka_unit_test(c_with_both_settings_all_mail_for_outside_goes_to_the_relay_host),
		cmocka_unit_test(c_without_a_relay_host_the_domain_itself_is_the_next_hop),
		cmocka_unit_test(c_a_pattern_in_a_labels_matches_the_domain_in_u_labels),
		cmocka_unit_test(with_the_smtp_port_disabled_nothing_leaves_by_smtp_and_all_waits),
		cmocka_unit_test(d_other_domino_domains),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
