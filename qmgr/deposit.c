/* deposit - see deposit.h */
#include "qmgr/deposit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/ipc/deposit.h"
#include "common/log/log.h"
#include "qmgr/qmgr.h"
#include "qmgr/store/store.h"

#define ENVELOPE_OCTETS_MAX (16 * 1024 * 1024)
#define BODY_FILES_MAX 65536		/* handed out and not deposited yet */
#define BLOCK_LASTS_MS 10000		/* nobody uses up a block of ids sooner */
#define CALL_OUT_ANSWERS_QUEUED_MAX (CALL_OUT_ASKERS_MAX * 1024u)	/* octets: more than all that may be asked at a time */
#define SKEW_MS (60 * 60 * 1000)	/* a time of arrival further off than this is not believed */

/* One process that deposits. Freed when its channel is gone and nothing of it is on its way. */
struct depositor {
	struct qmgr *qmgr;
	unsigned instance;
	struct channel *channel;	/* NULL: gone */
	uint8_t blocks[IDENTIFIERS_BLOCKS / 8];	/* which blocks of this start are its own */
	int64_t granted_ms;		/* when it got the last of them */
	unsigned committing;
	TAILQ_ENTRY(depositor) link;
};

/* One message on its way in. */
struct deposit {
	struct hash_node by_id;
	uint64_t id;
	struct depositor *depositor;
	struct buffer envelope;
	uint32_t envelope_length;
	struct store_content *content;
	uint64_t content_received;
	uint64_t body_length;
	uint32_t body_checksum;
	uint64_t reserved;		/* octets counted for it */
	struct active_message *message;	/* complete and given to the store */
};

/* A body file that was handed out. */
struct body_file {
	struct hash_node by_id;
	uint64_t id;
	struct depositor *depositor;
	bool open;			/* false: the store was asked for it */
};

/* ---- back-pressure ---- */

static void
tell_state(const struct deposits *deposits, struct depositor *depositor)
{
	struct deposit_state state = { .accepting = deposits->accepting, .text = "" };

	if (depositor->channel == NULL)
		return;
	if (!deposits->accepting)
		state.text = deposits->store_accepts ? "Too many messages are on their way into MAIL.BOX, try again later" :
		    deposits->reason;
	send_deposit_state(depositor->channel, &state);
}

static void
set_accepting(struct qmgr *qmgr, bool accepting)
{
	struct deposits *deposits = &qmgr->deposits;
	struct depositor *depositor;

	if (deposits->accepting == accepting)
		return;
	deposits->accepting = accepting;
	if (deposits->accepting)
		log_values(LOG_QUEUE_ACCEPTS, NULL, 0);
	else
		log_event(LOG_QUEUE_REFUSES, deposits->store_accepts ? "deposit_memory_limit" : deposits->reason);
	TAILQ_FOREACH(depositor, &deposits->depositors, link)
		tell_state(deposits, depositor);
}

/* Acceptance stops at the limit, or when a deposit found no room below it, and comes back at three quarters. */
static void
update_accepting(struct qmgr *qmgr)
{
	const struct deposits *deposits = &qmgr->deposits;
	uint64_t limit = qmgr->limits.deposit_memory;

	set_accepting(qmgr, deposits->store_accepts && deposits->octets < (deposits->accepting ? limit : limit / 4 * 3));
}

void
deposit_store_accepts(struct qmgr *qmgr, bool accepts, const char *text)
{
	struct deposits *deposits = &qmgr->deposits;

	deposits->store_accepts = accepts;
	strlcpy(deposits->reason, text == NULL || text[0] == '\0' ? "MAIL.BOX takes nothing new" : text,
	    sizeof(deposits->reason));
	update_accepting(qmgr);
}

/* ---- deposits ---- */

static struct deposit *
deposit_find(const struct deposits *deposits, uint64_t id)
{
	struct hash_node *node = hash_table_find(&deposits->by_id, hash_number(id));

	for (; node != NULL; node = hash_node_next(node))
		if (HASH_CONTAINER(node, struct deposit, by_id)->id == id)
			return HASH_CONTAINER(node, struct deposit, by_id);
	return NULL;
}

