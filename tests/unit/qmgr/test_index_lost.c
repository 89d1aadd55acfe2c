/*
 * test_index_lost - the index is lost and made again while mail is worked on; what cannot be read stands in the way
 *
 * The store's own threads run; this file says when. fstatvfs() is called in the reader's thread at the beginning of each
 * of its turns, before it copies forward, makes the index again and writes its checkpoint: there that thread is told what
 * happens next. A flush of the journal waits while `hold_flush` is set, and a read of it while `hold_read` is.
 */
#include <errno.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "qmgr/store/internal.h"
#include "tests/unit/qmgr/bad_disk.h"
#include "tests/unit/qmgr/store_support.h"

#define PATIENCE_MS 30000
#define LONG_PASSES 100000

enum {
	LOSE_INDEX = 1, MAKE_INDEX = 2, CHECKPOINT = 4,
	COPY = 8,			/* the first segment is copied forward, from now on */
	NEXT_PASS = 16,			/* over it, at once */
	LONG_LATER = 32,		/* so many passes ended in which something could not be read */
	HOLD_COPIES = 64, ALLOW_COPIES = 128,	/* none is written while a change is said to be on its way */
};

static struct store *_Atomic told;	/* the store whose reader listens */
static _Atomic unsigned orders, turns;
static _Atomic unsigned passes;		/* as the reader counts them */
static _Atomic bool disk_short;
static _Atomic bool hold_flush, flush_held, hold_read, read_held;
static _Atomic int bad_reason;

/* ---- in place of the library's ---- */

static void
wait_while(_Atomic bool *hold, _Atomic bool *held)
{
	while (*hold) {
		*held = true;
		usleep(500);
	}
	*held = false;
}

int
fdatasync(int file)
{
	struct store *store = told;

	if (hold_flush && store != NULL && pthread_equal(pthread_self(), store->committer.thread))
		wait_while(&hold_flush, &flush_held);
	return (int)syscall(SYS_fdatasync, file);
}

ssize_t
pread(int file, void *data, size_t length, off_t offset)
{
	bool of_journal = (hold_read || bad_end > 0) && is_read_of_entry(file, length);

	if (of_journal && hold_read)
		wait_while(&hold_read, &read_held);
	if (of_journal && is_bad(length, offset)) {
		errno = bad_reason;
		return -1;
	}
	return syscall(SYS_pread64, file, data, length, offset);
}

static void
carry_out(struct store *store, unsigned order)
{
	struct error error;

	if (order & LOSE_INDEX) {
		error_set(&error, ERROR_DAMAGED, "the test says so");
		reader_index_failed(store, &error);
	}
	if (order & MAKE_INDEX)
		store->reader.index_retry = 0;
	if (order & CHECKPOINT)
		store->reader.checkpoint_at = 0;
	if (order & COPY) {
		pthread_mutex_lock(&store->lock);
		store->journal.used.list[0].suspect = true;
		pthread_mutex_unlock(&store->lock);
	}
	if (order & (HOLD_COPIES | ALLOW_COPIES)) {
		pthread_mutex_lock(&store->lock);
		store->in_transit += order & HOLD_COPIES ? 1 : -UINT64_C(1);
		pthread_mutex_unlock(&store->lock);
	}
	if (order & NEXT_PASS)
		store->reader.copying.next = 0;
	if (order & LONG_LATER)
		store->reader.copying.passes = LONG_PASSES;
}

int
fstatvfs(int file, struct statvfs *disk)
{
	struct store *store = told;

	(void)file;
	*disk = (struct statvfs){ .f_blocks = 100, .f_bavail = disk_short ? 15 : 90 };
	if (store != NULL) {
		store->reader.disk_check = 0;	/* at each turn */
		passes = store->reader.copying.passes;
		carry_out(store, atomic_exchange(&orders, 0));
		turns++;
	}
	return 0;
}

/* ---- driving ---- */

