/*
 * test_session - the dialogues of tests/unit/smtpd/dialogues, and random walks against a model
 *
 * A dialogue file:
 *	# comment
 *	! KEY VALUE          a setting, before the client connects
 *	C: LINE              the client sends the line and CRLF; lines in a row go in one segment
 *	c: TEXT              the same without CRLF
 *	C*N: LINE            N times
 *	S: LINE              the reply that comes next; * stands for any text
 *	S*N: LINE            N such replies
 *	= stored N           messages stored so far
 *	= text TEXT          the content stored last, behind our Received field
 *	= to ADDRESS...      its recipients
 *	= closed             the session has closed
 *	@ stored|temporary|permanent      what qmgr answers from now on
 *	@ nobody             no body files from now on
 *	@ errno N            writing into a body file fails
 *	@ name NAME          the client's address has this name, and it leads back
 *	@ unconfirmed NAME   it does not lead back
 *	@ listed N ADDRESS   zone N of all white- and blacklists has the client; the others do not
 *	@ unlisted N         that zone is silent
 *	@ sender missing|silent      the sender's domain
 *	@ rate KEY           the client exceeds this rate; "none": it does not any more
 *	@ early              the client speaks before its greeting
 *	@ silent             nobody answers any question any more
 * In TEXT and in the client's lines \r \n \t \0 \\ and \xHH are octets. Each dialogue runs twice: as it stands,
 * and with every octet in a segment of its own.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include "fixture.h"

static void
unescape(const char *text, struct buffer *out)
{
	for (; *text != '\0'; text++) {
		unsigned octet;

		if (*text != '\\') {
			buffer_append_byte(out, *text);
			continue;
		}
		switch (*++text) {
		case 'r': buffer_append_byte(out, '\r'); break;
		case 'n': buffer_append_byte(out, '\n'); break;
		case 't': buffer_append_byte(out, '\t'); break;
		case '0': buffer_append_byte(out, '\0'); break;
		case 'x':
			if (sscanf(text + 1, "%2x", &octet) != 1)
				fail_msg("bad escape at %s", text);
			buffer_append_byte(out, (char)octet);
			text += 2;
			break;
		default: buffer_append_byte(out, *text);
		}
	}
}

/* Text against a pattern in which * is any text. */
static bool
matches(const char *pattern, const char *text)
{
	for (; *pattern != '*'; pattern++, text++) {
		if (*pattern != *text)
			return false;
		if (*pattern == '\0')
			return true;
	}
	for (; ; text++) {
		if (matches(pattern + 1, text))
			return true;
		if (*text == '\0')
			return false;
	}
}

struct player {
	struct fixture fixture;
	const char *name;
	unsigned line;
	bool by_octets;
	struct buffer segment;		/* what the client is about to send */
	char *replies;			/* not yet expected */
	char *next;
};

/* Sends the client's lines so far. */
static void
send_segment(struct player *player)
{
	if (player->fixture.session == NULL)
		fixture_open(&player->fixture);
	if (player->by_octets)
		for (size_t i = 0; i < player->segment.length; i++)
			fixture_send(&player->fixture, player->segment.data + i, 1);
	else
		fixture_send(&player->fixture, buffer_text(&player->segment), player->segment.length);
	buffer_clear(&player->segment);
}

/* The next reply line, checked for what every reply must be. */
static const char *
next_reply(struct player *player)
{
	char *line, *end;

	send_segment(player);
	if (player->next == NULL || *player->next == '\0') {
		free(player->replies);
		player->next = player->replies = fixture_replies(&player->fixture);
	}
	line = player->next;
	if (*line == '\0')
		fail_msg("%s:%u: no reply", player->name, player->line);
	end = strstr(line, "\r\n");
	assert_non_null(end);
	assert_true(end - line <= 510);
	for (const char *octet = line; octet < end; octet++)
		assert_true((unsigned char)*octet >= ' ' && *octet != 0x7f);
	*end = '\0';
	player->next = end + 2;
	return line;
}