static struct body_file *
file_find(const struct deposits *deposits, uint64_t id)
{
	struct hash_node *node = hash_table_find(&deposits->files, hash_number(id));

	for (; node != NULL; node = hash_node_next(node))
		if (HASH_CONTAINER(node, struct body_file, by_id)->id == id)
			return HASH_CONTAINER(node, struct body_file, by_id);
	return NULL;
}

static void
file_free(struct deposits *deposits, struct body_file *file)
{
	hash_table_remove(&deposits->files, &file->by_id);
	free(file);
}

static void
deposit_free(struct qmgr *qmgr, struct deposit *deposit)
{
	hash_table_remove(&qmgr->deposits.by_id, &deposit->by_id);
	qmgr->deposits.octets -= deposit->reserved;
	buffer_free(&deposit->envelope);
	if (deposit->content != NULL)
		store_content_release(&deposit->content);
	active_free(&deposit->message);
	free(deposit);
	update_accepting(qmgr);
}

static void
depositor_release(struct depositor *depositor)
{
	if (depositor->channel != NULL || depositor->committing > 0)
		return;
	TAILQ_REMOVE(&depositor->qmgr->deposits.depositors, depositor, link);
	free(depositor);
}

static void
answer(struct depositor *depositor, uint64_t id, enum deposit_outcome outcome, const char *text)
{
	struct deposit_answer message = { .id = id, .outcome = (uint8_t)outcome, .text = text };
	char cut[200];

	if (depositor->channel == NULL)
		return;
	strlcpy(cut, text, sizeof(cut));
	message.text = cut;
	send_deposit_answer(depositor->channel, &message);
}

/* The deposit comes to nothing; a body file of it goes too. */
static void
refuse(struct deposit *deposit, enum deposit_outcome outcome, const char *text)
{
	struct depositor *depositor = deposit->depositor;

	if (deposit->body_length > 0)
		store_body_abandon(depositor->qmgr->store, deposit->id);
	answer(depositor, deposit->id, outcome, text);
	deposit_free(depositor->qmgr, deposit);
}

static void
log_queued(const struct active_message *message, uint64_t size)
{
	log_event(LOG_MESSAGE_QUEUED, log_id(message->envelope.id), message->envelope.sender, log_number((int64_t)size),
	    log_number((int64_t)message->envelope.recipient_count));
}

static void
committed(void *context, const struct error *error)
{
	struct deposit *deposit = context;
	struct depositor *depositor = deposit->depositor;
	struct qmgr *qmgr = depositor->qmgr;
	struct active_message *message;
	uint64_t size = deposit->body_length;

	if (qmgr->leaving)
		return;
	depositor->committing--;
	if (error != NULL) {
		refuse(deposit, DEPOSIT_TEMPORARY, error->text);
	} else {
		message = deposit->message;
		deposit->message = NULL;
		if (message->content != NULL)
			size = message->content->length;
		answer(depositor, deposit->id, DEPOSIT_STORED, "");
		deposit_free(qmgr, deposit);
		qmgr->counters.accepted++;
		log_queued(message, size);
		active_enter(qmgr, message);
	}
	depositor_release(depositor);
	qmgr_check_drained(qmgr);
}

/* ---- envelopes ---- */

/* What a depositor has no say in is set here. */
static void
sanitise(struct envelope *envelope)
{
	int64_t now = clock_wall_ms();
	size_t i;

	envelope->is_report = false;
	if (envelope->arrival_ms > now + SKEW_MS || envelope->arrival_ms < now - SKEW_MS)
		envelope->arrival_ms = now;
	for (i = 0; i < envelope->recipient_count; i++) {
		struct envelope_recipient *recipient = &envelope->recipients[i];

		recipient->state = RECIPIENT_NEW;
		recipient->parent = recipient->number;
		recipient->forwards = 0;
		recipient->attempts = 0;
		recipient->next_attempt_ms = 0;
		recipient->transport = TRANSPORT_NONE;
		recipient->failure = FAILURE_NONE;
		recipient->delay_reported = false;
	}
}

