/*
 * test_policy_client - what policy is asked and told: rates, SPF questions beside them, and the open sessions of
 * watched clients
 */
#include "inquiry_fixture.h"

/* ---- rates ---- */

static void
answer_rate(bool exceeded, const char *rule)
{
	assert_true(send_rate_answer(scene->policy, &(struct rate_answer){ .id = scene->rate.id, .exceeded = exceeded,
	    .rule = rule }));
}

static void
rates_are_asked_by_kind_and_answered_with_the_setting(void **state)
{
	static const struct {
		enum fact fact;
		enum rate_kind kind;
	} rows[] = { { FACT_ADMISSION, RATE_SESSION }, { FACT_MESSAGE_RATE, RATE_MESSAGE },
		{ FACT_RECIPIENT_RATE, RATE_RECIPIENT } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		struct answered answered = { 0 };

		assert_non_null(ask(rows[i].fact, NULL, &answered));
		turn_until(scene->rates == i + 1);
		assert_int_equal(scene->rate.kind, rows[i].kind);
		assert_int_equal(scene->rate.flags, 0);
		assert_string_equal(scene->said[0], "192.0.2.7");
		answer_rate(true, "client_session_rate");
		turn_until(answered.count == 1);
		assert_int_equal(answered.answer.fact, rows[i].fact);
		assert_int_equal(answered.answer.rate.state, RATE_EXCEEDED);
		assert_string_equal(answered.text, "client_session_rate");
	}
}

static void
spf_questions_without_an_answer_leave_credits_for_the_others(void **state)
{
	struct answered answered = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		struct known_sender sender = { .facts.address = &sender.address };
		struct error error = ERROR_INITIALIZER;
		char text[40];

		snprintf(text, sizeof(text), "s@d%u.example", i);
		assert_int_equal(address_parse(text, strlen(text), 0, &sender.address, &error), 0);
		assert_non_null(ask(FACT_SPF, &sender.facts, &(struct answered){ 0 }));
	}
	turn_until(scene->spf_questions > 0);
	settle();
	assert_in_range(scene->spf_questions, 100, 1000);
	assert_non_null(ask(FACT_MESSAGE_RATE, NULL, &answered));
	turn_until(scene->rates == 1);
	answer_rate(false, "");
	turn_until(answered.count == 1);
}

static void
forgotten_spf_questions_give_their_places_back_when_they_are_answered(void **state)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct error error = ERROR_INITIALIZER;

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		struct answered answered = { 0 };
		struct inquiry *inquiry;

		assert_int_equal(address_parse("s@theirs.example", 16, 0, &sender.address, &error), 0);
		inquiry = ask(FACT_SPF, &sender.facts, &answered);
		turn_until(scene->spf_questions == i + 1);
		inquiry_forget(&inquiry);
		assert_true(send_spf_answer(scene->policy, &(struct spf_answer){ .id = scene->rate.id, .text = "" }));
		settle();
	}
}

/* ---- open sessions ---- */

static struct in6_addr
key_of_scene(void)
{
	return client_key((const struct sockaddr *)&scene->address);
}

/* A session comes, as connection.c lets it in. */
static void
enter(void)
{
	const struct in6_addr key = key_of_scene();

	assert_int_equal(limits_enter(scene->limits, &key, 100, 100), LIMITS_ENTERED);
}

/* And goes. */
static void
leave(void)
{
	const struct in6_addr key = key_of_scene();

	limits_leave(scene->limits, &key);
	inquirer_session_closed(scene->inquirer, &scene->client.facts);
}

static size_t
sessions_open(void)
{
	const struct in6_addr key = key_of_scene();

	return limits_open_sessions(scene->limits, &key);
}

static void
watch(bool ends)
{
	unsigned before = scene->watches;
	const struct in6_addr key = key_of_scene();

	assert_true(send_policy_watch(scene->policy, &(struct policy_watch){ .ends = ends, .client_address = "192.0.2.7" }));
	if (ends)
		turn_until(!limits_is_watched(scene->limits, &key));
	else
		turn_until(scene->watches == before + 1);
}

static struct inquiry *
ask_admission(struct answered *answered)
{
	unsigned before = scene->rates;
	struct inquiry *inquiry;

	enter();
	inquiry = ask(FACT_ADMISSION, NULL, answered);
	turn_until(scene->rates == before + 1);
	return inquiry;
}

static void
a_crowded_session_says_so(void **state)
{
	struct answered answered = { 0 };

	(void)state;
	scene->client.facts.is_crowded = true;
	assert_non_null(ask_admission(&answered));
	assert_int_equal(scene->rate.flags, RATE_CROWDED);
	answer_rate(false, "");
	turn_until(answered.count == 1);
}

