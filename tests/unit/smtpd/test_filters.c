/* test_filters - private and DNS lists, and which control overrides which (docs/reference/domino-semantics.md, 7.4 to 7.7 and 7.10) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/smtpd/controls_fixture.h"

/* Zones as controls_start_filters() has them: the numbers of what controls_zone() says. */
enum { WHITE_ONE, WHITE_TWO, BLACK_ONE, BLACK_TWO, BLACK_THREE };

static void
start_filters(struct controls_fixture *fixture)
{
	controls_start(fixture);
	controls_set(fixture, "private_whitelist_filter", "enabled");
	controls_set(fixture, "private_blacklist_filter", "enabled");
	controls_set(fixture, "dns_whitelist_filters", "enabled");
	controls_set(fixture, "dns_whitelist_sites", "white.one.example, white.two.example");
	controls_set(fixture, "dns_blacklist_filters", "enabled");
	controls_set(fixture, "dns_blacklist_sites", "black.one.example, black.two.example, black.three.example");
}

static const struct {
	enum control_number control;
	const char *action_key, *action;
	enum control_verdict verdict;
	enum control_note note;
	const char *site;
} actions[] = {
	{ CONTROL_PRIVATE_WHITELIST, "private_whitelist_action", "skip_silently", CONTROL_HITS, NOTE_NOTHING, "PrivateWhitelist" },
	{ CONTROL_PRIVATE_WHITELIST, "private_whitelist_action", "log", CONTROL_HITS, NOTE_LOG, "PrivateWhitelist" },
	{ CONTROL_PRIVATE_WHITELIST, "private_whitelist_action", "log_and_tag", CONTROL_HITS, NOTE_TAG, "PrivateWhitelist" },
	{ CONTROL_PRIVATE_BLACKLIST, "private_blacklist_action", "log", CONTROL_HITS, NOTE_LOG, "PrivateBlacklist" },
	{ CONTROL_PRIVATE_BLACKLIST, "private_blacklist_action", "log_and_tag", CONTROL_HITS, NOTE_TAG, "PrivateBlacklist" },
	{ CONTROL_PRIVATE_BLACKLIST, "private_blacklist_action", "log_and_reject", CONTROL_REFUSES, NOTE_LOG, "PrivateBlacklist" },
	{ CONTROL_DNS_WHITELIST, "dns_whitelist_action", "skip_silently", CONTROL_HITS, NOTE_NOTHING, "white.one.example" },
	{ CONTROL_DNS_WHITELIST, "dns_whitelist_action", "log", CONTROL_HITS, NOTE_LOG, "white.one.example" },
	{ CONTROL_DNS_WHITELIST, "dns_whitelist_action", "log_and_tag", CONTROL_HITS, NOTE_TAG, "white.one.example" },
	{ CONTROL_DNS_BLACKLIST, "dns_blacklist_action", "log", CONTROL_HITS, NOTE_LOG, "black.one.example" },
	{ CONTROL_DNS_BLACKLIST, "dns_blacklist_action", "log_and_tag", CONTROL_HITS, NOTE_TAG, "black.one.example" },
	{ CONTROL_DNS_BLACKLIST, "dns_blacklist_action", "log_and_reject", CONTROL_REFUSES, NOTE_LOG, "black.one.example" },
};

static void
every_action_leaves_behind_what_it_says(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
		struct controls_fixture fixture;

		start_filters(&fixture);
		controls_set(&fixture, "private_whitelist_hosts", "[192.0.2.7]");
		controls_set(&fixture, "private_blacklist_hosts", "[192.0.2.7]");
		controls_set(&fixture, actions[i].action_key, actions[i].action);
		controls_zone(&fixture, WHITE_ONE, "127.0.0.2");
		controls_zone(&fixture, BLACK_ONE, "127.0.0.2");
		if (controls_ask(&fixture, actions[i].control) != actions[i].verdict || fixture.judgement.note != actions[i].note ||
		    strcmp(fixture.judgement.site, actions[i].site) != 0)
			fail_msg("%s = %s", actions[i].action_key, actions[i].action);
		if (actions[i].verdict == CONTROL_REFUSES)
			assert_int_equal(fixture.judgement.reply, REPLY_BLACKLISTED);
		controls_end(&fixture);
	}
}