static void
complete(struct deposit *deposit)
{
	struct depositor *depositor = deposit->depositor;
	struct qmgr *qmgr = depositor->qmgr;
	struct error error = ERROR_INITIALIZER;
	struct envelope envelope;
	struct store_batch *batch;

	if (envelope_decode(deposit->envelope.data, deposit->envelope.length, &envelope, &error) != 0) {
		refuse(deposit, DEPOSIT_PERMANENT, error.text);
		return;
	}
	if (envelope.id != deposit->id || envelope.recipient_count == 0) {
		envelope_free(&envelope);
		refuse(deposit, DEPOSIT_PERMANENT, "The envelope does not fit the deposit");
		return;
	}
	buffer_free(&deposit->envelope);
	sanitise(&envelope);
	batch = store_batch_new(qmgr->store);
	store_batch_add(batch, &envelope, deposit->content, deposit->body_length, deposit->body_checksum);
	deposit->message = active_new(&envelope, deposit->content,
	    deposit->content != NULL ? PLACE_JOURNAL : PLACE_FILE);
	deposit->content = NULL;
	depositor->committing++;
	store_commit(qmgr->store, batch, true, committed, deposit);
}

/* ---- streams ---- */

/* More octets of the stream: first the envelope's, then the content's. False when there are too many. */
static bool
take_octets(struct deposit *deposit, const struct bytes *data)
{
	const char *next = data->data;
	size_t rest = data->length, part = deposit->envelope_length - deposit->envelope.length;

	if (part > rest)
		part = rest;
	buffer_append(&deposit->envelope, next, part);
	next += part;
	rest -= part;
	if (rest == 0)
		return true;
	if (deposit->content == NULL || rest > deposit->content->length - deposit->content_received)
		return false;
	memcpy(deposit->content->data + deposit->content_received, next, rest);
	deposit->content_received += rest;
	return true;
}

static void
receive(struct deposit *deposit, const struct bytes *data)
{
	if (!take_octets(deposit, data))
		refuse(deposit, DEPOSIT_PERMANENT, "The deposit is longer than it said");
	else if (deposit->envelope.length == deposit->envelope_length &&
	    (deposit->content == NULL || deposit->content_received == deposit->content->length))
		complete(deposit);
}

/* Whether an id may come from this depositor: from a block of its own, or from before our start (a replay). */
static bool
owns_id(const struct depositor *depositor, uint64_t id)
{
	int block = identifiers_block_of(&depositor->qmgr->identifiers, id);

	if (block < 0)
		return identifiers_is_earlier(&depositor->qmgr->identifiers, id);
	return (depositor->blocks[block / 8] >> block % 8 & 1) != 0;
}

static bool
has_room(const struct qmgr *qmgr, const struct deposit_begin *begin)
{
	return qmgr->deposits.octets == 0 ||
	    qmgr->deposits.octets + begin->envelope_length + begin->content_length <= qmgr->limits.deposit_memory;
}

/* Why a deposit cannot be taken; NULL when it can. */
static const char *
why_not(struct depositor *depositor, const struct deposit_begin *begin, enum deposit_outcome *outcome_out)
{
	const struct qmgr *qmgr = depositor->qmgr;
	const struct body_file *file;

	*outcome_out = DEPOSIT_PERMANENT;
	if (!owns_id(depositor, begin->id))
		return "The id is not the depositor's";
	if (begin->envelope_length == 0 || begin->envelope_length > ENVELOPE_OCTETS_MAX)
		return "The envelope is too large";
	if (begin->content_length > qmgr->limits.inline_body || (begin->body_length > 0 && begin->content_length > 0))
		return "The content is too large for the stream";
	*outcome_out = DEPOSIT_TEMPORARY;
	if (begin->body_length > 0 && ((file = file_find(&qmgr->deposits, begin->id)) == NULL || !file->open ||
	    file->depositor != depositor))
		return "The body file is gone";
	if (!qmgr->deposits.store_accepts)
		return qmgr->deposits.reason;
	return has_room(qmgr, begin) ? NULL : "Too many messages are on their way into MAIL.BOX";
}

