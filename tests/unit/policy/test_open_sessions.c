/*
 * test_open_sessions - a client's sessions are counted over all processes
 *
 * The last cases play several processes of smtpd with smtpd/limits.h's rules in miniature, messages under way in both directions, and
 * compare with the truth. The patience is none, so time_passes() ends it, and nothing else does.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <event2/event.h>

#include "common/base/attributes.h"
#include "policy/open_sessions.h"

#define CLIENT "192.0.2.7"

struct process {
	struct session_process *process;
	unsigned watches, ends;		/* told so often */
};

struct question {
	unsigned decided;
	size_t sessions;		/* that it was told of */
	size_t limit;
};

static struct event_base *base;
static struct open_sessions *sessions;
static struct process processes[3];

static void
on_watch(void *owner, const char *address, bool ends)
{
	struct process *process = owner;

	assert_string_equal(address, CLIENT);
	*(ends ? &process->ends : &process->watches) += 1;
}

static bool
on_decide(void *owner, size_t count)
{
	struct question *question = owner;

	question->decided++;
	question->sessions = count;
	return count < question->limit;
}

static int
prepare(void **state)
{
	static const struct open_sessions_events events = { on_watch, on_decide };

	base = event_base_new();
	sessions = open_sessions_new(base, 0, &events);
	for (unsigned i = 0; i < ARRAY_COUNT(processes); i++)
		processes[i] = (struct process){ .process = open_sessions_add_process(sessions, &processes[i]) };
	*state = NULL;
	return 0;
}

static int
clean_up(void **state)
{
	open_sessions_free(&sessions);
	open_sessions_free(&sessions);
	event_base_free(base);
	*state = NULL;
	return 0;
}

static void
time_passes(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
tell_all(unsigned process, uint32_t count)
{
	open_sessions_tell(processes[process].process, CLIENT, SESSIONS_ALL, count);
}

static void
a_question_waits_until_every_process_has_told(void **state)
{
	struct question first = { .limit = 9 }, second = { .limit = 9 };

	(void)state;
	assert_false(open_sessions_is_watched(sessions, CLIENT));
	open_sessions_ask(processes[0].process, CLIENT, &first);
	assert_true(open_sessions_is_watched(sessions, CLIENT));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(processes[i].watches, 1);
	tell_all(0, 4);
	tell_all(2, 3);
	open_sessions_ask(processes[1].process, CLIENT, &second);
	assert_int_equal(first.decided + second.decided, 0);
	tell_all(1, 1);
	assert_int_equal(first.decided, 1);
	assert_int_equal(first.sessions, 8);
	assert_int_equal(second.decided, 1);
	assert_int_equal(second.sessions, 9);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 9);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(processes[i].watches, 1);
}

static void
a_client_that_is_known_is_decided_at_once(void **state)
{
	struct question first = { .limit = 5 }, second = { .limit = 5 }, third = { .limit = 5 };

	(void)state;
	open_sessions_ask(processes[0].process, CLIENT, &first);
	for (unsigned i = 0; i < 3; i++)
		tell_all(i, i);
	open_sessions_ask(processes[1].process, CLIENT, &second);
	assert_int_equal(second.sessions, 4);
	open_sessions_ask(processes[1].process, CLIENT, &third);
	assert_int_equal(third.sessions, 5);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 5);
	open_sessions_tell(processes[2].process, CLIENT, SESSIONS_CLOSED, 2);
	open_sessions_tell(processes[0].process, CLIENT, SESSIONS_OPENED, 1);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 4);
	assert_int_equal(open_sessions_known(sessions, "192.0.2.8"), 0);
}

