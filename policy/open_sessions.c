/* open_sessions - see open_sessions.h */
#include "policy/open_sessions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/attributes.h"
#include "common/base/clock.h"
#include "common/base/hash_table.h"
#include "common/base/memory.h"

enum part_state {
	PART_AWAITED,			/* questions wait for it */
	PART_OVERDUE,			/* no longer, but it will still tell */
	PART_TOLD,
};

/* What one process has told of a client; there is one once it was asked. */
struct part {
	LIST_ENTRY(part) entries;
	TAILQ_ENTRY(part) by_due;	/* PART_AWAITED */
	struct watched *watched;
	struct session_process *process;
	enum part_state state;
	deadline_t due;
	size_t sessions;		/* those that were let in since it was asked, until it has told */
};

struct session_question {
	TAILQ_ENTRY(session_question) entries;
	struct session_process *process;
	void *owner;
};

struct watched {
	struct hash_node node;
	LIST_HEAD(, part) parts;
	TAILQ_HEAD(, session_question) questions;
	char address[];
};

struct session_process {
	LIST_ENTRY(session_process) entries;
	struct open_sessions *open;
	void *owner;
};

struct open_sessions {
	const struct open_sessions_events *events;
	int64_t patience_ms;
	struct hash_table watched;
	LIST_HEAD(, session_process) processes;
	TAILQ_HEAD(, part) awaited;
	struct event timer;		/* for the first of them; may be early */
};

static void on_timer(evutil_socket_t socket, short what, void *context);

struct open_sessions *
open_sessions_new(struct event_base *base, int64_t patience_ms, const struct open_sessions_events *events)
{
	struct open_sessions *open = memory_new(1, sizeof(*open));

	open->events = events;
	open->patience_ms = patience_ms;
	LIST_INIT(&open->processes);
	TAILQ_INIT(&open->awaited);
	evtimer_assign(&open->timer, base, on_timer, open);
	return open;
}

static struct watched *
find(const struct open_sessions *open, const char *address)
{
	struct hash_node *node = hash_table_find(&open->watched, hash_text(address));

	for (; node != NULL; node = hash_node_next(node)) {
		struct watched *watched = HASH_CONTAINER(node, struct watched, node);

		if (strcmp(watched->address, address) == 0)
			return watched;
	}
	return NULL;
}

/* NULL: there are too many already. */
static struct watched *
watch(struct open_sessions *open, const char *address)
{
	struct watched *watched = find(open, address);
	size_t size = strlen(address) + 1;

	if (watched != NULL || open->watched.count >= OPEN_SESSIONS_WATCHED)
		return watched;
	watched = memory_new(1, sizeof(*watched) + size);
	LIST_INIT(&watched->parts);
	TAILQ_INIT(&watched->questions);
	memcpy(watched->address, address, size);
	hash_table_insert(&open->watched, &watched->node, hash_text(address));
	return watched;
}

static void
set_timer(struct open_sessions *open)
{
	const struct part *part = TAILQ_FIRST(&open->awaited);
	struct timeval wait;

	if (part == NULL || evtimer_pending(&open->timer, NULL))
		return;
	wait = deadline_timeval(part->due);
	evtimer_add(&open->timer, &wait);
}

/* Asks the process. */
static struct part *
add_part(struct open_sessions *open, struct watched *watched, struct session_process *process)
{
	struct part *part = memory_new(1, sizeof(*part));

	part->watched = watched;
	part->process = process;
	part->state = PART_AWAITED;
	part->due = deadline_after_ms(open->patience_ms);
	LIST_INSERT_HEAD(&watched->parts, part, entries);
	TAILQ_INSERT_TAIL(&open->awaited, part, by_due);
	set_timer(open);
	open->events->watch(process->owner, watched->address, false);
	return part;
}

static void
await_no_longer(struct part *part, enum part_state state)
{
	if (part->state == PART_AWAITED)
		TAILQ_REMOVE(&part->process->open->awaited, part, by_due);
	part->state = state;
}

static void
free_part(struct part *part)
{
	await_no_longer(part, PART_OVERDUE);
	LIST_REMOVE(part, entries);
	free(part);
}

static void
free_question(struct watched *watched, struct session_question *question)
{
	TAILQ_REMOVE(&watched->questions, question, entries);
	free(question);
}

static void
free_watched(struct open_sessions *open, struct watched *watched)
{
	while (!LIST_EMPTY(&watched->parts))
		free_part(LIST_FIRST(&watched->parts));
	while (!TAILQ_EMPTY(&watched->questions))
		free_question(watched, TAILQ_FIRST(&watched->questions));
	hash_table_remove(&open->watched, &watched->node);
	free(watched);
}

void
open_sessions_free(struct open_sessions **open)
{
	struct hash_node *node;
	struct session_process *process;

	if (*open == NULL)
		return;
	while ((node = hash_table_walk(&(*open)->watched, NULL)) != NULL)
		free_watched(*open, HASH_CONTAINER(node, struct watched, node));
	hash_table_free(&(*open)->watched);
	event_del(&(*open)->timer);
	while ((process = LIST_FIRST(&(*open)->processes)) != NULL) {
		LIST_REMOVE(process, entries);
		free(process);
	}
	free(*open);
	*open = NULL;
}