/* The file belongs to its deposit from now on; without one it goes. */
static void
settle_file(struct qmgr *qmgr, const struct deposit_begin *begin, bool wanted)
{
	struct body_file *file = begin->body_length == 0 ? NULL : file_find(&qmgr->deposits, begin->id);

	if (file == NULL || !file->open)
		return;
	if (!wanted)
		store_body_abandon(qmgr->store, begin->id);
	file_free(&qmgr->deposits, file);
}

static void
begin_deposit(struct depositor *depositor, const struct deposit_begin *begin)
{
	struct qmgr *qmgr = depositor->qmgr;
	struct deposit *deposit = memory_new(1, sizeof(*deposit));

	deposit->id = begin->id;
	deposit->depositor = depositor;
	deposit->envelope_length = begin->envelope_length;
	deposit->body_length = begin->body_length;
	deposit->body_checksum = begin->body_checksum;
	deposit->reserved = begin->envelope_length + begin->content_length;
	buffer_init(&deposit->envelope, begin->envelope_length);
	if (begin->body_length == 0)
		deposit->content = store_content_new((size_t)begin->content_length);
	hash_table_insert(&qmgr->deposits.by_id, &deposit->by_id, hash_number(deposit->id));
	qmgr->deposits.octets += deposit->reserved;
	update_accepting(qmgr);
	receive(deposit, &begin->data);
}

static void
begin(void *context, UNUSED struct channel *channel, const struct deposit_begin *message)
{
	struct depositor *depositor = context;
	struct qmgr *qmgr = depositor->qmgr;
	struct deposit *deposit = deposit_find(&qmgr->deposits, message->id);
	enum deposit_outcome outcome;
	const char *reason;

	if (deposit != NULL && deposit->depositor != depositor && deposit->message != NULL &&
	    deposit->depositor->channel == NULL) {
		/* Sent again over a new channel while its first commit is under way: that one answers. */
		deposit->depositor->committing--;
		depositor_release(deposit->depositor);
		deposit->depositor = depositor;
		depositor->committing++;
	} else if (deposit != NULL) {
		answer(depositor, message->id, DEPOSIT_TEMPORARY, "The message is being deposited already");
	} else if (owns_id(depositor, message->id) && store_knows(qmgr->store, message->id)) {
		answer(depositor, message->id, DEPOSIT_STORED, "");
	} else if ((reason = why_not(depositor, message, &outcome)) != NULL) {
		settle_file(qmgr, message, false);
		answer(depositor, message->id, outcome, reason);
		/* The others learn of it before their clients sent the content in vain. */
		if (outcome == DEPOSIT_TEMPORARY && !has_room(qmgr, message))
			set_accepting(qmgr, false);
	} else {
		settle_file(qmgr, message, true);
		begin_deposit(depositor, message);
	}
}

/* Parts of a deposit that was answered already may still be on their way: they are let go. */
static void
more(void *context, UNUSED struct channel *channel, const struct deposit_more *message)
{
	struct depositor *depositor = context;
	struct deposit *deposit = deposit_find(&depositor->qmgr->deposits, message->id);

	if (deposit != NULL && deposit->depositor == depositor && deposit->message == NULL)
		receive(deposit, &message->data);
}

/* ---- body files ---- */

static bool
answer_body(struct depositor *depositor, uint64_t id, enum deposit_outcome outcome, const char *text, int descriptor)
{
	struct deposit_body_answer message = { .id = id, .outcome = (uint8_t)outcome, .file = descriptor };
	char cut[200];

	strlcpy(cut, text, sizeof(cut));
	message.text = cut;
	return send_deposit_body_answer(depositor->channel, &message);
}