/* Until it is so, for the reader goes on meanwhile. */
static void
wait_until(struct box *box, const _Atomic bool *flag)
{
	deadline_t until = deadline_after_ms(PATIENCE_MS);

	while (!*flag && !deadline_passed(until)) {
		reader_wake(box->store);
		box_run_ms(box, 1);
	}
	assert_true(*flag);
}

/* The reader is told in its next turn; that has ended on return. */
static void
tell(struct box *box, unsigned order)
{
	deadline_t until = deadline_after_ms(PATIENCE_MS);
	unsigned begun;

	orders = order;
	while (orders != 0 && !deadline_passed(until)) {
		reader_wake(box->store);
		box_run_ms(box, 1);
	}
	begun = turns;
	while (turns < begun + 2 && !deadline_passed(until)) {
		reader_wake(box->store);
		box_run_ms(box, 1);
	}
	assert_true(turns >= begun + 2);
}

/* What the table says of a message: whether a copy of it is on its way. */
static bool
is_copied(struct box *box, uint64_t id)
{
	const struct message *message;
	bool copied;

	pthread_mutex_lock(&box->store->lock);
	message = message_table_find(&box->store->table, id);
	copied = message != NULL && message->copying;
	pthread_mutex_unlock(&box->store->lock);
	return copied;
}

static bool
stands_in_table(struct box *box, uint64_t id)
{
	bool stands;

	pthread_mutex_lock(&box->store->lock);
	stands = message_table_find(&box->store->table, id) != NULL;
	pthread_mutex_unlock(&box->store->lock);
	return stands;
}

static void
reopen(struct box *box)
{
	told = NULL;
	box_reopen(box);
	told = box->store;
}

static void
park(struct box *box, uint64_t id)
{
	struct envelope envelope;

	support_envelope(&envelope, id, 3);
	store_park(box->store, &envelope, false);
	envelope_free(&envelope);
}

/* Committed while a flush is held, so nothing is waited for. */
static void
ask_to_add(struct box *box, uint64_t id)
{
	struct store_batch *batch = store_batch_new(box->store);

	batch_add_message(batch, id, 1000, 3);
	store_commit(box->store, batch, true, box_committed, box);
}

/* The next flush is held; a new message of that id is in it. What comes now waits behind it. */
static void
hold_a_flush(struct box *box, uint64_t id)
{
	hold_flush = true;
	ask_to_add(box, id);
	wait_until(box, &flush_held);
}

static void
wait_for_copy(struct box *box, uint64_t id)
{
	for (deadline_t until = deadline_after_ms(PATIENCE_MS); is_copied(box, id) && !deadline_passed(until);)
		tell(box, 0);
	assert_false(is_copied(box, id));
}

/* Until the table has a copy that the committer wrote; the reader may be busy. */
static void
wait_for_flushed_copy(struct box *box, uint64_t id)
{
	deadline_t until = deadline_after_ms(PATIENCE_MS);
	bool flushed = false;

	while (!flushed && !deadline_passed(until)) {
		const struct message *message;

		box_run_ms(box, 1);
		pthread_mutex_lock(&box->store->lock);
		message = message_table_find(&box->store->table, id);
		flushed = message != NULL && message->parts[0].flags & ENTRY_COPY;
		pthread_mutex_unlock(&box->store->lock);
	}
	assert_true(flushed);
}

/* In all segments. */
static void
mark_bad(uint64_t page, int reason)
{
	bad_reason = reason;
	make_bad(page);
}

/* ---- an index that is lost ---- */

static void
a_message_that_is_active_stands_in_the_next_index(void **state)
{
	struct box *box = *state;

	box_add(box, 1, 1000);
	tell(box, CHECKPOINT);
	tell(box, LOSE_INDEX);
	tell(box, MAKE_INDEX);
	reopen(box);
	assert_int_equal(box->summary.messages, 1);
	assert_int_equal(box_take_due(box, FUTURE, 10), 1);
	assert_true(box_content_is_right(box, 1, 1000));
}