static void
a_filter_that_is_off_or_empty_is_skipped(void **state UNUSED)
{
	static const struct {
		enum control_number control;
		const char *filter, *list;
	} filters[] = {
		{ CONTROL_PRIVATE_WHITELIST, "private_whitelist_filter", "private_whitelist_hosts" },
		{ CONTROL_PRIVATE_BLACKLIST, "private_blacklist_filter", "private_blacklist_hosts" },
		{ CONTROL_DNS_WHITELIST, "dns_whitelist_filters", "dns_whitelist_sites" },
		{ CONTROL_DNS_BLACKLIST, "dns_blacklist_filters", "dns_blacklist_sites" },
	};

	for (size_t i = 0; i < 2 * ARRAY_COUNT(filters); i++) {
		bool is_off = i % 2 == 0;
		struct controls_fixture fixture;

		start_filters(&fixture);
		controls_set(&fixture, "private_whitelist_hosts", "*");
		controls_set(&fixture, "private_blacklist_hosts", "*");
		controls_set(&fixture, is_off ? filters[i / 2].filter : filters[i / 2].list, is_off ? "disabled" : "");
		for (size_t zone = WHITE_ONE; zone <= BLACK_THREE; zone++)
			controls_zone(&fixture, zone, "127.0.0.2");
		if (controls_ask(&fixture, filters[i / 2].control) != CONTROL_SKIPPED)
			fail_msg("%s, off: %d", filters[i / 2].filter, is_off);
		controls_end(&fixture);
	}
}

static void
private_whitelist_wants_confirmed_names_and_private_blacklist_any(void **state UNUSED)
{
	struct controls_fixture fixture;

	start_filters(&fixture);
	controls_set(&fixture, "private_whitelist_hosts", "abc.com");
	controls_set(&fixture, "private_blacklist_hosts", "abc.com");
	controls_name(&fixture, "smtp.abc.com", false);
	assert_int_equal(controls_ask(&fixture, CONTROL_PRIVATE_WHITELIST), CONTROL_PASSES);
	assert_int_equal(controls_ask(&fixture, CONTROL_PRIVATE_BLACKLIST), CONTROL_HITS);
	fixture.names.names[0].is_confirmed = true;
	assert_int_equal(controls_ask(&fixture, CONTROL_PRIVATE_WHITELIST), CONTROL_HITS);
	controls_end(&fixture);
}

static const struct {
	const char *private_reply, *dns_reply;
	const char *private_text, *dns_text;
	const char *why;
} replies[] = {
	{ "", "Your host %s was found in the DNS blacklist at %s", "Connection denied based on policy reason.",
		"Your host 192.0.2.7 was found in the DNS blacklist at black.two.example", "the texts of the form" },
	{ "", "", "Connection denied based on policy reason.", "Connection denied based on policy reason.", "empty texts" },
	{ "Go away, %s!", "%s: see https://%s/", "Go away, 192.0.2.7!", "192.0.2.7: see https://black.two.example/", "one and two %s" },
	{ "Go away", "Listed", "Go away", "Listed", "no %s" },
};

static void
custom_replies_name_the_address_and_the_site(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(replies); i++) {
		struct controls_fixture fixture;

		start_filters(&fixture);
		controls_set(&fixture, "private_blacklist_hosts", "*");
		controls_set(&fixture, "private_blacklist_action", "log_and_reject");
		controls_set(&fixture, "private_blacklist_reply", replies[i].private_reply);
		controls_set(&fixture, "dns_blacklist_action", "log_and_reject");
		controls_set(&fixture, "dns_blacklist_reply", replies[i].dns_reply);
		controls_zone(&fixture, BLACK_TWO, "127.0.0.2");
		assert_int_equal(controls_ask(&fixture, CONTROL_PRIVATE_BLACKLIST), CONTROL_REFUSES);
		assert_string_equal(fixture.judgement.text, replies[i].private_text);
		assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_REFUSES);
		assert_string_equal(fixture.judgement.text, replies[i].dns_text);
		controls_end(&fixture);
	}
}