static void
body_created(void *context, uint64_t id, int descriptor, UNUSED uint64_t length, const struct error *error)
{
	struct qmgr *qmgr = context;
	struct body_file *file = qmgr->leaving ? NULL : file_find(&qmgr->deposits, id);

	if (file == NULL || file->depositor == NULL) {
		if (file != NULL)
			file_free(&qmgr->deposits, file);
		if (descriptor >= 0 && !qmgr->leaving)
			store_body_abandon(qmgr->store, id);
	} else if (descriptor < 0) {
		answer_body(file->depositor, id, DEPOSIT_TEMPORARY, error->text, -1);
		file_free(&qmgr->deposits, file);
	} else if (answer_body(file->depositor, id, DEPOSIT_STORED, "", descriptor)) {
		file->open = true;
	} else {
		/* We are short of descriptors; the question wants its answer all the same. */
		answer_body(file->depositor, id, DEPOSIT_TEMPORARY, "The body file cannot be handed over", -1);
		store_body_abandon(qmgr->store, id);
		file_free(&qmgr->deposits, file);
	}
	if (descriptor >= 0)
		close(descriptor);
}

static void
body(void *context, UNUSED struct channel *channel, const struct deposit_body *message)
{
	struct depositor *depositor = context;
	struct qmgr *qmgr = depositor->qmgr;
	struct body_file *file;

	if (!owns_id(depositor, message->id) || store_knows(qmgr->store, message->id) ||
	    file_find(&qmgr->deposits, message->id) != NULL || deposit_find(&qmgr->deposits, message->id) != NULL) {
		answer_body(depositor, message->id, DEPOSIT_PERMANENT, "The id is in use or not the depositor's", -1);
		return;
	}
	if (!qmgr->deposits.store_accepts) {
		answer_body(depositor, message->id, DEPOSIT_TEMPORARY, qmgr->deposits.reason, -1);
		return;
	}
	if (qmgr->deposits.files.count >= BODY_FILES_MAX) {
		answer_body(depositor, message->id, DEPOSIT_TEMPORARY, "Too many messages are on their way into MAIL.BOX", -1);
		return;
	}
	file = memory_new(1, sizeof(*file));
	file->id = message->id;
	file->depositor = depositor;
	hash_table_insert(&qmgr->deposits.files, &file->by_id, hash_number(file->id));
	store_body_create(qmgr->store, file->id, body_created, qmgr);
}

/* The file is not wanted any more; one that is not there yet goes when it comes. */
static void
abandon_file(struct qmgr *qmgr, struct body_file *file)
{
	if (!file->open) {
		file->depositor = NULL;
		return;
	}
	store_body_abandon(qmgr->store, file->id);
	file_free(&qmgr->deposits, file);
}

static void
abandon(void *context, UNUSED struct channel *channel, const struct deposit_abandon *message)
{
	struct depositor *depositor = context;
	struct body_file *file = file_find(&depositor->qmgr->deposits, message->id);

	if (file != NULL && file->depositor == depositor)
		abandon_file(depositor->qmgr, file);
}

/* ---- call-outs ---- */

static void
call_out_done(void *owner, uint64_t id, enum call_out_outcome outcome, const char *text)
{
	struct depositor *depositor = owner;

	send_call_out_answer(depositor->channel, &(struct call_out_answer){ .id = id, .outcome = (uint8_t)outcome,
	    .text = text });
}

/* ---- depositors ---- */

static void
grant(struct depositor *depositor)
{
	struct deposit_block block;
	int number;

	if (!identifiers_grant(&depositor->qmgr->identifiers, &block.first_id)) {
		depositor->qmgr->exhausted(depositor->qmgr->context, "every block of ids of this start was granted");
		return;
	}
	number = identifiers_block_of(&depositor->qmgr->identifiers, block.first_id);
	depositor->blocks[number / 8] |= (uint8_t)(1 << number % 8);
	depositor->granted_ms = clock_monotonic_ms();
	send_deposit_block(depositor->channel, &block);
}

