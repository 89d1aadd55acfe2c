/*
 * crash_load - a load that uses all of the store, and what has to be found of it after a crash
 *
 * Small and large messages, bodies in files, results, holds, parking and waking, ends, several changes in one record, starts and
 * stops; segments are used again, emptied of the few messages that last, and removed; flushes fail. What the store was asked
 * and what it confirmed is told (crash_note()) in its place among the changes on the disk. In every other session the index has
 * a checkpoint at each tick, which by itself it has each half minute: there are records before it and after it.
 */
#ifndef TESTS_UNIT_QMGR_CRASH_LOAD_H
#define TESTS_UNIT_QMGR_CRASH_LOAD_H

#include <sys/statvfs.h>

#include "qmgr/store/internal.h"
#include "tests/unit/qmgr/crash_recorder.h"
#include "tests/unit/qmgr/store_support.h"

#define SEGMENT (64 * 1024)
#define RECIPIENTS 4
#define IDS 4096
#define IDS_OF_LOAD 1500
#define ALIVE_MAX 40
#define IN_FLIGHT_MAX 8
#define SESSIONS 4
#define STEPS 260			/* in a session */

/* ---- numbers that can be repeated ---- */

static uint64_t
draw(uint64_t *seed, uint64_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (*seed >> 33) % below;
}

/* ---- what has to be there ---- */

enum told {
	TOLD_OPENED,			/* number: the epoch */
	TOLD_ADD_ASKED, TOLD_ADDED,	/* number: the length */
	TOLD_TWIN,			/* number: the message that is ended in the same record */
	TOLD_DELIVER_ASKED, TOLD_DELIVERED,	/* number: the recipient */
	TOLD_HOLD_ASKED, TOLD_HELD,	/* number: 1 held, 0 released */
	TOLD_DONE_ASKED, TOLD_DONE,
	TOLD_FOUND,			/* number: recipients delivered; a start found the message */
	TOLD_ALL_FOUND,			/* and no other */
};

struct expected {
	bool add_asked, added, done_asked, done;
	bool found;			/* by the start that is telling */
	uint8_t deliver_asked, delivered;	/* a bit a recipient */
	uint8_t held_possible;		/* bit 0: released, bit 1: held */
	uint32_t length;
	uint32_t twin;
};

struct expectation {
	uint64_t epoch;
	struct expected messages[IDS];
};

static void
expect_found(struct expected *message, uint32_t number)
{
	message->found = message->added = true;
	message->done_asked = false;
	message->deliver_asked = message->delivered = (uint8_t)(number & 0xff);
	message->held_possible = (uint8_t)(1u << (number >> 8 & 1));
}

/* What a start did not find is gone for good. */
static void
expect_nothing_else(struct expectation *expectation)
{
	for (unsigned id = 0; id < IDS; id++) {
		struct expected *message = &expectation->messages[id];

		if (message->add_asked && !message->found)
			message->done_asked = message->done = true;
		message->found = false;
		message->twin = 0;
	}
}

static void
expect(struct expectation *expectation, const struct crash_note *note)
{
	struct expected *message = &expectation->messages[note->id];
	uint32_t number = note->number;

	switch ((enum told)note->kind) {
	case TOLD_OPENED:
		expectation->epoch = number;
		break;
	case TOLD_ADD_ASKED:
		*message = (struct expected){ .add_asked = true, .held_possible = 1, .length = number };
		break;
	case TOLD_ADDED:
		message->added = true;
		break;
	case TOLD_TWIN:
		message->twin = number;
		break;
	case TOLD_DELIVER_ASKED:
		message->deliver_asked |= (uint8_t)(1u << number);
		break;
	case TOLD_DELIVERED:
		message->delivered |= (uint8_t)(1u << number);
		break;
	case TOLD_HOLD_ASKED:
		message->held_possible |= (uint8_t)(1u << number);
		break;
	case TOLD_HELD:
		message->held_possible = (uint8_t)(1u << number);
		break;
	case TOLD_DONE_ASKED:
		message->done_asked = true;
		break;
	case TOLD_DONE:
		message->done = true;
		break;
	case TOLD_FOUND:
		expect_found(message, number);
		break;
	case TOLD_ALL_FOUND:
		expect_nothing_else(expectation);
		break;
	}
}

