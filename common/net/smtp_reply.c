/* smtp_reply - see smtp_reply.h */
#include "common/net/smtp_reply.h"

#include <string.h>

void
smtp_reply_init(struct smtp_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	buffer_init(&reply->lines, SMTP_REPLY_TOTAL_MAX);
	buffer_init(&reply->partial, SMTP_REPLY_LINE_MAX - 2);
}

void
smtp_reply_free(struct smtp_reply *reply)
{
	buffer_free(&reply->lines);
	buffer_free(&reply->partial);
	smtp_reply_init(reply);
}

void
smtp_reply_clear(struct smtp_reply *reply)
{
	buffer_clear(&reply->lines);
	buffer_clear(&reply->partial);
	reply->code = 0;
	reply->line_count = 0;
	reply->last_line = 0;
	reply->saw_cr = false;
	reply->complete = false;
	reply->violation = NULL;
}

static enum smtp_reply_progress
violate(struct smtp_reply *reply, const char *what)
{
	reply->violation = what;
	return SMTP_REPLY_VIOLATION;
}

/* The code at the start of a line: three digits, the first 2 to 5, then a blank, '-' or the end. 0: none. */
static int
parse_code(const char *line, size_t length)
{
	if (length < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' ||
	    line[2] > '9')
		return 0;
	if (length > 3 && line[3] != ' ' && line[3] != '-')
		return 0;
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

static enum smtp_reply_progress
take_line(struct smtp_reply *reply)
{
	const char *line = buffer_text(&reply->partial);
	size_t length = reply->partial.length;
	int code = parse_code(line, length);
	size_t begin = reply->lines.length;

	if (code == 0)
		return violate(reply, "a line without a reply code");
	if (reply->code != 0 && code != reply->code)
		return violate(reply, "the code changes inside one reply");
	if (reply->line_count == SMTP_REPLY_LINES_MAX)
		return violate(reply, "too many lines in one reply");
	/* One octet more: the NUL behind each text is kept. */
	if (!buffer_append(&reply->lines, length > 4 ? line + 4 : "", length > 4 ? length - 4 + 1 : 1))
		return violate(reply, "the reply is too long");
	reply->code = code;
	reply->line_count++;
	reply->last_line = begin;
	reply->complete = length <= 3 || line[3] == ' ';
	buffer_clear(&reply->partial);
	return reply->complete ? SMTP_REPLY_COMPLETE : SMTP_REPLY_UNFINISHED;
}

enum smtp_reply_progress
smtp_reply_read(struct smtp_reply *reply, const char *data, size_t length, size_t *consumed_out)
{
	enum smtp_reply_progress progress = SMTP_REPLY_UNFINISHED;
	size_t i;

	*consumed_out = 0;
	if (reply->violation != NULL)
		return SMTP_REPLY_VIOLATION;
	for (i = 0; i < length && progress == SMTP_REPLY_UNFINISHED; i++) {
		char octet = data[i];

		if (reply->saw_cr) {
			reply->saw_cr = false;
			progress = octet == '\n' ? take_line(reply) : violate(reply, "a CR without LF");
		} else if (octet == '\r') {
			reply->saw_cr = true;
		} else if (octet == '\n') {
			progress = violate(reply, "a LF without CR");
		} else if (octet == '\0') {
			progress = violate(reply, "a NUL");
		} else if (!buffer_append_byte(&reply->partial, octet)) {
			progress = violate(reply, "a line is too long");
		}
	}
	*consumed_out = i;
	return progress;
}

const char *
smtp_reply_line(const struct smtp_reply *reply, unsigned number)
{
	const char *text = buffer_text(&reply->lines);

	if (number >= reply->line_count)
		return "";
	while (number-- > 0)
		text += strlen(text) + 1;
	return text;
}

const char *
smtp_reply_last_line(const struct smtp_reply *reply)
{
	return buffer_text(&reply->lines) + reply->last_line;
}
