/*
 * test_server - askers over real channels: before the first catalogue, across a reload, when the database cannot
 * be made
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/ipc/directory.h"
#include "directory/call_out_memory.h"
#include "directory/greylist.h"
#include "directory/server.h"

#define MEMBERS 30000

static struct document_person people[] = {
	{ .title = "Jane Doe/Sales/Acme", .at = { "people.conf", 1 }, .first_name = { .text = "" },
	    .last_name = { .text = "" },
		.internet_address = { .text = "jane@acme.com" }, .mail_server = { .text = "" },
		    .mail_file = { .text = "jdoe" },
		.forwarding_address = { .text = "" } },
	{ .title = "Late Comer/Acme", .at = { "people.conf", 9 }, .first_name = { .text = "" },
	    .last_name = { .text = "" },
		.internet_address = { .text = "late@acme.com" }, .mail_server = { .text = "" },
		    .mail_file = { .text = "late" },
		.forwarding_address = { .text = "" } },
};
static struct setting_item members[MEMBERS];
static struct document_group groups[] = {
	{ .title = "Everyone", .members = { .items = members, .count = MEMBERS },
	    .type = { .number = GROUP_TYPE_MAIL_ONLY },
		.internet_address = { .text = "" } },
};
static struct settings before = { .references = 1, .person_documents = people, .person_count = 1,
    .group_documents = groups,
	.group_count = 1 };
static struct settings after = { .references = 1, .person_documents = people, .person_count = 2,
    .group_documents = groups,
	.group_count = 1 };

struct asked {
	struct event_base *base;
	struct channel *channel;
	char name[100];
	size_t entries;
	size_t members;
	size_t answers;
	uint64_t id;
	enum directory_outcome outcome;
	uint32_t count;
	bool closed;
	struct greylist_answer attempt;
	uint8_t finding;
	char text[100];
};

static void
on_entry(void *context, struct channel *channel UNUSED, const struct directory_entry *message)
{
	struct asked *asked = context;

	asked->entries++;
	snprintf(asked->name, sizeof(asked->name), "%s %s", message->name, message->mail_file);
}

static void
on_member(void *context, struct channel *channel UNUSED, const struct directory_member *message)
{
	struct asked *asked = context;
	char expected[20];

	snprintf(expected, sizeof(expected), "member%zu", asked->members++);
	assert_string_equal(message->member, expected);
}

static void
on_answer(void *context, struct channel *channel UNUSED, const struct directory_answer *message)
{
	struct asked *asked = context;

	asked->answers++;
	asked->id = message->id;
	asked->outcome = (enum directory_outcome)message->outcome;
	asked->count = message->count;
}

static void
on_closed(void *context, struct channel *channel UNUSED, const char *reason UNUSED)
{
	((struct asked *)context)->closed = true;
}

static void
on_attempt(void *context, struct channel *channel UNUSED, const struct greylist_answer *message)
{
	struct asked *asked = context;

	asked->answers++;
	asked->attempt = *message;
}

static void
on_memory(void *context, struct channel *channel UNUSED, const struct call_out_memory *message)
{
	struct asked *asked = context;

	asked->answers++;
	asked->id = message->id;
	asked->finding = message->finding;
	snprintf(asked->text, sizeof(asked->text), "%s", message->text);
}

static const struct directory_handlers handlers = { .directory_entry = on_entry, .directory_member = on_member,
	.directory_answer = on_answer, .greylist_answer = on_attempt, .call_out_memory = on_memory };
static const struct channel_events events = { .closed = on_closed };

static void
introduce(struct asked *asked, struct directory_server *server, unsigned instance)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	asked->channel = channel_open(asked->base, pair[0], &directory_protocol, IPC_ASKS, &handlers, &events,
	    asked);
	directory_server_introduce(server, ROLE_SMTPD, instance, IPC_SERVES, pair[1]);
}

static void
ask(struct asked *asked, uint64_t id, enum directory_lookup_kind kind, const char *text)
{
	const struct directory_lookup message = { id, (uint8_t)kind, text };

	assert_true(send_directory_lookup(asked->channel, &message));
}

static void
wait_for_answers(struct asked *asked, size_t answers)
{
	for (int turns = 0; asked->answers < answers; turns++) {
		assert_true(turns < 100000);
		event_base_loop(asked->base, EVLOOP_ONCE);
	}
}

static void
wait_for_catalogue(struct asked *asked, struct directory_server *server)
{
	struct buffer lines = BUFFER_INITIALIZER(0);

	do {
		buffer_clear(&lines);
		event_base_loop(asked->base, EVLOOP_ONCE);
		directory_server_status(server, &lines);
	} while (strstr(buffer_text(&lines), "directory=ready") == NULL);
	buffer_free(&lines);
}

static char path[100];
static char greylist_path[100], call_outs_path[100];

static struct directory_server *
new_server(struct event_base *base, const char *database)
{
	return directory_server_new(base, database, greylist_new(base, greylist_path),
	    call_out_memories_new(base, call_outs_path));
}

static void
questions_wait_for_the_first_catalogue(void **state UNUSED)
{
	struct asked asked = { .base = event_base_new() };
	struct directory_server *server = new_server(asked.base, path);

	introduce(&asked, server, 0);
	ask(&asked, 77, DIRECTORY_INTERNET_ADDRESS, "jane@acme.com");
	for (int i = 0; i < 5; i++)
		event_base_loop(asked.base, EVLOOP_NONBLOCK);
	assert_int_equal(asked.answers, 0);
	directory_server_compile(server, &before);
	wait_for_answers(&asked, 1);
	assert_int_equal(asked.id, 77);
	assert_int_equal(asked.outcome, DIRECTORY_FOUND);
	assert_int_equal(asked.count, 1);
	assert_string_equal(asked.name, "Jane Doe/Sales/Acme jdoe");
	ask(&asked, 78, DIRECTORY_NAME, "Nobody");
	wait_for_answers(&asked, 2);
	assert_int_equal(asked.outcome, DIRECTORY_NONE);
	directory_server_free(&server);
	channel_free(&asked.channel);
	event_base_free(asked.base);
	assert_int_equal(before.references, 1);
}

static void
a_reload_answers_from_the_old_catalogue_until_the_new_one_is_complete(void **state UNUSED)
{
	struct asked asked = { .base = event_base_new() };
	struct directory_server *server = new_server(asked.base, path);

	introduce(&asked, server, 0);
	directory_server_compile(server, &before);
	wait_for_catalogue(&asked, server);
	ask(&asked, 1, DIRECTORY_NAME, "Late Comer");
	directory_server_compile(server, &after);
	wait_for_answers(&asked, 1);
	assert_int_equal(asked.outcome, DIRECTORY_NONE);
	wait_for_catalogue(&asked, server);
	ask(&asked, 2, DIRECTORY_NAME, "Late Comer");
	wait_for_answers(&asked, 2);
	assert_int_equal(asked.outcome, DIRECTORY_FOUND);
	directory_server_free(&server);
	channel_free(&asked.channel);
	event_base_free(asked.base);
	assert_int_equal(after.references, 1);
}

static void
a_large_group_is_told_in_order_and_in_full(void **state UNUSED)
{
	struct asked asked = { .base = event_base_new() };
	struct directory_server *server = new_server(asked.base, path);

	introduce(&asked, server, 0);
	directory_server_compile(server, &before);
	ask(&asked, 5, DIRECTORY_GROUP_MEMBERS, "everyone");
	ask(&asked, 6, DIRECTORY_GROUP_MEMBERS, "nobody");
	wait_for_answers(&asked, 2);
	assert_int_equal(asked.members, MEMBERS);
	directory_server_free(&server);
	channel_free(&asked.channel);
	event_base_free(asked.base);
}

static void
a_restarted_asker_takes_its_predecessors_place(void **state UNUSED)
{
	struct asked old = { .base = event_base_new() }, new = { .base = old.base };
	struct directory_server *server = new_server(old.base, path);

	introduce(&old, server, 3);
	ask(&old, 1, DIRECTORY_NAME, "Jane Doe");
	introduce(&new, server, 3);
	ask(&new, 2, DIRECTORY_NAME, "Jane Doe");
	directory_server_compile(server, &before);
	wait_for_answers(&new, 1);
	assert_int_equal(new.outcome, DIRECTORY_FOUND);
	while (!old.closed)
		event_base_loop(old.base, EVLOOP_ONCE);
	assert_int_equal(old.answers, 0);
	directory_server_free(&server);
	channel_free(&old.channel);
	channel_free(&new.channel);
	event_base_free(old.base);
}

static void
an_asker_that_dies_with_questions_open_leaves_nothing_behind(void **state UNUSED)
{
	struct asked asked = { .base = event_base_new() };
	struct directory_server *server = new_server(asked.base, path);

	introduce(&asked, server, 0);
	directory_server_compile(server, &before);
	ask(&asked, 5, DIRECTORY_GROUP_MEMBERS, "everyone");
	while (asked.members == 0)
		event_base_loop(asked.base, EVLOOP_ONCE);
	channel_free(&asked.channel);
	for (int i = 0; i < 100; i++)
		event_base_loop(asked.base, EVLOOP_NONBLOCK);
	directory_server_free(&server);
	event_base_free(asked.base);
}

static void
without_a_database_the_first_questions_wait_and_a_reload_keeps_the_old_answers(void **state UNUSED)
{
	struct asked asked = { .base = event_base_new() };
	struct directory_server *server = new_server(asked.base, "/nowhere/at/all/directory.db");
	struct buffer lines = BUFFER_INITIALIZER(0);

	introduce(&asked, server, 0);
	directory_server_compile(server, &before);
	ask(&asked, 1, DIRECTORY_NAME, "Jane Doe");
	for (int i = 0; i < 20; i++)
		event_base_loop(asked.base, EVLOOP_NONBLOCK);
	assert_int_equal(asked.answers, 0);
	directory_server_status(server, &lines);
	assert_non_null(strstr(buffer_text(&lines), "directory=unavailable"));
	buffer_free(&lines);
	directory_server_free(&server);
	channel_free(&asked.channel);
	event_base_free(asked.base);
}

/* Before the first catalogue, too: they have nothing to do with it. */
static void
strangers_are_remembered_from_the_start(void **state UNUSED)
{
	struct asked asked = { .base = event_base_new() };
	struct directory_server *server = new_server(asked.base, path);
	struct greylist_question attempt = { .id = 5, .network = "192.0.2.0/24", .sender = "a@b.example",
		.recipient = "jane@acme.com" };

	before.configuration.greylist_delay.number = 300;
	before.configuration.greylist_window.number = 3600;
	before.configuration.call_out_negative_lifetime.number = 3600;
	introduce(&asked, server, 0);
	directory_server_compile(server, &before);
	send_greylist_question(asked.channel, &attempt);
	while (asked.answers < 1)
		event_base_loop(asked.base, EVLOOP_ONCE);
	assert_int_equal(asked.attempt.id, 5);
	assert_int_equal(asked.attempt.known, 0);
	assert_int_equal(asked.attempt.seconds, 300);
	send_call_out_report(asked.channel, &(struct call_out_report){ "x@acme.com", 0, "550 no" });
	send_call_out_recall(asked.channel, &(struct call_out_recall){ 6, "x@acme.com" });
	while (asked.answers < 2)
		event_base_loop(asked.base, EVLOOP_ONCE);
	assert_int_equal(asked.id, 6);
	assert_int_equal(asked.finding, CALL_OUT_MEMORY_REFUSED);
	assert_string_equal(asked.text, "550 no");
	directory_server_free(&server);
	channel_free(&asked.channel);
	event_base_free(asked.base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_wait_for_the_first_catalogue),
		cmocka_unit_test(a_reload_answers_from_the_old_catalogue_until_the_new_one_is_complete),
		cmocka_unit_test(a_large_group_is_told_in_order_and_in_full),
		cmocka_unit_test(a_restarted_asker_takes_its_predecessors_place),
		cmocka_unit_test(an_asker_that_dies_with_questions_open_leaves_nothing_behind),
		cmocka_unit_test(strangers_are_remembered_from_the_start),
		cmocka_unit_test(without_a_database_the_first_questions_wait_and_a_reload_keeps_the_old_answers),
	};
	char folder[] = "/tmp/test_server.XXXXXX";
	static char names[MEMBERS][20];
	int result;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/directory.db", folder);
	snprintf(greylist_path, sizeof(greylist_path), "%s/greylist", folder);
	snprintf(call_outs_path, sizeof(call_outs_path), "%s/call-outs", folder);
	for (size_t i = 0; i < MEMBERS; i++) {
		snprintf(names[i], sizeof(names[i]), "member%zu", i);
		members[i].text = names[i];
	}
	result = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(greylist_path);
	unlink(call_outs_path);
	rmdir(folder);
	return result;
}
