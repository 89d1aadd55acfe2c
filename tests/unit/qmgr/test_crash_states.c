/*
 * test_crash_states - whatever a power failure leaves of MAIL.BOX, every message that was confirmed is found in it
 *
 * A store works under a load that uses all of it, and everything that it does to its folder is recorded, with what it confirmed
 * (crash_recorder.h). Then the power fails, on paper: at each change, with any part of what was not flushed (crash_disk.h),
 * and with an index that is lost, older, newer or put together from several times. Of each such state:
 *
 *  - what `matador verify` reads finds no damage: a power failure is none;
 *  - a start succeeds, and every message that was confirmed and not ended is there once, octet for octet, with what was
 *    recorded about its recipients; none is half there; none that was ended is back; the epoch is a new one;
 *  - mail is taken and ended again, and after a second look at the stopped mailbox all is as it was told.
 *
 * Of some of these states that second run is recorded too, and the power fails again in it: in the middle of recovery, or
 * after.
 *
 * A sample runs by itself. With MATADOR_TORTURE in the environment the power fails before every event of the log and after the last
 * one, each time in another of the ways, and each run draws a seed of its own. MATADOR_TEST_SEED says the seed of the load and the
 * choices; what the store's threads do to each other's order it does not say. The cases that matter are counted, none is left out.
 */
#include "tests/unit/qmgr/store_support.h"

#include <stdatomic.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "qmgr/store/body.h"
#include "qmgr/store/offline.h"
#include "tests/unit/qmgr/crash_disk.h"
#include "tests/unit/qmgr/crash_load.h"

#define FIRST_ID_AFTER_CRASH IDS_OF_LOAD	/* of the run after a crash; of the next one twice that */
#define WORKERS 2
#define SNAPSHOTS 8			/* of the index, for the mixed ones */
#define STATE_SECONDS 60

#if defined(__SANITIZE_ADDRESS__)
#define SAMPLE 60
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SAMPLE 60
#endif
#endif
#ifndef SAMPLE
#define SAMPLE 350
#endif

/* ---- judging a state ---- */

struct totals {
	_Atomic unsigned states, prefixes, twice_cut, messages, lost, half, twice, back, other;
	_Atomic unsigned met[CRASH_CASES], index_ahead, index_behind, bodies_alone;
};

static struct totals *totals;		/* shared by all processes */
static int complaints;			/* where standard error was: there the programs' own log goes */

struct trial {
	const char *folder;
	struct expectation expectation;
	const char *description;
	struct crash_log *log;		/* records what is done, unless NULL */
	uint64_t first_id;
	unsigned problems;
};

static void __attribute__((format(printf, 3, 4)))
complain(struct trial *trial, _Atomic unsigned *total, const char *format, ...)
{
	char text[300];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	(*total)++;
	if (trial->problems++ < 5)
		dprintf(complaints, "%s: %s\n", trial->description, text);
}

static void
judge_envelope(struct trial *trial, const struct envelope *envelope, bool held)
{
	const struct expected *message = &trial->expectation.messages[envelope->id];
	unsigned long long id = envelope->id;
	struct envelope right;

	support_envelope(&right, envelope->id, RECIPIENTS);
	if (envelope->recipient_count != RECIPIENTS || strcmp(envelope->sender, right.sender) != 0)
		complain(trial, &totals->half, "message %llu: not its envelope", id);
	for (size_t i = 0; i < envelope->recipient_count && i < RECIPIENTS; i++) {
		bool delivered = envelope->recipients[i].state == RECIPIENT_DELIVERED;

		if (strcmp(envelope->recipients[i].address, right.recipients[i].address) != 0)
			complain(trial, &totals->half, "message %llu: recipient %zu is somebody else", id, i);
		if (delivered && !(message->deliver_asked >> i & 1))
			complain(trial, &totals->other, "message %llu: recipient %zu was never delivered", id, i);
		if (!delivered && (message->delivered >> i & 1))
			complain(trial, &totals->other, "message %llu: recipient %zu is to be delivered again", id, i);
	}
	if (!(message->held_possible >> held & 1))
		complain(trial, &totals->other, "message %llu is %s", id, held ? "held" : "not held");
	envelope_free(&right);
}

