/* adoption - see adoption.h */
#include "qmgr/adoption.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "qmgr/outcome.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

#define PATIENCE_SECONDS 10
#define ADOPTED_MAX 100000		/* jobs that all workers together may hold for an earlier qmgr */
#define RESULTS_MAX (1024 * 1024)	/* octets of results that wait for their message */

/* One job of an earlier qmgr. */
struct adopted {
	struct hash_node by_message;
	TAILQ_ENTRY(adopted) link;
	struct deliver_worker *worker;
	uint64_t job;
	uint64_t message_id;
	uint32_t *numbers;		/* owned: recipients without a result */
	uint32_t count;
	struct buffer results;		/* came before the message was there */
	bool ended;			/* no more results will come */
};

static struct adopted *
adopted_find(const struct adoption *adoption, const struct deliver_worker *worker, uint64_t job, uint64_t message_id)
{
	struct hash_node *node = hash_table_find(&adoption->by_message, hash_number(message_id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct adopted *adopted = HASH_CONTAINER(node, struct adopted, by_message);

		if (adopted->worker == worker && adopted->job == job && adopted->message_id == message_id)
			return adopted;
	}
	return NULL;
}

static void
adopted_free(struct adoption *adoption, struct adopted *adopted)
{
	hash_table_remove(&adoption->by_message, &adopted->by_message);
	TAILQ_REMOVE(&adoption->all, adopted, link);
	free(adopted->numbers);
	buffer_free(&adopted->results);
	free(adopted);
}

/* ---- recipients in hand ---- */

static void
mark(struct active_message *message, const struct adopted *adopted)
{
	uint32_t i;

	for (i = 0; i < adopted->count; i++) {
		uint32_t index = active_index_of(message, adopted->numbers[i]);

		if (index != UINT32_MAX && active_phase(message, index) == PHASE_IDLE &&
		    active_recipient_is_open(&message->envelope.recipients[index]))
			active_set_phase(message, index, PHASE_ADOPTED);
	}
}

void
adoption_apply(struct qmgr *qmgr, struct active_message *message)
{
	struct hash_node *node = hash_table_find(&qmgr->adoption.by_message, hash_number(message->envelope.id));

	for (; node != NULL; node = hash_node_next(node)) {
		struct adopted *adopted = HASH_CONTAINER(node, struct adopted, by_message);

		if (adopted->message_id == message->envelope.id)
			mark(message, adopted);
	}
}

/* True when number was held without a result; it is not any more. */
static bool
take_number(struct adopted *adopted, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < adopted->count; i++) {
		if (adopted->numbers[i] == number) {
			adopted->numbers[i] = adopted->numbers[--adopted->count];
			return true;
		}
	}
	return false;
}

/* Whether another job of an earlier qmgr, a later attempt, has the recipient too. */
static bool
is_held_elsewhere(const struct adoption *adoption, const struct adopted *adopted, uint32_t number)
{
	struct hash_node *node = hash_table_find(&adoption->by_message, hash_number(adopted->message_id));

	for (; node != NULL; node = hash_node_next(node)) {
		const struct adopted *other = HASH_CONTAINER(node, struct adopted, by_message);
		uint32_t i;

		for (i = 0; other != adopted && other->message_id == adopted->message_id && i < other->count; i++)
			if (other->numbers[i] == number)
				return true;
	}
	return false;
}

/*
 * Whether a late result says something about a recipient: one that is in a job of our own by now gets its result from
 * there, and one that another job still has is not deferred by the older of the two.
 */
static bool
is_telling(const struct adoption *adoption, const struct adopted *adopted, const struct active_message *message,
    uint32_t index, const struct delivery_result *result)
{
	if (result->outcome == DELIVERY_DONE && active_phase(message, index) == PHASE_IDLE)
		return active_recipient_is_open(&message->envelope.recipients[index]);
	return active_phase(message, index) == PHASE_ADOPTED &&
	    (result->outcome == DELIVERY_DONE || !is_held_elsewhere(adoption, adopted, result->recipient));
}

static void
apply_results(struct qmgr *qmgr, struct adopted *adopted, struct active_message *message, struct outcome_changes *changes)
{
	struct wire_reader reader;
	struct delivery_result result;

	wire_reader_init(&reader, buffer_text(&adopted->results), adopted->results.length);
	while (reader.next < reader.end && delivery_result_decode(&reader, &result)) {
		uint32_t index = active_index_of(message, result.recipient);

		if (!take_number(adopted, result.recipient) || index == UINT32_MAX ||
		    !is_telling(&qmgr->adoption, adopted, message, index, &result))
			continue;
		active_set_phase(message, index, PHASE_IDLE);
		outcome_apply(qmgr, message, index, 0, &result, changes);
	}
	buffer_clear(&adopted->results);
}

/* The message is in memory: results are applied, and after the last one what is left is tried anew. */
static void
advance(struct qmgr *qmgr, struct adopted *adopted, struct active_message *message)
{
	struct outcome_changes changes = OUTCOME_CHANGES_INITIALIZER;
	uint32_t i;

	apply_results(qmgr, adopted, message, &changes);
	if (adopted->ended) {
		for (i = 0; i < adopted->count; i++) {
			uint32_t index = active_index_of(message, adopted->numbers[i]);

			if (index != UINT32_MAX && active_phase(message, index) == PHASE_ADOPTED &&
			    !is_held_elsewhere(&qmgr->adoption, adopted, adopted->numbers[i]))
				active_set_phase(message, index, PHASE_IDLE);
		}
		adopted_free(&qmgr->adoption, adopted);
		active_wake(qmgr, message, false);
	}
	outcome_commit(qmgr, message, &changes);
}