static void
the_watch_ends_with_the_last_session(void **state)
{
	struct question question = { .limit = 9 };

	(void)state;
	open_sessions_ask(processes[0].process, CLIENT, &question);
	for (unsigned i = 0; i < 3; i++)
		tell_all(i, 0);
	assert_int_equal(open_sessions_watched(sessions), 1);
	open_sessions_tell(processes[0].process, CLIENT, SESSIONS_CLOSED, 1);
	assert_int_equal(open_sessions_watched(sessions), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(processes[i].ends, 1);
	/* What is told afterwards is of no watch. */
	open_sessions_tell(processes[0].process, CLIENT, SESSIONS_CLOSED, 1);
	tell_all(1, 7);
	assert_int_equal(open_sessions_watched(sessions), 0);
}

/* Otherwise what is told late would be taken for the answer to a later watch. */
static void
a_watch_does_not_end_while_somebody_has_not_told(void **state)
{
	struct question question = { .limit = 0 };

	(void)state;
	open_sessions_ask(processes[0].process, CLIENT, &question);
	tell_all(1, 0);
	open_sessions_remove_process(&processes[0].process);
	assert_int_equal(question.decided, 0);
	assert_int_equal(open_sessions_watched(sessions), 1);
	assert_int_equal(processes[1].ends + processes[2].ends, 0);
	tell_all(2, 1);
	assert_int_equal(open_sessions_watched(sessions), 1);
	open_sessions_tell(processes[2].process, CLIENT, SESSIONS_CLOSED, 1);
	assert_int_equal(open_sessions_watched(sessions), 0);
	assert_int_equal(processes[1].ends + processes[2].ends, 2);
}

static void
a_process_that_goes_takes_its_sessions_and_questions_with_it(void **state)
{
	struct question gone = { .limit = 9 }, waiting = { .limit = 9 };

	(void)state;
	open_sessions_ask(processes[1].process, CLIENT, &gone);
	open_sessions_ask(processes[0].process, CLIENT, &waiting);
	tell_all(0, 2);
	tell_all(2, 3);
	open_sessions_remove_process(&processes[1].process);
	open_sessions_remove_process(&processes[1].process);
	assert_int_equal(gone.decided, 0);
	assert_int_equal(waiting.decided, 1);
	assert_int_equal(waiting.sessions, 5);
	open_sessions_remove_process(&processes[2].process);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 3);
	open_sessions_remove_process(&processes[0].process);
	assert_int_equal(open_sessions_watched(sessions), 0);
}

static void
a_process_that_came_later_is_asked_before_the_next_session(void **state)
{
	struct question first = { .limit = 9 }, second = { .limit = 9 };
	struct process late = { NULL, 0, 0 };

	(void)state;
	open_sessions_ask(processes[0].process, CLIENT, &first);
	for (unsigned i = 0; i < 3; i++)
		tell_all(i, 1);
	late.process = open_sessions_add_process(sessions, &late);
	assert_int_equal(late.watches, 0);
	open_sessions_ask(processes[0].process, CLIENT, &second);
	assert_int_equal(late.watches, 1);
	assert_int_equal(second.decided, 0);
	open_sessions_tell(late.process, CLIENT, SESSIONS_ALL, 2);
	assert_int_equal(second.sessions, 6);
}

static void
nobody_can_have_fewer_sessions_than_none(void **state)
{
	struct question question = { .limit = 9 };

	(void)state;
	open_sessions_ask(processes[0].process, CLIENT, &question);
	tell_all(0, 1);
	tell_all(1, 1);
	tell_all(2, 1);
	open_sessions_tell(processes[1].process, CLIENT, SESSIONS_CLOSED, 4000000000u);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 3);
}

static void
a_process_that_stands_still_is_not_waited_for_but_taken_in_when_it_tells(void **state)
{
	struct question first = { .limit = 6 }, second = { .limit = 6 }, third = { .limit = 6 };

	(void)state;
	open_sessions_ask(processes[0].process, CLIENT, &first);
	tell_all(0, 2);
	tell_all(1, 1);
	assert_int_equal(first.decided, 0);
	time_passes();
	assert_int_equal(first.decided, 1);
	assert_int_equal(first.sessions, 3);
	open_sessions_ask(processes[1].process, CLIENT, &second);
	assert_int_equal(second.decided, 1);
	assert_int_equal(second.sessions, 4);
	tell_all(2, 4);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 9);
	open_sessions_ask(processes[1].process, CLIENT, &third);
	assert_int_equal(third.sessions, 9);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 9);
}

/* Which are not open for it when it is asked what is. */
static void
sessions_that_a_process_was_granted_before_it_told_come_on_top(void **state)
{
	struct question question = { .limit = 9 };

	(void)state;
	open_sessions_ask(processes[2].process, CLIENT, &question);
	tell_all(0, 1);
	tell_all(1, 1);
	time_passes();
	assert_int_equal(question.decided, 1);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 3);
	tell_all(2, 4);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 7);
}

static void
what_a_process_says_before_it_tells_all_is_of_an_earlier_watch(void **state)
{
	struct question question = { .limit = 9 };

	(void)state;
	open_sessions_ask(processes[2].process, CLIENT, &question);
	tell_all(0, 0);
	tell_all(1, 0);
	time_passes();
	assert_int_equal(open_sessions_known(sessions, CLIENT), 1);
	open_sessions_tell(processes[2].process, CLIENT, SESSIONS_CLOSED, 1);
	open_sessions_tell(processes[2].process, CLIENT, SESSIONS_OPENED, 3);
	assert_int_equal(open_sessions_known(sessions, CLIENT), 1);
}

