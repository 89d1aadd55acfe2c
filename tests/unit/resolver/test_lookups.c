/*
 * Unit tests of resolver/lookups.c, clients.c and dns_context.c, with a name server in the same process. The first
 * label of a name says how it answers. Rows 105, 107, 111, 114, 115 and 119 of docs/reference/hostile-inputs.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <ldns/ldns.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "resolver/clients.h"

struct scene {
	struct event_base *base;
	struct hosts_file *hosts;
	struct lookups *lookups;
	struct clients *clients;
	struct channel *asker;
	int server;
	struct event *readable;
	char nameserver[32];
	char seen[2048];	/* the names the server was asked, each with its type */
	unsigned answers;
	enum dns_kind kind[8];		/* by id */
	enum dns_outcome outcome[8];
	enum dns_security security[8];
	unsigned count[8];
	char records[8][4096];
	char text[8][200];
	char hosts_seen[1024];		/* of the mail hosts answered: preference, name, state */
	enum mail_hosts_outcome mail_outcome;
	enum ipc_side side;
};

/* ---- the name server -------------------------------------------------------------------------- */

static void
add_record(ldns_pkt *reply, const char *text)
{
	ldns_rr *record;

	assert_int_equal(ldns_rr_new_frm_str(&record, text, 0, NULL, NULL), LDNS_STATUS_OK);
	ldns_pkt_push_rr(reply, LDNS_SECTION_ANSWER, record);
}

static void
make_records(ldns_pkt *reply, const char *name, ldns_rr_type type)
{
	static const struct { const char *name; ldns_rr_type type; const char *record; } records[] = {
		{ "9.2.0.192.in-addr.arpa.", LDNS_RR_TYPE_PTR, "9.2.0.192.in-addr.arpa. 60 IN PTR host.example." },
		{ "9.2.0.192.in-addr.arpa.", LDNS_RR_TYPE_PTR, "9.2.0.192.in-addr.arpa. 60 IN PTR ho\\010st.example." },
		{ "1.2.0.192.in-addr.arpa.", LDNS_RR_TYPE_PTR, "1.2.0.192.in-addr.arpa. 60 IN PTR both.test." },
		{ "2.2.0.192.in-addr.arpa.", LDNS_RR_TYPE_PTR, "2.2.0.192.in-addr.arpa. 60 IN PTR silent.test." },
		{ "3.2.0.192.in-addr.arpa.", LDNS_RR_TYPE_PTR, "3.2.0.192.in-addr.arpa. 60 IN PTR both.test." },
		{ "mail.test.", LDNS_RR_TYPE_MX, "mail.test. 60 IN MX 10 both.test." },
		{ "mail.test.", LDNS_RR_TYPE_TXT, "mail.test. 60 IN TXT \"v=spf1 \" \"\" \"-all\"" },
		{ "mail.test.", LDNS_RR_TYPE_TXT, "mail.test. 60 IN TXT \"\"" },
		{ "_25._tcp.mail.test.", LDNS_RR_TYPE_TLSA, "_25._tcp.mail.test. 60 IN TLSA 3 1 2 abcdef" },
		{ "null.test.", LDNS_RR_TYPE_MX, "null.test. 60 IN MX 0 ." },
		{ "ours.test.", LDNS_RR_TYPE_MX, "ours.test. 60 IN MX 5 hub.acme.com." },
		{ "own.test.", LDNS_RR_TYPE_A, "own.test. 60 IN A 198.51.100.25" },
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(records); i++)
		if (strcmp(records[i].name, name) == 0 && records[i].type == type)
			add_record(reply, records[i].record);
}