struct looking {
	struct trial *trial;
	bool seen[IDS];
	uint32_t states[IDS];		/* recipients delivered, and above them whether it is held */
	unsigned count;
};

static bool
look_at_item(void *context, const struct store_item *item)
{
	struct looking *looking = context;
	struct trial *trial = looking->trial;
	unsigned long long id = item->envelope->id;
	const struct expected *message = &trial->expectation.messages[id < IDS ? id : 0];

	if (id >= IDS || !message->add_asked || message->done) {
		complain(trial, &totals->back, "message %llu %s", id, message->done ? "is back" : "was never there");
		return true;
	}
	if (looking->seen[id])
		complain(trial, &totals->twice, "message %llu is there twice", id);
	looking->seen[id] = true;
	looking->count++;
	if (item->size != message->length)
		complain(trial, &totals->half, "message %llu has %llu octets", id, (unsigned long long)item->size);
	for (size_t i = 0; i < item->envelope->recipient_count && i < RECIPIENTS; i++)
		looking->states[id] |= (uint32_t)(item->envelope->recipients[i].state == RECIPIENT_DELIVERED) << i;
	looking->states[id] |= (uint32_t)item->held << 8;
	judge_envelope(trial, item->envelope, item->held);
	return true;
}

static void
look_for_missing(const struct looking *looking)
{
	struct trial *trial = looking->trial;

	for (unsigned id = 0; id < IDS; id++) {
		const struct expected *message = &trial->expectation.messages[id];

		if (message->added && !message->done_asked && !looking->seen[id])
			complain(trial, &totals->lost, "message %u is lost", id);
		if (message->twin != 0 && !message->added && looking->seen[id] == looking->seen[message->twin])
			complain(trial, &totals->half, "messages %u and %u: half of a record", id, message->twin);
	}
}

static void
look_at_content(struct trial *trial, struct offline_mailbox *mailbox, uint64_t id)
{
	size_t length = trial->expectation.messages[id].length;
	struct error error = ERROR_INITIALIZER;
	struct store_content *content = offline_content(mailbox, id, &error), *right = support_content(id, length);

	if (content == NULL)
		complain(trial, &totals->half, "message %llu: %s", (unsigned long long)id, error.text);
	else if (content->length != length || memcmp(content->data, right->data, length) != 0)
		complain(trial, &totals->half, "message %llu: other content", (unsigned long long)id);
	store_content_release(&content);
	store_content_release(&right);
	totals->messages++;
}

static void
look_at_finding(void *context, const struct offline_finding *finding)
{
	complain(context, &totals->other, "said to be damaged: message %llu, %s at %llu: %s", (unsigned long long)finding->id,
	    finding->file, (unsigned long long)finding->offset, finding->text);
}

/* The stopped mailbox, by the journal alone. */
static void
look(struct trial *trial, struct looking *looking)
{
	struct offline_mailbox *mailbox;
	struct offline_totals read;
	struct error error = ERROR_INITIALIZER;

	*looking = (struct looking){ .trial = trial };
	if (offline_open(trial->folder, &mailbox, &error) < 0) {
		complain(trial, &totals->other, "cannot be read: %s", error.text);
		return;
	}
	if (offline_each(mailbox, look_at_item, looking, &error) < 0)
		complain(trial, &totals->half, "cannot be listed: %s", error.text);
	look_for_missing(looking);
	for (unsigned id = 0; id < IDS; id++)
		if (looking->seen[id])
			look_at_content(trial, mailbox, id);
	if (offline_verify(mailbox, look_at_finding, trial, &read, &error) < 0)
		complain(trial, &totals->other, "cannot be verified: %s", error.text);
	offline_close(&mailbox);
}