static void
expect_silence(struct player *player)
{
	send_segment(player);
	if (player->next != NULL && *player->next != '\0')
		fail_msg("%s:%u: unexpected reply %s", player->name, player->line, player->next);
	free(player->replies);
	player->next = player->replies = fixture_replies(&player->fixture);
	if (*player->next != '\0')
		fail_msg("%s:%u: unexpected reply %s", player->name, player->line, player->next);
}

static void
expect_recipients(struct player *player, const char *argument)
{
	struct buffer to = BUFFER_INITIALIZER(0);

	for (size_t i = 0; i < player->fixture.envelope.recipient_count; i++)
		buffer_printf(&to, "%s%s", i > 0 ? " " : "", player->fixture.envelope.recipients[i].address);
	assert_string_equal(buffer_text(&to), argument);
	buffer_free(&to);
}

static void
play_check(struct player *player, const char *check)
{
	struct fixture *fixture = &player->fixture;
	struct buffer text = BUFFER_INITIALIZER(0);
	unsigned number;

	expect_silence(player);
	if (sscanf(check, "stored %u", &number) == 1) {
		if (fixture->stored != number)
			fail_msg("%s:%u: %u messages stored", player->name, player->line, fixture->stored);
	} else if (strncmp(check, "text ", 5) == 0) {
		unescape(check + 5, &text);
		assert_string_equal(fixture_stored_text(fixture), buffer_text(&text));
	} else if (strncmp(check, "to ", 3) == 0) {
		expect_recipients(player, check + 3);
	} else if (strcmp(check, "closed") == 0) {
		assert_int_equal(fixture->session->wait, SESSION_WAITS_FOR_CLOSE);
	} else {
		fail_msg("%s:%u: unknown check", player->name, player->line);
	}
	buffer_free(&text);
}

/* What the others say of the client and its mail. False when it is none of that. */
static bool
play_fact(struct fixture *fixture, const char *what)
{
	static char rate[64];
	char word[64] = "";
	unsigned number;

	if (sscanf(what, "name %63s", word) == 1)
		fixture_name_client(fixture, word, true);
	else if (sscanf(what, "unconfirmed %63s", word) == 1)
		fixture_name_client(fixture, word, false);
	else if (sscanf(what, "listed %u %63s", &number, word) == 2)
		fixture_list_client(fixture, number, word);
	else if (sscanf(what, "unlisted %u", &number) == 1)
		fixture_list_client(fixture, number, NULL);
	else if (sscanf(what, "rate %63s", rate) == 1)
		fixture->rate_rule = strcmp(rate, "none") == 0 ? NULL : rate;
	else if (strcmp(what, "early") == 0)
		fixture->speaks_early = true;
	else if (strcmp(what, "sender missing") == 0)
		fixture->sender_domain = SENDER_DOMAIN_MISSING;
	else if (strcmp(what, "sender silent") == 0)
		fixture->sender_domain = SENDER_DOMAIN_NO_ANSWER;
	else if (strcmp(what, "silent") == 0)
		fixture->is_silent = true;
	else
		return false;
	return true;
}

static void
play_peer(struct player *player, const char *what)
{
	struct fixture *fixture = &player->fixture;

	if (fixture->session != NULL)
		expect_silence(player);
	if (play_fact(fixture, what))
		return;
	if (strcmp(what, "stored") == 0)
		fixture->outcome = DEPOSIT_STORED;
	else if (strcmp(what, "temporary") == 0)
		fixture->outcome = DEPOSIT_TEMPORARY;
	else if (strcmp(what, "permanent") == 0)
		fixture->outcome = DEPOSIT_PERMANENT;
	else if (strcmp(what, "nobody") == 0)
		fixture->body_outcome = DEPOSIT_TEMPORARY;
	else if (sscanf(what, "errno %d", &fixture->write_error) != 1)
		fail_msg("%s:%u: unknown peer", player->name, player->line);
}

