/* delivery_result - see delivery_result.h */
#include "common/mail/delivery_result.h"

#include <string.h>

#define STATUS_MAX 15

/* Room for one line of text of any origin: cut at ENVELOPE_TEXT_MAX, line ends made blanks. */
static const char *
one_line(const char *text, char line[static ENVELOPE_TEXT_MAX + 1], size_t limit)
{
	size_t length = strnlen(text == NULL ? "" : text, limit);

	for (size_t i = 0; i < length; i++)
		line[i] = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
	line[length] = '\0';
	return line;
}

bool
delivery_result_encode(const struct delivery_result *result, struct buffer *out)
{
	char line[ENVELOPE_TEXT_MAX + 1];
	size_t before = out->length;

	if (wire_put_u32(out, result->recipient) && wire_put_u8(out, (uint8_t)result->outcome) &&
	    wire_put_u8(out, (uint8_t)result->failure) && wire_put_u8(out, result->host_failed) &&
	    wire_put_u8(out, result->dsn_relayed) && wire_put_u32(out, result->retry_seconds) &&
	    wire_put_string(out, one_line(result->status, line, STATUS_MAX)) &&
	    wire_put_string(out, one_line(result->text, line, ENVELOPE_TEXT_MAX)) &&
	    wire_put_string(out, one_line(result->host, line, ENVELOPE_TEXT_MAX)))
		return true;
	out->length = before;
	if (out->data != NULL)
		out->data[before] = '\0';
	return false;
}

static bool
is_one_line(const char *text)
{
	return strpbrk(text, "\r\n") == NULL;
}

bool
delivery_result_decode(struct wire_reader *reader, struct delivery_result *result)
{
	uint8_t outcome, failure, host_failed, dsn_relayed;

	result->recipient = wire_get_u32(reader);
	outcome = wire_get_u8(reader);
	failure = wire_get_u8(reader);
	host_failed = wire_get_u8(reader);
	dsn_relayed = wire_get_u8(reader);
	result->retry_seconds = wire_get_u32(reader);
	result->status = wire_get_string(reader, STATUS_MAX);
	result->text = wire_get_string(reader, ENVELOPE_TEXT_MAX);
	result->host = wire_get_string(reader, ENVELOPE_TEXT_MAX);
	if (reader->failed || outcome >= DELIVERY_OUTCOME_COUNT || failure >= FAILURE_CLASS_COUNT ||
	    host_failed > 1 || dsn_relayed > 1 || !is_one_line(result->status) || !is_one_line(result->text) ||
	    !is_one_line(result->host)) {
		reader->failed = true;
		return false;
	}
	result->outcome = (enum delivery_outcome)outcome;
	result->failure = (enum failure_class)failure;
	result->host_failed = host_failed;
	result->dsn_relayed = dsn_relayed;
	return true;
}