/* A body whose message was on its way into the journal when the power failed. */
static void
count_bodies_alone(const struct trial *trial, const struct looking *looking)
{
	char name[BODY_PATH_SIZE], path[300];
	bool alone = false;

	for (unsigned id = 0; id < IDS && !alone; id++) {
		const struct expected *message = &trial->expectation.messages[id];

		if (!message->add_asked || message->done_asked || looking->seen[id])
			continue;
		body_path(id, name);
		snprintf(path, sizeof(path), "%s/bodies/%s", trial->folder, name);
		alone = access(path, F_OK) == 0;
	}
	totals->bodies_alone += alone;
}

/* What the start says is what the journal says, whatever became of the index. */
static void
compare(struct trial *trial, struct box *box, const struct looking *looking)
{
	size_t count = box_list(box, 0, IDS);

	if (box->summary.damaged != 0)
		complain(trial, &totals->other, "the start found damage");
	if (box_number(box, "damaged") != 0)
		complain(trial, &totals->other, "damage was told");
	if (box->summary.epoch <= trial->expectation.epoch)
		complain(trial, &totals->other, "the epoch is not a new one");
	if (box->summary.messages != looking->count)
		complain(trial, &totals->other, "the start counts %llu messages instead of %u",
		    (unsigned long long)box->summary.messages, looking->count);
	for (size_t i = 0; i < count; i++) {
		const struct listed *listed = &box->listed[i];
		unsigned long long id = listed->id;

		if (i > 0 && listed[-1].id >= listed->id)
			complain(trial, &totals->twice, "message %llu is told twice", id);
		if (id >= IDS || !looking->seen[id])
			complain(trial, &totals->back, "message %llu is not in the journal", id);
		else if (listed->held != (looking->states[id] >> 8 & 1) ||
		    listed->delivered != (unsigned)__builtin_popcount(looking->states[id] & 0xff))
			complain(trial, &totals->other, "message %llu: the index says something else", id);
	}
	if (count < looking->count)
		complain(trial, &totals->lost, "%zu of %u messages are told", count, looking->count);
}

/* A little work after the crash: what is found is ended, or told about, and new mail comes. */
static void
work_on(struct trial *trial, struct box *box, const struct looking *looking)
{
	struct load load = { .box = box, .seed = trial->first_id, .next_id = trial->first_id, .in_haste = true };
	unsigned ended = 0;

	for (unsigned id = 0; id < IDS && ended < 3; id++) {
		struct load_message *message;

		if (!looking->seen[id])
			continue;
		message = memory_new(1, sizeof(*message));
		message->id = id;
		load.messages[load.count++] = message;
		load_done(&load, message);
		ended++;
	}
	for (unsigned i = 0; i < 3; i++)
		load_add(&load, NULL);
	load_add_file(&load);
	load_settle(&load);
	while (load.count > 0)
		load_forget(&load, load.messages[0]);
}

static void
judge(struct trial *trial)
{
	struct looking *looking = memory_new(1, sizeof(*looking));
	struct box *box = memory_new(1, sizeof(*box));

	expecting = &trial->expectation;
	look(trial, looking);
	count_bodies_alone(trial, looking);
	crash_recording = trial->log;
	snprintf(box->folder, sizeof(box->folder), "%s", trial->folder);
	box->segment_size = SEGMENT;
	box->base = event_base_new();
	box->file = -1;
	if (box_try_open(box) < 0) {
		complain(trial, &totals->other, "no start: %s", box->error.text);
		return;
	}
	compare(trial, box, looking);
	tell(TOLD_OPENED, 0, (uint32_t)box->summary.epoch);
	for (unsigned id = 0; id < IDS; id++)
		if (looking->seen[id])
			tell(TOLD_FOUND, id, looking->states[id]);
	tell(TOLD_ALL_FOUND, 0, 0);
	work_on(trial, box, looking);
	box_close(box);
	crash_recording = NULL;
	look(trial, looking);
}

