/* session_transaction - what a session says and hears inside a transaction; see session_private.h and session.h */
#include "smtp/session_private.h"

#include "common/base/memory.h"
#include "smtp/suitability.h"

/* The longest transaction: an hour, a minute for each recipient, and the time for the content at 4,000 octets a second. */
#define TRANSACTION_MS (60 * 60 * 1000)
#define TRANSACTION_RECIPIENT_MS (60 * 1000)
#define TRANSACTION_OCTETS_PER_MS 4

static size_t
content_number(const struct session *session)
{
	return session->wire_count + 1;
}

/* ---- verdicts --------------------------------------------------------------------------------- */

static void
judge_all_by_reply(struct session *session, enum recipient_progress progress, enum reply_asked asked)
{
	struct reply_judgement judgement;

	reply_judge(&session->reply, asked, &judgement);
	judgement.dsn_relayed = judgement.outcome == DELIVERY_DONE && session->parameters.dsn;
	if (session->transaction->only_asks)
		judgement.outcome = DELIVERY_DEFERRED;
	transaction_judge_all(session->transaction, progress, &judgement);
}

/* The transaction is over and the session is to be used again, after RSET where the host may still be inside it. */
static void
end_transaction(struct session *session, bool reset)
{
	session->transaction = NULL;
	downgrade_free(&session->downgrade);
	/* An idle session keeps no block of content. */
	if (session->output.length == 0)
		buffer_free(&session->output);
	if (reset)
		session_send_command(session, SESSION_RSET, "RSET");
	else
		session_enter(session, SESSION_IDLE);
}

/* Nobody was accepted, yet the host took a message: it is not to be trusted with another. */
static void
end_with_a_liar(struct session *session)
{
	end_transaction(session, false);
	session_quit(session);
}

/* ---- what is awaited -------------------------------------------------------------------------- */

/* After the dot: an LMTP host answers once for every recipient that it accepted. */
static size_t
awaited_after_dot(const struct session *session)
{
	size_t count = 0, i;

	if (!session->options.lmtp || session->accepted == 0)
		return 1;
	for (i = session->dot_answered; i < session->wire_count; i++)
		count += session->transaction->progress[session->wire[i]] == PROGRESS_ACCEPTED;
	return count;
}

size_t
session_transaction_awaited(const struct session *session)
{
	if (session->state == SESSION_CONTENT)
		return 0;
	if (session->state == SESSION_DOT && session->way == CONTENT_BY_DATA)
		return awaited_after_dot(session);
	return session->issued - session->answered;
}

/* ---- commands --------------------------------------------------------------------------------- */

/* DATA may be issued behind commands that are not answered yet; content only when all of them are. */
static bool
may_pipeline_content(const struct session *session)
{
	return session->way == CONTENT_BY_DATA || session->answered >= content_number(session);
}

/* Whether the command numbered session->issued may go out now. */
static bool
may_issue(const struct session *session)
{
	bool is_content = session->issued >= content_number(session);
	bool all_issued = session->way == CONTENT_BY_DATA ? session->issued > content_number(session) :
	    session->content_ended;

	if (session->mail_refused || session->chunk_refused || all_issued || (is_content && session->transaction->only_asks))
		return false;
	if (session->answered == session->issued)
		return !is_content || session->accepted > 0;
	return session->capabilities.pipelining && session->output.length - session->output_sent < OUTPUT_ENOUGH &&
	    (!is_content || may_pipeline_content(session));
}

static void
issue_chunk(struct session *session)
{
	struct error error = ERROR_INITIALIZER;
	int more = chunking_append(&session->content, &session->output, &error);

	if (more == -1)
		session_fail_unreadable(session, &error);
	else
		session->content_ended = more == 0;
}

static void
issue_one(struct session *session)
{
	struct transaction *transaction = session->transaction;
	size_t number = session->issued++;

	if (number == 0)
		command_append_mail(&session->output, transaction->envelope, &session->parameters);
	else if (number < content_number(session))
		command_append_rcpt(&session->output, transaction->recipients[session->wire[number - 1]],
		    &session->parameters);
	else if (session->way == CONTENT_BY_DATA)
		buffer_append_string(&session->output, "DATA\r\n");
	else
		issue_chunk(session);
}

static void
issue_commands(struct session *session)
{
	while (session->transaction != NULL && may_issue(session))
		issue_one(session);
}

/* The wait for replies to chunks: once all of them have left, it is the wait for the end of data. */
static void
await_chunk_reply(struct session *session)
{
	session_enter(session, session->content_ended && session->output.length == 0 ? SESSION_DOT : SESSION_CHUNK);
}

