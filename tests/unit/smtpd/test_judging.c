/* test_judging - what a session asks, how often, and what the controls' verdicts leave behind */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"

/* What was logged, by event. */
static struct {
	unsigned counts[LOG_EVENT_COUNT];
	char last[LOG_EVENT_COUNT][512];	/* the values of the last one, separated by | */
} logged;

static void
on_logged(enum log_event_number event, int64_t wall_ms, const char *const *values, unsigned count)
{
	struct buffer text = BUFFER_INITIALIZER(0);

	(void)wall_ms;
	logged.counts[event]++;
	for (unsigned i = 0; i < count; i++)
		buffer_printf(&text, "%s%s", i > 0 ? "|" : "", values[i] != NULL ? values[i] : "-");
	snprintf(logged.last[event], sizeof(logged.last[event]), "%s", buffer_text(&text));
	buffer_free(&text);
}

static void
start(struct fixture *fixture)
{
	fixture_start(fixture);
	memset(&logged, 0, sizeof(logged));
	log_set_level(LOG_SEVERITY_INFO);
	log_set_sink(on_logged);
}

static void
end(struct fixture *fixture)
{
	log_set_sink(NULL);
	fixture_end(fixture);
}

/* Says it and wants the last reply to begin so. */
static void
say(struct fixture *fixture, const char *text, const char *expected)
{
	char *replies, *line, *next;

	fixture_say(fixture, text);
	replies = fixture_replies(fixture);
	for (line = replies; (next = strstr(line, "\r\n")) != NULL && next[2] != '\0'; line = next + 2)
		continue;
	if (strncmp(line, expected, strlen(expected)) != 0)
		fail_msg("to %s: got %s, expected %s", text, line, expected);
	free(replies);
}

#define MESSAGE "RCPT TO:<alice@ours.example>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n"

static void
a_client_is_judged_once_a_session(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "dns_blacklist_filters", "enabled"));
	assert_true(fixture_set(&fixture, "dns_blacklist_sites", "black.example"));
	fixture_list_client(&fixture, 0, "127.0.0.2");
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\n", "250 ");
	assert_int_equal(fixture.asked[FACT_HOST_NAMES], 0);
	say(&fixture, "MAIL FROM:<s@theirs.example>\r\n" MESSAGE, "250 ");
	say(&fixture, "MAIL FROM:<s@theirs.example>\r\n" MESSAGE, "250 ");
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\nRSET\r\n", "250 ");
	assert_int_equal(fixture.asked[FACT_HOST_NAMES], 1);
	assert_int_equal(fixture.asked[FACT_DNS_LISTS], 1);
	assert_int_equal(fixture.asked[FACT_DIRECTORY], 2);
	assert_int_equal(logged.counts[LOG_CLIENT_LISTED], 1);
	assert_int_equal(fixture.shared.statistics.hits[STATISTICS_DNS_BLACKLIST], 1);
	end(&fixture);
}

static void
nobody_is_asked_about_a_recipient_beyond_the_limit(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "maximum_recipients_per_message", "2"));
	assert_true(fixture_set(&fixture, "client_recipient_rate", "1000"));
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\nRCPT TO:<alice@ours.example>\r\nRCPT TO:<bob@ours.example>\r\n", "250 ");
	assert_int_equal(fixture.asked[FACT_DIRECTORY], 2);
	assert_int_equal(fixture.asked[FACT_RECIPIENT_RATE], 2);
	say(&fixture, "RCPT TO:<user3@ours.example>\r\n", "452 4.5.3 ");
	say(&fixture, "RCPT TO:<nobody@ours.example>\r\n", "452 4.5.3 ");
	say(&fixture, "RCPT TO:<a@elsewhere.example>\r\n", "452 4.5.3 ");
	assert_int_equal(fixture.asked[FACT_DIRECTORY], 2);
	assert_int_equal(fixture.asked[FACT_RECIPIENT_RATE], 2);
	say(&fixture, "RCPT TO:<ALICE@ours.example>\r\n", "250 ");
	say(&fixture, "DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n", "250 ");
	assert_int_equal(fixture.envelope.recipient_count, 2);
	end(&fixture);
}

