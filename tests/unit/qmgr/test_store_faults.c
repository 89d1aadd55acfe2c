/*
 * test_store_faults - one call on the disk fails, each in its turn and in each way; what was confirmed is there all the same
 *
 * The calls of tests/functional/preload_fail_calls.c stand in place of the C library's, for the store and for Berkeley DB. A disk
 * that stumbles once is no damage: nothing may be set aside, given up or deleted because of it, at a start or later. Berkeley DB
 * dies of some faults (5.3 closes files that it did not open): that is as good as a kill, and seldom. A sample runs
 * by itself; MATADOR_TORTURE in the environment makes it a large one.
 */
#undef _FORTIFY_SOURCE		/* its inline functions have the names that are defined here */
#include "tests/functional/preload_fail_calls.c"

#include "tests/unit/qmgr/store_support.h"

#include <signal.h>
#include <sys/wait.h>

/* What Berkeley DB dies of is told by the signal, also from a sanitized build. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "handle_segv=0";
}

#define SAMPLE 30
#define TORTURE_SAMPLE 600
#define SEGMENT (64 * 1024)
#define MESSAGES 12		/* those with even numbers have body files */
#define ENDED 4			/* so many of them, the first ones, are done */
#define INLINE_LENGTH 3000
#define BODY_LENGTH 20000
#define IDS (2 * MESSAGES + 1)

static const int64_t reasons[] = { EIO, ENOSPC, EDQUOT, 0 };

static struct control faults;

/* Shared with the processes in which the faults happen. */
static struct {
	char name[24];			/* of the call that failed */
	bool there[IDS];		/* the message was confirmed and has to be there */
	bool possible[IDS];		/* it may be there */
} *result;
static unsigned died;

static void
arm(int64_t at, int64_t reason)
{
	control = &faults;
	faults = (struct control){ .at = at, .times = 1, .reason = reason };
}

static void
disarm(void)
{
	faults.at = 0;
}

static bool
is_file(uint64_t id)
{
	return id % 2 == 0;
}

static uint64_t
length_of(uint64_t id)
{
	return is_file(id) ? BODY_LENGTH : INLINE_LENGTH;
}

/* ---- changes that may fail; whether they were confirmed ---- */

static bool
commit(struct box *box, struct store_batch *batch)
{
	box->failed = false;
	box_commit(box, batch);
	return !box->failed;
}

static bool
write_body(struct box *box, uint64_t id)
{
	struct store_content *content = support_content(id, BODY_LENGTH);
	bool written;

	box_forget_answers(box);
	store_body_create(box->store, id, box_got_file, box);
	box_wait(box, 1);
	written = box->file >= 0 && write(box->file, content->data, content->length) == (ssize_t)content->length;
	store_content_release(&content);
	box_forget_answers(box);	/* closes it */
	return written;
}

static bool
add(struct box *box, uint64_t id)
{
	struct store_batch *batch;
	struct store_content *content = NULL;
	struct envelope envelope;

	if (is_file(id) && !write_body(box, id)) {
		store_body_abandon(box->store, id);
		return false;
	}
	batch = store_batch_new(box->store);
	support_envelope(&envelope, id, 3);
	if (!is_file(id))
		content = support_content(id, INLINE_LENGTH);
	store_batch_add(batch, &envelope, content, BODY_LENGTH, support_checksum(id, BODY_LENGTH));
	store_content_release(&content);
	envelope_free(&envelope);
	return commit(box, batch);
}

static bool
end(struct box *box, uint64_t id)
{
	struct store_batch *batch = store_batch_new(box->store);

	store_batch_done(batch, id);
	return commit(box, batch);
}

static bool
content_is_right(struct box *box, uint64_t id)
{
	return (is_file(id) ? box_body_is_right : box_content_is_right)(box, id, length_of(id));
}

/* ---- a mailbox to begin with ---- */

static char original[160];	/* a copy of it, as a kill left it: the index is behind the journal */