/* In a process of its own, so that whatever recovery does to itself is found too. */
static void
judge_apart(struct trial *trial)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		alarm(STATE_SECONDS);
		judge(trial);
		_exit(trial->problems == 0 ? 0 : 1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	if (!WIFEXITED(status))
		complain(trial, &totals->other, "recovery ended by signal %d", WTERMSIG(status));
	trial->problems += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* ---- which states ---- */

static const struct crash_choice choices[] = {
	{ .name = "nothing that was not flushed" },
	{ .name = "everything", .data_percent = 100, .folder_percent = 100 },
	{ .name = "all but the folders", .data_percent = 100 },
	{ .name = "only the folders", .folder_percent = 100, .growth = CRASH_GROW_ZEROES },
	{ .name = "half of the writes", .data_percent = 50, .folder_percent = 50 },
	{ .name = "few sectors", .data_percent = 10, .folder_percent = 50, .by_sector = true, .growth = CRASH_GROW_ZEROES },
	{ .name = "half of the sectors", .data_percent = 50, .folder_percent = 50, .by_sector = true },
	{ .name = "most sectors", .data_percent = 90, .folder_percent = 90, .by_sector = true, .growth = CRASH_GROW_GARBAGE },
	{ .name = "everything, the last write torn", .data_percent = 100, .folder_percent = 100, .last_is_torn = true },
	{ .name = "only the last change", .only_last = true, .growth = CRASH_GROW_ZEROES },
};

enum index_state { INDEX_AS_IT_IS, INDEX_LOST, INDEX_OF_ANOTHER_TIME, INDEX_MIXED, INDEX_STATES };
static const char *const index_names[] = { "the index as it is", "no index", "an index of another time",
	"an index of several times" };

struct worker {
	unsigned number;
	bool torture;
	uint64_t seed;
	struct crash_log *log;		/* of the load */
	struct crash_log *second;	/* of what happens after a crash */
	struct crash_disk snapshots[SNAPSHOTS];
	unsigned snapshot_count;	/* after a second cut those of its past: the rest is a future that never came */
	struct expectation expectation;	/* at the place in the log */
	char folder[128];
	unsigned made;			/* states, those of the other workers too */
};

static uint32_t
snapshot_place(const struct worker *worker, unsigned number)
{
	return (uint32_t)((uint64_t)worker->log->count * (number + 1) / SNAPSHOTS);
}

/* An index of another time comes, whole or some of its files. event: where in the log the power failed. */
static void
change_index(const struct worker *worker, struct crash_disk *disk, const struct crash_log *log, uint32_t event,
    enum index_state state, uint64_t seed)
{
	const struct crash_disk *other;
	unsigned number;
	uint32_t index = crash_disk_find(disk, "index"), from;

	if (state == INDEX_AS_IT_IS || index == CRASH_NODE_NONE || worker->snapshot_count == 0)
		return;
	number = (unsigned)draw(&seed, worker->snapshot_count);
	other = &worker->snapshots[number];
	from = crash_disk_find(other, "index");
	if (state == INDEX_OF_ANOTHER_TIME && from != CRASH_NODE_NONE) {
		bool ahead = log == worker->log && snapshot_place(worker, number) > event;

		totals->index_ahead += ahead;
		totals->index_behind += !ahead;
	}
	if (state == INDEX_LOST || state == INDEX_OF_ANOTHER_TIME)
		disk->nodes[index].entry_count = 0;
	for (uint32_t i = 0; state >= INDEX_OF_ANOTHER_TIME && from != CRASH_NODE_NONE && i < other->nodes[from].entry_count; i++) {
		const struct crash_entry *entry = &other->nodes[from].entries[i];

		if (state == INDEX_OF_ANOTHER_TIME || draw(&seed, 2) == 0)
			crash_disk_replace(disk, index, entry->name, &other->nodes[entry->node]);
	}
}

static void
make_snapshots(struct worker *worker)
{
	struct crash_disk disk = { .nodes = NULL };

	crash_disk_node(&disk, CRASH_ROOT)->is_folder = true;
	for (unsigned i = 0; i < SNAPSHOTS; i++) {
		crash_disk_advance(&disk, worker->log, snapshot_place(worker, i));
		worker->snapshots[i] = crash_disk_cut(&disk, worker->log, &choices[i % 2], 0);
	}
	worker->snapshot_count = SNAPSHOTS;
	crash_disk_free(&disk);
}

static void
prepare_folder(const char *folder)
{
	support_remove(folder);
	if (mkdir(folder, 0700) < 0)
		abort();
}

struct cutting {
	const struct crash_log *log;
	uint64_t wanted;		/* about so many cuts; 0: one before each event, and one after the last */
	uint64_t first_id;		/* of the mail that comes after the crash */
	const char *before;		/* the cuts that came first, for people; "" when none did */
	unsigned again_every;		/* each so-many-th state is cut a second time; 0: none */
	uint64_t seed, weight;
	unsigned renames, unlinks, reuses;	/* so far */
};

static void cut_again(struct worker *worker, struct crash_disk *disk, uint32_t event, const struct trial *first);

/* One state; again: the run after it is recorded, and cut in its turn. */
static void
try_state(struct worker *worker, const struct crash_disk *disk, const struct cutting *cutting,
    const struct expectation *expectation, const struct crash_choice *choice, enum index_state index, bool again)
{
	struct crash_disk cut;
	struct trial trial = { .folder = worker->folder, .expectation = *expectation, .first_id = cutting->first_id };
	char description[400];
	uint64_t seed = crash_mix(worker->seed, worker->made, disk->next);

	snprintf(description, sizeof(description), "%scut before event %u, %s, %s (seed %llu)", cutting->before, disk->next,
	    choice->name, index_names[index], (unsigned long long)worker->seed);
	trial.description = description;
	cut = crash_disk_cut(disk, cutting->log, choice, seed);
	change_index(worker, &cut, cutting->log, disk->next, index, seed);
	for (unsigned i = 0; i < CRASH_CASES; i++)
		totals->met[i] += cut.met[i];
	prepare_folder(worker->folder);
	worker->second->node_count = cut.count;
	crash_disk_begin(&cut, worker->folder, worker->second);
	if (again)
		trial.log = worker->second;
	judge_apart(&trial);
	totals->states++;
	totals->twice_cut += cutting->before[0] != '\0';
	if (again && trial.problems == 0)
		cut_again(worker, &cut, disk->next, &trial);
	crash_disk_free(&cut);
}

/* How likely a cut before that event is taken into a sample: most of what happens concerns the index, whose writes are many. */
static unsigned
weight_of(const struct crash_log *log, uint32_t event)
{
	switch (log->events[event].kind) {
	case CRASH_NOTE:
		return 0;
	case CRASH_CREATE:
	case CRASH_UNLINK:
	case CRASH_RENAME:
	case CRASH_FLUSH_FAILED:
		return 4;
	case CRASH_FLUSHED:
		return 3;
	case CRASH_FOLDER:
		return 1;
	default:
		return 2;
	}
}

static uint64_t
weight_of_all(const struct crash_log *log)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < log->count; i++)
		all += weight_of(log, i);
	return all;
}

