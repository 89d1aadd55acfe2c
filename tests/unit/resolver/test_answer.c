/*
 * Unit tests of resolver/answer.c. Rows 107, 110, 111 and 113 of docs/reference/hostile-inputs.md; 112 has
 * tests/fuzz.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "resolver/answer.h"

struct scene {
	ldns_pkt *packet;
	struct answer answer;
};

static void PRINTF_LIKE(2, 3)
add(struct scene *scene, const char *format, ...)
{
	char text[1000];
	va_list arguments;
	ldns_rr *record;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	assert_int_equal(ldns_rr_new_frm_str(&record, text, 0, NULL, NULL), LDNS_STATUS_OK);
	ldns_pkt_push_rr(scene->packet, LDNS_SECTION_ANSWER, record);
}

static void
read_packet(struct scene *scene, enum dns_kind kind, const char *name)
{
	uint8_t *wire;
	size_t length;

	assert_int_equal(ldns_pkt2wire(&wire, scene->packet, &length), LDNS_STATUS_OK);
	answer_free(&scene->answer);
	answer_read(&scene->answer, kind, name, wire, length);
	free(wire);
}

static int
begin_scene(void **state)
{
	static struct scene scene;

	scene.packet = ldns_pkt_new();
	ldns_pkt_set_qr(scene.packet, true);
	answer_init(&scene.answer);
	*state = &scene;
	return 0;
}

static int
end_scene(void **state)
{
	struct scene *scene = *state;

	ldns_pkt_free(scene->packet);
	answer_free(&scene->answer);
	return 0;
}

static const char *
mail_exchange(struct wire_reader *reader, unsigned *preference)
{
	*preference = wire_get_u16(reader);
	return wire_get_string(reader, ANSWER_NAME_MAX);
}

static void
escapes_what_no_name_holds(void **state)
{
	struct scene *scene = *state;
	struct wire_reader reader;
	unsigned preference;
	char label[260] = "";
	int i;

	for (i = 0; i < 63; i++)
		strcat(label, "\\000");
	add(scene, "x. 60 IN MX 1 .");
	add(scene, "x. 60 IN MX 2 a\\000b\\032c.example.");
	add(scene, "x. 60 IN MX 3 a\\.b.example.");
	add(scene, "x. 60 IN MX 4 %s.%s.%s.", label, label, label);
	read_packet(scene, DNS_MX, "x.");
	assert_int_equal(scene->answer.count, 4);
	wire_reader_init(&reader, buffer_text(&scene->answer.records), scene->answer.records.length);
	assert_string_equal(mail_exchange(&reader, &preference), "");
	assert_int_equal(preference, 1);
	assert_string_equal(mail_exchange(&reader, &preference), "a\\000b\\032c.example");
	assert_string_equal(mail_exchange(&reader, &preference), "a\\.b.example");
	assert_int_equal(strlen(mail_exchange(&reader, &preference)), ANSWER_NAME_MAX);
	assert_true(wire_reader_finished(&reader));
}

static void
believes_only_what_was_asked(void **state)
{
	struct scene *scene = *state;

	add(scene, "other. 60 IN MX 1 evil.");
	add(scene, "x. 60 IN A 192.0.2.1");
	read_packet(scene, DNS_MX, "x.");
	assert_int_equal(scene->answer.outcome, DNS_NO_DATA);
	read_packet(scene, DNS_A, "X.");
	assert_int_equal(scene->answer.outcome, DNS_FOUND);
	assert_int_equal(scene->answer.count, 1);
	ldns_pkt_set_rcode(scene->packet, LDNS_RCODE_NXDOMAIN);
	read_packet(scene, DNS_A, "x.");
	assert_int_equal(scene->answer.outcome, DNS_NO_NAME);
	assert_int_equal(scene->answer.count, 0);
	ldns_pkt_set_rcode(scene->packet, LDNS_RCODE_SERVFAIL);
	read_packet(scene, DNS_A, "x.");
	assert_int_equal(scene->answer.outcome, DNS_NO_ANSWER);
	assert_string_equal(scene->answer.text, "SERVFAIL");
}

static void
follows_aliases_so_far_and_no_further(void **state)
{
	struct scene *scene = *state;
	char name[16];
	int i;

	for (i = 0; i < 20; i++)
		add(scene, "c%d. %d IN CNAME c%d.", i, 100 + i, i + 1);
	add(scene, "c20. 500 IN MX 1 mail.");
	read_packet(scene, DNS_MX, "c0.");
	assert_int_equal(scene->answer.outcome, DNS_NO_ANSWER);
	snprintf(name, sizeof(name), "c%d.", 20 - ANSWER_ALIASES_MAX);
	read_packet(scene, DNS_MX, name);
	assert_int_equal(scene->answer.outcome, DNS_FOUND);
	assert_int_equal(scene->answer.ttl, 100 + 20 - ANSWER_ALIASES_MAX);
	read_packet(scene, DNS_CNAME, name);
	assert_memory_equal(scene->answer.records.data + 4, "c20", 4);
	add(scene, "l1. 60 IN CNAME l2.");
	add(scene, "l2. 60 IN CNAME l1.");
	read_packet(scene, DNS_A, "l1.");
	assert_int_equal(scene->answer.outcome, DNS_NO_ANSWER);
	/* The alias is there although nothing stands behind it. */
	ldns_pkt_set_rcode(scene->packet, LDNS_RCODE_NXDOMAIN);
	read_packet(scene, DNS_CNAME, "c19.");
	assert_int_equal(scene->answer.outcome, DNS_FOUND);
	read_packet(scene, DNS_CNAME, "c21.");
	assert_int_equal(scene->answer.outcome, DNS_NO_NAME);
}