/* The check of the documents refuses such texts; the control survives them all the same. */
static void
a_reply_is_never_a_format(void **state UNUSED)
{
	struct controls_fixture fixture;

	start_filters(&fixture);
	controls_set(&fixture, "private_blacklist_hosts", "*");
	controls_set(&fixture, "private_blacklist_action", "log_and_reject");
	controls_set(&fixture, "private_blacklist_reply", "%n%d%%s %s %s %1000000s %");
	assert_int_equal(controls_ask(&fixture, CONTROL_PRIVATE_BLACKLIST), CONTROL_REFUSES);
	assert_string_equal(fixture.judgement.text, "%n%d%192.0.2.7 %s %s %1000000s %");
	controls_end(&fixture);
}

static void
the_first_zone_that_lists_the_client_decides(void **state UNUSED)
{
	struct controls_fixture fixture;

	start_filters(&fixture);
	controls_zone(&fixture, WHITE_TWO, "127.0.0.5");
	controls_zone(&fixture, BLACK_THREE, "127.0.0.2");
	controls_zone(&fixture, BLACK_TWO, "127.0.0.2");
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_WHITELIST), CONTROL_HITS);
	assert_string_equal(fixture.judgement.site, "white.two.example");
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_HITS);
	assert_string_equal(fixture.judgement.site, "black.two.example");
	assert_string_equal(fixture.judgement.rule, "dns_blacklist_sites");
	assert_string_equal(fixture.judgement.entry, "black.two.example");
	controls_end(&fixture);
}

static void
zones_that_say_nothing_list_nobody(void **state UNUSED)
{
	struct controls_fixture fixture;

	start_filters(&fixture);
	fixture.dns_lists->count = 0;
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_WHITELIST), CONTROL_PASSES);
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_PASSES);
	controls_end(&fixture);
}

static void
dns_lists_are_asked_for_only_where_they_decide(void **state UNUSED)
{
	struct controls_fixture fixture;

	start_filters(&fixture);
	fixture.client.known &= ~FACT_BIT(FACT_DNS_LISTS);
	fixture.client.dns_lists = NULL;
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_WHITELIST), CONTROL_NEEDS);
	assert_int_equal(fixture.judgement.fact, FACT_DNS_LISTS);
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_NEEDS);
	fixture.standing.is_listed = true;
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_WHITELIST), CONTROL_SKIPPED);
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_SKIPPED);
	fixture.standing = (struct control_standing){ .is_exempt = true };
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_SKIPPED);
	controls_end(&fixture);
}

/* ---- weights ---- */

static const struct {
	const char *weights, *threshold;
	const char *white_one, *black_one, *black_two, *black_three;	/* answers, "" for none */
	const char *site;						/* NULL: no hit */
	const char *why;
} weighed[] = {
	{ "", "2", "", "127.0.0.2", "", "", NULL, "one list of weight 1 is too little" },
	{ "", "2", "", "127.0.0.2", "", "127.0.0.2", "black.one.example", "two lists of weight 1 are enough" },
	{ "", "2", "127.0.0.2", "127.0.0.2", "", "127.0.0.2", NULL, "a whitelist takes 1 away" },
	{ "black.two.example*5", "5", "", "", "127.0.0.2", "", "black.two.example", "one heavy list is enough" },
	{ "black.two.example*5, white.one.example*-3", "5", "127.0.0.2", "", "127.0.0.2", "", NULL, "a heavy whitelist" },
	{ "black.one.example=127.0.0.2*1, black.one.example=127.0.0.4-9*3", "3", "", "127.0.0.5", "", "", "black.one.example",
		"an answer with a weight of its own" },
	{ "black.one.example=127.0.0.2*1, black.one.example=127.0.0.4-9*3", "3", "", "127.0.0.2", "", "", NULL, "another answer" },
	{ "black.one.example=127.0.0.2*3", "1", "", "127.0.0.9", "", "", NULL, "an answer without a weight in a zone that has some" },
	{ "black.one.example=127.0.0.2*3, black.one.example*1", "3", "", "127.0.0.2", "", "", "black.one.example",
		"the first that matches counts" },
	{ "black.one.example*1, black.one.example=127.0.0.2*3", "3", "", "127.0.0.2", "", "", NULL, "also when it is lighter" },
	{ "black.one.example*0", "1", "", "127.0.0.2", "127.0.0.2", "", "black.two.example", "a list without weight accuses nobody" },
	{ "white.one.example*7", "5", "127.0.0.2", "", "", "", NULL, "a whitelist alone accuses nobody, whatever it weighs" },
};