static void
lost(struct depositor *depositor)
{
	struct qmgr *qmgr = depositor->qmgr;
	struct hash_node *node, *next;

	channel_free(&depositor->channel);
	call_outs_forget(qmgr, depositor);
	for (node = hash_table_walk(&qmgr->deposits.by_id, NULL); node != NULL; node = next) {
		struct deposit *deposit = HASH_CONTAINER(node, struct deposit, by_id);

		next = hash_table_walk(&qmgr->deposits.by_id, node);
		if (deposit->depositor == depositor && deposit->message == NULL)
			refuse(deposit, DEPOSIT_TEMPORARY, "");
	}
	for (node = hash_table_walk(&qmgr->deposits.files, NULL); node != NULL; node = next) {
		struct body_file *file = HASH_CONTAINER(node, struct body_file, by_id);

		next = hash_table_walk(&qmgr->deposits.files, node);
		if (file->depositor == depositor)
			abandon_file(qmgr, file);
	}
	depositor_release(depositor);
}

static void
closed(void *context, UNUSED struct channel *channel, const char *reason)
{
	log_peer_lost("smtpd", reason);
	lost(context);
}

/* One that throws blocks away would soon have all of them, and the end of the last is our end. */
static void
block_wanted(void *context, struct channel *channel, UNUSED const struct deposit_block_wanted *message)
{
	struct depositor *depositor = context;

	if (clock_monotonic_ms() - depositor->granted_ms < BLOCK_LASTS_MS)
		closed(depositor, channel, "violation: a block of ids cannot be used up yet");
	else
		grant(depositor);
}

/* A question takes no credit, so who never reads the answers must not go on asking. */
static void
call_out_question(void *context, struct channel *channel, const struct call_out_question *message)
{
	struct depositor *depositor = context;

	if (channel_queued(channel) > CALL_OUT_ANSWERS_QUEUED_MAX)
		closed(depositor, channel, "violation: it asks for call-outs and does not read the answers");
	else
		call_outs_ask(depositor->qmgr, message->recipient, call_out_done, depositor, message->id);
}

void
deposit_introduced(struct qmgr *qmgr, unsigned instance, enum ipc_side side, int socket)
{
	static const struct deposit_handlers handlers = {
		.deposit_block_wanted = block_wanted,
		.deposit_begin = begin,
		.deposit_more = more,
		.deposit_body = body,
		.deposit_abandon = abandon,
		.call_out_question = call_out_question,
	};
	static const struct channel_events events = { .closed = closed };
	struct depositor *depositor, *next;

	TAILQ_FOREACH_SAFE(depositor, &qmgr->deposits.depositors, link, next)
		if (depositor->instance == instance && depositor->channel != NULL)
			lost(depositor);
	depositor = memory_new(1, sizeof(*depositor));
	depositor->qmgr = qmgr;
	depositor->instance = instance;
	TAILQ_INSERT_TAIL(&qmgr->deposits.depositors, depositor, link);
	depositor->channel = channel_open(qmgr->base, socket, &deposit_protocol, side, &handlers, &events, depositor);
	grant(depositor);
	tell_state(&qmgr->deposits, depositor);
}

bool
deposit_is_busy(const struct qmgr *qmgr)
{
	return qmgr->deposits.by_id.count > 0;
}

void
deposit_start(struct qmgr *qmgr)
{
	TAILQ_INIT(&qmgr->deposits.depositors);
	qmgr->deposits.accepting = qmgr->deposits.store_accepts = true;
	if (!store_accepts(qmgr->store))
		deposit_store_accepts(qmgr, false, NULL);
}

void
deposit_end(struct qmgr *qmgr)
{
	struct deposits *deposits = &qmgr->deposits;
	struct depositor *depositor;
	struct hash_node *node;

	while ((node = hash_table_walk(&deposits->by_id, NULL)) != NULL)
		deposit_free(qmgr, HASH_CONTAINER(node, struct deposit, by_id));
	while ((node = hash_table_walk(&deposits->files, NULL)) != NULL)
		file_free(deposits, HASH_CONTAINER(node, struct body_file, by_id));
	hash_table_free(&deposits->by_id);
	hash_table_free(&deposits->files);
	while ((depositor = TAILQ_FIRST(&deposits->depositors)) != NULL) {
		TAILQ_REMOVE(&deposits->depositors, depositor, link);
		channel_free(&depositor->channel);
		free(depositor);
	}
}