/* By and by each of them with each choice. */
static enum index_state
index_state_of(uint64_t cut)
{
	static const enum index_state states[] = { INDEX_AS_IT_IS, INDEX_MIXED, INDEX_AS_IT_IS, INDEX_LOST, INDEX_AS_IT_IS,
		INDEX_AS_IT_IS, INDEX_MIXED, INDEX_AS_IT_IS, INDEX_OF_ANOTHER_TIME, INDEX_AS_IT_IS };

	return states[(cut + cut / ARRAY_COUNT(choices)) % ARRAY_COUNT(states)];
}

/* Whether that event writes the header of a segment that had one before. */
static bool
is_reuse(const struct crash_log *log, uint32_t event)
{
	const struct crash_event *header = &log->events[event], *before = header;

	if (header->offset != 0 || header->length != SEGMENT_DATA)
		return false;
	while (before > log->events)
		if ((--before)->kind == CRASH_WRITE && before->node == header->node && before->offset == 0 &&
		    before->length == SEGMENT_DATA)
			return true;
	return false;
}

/* In a sample too the first few of these are cut right behind: what they did is pending then. */
static bool
is_wanted_case(struct cutting *cutting, uint32_t event)
{
	if (cutting->before[0] != '\0' || event == 0)
		return false;
	switch (cutting->log->events[event - 1].kind) {
	case CRASH_RENAME:
		return cutting->renames++ < 4;
	case CRASH_UNLINK:
		return cutting->unlinks++ < 4;
	case CRASH_WRITE:
		return is_reuse(cutting->log, event - 1) && cutting->reuses++ < 4;
	case CRASH_FLUSH_FAILED:
		return true;
	default:
		return false;
	}
}

