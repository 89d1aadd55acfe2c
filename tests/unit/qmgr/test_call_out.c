/* test_call_out - call-outs go where the mail would, have their bounds, and survive what dies around them */
#include "tests/unit/qmgr/qmgr_fixture.h"

static void
ask_call_out(uint64_t id, const char *recipient)
{
	send_call_out_question(depositor.channel, &(struct call_out_question){ .id = id, .recipient = recipient });
}

static void
answer_call_out(const struct fake_worker *worker, enum call_out_outcome outcome, const char *text)
{
	send_call_out_result(worker->channel, &(struct call_out_result){ .job = worker->last_call_out,
	    .outcome = (uint8_t)outcome, .text = text });
}

static void
a_call_out_goes_where_the_mail_would(UNUSED void **state)
{
	connect_all();
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	assert_string_equal(smtp.last_called_out, "2 host-a:25 known@host-a");
	worker_connect(&smtp1, ROLE_SMTP, 1);
	smtp1.last_call_out = smtp.last_call_out;
	answer_call_out(&smtp1, CALL_OUT_ACCEPTED, "250 not mine");
	turn(50);
	assert_int_equal(depositor.call_outs, 0);
	answer_call_out(&smtp, CALL_OUT_DENIED, "550 no");
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.last_call_out, 7);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_DENIED);
	assert_string_equal(depositor.call_out_text, "550 no");
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 again");
	turn(50);
	assert_int_equal(depositor.call_outs, 1);
}

static void
mail_that_does_not_leave_is_asked_of_nobody(UNUSED void **state)
{
	static const struct {
		const char *recipient;
		enum call_out_outcome outcome;
	} cases[] = { { "local@x", CALL_OUT_NOBODY_TO_ASK }, { "group3@x", CALL_OUT_NOBODY_TO_ASK },
		{ "forward@x", CALL_OUT_NOBODY_TO_ASK }, { "unknown@x", CALL_OUT_NOBODY_TO_ASK }, { "later@x", CALL_OUT_SILENT } };

	connect_all();
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		ask_call_out(i, cases[i].recipient);
		until(depositor.call_outs == i + 1);
		assert_int_equal(depositor.call_out_outcome, cases[i].outcome);
	}
	assert_int_equal(smtp.call_outs, 0);
}

static void
those_who_ask_for_the_same_recipient_share_a_call_out(UNUSED void **state)
{
	connect_all();
	for (uint64_t id = 1; id <= 20; id++)
		ask_call_out(id, "known@host-a");
	until(smtp.call_outs == 1);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(depositor.call_outs == 20);
	assert_int_equal(smtp.call_outs, 1);
	assert_int_equal(qmgr.call_outs.asker_count, 0);
	assert_int_equal(qmgr.call_outs.on_their_way, 0);
}

static void
a_call_out_waits_only_so_long(UNUSED void **state)
{
	connect_all();
	qmgr.limits.call_out_timeout_ms = 50;
	ask_call_out(7, "known@host-a");
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_SILENT);
	assert_int_equal(qmgr.call_outs.by_recipient.count, 0);
}

/* ---- how many are on their way ---- */

static void
only_so_many_call_outs_are_on_their_way(UNUSED void **state)
{
	char recipient[40];

	connect_all();
	qmgr.limits.sessions_per_destination = 1000;
	for (unsigned i = 0; i < CALL_OUT_PROBES_MAX + 5; i++) {
		snprintf(recipient, sizeof(recipient), "known%u@host-%u", i, i % 3);
		ask_call_out(i, recipient);
	}
	until(smtp.call_outs == CALL_OUT_PROBES_MAX);
	turn(50);
	assert_int_equal(smtp.call_outs, CALL_OUT_PROBES_MAX);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(smtp.call_outs == CALL_OUT_PROBES_MAX + 1);
	assert_int_equal(depositor.call_outs, 1);
}

static void
ask_call_outs(unsigned first, unsigned count, const char *host)
{
	char recipient[40];

	for (unsigned i = first; i < first + count; i++) {
		snprintf(recipient, sizeof(recipient), "known%u@%s", i, host);
		ask_call_out(i, recipient);
	}
}

static void
no_more_call_outs_are_on_their_way_than_a_destination_may_have_sessions(UNUSED void **state)
{
	connect_all();
	ask_call_outs(0, 5, "host-a");
	until(smtp.call_outs == defaults.sessions_per_destination);
	turn(50);
	assert_int_equal(smtp.call_outs, defaults.sessions_per_destination);
}