static struct expectation *expecting;	/* in the process that runs the store */

static void
tell(enum told kind, uint64_t id, uint32_t number)
{
	struct crash_note note = { kind, number, id };

	crash_note(kind, id, number);
	expect(expecting, &note);
}

/* ---- the load ---- */

struct load_message {
	struct envelope envelope;	/* while it is active */
	uint64_t id;
	bool busy;			/* something about it is on its way */
	bool parked, held;
	bool lasting;			/* is not ended: segments have to be emptied of it */
	uint32_t unrecorded;		/* a delivery that could not be recorded, and 1; 0: none */
};

struct load {
	struct box *box;
	uint64_t seed;
	uint64_t next_id;
	struct load_message *messages[ALIVE_MAX];
	unsigned count;
	unsigned in_flight;
	bool taking;
	bool in_haste;			/* nothing waits for company */
};

struct change {
	struct load *load;
	struct load_message *message;
	struct load_message *ended;	/* in the same record */
	enum told confirmed;
	uint32_t number;
};

static void
load_forget(struct load *load, struct load_message *message)
{
	unsigned place = 0;

	while (load->messages[place] != message)
		place++;
	load->messages[place] = load->messages[--load->count];
	envelope_free(&message->envelope);
	free(message);
}

static void
changed(void *context, const struct error *error)
{
	struct change *change = context;
	struct load_message *message = change->message;

	message->busy = false;
	change->load->in_flight--;
	if (error == NULL) {
		if (change->confirmed == TOLD_DELIVERED && change->number == RECIPIENTS)
			for (uint32_t i = 0; i < RECIPIENTS; i++)
				tell(TOLD_DELIVERED, message->id, i);
		else
			tell(change->confirmed, message->id, change->number);
		if (change->confirmed == TOLD_HELD)
			message->held = change->number == 1;
		if (change->ended != NULL)
			tell(TOLD_DONE, change->ended->id, 0);
	}
	if (change->ended != NULL) {
		change->ended->busy = false;
		if (error == NULL)
			load_forget(change->load, change->ended);
		else
			tell(TOLD_TWIN, message->id, 0);	/* it may be ended by itself from now on */
	}
	if ((change->confirmed == TOLD_DONE && error == NULL) || (change->confirmed == TOLD_ADDED && error != NULL))
		load_forget(change->load, message);
	else if (change->confirmed == TOLD_DELIVERED && error != NULL)
		message->unrecorded = change->number + 1;
	free(change);
}

static void
load_commit(struct load *load, struct store_batch *batch, struct load_message *message, struct load_message *ended,
    enum told confirmed, uint32_t number)
{
	struct change *change = memory_new(1, sizeof(*change));

	*change = (struct change){ load, message, ended, confirmed, number };
	message->busy = true;
	load->in_flight++;
	store_commit(load->box->store, batch, load->in_haste || draw(&load->seed, 3) != 0, changed, change);
}

static struct load_message *
load_new(struct load *load, uint32_t length)
{
	struct load_message *message = memory_new(1, sizeof(*message));

	message->id = load->next_id++;
	message->lasting = draw(&load->seed, 12) == 0;
	support_envelope(&message->envelope, message->id, RECIPIENTS);
	load->messages[load->count++] = message;
	tell(TOLD_ADD_ASKED, message->id, length);
	return message;
}

/* ended may be NULL. */
static void
load_add(struct load *load, struct load_message *ended)
{
	static const uint32_t lengths[] = { 0, 1, 300, 300, 300, 3000, 3000, 8000, 15000, 30000 };
	uint32_t length = lengths[draw(&load->seed, ARRAY_COUNT(lengths))] + (uint32_t)draw(&load->seed, 500);
	struct store_batch *batch = store_batch_new(load->box->store);
	struct store_content *content;
	struct load_message *message;

	if (draw(&load->seed, 100) == 0)
		length = SEGMENT + 20000;
	message = load_new(load, length);
	content = support_content(message->id, length);
	store_batch_add(batch, &message->envelope, content, 0, 0);
	store_content_release(&content);
	if (ended != NULL) {
		ended->busy = true;
		tell(TOLD_TWIN, message->id, (uint32_t)ended->id);
		tell(TOLD_DONE_ASKED, ended->id, 0);
		store_batch_done(batch, ended->id);
	}
	load_commit(load, batch, message, ended, TOLD_ADDED, 0);
}