static void
with_everything_off_nobody_is_asked(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "relay_enforcement", "none"));
	assert_true(fixture_set(&fixture, "verify_local_recipients", "disabled"));
	fixture_open(&fixture);
	assert_int_equal(fixture.session->wait, SESSION_WAITS_FOR_INPUT);
	assert_int_equal(fixture.session->state, SESSION_CONNECTED);
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\n" MESSAGE, "250 ");
	for (size_t fact = 0; fact < FACT_COUNT; fact++)
		assert_int_equal(fixture.asked[fact], 0);
	end(&fixture);
}

static void
somebody_who_authenticated_since_is_judged_anew(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "private_blacklist_filter", "enabled"));
	assert_true(fixture_set(&fixture, "private_blacklist_hosts", "[192.0.2.7]"));
	assert_true(fixture_set(&fixture, "private_blacklist_action", "log_and_reject"));
	assert_true(fixture_set(&fixture, "relay_authenticated_users", "allow_all"));
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\n", "554 ");
	fixture.session->client.user = "Jane Doe/Ours";
	say(&fixture, "MAIL FROM:<s@theirs.example>\r\n", "250 ");
	say(&fixture, "RCPT TO:<x@theirs.example>\r\n", "250 ");
	say(&fixture, "RSET\r\n", "250 ");
	fixture.session->client.user = NULL;
	say(&fixture, "MAIL FROM:<s@theirs.example>\r\n", "554 ");
	assert_int_equal(logged.counts[LOG_CONTROL_REFUSED], 2);
	end(&fixture);
}

static void
a_local_user_is_subject_to_no_control_of_clients(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "deny_connections_from", "*"));
	assert_true(fixture_set(&fixture, "verify_connecting_host_name", "enabled"));
	assert_true(fixture_set(&fixture, "client_session_rate", "1"));
	fixture.rate_rule = "client_session_rate";
	fixture.client = (struct session_client){ .is_local_user = true, .user_id = 1000, .address = "local" };
	fixture_open(&fixture);
	say(&fixture, "EHLO localhost\r\nMAIL FROM:<a@ours.example>\r\nRCPT TO:<x@far.example>\r\n", "250 ");
	assert_int_equal(fixture.asked[FACT_HOST_NAMES], 0);
	assert_int_equal(fixture.asked[FACT_ADMISSION], 0);
	end(&fixture);
}

static void
a_hit_is_logged_counted_and_left_as_a_tag_on_every_message(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "dns_blacklist_filters", "enabled"));
	assert_true(fixture_set(&fixture, "dns_blacklist_sites", "black.example"));
	assert_true(fixture_set(&fixture, "dns_blacklist_action", "log_and_tag"));
	fixture_list_client(&fixture, 0, "127.0.0.2");
	fixture_name_client(&fixture, "mail.theirs.example", true);
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\n", "250 ");
	for (unsigned i = 0; i < 2; i++) {
		say(&fixture, "MAIL FROM:<s@theirs.example>\r\n", "250 ");
		assert_string_equal(fixture.session->transaction->trace.dnsbl_site, "black.example");
		assert_null(fixture.session->transaction->trace.dnswl_site);
		assert_string_equal(fixture.session->transaction->trace.client_name, "mail.theirs.example");
		say(&fixture, "RSET\r\n", "250 ");
	}
	assert_int_equal(logged.counts[LOG_CLIENT_LISTED], 1);
	assert_string_equal(logged.last[LOG_CLIENT_LISTED],
	    "1|192.0.2.7|mail.theirs.example|DNS blacklist|black.example|tag|dns_blacklist_sites");
	end(&fixture);
}