void
session_transaction_go_on(struct session *session)
{
	if (session->way == CONTENT_BY_DATA && (session->state == SESSION_CONTENT || session->state == SESSION_DOT))
		return;
	issue_commands(session);
	if (session->transaction == NULL)
		return;
	if (session->answered == session->issued)
		end_transaction(session, true);
	else if (session->answered == 0)
		session_enter(session, SESSION_MAIL);
	else if (session->answered < content_number(session))
		session_enter(session, SESSION_RCPT);
	else if (session->way == CONTENT_BY_DATA)
		session_enter(session, SESSION_DATA);
	else
		await_chunk_reply(session);
}

/* A host that answers each command just in time would otherwise hold a job for days. */
static deadline_t
longest_transaction(const struct transaction *transaction)
{
	return deadline_after_ms(TRANSACTION_MS + (int64_t)transaction->count * TRANSACTION_RECIPIENT_MS +
	    (int64_t)(transaction->content.length / TRANSACTION_OCTETS_PER_MS));
}

/* Little content leaves together with its dot; what cannot be read is found out by sending it. */
static bool
goes_as_it_is(const struct session *session)
{
	struct content_source *source = &session->transaction->content;
	struct error error = ERROR_INITIALIZER;

	return session->way == CONTENT_BY_DATA && source->length > CONTENT_BLOCK && session->downgrade == NULL &&
	    content_source_is_plain(source, &error) == 1;
}

void
session_begin(struct session *session, struct transaction *transaction)
{
	size_t i;

	if (session->state != SESSION_IDLE)
		return;
	session->transaction = transaction;
	session->transaction_end = longest_transaction(transaction);
	suitability_check(transaction, &session->capabilities, &session->parameters, &session->downgrade);
	if (transaction->only_asks)
		session->parameters.size = session->parameters.dsn = false;
	session->wire = memory_resize(session->wire, transaction->count + 1, sizeof(*session->wire));
	session->wire_count = 0;
	for (i = 0; i < transaction->count; i++)
		if (transaction->progress[i] == PROGRESS_WAITING)
			session->wire[session->wire_count++] = i;
	session->issued = session->answered = session->accepted = session->dot_answered = 0;
	session->mail_refused = session->chunk_refused = session->content_ended = false;
	if (session->wire_count == 0) {
		end_transaction(session, false);
		return;
	}
	session->way = chunking_choose(&session->capabilities, session->options.lmtp, transaction->content.length);
	content_stream_init(&session->content, &transaction->content, session->way == CONTENT_BY_DATA, session->downgrade);
	session->content_as_it_is = goes_as_it_is(session);
	session->messages++;
	session_transaction_go_on(session);
}

/* ---- replies ---------------------------------------------------------------------------------- */

static void
take_mail_reply(struct session *session)
{
	if (session->reply.code / 100 == 2)
		return;
	session->mail_refused = true;
	judge_all_by_reply(session, PROGRESS_WAITING, REPLY_TO_MAIL);
}

static void
take_rcpt_reply(struct session *session)
{
	struct transaction *transaction = session->transaction;
	size_t index = session->wire[session->answered - 2];
	struct reply_judgement judgement;

	if (session->mail_refused)
		return;
	if (session->reply.code / 100 == 2 && !transaction->only_asks) {
		transaction->progress[index] = PROGRESS_ACCEPTED;
		session->accepted++;
	} else if (session->accepted > 0 && reply_says_too_many_recipients(&session->reply)) {
		transaction->progress[index] = PROGRESS_AGAIN;
	} else {
		reply_judge(&session->reply, REPLY_TO_RCPT, &judgement);
		transaction_judge(transaction, index, &judgement);
	}
}

/*
 * DATA was refused, or taken: then content follows, or, when all recipients were refused meanwhile, a lone
 * dot (RFC 2920). A host that goes on after it refused MAIL might deliver what the dot ends: it gets none.
 */
static void
take_data_reply(struct session *session)
{
	if (session->reply.code != 354) {
		judge_all_by_reply(session, PROGRESS_ACCEPTED, REPLY_TO_DATA);
		return;
	}
	if (session->mail_refused)
		session_fail_protocol(session, "DATA is taken though MAIL was refused");
	else if (session->accepted > 0)
		session_enter(session, SESSION_CONTENT);
	else
		session_send_command(session, SESSION_DOT, ".");
}

/* A host that offers CHUNKING and does not know BDAT gets the message by DATA, in a next transaction. */
static void
do_without_chunking(struct session *session)
{
	struct transaction *transaction = session->transaction;
	size_t i;

	session->capabilities.chunking = false;
	for (i = 0; i < transaction->count; i++)
		if (transaction->progress[i] == PROGRESS_ACCEPTED)
			transaction->progress[i] = PROGRESS_AGAIN;
}

static void
take_chunk_refusal(struct session *session)
{
	bool unknown = session->reply.code == 500 || session->reply.code == 502;

	if (session->chunk_refused)
		return;
	session->chunk_refused = true;
	if (unknown && session->answered == content_number(session) + 1)
		do_without_chunking(session);
	else
		judge_all_by_reply(session, PROGRESS_ACCEPTED, REPLY_TO_CONTENT);
}