/* An index without them would count as whole at the next start. */
static void
what_the_disk_cannot_read_for_a_moment_while_the_index_is_lost_is_in_the_next(void **state)
{
	struct box *box = *state;
	unsigned live;

	for (uint64_t id = 1; id <= 3; id++)
		box_add(box, id, 1000);
	reopen(box);
	live = box_number(box, "live_octets");
	bad_for_whole = true;
	mark_bad(2, EIO);
	tell(box, LOSE_INDEX);
	tell(box, MAKE_INDEX);
	assert_int_equal(box_number(box, "damaged"), 0);
	bad_end = 0;
	tell(box, MAKE_INDEX);
	tell(box, CHECKPOINT);
	assert_int_equal(box_number(box, "live_octets"), live);
	reopen(box);
	assert_int_equal(box_take_due(box, FUTURE, 10), 3);
	assert_true(box_content_is_right(box, 2, 1000));
}

/* An update that the index had not heard of when it was lost, and what it replaced, are counted once. */
static void
what_was_changed_while_the_index_is_lost_is_counted_once(void **state)
{
	struct box *box = *state;
	struct envelope envelope;
	unsigned live;

	box_add(box, 1, 1000);
	reopen(box);
	support_envelope(&envelope, 1, 3);
	box_deliver(box, &envelope, 0);
	box_deliver(box, &envelope, 1);
	envelope_free(&envelope);
	tell(box, LOSE_INDEX);
	tell(box, MAKE_INDEX);
	tell(box, CHECKPOINT);
	live = box_number(box, "live_octets");
	reopen(box);
	assert_int_equal(box_number(box, "live_octets"), live);
	box_done(box, 1);
	tell(box, 0);
	assert_int_equal(box_number(box, "live_octets"), 0);
}

static void
a_message_whose_copy_is_flushed_while_it_comes_into_the_index_stays_parked(void **state)
{
	struct box *box = *state;
	unsigned live;

	box_add(box, 1, 1000);
	reopen(box);
	live = box_number(box, "live_octets");
	hold_flush = true;
	tell(box, LOSE_INDEX | COPY);
	assert_true(is_copied(box, 1));
	wait_until(box, &flush_held);
	tell(box, MAKE_INDEX);
	hold_flush = false;
	wait_for_copy(box, 1);
	tell(box, CHECKPOINT);
	assert_true(box_number(box, "copied_octets") > 0);
	assert_int_equal(box_number(box, "live_octets"), live);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box_take_due(box, FUTURE, 10), 1);
	assert_true(box_content_is_right(box, 1, 1000));
}

/* The reader makes the index and has just begun to read message 1. */
static void
begin_to_settle(struct box *box)
{
	box_add(box, 1, 1000);
	reopen(box);
	tell(box, LOSE_INDEX);
	hold_read = true;
	orders = MAKE_INDEX;
	wait_until(box, &read_held);
}

static void
a_delivery_while_the_message_comes_into_the_index_is_in_it(void **state)
{
	struct box *box = *state;
	struct envelope envelope;

	begin_to_settle(box);
	support_envelope(&envelope, 1, 3);
	box_deliver(box, &envelope, 1);
	envelope_free(&envelope);
	hold_read = false;
	tell(box, 0);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box->listed[0].delivered, 1);
	reopen(box);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box->listed[0].delivered, 1);
}

static void
a_message_that_ends_while_it_comes_into_the_index_is_not_in_it(void **state)
{
	struct box *box = *state;

	begin_to_settle(box);
	box_done(box, 1);
	hold_read = false;
	tell(box, 0);
	assert_int_equal(box_list(box, 0, 10), 0);
	reopen(box);
	assert_int_equal(box->summary.messages, 0);
}

/* ---- parked while it is copied ---- */