static void
a_whitelist_leaves_its_own_tag_or_nothing(void **state)
{
	struct fixture fixture;

	(void)state;
	for (unsigned silently = 0; silently < 2; silently++) {
		start(&fixture);
		assert_true(fixture_set(&fixture, "private_whitelist_filter", "enabled"));
		assert_true(fixture_set(&fixture, "private_whitelist_hosts", "[192.0.2.7]"));
		assert_true(fixture_set(&fixture, "private_whitelist_action", silently ? "skip_silently" : "log_and_tag"));
		fixture_open(&fixture);
		say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\n", "250 ");
		if (silently)
			assert_null(fixture.session->transaction->trace.dnswl_site);
		else
			assert_string_equal(fixture.session->transaction->trace.dnswl_site, "PrivateWhitelist");
		assert_null(fixture.session->transaction->trace.dnsbl_site);
		assert_int_equal(logged.counts[LOG_CLIENT_LISTED], silently ? 0 : 1);
		assert_int_equal(fixture.shared.statistics.hits[STATISTICS_PRIVATE_WHITELIST], 1);
		end(&fixture);
	}
}

static void
a_refusal_is_logged_with_control_and_rule_each_time(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "verify_connecting_host_name", "enabled"));
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\nMAIL FROM:<t@theirs.example>\r\n", "554 ");
	assert_int_equal(logged.counts[LOG_CONTROL_REFUSED], 2);
	assert_string_equal(logged.last[LOG_CONTROL_REFUSED],
	    "1|192.0.2.7|-|c|t@theirs.example|verify host name|554|verify_connecting_host_name");
	assert_int_equal(logged.counts[LOG_COMMAND_REFUSED], 0);
	assert_int_equal(fixture.asked[FACT_HOST_NAMES], 1);
	end(&fixture);
}

static void
received_names_a_client_whose_name_leads_back(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	fixture_name_client(&fixture, "liar.example", false);
	fixture_name_client(&fixture, "mail.theirs.example", true);
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\n" MESSAGE, "250 ");
	assert_memory_equal(fixture.content.data, "Received: from c (mail.theirs.example [192.0.2.7])\r\n\tby ", 55);
	end(&fixture);
	start(&fixture);
	fixture_name_client(&fixture, "liar.example", false);
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\n" MESSAGE, "250 ");
	assert_memory_equal(fixture.content.data, "Received: from c ([192.0.2.7])\r\n\tby ", 35);
	end(&fixture);
}

static void
spf_verdicts_are_logged_and_kept_for_the_header(void **state)
{
	struct fixture fixture;
	const struct transaction_trace *trace;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "spf_check", "enabled"));
	assert_true(fixture_set(&fixture, "spf_softfail_action", "log_and_tag"));
	fixture.spf_helo = SPF_VERDICT_NONE;
	fixture.spf_mail = SPF_VERDICT_SOFTFAIL;
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\n", "250 ");
	trace = &fixture.session->transaction->trace;
	assert_true(trace->has_spf);
	assert_true(trace->tags_spf);
	assert_int_equal(trace->spf_helo, SPF_VERDICT_NONE);
	assert_int_equal(trace->spf_mail, SPF_VERDICT_SOFTFAIL);
	assert_string_equal(trace->spf_text, "as the test says");
	assert_string_equal(logged.last[LOG_SPF_VERDICT],
	    "1|192.0.2.7|c|s@theirs.example|none|softfail|as the test says");
	fixture.spf_mail = SPF_VERDICT_PASS;
	say(&fixture, "RSET\r\nMAIL FROM:<s@theirs.example>\r\n", "250 ");
	assert_false(fixture.session->transaction->trace.tags_spf);
	assert_int_equal(fixture.asked[FACT_SPF], 2);
	end(&fixture);
}

