/* test_session_view - what the listener told of a session as text and as JSON */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <string.h>

#include "common/base/attributes.h"
#include "master/matador/session_view.h"

/* In every text of others: a terminal's commands, the C1 form of one, and octets that are no UTF-8. */
#define HOSTILE "x\x1b[2J\x7f\xc2\x9b" "1m\x9b\xff\xc3\xa9\xc3"
#define HOSTILE_SHOWN "x?[2J???1m??\xc3\xa9?"

static char empty[] = "";

static struct session_step steps[] = {
	{ INSPECTION_AT_CONNECT, INSPECTION_SKIPPED, "admission", empty, empty, empty, 0, empty, empty },
	{ INSPECTION_AT_CLIENT, INSPECTION_PASSES, "deny connections", empty, empty, empty, 0,
	    "host names: mx.b.example (confirmed)", empty },
	{ INSPECTION_AT_CLIENT, INSPECTION_EXEMPTS, "relay enforcement", "relay_enforcement", empty, empty, 0, empty, empty },
	{ INSPECTION_AT_CLIENT, INSPECTION_HITS, "private blacklist", "private_blacklist_hosts", "[192.0.2.0/24]",
	    "/etc/matador/configurations.conf", 12, empty, empty },
	{ INSPECTION_AT_MAIL, INSPECTION_REFUSES, "deny senders", "deny_senders", "b.example",
	    "/etc/matador/configurations.conf", 7, empty, "554 5.7.1 No." },
	{ INSPECTION_AT_RCPT, INSPECTION_NOT_REACHED, "relay", empty, empty, empty, 0, empty, empty },
};

static const struct inspection_question question = { .client_address = "192.0.2.1", .helo = "mx.b.example", .user = "",
	.sender = "", .recipient = "jane@acme.com" };

static struct told_session
refused(void)
{
	return (struct told_session){ .steps = steps, .step_count = ARRAY_COUNT(steps), .outcome = INSPECTION_REFUSED,
		.stage = INSPECTION_AT_MAIL, .reply = "554 5.7.1 No." };
}

static void
expect_text(const struct inspection_question *asked, const struct told_session *told, const char *expected)
{
	struct buffer out = BUFFER_INITIALIZER(0);

	session_view_text(&out, asked, told);
	if (strcmp(buffer_text(&out), expected) != 0)
		fail_msg("is\n%s\nnot\n%s", buffer_text(&out), expected);
	buffer_free(&out);
}

static void
controls_decision_and_reply_stand_in_columns(void **state UNUSED)
{
	const struct told_session told = refused();

	expect_text(&question, &told,
	    "192.0.2.1\n"
	    "  helo       mx.b.example\n"
	    "  from       <>\n"
	    "  to         jane@acme.com\n"
	    "    connect  admission          skipped\n"
	    "    client   deny connections   passes\n"
	    "             host names: mx.b.example (confirmed)\n"
	    "    client   relay enforcement  exempts      default                              relay_enforcement\n"
	    "    client   private blacklist  hits         /etc/matador/configurations.conf:12  private_blacklist_hosts "
	    "\"[192.0.2.0/24]\"\n"
	    "    mail     deny senders       refuses      /etc/matador/configurations.conf:7   deny_senders \"b.example\"\n"
	    "    rcpt     relay              not reached\n"
	    "  decision   refused at MAIL\n"
	    "  reply      554 5.7.1 No.\n");
}