static void
play_line(struct player *player, char *line)
{
	char key[64], value[512], *text = strchr(line, ':');
	unsigned times = 1;

	if (line[0] == '\0' || line[0] == '#')
		return;
	if (line[0] == '!') {
		if (sscanf(line, "! %63s %511[^\n]", key, value) != 2 || !fixture_set(&player->fixture, key, value))
			fail_msg("%s:%u: no such setting", player->name, player->line);
		return;
	}
	if (line[0] == '=' || line[0] == '@') {
		(line[0] == '=' ? play_check : play_peer)(player, line + 2);
		return;
	}
	assert_non_null(text);
	sscanf(line + 1, "*%u", &times);
	text += text[1] == ' ' ? 2 : 1;
	while (times-- > 0) {
		if (line[0] == 'S') {
			const char *reply = next_reply(player);

			if (!matches(text, reply))
				fail_msg("%s:%u: got \"%s\", expected \"%s\"", player->name, player->line, reply, text);
		} else {
			unescape(text, &player->segment);
			if (line[0] == 'C')
				buffer_append_string(&player->segment, "\r\n");
		}
	}
}

static void
play(const char *path, bool by_octets)
{
	struct player player = { .name = path, .by_octets = by_octets };
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	assert_non_null(file);
	fixture_start(&player.fixture);
	while ((length = getline(&line, &room, file)) > 0) {
		player.line++;
		line[strcspn(line, "\n")] = '\0';
		play_line(&player, line);
	}
	expect_silence(&player);
	assert_true(player.line > 0);
	free(line);
	free(player.replies);
	buffer_free(&player.segment);
	fclose(file);
	fixture_end(&player.fixture);
}