static void
weights_are_summed_up_to_the_threshold(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_COUNT(weighed); i++) {
		const char *answers[] = { [WHITE_ONE] = weighed[i].white_one, [WHITE_TWO] = "", [BLACK_ONE] = weighed[i].black_one,
			[BLACK_TWO] = weighed[i].black_two, [BLACK_THREE] = weighed[i].black_three };
		struct controls_fixture fixture;
		enum control_verdict verdict;

		start_filters(&fixture);
		controls_set(&fixture, "dns_list_weight", weighed[i].weights);
		controls_set(&fixture, "dns_list_threshold", weighed[i].threshold);
		for (size_t zone = 0; zone < ARRAY_COUNT(answers); zone++)
			if (answers[zone][0] != '\0')
				controls_zone(&fixture, zone, answers[zone]);
		assert_int_equal(controls_ask(&fixture, CONTROL_DNS_WHITELIST), CONTROL_SKIPPED);
		verdict = controls_ask(&fixture, CONTROL_DNS_BLACKLIST);
		if (verdict != (weighed[i].site != NULL ? CONTROL_HITS : CONTROL_PASSES) ||
		    strcmp(fixture.judgement.site, weighed[i].site != NULL ? weighed[i].site : "") != 0)
			fail_msg("%s: %u %s", weighed[i].why, verdict, fixture.judgement.site);
		controls_end(&fixture);
	}
}

static void
the_heaviest_of_several_answers_counts(void **state UNUSED)
{
	struct controls_fixture fixture;

	start_filters(&fixture);
	controls_set(&fixture, "dns_list_weight", "black.one.example=127.0.0.2*1, black.one.example=127.0.0.3*4, black.one.example=127.0.0.4*2");
	controls_set(&fixture, "dns_list_threshold", "4");
	controls_zone(&fixture, BLACK_ONE, "127.0.0.2");
	controls_zone(&fixture, BLACK_ONE, "127.0.0.3");
	controls_zone(&fixture, BLACK_ONE, "127.0.0.4");
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_HITS);
	controls_end(&fixture);
	/* Weights below nothing too: -2 is heavier than -7. */
	start_filters(&fixture);
	controls_set(&fixture, "dns_list_weight", "white.one.example=127.0.0.2*-7, white.one.example=127.0.0.3*-2, black.one.example*3");
	controls_set(&fixture, "dns_list_threshold", "1");
	controls_zone(&fixture, WHITE_ONE, "127.0.0.2");
	controls_zone(&fixture, WHITE_ONE, "127.0.0.3");
	controls_zone(&fixture, BLACK_ONE, "127.0.0.2");
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_HITS);
	controls_end(&fixture);
}

static void
whitelists_that_are_off_weigh_nothing(void **state UNUSED)
{
	struct controls_fixture fixture;

	start_filters(&fixture);
	controls_set(&fixture, "dns_whitelist_filters", "disabled");
	controls_set(&fixture, "dns_list_threshold", "1");
	controls_zone(&fixture, WHITE_ONE, "127.0.0.2");
	controls_zone(&fixture, BLACK_ONE, "127.0.0.2");
	assert_int_equal(controls_ask(&fixture, CONTROL_DNS_BLACKLIST), CONTROL_HITS);
	controls_end(&fixture);
}

/* ---- the override matrix of 7.10 ---- */

