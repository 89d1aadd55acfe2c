/*
 * test_store_kill - a process that uses MAIL.BOX is killed at random instants; what it was told is there
 *
 * A child adds, updates, parks, takes, holds and ends messages, and tells by a pipe what it is about to do and
 * what the store
 * confirmed. The parent kills it, opens the same mailbox, and compares. The mailbox lives on from round to
 * round, with
 * the index deleted or put back to an older state in between, so that whatever one crash leaves behind meets
 * the next.
 *
 * MATADOR_TEST_ROUNDS makes it longer. What a power failure leaves beyond that is in test_crash_states.c.
 */
#include "tests/unit/qmgr/store_support.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define RECIPIENTS 4
#define SEGMENT (64 * 1024)
#define IDS 4000			/* in a round */

enum step { STEP_ADD, STEP_ADD_FILE, STEP_UPDATE, STEP_DONE, STEP_HOLD, STEP_RELEASE };

struct report {
	uint8_t step;
	uint8_t confirmed;
	uint8_t recipient;
	uint32_t length;
	uint64_t id;
};

/* ---- the child ---- */

struct child {
	struct box *box;
	int pipe;
	unsigned in_flight;
	uint64_t next_id;
	struct envelope *active[64];
	unsigned active_count;
};

struct pending {
	struct child *child;
	struct report reports[4];
	unsigned count;
	struct envelope *envelope;	/* becomes active with the confirmation */
};

static void
activate(struct child *child, struct envelope *envelope)
{
	if (child->active_count < ARRAY_COUNT(child->active)) {
		child->active[child->active_count++] = envelope;
	} else {
		store_park(child->box->store, envelope, false);
		envelope_free(envelope);
		free(envelope);
	}
}

static void
tell(struct child *child, struct report *report, bool confirmed)
{
	report->confirmed = confirmed;
	if (write(child->pipe, report, sizeof(*report)) != sizeof(*report))
		_exit(3);
}

static void
confirmed_cb(void *context, const struct error *error)
{
	struct pending *pending = context;

	for (unsigned i = 0; i < pending->count && error == NULL; i++)
		tell(pending->child, &pending->reports[i], true);
	pending->child->in_flight--;
	if (pending->envelope != NULL)
		activate(pending->child, pending->envelope);
	free(pending);
}

static struct pending *
pending_new(struct child *child)
{
	struct pending *pending = memory_new(1, sizeof(*pending));

	pending->child = child;
	return pending;
}

static void
intend(struct pending *pending, enum step step, uint64_t id, unsigned recipient, uint32_t length)
{
	struct report *report = &pending->reports[pending->count++];

	*report = (struct report){ (uint8_t)step, 0, (uint8_t)recipient, length, id };
	tell(pending->child, report, false);
}

static void
send_batch(struct child *child, struct store_batch *batch, struct pending *pending)
{
	child->in_flight++;
	store_commit(child->box->store, batch, arc4random_uniform(3) != 0, confirmed_cb, pending);
}

static size_t
random_length(void)
{
	static const size_t lengths[] = { 0, 1, 300, 3000, 4096 * 2, 9000, 30000 };

	return lengths[arc4random_uniform(ARRAY_COUNT(lengths))] + arc4random_uniform(500);
}

static void
child_add(struct child *child)
{
	struct store_batch *batch = store_batch_new(child->box->store);
	struct pending *pending = pending_new(child);
	size_t length = random_length();
	struct envelope *envelope = memory_new(1, sizeof(*envelope));
	struct store_content *content = support_content(child->next_id, length);

	support_envelope(envelope, child->next_id, RECIPIENTS);
	store_batch_add(batch, envelope, content, 0, 0);
	store_content_release(&content);
	intend(pending, STEP_ADD, child->next_id, 0, (uint32_t)length);
	send_batch(child, batch, pending);
	child->active[child->active_count++] = envelope;
	child->next_id++;
}

