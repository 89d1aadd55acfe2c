/* ledger - see ledger.h */
#include "qmgr/ledger.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

#define AGAIN_SECONDS 5

enum entry_kind { ENTRY_UPDATE, ENTRY_DONE, ENTRY_HOLD, ENTRY_RELEASE };

struct ledger_entry {
	struct qmgr *qmgr;
	uint64_t id;
	enum entry_kind kind;
	TAILQ_ENTRY(ledger_entry) link;
};

/* It may be parked now, also when the record failed: memory is not to fill while the disk is in trouble. */
static void
answered(struct qmgr *qmgr, uint64_t id)
{
	struct active_message *message = active_find(qmgr, id);

	if (message != NULL && --message->recording == 0)
		active_settle(qmgr, message);
}

static void
committed(void *context, const struct error *error)
{
	struct ledger_entry *entry = context;
	struct qmgr *qmgr = entry->qmgr;
	uint64_t id = entry->id;
	bool update = entry->kind == ENTRY_UPDATE;

	TAILQ_REMOVE(&qmgr->ledger.committing, entry, link);
	if (error == NULL || qmgr->leaving) {
		free(entry);
	} else {
		TAILQ_INSERT_TAIL(&qmgr->ledger.waiting, entry, link);
		event_add(qmgr->ledger.again, &(struct timeval){ .tv_sec = AGAIN_SECONDS });
	}
	if (update && !qmgr->leaving)
		answered(qmgr, id);
}

static void
commit(struct qmgr *qmgr, struct ledger_entry *entry, struct store_batch *batch)
{
	TAILQ_INSERT_TAIL(&qmgr->ledger.committing, entry, link);
	store_commit(qmgr->store, batch, false, committed, entry);
}

static struct ledger_entry *
entry_new(struct qmgr *qmgr, uint64_t id, enum entry_kind kind)
{
	struct ledger_entry *entry = memory_new(1, sizeof(*entry));

	entry->qmgr = qmgr;
	entry->id = id;
	entry->kind = kind;
	return entry;
}

static void
commit_update(struct qmgr *qmgr, struct ledger_entry *entry, struct active_message *message, const bool *chosen)
{
	struct store_batch *batch = store_batch_new(qmgr->store);

	store_batch_update(batch, &message->envelope, chosen);
	message->recording++;
	commit(qmgr, entry, batch);
}

void
ledger_update(struct qmgr *qmgr, struct active_message *message, const bool *chosen)
{
	commit_update(qmgr, entry_new(qmgr, message->envelope.id, ENTRY_UPDATE), message, chosen);
}

void
ledger_done(struct qmgr *qmgr, uint64_t id)
{
	struct store_batch *batch = store_batch_new(qmgr->store);

	store_batch_done(batch, id);
	commit(qmgr, entry_new(qmgr, id, ENTRY_DONE), batch);
}

void
ledger_hold(struct qmgr *qmgr, uint64_t id, bool held)
{
	struct store_batch *batch = store_batch_new(qmgr->store);

	store_batch_hold(batch, id, held);
	commit(qmgr, entry_new(qmgr, id, held ? ENTRY_HOLD : ENTRY_RELEASE), batch);
}

/* Everything about the message that may be on disk: what waits for a record of its own is left out. */
static bool *
settled_recipients(const struct active_message *message)
{
	bool *chosen = memory_new(message->envelope.recipient_count, sizeof(*chosen));
	uint32_t i;

	for (i = 0; i < message->envelope.recipient_count; i++)
		chosen[i] = active_phase(message, i) != PHASE_FAILING && active_phase(message, i) != PHASE_JOURNALLING;
	return chosen;
}

static void
write_update_again(struct qmgr *qmgr, struct ledger_entry *entry)
{
	struct active_message *message = active_find(qmgr, entry->id);
	bool *chosen;

	/* A message that was parked meanwhile was parked with this change; one that is done needs none. */
	if (message == NULL) {
		free(entry);
		return;
	}
	chosen = settled_recipients(message);
	commit_update(qmgr, entry, message, chosen);
	free(chosen);
}

static void
write_again(struct qmgr *qmgr, struct ledger_entry *entry)
{
	struct store_batch *batch;

	if (entry->kind == ENTRY_UPDATE) {
		write_update_again(qmgr, entry);
		return;
	}
	batch = store_batch_new(qmgr->store);
	if (entry->kind == ENTRY_DONE)
		store_batch_done(batch, entry->id);
	else
		store_batch_hold(batch, entry->id, entry->kind == ENTRY_HOLD);
	commit(qmgr, entry, batch);
}

static void
again(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	struct ledger_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct ledger_entry *entry;

	TAILQ_CONCAT(&waiting, &qmgr->ledger.waiting, link);
	while ((entry = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, entry, link);
		write_again(qmgr, entry);
	}
}

void
ledger_start(struct qmgr *qmgr)
{
	TAILQ_INIT(&qmgr->ledger.waiting);
	TAILQ_INIT(&qmgr->ledger.committing);
	qmgr->ledger.again = event_new(qmgr->base, -1, 0, again, qmgr);
}

static void
free_entries(struct ledger_list *list)
{
	struct ledger_entry *entry;

	while ((entry = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, entry, link);
		free(entry);
	}
}

void
ledger_end(struct qmgr *qmgr)
{
	free_entries(&qmgr->ledger.waiting);
	free_entries(&qmgr->ledger.committing);
	event_free(qmgr->ledger.again);
}
