/* verb_data - DATA and BDAT: the start of content */
#include <string.h>
#include <strings.h>

#include "common/base/attributes.h"
#include "smtpd/receive.h"
#include "smtpd/session.h"
#include "smtpd/verb.h"

void
verb_data(struct session *session, const char *argument UNUSED, size_t length)
{
	const char *text = NULL;
	enum reply refusal;

	if (length != 0) {
		session_reply(session, REPLY_BAD_ARGUMENT, "DATA takes no argument");
		return;
	}
	refusal = receive_begin(session, true, &text);
	if (refusal != REPLY_NONE) {
		session_end_transaction(session);
		session_enter(session, SESSION_READY);
		session_reply(session, refusal, text);
		return;
	}
	session_enter(session, SESSION_DATA);
	session_reply(session, REPLY_ENTER_MESSAGE, NULL);
}

/* "SIZE" or "SIZE LAST", digits only. */
static bool
parse_chunk(const char *argument, size_t length, uint64_t *size_out, bool *is_last_out)
{
	uint64_t size = 0;
	size_t i = 0;

	for (; i < length && argument[i] >= '0' && argument[i] <= '9'; i++)
		if (__builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, (uint64_t)(argument[i] - '0'), &size))
			return false;
	if (i == 0)
		return false;
	*size_out = size;
	*is_last_out = length - i == 5 && strncasecmp(argument + i, " LAST", 5) == 0;
	return *is_last_out || i == length;
}

/* Why this chunk is refused before it is there, or REPLY_NONE. */
static enum reply
judge_chunk(const struct session *session, uint64_t size)
{
	const struct document_configuration *configuration = rules_configuration(session->rules);
	const struct transaction *transaction = session->transaction;
	uint64_t maximum = session->rules->maximum_size;

	if (session->state != SESSION_RECIPIENTS && session->state != SESSION_CHUNKS)
		return REPLY_BAD_SEQUENCE;
	if (maximum != 0 && configuration->oversize_message.number == OVERSIZE_MESSAGE_REFUSE &&
	    size > maximum - (transaction->content.length < maximum ? transaction->content.length : maximum))
		return REPLY_TOO_LARGE;
	return REPLY_NONE;
}

void
verb_bdat(struct session *session, const char *argument, size_t length)
{
	uint64_t size, maximum = session->rules->maximum_size;

	if (!rules_configuration(session->rules)->smtp_in_chunking.number) {
		session_close(session, REPLY_NOT_IMPLEMENTED, NULL, "BDAT is switched off");
		return;
	}
	/* Without its count nobody knows where the chunk ends and commands begin. */
	if (!parse_chunk(argument, length, &size, &session->chunk_is_last)) {
		session_close(session, REPLY_BAD_ARGUMENT, "BDAT needs the size of its chunk", "malformed BDAT");
		return;
	}
	session->chunk_size = session->chunk_left = size;
	session->chunk_refusal = judge_chunk(session, size);
	session->chunk_refusal_text = "MAIL and an accepted RCPT come before BDAT";
	if (session->chunk_refusal != REPLY_NONE && maximum != 0 && size > maximum * 2) {
		session_close(session, session->chunk_refusal, session->chunk_refusal_text, "chunk far too large");
		return;
	}
	if (session->chunk_refusal == REPLY_NONE && !session->transaction->has_content)
		session->chunk_refusal = receive_begin(session, false, &session->chunk_refusal_text);
	session_enter(session, SESSION_CHUNK);
	if (size == 0)
		receive_end_chunk(session);
}