static void
make_original(void)
{
	struct box *box = box_new("faults");

	box->segment_size = SEGMENT;
	box_open(box);
	for (uint64_t id = 1; id <= MESSAGES; id++)
		assert_true(add(box, id));
	box_reopen(box);
	for (uint64_t id = 1; id <= ENDED; id++)
		assert_true(end(box, id));
	box_run_ms(box, 50);
	snprintf(original, sizeof(original), "%s.original", box->folder);
	support_copy(box->folder, original);
	box_free(box);
}

static struct box *
begin(void)
{
	struct box *box = box_new("faults");

	box->segment_size = SEGMENT;
	support_copy(original, box->folder);
	return box;
}

/* A start without faults finds those that have to be there, and nothing that cannot be; then it takes mail. */
static void
check_all(struct box *box, const char *after)
{
	box_open(box);
	if (box->summary.damaged != 0)
		fail_msg("%s: damage was found", after);
	for (uint64_t id = 1; id < IDS; id++) {
		bool right = content_is_right(box, id);

		if (result->there[id] && !right)
			fail_msg("%s: message %llu is lost: %s", after, (unsigned long long)id, box->error.text);
		if (!result->there[id] && !result->possible[id] && box->error.kind != ERROR_UNAVAILABLE)
			fail_msg("%s: message %llu is there: %s", after, (unsigned long long)id, right ? "whole" : box->error.text);
	}
	assert_true(add(box, IDS));
}

/* ---- which call, and how ---- */

struct place {
	int64_t at;
	int64_t reason;
};

/* Calls `each` with a sample of all places in so many calls. */
static void
each_place(int64_t calls, void (*each)(struct place place))
{
	int64_t wanted = getenv("MATADOR_TORTURE") == NULL ? SAMPLE : TORTURE_SAMPLE;
	unsigned tried = 0;
	uint64_t seed = 1;

	for (int64_t at = 1; at <= calls; at++)
		for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			if ((int64_t)((seed >> 33) % (uint64_t)(calls * (int64_t)ARRAY_COUNT(reasons))) >= wanted)
				continue;
			each((struct place){ at, reasons[i] });
			tried++;
		}
	printf("%lld calls, %u faults tried, %u times Berkeley DB died\n", (long long)calls, tried, died);
	assert_true(tried > SAMPLE / 3 && died <= 2 + tried / 20);
}

static void
describe(struct place place, char text[static 100])
{
	snprintf(text, 100, "after call %lld (%s) failed with %s", (long long)place.at, result->name,
	    place.reason == 0 ? "half of it done" : strerrorname_np((int)place.reason));
}

/* ---- the start ---- */

static void
expect_original(void)
{
	memset(result, 0, sizeof(*result));
	for (uint64_t id = 0; id < IDS; id++)
		result->there[id] = id > ENDED && id <= MESSAGES;
}