/* Otherwise what it tells would be taken for the answer to a later watch. */
static void
a_watch_does_not_end_while_a_process_stands_still(void **state)
{
	struct question question = { .limit = 0 };

	(void)state;
	open_sessions_ask(processes[0].process, CLIENT, &question);
	tell_all(0, 0);
	tell_all(1, 0);
	time_passes();
	assert_int_equal(question.decided, 1);
	assert_int_equal(open_sessions_watched(sessions), 1);
	open_sessions_remove_process(&processes[2].process);
	assert_int_equal(open_sessions_watched(sessions), 0);
}

/* ---- processes that take sessions by themselves, with messages under way ---- */

enum { LIMIT = 8, SHARE = LIMIT / 3, SLOTS = 64 };

enum word { WORD_ASK, WORD_ALL, WORD_OPENED, WORD_CLOSED, WORD_WATCH, WORD_END, WORD_YES, WORD_NO };

struct line {
	struct { enum word word; unsigned number; } words[SLOTS];
	unsigned first, count;
};

struct player {
	struct session_process *process;
	unsigned open, asked;
	unsigned given_up;		/* questions that are not answered yet, the oldest ones; their sessions are open */
	bool is_watched;
	struct line to_policy, to_smtpd;
};

static struct player players[3];

static void
put(struct line *line, enum word word, unsigned number)
{
	assert_true(line->count < SLOTS);
	line->words[(line->first + line->count) % SLOTS].word = word;
	line->words[(line->first + line->count++) % SLOTS].number = number;
}

static void
on_player_watch(void *owner, const char *address UNUSED, bool ends)
{
	put(&((struct player *)owner)->to_smtpd, ends ? WORD_END : WORD_WATCH, 0);
}

static bool
on_player_decide(void *owner, size_t count)
{
	put(&((struct player *)owner)->to_smtpd, count < LIMIT ? WORD_YES : WORD_NO, 0);
	return count < LIMIT;
}

static void
hear_at_policy(struct player *player)
{
	struct line *line = &player->to_policy;
	enum word word;
	unsigned number;

	if (line->count == 0)
		return;
	word = line->words[line->first].word;
	number = line->words[line->first].number;
	line->first = (line->first + 1) % SLOTS;
	line->count--;
	if (word == WORD_ASK)
		open_sessions_ask(player->process, CLIENT, player);
	else
		open_sessions_tell(player->process, CLIENT, word == WORD_ALL ? SESSIONS_ALL : word == WORD_OPENED ?
		    SESSIONS_OPENED : SESSIONS_CLOSED, number);
}

/* Whether a session was refused. */
static bool
hear_at_smtpd(struct player *player)
{
	struct line *line = &player->to_smtpd;
	enum word word;

	if (line->count == 0)
		return false;
	word = line->words[line->first].word;
	line->first = (line->first + 1) % SLOTS;
	line->count--;
	if (word == WORD_WATCH || word == WORD_END) {
		player->is_watched = word == WORD_WATCH;
		if (player->is_watched)
			put(&player->to_policy, WORD_ALL, player->open);
		return false;
	}
	if (player->given_up > 0) {
		player->given_up--;
		if (word == WORD_YES && player->is_watched)
			put(&player->to_policy, WORD_CLOSED, 1);
		return false;
	}
	player->asked--;
	player->open += word == WORD_YES;
	return word == WORD_NO;
}

/* Its oldest question waits no longer: the session is let in. */
static void
give_up(struct player *player)
{
	if (player->asked == 0)
		return;
	player->asked--;
	player->given_up++;
	player->open++;
	if (player->is_watched)
		put(&player->to_policy, WORD_OPENED, 1);
}

static void
come_or_go(struct player *player, bool comes)
{
	if (comes && player->open + player->asked >= LIMIT)
		return;
	if (comes && (player->is_watched || player->open + player->asked >= SHARE)) {
		player->asked++;
		put(&player->to_policy, WORD_ASK, 0);
	} else if (comes) {
		player->open++;
	} else if (player->open > 0) {
		player->open--;
		if (player->is_watched)
			put(&player->to_policy, WORD_CLOSED, 1);
	}
}

static unsigned
open_everywhere(void)
{
	return players[0].open + players[1].open + players[2].open;
}

static void
hear_everything(void)
{
	bool busy = true;

	while (busy) {
		busy = false;
		for (unsigned i = 0; i < 3; i++) {
			busy = busy || players[i].to_policy.count + players[i].to_smtpd.count > 0;
			hear_at_policy(&players[i]);
			hear_at_smtpd(&players[i]);
		}
	}
}