/* Fills the reply by the first label of name. False: silence. */
static bool
make_reply(ldns_pkt *reply, const char *name, ldns_rr_type type)
{
	if (strncmp(name, "silent", 6) == 0)
		return false;
	if (strncmp(name, "nx", 2) == 0)
		ldns_pkt_set_rcode(reply, LDNS_RCODE_NXDOMAIN);
	else if (strncmp(name, "fail", 4) == 0)
		ldns_pkt_set_rcode(reply, LDNS_RCODE_SERVFAIL);
	else if (strncmp(name, "refused", 7) == 0)
		ldns_pkt_set_rcode(reply, LDNS_RCODE_REFUSED);
	else if (strncmp(name, "half", 4) == 0 && type == LDNS_RR_TYPE_AAAA)
		ldns_pkt_set_rcode(reply, LDNS_RCODE_SERVFAIL);
	else if (strncmp(name, "half", 4) == 0)
		add_record(reply, "half.test. 60 IN A 192.0.2.7");
	else if (strncmp(name, "both", 4) == 0 && type == LDNS_RR_TYPE_A) {
		add_record(reply, "both.test. 60 IN A 192.0.2.1");
		add_record(reply, "both.test. 60 IN A 192.0.2.2");
	} else if (strncmp(name, "both", 4) == 0)
		add_record(reply, "both.test. 60 IN AAAA 2001:db8::1");
	else if (strncmp(name, "alias", 5) == 0) {
		add_record(reply, "alias.test. 60 IN CNAME both.test.");
		if (type == LDNS_RR_TYPE_A)
			add_record(reply, "both.test. 60 IN A 192.0.2.1");
	} else if (strncmp(name, "loop", 4) == 0)
		add_record(reply, "loop.test. 60 IN CNAME loop.test.");
	else
		make_records(reply, name, type);
	return true;
}

static void
server_reads(evutil_socket_t socket, short what, void *context)
{
	struct scene *scene = context;
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	uint8_t data[2048], *wire;
	ssize_t got = recvfrom(socket, data, sizeof(data), 0, (struct sockaddr *)&from, &length);
	ldns_pkt *query, *reply;
	ldns_rr *question;
	size_t wire_length;
	char *name;

	(void)what;
	assert_int_equal(ldns_wire2pkt(&query, data, (size_t)got), LDNS_STATUS_OK);
	question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
	name = ldns_rdf2str(ldns_rr_owner(question));
	snprintf(scene->seen + strlen(scene->seen), sizeof(scene->seen) - strlen(scene->seen), "%s/%d ", name,
	    ldns_rr_get_type(question));
	reply = ldns_pkt_new();
	ldns_pkt_set_id(reply, ldns_pkt_id(query));
	ldns_pkt_set_qr(reply, true);
	ldns_pkt_set_ra(reply, true);
	ldns_pkt_set_rd(reply, ldns_pkt_rd(query));
	ldns_pkt_push_rr(reply, LDNS_SECTION_QUESTION, ldns_rr_clone(question));
	if (make_reply(reply, name, ldns_rr_get_type(question))) {
		assert_int_equal(ldns_pkt2wire(&wire, reply, &wire_length), LDNS_STATUS_OK);
		sendto(socket, wire, wire_length, 0, (struct sockaddr *)&from, length);
		free(wire);
	}
	free(name);
	ldns_pkt_free(query);
	ldns_pkt_free(reply);
}

static void
start_server(struct scene *scene)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	scene->server = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(scene->server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(scene->server, (struct sockaddr *)&address, &length), 0);
	snprintf(scene->nameserver, sizeof(scene->nameserver), "127.0.0.1@%u", ntohs(address.sin_port));
	scene->readable = event_new(scene->base, scene->server, EV_READ | EV_PERSIST, server_reads, scene);
	event_add(scene->readable, NULL);
}

/* ---- those who ask ---------------------------------------------------------------------------- */