void
adoption_advance(struct qmgr *qmgr, uint64_t message_id)
{
	struct hash_node *node = hash_table_find(&qmgr->adoption.by_message, hash_number(message_id)), *next;
	struct active_message *message;

	for (; node != NULL && (message = active_find(qmgr, message_id)) != NULL; node = next) {
		struct adopted *adopted = HASH_CONTAINER(node, struct adopted, by_message);

		next = hash_node_next(node);
		if (adopted->message_id == message_id)
			advance(qmgr, adopted, message);
	}
}

/* ---- what the workers tell ---- */

/* What is held of a message that is not there any more needs no result. */
static void
taken(void *context, struct envelope *envelope, UNUSED const struct error *error)
{
	struct qmgr *qmgr = context;
	struct active_message *message;

	if (envelope == NULL)
		return;
	if (qmgr->leaving || active_find(qmgr, envelope->id) != NULL) {
		envelope_free(envelope);
	} else {
		message = active_new(envelope, NULL, PLACE_UNKNOWN);
		message->held = store_held(qmgr->store, message->envelope.id);
		active_enter(qmgr, message);
	}
	free(envelope);
}

void
adoption_holding(struct qmgr *qmgr, struct deliver_worker *worker, uint64_t job, uint64_t message_id,
    const struct bytes *recipients)
{
	struct adoption *adoption = &qmgr->adoption;
	struct adopted *adopted = adopted_find(adoption, worker, job, message_id);
	struct active_message *message = active_find(qmgr, message_id);
	struct wire_reader reader;

	if (adopted == NULL) {
		if (adoption->by_message.count >= ADOPTED_MAX)
			return;
		adopted = memory_new(1, sizeof(*adopted));
		adopted->worker = worker;
		adopted->job = job;
		adopted->message_id = message_id;
		buffer_init(&adopted->results, RESULTS_MAX);
		hash_table_insert(&adoption->by_message, &adopted->by_message, hash_number(message_id));
		TAILQ_INSERT_TAIL(&adoption->all, adopted, link);
		if (message == NULL)
			store_take_id(qmgr->store, message_id, taken, qmgr);
	}
	if (adopted->count + recipients->length / 4 > ENVELOPE_RECIPIENTS_MAX)
		return;
	wire_reader_init(&reader, recipients->data, recipients->length);
	adopted->numbers = memory_resize(adopted->numbers, adopted->count + recipients->length / 4, sizeof(uint32_t));
	while (reader.end - reader.next >= 4)
		adopted->numbers[adopted->count++] = wire_get_u32(&reader);
	if (message != NULL) {
		active_withdraw(qmgr, message);
		mark(message, adopted);
		active_wake(qmgr, message, false);
	}
}

void
adoption_results(struct qmgr *qmgr, struct deliver_worker *worker, uint64_t job, uint64_t message_id,
    const struct bytes *results, bool last)
{
	struct adopted *adopted = adopted_find(&qmgr->adoption, worker, job, message_id);
	struct active_message *message = active_find(qmgr, message_id);

	if (adopted == NULL)
		return;
	buffer_append(&adopted->results, results->data, results->length);
	adopted->ended = last;
	if (message != NULL)
		advance(qmgr, adopted, message);
	else if (last && !store_knows(qmgr->store, message_id))
		adopted_free(&qmgr->adoption, adopted);
}

void
adoption_worker_lost(struct qmgr *qmgr, struct deliver_worker *worker)
{
	struct adopted *adopted, *next;

	for (adopted = TAILQ_FIRST(&qmgr->adoption.all); adopted != NULL; adopted = next) {
		struct active_message *message;

		next = TAILQ_NEXT(adopted, link);
		if (adopted->worker != worker)
			continue;
		adopted->ended = true;
		message = active_find(qmgr, adopted->message_id);
		if (message != NULL)
			advance(qmgr, adopted, message);
		else if (!store_knows(qmgr->store, adopted->message_id))
			adopted_free(&qmgr->adoption, adopted);
	}
}

/* ---- opening the window ---- */

void
adoption_check_open(struct qmgr *qmgr)
{
	struct adoption *adoption = &qmgr->adoption;

	if (qmgr->window.open || (!adoption->patience_over && (!adoption->any_worker || deliver_is_telling(qmgr))))
		return;
	window_open(qmgr);
}

void
adoption_worker_came(struct qmgr *qmgr)
{
	qmgr->adoption.any_worker = true;
	event_add(qmgr->adoption.patience, &(struct timeval){ .tv_sec = PATIENCE_SECONDS });
}

static void
out_of_patience(UNUSED evutil_socket_t socket, UNUSED short events, void *context)
{
	struct qmgr *qmgr = context;
	struct deliver_worker *worker;

	qmgr->adoption.patience_over = true;
	TAILQ_FOREACH(worker, &qmgr->deliver.workers, link)
		worker->telling = false;
	adoption_check_open(qmgr);
	schedule_kick(qmgr);
}

void
adoption_start(struct qmgr *qmgr)
{
	TAILQ_INIT(&qmgr->adoption.all);
	qmgr->adoption.patience = event_new(qmgr->base, -1, 0, out_of_patience, qmgr);
	event_add(qmgr->adoption.patience, &(struct timeval){ .tv_sec = PATIENCE_SECONDS });
}

void
adoption_end(struct qmgr *qmgr)
{
	struct adopted *adopted;

	while ((adopted = TAILQ_FIRST(&qmgr->adoption.all)) != NULL)
		adopted_free(&qmgr->adoption, adopted);
	hash_table_free(&qmgr->adoption.by_message);
	event_free(qmgr->adoption.patience);
}
