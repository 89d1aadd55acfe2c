/* test_walk - the walker over the real controls: their order, where it stops, what it carries on */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"
#include "smtpd/controls/walk.h"

struct scene {
	struct fixture fixture;
	struct known_client client;
	struct control_walk walk;
	struct control_question question;
	struct control_judgement judgement;
	/* what the walker told */
	enum control_number told[CONTROL_COUNT];
	enum control_verdict verdicts[CONTROL_COUNT];
	size_t told_count;
};

static void
note(void *context, enum control_number number, const struct control_judgement *judgement)
{
	struct scene *scene = context;

	assert_in_range(scene->told_count, 0, CONTROL_COUNT - 1);
	scene->told[scene->told_count] = number;
	scene->verdicts[scene->told_count++] = judgement->verdict;
}

static void
start(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	fixture_start(&scene->fixture);
	scene->client.facts.address = (const struct sockaddr *)&scene->fixture.client.socket_address;
	scene->client.facts.address_text = scene->fixture.client.address;
}

/* Begins stage CLIENT; settings do not change any more. */
static void
begin(struct scene *scene)
{
	scene->fixture.rules = rules_new(scene->fixture.settings);
	scene->question = (struct control_question){ .rules = scene->fixture.rules, .client = &scene->client.facts };
	control_walk_start(&scene->walk, CONTROL_AT_CLIENT, (struct control_standing){ 0 });
	scene->walk.judged = note;
	scene->walk.context = scene;
}

static enum control_verdict
walk_on(struct scene *scene)
{
	return control_walk_on(&scene->walk, &scene->question, &scene->judgement);
}

static void
learn_names(struct scene *scene, const char *name)
{
	struct host_names names = { .state = HOST_NAMES_FOUND, .count = 1 };
	struct fact_answer answer = { .fact = FACT_HOST_NAMES, .host_names = &names };

	strcpy(names.names[0].name, name);
	names.names[0].is_confirmed = true;
	facts_learn(&answer, &scene->client, NULL, NULL);
}

static void
end(struct scene *scene)
{
	known_client_free(&scene->client);
	fixture_end(&scene->fixture);
}

static enum control_verdict
verdict_of(const struct scene *scene, enum control_number number)
{
	for (size_t i = 0; i < scene->told_count; i++)
		if (scene->told[i] == number)
			return scene->verdicts[i];
	fail_msg("%s was not told", controls[number].word);
	return CONTROL_PASSES;
}

static void
every_control_of_the_stage_is_told_once_and_in_order(void **state)
{
	struct scene scene;

	(void)state;
	start(&scene);
	begin(&scene);
	learn_names(&scene, "mail.theirs.example");
	assert_int_equal(walk_on(&scene), CONTROL_PASSES);
	assert_int_equal(scene.told_count, CONTROL_DNS_BLACKLIST - CONTROL_DENY_CONNECTIONS + 1);
	for (size_t i = 0; i < scene.told_count; i++)
		assert_int_equal(scene.told[i], CONTROL_DENY_CONNECTIONS + i);
	assert_int_equal(walk_on(&scene), CONTROL_PASSES);
	assert_int_equal(scene.told_count, CONTROL_DNS_BLACKLIST - CONTROL_DENY_CONNECTIONS + 1);
	end(&scene);
}

static void
it_stops_for_a_fact_and_goes_on_with_the_same_control(void **state)
{
	struct scene scene;

	(void)state;
	start(&scene);
	assert_true(fixture_set(&scene.fixture, "verify_connecting_host_name", "enabled"));
	begin(&scene);
	assert_int_equal(walk_on(&scene), CONTROL_NEEDS);
	assert_int_equal(scene.judgement.fact, FACT_HOST_NAMES);
	assert_int_equal(scene.told_count, 2);
	assert_int_equal(walk_on(&scene), CONTROL_NEEDS);
	assert_int_equal(scene.told_count, 2);
	learn_names(&scene, "mail.theirs.example");
	assert_int_equal(walk_on(&scene), CONTROL_PASSES);
	assert_int_equal(verdict_of(&scene, CONTROL_VERIFY_HOST_NAME), CONTROL_PASSES);
	end(&scene);
}