/* A reply to BDAT. The reply to the last one counts for the message; the others only when they refuse. */
static void
take_chunk_reply(struct session *session)
{
	bool last = session->content_ended && session->answered == session->issued;

	if (session->reply.code / 100 != 2) {
		take_chunk_refusal(session);
	} else if (session->chunk_refused) {
		session_fail_protocol(session, "BDAT is taken after a refusal");
	} else if (last && session->output.length > 0) {
		session_fail_protocol(session, "the message is accepted before all of it was sent");
	} else if (last) {
		judge_all_by_reply(session, PROGRESS_ACCEPTED, REPLY_TO_CONTENT);
		end_transaction(session, false);
	}
}

/* 3yz answers DATA alone, and there it is 354, or the session is out of step; so it is when 2yz answers DATA. */
static bool
belongs_to_command(const struct session *session)
{
	int kind = session->reply.code / 100;

	if (session->answered == content_number(session) && session->way == CONTENT_BY_DATA)
		return session->reply.code == 354 || kind >= 4;
	return kind != 3;
}

static void
take_command_reply(struct session *session)
{
	size_t number = session->answered;

	if (!belongs_to_command(session)) {
		session_fail_protocol(session, "the reply does not belong to this command");
		return;
	}
	session->answered++;
	if (number == 0)
		take_mail_reply(session);
	else if (number < content_number(session))
		take_rcpt_reply(session);
	else if (session->way == CONTENT_BY_DATA)
		take_data_reply(session);
	else
		take_chunk_reply(session);
}

/* LMTP: passes over the recipients that were not accepted. */
static void
find_unanswered(struct session *session)
{
	while (session->dot_answered < session->wire_count &&
	    session->transaction->progress[session->wire[session->dot_answered]] != PROGRESS_ACCEPTED)
		session->dot_answered++;
}

static void
take_dot_reply(struct session *session)
{
	struct reply_judgement judgement;

	if (session->accepted == 0) {
		end_with_a_liar(session);
		return;
	}
	if (session->reply.code / 100 == 3) {
		session_fail_protocol(session, "the reply does not belong to the end of data");
		return;
	}
	if (!session->options.lmtp) {
		judge_all_by_reply(session, PROGRESS_ACCEPTED, REPLY_TO_CONTENT);
		end_transaction(session, false);
		return;
	}
	find_unanswered(session);
	reply_judge(&session->reply, REPLY_TO_CONTENT, &judgement);
	judgement.dsn_relayed = judgement.outcome == DELIVERY_DONE && session->parameters.dsn;
	transaction_judge(session->transaction, session->wire[session->dot_answered], &judgement);
	find_unanswered(session);
	if (session->dot_answered == session->wire_count)
		end_transaction(session, false);
	else
		session_enter(session, SESSION_DOT);
}

void
session_take_transaction_reply(struct session *session)
{
	if (session->state == SESSION_DOT && session->way == CONTENT_BY_DATA)
		take_dot_reply(session);
	else
		take_command_reply(session);
}

void
session_judge_early(struct session *session)
{
	judge_all_by_reply(session, PROGRESS_ACCEPTED, REPLY_TO_CONTENT);
}

/* ---- octets for the wire ---------------------------------------------------------------------- */

struct content_span
session_content_span(const struct session *session)
{
	if (!session->content_as_it_is || session->state != SESSION_CONTENT || session->output.length > 0)
		return (struct content_span){ .file = -1 };
	return content_stream_rest(&session->content);
}

void
session_content_span_sent(struct session *session, size_t count)
{
	uint64_t blocks = session->content.offset / CONTENT_BLOCK;

	content_stream_skip(&session->content, count);
	if (session->content.offset / CONTENT_BLOCK > blocks)
		session_enter(session, SESSION_CONTENT);
}

void
session_make_content(struct session *session)
{
	struct error error = ERROR_INITIALIZER;
	int more = content_stream_next(&session->content, &session->output, &error);

	if (more == -1) {
		/* Without the dot the host throws away what it has. */
		session_fail_unreadable(session, &error);
		return;
	}
	if (more == 0) {
		buffer_append_string(&session->output, ".\r\n");
		session->content_ended = true;
	}
	session_enter(session, SESSION_CONTENT);
}

void
session_transaction_drained(struct session *session)
{
	switch (session->state) {
	case SESSION_CONTENT:
		if (session->content_ended)
			session_enter(session, SESSION_DOT);
		break;
	case SESSION_CHUNK:
		issue_commands(session);
		if (session->transaction != NULL)
			await_chunk_reply(session);
		break;
	case SESSION_DOT:
		break;
	default:
		issue_commands(session);
	}
}