static void
dialogues_go_as_written(void **state)
{
	glob_t found;

	(void)state;
	assert_int_equal(glob("tests/unit/smtpd/dialogues/*.smtp", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		play(found.gl_pathv[i], false);
		play(found.gl_pathv[i], true);
	}
	globfree(&found);
}

/* ---- random walks (hostile-inputs row 36) ---- */

/* What a client may expect, kept apart from the code that decides it. */
struct model {
	bool greeted;
	bool mail;
	unsigned recipients;
	bool chunks;
	unsigned messages;
};

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void
forget(struct model *model)
{
	model->mail = false;
	model->recipients = 0;
	model->chunks = false;
}

struct step {
	const char *text;
	/* The reply's first digit that the model expects, having changed. */
	char (*expect)(struct model *model);
};

static char
step_ehlo(struct model *model)
{
	forget(model);
	model->greeted = true;
	return '2';
}

static char
step_mail(struct model *model)
{
	if (!model->greeted || model->mail)
		return '5';
	model->mail = true;
	return '2';
}

static char
step_bad(struct model *model)
{
	(void)model;
	return '5';
}

static char
step_rcpt(struct model *model)
{
	if (!model->mail || model->chunks)
		return '5';
	model->recipients++;
	return '2';
}

static char
step_rcpt_away(struct model *model)
{
	return model->mail && !model->chunks ? '4' : '5';
}

static char
step_data(struct model *model)
{
	if (!model->mail || model->recipients == 0 || model->chunks)
		return '5';
	model->messages++;
	forget(model);
	return '3';
}

static char
step_chunk(struct model *model)
{
	if (!model->mail || model->recipients == 0) {
		forget(model);
		return '5';
	}
	model->chunks = true;
	return '2';
}

static char
step_last_chunk(struct model *model)
{
	char expected = step_chunk(model);

	if (expected == '2')
		model->messages++;
	forget(model);
	return expected;
}

static char
step_bad_chunk(struct model *model)
{
	bool allowed = model->mail && model->recipients > 0;

	(void)allowed;
	forget(model);
	return '5';
}

static char
step_rset(struct model *model)
{
	forget(model);
	return '2';
}

static char
step_ok(struct model *model)
{
	(void)model;
	return '2';
}

static const struct step steps[] = {
	{ "EHLO client.example\r\n", step_ehlo },
	{ "HELO client.example\r\n", step_ehlo },
	{ "EHLO\r\n", step_bad },
	{ "MAIL FROM:<s@theirs.example>\r\n", step_mail },
	{ "MAIL FROM:<>\r\n", step_mail },
	{ "MAIL FROM:<s@theirs.example\r\n", step_bad },
	{ "MAIL FROM:<s@theirs.example> SIZE=x\r\n", step_bad },
	{ "MAIL FROM:<s@theirs.example> SIZE=99999999999\r\n", step_bad },
	{ "MAIL FROM:<\xc3\xa4@theirs.example>\r\n", step_bad },
	{ "RCPT TO:<alice@ours.example>\r\n", step_rcpt },
	{ "RCPT TO:<user1@alias.example>\r\n", step_rcpt },
	{ "RCPT TO:<nobody@ours.example>\r\n", step_bad },
	{ "RCPT TO:<x@theirs.example>\r\n", step_bad },
	{ "RCPT TO:<away@ours.example>\r\n", step_rcpt_away },
	{ "DATA\r\n", step_data },
	{ "DATA x\r\n", step_bad },
	{ "BDAT 4\r\nab\r\n", step_chunk },
	{ "BDAT 4 LAST\r\ncd\r\n", step_last_chunk },
	{ "BDAT 3\r\na\nb", step_bad_chunk },
	{ "RSET\r\n", step_rset },
	{ "NOOP\r\n", step_ok },
	{ "HELP\r\n", step_ok },
	{ "VRFY \xc3\xa4\r\n", step_bad },
	{ "WIZ\r\n", step_bad },
	{ "NO\rOP\r\n", step_bad },
};

/* The first digit of the last reply line. */
static char
last_reply_digit(struct fixture *fixture)
{
	char *replies = fixture_replies(fixture), *line = replies, *end, digit = '\0';

	while ((end = strstr(line, "\r\n")) != NULL) {
		digit = *line;
		line = end + 2;
	}
	free(replies);
	return digit;
}

static void
walk(uint64_t seed)
{
	static const char *const messages[] = { "Subject: x\r\n\r\nhello\r\n.\r\n", "a\nb\r\n.\r\n", "a\r\n\0c\r\n.\r\n" };
	static const size_t lengths[] = { 24, 8, 10 };
	struct fixture fixture;
	struct model model = { .greeted = false };
	char opened;

	fixture_start(&fixture);
	assert_true(fixture_set(&fixture, "smtp_error_limit", "0"));
	fixture_open(&fixture);
	last_reply_digit(&fixture);
	for (unsigned i = 0; i < 400; i++) {
		const struct step *step = &steps[next_random(&seed) % ARRAY_COUNT(steps)];
		char expected = step->expect(&model), got;

		fixture.outcome = next_random(&seed) % 4 == 0 ? DEPOSIT_TEMPORARY : DEPOSIT_STORED;
		opened = 0;
		fixture_say(&fixture, step->text);
		got = last_reply_digit(&fixture);
		if (step->expect == step_data && got == '3') {
			size_t message = next_random(&seed) % ARRAY_COUNT(messages);

			fixture_send(&fixture, messages[message], lengths[message]);
			opened = last_reply_digit(&fixture);
			if (message != 0 || fixture.outcome != DEPOSIT_STORED)
				model.messages--;
			assert_int_equal(opened, message != 0 ? '5' : fixture.outcome == DEPOSIT_STORED ? '2' : '4');
		}
		if (step->expect == step_last_chunk && expected == '2' && fixture.outcome != DEPOSIT_STORED) {
			model.messages--;
			expected = '4';
		}
		if (got != expected)
			fail_msg("step %u %s: got %c, expected %c", i, step->text, got, expected);
		assert_int_equal(fixture.stored, model.messages);
		if (fixture.session->wait == SESSION_WAITS_FOR_CLOSE)
			break;
	}
	fixture_end(&fixture);
}

static void
no_walk_leaves_anything_over(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++)
		walk(seed * UINT64_C(0x9e3779b97f4a7c15));
}

/* ---- what dialogues cannot say ---- */

static void
a_silent_client_reads_421(void **state)
{
	struct fixture fixture;
	char *replies;

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	free(fixture_replies(&fixture));
	session_expired(fixture.session);
	replies = fixture_replies(&fixture);
	assert_memory_equal(replies, "421 4.4.2 ", 10);
	assert_int_equal(fixture.session->wait, SESSION_WAITS_FOR_CLOSE);
	free(replies);
	fixture_end(&fixture);
}