/* The content goes into a file: the store opens it, the depositor writes it. */
struct deposit {
	struct child *child;
	struct envelope *envelope;
	size_t length;
};

static void
child_got_file(void *context, uint64_t id, int file, uint64_t size, const struct error *error)
{
	struct deposit *deposit = context;
	struct child *child = deposit->child;
	struct store_batch *batch = store_batch_new(child->box->store);
	struct pending *pending = pending_new(child);
	struct store_content *content = support_content(id, deposit->length);

	(void)size;
	child->in_flight--;
	if (error != NULL || write(file, content->data, content->length) != (ssize_t)content->length)
		_exit(4);
	close(file);
	store_content_release(&content);
	store_batch_add(batch, deposit->envelope, NULL, deposit->length, support_checksum(id, deposit->length));
	intend(pending, STEP_ADD_FILE, id, 0, (uint32_t)deposit->length);
	pending->envelope = deposit->envelope;
	send_batch(child, batch, pending);
	free(deposit);
}

static void
child_add_file(struct child *child)
{
	struct deposit *deposit = memory_new(1, sizeof(*deposit));

	deposit->child = child;
	deposit->length = 20000 + arc4random_uniform(100000);
	deposit->envelope = memory_new(1, sizeof(*deposit->envelope));
	support_envelope(deposit->envelope, child->next_id, RECIPIENTS);
	child->in_flight++;
	store_body_create(child->box->store, child->next_id++, child_got_file, deposit);
}

static void
child_forget(struct child *child, unsigned which)
{
	envelope_free(child->active[which]);
	free(child->active[which]);
	child->active[which] = child->active[--child->active_count];
}

static void
child_update(struct child *child, unsigned which)
{
	struct envelope *envelope = child->active[which];
	unsigned recipient = arc4random_uniform(RECIPIENTS);
	struct store_batch *batch = store_batch_new(child->box->store);
	struct pending *pending = pending_new(child);
	bool chosen[RECIPIENTS] = { false };

	chosen[recipient] = true;
	if (arc4random_uniform(4) == 0)
		memset(chosen, true, sizeof(chosen));
	envelope->recipients[recipient].state = RECIPIENT_DELIVERED;
	store_batch_update(batch, envelope, chosen);
	intend(pending, STEP_UPDATE, envelope->id, recipient, 0);
	send_batch(child, batch, pending);
}

static void
child_done(struct child *child, unsigned which)
{
	struct store_batch *batch = store_batch_new(child->box->store);
	struct pending *pending = pending_new(child);

	store_batch_done(batch, child->active[which]->id);
	intend(pending, STEP_DONE, child->active[which]->id, 0, 0);
	send_batch(child, batch, pending);
	child_forget(child, which);
}

static void
child_park(struct child *child, unsigned which)
{
	bool held = arc4random_uniform(5) == 0;
	struct envelope *envelope = child->active[which];

	if (held) {
		struct store_batch *batch = store_batch_new(child->box->store);
		struct pending *pending = pending_new(child);

		store_batch_hold(batch, envelope->id, true);
		intend(pending, STEP_HOLD, envelope->id, 0, 0);
		send_batch(child, batch, pending);
	}
	store_park(child->box->store, envelope, held);
	child_forget(child, which);
}

static void
child_took(void *context, struct envelope *envelope, const struct error *error)
{
	struct child *child = context;

	(void)error;
	if (envelope != NULL)
		activate(child, envelope);
}

static void
child_step(struct child *child)
{
	unsigned which = child->active_count == 0 ? 0 : arc4random_uniform(child->active_count);

	switch (child->active_count == 0 ? 0 : arc4random_uniform(11)) {
	case 0:
		if (arc4random_uniform(4) == 0) {
			child_add_file(child);
			break;
		}
		/* fallthrough */
	case 1:
	case 2:
		if (child->active_count < ARRAY_COUNT(child->active) / 2)
			child_add(child);
		break;
	case 3:
	case 4:
		child_update(child, which);
		break;
	case 5:
	case 6:
		/* Parking is for messages that are stored. */
		if (child->in_flight == 0)
			child_park(child, which);
		break;
	case 7:
		store_take_due(child->box->store, 1, arc4random_uniform(6), child_took, child);
		break;
	default:
		if (child->in_flight < 20)
			child_done(child, which);
	}
}

