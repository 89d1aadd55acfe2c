/* reply - see reply.h */
#include "smtpd/reply.h"

#include <stdio.h>
#include <string.h>

#include "common/base/attributes.h"

static const struct {
	unsigned code;
	const char *enhanced;
	const char *text;
} replies[REPLY_COUNT] = {
	[REPLY_NONE] = { 0, "", "" },
#define REPLY(symbol, code, enhanced, text) [REPLY_##symbol] = { code, enhanced, text },
#include "smtpd/replies.def"
#undef REPLY
};

unsigned
reply_code(enum reply reply)
{
	return replies[reply].code;
}

/* Appends text as printable octets, at most up to length octets in line. UTF-8 stays: addresses are echoed as
 * given. */
static void
append_printable(char line[static REPLY_LINE_MAX], size_t *length, const char *text, size_t text_length)
{
	for (size_t i = 0; i < text_length && *length < REPLY_LINE_MAX - 3; i++) {
		unsigned char octet = (unsigned char)text[i];

		line[(*length)++] = (octet < ' ' || octet == 0x7f) ? '?' : text[i];
	}
}

/* Whether the octets that fit end inside a UTF-8 sequence; how many octets to take back. */
static size_t
count_cut_utf8(const char *line, size_t length)
{
	size_t back = 0;

	while (back < 3 && back < length && ((unsigned char)line[length - 1 - back] & 0xc0) == 0x80)
		back++;
	return back < length && (unsigned char)line[length - 1 - back] >= 0xc0 ? back + 1 : 0;
}

void
reply_append(struct buffer *out, enum reply reply, const char *argument, bool with_status, bool more)
{
	const char *text = replies[reply].text, *placeholder = strstr(text, "%s");
	const char *enhanced = with_status ? replies[reply].enhanced : "";
	char line[REPLY_LINE_MAX];
	size_t length = (size_t)snprintf(line, sizeof(line), "%u%c%s%s", replies[reply].code, more ? '-' : ' ',
	    enhanced, *enhanced != '\0' ? " " : "");

	if (placeholder == NULL) {
		append_printable(line, &length, text, strlen(text));
	} else {
		size_t tail_length = strlen(placeholder + 2), room;

		append_printable(line, &length, text, (size_t)(placeholder - text));
		room = REPLY_LINE_MAX - 3 - length - tail_length;
		if (argument == NULL)
			argument = "";
		append_printable(line, &length, argument, strnlen(argument, room));
		if (strlen(argument) > room)
			length -= count_cut_utf8(line, length);
		append_printable(line, &length, placeholder + 2, tail_length);
	}
	line[length++] = '\r';
	line[length++] = '\n';
	buffer_append(out, line, length);
}