static void
a_message_that_ends_while_it_is_copied_and_parked_is_not_in_the_index(void **state)
{
	struct box *box = *state;
	struct store_batch *batch;

	box_add(box, 1, 1000);		/* in no checkpoint so far */
	for (uint64_t id = 2; box_number(box, "segments") == 1; id++)
		box_add(box, id, 100000);
	box_forget_answers(box);
	hold_a_flush(box, 10);
	tell(box, COPY);
	assert_true(is_copied(box, 1));
	park(box, 1);
	tell(box, 0);
	batch = store_batch_new(box->store);
	store_batch_done(batch, 1);
	store_commit(box->store, batch, true, box_committed, box);
	hold_flush = false;
	box_wait(box, 2);
	tell(box, 0);
	assert_int_equal(box_list(box, 0, 10), 0);
	assert_int_equal(box_take_due(box, FUTURE, 10), 0);
}

static void
a_message_that_could_not_be_read_once_stays_parked_while_it_is_copied(void **state)
{
	struct box *box = *state;
	struct envelope envelope;

	box_add(box, 1, 1000);
	reopen(box);
	mark_bad(1, EIO);
	tell(box, LOSE_INDEX);
	bad_end = 0;
	assert_non_null(box_take_id(box, 1));
	tell(box, MAKE_INDEX);
	support_envelope(&envelope, 1, 3);
	box_deliver(box, &envelope, 0);
	envelope_free(&envelope);
	hold_a_flush(box, 2);
	tell(box, COPY);
	assert_true(is_copied(box, 1));
	park(box, 1);
	tell(box, 0);
	tell(box, CHECKPOINT);
	hold_flush = false;
	wait_for_copy(box, 1);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box_take_due(box, FUTURE, 10), 1);
}

/* ---- changed while it is copied and comes into the index ---- */

static void
a_delivery_that_cannot_be_read_for_want_of_descriptors_is_in_the_next_index(void **state)
{
	struct box *box = *state;
	struct envelope envelope;

	box_add(box, 1, 1000);
	park(box, 1);
	tell(box, CHECKPOINT);
	assert_false(stands_in_table(box, 1));
	mark_bad(2, EMFILE);
	bad_end = UINT64_MAX;
	support_envelope(&envelope, 1, 3);
	box_deliver(box, &envelope, 1);
	envelope_free(&envelope);
	tell(box, 0);
	bad_end = 0;
	tell(box, MAKE_INDEX);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box->listed[0].delivered, 1);
	assert_int_equal(box_take_due(box, FUTURE, 10), 1);
	assert_int_equal(box_number(box, "index_failures"), 1);
}

/* Message 1 is parked without an index; a flush is held, and the copy waits behind it. */
static void
begin_to_copy_without_index(struct box *box)
{
	box_add(box, 1, 1000);
	reopen(box);
	tell(box, LOSE_INDEX);
	box_forget_answers(box);
	hold_a_flush(box, 2);
	tell(box, COPY);
	assert_true(is_copied(box, 1));
}

static void
a_delivery_that_is_flushed_with_the_copy_is_in_the_index(void **state)
{
	struct box *box = *state;
	struct store_batch *batch;
	struct envelope envelope;
	bool chosen[3] = { false, true, false };

	begin_to_copy_without_index(box);
	batch = store_batch_new(box->store);
	support_envelope(&envelope, 1, 3);
	envelope.recipients[1].state = RECIPIENT_DELIVERED;
	store_batch_update(batch, &envelope, chosen);
	envelope_free(&envelope);
	store_commit(box->store, batch, true, box_committed, box);
	tell(box, MAKE_INDEX);
	hold_flush = false;
	box_wait(box, 2);
	tell(box, 0);
	assert_true(box_number(box, "copied_octets") > 0);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box->listed[0].delivered, 1);
	reopen(box);
	assert_int_equal(box_list(box, 0, 10), 2);
	assert_int_equal(box->listed[0].delivered, 1);
}