/* Runs act(box, place) on a new copy in a process of its own, then looks at what it left. */
static void
try_fault(void (*act)(struct box *box, struct place place), struct place place)
{
	struct box *box = begin();
	char text[100];
	int status;
	pid_t child;

	expect_original();
	child = fork();
	if (child == 0) {
		event_reinit(box->base);
		signal(SIGSEGV, SIG_DFL);	/* cmocka's handler would go on with the next test */
		alarm(60);
		act(box, place);
		memcpy(result->name, faults.name, sizeof(result->name));
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	describe(place, text);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
		died++;
	else if (status != 0)
		fail_msg("%s: the process ended with %#x", text, (unsigned)status);
	check_all(box, text);
	box_free(box);
}

static void
open_and_close(struct box *box, struct place place)
{
	arm(place.at, place.reason);
	if (box_try_open(box) < 0)
		return;
	box_run_ms(box, 5);
	box_close(box);
}

static void
start_with_fault(struct place place)
{
	try_fault(open_and_close, place);
}

static void
a_start_that_fails_at_any_call_loses_nothing(void **state)
{
	struct box *box = begin();
	int64_t calls;

	(void)state;
	arm(0, 0);
	box_open(box);
	calls = faults.calls;
	box_free(box);
	each_place(calls, start_with_fault);
}

static void
a_folder_that_cannot_be_read_stops_the_start(void **state)
{
	struct box *box = begin();

	(void)state;
	expect_original();
	arm(1, EIO);
	snprintf(faults.only, sizeof(faults.only), "readdir");
	assert_int_equal(box_try_open(box), -1);
	assert_int_equal(faults.failed, 1);
	disarm();
	check_all(box, "after the folder could not be read");
	box_free(box);
}

static void
a_read_that_fails_once_is_tried_again(void **state)
{
	(void)state;
	for (int64_t at = 1; at <= 4; at++) {
		struct box *box = begin();

		arm(at, EIO);
		snprintf(faults.only, sizeof(faults.only), "pread");
		box_open(box);
		assert_int_equal(faults.failed, 1);
		assert_int_equal(box->summary.damaged, 0);
		assert_int_equal(box->summary.messages, MESSAGES - ENDED);
		box_free(box);
	}
}

static void
a_content_that_cannot_be_read_is_no_damage(void **state)
{
	struct box *box = begin();
	uint64_t id = MESSAGES - 1;

	(void)state;
	box_open(box);
	arm(1, EIO);
	faults.times = 2;
	snprintf(faults.only, sizeof(faults.only), "pread");
	assert_true(box_content_is_right(box, id, length_of(id)));
	assert_int_equal(faults.failed, 2);
	arm(1, EIO);
	faults.times = 100;
	snprintf(faults.only, sizeof(faults.only), "pread");
	assert_false(box_content_is_right(box, id, length_of(id)));
	assert_int_equal(box->error.kind, ERROR_SYSTEM);
	disarm();
	assert_true(box_content_is_right(box, id, length_of(id)));
	box_free(box);
}

/* ---- at work ---- */

/* Adds, ends, parks, takes and reads. */
static void
work(struct box *box)
{
	for (uint64_t id = MESSAGES + 1; id <= MESSAGES + 6; id++) {
		result->possible[id] = true;
		result->there[id] = add(box, id);
	}
	for (uint64_t id = ENDED + 1; id <= ENDED + 4; id++) {
		content_is_right(box, id);
		box_take_id(box, id);
		result->possible[id] = true;
		result->there[id] = false;
		if (end(box, id))
			result->possible[id] = false;
	}
	for (uint64_t id = MESSAGES + 1; id <= MESSAGES + 4; id++) {
		struct envelope envelope;

		if (!result->there[id])
			continue;
		support_envelope(&envelope, id, 3);
		store_park(box->store, &envelope, false);
		envelope_free(&envelope);
	}
	box_list(box, 0, 100);
	box_run_ms(box, 250);	/* a tick: segments are made, the index has its checkpoint */
}

static void
open_and_work(struct box *box, struct place place)
{
	box_open(box);
	arm(place.at, place.reason);
	work(box);
	disarm();
	box_close(box);
}

static void
work_with_fault(struct place place)
{
	try_fault(open_and_work, place);
}

static void
a_fault_at_any_call_of_the_day_loses_nothing(void **state)
{
	struct box *box = begin();
	int64_t calls;

	(void)state;
	box_open(box);
	arm(0, 0);
	work(box);
	calls = faults.calls;
	box_free(box);
	each_place(calls, work_with_fault);
}

static int
remove_original(void **state)
{
	(void)state;
	support_remove(original);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	make_original();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_that_fails_at_any_call_loses_nothing),
		cmocka_unit_test(a_folder_that_cannot_be_read_stops_the_start),
		cmocka_unit_test(a_read_that_fails_once_is_tried_again),
		cmocka_unit_test(a_content_that_cannot_be_read_is_no_damage),
		cmocka_unit_test(a_fault_at_any_call_of_the_day_loses_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, remove_original);
}