static void
a_rehearsal_counts_nothing(void **state)
{
	struct answered answered = { 0 };
	struct inquiry_subject subject = { .rules = rules_of_scene(), .client = &scene->client.facts, .is_rehearsal = true };

	(void)state;
	enter();
	watch(false);
	assert_non_null(inquiry_ask(scene->inquirer, FACT_ADMISSION, &subject, on_answer, &answered));
	turn_until(scene->rates == 1);
	assert_int_equal(scene->rate.flags, RATE_PEEK);
	assert_int_equal(sessions_open(), 1);
	answer_rate(true, "client_session_rate");
	turn_until(answered.count == 1);
	assert_int_equal(sessions_open(), 1);
	settle();
	assert_int_equal(scene->opened + scene->closed, 0);
}

static void
sessions_of_a_client_are_told_while_it_is_watched(void **state)
{
	(void)state;
	enter();
	enter();
	leave();
	settle();
	assert_int_equal(scene->closed, 0);
	enter();
	watch(false);
	assert_int_equal(scene->open, 2);
	leave();
	turn_until(scene->closed == 1);
	watch(true);
	leave();
	settle();
	assert_int_equal(scene->closed, 1);
	assert_int_equal(scene->opened, 0);
}

static void
a_session_that_is_asked_about_is_not_open_yet(void **state)
{
	struct answered first = { 0 }, second = { 0 };

	(void)state;
	enter();
	assert_non_null(ask_admission(&first));
	watch(false);
	assert_int_equal(scene->open, 1);
	answer_rate(false, "");
	turn_until(first.count == 1);
	assert_int_equal(sessions_open(), 2);
	assert_non_null(ask_admission(&second));
	answer_rate(true, "maximum_sessions_per_client");
	turn_until(second.count == 1);
	assert_int_equal(sessions_open(), 2);
	limits_leave_refused(scene->limits);
	assert_int_equal(limits_sessions(scene->limits), 2);
	settle();
	assert_int_equal(scene->opened + scene->closed, 0);
	watch(false);
	assert_int_equal(scene->open, 2);
}

static void
a_policy_that_was_restarted_watches_nobody_and_is_asked_again(void **state)
{
	struct answered waiting = { 0 };

	(void)state;
	enter();
	watch(false);
	assert_non_null(ask_admission(&waiting));
	start_policy();
	turn_until(scene->rates == 2);
	leave();
	settle();
	assert_int_equal(scene->closed, 0);
	watch(false);
	assert_int_equal(scene->open, 0);
	answer_rate(false, "");
	turn_until(waiting.count == 1);
	assert_int_equal(sessions_open(), 1);
}

static void
a_session_that_no_longer_waits_for_its_answer_is_open(void **state)
{
	struct answered answered = { 0 };

	(void)state;
	watch(false);
	for (unsigned round = 1; round <= 2; round++) {
		struct inquiry *inquiry = ask_admission(&answered);

		inquiry_forget(&inquiry);
		turn_until(scene->opened == round);
		assert_int_equal(sessions_open(), round);
		/* policy has counted it twice when it says yes, and once when it says no */
		answer_rate(round == 2, "client_session_rate");
		settle();
		assert_int_equal(scene->closed, 1);
		assert_int_equal(sessions_open(), round);
	}
	assert_int_equal(answered.count, 0);
}

static void
a_session_that_goes_before_its_answer_counts_for_nobody(void **state)
{
	struct answered answered = { 0 };
	struct inquiry *inquiry;

	(void)state;
	watch(false);
	inquiry = ask_admission(&answered);
	inquiry_forget(&inquiry);
	leave();
	answer_rate(false, "");
	turn_until(scene->closed == 2);
	assert_int_equal(scene->opened, 1);
	assert_int_equal(sessions_open(), 0);
	start_policy();
	settle();
	assert_int_equal(scene->rates, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(rates_are_asked_by_kind_and_answered_with_the_setting),
		CASE(spf_questions_without_an_answer_leave_credits_for_the_others),
		CASE(forgotten_spf_questions_give_their_places_back_when_they_are_answered),
		CASE(a_crowded_session_says_so),
		CASE(a_rehearsal_counts_nothing),
		CASE(sessions_of_a_client_are_told_while_it_is_watched),
		CASE(a_session_that_is_asked_about_is_not_open_yet),
		CASE(a_policy_that_was_restarted_watches_nobody_and_is_asked_again),
		CASE(a_session_that_no_longer_waits_for_its_answer_is_open),
		CASE(a_session_that_goes_before_its_answer_counts_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