/* The reader has not yet heard of the copy when the hold is flushed: it is busy with a content. */
static void
a_hold_that_is_flushed_soon_after_the_copy_is_in_the_index(void **state)
{
	struct box *box = *state;
	struct store_batch *batch;
	unsigned live;

	begin_to_copy_without_index(box);
	tell(box, MAKE_INDEX);
	assert_true(is_copied(box, 1));
	hold_read = true;
	store_read_content(box->store, 1, box_got_content, box);
	wait_until(box, &read_held);
	hold_flush = false;
	box_wait(box, 1);
	wait_for_flushed_copy(box, 1);
	batch = store_batch_new(box->store);
	store_batch_hold(batch, 1, true);
	box_commit(box, batch);
	hold_read = false;
	box_wait(box, 3);
	wait_for_copy(box, 1);
	tell(box, CHECKPOINT);
	assert_false(stands_in_table(box, 1));
	live = box_number(box, "live_octets");
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_true(box->listed[0].held);
	assert_int_equal(box_take_due(box, FUTURE, 10), 0);
	reopen(box);
	assert_int_equal(box_number(box, "live_octets"), live);
	assert_int_equal(box_take_due(box, FUTURE, 10), 1);
	assert_int_equal(box->taken[0]->id, 2);
}

/* ---- what cannot be read stands in the way of copying ---- */

/* Message 2 waits in the table. It stands in page 2 of the first segment, what was recorded of it in page 1 of the second. */
static void
begin_with_a_change(struct box *box)
{
	struct envelope envelope;

	box_add(box, 1, 1000);
	box_add(box, 2, 1000);
	reopen(box);
	support_envelope(&envelope, 2, 3);
	box_deliver(box, &envelope, 0);
	envelope_free(&envelope);
	disk_short = true;
	tell(box, LOSE_INDEX);
}

/* Message 2 is parked; page 3 of the first segment has nothing but its content. */
static void
begin_with_a_long_content(struct box *box)
{
	box_add(box, 1, 1000);
	box_add(box, 2, 10000);
	reopen(box);
}

/* For long all can be read, and still message 2 cannot be copied; then one read fails. */
static void
fail_after_long(struct box *box, uint64_t page)
{
	tell(box, HOLD_COPIES | COPY);
	for (unsigned i = 0; i < 3; i++) {
		tell(box, NEXT_PASS);
		assert_int_equal(passes, 0);
	}
	wait_for_copy(box, 2);
	mark_bad(page, EIO);
	tell(box, LONG_LATER | NEXT_PASS);
	bad_end = 0;
	assert_int_equal(box_number(box, "damaged"), 0);
	tell(box, NEXT_PASS);
	assert_int_equal(passes, 0);
	tell(box, ALLOW_COPIES);
}

/* Not in the first pass, and not long later. */
static void
fail_for_long(struct box *box, uint64_t page, int reason)
{
	mark_bad(page, reason);
	tell(box, COPY | NEXT_PASS);
	assert_int_equal(box_number(box, "damaged"), 0);
	tell(box, LONG_LATER | NEXT_PASS);
	assert_int_equal(passes, 0);	/* the next is the first one again */
	bad_end = 0;
}

static void
a_change_that_cannot_be_read_once_costs_no_message_however_long_copying_lasts(void **state)
{
	struct box *box = *state;

	begin_with_a_change(box);
	fail_after_long(box, 1);
	assert_int_equal(box_list(box, 0, 10), 2);
	assert_int_equal(box->listed[1].delivered, 1);
}

static void
a_message_that_cannot_be_read_for_long_is_given_up_for_the_room_that_it_needs(void **state)
{
	struct box *box = *state;

	begin_with_a_change(box);
	fail_for_long(box, 1, EIO);
	assert_int_equal(box_number(box, "damaged"), 1);
	assert_int_equal(box_list(box, 0, 10), 1);
	assert_int_equal(box->listed[0].id, 1);
}

static void
a_message_that_cannot_be_read_for_want_of_descriptors_is_never_given_up(void **state)
{
	struct box *box = *state;

	begin_with_a_change(box);
	fail_for_long(box, 1, EMFILE);
	assert_int_equal(box_number(box, "damaged"), 0);
	assert_int_equal(box_list(box, 0, 10), 2);
	assert_int_equal(box->listed[1].delivered, 1);
}

static void
a_content_that_cannot_be_read_once_is_not_given_up_however_long_copying_lasts(void **state)
{
	struct box *box = *state;

	begin_with_a_long_content(box);
	fail_after_long(box, 3);
	assert_true(box_content_is_right(box, 2, 10000));
}