static void
a_session_foresees_what_it_will_ask_about_its_client(void **state)
{
	struct fixture fixture;
	enum fact fact;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "dns_blacklist_filters", "enabled"));
	assert_true(fixture_set(&fixture, "dns_blacklist_sites", "black.example"));
	fixture_open(&fixture);
	assert_true(session_foresees(fixture.session, &fact));
	assert_int_equal(fact, FACT_HOST_NAMES);
	fixture_answer(&fixture, fact);
	assert_true(session_foresees(fixture.session, &fact));
	assert_int_equal(fact, FACT_DNS_LISTS);
	fixture_answer(&fixture, fact);
	assert_false(session_foresees(fixture.session, &fact));
	say(&fixture, "EHLO c\r\nMAIL FROM:<s@theirs.example>\r\n", "250 ");
	assert_int_equal(fixture.asked[FACT_HOST_NAMES], 1);
	assert_int_equal(fixture.asked[FACT_DNS_LISTS], 1);
	end(&fixture);
}

static void
nothing_is_foreseen_for_a_client_that_no_list_can_concern(void **state)
{
	struct fixture fixture;
	enum fact fact;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "dns_blacklist_filters", "enabled"));
	assert_true(fixture_set(&fixture, "dns_blacklist_sites", "black.example"));
	assert_true(fixture_set(&fixture, "relay_enforcement_exclude_hosts", "[192.0.2.7]"));
	fixture_open(&fixture);
	assert_false(session_foresees(fixture.session, &fact));
	end(&fixture);
}

static void
a_session_that_drains_while_it_is_judged_ends_behind_the_reply(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture);
	assert_true(fixture_set(&fixture, "verify_connecting_host_name", "enabled"));
	fixture_open(&fixture);
	say(&fixture, "EHLO c\r\n", "250 ");
	session_input(fixture.session, "MAIL FROM:<s@theirs.example>\r\n", 30);
	assert_int_equal(fixture.session->wait, SESSION_WAITS_FOR_FACT);
	assert_int_equal(fixture.session->state, SESSION_JUDGING);
	session_drain(fixture.session);
	assert_int_equal(fixture.session->wait, SESSION_WAITS_FOR_FACT);
	say(&fixture, "", "421 ");
	assert_int_equal(logged.counts[LOG_CONTROL_REFUSED], 1);
	assert_int_equal(fixture.session->wait, SESSION_WAITS_FOR_CLOSE);
	end(&fixture);
}

static void
an_answer_that_belongs_to_nothing_is_dropped(void **state)
{
	struct fixture fixture;
	struct fact_answer answer;

	(void)state;
	start(&fixture);
	fixture_open(&fixture);
	for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
		answer = fact_unanswered(fact);
		session_learn(fixture.session, &answer);
	}
	assert_int_equal(fixture.session->wait, SESSION_WAITS_FOR_INPUT);
	/* Those of the client are known now: the first answer counts. */
	fixture_name_client(&fixture, "mail.theirs.example", true);
	fixture_answer(&fixture, FACT_HOST_NAMES);
	assert_int_equal(fixture.session->known.facts.host_names->state, HOST_NAMES_NO_ANSWER);
	end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_is_judged_once_a_session),
		cmocka_unit_test(nobody_is_asked_about_a_recipient_beyond_the_limit),
		cmocka_unit_test(with_everything_off_nobody_is_asked),
		cmocka_unit_test(somebody_who_authenticated_since_is_judged_anew),
		cmocka_unit_test(a_local_user_is_subject_to_no_control_of_clients),
		cmocka_unit_test(a_hit_is_logged_counted_and_left_as_a_tag_on_every_message),
		cmocka_unit_test(a_whitelist_leaves_its_own_tag_or_nothing),
		cmocka_unit_test(a_refusal_is_logged_with_control_and_rule_each_time),
		cmocka_unit_test(received_names_a_client_whose_name_leads_back),
		cmocka_unit_test(spf_verdicts_are_logged_and_kept_for_the_header),
		cmocka_unit_test(a_session_foresees_what_it_will_ask_about_its_client),
		cmocka_unit_test(nothing_is_foreseen_for_a_client_that_no_list_can_concern),
		cmocka_unit_test(a_session_that_drains_while_it_is_judged_ends_behind_the_reply),
		cmocka_unit_test(an_answer_that_belongs_to_nothing_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