static struct part *
part_of(const struct watched *watched, const struct session_process *process)
{
	struct part *part;

	LIST_FOREACH(part, &watched->parts, entries)
		if (part->process == process)
			return part;
	return NULL;
}

static size_t
sum(const struct watched *watched)
{
	const struct part *part;
	size_t sessions = 0;

	LIST_FOREACH(part, &watched->parts, entries)
		sessions += part->sessions;
	return sessions;
}

bool
open_sessions_is_watched(const struct open_sessions *open, const char *address)
{
	return find(open, address) != NULL;
}

size_t
open_sessions_known(const struct open_sessions *open, const char *address)
{
	const struct watched *watched = find(open, address);

	return watched != NULL ? sum(watched) : 0;
}

size_t
open_sessions_watched(const struct open_sessions *open)
{
	return open->watched.count;
}

/* Asks the processes that were not asked yet. True when all have told, or had the time to. */
static bool
gather(struct open_sessions *open, struct watched *watched)
{
	struct session_process *process;
	bool is_complete = true;

	LIST_FOREACH(process, &open->processes, entries) {
		struct part *part = part_of(watched, process);

		if (part == NULL)
			part = add_part(open, watched, process);
		is_complete = is_complete && part->state != PART_AWAITED;
	}
	return is_complete;
}

/* As far as those know that were asked; the others watch nobody. */
static bool
nothing_is_open(const struct watched *watched)
{
	const struct part *part;

	LIST_FOREACH(part, &watched->parts, entries)
		if (part->state != PART_TOLD || part->sessions > 0)
			return false;
	return true;
}

static void
end_watch(struct open_sessions *open, struct watched *watched)
{
	const struct part *part;

	LIST_FOREACH(part, &watched->parts, entries)
		open->events->watch(part->process->owner, watched->address, true);
	free_watched(open, watched);
}

/* Decides what waits, as soon as everything is known that will be in time. The watch may be gone afterwards. */
static void
decide(struct open_sessions *open, struct watched *watched)
{
	struct session_question *question;

	while ((question = TAILQ_FIRST(&watched->questions)) != NULL) {
		struct session_process *process = question->process;
		void *owner = question->owner;

		if (!gather(open, watched))
			return;
		free_question(watched, question);
		if (open->events->decide(owner, sum(watched)))
			part_of(watched, process)->sessions++;
	}
	if (nothing_is_open(watched))
		end_watch(open, watched);
}

void
open_sessions_ask(struct session_process *process, const char *address, void *owner)
{
	struct watched *watched = watch(process->open, address);
	struct session_question *question;

	if (watched == NULL) {
		process->open->events->decide(owner, 0);
		return;
	}
	question = memory_new(1, sizeof(*question));
	question->process = process;
	question->owner = owner;
	TAILQ_INSERT_TAIL(&watched->questions, question, entries);
	decide(process->open, watched);
}

void
open_sessions_tell(struct session_process *process, const char *address, enum session_change change, uint32_t count)
{
	struct watched *watched = find(process->open, address);
	struct part *part = watched != NULL ? part_of(watched, process) : NULL;

	if (part == NULL)
		return;
	if (change == SESSIONS_ALL) {
		/* What it was granted since it was asked is not among what it tells. */
		part->sessions = count + (part->state != PART_TOLD ? part->sessions : 0);
		await_no_longer(part, PART_TOLD);
	} else if (part->state != PART_TOLD) {
		/* Said before it knew of this watch, of one that has ended. */
		return;
	} else if (change == SESSIONS_OPENED) {
		part->sessions += count;
	} else {
		part->sessions -= count < part->sessions ? count : part->sessions;
	}
	decide(process->open, watched);
}

static void
on_timer(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct open_sessions *open = context;
	struct part *part;

	while ((part = TAILQ_FIRST(&open->awaited)) != NULL && deadline_passed(part->due)) {
		await_no_longer(part, PART_OVERDUE);
		decide(open, part->watched);
	}
	set_timer(open);
}

struct session_process *
open_sessions_add_process(struct open_sessions *open, void *owner)
{
	struct session_process *process = memory_new(1, sizeof(*process));

	process->open = open;
	process->owner = owner;
	LIST_INSERT_HEAD(&open->processes, process, entries);
	return process;
}

static void
forget_process(struct watched *watched, const struct session_process *process)
{
	struct session_question *question, *next;
	struct part *part = part_of(watched, process);

	if (part != NULL)
		free_part(part);
	for (question = TAILQ_FIRST(&watched->questions); question != NULL; question = next) {
		next = TAILQ_NEXT(question, entries);
		if (question->process == process)
			free_question(watched, question);
	}
}

void
open_sessions_remove_process(struct session_process **process)
{
	struct session_process *going = *process;
	struct hash_node *node, *next;

	if (going == NULL)
		return;
	LIST_REMOVE(going, entries);
	for (node = hash_table_walk(&going->open->watched, NULL); node != NULL; node = next) {
		struct watched *watched = HASH_CONTAINER(node, struct watched, node);

		next = hash_table_walk(&going->open->watched, node);
		forget_process(watched, going);
		decide(going->open, watched);
	}
	free(going);
	*process = NULL;
}
