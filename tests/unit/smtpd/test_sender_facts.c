/*
 * test_sender_facts - what is asked about senders: whether their domain exists, and the SPF verdict; both are
 * remembered
 */
#include "common/base/wire.h"
#include "inquiry_fixture.h"

/* ---- the domain ---- */

struct domain_row {
	const char *sender;
	enum dns_outcome mx;
	const char *exchange;		/* of DNS_FOUND */
	enum dns_outcome host;		/* asked when there is no MX */
	enum sender_domain_state state;
	size_t questions;
};

static void
judge_domain(const struct domain_row *row)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct answered answered = { 0 };
	struct buffer records = BUFFER_INITIALIZER(0);
	struct error error = ERROR_INITIALIZER;

	assert_int_equal(address_parse(row->sender, strlen(row->sender), ADDRESS_ALLOW_UTF8, &sender.address, &error), 0);
	scene->question_count = 0;
	ask(FACT_SENDER_DOMAIN, &sender.facts, &answered);
	if (row->questions > 0) {
		turn_until(scene->question_count == 1);
		assert_int_equal(scene->questions[0].kind, DNS_MX);
		if (row->mx == DNS_FOUND) {
			wire_put_u16(&records, 0);
			wire_put_string(&records, row->exchange);
		}
		answer_dns(0, row->mx, &records, row->mx == DNS_FOUND);
	}
	if (row->questions > 1) {
		turn_until(scene->question_count == 2);
		assert_int_equal(scene->questions[1].kind, DNS_HOST);
		answer_dns(1, row->host, NULL, 0);
	}
	turn_until(answered.count == 1);
	assert_int_equal(answered.answer.sender_domain, row->state);
	assert_int_equal(scene->question_count, row->questions);
	buffer_free(&records);
}