static void
a_silent_next_hop_holds_up_no_call_out_of_another(UNUSED void **state)
{
	struct fake_worker at_host_a;

	connect_all();
	ask_call_outs(0, 5, "host-a");
	until(smtp.call_outs == 2);
	at_host_a = smtp;
	ask_call_out(9, "known@host-b");
	until(smtp.call_outs == 3);
	assert_string_equal(smtp.last_called_out, "2 host-b:25 known@host-b");
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(depositor.call_outs == 1);
	turn(50);
	assert_int_equal(smtp.call_outs, 3);
	/* The next ones follow in their order, one for each place. */
	answer_call_out(&at_host_a, CALL_OUT_ACCEPTED, "250 ok");
	until(smtp.call_outs == 4);
	assert_string_equal(smtp.last_called_out, "2 host-a:25 known2@host-a");
	turn(50);
	assert_int_equal(smtp.call_outs, 4);
	for (unsigned i = 3; i < 5; i++) {
		answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
		until(smtp.call_outs == i + 2);
	}
	assert_string_equal(smtp.last_called_out, "2 host-a:25 known4@host-a");
}

static void
no_next_hop_has_more_than_half_of_all_call_outs(UNUSED void **state)
{
	connect_all();
	qmgr.limits.sessions_per_destination = 1000;
	ask_call_outs(0, CALL_OUT_PROBES_MAX, "host-a");
	until(smtp.call_outs == CALL_OUT_PROBES_MAX / 2);
	turn(50);
	assert_int_equal(smtp.call_outs, CALL_OUT_PROBES_MAX / 2);
	ask_call_out(1000, "known@host-b");
	until(smtp.call_outs == CALL_OUT_PROBES_MAX / 2 + 1);
	assert_string_equal(smtp.last_called_out, "2 host-b:25 known@host-b");
}

/* The first two hold the places of host-a, the next two are next when smtp has gone: none of them gets to host-a any more. */
static void
a_place_at_a_next_hop_passes_on_when_the_next_one_has_no_time_left(UNUSED void **state)
{
	connect_all();
	qmgr.limits.call_out_timeout_ms = 300;
	ask_call_outs(0, 4, "host-a");
	until(smtp.call_outs == 2);
	qmgr.limits.call_out_timeout_ms = MINUTE;
	ask_call_outs(4, 1, "host-a");
	until(qmgr.call_outs.by_recipient.count == 5);
	turn(50);
	channel_free(&smtp.channel);
	until(depositor.call_outs == 4);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 3);
	assert_string_equal(smtp.last_called_out, "2 host-a:25 known4@host-a");
}

static void
a_call_out_out_of_time_keeps_its_place_until_smtp_lets_go(UNUSED void **state)
{
	connect_all();
	qmgr.limits.call_out_timeout_ms = 50;
	ask_call_outs(0, 2, "host-a");
	until(depositor.call_outs == 2);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_SILENT);
	qmgr.limits.call_out_timeout_ms = MINUTE;
	ask_call_outs(0, 3, "host-a");
	turn(50);
	assert_int_equal(smtp.call_outs, 2);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 too late");
	until(smtp.call_outs == 3);
	/* What is out of time is not asked again, though there is room. */
	qmgr.limits.sessions_per_destination = 20;
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 6);
	turn(50);
	assert_int_equal(smtp.call_outs, 6);
	assert_int_equal(qmgr.call_outs.on_their_way, 3);
	assert_int_equal(depositor.call_outs, 2);
}

static void
surplus_call_outs_are_answered_at_once(UNUSED void **state)
{
	char recipient[40];

	connect_all();
	router.silent = true;
	for (unsigned i = 0; i <= CALL_OUTS_MAX; i++) {
		snprintf(recipient, sizeof(recipient), "known%u@host-a", i);
		ask_call_out(i, recipient);
	}
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.last_call_out, CALL_OUTS_MAX);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_SILENT);
}

/* ---- askers that do not read, and peers that die ---- */