static void
a_refusal_ends_the_walk(void **state)
{
	struct scene scene;

	(void)state;
	start(&scene);
	assert_true(fixture_set(&scene.fixture, "deny_connections_from", "[192.0.2.7]"));
	begin(&scene);
	assert_int_equal(walk_on(&scene), CONTROL_REFUSES);
	assert_int_equal(scene.judgement.reply, REPLY_CONNECTION_REFUSED);
	assert_string_equal(scene.judgement.rule, "deny_connections_from");
	assert_int_equal(scene.told_count, 1);
	assert_int_equal(walk_on(&scene), CONTROL_PASSES);
	assert_int_equal(scene.told_count, 1);
	end(&scene);
}

static void
an_exempt_client_is_spared_the_filters(void **state)
{
	struct scene scene;

	(void)state;
	start(&scene);
	assert_true(fixture_set(&scene.fixture, "relay_enforcement_exclude_hosts", "[192.0.2.7]"));
	assert_true(fixture_set(&scene.fixture, "private_blacklist_filter", "enabled"));
	assert_true(fixture_set(&scene.fixture, "private_blacklist_hosts", "[192.0.2.7]"));
	begin(&scene);
	assert_int_equal(walk_on(&scene), CONTROL_PASSES);
	assert_true(scene.walk.standing.is_exempt);
	assert_false(scene.walk.standing.is_listed);
	assert_int_equal(verdict_of(&scene, CONTROL_RELAY_ENFORCEMENT), CONTROL_EXEMPTS);
	assert_int_equal(verdict_of(&scene, CONTROL_PRIVATE_BLACKLIST), CONTROL_SKIPPED);
	end(&scene);
}

static void
the_first_filter_that_hits_ends_the_chain(void **state)
{
	struct scene scene;

	(void)state;
	start(&scene);
	assert_true(fixture_set(&scene.fixture, "relay_enforcement", "all_hosts"));
	assert_true(fixture_set(&scene.fixture, "private_whitelist_filter", "enabled"));
	assert_true(fixture_set(&scene.fixture, "private_whitelist_hosts", "[192.0.2.7]"));
	assert_true(fixture_set(&scene.fixture, "private_blacklist_filter", "enabled"));
	assert_true(fixture_set(&scene.fixture, "private_blacklist_hosts", "[192.0.2.7]"));
	begin(&scene);
	assert_int_equal(walk_on(&scene), CONTROL_PASSES);
	assert_true(scene.walk.standing.is_listed);
	assert_false(scene.walk.standing.is_exempt);
	assert_int_equal(verdict_of(&scene, CONTROL_PRIVATE_WHITELIST), CONTROL_HITS);
	assert_int_equal(verdict_of(&scene, CONTROL_PRIVATE_BLACKLIST), CONTROL_SKIPPED);
	end(&scene);
}

static void
what_stage_client_found_out_holds_at_the_next_stages(void **state)
{
	struct scene scene;
	struct control_walk walk;

	(void)state;
	start(&scene);
	assert_true(fixture_set(&scene.fixture, "relay_enforcement", "none"));
	begin(&scene);
	assert_int_equal(walk_on(&scene), CONTROL_PASSES);
	control_walk_start(&walk, CONTROL_AT_RCPT, scene.walk.standing);
	assert_true(walk.standing.is_exempt);
	assert_null(walk.judged);
	end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_control_of_the_stage_is_told_once_and_in_order),
		cmocka_unit_test(it_stops_for_a_fact_and_goes_on_with_the_same_control),
		cmocka_unit_test(a_refusal_ends_the_walk),
		cmocka_unit_test(an_exempt_client_is_spared_the_filters),
		cmocka_unit_test(the_first_filter_that_hits_ends_the_chain),
		cmocka_unit_test(what_stage_client_found_out_holds_at_the_next_stages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