/* One record as text. */
static void
format_record(enum dns_kind kind, struct wire_reader *reader, char *text)
{
	char address[INET6_ADDRSTRLEN];
	struct bytes octets;
	unsigned numbers[3], i;

	switch (kind) {
	case DNS_PTR:
		text += sprintf(text, "%s", wire_get_string(reader, 255));
		sprintf(text, "%s ", wire_get_u8(reader) ? "" : "?");
		return;
	case DNS_CNAME:
		sprintf(text, "%s ", wire_get_string(reader, 255));
		return;
	case DNS_MX:
		text += sprintf(text, "%u:", wire_get_u16(reader));
		sprintf(text, "%s ", wire_get_string(reader, 255));
		return;
	case DNS_TLSA:
		for (i = 0; i < 3; i++)
			numbers[i] = wire_get_u8(reader);
		octets = wire_get_bytes(reader, 4096);
		sprintf(text, "%u,%u,%u,%zu ", numbers[0], numbers[1], numbers[2], octets.length);
		return;
	case DNS_TXT:
		octets = wire_get_bytes(reader, 4096);
		sprintf(text, "%.*s|", (int)octets.length, (const char *)octets.data);
		return;
	default:
		octets = wire_get_bytes(reader, 16);
		assert_true(octets.length == 4 || octets.length == 16);
		inet_ntop(octets.length == 4 ? AF_INET : AF_INET6, octets.data, address, sizeof(address));
		sprintf(text, "%s ", address);
	}
}

static void
on_answer(void *context, struct channel *channel, const struct dns_answer *answer)
{
	struct scene *scene = context;
	struct wire_reader reader;
	char *text = scene->records[answer->id];
	unsigned i;

	(void)channel;
	assert_true(answer->id < 8);
	scene->answers++;
	scene->outcome[answer->id] = answer->outcome;
	scene->security[answer->id] = answer->security;
	scene->count[answer->id] = answer->count;
	snprintf(scene->text[answer->id], sizeof(scene->text[0]), "%s", answer->text);
	wire_reader_init(&reader, answer->records.data, answer->records.length);
	for (i = 0; i < answer->count; i++) {
		char record[512];

		format_record(scene->kind[answer->id], &reader, record);
		if (strlen(text) + strlen(record) < sizeof(scene->records[0]))
			strcat(text, record);
	}
	assert_true(wire_reader_finished(&reader));
}

static void
on_mail_host(void *context, struct channel *channel, const struct mail_host *host)
{
	struct scene *scene = context;
	size_t length = strlen(scene->hosts_seen);

	(void)channel;
	snprintf(scene->hosts_seen + length, sizeof(scene->hosts_seen) - length, "%u:%s/%u ", host->preference, host->name,
	    host->state);
}

static void
on_mail_hosts_answer(void *context, struct channel *channel, const struct mail_hosts_answer *answer)
{
	struct scene *scene = context;

	(void)channel;
	scene->answers++;
	scene->mail_outcome = answer->outcome;
}

static void
configure(struct scene *scene, enum lookup_order order, int64_t timeout_ms)
{
	const char *nameservers[] = { scene->nameserver };
	struct dns_context_options options = { .nameservers = nameservers, .nameserver_count = 1, .cache_size = 1 << 20,
		.questions = 64, .sockets = 64 };
	struct error error = ERROR_INITIALIZER;

	assert_int_equal(lookups_configure(scene->lookups, scene->hosts, order, timeout_ms, &options, &error), 0);
}

/* We are hub.acme.com and listen at 198.51.100.25:25. */
static void
say_who_we_are(struct scene *scene)
{
	static struct setting_item address = { .text = "198.51.100.25" };
	static struct settings settings;

	settings.matador.listen_addresses.items = &address;
	settings.matador.listen_addresses.count = 1;
	settings.server.smtp_listener_task.number = settings.server.smtp_inbound_tcp_status.number = 1;
	settings.server.smtp_inbound_tcp_port.number = 25;
	settings.server.internet_host_name.text = "hub.acme.com";
	settings.configuration.initial_transfer_retry_interval.number = 900;
	clients_configure(scene->clients, &settings);
}

static void
connect_asker(struct scene *scene)
{
	static const struct dns_handlers handlers = { .dns_answer = on_answer, .mail_host = on_mail_host,
		.mail_hosts_answer = on_mail_hosts_answer };
	static const struct channel_events events = { .closed = NULL };
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	scene->asker = channel_open(scene->base, sockets[0], &dns_protocol, IPC_ASKS, &handlers, &events, scene);
	clients_introduce(scene->clients, "smtp", sockets[1], IPC_SERVES);
}