static void
load_got_file(void *context, uint64_t id, int file, uint64_t size, const struct error *error)
{
	struct change *change = context;
	struct load_message *message = change->message;
	struct load *load = change->load;
	struct store_content *content = support_content(id, change->number);
	struct store_batch *batch;

	(void)size;
	if (error != NULL || write(file, content->data, content->length / 2) != (ssize_t)(content->length / 2) ||
	    write(file, content->data + content->length / 2, content->length - content->length / 2) < 0)
		abort();
	close(file);
	store_content_release(&content);
	batch = store_batch_new(load->box->store);
	store_batch_add(batch, &message->envelope, NULL, change->number, support_checksum(id, change->number));
	load->in_flight--;
	load_commit(load, batch, message, NULL, TOLD_ADDED, 0);
	free(change);
}

static void
load_add_file(struct load *load)
{
	struct change *change = memory_new(1, sizeof(*change));
	uint32_t length = 5000 + (uint32_t)draw(&load->seed, 40000);

	*change = (struct change){ load, load_new(load, length), NULL, TOLD_ADDED, length };
	change->message->busy = true;
	load->in_flight++;
	store_body_create(load->box->store, change->message->id, load_got_file, change);
}

/* A recipient, or with RECIPIENTS all of them, was delivered. */
static void
load_record(struct load *load, struct load_message *message, uint32_t which)
{
	struct store_batch *batch = store_batch_new(load->box->store);
	bool chosen[RECIPIENTS];

	message->unrecorded = 0;
	for (uint32_t i = 0; i < RECIPIENTS; i++) {
		chosen[i] = which == RECIPIENTS || i == which;
		if (!chosen[i])
			continue;
		message->envelope.recipients[i].state = RECIPIENT_DELIVERED;
		tell(TOLD_DELIVER_ASKED, message->id, i);
	}
	store_batch_update(batch, &message->envelope, chosen);
	load_commit(load, batch, message, NULL, TOLD_DELIVERED, which);
}

static void
load_hold(struct load *load, struct load_message *message, bool held)
{
	struct store_batch *batch = store_batch_new(load->box->store);

	tell(TOLD_HOLD_ASKED, message->id, held);
	store_batch_hold(batch, message->id, held);
	load_commit(load, batch, message, NULL, TOLD_HELD, held);
}

static void
load_done(struct load *load, struct load_message *message)
{
	struct store_batch *batch = store_batch_new(load->box->store);

	tell(TOLD_DONE_ASKED, message->id, 0);
	store_batch_done(batch, message->id);
	load_commit(load, batch, message, NULL, TOLD_DONE, 0);
}

static void
load_took(void *context, struct envelope *envelope, const struct error *error)
{
	struct load *load = context;

	if (error != NULL)
		abort();
	if (envelope == NULL) {
		load->in_flight--;
		load->taking = false;
		return;
	}
	for (unsigned i = 0; i < load->count; i++)
		if (load->messages[i]->id == envelope->id) {
			load->messages[i]->envelope = *envelope;
			load->messages[i]->parked = false;
		}
	free(envelope);
}

static void
load_take(struct load *load)
{
	if (load->taking)
		return;
	load->taking = true;
	load->in_flight++;
	store_take_due(load->box->store, 1, 1 + (unsigned)draw(&load->seed, 6), load_took, load);
}