/* Its channel writes to a socket whose packets the test carries on to qmgr: nobody reads what qmgr says. */
static void
a_depositor_that_asks_for_call_outs_and_reads_no_answer_is_left(UNUSED void **state)
{
	int pen[2], sockets[2];
	char packet[65536];
	struct channel *asker;
	ssize_t length;

	pair(pen);
	pair(sockets);
	deposit_introduced(&qmgr, 0, IPC_SERVES, sockets[1]);
	asker = channel_open(base, pen[0], &deposit_protocol, IPC_ASKS, NULL, NULL, NULL);
	for (unsigned i = 0; i < 600000 && !TAILQ_EMPTY(&qmgr.deposits.depositors); i++) {
		send_call_out_question(asker, &(struct call_out_question){ .id = i, .recipient = "known@host-a" });
		if (i % 1000 == 0)
			turn(2);
		while ((length = recv(pen[1], packet, sizeof(packet), MSG_DONTWAIT)) > 0)
			while (send(sockets[0], packet, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN)
				turn(1);
	}
	assert_true(TAILQ_EMPTY(&qmgr.deposits.depositors));
	channel_free(&asker);
	close(pen[1]);
	close(sockets[0]);
}

static void
an_asker_that_left_is_forgotten_and_the_call_out_ends(UNUSED void **state)
{
	connect_all();
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	depositor_connect();
	turn(50);
	assert_int_equal(qmgr.call_outs.asker_count, 0);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(qmgr.call_outs.by_recipient.count == 0);
	assert_int_equal(depositor.call_outs, 0);
}

static void
a_call_out_survives_router_and_smtp(UNUSED void **state)
{
	connect_all();
	router.silent = true;
	ask_call_out(7, "known@host-a");
	turn(50);
	router.silent = false;
	router_connect();
	until(smtp.call_outs == 1);
	channel_free(&smtp.channel);
	turn(50);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 2);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_ACCEPTED);
}

static void
a_call_out_that_kills_smtp_twice_is_not_asked_again(UNUSED void **state)
{
	connect_all();
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 2);
	ask_call_out(8, "later-asked@host-b");
	until(smtp.call_outs == 3);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(depositor.call_outs == 1);
	assert_int_equal(depositor.last_call_out, 7);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_SILENT);
	/* The other one was in hand at one death only. */
	until(smtp.call_outs == 4);
	assert_string_equal(smtp.last_called_out, "2 host-b:25 later-asked@host-b");
	turn(50);
	assert_int_equal(smtp.call_outs, 4);
	answer_call_out(&smtp, CALL_OUT_ACCEPTED, "250 ok");
	until(depositor.call_outs == 2);
	assert_int_equal(depositor.last_call_out, 8);
	assert_int_equal(depositor.call_out_outcome, CALL_OUT_ACCEPTED);
	assert_int_equal(qmgr.call_outs.by_recipient.count, 0);
}

static void
a_call_out_that_kills_smtp_again_makes_no_suspect_of_new_mail(UNUSED void **state)
{
	uint64_t id;

	connect_all();
	smtp.holds_jobs = true;
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	worker_connect(&smtp, ROLE_SMTP, 0);
	until(smtp.call_outs == 2);
	id = deposit("s@example.org", "good@x.example", CONTENT);
	die_with(1);
	until(depositor.call_outs == 1);
	assert_int_equal(suspects_deaths(&qmgr.deliver.suspects, id), 0);
	die_with(1);
	assert_int_equal(suspects_deaths(&qmgr.deliver.suspects, id), 1);
}

static void
call_outs_do_not_shield_a_message_that_kills_smtp(UNUSED void **state)
{
	connect_all();
	smtp.holds_jobs = true;
	deposit("s@example.org", "good@x.example", CONTENT);
	until(smtp.in_hand == 1);
	ask_call_out(7, "known@host-a");
	until(smtp.call_outs == 1);
	die_with(1);
	until(smtp.call_outs == 2);
	die_with(1);
	until(fake.messages->parked);
	assert_int_equal(fake.messages->envelope.recipients[0].attempts, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_call_out_goes_where_the_mail_would),
		CASE(mail_that_does_not_leave_is_asked_of_nobody),
		CASE(those_who_ask_for_the_same_recipient_share_a_call_out),
		CASE(a_call_out_waits_only_so_long),
		CASE(only_so_many_call_outs_are_on_their_way),
		CASE(no_more_call_outs_are_on_their_way_than_a_destination_may_have_sessions),
		CASE(a_silent_next_hop_holds_up_no_call_out_of_another),
		CASE(no_next_hop_has_more_than_half_of_all_call_outs),
		CASE(a_place_at_a_next_hop_passes_on_when_the_next_one_has_no_time_left),
		CASE(a_call_out_out_of_time_keeps_its_place_until_smtp_lets_go),
		CASE(surplus_call_outs_are_answered_at_once),
		CASE(a_depositor_that_asks_for_call_outs_and_reads_no_answer_is_left),
		CASE(an_asker_that_left_is_forgotten_and_the_call_out_ends),
		CASE(a_call_out_survives_router_and_smtp),
		CASE(a_call_out_that_kills_smtp_twice_is_not_asked_again),
		CASE(a_call_out_that_kills_smtp_again_makes_no_suspect_of_new_mail),
		CASE(call_outs_do_not_shield_a_message_that_kills_smtp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