static void
a_senders_domain_exists_with_an_mx_or_an_address(void **state)
{
	static const struct domain_row rows[] = {
		{ "s@theirs.example", DNS_FOUND, "mx.theirs.example", 0, SENDER_DOMAIN_EXISTS, 1 },
		{ "s@null.example", DNS_FOUND, "", 0, SENDER_DOMAIN_MISSING, 1 },
		{ "s@host.example", DNS_NO_DATA, NULL, DNS_FOUND, SENDER_DOMAIN_EXISTS, 2 },
		{ "s@empty.example", DNS_NO_DATA, NULL, DNS_NO_DATA, SENDER_DOMAIN_MISSING, 2 },
		{ "s@half.example", DNS_NO_DATA, NULL, DNS_NO_ANSWER, SENDER_DOMAIN_NO_ANSWER, 2 },
		{ "s@missing.example", DNS_NO_NAME, NULL, 0, SENDER_DOMAIN_MISSING, 1 },
		{ "s@silent.example", DNS_NO_ANSWER, NULL, 0, SENDER_DOMAIN_NO_ANSWER, 1 },
		{ "s@[192.0.2.1]", 0, NULL, 0, SENDER_DOMAIN_EXISTS, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		judge_domain(&rows[i]);
}

static void
an_international_domain_is_asked_as_a_labels(void **state)
{
	static const struct domain_row row = { "s@m\xc3\xbcnchen.example", DNS_NO_NAME, NULL, 0, SENDER_DOMAIN_MISSING, 1 };

	(void)state;
	judge_domain(&row);
	assert_string_equal(scene->questions[0].name, "xn--mnchen-3ya.example");
}

/* Asks about a sender; the questions that went to resolver and policy for it. */
static size_t
questions_about(enum fact fact, const char *text, struct answered *answered)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct error error = ERROR_INITIALIZER;
	size_t before = scene->question_count + scene->spf_questions;

	*answered = (struct answered){ 0 };
	assert_int_equal(address_parse(text, strlen(text), 0, &sender.address, &error), 0);
	if (ask(fact, &sender.facts, answered) == NULL)
		return 0;
	turn_until(scene->question_count + scene->spf_questions > before);
	return scene->question_count + scene->spf_questions - before;
}

static void
what_the_dns_said_of_a_senders_domain_is_remembered(void **state)
{
	struct answered answered;

	(void)state;
	assert_int_equal(questions_about(FACT_SENDER_DOMAIN, "a@gone.example", &answered), 1);
	answer_dns(0, DNS_NO_NAME, NULL, 0);
	turn_until(answered.count == 1);
	assert_int_equal(questions_about(FACT_SENDER_DOMAIN, "b@GONE.example", &answered), 0);
	assert_int_equal(answered.answer.sender_domain, SENDER_DOMAIN_MISSING);
	assert_int_equal(questions_about(FACT_SENDER_DOMAIN, "a@silent.example", &answered), 1);
	answer_dns(1, DNS_NO_ANSWER, NULL, 0);
	turn_until(answered.count == 1);
	assert_int_equal(questions_about(FACT_SENDER_DOMAIN, "a@silent.example", &answered), 1);
}

/* ---- SPF ---- */

static void
spf_is_asked_about_helo_and_sender(void **state)
{
	struct known_sender sender = { .facts.address = &sender.address };
	struct answered answered = { 0 };
	struct error error = ERROR_INITIALIZER;

	(void)state;
	assert_int_equal(address_parse("s@theirs.example", 16, 0, &sender.address, &error), 0);
	assert_non_null(ask(FACT_SPF, &sender.facts, &answered));
	turn_until(scene->spf_questions == 1);
	assert_string_equal(scene->said[0], "192.0.2.7");
	assert_string_equal(scene->said[1], "client.example");
	assert_string_equal(scene->said[2], "s@theirs.example");
	assert_true(send_spf_answer(scene->policy, &(struct spf_answer){ .id = scene->rate.id, .helo = SPF_VERDICT_PASS,
	    .mail = 200, .text = "why" }));
	turn_until(answered.count == 1);
	assert_int_equal(answered.answer.spf.helo, SPF_VERDICT_PASS);
	assert_int_equal(answered.answer.spf.mail, SPF_VERDICT_TEMPERROR);
	assert_string_equal(answered.text, "why");
}

static void
answer_spf(uint32_t lifetime, struct answered *answered)
{
	assert_true(send_spf_answer(scene->policy, &(struct spf_answer){ .id = scene->rate.id, .helo = SPF_VERDICT_PASS,
	    .mail = SPF_VERDICT_FAIL, .lifetime = lifetime, .text = "not from there" }));
	turn_until(answered->count == 1);
}

static void
a_verdict_is_remembered_for_the_client_its_helo_and_the_domain(void **state)
{
	struct answered answered;

	(void)state;
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
	answer_spf(600, &answered);
	assert_int_equal(questions_about(FACT_SPF, "b@Theirs.Example", &answered), 0);
	assert_int_equal(answered.answer.spf.helo, SPF_VERDICT_PASS);
	assert_int_equal(answered.answer.spf.mail, SPF_VERDICT_FAIL);
	assert_string_equal(answered.text, "not from there");
	assert_int_equal(questions_about(FACT_SPF, "a@others.example", &answered), 1);
	scene->client.facts.helo = "other.example";
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
	scene->client.facts.helo = "client.example";
	scene->client.facts.address_text = "192.0.2.8";
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
}

static void
a_verdict_for_once_is_asked_about_again(void **state)
{
	struct answered answered;

	(void)state;
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
	answer_spf(0, &answered);
	assert_int_equal(questions_about(FACT_SPF, "a@theirs.example", &answered), 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_senders_domain_exists_with_an_mx_or_an_address),
		CASE(an_international_domain_is_asked_as_a_labels),
		CASE(what_the_dns_said_of_a_senders_domain_is_remembered),
		CASE(spf_is_asked_about_helo_and_sender),
		CASE(a_verdict_is_remembered_for_the_client_its_helo_and_the_domain),
		CASE(a_verdict_for_once_is_asked_about_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