static void
the_place_of_a_refusal_is_the_command_that_reads_it(void **state UNUSED)
{
	static const struct {
		enum inspection_outcome outcome;
		enum inspection_stage stage;
		const char *text;
	} cases[] = {
		{ INSPECTION_REFUSED, INSPECTION_AT_CONNECT, "  decision   refused before the greeting\n  reply      554\n" },
		{ INSPECTION_REFUSED, INSPECTION_AT_CLIENT, "  decision   refused at MAIL\n  reply      554\n" },
		{ INSPECTION_REFUSED, INSPECTION_AT_MAIL, "  decision   refused at MAIL\n  reply      554\n" },
		{ INSPECTION_REFUSED, INSPECTION_AT_RCPT, "  decision   refused at RCPT\n  reply      554\n" },
		{ INSPECTION_ACCEPTED, INSPECTION_AT_RCPT, "  decision   accepted\n  reply      554\n" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct buffer out = BUFFER_INITIALIZER(0);
		const struct told_session told = { .outcome = cases[i].outcome, .stage = cases[i].stage, .reply = "554" };

		session_view_text(&out, &question, &told);
		assert_non_null(strstr(buffer_text(&out), "  decision"));
		assert_string_equal(strstr(buffer_text(&out), "  decision"), cases[i].text);
		buffer_free(&out);
	}
}

static struct session_step hostile_step = { INSPECTION_AT_CLIENT, INSPECTION_REFUSES, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 3,
	HOSTILE, HOSTILE };
static const struct inspection_question hostile_question = { .client_address = HOSTILE, .helo = HOSTILE, .user = HOSTILE,
	.sender = HOSTILE, .recipient = HOSTILE };
static const struct told_session hostile = { .steps = &hostile_step, .step_count = 1, .outcome = INSPECTION_REFUSED,
	.stage = INSPECTION_AT_CLIENT, .reply = HOSTILE };

static void
nothing_in_a_text_moves_the_cursor(void **state UNUSED)
{
	expect_text(&hostile_question, &hostile,
	    HOSTILE_SHOWN "\n"
	    "  helo       " HOSTILE_SHOWN "\n"
	    "  user       " HOSTILE_SHOWN "\n"
	    "  from       " HOSTILE_SHOWN "\n"
	    "  to         " HOSTILE_SHOWN "\n"
	    "    client   " HOSTILE_SHOWN "  refuses      " HOSTILE_SHOWN ":3  " HOSTILE_SHOWN " \"" HOSTILE_SHOWN "\"\n"
	    "             " HOSTILE_SHOWN "\n"
	    "  decision   refused at MAIL\n"
	    "  reply      " HOSTILE_SHOWN "\n");
}

static cJSON *
parse_json(const struct inspection_question *asked, const struct told_session *told)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	cJSON *object;

	session_view_json(&out, asked, told);
	assert_ptr_equal(strchr(buffer_text(&out), '\n'), buffer_text(&out) + out.length - 1);
	object = cJSON_Parse(buffer_text(&out));
	assert_non_null(object);
	buffer_free(&out);
	return object;
}

static const char *
text_of(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	assert_non_null(text);
	return text;
}

static void
the_json_has_all_that_was_told(void **state UNUSED)
{
	const struct told_session told = refused();
	cJSON *object = parse_json(&question, &told);
	const cJSON *controls = cJSON_GetObjectItemCaseSensitive(object, "controls"), *step = cJSON_GetArrayItem(controls, 3);

	assert_string_equal(text_of(object, "client"), "192.0.2.1");
	assert_string_equal(text_of(object, "helo"), "mx.b.example");
	assert_string_equal(text_of(object, "user"), "");
	assert_string_equal(text_of(object, "from"), "");
	assert_string_equal(text_of(object, "to"), "jane@acme.com");
	assert_string_equal(text_of(object, "decision"), "refused");
	assert_string_equal(text_of(object, "stage"), "mail");
	assert_string_equal(text_of(object, "reply"), "554 5.7.1 No.");
	assert_int_equal(cJSON_GetArraySize(controls), ARRAY_COUNT(steps));
	assert_string_equal(text_of(step, "stage"), "client");
	assert_string_equal(text_of(step, "control"), "private blacklist");
	assert_string_equal(text_of(step, "verdict"), "hits");
	assert_string_equal(text_of(step, "rule"), "private_blacklist_hosts");
	assert_string_equal(text_of(step, "entry"), "[192.0.2.0/24]");
	assert_string_equal(text_of(step, "file"), "/etc/matador/configurations.conf");
	assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(step, "line")), 12);
	assert_string_equal(text_of(cJSON_GetArrayItem(controls, 1), "found"), "host names: mx.b.example (confirmed)");
	assert_string_equal(text_of(cJSON_GetArrayItem(controls, 4), "reply"), "554 5.7.1 No.");
	assert_string_equal(text_of(cJSON_GetArrayItem(controls, 5), "verdict"), "not_reached");
	cJSON_Delete(object);
}

static void
json_of_any_octets_is_json(void **state UNUSED)
{
	static const char shown[] = "x\x1b[2J\x7f\xc2\x9b" "1m\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd";
	cJSON *object = parse_json(&hostile_question, &hostile);
	const cJSON *step = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "controls"), 0);
	static const char *const names[] = { "client", "helo", "user", "from", "to", "reply" };
	static const char *const names_of_step[] = { "control", "rule", "entry", "file", "found", "reply" };

	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		assert_string_equal(text_of(object, names[i]), shown);
	for (size_t i = 0; i < ARRAY_COUNT(names_of_step); i++)
		assert_string_equal(text_of(step, names_of_step[i]), shown);
	cJSON_Delete(object);
}

int
main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(controls_decision_and_reply_stand_in_columns),
		cmocka_unit_test(the_place_of_a_refusal_is_the_command_that_reads_it),
		cmocka_unit_test(nothing_in_a_text_moves_the_cursor),
		cmocka_unit_test(the_json_has_all_that_was_told),
		cmocka_unit_test(json_of_any_octets_is_json),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