static void
takes_all_mail_exchanges_and_so_many_addresses(void **state)
{
	struct scene *scene = *state;
	struct dns_answer answer = { .text = "" };
	struct wire_reader reader;
	unsigned preference;
	int i;

	for (i = 0; i < 1000; i++) {
		add(scene, "x. 60 IN MX 7 a-host-with-a-rather-long-name-%d.example.", i);
		if (i < 100)
			add(scene, "x. 60 IN A 192.0.2.1");
	}
	read_packet(scene, DNS_A, "x.");
	assert_int_equal(scene->answer.count, ANSWER_RECORDS_MAX);
	read_packet(scene, DNS_MX, "x.");
	assert_int_equal(scene->answer.count, 1000);
	/* As many whole records as there is room for. */
	answer.count = (uint16_t)scene->answer.count;
	answer.records = (struct bytes){ scene->answer.records.data, scene->answer.records.length };
	assert_true(answer.records.length > IPC_DATA_MAX);
	answer_limit(&answer, DNS_MX, IPC_DATA_MAX);
	assert_in_range(answer.records.length, IPC_DATA_MAX - 60, IPC_DATA_MAX);
	wire_reader_init(&reader, answer.records.data, answer.records.length);
	for (i = 0; i < answer.count; i++) {
		mail_exchange(&reader, &preference);
		assert_int_equal(preference, 7);
	}
	assert_true(wire_reader_finished(&reader));
}

static void
limits_records_of_each_kind(void **state)
{
	static const struct { enum dns_kind kind; const char *name, *record; } rows[] = {
		{ DNS_A, "x.", "x. 60 IN A 192.0.2." },
		{ DNS_AAAA, "x.", "x. 60 IN AAAA 2001:db8::" },
		{ DNS_TXT, "x.", "x. 60 IN TXT more text" },
		{ DNS_TLSA, "x.", "x. 60 IN TLSA 3 1 1 abcdef" },
	};
	struct scene *scene = *state;
	size_t i;
	int j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (j = 10; j < 13; j++)
			add(scene, "%s%d", rows[i].record, j);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_answer answer = { .count = 3 };
		size_t whole;

		read_packet(scene, rows[i].kind, rows[i].name);
		assert_int_equal(scene->answer.count, 3);
		whole = scene->answer.records.length;
		answer.records = (struct bytes){ scene->answer.records.data, whole };
		answer_limit(&answer, rows[i].kind, whole);
		assert_int_equal(answer.count, 3);
		answer_limit(&answer, rows[i].kind, whole - 1);
		assert_int_equal(answer.count, 2);
		assert_int_equal(answer.records.length, whole / 3 * 2);
	}
}

static void
never_takes_a_part_of_an_answer_for_the_whole(void **state)
{
	struct scene *scene = *state;

	ldns_pkt_set_tc(scene->packet, true);
	read_packet(scene, DNS_MX, "x.");
	assert_int_equal(scene->answer.outcome, DNS_NO_ANSWER);
	add(scene, "x. 60 IN MX 20 second-best.example.");
	read_packet(scene, DNS_MX, "x.");
	assert_int_equal(scene->answer.outcome, DNS_NO_ANSWER);
	assert_int_equal(scene->answer.count, 0);
}

static void
does_not_take_malformed_records_for_none(void **state)
{
	static const ldns_rr_type types[] = { LDNS_RR_TYPE_MX, LDNS_RR_TYPE_A, LDNS_RR_TYPE_TLSA };
	static const enum dns_kind kinds[] = { DNS_MX, DNS_A, DNS_TLSA };
	struct scene *scene = *state;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ldns_rr *record = ldns_rr_new();

		ldns_rr_set_owner(record, ldns_dname_new_frm_str("x."));
		ldns_rr_set_type(record, types[i]);
		ldns_pkt_push_rr(scene->packet, LDNS_SECTION_ANSWER, record);
		read_packet(scene, kinds[i], "x.");
		assert_int_equal(scene->answer.outcome, DNS_NO_ANSWER);
	}
	add(scene, "x. 60 IN MX 10 mail.example.");
	read_packet(scene, DNS_MX, "x.");
	assert_int_equal(scene->answer.outcome, DNS_FOUND);
	assert_int_equal(scene->answer.count, 1);
}

static void
says_that_a_packet_is_malformed(void **state)
{
	struct scene *scene = *state;

	answer_read(&scene->answer, DNS_A, "x.", "\0\0\200", 3);
	assert_int_equal(scene->answer.outcome, DNS_NO_ANSWER);
	assert_true(strlen(scene->answer.text) > 0);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(escapes_what_no_name_holds),
		SCENE_TEST(believes_only_what_was_asked),
		SCENE_TEST(follows_aliases_so_far_and_no_further),
		SCENE_TEST(takes_all_mail_exchanges_and_so_many_addresses),
		SCENE_TEST(limits_records_of_each_kind),
		SCENE_TEST(never_takes_a_part_of_an_answer_for_the_whole),
		SCENE_TEST(does_not_take_malformed_records_for_none),
		SCENE_TEST(says_that_a_packet_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