static void
the_limit_is_kept_whatever_is_under_way_and_nobody_is_refused_below_it(void **state)
{
	static const struct open_sessions_events events = { on_player_watch, on_player_decide };
	struct open_sessions *open = open_sessions_new(base, 0, &events);
	unsigned random = 7, refused = 0, most = 0, idle = 0;

	(void)state;
	memset(players, 0, sizeof(players));
	for (unsigned i = 0; i < 3; i++)
		players[i].process = open_sessions_add_process(open, &players[i]);
	for (unsigned step = 0; step < 300000; step++) {
		struct player *player;
		unsigned draw, tide = (step / 500) % 3;

		random = random * 1103515245 + 12345;
		draw = random >> 16;
		player = &players[draw % 3];
		if (draw / 3 % 8 < 3) {
			hear_at_policy(player);
		} else if (draw / 3 % 8 < 6) {
			refused += hear_at_smtpd(player);
		} else if (player->to_policy.count < SLOTS - 4) {
			come_or_go(player, (draw / 24) % 4 > tide);
		}
		if (open_everywhere() > most)
			most = open_everywhere();
		if (step % 500 == 499) {
			hear_everything();
			assert_int_equal(open_sessions_known(open, CLIENT), open_sessions_is_watched(open, CLIENT) ?
			    open_everywhere() : 0);
			idle += !open_sessions_is_watched(open, CLIENT);
			while (open_everywhere() < LIMIT) {
				unsigned before = open_everywhere();

				come_or_go(&players[step / 500 % 3], true);
				hear_everything();
				assert_int_equal(open_everywhere(), before + 1);
			}
			come_or_go(&players[(step / 500 + 1) % 3], true);
			hear_everything();
			assert_int_equal(open_everywhere(), LIMIT);
			while (step % 1000 == 999 && open_everywhere() > 0) {
				come_or_go(&players[draw++ % 3], false);
				hear_everything();
			}
		}
	}
	assert_int_equal(most, LIMIT);
	assert_true(refused > 100);
	assert_true(idle > 0);
	open_sessions_free(&open);
}

/* Each in turn stands still for a while, which is longer than anybody is waited for. */
static void
what_is_known_becomes_true_again_after_processes_stood_still(void **state)
{
	static const struct open_sessions_events events = { on_player_watch, on_player_decide };
	struct open_sessions *open = open_sessions_new(base, 0, &events);
	unsigned random = 7, refused = 0, most = 0, idle = 0, given_up = 0;

	(void)state;
	memset(players, 0, sizeof(players));
	for (unsigned i = 0; i < 3; i++)
		players[i].process = open_sessions_add_process(open, &players[i]);
	for (unsigned step = 0; step < 300000; step++) {
		struct player *player;
		unsigned draw;

		random = random * 1103515245 + 12345;
		draw = random >> 16;
		player = &players[draw % 3];
		if (draw % 97 == 0)
			time_passes();
		if (player == &players[step / 100 % 4 % 3] && step / 100 % 4 < 3)
			continue;
		if (draw / 3 % 16 < 6) {
			hear_at_policy(player);
		} else if (draw / 3 % 16 < 12) {
			refused += hear_at_smtpd(player);
		} else if (draw / 3 % 16 < 13) {
			given_up += player->asked > 0;
			give_up(player);
		} else if (player->to_policy.count < SLOTS / 2 && player->given_up < SLOTS / 4) {
			come_or_go(player, (draw / 48) % 4 > step / 500 % 3);
		}
		if (open_everywhere() > most)
			most = open_everywhere();
		if (step % 500 != 499)
			continue;
		hear_everything();
		assert_int_equal(open_sessions_known(open, CLIENT), open_sessions_is_watched(open, CLIENT) ? open_everywhere() : 0);
		idle += !open_sessions_is_watched(open, CLIENT);
		while (step % 1000 == 999 && open_everywhere() > 0) {
			come_or_go(&players[draw++ % 3], false);
			hear_everything();
		}
	}
	assert_true(most > LIMIT);
	assert_true(refused > 100);
	assert_true(given_up > 100);
	assert_true(idle > 0);
	open_sessions_free(&open);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
	const struct CMUnitTest tests[] = {
		CASE(a_question_waits_until_every_process_has_told),
		CASE(a_client_that_is_known_is_decided_at_once),
		CASE(the_watch_ends_with_the_last_session),
		CASE(a_watch_does_not_end_while_somebody_has_not_told),
		CASE(a_process_that_goes_takes_its_sessions_and_questions_with_it),
		CASE(a_process_that_came_later_is_asked_before_the_next_session),
		CASE(nobody_can_have_fewer_sessions_than_none),
		CASE(a_process_that_stands_still_is_not_waited_for_but_taken_in_when_it_tells),
		CASE(sessions_that_a_process_was_granted_before_it_told_come_on_top),
		CASE(what_a_process_says_before_it_tells_all_is_of_an_earlier_watch),
		CASE(a_watch_does_not_end_while_a_process_stands_still),
		CASE(the_limit_is_kept_whatever_is_under_way_and_nobody_is_refused_below_it),
		CASE(what_is_known_becomes_true_again_after_processes_stood_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