static void
a_content_that_cannot_be_read_for_long_is_told_to_be_lost(void **state)
{
	struct box *box = *state;

	begin_with_a_long_content(box);
	fail_for_long(box, 3, EIO);
	assert_int_equal(box_number(box, "damaged"), 1);
	wait_for_copy(box, 2);
	assert_int_equal(box_list(box, 0, 10), 2);
	assert_false(box_content_is_right(box, 2, 10000));
}

static void
a_content_that_cannot_be_read_for_want_of_descriptors_is_never_given_up(void **state)
{
	struct box *box = *state;

	begin_with_a_long_content(box);
	fail_for_long(box, 3, EMFILE);
	assert_int_equal(box_number(box, "damaged"), 0);
	assert_true(box_content_is_right(box, 2, 10000));
}

/* Of message 1 nothing can be read in the first pass; then it can, and from now on the content of message 2 cannot. */
static void
a_content_that_fails_after_another_could_not_be_read_is_told_to_be_lost_too(void **state)
{
	struct box *box = *state;

	begin_with_a_long_content(box);
	mark_bad(1, EIO);
	tell(box, HOLD_COPIES | COPY);
	assert_true(is_copied(box, 2));
	wait_for_copy(box, 2);
	mark_bad(3, EIO);
	tell(box, LONG_LATER | NEXT_PASS);
	assert_int_equal(box_number(box, "damaged"), 0);
	tell(box, NEXT_PASS);
	assert_int_equal(box_number(box, "damaged"), 0);
	tell(box, LONG_LATER | NEXT_PASS);
	assert_int_equal(box_number(box, "damaged"), 1);
	tell(box, ALLOW_COPIES);
	bad_end = 0;
}

static int
set_up(void **state)
{
	struct box *box = box_new("index-lost");

	disk_short = hold_flush = hold_read = false;
	bad_end = 0;
	bad_for_whole = false;
	box->disk_reserve = 10;
	box_open(box);
	told = box->store;
	tell(box, 0);
	*state = box;
	return 0;
}

static int
tear_down(void **state)
{
	hold_flush = hold_read = false;
	bad_end = 0;
	told = NULL;
	box_free(*state);
	return 0;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		CASE(a_message_that_is_active_stands_in_the_next_index),
		CASE(what_the_disk_cannot_read_for_a_moment_while_the_index_is_lost_is_in_the_next),
		CASE(what_was_changed_while_the_index_is_lost_is_counted_once),
		CASE(a_message_whose_copy_is_flushed_while_it_comes_into_the_index_stays_parked),
		CASE(a_delivery_while_the_message_comes_into_the_index_is_in_it),
		CASE(a_delivery_that_cannot_be_read_for_want_of_descriptors_is_in_the_next_index),
		CASE(a_message_that_ends_while_it_comes_into_the_index_is_not_in_it),
		CASE(a_message_that_ends_while_it_is_copied_and_parked_is_not_in_the_index),
		CASE(a_message_that_could_not_be_read_once_stays_parked_while_it_is_copied),
		CASE(a_delivery_that_is_flushed_with_the_copy_is_in_the_index),
		CASE(a_hold_that_is_flushed_soon_after_the_copy_is_in_the_index),
		CASE(a_change_that_cannot_be_read_once_costs_no_message_however_long_copying_lasts),
		CASE(a_message_that_cannot_be_read_for_long_is_given_up_for_the_room_that_it_needs),
		CASE(a_message_that_cannot_be_read_for_want_of_descriptors_is_never_given_up),
		CASE(a_content_that_cannot_be_read_once_is_not_given_up_however_long_copying_lasts),
		CASE(a_content_that_cannot_be_read_for_long_is_told_to_be_lost),
		CASE(a_content_that_cannot_be_read_for_want_of_descriptors_is_never_given_up),
		CASE(a_content_that_fails_after_another_could_not_be_read_is_told_to_be_lost_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