static int
begin_scene(void **state)
{
	static const char hosts[] = "# comment\n192.0.2.50 inhosts.test short nx.test\nbroken line\n192.0.2.51\tsilent.test\n";
	struct scene *scene = memory_new(1, sizeof(*scene));

	scene->base = event_base_new();
	start_server(scene);
	scene->hosts = hosts_file_parse(hosts, strlen(hosts));
	scene->lookups = lookups_new(scene->base);
	scene->clients = clients_new(scene->base, scene->lookups);
	configure(scene, LOOKUP_DNS, 3000);
	say_who_we_are(scene);
	connect_asker(scene);
	*state = scene;
	return 0;
}

static int
end_scene(void **state)
{
	struct scene *scene = *state;

	clients_free(&scene->clients);
	lookups_free(&scene->lookups);
	hosts_file_free(&scene->hosts);
	channel_free(&scene->asker);
	event_free(scene->readable);
	close(scene->server);
	event_base_free(scene->base);
	free(scene);
	return 0;
}

static void
ask(struct scene *scene, uint64_t id, enum dns_kind kind, const char *name)
{
	struct dns_question question = { .id = id, .kind = kind, .name = name };

	scene->records[id][0] = '\0';
	scene->kind[id] = kind;
	assert_true(send_dns_question(scene->asker, &question));
}

static void
ask_mail_hosts(struct scene *scene, const char *name, uint16_t port)
{
	struct mail_hosts_question question = { .id = 7, .port = port, .name = name };

	scene->hosts_seen[0] = '\0';
	scene->answers = 0;
	assert_true(send_mail_hosts_question(scene->asker, &question));
}

static void
run_until(struct scene *scene, unsigned answers)
{
	deadline_t deadline = deadline_after_ms(5000);

	while (scene->answers < answers && !deadline_passed(deadline)) {
		event_base_loop(scene->base, EVLOOP_NONBLOCK);
		usleep(200);
	}
	assert_int_equal(scene->answers, answers);
}

static void
run_a_little(struct scene *scene)
{
	int i;

	for (i = 0; i < 500; i++) {
		event_base_loop(scene->base, EVLOOP_NONBLOCK);
		usleep(200);
	}
}

/* ---- cases ------------------------------------------------------------------------------------ */

static void
finds_both_families(void **state)
{
	struct scene *scene = *state;

	ask(scene, 1, DNS_HOST, "both.test");
	ask(scene, 2, DNS_HOST, "ALIAS.test.");
	ask(scene, 3, DNS_HOST, "half.test");
	ask(scene, 4, DNS_HOST, "localhost");
	run_until(scene, 4);
	/* The families in turn; equal records in any order. */
	assert_int_equal(strncmp(scene->records[1], "2001:db8::1 192.0.2.", 20), 0);
	assert_non_null(strstr(scene->records[1], "192.0.2.1 "));
	assert_non_null(strstr(scene->records[1], "192.0.2.2 "));
	assert_int_equal(scene->outcome[2], DNS_FOUND);
	assert_non_null(strstr(scene->records[2], "192.0.2.1 "));
	assert_string_equal(scene->records[3], "192.0.2.7 ");
	assert_string_equal(scene->records[4], "::1 127.0.0.1 ");
	assert_null(strstr(scene->seen, "localhost"));
}

