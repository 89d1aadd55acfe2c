/* receive - see receive.h */
#include "smtpd/receive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crc32c.h"
#include "common/base/identifier.h"
#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/own_fields.h"
#include "smtpd/received.h"
#include "smtpd/trace_fields.h"
#include "smtpd/session.h"

#define WRITE_PIECE CONTENT_LENT_MIN	/* octets that are worth a write to the body file */
#define MEMORY_SPARED 8192		/* content this small stays in memory even when that is short */
#define HEADER_SPARED 32768		/* and a header this large, which is looked at whole before it is written anywhere */

#define TRY_LATER_TEXT "Requested action aborted: error in processing, try again later"

/* A client may send on beyond the limit to learn of its 552, but not for ever. */
static uint64_t
largest_content_read(uint64_t maximum_size)
{
	return maximum_size > UINT64_MAX / 4 ? UINT64_MAX : maximum_size * 2 + 1048576;
}

enum reply
receive_begin(struct session *session, bool is_dotted, const char **text_out)
{
	struct session_shared *shared = session->shared;
	struct transaction *transaction = session->transaction;
	const struct settings *settings = session->rules->settings;
	struct envelope *envelope = &transaction->envelope;

	if (!shared->accepting) {
		*text_out = shared->why_not;
		return REPLY_NOT_ACCEPTING;
	}
	if (shared->content_octets > shared->content_limit + shared->content_limit / 2) {
		*text_out = "Too many messages are arriving, try again later";
		return REPLY_NOT_ACCEPTING;
	}
	if (shared->next_id == shared->end_id) {
		*text_out = TRY_LATER_TEXT;
		return REPLY_TRY_LATER;
	}
	envelope->id = shared->next_id++;
	envelope->arrival_ms = clock_wall_ms();
	content_init(&transaction->content, is_dotted, (size_t)settings->configuration.maximum_header_size.number);
	buffer_init(&transaction->data, 0);
	transaction->has_content = true;
	trace_fields_append(&transaction->data, session);
	received_append(&transaction->data, session);
	transaction->prefix_length = transaction->data.length;
	return REPLY_NONE;
}

static void
refuse_flaw(struct transaction *transaction)
{
	switch (transaction->content.flaw) {
	case CONTENT_FLAWLESS:
		break;
	case CONTENT_BARE_CR_OR_LF:
		transaction_refuse(transaction, REPLY_BARE_CR_OR_LF, NULL);
		break;
	case CONTENT_NUL:
		transaction_refuse(transaction, REPLY_NUL_IN_CONTENT, NULL);
		break;
	case CONTENT_HEADER_TOO_LARGE:
		transaction_refuse(transaction, REPLY_HEADER_TOO_LARGE, NULL);
		break;
	case CONTENT_BEGINS_FOLDED:
		transaction_refuse(transaction, REPLY_HEADER_BEGINS_FOLDED, NULL);
		break;
	}
}

/* What is wrong with the content so far, at its end or before. */
static void
judge_content(struct session *session)
{
	struct transaction *transaction = session->transaction;
	const struct document_configuration *configuration = rules_configuration(session->rules);
	uint64_t maximum = session->rules->maximum_size;

	refuse_flaw(transaction);
	if (maximum != 0 && transaction->content.length > maximum &&
	    configuration->oversize_message.number == OVERSIZE_MESSAGE_REFUSE)
		transaction_refuse(transaction, REPLY_TOO_LARGE, NULL);
	if (transaction->content.received_fields > configuration->maximum_received_fields.number)
		transaction_refuse(transaction, REPLY_TOO_MANY_HOPS, NULL);
}

static void
log_refusal(const struct session *session, enum reply reply)
{
	const struct envelope *envelope = &session->transaction->envelope;

	log_event(LOG_MESSAGE_REFUSED, log_id(envelope->id), session->name, session->client.address,
	    envelope->sender, log_number(reply_code(reply)));
}

/* Ends the transaction with a refusal. */
static void
refuse_message(struct session *session)
{
	enum reply reply = session->transaction->refusal;
	char *text = memory_copy_string(session->transaction->refusal_text);

	log_refusal(session, reply);
	session_end_transaction(session);
	session_enter(session, SESSION_READY);
	session_reply(session, reply, text);
	session->refused = REPLY_NONE;
	free(text);
}

static void
end_message(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (transaction->refusal != REPLY_NONE) {
		refuse_message(session);
		return;
	}
	transaction->envelope.hops = (uint16_t)(transaction->content.received_fields < UINT16_MAX ?
	    transaction->content.received_fields : UINT16_MAX);
	if (rules_configuration(session->rules)->smtp_in_message_priority.number != 0)
		transaction->envelope.priority = transaction->content.priority;
	session_enter(session, SESSION_STORING);
	session->wait = SESSION_WAITS_FOR_DEPOSIT;
}

