/* server - see server.h */
#include "directory/server.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/ipc/directory.h"
#include "common/log/log.h"
#include "directory/call_out_memory.h"
#include "directory/compile.h"
#include "directory/greylist.h"
#include "directory/lookup.h"

#define SLICE 300		/* documents compiled before the questions have their turn: a few milliseconds */
#define RETRY_AFTER_MS 10000	/* when the database could not be made, the disk being full perhaps */
#define QUEUED_MAX 262144	/* octets waiting in a channel while a group is told */

/* A question from before the first catalogue. */
struct waiting {
	TAILQ_ENTRY(waiting) entries;
	uint64_t id;
	enum directory_lookup_kind kind;
	char text[];
};
TAILQ_HEAD(waiting_list, waiting);

/* A group that is being told. */
struct telling {
	TAILQ_ENTRY(telling) entries;
	struct catalogue *catalogue;	/* held: the one that it began with */
	uint64_t id;
	uint32_t group;
	uint32_t next;
};
TAILQ_HEAD(telling_list, telling);

struct asker {
	TAILQ_ENTRY(asker) entries;
	struct directory_server *server;
	struct channel *channel;
	enum role role;
	unsigned instance;
	struct waiting_list waiting;
	struct telling_list telling;
};
TAILQ_HEAD(asker_list, asker);

struct directory_server {
	struct event_base *base;
	char *path;
	const struct settings *settings;	/* held: what is in force or in the making */
	struct catalogue *catalogue;		/* NULL: none is in force */
	struct compilation *compilation;	/* NULL: none is in the making */
	struct compile_counts counts;		/* of the catalogue in force */
	int64_t began_ms;
	struct event timer;			/* the next slice, or the next attempt */
	bool ever_answered;			/* the first catalogue was there: questions wait no more */
	struct greylist *greylist;		/* owned */
	struct call_out_memories *call_outs;	/* owned */
	struct asker_list askers;
};

static void answer_waiting(struct directory_server *server);

static void
schedule(struct directory_server *server, int64_t milliseconds)
{
	struct timeval wait = { milliseconds / 1000, (milliseconds % 1000) * 1000 };

	event_add(&server->timer, &wait);
}

/* The catalogue in force is of no use any more, or the one in the making never will be: begin again. */
static void
fail(struct directory_server *server, const struct error *error, int64_t retry_after_ms)
{
	log_event(LOG_DIRECTORY_FAILED, error->text);
	compile_free(&server->compilation);
	schedule(server, retry_after_ms);
}

static void
put_in_force(struct directory_server *server)
{
	catalogue_release(&server->catalogue);
	server->catalogue = compile_take(server->compilation, &server->counts);
	compile_free(&server->compilation);
	server->ever_answered = true;
	log_event(LOG_DIRECTORY_LOADED, log_number((int64_t)server->counts.people),
	    log_number((int64_t)server->counts.groups), log_number((int64_t)server->counts.mail_in),
	    log_seconds(clock_monotonic_ms() - server->began_ms));
	answer_waiting(server);
}

static void
compile_slice(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct directory_server *server = context;
	struct error error = ERROR_INITIALIZER;
	int result;

	if (server->compilation == NULL) {
		server->began_ms = clock_monotonic_ms();
		server->compilation = compile_begin(server->settings, server->path, &error);
		if (server->compilation == NULL) {
			fail(server, &error, RETRY_AFTER_MS);
			return;
		}
	}
	result = compile_continue(server->compilation, SLICE, &error);
	if (result < 0)
		fail(server, &error, RETRY_AFTER_MS);
	else if (result == 0)
		schedule(server, 0);
	else
		put_in_force(server);
}

struct directory_server *
directory_server_new(struct event_base *base, const char *path, struct greylist *greylist,
    struct call_out_memories *call_outs)
{
	struct directory_server *server = memory_new(1, sizeof(*server));

	server->base = base;
	server->path = memory_copy_string(path);
	server->greylist = greylist;
	server->call_outs = call_outs;
	TAILQ_INIT(&server->askers);
	event_assign(&server->timer, base, -1, 0, compile_slice, server);
	return server;
}

void
directory_server_compile(struct directory_server *server, const struct settings *settings)
{
	const struct settings *held = settings_hold(settings);

	compile_free(&server->compilation);
	settings_release(&server->settings);
	server->settings = held;
	greylist_use_settings(server->greylist, &held->configuration);
	call_out_memories_use_settings(server->call_outs, &held->configuration);
	schedule(server, 0);
}

static void
answer(struct asker *asker, uint64_t id, enum directory_outcome outcome, size_t count)
{
	const struct directory_answer message = { .id = id, .outcome = (uint8_t)outcome, .count = (uint32_t)count };

	send_directory_answer(asker->channel, &message);
}