static void
keeps_no_name_no_data_and_no_answer_apart(void **state)
{
	struct scene *scene = *state;

	configure(scene, LOOKUP_DNS, 400);
	ask(scene, 1, DNS_HOST, "nx.test");
	ask(scene, 2, DNS_HOST, "empty.test");
	ask(scene, 3, DNS_HOST, "fail.test");
	ask(scene, 4, DNS_HOST, "refused.test");
	ask(scene, 5, DNS_HOST, "silent.test");
	ask(scene, 6, DNS_HOST, "loop.test");
	ask(scene, 7, DNS_HOST, "both.test");
	run_until(scene, 7);
	assert_int_equal(scene->outcome[1], DNS_NO_NAME);
	assert_int_equal(scene->outcome[2], DNS_NO_DATA);
	assert_int_equal(scene->outcome[3], DNS_NO_ANSWER);
	assert_int_equal(scene->outcome[4], DNS_NO_ANSWER);
	assert_int_equal(scene->outcome[5], DNS_NO_ANSWER);
	assert_int_equal(scene->outcome[6], DNS_NO_ANSWER);
	assert_int_equal(scene->outcome[7], DNS_FOUND);
	assert_true(strlen(scene->text[5]) > 0);
}

static void
completes_no_name_by_a_search_list(void **state)
{
	struct scene *scene = *state;

	ask(scene, 1, DNS_HOST, "nx");
	ask(scene, 2, DNS_HOST, "nx.invalid");
	run_until(scene, 2);
	assert_int_equal(scene->outcome[1], DNS_NO_NAME);
	assert_non_null(strstr(scene->seen, "nx./1 "));
	assert_non_null(strstr(scene->seen, "nx.invalid./1 "));
}

static void
asks_once_for_several(void **state)
{
	struct scene *scene = *state;

	ask(scene, 1, DNS_HOST, "both.test");
	ask(scene, 2, DNS_HOST, "Both.Test");
	ask(scene, 3, DNS_HOST, "both.test.");
	run_until(scene, 3);
	assert_string_equal(scene->records[1], scene->records[2]);
	assert_string_equal(scene->records[1], scene->records[3]);
	assert_int_equal(strlen(scene->seen), strlen("both.test./28 both.test./1 "));
}

static void
finds_names_of_addresses(void **state)
{
	struct scene *scene = *state;

	ask(scene, 1, DNS_PTR, "192.0.2.9");
	ask(scene, 2, DNS_PTR, "2001:db8::1");
	ask(scene, 3, DNS_PTR, "not an address");
	run_until(scene, 3);
	/* It does not lead back, and what is no name is not told. */
	assert_string_equal(scene->records[1], "host.example? ");
	assert_int_equal(scene->outcome[2], DNS_NO_DATA);
	assert_non_null(strstr(scene->seen, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa./12 "));
	assert_int_equal(scene->outcome[3], DNS_NO_NAME);
}

static void
confirms_names_of_addresses(void **state)
{
	struct scene *scene = *state;

	configure(scene, LOOKUP_DNS, 600);
	ask(scene, 1, DNS_PTR, "192.0.2.1");
	ask(scene, 2, DNS_PTR, "192.0.2.2");
	ask(scene, 3, DNS_PTR, "192.0.2.3");
	run_until(scene, 3);
	assert_string_equal(scene->records[1], "both.test ");
	/* Whether it leads back is not known in time. */
	assert_int_equal(scene->outcome[2], DNS_FOUND);
	assert_string_equal(scene->records[2], "silent.test? ");
	assert_string_equal(scene->records[3], "both.test? ");
}

static void
answers_all_kinds(void **state)
{
	struct scene *scene = *state;

	ask(scene, 1, DNS_MX, "mail.test");
	ask(scene, 2, DNS_TXT, "mail.test");
	ask(scene, 3, DNS_TLSA, "_25._tcp.mail.test");
	ask(scene, 4, DNS_CNAME, "alias.test");
	ask(scene, 5, DNS_CNAME, "both.test");
	ask(scene, 6, DNS_A, "both.test");
	ask(scene, 7, DNS_AAAA, "both.test");
	run_until(scene, 7);
	assert_string_equal(scene->records[1], "10:both.test ");
	assert_non_null(strstr(scene->records[2], "v=spf1 -all|"));
	assert_int_equal(scene->count[2], 2);
	assert_string_equal(scene->records[3], "3,1,2,3 ");
	assert_string_equal(scene->records[4], "both.test ");
	assert_int_equal(scene->outcome[5], DNS_NO_DATA);
	assert_int_equal(scene->count[6], 2);
	assert_string_equal(scene->records[7], "2001:db8::1 ");
}

static void
closes_whoever_asks_for_an_unknown_kind(void **state)
{
	struct scene *scene = *state;

	ask(scene, 1, DNS_KIND_COUNT, "both.test");
	run_a_little(scene);
	assert_false(channel_is_open(scene->asker));
	assert_int_equal(scene->answers, 0);
}

static void
answers_more_than_may_ask_at_a_time(void **state)
{
	struct scene *scene = *state;
	char name[32];
	unsigned i;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "nx%u.test", i);
		ask(scene, 1, DNS_A, name);
	}
	run_until(scene, 300);
	assert_int_equal(scene->outcome[1], DNS_NO_NAME);
}