static void
a_service_that_stops_waits_for_the_transaction(void **state)
{
	struct fixture fixture;
	char *replies;

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\n");
	session_drain(fixture.session);
	free(fixture_replies(&fixture));
	fixture_say(&fixture, "Subject: x\r\n\r\nx\r\n.\r\n");
	replies = fixture_replies(&fixture);
	assert_memory_equal(replies, "250 2.0.0 ", 10);
	assert_non_null(strstr(replies, "\r\n421 4.3.2 "));
	assert_int_equal(fixture.stored, 1);
	free(replies);
	fixture_end(&fixture);
}

static void
a_lost_body_file_becomes_451(void **state)
{
	struct fixture fixture;
	char block[32768], *replies;

	(void)state;
	memset(block, 'x', sizeof(block));
	fixture_start(&fixture);
	assert_true(fixture_set(&fixture, "inline_body_limit", "4096"));
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\nSubject: s\r\n\r\n");
	fixture_send(&fixture, block, sizeof(block));
	free(fixture_replies(&fixture));
	assert_int_equal(fixture.body_files, 1);
	receive_body_lost(fixture.session);
	fixture_say(&fixture, "\r\n.\r\n");
	replies = fixture_replies(&fixture);
	assert_memory_equal(replies, "451 4.3.0 ", 10);
	assert_int_equal(fixture.stored, 0);
	free(replies);
	fixture_end(&fixture);
}

static void
large_content_goes_through_a_body_file_byte_for_byte(void **state)
{
	struct fixture fixture;
	struct buffer sent = BUFFER_INITIALIZER(0);

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	for (unsigned i = 0; i < 40000; i++)
		buffer_printf(&sent, "line %u of a large message\r\n", i);
	fixture_say(&fixture, "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\n");
	fixture_send(&fixture, sent.data, sent.length);
	fixture_say(&fixture, ".\r\n");
	assert_int_equal(fixture.stored, 1);
	assert_int_equal(fixture.body_files, 1);
	assert_string_equal(fixture_stored_text(&fixture), sent.data);
	assert_int_equal(fixture.shared.content_octets, 0);
	buffer_free(&sent);
	fixture_end(&fixture);
}

static void
memory_pressure_moves_small_content_into_files_and_then_refuses(void **state)
{
	struct fixture fixture;
	char block[16384], *replies;

	(void)state;
	memset(block, 'x', sizeof(block));
	fixture_start(&fixture);
	fixture_open(&fixture);
	fixture.shared.content_octets = fixture.shared.content_limit;
	fixture_say(&fixture, "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\n");
	fixture_send(&fixture, block, sizeof(block));
	fixture_say(&fixture, "\r\n.\r\n");
	assert_int_equal(fixture.stored, 1);
	assert_int_equal(fixture.body_files, 1);
	free(fixture_replies(&fixture));
	fixture.shared.content_octets = fixture.shared.content_limit * 2;
	fixture_say(&fixture, "MAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\n");
	replies = fixture_replies(&fixture);
	assert_non_null(strstr(replies, "\r\n452 4.3.1 "));
	free(replies);
	fixture_end(&fixture);
}

static void
without_qmgr_no_transaction_begins(void **state)
{
	struct fixture fixture;
	char *replies;

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO c.example\r\n");
	free(fixture_replies(&fixture));
	fixture.shared.connected = false;
	fixture_say(&fixture, "MAIL FROM:<>\r\n");
	replies = fixture_replies(&fixture);
	assert_memory_equal(replies, "451 4.3.0 ", 10);
	free(replies);
	fixture.shared.connected = true;
	fixture.shared.accepting = false;
	strcpy(fixture.shared.why_not, "Insufficient system storage");
	fixture_say(&fixture, "MAIL FROM:<>\r\n");
	replies = fixture_replies(&fixture);
	assert_string_equal(replies, "452 4.3.1 Insufficient system storage\r\n");
	free(replies);
	fixture_end(&fixture);
}