enum column { CONNECTION_LISTS, VERIFY_HOST, PRIVATE_BLACKLIST, DNS_WHITELIST, DNS_BLACKLIST, RELAY_LISTS, SENDER_LISTS, RECIPIENT_LISTS, COLUMNS };

enum row { PRIVATE_WHITELIST_HIT, PRIVATE_BLACKLIST_HIT, DNS_WHITELIST_HIT, EXCLUDED, INTERNAL, USER_ALLOWED, USER_CHECKED, SCOPE_NONE,
	RELAY_HIT, NOTHING_SPECIAL, ROWS };

static const char *const row_words[ROWS] = { "private whitelist hit", "private blacklist hit", "DNS whitelist hit", "exclude list", "internal host",
	"authenticated, allow all", "authenticated, check", "scope none", "relay allow hit", "nothing special" };
static const char *const column_words[COLUMNS] = { "connection lists", "verify host", "private blacklist", "DNS whitelist", "DNS blacklist",
	"relay lists", "sender lists", "recipient lists" };

/* y: the row spares from what the column refuses (or finds), n: it does not, -: there is nothing to tell. */
static const char *const matrix[ROWS] = {
	[PRIVATE_WHITELIST_HIT] = "nnyyynnn",
	[PRIVATE_BLACKLIST_HIT] = "nn-yynnn",
	[DNS_WHITELIST_HIT]     = "nnn-ynnn",
	[EXCLUDED]              = "nnyyyynn",
	[INTERNAL]              = "n-yyyynn",
	[USER_ALLOWED]          = "nnyyyynn",
	[USER_CHECKED]          = "nnnnnnnn",
	[SCOPE_NONE]            = "nnyyyynn",
	[RELAY_HIT]             = "nnnnnynn",
	[NOTHING_SPECIAL]       = "nnnnnnnn",
};

static void
set_row(struct controls_fixture *fixture, enum row row)
{
	controls_set(fixture, "relay_enforcement", row == SCOPE_NONE ? "none" : row == INTERNAL ? "external_hosts" : "all_hosts");
	controls_set(fixture, "private_blacklist_action", "log");
	switch (row) {
	case PRIVATE_WHITELIST_HIT:
		controls_set(fixture, "private_whitelist_hosts", "[192.0.2.7]");
		break;
	case PRIVATE_BLACKLIST_HIT:
		controls_set(fixture, "private_blacklist_hosts", "[192.0.2.7]");
		break;
	case DNS_WHITELIST_HIT:
		controls_zone(fixture, WHITE_ONE, "127.0.0.2");
		break;
	case EXCLUDED:
		controls_set(fixture, "relay_enforcement_exclude_hosts", "[192.0.2.7]");
		break;
	case INTERNAL:
		controls_name(fixture, "pc.ours.example", true);
		break;
	case USER_ALLOWED:
	case USER_CHECKED:
		fixture->client.user = "jane";
		controls_set(fixture, "relay_authenticated_users", row == USER_ALLOWED ? "allow_all" : "check");
		break;
	case RELAY_HIT:
		controls_set(fixture, "relay_allow_hosts", "[192.0.2.7]");
		break;
	case SCOPE_NONE:
	case NOTHING_SPECIAL:
	case ROWS:
		break;
	}
}