struct entry_target {
	struct asker *asker;
	uint64_t id;
};

static void
send_entry(void *context, const struct document *document)
{
	const struct entry_target *target = context;
	const struct directory_entry message = { .id = target->id, .kind = (uint8_t)document->kind,
	    .name = document->name,
		.mail_server = document->mail_server, .mail_file = document->mail_file,
		.forwarding_address = document->forwarding_address, .internet_address = document->internet_address,
		.file = document->file, .line = document->line };

	send_directory_entry(target->asker->channel, &message);
}

/* The catalogue failed in the middle of an answer: it is thrown away, and compiled again at once. */
static void
throw_away(struct directory_server *server, const struct error *error)
{
	catalogue_release(&server->catalogue);
	fail(server, error, 0);
}

/* Tells members while the asker reads. The channel's ready event goes on. */
static void
tell_members(struct asker *asker)
{
	struct telling *telling;

	while ((telling = TAILQ_FIRST(&asker->telling)) != NULL) {
		struct error error = ERROR_INITIALIZER;
		const char *member;
		bool told = true;
		int result = 1;

		while (result == 1 && told && channel_queued(asker->channel) < QUEUED_MAX) {
			result = catalogue_get_member(telling->catalogue, telling->group, telling->next, &member,
			    &error);
			if (result == 1) {
				const struct directory_member message = { telling->id, member };

				told = send_directory_member(asker->channel, &message);
				telling->next += told;
			}
		}
		/* An asker that reads no more is not worth the rest of the group. */
		if (result == 1 && told)
			return;
		answer(asker, telling->id, result == 0 ? DIRECTORY_FOUND : DIRECTORY_UNAVAILABLE, telling->next);
		if (result < 0 && telling->catalogue == asker->server->catalogue)
			throw_away(asker->server, &error);
		TAILQ_REMOVE(&asker->telling, telling, entries);
		catalogue_release(&telling->catalogue);
		free(telling);
	}
}

static void
answer_members(struct asker *asker, uint64_t id, const char *text)
{
	struct directory_server *server = asker->server;
	struct error error = ERROR_INITIALIZER;
	struct telling *telling;
	uint32_t group;
	int result = lookup_group(server->catalogue, text, &group, &error);

	if (result <= 0) {
		answer(asker, id, result == 0 ? DIRECTORY_NONE : DIRECTORY_UNAVAILABLE, 0);
		if (result < 0)
			throw_away(server, &error);
		return;
	}
	telling = memory_new(1, sizeof(*telling));
	telling->catalogue = catalogue_hold(server->catalogue);
	telling->id = id;
	telling->group = group;
	TAILQ_INSERT_TAIL(&asker->telling, telling, entries);
	tell_members(asker);
}

static void
answer_entries(struct asker *asker, uint64_t id, enum directory_lookup_kind kind, const char *text)
{
	struct entry_target target = { asker, id };
	struct error error = ERROR_INITIALIZER;
	size_t count;

	if (lookup_entries(asker->server->catalogue, kind, text, send_entry, &target, &count, &error) != 0) {
		answer(asker, id, DIRECTORY_UNAVAILABLE, 0);
		throw_away(asker->server, &error);
		return;
	}
	answer(asker, id, count > 0 ? DIRECTORY_FOUND : DIRECTORY_NONE, count);
}

static void
answer_question(struct asker *asker, uint64_t id, enum directory_lookup_kind kind, const char *text)
{
	if (asker->server->catalogue == NULL)
		answer(asker, id, DIRECTORY_UNAVAILABLE, 0);
	else if (kind == DIRECTORY_GROUP_MEMBERS)
		answer_members(asker, id, text);
	else if (kind <= DIRECTORY_NAME)
		answer_entries(asker, id, kind, text);
	else
		answer(asker, id, DIRECTORY_NONE, 0);
}

static void
answer_waiting(struct directory_server *server)
{
	struct asker *asker;

	TAILQ_FOREACH(asker, &server->askers, entries) {
		struct waiting *waiting;

		while ((waiting = TAILQ_FIRST(&asker->waiting)) != NULL) {
			TAILQ_REMOVE(&asker->waiting, waiting, entries);
			answer_question(asker, waiting->id, waiting->kind, waiting->text);
			free(waiting);
		}
	}
}