static void
end_chunk(struct session *session)
{
	char octets[24];

	if (session->transaction->refusal != REPLY_NONE) {
		refuse_message(session);
		return;
	}
	session->transaction->stage = TRANSACTION_MORE;
	session_enter(session, SESSION_CHUNKS);
	snprintf(octets, sizeof(octets), "%" PRIu64, session->chunk_size);
	session_reply(session, REPLY_CHUNK_OK, octets);
}

/* The header was seen, or the message ends in it: out goes what only we may write. */
static void
clean_header(struct session *session)
{
	struct transaction *transaction = session->transaction;
	const struct content *content = &transaction->content;
	uint64_t end = content->in_header ? content->length : content->header_end;

	if (transaction->header_is_clean || (!content_header_is_seen(content) && transaction->stage != TRANSACTION_ENDED))
		return;
	transaction->header_is_clean = true;
	if (content->has_own_fields && transaction->refusal == REPLY_NONE)
		own_fields_remove(&transaction->data, transaction->prefix_length, transaction->prefix_length + (size_t)end,
		    rules_host_name(session->rules));
}

/* Memory is short, and the client goes on with its header. */
static bool
header_is_too_much(const struct session *session)
{
	const struct transaction *transaction = session->transaction;

	return !transaction->header_is_clean && transaction->data.length > HEADER_SPARED &&
	    session->shared->content_octets > session->shared->content_limit;
}

/* Whether the content has to leave memory. */
static bool
needs_body_file(const struct session *session)
{
	const struct transaction *transaction = session->transaction;
	const struct session_shared *shared = session->shared;

	if (!transaction->header_is_clean)
		return false;
	return transaction->data.length > (size_t)session->rules->settings->matador.inline_body_limit.number ||
	    (shared->content_octets > shared->content_limit && transaction->data.length > MEMORY_SPARED);
}

/* Content goes on: a file is needed, octets are to be written, or the chunk or message is complete. */
static void
continue_content(struct session *session)
{
	struct transaction *transaction = session->transaction;
	size_t waiting;

	clean_header(session);
	transaction_count(transaction, &session->shared->content_octets);
	if (header_is_too_much(session))
		transaction_refuse(transaction, REPLY_NOT_ACCEPTING, "Too many messages are arriving, try again later");
	waiting = transaction->data.length + transaction->lent.length;
	if (transaction->refusal == REPLY_NONE && transaction->body_file < 0 && needs_body_file(session)) {
		session->wait = SESSION_WAITS_FOR_BODY_FILE;
		return;
	}
	if (transaction->body_file >= 0 && waiting > 0 && (waiting >= WRITE_PIECE || transaction->stage != TRANSACTION_MORE)) {
		session->wait = SESSION_WAITS_FOR_BODY_WRITE;
		return;
	}
	if (transaction->stage == TRANSACTION_ENDED)
		end_message(session);
	else if (transaction->stage == TRANSACTION_CHUNK_ENDED)
		end_chunk(session);
}

/* Content came in; the deadline moves with it. False when the client has gone so far beyond the limit that it is
 * cut off. */
static bool
note_progress(struct session *session, size_t length)
{
	uint64_t maximum = session->rules->maximum_size;

	session->progress += length;
	if (session->progress >= SESSION_PROGRESS)
		session_enter(session, session->state);
	judge_content(session);
	if (maximum == 0 || session->transaction->refusal == REPLY_NONE ||
	    session->transaction->content.length <= largest_content_read(maximum))
		return true;
	log_refusal(session, REPLY_TOO_LARGE);
	session_close(session, REPLY_TOO_LARGE, NULL, "message far too large");
	return false;
}

static struct buffer *
sink_of(struct transaction *transaction)
{
	return transaction->refusal == REPLY_NONE ? &transaction->data : NULL;
}

/* Only what is written at once, into the body file that is there, may stay where it was received. */
static struct bytes *
loan_of(struct transaction *transaction)
{
	return transaction->body_file >= 0 ? &transaction->lent : NULL;
}

size_t
receive_data(struct session *session, const char *data, size_t length)
{
	struct transaction *transaction = session->transaction;
	bool ended, kept;
	size_t taken = content_take(&transaction->content, data, length, sink_of(transaction), loan_of(transaction),
	    &ended, &kept);

	if (ended)
		transaction->stage = TRANSACTION_ENDED;
	if (note_progress(session, taken))
		continue_content(session);
	return taken;
}