static void
the_greeting_may_be_the_administrators(void **state)
{
	struct fixture fixture;
	char *replies;

	(void)state;
	fixture_start(&fixture);
	assert_true(fixture_set(&fixture, "smtp_greeting", "ready %s or not"));
	fixture_open(&fixture);
	replies = fixture_replies(&fixture);
	assert_memory_equal(replies, "220 hub.ours.example ready ", 27);
	assert_non_null(strstr(replies, " or not\r\n"));
	free(replies);
	fixture_end(&fixture);
}

static void
rset_and_ehlo_give_back_what_the_transaction_held(void **state)
{
	static const char *const ends[] = { "RSET\r\n", "EHLO c.example\r\n" };
	char chunk[20000];

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
		struct fixture fixture;

		fixture_start(&fixture);
		fixture_open(&fixture);
		fixture_say(&fixture, "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nBDAT 20000\r\n");
		fixture_send(&fixture, chunk, sizeof(chunk));
		assert_true(fixture.shared.content_octets >= sizeof(chunk));
		fixture_say(&fixture, ends[i]);
		assert_null(fixture.session->transaction);
		assert_int_equal(fixture.shared.content_octets, 0);
		fixture_end(&fixture);
	}
}

static void
commands_are_not_read_while_replies_wait(void **state)
{
	struct fixture fixture;
	char commands[6 * 1000];
	size_t taken = 0, count;

	(void)state;
	for (size_t i = 0; i < sizeof(commands); i += 6)
		memcpy(commands + i, "HELP\r\n", 6);
	fixture_start(&fixture);
	fixture_open(&fixture);
	while ((count = session_input(fixture.session, commands + taken, sizeof(commands) - taken)) > 0)
		taken += count;
	assert_true(taken < sizeof(commands));
	assert_in_range(fixture.session->output.length, SESSION_OUTPUT_HIGH, SESSION_OUTPUT_HIGH + REPLY_LINE_MAX);
	fixture_end(&fixture);
}

static void
a_local_user_may_relay_and_is_named_in_received(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_start(&fixture);
	fixture.client = (struct session_client){ .is_local_user = true, .user_id = 1000, .address = "local" };
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO localhost\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@far.example>\r\nDATA\r\nhi\r\n.\r\n");
	assert_int_equal(fixture.stored, 1);
	assert_memory_equal(fixture.content.data, "Received: by hub.ours.example (Matador ", 39);
	assert_non_null(strstr(fixture.content.data, ", from user id 1000)\r\n\tid "));
	assert_string_equal(fixture.envelope.user, "uid:1000");
	assert_string_equal(fixture.envelope.protocol, "LOCAL");
	fixture_end(&fixture);
}

static void
hostile_helo_stays_inside_one_received_field(void **state)
{
	struct fixture fixture;
	const char *text, *end;

	(void)state;
	fixture_start(&fixture);
	fixture_open(&fixture);
	fixture_say(&fixture, "EHLO a(b);<c>\"\\%n[$(x)`\r\nMAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nDATA\r\nx\r\n.\r\n");
	assert_int_equal(fixture.stored, 1);
	text = fixture.content.data;
	assert_memory_equal(text, "Received: from a?b???c????n???x?? ([192.0.2.7])\r\n\tby hub.ours.example (Matador ", 72);
	end = strstr(text, "for <alice@ours.example>;\r\n\t");
	assert_non_null(end);
	fixture_end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues_go_as_written),
		cmocka_unit_test(no_walk_leaves_anything_over),
		cmocka_unit_test(a_silent_client_reads_421),
		cmocka_unit_test(a_service_that_stops_waits_for_the_transaction),
		cmocka_unit_test(a_lost_body_file_becomes_451),
		cmocka_unit_test(large_content_goes_through_a_body_file_byte_for_byte),
		cmocka_unit_test(memory_pressure_moves_small_content_into_files_and_then_refuses),
		cmocka_unit_test(without_qmgr_no_transaction_begins),
		cmocka_unit_test(the_greeting_may_be_the_administrators),
		cmocka_unit_test(rset_and_ehlo_give_back_what_the_transaction_held),
		cmocka_unit_test(commands_are_not_read_while_replies_wait),
		cmocka_unit_test(a_local_user_may_relay_and_is_named_in_received),
		cmocka_unit_test(hostile_helo_stays_inside_one_received_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