static void
child_run(struct box *box, int pipe, uint64_t first_id)
{
	struct child child = { .box = box, .pipe = pipe, .next_id = first_id };

	event_reinit(box->base);
	box_open(box);
	while (child.next_id < first_id + IDS) {
		child_step(&child);
		event_base_loop(box->base, child.in_flight > 8 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
	}
	for (;;)
		pause();
}

/* ---- the parent's idea of what must be there ---- */

struct model {
	struct expected {
		bool add_asked, add_confirmed, done_asked, done_confirmed;
		bool held_asked, in_file;
		bool seen;
		uint8_t delivered_asked, delivered_confirmed;	/* a bit a recipient */
		uint32_t length;
	} *messages;
	uint64_t count;
};

static void
model_take(struct model *model, const struct report *report)
{
	struct expected *expected;

	if (report->id >= model->count) {
		model->messages = memory_resize(model->messages, report->id + IDS, sizeof(*model->messages));
		memset(&model->messages[model->count], 0, (report->id + IDS - model->count) * sizeof(*model->messages));
		model->count = report->id + IDS;
	}
	expected = &model->messages[report->id];
	switch ((enum step)report->step) {
	case STEP_ADD_FILE:
		expected->in_file = true;
		/* fallthrough */
	case STEP_ADD:
		expected->length = report->length;
		expected->add_asked = true;
		expected->add_confirmed |= report->confirmed;
		break;
	case STEP_UPDATE:
		expected->delivered_asked |= (uint8_t)(1u << report->recipient);
		if (report->confirmed)
			expected->delivered_confirmed |= (uint8_t)(1u << report->recipient);
		break;
	case STEP_DONE:
		expected->done_asked = true;
		expected->done_confirmed |= report->confirmed;
		break;
	case STEP_HOLD:
	case STEP_RELEASE:
		expected->held_asked = true;
		break;
	}
}

static void
check_one(struct box *box, struct model *model, struct envelope *envelope)
{
	struct expected *expected;

	assert_true(envelope->id < model->count);
	expected = &model->messages[envelope->id];
	if (expected->done_confirmed)
		fail_msg("message %llu was done and is there", (unsigned long long)envelope->id);
	assert_true(expected->add_asked);
	assert_int_equal(envelope->recipient_count, RECIPIENTS);
	for (unsigned i = 0; i < RECIPIENTS; i++) {
		bool delivered = envelope->recipients[i].state == RECIPIENT_DELIVERED;

		if (delivered && !(expected->delivered_asked >> i & 1))
			fail_msg("message %llu: recipient %u was never delivered", (unsigned long long)envelope->id, i);
		if (!delivered && (expected->delivered_confirmed >> i & 1))
			fail_msg("message %llu: recipient %u was delivered and is not", (unsigned long long)envelope->id, i);
	}
	expected->seen = true;
	(void)box;
}

/* The envelopes of all messages, from the store's list; held ones too. */
static void
check_all(struct box *box, struct model *model)
{
	struct envelope **all;
	size_t count = 0;
	uint64_t *ids;

	count = box_list(box, 0, 10000);
	ids = memory_new(count, sizeof(*ids));
	for (size_t i = 0; i < count; i++)
		ids[i] = box->listed[i].id;
	all = memory_new(count, sizeof(struct envelope *));
	for (size_t i = 0; i < count; i++) {
		struct envelope *envelope = box_take_id(box, ids[i]);

		if (envelope == NULL)
			fail_msg("message %llu is listed but cannot be taken", (unsigned long long)ids[i]);
		check_one(box, model, envelope);
		if (!(model->messages[ids[i]].in_file ? box_body_is_right : box_content_is_right)(box, ids[i],
		    model->messages[ids[i]].length))
			fail_msg("message %llu: wrong content: %s", (unsigned long long)ids[i], box->error.text);
	}
	for (uint64_t id = 0; id < model->count; id++) {
		struct expected *expected = &model->messages[id];

		if (expected->add_confirmed && !expected->done_asked && !expected->seen)
			fail_msg("message %llu is lost", (unsigned long long)id);
		/* What was not confirmed is settled now. */
		if (expected->add_asked && !expected->seen)
			expected->done_asked = expected->done_confirmed = true;
		else if (expected->seen)
			expected->add_confirmed = true;
		expected->seen = false;
	}
	assert_int_equal(box->summary.messages, count);
	free(all);
	free(ids);
}

/* When everything is done nothing in the journal is alive any more. */
static void
end_all(struct box *box, const struct model *model)
{
	for (uint64_t id = 0; id < model->count; id++) {
		struct store_batch *batch;

		if (!model->messages[id].add_confirmed || model->messages[id].done_confirmed)
			continue;
		batch = store_batch_new(box->store);
		store_batch_done(batch, id);
		store_commit(box->store, batch, false, NULL, NULL);
	}
	box_commit(box, store_batch_new(box->store));
	box_run_ms(box, 500);
	assert_int_equal(box_number(box, "live_octets"), 0);
	box_reopen(box);
	assert_int_equal(box->summary.messages, 0);
}

static void
index_path(const struct box *box, char path[static 256], const char *suffix)
{
	snprintf(path, 256, "%s%s", box->folder, suffix);
}

/* Sometimes the index is lost, or an older one comes back. */
static void
trouble_index(const struct box *box)
{
	char index[256], kept[256];

	index_path(box, index, "/index");
	index_path(box, kept, ".kept");
	switch (arc4random_uniform(6)) {
	case 0:
		support_remove(index);
		break;
	case 1:
		if (access(kept, F_OK) == 0)
			support_copy(kept, index);
		break;
	case 2:
		if (access(index, F_OK) == 0)
			support_copy(index, kept);
		break;
	default:
		break;
	}
}

static void
run_and_kill(struct box *box, struct model *model, uint64_t first_id)
{
	struct report report;
	int ends[2], status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		child_run(box, ends[1], first_id);
		_exit(0);
	}
	close(ends[1]);
	fcntl(ends[0], F_SETPIPE_SZ, 1024 * 1024);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	for (deadline_t until = deadline_after_ms(60 + arc4random_uniform(400)); !deadline_passed(until);) {
		while (read(ends[0], &report, sizeof(report)) == sizeof(report))
			model_take(model, &report);
		usleep(500);
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(ends[0], &report, sizeof(report)) == sizeof(report))
		model_take(model, &report);
	close(ends[0]);
}

static void
what_was_confirmed_is_there_after_every_kill(void **state)
{
	const char *wanted = getenv("MATADOR_TEST_ROUNDS");
	unsigned rounds = wanted == NULL ? 12 : (unsigned)atoi(wanted);
	struct box *box = box_new("kill");
	struct model model = { NULL, 0 };
	char kept[256];

	(void)state;
	box->segment_size = SEGMENT;
	for (unsigned round = 0; round < rounds; round++) {
		run_and_kill(box, &model, (uint64_t)round * IDS + 1);
		trouble_index(box);
		box_open(box);
		assert_int_equal(box->summary.damaged, 0);
		check_all(box, &model);
		if (round + 1 == rounds)
			end_all(box, &model);
		box_close(box);
	}
	index_path(box, kept, ".kept");
	support_remove(kept);
	free(model.messages);
	box_free(box);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_confirmed_is_there_after_every_kill),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