static void
load_change(struct load *load, struct load_message *message)
{
	unsigned what = (unsigned)draw(&load->seed, 10);

	if (message->busy || (message->parked && load->taking))
		return;
	if (message->unrecorded > 0) {
		load_record(load, message, message->unrecorded - 1);
	} else if (message->parked) {
		if (what < 1)
			load_hold(load, message, !message->held);
		else if (what < 5 && !message->lasting)
			load_done(load, message);
	} else if (what < 2) {
		load_record(load, message, (uint32_t)draw(&load->seed, RECIPIENTS + 1));
	} else if (what < 4) {
		store_park(load->box->store, &message->envelope, message->held);
		message->parked = true;
		envelope_free(&message->envelope);
	} else if (what == 4) {
		load_hold(load, message, !message->held);
	} else if (!message->lasting && what == 5 && load->count < ALIVE_MAX) {
		load_add(load, message);
	} else if (!message->lasting) {
		load_done(load, message);
	}
}

static void
load_step(struct load *load)
{
	unsigned what = (unsigned)draw(&load->seed, 10);

	if (load->count < ALIVE_MAX && what < 3)
		load_add(load, NULL);
	else if (load->count < ALIVE_MAX && what == 3)
		load_add_file(load);
	else if (what == 4)
		load_take(load);
	else if (load->count > 0)
		load_change(load, load->messages[draw(&load->seed, load->count)]);
}

static void
load_settle(struct load *load)
{
	while (load->in_flight > 0)
		event_base_loop(load->box->base, EVLOOP_ONCE);
}

/* All that was active is parked after a start. */
static void
load_everything_is_parked(struct load *load)
{
	for (unsigned i = 0; i < load->count; i++) {
		load->messages[i]->parked = true;
		load->messages[i]->unrecorded = 0;
		envelope_free(&load->messages[i]->envelope);
	}
}

/* So many segments are free then that some are removed. */
static void
load_end_all(struct load *load)
{
	while (load->count > 0) {
		load_settle(load);
		for (unsigned i = 0; i < load->count; i++)
			if (!load->messages[i]->busy)
				load_done(load, load->messages[i]);
		load_settle(load);
	}
	box_run_ms(load->box, 450);
}

static struct store *_Atomic load_checkpoints;	/* of that store there are many; NULL: of none */
static _Atomic unsigned load_ticks;		/* of it so far */

/* In place of the library's: the reader calls it before it looks whether the index is to have a checkpoint. */
int
fstatvfs(int file, struct statvfs *disk)
{
	struct store *store = load_checkpoints;

	(void)file;
	*disk = (struct statvfs){ .f_blocks = 100, .f_bavail = 100 };
	if (store != NULL) {
		store->reader.checkpoint_at = store->reader.disk_check = 0;
		load_ticks++;
	}
	return 0;
}

/* From the reader's next look at the disk on; by itself it looks each second. */
static void
load_begin_checkpoints(struct load *load)
{
	load_ticks = 0;
	load_checkpoints = load->box->store;
	while (load_ticks == 0)
		box_run_ms(load->box, 10);
}

/* The last session goes on until a segment was emptied. */
static void
run_session(struct load *load, unsigned session)
{
	struct box *box = load->box;

	for (unsigned i = 0; i < STEPS || (session == SESSIONS - 1 && box_number(box, "copied_octets") == 0); i++) {
		if (load->next_id == IDS_OF_LOAD)
			abort();
		load_step(load);
		event_base_loop(box->base, load->in_flight > IN_FLIGHT_MAX ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
		if (i % 60 == 30)
			box_run_ms(box, 230);	/* segments are freed and emptied at a tick */
		if (i == STEPS / 2 && session >= 2)
			crash_fail = session == 2 ? CRASH_FAIL_DATA : CRASH_FAIL_HEADER;
	}
	if (session == SESSIONS / 2 - 1)
		load_end_all(load);
	load_settle(load);
	box_run_ms(box, 50);
}

static void
run_load(struct box *box, uint64_t seed)
{
	struct load load = { .box = box, .seed = seed, .next_id = 1 };

	for (unsigned session = 0; session < SESSIONS; session++) {
		box_open(box);
		tell(TOLD_OPENED, 0, (uint32_t)box->summary.epoch);
		load_everything_is_parked(&load);
		if (session % 2 == 1)
			load_begin_checkpoints(&load);
		run_session(&load, session);
		load_checkpoints = NULL;
		box_close(box);
	}
	while (load.count > 0)
		load_forget(&load, load.messages[0]);
}

#endif
