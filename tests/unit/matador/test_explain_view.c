/* test_explain_view - what router told of a recipient as text and as JSON */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <string.h>

#include "master/matador/explain_view.h"

static char empty[] = "";

static struct told_step steps[] = { { "/etc/matador/domains.conf", 2, "b.example is external" },
	{ "default", 0, "there is no relay_host" }, { "", 0, "evil \x1b[2J text" } };
static struct told_host hosts[] = {
	{ .preference = 5, .state = MAIL_HOST_FAILED, .failed_seconds = 3725, .name = "mx1.b.example",
	    .addresses = "192.0.2.1, 2001:db8::1", .text = "connect: refused" },
	{ .preference = 10, .state = MAIL_HOST_USABLE, .name = "mx2.b.example", .addresses = "192.0.2.2", .text = empty },
	{ .preference = 20, .state = MAIL_HOST_OURS, .name = "hub.acme.com", .addresses = empty, .text = empty },
};

static struct route_told
delivered(void)
{
	return (struct route_told){ .address = "user@b.example", .steps = steps, .step_count = ARRAY_COUNT(steps),
		.outcome = ROUTE_DELIVER, .transport = TRANSPORT_SMTP, .next_hop = "b.example",
		.delivery_address = "user@b.example", .status = empty, .text = empty, .rule = "configuration \"*\"",
		.hosts_told = true, .own_domain = true, .by_mx = true, .port = 25, .hosts_text = empty, .hosts = hosts,
		.host_count = ARRAY_COUNT(hosts) };
}

static void
expect_text(const struct route_told *told, const char *expected)
{
	struct buffer out = BUFFER_INITIALIZER(0);

	explain_view_text(&out, told);
	if (strcmp(buffer_text(&out), expected) != 0)
		fail_msg("is\n%s\nnot\n%s", buffer_text(&out), expected);
	buffer_free(&out);
}

static void
expect_line(const struct route_told *told, const char *line)
{
	struct buffer out = BUFFER_INITIALIZER(0);

	explain_view_text(&out, told);
	if (strstr(buffer_text(&out), line) == NULL)
		fail_msg("\"%s\" is not in\n%s", line, buffer_text(&out));
	buffer_free(&out);
}

static void
steps_decision_and_hosts_stand_in_columns(void **state UNUSED)
{
	const struct route_told told = delivered();

	expect_text(&told,
	    "user@b.example\n"
	    "    /etc/matador/domains.conf:2  b.example is external\n"
	    "    default                      there is no relay_host\n"
	    "    -                            evil ?[2J text\n"
	    "  decision   deliver\n"
	    "  transport  smtp\n"
	    "  next hop   b.example\n"
	    "  address    user@b.example\n"
	    "  rule       configuration \"*\"\n"
	    "  hosts      by MX records, port 25\n"
	    "      1      5  mx1.b.example  192.0.2.1, 2001:db8::1  failed, not tried for 1h2m5s (connect: refused)\n"
	    "      2     10  mx2.b.example  192.0.2.2               usable\n"
	    "      3     20  hub.acme.com   -                       skipped: this server\n"
	    "  attempt    now: in this order\n");
}

static void
what_becomes_of_an_attempt_is_told_for_each_outcome(void **state UNUSED)
{
	struct route_told told = delivered();

	told.hosts_outcome = MAIL_HOSTS_ALL_FAILED;
	told.retry_seconds = 61;
	expect_line(&told, "  attempt    1m1s from now: all hosts have failed\n");
	told.hosts_outcome = MAIL_HOSTS_NO_NAME;
	expect_line(&told, "  attempt    fails: the name does not exist\n");
	told.own_domain = false;
	expect_line(&told, "  attempt    later: the name does not exist\n");
	told.own_domain = true;
	told.hosts_outcome = MAIL_HOSTS_NO_ANSWER;
	told.hosts_text = "resolver does not answer";
	expect_line(&told, "  attempt    later: resolver does not answer\n");
}

static void
members_loops_and_duplicates_name_where_they_come_from(void **state UNUSED)
{
	char *members[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" };
	struct route_told group = { .address = "Sales", .outcome = ROUTE_EXPAND, .next_hop = empty, .delivery_address = empty,
		.status = empty, .text = empty, .rule = "group \"Sales\"", .members = members,
		.member_count = ARRAY_COUNT(members) };
	const struct route_told loop = { .from = &group, .fate = ROUTE_LOOP, .address = "Sales" };
	const struct route_told duplicate = { .from = &group, .fate = ROUTE_DUPLICATE, .address = "b" };

	expect_line(&group, "  members    a\n             b\n");
	expect_line(&group, "             j\n             and 2 more\n  rule");
	expect_text(&loop, "\nSales  (member of Sales)\n"
	    "  loop       it comes from this address itself; nothing is sent this way\n");
	expect_text(&duplicate, "\nb  (member of Sales)\n  duplicate  it is a recipient already, and gets one copy\n");
	group.is_forward = true;
	expect_line(&duplicate, "b  (forwarded from Sales)\n");
}

static const char *
text_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(object, name);

	assert_non_null(item);
	return item->valuestring;
}

static void
json_is_one_line_that_holds_everything(void **state UNUSED)
{
	struct route_told told = delivered();
	struct buffer out = BUFFER_INITIALIZER(0);
	cJSON *object, *first;

	told.address = "\xff@b.example";
	explain_view_json(&out, &told);
	assert_int_equal(strcspn(buffer_text(&out), "\n"), out.length - 1);
	object = cJSON_Parse(buffer_text(&out));
	assert_non_null(object);
	assert_string_equal(text_of(object, "address"), "\xef\xbf\xbd@b.example");
	assert_string_equal(text_of(object, "decision"), "deliver");
	assert_string_equal(text_of(object, "hosts_outcome"), "found");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(object, "steps")), 3);
	first = cJSON_GetArrayItem(cJSON_GetObjectItem(object, "hosts"), 0);
	assert_string_equal(text_of(first, "state"), "failed");
	assert_int_equal(cJSON_GetObjectItem(first, "failed_seconds")->valueint, 3725);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(first, "addresses")), 2);
	assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(first, "addresses"), 1)->valuestring, "2001:db8::1");
	cJSON_Delete(object);
	buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_decision_and_hosts_stand_in_columns),
		cmocka_unit_test(what_becomes_of_an_attempt_is_told_for_each_outcome),
		cmocka_unit_test(members_loops_and_duplicates_name_where_they_come_from),
		cmocka_unit_test(json_is_one_line_that_holds_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