static void
take_question(void *context, struct channel *channel UNUSED, const struct directory_lookup *message)
{
	struct asker *asker = context;
	enum directory_lookup_kind kind = (enum directory_lookup_kind)message->kind;
	struct waiting *waiting;
	size_t size = strlen(message->text) + 1;

	if (asker->server->ever_answered) {
		answer_question(asker, message->id, kind, message->text);
		return;
	}
	waiting = memory_new(1, sizeof(*waiting) + size);
	waiting->id = message->id;
	waiting->kind = kind;
	memcpy(waiting->text, message->text, size);
	TAILQ_INSERT_TAIL(&asker->waiting, waiting, entries);
}

/* ---- what is remembered of strangers: answered at once, whatever becomes of the catalogue ---- */

static void
take_attempt(void *context, struct channel *channel, const struct greylist_question *message)
{
	struct asker *asker = context;
	struct greylist_answer answer_out = { .id = message->id };

	answer_out.known = greylist_attempt(asker->server->greylist, message->network, message->sender, message->recipient,
	    (message->flags & GREYLIST_PEEK) != 0, clock_wall_ms(), &answer_out.seconds);
	send_greylist_answer(channel, &answer_out);
}

static void
take_recall(void *context, struct channel *channel, const struct call_out_recall *message)
{
	struct asker *asker = context;
	struct call_out_memory memory = { .id = message->id };

	memory.finding = (uint8_t)call_out_memories_recall(asker->server->call_outs, message->recipient, clock_wall_ms(),
	    &memory.text);
	send_call_out_memory(channel, &memory);
}

static void
take_report(void *context, struct channel *channel UNUSED, const struct call_out_report *message)
{
	struct asker *asker = context;

	call_out_memories_learn(asker->server->call_outs, message->recipient, message->taken != 0, message->text,
	    clock_wall_ms());
}

/* ---- askers ---- */

static void
asker_free(struct asker *asker)
{
	struct waiting *waiting;
	struct telling *telling;

	TAILQ_REMOVE(&asker->server->askers, asker, entries);
	while ((waiting = TAILQ_FIRST(&asker->waiting)) != NULL) {
		TAILQ_REMOVE(&asker->waiting, waiting, entries);
		free(waiting);
	}
	while ((telling = TAILQ_FIRST(&asker->telling)) != NULL) {
		TAILQ_REMOVE(&asker->telling, telling, entries);
		catalogue_release(&telling->catalogue);
		free(telling);
	}
	channel_free(&asker->channel);
	free(asker);
}

static void
asker_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct asker *asker = context;

	log_peer_lost(role_rows[asker->role].name, reason);
	asker_free(asker);
}

static void
asker_ready(void *context, struct channel *channel UNUSED)
{
	tell_members(context);
}

void
directory_server_introduce(struct directory_server *server, enum role peer, unsigned instance, enum ipc_side side,
    int socket)
{
	static const struct directory_handlers handlers = { .directory_lookup = take_question,
		.greylist_question = take_attempt, .call_out_recall = take_recall, .call_out_report = take_report };
	static const struct channel_events events = { .closed = asker_closed, .ready = asker_ready };
	struct asker *asker;

	TAILQ_FOREACH(asker, &server->askers, entries) {
		if (asker->role == peer && asker->instance == instance) {
			asker_free(asker);
			break;
		}
	}
	asker = memory_new(1, sizeof(*asker));
	asker->server = server;
	asker->role = peer;
	asker->instance = instance;
	TAILQ_INIT(&asker->waiting);
	TAILQ_INIT(&asker->telling);
	TAILQ_INSERT_TAIL(&server->askers, asker, entries);
	asker->channel = channel_open(server->base, socket, &directory_protocol, side, &handlers, &events, asker);
}

void
directory_server_status(const struct directory_server *server, struct buffer *lines)
{
	buffer_printf(lines, "directory=%s\npeople=%zu\ngroups=%zu\nmail_in_databases=%zu\n",
	    server->catalogue == NULL ? "unavailable" : server->compilation == NULL ? "ready" : "compiling",
	    server->counts.people, server->counts.groups, server->counts.mail_in);
	buffer_printf(lines, "greylist=%zu\ncall_outs_remembered=%zu\n", greylist_count(server->greylist),
	    call_out_memories_count(server->call_outs));
}

void
directory_server_free(struct directory_server **server)
{
	struct asker *asker;

	if (*server == NULL)
		return;
	while ((asker = TAILQ_FIRST(&(*server)->askers)) != NULL)
		asker_free(asker);
	event_del(&(*server)->timer);
	compile_free(&(*server)->compilation);
	catalogue_release(&(*server)->catalogue);
	settings_release(&(*server)->settings);
	greylist_free(&(*server)->greylist);
	call_out_memories_free(&(*server)->call_outs);
	free((*server)->path);
	free(*server);
	*server = NULL;
}