/* Sets what the column would refuse, and says whether it did (the DNS whitelist: whether it was hit). */
static bool
column_acts(struct controls_fixture *fixture, enum column column)
{
	switch (column) {
	case CONNECTION_LISTS:
		controls_set(fixture, "deny_connections_from", "[192.0.2.7]");
		return controls_walk(fixture, CONTROL_AT_RCPT) == REPLY_CONNECTION_REFUSED;
	case VERIFY_HOST:
		controls_set(fixture, "verify_connecting_host_name", "enabled");
		return controls_walk(fixture, CONTROL_AT_RCPT) == REPLY_CONNECTION_REFUSED;
	case PRIVATE_BLACKLIST:
		controls_set(fixture, "private_blacklist_hosts", "[192.0.2.7]");
		controls_set(fixture, "private_blacklist_action", "log_and_reject");
		return controls_walk(fixture, CONTROL_AT_RCPT) == REPLY_BLACKLISTED;
	case DNS_WHITELIST:
		controls_zone(fixture, WHITE_ONE, "127.0.0.2");
		controls_walk(fixture, CONTROL_AT_RCPT);
		return fixture->hits & 1u << CONTROL_DNS_WHITELIST;
	case DNS_BLACKLIST:
		controls_zone(fixture, BLACK_ONE, "127.0.0.2");
		controls_set(fixture, "dns_blacklist_action", "log_and_reject");
		return controls_walk(fixture, CONTROL_AT_RCPT) == REPLY_BLACKLISTED;
	case RELAY_LISTS:
		controls_recipient(fixture, "a@elsewhere.example");
		return controls_walk(fixture, CONTROL_AT_RCPT) == REPLY_RELAY_REJECTED;
	case SENDER_LISTS:
		controls_set(fixture, "deny_senders", "partner.example");
		return controls_walk(fixture, CONTROL_AT_RCPT) == REPLY_SENDER_REJECTED;
	case RECIPIENT_LISTS:
		controls_set(fixture, "deny_recipients", "alice@ours.example");
		return controls_walk(fixture, CONTROL_AT_RCPT) == REPLY_RECIPIENT_REJECTED;
	case COLUMNS:
		break;
	}
	return false;
}

static void
the_override_matrix_holds_cell_by_cell(void **state UNUSED)
{
	for (enum row row = 0; row < ROWS; row++)
		for (enum column column = 0; column < COLUMNS; column++) {
			struct controls_fixture fixture;
			bool acts;

			if (matrix[row][column] == '-')
				continue;
			start_filters(&fixture);
			set_row(&fixture, row);
			acts = column_acts(&fixture, column);
			if (acts == (matrix[row][column] == 'y'))
				fail_msg("%s spares from %s: expected %c", row_words[row], column_words[column], matrix[row][column]);
			controls_end(&fixture);
		}
}

static void
the_first_list_that_hits_ends_the_chain(void **state UNUSED)
{
	static const enum control_number chain[] = { CONTROL_PRIVATE_WHITELIST, CONTROL_PRIVATE_BLACKLIST, CONTROL_DNS_WHITELIST,
		CONTROL_DNS_BLACKLIST };

	for (size_t first = 0; first < ARRAY_COUNT(chain); first++) {
		struct controls_fixture fixture;

		start_filters(&fixture);
		if (first == 0)
			controls_set(&fixture, "private_whitelist_hosts", "*");
		if (first <= 1)
			controls_set(&fixture, "private_blacklist_hosts", "*");
		if (first <= 2)
			controls_zone(&fixture, WHITE_ONE, "127.0.0.2");
		controls_zone(&fixture, BLACK_ONE, "127.0.0.2");
		assert_int_equal(controls_walk(&fixture, CONTROL_AT_RCPT), REPLY_NONE);
		assert_int_equal(fixture.hits, 1u << chain[first]);
		for (size_t behind = first + 1; behind < ARRAY_COUNT(chain); behind++)
			assert_true(fixture.skipped & 1u << chain[behind]);
		controls_end(&fixture);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_action_leaves_behind_what_it_says),
		cmocka_unit_test(a_filter_that_is_off_or_empty_is_skipped),
		cmocka_unit_test(private_whitelist_wants_confirmed_names_and_private_blacklist_any),
		cmocka_unit_test(custom_replies_name_the_address_and_the_site),
		cmocka_unit_test(a_reply_is_never_a_format),
		cmocka_unit_test(the_first_zone_that_lists_the_client_decides),
		cmocka_unit_test(zones_that_say_nothing_list_nobody),
		cmocka_unit_test(dns_lists_are_asked_for_only_where_they_decide),
		cmocka_unit_test(weights_are_summed_up_to_the_threshold),
		cmocka_unit_test(the_heaviest_of_several_answers_counts),
		cmocka_unit_test(whitelists_that_are_off_weigh_nothing),
		cmocka_unit_test(the_override_matrix_holds_cell_by_cell),
		cmocka_unit_test(the_first_list_that_hits_ends_the_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