/* Octets of a chunk that was refused before it came: they are content to nobody. */
static size_t
drop_chunk(struct session *session, size_t length)
{
	session->chunk_left -= length;
	if (session->chunk_left == 0)
		receive_end_chunk(session);
	return length;
}

size_t
receive_chunk(struct session *session, const char *data, size_t length)
{
	struct transaction *transaction = session->transaction;
	bool ended, kept;

	if (length > session->chunk_left)
		length = (size_t)session->chunk_left;
	if (session->chunk_refusal != REPLY_NONE)
		return drop_chunk(session, length);
	/* The end of a chunk may still add to what came. */
	content_take(&transaction->content, data, length, sink_of(transaction),
	    length < session->chunk_left ? loan_of(transaction) : NULL, &ended, &kept);
	session->chunk_left -= length;
	if (note_progress(session, length)) {
		if (session->chunk_left == 0)
			receive_end_chunk(session);
		else
			continue_content(session);
	}
	return length;
}

void
receive_end_chunk(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (session->chunk_refusal != REPLY_NONE) {
		session_end_transaction(session);
		session_enter(session, session->helo != NULL ? SESSION_READY : SESSION_CONNECTED);
		session_reply(session, session->chunk_refusal, session->chunk_refusal_text);
		return;
	}
	transaction->stage = TRANSACTION_CHUNK_ENDED;
	if (session->chunk_is_last) {
		content_finish(&transaction->content, sink_of(transaction));
		transaction->stage = TRANSACTION_ENDED;
		judge_content(session);
	}
	continue_content(session);
}

void
receive_body_file(struct session *session, int file, enum deposit_outcome outcome, const char *text)
{
	session->wait = SESSION_WAITS_FOR_INPUT;
	session_enter(session, session->state);
	if (outcome == DEPOSIT_STORED && file >= 0)
		session->transaction->body_file = file;
	else
		transaction_refuse(session->transaction,
		    outcome == DEPOSIT_PERMANENT ? REPLY_REFUSED_BY_QUEUE : REPLY_NOT_ACCEPTING, text);
	continue_content(session);
	session_leave_when_draining(session);
}

static void
note_written(struct transaction *transaction)
{
	transaction->body_checksum = crc32c(crc32c(transaction->body_checksum, transaction->data.data, transaction->data.length),
	    transaction->lent.data, transaction->lent.length);
	transaction->body_length += transaction->data.length + transaction->lent.length;
}

void
receive_body_written(struct session *session, int error_number)
{
	struct transaction *transaction = session->transaction;

	session->wait = SESSION_WAITS_FOR_INPUT;
	if (error_number == 0)
		note_written(transaction);
	else if (error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG)
		transaction_refuse(transaction, REPLY_NOT_ACCEPTING, "Insufficient system storage");
	else
		transaction_refuse(transaction, REPLY_TRY_LATER, TRY_LATER_TEXT);
	buffer_free(&transaction->data);
	transaction->lent.length = 0;
	continue_content(session);
	session_leave_when_draining(session);
}

void
receive_body_lost(struct session *session)
{
	if (session->transaction != NULL && session->transaction->body_file >= 0)
		transaction_refuse(session->transaction, REPLY_TRY_LATER, TRY_LATER_TEXT);
}

static void
log_acceptance(const struct session *session)
{
	const struct transaction *transaction = session->transaction;
	const struct envelope *envelope = &transaction->envelope;

	log_event(LOG_MESSAGE_ACCEPTED, log_id(envelope->id), session->name, session->client.address,
	    transaction->trace.client_name, session->helo, envelope->protocol, envelope->sender, log_number((int64_t)envelope->recipient_count),
	    log_number((int64_t)transaction->content.length), transaction->content.message_id,
	    log_seconds(clock_monotonic_ms() - transaction->began_ms));
}

void
receive_deposited(struct session *session, enum deposit_outcome outcome, const char *text)
{
	char id[IDENTIFIER_TEXT_SIZE];

	session->wait = SESSION_WAITS_FOR_INPUT;
	if (outcome == DEPOSIT_STORED) {
		identifier_format(session->transaction->envelope.id, id);
		log_acceptance(session);
		session_end_transaction(session);
		session->messages++;
		session->idle_commands = 0;
		session_enter(session, SESSION_READY);
		session_reply(session, REPLY_ACCEPTED, id);
	} else {
		transaction_refuse(session->transaction,
		    outcome == DEPOSIT_PERMANENT ? REPLY_REFUSED_BY_QUEUE : REPLY_TRY_LATER,
		    text[0] != '\0' ? text : TRY_LATER_TEXT);
		refuse_message(session);
	}
	session_leave_when_draining(session);
}