static void
finds_mail_hosts(void **state)
{
	struct scene *scene = *state;

	ask_mail_hosts(scene, "Mail.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_FOUND);
	assert_string_equal(scene->hosts_seen, "10:both.test/0 ");
	ask_mail_hosts(scene, "null.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_NULL_MX);
	ask_mail_hosts(scene, "ours.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_LOOP);
	ask_mail_hosts(scene, "own.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_LOOP);
	ask_mail_hosts(scene, "own.test", 26);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_FOUND);
	ask_mail_hosts(scene, "fail.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_NO_ANSWER);
}

static void
takes_mail_hosts_from_the_hosts_file(void **state)
{
	struct scene *scene = *state;

	configure(scene, LOOKUP_DNS_THEN_HOSTS, 400);
	ask_mail_hosts(scene, "silent.test", 25);
	run_until(scene, 1);
	assert_string_equal(scene->hosts_seen, "0:silent.test/0 ");
	configure(scene, LOOKUP_HOSTS, 400);
	scene->seen[0] = '\0';
	ask_mail_hosts(scene, "SHORT", 25);
	run_until(scene, 1);
	assert_string_equal(scene->hosts_seen, "0:short/0 ");
	ask_mail_hosts(scene, "mail.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_NO_NAME);
	assert_string_equal(scene->seen, "");
}

static void
remembers_failed_hosts_for_everyone_and_over_new_settings(void **state)
{
	struct mail_host_report report = { .port = 25, .failed = 1, .name = "BOTH.test", .text = "connection refused" };
	struct scene *scene = *state;

	assert_true(send_mail_host_report(scene->asker, &report));
	channel_flush(scene->asker);
	run_a_little(scene);
	channel_free(&scene->asker);
	connect_asker(scene);
	configure(scene, LOOKUP_DNS, 3000);
	say_who_we_are(scene);
	ask_mail_hosts(scene, "mail.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_ALL_FAILED);
	assert_string_equal(scene->hosts_seen, "10:both.test/1 ");
	ask_mail_hosts(scene, "mail.test", 26);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_FOUND);
	report.failed = 0;
	assert_true(send_mail_host_report(scene->asker, &report));
	ask_mail_hosts(scene, "mail.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_FOUND);
}

static void
answers_the_mail_hosts_in_progress_after_new_settings(void **state)
{
	struct scene *scene = *state;

	ask_mail_hosts(scene, "silent.test", 25);
	run_a_little(scene);
	assert_int_equal(scene->answers, 0);
	configure(scene, LOOKUP_HOSTS, 400);
	run_until(scene, 1);
	assert_string_equal(scene->hosts_seen, "0:silent.test/0 ");
}

static void
lets_go_of_mail_hosts_when_the_asker_leaves(void **state)
{
	struct scene *scene = *state;

	ask_mail_hosts(scene, "silent.test", 25);
	ask(scene, 1, DNS_PTR, "192.0.2.2");
	channel_flush(scene->asker);
	run_a_little(scene);
	channel_free(&scene->asker);
	run_a_little(scene);
	connect_asker(scene);
	ask_mail_hosts(scene, "mail.test", 25);
	run_until(scene, 1);
	assert_int_equal(scene->mail_outcome, MAIL_HOSTS_FOUND);
}

static void
asks_the_hosts_file_where_it_is_told_to(void **state)
{
	struct scene *scene = *state;

	configure(scene, LOOKUP_DNS_THEN_HOSTS, 400);
	ask(scene, 1, DNS_HOST, "nx.test");
	ask(scene, 2, DNS_HOST, "silent.test");
	ask(scene, 3, DNS_HOST, "both.test");
	run_until(scene, 3);
	assert_string_equal(scene->records[1], "192.0.2.50 ");
	assert_string_equal(scene->records[2], "192.0.2.51 ");
	assert_non_null(strstr(scene->records[3], "192.0.2.1 "));
	configure(scene, LOOKUP_HOSTS, 400);
	scene->seen[0] = '\0';
	ask(scene, 4, DNS_HOST, "SHORT");
	ask(scene, 5, DNS_HOST, "both.test");
	ask(scene, 6, DNS_PTR, "192.0.2.50");
	run_until(scene, 6);
	assert_string_equal(scene->records[4], "192.0.2.50 ");
	assert_int_equal(scene->outcome[5], DNS_NO_NAME);
	assert_string_equal(scene->records[6], "inhosts.test ");
	assert_string_equal(scene->seen, "");
}

static void
asks_again_after_new_settings(void **state)
{
	struct scene *scene = *state;

	ask(scene, 1, DNS_HOST, "silent.test");
	run_a_little(scene);
	assert_int_equal(scene->answers, 0);
	configure(scene, LOOKUP_HOSTS, 400);
	run_until(scene, 1);
	assert_string_equal(scene->records[1], "192.0.2.51 ");
}

static void
survives_askers_that_leave(void **state)
{
	struct scene *scene = *state;

	ask(scene, 1, DNS_HOST, "silent.test");
	ask(scene, 2, DNS_HOST, "both.test");
	channel_flush(scene->asker);
	channel_free(&scene->asker);
	run_a_little(scene);
	connect_asker(scene);
	ask(scene, 3, DNS_HOST, "both.test");
	run_until(scene, 1);
	assert_int_equal(scene->outcome[3], DNS_FOUND);
}

static void
refuses_a_name_server_that_is_none(void **state)
{
	struct scene *scene = *state;
	const char *nameservers[] = { "no address" };
	struct dns_context_options options = { .nameservers = nameservers, .nameserver_count = 1, .cache_size = 1 << 20,
		.questions = 64, .sockets = 64 };
	struct error error = ERROR_INITIALIZER;

	assert_int_equal(lookups_configure(scene->lookups, scene->hosts, LOOKUP_DNS, 100, &options, &error), -1);
	ask(scene, 1, DNS_HOST, "both.test");
	run_until(scene, 1);
	assert_int_equal(scene->outcome[1], DNS_FOUND);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(finds_both_families),
		SCENE_TEST(keeps_no_name_no_data_and_no_answer_apart),
		SCENE_TEST(completes_no_name_by_a_search_list),
		SCENE_TEST(asks_once_for_several),
		SCENE_TEST(finds_names_of_addresses),
		SCENE_TEST(confirms_names_of_addresses),
		SCENE_TEST(answers_all_kinds),
		SCENE_TEST(closes_whoever_asks_for_an_unknown_kind),
		SCENE_TEST(answers_more_than_may_ask_at_a_time),
		SCENE_TEST(finds_mail_hosts),
		SCENE_TEST(takes_mail_hosts_from_the_hosts_file),
		SCENE_TEST(remembers_failed_hosts_for_everyone_and_over_new_settings),
		SCENE_TEST(answers_the_mail_hosts_in_progress_after_new_settings),
		SCENE_TEST(lets_go_of_mail_hosts_when_the_asker_leaves),
		SCENE_TEST(asks_the_hosts_file_where_it_is_told_to),
		SCENE_TEST(asks_again_after_new_settings),
		SCENE_TEST(survives_askers_that_leave),
		SCENE_TEST(refuses_a_name_server_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