/* Whether the power fails before that event in that way. */
static bool
is_chosen(struct cutting *cutting, uint32_t event, unsigned choice, bool wanted_case)
{
	bool turn = choice == (event + cutting->seed) % ARRAY_COUNT(choices);

	if (cutting->wanted == 0)
		return turn;
	if (event == cutting->log->count)
		return false;
	return draw(&cutting->seed, cutting->weight) < cutting->wanted * weight_of(cutting->log, event) ||
	    (wanted_case && choice == event % ARRAY_COUNT(choices));
}

/* Goes through a log and cuts the power. */
static void
cut_through(struct worker *worker, struct crash_disk *disk, struct cutting *cutting, struct expectation *expectation)
{
	const struct crash_log *log = cutting->log;
	uint64_t cuts = 0;

	cutting->weight = weight_of_all(log) * ARRAY_COUNT(choices);
	cutting->seed = crash_mix(worker->seed, log->count, cutting->first_id);
	for (uint32_t event = 0; event <= log->count; event++) {
		bool wanted_case = is_wanted_case(cutting, event);

		for (unsigned i = 0; i < ARRAY_COUNT(choices); i++) {
			if (!is_chosen(cutting, event, i, wanted_case))
				continue;
			crash_disk_advance(disk, log, event);
			cuts++;
			if (cutting->before[0] == '\0' && worker->made++ % WORKERS != worker->number)
				continue;
			totals->prefixes += cutting->wanted == 0;
			try_state(worker, disk, cutting, expectation, &choices[i], index_state_of(cuts),
			    cutting->again_every > 0 && cuts / WORKERS % cutting->again_every == 0);
		}
		if (event < log->count && log->events[event].kind == CRASH_NOTE)
			expect(expectation, &log->events[event].note);
	}
}

/* The worker's folder is used again, and another log: its own is read. */
static void
cut_again(struct worker *worker, struct crash_disk *disk, uint32_t event, const struct trial *first)
{
	struct crash_log *log = worker->second;
	struct cutting cutting = { .log = log, .wanted = worker->torture ? 20 : 8, .first_id = 2 * FIRST_ID_AFTER_CRASH };
	struct expectation *expectation = memory_copy(&first->expectation, sizeof(*expectation));
	char before[300];

	worker->second = crash_log_new();
	disk->next = 0;
	while (worker->snapshot_count > 0 && snapshot_place(worker, worker->snapshot_count - 1) > event)
		worker->snapshot_count--;
	snprintf(before, sizeof(before), "%s; then ", first->description);
	cutting.before = before;
	cut_through(worker, disk, &cutting, expectation);
	munmap(worker->second, sizeof(*worker->second));
	worker->second = log;
	worker->snapshot_count = SNAPSHOTS;
	free(expectation);
}

static void
work(struct worker *worker)
{
	struct crash_disk disk = { .nodes = NULL };
	struct cutting cutting = { .log = worker->log, .wanted = worker->torture ? 0 : SAMPLE, .first_id = FIRST_ID_AFTER_CRASH,
		.before = "", .again_every = worker->torture ? 100 : 20 };

	complaints = dup(STDERR_FILENO);
	if (freopen("/dev/null", "w", stderr) == NULL)
		abort();
	worker->second = crash_log_new();
	make_snapshots(worker);
	crash_disk_node(&disk, CRASH_ROOT)->is_folder = true;
	cut_through(worker, &disk, &cutting, &worker->expectation);
	crash_disk_free(&disk);
	support_remove(worker->folder);
}

/* ---- the test ---- */

static void
record_load(struct crash_log *log, uint64_t seed)
{
	struct box *box;
	struct stat status;
	int result;
	pid_t child = fork();

	if (child == 0) {
		expecting = memory_new(1, sizeof(*expecting));
		box = box_new("crash");
		box->segment_size = SEGMENT;
		if (stat(box->folder, &status) < 0)
			_exit(1);
		crash_node_add(log, status.st_ino);
		crash_recording = log;
		run_load(box, seed);
		crash_recording = NULL;
		box_free(box);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_int_equal(result, 0);
}

static pid_t
start_worker(unsigned number, struct crash_log *log, uint64_t seed, const char *folder)
{
	struct worker *worker = memory_new(1, sizeof(*worker));
	pid_t child;

	worker->number = number;
	worker->torture = getenv("MATADOR_TORTURE") != NULL;
	worker->seed = seed;
	worker->log = log;
	snprintf(worker->folder, sizeof(worker->folder), "%.100s/%u", folder, number);
	child = fork();
	if (child == 0) {
		work(worker);
		_exit(0);
	}
	free(worker);
	return child;
}

static uint64_t
choose_seed(void)
{
	const char *named = getenv("MATADOR_TEST_SEED");
	uint32_t fresh = 144;

	if (named != NULL)
		return strtoull(named, NULL, 10);
	if (getenv("MATADOR_TORTURE") != NULL && getrandom(&fresh, sizeof(fresh), 0) != sizeof(fresh))
		abort();
	return fresh;
}

/* Of each case there were some, else nothing is known of it. */
static void
check_cases(void)
{
	static const char *const names[CRASH_CASES] = { "torn between sectors", "reordered", "a segment used again",
		"a rename pending", "an unlink pending", "written after a failed flush" };

	for (unsigned i = 0; i < CRASH_CASES; i++)
		printf("%s: %u; ", names[i], totals->met[i]);
	printf("a body without its entry: %u; the index ahead: %u, behind: %u\n", totals->bodies_alone, totals->index_ahead,
	    totals->index_behind);
	for (unsigned i = 0; i < CRASH_CASES; i++)
		assert_true(totals->met[i] > 0);
	assert_true(totals->bodies_alone > 0 && totals->index_ahead > 0 && totals->index_behind > 0 && totals->twice_cut > 0);
}

static void
everything_confirmed_is_found_in_whatever_a_power_failure_leaves(void **state)
{
	const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
	uint64_t seed = choose_seed();
	struct crash_log *log = crash_log_new();
	char folder[100];
	int status;

	(void)state;
	printf("MATADOR_TEST_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	snprintf(folder, sizeof(folder), "%.70s/matador-crash-XXXXXX", place == NULL ? "/tmp" : place);
	assert_non_null(mkdtemp(folder));
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	record_load(log, seed);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_true(start_worker(i, log, seed, folder) > 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	support_remove(folder);
	printf("%u events, %llu octets; %u states, %u of them after a second cut; %u messages read: "
	    "lost %u, half %u, twice %u, back %u, other %u\n", log->count, (unsigned long long)log->octets, totals->states,
	    totals->twice_cut, totals->messages, totals->lost, totals->half, totals->twice, totals->back, totals->other);
	assert_int_equal(totals->lost + totals->half + totals->twice + totals->back + totals->other, 0);
	assert_true(totals->states >= SAMPLE / 2 && totals->messages > totals->states);
	if (getenv("MATADOR_TORTURE") != NULL)
		assert_int_equal(totals->prefixes, log->count + 1);
	check_cases();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_confirmed_is_found_in_whatever_a_power_failure_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
